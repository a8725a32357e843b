//! `purser backup`: copies a data directory, also one that a server is using.
//!
//! Each shard's checkpoint and the log behind it are read to their end at some moment and
//! copied up to there, and the history with them: what comes behind the last whole frame is
//! zero in the copy. So the copy of each log is one that a
//! crash at that moment could have left, and holds everything that was acknowledged before
//! the backup began. Shards share nothing, so their moments need not be the same. The copy
//! is verified before it gets its name.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::{Context, bail};
use clap::Args;
use shards::ledger::{Entry, Posting};
use shards::storage::{AlignedBuf, Storage};
use shards::types::{Lsn, ShardId};
use shards::wal::{self, FileKind, Inventory, Progress, SealedHeader};

use super::directory::{DataDirectory, Reader, Stop, folder_of};
use super::output::{OutDirectory, sync_directory};
use super::progress::{Stdout, shown};
use super::verify;

/// Options of `purser backup`.
#[derive(Args, Clone, Debug)]
pub struct BackupOptions {
    /// The data directory, of a running server or not
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,

    /// The directory to make; it may exist if it is empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Copies a data directory and verifies the copy.
///
/// # Errors
/// The directory cannot be read, its data is refused, or the copy cannot be made.
pub fn backup(options: &BackupOptions, out: &mut dyn Write) -> anyhow::Result<()> {
    let from = DataDirectory::open(&options.data_dir)?;
    check_is_outside(&options.out, &options.data_dir)?;
    let to = OutDirectory::create(&options.out)?;
    // Once to find the end, once to copy.
    let bytes = 2 * from.log_bytes(from.shards());
    shown("backup", bytes, Stdout::Quiet, |progress| {
        copy_all(&from, &to.path(), progress)
    })?;
    let report = verify::check(&to.path()).context("the copy does not verify")?;
    report.judge_books()?;
    to.publish()?;
    let postings: u64 = report.shards.iter().map(|shard| shard.postings).sum();
    writeln!(
        out,
        "{postings} postings of {} shards copied to {} and verified",
        report.shards.len(),
        options.out.display()
    )
    .context("write to stdout")
}

/// A copy inside the data directory would be lost with it.
fn check_is_outside(out: &Path, data_dir: &Path) -> anyhow::Result<()> {
    let folder = folder_of(out);
    let is_inside = fs::canonicalize(&folder)
        .and_then(|folder| Ok(folder.starts_with(fs::canonicalize(data_dir)?)))
        .with_context(|| format!("find {}", folder.display()))?;
    if is_inside {
        bail!(
            "{} is inside of the data directory; give --out a place on another disk",
            out.display()
        );
    }
    Ok(())
}

fn copy_all(from: &DataDirectory, to: &Path, progress: &Progress) -> anyhow::Result<()> {
    for shard in from.shards() {
        copy_log(from, shard, to, progress)?;
    }
    let manifest = to.join("manifest");
    File::create(&manifest)
        .and_then(|mut file| {
            file.write_all(&from.manifest.encode())?;
            file.sync_all()
        })
        .and_then(|()| sync_directory(to))
        .with_context(|| format!("write {}", manifest.display()))
}

/// Copies what a start needs of a shard, and the history: the newest checkpoint and the log
/// behind it. Where a server lets go of a part of that meanwhile, all of it once more.
fn copy_log(
    from: &DataDirectory,
    shard: ShardId,
    to: &Path,
    progress: &Progress,
) -> anyhow::Result<()> {
    let directory = to.join(wal::shard_directory(shard));
    from.with_files(shard, |_| {
        let scan = from.read(shard, false, progress, &mut Skimmer)?;
        if directory.exists() {
            fs::remove_dir_all(&directory)
                .with_context(|| format!("remove {}", directory.display()))?;
        }
        fs::create_dir(&directory).with_context(|| format!("create {}", directory.display()))?;
        let copy = |path: &str, copied_bytes| {
            copy_file(from, path, copied_bytes, &to.join(path), progress)
                .with_context(|| format!("copy {} to {}", from.disk.display(path), to.display()))
        };
        let folded = scan.checkpoint.map_or(0, |checkpoint| checkpoint.number);
        if folded > 0 {
            copy(&FileKind::Checkpoint.path(shard, folded), None)?;
        }
        let end = &scan.position;
        for number in folded + 1..=end.segment {
            let copied_bytes = (number == end.segment).then_some(end.offset);
            copy(&wal::segment_path(shard, number), copied_bytes)?;
        }
        // A segment that was let go of while it was copied may hold anything by now.
        let needed = folded + 1..=end.segment;
        if from.is_live() && !files_of(from, shard)?.has_segments(needed) {
            bail!("segments of shard {shard} went away while they were copied");
        }
        let histories = files_of(from, shard)?.histories;
        copy_history(&histories, folded, |number| {
            let path = FileKind::History.path(shard, number);
            match copy(&path, None) {
                // It may grow too old meanwhile.
                Err(error) if from.is_live() && is_gone(&error) => Ok(Copied::IsGone),
                copied => copied.map(|()| Copied::Whole),
            }
        })
    })?;
    sync_directory(&directory).with_context(|| format!("sync {}", directory.display()))
}

/// What became of a file that was to be copied.
enum Copied {
    Whole,
    /// The server let go of it before it could be opened.
    IsGone,
}

/// Copies the history up to a checkpoint, the newest file first. A server lets go of the
/// oldest ones, so behind one that is gone all are: what is copied has no gap, which would
/// have the copy refused. The file that goes with the checkpoint must be there: once that is
/// gone the checkpoint is too, and all is copied once more.
fn copy_history(
    histories: &[u32],
    checkpoint: u32,
    mut copy: impl FnMut(u32) -> anyhow::Result<Copied>,
) -> anyhow::Result<()> {
    if checkpoint > 0 && !histories.contains(&checkpoint) {
        bail!("the history of checkpoint {checkpoint} went away before it was copied");
    }
    let of_checkpoint = histories.iter().rev().filter(|at| **at <= checkpoint);
    for &number in of_checkpoint {
        match copy(number)? {
            Copied::Whole => {}
            Copied::IsGone if number == checkpoint => {
                bail!("the history of checkpoint {number} went away while it was copied")
            }
            Copied::IsGone => break,
        }
    }
    Ok(())
}

fn files_of(from: &DataDirectory, shard: ShardId) -> anyhow::Result<Inventory> {
    Ok(Inventory::of(&from.disk, shard).map_err(wal::OpenError::from)?)
}

fn is_gone(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::NotFound)
}

