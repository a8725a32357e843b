//! The time of day as requests carry it, read from the monotonic clock.
//!
//! One look at the wall clock at the start is enough for a run; afterwards a reading of the
//! monotonic clock, which every request needs anyway, gives both.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Length of `2026-11-22T16:30:00.000Z`.
pub(crate) const TIMESTAMP_BYTES: usize = 24;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Unix time as a number and as text, for the moment last asked for.
#[derive(Clone, Debug)]
pub(crate) struct WallClock {
    epoch: Instant,
    epoch_unix_ms: u64,
    text: [u8; TIMESTAMP_BYTES],
    text_unix_ms: u64,
}

impl WallClock {
    pub(crate) fn new() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            epoch: Instant::now(),
            // A clock before 1970 makes wrong timestamps, which the server will say.
            epoch_unix_ms: unix.unwrap_or(Duration::ZERO).as_millis() as u64,
            text: iso8601(0),
            text_unix_ms: 0,
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn unix_ms(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch);
        self.epoch_unix_ms + since.as_millis() as u64
    }

    /// ISO-8601 in UTC with milliseconds, as the reference's client writes it.
    pub(crate) fn timestamp(&mut self, now: Instant) -> &[u8; TIMESTAMP_BYTES] {
        let unix_ms = self.unix_ms(now);
        if unix_ms != self.text_unix_ms {
            self.text = iso8601(unix_ms);
            self.text_unix_ms = unix_ms;
        }
        &self.text
    }
}

/// `2026-11-22T16:30:00.000Z` of milliseconds since 1970, for the years to 9999.
pub(crate) fn iso8601(unix_ms: u64) -> [u8; TIMESTAMP_BYTES] {
    let (year, month, day) = civil_date(unix_ms / DAY_MS);
    let of_day_ms = unix_ms % DAY_MS;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], of_day_ms / 3_600_000);
    put(&mut text[14..16], of_day_ms / 60_000 % 60);
    put(&mut text[17..19], of_day_ms / 1_000 % 60);
    put(&mut text[20..23], of_day_ms % 1_000);
    text
}

/// Writes the last digits of a number, one for each place.
fn put(places: &mut [u8], mut number: u64) {
    for place in places.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar.
///
/// Years are counted from March here, so that the leap day is a year's last.
fn civil_date(days: u64) -> (u64, u64, u64) {
    // 0000-03-01 is 719,468 days before 1970-01-01; an era is 400 years.
    const ERA_DAYS: u64 = 146_097;
    let since = days + 719_468;
    let of_era = since % ERA_DAYS;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Five months from March have 153 days, and so have the next five.
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = since / ERA_DAYS * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_calendar_are_written_as_people_know_them() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_583_020_800_000, "2020-03-01T00:00:00.000Z"),
            (1_735_689_599_001, "2024-12-31T23:59:59.001Z"),
            (1_795_365_045_067, "2026-11-22T16:30:45.067Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (unix_ms, expected) in cases {
            let text = iso8601(unix_ms);
            assert_eq!(std::str::from_utf8(&text).unwrap(), expected);
        }
    }

    #[test]
    fn number_and_text_are_of_the_same_moment() {
        let mut clock = WallClock::new();
        let later = clock.epoch + Duration::from_millis(1_234);
        let unix_ms = clock.unix_ms(later);
        assert_eq!(unix_ms, clock.epoch_unix_ms + 1_234);
        assert_eq!(*clock.timestamp(later), iso8601(unix_ms));
    }
}
