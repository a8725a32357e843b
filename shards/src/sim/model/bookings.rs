//! Bets, awards, rollbacks, voids, ends, credits and alerts (protocol.md sections 4, 7
//! and 8), in the order in which the pages check.

use super::View;
use super::account::{Booking, Contents, Kind, Purse, Remembered, Session};
use super::calendar::{self, LossJudgement, Periods};
use super::expected::{Effect, NewBooking, Possible, Posts, RoundAfter, Shown, Told};
use super::round::{Standing, split};
use crate::ledger::{
    AccountStatus, AwardWinnings, Booked, Credit, EndRound, Funds, FundsOrder, LossPeriod,
    PlaceBet, RefusalReason, RollBackBet, RoundBooking, StatedAmount, StatedSession, VoidBet,
};
use crate::types::{Amount, Currency, TransactionId, UnixMillis};

/// What identifies a request and its repeats.
pub(super) struct Request<'a> {
    pub(super) kind: Kind,
    pub(super) id: &'a TransactionId,
    pub(super) contents: Contents,
    /// `None` for the operator's, which carry no `Timestamp`.
    pub(super) stated_at: Option<UnixMillis>,
}

/// Whether the wallet still knows something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Memory {
    Unsure,
    Sure,
}

/// A booking that is about to be made.
struct Draft {
    moved: Purse,
    remembered: Remembered,
    round: Option<RoundAfter>,
    rolls_back: Option<usize>,
    forgets: Option<usize>,
    is_listed: bool,
}

