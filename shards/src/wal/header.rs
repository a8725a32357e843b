//! Headers: what a file is, twice in its first block.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::error::{NEWER, RESTORE, Refusal};
use super::frame::{DataSetId, FileKind, Place, data_set_at, u32_at, u64_at};
use crate::storage::{AlignedBuf, BLOCK_BYTES};
use crate::types::ShardId;

/// Version of everything that this program writes into a data directory.
pub const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"PURSERSG";

/// The header stands twice in its block, because nothing else tells what it says.
const COPY_BYTES: usize = BLOCK_BYTES / 2;
const HEADER_BYTES: usize = 56;

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Whose log.
    pub data_set: DataSetId,
    /// Which of its logs.
    pub shard: ShardId,
    /// Number of the file, 1 for the first.
    pub number: u32,
    /// How often the file was used before.
    pub epoch: u32,
    /// Length of the file.
    pub bytes: u64,
}

impl SegmentHeader {
    /// The place of a frame in this segment.
    #[must_use]
    pub fn place(&self, offset: u64) -> Place {
        Place {
            file: FileKind::Segment,
            data_set: self.data_set,
            shard: self.shard,
            segment: self.number,
            epoch: self.epoch,
            offset,
        }
    }
}

/// A header that stands twice in the first block of its file.
pub(super) trait BlockHeader: Copy {
    /// In words.
    const WHAT: &'static str;

    /// Writes the fields to the front of a copy, which is zero.
    fn put(&self, copy: &mut [u8]);

    /// Reads a copy.
    fn decode_copy(copy: &[u8]) -> HeaderCopy<Self>;

    /// The header block.
    fn encode(&self) -> AlignedBuf {
        let mut block = AlignedBuf::zeroed(BLOCK_BYTES);
        self.put(&mut block[..COPY_BYTES]);
        block.copy_within(..COPY_BYTES, COPY_BYTES);
        block
    }

    /// Reads a header block of `file`. Both copies must be whole and the rest zero:
    /// damage is not passed over because a second copy happens to have escaped it.
    ///
    /// # Errors
    /// A [`Refusal`] that names the copy to restore from, if there is one.
    fn decode(block: &[u8], file: &str) -> Result<Self, Refusal> {
        let refuse = |offset, found: String, advice: String| Refusal {
            file: file.to_owned(),
            offset,
            expected: format!("{} of format version {FORMAT_VERSION}", Self::WHAT),
            found,
            advice,
        };
        let (first, second) = block.split_at(COPY_BYTES);
        let copies = [Self::decode_copy(first), Self::decode_copy(second)];
        for copy in copies {
            if let HeaderCopy::OtherVersion(version) = copy {
                let found = format!("format version {version}");
                return Err(refuse(0, found, NEWER.to_owned()));
            }
        }
        let expected = copies.iter().find_map(|copy| match copy {
            HeaderCopy::Whole(header) => Some(header),
            HeaderCopy::Damaged | HeaderCopy::OtherVersion(_) => None,
        });
        let Some(header) = expected else {
            return Err(refuse(
                0,
                "both copies of the header damaged".to_owned(),
                RESTORE.to_owned(),
            ));
        };
        let whole = header.encode();
        match (
            first == &whole[..COPY_BYTES],
            second == &whole[COPY_BYTES..],
        ) {
            (true, true) => Ok(*header),
            (false, true) => Err(refuse(
                0,
                "damage in the first copy of the header".to_owned(),
                restore_copy(file, COPY_BYTES, 1, 0),
            )),
            (true, false) => Err(refuse(
                COPY_BYTES as u64,
                "damage in the second copy of the header".to_owned(),
                restore_copy(file, COPY_BYTES, 0, 1),
            )),
            (false, false) => Err(refuse(
                0,
                "damage in both copies of the header".to_owned(),
                RESTORE.to_owned(),
            )),
        }
    }
}

/// What a copy of a header is.
#[derive(Clone, Copy)]
pub(super) enum HeaderCopy<H> {
    Whole(H),
    OtherVersion(u32),
    Damaged,
}

impl BlockHeader for SegmentHeader {
    const WHAT: &'static str = "a segment header";

    fn put(&self, copy: &mut [u8]) {
        copy[..8].copy_from_slice(&MAGIC);
        copy[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        copy[12..14].copy_from_slice(&self.shard.0.to_le_bytes());
        copy[16..32].copy_from_slice(&self.data_set.0.to_le_bytes());
        copy[32..36].copy_from_slice(&self.number.to_le_bytes());
        copy[36..40].copy_from_slice(&self.epoch.to_le_bytes());
        copy[40..48].copy_from_slice(&self.bytes.to_le_bytes());
        let checksum = xxh3_64_with_seed(&copy[..48], 0);
        copy[48..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
    }

    fn decode_copy(copy: &[u8]) -> HeaderCopy<Self> {
        if copy[..8] != MAGIC || xxh3_64_with_seed(&copy[..48], 0) != u64_at(copy, 48) {
            return HeaderCopy::Damaged;
        }
        let version = u32_at(copy, 8);
        if version != FORMAT_VERSION {
            return HeaderCopy::OtherVersion(version);
        }
        HeaderCopy::Whole(Self {
            data_set: data_set_at(copy, 16),
            shard: ShardId(u32_at(copy, 12) as u16),
            number: u32_at(copy, 32),
            epoch: u32_at(copy, 36),
            bytes: u64_at(copy, 40),
        })
    }
}

/// What to do when one of two copies is damaged.
pub(super) fn restore_copy(file: &str, copy_bytes: usize, from: usize, to: usize) -> String {
    format!(
        "The other copy is whole. Check the disk; to restore this one from it: dd if='{file}' \
         of='{file}' bs={copy_bytes} count=1 skip={from} seek={to} conv=notrunc,fsync"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_byte_of_the_header_block_is_refused_and_one_copy_can_be_restored() {
        let header = SegmentHeader {
            data_set: DataSetId(0xABCD),
            shard: ShardId(1),
            number: 3,
            epoch: 2,
            bytes: 1 << 20,
        };
        let block = header.encode();
        assert_eq!(SegmentHeader::decode(&block, "f"), Ok(header));
        for at in 0..BLOCK_BYTES {
            let mut damaged = block.to_vec();
            damaged[at] ^= 0x40;
            let refusal = SegmentHeader::decode(&damaged, "f").unwrap_err();
            let (from, to) = if at < COPY_BYTES { (1, 0) } else { (0, 1) };
            let restored = format!("bs=2048 count=1 skip={from} seek={to}");
            assert!(refusal.advice.contains(&restored), "byte {at}: {refusal}");
        }
    }
}
