//! Heads judged by two parsers: ours and httparse's own reading of a whole request. Where
//! the rules agree the verdicts must; where ours are other rules on purpose, this file
//! has the list, and an example of each.

use proptest::prelude::*;

use super::limits::Limits;
use super::parse::{HeadParser, Parsed};

/// What a parser says of bytes.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Incomplete,
    /// A head of that many bytes.
    Head(usize),
    Rejected(String),
}

fn ours(bytes: &[u8]) -> Verdict {
    match HeadParser::default().parse(bytes, &Limits::default()) {
        Parsed::Incomplete => Verdict::Incomplete,
        Parsed::Head(head) => Verdict::Head(head.len),
        Parsed::Rejected(rejection) => Verdict::Rejected(rejection.description.into_owned()),
    }
}

fn theirs(bytes: &[u8]) -> Verdict {
    let mut fields = [httparse::EMPTY_HEADER; Limits::HEADERS_MAX];
    match httparse::Request::new(&mut fields).parse(bytes) {
        Ok(httparse::Status::Partial) => Verdict::Incomplete,
        Ok(httparse::Status::Complete(len)) => Verdict::Head(len),
        Err(error) => Verdict::Rejected(error.to_string()),
    }
}

/// What we refuse and httparse does not: our reason, and a request line or a field line
/// that shows it. httparse leaves to its caller what the parts mean.
const STRICTER: &[(&str, &str)] = &[
    (
        "Request line: must begin with a method",
        "\r\n\r\nGET / HTTP/1.1",
    ),
    ("CONNECT: this server is no proxy", "CONNECT a:443 HTTP/1.1"),
    (
        "Request target: a fragment is never sent",
        "GET /#a HTTP/1.1",
    ),
    (
        "Request target: % must be followed by two hexadecimal digits",
        "GET /%4x HTTP/1.1",
    ),
    (
        "Request target: only visible ASCII characters, others percent-encoded",
        "GET /\u{e9} HTTP/1.1",
    ),
    (
        "Request target: a path that starts with /, or an http URI with a host",
        "GET a HTTP/1.1",
    ),
    (
        "Request head: a line must end in CR LF",
        "GET / HTTP/1.1\nX: y",
    ),
    ("Host: required in HTTP/1.1", "GET / HTTP/1.1\r\nX: "),
    ("Host: more than one", "Host: b"),
    (
        "Host: a host name or address and an optional port",
        "GET / HTTP/1.1\r\nHost: a b\r\nX: ",
    ),
    (
        "Content-Type: more than one",
        "Content-Type: a\r\nContent-Type: a",
    ),
    (
        "Authorization: more than one",
        "Authorization: a\r\nAuthorization: a",
    ),
    (
        "Content-Length: one number of decimal digits",
        "Content-Length: +1",
    ),
    (
        "Content-Length: more than one",
        "Content-Length: 1\r\nContent-Length: 1",
    ),
    (
        "Content-Length: not with Transfer-Encoding",
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
    ),
    (
        "Transfer-Encoding: more than one",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ),
    (
        "Transfer-Encoding: must be chunked",
        "Transfer-Encoding: chunked, gzip",
    ),
    (
        "Transfer-Encoding: only chunked is implemented",
        "Transfer-Encoding: gzip",
    ),
    (
        "Transfer-Encoding: not in HTTP/1.0",
        "GET / HTTP/1.0\r\nTransfer-Encoding: chunked",
    ),
    (
        "X-Forwarded-For: too many lines",
        "X-Forwarded-For: a\r\nX-Forwarded-For: a\r\nX-Forwarded-For: a\r\n\
         X-Forwarded-For: a\r\nX-Forwarded-For: a\r\nX-Forwarded-For: a\r\n\
         X-Forwarded-For: a\r\nX-Forwarded-For: a\r\nX-Forwarded-For: a",
    ),
];

fn is_stricter(reason: &str) -> bool {
    STRICTER.iter().any(|(known, _)| *known == reason)
}

