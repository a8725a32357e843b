//! Tables that grow, and go away, without stalling their core.
//!
//! A single hash table doubles and rehashes in one go: 197 ms at 3.7 million entries. So
//! entries live in a [`Slab`] that grows by fixed chunks and never moves them, and an
//! [`Index`] finds them through many small tables, each of which rehashes its own small
//! share at a time. Making all these tables at once, or freeing them, would be such a
//! pause again: they are made in groups when they are needed, and freed group by group.

use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};

/// 16,384 tables: at 10 million entries each holds some 600, and rehashing that many
/// takes tens of microseconds, most of them cache misses on the keys. With 1,024 of
/// them the worst insert took 6 ms of CPU time (`purser-bench insert`).
const TABLES: usize = GROUPS * TABLES_PER_GROUP;

/// An empty index is this many pointers.
const GROUPS: usize = 64;

/// A group takes 8 KiB and a microsecond to make; freeing one that is full of tables
/// takes some ten.
const TABLES_PER_GROUP: usize = 256;

/// Tables that are made and freed together.
type Group = Box<[HashTable<u32>]>;

const EMPTY_GROUP_BYTES: usize = TABLES_PER_GROUP * size_of::<HashTable<u32>>();

/// What a group takes with its tables.
fn bytes_of(group: &Group) -> usize {
    let tables = group.iter().map(HashTable::allocation_size);
    EMPTY_GROUP_BYTES + tables.sum::<usize>()
}

/// From a key to a position in a [`Slab`].
pub(super) struct Index {
    groups: Vec<Option<Group>>,
    // Random per process: platforms choose the ids that are hashed here.
    hasher: DefaultHashBuilder,
    entries: usize,
    /// What the groups and their tables take.
    group_bytes: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            groups: (0..GROUPS).map(|_| None).collect(),
            hasher: DefaultHashBuilder::default(),
            entries: 0,
            group_bytes: 0,
        }
    }
}

impl Index {
    /// The position whose entry `is_it`.
    pub(super) fn find(&self, key: impl Hash, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let (group, table) = place_of(hash);
        self.groups[group].as_ref()?[table]
            .find(hash, |&at| is_it(at))
            .copied()
    }

    /// Adds a position whose key is not there yet; `key_of` gives the key of any
    /// position, for when the table grows.
    pub(super) fn insert<K: Hash>(&mut self, at: u32, key_of: impl Fn(u32) -> K) {
        let hash = self.hasher.hash_one(key_of(at));
        let hasher = &self.hasher;
        let (group, table) = place_of(hash);
        let group = self.groups[group].get_or_insert_with(|| {
            self.group_bytes += EMPTY_GROUP_BYTES;
            (0..TABLES_PER_GROUP).map(|_| HashTable::new()).collect()
        });
        let table = &mut group[table];
        let bytes_before = table.allocation_size();
        table.insert_unique(hash, at, |&at| hasher.hash_one(key_of(at)));
        self.group_bytes += table.allocation_size() - bytes_before;
        self.entries += 1;
    }

    /// Takes out the position `at`, if it is there under `key`.
    pub(super) fn remove(&mut self, at: u32, key: impl Hash) {
        let hash = self.hasher.hash_one(key);
        let (group, table) = place_of(hash);
        if let Some(group) = &mut self.groups[group]
            && let Ok(entry) = group[table].find_entry(hash, |&other| other == at)
        {
            entry.remove();
            self.entries -= 1;
        }
    }

    /// The entry under `key` has moved.
    pub(super) fn relocate(&mut self, from: u32, to: u32, key: impl Hash) {
        let hash = self.hasher.hash_one(key);
        let (group, table) = place_of(hash);
        let moved = self.groups[group]
            .as_mut()
            .and_then(|group| group[table].find_mut(hash, |&at| at == from));
        if let Some(at) = moved {
            *at = to;
        }
    }

    /// How many positions there are.
    pub(super) fn len(&self) -> usize {
        self.entries
    }

    /// Frees one group of an index that is used no more; `false` when nothing is left.
    pub(super) fn free_group(&mut self) -> bool {
        while let Some(group) = self.groups.pop() {
            if let Some(group) = group {
                self.group_bytes -= bytes_of(&group);
                return true;
            }
        }
        false
    }

    /// The memory that it takes, counted as tables grow.
    pub(super) fn bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Option<Group>>() + self.group_bytes
    }
}

/// hashbrown takes the low bits for the bucket and the top seven for the tag, so
/// the table is chosen by bits between them.
fn place_of(hash: u64) -> (usize, usize) {
    let table = (hash >> 40) as usize % TABLES;
    (table / TABLES_PER_GROUP, table % TABLES_PER_GROUP)
}

/// Entries that do not move, at positions that are reused after a release. A slab whose
/// entries are taken out by [`Slab::swap_remove`] is one without releases, and has no gaps.
pub(super) struct Slab<T> {
    chunks: Vec<Vec<T>>,
    free: Vec<u32>,
}

