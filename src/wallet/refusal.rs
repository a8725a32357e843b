//! A refusal of the ledger in words: which member, which rule, what was found.
//!
//! The ledger gives a reason; what the request stated is kept beside its command, so
//! that the sentence can repeat it. `error_code` says which code a reason has.

use std::borrow::Cow;
use std::time::Duration;

use compact_str::CompactString;
use shards::ledger::{LossPeriod, Refusal, RefusalReason};
use shards::types::{AmountError, Currency, DecimalText, GameId, UnixMillis};

use super::members::Member;
use super::shown::{cut, quoted};

/// The windows of time that requests are judged by (operator.md section 2, `[ledger]`).
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How long a transaction id is remembered.
    pub idempotency_window: Duration,
    /// How far ahead of our clock a request's time may be.
    pub clock_skew_max: Duration,
}

/// What a request stated.
#[derive(Debug)]
pub(super) struct Stated {
    /// Which member is its transaction id.
    pub(super) transaction: Member,
    /// Its `Timestamp`.
    pub(super) at: UnixMillis,
    /// Its `CurrencyCode`.
    pub(super) currency: CompactString,
    /// Its amounts, by member, where it has any.
    pub(super) amounts: [(Member, Option<DecimalText>); 2],
    /// Its `GameID`, where the domain does not have that game.
    pub(super) unknown_game: Option<GameId>,
}

impl Stated {
    /// The `ErrorDescription` of a refusal.
    #[must_use]
    pub(super) fn words(&self, refusal: &Refusal, times: &Times) -> Cow<'static, str> {
        match refusal.reason {
            RefusalReason::TransactionIdReused => Cow::Owned(format!(
                "{}: used before with other contents; one id stands for one booking",
                self.transaction.name()
            )),
            RefusalReason::RequestTooOld => Cow::Owned(format!(
                "Timestamp: older than {}, beyond which repeats are not recognised, got {}",
                humantime::format_duration(times.idempotency_window),
                moment(self.at)
            )),
            RefusalReason::RequestInFuture => Cow::Owned(format!(
                "Timestamp: more than {} ahead of the wallet's clock, got {}",
                humantime::format_duration(times.clock_skew_max),
                moment(self.at)
            )),
            RefusalReason::CurrencyMismatch => {
                let stated = quoted(&self.currency);
                Cow::Owned(match refusal.funds {
                    Some(funds) => format!(
                        "CurrencyCode: the account is in {}, got {stated}",
                        funds.currency
                    ),
                    None => format!("CurrencyCode: not the account's, got {stated}"),
                })
            }
            RefusalReason::AmountTooPrecise => match refusal.funds {
                Some(funds) => self.too_precise(funds.currency),
                None => Cow::Borrowed("Amount: more fraction digits than the currency has"),
            },
            RefusalReason::InsufficientFunds => Cow::Owned(format!(
                "Amount: the stake is above the funds, got {}",
                self.amount()
            )),
            RefusalReason::LossLimit(period) => Cow::Owned(format!(
                "Amount: the bet could pass the account's {} net-loss limit, got {}",
                match period {
                    LossPeriod::Day => "daily",
                    LossPeriod::Week => "weekly",
                    LossPeriod::Month => "monthly",
                },
                self.amount()
            )),
            RefusalReason::GameNotFound => match &self.unknown_game {
                Some(game) => Cow::Owned(format!(
                    "GameID: not among the games of this domain, got {}",
                    quoted(game.as_str())
                )),
                None => Cow::Borrowed("GameID: not among the games of this domain"),
            },
            reason => Cow::Borrowed(fixed_words(reason)),
        }
    }

    /// The first amount that is too precise.
    fn too_precise(&self, currency: Currency) -> Cow<'static, str> {
        let is_too_precise =
            |amount: &DecimalText| amount.in_currency(currency) == Err(AmountError::TooPrecise);
        let found = self.amounts.iter().find_map(|(member, amount)| {
            let amount = amount.as_ref().filter(|amount| is_too_precise(amount))?;
            Some((member.name(), amount.as_str()))
        });
        let (member, amount) = found.unwrap_or((Member::Amount.name(), "more"));
        Cow::Owned(format!(
            "{member}: at most {} fraction digits for {currency}, got {}",
            currency.fraction_digits(),
            cut(amount)
        ))
    }

    /// As it was written.
    fn amount(&self) -> String {
        self.amounts[0]
            .1
            .as_ref()
            .map_or_else(String::new, |amount| cut(amount.as_str()))
    }
}

