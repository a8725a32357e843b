//! Files that are written once, whole, and never changed: checkpoints and history.
//!
//! A header block that says everything about the file, twice, then frames as in a segment,
//! each as long as it may be. Frames are bound to their place and chained within the file;
//! the header has the checksum of the last one, which covers them all.
//!
//! `sealed_writer.rs` makes them; one that has its name was whole once, so damage to it is
//! damage.

use std::io;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::batch::split_record;
use super::error::{NEWER, READ_ERROR, RESTORE, Refusal};
use super::frame::{
    Chain, DataSetId, FRAME_HEADER_BYTES, FileKind, Place, data_set_at, u32_at, u64_at,
};
use super::header::{BlockHeader, FORMAT_VERSION, HeaderCopy};
use super::inventory::TEMPORARY_SUFFIX;
use super::log::LogPosition;
use super::segment::FIRST_FRAME_OFFSET;
use super::verdict::Stop;
use super::visitor::Progress;
use super::window::{Read, Window};
use crate::storage::{AlignedBuf, BLOCK_BYTES, Storage, StorageFile};
use crate::types::{Lsn, ShardId, UnixMillis};

/// How long the postings of a log span. As in the memory of transactions, time passes
/// from posting to posting and not by the clock's reading, so that a clock that jumps
/// ahead does not age everything at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogAge {
    /// In milliseconds, from the first posting of the log to the last.
    pub ms: i64,
    /// The time of the last posting.
    pub last_at: UnixMillis,
}

/// As much as one step ahead can count: an hour, as short as an idempotency window can be.
/// Where nothing happens for longer, history is kept for longer.
const AGE_STEP_MS_MAX: i64 = 3_600_000;

impl LogAge {
    pub(super) fn grow(&mut self, at: UnixMillis) {
        let passed = at.0.saturating_sub(self.last_at.0);
        self.ms = self.ms.saturating_add(passed.clamp(0, AGE_STEP_MS_MAX));
        self.last_at = at;
    }
}

/// What the header of a checkpoint or of a history file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedHeader {
    /// Which of the two.
    pub kind: FileKind,
    /// Whose log.
    pub data_set: DataSetId,
    /// Which of its logs.
    pub shard: ShardId,
    /// The last segment that was folded.
    pub number: u32,
    /// The number of the checkpoint before, on which the fold went on; 0: there was none.
    pub base: u32,
    /// Length of the file.
    pub bytes: u64,
    /// The first posting that was folded.
    pub first_lsn: Lsn,
    /// The first posting behind those that were folded.
    pub next_lsn: Lsn,
    /// What the first frame of the next segment is chained to.
    pub chain: Chain,
    /// How many entries or postings the file has.
    pub records: u64,
    /// How old the log was.
    pub age: LogAge,
    /// Checksum of the last frame of the file, and so of all of them.
    pub digest: Chain,
}

const HEADER_BYTES: usize = 112;

impl SealedHeader {
    /// Where the log goes on behind what was folded.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        LogPosition {
            segment: self.number + 1,
            offset: FIRST_FRAME_OFFSET,
            next_lsn: self.next_lsn,
            chain: self.chain,
        }
    }

    pub(super) fn id(&self) -> SealedId {
        SealedId {
            kind: self.kind,
            data_set: self.data_set,
            shard: self.shard,
            number: self.number,
        }
    }

    /// The number that stands at the first record: postings have their own position,
    /// entries are counted from 1.
    fn first_record(&self) -> Lsn {
        match self.kind {
            FileKind::History => self.first_lsn,
            FileKind::Checkpoint | FileKind::Segment => Lsn::NONE.next(),
        }
    }
}

fn magic(kind: FileKind) -> [u8; 8] {
    match kind {
        FileKind::Checkpoint => *b"PURSERCP",
        FileKind::History => *b"PURSERPA",
        FileKind::Segment => unreachable!("segments have a header of their own"),
    }
}

impl BlockHeader for SealedHeader {
    const WHAT: &'static str = "the header of a checkpoint or history file";

