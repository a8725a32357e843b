//! A segment: a file of frames, as long from the start as it will ever be.
//!
//! It is made ahead of time: filled with zeroes (blocks that were only reserved would
//! drag the file system's journal into the sync of the first frame they hold), given a
//! header, made durable, and only then given its name. So every file that has a
//! segment's name has a whole header, and no crash leaves one without.
//!
//! A segment that is no longer needed can be kept to become a later one: its blocks
//! stay reserved, and the file system has nothing to journal. Its header then counts
//! the lives of the file, its epoch, which seeds the checksums of its frames.

use std::io;

use super::error::{OpenError, READ_ERROR, RESTORE, Refusal};
use super::frame::{DataSetId, FRAME_HEADER_BYTES, FileKind};
use super::header::{BlockHeader, SegmentHeader};
use super::inventory::{FREE_SUFFIX, TEMPORARY_SUFFIX};
use super::window::Window;
use crate::failpoint;
use crate::storage::{AlignedBuf, BLOCK_BYTES, Storage, StorageFile};
use crate::types::ShardId;

/// The smallest segment: a header, and room for a dozen frames, so that tests change
/// segments often.
pub const SEGMENT_BYTES_MIN: u64 = 64 << 10;

/// The largest segment. A frame's place needs no such bound; recovery time and the
/// space a checkpoint frees at a time do.
pub const SEGMENT_BYTES_MAX: u64 = 4 << 30;

/// Where the first frame of a segment stands: behind its header block.
pub const FIRST_FRAME_OFFSET: u64 = BLOCK_BYTES as u64;

const _: () = assert!(FRAME_HEADER_BYTES < BLOCK_BYTES);

/// How much is written at a time when a segment is made: long enough to be fast, short
/// enough that a shard's flush slips in between.
const FILL_BYTES: usize = 1 << 20;

/// The directory of a shard's log.
#[must_use]
pub fn shard_directory(shard: ShardId) -> String {
    format!("shard-{shard}")
}

/// The path of a segment.
#[must_use]
pub fn segment_path(shard: ShardId, number: u32) -> String {
    FileKind::Segment.path(shard, number)
}

/// A segment that exists whole, open to be written.
pub struct Segment {
    /// What its header says.
    pub header: SegmentHeader,
    pub(super) path: String,
    pub(super) file: Box<dyn StorageFile>,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl Segment {
    /// Opens a segment and checks that it is the one that its name says.
    ///
    /// # Errors
    /// [`OpenError::Refused`] for damage, another data set's file, or a file that
    /// cannot be read.
    pub fn open(
        storage: &dyn Storage,
        data_set: DataSetId,
        shard: ShardId,
        number: u32,
    ) -> Result<Self, OpenError> {
        Self::from_file(
            storage,
            data_set,
            shard,
            number,
            storage.open_to_write(&segment_path(shard, number)),
        )
    }

    /// As [`Segment::open`], to read only.
    ///
    /// # Errors
    /// As there.
    pub fn open_to_read(
        storage: &dyn Storage,
        data_set: DataSetId,
        shard: ShardId,
        number: u32,
    ) -> Result<Self, OpenError> {
        Self::from_file(
            storage,
            data_set,
            shard,
            number,
            storage.open(&segment_path(shard, number)),
        )
    }

    /// To read its frames.
    pub(super) fn window(&self) -> Window<'_> {
        Window::new(self.file.as_ref(), self.header.bytes)
    }

    fn from_file(
        storage: &dyn Storage,
        data_set: DataSetId,
        shard: ShardId,
        number: u32,
        opened: io::Result<Box<dyn StorageFile>>,
    ) -> Result<Self, OpenError> {
        let path = segment_path(shard, number);
        let file_name = storage.display(&path);
        let refuse = |offset, expected: String, found: String, advice: &str| Refusal {
            file: file_name.clone(),
            offset,
            expected,
            found,
            advice: advice.to_owned(),
        };
        let mut block = AlignedBuf::zeroed(BLOCK_BYTES);
        let read = opened.and_then(|file| {
            let bytes = file.length()?;
            if bytes >= BLOCK_BYTES as u64 {
                file.read_at(0, &mut block)?;
            }
            Ok((file, bytes))
        });
        let (file, bytes) = read.map_err(|error| {
            refuse(
                0,
                "a readable segment".to_owned(),
                error.to_string(),
                READ_ERROR,
            )
        })?;
        if bytes < BLOCK_BYTES as u64 {
            let found = format!("a file of {bytes} bytes");
            return Err(refuse(0, "a segment header".to_owned(), found, RESTORE).into());
        }
        let header = SegmentHeader::decode(&block, &file_name)?;
        if header.data_set != data_set {
            return Err(refuse(
                16,
                format!("a segment of data set {data_set}"),
                format!("one of data set {}", header.data_set),
                "This file was copied here from another data directory: put back the right one.",
            )
            .into());
        }
        if (header.shard, header.number) != (shard, number) {
            return Err(refuse(
                12,
                format!("segment {number} of shard {shard}"),
                format!("segment {} of shard {}", header.number, header.shard),
                "This file has another's name: put every file back under its own.",
            )
            .into());
        }
        if header.bytes != bytes || !is_segment_size(bytes) {
            return Err(refuse(
                bytes.min(header.bytes),
                format!("a file of {} bytes, as its header says", header.bytes),
                format!("one of {bytes} bytes"),
                RESTORE,
            )
            .into());
        }
        Ok(Self { header, path, file })
    }
}

