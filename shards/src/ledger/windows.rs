//! What is remembered for a time, in windows by the age at which it was.
//!
//! A window is a slab of entries and an index by their digests. Only the newest one
//! grows, so an old one can be forgotten as a whole, and may one day live elsewhere than
//! in memory. Nothing here takes long at once: a window is made bit by bit as it fills,
//! and what is left of a forgotten one is freed bit by bit ([`Windows::tidy_up`]).

use std::collections::VecDeque;

use super::EntryMisfit;
use super::index::{Index, Slab};

/// Something that is remembered under a digest.
pub(super) trait Remembered {
    /// The digest of what it is found by.
    fn digest(&self) -> u128;
}

/// Groups of tables and chunks of entries that one [`Windows::tidy_up`] frees, some ten
/// microseconds each. A window of one entry has one of each: so leftovers cannot pile up,
/// even if every entry opens a window of its own.
const FREED_AT_A_TIME: usize = 3;

struct Window<E> {
    number: i64,
    entries: Slab<E>,
    index: Index,
}

impl<E: Remembered> Window<E> {
    fn new(number: i64) -> Self {
        Self {
            number,
            entries: Slab::default(),
            index: Index::default(),
        }
    }

    fn find(&self, digest: u128) -> Option<u32> {
        self.index
            .find(digest, |at| self.entries.get(at).digest() == digest)
    }

    fn insert(&mut self, entry: E) -> u32 {
        let Some(at) = self.entries.insert(entry) else {
            // 4 billion entries of 32 bytes are 137 GB in one window: memory ends first.
            unreachable!("more than 2^32 entries in one window");
        };
        let entries = &self.entries;
        self.index.insert(at, |at| entries.get(at).digest());
        at
    }

    fn take(&mut self, at: u32) -> E {
        let last = self.entries.last();
        let entry = self.entries.swap_remove(at);
        self.index.remove(at, entry.digest());
        if let Some(last) = last.filter(|&last| last != at) {
            let moved = self.entries.get(at).digest();
            self.index.relocate(last, at, moved);
        }
        entry
    }

    /// Frees a part; `false` when nothing is left.
    fn free_some(&mut self) -> bool {
        self.index.free_group() || self.entries.free_chunk()
    }

    fn bytes(&self) -> usize {
        self.entries.bytes() + self.index.bytes()
    }
}

/// Entries of one kind, in windows.
pub(super) struct Windows<E> {
    /// Oldest first.
    windows: VecDeque<Window<E>>,
    /// Forgotten, and not yet freed.
    leftovers: VecDeque<Window<E>>,
}

impl<E> Default for Windows<E> {
    fn default() -> Self {
        Self {
            windows: VecDeque::new(),
            leftovers: VecDeque::new(),
        }
    }
}

impl<E: Remembered> Windows<E> {
    /// The entry under a digest, the newest first.
    pub(super) fn find(&self, digest: u128) -> Option<&E> {
        self.windows
            .iter()
            .rev()
            .find_map(|window| window.find(digest).map(|at| window.entries.get(at)))
    }

    /// Adds an entry to the window `number`, which is the newest one or a new one.
    pub(super) fn insert(&mut self, number: i64, entry: E) -> &mut E {
        let newest = self.newest(number);
        let at = newest.insert(entry);
        newest.entries.get_mut(at)
    }

    /// The same, in place of an entry that the window has under the same digest.
    pub(super) fn put(&mut self, number: i64, entry: E) {
        let newest = self.newest(number);
        match newest.find(entry.digest()) {
            Some(at) => *newest.entries.get_mut(at) = entry,
            None => {
                newest.insert(entry);
            }
        }
    }

    /// Takes out every entry under a digest.
    pub(super) fn remove(&mut self, digest: u128) {
        for window in &mut self.windows {
            if let Some(at) = window.find(digest) {
                window.take(at);
            }
        }
    }

