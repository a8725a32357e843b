//! Bets, in the order in which protocol.md section 4 checks them.

use super::View;
use super::account::{Booking, Kind, Purse, Remembered, Session};
use super::calendar::{self, LossJudgement};
use super::expected::Possible;
use super::once::{Draft, Request};
use crate::ledger::{
    AccountStatus, FundsOrder, LossPeriod, PlaceBet, RefusalReason, RoundBooking, StatedAmount,
    StatedSession,
};
use crate::types::Amount;

/// Whether the wallet still knows something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Memory {
    Unsure,
    Sure,
}

impl View<'_> {
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
            _ => None,
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
}
