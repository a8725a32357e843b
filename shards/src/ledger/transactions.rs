//! Transactions seen: what makes a booking happen once.
//!
//! The largest table in memory, so an entry is 32 bytes: a keyed 128-bit digest of
//! (account, kind, transaction id) instead of the texts, and a digest of what a
//! repeat must agree on. The key is random per data set, so nobody can aim for a
//! collision; by chance, two of 10^12 ids collide with probability 10^-15. Checkpoints
//! hold the digests, so how they are made never changes.
//!
//! Memory lasts for the idempotency window. It is cut into [`WINDOWS`] tables by
//! the time of booking, and a table whose last entry is too old is dropped whole. The
//! wall clock may jump; what may be forgotten goes by the time between bookings.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashTable;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;

use super::{Entry, EntryMisfit, MemoryEntry, TransactionEntry};
use crate::types::{AccountId, TransactionId, UnixMillis};

/// Tables per idempotency window. Every new id is looked up in all of them, so few
/// is fast; memory is kept for up to two tables' spans longer than needed, so many is
/// small.
const WINDOWS: i64 = 8;

/// Small tables per window, for the reason that `Index` has.
const TABLES: usize = 16_384;

impl MemoryEntry {
    /// An idempotency window whose parts span as much as in the memory that this is of.
    #[must_use]
    pub fn idempotency_window(&self) -> Duration {
        let window_ms = self.span_ms.saturating_mul(WINDOWS);
        Duration::from_millis(window_ms.unsigned_abs())
    }
}

/// What kind of operation a transaction id belongs to; one id may be used once per kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Deposit = 1,
}

/// Who did what under which id.
pub(super) struct TransactionKey<'a> {
    pub(super) account: &'a AccountId,
    pub(super) kind: Kind,
    pub(super) transaction: &'a TransactionId,
}

/// What a known transaction id was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The id is new.
    Never,
    /// With the same contents: a repeat.
    Same,
    /// With other contents: a mistake.
    Other,
}

/// Digest of the contents that a repeat must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contents(u64);

/// A transaction that is remembered.
struct Known {
    key: u128,
    contents: Contents,
}

/// The transactions of one span of time.
struct Window {
    /// Age of the memory when it was opened, in window lengths.
    number: i64,
    tables: Box<[HashTable<Known>]>,
}

impl Window {
    fn new(number: i64) -> Self {
        let tables = (0..TABLES).map(|_| HashTable::new()).collect();
        Self { number, tables }
    }
}

/// All transactions of a shard that are still remembered.
pub(super) struct Transactions {
    /// Oldest first.
    windows: VecDeque<Window>,
    window_ms: i64,
    /// How much time has passed from booking to booking, as far as that can be believed.
    age_ms: i64,
    last_at: Option<UnixMillis>,
    /// What a window spanned in the memory that this one is restored from.
    restored_span_ms: i64,
    secret: [u64; 2],
    entries: usize,
}

impl Transactions {
    /// Remembers for `idempotency_window`, which configuration keeps above an hour.
    pub(super) fn new(idempotency_window: Duration, secret: [u64; 2]) -> Self {
        // Rounded up, or the windows together would be shorter than they must be.
        let window_ms = idempotency_window.as_millis().div_ceil(WINDOWS as u128);
        Self {
            windows: VecDeque::new(),
            age_ms: 0,
            last_at: None,
            restored_span_ms: 1,
            window_ms: i64::try_from(window_ms).unwrap_or(i64::MAX).max(1),
            secret,
            entries: 0,
        }
    }

    /// Whether, and with which contents, an id was used.
    pub(super) fn seen(&self, key: &TransactionKey<'_>, contents: Contents) -> Seen {
        let key = self.digest(key);
        let hash = hash_of(key);
        let entry =
            self.windows.iter().rev().find_map(|window| {
                window.tables[table_of(hash)].find(hash, |entry| entry.key == key)
            });
        match entry {
            None => Seen::Never,
            Some(entry) if entry.contents == contents => Seen::Same,
            Some(_) => Seen::Other,
        }
    }

