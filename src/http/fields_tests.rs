//! Fields as facts, each in a head that is parsed in whatever pieces.

use super::*;
use crate::http::parse::tests::{check_refused, head_of, with_fields};

#[test]
fn host_is_required_once_and_valid() {
    check_refused("GET / HTTP/1.1\r\n\r\n", 400);
    check_refused("GET http://a/ HTTP/1.1\r\n\r\n", 400);
    assert_eq!(head_of("GET / HTTP/1.0\r\n\r\n").version, Version::Http10);
    for line in ["GET / HTTP/1.1", "GET / HTTP/1.0"] {
        for host in ["", "a b", "a,b", "u@a", "a/b", "a:x", "a\r\nHost: a"] {
            check_refused(&format!("{line}\r\nHost: {host}\r\n\r\n"), 400);
        }
    }
}

#[test]
fn fields_that_must_not_repeat() {
    for name in ["Host", "Content-Type", "Authorization"] {
        check_refused(&with_fields(&format!("{name}: a\r\n{name}: a\r\n")), 400);
    }
}

#[test]
fn two_signatures_are_none_that_could_be_right() {
    let check = |fields: &str, expected: Option<&[u8]>| {
        let text = with_fields(fields);
        let head = head_of(&text);
        assert_eq!(head.signature(text.as_bytes()), expected, "{fields:?}");
    };
    check("", None);
    check("X-Signature: sha256=00\r\n", Some(b"sha256=00"));
    check("x-signature:\t a \r\nX-Signaturf: b\r\n", Some(b"a"));
    for count in 2..4 {
        check(&"X-Signature: a\r\n".repeat(count), Some(b""));
    }
}

#[test]
fn lengths() {
    let check = |fields: &str, framing| {
        assert_eq!(head_of(&with_fields(fields)).framing, framing, "{fields:?}");
    };
    check("", Framing::Absent);
    check("Content-Length: 0\r\n", Framing::Length(0));
    check("Content-Length: 007\r\n", Framing::Length(7));
    check(
        "content-length:18446744073709551615\r\n",
        Framing::Length(u64::MAX),
    );
    check("Transfer-Encoding: chunked\r\n", Framing::Chunked);
    check("transfer-encoding: \t ChUnKeD \r\n", Framing::Chunked);
}

#[test]
fn lengths_that_two_servers_could_read_differently() {
    for (fields, status) in [
        ("Content-Length: \r\n", 400),
        ("Content-Length: +5\r\n", 400),
        ("Content-Length: -5\r\n", 400),
        ("Content-Length: 5 5\r\n", 400),
        ("Content-Length: 5, 5\r\n", 400),
        ("Content-Length: 5,6\r\n", 400),
        ("Content-Length: 0x5\r\n", 400),
        ("Content-Length: 5.0\r\n", 400),
        ("Content-Length: 1e1\r\n", 400),
        ("Content-Length: 18446744073709551616\r\n", 400),
        ("Content-Length: 99999999999999999999999999\r\n", 400),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
        ("Transfer-Encoding: gzip\r\nContent-Length: 5\r\n", 400),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
        (
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
        ("Transfer-Encoding: chunked, chunked\r\n", 400),
        ("Transfer-Encoding: chunked, gzip\r\n", 400),
        ("Transfer-Encoding: chunked,\r\n", 400),
        ("Transfer-Encoding: ,chunked\r\n", 400),
        ("Transfer-Encoding: chunked;q=1\r\n", 400),
        ("Transfer-Encoding: \"chunked\"\r\n", 400),
        ("Transfer-Encoding: chunked\u{b}\r\n", 400),
        ("Transfer-Encoding: chun ked\r\n", 400),
        ("Transfer-Encoding:\r\n", 400),
        ("Transfer-Encoding: chunked\u{e9}\r\n", 400),
        ("Transfer-Encoding: gzip\r\n", 501),
        ("Transfer-Encoding: identity\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
    ] {
        check_refused(&with_fields(fields), status);
    }
    check_refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
}

#[test]
fn connections_stay_or_close() {
    let check = |version: &str, fields: &str, persistent| {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(head_of(&text).persistent, persistent, "{text:?}");
    };
    check("1.1", "", true);
    check("1.1", "Connection: Close\r\n", false);
    check(
        "1.1",
        "Connection: upgrade,\tCLOSE\r\nUpgrade: h2c\r\n",
        false,
    );
    check(
        "1.1",
        "Connection: keep-alive\r\nConnection: close\r\n",
        false,
    );
    check("1.1", "Connection: closed\r\n", true);
    check("1.0", "", false);
    check("1.0", "Connection: Keep-Alive\r\n", true);
    check("1.0", "Connection: keep-alive, close\r\n", false);
}

#[test]
fn expectations() {
    let check = |version: &str, value: &str, continues, other| {
        let head = head_of(&format!(
            "POST / HTTP/{version}\r\nHost: a\r\nExpect: {value}\r\n\r\n"
        ));
        assert_eq!(
            (head.expects_continue, head.expects_other),
            (continues, other),
            "{value}"
        );
    };
    check("1.1", "100-continue", true, false);
    check("1.1", "100-CONTINUE", true, false);
    check("1.0", "100-continue", false, false);
    check("1.1", "teapot", false, true);
    check("1.1", "100-continue, teapot", true, true);
}

#[test]
fn content_codings() {
    for (fields, encoded) in [
        ("", false),
        ("Content-Encoding: identity\r\n", false),
        ("Content-Encoding: gzip\r\n", true),
        (
            "Content-Encoding: identity\r\nContent-Encoding: identity, br\r\n",
            true,
        ),
    ] {
        let text = with_fields(fields);
        let request_head = head_of(&text)
            .request_head(text.as_bytes())
            .unwrap()
            .content_encoded;
        assert_eq!(request_head, encoded, "{fields:?}");
    }
}
