//! `purser verify`: reads all of a data directory, and says whether everything in it holds.
//!
//! Checksums, order and chain are checked by the scan that recovery uses, balances by the
//! ledger that recovery uses. Here it is checked in addition that every checkpoint is what
//! the postings before it lead to, as far as they are kept, that the history is whole, that
//! every account is with the shard that owns it, and that the books of each domain sum to
//! zero.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use shards::ledger::{Book, Entry, HouseAccount, Posting};
use shards::routing::slot_of;
use shards::types::{AccountId, Currency, Lsn, ShardId};
use shards::wal::{
    self, Derived, Ending, FrameKind, LogPosition, Progress, Rebuild, Scan, SealedHeader, Visitor,
};

use super::directory::{DataDirectory, Reader, Stop, rebuild};
use super::progress::{Stdout, shown};
use super::record::{house_name, major};

/// Options of `purser verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyOptions {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Verifies a data directory and prints what it holds to `out`.
///
/// # Errors
/// The directory cannot be read, its data is refused, or its books do not sum to zero.
pub fn verify(options: &VerifyOptions, out: &mut dyn Write) -> anyhow::Result<()> {
    let report = check(&options.data_dir)?;
    let printed = if options.json {
        serde_json::to_writer(&mut *out, &report)
            .map_err(Into::into)
            .and_then(|()| writeln!(out))
    } else {
        report.print(out)
    };
    printed.context("write to stdout")?;
    report.judge_books()
}

/// What a data directory holds.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Report {
    data_set: String,
    in_use_by: Option<String>,
    pub(super) shards: Vec<ShardReport>,
    domains: Vec<DomainReport>,
}

/// What a shard's log holds.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ShardReport {
    shard: u16,
    accounts: usize,
    checkpoints: Vec<CheckpointReport>,
    /// Of the first posting that is kept.
    oldest_lsn: u64,
    /// Kept, in the history and in the log.
    pub(super) postings: u64,
    /// In the log behind the newest checkpoint.
    log_postings: u64,
    frames: u64,
    end: &'static str,
    torn_tail: Option<TornTailReport>,
    /// Where the log goes on.
    #[serde(skip)]
    pub(super) position: LogPosition,
}

/// A checkpoint that is whole.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CheckpointReport {
    number: u32,
    /// The last posting in it.
    lsn: u64,
    entries: u64,
    /// Whether it was derived once more from what is before it; otherwise nothing from
    /// before it is kept.
    follows: bool,
}

impl CheckpointReport {
    fn new((header, derived): &(SealedHeader, Derived)) -> Self {
        Self {
            number: header.number,
            lsn: header.next_lsn.0 - 1,
            entries: header.records,
            follows: *derived == Derived::Equal,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TornTailReport {
    file: String,
    offset: u64,
    bytes: u64,
}

/// The trial balance of one domain in one currency.
#[derive(PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DomainReport {
    domain: String,
    currency_code: String,
    accounts: BTreeMap<&'static str, String>,
    total: String,
    #[serde(skip)]
    is_balanced: bool,
}

/// Reads and checks everything. All shards are read, also when one is refused, and every
/// refusal but the last is said here.
pub(super) fn check(path: &Path) -> anyhow::Result<Report> {
    check_directory(&DataDirectory::open(path)?)
}

/// As [`check`], of a directory that is open.
pub(super) fn check_directory(directory: &DataDirectory) -> anyhow::Result<Report> {
    let bytes = directory.log_bytes(directory.shards());
    let checked = shown("verify", bytes, Stdout::Quiet, |progress| {
        check_shards(directory, progress)
    });
    let mut shards = Vec::new();
    let mut books = Vec::new();
    let mut refused: Option<anyhow::Error> = None;
    for result in checked {
        match result {
            Ok((shard, of_shard)) => {
                shards.push(shard);
                books.extend(of_shard);
            }
            Err(error) => {
                if let Some(earlier) = refused.replace(error) {
                    eprintln!("purser: {earlier:#}");
                }
            }
        }
    }
    if let Some(error) = refused {
        return Err(error);
    }
    Ok(Report {
        data_set: directory.manifest.data_set.to_string(),
        in_use_by: directory.user.clone(),
        shards,
        domains: trial_balance(&books),
    })
}

type Checked = anyhow::Result<(ShardReport, Vec<Book>)>;

/// As many shards at a time as there are CPUs; the results in the order of the shards.
fn check_shards(directory: &DataDirectory, progress: &Progress) -> Vec<Checked> {
    let shards = directory.manifest.slot_map.shards();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU16::new(0);
    let worker = || {
        std::iter::from_fn(|| {
            let shard = next.fetch_add(1, Ordering::Relaxed);
            (shard < shards).then_some(ShardId(shard))
        })
        .map(|shard| (shard, check_shard(directory, shard, progress)))
        .collect::<Vec<_>>()
    };
    let mut checked = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cpus.min(usize::from(shards)))
            .map(|_| scope.spawn(worker))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| match worker.join() {
                Ok(checked) => checked,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect::<Vec<_>>()
    });
    checked.sort_by_key(|(shard, _)| *shard);
    checked.into_iter().map(|(_, checked)| checked).collect()
}

