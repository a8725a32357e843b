//! Amounts as the wire writes them: decimal text in major units, integers here.
//!
//! An amount is a number of minor units (`1_050` is `10.50` where the currency has two
//! fraction digits). How many digits that are is learnt from the server's own answers:
//! protocol.md section 3 says that money leaves with exactly the currency's.

use std::fmt::Write;

/// More fraction digits than any currency of ISO 4217 has (4) are no amount.
const FRACTION_DIGITS_MAX: usize = 4;

/// Fraction digits of an amount such as `1000.00`; `None` when it is no amount.
pub(crate) fn fraction_digits(text: &[u8]) -> Option<usize> {
    let digits = match memchr::memchr(b'.', text) {
        Some(point) => text.len() - point - 1,
        None => 0,
    };
    minor_units(text, digits).map(|_| digits)
}

/// Reads an amount that must have exactly `digits` fraction digits, no sign and no
/// leading zeros; `None` when it is written in any other way or is too large.
pub(crate) fn minor_units(text: &[u8], digits: usize) -> Option<i64> {
    if digits > FRACTION_DIGITS_MAX {
        return None;
    }
    let whole = if digits == 0 {
        text
    } else {
        let point = text.len().checked_sub(digits + 1)?;
        (text[point] == b'.').then_some(&text[..point])?
    };
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return None;
    }
    let mut minor: i64 = 0;
    for &byte in whole.iter().chain(&text[text.len() - digits..]) {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        minor = minor.checked_mul(10)?.checked_add(digit)?;
    }
    Some(minor)
}

/// Writes an amount in major units, with a sign where it is negative.
pub(crate) fn text(minor: i64, digits: usize) -> String {
    let mut out = String::new();
    write(&mut out, minor, digits);
    out
}

/// As [`text`], behind what is already in `out`.
pub(crate) fn write(out: &mut String, minor: i64, digits: usize) {
    let scale = 10_u64.pow(digits as u32);
    let (sign, size) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs());
    // Writing to a String cannot fail.
    let _ = match digits {
        0 => write!(out, "{sign}{size}"),
        _ => write!(out, "{sign}{}.{:0digits$}", size / scale, size % scale),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_exactly_the_digits_of_its_currency() {
        let cases = [
            ("1000.00", 2, Some(100_000)),
            ("0.05", 2, Some(5)),
            ("7", 0, Some(7)),
            ("1.234", 3, Some(1_234)),
            ("1.2", 2, None),
            ("1.234", 2, None),
            (".50", 2, None),
            ("01.00", 2, None),
            ("-1.00", 2, None),
            ("1,00", 2, None),
            ("", 0, None),
            ("1.0000000", 7, None),
            ("92233720368547758.08", 2, None),
        ];
        for (text, digits, expected) in cases {
            assert_eq!(minor_units(text.as_bytes(), digits), expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (minor, digits) in [(0, 2), (5, 2), (100_000, 2), (7, 0), (1, 3), (i64::MAX, 2)] {
            let written = text(minor, digits);
            assert_eq!(minor_units(written.as_bytes(), digits), Some(minor));
            assert_eq!(fraction_digits(written.as_bytes()), Some(digits));
        }
        assert_eq!(text(-5, 2), "-0.05");
        assert_eq!(text(-1_234, 0), "-1234");
    }
}
