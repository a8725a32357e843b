//! The bodies of the admin API, member for member as operator.md section 4 names them.
//!
//! Requests hold their members as they came: `fields.rs` judges them one by one, so that
//! the message of a refusal can name the member. Members we do not know are refused,
//! because an operator's typo in `Amount` must not pass for a deposit of nothing.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use shards::ledger::{
    AccountFacts, AccountStatus, Cashed, Change, Funds, Limits, Posting, RoundFacts, SessionFacts,
};
use shards::types::{Amount, Currency, UnixMillis};

/// `PUT /accounts/{domain}/{player}`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct OpenAccountRequest {
    pub(super) country_code: Option<Value>,
}

/// `POST …/deposits`, `…/withdrawals` and `…/bonuses`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct MoneyRequest {
    #[serde(rename = "TransactionID")]
    pub(super) transaction_id: Option<Value>,
    pub(super) amount: Option<Value>,
}

/// `PUT …/limits`: what is left out stays, `null` removes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct LimitsRequest {
    #[serde(default, deserialize_with = "there")]
    pub(super) loss_daily: Option<Value>,
    #[serde(default, deserialize_with = "there")]
    pub(super) loss_weekly: Option<Value>,
    #[serde(default, deserialize_with = "there")]
    pub(super) loss_monthly: Option<Value>,
    #[serde(default, deserialize_with = "there")]
    pub(super) session_seconds: Option<Value>,
}

/// Tells `null` from a member that was left out.
fn there<'de, D: Deserializer<'de>>(member: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(member).map(Some)
}

/// `PUT …/status`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct StatusRequest {
    pub(super) status: Option<Value>,
}

/// `POST …/sessions`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct OpenSessionRequest {
    pub(super) country_code: Option<Value>,
    pub(super) logout_at: Option<Value>,
}

/// One line of `POST /import`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ImportRequest {
    #[serde(rename = "OperatorAccountID")]
    pub(super) operator_account_id: Option<Value>,
    pub(super) country_code: Option<Value>,
    pub(super) cash_funds: Option<Value>,
    pub(super) bonus_funds: Option<Value>,
    pub(super) open_session: Option<Value>,
}

/// An account.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AccountBody {
    #[serde(rename = "OperatorAccountID")]
    operator_account_id: String,
    currency_code: String,
    country_code: String,
    cash_funds: String,
    bonus_funds: String,
    status: &'static str,
    limits: LimitsBody,
    created_at: String,
    open_rounds: u32,
}

/// The player limits of an account; `null` for what is not limited.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LimitsBody {
    loss_daily: Option<String>,
    loss_weekly: Option<String>,
    loss_monthly: Option<String>,
    session_seconds: Option<u32>,
}

impl LimitsBody {
    fn of(limits: &Limits, currency: Currency) -> Self {
        let money = |limit: Option<Amount>| limit.map(|amount| amount.to_major(currency));
        Self {
            loss_daily: money(limits.loss_daily),
            loss_weekly: money(limits.loss_weekly),
            loss_monthly: money(limits.loss_monthly),
            session_seconds: limits.session_s,
        }
    }
}

impl From<&AccountFacts> for AccountBody {
    fn from(facts: &AccountFacts) -> Self {
        let funds = FundsBody::from(&facts.funds);
        Self {
            operator_account_id: facts.account.to_string(),
            currency_code: facts.funds.currency.to_string(),
            country_code: facts.country.to_string(),
            cash_funds: funds.cash_funds,
            bonus_funds: funds.bonus_funds,
            status: match facts.status {
                AccountStatus::Active => "Active",
                AccountStatus::Suspended => "Suspended",
            },
            limits: LimitsBody::of(&facts.limits, facts.funds.currency),
            created_at: rfc3339(facts.created_at),
            open_rounds: facts.open_rounds,
        }
    }
}

/// What an account holds after a booking.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FundsBody {
    cash_funds: String,
    bonus_funds: String,
}

impl From<&Funds> for FundsBody {
    fn from(funds: &Funds) -> Self {
        Self {
            cash_funds: funds.balance.cash.to_major(funds.currency),
            bonus_funds: funds.balance.bonus.to_major(funds.currency),
        }
    }
}

/// A page of an account's transactions.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TransactionsBody<'a> {
    pub(super) transactions: Vec<TransactionBody<'a>>,
    /// Where the next page goes on.
    pub(super) before: Option<String>,
}

