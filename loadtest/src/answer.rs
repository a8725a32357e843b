//! Where an HTTP answer ends, and what its head says: as much of HTTP/1.1 as a client needs.
//!
//! The length comes from `Content-Length` alone (RFC 9112 section 6.3). A chunked answer, or
//! one that ends with its connection, is refused: the wallet sends neither.

use memchr::memchr;

/// Longer heads are refused, so that a stream without an empty line does not fill memory.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Longer bodies are refused: the wallet's have a few hundred bytes, a page of the admin
/// API or of metrics below a megabyte.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The head of an answer whose last byte has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) status: u16,
    /// Bytes up to and with the empty line.
    pub(crate) head_bytes: usize,
    pub(crate) body_bytes: usize,
    /// The server will close this connection.
    pub(crate) closes: bool,
}

/// Bytes that are no answer of HTTP/1.1, as this client reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotHttp(pub(crate) &'static str);

impl std::fmt::Display for NotHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotHttp {}

/// Reads the head of the answer in `bytes`; `None`: some of the answer, head or body, has
/// not come yet.
pub(crate) fn framing(bytes: &[u8]) -> Result<Option<Framing>, NotHttp> {
    const VERSION: &[u8] = b"HTTP/1.1 ";
    let shown = bytes.len().min(VERSION.len());
    if bytes[..shown] != VERSION[..shown] {
        return Err(NotHttp("an answer that does not start with HTTP/1.1"));
    }
    let Some(line_end) = memchr(b'\n', bytes) else {
        return incomplete(bytes);
    };
    let status = status_of(&bytes[VERSION.len()..line_end])?;
    let mut head = Framing {
        status,
        head_bytes: line_end + 1,
        body_bytes: 0,
        closes: false,
    };
    let mut length = None;
    while let Some(line_bytes) = memchr(b'\n', &bytes[head.head_bytes..]) {
        let line = &bytes[head.head_bytes..head.head_bytes + line_bytes];
        head.head_bytes += line_bytes + 1;
        if matches!(line, [] | [b'\r']) {
            head.body_bytes = match (length, status) {
                // Without content, whatever else is said (RFC 9112 section 6.3).
                (_, 204) => 0,
                (Some(length), _) => length,
                (None, _) => return Err(NotHttp("an answer without Content-Length")),
            };
            let is_complete = bytes.len() - head.head_bytes >= head.body_bytes;
            return Ok(is_complete.then_some(head));
        }
        if let Some(value) = value_of(line, b"content-length") {
            if length.is_some() {
                return Err(NotHttp("an answer with two Content-Lengths"));
            }
            length = Some(length_of(value)?);
        } else if value_of(line, b"transfer-encoding").is_some() {
            return Err(NotHttp("an answer with a Transfer-Encoding"));
        } else if let Some(value) = value_of(line, b"connection") {
            head.closes |= value.eq_ignore_ascii_case(b"close");
        }
    }
    incomplete(bytes)
}

fn incomplete(bytes: &[u8]) -> Result<Option<Framing>, NotHttp> {
    if bytes.len() > HEAD_BYTES_MAX {
        return Err(NotHttp("an answer whose head does not end"));
    }
    Ok(None)
}

/// `line` is what stands behind the version.
fn status_of(line: &[u8]) -> Result<u16, NotHttp> {
    match line {
        [a @ b'1'..=b'9', b, c, b' ' | b'\r', ..] if b.is_ascii_digit() && c.is_ascii_digit() => {
            let digit = |byte: &u8| u16::from(byte - b'0');
            Ok(digit(a) * 100 + digit(b) * 10 + digit(c))
        }
        _ => Err(NotHttp("an answer without a status of three digits")),
    }
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (field, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    field.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn length_of(digits: &[u8]) -> Result<usize, NotHttp> {
    const BAD: NotHttp = NotHttp("an answer whose Content-Length is no number we take");
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(BAD);
    }
    let length = digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    if length > BODY_BYTES_MAX {
        return Err(BAD);
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: 15\r\n\r\n{\"ErrorCode\":0}";

    #[test]
    fn an_answer_is_complete_at_its_last_byte_and_not_before() {
        for end in 0..OK.len() {
            assert_eq!(framing(&OK[..end]), Ok(None), "{end} bytes");
        }
        let expected = Framing {
            status: 200,
            head_bytes: OK.len() - 15,
            body_bytes: 15,
            closes: false,
        };
        assert_eq!(framing(OK), Ok(Some(expected)));
        let two = [OK, OK].concat();
        assert_eq!(framing(&two), Ok(Some(expected)));
    }

    #[test]
    fn the_head_says_status_length_and_whether_the_connection_stays() {
        let cases = [
            (
                "503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close",
                503,
                true,
            ),
            ("200\r\ncontent-length:0", 200, false),
            ("204 No Content", 204, false),
            (
                "404 Not Found\r\nCONTENT-LENGTH:  0 \r\nConnection: keep-alive",
                404,
                false,
            ),
        ];
        for (head, status, closes) in cases {
            let text = format!("HTTP/1.1 {head}\r\n\r\n");
            let read = framing(text.as_bytes()).unwrap().unwrap();
            assert_eq!((read.status, read.closes), (status, closes), "{head}");
            assert_eq!(
                (read.head_bytes, read.body_bytes),
                (text.len(), 0),
                "{head}"
            );
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let cases = [
            "HTTP/1.0 200 OK\r\n",
            "SSH-2.0",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 184467440737095516160\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ];
        for text in cases {
            assert!(framing(text.as_bytes()).is_err(), "{text:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
        assert!(framing(endless.as_bytes()).is_err());
    }
}