    /// Remembers an id that was [`Seen::Never`], and forgets what is too old.
    pub(super) fn remember(
        &mut self,
        key: &TransactionKey<'_>,
        contents: Contents,
        at: UnixMillis,
    ) {
        let key = self.digest(key);
        let hash = hash_of(key);
        self.grow_older(at);
        self.window().tables[table_of(hash)].insert_unique(
            hash,
            Known { key, contents },
            |entry| hash_of(entry.key),
        );
        self.entries += 1;
    }

    /// Digest of what a repeat must agree on: here an amount in minor units.
    pub(super) fn contents(&self, minor: i64) -> Contents {
        let mut hasher = SipHasher24::new_with_keys(self.secret[0], self.secret[1]);
        hasher.write(&minor.to_le_bytes());
        Contents(hasher.finish())
    }

    pub(super) fn len(&self) -> usize {
        self.entries
    }

    /// Forgetting goes by the time between bookings, not by the clock's reading: a
    /// clock that jumps ahead must not forget everything at once. One step counts as one
    /// window at the most, and the spare window below makes up for one such jump; a
    /// step back counts as nothing. Where bookings are rare, ids are remembered for
    /// longer than they must be.
    fn grow_older(&mut self, at: UnixMillis) {
        let passed = self.last_at.map_or(0, |last| at.0.saturating_sub(last.0));
        self.age_ms += passed.clamp(0, self.window_ms);
        self.last_at = Some(at);
    }

    /// The window to book into, opened if it is new. Opening one drops those that ended
    /// an idempotency window and a spare one before it.
    fn window(&mut self) -> &mut Window {
        let number = self.age_ms / self.window_ms;
        if self
            .windows
            .back()
            .is_none_or(|newest| newest.number < number)
        {
            while let Some(oldest) = self.windows.front()
                && oldest.number + WINDOWS + 1 < number
            {
                let dropped: usize = oldest.tables.iter().map(HashTable::len).sum();
                self.entries -= dropped;
                self.windows.pop_front();
            }
            self.windows.push_back(Window::new(number));
        }
        let Some(newest) = self.windows.back_mut() else {
            unreachable!("just opened")
        };
        newest
    }

    /// The age of the memory, then every window with what is in it. Within a window the
    /// order goes by the digests, since that of a table depends on how it grew.
    pub(super) fn entries<E>(&self, each: &mut dyn FnMut(Entry) -> Result<(), E>) -> Result<(), E> {
        each(Entry::Memory(MemoryEntry {
            span_ms: self.window_ms,
            age_ms: self.age_ms,
            last_at: self.last_at,
        }))?;
        let mut sorted = Vec::new();
        for window in &self.windows {
            let number = window.number;
            each(Entry::Window { number })?;
            for table in &window.tables {
                sorted.clear();
                sorted.extend(table.iter().map(|entry| TransactionEntry {
                    digest: entry.key,
                    contents: entry.contents.0,
                }));
                sorted.sort_unstable_by_key(|entry| entry.digest);
                for transaction in sorted.drain(..) {
                    each(Entry::Transaction(transaction))?;
                }
            }
        }
        Ok(())
    }

    /// Takes over the age of another memory.
    pub(super) fn restore_memory(&mut self, memory: &MemoryEntry) -> Result<(), EntryMisfit> {
        if memory.span_ms < 1 || memory.age_ms < 0 {
            return Err(EntryMisfit::Impossible("age of transactions"));
        }
        self.restored_span_ms = memory.span_ms;
        self.age_ms = memory.age_ms;
        self.last_at = memory.last_at;
        Ok(())
    }

    /// Opens a window for what another memory had in one. Where windows span another time
    /// now, it is the one that its end falls into: nothing is forgotten sooner.
    pub(super) fn restore_window(&mut self, number: i64) -> Result<(), EntryMisfit> {
        let impossible = EntryMisfit::Impossible("window of transactions");
        let end_ms = number
            .checked_add(1)
            .and_then(|next| next.checked_mul(self.restored_span_ms))
            .filter(|_| number >= 0)
            .ok_or(impossible)?;
        let number = (end_ms - 1).min(self.age_ms) / self.window_ms;
        match self.windows.back() {
            Some(newest) if newest.number > number => Err(impossible),
            Some(newest) if newest.number == number => Ok(()),
            _ => {
                self.windows.push_back(Window::new(number));
                Ok(())
            }
        }
    }

