//! Heads as facts: every one is parsed whole, byte by byte and cut at every byte, and
//! all ways must agree.

use proptest::prelude::*;

use super::*;
use crate::http::fields::Framing;
use crate::http::limits::FORWARDED_FOR_MAX;

const SMALL: fn() -> Limits = || Limits {
    max_line_bytes: 64,
    max_head_bytes: 512,
    max_headers: 8,
    ..Limits::default()
};

/// What counts of a parser's answer: the status of a refusal, or all of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Incomplete,
    Head(String),
    Rejected(u16),
}

fn verdict(parsed: &Parsed, bytes: &[u8]) -> Verdict {
    match parsed {
        Parsed::Incomplete => Verdict::Incomplete,
        Parsed::Head(head) => {
            let request_head = head.request_head(bytes);
            let auth = (head.authorization(bytes), head.signature(bytes));
            let mut lines = [&[][..]; FORWARDED_FOR_MAX];
            let forwarded = head.forwarded_for(bytes, &mut lines);
            Verdict::Head(format!("{request_head:?} {auth:?} {forwarded:?} {head:?}"))
        }
        Parsed::Rejected(rejection) => {
            assert!(rejection.close, "the framing is in doubt: {rejection:?}");
            Verdict::Rejected(rejection.status.0)
        }
    }
}

/// Feeds pieces that end at the given places; the first definite answer counts.
fn parse_in_pieces(
    bytes: &[u8],
    ends: impl IntoIterator<Item = usize>,
    limits: &Limits,
) -> Verdict {
    let mut parser = HeadParser::default();
    for end in ends {
        let verdict = verdict(&parser.parse(&bytes[..end], limits), bytes);
        if verdict != Verdict::Incomplete {
            return verdict;
        }
    }
    Verdict::Incomplete
}

/// The one answer that all ways of cutting give.
fn parse(bytes: &[u8], limits: &Limits) -> Verdict {
    let whole = parse_in_pieces(bytes, [bytes.len()], limits);
    assert_eq!(
        parse_in_pieces(bytes, 0..=bytes.len(), limits),
        whole,
        "byte by byte"
    );
    for cut in 0..=bytes.len() {
        assert_eq!(
            parse_in_pieces(bytes, [cut, bytes.len()], limits),
            whole,
            "cut at {cut}"
        );
    }
    whole
}

pub(crate) fn head_of(text: &str) -> Head {
    parse(text.as_bytes(), &Limits::default());
    match HeadParser::default().parse(text.as_bytes(), &Limits::default()) {
        Parsed::Head(head) => head,
        other => panic!("{text:?} gave {other:?}"),
    }
}

#[track_caller]
pub(crate) fn check_refused(text: &str, status: u16) {
    let verdict = parse(text.as_bytes(), &Limits::default());
    assert_eq!(verdict, Verdict::Rejected(status), "{text:?}");
}

/// A request with these field lines behind a valid Host.
pub(crate) fn with_fields(fields: &str) -> String {
    format!("POST /v1.0/balance HTTP/1.1\r\nHost: wallet\r\n{fields}\r\n")
}

#[test]
fn a_head_says_all_that_it_decides() {
    let text = "POST /v1.0/b%61lance?a=b HTTP/1.1\r\nhost: wallet:9816\r\n\
                CONTENT-TYPE: \t application/json; charset=utf-8 \t\r\nContent-Length: 12\r\n\
                Authorization: Basic Zzpw\r\nX-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n\
                x-forwarded-for:10.0.0.3\r\nX-Server-Timing: 1\r\nX-Text: caf\u{e9}\r\n\r\nbody";
    let head = head_of(text);
    let bytes = text.as_bytes();
    let request_head = head.request_head(bytes).unwrap();
    assert_eq!(request_head.method, Method::Post);
    assert_eq!(request_head.path, "/v1.0/balance");
    assert_eq!(
        request_head.content_type,
        Some(&b"application/json; charset=utf-8"[..])
    );
    assert!(!request_head.content_encoded);
    assert!(request_head.has_length);
    assert_eq!(head.authorization(bytes), Some(&b"Basic Zzpw"[..]));
    let mut lines = [&[][..]; FORWARDED_FOR_MAX];
    let forwarded: [&[u8]; 2] = [b"10.0.0.1, 10.0.0.2", b"10.0.0.3"];
    assert_eq!(head.forwarded_for(bytes, &mut lines), forwarded);
    assert!(head.wants_server_timing && head.persistent);
    assert!(!head.expects_continue && !head.expects_other);
    assert_eq!(head.framing, Framing::Length(12));
    assert_eq!(&bytes[head.len..], b"body");
}

