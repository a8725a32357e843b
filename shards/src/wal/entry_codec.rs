//! An entry of a checkpoint as bytes.
//!
//! As a posting's (`codec.rs`): little-endian, texts behind their length in one byte, and
//! a first byte that says the kind. The numbers and the fields behind them never change
//! their meaning: an entry that needs other fields gets a new kind, and the old one stays
//! readable.

use super::codec::{DecodeError, Reader, put_i64, put_key, put_text};
use crate::ledger::{
    AccountEntry, AccountStatus, Book, Entry, HouseAccount, MemoryEntry, SessionEntry,
    SpentTokenEntry, TransactionEntry,
};
use crate::types::{AccountId, CountryCode, Currency, UnixMillis};

mod kind {
    pub(super) const BOOK: u8 = 1;
    pub(super) const ACCOUNT: u8 = 2;
    pub(super) const SESSION: u8 = 3;
    pub(super) const SPENT_TOKEN: u8 = 4;
    pub(super) const MEMORY: u8 = 5;
    pub(super) const WINDOW: u8 = 6;
    pub(super) const TRANSACTION: u8 = 7;
}

/// Appends an entry's bytes.
pub fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::Book(book) => {
            out.push(kind::BOOK);
            put_text(out, &book.domain);
            put_currency(out, book.currency);
            put_i128(out, book.player_cash);
            put_i128(out, book.player_bonus);
            // Accounts that are added later come behind these.
            out.push(HouseAccount::ALL.len() as u8);
            book.house.iter().for_each(|minor| put_i128(out, *minor));
        }
        Entry::Account(account) => {
            out.push(kind::ACCOUNT);
            put_text(out, account.id.as_str());
            put_currency(out, account.currency);
            put_country(out, account.country);
            out.push(match account.status {
                AccountStatus::Active => 0,
                AccountStatus::Suspended => 1,
            });
            put_i64(out, account.balance.cash.minor());
            put_i64(out, account.balance.bonus.minor());
            put_i64(out, account.created_at.0);
            out.extend_from_slice(&account.open_rounds.to_le_bytes());
        }
        Entry::Session(session) => {
            out.push(kind::SESSION);
            put_key(out, session.key);
            put_country(out, session.country);
            put_i64(out, session.created_at.0);
            put_time(out, session.logout_at);
            out.push(u8::from(session.logged_out));
        }
        Entry::SpentToken(token) => {
            out.push(kind::SPENT_TOKEN);
            put_i64(out, token.issued_at.0);
            put_i64(out, token.expires_at.0);
        }
        Entry::Memory(memory) => {
            out.push(kind::MEMORY);
            put_i64(out, memory.span_ms);
            put_i64(out, memory.age_ms);
            put_time(out, memory.last_at);
        }
        Entry::Window { number } => {
            out.push(kind::WINDOW);
            put_i64(out, *number);
        }
        Entry::Transaction(transaction) => {
            out.push(kind::TRANSACTION);
            out.extend_from_slice(&transaction.digest.to_le_bytes());
            out.extend_from_slice(&transaction.contents.to_le_bytes());
        }
    }
}

/// Reads one entry that fills `bytes`.
///
/// # Errors
/// [`DecodeError`] says what is wrong with the bytes.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, DecodeError> {
    let mut reader = Reader { rest: bytes };
    let entry = match reader.u8()? {
        kind::BOOK => Entry::Book(Book {
            domain: reader.text()?.to_owned(),
            currency: reader.currency()?,
            player_cash: i128(&mut reader)?,
            player_bonus: i128(&mut reader)?,
            house: house(&mut reader)?,
        }),
        kind::ACCOUNT => Entry::Account(AccountEntry {
            id: AccountId::parse(reader.text()?).ok_or(DecodeError::Invalid("account id"))?,
            currency: reader.currency()?,
            country: reader.country()?,
            status: match reader.u8()? {
                0 => AccountStatus::Active,
                1 => AccountStatus::Suspended,
                _ => return Err(DecodeError::Invalid("account status")),
            },
            balance: reader.balance()?,
            created_at: UnixMillis(reader.i64()?),
            open_rounds: reader.array().map(u32::from_le_bytes)?,
        }),
        kind::SESSION => Entry::Session(SessionEntry {
            key: reader.key()?,
            country: reader.country()?,
            created_at: UnixMillis(reader.i64()?),
            logout_at: time(&mut reader)?,
            logged_out: reader.flag()?,
        }),
        kind::SPENT_TOKEN => Entry::SpentToken(SpentTokenEntry {
            issued_at: UnixMillis(reader.i64()?),
            expires_at: UnixMillis(reader.i64()?),
        }),
        kind::MEMORY => Entry::Memory(MemoryEntry {
            span_ms: reader.i64()?,
            age_ms: reader.i64()?,
            last_at: time(&mut reader)?,
        }),
        kind::WINDOW => Entry::Window {
            number: reader.i64()?,
        },
        kind::TRANSACTION => Entry::Transaction(TransactionEntry {
            digest: reader.array().map(u128::from_le_bytes)?,
            contents: reader.array().map(u64::from_le_bytes)?,
        }),
        unknown => return Err(DecodeError::UnknownKind(unknown)),
    };
    reader.end()?;
    Ok(entry)
}

