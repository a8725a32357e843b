//! A frame: the bytes of one write, bound to its place and chained to the one before.
//!
//! `docs/internals/wal-format.md` has the byte map. The checksum is XXH3 with 64 bits,
//! seeded by the place where the frame stands: data set, shard, segment, epoch and
//! offset. So a frame that was written elsewhere, or in an earlier life of the file,
//! is no frame here. 64 bits rather than the 32 of a CRC: recovery tries every block
//! behind the end of a log, and 2^-32 per block is a chance that years of restarts
//! would meet; and the function is in the house already, for slots.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::storage::BLOCK_BYTES;
use crate::types::{Lsn, ShardId};

/// What distinguishes one operator's data directory from all others: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataSetId(pub u128);

impl std::fmt::Display for DataSetId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::fmt::Debug for DataSetId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Bytes of a frame before its records.
pub const FRAME_HEADER_BYTES: usize = 64;

/// The longest frame: a few hundred postings at least, and what recovery holds in
/// memory at a time. Larger batches are written as several frames.
pub const FRAME_BYTES_MAX: usize = 256 << 10;

const MAGIC: [u8; 4] = *b"PFRM";

/// Version of the records, of what `codec.rs` writes.
pub const RECORD_VERSION: u8 = 1;

const CHECKSUM: std::ops::Range<usize> = 40..48;

/// What kind of file a frame stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum FileKind {
    /// A segment of the log.
    Segment = 0,
    /// A checkpoint.
    Checkpoint = 1,
    /// Postings that were folded into one.
    History = 2,
}

/// Where a frame stands. A frame is valid at one place only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In what.
    pub file: FileKind,
    /// Whose log.
    pub data_set: DataSetId,
    /// Which of its logs.
    pub shard: ShardId,
    /// Number of the file, 1 for the first.
    pub segment: u32,
    /// How often the file was used before.
    pub epoch: u32,
    /// In the file, in bytes.
    pub offset: u64,
}

impl Place {
    /// Another place in the same file.
    pub(super) fn at(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// What the checksum of a frame at this place is seeded with.
    fn seed(&self) -> u64 {
        let mut bytes = [0; 34];
        bytes[..16].copy_from_slice(&self.data_set.0.to_le_bytes());
        bytes[16..18].copy_from_slice(&self.shard.0.to_le_bytes());
        bytes[18..22].copy_from_slice(&self.segment.to_le_bytes());
        bytes[22..26].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[26..].copy_from_slice(&self.offset.to_le_bytes());
        xxh3_64_with_seed(&bytes, self.file as u64)
    }
}

/// The checksum of a frame, which the next one repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain(pub u64);

impl Chain {
    /// What the first frame of a log is chained to.
    #[must_use]
    pub fn origin(data_set: DataSetId, shard: ShardId) -> Self {
        Self::at(&Place {
            file: FileKind::Segment,
            data_set,
            shard,
            segment: 0,
            epoch: 0,
            offset: 0,
        })
    }

    /// What the first frame is chained to of a file that is chained to no other.
    #[must_use]
    pub fn at(place: &Place) -> Self {
        Self(place.seed())
    }
}

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// Carries postings.
    Batch = 1,
    /// Carries none: says that everything before it is durable.
    Seal = 2,
    /// The last frame of a segment: the log goes on in the next one.
    Roll = 3,
    /// The last frame before an orderly end of the process.
    CleanShutdown = 4,
}

impl FrameKind {
    const ALL: [Self; 4] = [Self::Batch, Self::Seal, Self::Roll, Self::CleanShutdown];
}

/// The fields of a frame before its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What it is for.
    pub kind: FrameKind,
    /// Bytes of its records.
    pub payload_bytes: u32,
    /// How many postings they are.
    pub postings: u32,
    /// Position of the first of them; without any, the position of the next one to come.
    pub first_lsn: Lsn,
    /// Everything up to here was durable before this frame was written.
    pub durable_lsn: Lsn,
    /// Checksum of the frame before.
    pub previous: Chain,
}

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing that was ever a frame of this place.
    NoFrame,
    /// A frame of this place that this version cannot read.
    Newer {
        /// Its kind.
        kind: u8,
        /// The version of its records.
        record_version: u8,
    },
    /// A frame of this place.
    Frame(FrameHeader, Chain),
}

/// Bytes of a frame with that many bytes of records, padding included.
#[must_use]
pub(super) fn frame_bytes(payload_bytes: usize) -> usize {
    (FRAME_HEADER_BYTES + payload_bytes).next_multiple_of(BLOCK_BYTES)
}

/// Writes a frame into `out`, which has exactly [`frame_bytes`] of it.
///
/// # Panics
/// When the lengths do not fit together.
pub(super) fn encode_frame(
    header: &FrameHeader,
    payload: &[u8],
    place: &Place,
    out: &mut [u8],
) -> Chain {
    assert!(payload.len() == header.payload_bytes as usize);
    assert!(out.len() == frame_bytes(payload.len()));
    assert!(out.len() <= FRAME_BYTES_MAX);
    let (head, body) = out.split_at_mut(FRAME_HEADER_BYTES);
    head.fill(0);
    head[..4].copy_from_slice(&MAGIC);
    head[4] = header.kind as u8;
    head[5] = RECORD_VERSION;
    head[8..12].copy_from_slice(&header.payload_bytes.to_le_bytes());
    head[12..16].copy_from_slice(&header.postings.to_le_bytes());
    head[16..24].copy_from_slice(&header.first_lsn.0.to_le_bytes());
    head[24..32].copy_from_slice(&header.durable_lsn.0.to_le_bytes());
    head[32..40].copy_from_slice(&header.previous.0.to_le_bytes());
    body[..payload.len()].copy_from_slice(payload);
    body[payload.len()..].fill(0);
    let chain = checksum(out, place);
    out[CHECKSUM].copy_from_slice(&chain.0.to_le_bytes());
    chain
}