fn check_shard(directory: &DataDirectory, shard: ShardId, progress: &Progress) -> Checked {
    let checkpoints = directory
        .with_files(shard, |files| {
            let derive = |number: &u32| {
                let (disk, manifest) = (&directory.disk, &directory.manifest);
                wal::derive(disk, manifest, shard, files, *number, progress)
            };
            let checked: Result<Vec<_>, _> = files.checkpoints.iter().map(derive).collect();
            Ok(checked?)
        })
        .with_context(|| format!("shard {shard}"))?;
    let mut checker = Checker {
        directory,
        shard,
        rebuild: rebuild(&directory.manifest),
    };
    let scan = directory.read(shard, true, progress, &mut checker)?;
    let ledger = checker.rebuild.ledger();
    let report = ShardReport::new(shard, ledger.counts().accounts, &scan, &checkpoints);
    Ok((report, ledger.books().to_vec()))
}

/// Applies everything to a ledger, and sees to it that it belongs to this shard.
struct Checker<'a> {
    directory: &'a DataDirectory,
    shard: ShardId,
    rebuild: Rebuild,
}

impl Checker<'_> {
    fn check_owner(&self, account: &AccountId) -> Result<(), Stop> {
        let owner = self.directory.manifest.slot_map.owner(slot_of(account));
        if owner != self.shard {
            let what = format!("its account {account} belongs to shard {owner}");
            return Err(Stop::Misfit(what));
        }
        Ok(())
    }
}

impl Reader for Checker<'_> {
    fn entry(&mut self, entry: Entry) -> Result<(), Stop> {
        if let Entry::Account(account) = &entry {
            self.check_owner(&account.id)?;
        }
        Ok(self.rebuild.entry(entry)?)
    }

    fn restored(&mut self, header: &SealedHeader) -> Result<(), Stop> {
        Ok(self.rebuild.restored(header)?)
    }

    fn past(&mut self, _: Lsn, posting: Posting) -> Result<(), Stop> {
        self.check_owner(&posting.account)
    }

    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), Stop> {
        self.check_owner(&posting.account)?;
        Ok(self.rebuild.posting(lsn, posting)?)
    }

    fn again(&mut self) {
        self.rebuild = rebuild(&self.directory.manifest);
    }
}

impl ShardReport {
    pub(super) fn id(&self) -> ShardId {
        ShardId(self.shard)
    }

    fn new(
        shard: ShardId,
        accounts: usize,
        scan: &Scan,
        checkpoints: &[(SealedHeader, Derived)],
    ) -> Self {
        let torn_tail = match &scan.ending {
            Ending::Clean => None,
            Ending::Torn(tail) => Some(TornTailReport {
                file: tail.file.clone(),
                offset: tail.offset,
                bytes: tail.bytes,
            }),
        };
        let end = match (&torn_tail, scan.last_frame) {
            (Some(_), _) => "TornTail",
            (None, Some(FrameKind::CleanShutdown)) => "CleanShutdown",
            (None, _) => "Open",
        };
        Self {
            shard: shard.0,
            accounts,
            postings: scan.position.next_lsn.0 - scan.oldest_lsn.0,
            oldest_lsn: scan.oldest_lsn.0,
            checkpoints: checkpoints.iter().map(CheckpointReport::new).collect(),
            log_postings: scan.postings,
            frames: scan.frames,
            end,
            torn_tail,
            position: scan.position,
        }
    }

    fn print(&self, is_in_use: bool, out: &mut dyn Write) -> std::io::Result<()> {
        let Self {
            shard,
            accounts,
            postings,
            oldest_lsn,
            checkpoints,
            log_postings,
            frames,
            ..
        } = self;
        for checkpoint in checkpoints {
            let CheckpointReport {
                number,
                lsn,
                entries,
                follows,
            } = checkpoint;
            let judged = match follows {
                true => "it follows from what is before it",
                false => "it is whole, and nothing from before it is kept",
            };
            writeln!(
                out,
                "shard {shard}: checkpoint {number} up to LSN {lsn}, {entries} entries; {judged}"
            )?;
        }
        let behind = if checkpoints.is_empty() {
            format!("{log_postings} postings in {frames} frames")
        } else {
            format!(
                "{postings} postings from LSN {oldest_lsn} on, {log_postings} of them in {frames} \
                 frames behind the checkpoint"
            )
        };
        write!(out, "shard {shard}: {accounts} accounts, {behind}; ")?;
        match &self.torn_tail {
            Some(TornTailReport {
                file,
                offset,
                bytes,
            }) => {
                let what = if is_in_use {
                    "a write that was under way"
                } else {
                    "an unfinished write, which nobody was told of: a start would cut them off"
                };
                writeln!(out, "{bytes} bytes at offset {offset} of {file} are {what}")
            }
            None if self.end == "CleanShutdown" => writeln!(out, "ended in good order"),
            None => writeln!(out, "ends with a whole frame"),
        }
    }
}