    fn put(&self, copy: &mut [u8]) {
        copy[..8].copy_from_slice(&magic(self.kind));
        copy[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        copy[12..14].copy_from_slice(&self.shard.0.to_le_bytes());
        copy[16..32].copy_from_slice(&self.data_set.0.to_le_bytes());
        copy[32..36].copy_from_slice(&self.number.to_le_bytes());
        copy[36..40].copy_from_slice(&self.base.to_le_bytes());
        copy[40..48].copy_from_slice(&self.bytes.to_le_bytes());
        copy[48..56].copy_from_slice(&self.first_lsn.0.to_le_bytes());
        copy[56..64].copy_from_slice(&self.next_lsn.0.to_le_bytes());
        copy[64..72].copy_from_slice(&self.chain.0.to_le_bytes());
        copy[72..80].copy_from_slice(&self.records.to_le_bytes());
        copy[80..88].copy_from_slice(&self.age.ms.to_le_bytes());
        copy[88..96].copy_from_slice(&self.age.last_at.0.to_le_bytes());
        copy[96..104].copy_from_slice(&self.digest.0.to_le_bytes());
        let checksum = xxh3_64_with_seed(&copy[..104], 0);
        copy[104..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
    }

    fn decode_copy(copy: &[u8]) -> HeaderCopy<Self> {
        let kind = [FileKind::Checkpoint, FileKind::History]
            .into_iter()
            .find(|kind| copy[..8] == magic(*kind));
        let Some(kind) = kind else {
            return HeaderCopy::Damaged;
        };
        if xxh3_64_with_seed(&copy[..104], 0) != u64_at(copy, 104) {
            return HeaderCopy::Damaged;
        }
        let version = u32_at(copy, 8);
        if version != FORMAT_VERSION {
            return HeaderCopy::OtherVersion(version);
        }
        HeaderCopy::Whole(Self {
            kind,
            data_set: data_set_at(copy, 16),
            shard: ShardId(u32_at(copy, 12) as u16),
            number: u32_at(copy, 32),
            base: u32_at(copy, 36),
            bytes: u64_at(copy, 40),
            first_lsn: Lsn(u64_at(copy, 48)),
            next_lsn: Lsn(u64_at(copy, 56)),
            chain: Chain(u64_at(copy, 64)),
            records: u64_at(copy, 72),
            age: LogAge {
                ms: u64_at(copy, 80).cast_signed(),
                last_at: UnixMillis(u64_at(copy, 88).cast_signed()),
            },
            digest: Chain(u64_at(copy, 96)),
        })
    }
}

/// A checkpoint or history file, open to be read.
pub(super) struct Sealed {
    pub(super) header: SealedHeader,
    /// The name to show to a person.
    pub(super) file_name: String,
    pub(super) file: Box<dyn StorageFile>,
}

/// Takes a record and its number, or says what is wrong with it.
pub(super) type TakeRecord<'a> = &'a mut dyn FnMut(Lsn, &[u8]) -> Result<(), String>;

/// What identifies a sealed file.
#[derive(Clone, Copy, Debug)]
pub(super) struct SealedId {
    pub(super) kind: FileKind,
    pub(super) data_set: DataSetId,
    pub(super) shard: ShardId,
    pub(super) number: u32,
}

impl SealedId {
    pub(super) fn path(&self) -> String {
        self.kind.path(self.shard, self.number)
    }

    /// Its path while it is being made.
    pub(super) fn temporary(&self) -> String {
        format!("{}{TEMPORARY_SUFFIX}", self.path())
    }

    /// The place of a frame in this file.
    pub(super) fn place(&self, offset: u64) -> Place {
        Place {
            file: self.kind,
            data_set: self.data_set,
            shard: self.shard,
            segment: self.number,
            epoch: 0,
            offset,
        }
    }
}

impl Sealed {
    /// Opens a file and checks that it is the one that its name says.
    ///
    /// # Errors
    /// A [`Refusal`] for damage to its header, another data set's file, one of another
    /// length, or one that cannot be read or is not there.
    pub(super) fn open(storage: &dyn Storage, id: SealedId) -> Result<Self, Refusal> {
        Self::open_at(storage, id, &id.path())
    }

    /// As [`Sealed::open`], under another name.
    pub(super) fn open_at(
        storage: &dyn Storage,
        id: SealedId,
        path: &str,
    ) -> Result<Self, Refusal> {
        let file_name = storage.display(path);
        let SealedId {
            kind,
            data_set,
            shard,
            number,
        } = id;
        let refuse = |offset, expected: String, found: String, advice: &str| Refusal {
            file: file_name.clone(),
            offset,
            expected,
            found,
            advice: advice.to_owned(),
        };
        let mut block = AlignedBuf::zeroed(BLOCK_BYTES);
        let read = storage.open(path).and_then(|file| {
            let bytes = file.length()?;
            if bytes >= BLOCK_BYTES as u64 {
                file.read_at(0, &mut block)?;
            }
            Ok((file, bytes))
        });
        let (file, bytes) = read.map_err(|error| {
            let expected = format!("a readable {}", kind.word());
            let (found, advice) = match error.kind() {
                io::ErrorKind::NotFound => ("no such file".to_owned(), RESTORE),
                _ => (error.to_string(), READ_ERROR),
            };
            refuse(0, expected, found, advice)
        })?;
        if bytes < BLOCK_BYTES as u64 {
            let expected = format!("the header of a {}", kind.word());
            let found = format!("a file of {bytes} bytes");
            return Err(refuse(0, expected, found, RESTORE));
        }
        let header = SealedHeader::decode(&block, &file_name)?;
        if header.data_set != data_set {
            return Err(refuse(
                16,
                format!("a {} of data set {data_set}", kind.word()),
                format!("one of data set {}", header.data_set),
                "This file was copied here from another data directory: put back the right one.",
            ));
        }
        if (header.kind, header.shard, header.number) != (kind, shard, number) {
            return Err(refuse(
                0,
                format!("{} {number} of shard {shard}", kind.word()),
                format!(
                    "{} {} of shard {}",
                    header.kind.word(),
                    header.number,
                    header.shard
                ),
                "This file has another's name: put every file back under its own.",
            ));
        }
        if header.bytes != bytes {
            return Err(refuse(
                bytes.min(header.bytes),
                format!("a file of {} bytes, as its header says", header.bytes),
                format!("one of {bytes} bytes"),
                RESTORE,
            ));
        }
        Ok(Self {
            header,
            file_name,
            file,
        })
    }

    /// Hands out every record with its number, in order, and checks every byte.
    ///
    /// # Errors
    /// A [`Refusal`] for anything that is not as it was written, and for a record that
    /// `each` does not take.
    pub(super) fn read(&self, progress: &Progress, each: TakeRecord<'_>) -> Result<(), Refusal> {
        let header = &self.header;
        let mut window = Window::new(self.file.as_ref(), header.bytes);
        let mut offset = FIRST_FRAME_OFFSET;
        let mut chain = Chain::at(&header.id().place(0));
        let mut next = header.first_record();
        while offset < header.bytes {
            let refuse = |expected: String, found: String, advice: &str| Refusal {
                file: self.file_name.clone(),
                offset,
                expected,
                found,
                advice: advice.to_owned(),
            };
            let first = next;
            let expected = || format!("the frame of record {first}");
            let frame = match window.frame(&header.id().place(offset)) {
                Ok(Read::Frame(frame_header, checksum, bytes)) => (frame_header, checksum, bytes),
                Ok(Read::Other(Stop::Misfit, found)) => {
                    return Err(refuse(expected(), found, NEWER));
                }
                Ok(Read::Other(_, found)) => return Err(refuse(expected(), found, RESTORE)),
                Err(error) => return Err(refuse(expected(), error.to_string(), READ_ERROR)),
            };
            let (frame_header, checksum, bytes) = frame;
            progress.add_bytes(bytes.len() as u64);
            if (frame_header.previous, frame_header.first_lsn) != (chain, next) {
                let found = format!("that of record {}", frame_header.first_lsn);
                return Err(refuse(expected(), found, RESTORE));
            }
            let mut records = &bytes[FRAME_HEADER_BYTES..][..frame_header.payload_bytes as usize];
            for _ in 0..frame_header.postings {
                let fits = split_record(records).ok_or("the end of the frame".to_owned());
                let taken = fits.and_then(|(record, rest)| {
                    records = rest;
                    each(next, record)
                });
                taken.map_err(|found| {
                    refuse(
                        format!("a record {next} that fits to those before it"),
                        found,
                        RESTORE,
                    )
                })?;
                next = next.next();
            }
            if !records.is_empty() {
                let found = format!("{} bytes behind its last record", records.len());
                return Err(refuse(expected(), found, RESTORE));
            }
            chain = checksum;
            offset += bytes.len() as u64;
        }
        let records = next.0 - header.first_record().0;
        if (records, chain) != (header.records, header.digest) {
            return Err(Refusal {
                file: self.file_name.clone(),
                offset,
                expected: format!("the end of {} records", header.records),
                found: format!("that of {records}"),
                advice: RESTORE.to_owned(),
            });
        }
        Ok(())
    }
}