#[test]
fn request_lines_that_are_served() {
    let check = |line: &str, method, version, path: &str| {
        let text = format!("{line}\r\nHost: a\r\n\r\n");
        let head = head_of(&text);
        assert_eq!((head.method, head.version), (method, version), "{line}");
        if method.is_some() {
            assert_eq!(
                head.request_head(text.as_bytes()).unwrap().path,
                path,
                "{line}"
            );
        }
    };
    check("GET / HTTP/1.1", Some(Method::Get), Version::Http11, "/");
    check(
        "HEAD /healthz HTTP/1.0",
        Some(Method::Head),
        Version::Http10,
        "/healthz",
    );
    check("PUT /a HTTP/1.2", Some(Method::Put), Version::Http11, "/a");
    check(
        "PATCH /a HTTP/1.9",
        Some(Method::Patch),
        Version::Http11,
        "/a",
    );
    check(
        "DELETE http://b/a?c HTTP/1.1",
        Some(Method::Delete),
        Version::Http11,
        "/a",
    );
    check(
        "OPTIONS * HTTP/1.1",
        Some(Method::Options),
        Version::Http11,
        "*",
    );
    check(
        "GET http://b HTTP/1.1",
        Some(Method::Get),
        Version::Http11,
        "/",
    );
    check("BREW /pot HTTP/1.1", None, Version::Http11, "");
    check("post /a HTTP/1.1", None, Version::Http11, "");
    check("TRACE /a HTTP/1.1", None, Version::Http11, "");
    check(
        "\r\nGET / HTTP/1.1",
        Some(Method::Get),
        Version::Http11,
        "/",
    );
}

#[test]
fn request_lines_that_are_refused() {
    for (line, status) in [
        (" GET / HTTP/1.1", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET /  HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        ("GET\t/ HTTP/1.1", 400),
        ("GET /\tHTTP/1.1", 400),
        ("GET /", 400),
        ("GET", 400),
        ("GET / ", 400),
        ("GET / /b HTTP/1.1", 400),
        ("G(T / HTTP/1.1", 400),
        ("GET a HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET /a#b HTTP/1.1", 400),
        ("GET /\u{0} HTTP/1.1", 400),
        ("GET /\u{e9} HTTP/1.1", 400),
        ("GET /%zz HTTP/1.1", 400),
        ("GET http://u@b/a HTTP/1.1", 400),
        ("GET http:///a HTTP/1.1", 400),
        ("GET / http/1.1", 400),
        ("GET / HTTP/1.10", 400),
        ("GET / HTTP/01.1", 400),
        ("GET / HTTP/1", 400),
        ("GET / HTTP/1,1", 400),
        ("GET / HTTPS/1.1", 400),
        ("GET / HTTP/+1.1", 400),
        ("GET / HTTP/0.9", 505),
        ("GET / HTTP/2.0", 505),
        ("PRI * HTTP/2.0", 505),
        ("CONNECT a:443 HTTP/1.1", 501),
        ("\r\n\r\nGET / HTTP/1.1", 400),
        ("\rGET / HTTP/1.1", 400),
        ("\nGET / HTTP/1.1", 400),
        ("\u{16}\u{3}\u{1}", 400),
    ] {
        check_refused(&format!("{line}\r\nHost: a\r\n\r\n"), status);
    }
}

#[test]
fn what_is_no_http_shows_in_its_first_byte() {
    for byte in 0..=u8::MAX {
        let may_begin = target::is_token_byte(byte) || byte == b'\r';
        let expected = if may_begin {
            Verdict::Incomplete
        } else {
            Verdict::Rejected(400)
        };
        assert_eq!(parse(&[byte], &Limits::default()), expected, "{byte:#x}");
    }
}

#[test]
fn lines_that_do_not_end_in_cr_lf_are_refused() {
    for text in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\n",
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n",
    ] {
        check_refused(text, 400);
    }
}

