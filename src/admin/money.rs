//! The operator's money: paid in, paid out, given as a bonus. Each happens once per
//! `TransactionID` of the account and kind.

use axum::Json;
use axum::extract::State;
use shards::ledger::Command;
use shards::types::{Amount, TransactionId};

use super::answer::{Done, no_bonus_funds};
use super::errors::AdminError;
use super::fields::{self, AccountPath, JsonBody};
use super::server::App;
use super::types::{FundsBody, MoneyRequest};

/// `POST /admin/v1/accounts/{domain}/{player}/deposits`: into the cash funds.
pub(super) async fn deposit(
    State(app): State<App>,
    path: AccountPath,
    JsonBody(request): JsonBody<MoneyRequest>,
) -> Result<Json<FundsBody>, AdminError> {
    let (transaction, amount) = valid(request, &path)?;
    let command = Command::Deposit {
        account: path.account,
        transaction,
        amount,
        currency: path.currency,
    };
    book(&app, command).await
}

/// `POST /admin/v1/accounts/{domain}/{player}/withdrawals`: out of the cash funds.
pub(super) async fn withdraw(
    State(app): State<App>,
    path: AccountPath,
    JsonBody(request): JsonBody<MoneyRequest>,
) -> Result<Json<FundsBody>, AdminError> {
    let (transaction, amount) = valid(request, &path)?;
    let command = Command::Withdraw {
        account: path.account,
        transaction,
        amount,
        currency: path.currency,
    };
    book(&app, command).await
}

/// `POST /admin/v1/accounts/{domain}/{player}/bonuses`: into the bonus funds, where the
/// domain has them.
pub(super) async fn grant_bonus(
    State(app): State<App>,
    path: AccountPath,
    JsonBody(request): JsonBody<MoneyRequest>,
) -> Result<Json<FundsBody>, AdminError> {
    let (transaction, amount) = valid(request, &path)?;
    if !path.has_bonus_funds {
        return Err(no_bonus_funds());
    }
    let command = Command::GrantBonus {
        account: path.account,
        transaction,
        amount,
        currency: path.currency,
    };
    book(&app, command).await
}

fn valid(request: MoneyRequest, path: &AccountPath) -> Result<(TransactionId, Amount), AdminError> {
    Ok((
        fields::transaction_id(request.transaction_id)?,
        fields::amount(request.amount, path.currency)?,
    ))
}

async fn book(app: &App, command: Command) -> Result<Json<FundsBody>, AdminError> {
    let funds = Done::from_answer(app.control.ask(command).await)?.funds()?;
    Ok(Json(FundsBody::from(&funds)))
}