    /// The entry under a digest, moved to the window `number` if it is in an older one.
    pub(super) fn touch(&mut self, number: i64, digest: u128) -> Option<&mut E> {
        let (window, at) = self.renew(number, digest)?;
        Some(self.windows[window].entries.get_mut(at))
    }

    /// The same; an entry that is not there is made.
    pub(super) fn touch_or_insert(
        &mut self,
        number: i64,
        digest: u128,
        make: impl FnOnce() -> E,
    ) -> &mut E {
        match self.renew(number, digest) {
            Some((window, at)) => self.windows[window].entries.get_mut(at),
            None => self.insert(number, make()),
        }
    }

    /// Where an entry is once it was moved.
    fn renew(&mut self, number: i64, digest: u128) -> Option<(usize, u32)> {
        let (window, at) = self
            .windows
            .iter()
            .enumerate()
            .rev()
            .find_map(|(window, entries)| entries.find(digest).map(|at| (window, at)))?;
        if self.windows[window].number >= number {
            return Some((window, at));
        }
        let entry = self.windows[window].take(at);
        let at = self.newest(number).insert(entry);
        Some((self.windows.len() - 1, at))
    }

    /// Forgets all windows before `oldest_kept`; whether there were any.
    pub(super) fn forget_before(&mut self, oldest_kept: i64) -> bool {
        let mut any = false;
        while self
            .windows
            .front()
            .is_some_and(|oldest| oldest.number < oldest_kept)
        {
            self.leftovers.extend(self.windows.pop_front());
            any = true;
        }
        any
    }

    /// Forgets one entry of a window before `oldest_kept`.
    pub(super) fn forget_one_before(&mut self, oldest_kept: i64) -> Option<E> {
        loop {
            let oldest = self
                .windows
                .front_mut()
                .filter(|oldest| oldest.number < oldest_kept)?;
            if let Some(last) = oldest.entries.last() {
                return Some(oldest.take(last));
            }
            self.leftovers.extend(self.windows.pop_front());
        }
    }

    /// Frees some of what forgotten windows have left.
    pub(super) fn tidy_up(&mut self) {
        for _ in 0..FREED_AT_A_TIME {
            let Some(oldest) = self.leftovers.front_mut() else {
                return;
            };
            if !oldest.free_some() {
                self.leftovers.pop_front();
            }
        }
    }

