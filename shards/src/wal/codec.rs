//! A posting as bytes.
//!
//! Little-endian, texts behind their length in one byte. The first byte is the kind;
//! its numbers and the fields behind it never change their meaning: a posting that
//! needs other fields gets a new kind.
//!
//! ```text
//! kind u8 | at i64 | cash after i64 | bonus after i64 | account text | fields of the kind
//! ```

use crate::ledger::{Change, Posting};
use crate::types::{
    AccountId, Amount, Balance, CountryCode, Currency, SessionKey, TransactionId, UnixMillis,
};

mod kind {
    pub(super) const ACCOUNT_OPENED: u8 = 1;
    pub(super) const DEPOSITED: u8 = 2;
    pub(super) const SESSION_OPENED: u8 = 3;
    pub(super) const SESSION_LOGGED_OUT: u8 = 4;
    pub(super) const TOKEN_SPENT: u8 = 5;
}

/// The bytes are no posting. They passed their checksum, so they were written by
/// another version, or by a fault of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("the posting ends early")]
    Short,
    /// Bytes are left behind the last field.
    #[error("{0} bytes behind the posting's end")]
    Long(usize),
    /// A kind this version does not know.
    #[error("unknown kind of posting {0}")]
    UnknownKind(u8),
    /// A field that no valid posting has.
    #[error("invalid {0}")]
    Invalid(&'static str),
}

/// Appends a posting's bytes.
pub fn encode(posting: &Posting, out: &mut Vec<u8>) {
    let kind = match posting.change {
        Change::AccountOpened { .. } => kind::ACCOUNT_OPENED,
        Change::Deposited { .. } => kind::DEPOSITED,
        Change::SessionOpened { .. } => kind::SESSION_OPENED,
        Change::SessionLoggedOut { .. } => kind::SESSION_LOGGED_OUT,
        Change::TokenSpent { .. } => kind::TOKEN_SPENT,
    };
    out.push(kind);
    put_i64(out, posting.at.0);
    put_i64(out, posting.balance_after.cash.minor());
    put_i64(out, posting.balance_after.bonus.minor());
    put_text(out, posting.account.as_str());
    match &posting.change {
        Change::AccountOpened {
            currency,
            country,
            balance,
            session,
        } => {
            out.extend_from_slice(currency.code().as_bytes());
            out.extend_from_slice(country.as_str().as_bytes());
            put_i64(out, balance.cash.minor());
            put_i64(out, balance.bonus.minor());
            out.push(u8::from(session.is_some()));
            if let Some(key) = session {
                put_key(out, *key);
            }
        }
        Change::Deposited {
            transaction,
            amount,
        } => {
            put_i64(out, amount.minor());
            put_text(out, transaction.as_str());
        }
        Change::SessionOpened {
            key,
            country,
            logout_at,
        } => {
            put_key(out, *key);
            out.extend_from_slice(country.as_str().as_bytes());
            out.push(u8::from(logout_at.is_some()));
            if let Some(at) = logout_at {
                put_i64(out, at.0);
            }
        }
        Change::SessionLoggedOut { key } => put_key(out, *key),
        Change::TokenSpent {
            key,
            issued_at,
            expires_at,
        } => {
            put_key(out, *key);
            put_i64(out, issued_at.0);
            put_i64(out, expires_at.0);
        }
    }
}

/// Reads one posting that fills `bytes`.
///
/// # Errors
/// [`DecodeError`] says what is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> Result<Posting, DecodeError> {
    let mut reader = Reader { rest: bytes };
    let kind = reader.u8()?;
    let at = UnixMillis(reader.i64()?);
    let balance_after = reader.balance()?;
    let account = AccountId::parse(reader.text()?).ok_or(DecodeError::Invalid("account id"))?;
    let change = match kind {
        kind::ACCOUNT_OPENED => Change::AccountOpened {
            currency: reader.currency()?,
            country: reader.country()?,
            balance: reader.balance()?,
            session: reader.flag()?.then(|| reader.key()).transpose()?,
        },
        kind::DEPOSITED => Change::Deposited {
            amount: reader.amount()?,
            transaction: TransactionId::parse(reader.text()?)
                .ok_or(DecodeError::Invalid("transaction id"))?,
        },
        kind::SESSION_OPENED => Change::SessionOpened {
            key: reader.key()?,
            country: reader.country()?,
            logout_at: reader
                .flag()?
                .then(|| reader.i64().map(UnixMillis))
                .transpose()?,
        },
        kind::SESSION_LOGGED_OUT => Change::SessionLoggedOut { key: reader.key()? },
        kind::TOKEN_SPENT => Change::TokenSpent {
            key: reader.key()?,
            issued_at: UnixMillis(reader.i64()?),
            expires_at: UnixMillis(reader.i64()?),
        },
        unknown => return Err(DecodeError::UnknownKind(unknown)),
    };
    reader.end()?;
    Ok(Posting {
        at,
        account,
        change,
        balance_after,
    })
}