fn put_i128(out: &mut Vec<u8>, value: i128) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_currency(out: &mut Vec<u8>, currency: Currency) {
    out.extend_from_slice(currency.code().as_bytes());
}

fn put_country(out: &mut Vec<u8>, country: CountryCode) {
    out.extend_from_slice(country.as_str().as_bytes());
}

fn put_time(out: &mut Vec<u8>, time: Option<UnixMillis>) {
    out.push(u8::from(time.is_some()));
    if let Some(at) = time {
        put_i64(out, at.0);
    }
}

fn i128(reader: &mut Reader<'_>) -> Result<i128, DecodeError> {
    reader.array().map(i128::from_le_bytes)
}

fn time(reader: &mut Reader<'_>) -> Result<Option<UnixMillis>, DecodeError> {
    reader
        .flag()?
        .then(|| reader.i64().map(UnixMillis))
        .transpose()
}

/// Accounts that a book did not have yet are empty; none is ever taken away.
fn house(reader: &mut Reader<'_>) -> Result<[i128; HouseAccount::ALL.len()], DecodeError> {
    let mut house = [0; HouseAccount::ALL.len()];
    let count = usize::from(reader.u8()?);
    for account in house
        .get_mut(..count)
        .ok_or(DecodeError::Invalid("number of house accounts"))?
    {
        *account = i128(reader)?;
    }
    Ok(house)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::{Amount, Balance, SessionKey};

    fn every_kind(number: i64, key: u128, text: &str, flag: bool) -> Vec<Entry> {
        let time = UnixMillis(number);
        let amount = Amount::from_minor(number.unsigned_abs().cast_signed().max(0)).unwrap();
        let country = CountryCode::parse("GB").unwrap();
        let currency = Currency::parse("KWD").unwrap();
        vec![
            Entry::Book(Book {
                domain: text.to_owned(),
                currency,
                player_cash: i128::from(number),
                player_bonus: -1,
                house: [i128::from(number) << 40, 2, -3, 4, 5],
            }),
            Entry::Account(AccountEntry {
                id: AccountId::parse(&format!("a/{text}")).unwrap(),
                currency,
                country,
                status: if flag {
                    AccountStatus::Suspended
                } else {
                    AccountStatus::Active
                },
                balance: Balance {
                    cash: amount,
                    bonus: Amount::ZERO,
                },
                created_at: time,
                open_rounds: 9,
            }),
            Entry::Session(SessionEntry {
                key: SessionKey::from_bits(key),
                country,
                created_at: time,
                logout_at: flag.then_some(time),
                logged_out: flag,
            }),
            Entry::SpentToken(SpentTokenEntry {
                issued_at: time,
                expires_at: time,
            }),
            Entry::Memory(MemoryEntry {
                span_ms: number,
                age_ms: number,
                last_at: flag.then_some(time),
            }),
            Entry::Window { number },
            Entry::Transaction(TransactionEntry {
                digest: key,
                contents: key as u64,
            }),
        ]
    }

    proptest! {
        #[test]
        fn every_entry_reads_back_and_no_part_of_it_does(
            number: i64, key: u128, text in "[a-z€😀]{1,20}", flag: bool,
        ) {
            for entry in every_kind(number, key, &text, flag) {
                let mut bytes = Vec::new();
                encode_entry(&entry, &mut bytes);
                prop_assert_eq!(decode_entry(&bytes), Ok(entry));
                for end in 0..bytes.len() {
                    prop_assert_eq!(decode_entry(&bytes[..end]), Err(DecodeError::Short));
                }
                bytes.push(0);
                prop_assert_eq!(decode_entry(&bytes), Err(DecodeError::Long(1)));
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = decode_entry(&bytes);
        }
    }
}
