//! An entry of a checkpoint as bytes.
//!
//! As a posting's (`mod.rs`): little-endian, ids behind their length in one byte, and
//! a first byte that says the kind. The numbers and the fields behind them never change
//! their meaning: an entry that needs other fields gets a new kind, and the old one stays
//! readable.

use super::fields::{
    Reader, put_country, put_currency, put_i64, put_i128, put_id, put_key, put_lsn, put_time,
};
use super::{DecodeError, limits, put_limits, put_status, status};
use crate::ledger::{
    AccountEntry, Book, Entry, HouseAccount, LossEntry, MemoryEntry, RoundEntry, SessionEntry,
    SpentTokenEntry, TransactionEntry,
};
use crate::types::UnixMillis;

mod kind {
    pub(super) const BOOK: u8 = 1;
    pub(super) const ACCOUNT: u8 = 2;
    pub(super) const SESSION: u8 = 3;
    pub(super) const SPENT_TOKEN: u8 = 4;
    pub(super) const MEMORY: u8 = 5;
    pub(super) const WINDOW: u8 = 6;
    pub(super) const TRANSACTION: u8 = 7;
    pub(super) const ROUND_WINDOW: u8 = 8;
    pub(super) const ROUND: u8 = 9;
}

/// Appends an entry's bytes.
pub fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::Book(book) => {
            out.push(kind::BOOK);
            put_id(out, &book.domain);
            put_currency(out, book.currency);
            put_i128(out, book.player_cash);
            put_i128(out, book.player_bonus);
            // Accounts that are added later come behind these.
            out.push(HouseAccount::ALL.len() as u8);
            book.house.iter().for_each(|minor| put_i128(out, *minor));
        }
        Entry::Account(account) => {
            out.push(kind::ACCOUNT);
            put_id(out, account.id.as_str());
            put_currency(out, account.currency);
            put_country(out, account.country);
            put_status(out, account.status);
            put_i64(out, account.balance.cash.minor());
            put_i64(out, account.balance.bonus.minor());
            put_i64(out, account.created_at.0);
            put_lsn(out, account.last_booking);
            put_limits(out, &account.limits);
            out.push(u8::from(account.losses.is_some()));
            for loss in account.losses.iter().flatten() {
                put_i64(out, loss.minor);
                out.extend_from_slice(&loss.span.to_le_bytes());
            }
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
            put_time(out, memory.complete_from);
        }
        Entry::Window { number } => {
            out.push(kind::WINDOW);
            put_i64(out, *number);
        }
        Entry::Transaction(transaction) => {
            out.push(kind::TRANSACTION);
            out.extend_from_slice(&transaction.digest.to_le_bytes());
            out.extend_from_slice(&transaction.contents.to_le_bytes());
            put_i64(out, transaction.note);
        }
        Entry::RoundWindow { number } => {
            out.push(kind::ROUND_WINDOW);
            put_i64(out, *number);
        }
        Entry::Round(round) => {
            out.push(kind::ROUND);
            out.extend_from_slice(&round.digest.to_le_bytes());
            put_id(out, round.account.as_str());
            put_i64(out, round.staked.cash.minor());
            put_i64(out, round.staked.bonus.minor());
            out.push(u8::from(round.is_open));
            out.push(u8::from(round.has_result));
        }
    }
}

/// Reads one entry that fills `bytes`.
///
/// # Errors
/// [`DecodeError`] says what is wrong with the bytes.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, DecodeError> {
    let mut reader = Reader::new(bytes);
    let entry = match reader.u8()? {
        kind::BOOK => Entry::Book(Book {
            domain: reader.id("domain", |name| Some(name.to_owned()))?,
            currency: reader.currency()?,
            player_cash: reader.i128()?,
            player_bonus: reader.i128()?,
            house: house(&mut reader)?,
        }),
        kind::ACCOUNT => Entry::Account(AccountEntry {
            id: reader.account()?,
            currency: reader.currency()?,
            country: reader.country()?,
            status: status(&mut reader)?,
            balance: reader.balance()?,
            created_at: UnixMillis(reader.i64()?),
            last_booking: reader.lsn()?,
            limits: limits(&mut reader)?,
            losses: losses(&mut reader)?,
        }),
        kind::SESSION => Entry::Session(SessionEntry {
            key: reader.key()?,
            country: reader.country()?,
            created_at: UnixMillis(reader.i64()?),
            logout_at: reader.time()?,
            logged_out: reader.flag()?,
        }),
        kind::SPENT_TOKEN => Entry::SpentToken(SpentTokenEntry {
            issued_at: UnixMillis(reader.i64()?),
            expires_at: UnixMillis(reader.i64()?),
        }),
        kind::MEMORY => Entry::Memory(MemoryEntry {
            span_ms: reader.i64()?,
            age_ms: reader.i64()?,
            last_at: reader.time()?,
            complete_from: reader.time()?,
        }),
        kind::WINDOW => Entry::Window {
            number: reader.i64()?,
        },
        kind::TRANSACTION => Entry::Transaction(TransactionEntry {
            digest: reader.array().map(u128::from_le_bytes)?,
            contents: reader.array().map(u64::from_le_bytes)?,
            note: reader.i64()?,
        }),
        kind::ROUND_WINDOW => Entry::RoundWindow {
            number: reader.i64()?,
        },
        kind::ROUND => Entry::Round(RoundEntry {
            digest: reader.array().map(u128::from_le_bytes)?,
            account: reader.account()?,
            staked: reader.balance()?,
            is_open: reader.flag()?,
            has_result: reader.flag()?,
        }),
        unknown => return Err(DecodeError::UnknownKind(unknown)),
    };
    reader.end()?;
    Ok(entry)
}

/// Accounts that a book did not have yet are empty; none is ever taken away.
fn house(reader: &mut Reader<'_>) -> Result<[i128; HouseAccount::ALL.len()], DecodeError> {
    let mut house = [0; HouseAccount::ALL.len()];
    let count = usize::from(reader.u8()?);
    for account in house
        .get_mut(..count)
        .ok_or(DecodeError::Invalid("number of house accounts"))?
    {
        *account = reader.i128()?;
    }
    Ok(house)
}

/// What an account lost in each period, if it ever played.
fn losses(reader: &mut Reader<'_>) -> Result<Option<[LossEntry; LossEntry::PERIODS]>, DecodeError> {
    if !reader.flag()? {
        return Ok(None);
    }
    let mut losses = [LossEntry::default(); LossEntry::PERIODS];
    for loss in &mut losses {
        loss.minor = reader.i64()?;
        loss.span = reader.array().map(i32::from_le_bytes)?;
    }
    Ok(Some(losses))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::{AccountStatus, Limits};
    use crate::types::{AccountId, Amount, Balance, CountryCode, Currency, Lsn, SessionKey};

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
                last_booking: Lsn(key as u64),
                limits: Limits {
                    loss_weekly: flag.then_some(amount),
                    ..Limits::default()
                },
                losses: flag.then_some(
                    [LossEntry {
                        minor: number,
                        span: 9,
                    }; 3],
                ),
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
                complete_from: (!flag).then_some(time),
            }),
            Entry::Window { number },
            Entry::Transaction(TransactionEntry {
                digest: key,
                contents: key as u64,
                note: number,
            }),
            Entry::RoundWindow { number },
            Entry::Round(RoundEntry {
                digest: key,
                account: AccountId::parse(&format!("a/{text}")).unwrap(),
                staked: Balance {
                    cash: amount,
                    bonus: Amount::ZERO,
                },
                is_open: flag,
                has_result: !flag,
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
