//! Rounds (protocol.md section 7): opened by bets and awards, closed by `end` and by any
//! booking with `EndRound`.
//!
//! | | unknown | open | closed |
//! |---|---|---|---|
//! | bet | opens it | stays open | opens it again |
//! | award | opens it | stays open | opens it again |
//! | bet or award with `EndRound` | known and closed | closes it | stays closed |
//! | rollback or void | nothing | stays open | stays closed |
//! | rollback or void with `EndRound` | nothing | closes it | stays closed |
//! | `end` | refused | closes it | answered again, without a posting |
//!
//! A round has a **result** once winnings were awarded (zero too), a bet ended it, or `end`
//! recorded a loss. It keeps that when it is opened again. Every booking that finds its
//! round has it remembered for another window.

use super::account::AccountIndex;
use super::rounds::Round;
use super::subject::{Subject, Verdict};
use super::{Change, Decision, EndRound, Facts, Ledger, Outcome, RefusalReason, RoundEnded};
use crate::types::{GameRoundId, Lsn, UnixMillis};

/// Rounds that are too old and forgotten with one posting. No posting makes more than one,
/// so two is enough for ever, and costs less than a microsecond.
const FORGOTTEN_AT_A_TIME: usize = 2;

impl Ledger {
    pub(super) fn decide_end(&self, end: &EndRound, now: UnixMillis) -> Decision {
        self.judge(&end.account, now, |subject| {
            self.judge_end(subject, end, now)
        })
    }

    fn judge_end(
        &self,
        subject: &mut Subject<'_>,
        end: &EndRound,
        now: UnixMillis,
    ) -> Result<Verdict, RefusalReason> {
        self.check_stated_session(subject, end.session, now)?;
        subject.check_currency(end.currency)?;
        let round = self
            .find_round(subject, &end.round)
            .ok_or(RefusalReason::RoundNotFound)?;
        let facts = Facts::Funds(subject.account.funds());
        if !round.is_open {
            return Ok(Verdict::Answer(Outcome::Repeated(facts)));
        }
        let change = Change::RoundEnded(Box::new(RoundEnded {
            round: end.round.clone(),
            game: end.game.clone(),
            zero_loss: !round.has_result,
            jackpot_contribution: end.jackpot_contribution,
            jackpot_winnings: end.jackpot_winnings,
        }));
        let balance = subject.account.balance;
        Ok(Verdict::Post(change, balance, Outcome::Accepted(facts)))
    }

    pub(super) fn apply_end(&mut self, at: AccountIndex, end: &RoundEnded) {
        self.book_into_known_round(at, &end.round, |round| {
            round.is_open = false;
            round.has_result = true;
        });
    }

    /// Changes a round, which comes to be if it was not known.
    pub(super) fn book_into_round(
        &mut self,
        at: AccountIndex,
        round: &GameRoundId,
        change: impl FnOnce(&mut Round),
    ) {
        let digest = self.digester.round(&self.accounts.get(at).id, round);
        let window = self.age.window();
        let round = self.rounds.touch_or_add(window, digest, at);
        let opened = change_and_count(round, change);
        self.accounts.count_rounds(at, opened);
    }

    /// Changes a round if it is known.
    pub(super) fn book_into_known_round(
        &mut self,
        at: AccountIndex,
        round: &GameRoundId,
        change: impl FnOnce(&mut Round),
    ) {
        let digest = self.digester.round(&self.accounts.get(at).id, round);
        if let Some(round) = self.rounds.touch(self.age.window(), digest) {
            let opened = change_and_count(round, change);
            self.accounts.count_rounds(at, opened);
        }
    }

    /// Forgets some of the rounds that are too old.
    pub(super) fn forget_rounds(&mut self, lsn: Lsn) {
        let oldest_kept = self.age.oldest_kept();
        for _ in 0..FORGOTTEN_AT_A_TIME {
            let Some(round) = self.rounds.forget_one_before(oldest_kept) else {
                break;
            };
            self.rounds_forgotten_lsn = lsn;
            if round.is_open {
                self.accounts.count_rounds(round.account, -1);
                // How many are open is told with the account.
                self.accounts.get_mut(round.account).last_lsn = lsn;
            }
        }
        self.rounds.tidy_up();
    }
}

/// Changes a round, and tells by how much the number of open ones changes.
fn change_and_count(round: &mut Round, change: impl FnOnce(&mut Round)) -> i32 {
    let was_open = i32::from(round.is_open);
    change(round);
    i32::from(round.is_open) - was_open
}
