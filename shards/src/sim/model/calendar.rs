//! Days, weeks and months in UTC, and what an account has lost in them (protocol.md
//! section 7).

use super::account::Account;
use crate::ledger::{LossPeriod, StatedAmount};

const DAY_MS: i64 = 86_400_000;

/// The numbers of a moment's day, ISO week and month; each grows with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Periods {
    day: i64,
    week: i64,
    month: i64,
}

impl Periods {
    pub(super) fn of(at_ms: i64) -> Self {
        let day = at_ms.div_euclid(DAY_MS);
        // 1970 began on a Thursday: its week began three days before.
        let week = (day + 3).div_euclid(7);
        Self {
            day,
            week,
            month: month_of(day),
        }
    }

    fn number(self, period: LossPeriod) -> i64 {
        match period {
            LossPeriod::Day => self.day,
            LossPeriod::Week => self.week,
            LossPeriod::Month => self.month,
        }
    }
}

/// Months since January 1970, found by counting years, then months.
fn month_of(day: i64) -> i64 {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut year, mut left) = (1970, day.max(0));
    loop {
        let days = if is_leap(year) { 366 } else { 365 };
        if left < days {
            break;
        }
        (year, left) = (year + 1, left - days);
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = (year - 1970) * 12;
    for days in lengths {
        if left < days {
            break;
        }
        (month, left) = (month + 1, left - days);
    }
    month
}

/// What the limits say of a stake.
#[derive(Default)]
pub(super) struct LossJudgement {
    /// Limits that it passes.
    pub(super) passed: Vec<LossPeriod>,
    /// Limits of which either can be said.
    pub(super) unsure: Vec<LossPeriod>,
}

/// Judges a stake that is really taken.
///
/// A clock that is set back over midnight makes a day begin twice. What the net loss of
/// that day is, protocol.md does not say, so until a later day has begun, either answer
/// is right; the same holds for weeks and months. It also holds in a span in which more
/// was lost or won than an account can hold: the wallet counts in 64 bits and stays at
/// the ends of them.
pub(super) fn judge(account: &Account, stake: StatedAmount, now_ms: i64) -> LossJudgement {
    let limits = &account.limits;
    let now = Periods::of(now_ms);
    let mut judgement = LossJudgement::default();
    for (period, limit) in [
        (LossPeriod::Day, limits.loss_daily),
        (LossPeriod::Week, limits.loss_weekly),
        (LossPeriod::Month, limits.loss_monthly),
    ] {
        let Some(limit) = limit else { continue };
        let current = now.number(period);
        let mut loss = 0i128;
        let mut is_beyond = false;
        let mut latest = i64::MIN;
        let mut begun_twice = i64::MIN;
        for booking in account.bookings.iter().filter(|b| b.loss() != 0) {
            let number = booking.periods.number(period);
            if number == current {
                loss += booking.loss();
                is_beyond |= i64::try_from(loss).is_err();
            }
            if number < latest {
                begun_twice = latest;
            }
            latest = latest.max(number);
        }
        if current < latest || current <= begun_twice || is_beyond {
            judgement.unsure.push(period);
            continue;
        }
        let passes = match stake {
            StatedAmount::Exact(stake) => {
                loss + i128::from(stake.minor()) > i128::from(limit.minor())
            }
            // A number that is refused for another reason is beyond any limit.
            _ => true,
        };
        if passes {
            judgement.passed.push(period);
        }
    }
    judgement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_weeks_and_months_begin_when_they_should() {
        // 2026-11-30 is a Monday; 2027-01-01 a Friday of the week of 2026-12-28;
        // 2028 is a leap year.
        for (day, before, week_begins, month_begins) in [
            ("2026-11-30", 1_795_996_800_000, true, false),
            ("2026-12-01", 1_796_083_200_000, false, true),
            ("2026-12-28", 1_798_416_000_000, true, false),
            ("2027-01-01", 1_798_761_600_000, false, true),
            ("2028-02-29", 1_835_395_200_000, false, false),
            ("2028-03-01", 1_835_481_600_000, false, true),
        ] {
            let (last, first) = (Periods::of(before - 1), Periods::of(before));
            assert_eq!(first.day, last.day + 1, "{day}");
            assert_eq!(first.week, last.week + i64::from(week_begins), "{day}");
            assert_eq!(first.month, last.month + i64::from(month_begins), "{day}");
        }
    }
}
