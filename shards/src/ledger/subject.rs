//! The account that a command is about, and the checks that bookings share.
//!
//! The order is that of protocol.md section 4: the account is known, the stated time is
//! believable, a repeat is answered before any other rule looks at it, and then each kind
//! asks on in its own order. A rule says yes with a [`Verdict`] and no with a reason.
//!
//! Every answer rests on the last posting of its account. A check that reveals more, as
//! that a session is another account's, makes it rest on that as well.

use super::account::{Account, AccountIndex};
use super::digest::{Contents, Kind};
use super::session::Session;
use super::transactions::Note;
use super::{
    Booked, Change, Decision, Facts, Funds, Ledger, Outcome, Posting, Refusal, RefusalReason,
    RoundBooking, StatedAmount, StatedSession,
};
use crate::types::{
    AccountId, Amount, Balance, Currency, GameRoundId, Lsn, SessionKey, TransactionId, UnixMillis,
};

/// The account that a command is about.
pub(super) struct Subject<'a> {
    pub(super) at: AccountIndex,
    pub(super) account: &'a Account,
    rests_on: Lsn,
}

/// What a rule decides that does not refuse.
pub(super) enum Verdict {
    /// A change, the balance behind it, and what to tell.
    Post(Change, Balance, Outcome),
    /// What to tell; nothing changes.
    Answer(Outcome),
}

impl Subject<'_> {
    /// The answer reveals something of a posting that is not the account's own.
    pub(super) fn rest_on(&mut self, lsn: Lsn) {
        self.rests_on = self.rests_on.max(lsn);
    }

    pub(super) fn funds_after(&self, balance: Balance) -> Funds {
        Funds {
            currency: self.account.currency,
            balance,
        }
    }

    /// A booking that was done, with the balance behind it and the split of a bet.
    pub(super) fn booked(&self, balance: Balance, split: Balance) -> Outcome {
        Outcome::Accepted(Facts::Booked(Booked {
            funds: self.funds_after(balance),
            split,
        }))
    }

    /// A booking that was done before, with the current balance.
    pub(super) fn booked_before(&self, split: Balance) -> Outcome {
        Outcome::Repeated(Facts::Booked(Booked {
            funds: self.account.funds(),
            split,
        }))
    }

    /// A refusal, for when it comes with a posting.
    pub(super) fn refused(&self, reason: RefusalReason) -> Outcome {
        Outcome::Refused(Refusal {
            reason,
            funds: Some(self.account.funds()),
        })
    }

    /// What a repeat of a booking must have booked, if that can be said in the account's
    /// currency.
    pub(super) fn exact(&self, currency: Option<Currency>, amount: StatedAmount) -> Option<Amount> {
        amount.exact(currency, self.account.currency)
    }

    pub(super) fn check_currency(&self, stated: Option<Currency>) -> Result<(), RefusalReason> {
        if stated == Some(self.account.currency) {
            Ok(())
        } else {
            Err(RefusalReason::CurrencyMismatch)
        }
    }

    /// The currency, then whether it has so many fraction digits. `None` is an amount
    /// beyond 64 bits, which every kind of booking refuses in its own way.
    pub(super) fn check_money(
        &self,
        currency: Option<Currency>,
        amount: StatedAmount,
    ) -> Result<Option<Amount>, RefusalReason> {
        self.check_currency(currency)?;
        match amount {
            StatedAmount::Exact(amount) | StatedAmount::InStated(amount) => Ok(Some(amount)),
            StatedAmount::TooPrecise | StatedAmount::BesideTooPrecise(_) => {
                Err(RefusalReason::AmountTooPrecise)
            }
            StatedAmount::TooLarge => Ok(None),
        }
    }
}

impl Ledger {
    /// Asks a rule about an account, which must be there.
    pub(super) fn judge<'a>(
        &'a self,
        id: &AccountId,
        now: UnixMillis,
        rule: impl FnOnce(&mut Subject<'a>) -> Result<Verdict, RefusalReason>,
    ) -> Decision {
        let Some(at) = self.accounts.find(id) else {
            return Decision::refuse_unknown_account();
        };
        let account = self.accounts.get(at);
        let mut subject = Subject {
            at,
            account,
            rests_on: account.last_lsn,
        };
        let outcome = match rule(&mut subject) {
            Ok(Verdict::Post(change, balance_after, outcome)) => {
                let posting = Posting {
                    at: now,
                    account: account.id.clone(),
                    change,
                    balance_after,
                };
                return Decision::Post(posting, outcome);
            }
            Ok(Verdict::Answer(outcome)) => outcome,
            Err(reason) => subject.refused(reason),
        };
        Decision::Answer {
            outcome,
            rests_on: subject.rests_on,
        }
    }

