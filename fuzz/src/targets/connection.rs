//! A whole connection with the wallet behind it: the same bytes get the same answers and
//! ask the ledger for the same, in whatever pieces they come and the answers go, and what
//! is answered is well-formed.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_lite::future::{block_on, yield_now};
use futures_lite::{AsyncRead, AsyncWrite};
use purser::http::{HttpMetrics, HttpShared, Limits, Seats, Socket, serve_connection};

use super::wallet::wallet;
use super::{Target, same};
use crate::random::{Random, hash};

pub(super) const TARGET: Target = Target {
    name: "connection",
    about: "whole connections in random pieces, with the wallet behind them",
    pieces: &[
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /missing HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"POST /v1.0/balance HTTP/1.1\r\nHost: a\r\n",
        b"POST /v1.0/session/redeemtoken HTTP/1.1\r\nHost: a\r\n",
        b"Authorization: Basic Z3c6czNjcmV0\r\n",
        b"Content-Type: application/json\r\n",
        b"Content-Length: 104\r\n\r\n",
        b"Content-Length: 2\r\n\r\n{}",
        b"Content-Length: 65537\r\n\r\n",
        b"{\"PlatformKey\":\"MG\",\"Sequence\":\"1\",\"Timestamp\":\"2026-01-02T03:04:05Z\",\"OperatorAccountID\":\"acme/player\"}",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"2;e\r\n{}\r\n",
        b"0\r\n\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"\r\n",
    ],
    run,
};

/// As the server says it; whether it is needed is a matter of pieces.
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

fn run(bytes: &[u8]) -> Result<u64, String> {
    let mut random = Random::new(hash(bytes));
    let metrics = Arc::new(HttpMetrics::default());
    let limits = Limits {
        max_head_bytes: 1_024,
        max_body_bytes: 256,
        ..Limits::default()
    };
    // One for all, so that all answers have the same date.
    let shared = HttpShared::new(limits, metrics.clone(), Arc::new(Seats::new(1, 0)));
    let whole = serve(bytes, None, &shared);
    for _ in 0..2 {
        let pieces = serve(bytes, Some(random.clone()), &shared);
        same("whole and in pieces", &whole, &pieces)?;
        random.next();
    }
    same(
        "connections that are open",
        &metrics.connections_open.get(),
        &0,
    )?;
    same("requests in flight", &metrics.requests_in_flight.get(), &0)?;
    // An answer to HEAD has no body, and only the server knows which one it is.
    if bytes.windows(5).any(|window| window == b"HEAD ") {
        return Ok(hash(&whole.answers.len().to_le_bytes()));
    }
    let statuses = statuses(&whole.answers)?;
    // Long streams differ in little: what comes first, and how many there are.
    let first: String = statuses.iter().take(4).cloned().collect();
    Ok(hash(first.as_bytes()) ^ statuses.len().min(8) as u64)
}

#[derive(Debug, PartialEq)]
struct Outcome {
    answers: String,
    asked: String,
}

/// In pieces of random sizes, with waits between them, if `random` is there.
fn serve(bytes: &[u8], mut random: Option<Random>, shared: &Rc<HttpShared>) -> Outcome {
    let mut incoming = VecDeque::new();
    let mut rest = bytes;
    while let Some(random) = &mut random
        && !rest.is_empty()
    {
        let size_max = if random.one_in(2) { 4 } else { 200 };
        let size = 1 + random.below(size_max);
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        incoming.push_back(piece.to_vec());
        rest = behind;
    }
    if !rest.is_empty() {
        incoming.push_back(rest.to_vec());
    }
    let (service, asked) = wallet();
    let outgoing = Rc::default();
    let line = Line {
        incoming,
        outgoing: Rc::clone(&outgoing),
        random,
        must_wait: false,
    };
    block_on(serve_connection(
        line,
        [127, 0, 0, 1].into(),
        &service,
        shared,
    ));
    let answers = String::from_utf8(outgoing.take()).expect("answers are text");
    Outcome {
        answers: answers.replace(CONTINUE, ""),
        asked: format!("{:?}", asked.borrow()),
    }
}

struct Line {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Rc<std::cell::RefCell<Vec<u8>>>,
    random: Option<Random>,
    /// Whether the next read or write has to come again.
    must_wait: bool,
}

impl Line {
    /// Every other time, if there are pieces at all.
    fn waits(&mut self, cx: &Context<'_>) -> bool {
        if self.random.is_none() || std::mem::replace(&mut self.must_wait, false) {
            return false;
        }
        self.must_wait = true;
        cx.waker().wake_by_ref();
        true
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        assert!(!into.is_empty());
        if self.waits(cx) {
            return Poll::Pending;
        }
        let Some(mut piece) = self.incoming.pop_front() else {
            return Poll::Ready(Ok(0));
        };
        let count = piece.len().min(into.len());
        into[..count].copy_from_slice(&piece[..count]);
        if count < piece.len() {
            self.incoming.push_front(piece.split_off(count));
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.waits(cx) {
            return Poll::Pending;
        }
        let count = match &mut self.random {
            Some(random) => 1 + random.below(bytes.len()),
            None => bytes.len(),
        };
        self.outgoing
            .borrow_mut()
            .extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Socket for Line {
    async fn give_way(&self) {
        yield_now().await;
    }

    /// Never known without reading, so nothing is held back: no sweep comes here that would
    /// let it go.
    fn poll_readable(&self, _: &Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// The status and connection of every answer; none may be malformed or follow a close.
fn statuses(answers: &str) -> Result<Vec<String>, String> {
    let mut rest = answers;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let malformed = || format!("malformed: {rest:?}");
        let (head, behind) = rest.split_once("\r\n\r\n").ok_or_else(malformed)?;
        let line = head.strip_prefix("HTTP/1.1 ").ok_or_else(malformed)?;
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let length = field("Content-Length: ").and_then(|text| text.parse::<usize>().ok());
        let body = length
            .and_then(|length| behind.get(..length))
            .ok_or_else(malformed)?;
        let json: serde_json::Value = serde_json::from_str(body).map_err(|_| malformed())?;
        if !json.is_object() || field("Date: ").is_none() || field("Server: ").is_none() {
            return Err(malformed());
        }
        let connection = field("Connection: ").unwrap_or("-");
        found.push(format!("{} {connection};", &line[..3]));
        rest = &behind[body.len()..];
        if connection == "close" && !rest.is_empty() {
            return Err(format!("behind the last answer: {rest:?}"));
        }
    }
    Ok(found)
}
