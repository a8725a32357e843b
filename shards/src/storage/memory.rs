//! A disk in memory. It keeps what was synced, loses what was not, and fails on request.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Storage;

/// A log that lives as long as the process, or in a test as long as its platter.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    platter: Arc<Mutex<Platter>>,
}

#[derive(Default)]
struct Platter {
    durable: Vec<u8>,
    cached: Vec<u8>,
    syncs_until_failure: Option<usize>,
}

impl MemoryDisk {
    /// What a power cut would leave.
    #[must_use]
    pub fn durable(&self) -> Vec<u8> {
        self.platter.lock().durable.clone()
    }

    /// Loses everything that was not synced.
    pub fn cut_power(&self) {
        self.platter.lock().cached.clear();
    }

    /// Lets that many syncs pass and fails the one after.
    pub fn fail_after_syncs(&self, syncs: usize) {
        self.platter.lock().syncs_until_failure = Some(syncs);
    }
}

impl Storage for MemoryDisk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.platter.lock().cached.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut platter = self.platter.lock();
        match &mut platter.syncs_until_failure {
            Some(0) => return Err(io::Error::other("the disk was told to fail")),
            Some(syncs) => *syncs -= 1,
            None => {}
        }
        let cached = std::mem::take(&mut platter.cached);
        platter.durable.extend_from_slice(&cached);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_synced_survives_a_power_cut() {
        let mut disk = MemoryDisk::default();
        disk.append(b"one").unwrap();
        disk.sync().unwrap();
        disk.append(b"two").unwrap();
        disk.cut_power();
        disk.sync().unwrap();
        assert_eq!(disk.durable(), b"one");
    }

    #[test]
    fn a_failed_sync_keeps_nothing_of_its_batch() {
        let mut disk = MemoryDisk::default();
        disk.fail_after_syncs(0);
        disk.append(b"one").unwrap();
        assert!(disk.sync().is_err());
        assert_eq!(disk.durable(), b"");
    }
}
