//! Which files a shard's log has: their names, and what they say.
//!
//! Segments, checkpoints and history files are numbered alike. A checkpoint or history
//! file has the number of the last segment that was folded into it.

use std::io;

use super::error::{READ_ERROR, Refusal};
use super::frame::FileKind;
use super::segment::shard_directory;
use crate::storage::Storage;
use crate::types::ShardId;

/// A segment that was let go of and may become another.
pub(super) const FREE_SUFFIX: &str = ".free";

/// A file that is being made. One that is left over from a crash means nothing.
pub(super) const TEMPORARY_SUFFIX: &str = ".tmp";

impl FileKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Segment, Self::Checkpoint, Self::History];

    /// How the names of such files end.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Segment => ".seg",
            Self::Checkpoint => ".ckpt",
            Self::History => ".past",
        }
    }

    /// What such a file is called in messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Checkpoint => "checkpoint",
            Self::History => "history file",
        }
    }

    /// The path of a file of this kind.
    #[must_use]
    pub fn path(self, shard: ShardId, number: u32) -> String {
        format!("{}/{number:08}{}", shard_directory(shard), self.suffix())
    }

    /// The number in the name of such a file; `None` for other files.
    #[must_use]
    pub fn number(self, name: &str) -> Option<u32> {
        let digits = name.strip_suffix(self.suffix())?;
        (digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| digits.parse().ok())
            .flatten()
    }
}

/// The files of one shard's log at some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Numbers of segments, ascending.
    pub segments: Vec<u32>,
    /// Numbers of checkpoints, ascending.
    pub checkpoints: Vec<u32>,
    /// Numbers of history files, ascending.
    pub histories: Vec<u32>,
    /// Names of segments that were let go of.
    pub(super) free: Vec<String>,
    /// Names of files that were being made.
    pub(super) temporary: Vec<String>,
}

impl Inventory {
    /// Lists what a shard has; a directory that is not there has nothing.
    ///
    /// # Errors
    /// A [`Refusal`] when the directory cannot be read.
    pub fn of(storage: &dyn Storage, shard: ShardId) -> Result<Self, Refusal> {
        let directory = shard_directory(shard);
        let names = match storage.list(&directory) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                return Err(Refusal {
                    file: storage.display(&directory),
                    offset: 0,
                    expected: "a readable directory".to_owned(),
                    found: error.to_string(),
                    advice: READ_ERROR.to_owned(),
                });
            }
        };
        let numbers = |kind: FileKind| {
            let mut numbers: Vec<u32> = names.iter().filter_map(|name| kind.number(name)).collect();
            numbers.sort_unstable();
            numbers
        };
        let ending = |suffix| {
            let mut names: Vec<String> = names
                .iter()
                .filter(|name| name.ends_with(suffix))
                .cloned()
                .collect();
            names.sort_unstable();
            names
        };
        Ok(Self {
            segments: numbers(FileKind::Segment),
            checkpoints: numbers(FileKind::Checkpoint),
            histories: numbers(FileKind::History),
            free: ending(FREE_SUFFIX),
            temporary: ending(TEMPORARY_SUFFIX),
        })
    }

    /// Numbers of the files of one kind, ascending.
    #[must_use]
    pub fn of_kind(&self, kind: FileKind) -> &[u32] {
        match kind {
            FileKind::Segment => &self.segments,
            FileKind::Checkpoint => &self.checkpoints,
            FileKind::History => &self.histories,
        }
    }

    /// Whether a file is there.
    #[must_use]
    pub fn has(&self, kind: FileKind, number: u32) -> bool {
        self.of_kind(kind).binary_search(&number).is_ok()
    }

    /// The newest checkpoint.
    #[must_use]
    pub fn newest_checkpoint(&self) -> Option<u32> {
        self.checkpoints.last().copied()
    }

    /// The newest checkpoint before that with this number; 0, which is where a log
    /// begins, when there is none.
    #[must_use]
    pub fn checkpoint_before(&self, number: u32) -> u32 {
        let before = self.checkpoints.iter().rev().find(|at| **at < number);
        before.copied().unwrap_or(0)
    }

    /// History files that are part of the history: those that no checkpoint goes with are
    /// left over from a fold that did not come to its end.
    #[must_use]
    pub fn valid_histories(&self) -> &[u32] {
        let newest = self.newest_checkpoint().unwrap_or(0);
        let valid = self.histories.partition_point(|at| *at <= newest);
        &self.histories[..valid]
    }

    /// Whether every segment from one number to another is there.
    #[must_use]
    pub fn has_segments(&self, mut numbers: std::ops::RangeInclusive<u32>) -> bool {
        numbers.all(|number| self.segments.binary_search(&number).is_ok())
    }

    /// Whether a file of `earlier` is gone.
    #[must_use]
    pub fn has_lost_of(&self, earlier: &Self) -> bool {
        let lost = |earlier: &[u32], now: &[u32]| {
            let mut earlier = earlier.iter();
            earlier.any(|number| now.binary_search(number).is_err())
        };
        let mut kinds = FileKind::ALL.into_iter();
        kinds.any(|kind| lost(earlier.of_kind(kind), self.of_kind(kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for (name, number) in [
            ("00000001.seg", Some(1)),
            ("12345678.seg", Some(12_345_678)),
            ("123456789.seg", Some(123_456_789)),
            ("1.seg", None),
            ("0000000x.seg", None),
            ("+0000001.seg", None),
            ("00000001.tmp", None),
            ("00000001.seg.tmp", None),
            ("00000001", None),
        ] {
            assert_eq!(FileKind::Segment.number(name), number, "{name}");
        }
        for (kind, path) in [
            (FileKind::Segment, "shard-2/00000007.seg"),
            (FileKind::Checkpoint, "shard-2/00000007.ckpt"),
            (FileKind::History, "shard-2/00000007.past"),
        ] {
            assert_eq!(kind.path(ShardId(2), 7), path);
            assert_eq!(kind.number(path.rsplit('/').next().unwrap()), Some(7));
        }
    }
}
