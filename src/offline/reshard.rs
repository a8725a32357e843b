//! `purser reshard`: rewrites a data directory for another number of shards.
//!
//! The old data is verified, written anew beside itself, and the new one is verified as
//! well and compared with the old: everything that is counted, every total, and the
//! checksums of all that is in it. Only then does it take the old one's place
//! (`switch.rs`); up to there any failure leaves the old data as it was.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use indicatif::HumanBytes;
use nix::sys::statvfs::statvfs;
use shards::failpoint;
use shards::storage::{Caching, DirectDisk, Storage};
use shards::types::ShardId;
use shards::wal::{self, FileKind, Founding, Inventory, Layout, LogPosition, Resharded, Tally};

use super::directory::DataDirectory;
use super::progress::{Stdout, shown};
use super::report::Report;
use super::{say_settled, switch, verify};
use crate::config::SHARDS_MAX;
use crate::shell::quoted;

/// Options of `purser reshard`.
#[derive(Args, Clone, Debug)]
pub struct ReshardOptions {
    /// The data directory; no server may be using it
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,

    /// How many shards it is to have
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(SHARDS_MAX)))]
    pub shards: u16,
}

/// Lays a data directory out for another number of shards.
///
/// # Errors
/// The directory is in use, its data is refused, there is no room, or the new data is not
/// what the old was. The old data is as it was then, unless the message says that the new
/// one is complete.
pub fn reshard(options: &ReshardOptions, out: &mut dyn Write) -> anyhow::Result<()> {
    failpoint::arm_from_environment().context(failpoint::VARIABLE)?;
    let (from, settled) = DataDirectory::open_alone(&options.data_dir)?;
    say_settled(&settled, |line| eprintln!("purser: {line}"));
    let (path, shards) = (&*options.data_dir, options.shards);
    let shards_before = from.manifest.slot_map.shards();
    if shards_before == shards {
        return writeln!(
            out,
            "{} is laid out for {shards} shards; there is nothing to do",
            path.display()
        )
        .context("write to stdout");
    }
    let report = verify::check_directory(&from)?;
    report.judge_books()?;
    switch::check_can_move(path, &from.manifest)?;
    let segment_bytes = segment_bytes(&from, &report)?;
    let needed = bytes_needed(&from, &report)? + u64::from(shards) * segment_bytes;
    check_room(path, needed)?;

    let written = write(&from, &report, path, shards, segment_bytes);
    let committed = written.and_then(|tally| {
        switch::commit(path)?;
        Ok(tally)
    });
    let tally = committed.map_err(|error| {
        // What went wrong counts; whoever opens the directory next removes it as well.
        let _ = switch::remove_unfinished(path);
        error.context("the data is as it was")
    })?;
    let settled = switch::settle(path).with_context(|| {
        format!(
            "the new data is complete and could not take its place yet; to try that again: \
             purser reshard --data-dir {} --shards {shards}",
            quoted(&path.to_string_lossy())
        )
    })?;
    let old_data = settled
        .old_data
        .context("the old data was moved by somebody else")?;
    print(out, &tally, [shards_before, shards], &old_data).context("write to stdout")
}

/// Writes the other layout, reads it back and compares it with what is there.
fn write(
    from: &DataDirectory,
    report: &Report,
    path: &Path,
    shards: u16,
    segment_bytes: u64,
) -> anyhow::Result<Tally> {
    let new = Founding::random().context("the system's random source failed")?;
    let layout = Layout {
        data_set: new.data_set,
        shards,
        segment_bytes,
    };
    let unfinished = switch::begin(path)?;
    let to = DirectDisk::open(&unfinished, Caching::Bypassed)
        .with_context(|| format!("write to {}", unfinished.display()))?;
    // Read twice, and written.
    let bytes = 3 * from.log_bytes(from.shards());
    let Resharded { manifest, tally } = shown("reshard", bytes, Stdout::Quiet, |progress| {
        wal::reshard(&from.disk, &from.manifest, &to, layout, progress)
    })?;
    let written = DataDirectory::open(&unfinished)?;
    if written.manifest != manifest {
        bail!("the new manifest is not what was written");
    }
    let new_report = verify::check_directory(&written).context("the new data does not verify")?;
    new_report.judge_books()?;
    let bytes = written.log_bytes(written.shards());
    let new_tally = shown("compare", bytes, Stdout::Quiet, |progress| {
        wal::tally(&written.disk, &written.manifest, progress)
    })?;
    let difference = tally
        .difference(&new_tally)
        .or_else(|| report.difference(&new_report));
    if let Some(difference) = difference {
        bail!("the new data is not what the old is: {difference}; tell the makers of purser");
    }
    Ok(tally)
}

