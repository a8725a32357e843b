//! Voids (`voidbet`, protocol.md sections 4, 7 and 8): money given back as a game action
//! that names no bet. It goes to cash, against the operator's adjustments, and lessens the
//! net loss. A void opens and reopens no round; with `EndRound` it closes one that is open,
//! without recording a loss.

use super::account::AccountIndex;
use super::digest::Kind;
use super::subject::{Subject, Verdict};
use super::{BetVoided, Change, Decision, Ledger, Posting, RefusalReason, VoidBet, funds};
use crate::types::{Balance, UnixMillis};

impl Ledger {
    pub(super) fn decide_void(&self, void: &VoidBet, now: UnixMillis) -> Decision {
        self.judge(&void.round.account, now, |subject| {
            self.judge_void(subject, void, now)
        })
    }

    fn judge_void(
        &self,
        subject: &mut Subject<'_>,
        void: &VoidBet,
        now: UnixMillis,
    ) -> Result<Verdict, RefusalReason> {
        let booking = &void.round;
        self.check_time(booking.stated_at, now)?;
        let contents = self.contents_of(subject, booking);
        let repeat = self.seen(subject, Kind::Void, &booking.transaction, contents)?;
        if repeat.is_some() {
            let nothing = Balance::default();
            return Ok(Verdict::Answer(subject.booked_before(nothing)));
        }
        let amount = self.check_booking(subject, booking, now)?;
        let overflow = RefusalReason::BalanceOverflow;
        let amount = amount.ok_or(overflow)?;
        let balance = funds::add(subject.account.balance, funds::cash(amount)).ok_or(overflow)?;
        let change = Change::BetVoided(Box::new(BetVoided {
            facts: booking.facts(amount),
            jackpot_contribution: void.jackpot_contribution,
            previous_booking: subject.account.last_booking,
        }));
        let outcome = subject.booked(balance, Balance::default());
        Ok(Verdict::Post(change, balance, outcome))
    }

    pub(super) fn apply_void(&mut self, at: AccountIndex, posting: &Posting, void: &BetVoided) {
        let facts = &void.facts;
        let contents = self
            .digester
            .contents_of_round(facts.amount, &facts.round, &facts.game);
        self.remember(&posting.account, Kind::Void, &facts.transaction, contents);
        self.book_into_known_round(at, &facts.round, |round| {
            round.is_open &= !facts.end_round;
        });
        self.accounts
            .book_loss(at, -facts.amount.minor(), posting.at);
    }
}
