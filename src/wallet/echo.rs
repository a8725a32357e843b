//! An id kept for its answer or for a log, while the command has taken the id itself.
//!
//! Ids are often UUIDs of 36 characters, too long for the inside of a value, and a copy
//! of one would be an allocation in every booking.

use shards::types::TEXT_ID_UNITS_MAX;

/// A UTF-16 code unit is at most three bytes of UTF-8.
const BYTES_MAX: usize = TEXT_ID_UNITS_MAX * 3;

const _: () = assert!(BYTES_MAX <= u8::MAX as usize);

/// The text of an id.
pub(super) struct Echo {
    bytes: [u8; BYTES_MAX],
    len: u8,
}

impl Echo {
    /// Copies the text of an id.
    ///
    /// # Panics
    /// When it is longer than an id may be.
    #[must_use]
    pub(super) fn of(id: &str) -> Self {
        let text = id.as_bytes();
        let mut bytes = [0; BYTES_MAX];
        bytes[..text.len()].copy_from_slice(text);
        Self {
            bytes,
            len: text.len() as u8,
        }
    }

    /// The text.
    #[must_use]
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use shards::types::TransactionId;

    use super::*;

    #[test]
    fn the_longest_ids_fit() {
        for text in ["x", &"x".repeat(50), &"€".repeat(50), &"😀".repeat(25)] {
            assert!(TransactionId::parse(text).is_some());
            assert_eq!(Echo::of(text).as_str(), text);
        }
    }
}
