//! The transactions of an account, newest first, page by page.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use shards::ledger::Command;
use shards::types::UnixMillis;
use shards::wal::OpenError;

use super::answer::Done;
use super::bookings::{Bookings, Cursor, Page, PageError, Wanted};
use super::errors::AdminError;
use super::fields::{AccountPath, Invalid, excerpt};
use super::server::App;
use super::types::{TransactionBody, TransactionsBody};

/// Lists that are read at once; others wait. Two, so that one that has to read much lets
/// another pass, and no more, because the disk is there for bookings.
pub(super) const LISTS_AT_ONCE: usize = 2;

/// Rows of a page unless the request says otherwise (operator.md section 4).
const ROWS: usize = 100;

/// Rows of a page at the most: some 300 KiB of JSON.
const ROWS_MAX: usize = 1_000;

/// How long a page is read for. Its rows may lie in as many files; this keeps an answer
/// well within what clients wait for, and goes on with the next page.
const PAGE_TIME_MAX: Duration = Duration::from_secs(5);

/// Seconds until the files that a list needs will stay for a while.
const RETRY_SECONDS: u32 = 1;

/// `GET /admin/v1/accounts/{domain}/{player}/transactions`.
pub(super) async fn list(
    State(app): State<App>,
    path: AccountPath,
    RawQuery(query): RawQuery,
) -> Result<Response, AdminError> {
    let query = PageQuery::parse(query.as_deref().unwrap_or_default())?;
    let read = Command::ReadAccount {
        account: path.account,
    };
    let found = Done::from_answer(app.control.ask(read).await)?.account()?;
    let currency = found.funds.currency;
    let wanted = Wanted {
        account: found.account,
        last_booking: found.last_booking,
        before: query.before,
        rows_max: query.rows_max,
        since: earlier(shards::runtime::now(), app.idempotency_window),
        time_max: PAGE_TIME_MAX,
    };
    let page = read_page(&app, wanted).await?;
    let rows = page.postings.iter();
    let rows: Option<Vec<_>> = rows
        .map(|posting| TransactionBody::of(posting, currency))
        .collect();
    let Some(transactions) = rows else {
        tracing::error!("a booking has no form as a transaction");
        return Err(AdminError::internal());
    };
    let body = TransactionsBody {
        transactions,
        before: page.before.map(|cursor| cursor.to_string()),
    };
    Ok(Json(body).into_response())
}

/// Reads on a thread that may wait for the disk.
async fn read_page(app: &App, wanted: Wanted) -> Result<Page, AdminError> {
    let Ok(permit) = app.lists.clone().acquire_owned().await else {
        return Err(AdminError::internal());
    };
    let bookings: Arc<Bookings> = app.bookings.clone();
    let read = tokio::task::spawn_blocking(move || {
        // Held for as long as it reads, whether or not somebody waits for it still.
        let _permit = permit;
        bookings.page(&wanted)
    });
    match read.await {
        Ok(page) => page.map_err(|error| refused(&error)),
        Err(error) => {
            tracing::error!(%error, "a list of transactions was not read to its end");
            Err(AdminError::internal())
        }
    }
}

fn refused(error: &PageError) -> AdminError {
    match error {
        PageError::NoBooking => {
            AdminError::invalid("before: expected the Before of an answer for this account")
        }
        PageError::Log(error @ OpenError::Io { .. }) => {
            tracing::warn!(%error, "a list of transactions could not be read");
            AdminError::overloaded(
                "history is just let go of; send the request again",
                RETRY_SECONDS,
            )
        }
        PageError::Log(_) | PageError::Broken { .. } => {
            tracing::error!(%error,
                "a list of transactions met damage; no more was read, and nothing was changed");
            AdminError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "data_damaged",
                "a booking of this account cannot be read back; the server's log says where",
            )
        }
    }
}

/// A moment minus a duration; stays at the beginning of time rather than wrap.
fn earlier(now: UnixMillis, duration: Duration) -> UnixMillis {
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    UnixMillis(now.0.saturating_sub(millis))
}

/// Which page.
#[derive(Debug, PartialEq, Eq)]
struct PageQuery {
    rows_max: usize,
    before: Option<Cursor>,
}

impl PageQuery {
    /// Reads the part of the target behind the `?`. Neither value needs percent-encoding,
    /// so none is resolved. A parameter that we do not know is refused: a typo in `before`
    /// would show the first page again and again.
    fn parse(query: &str) -> Result<Self, Invalid> {
        let (mut limit, mut before) = (None, None);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let slot = match name {
                "limit" => &mut limit,
                "before" => &mut before,
                _ => {
                    let name = excerpt(name);
                    return Err(Invalid(format!("{name}: expected limit or before")));
                }
            };
            if slot.replace(value).is_some() {
                return Err(Invalid(format!("{name}: is there twice")));
            }
        }
        let rows_max = match limit {
            None => ROWS,
            Some(text) => number(text)
                .filter(|limit| (1..=ROWS_MAX).contains(limit))
                .ok_or_else(|| {
                    let text = excerpt(text);
                    Invalid(format!(
                        "limit: expected a whole number of 1 to {ROWS_MAX}, got {text:?}"
                    ))
                })?,
        };
        let before = before.map(|text| {
            Cursor::parse(text).ok_or_else(|| {
                let text = excerpt(text);
                Invalid(format!(
                    "before: expected the Before of an answer, got {text:?}"
                ))
            })
        });
        Ok(Self {
            rows_max,
            before: before.transpose()?,
        })
    }
}

/// Digits and nothing else.
fn number(text: &str) -> Option<usize> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_limit_and_a_cursor() {
        for (query, rows_max, before) in [
            ("", 100, None),
            ("limit=1", 1, None),
            ("limit=1000", 1_000, None),
            ("limit=0010", 10, None),
            ("before=0-7", 100, Some("0-7")),
            ("before=0-7&limit=5", 5, Some("0-7")),
            ("&limit=5&", 5, None),
        ] {
            let expected = PageQuery {
                rows_max,
                before: before.and_then(Cursor::parse),
            };
            assert_eq!(PageQuery::parse(query), Ok(expected), "{query}");
        }
        for (query, message) in [
            (
                "limit=0",
                "limit: expected a whole number of 1 to 1000, got \"0\"",
            ),
            ("limit=1001", "limit: expected"),
            ("limit=-1", "limit: expected"),
            ("limit=+1", "limit: expected"),
            ("limit=1.0", "limit: expected"),
            ("limit=99999999999999999999", "limit: expected"),
            ("limit=", "limit: expected"),
            ("limit", "limit: expected"),
            ("limit=5&limit=5", "limit: is there twice"),
            ("before=", "before: expected"),
            ("before=x", "before: expected"),
            ("before=null", "before: expected"),
            ("before=7", "before: expected"),
            ("Limit=5", "Limit: expected limit or before"),
            ("after=5", "after: expected limit or before"),
        ] {
            let Invalid(found) = PageQuery::parse(query).unwrap_err();
            assert!(found.starts_with(message), "{query}: {found}");
        }
    }
}
