//! Money: whole minor units of one currency, checked at every step.
//!
//! Decimal text is read and written digit by digit, so no binary fraction ever
//! stands between what a client wrote and what is booked (design.md, invariant 8).

use super::Currency;

/// Minor units of one currency, never negative: 1_050 is 10.50 EUR.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(i64);

/// Why a decimal text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// The text does not follow JSON's number grammar.
    #[error("not a number")]
    NotANumber,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// More significant fraction digits than the currency has.
    #[error("too many fraction digits")]
    TooPrecise,
    /// More minor units than 63 bits hold.
    #[error("too large")]
    TooLarge,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount an account can hold: 2^63 - 1 minor units.
    pub const MAX: Self = Self(i64::MAX);

    /// `None` below zero.
    #[must_use]
    pub const fn from_minor(minor: i64) -> Option<Self> {
        if minor < 0 { None } else { Some(Self(minor)) }
    }

    /// Minor units.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// Whether this is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` past [`Amount::MAX`].
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` below zero.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) if rest >= 0 => Some(Self(rest)),
            _ => None,
        }
    }

    /// Reads a JSON number in major units: `10`, `10.5`, `1e1`, `-0`.
    ///
    /// Zeroes beyond the currency's fraction digits are fine (`10.500` GBP), other
    /// digits are not.
    ///
    /// # Errors
    /// [`AmountError`] says which rule the text breaks.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, AmountError> {
        let number = Decimal::parse(text).ok_or(AmountError::NotANumber)?;
        let minor = number.not_negative()?.units(currency.fraction_digits())?;
        i64::try_from(minor)
            .map(Self)
            .map_err(|_| AmountError::TooLarge)
    }

    /// What another currency makes of the same number of major units: 10.00 GBP is 10 JPY.
    ///
    /// # Errors
    /// [`AmountError::TooPrecise`] or [`AmountError::TooLarge`], as when it is read.
    pub fn reread(self, from: Currency, to: Currency) -> Result<Self, AmountError> {
        let (from, to) = (from.fraction_digits(), to.fraction_digits());
        if let Some(more) = to.checked_sub(from) {
            let factor = 10_i64.checked_pow(more).ok_or(AmountError::TooLarge)?;
            let minor = self.0.checked_mul(factor).ok_or(AmountError::TooLarge)?;
            return Ok(Self(minor));
        }
        let divisor = 10_i64.checked_pow(from - to);
        match divisor {
            Some(divisor) if self.0 % divisor == 0 => Ok(Self(self.0 / divisor)),
            _ if self.0 == 0 => Ok(self),
            _ => Err(AmountError::TooPrecise),
        }
    }

    /// Appends the amount in major units with exactly the currency's fraction digits.
    pub fn write_major(self, currency: Currency, out: &mut Vec<u8>) {
        let mut text = itoa::Buffer::new();
        let minor = text.format(self.0).as_bytes();
        let digits = currency.fraction_digits() as usize;
        if digits == 0 {
            out.extend_from_slice(minor);
            return;
        }
        match minor.len().checked_sub(digits) {
            Some(whole @ 1..) => {
                out.extend_from_slice(&minor[..whole]);
                out.push(b'.');
                out.extend_from_slice(&minor[whole..]);
            }
            _ => {
                out.extend_from_slice(b"0.");
                out.extend(std::iter::repeat_n(b'0', digits - minor.len()));
                out.extend_from_slice(minor);
            }
        }
    }

    /// The amount in major units as text, for logs and cold paths.
    #[must_use]
    pub fn to_major(self, currency: Currency) -> String {
        let mut out = Vec::with_capacity(24);
        self.write_major(currency, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}

impl std::fmt::Debug for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A JSON number taken apart: significant digits and a decimal exponent.
pub(super) struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (negative, bytes) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, bytes),
        };
        let (whole, rest) = split_digits(bytes);
        if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
            return None;
        }
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => {
                let (fraction, rest) = split_digits(rest);
                if fraction.is_empty() {
                    return None;
                }
                (fraction, rest)
            }
            _ => (&rest[..0], rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => {
                let (sign, rest) = match rest {
                    [b'-', rest @ ..] => (-1, rest),
                    [b'+', rest @ ..] => (1, rest),
                    _ => (1, rest),
                };
                let (digits, rest) = split_digits(rest);
                if digits.is_empty() || !rest.is_empty() {
                    return None;
                }
                // An exponent past a million is as good as any other that large.
                let size = digits.iter().fold(0i64, |size, d| {
                    (size * 10 + i64::from(d - b'0')).min(1_000_000)
                });
                sign * size
            }
            _ => return None,
        };
        Some(Self {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    fn digits(&self) -> impl Iterator<Item = u8> + '_ {
        self.whole.iter().chain(self.fraction).map(|d| d - b'0')
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits().all(|digit| digit == 0)
    }

    /// The number itself, unless it is below zero; `-0` is not.
    pub(super) fn not_negative(&self) -> Result<&Self, AmountError> {
        match self.negative && !self.is_zero() {
            true => Err(AmountError::Negative),
            false => Ok(self),
        }
    }

    /// How many units of 10^-`fraction_digits` it is, without its sign.
    pub(super) fn units(&self, fraction_digits: u32) -> Result<u128, AmountError> {
        // How many of our digits stand left of the unit's place.
        let point = i64::try_from(self.whole.len()).map_err(|_| AmountError::TooLarge)?;
        let keep = point + self.exponent + i64::from(fraction_digits);
        let mut units: u128 = 0;
        for (place, digit) in (0i64..).zip(self.digits()) {
            if place < keep {
                units = units
                    .checked_mul(10)
                    .and_then(|units| units.checked_add(u128::from(digit)))
                    .ok_or(AmountError::TooLarge)?;
            } else if digit != 0 {
                return Err(AmountError::TooPrecise);
            }
        }
        let written = point + i64::try_from(self.fraction.len()).unwrap_or(i64::MAX);
        for _ in written..keep {
            units = units.checked_mul(10).ok_or(AmountError::TooLarge)?;
            if units == 0 {
                break;
            }
        }
        Ok(units)
    }
}

fn split_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(bytes.len());
    bytes.split_at(end)
}

/// What an account holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Balance {
    /// Real money.
    pub cash: Amount,
    /// Money given with conditions.
    pub bonus: Amount,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    #[test]
    fn a_number_is_read_again_in_another_currency() {
        use AmountError::{TooLarge, TooPrecise};
        let cases = [
            (150, "GBP", "EUR", Ok(150)),
            (150, "GBP", "KWD", Ok(1_500)),
            (1_500, "KWD", "GBP", Ok(150)),
            (1_501, "KWD", "GBP", Err(TooPrecise)),
            (150, "GBP", "JPY", Err(TooPrecise)),
            (100, "GBP", "JPY", Ok(1)),
            (0, "GBP", "JPY", Ok(0)),
            (i64::MAX, "JPY", "GBP", Err(TooLarge)),
        ];
        for (minor, from, to, expected) in cases {
            let currency = |code| Currency::parse(code).unwrap();
            let read = Amount(minor).reread(currency(from), currency(to));
            assert_eq!(read.map(Amount::minor), expected, "{minor} {from} in {to}");
        }
    }

    #[test]
    fn amounts_are_read_as_protocol_md_says() {
        use AmountError::{Negative, NotANumber, TooLarge, TooPrecise};
        let cases = [
            ("10", "GBP", Ok(1_000)),
            ("10.5", "GBP", Ok(1_050)),
            ("10.50", "GBP", Ok(1_050)),
            ("10.5000", "GBP", Ok(1_050)),
            ("1e1", "GBP", Ok(1_000)),
            ("1E+1", "GBP", Ok(1_000)),
            ("1050e-2", "GBP", Ok(1_050)),
            ("-0", "GBP", Ok(0)),
            ("-0.00e5", "GBP", Ok(0)),
            ("0e999999999999", "GBP", Ok(0)),
            ("1.001", "GBP", Err(TooPrecise)),
            ("1.0010000000000000000000001", "KWD", Err(TooPrecise)),
            ("1e-3", "GBP", Err(TooPrecise)),
            ("1.001", "KWD", Ok(1_001)),
            ("1.5", "JPY", Err(TooPrecise)),
            ("15", "JPY", Ok(15)),
            ("-1", "GBP", Err(Negative)),
            ("92233720368547758.07", "GBP", Ok(i64::MAX)),
            ("92233720368547758.08", "GBP", Err(TooLarge)),
            ("1e400", "GBP", Err(TooLarge)),
            ("1e99999999999999999999", "GBP", Err(TooLarge)),
            ("", "GBP", Err(NotANumber)),
            (" 1", "GBP", Err(NotANumber)),
            ("1 ", "GBP", Err(NotANumber)),
            ("+1", "GBP", Err(NotANumber)),
            ("01", "GBP", Err(NotANumber)),
            (".5", "GBP", Err(NotANumber)),
            ("5.", "GBP", Err(NotANumber)),
            ("1e", "GBP", Err(NotANumber)),
            ("NaN", "GBP", Err(NotANumber)),
            ("0x10", "GBP", Err(NotANumber)),
            ("١", "GBP", Err(NotANumber)),
        ];
        for (text, code, expected) in cases {
            let got = Amount::parse(text, currency(code)).map(Amount::minor);
            assert_eq!(got, expected, "{text} {code}");
        }
    }

    #[test]
    fn amounts_leave_with_exactly_the_currency_s_digits() {
        let cases = [
            (0, "GBP", "0.00"),
            (5, "GBP", "0.05"),
            (9_000, "GBP", "90.00"),
            (0, "JPY", "0"),
            (1_234, "JPY", "1234"),
            (1, "KWD", "0.001"),
            (i64::MAX, "KWD", "9223372036854775.807"),
        ];
        for (minor, code, text) in cases {
            assert_eq!(
                Amount::from_minor(minor).unwrap().to_major(currency(code)),
                text
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            minor in 0..=i64::MAX,
            code in prop::sample::select(vec!["GBP", "JPY", "KWD"]),
        ) {
            let amount = Amount::from_minor(minor).unwrap();
            prop_assert_eq!(Amount::parse(&amount.to_major(currency(code)), currency(code)), Ok(amount));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[-+0-9.eE ]{0,30}") {
            let _ = Amount::parse(&text, currency("GBP"));
        }
    }
}
