//! Reads a file of frames through a window that moves along, and says what stands at a place.

use std::io;

use super::frame::{
    Chain, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, Found, FrameHeader, Place, decode_frame,
    frame_bytes_at,
};
use super::verdict::Stop;
use crate::storage::{AlignedBuf, BLOCK_BYTES, StorageFile};

/// What stands at a place of a file: a frame and its bytes, or what it is instead,
/// with words for it.
pub(super) enum Read<'a> {
    Frame(FrameHeader, Chain, &'a [u8]),
    Other(Stop, String),
}

/// A part of a file in memory, which moves along with who reads it.
pub(super) struct Window<'a> {
    file: &'a dyn StorageFile,
    file_bytes: u64,
    buffer: AlignedBuf,
    start: u64,
}

/// Long enough that reads are few, and the longest frame fits.
const WINDOW_BYTES: usize = 4 * FRAME_BYTES_MAX;

const ZEROES: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

impl<'a> Window<'a> {
    pub(super) fn new(file: &'a dyn StorageFile, file_bytes: u64) -> Self {
        Self {
            file,
            file_bytes,
            buffer: AlignedBuf::zeroed(0),
            start: 0,
        }
    }

    /// So many bytes at an offset; both lie within the file.
    fn bytes(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let end = offset + len as u64;
        if offset < self.start || end > self.start + self.buffer.len() as u64 {
            let left = self.file_bytes - offset;
            self.start = offset;
            self.buffer.set_len(left.min(WINDOW_BYTES as u64) as usize);
            if let Err(error) = self.file.read_at(offset, &mut self.buffer) {
                // The window is larger than what was asked for, and so is what may fail.
                self.buffer.set_len(len);
                if let Err(error_here) = self.file.read_at(offset, &mut self.buffer) {
                    self.buffer.set_len(0);
                    return Err(error_here);
                }
                tracing::debug!(%error, offset, "a part of the log behind this offset is unreadable");
            }
        }
        let at = (offset - self.start) as usize;
        Ok(&self.buffer[at..at + len])
    }

    pub(super) fn frame(&mut self, place: &Place) -> io::Result<Read<'_>> {
        let left = self.file_bytes - place.offset;
        if left == 0 {
            return Ok(Read::Other(Stop::Misfit, "the end of the file".to_owned()));
        }
        let block = self.bytes(place.offset, BLOCK_BYTES)?;
        if block == ZEROES {
            return Ok(Read::Other(Stop::Zeroes, "zeroes".to_owned()));
        }
        let debris = || Read::Other(Stop::Debris, "bytes that are no frame".to_owned());
        let Some(len) = frame_bytes_at(block).filter(|len| *len as u64 <= left) else {
            return Ok(debris());
        };
        let frame = self.bytes(place.offset, len)?;
        Ok(match decode_frame(frame, place) {
            Found::Frame(header, chain)
                if header.payload_bytes as usize + FRAME_HEADER_BYTES <= len =>
            {
                Read::Frame(header, chain, frame)
            }
            Found::Frame(..) | Found::NoFrame => debris(),
            Found::Newer {
                kind,
                record_version,
            } => Read::Other(
                Stop::Misfit,
                format!("a frame of kind {kind} with records of version {record_version}"),
            ),
        })
    }
}
