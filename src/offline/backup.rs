//! `purser backup`: copies a data directory, also one that a server is using.
//!
//! Each shard's log is read to its end at some moment and copied up to there: what comes
//! behind the last whole frame is zero in the copy. So the copy of each log is one that a
//! crash at that moment could have left, and holds everything that was acknowledged before
//! the backup began. Shards share nothing, so their moments need not be the same. The copy
//! is verified before it gets its name.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::{Context, bail};
use clap::Args;
use shards::storage::{AlignedBuf, Storage};
use shards::types::ShardId;
use shards::wal::{self, Progress};

use super::directory::{DataDirectory, folder_of};
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

fn copy_log(
    from: &DataDirectory,
    shard: ShardId,
    to: &Path,
    progress: &Progress,
) -> anyhow::Result<()> {
    let end = from.read(shard, progress, |_, _| Ok(()))?.position;
    let directory = to.join(wal::shard_directory(shard));
    fs::create_dir(&directory).with_context(|| format!("create {}", directory.display()))?;
    for number in 1..=end.segment {
        let path = wal::segment_path(shard, number);
        let copied_bytes = (number == end.segment).then_some(end.offset);
        copy_segment(from, &path, copied_bytes, &to.join(&path), progress)
            .with_context(|| format!("copy {} to {}", from.disk.display(&path), to.display()))?;
    }
    sync_directory(&directory).with_context(|| format!("sync {}", directory.display()))
}

/// How much is copied at a time: few calls, little memory.
const COPY_BYTES: usize = 1 << 20;

/// Copies a segment, or its first `copied_bytes` and zeroes to its length. The zeroes are
/// written, as in every segment that is to be appended to (docs/internals/wal-format.md).
fn copy_segment(
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
