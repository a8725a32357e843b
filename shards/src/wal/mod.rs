//! The write-ahead log: postings as bytes, in batches that share one sync.
//!
//! Bytes in, bytes out: nothing here touches a disk.

mod batch;
mod codec;

pub use batch::Batch;
pub use codec::{DecodeError, decode, encode};
