//! The fields that postings are made of: little-endian numbers, texts behind their length.

use super::DecodeError;
use crate::types::{
    AccountId, Amount, Balance, CountryCode, Currency, GameId, GameRoundId, JackpotAmount, Lsn,
    SessionKey, Text, TransactionId, UnixMillis,
};

pub(super) fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_i128(out: &mut Vec<u8>, value: i128) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// A moment, behind a flag that says whether there is one.
pub(super) fn put_time(out: &mut Vec<u8>, time: Option<UnixMillis>) {
    out.push(u8::from(time.is_some()));
    if let Some(at) = time {
        put_i64(out, at.0);
    }
}

pub(super) fn put_currency(out: &mut Vec<u8>, currency: Currency) {
    out.extend_from_slice(currency.code().as_bytes());
}

pub(super) fn put_country(out: &mut Vec<u8>, country: CountryCode) {
    out.extend_from_slice(country.as_str().as_bytes());
}

pub(super) fn put_lsn(out: &mut Vec<u8>, lsn: Lsn) {
    out.extend_from_slice(&lsn.0.to_le_bytes());
}

pub(super) fn put_key(out: &mut Vec<u8>, key: SessionKey) {
    out.extend_from_slice(&key.bits().to_le_bytes());
}

pub(super) fn put_jackpot(out: &mut Vec<u8>, amount: Option<JackpotAmount>) {
    if let Some(amount) = amount {
        out.extend_from_slice(&amount.units().to_le_bytes());
    }
}

/// An id, behind its length in one byte.
pub(super) fn put_id(out: &mut Vec<u8>, id: &str) {
    // 50 UTF-16 code units are at most 150 bytes.
    let Ok(len) = u8::try_from(id.len()) else {
        unreachable!("an id longer than its type")
    };
    out.push(len);
    out.extend_from_slice(id.as_bytes());
}

/// A [`Text`], behind its length in two bytes: 100 UTF-16 code units are up to 300 bytes.
pub(super) fn put_text(out: &mut Vec<u8>, text: &Text) {
    let Ok(len) = u16::try_from(text.as_str().len()) else {
        unreachable!("a text longer than its type")
    };
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text.as_str().as_bytes());
}

/// Reads fields one after the other.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(DecodeError::Long(left)),
        }
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
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

    pub(super) fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Invalid("flag")),
        }
    }

    /// Bits of which none but those of `known` may be set.
    pub(super) fn flags(&mut self, known: u8) -> Result<u8, DecodeError> {
        match self.u8()? {
            flags if flags & !known == 0 => Ok(flags),
            _ => Err(DecodeError::Invalid("flags")),
        }
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn i128(&mut self) -> Result<i128, DecodeError> {
        self.array().map(i128::from_le_bytes)
    }

    pub(super) fn time(&mut self) -> Result<Option<UnixMillis>, DecodeError> {
        self.flag()?.then(|| self.i64().map(UnixMillis)).transpose()
    }

    pub(super) fn lsn(&mut self) -> Result<Lsn, DecodeError> {
        self.array().map(u64::from_le_bytes).map(Lsn)
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

    /// A jackpot amount, if the posting has one.
    pub(super) fn jackpot(&mut self, there: bool) -> Result<Option<JackpotAmount>, DecodeError> {
        let units = there.then(|| self.array().map(u128::from_le_bytes));
        Ok(units.transpose()?.map(JackpotAmount::from_units))
    }

    fn str(&mut self, count: usize, what: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(count)?).map_err(|_| DecodeError::Invalid(what))
    }

    pub(super) fn id<T>(
        &mut self,
        what: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, DecodeError> {
        let len = self.u8()?;
        parse(self.str(usize::from(len), what)?).ok_or(DecodeError::Invalid(what))
    }

    pub(super) fn account(&mut self) -> Result<AccountId, DecodeError> {
        self.id("account id", AccountId::parse)
    }

    pub(super) fn transaction(&mut self) -> Result<TransactionId, DecodeError> {
        self.id("transaction id", TransactionId::parse)
    }

    pub(super) fn round(&mut self) -> Result<GameRoundId, DecodeError> {
        self.id("round id", GameRoundId::parse)
    }

    pub(super) fn game(&mut self) -> Result<GameId, DecodeError> {
        self.id("game id", GameId::parse)
    }

    pub(super) fn text(&mut self) -> Result<Text, DecodeError> {
        let len = self.array().map(u16::from_le_bytes)?;
        let text = self.str(usize::from(len), "text")?;
        Text::parse(text).ok_or(DecodeError::Invalid("text"))
    }

    pub(super) fn currency(&mut self) -> Result<Currency, DecodeError> {
        Currency::parse(self.str(3, "currency")?).ok_or(DecodeError::Invalid("currency"))
    }

    pub(super) fn country(&mut self) -> Result<CountryCode, DecodeError> {
        CountryCode::parse(self.str(2, "country")?).ok_or(DecodeError::Invalid("country"))
    }
}
