//! A ledger as a stream of entries, and back: what checkpoints are made of.
//!
//! [`Ledger::entries`] hands out everything that a decision can rest on, in an order that
//! is the same for equal ledgers, however they came to be; [`Restoring`] builds a ledger
//! from it that decides exactly as the first one did. Only positions in the log are left
//! out: everything in a checkpoint is durable, so nothing that rests on it has to wait.
//!
//! Every owner of state gives and takes its own part: `books.rs`, `account.rs`,
//! `session.rs`, `age.rs`, `transactions.rs`, `rounds.rs`. An entry that belongs to another
//! one (a session to its account) comes somewhere behind it, before the next of that kind.
//!
//! To add one: a variant of [`Entry`] (`entry.rs`) with everything that it must say, its
//! bytes under a new kind in `wal/codec/entry.rs`, a line in [`Ledger::entries`] and one in
//! [`Restoring::entry`], both in the owner's file, and a command in the property test of
//! `snapshot/tests.rs` that makes one. The tests fail for state that is forgotten here.

use super::account::AccountIndex;
use super::session::SessionIndex;
use super::{Entry, EntryMisfit, Ledger, LedgerSettings};

impl Ledger {
    /// Hands out all entries, in an order that is the same for equal ledgers.
    ///
    /// # Errors
    /// The first one of `each`.
    pub fn entries<E>(&self, each: &mut dyn FnMut(Entry) -> Result<(), E>) -> Result<(), E> {
        for book in self.books.all() {
            each(Entry::Book(book.clone()))?;
        }
        for account in self.accounts.iter() {
            each(Entry::Account(account.entry()))?;
            self.sessions.entries(account.latest_session, each)?;
        }
        each(Entry::Memory(self.age.entry()))?;
        self.transactions.entries(each)?;
        self.rounds.entries(&self.accounts, each)
    }
}

/// A ledger that is being built from entries. Without any it is an empty one.
pub struct Restoring {
    ledger: Ledger,
    account: Option<AccountIndex>,
    session: Option<SessionIndex>,
    /// Entries of accounts are over.
    has_memory: bool,
    has_window: bool,
    has_round_window: bool,
    /// What the accounts of each book hold, cash and bonus.
    held: Vec<(i128, i128)>,
}

impl Restoring {
    /// Begins with nothing. Where windows of transactions are to span another time than
    /// those of the entries, they are remembered for a little longer than either asks.
    #[must_use]
    pub fn new(settings: LedgerSettings) -> Self {
        Self {
            ledger: Ledger::new(settings),
            account: None,
            session: None,
            has_memory: false,
            has_window: false,
            has_round_window: false,
            held: Vec::new(),
        }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// [`EntryMisfit`] says why it cannot be the next one of a ledger.
    pub fn entry(&mut self, entry: Entry) -> Result<(), EntryMisfit> {
        let ledger = &mut self.ledger;
        match entry {
            Entry::Book(book) => {
                if self.account.is_some() || self.has_memory {
                    return Err(EntryMisfit::OutOfPlace("book"));
                }
                self.held.push((0, 0));
                ledger.books.restore(book)
            }
            Entry::Account(account) => {
                if self.has_memory {
                    return Err(EntryMisfit::OutOfPlace("account"));
                }
                let balance = account.balance;
                let (at, book) = ledger.restore_account(account)?;
                let held = &mut self.held[usize::from(book)];
                held.0 += i128::from(balance.cash.minor());
                held.1 += i128::from(balance.bonus.minor());
                self.account = Some(at);
                self.session = None;
                Ok(())
            }
            Entry::Session(session) => {
                let account = self.account.filter(|_| !self.has_memory);
                let at = account.ok_or(EntryMisfit::OutOfPlace("session"))?;
                self.session = Some(ledger.restore_session(at, &session)?);
                Ok(())
            }
            Entry::SpentToken(token) => {
                let session = self.session.filter(|_| !self.has_memory);
                let at = session.ok_or(EntryMisfit::OutOfPlace("spent token"))?;
                ledger.sessions.restore_spent(at, &token)
            }
            Entry::Memory(memory) => {
                if self.has_memory {
                    return Err(EntryMisfit::Twice("age of the memory"));
                }
                self.has_memory = true;
                ledger.age.restore(&memory)
            }
            Entry::Window { number } => {
                if !self.has_memory || self.has_round_window {
                    return Err(EntryMisfit::OutOfPlace("window of transactions"));
                }
                self.has_window = true;
                let number = ledger.age.restored_window(number)?;
                ledger.transactions.restore_window(number)
            }
            Entry::Transaction(transaction) => {
                if !self.has_window || self.has_round_window {
                    return Err(EntryMisfit::OutOfPlace("transaction"));
                }
                let may_merge = ledger.age.merges_windows();
                ledger.transactions.restore(&transaction, may_merge)
            }
            Entry::RoundWindow { number } => {
                if !self.has_memory {
                    return Err(EntryMisfit::OutOfPlace("window of rounds"));
                }
                self.has_round_window = true;
                let number = ledger.age.restored_window(number)?;
                ledger.rounds.restore_window(number)
            }
            Entry::Round(round) => {
                if !self.has_round_window {
                    return Err(EntryMisfit::OutOfPlace("round"));
                }
                ledger.restore_round(&round)
            }
        }
    }

    /// The ledger, once all entries were taken.
    ///
    /// # Errors
    /// [`EntryMisfit`] when something is missing: without any entry nothing is.
    pub fn finish(self) -> Result<Ledger, EntryMisfit> {
        let is_empty = self.held.is_empty() && self.account.is_none();
        if !self.has_memory && !is_empty {
            return Err(EntryMisfit::OutOfPlace("end"));
        }
        let books = self.ledger.books.all();
        let adds_up = books.iter().zip(&self.held).all(|(book, held)| {
            (book.player_cash, book.player_bonus) == *held && book.total() == 0
        });
        if !adds_up {
            return Err(EntryMisfit::Unbalanced);
        }
        Ok(self.ledger)
    }
}

#[cfg(test)]
mod tests;
