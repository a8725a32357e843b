//! What a disk in memory holds: what is durable, what is cached before it, and what a power
//! cut leaves of the two.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;

/// What a disk writes as a whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;

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

#[derive(Default)]
pub(super) struct State {
    pub(super) inodes: Vec<Inode>,
    pub(super) names: Names,
    pub(super) durable_names: Names,
    /// Changes of names that are not durable yet, oldest first.
    pub(super) name_changes: Vec<NameChange>,
    /// Writes, syncs and changes of names so far.
    pub(super) operations: u64,
    pub(super) power_goes_at: Option<u64>,
    pub(super) fails_at: Option<u64>,
    pub(super) is_off: bool,
    pub(super) bytes_max: Option<u64>,
    pub(super) unreadable: Option<(String, Range<u64>)>,
}

#[derive(Default)]
pub(super) struct Inode {
    pub(super) durable: Vec<u8>,
    pub(super) cached: Vec<u8>,
    pub(super) dirty_sectors: BTreeSet<usize>,
}

#[derive(Clone, Default)]
pub(super) struct Names {
    pub(super) directories: BTreeSet<String>,
    pub(super) files: BTreeMap<String, usize>,
}

#[derive(Clone)]
pub(super) enum NameChange {
    Directory(String),
    Created(String, usize),
    Renamed(String, String),
    Removed(String),
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
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
    pub(super) fn check_power(&self) -> Result<(), Fault> {
        if self.is_off {
            return Err(Fault::Off);
        }
        Ok(())
    }

    pub(super) fn begin(&mut self) -> Result<(), Fault> {
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

    pub(super) fn restart(&mut self, keep: Keep) {
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

    pub(super) fn check_room(&self, growth: u64) -> io::Result<()> {
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

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if end > self.cached.len() {
            self.cached.resize(end, 0);
        }
        self.cached[offset..end].copy_from_slice(bytes);
        self.dirty_sectors
            .extend(offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
    }

    pub(super) fn sync(&mut self, sectors: Range<usize>) {
        self.durable.resize(self.cached.len(), 0);
        for sector in sectors {
            if self.dirty_sectors.remove(&sector) {
                self.write_through(sector);
            }
        }
    }
}

impl Names {
    pub(super) fn apply(&mut self, change: &NameChange) {
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
    pub(super) fn directory(&self) -> &str {
        let (Self::Directory(path)
        | Self::Created(path, _)
        | Self::Renamed(_, path)
        | Self::Removed(path)) = self;
        directory_of(path)
    }
}

pub(super) fn directory_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
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
