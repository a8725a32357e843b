//! Session keys, which carry their owner's slot, and the tokens made of them.
//!
//! A key is 128 bits in UUID layout (RFC 9562, version 8: the meaning of the bits
//! is ours). The first 14 bits are the slot of the account, so that a redeem can
//! be routed without a directory; 6 bits are version and variant; 108 come from
//! the system's random source.

use std::fmt;

use super::{Slot, UnixMillis};

/// The key of one session, the `GatewaySessionToken` of the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(u128);

const SLOT_SHIFT: u32 = u128::BITS - Slot::BITS;
const VERSION_MASK: u128 = 0xf << 76;
const VERSION_8: u128 = 0x8 << 76;
const VARIANT_MASK: u128 = 0x3 << 62;
const VARIANT_RFC: u128 = 0x2 << 62;

impl SessionKey {
    /// Length of the text form.
    pub const TEXT_BYTES: usize = 36;

    /// A key for an account of `slot` from 128 random bits.
    #[must_use]
    pub const fn mint(slot: Slot, random: u128) -> Self {
        let unrouted = random & !(0x3fff << SLOT_SHIFT) & !VERSION_MASK & !VARIANT_MASK;
        Self(unrouted | (slot.index() as u128) << SLOT_SHIFT | VERSION_8 | VARIANT_RFC)
    }

    /// Reads the 36-character form, lower-case hexadecimal only.
    ///
    /// Version and variant are not judged: a key that we never minted is an
    /// unknown session, not a malformed one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: &[u8; Self::TEXT_BYTES] = text.as_bytes().try_into().ok()?;
        if [8, 13, 18, 23].iter().any(|&at| bytes[at] != b'-') {
            return None;
        }
        let high = read_hex(&bytes[..8])? << 32
            | read_hex(&bytes[9..13])? << 16
            | read_hex(&bytes[14..18])?;
        let low = read_hex(&bytes[19..23])? << 48 | read_hex(&bytes[24..])?;
        Some(Self(u128::from(high) << 64 | u128::from(low)))
    }

    /// The slot of the account whose session this is.
    #[must_use]
    pub const fn slot(self) -> Slot {
        Slot::from_low_bits((self.0 >> SLOT_SHIFT) as u16)
    }

    /// All bits, for the log.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// A key from the log.
    #[must_use]
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The 36 characters.
    #[must_use]
    pub fn text(self) -> [u8; Self::TEXT_BYTES] {
        let mut text = [b'-'; Self::TEXT_BYTES];
        let mut rest = self.0;
        for at in (0..Self::TEXT_BYTES).rev() {
            if matches!(at, 8 | 13 | 18 | 23) {
                continue;
            }
            text[at] = b"0123456789abcdef"[(rest & 0xf) as usize];
            rest >>= 4;
        }
        text
    }
}

/// Up to 16 digits of lower-case hexadecimal. Without a branch for each: every booking
/// names its session.
fn read_hex(digits: &[u8]) -> Option<u64> {
    const NO_DIGIT: u8 = 0x80;
    const VALUES: [u8; 256] = {
        let mut values = [NO_DIGIT; 256];
        let mut value = 0;
        while value < 16 {
            values[b"0123456789abcdef"[value as usize] as usize] = value;
            value += 1;
        }
        values
    };
    let (mut number, mut seen) = (0, 0);
    for &digit in digits {
        let value = VALUES[usize::from(digit)];
        seen |= value;
        number = number << 4 | u64::from(value);
    }
    (seen & NO_DIGIT == 0).then_some(number)
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A key is a credential: enough of it to find a session, too little to use it.
        write!(f, "{:08x}…", self.0 >> 96)
    }
}

/// A short-lived token: a session key and the moment the token was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SessionToken {
    /// The session that the token stands for.
    pub key: SessionKey,
    /// When the token was made; its life is counted from here.
    pub issued_at: UnixMillis,
}

/// The text is no session token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No `-` in the text.
    #[error("expected a session key, '-' and a time in lower-case hexadecimal")]
    NoTime,
    /// The part before the last `-` is no session key.
    #[error("the part before the last '-' is no session key")]
    BadKey,
    /// The part after the last `-` is no time.
    #[error("the part after the last '-' is no time in lower-case hexadecimal")]
    BadTime,
}

impl SessionToken {
    /// Splits at the last `-` and reads both parts (protocol.md section 6).
    ///
    /// # Errors
    /// [`TokenError`] names the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let (key, time) = text.rsplit_once('-').ok_or(TokenError::NoTime)?;
        let key = SessionKey::parse(key).ok_or(TokenError::BadKey)?;
        let lower_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if time.is_empty() || !time.bytes().all(lower_hex) {
            return Err(TokenError::BadTime);
        }
        let millis = i64::from_str_radix(time, 16).map_err(|_| TokenError::BadTime)?;
        Ok(Self {
            key,
            issued_at: UnixMillis(millis),
        })
    }
}

impl fmt::Display for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.key, self.issued_at.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_a_version_8_uuid_that_carries_its_slot() {
        let key = SessionKey::mint(Slot::from_low_bits(0x2abc), u128::MAX);
        assert_eq!(key.to_string(), "aaf3ffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(key.slot().index(), 0x2abc);
    }

    #[test]
    fn a_token_of_today_has_48_characters() {
        let key = SessionKey::mint(Slot::from_low_bits(1), 7);
        let token = SessionToken {
            key,
            issued_at: UnixMillis(1_795_000_000_000),
        };
        assert_eq!(token.to_string().len(), 48);
        assert_eq!(SessionToken::parse(&token.to_string()), Ok(token));
    }

    #[test]
    fn malformed_tokens_name_the_wrong_part() {
        let key = "00000000-0000-8000-8000-000000000000";
        let cases = [
            (String::new(), TokenError::NoTime),
            ("abc".to_owned(), TokenError::NoTime),
            ("abc-1".to_owned(), TokenError::BadKey),
            (
                format!("{}-1", key.to_uppercase().replace("8000", "8A00")),
                TokenError::BadKey,
            ),
            (format!("{key}-"), TokenError::BadTime),
            (format!("{key}-18F"), TokenError::BadTime),
            (format!("{key}-+1"), TokenError::BadTime),
            (format!("{key}-ffffffffffffffff"), TokenError::BadTime),
            // The last '-' is inside the key: what stands before it is no key.
            (key.to_owned(), TokenError::BadKey),
        ];
        for (text, error) in cases {
            assert_eq!(SessionToken::parse(&text), Err(error), "{text}");
        }
    }

    #[test]
    fn every_character_of_a_key_is_looked_at() {
        let key = SessionKey::mint(Slot::from_low_bits(0x1234), 0x5678_9abc_def0).to_string();
        assert!(SessionKey::parse(&key).is_some());
        for at in 0..key.len() {
            for wrong in ["g", "A", "-", "/", ":", "`", "0"] {
                let mut text = key.clone();
                text.replace_range(at..=at, wrong);
                let is_dash = key.as_bytes()[at] == b'-';
                let may_be = if is_dash { "-" } else { "0" };
                let read = SessionKey::parse(&text);
                assert_eq!(read.is_some(), wrong == may_be, "{text}");
                assert!(read.is_none_or(|read| read.to_string() == text), "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn keys_read_back_and_keep_their_slot(slot in 0..Slot::COUNT, random: u128) {
            let key = SessionKey::mint(Slot::from_low_bits(slot), random);
            prop_assert_eq!(key.slot().index(), slot);
            prop_assert_eq!(SessionKey::parse(&key.to_string()), Some(key));
        }
    }
}
