//! The manifest: what a data directory is, and how its accounts are spread.
//!
//! It is written once, when the data set is founded, after the first segment of every
//! shard is durable. So with a manifest every shard has a log, and without one there is
//! nothing to lose. It stands twice in its file.

use std::io;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::error::{NEWER, OpenError, READ_ERROR, RESTORE, Refusal};
use super::frame::{DataSetId, data_set_at, u32_at, u64_at};
use super::header::{FORMAT_VERSION, restore_copy};
use super::log::LogSettings;
use super::segment::{FIRST_FRAME_OFFSET, SegmentOrder, shard_directory};
use crate::failpoint::{self, Window};
use crate::routing::SlotMap;
use crate::storage::{AlignedBuf, BLOCK_BYTES, Storage};
use crate::types::{ShardId, Slot};

/// What a data directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Which data set.
    pub data_set: DataSetId,
    /// Keys the digests of transaction ids. Checkpoints hold such digests, so the key
    /// lives with the data, and outlives the data-set id when the data is laid out anew.
    pub digest_secret: [u64; 2],
    /// Who owns which slot, and so how many shards there are.
    pub slot_map: SlotMap,
}

/// What a data set that is founded is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Founding {
    /// Its id.
    pub data_set: DataSetId,
    /// The key of its digests of transaction ids.
    pub digest_secret: [u64; 2],
}

impl Founding {
    /// 256 random bits.
    ///
    /// # Errors
    /// The system's random source failed.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self {
            data_set: data_set_at(&bytes, 0),
            digest_secret: [u64_at(&bytes, 16), u64_at(&bytes, 24)],
        })
    }
}

const MANIFEST: &str = "manifest";
const MANIFEST_TEMPORARY: &str = "manifest.tmp";

const MAGIC: [u8; 8] = *b"PURSERMF";
const CHECKSUM: std::ops::Range<usize> = 32..40;
const SECRET_OFFSET: usize = 40;
const SLOTS_OFFSET: usize = 64;

/// One of the two copies: the fields, two bytes per slot, zeroes to the next block.
const COPY_BYTES: usize = (SLOTS_OFFSET + 2 * Slot::COUNT as usize).next_multiple_of(BLOCK_BYTES);