    /// Remembers what another memory did, in the window that was opened last.
    pub(super) fn restore_transaction(
        &mut self,
        transaction: &TransactionEntry,
    ) -> Result<(), EntryMisfit> {
        let key = transaction.digest;
        let hash = hash_of(key);
        let Some(window) = self.windows.back_mut() else {
            return Err(EntryMisfit::OutOfPlace("transaction"));
        };
        let table = &mut window.tables[table_of(hash)];
        if table.find(hash, |entry| entry.key == key).is_some() {
            return Err(EntryMisfit::Twice("transaction"));
        }
        let contents = Contents(transaction.contents);
        table.insert_unique(hash, Known { key, contents }, |entry| hash_of(entry.key));
        self.entries += 1;
        Ok(())
    }

    fn digest(&self, key: &TransactionKey<'_>) -> u128 {
        let mut hasher = SipHasher24::new_with_keys(self.secret[0], self.secret[1]);
        // The account id's length keeps the two texts apart.
        hasher.write(&[key.kind as u8]);
        hasher.write(&(key.account.as_str().len() as u64).to_le_bytes());
        hasher.write(key.account.as_str().as_bytes());
        hasher.write(key.transaction.as_str().as_bytes());
        hasher.finish128().as_u128()
    }
}

/// A digest is as good as random to everybody who lacks its key.
fn hash_of(digest: u128) -> u64 {
    digest as u64
}

