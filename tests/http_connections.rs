//! Bytes in any portion, many requests on one connection, and how connections end
//! (http-rules 4 to 8).

mod common;

use std::thread;
use std::time::Duration;

use common::{Admin, BALANCE, Client, Members, Request, Server, Wallet, basic};

fn server_with_p1() -> Server {
    let server = Server::start();
    Admin::of(&server).account("acme/p1", "5.00");
    server
}

fn balance_of_p1(server: &Server) -> Request {
    Wallet::of("acme", server)
        .request(BALANCE)
        .body(Members::balance("acme/p1").json())
}

fn assert_balance(answer: &common::Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["Balance"]["CashFunds"], "5.00", "{body}");
}

#[test]
fn a_request_may_be_split_at_any_byte() {
    let server = server_with_p1();
    let plain = balance_of_p1(&server).bytes();
    let wallet = Wallet::of("acme", &server);
    let body = Members::balance("acme/p1").json();
    let chunked = wallet.request(BALANCE).chunked(body.as_bytes(), 50).bytes();
    for bytes in [&plain, &chunked] {
        thread::scope(|scope| {
            const CONNECTIONS: usize = 16;
            for first in 0..CONNECTIONS {
                let server = &server;
                scope.spawn(move || {
                    let mut client = Client::connect(server.wallet);
                    for at in (first + 1..bytes.len()).step_by(CONNECTIONS) {
                        client.send(&bytes[..at]);
                        // Long enough that the two parts are two reads, mostly.
                        thread::sleep(Duration::from_millis(2));
                        client.send(&bytes[at..]);
                        assert_balance(&client.answer());
                    }
                });
            }
        });
    }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = server_with_p1();
    let mut client = Client::connect(server.wallet);
    for byte in balance_of_p1(&server).bytes() {
        client.send(&[byte]);
    }
    assert_balance(&client.answer());
}

#[test]
fn pipelines_are_answered_in_order_and_to_the_end() {
    let server = server_with_p1();
    let mut admin = Admin::of(&server);
    for number in 1..=10 {
        admin.account(&format!("acme/n-{number}"), &format!("{number}.00"));
    }
    let mut wallet = Wallet::of("acme", &server);
    let mut bytes = Vec::new();
    for step in 0..200 {
        let body = Members::balance(&format!("acme/n-{}", step % 10 + 1)).json();
        let request = wallet.request(BALANCE);
        let request = match step % 3 {
            0 => request.body(body),
            1 => request.chunked(body.as_bytes(), 7),
            _ => {
                // Another path, another answer, in its place.
                bytes.extend(Request::new("GET", "/nowhere").bytes());
                request.body(body)
            }
        };
        bytes.extend(request.bytes());
    }
    wallet.client.send(&bytes);
    for step in 0..200 {
        if step % 3 == 2 {
            assert_eq!(wallet.client.answer().status, 404, "{step}");
        }
        let answer = wallet.client.answer().json();
        let expected = format!("{}.00", step % 10 + 1);
        assert_eq!(answer["Balance"]["CashFunds"], expected, "{step}");
    }
}

#[test]
fn a_pipeline_keeps_its_order_with_head_in_the_middle() {
    let server = server_with_p1();
    let mut client = Client::connect(server.wallet);
    let head = Request::new("HEAD", "/healthz").bytes();
    let get = Request::new("GET", "/healthz").bytes();
    let balance = balance_of_p1(&server).bytes();
    client.send(&[&head[..], &balance, &head, &get, &balance].concat());
    let first = client.answer_to_head();
    assert_balance(&client.answer());
    let second = client.answer_to_head();
    let full = client.answer();
    assert_balance(&client.answer());
    for answer in [&first, &second] {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("Content-Length"), full.field("Content-Length"));
        assert_eq!(answer.field("Content-Type"), full.field("Content-Type"));
    }
    assert!(!full.body.is_empty());
}

