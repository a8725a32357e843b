//! Heads: one verdict in whatever pieces they come, and none that httparse would not
//! accept too, but for the later minors of HTTP/1 that we serve (RFC 9112 section 2.3).

use purser::http::Limits;
use purser::http::parse::{HeadParser, Parsed};

use super::{Target, same};
use crate::random::{Random, hash};

pub(super) const TARGET: Target = Target {
    name: "head",
    about: "request heads, whole and in pieces, beside httparse",
    pieces: &[
        b"GET / HTTP/1.1\r\n",
        b"POST /v1.0/balance HTTP/1.1\r\n",
        b"OPTIONS * HTTP/1.0\r\n",
        b"PUT http://a:1/b?c HTTP/1.7\r\n",
        b"Host: wallet\r\n",
        b"Host: [::1]:80\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Connection: keep-alive, close\r\n",
        b"Expect: 100-continue\r\n",
        b"Content-Type: application/json; charset=utf-8\r\n",
        b"Authorization: Basic Z3c6czNjcmV0\r\n",
        b"X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n",
        b"X: \t y\r\n",
        b"%2e%2E%00",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
    ],
    run,
};

/// What counts of a parser's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Incomplete,
    Head {
        len: usize,
        /// All of it.
        said: String,
        /// What it decides.
        kind: String,
    },
    Rejected(String),
}

fn run(bytes: &[u8]) -> Result<u64, String> {
    // Small limits are met, and the usual ones are used.
    let small = Limits {
        max_line_bytes: 64,
        max_head_bytes: 256,
        max_headers: 8,
        ..Limits::default()
    };
    judge(bytes, &small)?;
    judge(bytes, &Limits::default())
}

fn judge(bytes: &[u8], limits: &Limits) -> Result<u64, String> {
    let whole = parse(bytes, [bytes.len()], limits);
    let by_byte = parse(bytes, 0..=bytes.len(), limits);
    same("whole and byte by byte", &whole, &by_byte)?;
    let mut random = Random::new(hash(bytes));
    for _ in 0..4 {
        let cut = random.below(bytes.len() + 1);
        let cut_in_two = parse(bytes, [cut, bytes.len()], limits);
        same("whole and in two", &whole, &cut_in_two)?;
    }
    Ok(match whole {
        Verdict::Incomplete => 0,
        Verdict::Rejected(why) => hash(why.as_bytes()),
        Verdict::Head { len, kind, .. } => {
            check_beside_httparse(bytes, len)?;
            hash(kind.as_bytes())
        }
    })
}

fn parse(bytes: &[u8], ends: impl IntoIterator<Item = usize>, limits: &Limits) -> Verdict {
    let mut parser = HeadParser::default();
    for end in ends {
        match parser.parse(&bytes[..end], limits) {
            Parsed::Incomplete => {}
            Parsed::Head(head) => {
                let request = head.request_head(bytes);
                if let Some(request) = request {
                    assert!(request.path.bytes().all(|byte| byte.is_ascii_graphic()));
                    assert!(matches!(request.path.as_bytes(), [b'/', ..] | b"*"));
                }
                return Verdict::Head {
                    len: head.len,
                    said: format!("{request:?} {head:?}"),
                    kind: format!(
                        "{:?} {:?} {:?} {} {} {}",
                        head.method,
                        head.version,
                        std::mem::discriminant(&head.framing),
                        head.persistent,
                        head.expects_continue,
                        request.is_some_and(|request| request.content_type.is_some()),
                    ),
                };
            }
            Parsed::Rejected(rejection) => {
                assert!(rejection.close, "the framing is in doubt: {rejection:?}");
                return Verdict::Rejected(format!("{rejection:?}"));
            }
        }
    }
    Verdict::Incomplete
}

fn check_beside_httparse(bytes: &[u8], len: usize) -> Result<(), String> {
    let mut fields = [httparse::EMPTY_HEADER; Limits::HEADERS_MAX];
    match httparse::Request::new(&mut fields).parse(bytes) {
        Err(httparse::Error::Version) => Ok(()),
        theirs => same(
            "ours and httparse's",
            &Ok(httparse::Status::Complete(len)),
            &theirs,
        ),
    }
}
