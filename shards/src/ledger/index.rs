//! Tables that grow without stalling their core.
//!
//! A single hash table doubles and rehashes in one go: 197 ms at 3.7 million entries. So
//! entries live in a [`Slab`] that grows by fixed chunks and never moves them, and an
//! [`Index`] finds them through many small tables, each of which rehashes its own small
//! share at a time.

use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};

/// 16,384 tables: at 10 million entries each holds some 600, and rehashing that many
/// takes tens of microseconds, most of them cache misses on the keys. With 1,024 of
/// them the worst insert took 6 ms of CPU time (`purser-bench insert`). Empty, all
/// tables together take half a megabyte.
const TABLES: usize = 16_384;

/// From a key to a position in a [`Slab`].
pub(super) struct Index {
    tables: Box<[HashTable<u32>]>,
    // Random per process: platforms choose the ids that are hashed here.
    hasher: DefaultHashBuilder,
    entries: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            tables: (0..TABLES).map(|_| HashTable::new()).collect(),
            hasher: DefaultHashBuilder::default(),
            entries: 0,
        }
    }
}

impl Index {
    /// The position whose entry `is_it`.
    pub(super) fn find(&self, key: impl Hash, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.tables[table_of(hash)]
            .find(hash, |&at| is_it(at))
            .copied()
    }

    /// Adds a position whose key is not there yet; `key_of` gives the key of any
    /// position, for when the table grows.
    pub(super) fn insert<K: Hash>(&mut self, at: u32, key_of: impl Fn(u32) -> K) {
        let hash = self.hasher.hash_one(key_of(at));
        let hasher = &self.hasher;
        self.tables[table_of(hash)].insert_unique(hash, at, |&at| hasher.hash_one(key_of(at)));
        self.entries += 1;
    }

    /// Takes out the position `at`, if it is there under `key`.
    pub(super) fn remove(&mut self, at: u32, key: impl Hash) {
        let hash = self.hasher.hash_one(key);
        if let Ok(entry) = self.tables[table_of(hash)].find_entry(hash, |&other| other == at) {
            entry.remove();
            self.entries -= 1;
        }
    }

    /// How many positions there are.
    pub(super) fn len(&self) -> usize {
        self.entries
    }
}

/// hashbrown takes the low bits for the bucket and the top seven for the tag, so
/// the table is chosen by bits between them.
fn table_of(hash: u64) -> usize {
    (hash >> 40) as usize % TABLES
}

/// Entries that never move, at positions that are reused after removal.
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
}
