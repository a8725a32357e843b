//! A batch: postings that share one write and one sync.

use super::codec::encode;
use crate::ledger::Posting;
use crate::types::Lsn;

/// Records in LSN order, each `length u32 | posting`. Positions are dense, so a frame
/// says only the first one.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    postings: u32,
    last_lsn: Lsn,
}

/// What stands before each posting.
pub(super) const LENGTH_BYTES: usize = 4;

/// The longest record. The longest posting is the answer to an alert: eight texts of at
/// most 300 bytes and an account id of 150, 2,596 bytes in all (`codec/tests.rs`). The
/// rest is room for kinds to come; any record fits into a frame of one block.
pub const RECORD_BYTES_MAX: usize = 3_072;

impl Batch {
    /// Adds a posting at the next position of the log.
    ///
    /// # Panics
    /// When `lsn` is not the position after the last one of this batch.
    pub fn push(&mut self, lsn: Lsn, posting: &Posting) {
        assert!(self.is_empty() || lsn == self.last_lsn.next());
        put_record(&mut self.bytes, |out| encode(posting, out));
        self.postings += 1;
        self.last_lsn = lsn;
    }

    /// The records.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many postings.
    #[must_use]
    pub fn postings(&self) -> u32 {
        self.postings
    }

    /// The position of the last posting.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        self.last_lsn
    }

    /// The memory of its buffer, whether it is used or not.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether nothing was pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.postings == 0
    }

    /// Empties the batch and keeps its buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.postings = 0;
    }
}

/// Appends a record, and its length before it.
pub(super) fn put_record(out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    encode(out);
    assert!(out.len() - start <= RECORD_BYTES_MAX);
    let length = (out.len() - start - LENGTH_BYTES) as u32;
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// The first record's posting and what stands behind it; `None` when the bytes end
/// inside the record.
pub(super) fn split_record(records: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = records.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// As many whole records from the front as fit into `bytes_max`: their bytes and number.
pub(super) fn fitting(records: &[u8], bytes_max: usize) -> (usize, u32) {
    let (mut bytes, mut count) = (0, 0);
    while let Some((posting, _)) = split_record(&records[bytes..]) {
        let end = bytes + LENGTH_BYTES + posting.len();
        if end > bytes_max {
            break;
        }
        bytes = end;
        count += 1;
    }
    (bytes, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Change;
    use crate::types::{AccountId, Balance, SessionKey, UnixMillis};
    use crate::wal::decode;

    fn batch_of_two() -> (Batch, Posting) {
        let posting = Posting {
            at: UnixMillis(1),
            account: AccountId::parse("a/b").unwrap(),
            change: Change::SessionLoggedOut {
                key: SessionKey::from_bits(9),
            },
            balance_after: Balance::default(),
        };
        let mut batch = Batch::default();
        batch.push(Lsn(7), &posting);
        batch.push(Lsn(8), &posting);
        (batch, posting)
    }

    #[test]
    fn records_stand_behind_their_length() {
        let (mut batch, posting) = batch_of_two();
        assert_eq!((batch.postings(), batch.last_lsn()), (2, Lsn(8)));
        let (first, rest) = split_record(batch.bytes()).unwrap();
        let (second, rest) = split_record(rest).unwrap();
        assert_eq!(decode(first), Ok(posting.clone()));
        assert_eq!(decode(second), Ok(posting));
        assert!(rest.is_empty() && split_record(rest).is_none());
        batch.clear();
        assert!(batch.is_empty() && batch.bytes().is_empty());
    }

    #[test]
    fn only_whole_records_are_taken() {
        let (batch, _) = batch_of_two();
        let one = batch.bytes().len() / 2;
        for (bytes_max, expected) in [
            (0, (0, 0)),
            (one - 1, (0, 0)),
            (one, (one, 1)),
            (2 * one - 1, (one, 1)),
            (9_999, (2 * one, 2)),
        ] {
            assert_eq!(fitting(batch.bytes(), bytes_max), expected, "{bytes_max}");
        }
    }
}