#[test]
fn http_1_0_is_served_once_unless_it_asks_for_more() {
    let server = server_with_p1();
    let mut client = Client::connect(server.wallet);
    client.send(b"GET /healthz HTTP/1.0\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.closes(), "{answer:?}");
    client.assert_closed();

    let mut client = Client::connect(server.wallet);
    for _ in 0..3 {
        client.send(b"GET /healthz HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{answer:?}");
        let connection = answer.field("Connection").unwrap_or_default();
        assert!(connection.eq_ignore_ascii_case("keep-alive"), "{answer:?}");
    }

    let body = Members::balance("acme/p1").json();
    let old = format!(
        "POST {BALANCE} HTTP/1.0\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n",
        basic("gw", "s3cret-of-acme"),
        body.len()
    );
    let mut client = Client::connect(server.wallet);
    client.send(format!("{old}\r\n{body}").as_bytes());
    assert_balance(&client.answer());
    client.assert_closed();
}

#[test]
fn close_is_honoured_in_every_form_and_nothing_after_it_is_read() {
    let server = server_with_p1();
    let forms: [&[&str]; 5] = [
        &["close"],
        &["Close"],
        &["CLOSE"],
        &["x-other, close"],
        &["x-other", "close"],
    ];
    for lines in forms {
        let mut request = Request::new("GET", "/healthz");
        for line in lines {
            request = request.field("Connection", line);
        }
        let mut client = Client::connect(server.wallet);
        client.send(&[request.bytes(), balance_of_p1(&server).bytes()].concat());
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{lines:?}: {answer:?}");
        assert!(answer.closes(), "{lines:?}: {answer:?}");
        client.assert_closed();
    }
}

#[test]
fn a_half_close_cancels_nothing_that_was_complete() {
    let server = server_with_p1();
    let request = balance_of_p1(&server).bytes();
    for count in [1, 2, 20] {
        let mut client = Client::connect(server.wallet);
        client.send(&request.repeat(count));
        client.half_close();
        for _ in 0..count {
            assert_balance(&client.answer());
        }
        client.assert_closed();
    }
    // An incomplete one behind it gets no balance; whatever is said, the end comes.
    let mut client = Client::connect(server.wallet);
    client.send(&[&request[..], &request[..request.len() - 1]].concat());
    client.half_close();
    assert_balance(&client.answer());
    if let Some(answer) = client.try_answer() {
        assert_eq!(answer.status, 400, "{answer:?}");
        client.assert_closed();
    }
}

#[test]
fn chunked_bodies_are_joined_and_extensions_and_trailers_dropped() {
    let server = server_with_p1();
    let mut wallet = Wallet::of("acme", &server);
    let body = Members::balance("acme/p1").json();
    for size in [1, 2, 16, 17, 1_000] {
        let request = wallet.request(BALANCE).chunked(body.as_bytes(), size);
        assert_balance(&wallet.client.call(&request));
    }
    let head = wallet
        .request(BALANCE)
        .field("Transfer-Encoding", "Chunked")
        .bytes();
    let size = body.len();
    let forms = [
        format!("{size:X}\r\n{body}\r\n0\r\n\r\n"),
        format!("{size:0>16x}\r\n{body}\r\n000\r\n\r\n"),
        format!("{size:x};a=b;c=\"d e\";f\r\n{body}\r\n0;x\r\n\r\n"),
        format!("{size:x}\r\n{body}\r\n0\r\nX-Trailer: 1\r\nAuthorization: x\r\n\r\n"),
    ];
    for chunks in forms {
        wallet.client.send(&[head.clone(), chunks.into()].concat());
        assert_balance(&wallet.client.answer());
    }
}

#[test]
fn a_client_that_asks_first_is_told_to_continue() {
    let server = server_with_p1();
    let wallet = Wallet::of("acme", &server);
    let body = Members::balance("acme/p1").json();
    for expect in ["100-continue", "100-Continue"] {
        let bytes = wallet
            .request(BALANCE)
            .field("Expect", expect)
            .body(body.clone())
            .bytes();
        let (head, body) = bytes.split_at(bytes.len() - body.len());
        let mut client = Client::connect(server.wallet);
        client.send(head);
        assert_eq!(client.answer().status, 100, "{expect}");
        client.send(body);
        assert_balance(&client.answer());
    }
    // No invitation for a body that the head dooms.
    let doomed = [
        (
            413,
            wallet.request(BALANCE).field("Content-Length", "1000000"),
        ),
        (
            404,
            Request::new("POST", "/nowhere").field("Content-Length", "10"),
        ),
        (
            415,
            Request::new("POST", BALANCE).field("Content-Length", "10"),
        ),
    ];
    for (status, request) in doomed {
        let mut client = Client::connect(server.wallet);
        client.send(&request.field("Expect", "100-continue").bytes());
        assert_eq!(client.answer().status, status);
    }
}

#[test]
fn unread_bodies_are_never_parsed_as_requests() {
    let server = server_with_p1();
    let smuggled = Request::new("GET", "/healthz").bytes();
    let doomed = [
        (
            404,
            Request::new("POST", "/nowhere").field("Content-Type", "application/json"),
        ),
        (
            405,
            Request::new("PUT", BALANCE).field("Content-Type", "application/json"),
        ),
        (
            415,
            Request::new("POST", BALANCE).field("Content-Type", "text/plain"),
        ),
    ];
    for (status, request) in doomed {
        let mut client = Client::connect(server.wallet);
        let after = Request::new("GET", "/after").bytes();
        client.send(&[request.body(smuggled.clone()).bytes(), after].concat());
        assert_eq!(client.answer().status, status);
        // Either the body was read and dropped, or the connection ends here.
        if let Some(next) = client.try_answer() {
            assert_eq!(next.status, 404, "{next:?}");
        }
    }
}

#[test]
fn one_empty_line_before_a_request_is_skipped() {
    let server = server_with_p1();
    let mut client = Client::connect(server.wallet);
    let request = balance_of_p1(&server).bytes();
    for _ in 0..3 {
        client.send(&[b"\r\n", &request[..]].concat());
        assert_balance(&client.answer());
    }
    client.send("\r\n".repeat(1_000).as_bytes());
    let answer = client.try_answer();
    assert!(
        answer.is_none_or(|answer| answer.status == 400),
        "a thousand are too many"
    );
}

#[test]
fn stalled_connections_do_not_block_others() {
    let server = server_with_p1();
    let request = balance_of_p1(&server).bytes();
    let stalled: Vec<Client> = (0..300)
        .map(|number| {
            let mut client = Client::connect(server.wallet);
            client.send(&request[..number % request.len()]);
            client
        })
        .collect();
    for _ in 0..20 {
        let mut client = Client::connect(server.wallet);
        client.send(&request);
        assert_balance(&client.answer());
    }
    // And when they wake up, they are served.
    for (number, mut client) in stalled.into_iter().enumerate() {
        client.send(&request[number % request.len()..]);
        assert_balance(&client.answer());
    }
}
