//! `purser-bench hops`: what a second shard on a CPU of its own gives, and what a hop to
//! it takes.
//!
//! Whole servers want a CPU for the client, so two shards on two CPUs cannot be measured
//! with sockets on a machine of two. So the shards run in this process, and in place of a
//! socket and its HTTP each request computes for `--work-us`. Who measures sits on the
//! shards' own executors.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use shards::storage::{Caching, DirectDisk};
use shards::wal::Durability;

use crate::askers::{self, Asked, Load, Plan, Sample, Work};
use crate::histogram::Histogram;
use crate::in_process::{self, Shards};
use crate::process::{self, CpuList};
use crate::report::{self, median};

/// Width of the column of names.
const NAME_WIDTH: usize = 30;

/// Options of `purser-bench hops`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The CPUs of the two shards; one shard alone has the first.
    #[arg(long, default_value = "0,1", value_name = "CPU,CPU")]
    cpus: CpuList,
    /// CPU time of each request beside the shard's own, in place of TCP and HTTP.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    work_us: u32,
    /// Askers on each shard, one request in flight each.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    askers: u32,
    /// Seconds that are counted, per row and round.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// Milliseconds of load before the counted seconds.
    #[arg(long, default_value_t = 200)]
    warmup_ms: u32,
    /// How often each row is run; the table shows medians.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Where temporary data directories are made; the system's default when left out.
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    name: &'static str,
    shards: u16,
    load: Load,
    asked: Asked,
    /// The row that this one is measured by.
    beside: &'static str,
}

const ONE: &str = "balance, 1 shard";
const ONE_BET: &str = "placebet, 1 shard";
const BUSY_OWN: &str = "balance, both CPUs busy, own";
const IDLE_OWN: &str = "balance, both CPUs idle, own";

const ROWS: [Row; 10] = [
    row(ONE, 1, Load::Closed, Asked::OwnBalance, ONE),
    row(
        "balance, 2 shards, own",
        2,
        Load::Closed,
        Asked::OwnBalance,
        ONE,
    ),
    row(
        "balance, 2 shards, hop",
        2,
        Load::Closed,
        Asked::OthersBalance,
        ONE,
    ),
    row(ONE_BET, 1, Load::Closed, Asked::OwnBet, ONE_BET),
    row(
        "placebet, 2 shards, own",
        2,
        Load::Closed,
        Asked::OwnBet,
        ONE_BET,
    ),
    row(
        "placebet, 2 shards, hop",
        2,
        Load::Closed,
        Asked::OthersBet,
        ONE_BET,
    ),
    row(BUSY_OWN, 2, Load::Busy, Asked::OwnBalance, BUSY_OWN),
    row(
        "balance, both CPUs busy, hop",
        2,
        Load::Busy,
        Asked::OthersBalance,
        BUSY_OWN,
    ),
    row(IDLE_OWN, 2, Load::Idle, Asked::OwnBalance, IDLE_OWN),
    row(
        "balance, both CPUs idle, hop",
        2,
        Load::Idle,
        Asked::OthersBalance,
        IDLE_OWN,
    ),
];

const fn row(
    name: &'static str,
    shards: u16,
    load: Load,
    asked: Asked,
    beside: &'static str,
) -> Row {
    Row {
        name,
        shards,
        load,
        asked,
        beside,
    }
}

/// One round of one row; times in µs.
#[derive(Clone, Debug)]
struct Round {
    row: &'static str,
    round: u32,
    requests_per_s: f64,
    latency_us: [f64; 3],
    wakes_per_hop: f64,
}

/// Runs all rounds and prints the table.
///
/// # Errors
/// A CPU is not ours to use, the disk failed, or a request was not answered as it should.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let &[first, second] = options.cpus.numbers() else {
        bail!("--cpus {}: two shards want two CPUs", options.cpus);
    };
    process::pin_this_thread(&options.cpus)?;
    let work = Work::of(Duration::from_micros(options.work_us.into()));
    let mut rounds = Vec::new();
    for number in 0..options.rounds {
        let mut rows = ROWS;
        if number % 2 == 1 {
            rows.reverse();
        }
        for row in rows {
            let mut err = std::io::stderr().lock();
            let (round, of) = (number + 1, options.rounds);
            // A closed standard error is no reason to stop measuring.
            let _ = writeln!(err, "purser-bench: round {round} of {of}: {}", row.name);
            let round = options
                .run_row(row, number, [first, second], work)
                .with_context(|| format!("row {:?}, round {}", row.name, number + 1))?;
            rounds.push(round);
        }
    }
    let mut out = std::io::stdout().lock();
    write!(out, "{}", report::preamble())?;
    writeln!(
        out,
        "load      shards in this process on CPUs {}; {} us of work for each request; closed: {} \
         askers a shard\n",
        options.cpus, options.work_us, options.askers
    )?;
    write!(out, "{}", table(&rounds))?;
    Ok(())
}

