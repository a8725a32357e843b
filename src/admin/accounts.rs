//! Accounts: opened, read, limited, stopped.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use shards::ledger::{Command, LimitsChange};

use super::answer::Done;
use super::errors::AdminError;
use super::fields::{self, AccountPath, JsonBody};
use super::server::App;
use super::types::{AccountBody, LimitsRequest, OpenAccountRequest, StatusRequest};

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

/// `PUT /admin/v1/accounts/{domain}/{player}/limits`: the account as it is then.
pub(super) async fn set_limits(
    State(app): State<App>,
    path: AccountPath,
    JsonBody(request): JsonBody<LimitsRequest>,
) -> Result<Json<AccountBody>, AdminError> {
    let account = path.account;
    // An account keeps the currency that it was opened with, so it says how many digits
    // a limit may have, and cannot say otherwise a moment later.
    let read = Command::ReadAccount {
        account: account.clone(),
    };
    let found = Done::from_answer(app.control.ask(read).await)?.account()?;
    let currency = found.funds.currency;
    let loss = |name, value: Option<Value>| {
        let limit = value.map(|value| fields::loss_limit(name, value, currency));
        limit.transpose()
    };
    let seconds = request.session_seconds.as_ref();
    let limits = LimitsChange {
        loss_daily: loss("LossDaily", request.loss_daily)?,
        loss_weekly: loss("LossWeekly", request.loss_weekly)?,
        loss_monthly: loss("LossMonthly", request.loss_monthly)?,
        session_s: seconds.map(fields::session_seconds).transpose()?,
    };
    let command = Command::SetLimits { account, limits };
    let account = Done::from_answer(app.control.ask(command).await)?.account()?;
    Ok(Json(AccountBody::from(&*account)))
}

/// `PUT /admin/v1/accounts/{domain}/{player}/status`: the account as it is then.
pub(super) async fn set_status(
    State(app): State<App>,
    path: AccountPath,
    JsonBody(request): JsonBody<StatusRequest>,
) -> Result<Json<AccountBody>, AdminError> {
    let command = Command::SetStatus {
        account: path.account,
        status: fields::status(request.status)?,
    };
    let account = Done::from_answer(app.control.ask(command).await)?.account()?;
    Ok(Json(AccountBody::from(&*account)))
}
