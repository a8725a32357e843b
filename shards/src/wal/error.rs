//! What can be wrong with a data directory, and what the operator does about it.

use std::io;

use crate::storage::is_no_room;
use crate::types::ShardId;

/// Stored data that is not what it must be. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{file}, offset {offset}: expected {expected}, found {found}. {advice} Nothing was changed."
)]
pub struct Refusal {
    /// Which file.
    pub file: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What must be there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// What to do.
    pub advice: String,
}

/// What to do about damage that no copy inside the directory can mend.
pub(super) const RESTORE: &str = "Acknowledged data is damaged or missing: restore the data \
    directory from a backup or another copy of this disk; `purser verify` reads all of it.";

/// What to do when a disk cannot be read.
pub(super) const READ_ERROR: &str = "The disk cannot read this place: check it (dmesg, smartctl), \
    copy the directory to a good disk and start from there, or restore a backup.";

/// What to do with data of a version to come.
pub(super) const NEWER: &str = "A newer purser wrote this: start that version.";

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data is damaged, incomplete or not ours (exit status 3).
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The data is whole and belongs to another number of shards (exit status 1).
    #[error("the data in {directory} is laid out for {found} shards and {asked} were asked for")]
    OtherShardCount {
        /// The data directory.
        directory: String,
        /// The shards that the data is laid out for.
        found: u16,
        /// The shards that were asked for.
        asked: u16,
    },
    /// Something could not be created, written or synced (exit status 4 in recovery, 1
    /// while a data set is founded).
    #[error("{action} {file}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        file: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl From<Refusal> for OpenError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// Why there is no new checkpoint. What was there is there still.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The data is damaged, or something could not be written.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It was told to stop.
    #[error("the fold was stopped")]
    Stopped,
}

impl FoldError {
    /// Whether there was no room: that passes.
    #[must_use]
    pub fn is_no_room(&self) -> bool {
        matches!(self, Self::Open(OpenError::Io { source, .. }) if is_no_room(source))
    }
}

impl From<Refusal> for FoldError {
    fn from(refusal: Refusal) -> Self {
        Self::Open(refusal.into())
    }
}

/// The log could not be written (exit status 4). The process must end without another
/// answer: nothing is known of the bytes, and a second try would not tell.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A frame could not be written.
    #[error("shard {shard}: write {bytes} bytes at offset {offset} of {file}")]
    Write {
        /// Whose log.
        shard: ShardId,
        /// Which segment.
        file: String,
        /// Where in it, in bytes.
        offset: u64,
        /// How much was to be written.
        bytes: usize,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The next segment could not be made, for another reason than want of room.
    #[error("shard {shard}: make segment {number}")]
    Make {
        /// Whose log.
        shard: ShardId,
        /// Number of the segment.
        number: u32,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}
