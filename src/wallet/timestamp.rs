//! The `Timestamp` of a request: ISO 8601 text or epoch milliseconds (protocol.md section 2).
//!
//! Of ISO 8601 exactly `YYYY-MM-DDThh:mm:ss`, then up to nine fraction digits behind
//! a point, then `Z`, an offset `±hh:mm` or nothing, which means UTC. Digits below a
//! millisecond are dropped. A leap second (`:60`) and `24:00:00` have no number of
//! their own in Unix time and are refused.

use shards::types::UnixMillis;

/// Reads the text form; `None` for anything that the module does not describe.
#[must_use]
pub(super) fn parse_text(text: &str) -> Option<UnixMillis> {
    let (date_time, rest) = text.as_bytes().split_at_checked(19)?;
    let [
        year @ ..,
        b'-',
        mo1,
        mo2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        mi1,
        mi2,
        b':',
        s1,
        s2,
    ] = date_time
    else {
        return None;
    };
    let days = days_since_epoch(number(year)?, number(&[*mo1, *mo2])?, number(&[*d1, *d2])?)?;
    let seconds_of_day = hours_and_minutes([*h1, *h2, *mi1, *mi2])? + below(60, &[*s1, *s2])?;
    let (millis, rest) = fraction(rest)?;
    let offset = match rest {
        [] | [b'Z'] => 0,
        [b'+', h1, h2, b':', m1, m2] => hours_and_minutes([*h1, *h2, *m1, *m2])?,
        [b'-', h1, h2, b':', m1, m2] => -hours_and_minutes([*h1, *h2, *m1, *m2])?,
        _ => return None,
    };
    let seconds = days * 86_400 + seconds_of_day - offset;
    Some(UnixMillis(seconds * 1_000 + millis))
}

/// Reads the number form, as the body has it; `None` for a fraction, an exponent, or
/// more than 64 bits.
#[must_use]
pub(super) fn parse_number(raw: &str) -> Option<UnixMillis> {
    raw.parse().ok().map(UnixMillis)
}

/// Milliseconds of `.` and one to nine digits, and what follows them.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.', text @ ..] = text else {
        return Some((0, text));
    };
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if !(1..=9).contains(&digits.len()) {
        return None;
    }
    let digit = |place: usize| i64::from(digits.get(place).map_or(0, |digit| digit - b'0'));
    Some((digit(0) * 100 + digit(1) * 10 + digit(2), rest))
}

/// Seconds of `hhmm`, up to 23:59.
fn hours_and_minutes([h1, h2, m1, m2]: [u8; 4]) -> Option<i64> {
    Some(below(24, &[h1, h2])? * 3_600 + below(60, &[m1, m2])? * 60)
}

fn below(limit: i64, digits: &[u8]) -> Option<i64> {
    number(digits).filter(|&value| value < limit)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + i64::from(digit - b'0'))
    })
}

