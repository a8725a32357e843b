//! Currencies of ISO 4217 and how many fraction digits their money has.

use std::fmt;

/// An ISO 4217 currency with its number of minor digits (GBP 2, JPY 0, KWD 3).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    code: [u8; 3],
    fraction_digits: u8,
}

impl Currency {
    /// Finds a currency by its exact, upper-case code.
    ///
    /// Codes that ISO 4217 lists without minor units (gold, test codes) are no
    /// currency of a wallet: `None`.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let known = iso_currency::Currency::from_code(code)?;
        let fraction_digits = u8::try_from(known.exponent()?).ok()?;
        Some(Self {
            code: code.as_bytes().try_into().ok()?,
            fraction_digits,
        })
    }

    /// The three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or("???")
    }

    /// Digits after the decimal point.
    #[must_use]
    pub fn fraction_digits(self) -> u32 {
        u32::from(self.fraction_digits)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fraction_digits_follow_iso_4217() {
        for (code, digits) in [("GBP", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3)] {
            assert_eq!(
                Currency::parse(code).unwrap().fraction_digits(),
                digits,
                "{code}"
            );
        }
    }

    #[test]
    fn codes_are_exact_and_need_minor_units() {
        for code in ["gbp", "GB", "GBPX", "", "QQQ", "XAU"] {
            assert_eq!(Currency::parse(code), None, "{code}");
        }
    }
}
