//! Which paths and methods there are, and which need the token.

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{from_fn_with_state, map_response_with_state};
use axum::response::Response;
use axum::routing::{get, post, put};

use super::errors::AdminError;
use super::server::App;
use super::{
    accounts, auth, books, dashboard, health, import, metrics, money, openapi, sessions,
    slow_requests, transactions,
};

/// All routes of operator.md section 4 that exist.
pub(super) fn router(app: App) -> Router {
    // Everything below this prefix needs the token, paths that do not exist too.
    let guarded = Router::new()
        .route(
            "/accounts/{domain}/{player}",
            put(accounts::open).get(accounts::read),
        )
        .route("/accounts/{domain}/{player}/deposits", post(money::deposit))
        .route(
            "/accounts/{domain}/{player}/withdrawals",
            post(money::withdraw),
        )
        .route(
            "/accounts/{domain}/{player}/bonuses",
            post(money::grant_bonus),
        )
        .route(
            "/accounts/{domain}/{player}/limits",
            put(accounts::set_limits),
        )
        .route(
            "/accounts/{domain}/{player}/status",
            put(accounts::set_status),
        )
        .route("/accounts/{domain}/{player}/sessions", post(sessions::open))
        .route(
            "/accounts/{domain}/{player}/transactions",
            get(transactions::list),
        )
        .route(
            "/sessions/{key}",
            get(sessions::read).delete(sessions::log_out),
        )
        .route("/import", post(import::import))
        .route("/trial-balance", get(books::trial_balance))
        .route("/slow-requests", get(slow_requests::list))
        .route("/live", get(dashboard::live))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(from_fn_with_state(app.clone(), auth::require_token));
    Router::new()
        .route("/metrics", get(metrics::scrape))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        // The page has no data; what it shows it asks for with the token.
        .route("/dashboard", get(dashboard::page))
        .route("/dashboard/{file}", get(dashboard::file))
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(openapi::page))
        .route("/docs/{file}", get(openapi::part))
        .method_not_allowed_fallback(method_not_allowed)
        .nest("/admin/v1", guarded)
        .fallback(not_found)
        .layer(map_response_with_state(app.clone(), count_answer))
        .with_state(app)
}

async fn count_answer(State(app): State<App>, answer: Response) -> Response {
    app.answers.count(answer.status());
    answer
}

async fn not_found(OriginalUri(uri): OriginalUri) -> AdminError {
    AdminError::new(
        StatusCode::NOT_FOUND,
        "not_found",
        format!(
            "nothing is at {}; /dashboard and /docs are for a browser",
            uri.path()
        ),
    )
}

async fn method_not_allowed(method: Method) -> AdminError {
    AdminError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{method} is not what this path answers to; the Allow field says what is"),
    )
}
