//! What books or closes: the rounds of a game, and credits outside of them.
//!
//! The owner of the account judges all that needs the account. What it cannot know comes
//! with the command: whether the domain has the game, which funds a bet takes first, and
//! whether a session of another slot is live.
//!
//! An amount is judged by the account's currency. A request that states its domain's
//! currency and an amount that fits it goes to the owner as it is, who knows whether the
//! account is in that currency, as it is but for rare histories. One that states another
//! can only be a repeat, a mistake, or about an account that is older than the domain's
//! setting; that, and an amount that does not fit, costs a question for the account's
//! currency first. A currency never changes, so the answer cannot be overtaken.

use shards::Submit;
use shards::ledger::{self, Command, Facts, FundsOrder, Outcome, StatedAmount, StatedSession};
use shards::routing::slot_of;
use shards::types::{AccountId, AmountError, Currency, GameId, SessionKey, UnixMillis};

use super::{Caller, WalletService};
use crate::domain::{Domain, FundsPriority};
use crate::wallet::failure::Failure;
use crate::wallet::members::Member;
use crate::wallet::refusal::Stated;
use crate::wallet::request::{
    AwardWinnings, Credit, EndRound, Payment, PlaceBet, RollbackBet, RoundBooking, VoidBet,
};
use crate::wallet::response;

impl<L: Submit> WalletService<L> {
    pub(super) async fn place_bet(
        &self,
        caller: &mut Caller<'_>,
        request: PlaceBet,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let domain = self.admit(caller, &request.booking.account, &request.booking.common)?;
        let booking = request.booking;
        let session = match own_session(&booking.account, booking.session) {
            Some(own) => own,
            // Of another slot it is nobody's or another player's: -3 either way.
            None if booking.session.is_some() => StatedSession::Foreign { live: false },
            None => StatedSession::None,
        };
        let cost = booking.payment.free_bet_cost.as_ref();
        let has_cost = cost.is_some_and(|cost| !cost.is_zero());
        let free_play = has_cost || booking.free_game_offer.is_some();
        let (round, stated) = self.judge_round(caller, domain, booking, session).await?;
        let command = Command::PlaceBet(Box::new(ledger::PlaceBet {
            round,
            start_round: request.start_round,
            free_play,
            funds_order: match domain.funds_priority {
                FundsPriority::CashFundsFirst => FundsOrder::CashFirst,
                FundsPriority::BonusFundsFirst => FundsOrder::BonusFirst,
                FundsPriority::Unknown => FundsOrder::CashOnly,
            },
            jackpot_contribution: request.jackpot_contribution,
        }));
        self.book(caller, domain, command, &stated, true, out).await
    }

    pub(super) async fn award_winnings(
        &self,
        caller: &mut Caller<'_>,
        request: AwardWinnings,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let (domain, round, stated) = self.admit_round(caller, request.booking).await?;
        let command = Command::AwardWinnings(Box::new(ledger::AwardWinnings {
            round,
            start_round: request.start_round,
            jackpot_winnings: request.jackpot_winnings,
        }));
        self.book(caller, domain, command, &stated, false, out)
            .await
    }

    pub(super) async fn roll_back_bet(
        &self,
        caller: &mut Caller<'_>,
        request: RollbackBet,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let (domain, round, stated) = self.admit_round(caller, request.booking).await?;
        let command = Command::RollBackBet(Box::new(ledger::RollBackBet {
            round,
            bet: request.bet,
            jackpot_contribution: request.jackpot_contribution,
        }));
        self.book(caller, domain, command, &stated, false, out)
            .await
    }

    pub(super) async fn void_bet(
        &self,
        caller: &mut Caller<'_>,
        request: VoidBet,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let (domain, round, stated) = self.admit_round(caller, request.booking).await?;
        let command = Command::VoidBet(Box::new(ledger::VoidBet {
            round,
            jackpot_contribution: request.jackpot_contribution,
        }));
        self.book(caller, domain, command, &stated, false, out)
            .await
    }

