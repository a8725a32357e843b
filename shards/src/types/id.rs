//! Identifiers that platforms and operators give us.
//!
//! All are text of 1 to 50 UTF-16 code units (protocol.md section 2). Up to 24
//! bytes live inside the value; longer ones own one heap allocation.

use std::fmt;
use std::hash::{Hash, Hasher};

use compact_str::CompactString;

/// The longest identifier, in UTF-16 code units.
pub const TEXT_ID_UNITS_MAX: usize = 50;

fn has_id_length(text: &str) -> bool {
    // A code unit is one to three bytes of UTF-8, so most lengths need no count.
    match text.len() {
        0 => false,
        1..=TEXT_ID_UNITS_MAX => true,
        _ => text.encode_utf16().count() <= TEXT_ID_UNITS_MAX,
    }
}

/// An account: `domain/player`, the domain being the text before the first `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountId(CompactString);

impl AccountId {
    /// Accepts 1 to 50 code units with both sides of the first `/` non-empty.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (domain, player) = text.split_once('/')?;
        (has_id_length(text) && !domain.is_empty() && !player.is_empty())
            .then(|| Self(CompactString::new(text)))
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it owns on the heap, in bytes: nothing up to 24 of them.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        if self.0.is_heap_allocated() {
            self.0.capacity()
        } else {
            0
        }
    }

    /// The part before the first `/`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.split_once('/').map_or("", |(domain, _)| domain)
    }

    /// The part after the first `/`.
    #[must_use]
    pub fn player(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, player)| player)
    }
}

impl Hash for AccountId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(CompactString);

        impl $name {
            /// Accepts 1 to 50 UTF-16 code units.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                has_id_length(text).then(|| Self(CompactString::new(text)))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// What makes a booking happen once: unique per account and kind of operation.
    TransactionId
);
text_id!(
    /// A round of a game, of one account.
    GameRoundId
);
text_id!(
    /// A game of the platform's catalogue.
    GameId
);

/// The longest [`Text`], in UTF-16 code units (protocol.md section 2).
pub const TEXT_UNITS_MAX: usize = 100;

/// A text that is recorded and never looked at: 0 to 100 UTF-16 code units.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Text(CompactString);

impl Text {
    /// Accepts up to [`TEXT_UNITS_MAX`] UTF-16 code units.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() <= TEXT_UNITS_MAX || text.encode_utf16().count() <= TEXT_UNITS_MAX;
        fits.then(|| Self(CompactString::new(text)))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_is_split_at_its_first_slash() {
        let id = AccountId::parse("acme/p/1").unwrap();
        assert_eq!((id.domain(), id.player()), ("acme", "p/1"));
    }

    #[test]
    fn an_account_id_needs_both_sides() {
        for text in ["", "/", "acme", "acme/", "/p1"] {
            assert_eq!(AccountId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn lengths_count_utf16_code_units() {
        assert!(TransactionId::parse(&"x".repeat(50)).is_some());
        assert!(TransactionId::parse(&"x".repeat(51)).is_none());
        // Three bytes and one code unit each; then four bytes and two.
        assert!(TransactionId::parse(&"€".repeat(50)).is_some());
        assert!(TransactionId::parse(&"€".repeat(51)).is_none());
        assert!(TransactionId::parse(&"😀".repeat(25)).is_some());
        assert!(TransactionId::parse(&"😀".repeat(26)).is_none());
    }
}