    /// A request that is older than what is remembered might be a repeat that nobody can
    /// recognise any more; one from the future would become that too late.
    pub(super) fn check_time(
        &self,
        stated_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), RefusalReason> {
        // A window that was made longer cannot bring back what was forgotten before: a
        // request that may have been booked then is as old as one beyond the window. Its
        // time may have been ahead of ours when it was.
        let may_be_forgotten = self
            .age
            .complete_from()
            .is_some_and(|from| stated_at < from.after(self.settings.clock_skew_max));
        if stated_at.after(self.settings.idempotency_window) < now || may_be_forgotten {
            Err(RefusalReason::RequestTooOld)
        } else if stated_at > now.after(self.settings.clock_skew_max) {
            Err(RefusalReason::RequestInFuture)
        } else {
            Ok(())
        }
    }

    /// Whether a transaction is a repeat, and what is remembered of it. Without `contents`
    /// it can be none: they are such as were never booked.
    pub(super) fn seen(
        &self,
        subject: &mut Subject<'_>,
        kind: Kind,
        transaction: &TransactionId,
        contents: Option<Contents>,
    ) -> Result<Option<Note>, RefusalReason> {
        let digest = self
            .digester
            .transaction(&subject.account.id, kind, transaction);
        match self.transactions.find(digest) {
            None => {
                subject.rest_on(self.transactions_forgotten_lsn);
                Ok(None)
            }
            Some(known) if Some(known.contents) == contents => Ok(Some(known.note)),
            Some(_) => Err(RefusalReason::TransactionIdReused),
        }
    }

    /// What a repeat of a bet, an award or a void must agree on, if it was ever booked.
    pub(super) fn contents_of(
        &self,
        subject: &Subject<'_>,
        booking: &RoundBooking,
    ) -> Option<Contents> {
        let amount = subject.exact(booking.currency, booking.amount)?;
        let contents = self
            .digester
            .contents_of_round(amount, &booking.round, &booking.game);
        Some(contents)
    }

    /// What awards, rollbacks and voids ask in common: session, currency and amount, game.
    pub(super) fn check_booking(
        &self,
        subject: &mut Subject<'_>,
        booking: &RoundBooking,
        now: UnixMillis,
    ) -> Result<Option<Amount>, RefusalReason> {
        self.check_stated_session(subject, booking.session, now)?;
        let amount = subject.check_money(booking.currency, booking.amount)?;
        check_game(booking)?;
        Ok(amount)
    }

    /// The session of a bet: it must be the account's, and live.
    pub(super) fn check_betting_session(
        &self,
        subject: &mut Subject<'_>,
        stated: StatedSession,
        now: UnixMillis,
    ) -> Result<&Session, RefusalReason> {
        let StatedSession::Own(key) = stated else {
            return Err(RefusalReason::SessionUnknown);
        };
        let session = self
            .find_session(subject, key)
            .filter(|session| session.account == subject.at)
            .ok_or(RefusalReason::SessionUnknown)?;
        if session.is_live(now) {
            Ok(session)
        } else {
            Err(RefusalReason::SessionLoggedOut)
        }
    }

    /// The session of anything else: it may be missing, unknown or over, but not live and
    /// another account's.
    pub(super) fn check_stated_session(
        &self,
        subject: &mut Subject<'_>,
        stated: StatedSession,
        now: UnixMillis,
    ) -> Result<(), RefusalReason> {
        let is_anothers = match stated {
            StatedSession::None => false,
            StatedSession::Foreign { live } => live,
            StatedSession::Own(key) => self
                .find_session(subject, key)
                .is_some_and(|session| session.account != subject.at && session.is_live(now)),
        };
        if is_anothers {
            Err(RefusalReason::SessionOfAnotherAccount)
        } else {
            Ok(())
        }
    }

    /// A session, and with it that whose it is: an answer rests on its owner as well, or
    /// on what made it unknown.
    fn find_session(&self, subject: &mut Subject<'_>, key: SessionKey) -> Option<&Session> {
        let session = self.sessions.find(key).map(|at| self.sessions.get(at));
        subject.rest_on(match session {
            None => self.session_forgotten_lsn,
            Some(session) => self.accounts.get(session.account).last_lsn,
        });
        session
    }

    /// Whether a round is open, closed or unknown: an answer rests on what made it unknown.
    pub(super) fn find_round(
        &self,
        subject: &mut Subject<'_>,
        round: &GameRoundId,
    ) -> Option<&super::rounds::Round> {
        let digest = self.digester.round(&subject.account.id, round);
        let round = self.rounds.find(digest);
        if round.is_none() {
            subject.rest_on(self.rounds_forgotten_lsn);
        }
        round
    }
}

pub(super) fn check_game(booking: &RoundBooking) -> Result<(), RefusalReason> {
    if booking.game_known {
        Ok(())
    } else {
        Err(RefusalReason::GameNotFound)
    }
}
