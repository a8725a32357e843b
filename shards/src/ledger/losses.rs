//! What an account lost lately, and whether it may lose more (protocol.md section 7).
//!
//! Net loss = stakes − winnings − rollbacks − voids, by the time of their postings, within
//! the UTC day, the ISO week and the calendar month. Stakes count in full, whether cash or
//! bonus was taken: a limit protects the player from playing on, not the operator's bonus.
//! Free play takes nothing and counts nothing; its winnings are winnings.
//!
//! The counters exist from the first of these bookings on, so that a limit that is set
//! later counts what was lost in the same span before. A counter belongs to the span of
//! the last booking. A booking in another one begins it anew, but for the one before: a
//! clock that is set back over midnight does not give back what was lost, and what is lost
//! then counts in the later span. A counter of a time that is further ahead was a clock's
//! error, and would not end for years.

use super::{Limits, LossEntry, LossPeriod, RefusalReason};
use crate::types::{Amount, UnixMillis};

/// The periods, in the order in which they refuse.
const PERIODS: [LossPeriod; 3] = [LossPeriod::Day, LossPeriod::Week, LossPeriod::Month];

const DAY_MS: i64 = 86_400_000;

/// What is kept of an account that plays or has limits.
#[derive(Debug, Default)]
pub(super) struct Play {
    /// Net loss of each period, in minor units.
    losses: [i64; PERIODS.len()],
    /// Which day, week and month these are.
    spans: [i32; PERIODS.len()],
    // Most accounts have none.
    limits: Option<Box<Limits>>,
}

// design.md section 5: accounts that play hold this beside their 200 bytes.
const _: () = assert!(size_of::<Play>() <= 48);

impl Play {
    /// From a checkpoint; nothing for an account that never played and has no limits.
    pub(super) fn restored(
        limits: Limits,
        losses: Option<[LossEntry; PERIODS.len()]>,
    ) -> Option<Self> {
        if losses.is_none() && limits == Limits::default() {
            return None;
        }
        let losses = losses.unwrap_or_default();
        let mut play = Self {
            losses: losses.map(|loss| loss.minor),
            spans: losses.map(|loss| loss.span),
            limits: None,
        };
        play.set_limits(limits);
        Some(play)
    }

    /// What it takes, in bytes, with its limits.
    pub(super) fn bytes(&self) -> usize {
        let limits = self.limits.as_ref();
        size_of::<Self>() + limits.map_or(0, |_| size_of::<Limits>())
    }

    /// For a checkpoint.
    pub(super) fn losses(&self) -> [LossEntry; PERIODS.len()] {
        std::array::from_fn(|period| LossEntry {
            minor: self.losses[period],
            span: self.spans[period],
        })
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits.as_deref().copied().unwrap_or_default()
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = (limits != Limits::default()).then(|| Box::new(limits));
    }

    /// Counts what was lost, or won back if it is below zero.
    pub(super) fn book_loss(&mut self, minor: i64, now: UnixMillis) {
        let spans = spans_of(now);
        for ((loss, span), now) in self.losses.iter_mut().zip(&mut self.spans).zip(spans) {
            if !counts_at(*span, now) {
                *span = now;
                *loss = 0;
            }
            // A net loss of 2^63 is beyond any limit, and a gain of as much below any:
            // both stay there.
            *loss = loss.saturating_add(minor);
        }
    }

    /// Whether a stake may be lost; `None` is one beyond 64 bits, so beyond any limit.
    pub(super) fn check_loss(
        &self,
        stake: Option<Amount>,
        now: UnixMillis,
    ) -> Result<(), RefusalReason> {
        let Some(limits) = &self.limits else {
            return Ok(());
        };
        // Losing nothing passes no limit, not even one that was passed before it was set.
        if stake == Some(Amount::ZERO) {
            return Ok(());
        }
        let maximums = [limits.loss_daily, limits.loss_weekly, limits.loss_monthly];
        let losses = self.losses_at(now);
        for ((period, maximum), loss) in PERIODS.into_iter().zip(maximums).zip(losses) {
            let Some(maximum) = maximum else { continue };
            // Two numbers of 64 bits: the sum needs one more.
            let passes = stake.is_none_or(|stake| {
                i128::from(loss) + i128::from(stake.minor()) > i128::from(maximum.minor())
            });
            if passes {
                return Err(RefusalReason::LossLimit(period));
            }
        }
        Ok(())
    }

    /// Whether a session may still bet: until it is older than the limit.
    pub(super) fn check_session_age(
        &self,
        created_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), RefusalReason> {
        let limit_s = self.limits.as_ref().and_then(|limits| limits.session_s);
        let Some(limit_s) = limit_s else {
            return Ok(());
        };
        let age_ms = now.0.saturating_sub(created_at.0);
        if age_ms > i64::from(limit_s) * 1_000 {
            Err(RefusalReason::SessionLimit)
        } else {
            Ok(())
        }
    }