    pub(super) async fn credit(
        &self,
        caller: &mut Caller<'_>,
        request: Credit,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let domain = self.admit(caller, &request.account, &request.common)?;
        let (currency, amount) = self
            .judge_payment(caller, domain, &request.account, &request.payment)
            .await?;
        caller.transaction.set(request.transaction.as_str());
        let stated = stated_payment(
            Member::AccountTransactionId,
            request.common.timestamp,
            request.payment,
            None,
        );
        let command = Command::Credit(Box::new(ledger::Credit {
            account: request.account,
            transaction: request.transaction,
            type_id: request.type_id,
            stated_at: request.common.timestamp,
            currency,
            amount,
        }));
        self.book(caller, domain, command, &stated, false, out)
            .await
    }

    pub(super) async fn end_round(
        &self,
        caller: &mut Caller<'_>,
        request: EndRound,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let domain = self.admit(caller, &request.account, &request.common)?;
        let session = self
            .session(caller, &request.account, request.session)
            .await?;
        let stated = Stated {
            transaction: Member::GameRoundId,
            at: request.common.timestamp,
            amounts: [(Member::Amount, None), (Member::FreeBetCost, None)],
            unknown_game: None,
            currency: request.currency,
        };
        let command = Command::EndRound(Box::new(ledger::EndRound {
            account: request.account,
            round: request.round,
            game: request.game,
            currency: currency_of(&stated.currency, domain),
            session,
            jackpot_contribution: request.jackpot_contribution,
            jackpot_winnings: request.jackpot_winnings,
        }));
        match self.ask_stated(caller, domain, command, &stated).await? {
            Facts::Funds(funds) => {
                response::write_balance(&funds, domain.funds_priority, out);
                Ok(())
            }
            facts => Err(Failure::unexpected(&facts)),
        }
    }

    /// The steps that award, rollback and void have in common before their commands.
    async fn admit_round<'r>(
        &self,
        caller: &mut Caller<'r>,
        booking: RoundBooking,
    ) -> Result<(&'r Domain, ledger::RoundBooking, Stated), Failure> {
        let domain = self.admit(caller, &booking.account, &booking.common)?;
        let session = self
            .session(caller, &booking.account, booking.session)
            .await?;
        let (round, stated) = self.judge_round(caller, domain, booking, session).await?;
        Ok((domain, round, stated))
    }

    /// Adds what the domain knows to what was stated.
    async fn judge_round(
        &self,
        caller: &mut Caller<'_>,
        domain: &Domain,
        booking: RoundBooking,
        session: StatedSession,
    ) -> Result<(ledger::RoundBooking, Stated), Failure> {
        let (currency, amount) = self
            .judge_payment(caller, domain, &booking.account, &booking.payment)
            .await?;
        let game_known = domain.games.is_empty() || domain.games.contains(booking.game.as_str());
        caller.transaction.set(booking.transaction.as_str());
        let stated = stated_payment(
            Member::GameRoundTransactionId,
            booking.common.timestamp,
            booking.payment,
            (!game_known).then(|| booking.game.clone()),
        );
        let round = ledger::RoundBooking {
            account: booking.account,
            transaction: booking.transaction,
            round: booking.round,
            game: booking.game,
            game_known,
            stated_at: booking.common.timestamp,
            currency,
            amount,
            session,
            end_round: booking.end_round,
            free_game_offer: booking.free_game_offer,
        };
        Ok((round, stated))
    }

    /// The currency that was stated, and the amount as the account's currency reads it.
    async fn judge_payment(
        &self,
        caller: &mut Caller<'_>,
        domain: &Domain,
        account: &AccountId,
        payment: &Payment,
    ) -> Result<(Option<Currency>, StatedAmount), Failure> {
        if payment.currency == domain.currency.code()
            && let StatedAmount::Exact(amount) = judged(payment, domain.currency)
        {
            return Ok((Some(domain.currency), StatedAmount::InStated(amount)));
        }
        let account = account.clone();
        match self.ask(caller, Command::ReadBalance { account }).await? {
            Facts::Funds(funds) => Ok((
                Currency::parse(&payment.currency),
                judged(payment, funds.currency),
            )),
            facts => Err(Failure::unexpected(&facts)),
        }
    }

    /// The session that was stated: one of another slot is asked of its owner, since a
    /// live one of another player refuses the request (protocol.md section 4).
    async fn session(
        &self,
        caller: &mut Caller<'_>,
        account: &AccountId,
        key: Option<SessionKey>,
    ) -> Result<StatedSession, Failure> {
        if let Some(own) = own_session(account, key) {
            return Ok(own);
        }
        let Some(key) = key else {
            return Ok(StatedSession::None);
        };
        match self.submit(caller, Command::ReadSession { key }).await? {
            Outcome::Accepted(Facts::Session(session)) => {
                Ok(StatedSession::Foreign { live: session.live })
            }
            Outcome::Refused(_) => Ok(StatedSession::Foreign { live: false }),
            Outcome::Accepted(facts) | Outcome::Repeated(facts) => Err(Failure::unexpected(&facts)),
        }
    }

    async fn book(
        &self,
        caller: &mut Caller<'_>,
        domain: &Domain,
        command: Command,
        stated: &Stated,
        with_split: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        match self.ask_stated(caller, domain, command, stated).await? {
            Facts::Booked(booked) => {
                response::write_booked(
                    &booked,
                    domain.funds_priority,
                    caller.transaction.as_str(),
                    with_split,
                    out,
                );
                Ok(())
            }
            facts => Err(Failure::unexpected(&facts)),
        }
    }

    /// As [`WalletService::ask`], with a refusal that repeats what was stated.
    async fn ask_stated(
        &self,
        caller: &mut Caller<'_>,
        domain: &Domain,
        command: Command,
        stated: &Stated,
    ) -> Result<Facts, Failure> {
        match self.submit(caller, command).await? {
            Outcome::Accepted(facts) | Outcome::Repeated(facts) => Ok(facts),
            Outcome::Refused(refusal) => Err(Failure::of_stated(
                &refusal,
                stated,
                &self.parts.times,
                domain.funds_priority,
            )),
        }
    }
}

