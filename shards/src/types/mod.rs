//! The words of the wallet as types: once a value has one of these, it is valid.

mod country;
mod currency;
mod decimal_text;
mod id;
mod jackpot;
mod money;
mod position;
mod session;
mod time;

pub use country::CountryCode;
pub use currency::Currency;
pub use decimal_text::DecimalText;
pub use id::{
    AccountId, GameId, GameRoundId, TEXT_ID_UNITS_MAX, TEXT_UNITS_MAX, Text, TransactionId,
};
pub use jackpot::{JACKPOT_FRACTION_DIGITS_MAX, JackpotAmount};
pub use money::{Amount, AmountError, Balance};
pub use position::{Lsn, ShardId, Slot};
pub use session::{SessionKey, SessionToken, TokenError};
pub use time::UnixMillis;
