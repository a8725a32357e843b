//! The end of a shard's log: frames go behind everything before them.
//!
//! Invariants:
//! * Every frame starts on a block of its own and is written once. A block that holds
//!   acknowledged postings is never written again.
//! * One frame is on its way to the disk at a time, so only the last one can be torn.
//! * The last block of a segment is kept for the frame that says where the log goes on.
//! * After a failed write nothing more is written.
//!
//! The log makes no files. It says which segment it needs next ([`Log::order`]), whoever
//! drives it has that made and gives it back ([`Log::supply`]), and [`Log::room`] tells
//! how much can be taken in without another one.

use std::collections::VecDeque;

use super::batch::{Batch, LENGTH_BYTES, RECORD_BYTES_MAX, fitting};
use super::error::LogError;
use super::frame::{
    Chain, DataSetId, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameHeader, FrameKind, encode_frame,
    frame_bytes,
};
use super::segment::{FIRST_FRAME_OFFSET, Segment, SegmentOrder};
use crate::failpoint::{self, Window};
use crate::storage::{AlignedBuf, BLOCK_BYTES, Storage};
use crate::types::{Lsn, ShardId};

/// When a write counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the disk says that it is durable.
    Fsync,
    /// When the kernel has it: survives the process, not the machine.
    Os,
}

/// How a log is written.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    /// Length of new segments; [`super::is_segment_size`] says which are allowed.
    pub segment_bytes: u64,
    /// When a write counts as done.
    pub durability: Durability,
}

/// Where a log goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// In which segment.
    pub segment: u32,
    /// Where in it, in bytes.
    pub offset: u64,
    /// The position of the next posting.
    pub next_lsn: Lsn,
    /// What the next frame is chained to.
    pub chain: Chain,
}

impl LogPosition {
    /// Where a log begins.
    #[must_use]
    pub fn origin(data_set: DataSetId, shard: ShardId) -> Self {
        Self {
            segment: 1,
            offset: FIRST_FRAME_OFFSET,
            next_lsn: Lsn::NONE.next(),
            chain: Chain::origin(data_set, shard),
        }
    }
}

const BLOCK: u64 = BLOCK_BYTES as u64;

/// Blocks of a segment that no posting may take: for the frame that leads on, a seal
/// and a clean shutdown.
const RESERVED_BYTES: u64 = 3 * BLOCK;

/// Bytes that no record of a full frame takes: the header, and at the end less than
/// what the next record would have needed.
const FRAME_WASTE_BYTES: u64 = (FRAME_HEADER_BYTES + RECORD_BYTES_MAX) as u64;

/// A batch ends with a frame that is not full. Two batches may be under way at once,
/// one on its way to the disk and one that fills.
const BATCH_WASTE_BYTES: u64 = 2 * (BLOCK + FRAME_WASTE_BYTES);

// Any record fits into a frame of one block, so any free block takes a record.
const _: () = assert!(RECORD_BYTES_MAX + FRAME_HEADER_BYTES <= BLOCK_BYTES);
const _: () = assert!(LENGTH_BYTES < RECORD_BYTES_MAX);

/// The writing end of one shard's log.
#[derive(Debug)]
pub struct Log {
    settings: LogSettings,
    active: Segment,
    position: LogPosition,
    /// Whether the last frame says that everything before it is durable, or there is
    /// nothing to say it of.
    sealed: bool,
    /// Segments behind the active one that wait for their use, in their order.
    spares: VecDeque<Segment>,
    buffer: AlignedBuf,
    failed: bool,
}

impl Log {
    /// Goes on at `position` of `active`; `spares` are the segments behind it.
    pub(super) fn resume(
        settings: LogSettings,
        active: Segment,
        position: LogPosition,
        sealed: bool,
        spares: VecDeque<Segment>,
    ) -> Self {
        assert!(active.header.number == position.segment);
        Self {
            settings,
            active,
            position,
            sealed,
            spares,
            buffer: AlignedBuf::zeroed(BLOCK_BYTES),
            failed: false,
        }
    }