fn stated_payment(
    transaction: Member,
    at: UnixMillis,
    payment: Payment,
    unknown_game: Option<GameId>,
) -> Stated {
    Stated {
        transaction,
        at,
        currency: payment.currency,
        amounts: [
            (Member::Amount, Some(payment.amount)),
            (Member::FreeBetCost, payment.free_bet_cost),
        ],
        unknown_game,
    }
}

/// The session of a key that the owner of the account knows if anybody does; nothing for
/// a key of another slot, or none.
fn own_session(account: &AccountId, key: Option<SessionKey>) -> Option<StatedSession> {
    key.filter(|key| key.slot() == slot_of(account))
        .map(StatedSession::Own)
}

/// Both amounts must have a form that the currency allows; only one is booked, and makes a
/// repeat.
fn judged(payment: &Payment, currency: Currency) -> StatedAmount {
    let cost = payment.free_bet_cost.as_ref();
    let cost = cost.map(|cost| cost.in_currency(currency));
    let cost_is_too_precise = cost == Some(Err(AmountError::TooPrecise));
    match payment.amount.in_currency(currency) {
        Ok(amount) if cost_is_too_precise => StatedAmount::BesideTooPrecise(amount),
        Ok(amount) => StatedAmount::Exact(amount),
        Err(_) if cost_is_too_precise => StatedAmount::TooPrecise,
        Err(AmountError::TooPrecise) => StatedAmount::TooPrecise,
        // The form was judged when the body was read.
        Err(AmountError::TooLarge | AmountError::NotANumber | AmountError::Negative) => {
            StatedAmount::TooLarge
        }
    }
}

/// The currency of a code; most often the domain's, so that is tried first.
fn currency_of(code: &str, domain: &Domain) -> Option<Currency> {
    if code == domain.currency.code() {
        Some(domain.currency)
    } else {
        Currency::parse(code)
    }
}
