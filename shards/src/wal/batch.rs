//! A batch: postings that share one write and one sync.

use super::codec::encode;
use crate::ledger::Posting;
use crate::types::Lsn;

/// Records of one write, in LSN order: `length u32 | LSN u64 | posting`, the length
/// counting what follows it.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    postings: u32,
    last_lsn: Lsn,
}

const LENGTH_BYTES: usize = 4;

impl Batch {
    /// Adds a posting at the next position of the log.
    pub fn push(&mut self, lsn: Lsn, posting: &Posting) {
        assert!(lsn > self.last_lsn);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        self.bytes.extend_from_slice(&lsn.0.to_le_bytes());
        encode(posting, &mut self.bytes);
        let length = self.bytes.len() - start - LENGTH_BYTES;
        // Some 400 bytes at most: all texts are bounded.
        let Ok(length) = u32::try_from(length) else {
            unreachable!("a posting of 4 GiB")
        };
        self.bytes[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Change;
    use crate::types::{AccountId, Balance, SessionKey, UnixMillis};
    use crate::wal::decode;

    #[test]
    fn records_stand_behind_their_length_and_position() {
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
        assert_eq!((batch.postings(), batch.last_lsn()), (2, Lsn(8)));
        let mut rest = batch.bytes();
        for lsn in [7u64, 8] {
            let (length, behind) = rest.split_at(4);
            let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
            assert_eq!(behind[..8], lsn.to_le_bytes());
            assert_eq!(decode(&behind[8..length]), Ok(posting.clone()));
            rest = &behind[length..];
        }
        assert!(rest.is_empty());
        batch.clear();
        assert!(batch.is_empty() && batch.bytes().is_empty());
    }
}