/// Entries a chunk holds: allocating one costs microseconds, and a nearly empty
/// last chunk wastes little.
const CHUNK: usize = 4_096;

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Stores an entry and tells its position; `None` when all 2^32 are taken.
    pub(super) fn insert(&mut self, entry: T) -> Option<u32> {
        if let Some(at) = self.free.pop() {
            *self.get_mut(at) = entry;
            return Some(at);
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let chunk_index = self.chunks.len() - 1;
        let chunk = &mut self.chunks[chunk_index];
        let at = u32::try_from(chunk_index * CHUNK + chunk.len()).ok()?;
        chunk.push(entry);
        Some(at)
    }

    /// Gives the position back. The entry stays readable until it is reused, so the
    /// caller takes it out of every index first.
    pub(super) fn release(&mut self, at: u32) {
        self.free.push(at);
    }

    /// All entries in the order of their positions, those that were released included.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    /// Takes an entry out and puts the last one into its place, if it is another one.
    pub(super) fn swap_remove(&mut self, at: u32) -> T {
        let (chunk, within) = (at as usize / CHUNK, at as usize % CHUNK);
        let Some(last) = self.chunks.last_mut() else {
            unreachable!("no such position");
        };
        let Some(mut entry) = last.pop() else {
            unreachable!("empty chunks are let go of");
        };
        if last.is_empty() {
            self.chunks.pop();
        }
        if let Some(hole) = self
            .chunks
            .get_mut(chunk)
            .and_then(|chunk| chunk.get_mut(within))
        {
            std::mem::swap(hole, &mut entry);
        }
        entry
    }

    /// The position of the last entry of a slab without releases.
    pub(super) fn last(&self) -> Option<u32> {
        let chunk = self.chunks.last()?;
        let at = (self.chunks.len() - 1) * CHUNK + chunk.len() - 1;
        Some(at as u32)
    }

    /// Frees one chunk of a slab that is used no more; `false` when nothing is left.
    pub(super) fn free_chunk(&mut self) -> bool {
        self.chunks.pop().is_some()
    }

    /// The memory that it takes, without what its entries own elsewhere.
    pub(super) fn bytes(&self) -> usize {
        // Every chunk is made with its full size.
        self.chunks.len() * CHUNK * size_of::<T>()
            + self.chunks.capacity() * size_of::<Vec<T>>()
            + self.free.capacity() * size_of::<u32>()
    }

    pub(super) fn get(&self, at: u32) -> &T {
        &self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    pub(super) fn get_mut(&mut self, at: u32) -> &mut T {
        &mut self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_across_many_growths_and_gone_after_removal() {
        let mut slab = Slab::default();
        let mut index = Index::default();
        for key in 0..100_000u64 {
            let at = slab.insert(key).unwrap();
            index.insert(at, |at| *slab.get(at));
        }
        let find = |index: &Index, slab: &Slab<u64>, key: u64| {
            index
                .find(key, |at| *slab.get(at) == key)
                .map(|at| *slab.get(at))
        };
        for key in 0..100_000 {
            assert_eq!(find(&index, &slab, key), Some(key));
        }
        let at = index.find(7u64, |at| *slab.get(at) == 7).unwrap();
        index.remove(at, 7u64);
        slab.release(at);
        assert_eq!(find(&index, &slab, 7), None);
        assert_eq!(index.len(), 99_999);
        assert_eq!(slab.insert(100_001), Some(at));
    }

    #[test]
    fn bytes_are_those_of_all_chunks_and_tables_until_the_last_is_freed() {
        let walked = |index: &Index| {
            let groups = index.groups.iter().flatten();
            groups.map(bytes_of).sum::<usize>()
        };
        let mut slab = Slab::default();
        let mut index = Index::default();
        for key in 0..50_000u64 {
            let at = slab.insert(key).unwrap();
            index.insert(at, |at| *slab.get(at));
        }
        assert_eq!(index.group_bytes, walked(&index));
        // A position takes four bytes and a tag of one, in a table between 7/16 and 7/8 full.
        assert!((50_000 * 5..50_000 * 40).contains(&index.bytes()));
        let entries = 50_000usize.div_ceil(CHUNK) * CHUNK;
        assert!((entries * 8..entries * 8 + 4_096).contains(&slab.bytes()));
        let before = index.bytes();
        for key in 0..25_000u64 {
            let at = index.find(key, |at| *slab.get(at) == key).unwrap();
            index.remove(at, key);
        }
        assert_eq!(index.bytes(), before, "a table keeps what it has grown to");
        while index.free_group() {
            assert_eq!(index.group_bytes, walked(&index));
        }
        while slab.free_chunk() {}
        assert_eq!(index.group_bytes, 0);
        assert!(slab.bytes() < 4_096);
    }
}
