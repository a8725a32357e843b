//! `POST /admin/v1/import`: many accounts, one JSON object a line (operator.md section 4).
//!
//! Nothing of an import with a bad line is kept, and an import may be larger than
//! memory. So it passes twice: first every line is checked on its way into a temporary
//! file (`spool.rs`), then the file is read back and every account submitted
//! (`submit.rs`). The answer is a stream, a line per session and the counts at the end.

mod line;
mod lines;
mod spool;
mod submit;

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use lines::{LINE_BYTES_MAX, Lines};
use spool::{Spool, SpoolReader};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::errors::AdminError;
use super::fields::Invalid;
use super::server::App;
use crate::domain::Domains;

/// Imports at a time: one alone keeps the shards as busy as they should be with it, and
/// several would share the disk's room without knowing of each other.
pub(super) const IMPORTS_AT_ONCE: usize = 1;

/// The largest import: forty million accounts of 100 bytes, which is more than a machine
/// has memory for. It bounds what a wrong file can take from the data's disk.
const IMPORT_BYTES_MAX: u64 = 4 << 30;

/// How long the next piece of a body may take.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the rest of a refused import is read and thrown away. A client that is still
/// sending when the connection closes would lose the answer that says why.
const REST_TIMEOUT: Duration = Duration::from_secs(10);

/// Chunks of the answer that wait for the client, of 32 KiB each.
const ANSWER_CHUNKS_MAX: usize = 4;

/// Seconds after which an import that found another one running may try again.
const RETRY_IMPORT_SECONDS: u32 = 5;

/// Seconds in which somebody may have made room on the disk.
const RETRY_DISK_SECONDS: u32 = 60;

/// The handler.
pub(super) async fn import(
    State(app): State<App>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<Response, AdminError> {
    let Ok(permit) = app.imports.clone().try_acquire_owned() else {
        // Who asks first is answered at once: to read would tell it to send.
        if !headers.contains_key(header::EXPECT) {
            throw_away(&mut body).await;
        }
        return Err(AdminError::overloaded(
            "another import is running",
            RETRY_IMPORT_SECONDS,
        ));
    };
    // Both passes judge by the same domains, whatever is read again meanwhile.
    let domains = app.domains();
    let spooled = match check_and_spool(&app, &domains, &mut body).await {
        Ok(spooled) => spooled,
        Err(error) => {
            throw_away(&mut body).await;
            return Err(error);
        }
    };
    let (sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(ANSWER_CHUNKS_MAX);
    tokio::spawn(async move {
        submit::run(app, domains, spooled, sender).await;
        drop(permit);
    });
    let answer = Body::from_stream(ReceiverStream::new(receiver));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], answer).into_response())
}

/// The first pass: every line is checked, and the whole is on disk when it ends.
async fn check_and_spool(
    app: &App,
    domains: &Domains,
    body: &mut Body,
) -> Result<SpoolReader, AdminError> {
    let mut spool = Spool::create(app.spool_dir.clone())
        .await
        .map_err(|error| spool_failed(&error))?;
    let mut lines = Lines::default();
    let mut bytes: u64 = 0;
    while let Some(piece) = next_piece(body).await? {
        bytes += piece.len() as u64;
        if bytes > IMPORT_BYTES_MAX {
            return Err(AdminError::too_large(format!(
                "an import may have at most {IMPORT_BYTES_MAX} bytes; send the accounts in parts"
            )));
        }
        let mut rest = &piece[..];
        loop {
            match lines.next(&mut rest) {
                Ok(Some((number, text))) => check_line(domains, number, text)?,
                Ok(None) => break,
                Err(too_long) => {
                    let why = format!("longer than {LINE_BYTES_MAX} bytes");
                    return Err(bad_line(too_long.number, &why));
                }
            }
        }
        spool
            .append(&piece)
            .await
            .map_err(|error| spool_failed(&error))?;
    }
    if let Some((number, text)) = lines.last() {
        check_line(domains, number, text)?;
    }
    spool
        .into_reader()
        .await
        .map_err(|error| spool_failed(&error))
}

fn check_line(domains: &Domains, number: u64, text: &[u8]) -> Result<(), AdminError> {
    match line::parse(text, domains) {
        Ok(_) => Ok(()),
        Err(Invalid(why)) => Err(bad_line(number, &why)),
    }
}

fn bad_line(number: u64, why: &str) -> AdminError {
    AdminError::invalid(format!("line {number}: {why}; nothing was imported"))
}

async fn next_piece(body: &mut Body) -> Result<Option<Bytes>, AdminError> {
    loop {
        let frame = tokio::time::timeout(PIECE_TIMEOUT, body.frame())
            .await
            .map_err(|_| AdminError::timed_out())?;
        return match frame {
            None => Ok(None),
            Some(Err(_)) => Err(AdminError::invalid("the body ended before it was complete")),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Ok(Some(data)),
                // Trailers say nothing to us.
                Err(_) => continue,
            },
        };
    }
}

/// Reads the rest of a refused import, for as long as [`REST_TIMEOUT`] says.
async fn throw_away(body: &mut Body) {
    let read = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(REST_TIMEOUT, read).await;
}

fn spool_failed(error: &io::Error) -> AdminError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            AdminError::overloaded(
                "the disk of the data directory has no room for the import's temporary file; \
             make room or send the accounts in parts; nothing was imported",
                RETRY_DISK_SECONDS,
            )
        }
        _ => {
            tracing::error!(%error, "the temporary file of an import failed");
            AdminError::internal()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_such() {
        let cases = [
            (io::ErrorKind::StorageFull, 503, "overloaded"),
            (io::ErrorKind::QuotaExceeded, 503, "overloaded"),
            (io::ErrorKind::FileTooLarge, 503, "overloaded"),
            (io::ErrorKind::PermissionDenied, 500, "internal_error"),
        ];
        for (kind, status, code) in cases {
            let error = spool_failed(&kind.into());
            assert_eq!(
                (error.status.as_u16(), error.code),
                (status, code),
                "{kind:?}"
            );
        }
    }
}
