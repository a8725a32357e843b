//! What is a good request and what is said to a bad one (protocol.md section 1,
//! http-rules). Bytes over TCP, since no client library would send most of them.

mod common;

use common::{
    Admin, Answer, BALANCE, CREATE_TOKEN, Client, Members, REDEEM_TOKEN, Request, Server, Setup,
    Wallet, assert_transport_error,
};

fn server_with_p1() -> Server {
    let server = Server::start();
    Admin::of(&server).account("acme/p1", "5.00");
    server
}

fn call(server: &Server, bytes: &[u8]) -> Answer {
    let mut client = Client::connect(server.wallet);
    client.send(bytes);
    client.answer()
}

/// A balance request with any media type or none, its body yet to come.
fn balance_request(content_type: Option<&str>) -> Request {
    let authorization = common::basic("gw", "s3cret-of-acme");
    let request = Request::new("POST", BALANCE).field("Authorization", &authorization);
    match content_type {
        Some(value) => request.field("Content-Type", value),
        None => request,
    }
}

#[test]
fn unknown_paths_are_not_found() {
    let server = server_with_p1();
    let targets = [
        "/",
        "/v1.0",
        "/v1.0/balance/",
        "/V1.0/balance",
        "/v1.0/Balance",
        "/v1.0//balance",
        "/v1.1/balance",
        "/v1.0/balances",
        "/v1.0/session",
        "/healthz/",
        "/metrics",
        "/admin/v1/accounts/acme/p1",
    ];
    for target in targets {
        for method in ["GET", "POST"] {
            let mut request = Request::new(method, target);
            if method == "POST" {
                request = request.field("Content-Type", "application/json").body("{}");
            }
            let answer = call(&server, &request.bytes());
            assert_transport_error(&answer, 404, &format!("{method} {target}"));
        }
    }
}

#[test]
fn known_paths_name_their_methods() {
    let server = server_with_p1();
    for target in [BALANCE, CREATE_TOKEN, REDEEM_TOKEN] {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let answer = call(&server, &Request::new(method, target).bytes());
            assert_transport_error(&answer, 405, &format!("{method} {target}"));
            assert_eq!(answer.field("Allow"), Some("POST"), "{method} {target}");
        }
    }
    let answer = call(&server, &Request::new("POST", "/healthz").body("").bytes());
    assert_transport_error(&answer, 405, "POST /healthz");
    let allow = answer.field("Allow").unwrap();
    let mut methods: Vec<&str> = allow.split(',').map(str::trim).collect();
    methods.sort_unstable();
    assert_eq!(methods, ["GET", "HEAD"]);
}

#[test]
fn media_types_other_than_json_are_refused() {
    let server = server_with_p1();
    let mut wallet = Wallet::of("acme", &server);
    let body = Members::balance("acme/p1").json();
    let accepted = [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json ; charset=\"utf-8\"",
    ];
    for kind in accepted {
        let request = balance_request(Some(kind)).body(body.clone());
        let answer = wallet.client.call(&request);
        assert_eq!(answer.status, 200, "{kind}: {answer:?}");
        assert_eq!(answer.json()["ErrorCode"], 0, "{kind}: {answer:?}");
    }
    let refused = [
        None,
        Some(""),
        Some("text/plain"),
        Some("text/json"),
        Some("application/jsonx"),
        Some("application/json-patch+json"),
        Some("application"),
        Some("application/x-www-form-urlencoded"),
        Some("*/*"),
    ];
    for kind in refused {
        let request = balance_request(kind).body(body.clone());
        let answer = call(&server, &request.bytes());
        assert_transport_error(&answer, 415, &format!("{kind:?}"));
    }
    for coding in ["gzip", "br", "x"] {
        let request = balance_request(Some("application/json"))
            .field("Content-Encoding", coding)
            .body(body.clone());
        assert_transport_error(&call(&server, &request.bytes()), 415, coding);
    }
}

#[test]
fn lengths_are_needed_and_limited() {
    let server = server_with_p1();
    let json = || balance_request(Some("application/json"));
    assert_transport_error(&call(&server, &json().bytes()), 411, "no length");

    // The default of max_body_bytes, filled with blanks: the most that is read.
    let body = Members::balance("acme/p1").json();
    let full = format!("{body}{}", " ".repeat(65_536 - body.len()));
    let answer = call(&server, &json().body(full.clone()).bytes());
    assert_eq!(answer.json()["ErrorCode"], 0, "{answer:?}");
    let over = json().body(format!("{full} "));
    assert_transport_error(&call(&server, &over.bytes()), 413, "one byte too many");
    let announced = json().field("Content-Length", "65537");
    assert_transport_error(&call(&server, &announced.bytes()), 413, "announced only");
    let chunked = json().chunked(format!("{full} ").as_bytes(), 10_000);
    assert_transport_error(&call(&server, &chunked.bytes()), 413, "in chunks");
}

