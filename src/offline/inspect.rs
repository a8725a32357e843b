//! `purser inspect`: prints the records of the history and of the logs, one line or one
//! JSON object each.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use shards::ledger::{Entry, Posting};
use shards::routing::slot_of;
use shards::types::{AccountId, Lsn, ShardId};
use shards::wal::{Ending, SealedHeader};

use super::directory::{DataDirectory, Reader, Stop, warn_of_forgotten};
use super::progress::{Stdout, shown};
use super::record::{Currencies, Record};

/// Options of `purser inspect`.
#[derive(Args, Clone, Debug)]
pub struct InspectOptions {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Only the log of this shard
    #[arg(long, value_name = "N")]
    pub shard: Option<u16>,

    /// Only the records of this account
    #[arg(long, value_name = "ID", value_parser = parse_account)]
    pub account: Option<AccountId>,

    /// Only records from this position of their log on
    #[arg(long, value_name = "N")]
    pub from_lsn: Option<u64>,

    /// Print one JSON object a line instead of text
    #[arg(long)]
    pub json: bool,
}

fn parse_account(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text)
        .ok_or_else(|| "an account is domain/player, 50 characters at most".to_owned())
}

/// Prints the records of a data directory to `out`.
///
/// # Errors
/// The directory cannot be read, its data is refused (after the records before that place),
/// or `out` fails.
pub fn inspect(options: &InspectOptions, out: &mut dyn Write) -> anyhow::Result<()> {
    let directory = DataDirectory::open(&options.data_dir)?;
    let shards = chosen_shards(&directory, options)?;
    let bytes = directory.log_bytes(shards.iter().copied());
    let mut out = BufWriter::new(out);
    let printed = shown("inspect", bytes, Stdout::Busy, |progress| {
        for shard in shards {
            let mut printer = Printer {
                options,
                shard,
                currencies: Currencies::default(),
                done: Lsn::NONE,
                out: &mut out,
            };
            let scan = directory.read(shard, true, progress, &mut printer)?;
            warn_of_forgotten(shard, &scan);
            if let Ending::Torn(tail) = scan.ending {
                eprintln!("purser: shard {shard}: {tail}");
            }
        }
        Ok(())
    });
    match printed.and(out.flush().context(WRITE_STDOUT)) {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        printed => printed,
    }
}

/// Prints the records of one shard.
struct Printer<'a> {
    options: &'a InspectOptions,
    shard: ShardId,
    currencies: Currencies,
    /// Printed, or not chosen, up to here.
    done: Lsn,
    out: &'a mut dyn Write,
}

impl Reader for Printer<'_> {
    fn entry(&mut self, entry: Entry) -> Result<(), Stop> {
        if let Entry::Account(account) = entry {
            self.currencies.learn(&account.id, account.currency);
        }
        Ok(())
    }

    fn restored(&mut self, _: &SealedHeader) -> Result<(), Stop> {
        Ok(())
    }

    fn past(&mut self, lsn: Lsn, posting: Posting) -> Result<(), Stop> {
        self.posting(lsn, posting)
    }

    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), Stop> {
        let Some(currency) = self.currencies.of(&posting) else {
            return Err(Stop::Misfit("its account does not exist".to_owned()));
        };
        // A position holds the same posting for ever, so what was printed is not again.
        if lsn > self.done && self.options.shows(lsn, &posting.account) {
            let record = Record::new(self.shard, lsn, &posting, &currency);
            print(&record, self.options.json, self.out)?;
        }
        self.done = self.done.max(lsn);
        Ok(())
    }

    /// Currencies do not change, and neither does what was printed.
    fn again(&mut self) {}
}

const WRITE_STDOUT: &str = "write to stdout";

impl InspectOptions {
    fn shows(&self, lsn: Lsn, account: &AccountId) -> bool {
        self.from_lsn.is_none_or(|from| lsn.0 >= from)
            && self.account.as_ref().is_none_or(|only| only == account)
    }
}

fn chosen_shards(
    directory: &DataDirectory,
    options: &InspectOptions,
) -> anyhow::Result<Vec<ShardId>> {
    let slots = directory.manifest.slot_map;
    if let Some(shard) = options.shard
        && shard >= slots.shards()
    {
        bail!(
            "there is no shard {shard}: the data is laid out for {} shards, numbered from 0",
            slots.shards()
        );
    }
    // An account is in one log, so the others need not be read.
    let owner = options
        .account
        .as_ref()
        .map(|account| slots.owner(slot_of(account)));
    Ok(directory
        .shards()
        .filter(|shard| options.shard.is_none_or(|only| only == shard.0))
        .filter(|shard| options.shard.is_some() || owner.is_none_or(|owner| owner == *shard))
        .collect())
}

fn print(record: &Record<'_>, as_json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let printed = if as_json {
        serde_json::to_writer(&mut *out, record)
            .map_err(Into::into)
            .and_then(|()| writeln!(out))
    } else {
        writeln!(out, "{record}")
    };
    printed.context(WRITE_STDOUT)
}

/// Who reads has read enough: `purser inspect … | head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}
