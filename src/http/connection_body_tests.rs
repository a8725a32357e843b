//! Bodies on a connection as facts: taken, asked for, and taken away.

use super::super::limits::LINGER_BYTES_MAX;
use super::super::testing::Client;
use super::tests::{GET, check, head_of, post, post_with};

#[test]
fn the_body_of_a_refused_request_is_never_a_request() {
    for (path, status, fields) in [
        ("/missing", "404", ""),
        ("/read", "405", ""),
        ("/a", "417", "Expect: x\r\n"),
    ] {
        let mut client = Client::connect();
        client.send(post_with(path, fields, GET));
        client.send(GET);
        let answers = client.answers();
        assert!(answers[0].starts_with(status), "{answers:?}");
        let behind = &answers[1..];
        // Who expected something else may not send the body: that one closes.
        if fields.is_empty() {
            assert_eq!(behind, ["200 - 1 Get /g "]);
        } else {
            assert_eq!(behind, [""; 0]);
        }
    }
    let mut client = Client::connect();
    client.send("BREW / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    assert_eq!(client.answers(), ["501 - Method: unknown"]);
    client.send(format!("0\r\n\r\n{GET}"));
    assert_eq!(client.answers(), ["200 - 1 Get /g "]);
}

#[test]
fn a_refused_request_whose_body_is_wrong_gets_no_second_answer() {
    let mut client = Client::connect();
    client.send(head_of("/missing", "Transfer-Encoding: chunked\r\n"));
    client.send("x");
    client.send(GET);
    assert_eq!(client.answers(), ["404 - refused"]);
    assert!(client.line.borrow().is_shut);
}

#[test]
fn continue_is_said_where_the_client_waits_for_it() {
    let check = |fields: &str, body: &str, expected: &str| {
        let mut client = Client::connect();
        client.send(head_of("/a", fields));
        assert_eq!(client.answers(), ["100"], "{fields:?}");
        client.send(body);
        assert_eq!(client.answers(), [expected], "{fields:?}");
    };
    check(
        "Expect: 100-continue\r\nContent-Length: 1\r\n",
        "x",
        "200 - 1 Post /a x",
    );
    check(
        "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n",
        "1\r\nx\r\n0\r\n\r\n",
        "200 - 1 Post /a x",
    );
}

#[test]
fn continue_is_not_said_where_it_would_be_wrong() {
    let expect = "Expect: 100-continue\r\n";
    check(&post_with("/a", expect, "x"), &["200 - 1 Post /a x"], false);
    check(&post_with("/a", expect, ""), &["200 - 1 Post /a "], false);
    check(&head_of("/a", expect), &["200 - 1 Post /a "], false);
    let with = |fields: &str| format!("{expect}{fields}");
    check(
        &head_of("/missing", &with("Content-Length: 9\r\n")),
        &["404 close refused"],
        true,
    );
    check(
        &head_of("/a", &with("Content-Length: 65537\r\n")),
        &["413 close Body: too large"],
        true,
    );
    check(
        &head_of("/a", "Expect: 200-ok\r\nContent-Length: 9\r\n"),
        &["417 close Expect: only 100-continue can be fulfilled"],
        true,
    );
    let old = "POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    check(old, &[], false);
    check(&format!("{old}x"), &["200 close 1 Post /a x"], true);
}

#[test]
fn large_bodies_come_whole() {
    let body = "0123456789abcdef".repeat(4_096);
    let mut client = Client::connect();
    for piece in post("/a", &body).as_bytes().chunks(10_000) {
        client.send(piece);
    }
    assert_eq!(client.answers(), [format!("200 - 1 Post /a {body}")]);
    let chunks: String = body
        .as_bytes()
        .chunks(100)
        .map(|chunk| {
            format!(
                "{:x}\r\n{}\r\n",
                chunk.len(),
                str::from_utf8(chunk).unwrap()
            )
        })
        .collect();
    client.send(head_of("/a", "Transfer-Encoding: chunked\r\n") + &chunks + "0\r\n\r\n" + GET);
    assert_eq!(
        client.answers(),
        [
            format!("200 - 2 Post /a {body}"),
            "200 - 3 Get /g ".to_owned()
        ]
    );
}

#[test]
fn lingering_swallows_only_so_much() {
    let mut client = Client::connect();
    client.send(head_of("/a", "Content-Length: 99999999\r\n"));
    assert_eq!(client.answers(), ["413 close Body: too large"]);
    for _ in 0..LINGER_BYTES_MAX / 4_096 {
        assert!(!client.is_closed());
        client.send([b'x'; 4_096]);
    }
    assert!(client.is_closed());
}
