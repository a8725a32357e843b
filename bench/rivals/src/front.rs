//! What the rivals on axum have in common: one thread, one listener, one kind of answer.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response};
use axum::serve::ListenerExt;

use crate::answer::Answer;

/// Runs a rival on a runtime of one thread: the bench gives it one CPU.
///
/// # Errors
/// What the rival reports.
pub fn run(rival: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?
        .block_on(rival)
}

/// Serves until the process is ended.
///
/// # Errors
/// The address is taken.
pub async fn serve(listen: SocketAddr, router: Router) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .with_context(|| format!("listen on {listen}"))?
        .tap_io(|stream| {
            // A stream that cannot be told so is a little slower, and still served.
            let _ = stream.set_nodelay(true);
        });
    Ok(axum::serve(listener, router).await?)
}

/// Whether the request has the credentials of the demo domain.
#[must_use]
pub fn is_authorised(headers: &HeaderMap) -> bool {
    headers
        .get(AUTHORIZATION)
        .is_some_and(|value| value.as_bytes() == crate::request::AUTHORIZATION)
}

/// An answer of the wallet.
#[must_use]
pub fn json(answer: &Answer<'_>) -> Response<Body> {
    bytes(answer.bytes())
}

/// A body that is JSON already.
#[must_use]
pub fn bytes(body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