    /// All windows, the oldest first, with their entries in the order of their positions.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, impl Iterator<Item = &E>)> {
        self.windows
            .iter()
            .map(|window| (window.number, window.entries.iter()))
    }

    /// Opens a window behind all others, unless the newest one is it already.
    pub(super) fn restore_window(&mut self, number: i64) -> Result<(), EntryMisfit> {
        match self.windows.back() {
            Some(newest) if newest.number > number => Err(EntryMisfit::Impossible("window")),
            _ => {
                self.newest(number);
                Ok(())
            }
        }
    }

    /// Whether the newest window has the digest.
    pub(super) fn newest_has(&self, digest: u128) -> bool {
        let newest = self.windows.back();
        newest.is_some_and(|newest| newest.find(digest).is_some())
    }

    /// Adds an entry to the newest window, in place of one that is there under its digest.
    pub(super) fn restore(&mut self, entry: E) -> Result<(), EntryMisfit> {
        let Some(newest) = self.windows.back_mut() else {
            return Err(EntryMisfit::OutOfPlace("remembered entry"));
        };
        match newest.find(entry.digest()) {
            // Two windows of another memory became one: the later entry counts.
            Some(at) => *newest.entries.get_mut(at) = entry,
            None => {
                newest.insert(entry);
            }
        }
        Ok(())
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.windows.iter().map(|window| window.index.len()).sum()
    }

    /// The memory that they take, those included that are forgotten and not yet freed.
    pub(super) fn bytes(&self) -> usize {
        let windows = self.windows.iter().chain(&self.leftovers);
        windows.map(Window::bytes).sum()
    }

    fn newest(&mut self, number: i64) -> &mut Window<E> {
        if self
            .windows
            .back()
            .is_none_or(|newest| newest.number < number)
        {
            self.windows.push_back(Window::new(number));
        }
        let Some(newest) = self.windows.back_mut() else {
            unreachable!("just opened")
        };
        newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Number(u128);

    impl Remembered for Number {
        fn digest(&self) -> u128 {
            self.0
        }
    }

    fn filled(windows: i64, entries: u128) -> Windows<Number> {
        let mut filled = Windows::default();
        for number in 0..windows {
            for entry in 0..entries {
                filled.insert(number, Number(number as u128 * entries + entry));
            }
        }
        filled
    }

    #[test]
    fn entries_are_found_in_every_window_until_it_is_forgotten() {
        let mut windows = filled(3, 10_000);
        let found = |windows: &Windows<Number>| {
            (0..30_000)
                .filter(|&n| windows.find(n) == Some(&Number(n)))
                .count()
        };
        assert_eq!(found(&windows), 30_000);
        assert!(windows.forget_before(1));
        assert!(!windows.forget_before(1));
        assert_eq!((found(&windows), windows.len()), (20_000, 20_000));
    }

    #[test]
    fn what_is_touched_moves_to_the_newest_window_and_nothing_is_lost() {
        let mut windows = filled(2, 10_000);
        for n in (0..10_000).step_by(3) {
            assert_eq!(windows.touch(1, n), Some(&mut Number(n)));
            assert!(windows.newest_has(n));
        }
        assert_eq!(windows.touch(1, 99_999), None);
        assert_eq!(windows.len(), 20_000);
        for n in 0..20_000 {
            assert_eq!(windows.find(n), Some(&Number(n)), "{n}");
        }
        windows.forget_before(1);
        for n in 0..10_000 {
            assert_eq!(windows.find(n).is_some(), n % 3 == 0, "{n}");
        }
    }

    #[test]
    fn one_by_one_everything_old_is_forgotten_once() {
        let mut windows = filled(3, 5_000);
        let mut forgotten: Vec<_> =
            std::iter::from_fn(|| windows.forget_one_before(2).map(|Number(n)| n)).collect();
        forgotten.sort_unstable();
        assert_eq!(forgotten, (0..10_000).collect::<Vec<_>>());
        assert_eq!(windows.len(), 5_000);
        assert_eq!(windows.find(10_000), Some(&Number(10_000)));
    }

    #[test]
    fn what_is_left_of_forgotten_windows_goes_away_bit_by_bit() {
        let mut windows = filled(2, 20_000);
        windows.forget_before(1);
        let chunks_and_groups = 64 + 20_000usize.div_ceil(4_096);
        for _ in 0..chunks_and_groups.div_ceil(FREED_AT_A_TIME) {
            assert_eq!(windows.leftovers.len(), 1);
            windows.tidy_up();
        }
        windows.tidy_up();
        assert!(windows.leftovers.is_empty());
        assert_eq!(windows.len(), 20_000);
    }

    #[test]
    fn forgotten_windows_count_until_they_are_freed() {
        let mut windows = filled(2, 20_000);
        let both = windows.bytes();
        windows.forget_before(1);
        assert_eq!(windows.bytes(), both);
        while !windows.leftovers.is_empty() {
            windows.tidy_up();
        }
        // Tables are filled at random, so the two are not the same to the byte.
        let one = windows.bytes();
        assert!(
            (both * 4 / 10..both * 6 / 10).contains(&one),
            "{one} of {both}"
        );
    }

    #[test]
    fn a_window_for_every_entry_leaves_nothing_behind() {
        let mut windows = Windows::default();
        for number in 0..1_000 {
            windows.insert(number, Number(number as u128));
            windows.forget_before(number - 9);
            windows.tidy_up();
        }
        assert!(windows.leftovers.len() <= 1);
    }
}
