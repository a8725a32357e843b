//! A posting as bytes.
//!
//! Little-endian, ids behind their length in one byte. The first byte is the kind; its
//! numbers and the fields behind it never change their meaning: a posting that needs
//! other fields gets a new kind. `fields.rs` has the fields, `game.rs` the kinds that
//! game platforms cause; the others are here.
//!
//! ```text
//! kind u8 | at i64 | cash after i64 | bonus after i64 | account id | fields of the kind
//! ```

mod entry;
mod fields;
mod game;

pub use entry::{decode_entry, encode_entry};
use fields::{Reader, put_country, put_currency, put_i64, put_id, put_key, put_lsn, put_time};

use crate::ledger::{AccountStatus, Cashed, Change, Limits, Posting};
use crate::types::UnixMillis;

mod kind {
    pub(super) const ACCOUNT_OPENED: u8 = 1;
    pub(super) const DEPOSITED: u8 = 2;
    pub(super) const SESSION_OPENED: u8 = 3;
    pub(super) const SESSION_LOGGED_OUT: u8 = 4;
    pub(super) const TOKEN_SPENT: u8 = 5;
    pub(super) const WITHDRAWN: u8 = 6;
    pub(super) const BONUS_GRANTED: u8 = 7;
    pub(super) const BET_PLACED: u8 = 8;
    pub(super) const WINNINGS_AWARDED: u8 = 9;
    pub(super) const BET_ROLLED_BACK: u8 = 10;
    pub(super) const ROLLBACK_REPEATED: u8 = 11;
    pub(super) const ROLLBACK_BEFORE_BET: u8 = 12;
    pub(super) const BET_VOIDED: u8 = 13;
    pub(super) const ROUND_ENDED: u8 = 14;
    pub(super) const CREDITED: u8 = 15;
    pub(super) const ALERT_ANSWERED: u8 = 16;
    pub(super) const LIMITS_SET: u8 = 17;
    pub(super) const STATUS_SET: u8 = 18;
}

