//! Rollbacks (`rollbackbet`, protocol.md sections 4, 7 and 8).
//!
//! A rollback names a bet and must agree with it on amount, round and game. What is known
//! of the bet decides:
//!
//! | the bet | outcome | posting |
//! |---|---|---|
//! | booked | accepted: each part goes back where it came from | money, and the reversal |
//! | booked and rolled back | repeated: no second credit | this id too |
//! | rolled back, and itself forgotten | as before: the reversal outlives the bet | this id too |
//! | never seen | refused, bet not found | the tombstone, and this id |
//! | never seen, and it has a tombstone | the same | the tombstone lives on, and this id |
//!
//! A tombstone has the late bet refused. The id of a rollback that was refused so stays
//! refused when it is repeated; with other contents it is an id that was reused.
//!
//! A rollback never opens a round; with `EndRound` it closes one that is open, and records
//! no loss, since nothing was lost. It does so where it is booked, not where it is a repeat
//! or refused. An amount beyond 64 bits is no bet's: it mismatches one that is known, and
//! leaves no tombstone for one that is not.

use super::account::{Account, AccountIndex};
use super::digest::Kind;
use super::subject::{Subject, Verdict};
use super::transactions::{Note, Transaction};
use super::{
    BetRolledBack, Change, Decision, Ledger, Posting, RefusalReason, RollBackBet, RollbackFacts,
    funds,
};
use crate::types::{AccountId, Balance, TransactionId, UnixMillis};

impl Ledger {
    pub(super) fn decide_rollback(&self, rollback: &RollBackBet, now: UnixMillis) -> Decision {
        self.judge(&rollback.round.account, now, |subject| {
            self.judge_rollback(subject, rollback, now)
        })
    }

    fn judge_rollback(
        &self,
        subject: &mut Subject<'_>,
        rollback: &RollBackBet,
        now: UnixMillis,
    ) -> Result<Verdict, RefusalReason> {
        let booking = &rollback.round;
        self.check_time(booking.stated_at, now)?;
        let booked_amount = subject.exact(booking.currency, booking.amount);
        let contents = booked_amount.map(|amount| {
            self.digester
                .contents_of_rollback(amount, &booking.round, &booking.game, &rollback.bet)
        });
        let nothing = Balance::default();
        match self.seen(subject, Kind::Rollback, &booking.transaction, contents)? {
            Some(Note::BEFORE_BET) => return Err(RefusalReason::BetNotFound),
            Some(_) => return Ok(Verdict::Answer(subject.booked_before(nothing))),
            None => {}
        }
        let amount = self.check_booking(subject, booking, now)?;
        let account = subject.account;
        let bet = self.bet(account, &rollback.bet);
        let reversal = self.reversal(account, &rollback.bet);
        let facts = |amount| RollbackFacts {
            facts: booking.facts(amount),
            bet: rollback.bet.clone(),
            jackpot_contribution: rollback.jackpot_contribution,
        };
        // A reversal of a bet that was booked knows the bet's contents.
        let booked = bet.or(reversal.filter(|reversal| reversal.note != Note::BEFORE_BET));
        let Some(booked) = booked else {
            let not_found = RefusalReason::BetNotFound;
            let amount = amount.ok_or(not_found)?;
            let change = Change::RollbackBeforeBet(Box::new(facts(amount)));
            let outcome = subject.refused(not_found);
            return Ok(Verdict::Post(change, account.balance, outcome));
        };
        let amount = amount
            .filter(|_| self.contents_of(subject, booking) == Some(booked.contents))
            .ok_or(RefusalReason::RollbackMismatch)?;
        if reversal.is_some() {
            let change = Change::RollbackRepeated(Box::new(facts(amount)));
            let outcome = subject.booked_before(nothing);
            return Ok(Verdict::Post(change, account.balance, outcome));
        }
        let returned = booked.note.taken(amount);
        let balance =
            funds::add(account.balance, returned).ok_or(RefusalReason::BalanceOverflow)?;
        let change = Change::BetRolledBack(Box::new(BetRolledBack {
            rollback: facts(amount),
            free_play: booked.note == Note::FREE_PLAY,
            returned,
            previous_booking: account.last_booking,
        }));
        let outcome = subject.booked(balance, nothing);
        Ok(Verdict::Post(change, balance, outcome))
    }

    /// What is remembered of a bet's having been rolled back, before or after it came.
    pub(super) fn reversal(&self, account: &Account, bet: &TransactionId) -> Option<&Transaction> {
        let digest = self.digester.transaction(&account.id, Kind::Reversal, bet);
        self.transactions.find(digest)
    }

    fn bet(&self, account: &Account, bet: &TransactionId) -> Option<&Transaction> {
        let digest = self.digester.transaction(&account.id, Kind::Bet, bet);
        self.transactions.find(digest)
    }

    pub(super) fn apply_rollback(
        &mut self,
        at: AccountIndex,
        posting: &Posting,
        booked: &BetRolledBack,
    ) {
        self.apply_rollback_id(&posting.account, &booked.rollback, Note::NONE);
        self.apply_reversal(&posting.account, &booked.rollback, Note::NONE);
        let facts = &booked.rollback.facts;
        self.book_into_known_round(at, &facts.round, |round| {
            round.remove_stake(booked.returned);
            round.is_open &= !facts.end_round;
        });
        // Free play gives nothing back.
        let returned = facts.amount.minor() * i64::from(!booked.free_play);
        self.accounts.book_loss(at, -returned, posting.at);
    }

    /// A rollback under another id of a bet that was rolled back.
    pub(super) fn apply_rollback_repeated(&mut self, account: &AccountId, facts: &RollbackFacts) {
        self.apply_rollback_id(account, facts, Note::NONE);
    }

    /// A rollback of a bet that never came, or not yet.
    pub(super) fn apply_tombstone(&mut self, account: &AccountId, facts: &RollbackFacts) {
        self.apply_rollback_id(account, facts, Note::BEFORE_BET);
        self.apply_reversal(account, facts, Note::BEFORE_BET);
    }

    fn apply_rollback_id(&mut self, account: &AccountId, rollback: &RollbackFacts, note: Note) {
        let RollbackFacts { facts, bet, .. } = rollback;
        let contents =
            self.digester
                .contents_of_rollback(facts.amount, &facts.round, &facts.game, bet);
        self.remember_noted(account, Kind::Rollback, &facts.transaction, contents, note);
    }

    fn apply_reversal(&mut self, account: &AccountId, rollback: &RollbackFacts, note: Note) {
        let RollbackFacts { facts, bet, .. } = rollback;
        let contents = self
            .digester
            .contents_of_round(facts.amount, &facts.round, &facts.game);
        self.remember_noted(account, Kind::Reversal, bet, contents, note);
    }
}