impl Options {
    fn run_row(&self, row: Row, round: u32, cpus: [usize; 2], work: Work) -> anyhow::Result<Round> {
        let directory = match &self.data_root {
            Some(root) => tempfile::tempdir_in(root),
            None => tempfile::tempdir(),
        }
        .context("make a temporary data directory")?;
        let disk = DirectDisk::open(directory.path(), Caching::Bypassed)?;
        let plan = Plan {
            shards: row.shards,
            load: row.load,
            asked: row.asked,
            askers: self.askers,
            work,
            warmup: Duration::from_millis(self.warmup_ms.into()),
            window: Duration::from_secs(self.seconds.into()),
        };
        let shards = Shards {
            count: row.shards,
            cpus: cpus[..usize::from(row.shards)].to_vec(),
            durability: Durability::Fsync,
            limit: plan.warmup + plan.window,
        };
        let ready = Arc::default();
        let ended = in_process::run(&shards, Arc::new(disk), move |handle| {
            askers::drive(handle, plan, Arc::clone(&ready))
        })?;
        let hops: u64 = ended.metrics.iter().map(|shard| shard.hops.get()).sum();
        let wakes: u64 = ended.metrics.iter().map(|shard| shard.wakes.get()).sum();
        Ok(Round::new(row.name, round, &ended.said, hops, wakes))
    }
}

impl Round {
    fn new(row: &'static str, round: u32, samples: &[Sample], hops: u64, wakes: u64) -> Self {
        let mut latency_ns = Histogram::new();
        let mut requests_per_s = 0.0;
        for sample in samples {
            latency_ns.merge(&sample.latency_ns);
            requests_per_s += sample.latency_ns.count() as f64 / sample.elapsed.as_secs_f64();
        }
        Self {
            row,
            round,
            requests_per_s,
            latency_us: [0.5, 0.95, 0.99]
                .map(|share| latency_ns.percentile(share) as f64 / 1_000.0),
            wakes_per_hop: if hops == 0 {
                0.0
            } else {
                wakes as f64 / hops as f64
            },
        }
    }
}

/// Medians of all rounds; ratios and differences are taken within a round, since what
/// slows the machine for a while slows both.
fn table(rounds: &[Round]) -> String {
    let head = [
        "req/s",
        "of its row",
        "p50 us",
        "p95 us",
        "p99 us",
        "p95 adds",
        "wakes/hop",
    ];
    let mut text = report::head(NAME_WIDTH, &head);
    for row in ROWS {
        let of_row: Vec<&Round> = rounds
            .iter()
            .filter(|round| round.row == row.name)
            .collect();
        let of = |field: &dyn Fn(&Round) -> f64| median(of_row.iter().map(|round| field(round)));
        let beside = |field: &dyn Fn(&Round, &Round) -> f64| {
            median(of_row.iter().filter_map(|round| {
                let is_it = |other: &&Round| other.row == row.beside && other.round == round.round;
                Some(field(round, rounds.iter().find(is_it)?))
            }))
        };
        let cells = [
            (of(&|r| r.requests_per_s), 0),
            (beside(&|r, own| r.requests_per_s / own.requests_per_s), 3),
            (of(&|r| r.latency_us[0]), 1),
            (of(&|r| r.latency_us[1]), 1),
            (of(&|r| r.latency_us[2]), 1),
            (beside(&|r, own| r.latency_us[1] - own.latency_us[1]), 1),
            (of(&|r| r.wakes_per_hop), 2),
        ];
        text += &report::line(NAME_WIDTH, row.name, &cells);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_load_is_answered_and_only_what_should_hops() {
        let options = Options {
            cpus: CpuList::first_allowed(),
            work_us: 1,
            askers: 5,
            seconds: 1,
            warmup_ms: 20,
            rounds: 1,
            data_root: None,
        };
        // One CPU for both will do: nothing of time is judged.
        let cpu = options.cpus.numbers()[0];
        let work = Work::of(Duration::from_micros(1));
        let picked = [ROWS[0], ROWS[5], ROWS[7], ROWS[8]];
        let rounds = picked.map(|row| options.run_row(row, 0, [cpu, cpu], work).unwrap());
        for (row, round) in picked.iter().zip(&rounds) {
            assert!(round.requests_per_s > 0.0, "{round:?}");
            assert!(round.latency_us[0] > 0.0, "{round:?}");
            let hops = matches!(row.asked, Asked::OthersBalance | Asked::OthersBet);
            assert!(hops || round.wakes_per_hop < f64::EPSILON, "{round:?}");
        }
        let table = table(&rounds);
        let first = table.lines().find(|line| line.starts_with(ONE));
        assert!(first.unwrap().contains("1.000"), "{table}");
    }

    #[test]
    fn one_cpu_is_not_enough() {
        let mut options = Options {
            cpus: CpuList::first_allowed(),
            work_us: 1,
            askers: 1,
            seconds: 1,
            warmup_ms: 0,
            rounds: 1,
            data_root: None,
        };
        let error = run(&options).unwrap_err().to_string();
        assert!(error.contains("two CPUs"), "{error}");
        options.cpus = "0-2".parse().unwrap();
        assert!(run(&options).is_err());
    }
}