/// Days from 1970-01-01 in the Gregorian calendar, also before it was in use.
fn days_since_epoch(year: i64, month: i64, day: i64) -> Option<i64> {
    /// Days of a common year before each month.
    const BEFORE_MONTH: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    /// Days from 0000-01-01 to 1970-01-01.
    const EPOCH: i64 = 719_528;

    let leap = i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    let index = usize::try_from(month - 1)
        .ok()
        .filter(|&index| index < 12)?;
    let february = i64::from(month == 2);
    let month_days = BEFORE_MONTH[index + 1] - BEFORE_MONTH[index] + february * leap;
    if !(1..=month_days).contains(&day) {
        return None;
    }
    // Leap days of the years before this one; year 0 has one.
    let last = year - 1;
    let leaps_before = if year == 0 {
        0
    } else {
        last / 4 - last / 100 + last / 400 + 1
    };
    let leap_day_behind = if month > 2 { leap } else { 0 };
    Some(year * 365 + leaps_before + BEFORE_MONTH[index] + leap_day_behind + day - 1 - EPOCH)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_that_the_protocol_names_is_read() {
        let cases = [
            ("1970-01-01T00:00:00", 0),
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00+00:00", 0),
            ("1970-01-01T00:00:00-00:00", 0),
            ("1970-01-01T01:30:00+01:30", 0),
            ("1969-12-31T18:30:00-05:30", 0),
            ("1970-01-02T00:00:00+23:59", 60_000),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2026-11-22T13:29:05Z", 1_795_354_145_000),
            ("2026-11-22T13:29:05.1Z", 1_795_354_145_100),
            ("2026-11-22T13:29:05.12Z", 1_795_354_145_120),
            ("2026-11-22T13:29:05.123", 1_795_354_145_123),
            ("2026-11-22T13:29:05.1234Z", 1_795_354_145_123),
            ("2026-11-22T13:29:05.123456+01:00", 1_795_350_545_123),
            ("2026-11-22T13:29:05.0009999Z", 1_795_354_145_000),
            ("2026-11-22T13:29:05.123456789-01:00", 1_795_357_745_123),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("0000-03-01T00:00:00Z", -62_162_035_200_000),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_text(text), Some(UnixMillis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let cases = [
            "",
            "2026-11-22",
            "2026-11-22T13:29",
            "2026-11-22T13:29Z",
            "2026-11-22 13:29:05Z",
            "2026-11-22t13:29:05Z",
            "2026-11-22T13:29:05z",
            " 2026-11-22T13:29:05Z",
            "2026-11-22T13:29:05Z ",
            "2026-11-22T13:29:05 Z",
            "2026-11-22T13:29:05.Z",
            "2026-11-22T13:29:05.",
            "2026-11-22T13:29:05,5Z",
            "2026-11-22T13:29:05.1234567890Z",
            "2026-11-22T13:29:05+01",
            "2026-11-22T13:29:05+0100",
            "2026-11-22T13:29:05+01:0",
            "2026-11-22T13:29:05+24:00",
            "2026-11-22T13:29:05+01:60",
            "2026-11-22T13:29:05+01:00Z",
            "2026-11-22T13:29:05Zx",
            "2026-11-22T24:00:00Z",
            "2026-11-22T23:60:00Z",
            "2016-12-31T23:59:60Z",
            "2026-00-22T13:29:05Z",
            "2026-13-22T13:29:05Z",
            "2026-11-00T13:29:05Z",
            "2026-11-31T13:29:05Z",
            "2026-02-29T13:29:05Z",
            "1900-02-29T00:00:00Z",
            "2024-02-30T00:00:00Z",
            "26-11-22T13:29:05Z",
            "12026-11-22T13:29:05Z",
            "-026-11-22T13:29:05Z",
            "20261122T132905Z",
            "2026-W47-7T13:29:05Z",
            "1795354145000",
            "1795354145000000000000",
            "2026-11-22T13:29:0\u{661}Z",
            "٢٠٢٦-11-22T13:29:05Z",
        ];
        for text in cases {
            assert_eq!(parse_text(text), None, "{text:?}");
        }
    }

    #[test]
    fn epoch_milliseconds_are_whole() {
        let cases = [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("-1", Some(-1)),
            ("1795354145000", Some(1_795_354_145_000)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("1795354145000.0", None),
            ("1.795354145e12", None),
            ("1e3", None),
        ];
        for (raw, millis) in cases {
            assert_eq!(parse_number(raw), millis.map(UnixMillis), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn every_second_of_the_calendar_agrees_with_jiff(
            millis in -62_167_219_200_000_i64..=253_402_300_799_999,
            offset_minutes in -1_439_i32..=1_439,
        ) {
            let offset = jiff::tz::Offset::from_seconds(offset_minutes * 60).unwrap();
            let local = offset.to_datetime(jiff::Timestamp::from_millisecond(millis).unwrap());
            prop_assume!((0..=9_999).contains(&local.year()));
            let (sign, minutes) = if offset_minutes < 0 { ('-', -offset_minutes) } else { ('+', offset_minutes) };
            let text = format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{sign}{:02}:{:02}",
                local.year(), local.month(), local.day(),
                local.hour(), local.minute(), local.second(), local.millisecond(),
                minutes / 60, minutes % 60,
            );
            prop_assert_eq!(parse_text(&text), Some(UnixMillis(millis)), "{}", text);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,40}", near in "[-0-9T:.Z+]{19,32}") {
            let _ = parse_text(&text);
            let _ = parse_text(&near);
        }
    }
}
