//! From a directory after a crash to a log that goes on.
//!
//! Recovery applies postings and decides nothing. It reads a shard's log to its end; a
//! log that is refused is left untouched. Otherwise what a crash left unfinished is
//! overwritten with zeroes, and everything that was read is made durable (a killed
//! process may have left it on its way), before the log is handed out.

use super::error::OpenError;
use super::frame::FrameKind;
use super::log::{Log, LogPosition, LogSettings};
use super::manifest::Manifest;
use super::scan::{Access, Ending, Progress, Scan, Scanner, TornTail, Visitor};
use super::segment::{TEMPORARY_SUFFIX, shard_directory, zero};
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
    /// How many postings were read.
    pub postings: u64,
    /// From how many frames.
    pub frames: u64,
}

/// Reads a shard's log, hands every posting to `visitor`, and makes the log ready.
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
    let start = LogPosition::origin(manifest.data_set, shard);
    let scan =
        Scanner::new(storage, manifest, shard, Access::Write, progress).run(start, visitor)?;
    let Scan {
        position,
        ending,
        last_frame,
        frames,
        postings,
        mut segments,
    } = scan;
    failpoint::pass(Window::MidRecovery);
    remove_leftovers(storage, shard)?;
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
        postings,
        frames,
    })
}

/// Segments that were being made when the process ended.
fn remove_leftovers(storage: &dyn Storage, shard: ShardId) -> Result<(), OpenError> {
    let directory = shard_directory(shard);
    let io_error = |action, file: &str, source| OpenError::Io {
        action,
        file: storage.display(file),
        source,
    };
    let names = storage
        .list(&directory)
        .map_err(|source| io_error("list", &directory, source))?;
    for name in names.iter().filter(|name| name.ends_with(TEMPORARY_SUFFIX)) {
        let path = format!("{directory}/{name}");
        storage
            .remove(&path)
            .map_err(|source| io_error("remove", &path, source))?;
    }
    // Also the names of segments that were made just before the end.
    storage
        .sync_directory(&directory)
        .map_err(|source| io_error("sync", &directory, source))
}
