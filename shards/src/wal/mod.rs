//! The write-ahead log: postings as bytes, frames in segments, and the way back.
//!
//! The shard fills a [`Batch`]; a [`Log`] writes it as frames behind everything before.
//! At start, [`open_data_set`] finds or founds the data set, and [`recover`] reads a
//! shard's log, hands every posting to the ledger, and returns the log ready to go on.
//! A log that does not end the way a crash may end it is refused.
//!
//! Nothing here knows a real disk: all I/O goes through [`crate::storage::Storage`].
//! `docs/internals/wal-format.md` has every byte, `docs/internals/recovery.md` the rules.

mod batch;
mod codec;
mod data_set;
mod error;
mod frame;
mod header;
mod log;
mod manifest;
mod recovery;
mod scan;
mod segment;
mod verdict;
mod window;

pub use batch::{Batch, RECORD_BYTES_MAX};
pub use codec::{DecodeError, decode, encode};
pub use data_set::DataSet;
pub use error::{LogError, OpenError, Refusal};
pub use frame::{
    Chain, DataSetId, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameHeader, FrameKind, Place,
    RECORD_VERSION,
};
pub use header::{FORMAT_VERSION, SegmentHeader};
pub use log::{Durability, Log, LogPosition, LogSettings};
pub use manifest::{Founding, Manifest, find_manifest, open_data_set, read_manifest};
pub use recovery::{Recovered, recover};
pub use scan::{Ending, Progress, Scan, TornTail, Visitor, scan, scan_live};
pub use segment::{
    FIRST_FRAME_OFFSET, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, Segment, SegmentOrder,
    is_segment_size, release_segment, segment_path, shard_directory,
};
pub use verdict::{Behind, Reason, Stop, Verdict, judge};

#[cfg(test)]
mod tests;