#[test]
fn heads_are_limited() {
    let server = server_with_p1();
    let target = format!("/{}", "x".repeat(20_000));
    let answer = call(&server, &Request::new("GET", &target).bytes());
    assert_transport_error(&answer, 414, "a long target");
    // While reading: nothing follows, not even the end of the line.
    let answer = call(&server, format!("GET {target}").as_bytes());
    assert_transport_error(&answer, 414, "a target without an end");
    let long = Request::new("GET", "/healthz").field("X-Long", &"x".repeat(20_000));
    assert_transport_error(&call(&server, &long.bytes()), 431, "a long field");
    let mut many = Request::new("GET", "/healthz");
    for _ in 0..3_000 {
        many = many.field("X", "y");
    }
    assert_transport_error(&call(&server, &many.bytes()), 431, "many fields");
}

#[test]
fn methods_versions_and_expectations() {
    let server = server_with_p1();
    for method in ["BREW", "get", "GETT", "M-SEARCH"] {
        let answer = call(&server, &Request::new(method, "/healthz").bytes());
        assert_transport_error(&answer, 501, method);
    }
    for (method, target) in [("TRACE", "/healthz"), ("CONNECT", "wallet.test:80")] {
        let answer = call(&server, &Request::new(method, target).bytes());
        assert!(
            matches!(answer.status, 400 | 405 | 501),
            "{method}: {answer:?}"
        );
    }
    for (version, status) in [
        ("HTTP/2.0", 505),
        ("HTTP/3.0", 505),
        ("HTTP/0.9", 505),
        ("HTTP/1", 400),
        ("HTTP/1.", 400),
        ("HTTP/11", 400),
        ("HTTP/1.1x", 400),
        ("http/1.1", 400),
        ("ICY/1.1", 400),
        ("", 400),
    ] {
        let bytes = format!("GET /healthz {version}\r\nHost: a\r\n\r\n");
        assert_transport_error(&call(&server, bytes.as_bytes()), status, version);
    }
    let later = call(&server, b"GET /healthz HTTP/1.9\r\nHost: a\r\n\r\n");
    assert_eq!((later.status, later.version.as_str()), (200, "HTTP/1.1"));
    let expecting = balance_request(Some("application/json"))
        .field("Expect", "the-spanish-inquisition")
        .body(Members::balance("acme/p1").json());
    assert_transport_error(&call(&server, &expecting.bytes()), 417, "Expect");
}

#[test]
fn answers_carry_what_a_good_server_sends() {
    let server = server_with_p1();
    let mut client = Client::connect(server.wallet);
    let answer = client.call(&Request::new("GET", "/healthz"));
    assert_eq!((answer.status, answer.version.as_str()), (200, "HTTP/1.1"));
    answer.json();
    let date = answer.field("Date").unwrap();
    assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
    let server_name = answer.field("Server").unwrap_or_default();
    assert!(
        !server_name.contains(|c: char| c.is_ascii_digit()),
        "{server_name}"
    );
    assert!(!answer.closes());
}

#[test]
fn targets_are_compared_after_their_escapes_and_without_query() {
    let server = server_with_p1();
    let targets = [
        "/healthz?x=1",
        "/healthz?",
        "/%68ealthz",
        "/health%7a",
        "/health%7A",
        "http://wallet.test/healthz",
        "HTTP://wallet.test:80/healthz",
    ];
    for target in targets {
        let answer = call(&server, &Request::new("GET", target).bytes());
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
    }
    for target in [
        "/healthz%00",
        "/./healthz",
        "/x/../healthz",
        "/%2e/healthz",
        "/healthz%2f",
    ] {
        let answer = call(&server, &Request::new("GET", target).bytes());
        assert!(matches!(answer.status, 400 | 404), "{target}: {answer:?}");
    }
}

#[test]
fn stages_are_timed_for_those_who_ask() {
    let server = server_with_p1();
    let mut wallet = Wallet::of("acme", &server);
    let body = Members::balance("acme/p1").json();
    let plain = wallet.request(BALANCE).body(body.clone());
    let asking = wallet
        .request(BALANCE)
        .field("X-Server-Timing", "1")
        .body(body);
    assert!(wallet.client.call(&plain).field("Server-Timing").is_none());
    let answer = wallet.client.call(&asking);
    assert!(answer.field("Server-Timing").is_some(), "{answer:?}");
}

#[test]
fn stalled_heads_and_bodies_are_told_and_closed_and_idle_connections_closed() {
    let setup = Setup {
        limits: "header_timeout = \"300ms\"\nbody_timeout = \"300ms\"\nidle_timeout = \"300ms\"",
        ..Setup::default()
    };
    let server = setup.start();
    let mut head = Client::connect(server.wallet);
    head.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n");
    let mut body = Client::connect(server.wallet);
    body.send(
        b"POST /v1.0/balance HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
          Content-Length: 10\r\n\r\n{",
    );
    let mut idle = Client::connect(server.wallet);
    assert_eq!(idle.call(&Request::new("GET", "/healthz")).status, 200);
    let mut silent = Client::connect(server.wallet);
    for (client, case) in [(&mut head, "head"), (&mut body, "body")] {
        let answer = client.answer();
        assert_transport_error(&answer, 408, case);
        assert!(answer.closes(), "{case}: {answer:?}");
        client.assert_closed();
    }
    idle.assert_closed();
    // One that never said a word may be told 408 or nothing at all.
    if let Some(answer) = silent.try_answer() {
        assert_eq!(answer.status, 408, "{answer:?}");
        silent.assert_closed();
    }
}
