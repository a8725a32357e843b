//! `purser-bench recovery`: how fast a log, or a checkpoint, is read back into a ledger.
//!
//! The log is made first, with frames as a busy shard writes them, and then read the
//! way the server reads it at start: past the page cache, every checksum and every
//! balance checked. With `--checkpoint` the log is folded before, as the server folds it:
//! all of it but the segment that it is in.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use clap::Args;
use shards::ledger::{Command, Decision, Ledger, Posting};
use shards::storage::{Caching, DirectDisk};
use shards::types::{Lsn, ShardId, UnixMillis};
use shards::wal::{
    Batch, DataSet, Durability, FoldSettings, LogSettings, Progress, Rebuild, is_segment_size,
};

use crate::process::{self, CpuList};
use crate::report::{self, median};
use pieces::players::{self, LEDGER, SEGMENT_BYTES};

const SHARD: ShardId = ShardId(0);

/// When everything is booked: recovery looks at no clock.
const AT: UnixMillis = UnixMillis(1_795_000_000_000);

/// Options of `purser-bench recovery`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Postings in the log, those that open the accounts included.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    postings: u64,
    /// Accounts; the other postings are deposits to them in turn.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    accounts: u64,
    /// Postings in a frame: what a group commit has under load.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    per_frame: u64,
    /// Length of a segment; smaller ones leave less of the log unfolded.
    #[arg(long, default_value_t = SEGMENT_BYTES)]
    segment_bytes: u64,
    /// Fold the log first, and read the checkpoint.
    #[arg(long)]
    checkpoint: bool,
    /// How often it is read; the last line shows the median.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// The CPU of everything.
    #[arg(long, default_value = "0", value_name = "CPU")]
    cpu: CpuList,
    /// Where the temporary data directory is made; the system's default when left out.
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
}

/// Writes a log and reads it back, again and again.
///
/// # Errors
/// The disk failed, or the log was not read back whole.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(
        options.accounts <= options.postings,
        "{} accounts need as many postings at least",
        options.accounts
    );
    ensure!(
        is_segment_size(options.segment_bytes),
        "no length of a segment: {}",
        options.segment_bytes
    );
    process::pin_this_thread(&options.cpu)?;
    let directory = match &options.data_root {
        Some(root) => tempfile::tempdir_in(root),
        None => tempfile::tempdir(),
    }
    .context("make a temporary data directory")?;
    let new = players::founding()?;
    let open = |caching, durability| -> anyhow::Result<DataSet> {
        let disk = DirectDisk::open(directory.path(), caching)?;
        let settings = LogSettings {
            segment_bytes: options.segment_bytes,
            durability,
        };
        Ok(DataSet::open(Arc::new(disk), 1, settings, new)?)
    };
    let mut out = std::io::stdout().lock();
    write!(out, "{}", report::preamble())?;
    writeln!(out)?;
    // Through the page cache: what is measured is the reading.
    options.write(&open(Caching::Used, Durability::Os)?)?;
    let data = open(Caching::Bypassed, Durability::Fsync)?;
    if options.checkpoint {
        options.fold(&data, &mut out)?;
    }
    // Once before it counts: what was written goes to the disk.
    options.read(&data)?;
    let mut rates = Vec::new();
    for round in 0..options.rounds {
        let (seconds, mebibytes) = options.read(&data)?;
        let rate = options.postings as f64 / seconds;
        writeln!(
            out,
            "round {}: {} postings in {seconds:.3} s: {rate:.0} postings/s, {:.0} MiB/s",
            round + 1,
            options.postings,
            mebibytes / seconds
        )?;
        rates.push(rate);
    }
    let rate = median(rates.into_iter());
    let seconds = options.postings as f64 / rate;
    let accounts = options.accounts;
    if options.checkpoint {
        writeln!(
            out,
            "median: {seconds:.3} s for {accounts} accounts from a checkpoint"
        )?;
    } else {
        writeln!(
            out,
            "median: {rate:.0} postings/s, so {:.1} s for 10 million",
            1e7 / rate
        )?;
    }
    Ok(())
}

impl Options {
    fn command(&self, number: u64) -> anyhow::Result<Command> {
        if number < self.accounts {
            players::open(number)
        } else {
            players::deposit(number % self.accounts, number)
        }
    }

    fn write(&self, data: &DataSet) -> anyhow::Result<()> {
        let mut log = data
            .recover(SHARD, &Progress::default(), &mut |_: Lsn, _: Posting| {
                Err("the log is new".to_owned())
            })?
            .log;
        let mut ledger = Ledger::new(LEDGER);
        let mut batch = Batch::default();
        let mut lsn = Lsn::NONE;
        for number in 0..self.postings {
            let Decision::Post(posting, _) = ledger.decide(&self.command(number)?, AT) else {
                bail!("posting {number} was refused");
            };
            lsn = lsn.next();
            batch.push(lsn, &posting);
            ledger.apply(lsn, &posting);
            if u64::from(batch.postings()) == self.per_frame || number + 1 == self.postings {
                log.supply_from(data.storage().as_ref())?;
                log.append(&batch)?;
                batch.clear();
            }
        }
        log.close()?;
        Ok(())
    }

    fn fold(&self, data: &DataSet, out: &mut impl Write) -> anyhow::Result<()> {
        let found = data.recover(SHARD, &Progress::default(), &mut Rebuild::new(LEDGER))?;
        let through = found.log.position().segment - 1;
        ensure!(
            through > 0,
            "the log is in its first segment, and only segments that it has left are folded: \
             more --postings, or a smaller --segment-bytes"
        );
        let settings = FoldSettings {
            ledger: LEDGER,
            history: LEDGER.idempotency_window,
        };
        let began = Instant::now();
        let mut no_pause = |_| ControlFlow::Continue(());
        let folded = data.fold(SHARD, through, &settings, &mut no_pause)?;
        writeln!(
            out,
            "folded {} postings in {:.3} s: checkpoint of {} entries and {:.1} MiB, history of \
             {:.1} MiB",
            folded.history.records,
            began.elapsed().as_secs_f64(),
            folded.checkpoint.records,
            mebibytes(folded.checkpoint.bytes),
            mebibytes(folded.history.bytes),
        )?;
        Ok(())
    }

    /// Seconds that it took, and MiB that were read.
    fn read(&self, data: &DataSet) -> anyhow::Result<(f64, f64)> {
        let progress = Progress::default();
        let mut rebuild = Rebuild::new(LEDGER);
        let began = Instant::now();
        let recovered = data.recover(SHARD, &progress, &mut rebuild)?;
        let seconds = began.elapsed().as_secs_f64();
        let reached = recovered.log.durable_lsn().0;
        ensure!(
            reached == self.postings && recovered.checkpoint.is_some() == self.checkpoint,
            "read {reached} of {} postings",
            self.postings
        );
        ensure!(rebuild.ledger().counts().accounts as u64 == self.accounts);
        let bytes = progress.bytes.load(std::sync::atomic::Ordering::Relaxed);
        Ok((seconds, mebibytes(bytes)))
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_whole() {
        let options = Options {
            postings: 1_001,
            accounts: 10,
            per_frame: 100,
            segment_bytes: SEGMENT_BYTES,
            checkpoint: false,
            rounds: 1,
            cpu: CpuList::first_allowed(),
            data_root: None,
        };
        run(&options).unwrap();
        let folded = Options {
            segment_bytes: 64 << 10,
            checkpoint: true,
            ..options.clone()
        };
        run(&folded).unwrap();
        let too_many = Options {
            accounts: 1_002,
            ..options
        };
        assert!(run(&too_many).is_err());
    }
}
