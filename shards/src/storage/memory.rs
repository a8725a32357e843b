//! A disk in memory that behaves as badly as a disk may.
//!
//! Writes go to a volatile cache of 512-byte sectors, names of files to a volatile
//! directory; both become durable by a sync. A power cut keeps any part of what was not
//! synced: sectors in any combination, names in the order in which they changed (file
//! systems journal them). Any operation can be told to fail, or to be the last one
//! before the power goes, so a test can do it to every one of them in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::{BLOCK_BYTES, Storage, StorageFile};

/// What a disk writes as a whole or not at all.
const SECTOR_BYTES: usize = 512;

/// What a power cut leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Nothing,
    /// Everything: the cut that does least harm, and what a killed process leaves.
    Everything,
    /// Some sectors and names, chosen by this seed.
    Some(u64),
}

/// A disk that lives as long as a handle to it.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    names: Names,
    durable_names: Names,
    /// Changes of names that are not durable yet, oldest first.
    name_changes: Vec<NameChange>,
    /// Writes, syncs and changes of names so far.
    operations: u64,
    power_goes_at: Option<u64>,
    fails_at: Option<u64>,
    is_off: bool,
    bytes_max: Option<u64>,
    unreadable: Option<(String, Range<u64>)>,
}

#[derive(Default)]
struct Inode {
    durable: Vec<u8>,
    cached: Vec<u8>,
    dirty_sectors: BTreeSet<usize>,
}

#[derive(Clone, Default)]
struct Names {
    directories: BTreeSet<String>,
    files: BTreeMap<String, usize>,
}

#[derive(Clone)]
enum NameChange {
    Directory(String),
    Created(String, usize),
    Renamed(String, String),
    Removed(String),
}

impl MemoryDisk {
    /// How many operations that change something there were.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// Whether the power is off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.0.lock().is_off
    }

    /// The power goes during the operation after that many: it may have an effect or
    /// not, and everything after it fails.
    pub fn cut_power_after(&self, operations: u64) {
        self.0.lock().power_goes_at = Some(operations);
    }

    /// The operation after that many fails, and nobody knows what it did.
    pub fn fail_after(&self, operations: u64) {
        self.0.lock().fails_at = Some(operations);
    }

    /// The next operation fails.
    pub fn fail_next(&self) {
        let mut state = self.0.lock();
        state.fails_at = Some(state.operations);
    }

    /// Cuts the power now if it is still on, and turns it on again.
    pub fn restart(&self, keep: Keep) {
        self.0.lock().restart(keep);
    }

    /// Turns it on again with nothing lost: the process was killed, not the machine.
    pub fn revive(&self) {
        let mut state = self.0.lock();
        state.is_off = false;
        state.power_goes_at = None;
        state.fails_at = None;
    }

    /// Lets the files grow to that many bytes together; `None` for no limit.
    pub fn set_bytes_max(&self, bytes: Option<u64>) {
        self.0.lock().bytes_max = bytes;
    }

    /// Makes a part of a file unreadable.
    pub fn fail_reads(&self, path: &str, range: Range<u64>) {
        self.0.lock().unreadable = Some((path.to_owned(), range));
    }

    /// A file as a reader sees it.
    #[must_use]
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.0.lock();
        let inode = *state.names.files.get(path)?;
        Some(state.inodes[inode].cached.clone())
    }

    /// Replaces a file's contents, durably: damage, or its mending.
    pub fn set_contents(&self, path: &str, bytes: &[u8]) {
        let mut state = self.0.lock();
        let known = state.names.files.get(path).copied();
        let inode = known.unwrap_or(state.inodes.len());
        if known.is_none() {
            state.inodes.push(Inode::default());
        }
        state.inodes[inode] = Inode {
            durable: bytes.to_vec(),
            cached: bytes.to_vec(),
            dirty_sectors: BTreeSet::new(),
        };
        state.names.files.insert(path.to_owned(), inode);
        state.durable_names.files.insert(path.to_owned(), inode);
    }

    /// A disk with the same durable contents and no orders to fail.
    #[must_use]
    pub fn copy(&self) -> Self {
        let state = self.0.lock();
        let copy = Self::default();
        for directory in &state.names.directories {
            let mut copied = copy.0.lock();
            copied.names.directories.insert(directory.clone());
            copied.durable_names.directories.insert(directory.clone());
        }
        for (path, inode) in &state.names.files {
            copy.set_contents(path, &state.inodes[*inode].cached);
        }
        copy
    }

    /// Files and their directories, as a reader sees them.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.0.lock().names.files.keys().cloned().collect()
    }

    /// Begins an operation that changes something: what becomes of it, and the state.
    fn begin(&self) -> (MutexGuard<'_, State>, Result<(), Fault>) {
        let mut state = self.0.lock();
        let fate = state.begin();
        (state, fate)
    }

    fn open_inode(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        let state = self.0.lock();
        state.check_power()?;
        let inode = *state.names.files.get(path).ok_or_else(not_found)?;
        Ok(Box::new(MemoryFile {
            disk: self.clone(),
            path: path.to_owned(),
            inode,
        }))
    }

    fn change_names(&self, change: NameChange) -> io::Result<()> {
        let (mut state, fate) = self.begin();
        if fate != Err(Fault::Off) {
            state.names.apply(&change);
            state.name_changes.push(change);
        }
        fate.map_err(Into::into)
    }
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The power was off before it began: it has no effect.
    Off,
    /// It failed, or the power went, while it was under way: it may have an effect.
    Now,
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::other(match fault {
            Fault::Off => "the power is off",
            Fault::Now => "the disk failed",
        })
    }
}