/// The words of reasons that need nothing of the request.
#[must_use]
pub(super) const fn fixed_words(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::AccountNotFound => "OperatorAccountID: the domain has no such player",
        RefusalReason::SessionNotFound => "SessionToken: no such session",
        RefusalReason::NoLiveSession => "OperatorAccountID: the player has no live session",
        RefusalReason::TokenSpent => {
            "SessionToken: redeemed before, and this domain's tokens are for one use"
        }
        RefusalReason::TokenExpired => "SessionToken: older than its life, ask for a new one",
        RefusalReason::TooManyTokens => {
            "the session redeemed as many tokens as the wallet keeps for one, retry when they have expired"
        }
        RefusalReason::BalanceOverflow => {
            "Amount: the account cannot hold that much, nothing was booked"
        }
        RefusalReason::SessionUnknown => {
            "GatewaySessionToken: no session of this player, redeem a session token for one"
        }
        RefusalReason::SessionLoggedOut => {
            "GatewaySessionToken: the session is logged out, the player must log in again"
        }
        RefusalReason::SessionOfAnotherAccount => {
            "GatewaySessionToken: the session of another player"
        }
        RefusalReason::RolledBackBefore => {
            "GameRoundTransactionID: this bet was rolled back before it arrived"
        }
        RefusalReason::AccountSuspended => {
            "OperatorAccountID: the operator has stopped the bets of this player"
        }
        RefusalReason::SessionLimit => {
            "GatewaySessionToken: the session is older than the account's session limit"
        }
        RefusalReason::BetNotFound => {
            "OriginalBetGameRoundTransactionID: the player has no such bet; if it arrives later, it is refused"
        }
        RefusalReason::RollbackMismatch => {
            "Amount, GameRoundID and GameID of a rollback must be those of its bet"
        }
        RefusalReason::RoundNotFound => "GameRoundID: the player has no such round",
        // Those above that repeat what was stated, where nothing was.
        RefusalReason::TransactionIdReused
        | RefusalReason::RequestTooOld
        | RefusalReason::RequestInFuture
        | RefusalReason::CurrencyMismatch
        | RefusalReason::AmountTooPrecise
        | RefusalReason::InsufficientFunds
        | RefusalReason::LossLimit(_)
        | RefusalReason::GameNotFound
        | RefusalReason::NoBonusFunds => "the account's shard refused this, nothing was booked",
    }
}

/// A moment as RFC 3339 writes it, or its milliseconds where it cannot.
fn moment(at: UnixMillis) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => format!("{} ms since 1970", at.0),
    }
}

#[cfg(test)]
mod tests {
    use shards::ledger::Funds;
    use shards::types::Balance;

    use super::*;

    /// What is said of a refusal, for a bet of 1.001 with a free bet's cost of 0.5.
    fn words(reason: RefusalReason, currency: Option<&str>) -> String {
        let decimal = |text| Some(DecimalText::parse(text).unwrap());
        let stated = Stated {
            transaction: Member::GameRoundTransactionId,
            at: UnixMillis(1_795_354_145_000),
            currency: "gbp".into(),
            amounts: [
                (Member::Amount, decimal("1.001")),
                (Member::FreeBetCost, decimal("0.50001")),
            ],
            unknown_game: GameId::parse("chess"),
        };
        let times = Times {
            idempotency_window: Duration::from_hours(72),
            clock_skew_max: Duration::from_mins(5),
        };
        let funds = currency.map(|code| Funds {
            currency: Currency::parse(code).unwrap(),
            balance: Balance::default(),
        });
        stated
            .words(&Refusal { reason, funds }, &times)
            .into_owned()
    }

    #[test]
    fn a_refusal_says_which_member_which_rule_and_what_was_found() {
        use RefusalReason as R;
        let cases = [
            (
                R::AmountTooPrecise,
                "GBP",
                "Amount: at most 2 fraction digits for GBP, got 1.001",
            ),
            (
                R::AmountTooPrecise,
                "KWD",
                "FreeBetCost: at most 3 fraction digits for KWD, got 0.50001",
            ),
            (
                R::CurrencyMismatch,
                "GBP",
                "CurrencyCode: the account is in GBP, got \"gbp\"",
            ),
            (
                R::LossLimit(LossPeriod::Day),
                "GBP",
                "Amount: the bet could pass the account's daily net-loss limit, got 1.001",
            ),
            (
                R::LossLimit(LossPeriod::Week),
                "GBP",
                "Amount: the bet could pass the account's weekly net-loss limit, got 1.001",
            ),
            (
                R::LossLimit(LossPeriod::Month),
                "GBP",
                "Amount: the bet could pass the account's monthly net-loss limit, got 1.001",
            ),
            (
                R::InsufficientFunds,
                "GBP",
                "Amount: the stake is above the funds, got 1.001",
            ),
            (
                R::TransactionIdReused,
                "GBP",
                "GameRoundTransactionID: used before with other contents; one id stands for one booking",
            ),
            (
                R::RequestTooOld,
                "GBP",
                "Timestamp: older than 3days, beyond which repeats are not recognised, got 2026-11-22T13:29:05.000Z",
            ),
            (
                R::RequestInFuture,
                "GBP",
                "Timestamp: more than 5m ahead of the wallet's clock, got 2026-11-22T13:29:05.000Z",
            ),
            (
                R::GameNotFound,
                "GBP",
                "GameID: not among the games of this domain, got \"chess\"",
            ),
        ];
        for (reason, currency, expected) in cases {
            assert_eq!(words(reason, Some(currency)), expected);
        }
    }

    #[test]
    fn the_other_reasons_name_their_member_or_say_what_happened() {
        use RefusalReason as R;
        let cases = [
            (R::AccountNotFound, "OperatorAccountID: "),
            (R::SessionUnknown, "GatewaySessionToken: "),
            (R::SessionLoggedOut, "GatewaySessionToken: "),
            (R::SessionOfAnotherAccount, "GatewaySessionToken: "),
            (R::SessionLimit, "GatewaySessionToken: "),
            (R::RolledBackBefore, "GameRoundTransactionID: "),
            (R::AccountSuspended, "OperatorAccountID: "),
            (R::BetNotFound, "OriginalBetGameRoundTransactionID: "),
            (R::RollbackMismatch, "Amount, GameRoundID and GameID "),
            (R::RoundNotFound, "GameRoundID: "),
            (R::BalanceOverflow, "Amount: "),
        ];
        for (reason, start) in cases {
            let words = words(reason, None);
            assert!(words.starts_with(start), "{words}");
        }
    }
}
