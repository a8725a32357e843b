//! When an X.509 certificate begins and ends to be valid (RFC 5280 section 4.1.2.5).
//!
//! rustls judges the times of its peer's certificate and not of its own, so a server would
//! run with an expired one and every client would refuse it. Only the way to the two times
//! is read here; what a certificate means otherwise is rustls' business.

use jiff::civil::DateTime;

/// The two times, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: DateTime,
    pub(super) not_after: DateTime,
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0]`, constructed: the version, which the oldest certificates leave out.
const VERSION: u8 = 0xa0;

/// The times of a certificate in DER; none, if it is no certificate.
pub(super) fn of_certificate(der: &[u8]) -> Option<Validity> {
    let mut outer = Reader(der);
    let mut certificate = Reader(outer.content_of(SEQUENCE)?);
    let mut signed = Reader(certificate.content_of(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.content_of(VERSION)?;
    }
    signed.content_of(INTEGER)?; // serial number
    signed.content_of(SEQUENCE)?; // algorithm of the signature
    signed.content_of(SEQUENCE)?; // issuer
    let mut validity = Reader(signed.content_of(SEQUENCE)?);
    Some(Validity {
        not_before: validity.time()?,
        not_after: validity.time()?,
    })
}

/// What is left of some DER.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next element: its tag and its content.
    fn element(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        // Up to 127 the length stands there itself; above, the number of its bytes does.
        let (len, rest) = match usize::from(first) {
            short @ 0..0x80 => (short, rest),
            long => {
                let (bytes, rest) = rest.split_at_checked(long - 0x80)?;
                let len = bytes.iter().try_fold(0_usize, |len, &byte| {
                    len.checked_mul(0x100)?.checked_add(usize::from(byte))
                })?;
                (len, rest)
            }
        };
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn content_of(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, content) = self.element()?;
        (found == tag).then_some(content)
    }

    /// RFC 5280 sections 4.1.2.5.1 and 4.1.2.5.2: to the second, in UTC.
    fn time(&mut self) -> Option<DateTime> {
        let (tag, text) = self.element()?;
        let (year, rest) = match tag {
            UTC_TIME => {
                let (digits, rest) = text.split_at_checked(2)?;
                let year = number(digits)?;
                (year + if year < 50 { 2000 } else { 1900 }, rest)
            }
            GENERALIZED_TIME => {
                let (digits, rest) = text.split_at_checked(4)?;
                (number(digits)?, rest)
            }
            _ => return None,
        };
        let (digits, zone) = rest.split_at_checked(10)?;
        if zone != b"Z" {
            return None;
        }
        let part = |at: usize| i8::try_from(number(&digits[at..at + 2])?).ok();
        DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()
    }
}

/// Two or four decimal digits.
fn number(digits: &[u8]) -> Option<i16> {
    digits.iter().try_fold(0, |number, &digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i16::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::datetime;
    use proptest::prelude::*;

    use super::super::testing::Authority;
    use super::*;

    fn certificate(from: i32, to: i32) -> Vec<u8> {
        Authority::new()
            .issue("wallet.test", from, to)
            .certificate_der()
    }

    #[test]
    fn the_times_of_a_certificate_are_those_it_was_made_with() {
        // From 2050 on they are written in the longer form.
        for (from, to) in [(2020, 2049), (1999, 2050), (2051, 9999), (1950, 1951)] {
            let made = certificate(from.into(), to.into());
            let expected = Validity {
                not_before: datetime(from, 1, 1, 0, 0, 0, 0),
                not_after: datetime(to, 1, 1, 0, 0, 0, 0),
            };
            assert_eq!(of_certificate(&made), Some(expected));
        }
    }

    #[test]
    fn a_certificate_that_is_cut_or_whose_times_are_no_times_is_none() {
        let der = certificate(2020, 2040);
        let at = der
            .windows(13)
            .position(|window| window == b"200101000000Z")
            .unwrap();
        for end in 0..at + 13 {
            assert_eq!(of_certificate(&der[..end]), None, "cut at {end}");
        }
        for (offset, byte) in [(2, b'2'), (0, b'x'), (12, b'+'), (6, b'3')] {
            let mut changed = der.clone();
            changed[at + offset] = byte;
            assert_eq!(of_certificate(&changed), None, "{offset} {byte}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = of_certificate(&bytes);
        }

        #[test]
        fn no_change_of_a_certificate_makes_the_reader_panic(
            at in 0..200_usize,
            byte in any::<u8>(),
        ) {
            static DER: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
            let mut der = DER.get_or_init(|| certificate(2020, 2040)).clone();
            der[at] = byte;
            let _ = of_certificate(&der);
        }
    }
}