impl Draft {
    fn of(moved: Purse, remembered: Remembered, round: Option<RoundAfter>) -> Self {
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
    fn of_round(kind: Kind, round: &'a RoundBooking, bet: &str) -> Self {
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
    pub(super) fn decide_alert(&self) -> Vec<Possible> {
        vec![Possible {
            told: Told::Accepted(self.funds()),
            posts: Posts::Either,
            effect: Effect::None,
        }]
    }

    pub(super) fn decide_bet(&self, bet: &PlaceBet) -> Vec<Possible> {
        let request = Request::of_round(Kind::Bet, &bet.round, "");
        self.once(&request, || {
            let session = match self.bet_session(&bet.round) {
                Ok(session) => session,
                Err(refusals) => return refusals,
            };
            if let Err(refusals) = self.check_money_and_game(&bet.round) {
                return refusals;
            }
            let (mut possibles, tombstone) = (Vec::new(), self.tombstone(bet));
            // Beyond the window the wallet may have forgotten the rollback.
            if tombstone != Some(Memory::Sure) {
                possibles = self.decide_restrictions(&request, bet, session);
            }
            if tombstone.is_some() {
                possibles.extend(self.refuse(RefusalReason::RolledBackBefore));
            }
            possibles
        })
    }

    fn bet_session(&self, round: &RoundBooking) -> Result<&Session, Vec<Possible>> {
        let StatedSession::Own(key) = round.session else {
            return Err(self.refuse(RefusalReason::SessionUnknown));
        };
        match self.model.session(key) {
            Some((account, session)) if account.id == self.account.id => {
                match session.is_live(self.now) {
                    true => Ok(session),
                    false => Err(self.refuse(RefusalReason::SessionLoggedOut)),
                }
            }
            _ => Err(self.refuse(RefusalReason::SessionUnknown)),
        }
    }

    /// The checks of section 4 from the restrictions on.
    fn decide_restrictions(
        &self,
        request: &Request<'_>,
        bet: &PlaceBet,
        session: &Session,
    ) -> Vec<Possible> {
        if self.account.status == AccountStatus::Suspended {
            return self.refuse(RefusalReason::AccountSuspended);
        }
        if let Some(limit_s) = self.account.limits.session_s
            && self.now - session.created_at.0 > i64::from(limit_s) * 1_000
        {
            return self.refuse(RefusalReason::SessionLimit);
        }
        let refused_for = |periods: Vec<LossPeriod>| {
            let reasons = periods.into_iter().map(RefusalReason::LossLimit).collect();
            Possible::refused_by_any(reasons, self.shown_funds())
        };
        let mut losses = LossJudgement::default();
        // A stake of nothing passes no limit, also behind one that was lowered.
        let is_nothing = bet.round.amount == StatedAmount::Exact(Amount::ZERO);
        if !bet.free_play && !is_nothing {
            losses = calendar::judge(self.account, bet.round.amount, self.now);
        }
        if !losses.passed.is_empty() {
            return vec![refused_for([losses.passed, losses.unsure].concat())];
        }
        let taken = match bet.round.amount {
            StatedAmount::Exact(_) if bet.free_play => Some(Purse::default()),
            StatedAmount::Exact(stake) => self.take(stake.minor().into(), bet.funds_order),
            StatedAmount::TooPrecise | StatedAmount::TooLarge => None,
        };
        let mut possibles = match taken {
            Some(taken) => self.book_bet(request, bet, taken),
            None => self.refuse(RefusalReason::InsufficientFunds),
        };
        if !losses.unsure.is_empty() {
            possibles.push(refused_for(losses.unsure));
        }
        possibles
    }

    /// How a stake is taken (section 7), if the funds have it.
    fn take(&self, stake: i128, order: FundsOrder) -> Option<Purse> {
        let purse = self.account.purse;
        let cash = match order {
            FundsOrder::CashFirst => stake.min(purse.cash),
            FundsOrder::BonusFirst => stake - stake.min(purse.bonus),
            FundsOrder::CashOnly => stake,
        };
        let bonus = stake - cash;
        (cash <= purse.cash && bonus <= purse.bonus).then_some(Purse { cash, bonus })
    }

    fn book_bet(&self, request: &Request<'_>, bet: &PlaceBet, taken: Purse) -> Vec<Possible> {
        let round = &bet.round;
        let after = self.round_after(round, |standing| {
            vec![standing.played(taken, round.end_round)]
        });
        let draft = Draft::of(
            taken.negated(),
            Remembered::Booked { split: taken },
            Some(after),
        );
        self.book(request, draft)
    }

    pub(super) fn decide_award(&self, award: &AwardWinnings) -> Vec<Possible> {
        let round = &award.round;
        let request = Request::of_round(Kind::Award, round, "");
        self.once(&request, || {
            if let Err(refusals) = self.check_round(round) {
                return refusals;
            }
            let StatedAmount::Exact(winnings) = round.amount else {
                return self.refuse(RefusalReason::BalanceOverflow);
            };
            // One possibility for each way in which they may be split.
            let mut ways: Vec<(Purse, Vec<Standing>)> = Vec::new();
            for standing in self.standings(round.round.as_str()) {
                let won = split(winnings.minor().into(), standing.stakes);
                let after = standing.played(Purse::default(), round.end_round);
                match ways.iter_mut().find(|(other, _)| *other == won) {
                    Some((_, standings)) => standings.push(after),
                    None => ways.push((won, vec![after])),
                }
            }
            let each_way = |(won, standings)| {
                let after = RoundAfter {
                    name: round.round.as_str().to_owned(),
                    standings,
                };
                self.book(&request, Draft::of(won, BOOKED, Some(after)))
            };
            ways.into_iter().flat_map(each_way).collect()
        })
    }

    pub(super) fn decide_rollback(&self, rollback: &RollBackBet) -> Vec<Possible> {
        let round = &rollback.round;
        let request = Request::of_round(Kind::Rollback, round, rollback.bet.as_str());
        self.once(&request, || {
            if let Err(refusals) = self.check_round(round) {
                return refusals;
            }
            let Some((place, bet)) = self.account.find(Kind::Bet, rollback.bet.as_str()) else {
                return self.book_tombstone(&request, None);
            };
            let mut possibles = self.roll_back(&request, round, place, bet);
            if self.may_be_forgotten(bet.promised_until) {
                possibles.extend(self.book_tombstone(&request, Some(place)));
            }
            possibles
        })
    }

    /// Reverses a bet that is known.
    fn roll_back(
        &self,
        request: &Request<'_>,
        round: &RoundBooking,
        place: usize,
        bet: &Booking,
    ) -> Vec<Possible> {
        let (stated, booked) = (&request.contents, &bet.contents);
        let same = stated.round == booked.round
            && stated.game == booked.game
            && stated.amount == booked.amount;
        if !same {
            return self.refuse(RefusalReason::RollbackMismatch);
        }
        if bet.rolled_back {
            // No second credit, and the id is remembered; section 8 does not say
            // whether this one closes the round.
            let after = self.round_after(round, |standing| {
                vec![standing, standing.touched(round.end_round)]
            });
            let mut draft = Draft::of(Purse::default(), BOOKED, Some(after));
            draft.is_listed = false;
            return self.book(request, draft);
        }
        let returned = bet.moved.negated();
        let after = self.round_after(round, |standing| {
            let closed = standing.touched(round.end_round);
            closed.without(returned)
        });
        let mut draft = Draft::of(returned, BOOKED, Some(after));
        draft.rolls_back = Some(place);
        self.book(request, draft)
    }

    /// A rollback of a bet that is not known: refused, and remembered.
    fn book_tombstone(&self, request: &Request<'_>, forgets: Option<usize>) -> Vec<Possible> {
        let mut draft = Draft::of(Purse::default(), Remembered::BetNotFound, None);
        draft.forgets = forgets;
        draft.is_listed = false;
        let mut possibles = self.book(request, draft);
        if request.contents.amount == StatedAmount::TooLarge {
            // No bet is of that amount: whether its id is spoiled by such a rollback,
            // the pages do not say.
            possibles.iter_mut().for_each(|p| p.posts = Posts::Either);
        }
        possibles
    }

    /// Whether a rollback came before a bet.
    fn tombstone(&self, bet: &PlaceBet) -> Option<Memory> {
        let id = bet.round.transaction.as_str();
        let tombstones = self.account.bookings.iter().filter(|booking| {
            booking.remembered == Remembered::BetNotFound && booking.contents.bet == id
        });
        let memory = |tombstone: &Booking| match self.may_be_forgotten(tombstone.promised_until) {
            true => Memory::Unsure,
            false => Memory::Sure,
        };
        // A bet that was taken, rolled back and forgotten: its rollback may be known yet.
        let known = self.account.find(Kind::Bet, id);
        let behind = known.filter(|(_, bet)| bet.rolled_back);
        tombstones
            .map(memory)
            .chain(behind.map(|_| Memory::Unsure))
            .max()
    }

    pub(super) fn decide_void(&self, void: &VoidBet) -> Vec<Possible> {
        let round = &void.round;
        let request = Request::of_round(Kind::Void, round, "");
        self.once(&request, || {
            if let Err(refusals) = self.check_round(round) {
                return refusals;
            }
            let StatedAmount::Exact(amount) = round.amount else {
                return self.refuse(RefusalReason::BalanceOverflow);
            };
            let known = self.account.rounds.contains_key(round.round.as_str());
            let after = known.then(|| {
                self.round_after(round, |standing| vec![standing.touched(round.end_round)])
            });
            let moved = Purse::cash(amount.minor().into());
            self.book(&request, Draft::of(moved, BOOKED, after))
        })
    }

    pub(super) fn decide_end(&self, end: &EndRound) -> Vec<Possible> {
        if self.is_of_another(end.session) {
            return self.refuse(RefusalReason::SessionOfAnotherAccount);
        }
        if end.currency != Some(self.account.currency) {
            return self.refuse(RefusalReason::CurrencyMismatch);
        }
        let standings = self.standings(end.round.as_str());
        let mut possibles = Vec::new();
        if standings.iter().any(|standing| !standing.known) {
            possibles.extend(self.refuse(RefusalReason::RoundNotFound));
        }
        let mut ending = |is_open: bool, told: Told, posts: Posts| {
            let (known, open) = (true, is_open);
            let those = standings
                .iter()
                .filter(|s| (s.known, s.open) == (known, open));
            let standings: Vec<_> = those.map(|standing| standing.touched(true)).collect();
            if !standings.is_empty() {
                let name = end.round.as_str().to_owned();
                let after = RoundAfter { name, standings };
                possibles.push(Possible {
                    told,
                    posts,
                    effect: Effect::Round(self.account.id.clone(), after),
                });
            }
        };
        ending(true, Told::Accepted(self.funds()), Posts::Always);
        ending(false, Told::Done(self.funds()), Posts::Either);
        possibles
    }

    pub(super) fn decide_credit(&self, credit: &Credit) -> Vec<Possible> {
        let request = Request {
            kind: Kind::Credit,
            id: &credit.transaction,
            contents: Contents {
                amount: credit.amount,
                round: String::new(),
                game: String::new(),
                bet: String::new(),
            },
            stated_at: Some(credit.stated_at),
        };
        self.once(&request, || {
            if credit.currency != Some(self.account.currency) {
                return self.refuse(RefusalReason::CurrencyMismatch);
            }
            match credit.amount {
                StatedAmount::Exact(amount) => {
                    let moved = Purse::cash(amount.minor().into());
                    self.book(&request, Draft::of(moved, BOOKED, None))
                }
                StatedAmount::TooPrecise => self.refuse(RefusalReason::AmountTooPrecise),
                StatedAmount::TooLarge => self.refuse(RefusalReason::BalanceOverflow),
            }
        })
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

    /// Time, then repeats, then what is new (section 4, step 7; section 8).
    fn once(&self, request: &Request<'_>, fresh: impl FnOnce() -> Vec<Possible>) -> Vec<Possible> {
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
    fn check_round(&self, round: &RoundBooking) -> Result<(), Vec<Possible>> {
        if self.is_of_another(round.session) {
            return Err(self.refuse(RefusalReason::SessionOfAnotherAccount));
        }
        self.check_money_and_game(round)
    }

    /// Currency, fraction digits, game. The digits are judged "after the currency
    /// check"; whether before the game, the pages do not say.
    fn check_money_and_game(&self, round: &RoundBooking) -> Result<(), Vec<Possible>> {
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
    fn is_of_another(&self, session: StatedSession) -> bool {
        match session {
            StatedSession::None => false,
            StatedSession::Foreign { live } => live,
            StatedSession::Own(key) => self.model.session(key).is_some_and(|(account, session)| {
                account.id != self.account.id && session.is_live(self.now)
            }),
        }
    }

    fn round_after(
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
    fn book(&self, request: &Request<'_>, draft: Draft) -> Vec<Possible> {
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
            at: self.now,
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

    pub(super) fn shown_funds(&self) -> Option<Funds> {
        Some(self.account.funds())
    }

    pub(super) fn refuse(&self, reason: RefusalReason) -> Vec<Possible> {
        vec![Possible::refused(reason, self.shown_funds())]
    }
}

/// What the repeats of all but bets are told of a split.
const BOOKED: Remembered = Remembered::Booked {
    split: Purse { cash: 0, bonus: 0 },
};

fn booked(funds: Funds, split: Purse) -> Shown {
    let split = split
        .balance()
        .unwrap_or_else(|| unreachable!("a stake was in the funds"));
    Shown::Booked(Booked { funds, split })
}
