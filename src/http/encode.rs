//! Answers as bytes.
//!
//! Every answer has `Server`, `Date`, `Content-Type` and `Content-Length`, those of the
//! parser too (RFC 9110 section 6.6.1 and 8.6). `Server` names no version: it would
//! only tell an attacker which list to read.

use std::cell::{Cell, RefCell};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::{Rejection, Status};
use crate::stages::StageTimes;

/// What an answer says about its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// What its version means by default.
    Default,
    /// It closes behind this answer.
    Close,
    /// It stays open, for a 1.0 client that asked.
    KeepAlive,
}

/// An answer but for its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerHead<'a> {
    pub(crate) status: Status,
    pub(crate) retry_after: Option<u32>,
    pub(crate) allow: Option<&'static str>,
    pub(crate) connection: Connection,
    /// Whether it answers HEAD: the fields of the answer without its body.
    pub(crate) without_body: bool,
    /// Where the time of the request went, if the client asked.
    pub(crate) times: Option<&'a StageTimes>,
}

impl AnswerHead<'_> {
    /// To a request that is refused.
    pub(crate) fn of(rejection: &Rejection, connection: Connection, without_body: bool) -> Self {
        Self {
            status: rejection.status,
            retry_after: rejection.retry_after,
            allow: rejection.allow,
            connection,
            without_body,
            times: None,
        }
    }
}

/// The interim answer to `Expect: 100-continue`.
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends one answer to `out`.
pub(crate) fn answer(out: &mut Vec<u8>, head: &AnswerHead<'_>, common: &CommonFields, body: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    push_number(out, head.status.0.into());
    out.push(b' ');
    out.extend_from_slice(reason(head.status.0).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&common.bytes.borrow());
    // RFC 9110 section 8.6: 204 has no length, 304 not that of a body that is not there.
    let has_content = !matches!(head.status.0, 204 | 304);
    if has_content {
        out.extend_from_slice(b"Content-Type: application/json\r\nContent-Length: ");
        push_number(out, body.len() as u64);
        out.extend_from_slice(b"\r\n");
    }
    match head.connection {
        Connection::Default => {}
        Connection::Close => out.extend_from_slice(b"Connection: close\r\n"),
        Connection::KeepAlive => out.extend_from_slice(b"Connection: keep-alive\r\n"),
    }
    if let Some(seconds) = head.retry_after {
        out.extend_from_slice(b"Retry-After: ");
        push_number(out, seconds.into());
        out.extend_from_slice(b"\r\n");
    }
    if let Some(methods) = head.allow {
        out.extend_from_slice(b"Allow: ");
        out.extend_from_slice(methods.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if let Some(times) = head.times {
        times.push_field(out);
    }
    out.extend_from_slice(b"\r\n");
    if has_content && !head.without_body {
        out.extend_from_slice(body);
    }
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The reason phrase; empty where we know none, which RFC 9112 section 4 allows.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// The fields that all answers of a second share.
#[derive(Debug)]
pub(crate) struct CommonFields {
    bytes: RefCell<Vec<u8>>,
    unix_seconds: Cell<u64>,
}

impl CommonFields {
    pub(crate) fn new(now: SystemTime) -> Self {
        let fields = Self {
            bytes: RefCell::new(Vec::new()),
            unix_seconds: Cell::new(u64::MAX),
        };
        fields.refresh(now);
        fields
    }

    /// Renders the date again if its second has passed.
    pub(crate) fn refresh(&self, now: SystemTime) {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.unix_seconds.replace(seconds) == seconds {
            return;
        }
        // A clock beyond what a date can say is not worth an answer; 1970 shows it.
        let timestamp = i64::try_from(seconds)
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .unwrap_or(Timestamp::UNIX_EPOCH);
        let date = DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&timestamp)
            .unwrap_or_else(|_| "Thu, 01 Jan 1970 00:00:00 GMT".to_owned());
        let mut bytes = self.bytes.borrow_mut();
        bytes.clear();
        bytes.extend_from_slice(b"Server: purser\r\nDate: ");
        bytes.extend_from_slice(date.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const OK: AnswerHead<'_> = AnswerHead {
        status: Status(200),
        retry_after: None,
        allow: None,
        connection: Connection::Default,
        without_body: false,
        times: None,
    };

    fn encoded(head: &AnswerHead<'_>) -> String {
        let common = CommonFields::new(UNIX_EPOCH + Duration::from_secs(784_111_777));
        let mut out = Vec::new();
        answer(&mut out, head, &common, b"{}");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_answer_has_all_its_fields() {
        assert_eq!(
            encoded(&OK),
            "HTTP/1.1 200 OK\r\nServer: purser\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        );
    }

    #[test]
    fn what_only_some_answers_say() {
        let check = |head: AnswerHead<'_>, line: &str| {
            let text = encoded(&head);
            assert!(text.contains(line), "{line} in {text}");
        };
        check(
            AnswerHead {
                connection: Connection::Close,
                ..OK
            },
            "\r\nConnection: close\r\n",
        );
        check(
            AnswerHead {
                connection: Connection::KeepAlive,
                ..OK
            },
            "\r\nConnection: keep-alive\r\n",
        );
        check(
            AnswerHead {
                retry_after: Some(3),
                ..OK
            },
            "\r\nRetry-After: 3\r\n",
        );
        check(
            AnswerHead {
                allow: Some("GET, HEAD"),
                ..OK
            },
            "\r\nAllow: GET, HEAD\r\n",
        );
        let first_byte_at = Instant::now();
        let last_byte_at = first_byte_at + Duration::from_micros(12_034);
        check(
            AnswerHead {
                times: Some(&StageTimes::begin(first_byte_at, last_byte_at)),
                ..OK
            },
            "\r\nServer-Timing: read;dur=12.0340, parse;dur=0.0000, ",
        );
        check(
            AnswerHead {
                status: Status(431),
                ..OK
            },
            "HTTP/1.1 431 Request Header Fields Too Large\r\n",
        );
    }

    #[test]
    fn head_keeps_the_length_and_204_has_none() {
        let text = encoded(&AnswerHead {
            without_body: true,
            ..OK
        });
        assert!(text.ends_with("Content-Length: 2\r\n\r\n"), "{text}");
        let text = encoded(&AnswerHead {
            status: Status(204),
            ..OK
        });
        assert!(
            text.ends_with("GMT\r\n\r\n") && !text.contains("Content-"),
            "{text}"
        );
    }

    #[test]
    fn the_date_moves_with_the_clock() {
        let common = CommonFields::new(UNIX_EPOCH);
        for (seconds, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
        ] {
            common.refresh(UNIX_EPOCH + Duration::from_secs(seconds));
            let text = String::from_utf8(common.bytes.borrow().clone()).unwrap();
            assert!(text.ends_with(&format!("Date: {date}\r\n")), "{text}");
        }
    }
}
