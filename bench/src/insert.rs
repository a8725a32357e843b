//! `purser-bench insert`: the longest pause while a shard's tables grow.
//!
//! A table that doubles in one go stalls its core for as long as the rehash takes; ours
//! are to stay below a millisecond at 10 million accounts. The median says nothing about
//! that, so every single insert is timed, by the wall and by the CPU time of the thread:
//! the second leaves out what the machine did meanwhile for others, but not interrupts
//! nor what a hypervisor took. So the same number of reads, which grow nothing, is timed
//! in the same way behind the inserts: what those show is the machine's doing.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use shards::ledger::{Command, Decision, Ledger, Outcome};
use shards::types::{Lsn, UnixMillis};

use crate::histogram::Histogram;
use crate::process::{self, CpuList, thread_cpu_time};
use crate::report;
use pieces::players::{self, LEDGER};

/// No insert may take longer.
const PAUSE_MAX: Duration = Duration::from_millis(1);

/// When everything is booked: all transactions in one window, the worst for its tables.
const AT: UnixMillis = UnixMillis(1_795_000_000_000);

/// Options of `purser-bench insert`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Accounts to open, and then deposits to book, one for each. 10 million take 3 GB.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    accounts: u64,
    /// The CPU to run on.
    #[arg(long, default_value = "0", value_name = "CPU")]
    cpu: CpuList,
    /// Leave transparent huge pages on, which the server turns off for itself.
    #[arg(long)]
    huge_pages: bool,
}

/// The command of an insert, by its number.
type Make = fn(u64) -> anyhow::Result<Command>;

/// How long the inserts into one table took.
struct Pauses {
    wall_ns: Histogram,
    cpu_ns: Histogram,
    /// Longer than [`PAUSE_MAX`], by either clock.
    too_long: [u64; 2],
}

/// Fills the tables and prints how long the inserts took.
///
/// # Errors
/// A command was refused.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    process::pin_this_thread(&options.cpu)?;
    nix::sys::prctl::set_thp_disable(!options.huge_pages)?;
    let mut out = std::io::stdout().lock();
    write!(out, "{}", report::preamble())?;
    writeln!(out)?;
    writeln!(
        out,
        "{:<14}{:>12}{:>9}{:>11}{:>9}{:>7}{:>15}{:>12}{:>11}",
        "table",
        "inserts",
        "p50 us",
        "p99.99 us",
        "max us",
        ">1 ms",
        "cpu p99.99 us",
        "cpu max us",
        "cpu >1 ms"
    )?;
    let mut ledger = Ledger::new(LEDGER);
    let mut lsn = Lsn::NONE;
    let tables: [(&str, Make); 3] = [
        ("accounts", players::open),
        ("transactions", |number| players::deposit(number, number)),
        ("none (reads)", players::read),
    ];
    for (table, command) in tables {
        let pauses = time(&mut ledger, &mut lsn, options.accounts, command)?;
        let us = |ns: u64| ns as f64 / 1_000.0;
        let Pauses {
            wall_ns,
            cpu_ns,
            too_long,
        } = &pauses;
        writeln!(
            out,
            "{table:<14}{:>12}{:>9.2}{:>11.1}{:>9.1}{:>7}{:>15.1}{:>12.1}{:>11}",
            wall_ns.count(),
            us(wall_ns.percentile(0.5)),
            us(wall_ns.percentile(0.9999)),
            us(wall_ns.max()),
            too_long[0],
            us(cpu_ns.percentile(0.9999)),
            us(cpu_ns.max()),
            too_long[1],
        )?;
    }
    Ok(())
}

fn time(ledger: &mut Ledger, lsn: &mut Lsn, inserts: u64, command: Make) -> anyhow::Result<Pauses> {
    let mut pauses = Pauses {
        wall_ns: Histogram::new(),
        cpu_ns: Histogram::new(),
        too_long: [0; 2],
    };
    for number in 0..inserts {
        let command = command(number)?;
        let cpu_before = thread_cpu_time()?;
        let before = Instant::now();
        match ledger.decide(&command, AT) {
            Decision::Post(posting, _) => {
                *lsn = lsn.next();
                ledger.apply(*lsn, &posting);
            }
            Decision::Answer {
                outcome: Outcome::Accepted(_),
                ..
            } => {}
            Decision::Answer { outcome, .. } => bail!("command {number}: {outcome:?}"),
        }
        let wall = before.elapsed();
        let cpu = thread_cpu_time()?.saturating_sub(cpu_before);
        pauses.wall_ns.record(wall.as_nanos() as u64);
        pauses.cpu_ns.record(cpu.as_nanos() as u64);
        pauses.too_long[0] += u64::from(wall > PAUSE_MAX);
        pauses.too_long[1] += u64::from(cpu > PAUSE_MAX);
    }
    Ok(pauses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_insert_and_read_is_timed() {
        let mut ledger = Ledger::new(LEDGER);
        let mut lsn = Lsn::NONE;
        let opened = time(&mut ledger, &mut lsn, 1_000, players::open).unwrap();
        let deposit = |number| players::deposit(number, number);
        let deposited = time(&mut ledger, &mut lsn, 1_000, deposit).unwrap();
        let read = time(&mut ledger, &mut lsn, 1_000, players::read).unwrap();
        assert_eq!(opened.wall_ns.count(), 1_000);
        assert_eq!(deposited.cpu_ns.count(), 1_000);
        assert_eq!(read.cpu_ns.count(), 1_000);
        assert_eq!(lsn, Lsn(2_000));
        let again = time(&mut ledger, &mut lsn, 1, players::open);
        assert!(again.is_err(), "nothing was inserted");
    }
}
