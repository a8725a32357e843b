//! What a data set holds, in a form that two layouts of it can be compared by.
//!
//! Everything that must outlive another layout is counted, and the checksums of its bytes
//! are added up; a sum is the same in any order. Left out is what may differ: positions in
//! the log, the windows of the memory, and house accounts by shard, whose totals over all
//! shards are kept instead.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::codec::{encode, encode_entry};
use super::error::OpenError;
use super::manifest::Manifest;
use super::scan::{Reading, scan};
use super::sealed::SealedHeader;
use super::visitor::{Progress, Visitor};
use crate::ledger::{Book, Entry, HouseAccount, Posting};
use crate::storage::Storage;
use crate::types::{Lsn, ShardId};

/// How many there are of a kind, and what is in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    count: u64,
    /// The checksums of all of them, added up.
    sum: u64,
}

impl Counted {
    fn add(&mut self, checksum: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(checksum);
    }
}

/// A player's cash and bonus funds, and the house accounts, in minor units.
type Totals = [i128; 2 + HouseAccount::ALL.len()];

/// What a data set holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    accounts: Counted,
    sessions: Counted,
    spent_tokens: Counted,
    transactions: Counted,
    rounds: Counted,
    postings: Counted,
    /// By domain and currency, over all shards.
    books: BTreeMap<(String, String), Totals>,
}

impl Tally {
    /// How many accounts there are.
    #[must_use]
    pub fn accounts(&self) -> u64 {
        self.accounts.count
    }

    /// How many sessions there are, those that have ended as well.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions.count
    }

    /// How many transaction ids are remembered.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.transactions.count
    }

    /// How many postings are kept.
    #[must_use]
    pub fn postings(&self) -> u64 {
        self.postings.count
    }

    /// What the other one has otherwise, in words; `None` when it has the same.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        let counted = |of: &Self| {
            [
                ("accounts", of.accounts),
                ("sessions", of.sessions),
                ("redeemed tokens", of.spent_tokens),
                ("remembered transactions", of.transactions),
                ("rounds", of.rounds),
                ("postings", of.postings),
            ]
        };
        for ((what, here), (_, there)) in counted(self).into_iter().zip(counted(other)) {
            if here.count != there.count {
                return Some(format!("{} {what} against {}", here.count, there.count));
            }
            if here.sum != there.sum {
                return Some(format!("as many {what}, and not the same"));
            }
        }
        let domains = self.books.keys().chain(other.books.keys());
        let (domain, code) = domains
            .into_iter()
            .find(|name| self.books.get(*name) != other.books.get(*name))?;
        Some(format!(
            "another trial balance of domain {domain} in {code}"
        ))
    }

    fn add_book(&mut self, book: &Book) {
        let name = (book.domain.clone(), book.currency.code().to_owned());
        let totals = self.books.entry(name).or_default();
        let of_one = [book.player_cash, book.player_bonus];
        for (total, minor) in totals.iter_mut().zip(of_one.iter().chain(&book.house)) {
            *total += minor;
        }
    }
}

/// Counts what it is shown, one shard after the other.
#[derive(Default)]
pub(super) struct Counting {
    tally: Tally,
    /// Checksum of the account that came last: its sessions come behind it.
    account: u64,
    /// Checksum of the session that came last, and its account's.
    session: u64,
    /// What is remembered of each transaction of this shard. Two windows may have the
    /// same id, and the later one counts.
    transactions: HashMap<u128, u64>,
    bytes: Vec<u8>,
}

impl Counting {
    /// Counts an entry of a checkpoint, or of a ledger in the same order.
    pub(super) fn entry(&mut self, mut entry: Entry) {
        if let Entry::Account(account) = &mut entry {
            account.last_booking = Lsn::NONE;
        }
        self.bytes.clear();
        encode_entry(&entry, &mut self.bytes);
        let checksum = |seed| xxh3_64_with_seed(&self.bytes, seed);
        match entry {
            Entry::Book(book) => self.tally.add_book(&book),
            Entry::Account(_) => {
                self.account = checksum(0);
                self.tally.accounts.add(self.account);
            }
            Entry::Session(_) => {
                self.session = checksum(self.account);
                self.tally.sessions.add(self.session);
            }
            Entry::SpentToken(_) => self.tally.spent_tokens.add(checksum(self.session)),
            Entry::Transaction(transaction) => {
                self.transactions.insert(transaction.digest, checksum(0));
            }
            Entry::Round(_) => self.tally.rounds.add(checksum(0)),
            Entry::Memory(_) | Entry::Window { .. } | Entry::RoundWindow { .. } => {}
        }
    }

    /// Counts a posting that is kept.
    pub(super) fn posting(&mut self, mut posting: Posting) {
        if let Some(previous) = posting.change.previous_booking_mut() {
            *previous = Lsn::NONE;
        }
        self.bytes.clear();
        encode(&posting, &mut self.bytes);
        self.tally.postings.add(xxh3_64_with_seed(&self.bytes, 0));
    }

    /// That was all of a shard.
    pub(super) fn end_shard(&mut self) {
        for (_, checksum) in self.transactions.drain() {
            self.tally.transactions.add(checksum);
        }
    }

    /// That was all of the data set.
    pub(super) fn finish(self) -> Tally {
        self.tally
    }
}

/// Reads back what [`super::reshard`] wrote: checkpoints, histories, and logs that hold
/// nothing yet.
///
/// # Errors
/// [`OpenError::Refused`] when it is not that, or is damaged.
pub fn tally(
    storage: &dyn Storage,
    manifest: &Manifest,
    progress: &Progress,
) -> Result<Tally, OpenError> {
    let mut counting = Counting::default();
    let reading = Reading {
        is_live: false,
        with_history: true,
    };
    for shard in (0..manifest.slot_map.shards()).map(ShardId) {
        let mut unused = Unused(&mut counting);
        scan(storage, manifest, shard, reading, progress, &mut unused)?;
        counting.end_shard();
    }
    Ok(counting.finish())
}

/// Counts the entries of a checkpoint, which nothing may stand behind.
struct Unused<'a>(&'a mut Counting);

impl Visitor for Unused<'_> {
    fn entry(&mut self, entry: Entry) -> Result<(), String> {
        self.0.entry(entry);
        Ok(())
    }

    fn restored(&mut self, _: &SealedHeader) -> Result<(), String> {
        Ok(())
    }

    fn past(&mut self, _: Lsn, posting: Posting) -> Result<(), String> {
        self.0.posting(posting);
        Ok(())
    }

    fn again(&mut self) {
        unreachable!("nobody else uses the data");
    }

    fn posting(&mut self, _: Lsn, _: Posting) -> Result<(), String> {
        Err("a posting, in a log that nobody has used".to_owned())
    }
}
