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
mod checkpoint;
mod codec;
mod data_set;
mod derive;
mod error;
mod fold;
mod frame;
mod header;
mod history;
mod inventory;
mod log;
mod lookup;
mod manifest;
mod rebuild;
mod recovery;
mod reshard;
mod scan;
mod scanner;
mod scrub;
mod sealed;
mod sealed_writer;
mod segment;
mod stopped;
mod tally;
mod verdict;
mod visitor;
mod window;

pub use batch::{Batch, RECORD_BYTES_MAX};
pub use checkpoint::read_checkpoint;
pub use codec::{DecodeError, decode, decode_entry, encode, encode_entry};
pub use data_set::DataSet;
pub use derive::{Derived, derive};
pub use error::{FoldError, LogError, OpenError, Refusal};
pub use fold::{FoldSettings, Folded, fold};
pub use frame::{
    Chain, DataSetId, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FileKind, FrameHeader, FrameKind, Place,
    RECORD_VERSION,
};
pub use header::{FORMAT_VERSION, SegmentHeader};
pub use history::read_history;
pub use inventory::Inventory;
pub use log::{Durability, Log, LogPosition, LogSettings};
pub use lookup::PostingReader;
pub use manifest::{Founding, Manifest, find_manifest, open_data_set, read_manifest};
pub use rebuild::Rebuild;
pub use recovery::{Recovered, recover};
pub use reshard::{Layout, Resharded, reshard};
pub use scan::{Ending, Reading, Scan, TornTail, scan};
pub use scrub::{Scrubbed, scrub};
pub use sealed::{LogAge, SealedHeader};
pub use segment::{
    FIRST_FRAME_OFFSET, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, Segment, SegmentOrder,
    is_segment_size, release_segment, segment_path, shard_directory,
};
pub use tally::{Tally, tally};
pub use verdict::{Behind, Reason, Stop, Verdict, judge};
pub use visitor::{Progress, Visitor};

#[cfg(test)]
pub(crate) mod tests;