/// The books of all shards, added up by domain and currency.
fn trial_balance(books: &[Book]) -> Vec<DomainReport> {
    let mut sums: BTreeMap<(&str, &str), (Currency, [i128; ACCOUNTS])> = BTreeMap::new();
    for book in books {
        let (_, sum) = sums
            .entry((&book.domain, book.currency.code()))
            .or_insert((book.currency, [0; ACCOUNTS]));
        let accounts = [book.player_cash, book.player_bonus];
        for (sum, minor) in sum.iter_mut().zip(accounts.iter().chain(&book.house)) {
            *sum += minor;
        }
    }
    sums.into_iter()
        .map(|((domain, code), (currency, sums))| {
            let total: i128 = sums.iter().sum();
            DomainReport {
                domain: domain.to_owned(),
                currency_code: code.to_owned(),
                accounts: account_names()
                    .zip(sums)
                    .map(|(name, minor)| (name, major(minor, currency)))
                    .collect(),
                total: major(total, currency),
                is_balanced: total == 0,
            }
        })
        .collect()
}

/// A player's cash and bonus funds, and the house accounts.
const ACCOUNTS: usize = 2 + HouseAccount::ALL.len();

fn account_names() -> impl Iterator<Item = &'static str> {
    ["PlayerCash", "PlayerBonus"]
        .into_iter()
        .chain(HouseAccount::ALL.map(house_name))
}

impl Report {
    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "data set {}", self.data_set)?;
        for shard in &self.shards {
            shard.print(self.in_use_by.is_some(), out)?;
        }
        writeln!(
            out,
            "\n{:<20} {:<8} {:<16} {:>24}",
            "domain", "currency", "account", "balance"
        )?;
        for domain in &self.domains {
            let DomainReport {
                domain: name,
                currency_code: code,
                accounts,
                total,
                ..
            } = domain;
            let rows = account_names().map(|account| (account, &accounts[account]));
            for (account, balance) in rows.chain([("Total", total)]) {
                writeln!(out, "{name:<20} {code:<8} {account:<16} {balance:>24}")?;
            }
        }
        if self.domains.iter().all(|domain| domain.is_balanced) {
            writeln!(out, "\neverything holds")?;
        }
        Ok(())
    }

    /// What another data set that is to be the same has otherwise, in words.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let accounts = |of: &Self| of.shards.iter().map(|shard| shard.accounts).sum::<usize>();
        let postings = |of: &Self| of.shards.iter().map(|shard| shard.postings).sum::<u64>();
        if accounts(self) != accounts(other) || postings(self) != postings(other) {
            return Some("another number of accounts or postings".to_owned());
        }
        (self.domains != other.domains).then(|| "another trial balance".to_owned())
    }

    /// The last check: no domain has made or lost money.
    pub(super) fn judge_books(&self) -> anyhow::Result<()> {
        for domain in &self.domains {
            if !domain.is_balanced {
                bail!(
                    "the books of domain {} sum to {} {} and not to zero; tell the makers of purser",
                    domain.domain,
                    domain.total,
                    domain.currency_code
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_are_added_over_shards_and_must_sum_to_zero() {
        let book = |cash: i128, cashier: i128| Book {
            domain: "acme".to_owned(),
            currency: Currency::parse("GBP").unwrap(),
            player_cash: cash,
            player_bonus: 0,
            house: [0, 0, cashier, 0, 0],
        };
        for (books, total, balanced) in [
            ([book(150, -150), book(50, -50)], "0.00", true),
            ([book(150, -150), book(50, -51)], "-0.01", false),
        ] {
            let domains = trial_balance(&books);
            assert_eq!(domains.len(), 1);
            assert_eq!(domains[0].accounts["PlayerCash"], "2.00");
            assert_eq!(domains[0].total, total);
            let report = Report {
                data_set: String::new(),
                in_use_by: None,
                shards: Vec::new(),
                domains,
            };
            assert_eq!(report.judge_books().is_ok(), balanced);
        }
    }
}
