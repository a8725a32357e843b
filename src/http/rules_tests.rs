//! The rules of docs/internals/http.md as one table of bytes and answers. Every row is
//! sent whole, byte by byte, and cut in two at every byte: the answers must not differ,
//! and behind each row the connection is either closed or good for another request.

use super::limits::Limits;
use super::testing::{Client, shared};

/// What stands behind every row.
const GET: &str = "GET /after HTTP/1.1\r\nHost: a\r\n\r\n";

/// Small enough that a row can pass them.
fn limits() -> Limits {
    Limits {
        max_line_bytes: 64,
        max_head_bytes: 256,
        max_headers: 8,
        max_body_bytes: 16,
        ..Limits::default()
    }
}

/// Sends pieces and the request behind them; each answer as `status connection`. Whether
/// a 100 comes in between is a matter of pieces, and has its own tests.
fn answers_to(pieces: &[&[u8]]) -> Vec<String> {
    let mut client = Client::connect_to(&shared(limits()));
    for piece in pieces {
        client.send(piece);
    }
    client.send(GET);
    let answers: Vec<String> = client
        .answers()
        .iter()
        .filter(|answer| *answer != "100")
        .map(|answer| answer.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let says_close = answers.last().is_some_and(|last| last.ends_with("close"));
    assert_eq!(client.line.borrow().is_shut, says_close, "{answers:?}");
    answers
}

#[track_caller]
fn check(bytes: &[u8], expected: &[&str]) {
    let text = String::from_utf8_lossy(bytes);
    assert_eq!(answers_to(&[bytes]), expected, "whole: {text:?}");
    let each: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(answers_to(&each), expected, "byte by byte: {text:?}");
    for cut in 1..bytes.len() {
        let (front, back) = bytes.split_at(cut);
        assert_eq!(
            answers_to(&[front, back]),
            expected,
            "cut at {cut}: {text:?}"
        );
    }
}

/// Rows that are answered by the service, and the connection stays.
#[track_caller]
fn served(rows: &[&str]) {
    for row in rows {
        check(row.as_bytes(), &["200 -", "200 -"]);
    }
}

/// Rows that end the connection with this status.
#[track_caller]
fn closes(status: u16, rows: &[&str]) {
    for row in rows {
        check(row.as_bytes(), &[&format!("{status} close")]);
    }
}

fn head(line: &str) -> String {
    format!("{line}\r\nHost: a\r\n\r\n")
}

fn with_field(line: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n")
}

fn chunked(chunks: &str) -> String {
    with_field("Transfer-Encoding: chunked") + chunks
}

fn all(rows: &[&str], form: fn(&str) -> String) -> Vec<String> {
    rows.iter().map(|row| form(row)).collect()
}

fn texts(rows: &[String]) -> Vec<&str> {
    rows.iter().map(String::as_str).collect()
}

#[test]
fn rule_1_request_lines() {
    served(&texts(&all(
        &[
            "GET / HTTP/1.1",
            "GET /?q HTTP/1.2",
            "GET http://a/x HTTP/1.1",
            "GET https://[::1]:1/x?y HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "GET /%41%2f HTTP/1.1",
            "\r\nGET / HTTP/1.1",
        ],
        head,
    )));
    closes(
        400,
        &texts(&all(
            &[
                "GET  / HTTP/1.1",
                "GET /  HTTP/1.1",
                " GET / HTTP/1.1",
                "GET / HTTP/1.1 ",
                "GET\t/ HTTP/1.1",
                "G@T / HTTP/1.1",
                "GET a HTTP/1.1",
                "GET * HTTP/1.1",
                "GET /#a HTTP/1.1",
                "GET /%4 HTTP/1.1",
                "GET /\u{7f} HTTP/1.1",
                "GET /\u{e9} HTTP/1.1",
                "GET http://u@a/ HTTP/1.1",
                "GET http:///x HTTP/1.1",
                "GET ftp://a/x HTTP/1.1",
                "GET / HTTP/1",
                "GET / HTTP/1.1.1",
                "GET / http/1.1",
                "GET /",
                "\r\n\r\nGET / HTTP/1.1",
            ],
            head,
        )),
    );
    closes(
        505,
        &texts(&all(&["GET / HTTP/2.0", "GET / HTTP/0.9"], head)),
    );
    closes(501, &texts(&all(&["CONNECT a:1 HTTP/1.1"], head)));
    check(head("TRACE / HTTP/1.1").as_bytes(), &["501 -", "200 -"]);
    check(head("get / HTTP/1.1").as_bytes(), &["501 -", "200 -"]);
    check(head("POST /read HTTP/1.1").as_bytes(), &["405 -", "200 -"]);
    check(
        head("GET /missing HTTP/1.1").as_bytes(),
        &["404 -", "200 -"],
    );
    let long_line = format!("GET /{} HTTP/1.1", "a".repeat(64));
    closes(414, &[&head(&long_line), &long_line]);
    closes(431, &[&with_field(&format!("X: {}", "a".repeat(300)))]);
    closes(
        431,
        &[&with_field(
            "X: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y",
        )],
    );
}

#[test]
fn rule_2_fields() {
    served(&texts(&all(
        &["X:y", "X: \t y \t", "X: \u{e9}", "X:", "!#$%&'*+-.^_`|~: y"],
        with_field,
    )));
    closes(
        400,
        &texts(&all(
            &[
                "X : y",
                "X\t: y",
                "X",
                ": y",
                " X: y",
                "X: y\r\n z",
                "X: a\0b",
                "X: a\rb",
                "X: a\nb",
                "X: a\u{b}b",
                "X: a\u{7f}b",
                "X(y): z",
                "Host: a",
                "Content-Type: a\r\nContent-Type: a",
                "Authorization: a\r\nAuthorization: a",
            ],
            with_field,
        )),
    );
    let host = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    closes(
        400,
        &texts(&all(
            &[
                "", "a b", "a,b", "u@a", "a/b", "a:x", "a:65536", "[::1", "[a]",
            ],
            |row| format!("GET / HTTP/1.1\r\nHost: {row}\r\n\r\n"),
        )),
    );
    served(&[&host("a:1"), &host("[::1]"), &host("a.b_c")]);
    closes(
        400,
        &[
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        ],
    );
}

#[test]
fn rule_3_lengths() {
    served(&[
        &with_field("Content-Length: 0"),
        &(with_field("Content-Length: 003") + "abc"),
        &chunked("0\r\n\r\n"),
        &(with_field("transfer-encoding: CHUNKED") + "0\r\n\r\n"),
    ]);
    closes(
        400,
        &texts(&all(
            &[
                "Content-Length: ",
                "Content-Length: +1",
                "Content-Length: -1",
                "Content-Length: 1, 1",
                "Content-Length: 1\r\nContent-Length: 1",
                "Content-Length: 1\r\nContent-Length: 2",
                "Content-Length: 18446744073709551616",
                "Content-Length: 0\r\nTransfer-Encoding: chunked",
                "Transfer-Encoding: gzip\r\nContent-Length: 0",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                "Transfer-Encoding: chunked, chunked",
                "Transfer-Encoding: chunked, gzip",
                "Transfer-Encoding: chunked;a=b",
                "Transfer-Encoding: \"chunked\"",
                "Transfer-Encoding: ",
            ],
            with_field,
        )),
    );
    closes(
        501,
        &texts(&all(
            &[
                "Transfer-Encoding: gzip",
                "Transfer-Encoding: gzip, chunked",
            ],
            with_field,
        )),
    );
    closes(413, &[&with_field("Content-Length: 17")]);
    closes(
        400,
        &["POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"],
    );
}

#[test]
fn rule_4_chunks() {
    served(&texts(&all(
        &[
            "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
            "0000000000000001\r\na\r\n00\r\n\r\n",
            "1;a;b=c;d=\"e\\\"f\" ; g\r\na\r\n0;h\r\n\r\n",
            "A\r\n0123456789\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n",
        ],
        chunked,
    )));
    closes(
        400,
        &texts(&all(
            &[
                "x\r\n",
                "\r\n",
                "+1\r\n",
                "0x1\r\n",
                " 1\r\n",
                "1 \r\n",
                "00000000000000001\r\n",
                "1\na",
                "1\r\nab",
                "1\r\na\n",
                "1;\r\n",
                "1;a=\"b\r\n",
                "1;a \r\n",
                "0\r\nX\r\n\r\n",
                "0\r\n X: y\r\n\r\n",
                "0\r\nX: y\n\r\n",
                "0\r\n\n",
            ],
            chunked,
        )),
    );
    closes(413, &[&chunked("11\r\n"), &chunked("ffffffffffffffff\r\n")]);
    closes(413, &[&chunked("9\r\n123456789\r\n8\r\n")]);
    closes(
        431,
        &[&chunked(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(9)))],
    );
}

