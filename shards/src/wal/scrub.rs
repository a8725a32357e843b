//! A scrub: reads a file that is not written any more and checks every byte of it.
//!
//! Damage that nobody reads is found at the next start, when it is too late to copy the
//! file from where it is still whole. So closed segments, checkpoints and history are read
//! now and then while the server runs.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use super::checkpoint;
use super::error::{OpenError, READ_ERROR, RESTORE, Refusal};
use super::frame::{FileKind, FrameKind};
use super::history;
use super::inventory::Inventory;
use super::manifest::Manifest;
use super::sealed::Sealed;
use super::sealed_writer::PACE_BYTES;
use super::segment::{FIRST_FRAME_OFFSET, Segment};
use super::visitor::Progress;
use super::window::{Read, Window};
use crate::storage::{BLOCK_BYTES, Storage};
use crate::types::{Lsn, ShardId};

/// What became of a scrub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scrubbed {
    /// Every byte is as it was written.
    Whole,
    /// The server let go of the file meanwhile.
    Gone,
    /// `pace` stopped it.
    Stopped,
    /// This is wrong with it.
    Damaged(Refusal),
}

/// Reads one file of a shard. A segment must be one that the log has left. `pace` is told
/// now and then how many bytes were read since, may take its time, and may stop it.
///
/// # Errors
/// A [`Refusal`] when the shard's directory cannot be read.
pub fn scrub(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    kind: FileKind,
    number: u32,
    pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Scrubbed, Refusal> {
    // The header, before anything else: a stop need not wait for a whole file.
    if pace(BLOCK_BYTES as u64).is_break() {
        return Ok(Scrubbed::Stopped);
    }
    let mut stopped = false;
    let mut unpaced_bytes = 0;
    let mut breathe = |bytes: u64| {
        unpaced_bytes += bytes;
        if unpaced_bytes >= PACE_BYTES {
            stopped = stopped || pace(std::mem::take(&mut unpaced_bytes)).is_break();
        }
        !stopped
    };
    let read = match kind {
        FileKind::Segment => read_segment(storage, manifest, shard, number, &mut breathe),
        FileKind::Checkpoint | FileKind::History => {
            let id = match kind {
                FileKind::Checkpoint => checkpoint::id_of(manifest, shard, number),
                _ => history::id_of(manifest, shard, number),
            };
            Sealed::open(storage, id).and_then(|sealed| {
                let progress = Progress::default();
                let mut told_bytes = 0;
                sealed.read(&progress, &mut |_, _| {
                    let read_bytes = progress.bytes.load(Ordering::Relaxed);
                    let fresh_bytes = read_bytes - std::mem::replace(&mut told_bytes, read_bytes);
                    match breathe(fresh_bytes) {
                        true => Ok(()),
                        false => Err(String::new()),
                    }
                })
            })
        }
    };
    if !stopped && unpaced_bytes > 0 {
        // What was found counts, whatever the answer: the next file will ask again.
        let _ = pace(unpaced_bytes);
    }
    Ok(match read {
        _ if stopped => Scrubbed::Stopped,
        Ok(()) => Scrubbed::Whole,
        // A file that was let go of may be another one by now.
        Err(_) if !Inventory::of(storage, shard)?.has(kind, number) => Scrubbed::Gone,
        Err(refusal) => Scrubbed::Damaged(refusal),
    })
}

/// Follows a segment's frames from the first one to the one that leads on.
fn read_segment(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    number: u32,
    breathe: &mut dyn FnMut(u64) -> bool,
) -> Result<(), Refusal> {
    let segment = match Segment::open_to_read(storage, manifest.data_set, shard, number) {
        Ok(segment) => segment,
        Err(OpenError::Refused(refusal)) => return Err(*refusal),
        Err(error) => {
            return Err(Refusal {
                file: storage.display(&FileKind::Segment.path(shard, number)),
                offset: 0,
                expected: "a readable segment".to_owned(),
                found: error.to_string(),
                advice: READ_ERROR.to_owned(),
            });
        }
    };
    let mut window = Window::new(segment.file.as_ref(), segment.header.bytes);
    let mut offset = FIRST_FRAME_OFFSET;
    // What the first frame follows stands in another file.
    let mut before = None;
    loop {
        let refuse = |found: String, advice: &str| Refusal {
            file: storage.display(&segment.path),
            offset,
            expected: "the next frame of a segment that the log has left".to_owned(),
            found,
            advice: advice.to_owned(),
        };
        let (header, chain, bytes) = match window.frame(&segment.header.place(offset)) {
            Ok(Read::Frame(header, chain, bytes)) => (header, chain, bytes.len() as u64),
            Ok(Read::Other(_, found)) => return Err(refuse(found, RESTORE)),
            Err(error) => return Err(refuse(error.to_string(), READ_ERROR)),
        };
        if before.is_some_and(|before| before != (header.previous, header.first_lsn)) {
            return Err(refuse("a frame that follows another".to_owned(), RESTORE));
        }
        if !breathe(bytes) || header.kind == FrameKind::Roll {
            return Ok(());
        }
        before = Some((chain, Lsn(header.first_lsn.0 + u64::from(header.postings))));
        offset += bytes;
    }
}
