//! `purser export`: every movement of money as one row, for reports and reconciliation.
//!
//! A row says how much moved from a house account to a player's funds; negative amounts
//! moved the other way. So the rows of a domain sum to what its trial balance shows. The
//! postings behind the checkpoint go through the ledger as in recovery: nothing is exported
//! from data that a start would refuse. Postings that move no money have no rows.

mod csv;
mod jsonl;
mod parquet;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use shards::ledger::{Entry, HouseAccount, PlayerFunds, Posting};
use shards::types::{Currency, Lsn, ShardId, UnixMillis};
use shards::wal::{Rebuild, SealedHeader, Visitor};

use super::directory::{DataDirectory, Reader, Stop, rebuild, warn_of_forgotten};
use super::output::OutFile;
use super::progress::{Stdout, shown};
use super::record::{Currencies, funds_name, house_name, kind_and_fields, major, rfc3339};

/// Options of `purser export`.
#[derive(Args, Clone, Debug)]
pub struct ExportOptions {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,

    /// What to write
    #[arg(long)]
    pub format: Format,

    /// The file to make; it must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// Only from this moment on: RFC 3339, or a day in UTC
    #[arg(long, value_name = "T", value_parser = parse_time)]
    pub from: Option<UnixMillis>,

    /// Only before this moment: RFC 3339, or a day in UTC
    #[arg(long, value_name = "T", value_parser = parse_time)]
    pub to: Option<UnixMillis>,

    /// Only this domain
    #[arg(long, value_name = "D")]
    pub domain: Option<String>,
}

/// What an export is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line
    Jsonl,
    /// RFC 4180 with a line of names
    Csv,
    /// Apache Parquet, compressed with Snappy
    Parquet,
}

/// Writes the movements of money of a data directory to a file.
///
/// # Errors
/// The directory cannot be read, its data is refused, or the file cannot be written; then
/// there is no file.
pub fn export(options: &ExportOptions, out: &mut dyn Write) -> anyhow::Result<()> {
    if let (Some(from), Some(to)) = (options.from, options.to)
        && from >= to
    {
        bail!(
            "--from must be before --to: {} is not before {}",
            rfc3339(from),
            rfc3339(to)
        );
    }
    let directory = DataDirectory::open(&options.data_dir)?;
    let file = OutFile::create(&options.out)?;
    let to_file = || format!("write {}", options.out.display());
    let mut writer: Box<dyn RowWriter> = match options.format {
        Format::Jsonl => Box::new(jsonl::Writer::new(file.file()?)),
        Format::Csv => Box::new(csv::Writer::new(file.file()?).with_context(to_file)?),
        Format::Parquet => Box::new(parquet::Writer::new(file.file()?).with_context(to_file)?),
    };
    let bytes = directory.log_bytes(directory.shards());
    let rows = shown(
        "export",
        bytes,
        Stdout::Quiet,
        |progress| -> anyhow::Result<u64> {
            let mut rows = 0;
            for shard in directory.shards() {
                let mut exporter = Exporter {
                    options,
                    shard,
                    directory: &directory,
                    rebuild: rebuild(&directory.manifest),
                    currencies: Currencies::default(),
                    done: Lsn::NONE,
                    rows: 0,
                    writer: writer.as_mut(),
                };
                let scan = directory.read(shard, true, progress, &mut exporter)?;
                rows += exporter.rows;
                warn_of_forgotten(shard, &scan);
            }
            Ok(rows)
        },
    )?;
    writer.finish().with_context(to_file)?;
    file.publish()?;
    writeln!(out, "{rows} rows written to {}", options.out.display()).context("write to stdout")
}

/// Writes the rows of one shard.
struct Exporter<'a> {
    options: &'a ExportOptions,
    shard: ShardId,
    directory: &'a DataDirectory,
    /// The state from the checkpoint on: what does not fit to it is not exported.
    rebuild: Rebuild,
    currencies: Currencies,
    /// Written, or not chosen, up to here.
    done: Lsn,
    rows: u64,
    writer: &'a mut dyn RowWriter,
}

impl Exporter<'_> {
    fn write(&mut self, lsn: Lsn, posting: &Posting) -> Result<(), Stop> {
        let Some(currency) = self.currencies.of(posting) else {
            return Err(Stop::Misfit("its account does not exist".to_owned()));
        };
        // A position holds the same posting for ever, so what was written is not again.
        if lsn > self.done && self.options.takes(posting) {
            for row in rows_of(self.shard, lsn, posting, currency) {
                let written = self.writer.row(&row);
                written.with_context(|| format!("write {}", self.options.out.display()))?;
                self.rows += 1;
            }
        }
        self.done = self.done.max(lsn);
        Ok(())
    }
}