/// Whether a segment may be that long.
#[must_use]
pub fn is_segment_size(bytes: u64) -> bool {
    bytes.is_multiple_of(BLOCK_BYTES as u64)
        && (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes)
}

/// A segment to be made. Making one takes a while, so it is done off the shard; the
/// order can be sent to any thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentOrder {
    /// Whose log.
    pub data_set: DataSetId,
    /// Which of its logs.
    pub shard: ShardId,
    /// Number of the file.
    pub number: u32,
    /// Length of the file.
    pub bytes: u64,
}

impl SegmentOrder {
    /// Makes the segment, from one that was let go of if there is any. `breathe` is
    /// called between writes, for whoever wants to leave the disk to others.
    ///
    /// # Errors
    /// What the disk says; [`crate::storage::is_no_room`] tells the errors that pass.
    /// What was made so far is removed, so that it does not take the room of others.
    pub fn make(&self, storage: &dyn Storage, breathe: &mut dyn FnMut()) -> io::Result<Segment> {
        let directory = shard_directory(self.shard);
        let temporary = format!("{directory}/{:08}{TEMPORARY_SUFFIX}", self.number);
        self.fill(storage, &temporary, breathe).inspect_err(|_| {
            // It may not even have been created; what counts is the first error.
            let _ = storage.remove(&temporary);
        })
    }

    fn fill(
        &self,
        storage: &dyn Storage,
        temporary: &str,
        breathe: &mut dyn FnMut(),
    ) -> io::Result<Segment> {
        let directory = shard_directory(self.shard);
        let (mut file, epoch) = match self.reuse(storage, temporary)? {
            Some(reused) => reused,
            None => (storage.create(temporary)?, 0),
        };
        let header = SegmentHeader {
            data_set: self.data_set,
            shard: self.shard,
            number: self.number,
            epoch,
            bytes: self.bytes,
        };
        zero(file.as_mut(), 0, self.bytes, breathe)?;
        file.write_at(0, &header.encode())?;
        file.sync()?;
        let path = segment_path(self.shard, self.number);
        failpoint::pass(failpoint::Window::BeforeRename);
        storage.rename(temporary, &path)?;
        failpoint::pass(failpoint::Window::AfterRename);
        storage.sync_directory(&directory)?;
        Ok(Segment { header, path, file })
    }

    /// A file that was let go of, under its temporary name, and the epoch it enters.
    fn reuse(
        &self,
        storage: &dyn Storage,
        temporary: &str,
    ) -> io::Result<Option<(Box<dyn StorageFile>, u32)>> {
        let directory = shard_directory(self.shard);
        for name in storage.list(&directory)? {
            if !name.ends_with(FREE_SUFFIX) {
                continue;
            }
            let path = format!("{directory}/{name}");
            // A fold may be removing it meanwhile: then there is one less.
            let Some(file) = unless_gone(storage.open_to_write(&path))? else {
                continue;
            };
            let mut block = AlignedBuf::zeroed(BLOCK_BYTES);
            let epoch = file
                .read_at(0, &mut block)
                .ok()
                .and_then(|()| SegmentHeader::decode(&block, &path).ok())
                .and_then(|header| header.epoch.checked_add(1));
            match epoch {
                Some(epoch) if file.length()? == self.bytes => {
                    if unless_gone(storage.rename(&path, temporary))?.is_some() {
                        return Ok(Some((file, epoch)));
                    }
                }
                // Of another size, or no segment: of no use.
                _ => drop(unless_gone(storage.remove(&path))?),
            }
        }
        Ok(None)
    }
}

/// `None` for a file that is not there.
fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lets go of a segment whose postings are all in a checkpoint. Its file becomes a
/// later segment, but not before a crash could no longer bring its old name back: a
/// segment of that name with other bytes would be damage.
///
/// # Errors
/// What the disk says; the segment is then still there, or gone, and either is fine.
pub fn release_segment(storage: &dyn Storage, shard: ShardId, number: u32) -> io::Result<()> {
    let free = format!("{}/{number:08}{FREE_SUFFIX}", shard_directory(shard));
    let let_go = format!("{free}{TEMPORARY_SUFFIX}");
    storage.rename(&segment_path(shard, number), &let_go)?;
    storage.sync_directory(&shard_directory(shard))?;
    // A crash before this leaves a file that the next start removes.
    storage.rename(&let_go, &free)
}

/// Writes zeroes from `start` to `end`.
pub(super) fn zero(
    file: &mut dyn StorageFile,
    start: u64,
    end: u64,
    breathe: &mut dyn FnMut(),
) -> io::Result<()> {
    let zeroes = AlignedBuf::zeroed(FILL_BYTES);
    let mut offset = start;
    while offset < end {
        let bytes = (end - offset).min(FILL_BYTES as u64);
        file.write_at(offset, &zeroes[..bytes as usize])?;
        offset += bytes;
        breathe();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
