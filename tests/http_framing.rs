//! Bytes that are no request, lengths in doubt and chunks that are none: one answer,
//! and the connection closes (http-rules 1 to 5).

mod common;

use common::{BALANCE, Client, Members, Server, Wallet, assert_transport_error};

#[test]
fn bytes_that_are_no_request_are_bad() {
    let server = Server::start();
    let cases = [
        "GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /healthz  HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /healthz HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET\t/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /healthz HTTP/1.1\nHost: a\n\n",
        "GET healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /healthz#x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /healthz%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /é HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /healthz HTTP/1.1\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: u@a\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a:x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET /healthz HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\nb\r\n\r\n",
        "POST /v1.0/balance HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n{}",
        "POST /v1.0/balance HTTP/1.1\r\nHost: a\r\nContent-Length: -2\r\n\r\n{}",
        "POST /v1.0/balance HTTP/1.1\r\nHost: a\r\nContent-Length: 0x2\r\n\r\n{}",
        "POST /v1.0/balance HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 3\r\n\r\n{}",
        "POST /v1.0/balance HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "POST /v1.0/balance HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n{}",
        "POST /v1.0/balance HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
        "POST /v1.0/balance HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    for bytes in cases {
        let mut client = Client::connect(server.wallet);
        client.send(bytes.as_bytes());
        let answer = client.answer();
        let status = if bytes.contains("999999") && answer.status == 413 {
            413
        } else {
            400
        };
        assert_transport_error(&answer, status, bytes);
        assert!(answer.closes(), "{bytes}: {answer:?}");
        client.assert_closed();
    }
}

#[test]
fn transfer_codings_are_chunked_once_or_refused() {
    let server = Server::start();
    let wallet = Wallet::of("acme", &server);
    let chunks = "0\r\n\r\n";
    let cases = [
        ("gzip", &[501][..]),
        ("gzip, chunked", &[501]),
        ("chunked, gzip", &[400, 501]),
        ("chunked, chunked", &[400, 501]),
        ("\"chunked\"", &[400, 501]),
        ("chunked;a=b", &[400, 501]),
        ("xchunked", &[400, 501]),
        ("chunked\x0b", &[400, 501]),
        ("", &[400, 501]),
    ];
    for (coding, statuses) in cases {
        let request = wallet.request(BALANCE).field("Transfer-Encoding", coding);
        let mut client = Client::connect(server.wallet);
        client.send(&[request.bytes(), chunks.into()].concat());
        let answer = client.answer();
        assert!(statuses.contains(&answer.status), "{coding:?}: {answer:?}");
        assert!(answer.closes(), "{coding:?}: {answer:?}");
        client.assert_closed();
    }
}

#[test]
fn malformed_chunks_are_bad() {
    let server = Server::start();
    let wallet = Wallet::of("acme", &server);
    let head = wallet
        .request(BALANCE)
        .field("Transfer-Encoding", "chunked")
        .bytes();
    let body = Members::balance("acme/p1").json();
    let size = body.len();
    let cases = [
        format!("+{size:x}\r\n{body}\r\n0\r\n\r\n"),
        format!("0x{size:x}\r\n{body}\r\n0\r\n\r\n"),
        format!(" {size:x}\r\n{body}\r\n0\r\n\r\n"),
        format!("{size:x} \r\n{body}\r\n0\r\n\r\n"),
        format!("{size:x}\n{body}\r\n0\r\n\r\n"),
        format!("{size:x}\r\n{body}0\r\n\r\n"),
        format!("{size:x}\r\n{body}xx0\r\n\r\n"),
        format!("{size:x}\r\n{body}\r\n0\r\n\rx\r\n\r\n"),
        format!("{size:x}\r\n{body}\r\n0\r\nno colon\r\n\r\n"),
        format!("{size:x};=\r\n{body}\r\n0\r\n\r\n"),
        format!("\r\n{body}\r\n0\r\n\r\n"),
        format!("{size:0>17x}\r\n{body}\r\n0\r\n\r\n"),
        format!("ffffffffffffffff\r\n{body}\r\n0\r\n\r\n"),
    ];
    for chunks in cases {
        let mut client = Client::connect(server.wallet);
        client.send(&[head.clone(), chunks.clone().into()].concat());
        let answer = client.answer();
        let status = if chunks.starts_with("ffff") {
            answer.status
        } else {
            400
        };
        assert!(matches!(answer.status, 400 | 413), "{chunks:?}: {answer:?}");
        assert_transport_error(&answer, status, &chunks);
        assert!(answer.closes(), "{chunks:?}: {answer:?}");
        client.assert_closed();
    }
}