#[test]
fn field_lines_that_are_refused() {
    for fields in [
        "X : a\r\n",
        "X\t: a\r\n",
        " X: a\r\n",
        "X\r\n",
        ": a\r\n",
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        "X: a\u{0}b\r\n",
        "X: a\u{1}\r\n",
        "X: a\u{7f}\r\n",
        "X(: a\r\n",
        "X\u{e9}: a\r\n",
        "\"X\": a\r\n",
        "X: a\r\n : b\r\n",
        "X:\u{b}a\r\n",
    ] {
        check_refused(&with_fields(fields), 400);
    }
    check_refused("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400);
}

#[test]
fn every_byte_in_a_name_and_in_a_value() {
    for byte in 0..=u8::MAX {
        let mut text = b"GET / HTTP/1.1\r\nHost: a\r\nX-".to_vec();
        text.push(byte);
        text.extend_from_slice(b"y: z\r\n\r\n");
        // A colon ends the name early, and what follows is a fine value.
        let is_fine = target::is_token_byte(byte) || byte == b':';
        let verdict = parse(&text, &Limits::default());
        assert_eq!(
            matches!(verdict, Verdict::Head(_)),
            is_fine,
            "{byte:#x} in a name: {verdict:?}"
        );

        let mut text = b"GET / HTTP/1.1\r\nHost: a\r\nX: y".to_vec();
        text.push(byte);
        text.extend_from_slice(b"z\r\n\r\n");
        let is_fine = byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
        let verdict = parse(&text, &Limits::default());
        assert_eq!(
            matches!(verdict, Verdict::Head(_)),
            is_fine,
            "{byte:#x} in a value: {verdict:?}"
        );
    }
}

#[test]
fn limits_hold_while_the_head_is_still_coming() {
    let check = |text: String, verdict: Verdict| {
        assert_eq!(parse(text.as_bytes(), &SMALL()), verdict, "{text:?}");
    };
    let line_of = |len: usize| format!("GET /{} HTTP/1.1", "a".repeat(len - 14));
    assert!(matches!(
        parse(
            format!("{}\r\nHost: a\r\n\r\n", line_of(64)).as_bytes(),
            &SMALL()
        ),
        Verdict::Head(_)
    ));
    check(
        format!("{}\r\nHost: a\r\n\r\n", line_of(65)),
        Verdict::Rejected(414),
    );
    check("a".repeat(65), Verdict::Incomplete);
    check("a".repeat(66), Verdict::Rejected(414));

    let head_of_len = |len: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(len - start.len() - 4))
    };
    assert!(matches!(
        parse(head_of_len(512).as_bytes(), &SMALL()),
        Verdict::Head(_)
    ));
    check(head_of_len(513), Verdict::Rejected(431));
    check(head_of_len(600)[..511].to_owned(), Verdict::Incomplete);
    check(head_of_len(600)[..512].to_owned(), Verdict::Rejected(431));

    let with_count = |count: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X: y\r\n".repeat(count - 1)
        )
    };
    assert!(matches!(
        parse(with_count(8).as_bytes(), &SMALL()),
        Verdict::Head(_)
    ));
    check(with_count(9), Verdict::Rejected(431));
    check_refused(&with_fields(&"X: y\r\n".repeat(64)), 431);
    check_refused(&with_fields(&"X-Forwarded-For: a\r\n".repeat(9)), 431);
    let many = with_fields(&"X: y\r\n".repeat(63));
    assert!(matches!(
        parse(many.as_bytes(), &Limits::default()),
        Verdict::Head(_)
    ));
}

#[test]
fn an_empty_line_is_not_yet_a_request() {
    for (bytes, has_begun) in [
        ("", false),
        ("\r", false),
        ("\r\n", false),
        ("\r\nG", true),
        ("G", true),
        ("GET / HTTP/1.1\r\n", true),
    ] {
        let mut parser = HeadParser::default();
        assert!(matches!(
            parser.parse(bytes.as_bytes(), &SMALL()),
            Parsed::Incomplete
        ));
        assert_eq!(parser.has_begun(bytes.as_bytes()), has_begun, "{bytes:?}");
    }
}

/// Bytes that look like heads, so that random ones get past the request line.
fn almost_heads() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"GET / HTTP/1.1\r\n".to_vec()),
        Just(b"POST /v1.0/balance?%41 HTTP/1.0\r\n".to_vec()),
        Just(b"Host: a\r\n".to_vec()),
        Just(b"Content-Length: 5\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"X-Forwarded-For: 1, 2\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..6),
        proptest::sample::select(b" \t:\r\n\0%#*/,;\"".to_vec()).prop_map(|byte| vec![byte]),
    ];
    proptest::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_get_one_answer_in_whatever_pieces(bytes in almost_heads()) {
        parse(&bytes, &SMALL());
        parse(&bytes, &Limits::default());
    }
}
