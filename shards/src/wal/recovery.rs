//! From a directory after a crash to a log that goes on.
//!
//! Recovery applies postings and decides nothing. It reads a shard's newest checkpoint, and
//! the log behind it to its end; a checkpoint that is damaged is refused, and a
//! log that is refused is left untouched. Otherwise what a crash left unfinished is
//! overwritten with zeroes, and everything that was read is made durable (a killed
//! process may have left it on its way), before the log is handed out.

use super::checkpoint::begin;
use super::error::OpenError;
use super::frame::FrameKind;
use super::inventory::Inventory;
use super::log::{Log, LogSettings};
use super::manifest::Manifest;
use super::scan::{Ending, Scan, TornTail};
use super::scanner::{Access, Scanner};
use super::sealed::SealedHeader;
use super::segment::{shard_directory, zero};
use super::visitor::{Progress, Visitor};
use crate::failpoint::{self, Window};
use crate::storage::Storage;
use crate::types::ShardId;

/// A log that is ready to go on, and what was found when it was read.
#[derive(Debug)]
pub struct Recovered {
    /// Goes on where it ended.
    pub log: Log,
    /// What was cut off, if anything.
    pub torn_tail: Option<TornTail>,
    /// Whether the process before ended in good order.
    pub clean_shutdown: bool,
    /// The checkpoint that it began with.
    pub checkpoint: Option<SealedHeader>,
    /// How many postings were read behind that.
    pub postings: u64,
    /// From how many frames.
    pub frames: u64,
}

/// Reads a shard's newest checkpoint and the log behind it, hands every entry and posting
/// to `visitor`, and makes the log ready.
///
/// # Errors
/// [`OpenError::Refused`] when the log does not end as a crash may end it;
/// [`OpenError::Io`] when what was read cannot be made durable.
pub fn recover(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    settings: LogSettings,
    progress: &Progress,
    visitor: &mut dyn Visitor,
) -> Result<Recovered, OpenError> {
    let inventory = Inventory::of(storage, shard)?;
    let start = begin(storage, manifest, shard, &inventory, progress, visitor)?;
    let scan = Scanner::new(storage, manifest, shard, Access::Write, progress)
        .run(start.position, visitor)?;
    let Scan {
        position,
        ending,
        last_frame,
        frames,
        postings,
        mut segments,
        ..
    } = scan;
    failpoint::pass(Window::MidRecovery);
    remove_leftovers(storage, shard, &inventory)?;
    failpoint::pass(Window::MidRecovery);
    let Some(mut active) = segments.pop_front() else {
        unreachable!("a log that was read ends in a segment")
    };
    let file = storage.display(&active.path);
    let io_error = |action, source| OpenError::Io {
        action,
        file: file.clone(),
        source,
    };
    let torn_tail = match ending {
        Ending::Clean => None,
        Ending::Torn(tail) => {
            let end = tail.offset + tail.bytes;
            zero(active.file.as_mut(), tail.offset, end, &mut || {})
                .map_err(|source| io_error("cut the torn tail of", source))?;
            Some(tail)
        }
    };
    failpoint::pass(Window::MidRecovery);
    active
        .file
        .sync()
        .map_err(|source| io_error("sync", source))?;
    let sealed = last_frame != Some(FrameKind::Batch);
    Ok(Recovered {
        log: Log::resume(settings, active, position, sealed, segments),
        torn_tail,
        clean_shutdown: last_frame == Some(FrameKind::CleanShutdown),
        checkpoint: start.checkpoint,
        postings,
        frames,
    })
}

/// Files that were being made when the process ended.
fn remove_leftovers(
    storage: &dyn Storage,
    shard: ShardId,
    inventory: &Inventory,
) -> Result<(), OpenError> {
    let directory = shard_directory(shard);
    let io_error = |action, file: &str, source| OpenError::Io {
        action,
        file: storage.display(file),
        source,
    };
    for name in &inventory.temporary {
        let path = format!("{directory}/{name}");
        storage
            .remove(&path)
            .map_err(|source| io_error("remove", &path, source))?;
    }
    // Also the names of files that were made just before the end.
    storage
        .sync_directory(&directory)
        .map_err(|source| io_error("sync", &directory, source))
}
