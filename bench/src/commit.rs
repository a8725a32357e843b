//! `purser-bench commit`: durable deposits on one shard, beside a bare loop of the
//! same writes.
//!
//! Deposits over the admin API would measure the admin API. So the shard runs in this
//! process, on one CPU with everything else, and tasks on its executor submit. The
//! floor is what the disk gives: one block after the other, written and durable, with
//! the same call on a file made the same way.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use shards::storage::{AlignedBuf, BLOCK_BYTES, Caching, DirectDisk, Storage};
use shards::wal::Durability;

use crate::histogram::Histogram;
use crate::in_process::{self, Shards};
use crate::process::{self, CpuList};
use crate::report::{self, median};
use crate::submitters::{self, Pace, Plan, Sample};
use crate::timed_disk::{FlushTimes, TimedDisk};
use pieces::players::SEGMENT_BYTES;

/// Width of the column of names.
const NAME_WIDTH: usize = 26;

/// Options of `purser-bench commit`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Where temporary data directories are made; the system's default when left out.
    /// It should be on the disk that the server will use.
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// The CPU of everything: the shard, those who submit, the thread that makes segments.
    #[arg(long, default_value = "0", value_name = "CPU")]
    cpu: CpuList,
    /// Closed loop: so many submitters, one deposit in flight each.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    submitters: u32,
    /// Open loop: deposits a second.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Seconds that are counted, per row and round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// Milliseconds of load before the counted seconds.
    #[arg(long, default_value_t = 500)]
    warmup_ms: u32,
    /// How often each row is run; the table shows medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    /// One 4 KiB write after the other, each durable before the next.
    Floor,
    Shard(Durability, Loop),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loop {
    Closed,
    Open,
}

impl Row {
    const ALL: [Self; 5] = [
        Self::Floor,
        Self::Shard(Durability::Fsync, Loop::Closed),
        Self::Shard(Durability::Os, Loop::Closed),
        Self::Shard(Durability::Fsync, Loop::Open),
        Self::Shard(Durability::Os, Loop::Open),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor: bare 4 KiB writes",
            Self::Shard(Durability::Fsync, Loop::Closed) => "fsync, closed",
            Self::Shard(Durability::Os, Loop::Closed) => "os, closed",
            Self::Shard(Durability::Fsync, Loop::Open) => "fsync, open",
            Self::Shard(Durability::Os, Loop::Open) => "os, open",
        }
    }
}

/// One round of one row; times in µs, 0 where there are none.
#[derive(Clone, Debug)]
struct Round {
    row: Row,
    round: u32,
    postings_per_s: f64,
    flushes_per_s: f64,
    postings_per_flush: f64,
    latency_us: [f64; 3],
    late_p95_us: f64,
    served_p95_us: f64,
    flush_us: [f64; 2],
    busy: u64,
}

impl Round {
    fn new(row: Row, round: u32, sample: &Sample) -> Self {
        let seconds = sample.elapsed.as_secs_f64();
        let us = |times: &Histogram, share| times.percentile(share) as f64 / 1_000.0;
        let (latency, flush) = (&sample.latency_ns, &sample.flush_ns);
        Self {
            row,
            round,
            postings_per_s: latency.count() as f64 / seconds,
            flushes_per_s: flush.count() as f64 / seconds,
            postings_per_flush: latency.count() as f64 / flush.count().max(1) as f64,
            latency_us: [0.5, 0.95, 0.99].map(|share| us(latency, share)),
            late_p95_us: us(&sample.late_ns, 0.95),
            served_p95_us: us(&sample.served_ns, 0.95),
            flush_us: [0.5, 0.95].map(|share| us(flush, share)),
            busy: sample.busy,
        }
    }
}

/// Runs all rounds and prints the table.
///
/// # Errors
/// The disk failed, or a deposit was not booked.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    // Every thread that starts later inherits it.
    process::pin_this_thread(&options.cpu)?;
    let mut rounds = Vec::new();
    for number in 0..options.rounds {
        let mut rows = Row::ALL;
        if number % 2 == 1 {
            rows.reverse();
        }
        for row in rows {
            let mut err = std::io::stderr().lock();
            let (round, of) = (number + 1, options.rounds);
            // A closed standard error is no reason to stop measuring.
            let _ = writeln!(err, "purser-bench: round {round} of {of}: {}", row.name());
            let sample = options
                .run_row(row)
                .with_context(|| format!("row {:?}, round {round}", row.name()))?;
            rounds.push(Round::new(row, number, &sample));
        }
    }
    let mut out = std::io::stdout().lock();
    write!(out, "{}", report::preamble())?;
    writeln!(
        out,
        "load      everything on CPU {}; closed: {} submitters, open: {} deposits/s\n",
        options.cpu, options.submitters, options.rate
    )?;
    write!(out, "{}", table(&rounds))?;
    Ok(())
}

impl Options {
    fn run_row(&self, row: Row) -> anyhow::Result<Sample> {
        let directory = match &self.data_root {
            Some(root) => tempfile::tempdir_in(root),
            None => tempfile::tempdir(),
        }
        .context("make a temporary data directory")?;
        match row {
            Row::Floor => self.floor(directory.path()),
            Row::Shard(durability, pace) => self.shard(directory.path(), durability, pace),
        }
    }

