//! Winnings (`awardwinnings`, protocol.md sections 4, 7 and 8). An amount of zero records
//! a loss. Nothing that restricts an account blocks what it is owed.

use super::account::AccountIndex;
use super::digest::Kind;
use super::subject::{Subject, Verdict};
use super::{
    AwardWinnings, Change, Decision, Ledger, Posting, RefusalReason, WinningsAwarded, funds,
};
use crate::types::{Balance, UnixMillis};

impl Ledger {
    pub(super) fn decide_award(&self, award: &AwardWinnings, now: UnixMillis) -> Decision {
        self.judge(&award.round.account, now, |subject| {
            self.judge_award(subject, award, now)
        })
    }

    fn judge_award(
        &self,
        subject: &mut Subject<'_>,
        award: &AwardWinnings,
        now: UnixMillis,
    ) -> Result<Verdict, RefusalReason> {
        let booking = &award.round;
        self.check_time(booking.stated_at, now)?;
        let contents = self.contents_of(subject, booking);
        let repeat = self.seen(subject, Kind::Award, &booking.transaction, contents)?;
        if repeat.is_some() {
            let nothing = Balance::default();
            return Ok(Verdict::Answer(subject.booked_before(nothing)));
        }
        let amount = self.check_booking(subject, booking, now)?;
        let overflow = RefusalReason::BalanceOverflow;
        let amount = amount.ok_or(overflow)?;
        let stakes = self
            .find_round(subject, &booking.round)
            .map_or_else(Balance::default, super::rounds::Round::stakes);
        let paid = funds::share(amount, stakes);
        let balance = funds::add(subject.account.balance, paid).ok_or(overflow)?;
        let change = Change::WinningsAwarded(Box::new(WinningsAwarded {
            facts: booking.facts(amount),
            start_round: award.start_round,
            paid,
            jackpot_winnings: award.jackpot_winnings,
            previous_booking: subject.account.last_booking,
        }));
        let outcome = subject.booked(balance, Balance::default());
        Ok(Verdict::Post(change, balance, outcome))
    }

    /// The round has a result, and is open behind it unless the award ends it.
    pub(super) fn apply_award(
        &mut self,
        at: AccountIndex,
        posting: &Posting,
        award: &WinningsAwarded,
    ) {
        let facts = &award.facts;
        let contents = self
            .digester
            .contents_of_round(facts.amount, &facts.round, &facts.game);
        self.remember(&posting.account, Kind::Award, &facts.transaction, contents);
        self.book_into_round(at, &facts.round, |round| {
            round.is_open = !facts.end_round;
            round.has_result = true;
        });
        self.accounts
            .book_loss(at, -facts.amount.minor(), posting.at);
    }
}