/// The limits that are there, bit by bit.
mod limit {
    pub(super) const LOSS_DAILY: u8 = 1;
    pub(super) const LOSS_WEEKLY: u8 = 2;
    pub(super) const LOSS_MONTHLY: u8 = 4;
    pub(super) const SESSION: u8 = 8;
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

fn kind_of(change: &Change) -> u8 {
    match change {
        Change::AccountOpened { .. } => kind::ACCOUNT_OPENED,
        Change::Deposited(_) => kind::DEPOSITED,
        Change::Withdrawn(_) => kind::WITHDRAWN,
        Change::BonusGranted(_) => kind::BONUS_GRANTED,
        Change::SessionOpened { .. } => kind::SESSION_OPENED,
        Change::SessionLoggedOut { .. } => kind::SESSION_LOGGED_OUT,
        Change::TokenSpent { .. } => kind::TOKEN_SPENT,
        Change::BetPlaced(_) => kind::BET_PLACED,
        Change::WinningsAwarded(_) => kind::WINNINGS_AWARDED,
        Change::BetRolledBack(_) => kind::BET_ROLLED_BACK,
        Change::RollbackRepeated(_) => kind::ROLLBACK_REPEATED,
        Change::RollbackBeforeBet(_) => kind::ROLLBACK_BEFORE_BET,
        Change::BetVoided(_) => kind::BET_VOIDED,
        Change::RoundEnded(_) => kind::ROUND_ENDED,
        Change::Credited(_) => kind::CREDITED,
        Change::AlertAnswered(_) => kind::ALERT_ANSWERED,
        Change::LimitsSet { .. } => kind::LIMITS_SET,
        Change::StatusSet { .. } => kind::STATUS_SET,
    }
}

/// Appends a posting's bytes.
pub fn encode(posting: &Posting, out: &mut Vec<u8>) {
    out.push(kind_of(&posting.change));
    put_i64(out, posting.at.0);
    put_i64(out, posting.balance_after.cash.minor());
    put_i64(out, posting.balance_after.bonus.minor());
    put_id(out, posting.account.as_str());
    match &posting.change {
        Change::AccountOpened {
            currency,
            country,
            balance,
            session,
        } => {
            put_currency(out, *currency);
            put_country(out, *country);
            put_i64(out, balance.cash.minor());
            put_i64(out, balance.bonus.minor());
            out.push(u8::from(session.is_some()));
            if let Some(key) = session {
                put_key(out, *key);
            }
        }
        Change::Deposited(cashed) | Change::Withdrawn(cashed) | Change::BonusGranted(cashed) => {
            put_i64(out, cashed.amount.minor());
            put_id(out, cashed.transaction.as_str());
            put_lsn(out, cashed.previous_booking);
        }
        Change::SessionOpened {
            key,
            country,
            logout_at,
        } => {
            put_key(out, *key);
            put_country(out, *country);
            put_time(out, *logout_at);
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
        Change::BetPlaced(bet) => game::put_bet(out, bet),
        Change::WinningsAwarded(award) => game::put_award(out, award),
        Change::BetRolledBack(rollback) => game::put_rollback(out, rollback),
        Change::RollbackRepeated(facts) | Change::RollbackBeforeBet(facts) => {
            game::put_rollback_facts(out, facts, 0);
        }
        Change::BetVoided(void) => game::put_void(out, void),
        Change::RoundEnded(end) => game::put_end(out, end),
        Change::Credited(credit) => game::put_credit(out, credit),
        Change::AlertAnswered(alert) => game::put_alert(out, alert),
        Change::LimitsSet { limits } => put_limits(out, limits),
        Change::StatusSet { status } => put_status(out, *status),
    }
}

/// Reads one posting that fills `bytes`.
///
/// # Errors
/// [`DecodeError`] says what is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> Result<Posting, DecodeError> {
    let mut reader = Reader::new(bytes);
    let kind = reader.u8()?;
    let at = UnixMillis(reader.i64()?);
    let balance_after = reader.balance()?;
    let account = reader.account()?;
    let change = change(kind, &mut reader)?;
    reader.end()?;
    Ok(Posting {
        at,
        account,
        change,
        balance_after,
    })
}

fn change(kind: u8, reader: &mut Reader<'_>) -> Result<Change, DecodeError> {
    Ok(match kind {
        kind::ACCOUNT_OPENED => Change::AccountOpened {
            currency: reader.currency()?,
            country: reader.country()?,
            balance: reader.balance()?,
            session: reader.flag()?.then(|| reader.key()).transpose()?,
        },
        kind::DEPOSITED => Change::Deposited(cashed(reader)?),
        kind::WITHDRAWN => Change::Withdrawn(cashed(reader)?),
        kind::BONUS_GRANTED => Change::BonusGranted(cashed(reader)?),
        kind::SESSION_OPENED => Change::SessionOpened {
            key: reader.key()?,
            country: reader.country()?,
            logout_at: reader.time()?,
        },
        kind::SESSION_LOGGED_OUT => Change::SessionLoggedOut { key: reader.key()? },
        kind::TOKEN_SPENT => Change::TokenSpent {
            key: reader.key()?,
            issued_at: UnixMillis(reader.i64()?),
            expires_at: UnixMillis(reader.i64()?),
        },
        kind::BET_PLACED => Change::BetPlaced(Box::new(game::bet(reader)?)),
        kind::WINNINGS_AWARDED => Change::WinningsAwarded(Box::new(game::award(reader)?)),
        kind::BET_ROLLED_BACK => Change::BetRolledBack(Box::new(game::rollback(reader)?)),
        kind::ROLLBACK_REPEATED => {
            Change::RollbackRepeated(Box::new(game::rollback_facts(reader)?))
        }
        kind::ROLLBACK_BEFORE_BET => {
            Change::RollbackBeforeBet(Box::new(game::rollback_facts(reader)?))
        }
        kind::BET_VOIDED => Change::BetVoided(Box::new(game::void(reader)?)),
        kind::ROUND_ENDED => Change::RoundEnded(Box::new(game::end(reader)?)),
        kind::CREDITED => Change::Credited(Box::new(game::credit(reader)?)),
        kind::ALERT_ANSWERED => Change::AlertAnswered(Box::new(game::alert(reader)?)),
        kind::LIMITS_SET => Change::LimitsSet {
            limits: limits(reader)?,
        },
        kind::STATUS_SET => Change::StatusSet {
            status: status(reader)?,
        },
        unknown => return Err(DecodeError::UnknownKind(unknown)),
    })
}

fn cashed(reader: &mut Reader<'_>) -> Result<Cashed, DecodeError> {
    Ok(Cashed {
        amount: reader.amount()?,
        transaction: reader.transaction()?,
        previous_booking: reader.lsn()?,
    })
}

fn put_status(out: &mut Vec<u8>, status: AccountStatus) {
    out.push(match status {
        AccountStatus::Active => 0,
        AccountStatus::Suspended => 1,
    });
}

fn status(reader: &mut Reader<'_>) -> Result<AccountStatus, DecodeError> {
    match reader.u8()? {
        0 => Ok(AccountStatus::Active),
        1 => Ok(AccountStatus::Suspended),
        _ => Err(DecodeError::Invalid("status")),
    }
}

fn put_limits(out: &mut Vec<u8>, limits: &Limits) {
    let bit = |flag: u8, set: bool| if set { flag } else { 0 };
    out.push(
        bit(limit::LOSS_DAILY, limits.loss_daily.is_some())
            | bit(limit::LOSS_WEEKLY, limits.loss_weekly.is_some())
            | bit(limit::LOSS_MONTHLY, limits.loss_monthly.is_some())
            | bit(limit::SESSION, limits.session_s.is_some()),
    );
    for amount in [limits.loss_daily, limits.loss_weekly, limits.loss_monthly]
        .into_iter()
        .flatten()
    {
        put_i64(out, amount.minor());
    }
    if let Some(seconds) = limits.session_s {
        out.extend_from_slice(&seconds.to_le_bytes());
    }
}

fn limits(reader: &mut Reader<'_>) -> Result<Limits, DecodeError> {
    let known = limit::LOSS_DAILY | limit::LOSS_WEEKLY | limit::LOSS_MONTHLY | limit::SESSION;
    let flags = reader.flags(known)?;
    let mut amount = |flag| (flags & flag != 0).then(|| reader.amount()).transpose();
    Ok(Limits {
        loss_daily: amount(limit::LOSS_DAILY)?,
        loss_weekly: amount(limit::LOSS_WEEKLY)?,
        loss_monthly: amount(limit::LOSS_MONTHLY)?,
        session_s: (flags & limit::SESSION != 0)
            .then(|| reader.u32())
            .transpose()?,
    })
}

#[cfg(test)]
mod tests;