impl State {
    fn check_power(&self) -> Result<(), Fault> {
        if self.is_off {
            return Err(Fault::Off);
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Fault> {
        self.check_power()?;
        let number = self.operations;
        self.operations += 1;
        if self.power_goes_at == Some(number) {
            self.is_off = true;
            return Err(Fault::Now);
        }
        if self.fails_at == Some(number) {
            return Err(Fault::Now);
        }
        Ok(())
    }

    fn restart(&mut self, keep: Keep) {
        let mut random = Random(match keep {
            Keep::Some(seed) => seed,
            Keep::Nothing | Keep::Everything => 0,
        });
        let mut keeps = |of: usize| match keep {
            Keep::Nothing => 0,
            Keep::Everything => of,
            Keep::Some(_) => random.below(of + 1),
        };
        let kept = keeps(self.name_changes.len());
        for change in &self.name_changes[..kept] {
            self.durable_names.apply(change);
        }
        self.name_changes.clear();
        self.names = self.durable_names.clone();
        for inode in &mut self.inodes {
            let growth = inode.cached.len().saturating_sub(inode.durable.len());
            let durable_len = inode.durable.len() + keeps(growth);
            inode.durable.resize(durable_len, 0);
            for sector in std::mem::take(&mut inode.dirty_sectors) {
                if keeps(1) == 1 {
                    inode.write_through(sector);
                }
            }
            inode.cached.clone_from(&inode.durable);
        }
        self.is_off = false;
        self.power_goes_at = None;
        self.fails_at = None;
    }

    fn check_room(&self, growth: u64) -> io::Result<()> {
        let used: u64 = self
            .names
            .files
            .values()
            .map(|inode| self.inodes[*inode].cached.len() as u64)
            .sum();
        match self.bytes_max {
            Some(max) if used + growth > max => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

impl Inode {
    /// Brings a sector from the cache to the platter, as far as the file reaches there.
    fn write_through(&mut self, sector: usize) {
        let start = sector * SECTOR_BYTES;
        let end = (start + SECTOR_BYTES).min(self.durable.len());
        if start < end {
            self.durable[start..end].copy_from_slice(&self.cached[start..end]);
        }
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if end > self.cached.len() {
            self.cached.resize(end, 0);
        }
        self.cached[offset..end].copy_from_slice(bytes);
        self.dirty_sectors
            .extend(offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
    }

    fn sync(&mut self, sectors: Range<usize>) {
        self.durable.resize(self.cached.len(), 0);
        for sector in sectors {
            if self.dirty_sectors.remove(&sector) {
                self.write_through(sector);
            }
        }
    }
}

impl Names {
    fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Directory(path) => {
                self.directories.insert(path.clone());
            }
            NameChange::Created(path, inode) => {
                self.files.insert(path.clone(), *inode);
            }
            NameChange::Renamed(from, to) => {
                if let Some(inode) = self.files.remove(from) {
                    self.files.insert(to.clone(), inode);
                }
            }
            NameChange::Removed(path) => {
                self.files.remove(path);
            }
        }
    }
}

impl NameChange {
    /// The directory whose sync makes it durable.
    fn directory(&self) -> &str {
        let (Self::Directory(path)
        | Self::Created(path, _)
        | Self::Renamed(_, path)
        | Self::Removed(path)) = self;
        directory_of(path)
    }
}

impl Storage for MemoryDisk {
    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        state.check_power()?;
        if !directory.is_empty() && !state.names.directories.contains(directory) {
            return Err(not_found());
        }
        let paths = state
            .names
            .files
            .keys()
            .chain(&state.names.directories)
            .filter(|path| directory_of(path) == directory)
            .map(|path| path.rsplit('/').next().unwrap_or(path).to_owned());
        Ok(paths.collect())
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        self.change_names(NameChange::Directory(directory.to_owned()))
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        let (mut state, fate) = self.begin();
        fate?;
        let (synced, left): (Vec<_>, Vec<_>) = std::mem::take(&mut state.name_changes)
            .into_iter()
            .partition(|change| change.directory() == directory);
        for change in &synced {
            state.durable_names.apply(change);
        }
        state.name_changes = left;
        Ok(())
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        let inode = {
            let mut state = self.0.lock();
            state.inodes.push(Inode::default());
            state.inodes.len() - 1
        };
        self.change_names(NameChange::Created(path.to_owned(), inode))?;
        self.open_inode(path)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        self.open_inode(path)
    }

    fn open_to_write(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        self.open_inode(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if !self.0.lock().names.files.contains_key(from) {
            return Err(not_found());
        }
        self.change_names(NameChange::Renamed(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.change_names(NameChange::Removed(path.to_owned()))
    }

    fn display(&self, path: &str) -> String {
        path.to_owned()
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    path: String,
    inode: usize,
}

impl MemoryFile {
    fn write(&self, offset: u64, bytes: &[u8], then_sync: bool) -> io::Result<()> {
        assert!(offset.is_multiple_of(BLOCK_BYTES as u64));
        assert!(bytes.len().is_multiple_of(BLOCK_BYTES));
        assert!(bytes.as_ptr().align_offset(BLOCK_BYTES) == 0);
        let (mut state, fate) = self.disk.begin();
        if fate == Err(Fault::Off) {
            return fate.map_err(Into::into);
        }
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let growth = (offset + bytes.len()).saturating_sub(state.inodes[self.inode].cached.len());
        if growth > 0 {
            state.check_room(growth as u64)?;
        }
        let inode = &mut state.inodes[self.inode];
        inode.write(offset, bytes);
        fate?;
        if then_sync {
            inode.sync(offset / SECTOR_BYTES..(offset + bytes.len()) / SECTOR_BYTES);
        }
        Ok(())
    }
}

impl StorageFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        let state = self.disk.0.lock();
        state.check_power()?;
        Ok(state.inodes[self.inode].cached.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.disk.0.lock();
        state.check_power()?;
        let end = offset + buffer.len() as u64;
        if let Some((path, range)) = &state.unreadable
            && *path == self.path
            && offset < range.end
            && range.start < end
        {
            // EIO: what a disk says of a sector it cannot read.
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        let cached = &state.inodes[self.inode].cached;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = cached
            .get(start..start + buffer.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write(offset, bytes, false)
    }

    fn write_durably(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write(offset, bytes, true)
    }

    fn sync(&mut self) -> io::Result<()> {
        let (mut state, fate) = self.disk.begin();
        fate?;
        let inode = &mut state.inodes[self.inode];
        inode.sync(0..inode.cached.len().div_ceil(SECTOR_BYTES));
        Ok(())
    }
}

fn directory_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

/// Steele, Lea and Flood's SplitMix64: enough randomness to choose sectors by.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::super::AlignedBuf;
    use super::*;

    fn filled(byte: u8) -> AlignedBuf {
        let mut block = AlignedBuf::zeroed(BLOCK_BYTES);
        block.fill(byte);
        block
    }

    /// One file, its first block durable, its second not.
    fn half_written() -> MemoryDisk {
        let disk = MemoryDisk::default();
        let mut file = disk.create("f").unwrap();
        disk.sync_directory("").unwrap();
        file.write_at(0, &filled(0)).unwrap();
        file.write_at(BLOCK_BYTES as u64, &filled(0)).unwrap();
        file.sync().unwrap();
        file.write_durably(0, &filled(1)).unwrap();
        file.write_at(BLOCK_BYTES as u64, &filled(2)).unwrap();
        disk
    }

    /// What stands in each sector of the file.
    fn sectors(disk: &MemoryDisk) -> Vec<u8> {
        let contents = disk.contents("f").unwrap();
        contents.iter().step_by(SECTOR_BYTES).copied().collect()
    }

    #[test]
    fn a_power_cut_keeps_what_was_synced_and_any_part_of_the_rest() {
        for (keep, rest) in [(Keep::Nothing, 0), (Keep::Everything, 2)] {
            let disk = half_written();
            assert_eq!(sectors(&disk), [[1; 8], [2; 8]].concat(), "cached");
            disk.restart(keep);
            assert_eq!(sectors(&disk), [[1; 8], [rest; 8]].concat());
        }
        let torn: BTreeSet<Vec<u8>> = (0..64)
            .map(|seed| {
                let disk = half_written();
                disk.restart(Keep::Some(seed));
                assert_eq!(sectors(&disk)[..8], [1; 8]);
                sectors(&disk)[8..].to_vec()
            })
            .collect();
        // Of 256 ways to keep eight sectors.
        assert!(torn.len() > 32, "{torn:?}");
    }

    #[test]
    fn names_are_lost_too_until_their_directory_is_synced() {
        let disk = half_written();
        disk.create_directory("d").unwrap();
        disk.rename("f", "g").unwrap();
        assert_eq!(disk.paths(), ["g"]);
        disk.restart(Keep::Nothing);
        assert_eq!(disk.paths(), ["f"]);
        assert!(disk.list("d").is_err());
        disk.rename("f", "g").unwrap();
        disk.sync_directory("").unwrap();
        disk.restart(Keep::Nothing);
        assert_eq!(disk.paths(), ["g"]);
    }

    #[test]
    fn operations_fail_and_the_power_goes_when_they_were_told_to() {
        let disk = half_written();
        let mut file = disk.open_to_write("f").unwrap();
        disk.fail_next();
        assert!(file.write_durably(0, &filled(3)).is_err());
        assert!(file.write_durably(0, &filled(4)).is_ok());
        disk.cut_power_after(disk.operations());
        assert!(file.write_durably(0, &filled(5)).is_err());
        assert!(file.read_at(0, &mut filled(0)).is_err());
        disk.restart(Keep::Nothing);
        assert_eq!(sectors(&disk)[0], 4);
    }

    #[test]
    fn a_full_disk_takes_no_more_until_there_is_room() {
        let disk = half_written();
        disk.set_bytes_max(Some(2 * BLOCK_BYTES as u64));
        let mut file = disk.open_to_write("f").unwrap();
        file.write_at(0, &filled(9)).unwrap();
        let full = file.write_at(2 * BLOCK_BYTES as u64, &filled(9));
        assert!(super::super::is_no_room(&full.unwrap_err()));
        disk.set_bytes_max(None);
        file.write_at(2 * BLOCK_BYTES as u64, &filled(9)).unwrap();
    }

    #[test]
    fn unreadable_blocks_say_so() {
        let disk = half_written();
        disk.fail_reads("f", 0..1);
        let file = disk.open("f").unwrap();
        assert!(file.read_at(0, &mut filled(0)).is_err());
        assert!(file.read_at(BLOCK_BYTES as u64, &mut filled(0)).is_ok());
    }
}
