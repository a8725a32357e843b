//! What happens at most once: requests and their repeats (protocol.md section 8), the
//! checks that several kinds share (section 4), and the booking itself.

use super::View;
use super::account::{Booking, Contents, Kind, Purse, Remembered};
use super::calendar::Periods;
use super::expected::{Effect, NewBooking, Possible, Posts, RoundAfter, Shown, Told};
use super::round::Standing;
use crate::ledger::{Booked, Funds, RefusalReason, RoundBooking, StatedAmount, StatedSession};
use crate::types::{Currency, TransactionId, UnixMillis};

/// What identifies a request and its repeats.
pub(super) struct Request<'a> {
    pub(super) kind: Kind,
    pub(super) id: &'a TransactionId,
    pub(super) contents: Contents,
    /// `None` for the operator's, which carry no `Timestamp`.
    pub(super) stated_at: Option<UnixMillis>,
}

/// A booking that is about to be made; its places are those of [`NewBooking`].
pub(super) struct Draft {
    pub(super) moved: Purse,
    pub(super) remembered: Remembered,
    pub(super) round: Option<RoundAfter>,
    pub(super) rolls_back: Option<usize>,
    pub(super) forgets: Option<usize>,
    pub(super) is_listed: bool,
}

impl Draft {
    pub(super) fn of(moved: Purse, remembered: Remembered, round: Option<RoundAfter>) -> Self {
        Self {
            moved,
            remembered,
            round,
            rolls_back: None,
            forgets: None,
            is_listed: true,
        }
    }
}

impl<'a> Request<'a> {
    pub(super) fn of_round(kind: Kind, round: &'a RoundBooking, bet: &str) -> Self {
        Self {
            kind,
            id: &round.transaction,
            contents: Contents {
                amount: round.amount,
                round: round.round.as_str().to_owned(),
                game: round.game.as_str().to_owned(),
                bet: bet.to_owned(),
            },
            stated_at: Some(round.stated_at),
        }
    }
}