impl Reader for Exporter<'_> {
    fn entry(&mut self, entry: Entry) -> Result<(), Stop> {
        if let Entry::Account(account) = &entry {
            self.currencies.learn(&account.id, account.currency);
        }
        Ok(self.rebuild.entry(entry)?)
    }

    fn restored(&mut self, header: &SealedHeader) -> Result<(), Stop> {
        Ok(self.rebuild.restored(header)?)
    }

    fn past(&mut self, lsn: Lsn, posting: Posting) -> Result<(), Stop> {
        self.write(lsn, &posting)
    }

    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), Stop> {
        self.write(lsn, &posting)?;
        Ok(self.rebuild.posting(lsn, posting)?)
    }

    fn again(&mut self) {
        self.rebuild = rebuild(&self.directory.manifest);
    }
}

impl ExportOptions {
    fn takes(&self, posting: &Posting) -> bool {
        self.from.is_none_or(|from| posting.at >= from)
            && self.to.is_none_or(|to| posting.at < to)
            && self
                .domain
                .as_ref()
                .is_none_or(|domain| domain == posting.account.domain())
    }
}

/// A moment, or the begin of a day in UTC.
fn parse_time(text: &str) -> Result<UnixMillis, String> {
    const DAY_BYTES: usize = "2026-01-31".len();
    let moment = if text.len() == DAY_BYTES {
        text.parse::<Date>()
            .and_then(|day| Offset::UTC.to_timestamp(day.to_datetime(Time::midnight())))
    } else {
        text.parse::<Timestamp>()
    };
    moment
        .map(|moment| UnixMillis(moment.as_millisecond()))
        .map_err(|_| "write 2026-01-31 or 2026-01-31T12:00:00Z".to_owned())
}

/// Money that moved between a house account and a player's funds.
#[derive(Clone, Copy)]
struct Row<'a> {
    shard: ShardId,
    lsn: Lsn,
    at: UnixMillis,
    domain: &'a str,
    account: &'a str,
    kind: &'static str,
    transaction: Option<&'a str>,
    original: Option<&'a str>,
    round: Option<&'a str>,
    game: Option<&'a str>,
    currency: Currency,
    funds: PlayerFunds,
    house: HouseAccount,
    minor: i64,
    cash_after_minor: i64,
    bonus_after_minor: i64,
}

/// One row for cash and one for bonus funds, if they moved.
fn rows_of(
    shard: ShardId,
    lsn: Lsn,
    posting: &Posting,
    currency: Currency,
) -> impl Iterator<Item = Row<'_>> {
    let (kind, fields) = kind_and_fields(&posting.change, currency);
    posting.change.movements().map(move |movement| Row {
        shard,
        lsn,
        at: posting.at,
        domain: posting.account.domain(),
        account: posting.account.as_str(),
        kind,
        transaction: fields.transaction,
        original: fields.original,
        round: fields.round,
        game: fields.game,
        currency,
        funds: movement.player,
        house: movement.house,
        minor: movement.minor,
        cash_after_minor: posting.balance_after.cash.minor(),
        bonus_after_minor: posting.balance_after.bonus.minor(),
    })
}

impl Row<'_> {
    fn at(&self) -> String {
        rfc3339(self.at)
    }

    fn funds(&self) -> &'static str {
        funds_name(self.funds)
    }

    fn house(&self) -> &'static str {
        house_name(self.house)
    }

    fn major(&self, minor: i64) -> String {
        major(i128::from(minor), self.currency)
    }
}

/// Writes rows in one format.
trait RowWriter {
    fn row(&mut self, row: &Row<'_>) -> anyhow::Result<()>;

    /// Writes what is still in memory, and the end of the file.
    fn finish(self: Box<Self>) -> anyhow::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row with texts that a format could stumble over.
    pub(super) fn awkward_row() -> Row<'static> {
        Row {
            shard: ShardId(1),
            lsn: Lsn(7),
            at: UnixMillis(1_795_000_000_001),
            domain: "acme",
            account: "acme/a,\"b\"",
            kind: "Deposit",
            transaction: Some("d\n1"),
            original: None,
            round: Some("r,1"),
            game: Some("g"),
            currency: Currency::parse("GBP").unwrap(),
            funds: PlayerFunds::Cash,
            house: HouseAccount::Cashier,
            minor: -105,
            cash_after_minor: 20,
            bonus_after_minor: 3,
        }
    }

    #[test]
    fn moments_and_days_are_taken_and_nothing_else() {
        for (text, millis) in [
            ("1970-01-02", Some(86_400_000)),
            ("1970-01-01T00:00:01Z", Some(1_000)),
            ("1970-01-01T01:00:00.5+01:00", Some(500)),
            ("1970-01-01T00:00:00", None),
            ("yesterday", None),
            ("1970-13-01", None),
            ("", None),
        ] {
            assert_eq!(parse_time(text).ok(), millis.map(UnixMillis), "{text}");
        }
    }
}