    /// Whose log this is.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.active.header.shard
    }

    /// Where it goes on.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        self.position
    }

    /// Everything up to here is durable, in the sense of the log's [`Durability`].
    #[must_use]
    pub fn durable_lsn(&self) -> Lsn {
        Lsn(self.position.next_lsn.0 - 1)
    }

    /// The memory of the buffer that frames are written from.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.buffer.bytes()
    }

    /// Whether there is nothing that [`Log::seal`] would say.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// The segment to be made next; `None` while one is waiting.
    #[must_use]
    pub fn order(&self) -> Option<SegmentOrder> {
        let header = &self.active.header;
        self.spares.is_empty().then(|| SegmentOrder {
            data_set: header.data_set,
            shard: header.shard,
            number: header.number + 1,
            bytes: self.settings.segment_bytes,
        })
    }

    /// Takes the segment that was ordered.
    ///
    /// # Panics
    /// When it is another one.
    pub fn supply(&mut self, segment: Segment) {
        let last = self.spares.back().unwrap_or(&self.active);
        assert!(segment.header.number == last.header.number + 1);
        assert!(segment.header.shard == last.header.shard);
        assert!(segment.header.data_set == last.header.data_set);
        self.spares.push_back(segment);
    }

    /// Bytes of records that two more batches together may have for sure: one on its
    /// way to the disk and one that fills. Nothing beyond that may be promised to
    /// anybody.
    #[must_use]
    pub fn room(&self) -> u64 {
        let active = self.active.header.bytes - self.position.offset;
        let spares = self
            .spares
            .iter()
            .map(|spare| spare.header.bytes - FIRST_FRAME_OFFSET);
        std::iter::once(active)
            .chain(spares)
            .map(record_room)
            .sum::<u64>()
            .saturating_sub(BATCH_WASTE_BYTES)
    }

    /// Writes a batch behind everything before and returns when it is durable.
    ///
    /// # Errors
    /// Then nothing is known of the batch, and the process must stop.
    ///
    /// # Panics
    /// When the batch does not follow on what was written, when it has more than
    /// [`Log::room`], or after an error.
    pub fn append(&mut self, batch: &Batch) -> Result<(), LogError> {
        let first_lsn = batch.last_lsn().0 + 1 - u64::from(batch.postings());
        assert!(batch.is_empty() || first_lsn == self.position.next_lsn.0);
        let mut records = batch.bytes();
        while !records.is_empty() {
            let (bytes, postings) = fitting(records, self.frame_room());
            if postings == 0 {
                self.roll()?;
                continue;
            }
            let (now, later) = records.split_at(bytes);
            self.write(FrameKind::Batch, now, postings)?;
            records = later;
        }
        Ok(())
    }

    /// Says on the disk that everything before is durable, unless it says so already.
    /// Damage to what was acknowledged then cannot be taken for a torn tail. Without
    /// room it is left out.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn seal(&mut self) -> Result<(), LogError> {
        if self.sealed {
            return Ok(());
        }
        // A roll says the same as a seal.
        if self.free_bytes() >= RESERVED_BYTES {
            self.write(FrameKind::Seal, &[], 0)
        } else if !self.spares.is_empty() {
            self.roll()
        } else {
            Ok(())
        }
    }

    /// Says on the disk that the process ends in good order. Without room it is left
    /// out.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn close(&mut self) -> Result<(), LogError> {
        if self.free_bytes() < 2 * BLOCK {
            if self.spares.is_empty() {
                return Ok(());
            }
            self.roll()?;
        }
        self.write(FrameKind::CleanShutdown, &[], 0)
    }

    fn free_bytes(&self) -> u64 {
        self.active.header.bytes - self.position.offset
    }

    /// Bytes of records that a frame can have here; one block stays for the roll.
    fn frame_room(&self) -> usize {
        let bytes = (self.free_bytes() - BLOCK).min(FRAME_BYTES_MAX as u64) as usize;
        bytes.saturating_sub(FRAME_HEADER_BYTES)
    }

    fn roll(&mut self) -> Result<(), LogError> {
        let Some(next) = self.spares.pop_front() else {
            panic!("more than the log has room for was appended");
        };
        self.write(FrameKind::Roll, &[], 0)?;
        failpoint::pass(Window::SegmentRoll);
        self.position.segment = next.header.number;
        self.position.offset = FIRST_FRAME_OFFSET;
        self.active = next;
        Ok(())
    }

    fn write(&mut self, kind: FrameKind, records: &[u8], postings: u32) -> Result<(), LogError> {
        assert!(!self.failed, "a log is not written after a failure");
        let LogPosition { offset, .. } = self.position;
        let bytes = frame_bytes(records.len());
        assert!(offset + bytes as u64 <= self.active.header.bytes);
        let header = FrameHeader {
            kind,
            payload_bytes: records.len() as u32,
            postings,
            first_lsn: self.position.next_lsn,
            durable_lsn: self.durable_lsn(),
            previous: self.position.chain,
        };
        self.buffer.set_len(bytes);
        let place = self.active.header.place(offset);
        let chain = encode_frame(&header, records, &place, &mut self.buffer);
        let file = &mut self.active.file;
        let written = match self.settings.durability {
            Durability::Fsync => file.write_durably(offset, &self.buffer),
            Durability::Os => file.write_at(offset, &self.buffer),
        };
        if let Err(source) = written {
            self.failed = true;
            return Err(LogError::Write {
                shard: self.shard(),
                file: self.active.path.clone(),
                offset,
                bytes,
                source,
            });
        }
        failpoint::pass(Window::AfterWrite);
        self.position.offset += bytes as u64;
        self.position.next_lsn.0 += u64::from(postings);
        self.position.chain = chain;
        self.sealed = kind != FrameKind::Batch;
        Ok(())
    }

    /// Has the segment made that is needed next, on this thread: for tools and tests,
    /// which have nobody waiting.
    ///
    /// # Errors
    /// What the disk says.
    pub fn supply_from(&mut self, storage: &dyn Storage) -> std::io::Result<()> {
        if let Some(order) = self.order() {
            let segment = order.make(storage, &mut || {})?;
            self.supply(segment);
        }
        Ok(())
    }
}

/// Bytes of records that surely fit into so many free bytes of a segment.
fn record_room(free_bytes: u64) -> u64 {
    let for_frames = free_bytes.saturating_sub(RESERVED_BYTES);
    let frames = for_frames.div_ceil(FRAME_BYTES_MAX as u64);
    for_frames.saturating_sub(frames * FRAME_WASTE_BYTES)
}