impl Manifest {
    /// The whole file.
    #[must_use]
    pub fn encode(&self) -> AlignedBuf {
        let mut file = AlignedBuf::zeroed(2 * COPY_BYTES);
        let copy = &mut file[..COPY_BYTES];
        copy[..8].copy_from_slice(&MAGIC);
        copy[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        copy[12..14].copy_from_slice(&self.slot_map.shards().to_le_bytes());
        copy[16..32].copy_from_slice(&self.data_set.0.to_le_bytes());
        for (half, at) in self
            .digest_secret
            .iter()
            .zip([SECRET_OFFSET, SECRET_OFFSET + 8])
        {
            copy[at..at + 8].copy_from_slice(&half.to_le_bytes());
        }
        for slot in 0..Slot::COUNT {
            let owner = self.slot_map.owner(Slot::from_low_bits(slot));
            let at = SLOTS_OFFSET + 2 * usize::from(slot);
            copy[at..at + 2].copy_from_slice(&owner.0.to_le_bytes());
        }
        let checksum = checksum(copy);
        copy[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
        file.copy_within(..COPY_BYTES, COPY_BYTES);
        file
    }

    fn decode_copy(copy: &[u8]) -> ManifestCopy {
        if copy[..8] != MAGIC || checksum(copy) != u64_at(copy, CHECKSUM.start) {
            return ManifestCopy::Damaged;
        }
        let version = u32_at(copy, 8);
        let shards = u32_at(copy, 12) as u16;
        if version != FORMAT_VERSION || !(1..=Slot::COUNT).contains(&shards) {
            return ManifestCopy::Other(format!("format version {version}"));
        }
        let manifest = Self {
            data_set: data_set_at(copy, 16),
            digest_secret: [u64_at(copy, SECRET_OFFSET), u64_at(copy, SECRET_OFFSET + 8)],
            slot_map: SlotMap::even(shards),
        };
        if manifest.encode()[..COPY_BYTES] != *copy {
            return ManifestCopy::Other("slots that are not spread evenly".to_owned());
        }
        ManifestCopy::Whole(manifest)
    }

    /// Reads the file's bytes; `file` is its name. Both copies must be whole.
    ///
    /// # Errors
    /// A [`Refusal`] that names the copy to restore from, if there is one.
    pub fn decode(bytes: &[u8], file: &str) -> Result<Self, Refusal> {
        let refuse = |offset: usize, found: String, advice: String| Refusal {
            file: file.to_owned(),
            offset: offset as u64,
            expected: format!("a manifest of format version {FORMAT_VERSION}"),
            found,
            advice,
        };
        if bytes.len() != 2 * COPY_BYTES {
            let found = format!(
                "a file of {} bytes instead of {}",
                bytes.len(),
                2 * COPY_BYTES
            );
            return Err(refuse(
                bytes.len().min(2 * COPY_BYTES),
                found,
                RESTORE.to_owned(),
            ));
        }
        let (first, second) = bytes.split_at(COPY_BYTES);
        match (Self::decode_copy(first), Self::decode_copy(second)) {
            (ManifestCopy::Whole(one), ManifestCopy::Whole(two)) if one == two => Ok(one),
            (ManifestCopy::Other(found), _) | (_, ManifestCopy::Other(found)) => {
                Err(refuse(0, found, NEWER.to_owned()))
            }
            (ManifestCopy::Damaged, ManifestCopy::Whole(_)) => Err(refuse(
                0,
                "damage in the first copy of the manifest".to_owned(),
                restore_copy(file, COPY_BYTES, 1, 0),
            )),
            (ManifestCopy::Whole(_), ManifestCopy::Damaged) => Err(refuse(
                COPY_BYTES,
                "damage in the second copy of the manifest".to_owned(),
                restore_copy(file, COPY_BYTES, 0, 1),
            )),
            (ManifestCopy::Whole(_), ManifestCopy::Whole(_)) => Err(refuse(
                COPY_BYTES,
                "two copies that differ".to_owned(),
                RESTORE.to_owned(),
            )),
            (ManifestCopy::Damaged, ManifestCopy::Damaged) => Err(refuse(
                0,
                "damage in both copies of the manifest".to_owned(),
                RESTORE.to_owned(),
            )),
        }
    }
}

enum ManifestCopy {
    Whole(Manifest),
    Other(String),
    Damaged,
}

fn checksum(copy: &[u8]) -> u64 {
    let before = xxh3_64_with_seed(&copy[..CHECKSUM.start], 0);
    xxh3_64_with_seed(&copy[CHECKSUM.end..], before)
}

/// Reads the manifest of a data directory; `None` when there is none.
///
/// # Errors
/// [`OpenError::Refused`] when it is damaged or cannot be read.
pub fn read_manifest(storage: &dyn Storage) -> Result<Option<Manifest>, OpenError> {
    let name = storage.display(MANIFEST);
    let read = storage.open(MANIFEST).and_then(|file| {
        // One block more than it should have is enough to see that it is too long.
        let len = file.length()?.min((2 * COPY_BYTES + BLOCK_BYTES) as u64) as usize;
        let mut bytes = AlignedBuf::zeroed(2 * COPY_BYTES);
        if len == bytes.len() {
            file.read_at(0, &mut bytes)?;
        } else {
            bytes.set_len(len);
        }
        Ok(bytes)
    });
    match read {
        Ok(bytes) => Ok(Some(Manifest::decode(&bytes, &name)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Refusal {
            file: name,
            offset: 0,
            expected: "a readable manifest".to_owned(),
            found: error.to_string(),
            advice: READ_ERROR.to_owned(),
        }
        .into()),
    }
}

/// As [`read_manifest`], and sees to it that where there is none, there is no data either.
///
/// # Errors
/// [`OpenError::Refused`] also when there is data without a manifest.
pub fn find_manifest(storage: &dyn Storage) -> Result<Option<Manifest>, OpenError> {
    let manifest = read_manifest(storage)?;
    if manifest.is_none() {
        for (path, holds_log) in unborn_files(storage)? {
            if holds_log {
                check_unborn(storage, &path)?;
            }
        }
    }
    Ok(manifest)
}

/// Finds the data set of a directory, or founds one that is as `new` says.
///
/// # Errors
/// [`OpenError::OtherShardCount`] when the data is laid out for another number of
/// shards; [`OpenError::Refused`] when its manifest is damaged or missing;
/// [`OpenError::Io`] when it cannot be founded.
pub fn open_data_set(
    storage: &dyn Storage,
    shards: u16,
    settings: LogSettings,
    new: Founding,
) -> Result<Manifest, OpenError> {
    let manifest = match read_manifest(storage)? {
        Some(manifest) => manifest,
        None => found(storage, shards, settings, new)?,
    };
    // A process killed while it founded the data set may not have come to this.
    storage
        .sync_directory("")
        .map_err(|source| io_error(storage, "sync", "", source))?;
    match manifest.slot_map.shards() {
        found if found == shards => Ok(manifest),
        found => Err(OpenError::OtherShardCount {
            directory: storage.display(""),
            found,
            asked: shards,
        }),
    }
}

fn found(
    storage: &dyn Storage,
    shards: u16,
    settings: LogSettings,
    Founding {
        data_set,
        digest_secret,
    }: Founding,
) -> Result<Manifest, OpenError> {
    remove_unborn(storage)?;
    for shard in (0..shards).map(ShardId) {
        let directory = shard_directory(shard);
        storage
            .create_directory(&directory)
            .map_err(|source| io_error(storage, "create", &directory, source))?;
        let first = SegmentOrder {
            data_set,
            shard,
            number: 1,
            bytes: settings.segment_bytes,
        };
        first
            .make(storage, &mut || {})
            .map_err(|source| io_error(storage, "make the first segment in", &directory, source))?;
    }
    let manifest = Manifest {
        data_set,
        digest_secret,
        slot_map: SlotMap::even(shards),
    };
    write_manifest(storage, &manifest)
        .map_err(|source| io_error(storage, "write", MANIFEST, source))?;
    match read_manifest(storage)? {
        Some(read) if read == manifest => Ok(manifest),
        _ => Err(io_error(
            storage,
            "read back",
            MANIFEST,
            io::Error::other("it is not what was written"),
        )),
    }
}

/// Writes the manifest, durably: from then on the data set is there.
pub(super) fn write_manifest(storage: &dyn Storage, manifest: &Manifest) -> io::Result<()> {
    // The shards' directories, before what promises that they are there.
    storage.sync_directory("")?;
    let mut file = storage.create(MANIFEST_TEMPORARY)?;
    file.write_at(0, &manifest.encode())?;
    file.sync()?;
    failpoint::pass(Window::BeforeRename);
    storage.rename(MANIFEST_TEMPORARY, MANIFEST)?;
    failpoint::pass(Window::AfterRename);
    storage.sync_directory("")
}

/// Removes what an earlier founding left that did not come to its manifest. A log with
/// anything in it is not that: then the manifest was lost.
fn remove_unborn(storage: &dyn Storage) -> Result<(), OpenError> {
    for (path, holds_log) in unborn_files(storage)? {
        if holds_log {
            check_unborn(storage, &path)?;
        }
        storage
            .remove(&path)
            .map_err(|source| io_error(storage, "remove", &path, source))?;
    }
    Ok(())
}

/// The files in the directories of shards, and whether they have the name of a part of a log.
fn unborn_files(storage: &dyn Storage) -> Result<Vec<(String, bool)>, OpenError> {
    let list = |directory: &str| {
        storage
            .list(directory)
            .map_err(|source| io_error(storage, "list", directory, source))
    };
    let mut files = Vec::new();
    for directory in list("")?.iter().filter(|name| name.starts_with("shard-")) {
        for name in list(directory)? {
            let holds_log = [".seg", ".ckpt", ".past"]
                .iter()
                .any(|suffix| name.ends_with(suffix));
            files.push((format!("{directory}/{name}"), holds_log));
        }
    }
    Ok(files)
}

/// An unborn segment is zero behind its header.
fn check_unborn(storage: &dyn Storage, path: &str) -> Result<(), OpenError> {
    let refuse = |offset, found: String, advice: &str| Refusal {
        file: storage.display(path),
        offset,
        expected: "an unused segment, for there is no manifest".to_owned(),
        found,
        advice: advice.to_owned(),
    };
    let read = || -> io::Result<Option<u64>> {
        let file = storage.open(path)?;
        let mut block = AlignedBuf::zeroed(BLOCK_BYTES);
        let blocks = file.length()? / BLOCK_BYTES as u64;
        for offset in (0..blocks).map(|block| block * BLOCK_BYTES as u64) {
            file.read_at(offset, &mut block)?;
            if offset >= FIRST_FRAME_OFFSET && block.iter().any(|byte| *byte != 0) {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    };
    match read() {
        Ok(None) => Ok(()),
        Ok(Some(offset)) => Err(refuse(
            offset,
            "data".to_owned(),
            "The manifest is missing: put it back, or restore the data directory from a backup.",
        )
        .into()),
        Err(error) => Err(refuse(0, error.to_string(), READ_ERROR).into()),
    }
}

fn io_error(
    storage: &dyn Storage,
    action: &'static str,
    path: &str,
    source: io::Error,
) -> OpenError {
    OpenError::Io {
        action,
        file: storage.display(path),
        source,
    }
}