/// Looks for the end of a log; the copy is judged when it is there.
struct Skimmer;

impl Reader for Skimmer {
    fn entry(&mut self, _: Entry) -> Result<(), Stop> {
        Ok(())
    }

    fn restored(&mut self, _: &SealedHeader) -> Result<(), Stop> {
        Ok(())
    }

    fn past(&mut self, _: Lsn, _: Posting) -> Result<(), Stop> {
        Ok(())
    }

    fn posting(&mut self, _: Lsn, _: Posting) -> Result<(), Stop> {
        Ok(())
    }

    fn again(&mut self) {}
}

/// How much is copied at a time: few calls, little memory.
const COPY_BYTES: usize = 1 << 20;

/// Copies a file, or its first `copied_bytes` and zeroes to its length. The zeroes are
/// written, as in every segment that is to be appended to (docs/internals/wal-format.md).
fn copy_file(
    from: &DataDirectory,
    path: &str,
    copied_bytes: Option<u64>,
    to: &Path,
    progress: &Progress,
) -> io::Result<()> {
    let source = from.disk.open(path)?;
    let length = source.length()?;
    let mut copy = File::create_new(to)?;
    let mut buffer = AlignedBuf::zeroed(COPY_BYTES);
    let mut write_range = |start: u64, end: u64, is_copied: bool| -> io::Result<()> {
        let mut offset = start;
        while offset < end {
            let bytes = (end - offset).min(COPY_BYTES as u64) as usize;
            if is_copied {
                source.read_at(offset, &mut buffer[..bytes])?;
            } else {
                buffer[..bytes].fill(0);
            }
            copy.write_all(&buffer[..bytes])?;
            offset += bytes as u64;
            progress.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        Ok(())
    };
    let copied_bytes = copied_bytes.unwrap_or(length);
    write_range(0, copied_bytes, true)?;
    write_range(copied_bytes, length, false)?;
    copy.sync_all()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A server that lets go of the history up to `let_go` right before the copy of one file
    /// is opened, whichever that is: the copy has no gap, or all of it is made anew.
    #[test]
    fn history_that_a_server_lets_go_of_meanwhile_leaves_no_gap_in_the_copy() {
        let listed = [2, 3, 5, 7, 9, 11];
        // A checkpoint was made since the reading: 11 is not of this copy.
        let (checkpoint, of_copy) = (9, [2, 3, 5, 7, 9]);
        for let_go in [0, 2, 3, 5, 7, 9] {
            for before_copy in 0..of_copy.len() {
                let mut there = BTreeSet::from(listed);
                let mut copied = Vec::new();
                let mut copies = 0;
                let done = copy_history(&listed, checkpoint, |number| {
                    if copies == before_copy {
                        there.retain(|at| *at > let_go);
                    }
                    copies += 1;
                    if !there.contains(&number) {
                        return Ok(Copied::IsGone);
                    }
                    copied.push(number);
                    Ok(Copied::Whole)
                });
                let case = format!("up to {let_go} before copy {before_copy}: {copied:?}");
                copied.reverse();
                match done {
                    Ok(()) => {
                        assert!(of_copy.ends_with(&copied), "{case}");
                        assert!(!copied.is_empty(), "{case}");
                        // Nothing that is still there is left out.
                        assert!(
                            of_copy
                                .iter()
                                .all(|at| *at <= let_go || copied.contains(at))
                        );
                    }
                    Err(_) => assert_eq!((let_go, before_copy), (checkpoint, 0), "{case}"),
                }
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_copied_ends_the_backup() {
        let done = copy_history(&[1, 2], 2, |_| bail!("no room"));
        assert_eq!(done.unwrap_err().to_string(), "no room");
        copy_history(&[], 0, |_| bail!("there is none")).unwrap();
    }

    #[test]
    fn a_checkpoint_whose_history_is_not_listed_any_more_is_not_copied() {
        copy_history(&[1], 2, |_| Ok(Copied::Whole)).unwrap_err();
        copy_history(&[3], 2, |_| Ok(Copied::Whole)).unwrap_err();
    }
}
