//! HTTP/1.1: pure parsing, and a connection loop that drives a [`Service`].
//!
//! Nothing here knows the wallet: the service decides what exists and what an
//! answer's body says, this module decides what a well-formed request is.
//!
//! `parse`, `fields`, `target` and `body` turn bytes into requests, `encode` turns
//! answers into bytes; none of them waits. `connection` is the loop around them, `wire`
//! its buffers and waits, `shared` what the connections of a shard have in common.
//! `seats` bounds connections, `admission` the requests that wait for an answer.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite};

use crate::stages::StageTimes;

mod admission;
pub mod body;
pub mod connection;
mod encode;
pub mod fields;
#[cfg(test)]
mod httparse_tests;
pub mod limits;
pub mod metrics;
pub mod parse;
mod remembered;
#[cfg(test)]
mod rules_tests;
mod seats;
mod shared;
mod target;
#[cfg(test)]
mod testing;
mod wire;

pub use connection::serve_connection;
pub use limits::Limits;
pub use metrics::HttpMetrics;
pub use seats::{Full, Seat, Seats};
pub use shared::HttpShared;

/// Methods that RFC 9110 names; any other token is answered 501 by the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

/// What a service decides on before the body is read.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: Method,
    /// The path, percent escapes of unreserved characters resolved, without the query.
    pub path: &'a str,
    /// The `Content-Type` field as sent, white space around it removed.
    pub content_type: Option<&'a [u8]>,
    /// Whether a `Content-Encoding` field is there with anything but `identity`.
    pub content_encoded: bool,
    /// Whether the request has a body: a `Content-Length`, 0 included, or chunks.
    pub has_length: bool,
}

/// One complete request, of which the service has seen the [`RequestHead`] already.
#[derive(Debug)]
pub struct Request<'a> {
    /// The `Authorization` field as sent.
    pub authorization: Option<&'a [u8]>,
    /// The `X-Signature` field as sent; empty, when there are two of them.
    pub signature: Option<&'a [u8]>,
    /// The `X-Forwarded-For` fields as sent, in order.
    pub forwarded_for: &'a [&'a [u8]],
    /// Where the time of the request goes: begun by the connection, continued by the
    /// service, which ends it.
    pub times: &'a mut StageTimes,
    /// The other end of the connection.
    pub peer: IpAddr,
    /// The body, chunks joined. Parsers may write into it.
    pub body: &'a mut [u8],
}

/// An HTTP status that this server gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u16);

/// How a service answered; the body is in the buffer it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: Status,
    /// Seconds for a `Retry-After` field.
    pub retry_after: Option<u32>,
}

impl Answer {
    /// 200.
    pub const OK: Self = Self {
        status: Status(200),
        retry_after: None,
    };
}

/// A request that is refused by what its head or framing says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The status.
    pub status: Status,
    /// A sentence for the integrator.
    pub description: Cow<'static, str>,
    /// The `Allow` field of a 405.
    pub allow: Option<&'static str>,
    /// Seconds for a `Retry-After` field.
    pub retry_after: Option<u32>,
    /// Whether the framing is in doubt, so that the connection must close.
    pub close: bool,
}

impl Rejection {
    /// One that leaves the framing in doubt.
    #[must_use]
    pub const fn closing(status: u16, description: &'static str) -> Self {
        Self {
            status: Status(status),
            description: Cow::Borrowed(description),
            allow: None,
            retry_after: None,
            close: true,
        }
    }
}

/// A connection's two directions, and the executor that its task shares with others.
pub trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// Lets everybody else run, the executor's look for I/O included: a task that only
    /// wakes itself would keep the executor from ever looking.
    fn give_way(&self) -> impl Future<Output = ()>;

    /// Waits for about that long.
    fn rest(&self, time: Duration) -> impl Future<Output = ()>;
}

/// What answers requests. One per shard; not shared between threads.
pub trait Service {
    /// State that lives as long as a connection, such as a credential already checked.
    type Session: Default;

    /// Where a head leads, such as an endpoint.
    type Target: Copy;

    /// Judges a head before its body is read: unknown path, method, media type. By the
    /// head alone, so the same head leads to the same target for ever.
    ///
    /// # Errors
    /// The [`Rejection`] to answer with.
    fn check_head(&self, head: &RequestHead<'_>) -> Result<Self::Target, Rejection>;

    /// Whether a request is answered also when the shard has as many in flight as it
    /// may: one that waits for nobody and asks how the server is.
    fn is_always_admitted(&self, target: Self::Target) -> bool;

    /// Answers a request to a target, writing the body of the answer into `body`, which
    /// comes empty, and ends the request's times.
    fn call(
        &self,
        session: &mut Self::Session,
        target: Self::Target,
        request: Request<'_>,
        body: &mut Vec<u8>,
    ) -> impl Future<Output = Answer>;

    /// Writes the body of an answer to a rejected request.
    fn write_rejection(&self, rejection: &Rejection, body: &mut Vec<u8>);
}
