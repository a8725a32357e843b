//! Makes checkpoints and history files.
//!
//! Such a file is made under a temporary name, synced, read back to its last byte, and
//! only then renamed. What did not come so far has no meaning, and is removed.

use std::io;
use std::ops::ControlFlow;

use super::batch::{RECORD_BYTES_MAX, put_record};
use super::error::{FoldError, OpenError};
use super::frame::{
    Chain, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameHeader, FrameKind, encode_frame, frame_bytes,
};
use super::header::BlockHeader;
use super::sealed::{Sealed, SealedHeader, SealedId};
use super::segment::{FIRST_FRAME_OFFSET, shard_directory};
use super::visitor::Progress;
use crate::failpoint;
use crate::storage::{AlignedBuf, Storage, StorageFile};
use crate::types::Lsn;

/// A checkpoint or history file that is being made.
pub(super) struct SealedWriter<'a> {
    storage: &'a dyn Storage,
    id: SealedId,
    file: Box<dyn StorageFile>,
    /// Records of the frame that fills.
    payload: Vec<u8>,
    in_frame: u32,
    first_in_frame: Lsn,
    offset: u64,
    chain: Chain,
    records: u64,
    buffer: AlignedBuf,
}

/// How often whoever paces a fold is asked, in bytes read or written: a millisecond of a
/// slow disk.
pub(super) const PACE_BYTES: u64 = 64 << 10;

/// What a frame of such a file holds.
const PAYLOAD_BYTES_MAX: usize = FRAME_BYTES_MAX - FRAME_HEADER_BYTES;

impl<'a> SealedWriter<'a> {
    /// Begins a file under its temporary name, whose first record has that number.
    pub(super) fn create(
        storage: &'a dyn Storage,
        id: SealedId,
        first_record: Lsn,
    ) -> io::Result<Self> {
        let file = storage.create(&id.temporary())?;
        Ok(Self {
            storage,
            id,
            file,
            payload: Vec::with_capacity(PAYLOAD_BYTES_MAX),
            in_frame: 0,
            first_in_frame: first_record,
            offset: FIRST_FRAME_OFFSET,
            chain: Chain::at(&id.place(0)),
            records: 0,
            buffer: AlignedBuf::zeroed(0),
        })
    }

    /// Adds a record; tells how long the frame is that this wrote, if it wrote one.
    pub(super) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> io::Result<Option<u64>> {
        // Any record fits into what is left before this one.
        let is_full = self.payload.len() + RECORD_BYTES_MAX > PAYLOAD_BYTES_MAX;
        let written = is_full.then(|| self.write_frame()).transpose()?;
        put_record(&mut self.payload, encode);
        self.in_frame += 1;
        self.records += 1;
        Ok(written)
    }

    fn write_frame(&mut self) -> io::Result<u64> {
        let header = FrameHeader {
            kind: FrameKind::Batch,
            payload_bytes: self.payload.len() as u32,
            postings: self.in_frame,
            first_lsn: self.first_in_frame,
            durable_lsn: Lsn(self.first_in_frame.0 - 1),
            previous: self.chain,
        };
        let place = self.id.place(self.offset);
        self.buffer.set_len(frame_bytes(self.payload.len()));
        self.chain = encode_frame(&header, &self.payload, &place, &mut self.buffer);
        self.file.write_at(self.offset, &self.buffer)?;
        self.offset += self.buffer.len() as u64;
        self.first_in_frame.0 += u64::from(self.in_frame);
        self.in_frame = 0;
        self.payload.clear();
        Ok(self.buffer.len() as u64)
    }

    /// Writes what is left and the header, makes all of it durable, and reads it back.
    /// `header` lacks what only the writer knows: length, number of records and digest.
    ///
    /// # Errors
    /// [`OpenError::Io`], also when the disk gives back something else.
    pub(super) fn finish(
        mut self,
        header: SealedHeader,
        pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<WholeFile<'a>, FoldError> {
        let path = self.id.temporary();
        let io_error = |action, source| OpenError::Io {
            action,
            file: self.storage.display(&path),
            source,
        };
        if self.in_frame > 0 {
            self.write_frame()
                .map_err(|source| io_error("write", source))?;
        }
        let header = SealedHeader {
            bytes: self.offset,
            records: self.records,
            digest: self.chain,
            ..header
        };
        self.file
            .write_at(0, &header.encode())
            .and_then(|()| self.file.sync())
            .map_err(|source| io_error("write", source))?;
        drop(self.file);
        let mut stopped = false;
        let mut unpaced_bytes = 0;
        let read = Sealed::open_at(self.storage, self.id, &path).and_then(|whole| {
            whole.read(&Progress::default(), &mut |_, record| {
                unpaced_bytes += record.len() as u64;
                if unpaced_bytes >= PACE_BYTES {
                    stopped = pace(std::mem::take(&mut unpaced_bytes)).is_break();
                }
                if stopped {
                    return Err("a stop".to_owned());
                }
                Ok(())
            })?;
            Ok(whole.header)
        });
        match read {
            Ok(read) if read == header => Ok(WholeFile {
                storage: self.storage,
                id: self.id,
                header,
            }),
            _ if stopped => Err(FoldError::Stopped),
            Ok(_) => Err(io_error("read back", io::Error::other("another header")).into()),
            Err(refusal) => {
                Err(io_error("read back", io::Error::other(refusal.to_string())).into())
            }
        }
    }
}

/// A file that is whole and durable under its temporary name.
pub(super) struct WholeFile<'a> {
    storage: &'a dyn Storage,
    id: SealedId,
    pub(super) header: SealedHeader,
}

impl WholeFile<'_> {
    /// Gives the file its name, durably.
    ///
    /// # Errors
    /// [`OpenError::Io`]: it has its name or not, and either is fine.
    pub(super) fn publish(self) -> Result<SealedHeader, OpenError> {
        let (from, to) = (self.id.temporary(), self.id.path());
        let renamed = || -> io::Result<()> {
            failpoint::pass(failpoint::Window::BeforeRename);
            self.storage.rename(&from, &to)?;
            failpoint::pass(failpoint::Window::AfterRename);
            self.storage.sync_directory(&shard_directory(self.id.shard))
        };
        renamed().map_err(|source| OpenError::Io {
            action: "rename",
            file: self.storage.display(&from),
            source,
        })?;
        // By the name that a start will look for.
        match Sealed::open(self.storage, self.id) {
            Ok(named) if named.header == self.header => Ok(self.header),
            Ok(_) => Err(OpenError::Io {
                action: "read back",
                file: self.storage.display(&to),
                source: io::Error::other("another header"),
            }),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// Removes what a fold left under its temporary name; it may not be there.
pub(super) fn remove_temporary(storage: &dyn Storage, id: SealedId) {
    let _ = storage.remove(&id.temporary());
}
