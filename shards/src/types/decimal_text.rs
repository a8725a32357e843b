//! Amounts whose currency is not known yet.
//!
//! A request states a number before anybody knows in which currency the account is,
//! and how many fraction digits it may have is that currency's to say.

use std::fmt;

use compact_str::CompactString;

use super::money::Decimal;
use super::{Amount, AmountError, Currency};

/// A JSON number that is not below zero, exactly as it was written.
///
/// Up to 24 bytes live inside the value; longer ones own one heap allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct DecimalText(CompactString);

impl DecimalText {
    /// Accepts what follows JSON's grammar of numbers and is not below zero (`-0` is not).
    ///
    /// # Errors
    /// [`AmountError::NotANumber`] or [`AmountError::Negative`]; the digits are judged by
    /// [`DecimalText::in_currency`].
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let number = Decimal::parse(text).ok_or(AmountError::NotANumber)?;
        number.not_negative()?;
        Ok(Self(CompactString::new(text)))
    }

    /// The amount in a currency.
    ///
    /// # Errors
    /// [`AmountError::TooPrecise`] or [`AmountError::TooLarge`].
    pub fn in_currency(&self, currency: Currency) -> Result<Amount, AmountError> {
        Amount::parse(&self.0, currency)
    }

    /// Whether it is nothing, whatever the currency.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        Decimal::parse(&self.0).is_none_or(|number| number.is_zero())
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DecimalText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_judged_without_a_currency_and_the_digits_with_one() {
        use AmountError::{Negative, NotANumber, TooLarge, TooPrecise};
        let cases = [
            ("10.5", Ok(()), Ok(1_050), false),
            ("1.001", Ok(()), Err(TooPrecise), false),
            ("1e400", Ok(()), Err(TooLarge), false),
            ("0e400", Ok(()), Ok(0), true),
            ("-0.00", Ok(()), Ok(0), true),
            ("-0.001", Err(Negative), Err(Negative), false),
            (" 1", Err(NotANumber), Err(NotANumber), false),
            ("", Err(NotANumber), Err(NotANumber), false),
        ];
        let pounds = Currency::parse("GBP").unwrap();
        for (text, form, amount, is_zero) in cases {
            let read = DecimalText::parse(text);
            assert_eq!(read.clone().map(|_| ()), form, "{text}");
            if let Ok(read) = read {
                let minor = read.in_currency(pounds).map(Amount::minor);
                assert_eq!((minor, read.is_zero()), (amount, is_zero), "{text}");
                assert_eq!(read.as_str(), text);
            }
        }
    }
}
