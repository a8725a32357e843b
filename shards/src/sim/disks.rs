//! One data directory on several disks: each shard's log on its own, so that one shard
//! can lose power alone. The manifest is on the first.

use std::io;

use crate::storage::{MemoryDisk, Storage, StorageFile};

#[derive(Clone)]
pub(super) struct Disks {
    disks: Vec<MemoryDisk>,
    /// Says that writes are durable when they are not.
    lies: bool,
}

impl Disks {
    pub(super) fn new(disks: Vec<MemoryDisk>, lies: bool) -> Self {
        Self { disks, lies }
    }

    /// The disk of `shard-N` and everything in it.
    fn of(&self, path: &str) -> &MemoryDisk {
        let shard = path
            .strip_prefix("shard-")
            .and_then(|rest| rest.split('/').next())
            .and_then(|number| number.parse::<usize>().ok());
        &self.disks[shard.unwrap_or(0)]
    }

    fn file(&self, file: Box<dyn StorageFile>) -> Box<dyn StorageFile> {
        match self.lies {
            true => Box::new(LyingFile(file)),
            false => file,
        }
    }
}

impl Storage for Disks {
    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        if !directory.is_empty() {
            return self.of(directory).list(directory);
        }
        let mut names = Vec::new();
        for disk in &self.disks {
            names.extend(disk.list(directory)?);
        }
        Ok(names)
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        self.of(directory).create_directory(directory)
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        if !directory.is_empty() {
            return self.of(directory).sync_directory(directory);
        }
        self.disks
            .iter()
            .try_for_each(|disk| disk.sync_directory(directory))
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        Ok(self.file(self.of(path).create(path)?))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        self.of(path).open(path)
    }

    fn open_to_write(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        Ok(self.file(self.of(path).open_to_write(path)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.of(from).rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.of(path).remove(path)
    }

    fn display(&self, path: &str) -> String {
        path.to_owned()
    }
}

/// A drive that does not honour flushes.
struct LyingFile(Box<dyn StorageFile>);

impl StorageFile for LyingFile {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn write_durably(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
