//! Just enough HTTP/1.1 to find where a message ends and whether it is the answer
//! that we want.
//!
//! This is not the server's parser and must stay smaller than it: the floor uses it
//! to know when a request is complete, the client to know when an answer is. Both
//! lean on `Content-Length` alone (RFC 9112 section 6.3); neither end of this bench
//! sends chunks, so a chunked message is an error here, not a guess.

use memchr::{memchr, memmem};

/// Longer heads are an error, so that a stream without an empty line ends the run
/// instead of filling memory. Heads in this bench have 120 to 250 bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Where a message's parts end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Framing {
    /// Bytes up to and with the empty line.
    pub(crate) head_bytes: usize,
    /// What `Content-Length` says, if it is there.
    pub(crate) body_bytes: Option<usize>,
}

/// Bytes that cannot be a message this bench understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("no end of head within {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    #[error("a Content-Length that is no number, or two of them")]
    BadLength,
    #[error("an answer without Content-Length")]
    NoLength,
    #[error("a Transfer-Encoding, which this client does not read")]
    Chunked,
    #[error("no HTTP/1.1 status line")]
    NotHttp,
}

/// Finds the end of the first head in `bytes`; `None`: not there yet.
pub(crate) fn framing(bytes: &[u8]) -> Result<Option<Framing>, WireError> {
    let mut body_bytes = None;
    // The first line is a request line or a status line: the callers judge it.
    let Some(mut at) = memchr(b'\n', bytes).map(|end| end + 1) else {
        return incomplete(bytes);
    };
    while let Some(line_bytes) = memchr(b'\n', &bytes[at..]) {
        let line = &bytes[at..at + line_bytes];
        at += line_bytes + 1;
        match line {
            [] | [b'\r'] => {
                return Ok(Some(Framing {
                    head_bytes: at,
                    body_bytes,
                }));
            }
            [b'c' | b'C', ..] => {
                if let Some(value) = value_of(line, b"content-length") {
                    if body_bytes.is_some() {
                        return Err(WireError::BadLength);
                    }
                    body_bytes = Some(length(value)?);
                }
            }
            [b't' | b'T', ..] if value_of(line, b"transfer-encoding").is_some() => {
                return Err(WireError::Chunked);
            }
            _ => {}
        }
    }
    incomplete(bytes)
}

fn incomplete(bytes: &[u8]) -> Result<Option<Framing>, WireError> {
    if bytes.len() > HEAD_BYTES_MAX {
        return Err(WireError::HeadTooLong);
    }
    Ok(None)
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (field, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    field.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn length(digits: &[u8]) -> Result<usize, WireError> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(WireError::BadLength);
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or(WireError::BadLength)
}

/// What one complete answer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Status 200 and `ErrorCode` 0.
    Success,
    /// Anything else: the run has failed, whatever its speed was.
    Failure,
}

/// One complete answer at the front of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Head and body.
    pub(crate) bytes: usize,
    pub(crate) verdict: Verdict,
}

/// Reads the first answer in `bytes`; `None`: not all of it is there yet.
pub(crate) fn answer(bytes: &[u8]) -> Result<Option<Answer>, WireError> {
    const STATUS_LINE: &[u8] = b"HTTP/1.1 ";
    let shown = bytes.len().min(STATUS_LINE.len());
    if bytes[..shown] != STATUS_LINE[..shown] {
        return Err(WireError::NotHttp);
    }
    let Some(framing) = framing(bytes)? else {
        return Ok(None);
    };
    let body_bytes = framing.body_bytes.ok_or(WireError::NoLength)?;
    let end = framing
        .head_bytes
        .checked_add(body_bytes)
        .ok_or(WireError::BadLength)?;
    let Some(body) = bytes.get(framing.head_bytes..end) else {
        return Ok(None);
    };
    let verdict = match &bytes[STATUS_LINE.len()..] {
        [b'2', b'0', b'0', b' ' | b'\r', ..] if says_error_code_0(body) => Verdict::Success,
        _ => Verdict::Failure,
    };
    Ok(Some(Answer {
        bytes: end,
        verdict,
    }))
}

/// Whether the body has the member `"ErrorCode":0`, and not 01 or 0.5.
fn says_error_code_0(body: &[u8]) -> bool {
    const MEMBER: &[u8] = br#""ErrorCode":0"#;
    memmem::find(body, MEMBER)
        .is_some_and(|at| matches!(body.get(at + MEMBER.len()), Some(b',' | b'}' | b' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"ErrorCode\":0}";

    fn check(text: &str, expect: Result<Option<Verdict>, WireError>) {
        let seen = answer(text.as_bytes()).map(|found| {
            found.map(|answer| {
                assert_eq!(answer.bytes, text.len(), "{text:?}");
                answer.verdict
            })
        });
        assert_eq!(seen, expect, "{text:?}");
    }

    #[test]
    fn an_answer_is_complete_at_its_last_byte_and_not_before() {
        for end in 0..OK.len() {
            assert_eq!(answer(&OK.as_bytes()[..end]), Ok(None), "{end} bytes");
        }
        check(OK, Ok(Some(Verdict::Success)));
    }

    #[test]
    fn the_second_of_two_answers_is_left_alone() {
        let two = format!("{OK}{OK}");
        let first = answer(two.as_bytes()).unwrap().unwrap();
        assert_eq!(first.bytes, OK.len());
    }

    #[test]
    fn only_status_200_with_error_code_0_is_a_success() {
        let with_body = |status: &str, body: &str| {
            format!(
                "HTTP/1.1 {status}\r\ncontent-length:{}\r\n\r\n{body}",
                body.len()
            )
        };
        let cases = [
            (
                "200 OK",
                r#"{"ErrorCode":0,"Balance":{}}"#,
                Verdict::Success,
            ),
            ("200", r#"{"ErrorCode":0}"#, Verdict::Success),
            ("200 OK", r#"{"ErrorCode":-6}"#, Verdict::Failure),
            ("200 OK", r#"{"ErrorCode":01}"#, Verdict::Failure),
            ("200 OK", "", Verdict::Failure),
            (
                "503 Service Unavailable",
                r#"{"ErrorCode":0}"#,
                Verdict::Failure,
            ),
            ("2000 Odd", r#"{"ErrorCode":0}"#, Verdict::Failure),
        ];
        for (status, body, verdict) in cases {
            check(&with_body(status, body), Ok(Some(verdict)));
        }
    }

    #[test]
    fn what_cannot_be_an_answer_is_an_error() {
        let cases = [
            ("HTTP/1.0 200 OK\r\n", WireError::NotHttp),
            ("SSH-2.0", WireError::NotHttp),
            ("HTTP/1.1 200 OK\r\n\r\n", WireError::NoLength),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
                WireError::BadLength,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
                WireError::BadLength,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
                WireError::BadLength,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
                WireError::BadLength,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
                WireError::BadLength,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                WireError::Chunked,
            ),
        ];
        for (text, error) in cases {
            check(text, Err(error));
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
        check(&endless, Err(WireError::HeadTooLong));
    }

    #[test]
    fn a_request_without_a_length_has_no_body() {
        let head = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let found = framing(head).unwrap().unwrap();
        assert_eq!((found.head_bytes, found.body_bytes), (head.len(), None));
    }
}