/// Whether both have the same to say, or ours is one of the listed exceptions.
fn agree(bytes: &[u8]) -> Result<(), String> {
    let (ours, theirs) = (ours(bytes), theirs(bytes));
    let agreed = match (&ours, &theirs) {
        (Verdict::Head(ours), Verdict::Head(theirs)) => ours == theirs,
        (Verdict::Rejected(reason), Verdict::Head(_)) => is_stricter(reason),
        // Theirs sees what is wrong in a line, ours when the line is complete.
        (Verdict::Incomplete, Verdict::Rejected(_) | Verdict::Incomplete) => true,
        (Verdict::Rejected(_), Verdict::Rejected(_) | Verdict::Incomplete) => true,
        (Verdict::Incomplete, Verdict::Head(_)) => false,
        // RFC 9112 section 2.3: later minors are served as 1.1. httparse knows two.
        (Verdict::Head(_), Verdict::Rejected(reason)) => {
            reason == &httparse::Error::Version.to_string()
        }
        (Verdict::Head(_), Verdict::Incomplete) => false,
    };
    let text = String::from_utf8_lossy(bytes);
    if agreed {
        Ok(())
    } else {
        Err(format!("ours {ours:?}, theirs {theirs:?}: {text:?}"))
    }
}

#[test]
fn every_rule_that_is_stricter_than_httparse_has_its_example() {
    for (reason, line) in STRICTER {
        let text = if line.contains("HTTP/1.") {
            let host = if line.ends_with(": ") {
                ""
            } else {
                "Host: a\r\n"
            };
            format!("{line}\r\n{host}\r\n")
        } else {
            format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n")
        };
        assert_eq!(
            ours(text.as_bytes()),
            Verdict::Rejected((*reason).to_owned()),
            "{text:?}"
        );
        assert_eq!(
            theirs(text.as_bytes()),
            Verdict::Head(text.len()),
            "{text:?}"
        );
    }
}

#[test]
fn later_minors_are_the_one_thing_that_we_take_and_httparse_does_not() {
    for minor in 0..=9 {
        let text = format!("GET / HTTP/1.{minor}\r\nHost: a\r\n\r\n");
        assert_eq!(ours(text.as_bytes()), Verdict::Head(text.len()));
        assert_eq!(
            theirs(text.as_bytes()) == Verdict::Head(text.len()),
            minor < 2,
            "{text:?}"
        );
    }
}

/// Lines of which a head may be made, good and bad, so that most heads come to their end.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let line = proptest::sample::select(vec![
        &b"Host: a\r\n"[..],
        b"Host: b:80\r\n",
        b"Content-Length: 5\r\n",
        b"content-length:07\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"X-Forwarded-For: 1, 2\r\n",
        b"X: \t y \r\n",
        b"X:\xe9\r\n",
        b"X : y\r\n",
        b" folded\r\n",
        b"X\r\n",
        b"X: y\n",
    ]);
    let start = proptest::sample::select(vec![
        &b"GET / HTTP/1.1\r\n"[..],
        b"POST /v1.0/balance?%41 HTTP/1.0\r\n",
        b"\r\nHEAD http://a/ HTTP/1.1\r\n",
        b"BREW * HTTP/1.1\r\n",
        b"PUT /a HTTP/1.7\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\n",
    ]);
    (start, proptest::collection::vec(line, 0..6)).prop_map(|(start, lines)| {
        let mut head = start.to_vec();
        lines.iter().for_each(|line| head.extend_from_slice(line));
        head.extend_from_slice(b"\r\n");
        head
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn httparse_agrees_on_heads_of_good_and_bad_lines(head in lines()) {
        prop_assert_eq!(agree(&head), Ok(()));
    }

    #[test]
    fn httparse_agrees_on_heads_with_some_bytes_changed(
        mut head in lines(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        for (at, byte) in changes {
            let at = at.index(head.len());
            head[at] = byte;
        }
        if let Some(cut) = cut {
            head.truncate(cut.index(head.len()));
        }
        prop_assert_eq!(agree(&head), Ok(()));
    }
}