pub(super) fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_key(out: &mut Vec<u8>, key: SessionKey) {
    out.extend_from_slice(&key.bits().to_le_bytes());
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    // 50 UTF-16 code units are at most 150 bytes.
    let Ok(len) = u8::try_from(text.len()) else {
        unreachable!("an id longer than its type")
    };
    out.push(len);
    out.extend_from_slice(text.as_bytes());
}

/// Takes fields off the front of some bytes.
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(*bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(DecodeError::Long(left)),
        }
    }

    pub(super) fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Invalid("flag")),
        }
    }

    pub(super) fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn amount(&mut self) -> Result<Amount, DecodeError> {
        Amount::from_minor(self.i64()?).ok_or(DecodeError::Invalid("amount"))
    }

    pub(super) fn balance(&mut self) -> Result<Balance, DecodeError> {
        Ok(Balance {
            cash: self.amount()?,
            bonus: self.amount()?,
        })
    }

    pub(super) fn key(&mut self) -> Result<SessionKey, DecodeError> {
        self.array()
            .map(u128::from_le_bytes)
            .map(SessionKey::from_bits)
    }

    pub(super) fn str(&mut self, count: usize, what: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(count)?).map_err(|_| DecodeError::Invalid(what))
    }

    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let len = self.u8()?;
        self.str(usize::from(len), "text")
    }

    pub(super) fn currency(&mut self) -> Result<Currency, DecodeError> {
        Currency::parse(self.str(3, "currency")?).ok_or(DecodeError::Invalid("currency"))
    }

    pub(super) fn country(&mut self) -> Result<CountryCode, DecodeError> {
        CountryCode::parse(self.str(2, "country")?).ok_or(DecodeError::Invalid("country"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn posting(change: Change) -> Posting {
        Posting {
            at: UnixMillis(0x0102),
            account: AccountId::parse("a/b").unwrap(),
            change,
            balance_after: Balance {
                cash: Amount::from_minor(3).unwrap(),
                bonus: Amount::from_minor(4).unwrap(),
            },
        }
    }

    fn every_kind(key: u128, time: i64, minor: i64, text: &str) -> Vec<Change> {
        let key = SessionKey::from_bits(key);
        let amount = Amount::from_minor(minor).unwrap();
        let country = CountryCode::parse("GB").unwrap();
        let time = UnixMillis(time);
        let opened = |session| Change::AccountOpened {
            currency: Currency::parse("KWD").unwrap(),
            country,
            balance: Balance {
                cash: amount,
                bonus: Amount::ZERO,
            },
            session,
        };
        let session = |logout_at| Change::SessionOpened {
            key,
            country,
            logout_at,
        };
        vec![
            opened(None),
            opened(Some(key)),
            Change::Deposited {
                transaction: TransactionId::parse(text).unwrap(),
                amount,
            },
            session(None),
            session(Some(time)),
            Change::SessionLoggedOut { key },
            Change::TokenSpent {
                key,
                issued_at: time,
                expires_at: time,
            },
        ]
    }

    #[test]
    fn the_bytes_of_a_deposit_are_these_for_ever() {
        let amount = Amount::from_minor(0x0506).unwrap();
        let transaction = TransactionId::parse("d").unwrap();
        let mut bytes = Vec::new();
        encode(
            &posting(Change::Deposited {
                transaction,
                amount,
            }),
            &mut bytes,
        );
        #[rustfmt::skip]
        let expected = [
            2,
            2, 1, 0, 0, 0, 0, 0, 0,
            3, 0, 0, 0, 0, 0, 0, 0,
            4, 0, 0, 0, 0, 0, 0, 0,
            3, b'a', b'/', b'b',
            6, 5, 0, 0, 0, 0, 0, 0,
            1, b'd',
        ];
        assert_eq!(bytes, expected);
    }

    proptest! {
        #[test]
        fn every_posting_reads_back_and_no_part_of_it_does(
            key: u128, time: i64, minor in 0..=i64::MAX, text in "[a-z€😀]{1,20}",
        ) {
            for change in every_kind(key, time, minor, &text) {
                let posting = posting(change);
                let mut bytes = Vec::new();
                encode(&posting, &mut bytes);
                prop_assert_eq!(decode(&bytes), Ok(posting));
                for end in 0..bytes.len() {
                    prop_assert_eq!(decode(&bytes[..end]), Err(DecodeError::Short));
                }
                bytes.push(0);
                prop_assert_eq!(decode(&bytes), Err(DecodeError::Long(1)));
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