fn table_of(hash: u64) -> usize {
    (hash >> 40) as usize % TABLES
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at_minute(minute: i64) -> UnixMillis {
        UnixMillis(1_790_000_000_000 + minute * 60_000)
    }

    struct Memory(Transactions, AccountId);

    impl Memory {
        fn new() -> Self {
            Self::of(HOUR)
        }

        fn of(idempotency_window: Duration) -> Self {
            Self(
                Transactions::new(idempotency_window, [1, 2]),
                AccountId::parse("acme/p1").unwrap(),
            )
        }

        fn seen(&self, id: &str, minor: i64) -> Seen {
            let transaction = TransactionId::parse(id).unwrap();
            let key = TransactionKey {
                account: &self.1,
                kind: Kind::Deposit,
                transaction: &transaction,
            };
            self.0.seen(&key, self.0.contents(minor))
        }

        fn remember(&mut self, id: &str, minor: i64, at: UnixMillis) {
            let transaction = TransactionId::parse(id).unwrap();
            let account = self.1.clone();
            let key = TransactionKey {
                account: &account,
                kind: Kind::Deposit,
                transaction: &transaction,
            };
            let contents = self.0.contents(minor);
            self.0.remember(&key, contents, at);
        }
    }

    #[test]
    fn an_id_is_new_then_a_repeat_and_with_other_contents_a_mistake() {
        let mut memory = Memory::new();
        assert_eq!(memory.seen("d-1", 100), Seen::Never);
        memory.remember("d-1", 100, at_minute(0));
        assert_eq!(memory.seen("d-1", 100), Seen::Same);
        assert_eq!(memory.seen("d-1", 101), Seen::Other);
        assert_eq!(memory.seen("d-2", 100), Seen::Never);
    }

    /// Checkpoints hold these.
    #[test]
    fn the_digests_of_an_id_are_these_for_ever() {
        let memory = Memory::new();
        let transaction = TransactionId::parse("d-1").unwrap();
        let key = TransactionKey {
            account: &memory.1,
            kind: Kind::Deposit,
            transaction: &transaction,
        };
        let digest = 136_129_150_776_247_263_562_683_256_849_756_187_282;
        assert_eq!(memory.0.digest(&key), digest);
        assert_eq!(memory.0.contents(100), Contents(14_444_055_413_633_336_856));
    }

    /// Books something every minute from one minute to another.
    fn pass(memory: &mut Memory, minutes: std::ops::RangeInclusive<i64>) {
        for minute in minutes {
            memory.remember(&format!("m-{minute}"), 1, at_minute(minute));
        }
    }

    #[test]
    fn memory_lasts_for_the_window_and_ends_soon_after() {
        for first in 0..10 {
            let mut memory = Memory::new();
            pass(&mut memory, 0..=first);
            memory.remember("d-1", 100, at_minute(first));
            pass(&mut memory, first + 1..=first + 60);
            assert_eq!(
                memory.seen("d-1", 100),
                Seen::Same,
                "booked at minute {first}"
            );
            // Eight tables of 7.5 minutes and a spare one, and the rest of the last.
            pass(&mut memory, first + 61..=first + 83);
            assert_eq!(
                memory.seen("d-1", 100),
                Seen::Never,
                "booked at minute {first}"
            );
            assert!(memory.0.len() <= 84);
        }
    }

    #[test]
    fn a_window_that_eight_does_not_divide_is_kept_to_its_last_millisecond() {
        let window = HOUR + Duration::from_millis(7);
        let mut memory = Memory::of(window);
        memory.remember("d-1", 100, at_minute(0));
        for minute in 1..=60 {
            memory.remember(&format!("m-{minute}"), 1, at_minute(minute));
        }
        memory.remember("d-2", 100, at_minute(0).after(window));
        assert_eq!(memory.seen("d-1", 100), Seen::Same);
    }

    #[test]
    fn a_clock_set_back_loses_nothing() {
        let mut memory = Memory::new();
        memory.remember("d-1", 1, at_minute(600));
        memory.remember("d-2", 2, at_minute(0));
        memory.remember("d-3", 3, at_minute(610));
        for (id, minor) in [("d-1", 1), ("d-2", 2), ("d-3", 3)] {
            assert_eq!(memory.seen(id, minor), Seen::Same, "{id}");
        }
    }

    #[test]
    fn a_clock_that_jumps_ahead_and_is_set_right_forgets_nothing_early() {
        let mut memory = Memory::new();
        pass(&mut memory, 0..=5);
        memory.remember("d-1", 1, at_minute(5));
        // A year ahead for a while, and back.
        pass(&mut memory, 525_600..=525_602);
        pass(&mut memory, 6..=62);
        assert_eq!(memory.seen("d-1", 1), Seen::Same);
        // And it does end, however far ahead the clock once was.
        pass(&mut memory, 63..=100);
        assert_eq!(memory.seen("d-1", 1), Seen::Never);
    }

    /// What another memory remembered, from a checkpoint.
    fn restored(from: &Memory, idempotency_window: Duration) -> Memory {
        let mut memory = Memory::of(idempotency_window);
        let to = &mut memory.0;
        from.0
            .entries(&mut |entry| match entry {
                Entry::Memory(age) => to.restore_memory(&age),
                Entry::Window { number } => to.restore_window(number),
                Entry::Transaction(known) => to.restore_transaction(&known),
                _ => unreachable!("not of this memory"),
            })
            .unwrap();
        memory
    }

    #[test]
    fn a_memory_that_is_restored_to_another_window_keeps_to_that() {
        for hours in [1, 3, 8, 24, 72] {
            let window = hours * HOUR;
            let mut before = Memory::of(8 * HOUR);
            pass(&mut before, 0..=29);
            before.remember("d-1", 100, at_minute(30));
            let mut memory = restored(&before, window);
            let minutes = 60 * i64::from(hours);
            pass(&mut memory, 31..=30 + minutes);
            assert_eq!(memory.seen("d-1", 100), Seen::Same, "{hours} h");
            // Eight tables, a spare one, and the rest of the last.
            pass(
                &mut memory,
                31 + minutes..=30 + minutes + 3 * minutes / 8 + 1,
            );
            assert_eq!(memory.seen("d-1", 100), Seen::Never, "{hours} h");
        }
    }
}
