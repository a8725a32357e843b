//! Bets (`placebet`, protocol.md sections 4, 7 and 8).
//!
//! In this order: time, repeat, session, currency and precision, game, rolled back before,
//! stopped by the operator, session limit, loss limits, funds. A stake beyond 64 bits is
//! more than any funds and any limit. A stake of zero needs no funds and loses nothing, so
//! no limit stops it. Free play takes nothing, so neither limits nor funds are asked.

use super::account::AccountIndex;
use super::digest::Kind;
use super::subject::{Subject, Verdict, check_game};
use super::transactions::Note;
use super::{
    AccountStatus, BetPlaced, Change, Decision, Ledger, PlaceBet, Posting, RefusalReason, funds,
};
use crate::types::{Balance, UnixMillis};

impl Ledger {
    pub(super) fn decide_bet(&self, bet: &PlaceBet, now: UnixMillis) -> Decision {
        self.judge(&bet.round.account, now, |subject| {
            self.judge_bet(subject, bet, now)
        })
    }

    fn judge_bet(
        &self,
        subject: &mut Subject<'_>,
        bet: &PlaceBet,
        now: UnixMillis,
    ) -> Result<Verdict, RefusalReason> {
        let booking = &bet.round;
        self.check_time(booking.stated_at, now)?;
        let contents = self.contents_of(subject, booking);
        if let Some(note) = self.seen(subject, Kind::Bet, &booking.transaction, contents)? {
            let amount = subject.exact(booking.currency, booking.amount);
            let amount = amount.unwrap_or_default();
            return Ok(Verdict::Answer(subject.booked_before(note.taken(amount))));
        }
        let session = self.check_betting_session(subject, booking.session, now)?;
        let amount = subject.check_money(booking.currency, booking.amount)?;
        check_game(booking)?;
        if self
            .reversal(subject.account, &booking.transaction)
            .is_some()
        {
            return Err(RefusalReason::RolledBackBefore);
        }
        let account = subject.account;
        if account.status == AccountStatus::Suspended {
            return Err(RefusalReason::AccountSuspended);
        }
        account.check_session_age(session.created_at, now)?;
        let insufficient = RefusalReason::InsufficientFunds;
        let taken = if bet.free_play {
            Balance::default()
        } else {
            account.check_loss(amount, now)?;
            let stake = amount.ok_or(insufficient)?;
            funds::take(stake, account.balance, bet.funds_order).ok_or(insufficient)?
        };
        // Free play beyond 64 bits takes nothing, but cannot be recorded either.
        let amount = amount.ok_or(insufficient)?;
        let balance = funds::subtract(account.balance, taken).ok_or(insufficient)?;
        let change = Change::BetPlaced(Box::new(BetPlaced {
            facts: booking.facts(amount),
            start_round: bet.start_round,
            free_play: bet.free_play,
            taken,
            jackpot_contribution: bet.jackpot_contribution,
            previous_booking: account.last_booking,
        }));
        let outcome = subject.booked(balance, taken);
        Ok(Verdict::Post(change, balance, outcome))
    }

    /// The round is open behind a bet unless the bet ends it, which records a loss.
    pub(super) fn apply_bet(&mut self, at: AccountIndex, posting: &Posting, bet: &BetPlaced) {
        let facts = &bet.facts;
        let note = if bet.free_play {
            Note::FREE_PLAY
        } else {
            Note::bonus_taken(bet.taken.bonus)
        };
        let contents = self
            .digester
            .contents_of_round(facts.amount, &facts.round, &facts.game);
        self.remember_noted(
            &posting.account,
            Kind::Bet,
            &facts.transaction,
            contents,
            note,
        );
        self.book_into_round(at, &facts.round, |round| {
            round.add_stake(bet.taken);
            round.is_open = !facts.end_round;
            round.has_result |= facts.end_round;
        });
        if !bet.free_play {
            self.accounts
                .book_loss(at, facts.amount.minor(), posting.at);
        }
    }
}
