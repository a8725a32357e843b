//! Reads a shard's log to its end, with the checkpoint and the history before it.
//!
//! A log that another process is writing can be read too: when that lets go of a file that
//! is being read, the reading begins once more.

use std::collections::VecDeque;

use super::checkpoint::begin;
use super::error::OpenError;
use super::frame::{FileKind, FrameKind};
use super::history::read_history;
use super::inventory::Inventory;
use super::log::LogPosition;
use super::manifest::Manifest;
use super::scanner::{Access, Scanner};
use super::sealed::SealedHeader;
use super::segment::Segment;
use super::visitor::{Progress, Visitor};
use crate::storage::Storage;
use crate::types::{Lsn, ShardId};

/// The rest of a write that a crash cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Which file.
    pub file: String,
    /// Where it starts, in bytes.
    pub offset: u64,
    /// To the end of its last block that is not zero.
    pub bytes: u64,
    /// The position of the first posting that it may have been meant to hold.
    pub first_lsn: Lsn,
}

impl std::fmt::Display for TornTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} bytes of an unfinished write at offset {} of {}, at LSN {}, which nobody was told of",
            self.bytes, self.offset, self.file, self.first_lsn
        )
    }
}

/// How a log ends that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With its last frame.
    Clean,
    /// With the rest of an unfinished write behind its last frame.
    Torn(TornTail),
}

/// A log that was read to its end.
#[derive(Debug)]
pub struct Scan {
    /// Where it goes on.
    pub position: LogPosition,
    /// How it ends.
    pub ending: Ending,
    /// The last frame, if there is any: a clean shutdown is one of these.
    pub last_frame: Option<FrameKind>,
    /// How many frames it has, behind the checkpoint if there is one.
    pub frames: u64,
    /// How many postings are in those.
    pub postings: u64,
    /// The checkpoint that the reading began with.
    pub checkpoint: Option<SealedHeader>,
    /// The first posting that is kept, in the history or in the log.
    pub oldest_lsn: Lsn,
    /// The segment in which it ends, then those that wait for their use.
    pub(super) segments: VecDeque<Segment>,
}

/// How a log is read that is left as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Another process may be writing it: then what is read is what was written up to
    /// some moment of the reading, and a torn tail may be a write under way.
    pub is_live: bool,
    /// Postings that are in the checkpoint are wanted, as far as they are kept.
    pub with_history: bool,
}

/// Reads a shard's checkpoint and the log behind it to its end, changing nothing.
///
/// # Errors
/// [`OpenError::Refused`] when anything of it is damaged, or when the log does not end as
/// a crash may end it.
pub fn scan(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    reading: Reading,
    progress: &Progress,
    visitor: &mut dyn Visitor,
) -> Result<Scan, OpenError> {
    loop {
        let inventory = Inventory::of(storage, shard)?;
        let found = scan_once(
            storage, manifest, shard, reading, &inventory, progress, visitor,
        );
        if !reading.is_live {
            return found;
        }
        // A file that was let go of while it was read may show anything, also an end. A
        // server lets go of some after each checkpoint, so this comes to an end.
        let now = Inventory::of(storage, shard)?;
        let is_gone = match &found {
            Ok(scan) => !now.has(FileKind::Segment, scan.position.segment),
            Err(_) => now.has_lost_of(&inventory),
        };
        if !is_gone {
            return found;
        }
        visitor.again();
    }
}

fn scan_once(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    reading: Reading,
    inventory: &Inventory,
    progress: &Progress,
    visitor: &mut dyn Visitor,
) -> Result<Scan, OpenError> {
    let start = begin(storage, manifest, shard, inventory, progress, visitor)?;
    if reading.with_history {
        for header in &start.histories {
            read_history(
                storage,
                manifest,
                shard,
                header.number,
                progress,
                &mut |lsn, posting| visitor.past(lsn, posting),
            )?;
        }
    }
    let access = match reading.is_live {
        true => Access::ReadLive,
        false => Access::Read,
    };
    let scanner = Scanner::new(storage, manifest, shard, access, progress);
    let mut scan = scanner.run(start.position, visitor)?;
    scan.checkpoint = start.checkpoint;
    if let Some(oldest) = start.histories.first() {
        scan.oldest_lsn = oldest.first_lsn;
    }
    Ok(scan)
}
