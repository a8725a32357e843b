//! `purser-bench memory`: what a shard holds in memory of each account, transaction and round.
//!
//! A million of each are made, and the growth of this process's resident memory is divided
//! by their number: so it holds everything that they cost, the tables that find them and
//! what the allocator keeps to itself, as the server's would grow. Commands and postings
//! are gone by then.

use std::io::Write;

use anyhow::{Context, bail};
use clap::Args;
use shards::ledger::{Command, Decision, Ledger};
use shards::types::{Lsn, UnixMillis};

use crate::report;
use pieces::players::{self, LEDGER};

/// When everything is booked: all in one window, as within nine hours of a server.
const AT: UnixMillis = UnixMillis(1_795_000_000_000);

/// Players who share the transactions that are counted alone: so few that their rounds
/// and counters of losses do not show.
const FEW_PLAYERS: u64 = 1_000;

/// Options of `purser-bench memory`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Accounts to open, and then bets to book.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    accounts: u64,
}

/// The command of a thing, by its number.
type Make = fn(u64) -> anyhow::Result<Command>;

/// What is made so many times, and what one may take, in bytes.
struct Kind {
    name: &'static str,
    make: Make,
    target: Option<u64>,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "account with a session",
        make: players::import,
        target: Some(200),
    },
    Kind {
        name: "transaction: a bet in a known round",
        make: |number| players::bet(number % FEW_PLAYERS, 0, number, AT),
        target: Some(64),
    },
    Kind {
        name: "player's first bet: also a round and losses",
        make: |number| players::bet(number, number + 1, u64::MAX - number, AT),
        target: None,
    },
];

/// Fills a ledger and prints the bytes of each thing.
///
/// # Errors
/// A command was refused, or the system does not tell the memory of this process.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    // As the server does for itself.
    nix::sys::prctl::set_thp_disable(true)?;
    let mut out = std::io::stdout().lock();
    write!(out, "{}", report::preamble())?;
    writeln!(out, "measured  growth of resident memory / number\n")?;
    writeln!(
        out,
        "{:<46}{:>10}{:>12}{:>9}",
        "kind", "number", "bytes each", "target"
    )?;
    let mut ledger = Ledger::new(LEDGER);
    let mut lsn = Lsn::NONE;
    for Kind { name, make, target } in KINDS {
        let before = resident_bytes()?;
        fill(&mut ledger, &mut lsn, options.accounts, make)?;
        let grown = resident_bytes()?.saturating_sub(before);
        let target = target.map_or_else(String::new, |bytes| bytes.to_string());
        let each = grown as f64 / options.accounts as f64;
        writeln!(
            out,
            "{name:<46}{:>10}{each:>12.1}{target:>9}",
            options.accounts
        )?;
    }
    Ok(())
}

fn fill(ledger: &mut Ledger, lsn: &mut Lsn, number: u64, make: Make) -> anyhow::Result<()> {
    for at in 0..number {
        match ledger.decide(&make(at)?, AT) {
            Decision::Post(posting, _) => {
                *lsn = lsn.next();
                ledger.apply(*lsn, &posting);
            }
            Decision::Answer { outcome, .. } => bail!("number {at} was answered {outcome:?}"),
        }
    }
    Ok(())
}

/// What of this process is in memory, by its number of resident pages.
fn resident_bytes() -> anyhow::Result<u64> {
    let path = "/proc/self/statm";
    let text = std::fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let pages: u64 = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .with_context(|| format!("the second number of {path}"))?;
    let page_bytes = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?
        .and_then(|bytes| u64::try_from(bytes).ok())
        .context("the size of a page")?;
    Ok(pages * page_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_made_as_often_as_asked() {
        let mut ledger = Ledger::new(LEDGER);
        let mut lsn = Lsn::NONE;
        for Kind { make, .. } in KINDS {
            fill(&mut ledger, &mut lsn, 2_000, make).unwrap();
        }
        let counts = ledger.counts();
        assert_eq!((counts.accounts, counts.sessions), (2_000, 2_000));
        assert_eq!(counts.transactions, 4_000);
        assert_eq!(counts.rounds, FEW_PLAYERS as usize + 2_000);
        let again = fill(&mut ledger, &mut lsn, 1, KINDS[0].make);
        assert!(again.is_err(), "nothing was made");
    }

    #[test]
    fn memory_that_is_used_is_resident() {
        let before = resident_bytes().unwrap();
        let used = vec![1u8; 32 << 20];
        let grown = resident_bytes().unwrap() - before;
        assert!(grown >= 24 << 20, "{grown} of {}", used.len());
    }
}
