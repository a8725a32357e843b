//! A disk in memory that behaves as badly as a disk may.
//!
//! Writes go to a volatile cache of 512-byte sectors, names of files to a volatile
//! directory; both become durable by a sync. A power cut keeps any part of what was not
//! synced: sectors in any combination, names in the order in which they changed (file
//! systems journal them). Any operation can be told to fail, or to be the last one
//! before the power goes, so a test can do it to every one of them in turn.

mod state;

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

pub use state::Keep;
use state::{Fault, Inode, NameChange, SECTOR_BYTES, State, directory_of};

use super::{BLOCK_BYTES, Storage, StorageFile};

/// A disk that lives as long as a handle to it.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

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

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

#[cfg(test)]
mod tests;
