//! Accounts: opened, read, and given the operator's money.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use shards::ledger::Command;

use super::answer::Done;
use super::errors::AdminError;
use super::fields::{self, AccountPath, JsonBody};
use super::server::App;
use super::types::{AccountBody, DepositRequest, FundsBody, OpenAccountRequest};

/// `PUT /admin/v1/accounts/{domain}/{player}`: 201, or 200 if it was there, as it is.
pub(super) async fn open(
    State(app): State<App>,
    path: AccountPath,
    JsonBody(request): JsonBody<OpenAccountRequest>,
) -> Result<Response, AdminError> {
    let command = Command::OpenAccount {
        account: path.account,
        currency: path.currency,
        country: fields::country(request.country_code)?,
    };
    let done = Done::from_answer(app.control.ask(command).await)?;
    let status = if done.repeated {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let account = done.account()?;
    Ok((status, Json(AccountBody::from(&*account))).into_response())
}

/// `GET /admin/v1/accounts/{domain}/{player}`.
pub(super) async fn read(
    State(app): State<App>,
    path: AccountPath,
) -> Result<Json<AccountBody>, AdminError> {
    let command = Command::ReadAccount {
        account: path.account,
    };
    let account = Done::from_answer(app.control.ask(command).await)?.account()?;
    Ok(Json(AccountBody::from(&*account)))
}

/// `POST /admin/v1/accounts/{domain}/{player}/deposits`: once per `TransactionID`.
pub(super) async fn deposit(
    State(app): State<App>,
    path: AccountPath,
    JsonBody(request): JsonBody<DepositRequest>,
) -> Result<Json<FundsBody>, AdminError> {
    let command = Command::Deposit {
        account: path.account,
        transaction: fields::transaction_id(request.transaction_id)?,
        amount: fields::amount(request.amount, path.currency)?,
        currency: path.currency,
    };
    let funds = Done::from_answer(app.control.ask(command).await)?.funds()?;
    Ok(Json(FundsBody::from(&funds)))
}