/// One booking.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TransactionBody<'a> {
    #[serde(rename = "TransactionID")]
    transaction_id: &'a str,
    kind: &'static str,
    amount: String,
    cash_funds: String,
    bonus_funds: String,
    #[serde(rename = "GameRoundID")]
    game_round_id: Option<&'a str>,
    #[serde(rename = "GameID")]
    game_id: Option<&'a str>,
    #[serde(rename = "OriginalTransactionID")]
    original_transaction_id: Option<&'a str>,
    at: String,
}

impl<'a> TransactionBody<'a> {
    /// Of an account of that currency; `None` for a posting that is no booking.
    ///
    /// `Amount` is what the request stated: what free play and its rollback did not move,
    /// too.
    pub(super) fn of(posting: &'a Posting, currency: Currency) -> Option<Self> {
        let row = |kind, transaction_id, amount: Amount| Self {
            transaction_id,
            kind,
            amount: amount.to_major(currency),
            cash_funds: posting.balance_after.cash.to_major(currency),
            bonus_funds: posting.balance_after.bonus.to_major(currency),
            game_round_id: None,
            game_id: None,
            original_transaction_id: None,
            at: rfc3339(posting.at),
        };
        let cashed =
            |kind, cashed: &'a Cashed| row(kind, cashed.transaction.as_str(), cashed.amount);
        let of_round = |kind, facts: &'a RoundFacts| Self {
            game_round_id: Some(facts.round.as_str()),
            game_id: Some(facts.game.as_str()),
            ..row(kind, facts.transaction.as_str(), facts.amount)
        };
        Some(match &posting.change {
            Change::Deposited(deposit) => cashed("Deposit", deposit),
            Change::Withdrawn(withdrawal) => cashed("Withdrawal", withdrawal),
            Change::BonusGranted(bonus) => cashed("Bonus", bonus),
            Change::BetPlaced(bet) => of_round("Bet", &bet.facts),
            Change::WinningsAwarded(award) => of_round("Award", &award.facts),
            Change::BetRolledBack(booked) => Self {
                original_transaction_id: Some(booked.rollback.bet.as_str()),
                ..of_round("Rollback", &booked.rollback.facts)
            },
            Change::BetVoided(void) => of_round("Void", &void.facts),
            Change::Credited(credit) => row("Credit", credit.transaction.as_str(), credit.amount),
            Change::AccountOpened { .. }
            | Change::SessionOpened { .. }
            | Change::SessionLoggedOut { .. }
            | Change::TokenSpent { .. }
            | Change::RollbackRepeated(_)
            | Change::RollbackBeforeBet(_)
            | Change::RoundEnded(_)
            | Change::AlertAnswered(_)
            | Change::LimitsSet { .. }
            | Change::StatusSet { .. } => return None,
        })
    }
}

/// A session.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SessionBody {
    session_key: String,
    #[serde(rename = "OperatorAccountID")]
    operator_account_id: String,
    country_code: String,
    created_at: String,
    logout_at: Option<String>,
}

impl From<&SessionFacts> for SessionBody {
    fn from(facts: &SessionFacts) -> Self {
        Self {
            session_key: facts.key.to_string(),
            operator_account_id: facts.account.to_string(),
            country_code: facts.country.to_string(),
            created_at: rfc3339(facts.created_at),
            logout_at: facts.logout_at.map(rfc3339),
        }
    }
}

/// The session of one imported account.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImportedSession<'a> {
    #[serde(rename = "OperatorAccountID")]
    pub(super) operator_account_id: &'a str,
    pub(super) session_key: String,
}

/// The last line of an import that was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImportCounts {
    /// Lines with an account.
    pub(super) accounts: u64,
    /// Accounts that were not there before.
    pub(super) created: u64,
    /// Accounts that were, funds and country as they are.
    pub(super) existing: u64,
    /// Session keys in the answer.
    pub(super) sessions: u64,
}

/// A moment as RFC 3339 in UTC, to the millisecond.
pub(super) fn rfc3339(at: UnixMillis) -> String {
    // Years beyond 9999 have no RFC 3339 form; such a moment is as good as never.
    let at = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::MAX);
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_leave_as_rfc_3339_with_milliseconds() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_000_000_001, "2026-11-18T11:06:40.001Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(UnixMillis(millis)), text);
        }
    }
}
