//! An id kept for its answer or for a log, while the command has taken the id itself.
//!
//! Ids are often UUIDs of 36 characters, too long for the inside of a value, and a copy
//! of one would be an allocation in every booking.

use shards::types::TEXT_ID_UNITS_MAX;

/// A UTF-16 code unit is at most three bytes of UTF-8.
const BYTES_MAX: usize = TEXT_ID_UNITS_MAX * 3;

const _: () = assert!(BYTES_MAX <= u8::MAX as usize);

/// The text of an id; empty while there is none. Filled where it lies: moving it would
/// copy all of its room.
pub(super) struct Echo {
    bytes: [u8; BYTES_MAX],
    len: u8,
}

impl Echo {
    /// Of nothing yet.
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; BYTES_MAX],
            len: 0,
        }
    }

    /// Copies the text of an id.
    ///
    /// # Panics
    /// When it is longer than an id may be.
    pub(super) fn set(&mut self, id: &str) {
        self.bytes[..id.len()].copy_from_slice(id.as_bytes());
        self.len = id.len() as u8;
    }

    /// The text, if there is one: no id is empty.
    #[must_use]
    pub(super) fn get(&self) -> Option<&str> {
        Some(self.as_str()).filter(|text| !text.is_empty())
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
            let mut echo = Echo::new();
            echo.set(text);
            assert_eq!(echo.as_str(), text);
        }
    }
}