/// The files of a shard that the new data is made of: what is in the checkpoint, what is
/// kept of the past, and the log behind it, in bytes.
fn bytes_of(from: &DataDirectory, shard: ShardId, end: LogPosition) -> io::Result<[u64; 3]> {
    let files = Inventory::of(&from.disk, shard).map_err(io::Error::other)?;
    let length = |kind: FileKind, number| from.disk.open(&kind.path(shard, number))?.length();
    let folded = files.newest_checkpoint();
    let checkpoint = folded.map_or(Ok(0), |number| length(FileKind::Checkpoint, number))?;
    let past = files.histories.iter();
    let past = past
        .map(|number| length(FileKind::History, *number))
        .sum::<io::Result<u64>>()?;
    let closed = folded.map_or(1, |number| number + 1)..end.segment;
    let log = closed
        .map(|number| length(FileKind::Segment, number))
        .sum::<io::Result<u64>>()?;
    Ok([checkpoint, past, log + end.offset])
}

/// About how long checkpoints and history of the new data will be. A posting of the log goes
/// into both: into the history as it is, and into the checkpoint with what is remembered of
/// it, which is shorter.
fn bytes_needed(from: &DataDirectory, report: &Report) -> anyhow::Result<u64> {
    let mut needed = 0;
    for shard in &report.shards {
        let [checkpoint, past, log] = bytes_of(from, shard.id(), shard.position)
            .with_context(|| format!("look at the files of shard {}", shard.id()))?;
        needed += checkpoint + past + 2 * log;
    }
    Ok(needed)
}

/// The first segments are as long as the longest that the shards write to now: the
/// configuration, which says how long later ones are, is not known here.
fn segment_bytes(from: &DataDirectory, report: &Report) -> anyhow::Result<u64> {
    let mut longest = wal::SEGMENT_BYTES_MIN;
    for shard in &report.shards {
        let path = wal::segment_path(shard.id(), shard.position.segment);
        let file = from.disk.open(&path);
        let length = file
            .and_then(|file| file.length())
            .with_context(|| format!("look at {}", from.disk.display(&path)))?;
        longest = longest.max(length);
    }
    Ok(longest)
}

/// A disk that is full in the middle does no harm; to be told before saves the time.
fn check_room(path: &Path, needed: u64) -> anyhow::Result<()> {
    let found = statvfs(path).with_context(|| format!("look at {}", path.display()))?;
    judge_room(
        path,
        needed,
        found.blocks_available() * found.fragment_size(),
    )
}

fn judge_room(path: &Path, needed: u64, free: u64) -> anyhow::Result<()> {
    if free < needed {
        bail!(
            "the new data stands beside the old for a while and takes about {}; on the disk of {} \
             there is room for {}. Make room, or give a copy of the directory on a larger disk",
            HumanBytes(needed),
            path.display(),
            HumanBytes(free)
        );
    }
    Ok(())
}

fn print(
    out: &mut dyn Write,
    tally: &Tally,
    [before, after]: [u16; 2],
    old_data: &Path,
) -> io::Result<()> {
    writeln!(
        out,
        "laid out for {after} shards instead of {before}: {} accounts, {} sessions, {} \
         remembered transactions, {} postings; verified, and the same as before",
        tally.accounts(),
        tally.sessions(),
        tally.transactions(),
        tally.postings()
    )?;
    let bytes = HumanBytes(bytes_below(old_data)?);
    writeln!(
        out,
        "the old data ({bytes}) is not needed any more once a server was started with --shards \
         {after}:\nrm -r {}",
        quoted(&old_data.to_string_lossy())
    )
}

fn bytes_below(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => bytes_below(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_asked_for_before_anything_is_written() {
        let path = Path::new("/var/lib/purser");
        judge_room(path, 10 << 20, 10 << 20).unwrap();
        let refused = judge_room(path, 10 << 20, (10 << 20) - 1).unwrap_err();
        let said = refused.to_string();
        for words in ["10.00 MiB", "/var/lib/purser", "Make room"] {
            assert!(said.contains(words), "{said}");
        }
    }
}
