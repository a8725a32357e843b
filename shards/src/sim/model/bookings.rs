//! Awards, rollbacks, voids, ends, credits and alerts (protocol.md sections 4, 7 and 8).

use super::View;
use super::account::{Booking, Contents, Kind, Purse, Remembered};
use super::expected::{Effect, Possible, Posts, RoundAfter, Told};
use super::once::{BOOKED, Draft, Request};
use super::round::{Standing, split};
use crate::ledger::{
    AwardWinnings, Credit, EndRound, RefusalReason, RollBackBet, RoundBooking, StatedAmount,
    VoidBet,
};

impl View<'_> {
    pub(super) fn decide_alert(&self) -> Possible {
        Possible {
            told: Told::Accepted(self.funds()),
            posts: Posts::Always,
            effect: Effect::None,
        }
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
                _ => self.refuse(RefusalReason::BalanceOverflow),
            }
        })
    }
}
