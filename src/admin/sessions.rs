//! Sessions: opened for a player, read, logged out.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use shards::ledger::Command;
use shards::routing::mint_session_key;
use shards::types::SessionKey;

use super::answer::{Done, session_not_found};
use super::errors::AdminError;
use super::fields::{self, AccountPath, JsonBody};
use super::server::App;
use super::types::{OpenSessionRequest, SessionBody};

/// `POST /admin/v1/accounts/{domain}/{player}/sessions`: each call opens another one.
pub(super) async fn open(
    State(app): State<App>,
    path: AccountPath,
    JsonBody(request): JsonBody<OpenSessionRequest>,
) -> Result<(StatusCode, Json<SessionBody>), AdminError> {
    let country = fields::country(request.country_code)?;
    let logout_at = fields::logout_at(request.logout_at)?;
    let command = Command::OpenSession {
        key: mint(&path.account)?,
        account: path.account,
        country,
        logout_at,
    };
    let session = Done::from_answer(app.control.ask(command).await)?.session()?;
    Ok((StatusCode::CREATED, Json(SessionBody::from(&session))))
}

/// `GET /admin/v1/sessions/{key}`: live or not.
pub(super) async fn read(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Result<Json<SessionBody>, AdminError> {
    let key = SessionKey::parse(&key).ok_or_else(session_not_found)?;
    let command = Command::ReadSession { key };
    let session = Done::from_answer(app.control.ask(command).await)?.session()?;
    Ok(Json(SessionBody::from(&session)))
}

/// `DELETE /admin/v1/sessions/{key}`: logged out now, or before.
pub(super) async fn log_out(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Result<StatusCode, AdminError> {
    let key = SessionKey::parse(&key).ok_or_else(session_not_found)?;
    let command = Command::LogOutSession { key };
    Done::from_answer(app.control.ask(command).await)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A key for a session of an account.
pub(super) fn mint(account: &shards::types::AccountId) -> Result<SessionKey, AdminError> {
    mint_session_key(account).map_err(|error| {
        tracing::error!(%error, "the system's random source failed");
        AdminError::internal()
    })
}