impl View<'_> {
    /// Time, then repeats, then what is new (section 4, step 7; section 8).
    pub(super) fn once(
        &self,
        request: &Request<'_>,
        fresh: impl FnOnce() -> Vec<Possible>,
    ) -> Vec<Possible> {
        if let Some(stated_at) = request.stated_at {
            if stated_at.0 < self.now - self.model.window_ms {
                return self.refuse(RefusalReason::RequestTooOld);
            }
            if stated_at.0 > self.now + self.model.skew_ms {
                return self.refuse(RefusalReason::RequestInFuture);
            }
        }
        let Some((_, seen)) = self.account.find(request.kind, request.id.as_str()) else {
            return fresh();
        };
        let mut possibles = self.repeat(request, seen);
        if self.may_be_forgotten(seen.promised_until) {
            possibles.extend(fresh());
        }
        possibles
    }

    fn repeat(&self, request: &Request<'_>, seen: &Booking) -> Vec<Possible> {
        if request.contents != seen.contents {
            return self.refuse(RefusalReason::TransactionIdReused);
        }
        match seen.remembered {
            Remembered::Booked { split } => {
                vec![Possible::repeated(booked(self.account.funds(), split))]
            }
            Remembered::Funds => vec![Possible::repeated(self.funds())],
            Remembered::BetNotFound => self.refuse(RefusalReason::BetNotFound),
        }
    }

    /// The checks that award, rollback and void share (section 4, step 9).
    pub(super) fn check_round(&self, round: &RoundBooking) -> Result<(), Vec<Possible>> {
        if self.is_of_another(round.session) {
            return Err(self.refuse(RefusalReason::SessionOfAnotherAccount));
        }
        self.check_money_and_game(round)
    }

    /// Currency, fraction digits, game. The digits are judged "after the currency
    /// check"; whether before the game, the pages do not say.
    pub(super) fn check_money_and_game(&self, round: &RoundBooking) -> Result<(), Vec<Possible>> {
        if round.currency != Some(self.account.currency) {
            return Err(self.refuse(RefusalReason::CurrencyMismatch));
        }
        let mut refusals = Vec::new();
        if round.amount == StatedAmount::TooPrecise {
            refusals.extend(self.refuse(RefusalReason::AmountTooPrecise));
        }
        if !round.game_known {
            refusals.extend(self.refuse(RefusalReason::GameNotFound));
        }
        match refusals.is_empty() {
            true => Ok(()),
            false => Err(refusals),
        }
    }

    /// A session that is live and another account's.
    pub(super) fn is_of_another(&self, session: StatedSession) -> bool {
        match session {
            StatedSession::None => false,
            StatedSession::Foreign { live } => live,
            StatedSession::Own(key) => self.model.session(key).is_some_and(|(account, session)| {
                account.id != self.account.id && session.is_live(self.now)
            }),
        }
    }

    pub(super) fn round_after(
        &self,
        round: &RoundBooking,
        after: impl Fn(Standing) -> Vec<Standing>,
    ) -> RoundAfter {
        let name = round.round.as_str().to_owned();
        let mut standings: Vec<Standing> = Vec::new();
        for standing in self.standings(&name).into_iter().flat_map(after) {
            if !standings.contains(&standing) {
                standings.push(standing);
            }
        }
        RoundAfter { name, standings }
    }

    /// The answer that makes a booking, or the refusal for funds that cannot hold it.
    pub(super) fn book(&self, request: &Request<'_>, draft: Draft) -> Vec<Possible> {
        let Some(funds) = self.account.funds_after(draft.moved) else {
            let reason = match draft.moved.total() < 0 {
                true => RefusalReason::InsufficientFunds,
                false => RefusalReason::BalanceOverflow,
            };
            return self.refuse(reason);
        };
        let told = match draft.remembered {
            Remembered::Booked { split } if draft.is_listed => Told::Accepted(booked(funds, split)),
            // A second rollback.
            Remembered::Booked { split } => Told::Done(booked(funds, split)),
            Remembered::Funds => Told::Accepted(Shown::Funds(funds)),
            Remembered::BetNotFound => Told::Refused {
                reasons: vec![RefusalReason::BetNotFound],
                funds: Some(funds),
            },
        };
        let ahead = request.stated_at.map_or(0, |at| (at.0 - self.now).max(0));
        let booking = Booking {
            kind: request.kind,
            id: request.id.as_str().to_owned(),
            contents: request.contents.clone(),
            remembered: draft.remembered,
            // "Counted from the booking", and a repeat that still carries an acceptable
            // `Timestamp` must not book again.
            promised_until: self.age + ahead + self.model.window_ms,
            moved: draft.moved,
            periods: Periods::of(self.now),
            rolled_back: false,
            forgotten: false,
        };
        let new = NewBooking {
            booking,
            round: draft.round,
            rolls_back: draft.rolls_back,
            forgets: draft.forgets,
            is_listed: draft.is_listed,
        };
        vec![Possible {
            told,
            posts: Posts::Always,
            effect: Effect::Booked(self.account.id.clone(), Box::new(new)),
        }]
    }

    /// Money of the operator's.
    pub(super) fn decide_money(
        &self,
        request: &Request<'_>,
        moved: Purse,
        currency: Currency,
    ) -> Vec<Possible> {
        self.once(request, || {
            if currency != self.account.currency {
                return self.refuse(RefusalReason::CurrencyMismatch);
            }
            self.book(request, Draft::of(moved, Remembered::Funds, None))
        })
    }

    pub(super) fn shown_funds(&self) -> Option<Funds> {
        Some(self.account.funds())
    }

    pub(super) fn refuse(&self, reason: RefusalReason) -> Vec<Possible> {
        vec![Possible::refused(reason, self.shown_funds())]
    }
}

/// What the repeats of all but bets are told of a split.
pub(super) const BOOKED: Remembered = Remembered::Booked {
    split: Purse { cash: 0, bonus: 0 },
};

fn booked(funds: Funds, split: Purse) -> Shown {
    let split = split
        .balance()
        .unwrap_or_else(|| unreachable!("a stake was in the funds"));
    Shown::Booked(Booked { funds, split })
}
