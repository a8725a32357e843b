//! Transactions seen: what makes a booking happen once (protocol.md section 8).
//!
//! The largest table in memory, so an entry is 32 bytes: a keyed digest of (account,
//! kind, transaction id) instead of the texts, a digest of what a repeat must agree on,
//! and a note of eight bytes. With its share of the index that makes some 45 bytes a
//! transaction (`purser-bench memory`).
//!
//! An entry never changes. That a bet was rolled back is an entry of its own under the
//! bet's id ([`Kind::Reversal`](super::digest::Kind::Reversal)).

use super::digest::Contents;
use super::windows::{Remembered, Windows};
use super::{Entry, EntryMisfit, TransactionEntry};
use crate::types::{Amount, Balance};

/// What is remembered of a transaction beside its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note(i64);

impl Note {
    /// Nothing. Of a reversal: its bet was booked before.
    pub(super) const NONE: Self = Self(0);
    /// A bet that took nothing.
    pub(super) const FREE_PLAY: Self = Self(-1);
    /// A rollback, or the reversal of its bet, that came before the bet.
    pub(super) const BEFORE_BET: Self = Self(-2);

    /// A bet of which so much was taken from bonus funds.
    pub(super) const fn bonus_taken(bonus: Amount) -> Self {
        Self(bonus.minor())
    }

    /// What a bet of an amount had taken.
    pub(super) fn taken(self, amount: Amount) -> Balance {
        let split = Amount::from_minor(self.0)
            .and_then(|bonus| Some((amount.checked_sub(bonus)?, bonus)))
            .map(|(cash, bonus)| Balance { cash, bonus });
        // Free play, the one note of a bet that is no part of its amount.
        split.unwrap_or_default()
    }
}

/// A transaction that is remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transaction {
    pub(super) digest: u128,
    pub(super) contents: Contents,
    pub(super) note: Note,
}

const _: () = assert!(size_of::<Transaction>() == 32);

impl Remembered for Transaction {
    fn digest(&self) -> u128 {
        self.digest
    }
}

/// All transactions of a shard that are still remembered.
#[derive(Default)]
pub(super) struct Transactions {
    windows: Windows<Transaction>,
}

impl Transactions {
    /// What is remembered of a transaction.
    pub(super) fn find(&self, digest: u128) -> Option<&Transaction> {
        self.windows.find(digest)
    }

    /// Remembers a transaction from now on. One that is there already was remembered for
    /// longer than whoever decided this did: the later one counts.
    pub(super) fn remember(&mut self, window: i64, transaction: Transaction) {
        self.windows.put(window, transaction);
    }

    /// Forgets a transaction; for one that whoever decided had forgotten.
    pub(super) fn forget(&mut self, digest: u128) {
        self.windows.remove(digest);
    }

    /// Frees some of what forgotten windows have left.
    pub(super) fn tidy_up(&mut self) {
        self.windows.tidy_up();
    }

    /// Forgets all windows before `oldest_kept`; whether there were any.
    pub(super) fn forget_before(&mut self, oldest_kept: i64) -> bool {
        self.tidy_up();
        self.windows.forget_before(oldest_kept)
    }

    /// Every window with what is in it.
    pub(super) fn entries<E>(&self, each: &mut dyn FnMut(Entry) -> Result<(), E>) -> Result<(), E> {
        for (number, transactions) in self.windows.iter() {
            each(Entry::Window { number })?;
            for transaction in transactions {
                each(Entry::Transaction(TransactionEntry {
                    digest: transaction.digest,
                    contents: transaction.contents.0,
                    note: transaction.note.0,
                }))?;
            }
        }
        Ok(())
    }

    /// Opens a window for transactions from a checkpoint.
    pub(super) fn restore_window(&mut self, number: i64) -> Result<(), EntryMisfit> {
        self.windows.restore_window(number)
    }

