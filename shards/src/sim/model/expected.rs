//! What the wallet may answer, and what follows from each answer.
//!
//! Where protocol.md leaves one answer there is one [`Possible`]; where it leaves more,
//! the answer that was given decides which of them happened.

use std::ops::RangeInclusive;

use super::account::{Account, Booking, Session};
use super::round::Standing;
use crate::ledger::{
    AccountFacts, AccountStatus, Book, Booked, Facts, Funds, Limits, Outcome, RefusalReason,
    SessionFacts,
};
use crate::types::{AccountId, Lsn, SessionKey};

/// All answers that are right.
#[derive(Debug)]
pub struct Expected(pub(super) Vec<Possible>);

/// One right answer.
#[derive(Debug)]
pub(super) struct Possible {
    pub(super) told: Told,
    pub(super) posts: Posts,
    /// What it changes, if it is posted: what is not in the log did not happen.
    pub(super) effect: Effect,
}

/// Whether an answer goes with a posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Posts {
    Always,
    Never,
    /// Nothing that anybody could see later depends on it.
    Either,
}

#[derive(Debug)]
pub(super) enum Told {
    Accepted(Shown),
    Repeated(Shown),
    /// Code 0 on the wire; whether as accepted or as repeated is told to nobody.
    Done(Shown),
    Refused {
        /// One of them: those that are one code on the wire and have no order there.
        reasons: Vec<RefusalReason>,
        funds: Option<Funds>,
    },
}

#[derive(Debug)]
pub(super) enum Shown {
    Funds(Funds),
    Booked(Booked),
    Session(SessionFacts),
    Account(Box<AccountShown>),
    Books(Vec<Book>),
}

/// An account as it may be shown: the rest of its facts have one value.
#[derive(Debug)]
pub(super) struct AccountShown {
    pub(super) facts: AccountFacts,
    pub(super) open_rounds: RangeInclusive<u32>,
    pub(super) last_booking: Vec<Lsn>,
}

#[derive(Debug)]
pub(super) enum Effect {
    None,
    Opened(Box<Account>),
    SessionOpened(AccountId, Session),
    LoggedOut(SessionKey),
    Spent {
        key: SessionKey,
        issued_at: i64,
        expires_at: i64,
    },
    Booked(AccountId, Box<NewBooking>),
    /// A round alone.
    Round(AccountId, RoundAfter),
    Limits(AccountId, Limits),
    Status(AccountId, AccountStatus),
}

#[derive(Debug)]
pub(super) struct NewBooking {
    pub(super) booking: Booking,
    pub(super) round: Option<RoundAfter>,
    /// The place of the bet that it reverses.
    pub(super) rolls_back: Option<usize>,
    /// The place of the bet that the wallet has shown not to know any more.
    pub(super) forgets: Option<usize>,
    /// Whether it is surely one of the account's transactions: operator.md section 4
    /// does not say it of those that booked nothing.
    pub(super) is_listed: bool,
}

/// How a round may stand afterwards.
#[derive(Clone, Debug)]
pub(super) struct RoundAfter {
    pub(super) name: String,
    pub(super) standings: Vec<Standing>,
}

impl Expected {
    /// The one that was given.
    pub(super) fn choose(
        mut self,
        outcome: &Outcome,
        posted: Option<Lsn>,
    ) -> Result<Possible, String> {
        match self.0.iter().position(|p| p.matches(outcome, posted)) {
            Some(at) => Ok(self.0.swap_remove(at)),
            None => Err(self.wrong(outcome, posted)),
        }
    }

    /// What is wrong with an answer that is none of them.
    fn wrong(&self, outcome: &Outcome, posted: Option<Lsn>) -> String {
        let posted = match posted {
            Some(lsn) => format!("posted at LSN {lsn}"),
            None => "nothing posted".to_owned(),
        };
        let mut words = format!("the wallet said {outcome:?}, {posted}; right would be");
        for Possible { told, posts, .. } in &self.0 {
            words += &format!("\n  {told:?}, posting: {posts:?}");
        }
        words
    }
}

