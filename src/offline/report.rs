//! What `purser verify` found, as text and as JSON, with the trial balance of each domain.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::bail;
use serde::Serialize;
use shards::ledger::{Book, HouseAccount};
use shards::types::{Currency, ShardId};
use shards::wal::{Derived, Ending, FrameKind, LogPosition, Scan, SealedHeader};

use super::directory::DataDirectory;
use super::record::{house_name, major};

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

impl Report {
    /// What the shards of a directory were found to hold, and their books.
    pub(super) fn new(directory: &DataDirectory, shards: Vec<ShardReport>, books: &[Book]) -> Self {
        Self {
            data_set: directory.manifest.data_set.to_string(),
            in_use_by: directory.user.clone(),
            shards,
            domains: trial_balance(books),
        }
    }

    /// As text.
    pub(super) fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
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

impl ShardReport {
    pub(super) fn id(&self) -> ShardId {
        ShardId(self.shard)
    }

    pub(super) fn new(
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