    /// The counters as they stand at a time: those of other spans are zero.
    fn losses_at(&self, now: UnixMillis) -> [i64; PERIODS.len()] {
        let spans = spans_of(now);
        std::array::from_fn(
            |period| match counts_at(self.spans[period], spans[period]) {
                true => self.losses[period],
                false => 0,
            },
        )
    }
}

/// Whether the counter of a span is the one for a booking in span `now`.
fn counts_at(span: i32, now: i32) -> bool {
    span == now || span.checked_sub(1) == Some(now)
}

/// The day, week and month of a moment, each counted from an arbitrary begin.
fn spans_of(now: UnixMillis) -> [i32; PERIODS.len()] {
    let day = now.0.div_euclid(DAY_MS);
    // 1970-01-01 was a Thursday: the Monday before it is day -3.
    let week = (day + 3).div_euclid(7);
    // Days of some five million years fit; a clock beyond that stays in its last span.
    [day, week, month_of(day)]
        .map(|span| i32::try_from(span).unwrap_or(if span < 0 { i32::MIN } else { i32::MAX }))
}

/// Months from the begin of year 0 of the Gregorian calendar to that of a day.
///
/// Years are counted from March, so that the leap day is the last day of one, and months
/// of a year begin at days 0, 31, 61, 92, 122, 153, …: 153 days in five months.
fn month_of(day: i64) -> i64 {
    const DAYS_400_YEARS: i64 = 146_097;
    const DAYS_100_YEARS: i64 = 36_524;
    const DAYS_4_YEARS: i64 = 1_461;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    let days = day + 719_468;
    let cycle = days.div_euclid(DAYS_400_YEARS);
    let of_cycle = days.rem_euclid(DAYS_400_YEARS);
    // The last century and the last year of a leap cycle are a day longer.
    let century = (of_cycle / DAYS_100_YEARS).min(3);
    let of_century = of_cycle - century * DAYS_100_YEARS;
    let leap_cycle = of_century / DAYS_4_YEARS;
    let of_leap_cycle = of_century % DAYS_4_YEARS;
    let year = (of_leap_cycle / 365).min(3);
    let of_year = of_leap_cycle - year * 365;
    let years = cycle * 400 + century * 100 + leap_cycle * 4 + year;
    let month = (5 * of_year + 2) / 153;
    years * 12 + month + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22, a Sunday.
    const SUNDAY: i64 = 20_779;

    fn at(day: i64, ms: i64) -> UnixMillis {
        UnixMillis(day * DAY_MS + ms)
    }

    #[test]
    fn days_weeks_and_months_change_when_the_calendar_says_so() {
        // The first day of each, and whether the day before is of the same week and month.
        for (name, day, same_week, same_month) in [
            ("1970-01-01, a Thursday", 0, true, false),
            ("1970-01-05, a Monday", 4, false, true),
            ("1969-12-29, a Monday", -3, false, true),
            ("1972-02-29", 789, true, true),
            ("1972-03-01", 790, true, false),
            ("2000-02-29", 11_016, true, true),
            ("2000-03-01", 11_017, true, false),
            ("2026-11-22, a Sunday", SUNDAY, true, true),
            ("2026-11-23, a Monday", SUNDAY + 1, false, true),
            ("2026-12-01", SUNDAY + 9, true, false),
            ("2027-01-01, a Friday of week 53", SUNDAY + 40, true, false),
            ("2100-02-28", 47_540, true, true),
            (
                "2100-03-01, of no leap year, a Monday",
                47_541,
                false,
                false,
            ),
        ] {
            let first = spans_of(at(day, 0));
            assert_eq!(first, spans_of(at(day, DAY_MS - 1)), "{name}: one day");
            let before = spans_of(at(day, -1));
            assert_eq!(before[0] + 1, first[0], "{name}: another day");
            assert_eq!(before[1] == first[1], same_week, "{name}: week");
            assert_eq!(before[2] == first[2], same_month, "{name}: month");
        }
    }

    #[test]
    fn every_month_of_400_years_has_its_days() {
        // From 1970-01-01 on.
        let (mut day, mut month) = (0, month_of(0));
        assert_eq!(month, 1_970 * 12);
        for year in 1_970..2_370 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let february = if leap { 29 } else { 28 };
            for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
                assert_eq!(month_of(day), month, "the first of a month of {year}");
                assert_eq!(month_of(day + days - 1), month, "its last day");
                day += days;
                month += 1;
            }
        }
    }

    #[test]
    fn times_beyond_any_calendar_have_a_span_too() {
        for now in [i64::MIN, -1, i64::MAX] {
            assert_eq!(spans_of(UnixMillis(now)), spans_of(UnixMillis(now)));
        }
    }

    fn amount(minor: i64) -> Option<Amount> {
        Amount::from_minor(minor)
    }

    #[test]
    fn a_loss_counts_in_its_day_week_and_month() {
        let mut play = Play::default();
        play.book_loss(100, at(SUNDAY, 0));
        play.book_loss(-30, at(SUNDAY, DAY_MS - 1));
        assert_eq!(play.losses_at(at(SUNDAY, 7)), [70, 70, 70]);
        assert_eq!(play.losses_at(at(SUNDAY + 1, 0)), [0, 0, 70]);
        play.book_loss(1, at(SUNDAY + 1, 0));
        assert_eq!(play.losses_at(at(SUNDAY + 1, 0)), [1, 1, 71]);
        // The first of December is a Tuesday.
        assert_eq!(play.losses_at(at(SUNDAY + 8, 0)), [0, 0, 71]);
        play.book_loss(2, at(SUNDAY + 8, 0));
        play.book_loss(4, at(SUNDAY + 9, 0));
        assert_eq!(play.losses_at(at(SUNDAY + 9, 0)), [4, 6, 4]);
    }

    #[test]
    fn a_clock_set_back_over_midnight_gives_no_loss_back() {
        let mut play = Play::default();
        // The first of December is a Tuesday.
        let midnight = SUNDAY + 9;
        play.book_loss(5, at(midnight, 0));
        assert_eq!(play.losses_at(at(midnight, -1)), [5, 5, 5]);
        play.book_loss(2, at(midnight, -1));
        assert_eq!(play.losses_at(at(midnight, 0)), [7, 7, 7]);
        // Two days back, in the week and the month before.
        assert_eq!(play.losses_at(at(midnight - 2, 0)), [0, 7, 7]);
        play.book_loss(1, at(midnight - 2, 0));
        assert_eq!(play.losses_at(at(midnight - 2, 0)), [1, 8, 8]);
        // A month that is far ahead was never there.
        play.book_loss(9, at(midnight + 400, 0));
        assert_eq!(play.losses_at(at(midnight, 0)), [0, 0, 0]);
    }

    #[test]
    fn a_stake_may_reach_a_limit_and_not_pass_it() {
        use LossPeriod::{Day, Month, Week};
        let mut play = Play::default();
        play.book_loss(90, at(SUNDAY, 0));
        let limits = |loss_daily, loss_weekly, loss_monthly| Limits {
            loss_daily,
            loss_weekly,
            loss_monthly,
            session_s: None,
        };
        let none = None;
        for (limits, stake, passes) in [
            (limits(none, none, none), amount(i64::MAX), None),
            (limits(none, none, none), None, None),
            (limits(amount(100), none, none), amount(10), None),
            (limits(amount(100), none, none), amount(11), Some(Day)),
            (limits(none, amount(100), none), amount(11), Some(Week)),
            (limits(none, none, amount(100)), amount(11), Some(Month)),
            (
                limits(amount(101), amount(100), amount(99)),
                amount(11),
                Some(Week),
            ),
            (limits(amount(50), none, none), amount(1), Some(Day)),
            (limits(amount(50), none, none), amount(0), None),
            (
                limits(amount(i64::MAX), none, none),
                amount(i64::MAX),
                Some(Day),
            ),
            (limits(amount(i64::MAX), none, none), None, Some(Day)),
        ] {
            play.set_limits(limits);
            let expected = passes.map_or(Ok(()), |period| Err(RefusalReason::LossLimit(period)));
            let checked = play.check_loss(stake, at(SUNDAY, 1));
            assert_eq!(checked, expected, "{stake:?} under {limits:?}");
        }
    }

    #[test]
    fn losses_beyond_64_bits_stay_there() {
        let mut play = Play::default();
        play.set_limits(Limits {
            loss_daily: Some(Amount::MAX),
            ..Limits::default()
        });
        for _ in 0..3 {
            play.book_loss(i64::MAX, at(0, 0));
        }
        let more = play.check_loss(amount(1), at(0, 0));
        assert_eq!(more, Err(RefusalReason::LossLimit(LossPeriod::Day)));
        for _ in 0..5 {
            play.book_loss(-i64::MAX, at(0, 0));
        }
        assert_eq!(play.check_loss(Some(Amount::MAX), at(0, 0)), Ok(()));
    }

    #[test]
    fn a_session_bets_until_it_is_older_than_its_limit() {
        let mut play = Play::default();
        let check = |play: &Play, now| play.check_session_age(UnixMillis(1_000), UnixMillis(now));
        assert_eq!(check(&play, i64::MAX), Ok(()));
        play.set_limits(Limits {
            session_s: Some(60),
            ..Limits::default()
        });
        assert_eq!(check(&play, 61_000), Ok(()));
        assert_eq!(check(&play, 61_001), Err(RefusalReason::SessionLimit));
        assert_eq!(check(&play, 0), Ok(()), "a clock that was set back");
    }
}