impl Possible {
    pub(super) fn read(shown: Shown) -> Self {
        Self {
            told: Told::Accepted(shown),
            posts: Posts::Never,
            effect: Effect::None,
        }
    }

    pub(super) fn repeated(shown: Shown) -> Self {
        Self {
            told: Told::Repeated(shown),
            posts: Posts::Never,
            effect: Effect::None,
        }
    }

    pub(super) fn refused(reason: RefusalReason, funds: Option<Funds>) -> Self {
        Self::refused_by_any(vec![reason], funds)
    }

    pub(super) fn refused_by_any(reasons: Vec<RefusalReason>, funds: Option<Funds>) -> Self {
        Self {
            told: Told::Refused { reasons, funds },
            posts: Posts::Never,
            effect: Effect::None,
        }
    }

    pub(super) fn matches(&self, outcome: &Outcome, posted: Option<Lsn>) -> bool {
        let posts = match self.posts {
            Posts::Always => posted.is_some(),
            Posts::Never => posted.is_none(),
            Posts::Either => true,
        };
        posts && self.told.matches(outcome, posted)
    }
}

impl Told {
    fn matches(&self, outcome: &Outcome, posted: Option<Lsn>) -> bool {
        match (self, outcome) {
            (Self::Accepted(shown) | Self::Done(shown), Outcome::Accepted(facts))
            | (Self::Repeated(shown) | Self::Done(shown), Outcome::Repeated(facts)) => {
                shown.matches(facts, posted)
            }
            (Self::Refused { reasons, funds }, Outcome::Refused(refusal)) => {
                let shown = match refusal.funds {
                    None => funds.is_none() || !has_balance(refusal.reason),
                    Some(_) => refusal.funds == *funds,
                };
                shown && reasons.contains(&refusal.reason)
            }
            _ => false,
        }
    }
}

impl Shown {
    fn matches(&self, facts: &Facts, posted: Option<Lsn>) -> bool {
        match (self, facts) {
            (Self::Funds(expected), Facts::Funds(actual)) => expected == actual,
            (Self::Booked(expected), Facts::Booked(actual)) => expected == actual,
            (Self::Session(expected), Facts::Session(actual)) => expected == actual,
            (Self::Account(expected), Facts::Account(actual)) => expected.matches(actual, posted),
            (Self::Books(expected), Facts::Books(actual)) => same_books(expected, actual),
            _ => false,
        }
    }
}

impl AccountShown {
    fn matches(&self, actual: &AccountFacts, posted: Option<Lsn>) -> bool {
        let mut expected = self.facts.clone();
        if self.open_rounds.contains(&actual.open_rounds) {
            expected.open_rounds = actual.open_rounds;
        }
        // Nothing that answers with an account is a booking.
        if self.last_booking.contains(&actual.last_booking) && posted != Some(actual.last_booking) {
            expected.last_booking = actual.last_booking;
        }
        expected == *actual
    }
}

/// Books in any order: their order is when each was opened.
pub(super) fn same_books(expected: &[Book], actual: &[Book]) -> bool {
    expected.len() == actual.len() && expected.iter().all(|book| actual.contains(book))
}

/// Whether the wire shows the balance with a refusal (protocol.md section 3).
fn has_balance(reason: RefusalReason) -> bool {
    matches!(
        reason,
        RefusalReason::InsufficientFunds
            | RefusalReason::SessionLoggedOut
            | RefusalReason::BetNotFound
            | RefusalReason::RolledBackBefore
            | RefusalReason::CurrencyMismatch
            | RefusalReason::LossLimit(_)
            | RefusalReason::SessionLimit
            | RefusalReason::RoundNotFound
            | RefusalReason::GameNotFound
    )
}
