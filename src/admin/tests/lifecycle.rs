//! Readiness, and the beginning and end of the admin thread.

use std::io::Write;
use std::time::Duration;

use super::client::{begin, receive, send};
use super::{Fixture, TOKEN};
use crate::admin::AdminServer;

/// Long enough for any machine, and never waited for when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn health_follows_the_server_s_phase() {
    let mut admin = Fixture::start();
    let (addr, readiness) = (admin.addr, admin.readiness.clone());
    let check = |path: &str, status: u16, body: &str| {
        let answer = send(addr, "GET", path, &[], b"");
        assert_eq!((answer.status, answer.text()), (status, body), "{path}");
    };
    let not_ready = r#"{"Status":"not_ready","Reason":"the shards are starting"}"#;
    check("/healthz", 200, r#"{"Status":"ok"}"#);
    check("/readyz", 503, not_ready);
    readiness.set_ready();
    check("/healthz", 200, r#"{"Status":"ok"}"#);
    check("/readyz", 200, r#"{"Status":"ready"}"#);
    readiness.set_draining();
    let draining = r#"{"Status":"draining","Reason":"the server is stopping"}"#;
    check("/healthz", 503, draining);
    check("/readyz", 503, draining);
    assert!(admin.stop_admin(PATIENCE));
}

#[test]
fn an_address_that_is_taken_is_named() {
    let first = AdminServer::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = AdminServer::bind(first.local_addr()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(text.contains(&first.local_addr().to_string()), "{text}");
}

#[test]
fn stopping_answers_what_is_in_flight() {
    let mut admin = Fixture::start();
    let addr = admin.addr;
    let body = br#"{"CountryCode":"GB"}"#;
    let path = "/admin/v1/accounts/acme/last";
    let mut stream = begin(addr, "PUT", path, &format!("Bearer {TOKEN}"), body.len());
    let stopping = std::thread::spawn(move || admin.stop_admin(PATIENCE));
    // Only once nobody accepts any more does the rest of the request follow.
    while std::net::TcpStream::connect(addr).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    stream.write_all(body).unwrap();
    assert_eq!(receive(stream).status, 201);
    assert!(stopping.join().unwrap());
}

#[test]
fn stopping_waits_no_longer_than_it_may() {
    let mut admin = Fixture::start();
    let path = "/admin/v1/accounts/acme/never";
    let _stalled = begin(admin.addr, "PUT", path, &format!("Bearer {TOKEN}"), 20);
    assert!(!admin.stop_admin(Duration::from_millis(50)));
}