#[test]
fn rules_5_to_7_what_follows_a_request() {
    // A body that nobody wants is never the next request.
    let smuggled = "GET / HTTP/1.1\r\n";
    for path in ["/missing", "/read"] {
        let row =
            format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n\r\n{smuggled}");
        let status = if path == "/read" { "405 -" } else { "404 -" };
        check(row.as_bytes(), &[status, "200 -"]);
    }
    // Who is told no before a body that he may leave out.
    closes(
        417,
        &[&(with_field("Expect: x\r\nContent-Length: 1") + "a")],
    );
    served(&[&(with_field("Expect: 100-Continue\r\nContent-Length: 1") + "a")]);
    served(&[&with_field("Upgrade: h2c\r\nConnection: upgrade")]);
    for close in ["close", "Close", "x, close", "x\r\nConnection: CLOSE"] {
        check(
            with_field(&format!("Connection: {close}")).as_bytes(),
            &["200 close"],
        );
    }
    check(b"GET / HTTP/1.0\r\n\r\n", &["200 close"]);
    check(
        b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
        &["200 keep-alive", "200 -"],
    );
    check(
        format!(
            "{}{}",
            head("GET / HTTP/1.1"),
            head("GET /missing HTTP/1.1")
        )
        .as_bytes(),
        &["200 -", "404 -", "200 -"],
    );
}
