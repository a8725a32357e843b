//! What an operator limits on one account (protocol.md section 7).

use crate::types::Amount;

/// The limits of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Net loss within a UTC day.
    pub loss_daily: Option<Amount>,
    /// Net loss within an ISO week, from Monday 00:00 UTC.
    pub loss_weekly: Option<Amount>,
    /// Net loss within a calendar month, UTC.
    pub loss_monthly: Option<Amount>,
    /// How old a session may be that still bets, in seconds.
    pub session_s: Option<u32>,
}

/// A change of limits: `None` leaves one as it is, `Some(None)` removes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsChange {
    /// Of [`Limits::loss_daily`].
    pub loss_daily: Option<Option<Amount>>,
    /// Of [`Limits::loss_weekly`].
    pub loss_weekly: Option<Option<Amount>>,
    /// Of [`Limits::loss_monthly`].
    pub loss_monthly: Option<Option<Amount>>,
    /// Of [`Limits::session_s`].
    pub session_s: Option<Option<u32>>,
}

impl LimitsChange {
    /// The limits that this makes of others.
    #[must_use]
    pub fn applied_to(&self, limits: Limits) -> Limits {
        Limits {
            loss_daily: self.loss_daily.unwrap_or(limits.loss_daily),
            loss_weekly: self.loss_weekly.unwrap_or(limits.loss_weekly),
            loss_monthly: self.loss_monthly.unwrap_or(limits.loss_monthly),
            session_s: self.session_s.unwrap_or(limits.session_s),
        }
    }
}

/// The span of time of a net-loss limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossPeriod {
    /// A UTC day.
    Day,
    /// An ISO week.
    Week,
    /// A calendar month.
    Month,
}
