//! Who is handed what a log holds while it is read, and how far the reading is.

use std::sync::atomic::{AtomicU64, Ordering};

use super::frame::{FrameHeader, Place};
use super::sealed::SealedHeader;
use crate::ledger::{Entry, Posting};
use crate::types::Lsn;

/// What is done with the contents of a log.
pub trait Visitor {
    /// Every entry of the checkpoint that the reading begins with, in order.
    ///
    /// # Errors
    /// What is wrong with it; the checkpoint is then refused.
    fn entry(&mut self, entry: Entry) -> Result<(), String>;

    /// That was the last entry of the checkpoint.
    ///
    /// # Errors
    /// What is wrong with all of them together; the checkpoint is then refused.
    fn restored(&mut self, header: &SealedHeader) -> Result<(), String>;

    /// Every posting that is in the checkpoint and still kept, in order, if asked for.
    ///
    /// # Errors
    /// What is wrong with it; the history is then refused.
    fn past(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String> {
        let _ = (lsn, posting);
        Ok(())
    }

    /// Files went away while they were read, because a server folded them: the reading
    /// begins once more, and what came of it so far does not count.
    fn again(&mut self);

    /// Every frame, in order.
    fn frame(&mut self, place: &Place, header: &FrameHeader) {
        let _ = (place, header);
    }

    /// Every posting behind the checkpoint, in order.
    ///
    /// # Errors
    /// What is wrong with it; the log is then refused.
    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String>;
}

/// For who reads a log that has no checkpoint.
impl<F: FnMut(Lsn, Posting) -> Result<(), String>> Visitor for F {
    fn entry(&mut self, _: Entry) -> Result<(), String> {
        Err("an entry, where postings are all that is taken".to_owned())
    }

    fn restored(&mut self, _: &SealedHeader) -> Result<(), String> {
        Err("a checkpoint, where postings are all that is taken".to_owned())
    }

    /// Without a checkpoint nothing is let go of.
    fn again(&mut self) {}

    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String> {
        self(lsn, posting)
    }
}

/// How far a scan is, for whoever shows it; several scans may share one.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes read.
    pub bytes: AtomicU64,
    /// Postings handed out.
    pub postings: AtomicU64,
}

impl Progress {
    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_postings(&self, postings: u64) {
        self.postings.fetch_add(postings, Ordering::Relaxed);
    }
}