/// Over every byte of the frame's blocks, padding included, but for the checksum itself.
fn checksum(frame: &[u8], place: &Place) -> Chain {
    let before = xxh3_64_with_seed(&frame[..CHECKSUM.start], place.seed());
    Chain(xxh3_64_with_seed(&frame[CHECKSUM.end..], before))
}

/// How long the frame that starts with this block would be; `None` when none does.
#[must_use]
pub(super) fn frame_bytes_at(block: &[u8]) -> Option<usize> {
    if block[..4] != MAGIC {
        return None;
    }
    let payload_bytes = u32_at(block, 8) as usize;
    // The first condition keeps the sum in the second from overflowing.
    (payload_bytes <= FRAME_BYTES_MAX && frame_bytes(payload_bytes) <= FRAME_BYTES_MAX)
        .then(|| frame_bytes(payload_bytes))
}

/// Judges the bytes at a place; their length is what [`frame_bytes_at`] says.
#[must_use]
pub(super) fn decode_frame(frame: &[u8], place: &Place) -> Found {
    let stored = Chain(u64_at(frame, CHECKSUM.start));
    if checksum(frame, place) != stored {
        return Found::NoFrame;
    }
    let kind = FrameKind::ALL
        .into_iter()
        .find(|kind| *kind as u8 == frame[4]);
    match kind {
        Some(kind) if frame[5] == RECORD_VERSION => {
            let header = FrameHeader {
                kind,
                payload_bytes: u32_at(frame, 8),
                postings: u32_at(frame, 12),
                first_lsn: Lsn(u64_at(frame, 16)),
                durable_lsn: Lsn(u64_at(frame, 24)),
                previous: Chain(u64_at(frame, 32)),
            };
            Found::Frame(header, stored)
        }
        _ => Found::Newer {
            kind: frame[4],
            record_version: frame[5],
        },
    }
}

pub(super) fn data_set_at(bytes: &[u8], at: usize) -> DataSetId {
    DataSetId(u128::from(u64_at(bytes, at)) | (u128::from(u64_at(bytes, at + 8)) << 64))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        file: FileKind::Segment,
        data_set: DataSetId(7),
        shard: ShardId(1),
        segment: 2,
        epoch: 3,
        offset: 4_096,
    };

    fn frame(payload: &[u8]) -> (Vec<u8>, FrameHeader, Chain) {
        let header = FrameHeader {
            kind: FrameKind::Batch,
            payload_bytes: payload.len() as u32,
            postings: 1,
            first_lsn: Lsn(10),
            durable_lsn: Lsn(9),
            previous: Chain(8),
        };
        let mut bytes = vec![0xEE; frame_bytes(payload.len())];
        let chain = encode_frame(&header, payload, &PLACE, &mut bytes);
        (bytes, header, chain)
    }

    #[test]
    fn a_frame_reads_back_at_its_place_and_at_no_other() {
        let (bytes, header, chain) = frame(b"records");
        assert_eq!(frame_bytes_at(&bytes), Some(4_096));
        assert_eq!(decode_frame(&bytes, &PLACE), Found::Frame(header, chain));
        let elsewhere = [
            Place {
                data_set: DataSetId(6),
                ..PLACE
            },
            Place {
                shard: ShardId(2),
                ..PLACE
            },
            Place {
                segment: 3,
                ..PLACE
            },
            Place { epoch: 4, ..PLACE },
            Place {
                file: FileKind::History,
                ..PLACE
            },
            Place {
                offset: 8_192,
                ..PLACE
            },
        ];
        for place in elsewhere {
            assert_eq!(decode_frame(&bytes, &place), Found::NoFrame, "{place:?}");
        }
    }

    #[test]
    fn any_changed_bit_makes_it_no_frame() {
        let (bytes, ..) = frame(b"records");
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            let is_frame = frame_bytes_at(&bytes) == Some(bytes.len())
                && decode_frame(&bytes, &PLACE) != Found::NoFrame;
            assert!(!is_frame, "byte {at}");
        }
    }

    #[test]
    fn what_a_later_version_wrote_is_a_frame_all_the_same() {
        for (at, value) in [(4, 9), (5, 2)] {
            let (mut bytes, ..) = frame(b"records");
            bytes[at] = value;
            let chain = checksum(&bytes, &PLACE);
            bytes[CHECKSUM].copy_from_slice(&chain.0.to_le_bytes());
            let newer = Found::Newer {
                kind: bytes[4],
                record_version: bytes[5],
            };
            assert_eq!(decode_frame(&bytes, &PLACE), newer);
        }
    }

    #[test]
    fn lengths_are_judged_before_they_are_believed() {
        let (mut bytes, ..) = frame(b"records");
        let longest = (FRAME_BYTES_MAX - FRAME_HEADER_BYTES) as u32;
        for (length, expected) in [
            (0, Some(4_096)),
            (4_032, Some(4_096)),
            (4_033, Some(8_192)),
            (longest, Some(FRAME_BYTES_MAX)),
            (longest + 1, None),
            (u32::MAX, None),
        ] {
            bytes[8..12].copy_from_slice(&length.to_le_bytes());
            assert_eq!(frame_bytes_at(&bytes), expected, "{length}");
        }
    }
}
