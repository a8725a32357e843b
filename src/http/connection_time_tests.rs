//! Deadlines and draining as facts, on a clock that the tests move.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use super::super::limits::Limits;
use super::super::testing::{Client, shared};

const GET: &str = "GET /g HTTP/1.1\r\nHost: a\r\n\r\n";
const LATER: &str = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n";
const PARTIAL_BODY: &str = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Nothing happens for `before` seconds; one second later these are the answers.
#[track_caller]
fn check_stall(pieces: &[&str], before: u64, answers: &[&str]) -> Client {
    let mut client = Client::connect();
    for piece in pieces {
        client.send(piece);
    }
    client.received();
    client.pass(seconds(before));
    assert_eq!(client.received(), "", "{pieces:?}");
    assert!(
        !client.is_closed() && !client.line.borrow().is_shut,
        "{pieces:?}"
    );
    client.pass(seconds(1));
    assert_eq!(client.answers(), answers, "{pieces:?}");
    client
}

#[test]
fn a_stalled_head_hears_408() {
    let stalled = ["408 close Request head: did not arrive in time"];
    for pieces in [
        &["G"][..],
        &["GET / HTTP/1.1\r\nHost: a\r\n"],
        &[GET, "GET /"],
    ] {
        let client = check_stall(pieces, 10, &stalled);
        assert!(client.line.borrow().is_shut);
        assert_eq!(client.shared.metrics.timeouts_head.get(), 1);
    }
}

#[test]
fn dripping_bytes_buys_no_time() {
    let long_body = PARTIAL_BODY.replace(": 9", ": 99");
    for (start, piece) in [("GET / HTTP/1.1\r\n", "X: y\r\n"), (&long_body, "x")] {
        let mut client = Client::connect();
        client.send(start);
        for _ in 0..10 {
            client.pass(seconds(1));
            client.send(piece);
        }
        assert_eq!(client.received(), "");
        client.pass(seconds(1));
        assert!(client.answers()[0].starts_with("408"));
    }
}

#[test]
fn a_stalled_body_hears_408() {
    let client = check_stall(
        &[PARTIAL_BODY],
        10,
        &["408 close Body: did not arrive in time"],
    );
    assert_eq!(client.shared.metrics.timeouts_body.get(), 1);
}

#[test]
fn a_silent_connection_is_closed_in_silence() {
    for (pieces, before) in [
        (&[][..], 10),
        (&["\r\n"], 10),
        (&[GET], 75),
        (&[GET, "\r\n"], 75),
    ] {
        let client = check_stall(pieces, before, &[]);
        assert!(client.is_closed(), "{pieces:?}");
        assert_eq!(client.shared.metrics.timeouts_idle.get(), 1);
        assert_eq!(client.shared.connections(), 0);
    }
}

#[test]
fn each_request_starts_the_clock_again() {
    let mut client = Client::connect();
    for _ in 0..5 {
        client.pass(seconds(9));
        client.send(GET);
        assert_eq!(client.answers().len(), 1);
        client.pass(seconds(65));
    }
    assert!(!client.is_closed());
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    let mut client = Client::connect();
    client.take(Some(50));
    client.send(GET);
    client.pass(seconds(10));
    assert!(!client.is_closed());
    client.pass(seconds(1));
    assert!(client.is_closed() && !client.line.borrow().is_shut);
    assert_eq!(client.shared.metrics.timeouts_write.get(), 1);
}

#[test]
fn reading_byte_by_byte_buys_no_time() {
    let mut client = Client::connect();
    client.take(Some(0));
    client.send(GET);
    for _ in 0..10 {
        client.pass(seconds(1));
        assert!(!client.is_closed());
        client.take(Some(1));
    }
    client.pass(seconds(1));
    assert!(client.is_closed());
    assert_eq!(client.received().len(), 10);
    assert_eq!(client.shared.metrics.timeouts_write.get(), 1);
}

#[test]
fn a_client_that_does_not_close_is_cut() {
    let mut client = Client::connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert!(client.line.borrow().is_shut);
    client.pass(seconds(2));
    assert!(!client.is_closed());
    client.pass(seconds(1));
    assert!(client.is_closed());
    assert_eq!(client.shared.metrics.timeouts_linger.get(), 1);
}