    fn window(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    fn floor(&self, directory: &Path) -> anyhow::Result<Sample> {
        let disk = DirectDisk::open(directory, Caching::Bypassed)?;
        let mut file = disk.create("floor")?;
        let fill = AlignedBuf::zeroed(1 << 20);
        for offset in (0..SEGMENT_BYTES).step_by(fill.len()) {
            file.write_at(offset, &fill)?;
        }
        file.sync()?;
        let mut block = AlignedBuf::zeroed(BLOCK_BYTES);
        block.fill(0xA5);
        let mut flush_ns = Histogram::new();
        let began = Instant::now();
        for number in 0.. {
            if began.elapsed() >= self.window() {
                break;
            }
            let offset = number * BLOCK_BYTES as u64 % SEGMENT_BYTES;
            let before = Instant::now();
            file.write_durably(offset, &block)?;
            flush_ns.record(before.elapsed().as_nanos() as u64);
        }
        Ok(Sample {
            latency_ns: Histogram::new(),
            late_ns: Histogram::new(),
            served_ns: Histogram::new(),
            flush_ns,
            elapsed: began.elapsed(),
            busy: 0,
        })
    }

    fn shard(
        &self,
        directory: &Path,
        durability: Durability,
        pace: Loop,
    ) -> anyhow::Result<Sample> {
        let caching = match durability {
            Durability::Fsync => Caching::Bypassed,
            Durability::Os => Caching::Used,
        };
        let times = FlushTimes::new();
        let disk = TimedDisk {
            disk: DirectDisk::open(directory, caching)?,
            times: times.clone(),
        };
        let plan = Plan {
            pace: match pace {
                Loop::Closed => Pace::Closed {
                    submitters: self.submitters,
                },
                Loop::Open => Pace::Open { per_s: self.rate },
            },
            warmup: Duration::from_millis(self.warmup_ms.into()),
            window: self.window(),
        };
        let shards = Shards {
            count: 1,
            cpus: Vec::new(),
            durability,
            limit: plan.warmup + plan.window,
        };
        let ended = in_process::run(&shards, Arc::new(disk), move |handle| {
            submitters::drive(handle, plan, times.clone())
        })?;
        ended.said.into_iter().next().context("one shard, one load")
    }
}

/// Medians of all rounds; ratios are taken within a round, since what slows the machine
/// for a while slows both.
fn table(rounds: &[Round]) -> String {
    let head = [
        "postings/s",
        "flushes/s",
        "per flush",
        "p50 us",
        "p95 us",
        "p99 us",
        "late p95",
        "served p95",
        "flush p50",
        "flush p95",
        "p95/flush",
        "srv/flush",
        "of floor",
        "busy",
    ];
    let mut text = report::head(NAME_WIDTH, &head);
    for row in Row::ALL {
        let of_row: Vec<&Round> = rounds.iter().filter(|round| round.row == row).collect();
        let of = |field: &dyn Fn(&Round) -> f64| median(of_row.iter().map(|round| field(round)));
        let of_floor = median(of_row.iter().filter_map(|round| {
            let is_floor = |other: &&Round| other.row == Row::Floor && other.round == round.round;
            let floor = rounds.iter().find(is_floor)?;
            Some(round.flushes_per_s / floor.flushes_per_s)
        }));
        let cells = [
            (of(&|r| r.postings_per_s), 0),
            (of(&|r| r.flushes_per_s), 0),
            (of(&|r| r.postings_per_flush), 1),
            (of(&|r| r.latency_us[0]), 0),
            (of(&|r| r.latency_us[1]), 0),
            (of(&|r| r.latency_us[2]), 0),
            (of(&|r| r.late_p95_us), 0),
            (of(&|r| r.served_p95_us), 0),
            (of(&|r| r.flush_us[0]), 0),
            (of(&|r| r.flush_us[1]), 0),
            (of(&|r| r.latency_us[1] / r.flush_us[0]), 2),
            (of(&|r| r.served_p95_us / r.flush_us[0]), 2),
            (of_floor, 3),
            (of(&|r| r.busy as f64), 0),
        ];
        text += &report::line(NAME_WIDTH, row.name(), &cells);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_books_and_flushes() {
        let options = Options {
            data_root: None,
            cpu: CpuList::first_allowed(),
            submitters: 10,
            rate: 200,
            seconds: 1,
            warmup_ms: 50,
            rounds: 1,
        };
        let rounds = Row::ALL.map(|row| Round::new(row, 0, &options.run_row(row).unwrap()));
        for round in &rounds {
            let is_floor = round.row == Row::Floor;
            assert!(round.flushes_per_s > 0.0, "{round:?}");
            assert_eq!(round.postings_per_s > 0.0, !is_floor, "{round:?}");
            assert_eq!(round.served_p95_us > 0.0, !is_floor, "{round:?}");
            assert!(round.served_p95_us <= round.latency_us[1], "{round:?}");
        }
        let table = table(&rounds);
        let floor = table.lines().find(|line| line.starts_with("floor"));
        assert!(floor.unwrap().contains("1.000"), "{table}");
    }
}
