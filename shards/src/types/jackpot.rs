//! Jackpot amounts: told for information, never booked.

use super::money::{AmountError, Decimal};

/// Fraction digits a jackpot amount may have (protocol.md section 2): contributions are
/// small shares of stakes.
pub const JACKPOT_FRACTION_DIGITS_MAX: u32 = 8;

/// A jackpot contribution or winnings in units of 10^-8 of the currency's major unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JackpotAmount(u128);

impl JackpotAmount {
    /// That many units of 10^-8.
    #[must_use]
    pub const fn from_units(units: u128) -> Self {
        Self(units)
    }

    /// Units of 10^-8.
    #[must_use]
    pub const fn units(self) -> u128 {
        self.0
    }

    /// Reads a JSON number in major units.
    ///
    /// # Errors
    /// [`AmountError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let number = Decimal::parse(text).ok_or(AmountError::NotANumber)?;
        number
            .not_negative()?
            .units(JACKPOT_FRACTION_DIGITS_MAX)
            .map(Self)
    }
}

impl std::fmt::Display for JackpotAmount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let one = 10u128.pow(JACKPOT_FRACTION_DIGITS_MAX);
        let digits = JACKPOT_FRACTION_DIGITS_MAX as usize;
        write!(f, "{}.{:0digits$}", self.0 / one, self.0 % one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_fraction_digits_are_kept_and_a_ninth_is_refused() {
        let cases = [
            ("0", Ok("0.00000000")),
            ("-0", Ok("0.00000000")),
            ("0.00000001", Ok("0.00000001")),
            ("0.000000010", Ok("0.00000001")),
            ("12.5", Ok("12.50000000")),
            ("1e12", Ok("1000000000000.00000000")),
            ("0.000000001", Err(AmountError::TooPrecise)),
            ("-1", Err(AmountError::Negative)),
            ("1e400", Err(AmountError::TooLarge)),
            ("x", Err(AmountError::NotANumber)),
        ];
        for (text, expected) in cases {
            let read = JackpotAmount::parse(text).map(|amount| amount.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{text}");
        }
    }
}