#[test]
fn a_slow_service_is_not_the_clients_fault() {
    let mut client = Client::connect();
    client.send(LATER);
    client.pass(seconds(300));
    client.open_gate();
    assert_eq!(client.answers(), ["200 - 1 Get /later "]);
    assert!(!client.is_closed());
}

#[test]
fn a_process_that_was_stopped_cuts_nobody_off() {
    let mut client = Client::connect();
    client.send("GET /g HTTP/1.1\r\n");
    client.shared.sweep(seconds(600), SystemTime::now());
    client.run();
    client.send("Host: a\r\n\r\n");
    assert_eq!(client.answers(), ["200 - 1 Get /g "]);
}

#[test]
fn hundreds_of_stalled_connections_end_and_hold_up_nobody() {
    let shared = shared(Limits::default());
    let mut stalled: Vec<Client> = (0..300).map(|_| Client::connect_to(&shared)).collect();
    for client in &mut stalled {
        client.send("GET / HT");
    }
    let mut lively = Client::connect_to(&shared);
    lively.pass(seconds(8));
    lively.send(GET);
    assert_eq!(lively.answers().len(), 1);
    lively.pass(seconds(3));
    for client in &mut stalled {
        client.run();
        assert!(client.answers()[0].starts_with("408"));
    }
    lively.pass(seconds(3));
    stalled.iter_mut().for_each(Client::run);
    assert!(stalled.iter().all(Client::is_closed));
    assert_eq!(shared.connections(), 1);
}

#[test]
fn draining_closes_idle_connections_after_a_moment() {
    for pieces in [&[][..], &[GET], &["\r\n"]] {
        let mut client = Client::connect();
        pieces.iter().for_each(|piece| client.send(piece));
        client.received();
        client.shared.begin_drain();
        client.run();
        assert!(!client.is_closed());
        client.pass(Duration::from_millis(500));
        assert!(client.is_closed() && client.received().is_empty());
    }
}

#[test]
fn draining_answers_the_request_that_is_under_way() {
    let check = |before: &str, behind: &str, answers: &[&str]| {
        let mut client = Client::connect();
        client.send(before);
        client.shared.begin_drain();
        client.run();
        client.send(behind);
        client.open_gate();
        assert_eq!(client.answers(), answers);
        assert!(client.line.borrow().is_shut);
        client.end();
        assert!(client.is_closed());
    };
    check("", GET, &["200 close 1 Get /g "]);
    check(LATER, "", &["200 close 1 Get /later "]);
    check(PARTIAL_BODY, "12345678", &["200 close 1 Post /a x12345678"]);
    check(
        "GET /g HT",
        "TP/1.1\r\nHost: a\r\n\r\n",
        &["200 close 1 Get /g "],
    );
    check(
        &format!("{LATER}{GET}{GET}GET"),
        " /g HTTP/1.1\r\nHost: a\r\n\r\n",
        &[
            "200 - 1 Get /later ",
            "200 - 2 Get /g ",
            "200 - 3 Get /g ",
            "200 close 4 Get /g ",
        ],
    );
}

#[test]
fn draining_ends_for_a_client_that_never_stops() {
    let mut client = Client::connect();
    client.send(LATER);
    client.shared.begin_drain();
    client.send(GET.repeat(200));
    client.open_gate();
    let answers = client.answers();
    assert!(
        answers.len() < 200 && answers.last().unwrap().starts_with("200 close"),
        "{answers:?}"
    );
}

#[test]
fn a_shard_knows_when_its_last_connection_is_closed() {
    let mut client = Client::connect();
    let shared = client.shared.clone();
    let mut closed = pin!(shared.closed());
    let cx = &mut Context::from_waker(Waker::noop());
    assert_eq!(closed.as_mut().poll(cx), Poll::Pending);
    shared.begin_drain();
    client.pass(seconds(1));
    assert_eq!(closed.as_mut().poll(cx), Poll::Ready(()));
}