    /// Remembers a transaction from a checkpoint in the window that was opened last. Where
    /// several windows may become one, it may be there from an older one, and replaces that.
    pub(super) fn restore(
        &mut self,
        entry: &TransactionEntry,
        may_merge: bool,
    ) -> Result<(), EntryMisfit> {
        if !may_merge && self.windows.newest_has(entry.digest) {
            return Err(EntryMisfit::Twice("transaction"));
        }
        self.windows.restore(Transaction {
            digest: entry.digest,
            contents: Contents(entry.contents),
            note: Note(entry.note),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }

    /// The memory that they take.
    pub(super) fn bytes(&self) -> usize {
        self.windows.bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::age::Age;
    use crate::types::UnixMillis;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// No longer than a step, so that all of it counts.
    const PAUSE_MS: i64 = 400;

    fn at_minute(minute: i64) -> UnixMillis {
        UnixMillis(1_790_000_000_000 + minute * 60_000)
    }

    struct Memory(Transactions, Age);

    impl Memory {
        fn new() -> Self {
            Self::of(HOUR)
        }

        fn of(span: Duration) -> Self {
            Self(Transactions::default(), Age::new(span))
        }

        fn knows(&self, digest: u128) -> bool {
            self.0.find(digest).is_some()
        }

        /// As a ledger applies a posting.
        fn remember(&mut self, digest: u128, at: UnixMillis) {
            self.1.grow_older(at);
            let transaction = Transaction {
                digest,
                contents: Contents(0),
                note: Note::NONE,
            };
            self.0.remember(self.1.window(), transaction);
            self.0.forget_before(self.1.oldest_kept());
        }

        /// Books something every [`PAUSE_MS`] up to each minute, one id a minute.
        fn pass(&mut self, minutes: std::ops::RangeInclusive<i64>) {
            self.pass_ahead(minutes, 0);
        }

        /// The same with a clock that is so many minutes ahead.
        fn pass_ahead(&mut self, minutes: std::ops::RangeInclusive<i64>, ahead: i64) {
            for minute in minutes {
                let end = at_minute(minute + ahead);
                for before in (0..60_000 / PAUSE_MS).rev() {
                    let at = UnixMillis(end.0 - before * PAUSE_MS);
                    self.remember(minute as u128, at);
                }
            }
        }
    }

    const ID: u128 = u128::MAX;

    #[test]
    fn memory_lasts_for_the_span_and_ends_soon_after() {
        for first in 0..10 {
            let mut memory = Memory::new();
            memory.pass(0..=first);
            memory.remember(ID, at_minute(first));
            memory.pass(first + 1..=first + 60);
            assert!(memory.knows(ID), "booked at minute {first}");
            // Eight windows of 7.5 minutes and a spare one, and the rest of the last.
            memory.pass(first + 61..=first + 83);
            assert!(!memory.knows(ID), "booked at minute {first}");
            // An id a minute, and once more for each window that begins within one.
            assert!(memory.0.len() <= 84 + 10);
        }
    }

    #[test]
    fn a_span_that_eight_does_not_divide_is_kept_to_its_last_millisecond() {
        let span = HOUR + Duration::from_millis(7);
        let mut memory = Memory::of(span);
        memory.remember(ID, at_minute(0));
        memory.pass(1..=60);
        memory.remember(ID - 1, at_minute(0).after(span));
        assert!(memory.knows(ID));
    }

    #[test]
    fn a_clock_set_back_loses_nothing() {
        let mut memory = Memory::new();
        for (digest, minute) in [(1, 600), (2, 0), (3, 610)] {
            memory.remember(digest, at_minute(minute));
        }
        for digest in 1..=3 {
            assert!(memory.knows(digest), "{digest}");
        }
    }

    #[test]
    fn a_clock_that_jumps_ahead_and_is_set_right_forgets_nothing_early() {
        let mut memory = Memory::new();
        memory.pass(0..=5);
        memory.remember(ID, at_minute(5));
        // A year ahead for a while, and back.
        memory.pass(525_600..=525_602);
        memory.pass(6..=62);
        assert!(memory.knows(ID));
        // And it does end, however far ahead the clock once was.
        memory.pass(63..=100);
        assert!(!memory.knows(ID));
    }

    /// Jumps that each are longer than a window, as often as the readings say: what they
    /// claim to have passed, nobody has lived through.
    #[test]
    fn a_clock_that_jumps_again_and_again_forgets_nothing_early() {
        let (window, year) = (8, 525_600);
        let forth_and_back = |far: i64| vec![far, -far];
        let twice_up_and_down = |far: i64| vec![far, far, -far, -far];
        for (name, jumps, times) in [
            ("three windows ahead, one by one", vec![window], 3),
            ("to and fro", forth_and_back(window), 29),
            ("a year to and fro", forth_and_back(year), 29),
            ("back, and right again", forth_and_back(-window), 29),
            ("in stairs", twice_up_and_down(window), 14),
            ("in long stairs", twice_up_and_down(year), 14),
        ] {
            let mut memory = Memory::new();
            let mut ahead = 0;
            let mut jumps = jumps.into_iter().cycle().take(2 * times);
            memory.remember(ID, at_minute(0));
            for minute in 1..=60 {
                ahead += jumps.next().unwrap_or(0);
                memory.pass_ahead(minute..=minute, ahead);
                assert!(memory.knows(ID), "{name}: after {minute} minutes");
            }
        }
    }

    #[test]
    fn what_is_remembered_again_is_remembered_for_longer() {
        let mut memory = Memory::new();
        memory.remember(ID, at_minute(0));
        memory.pass(1..=50);
        memory.remember(ID, at_minute(50));
        memory.remember(ID, at_minute(50));
        memory.pass(51..=110);
        assert!(memory.knows(ID));
        memory.pass(111..=140);
        assert!(!memory.knows(ID));
    }

    #[test]
    fn a_note_tells_what_a_bet_took() {
        let amount = |minor| Amount::from_minor(minor).unwrap();
        let taken = |note: Note| {
            let Balance { cash, bonus } = note.taken(amount(10));
            (cash.minor(), bonus.minor())
        };
        assert_eq!(taken(Note::bonus_taken(amount(0))), (10, 0));
        assert_eq!(taken(Note::bonus_taken(amount(4))), (6, 4));
        assert_eq!(taken(Note::bonus_taken(amount(10))), (0, 10));
        assert_eq!(taken(Note::FREE_PLAY), (0, 0));
    }
}
