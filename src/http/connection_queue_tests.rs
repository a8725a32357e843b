//! Connections that ask again of a shard that is full: what is read, when, and in which
//! order.

use std::rc::Rc;

use super::super::limits::{ANSWERS_PER_REFUSAL, QUEUE_TIME_MAX, SWEEP_INTERVAL};
use super::super::testing::{Client, shared};
use super::super::{HttpShared, Limits};

const REFUSED: &str = "503 - Too many requests are in flight; nothing was done";
const PROBE: &str = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";

fn post(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
}

/// A shard with room for one request, and the client whose request takes it.
fn full() -> (Rc<HttpShared>, Client) {
    let shared = shared(Limits {
        max_in_flight: 1,
        ..Limits::default()
    });
    let mut first = Client::connect_to(&shared);
    first.send(post("/later"));
    (shared, first)
}

/// So many clients that were refused once and have sent what names them.
fn queueing(shared: &Rc<HttpShared>, count: usize) -> Vec<Client> {
    let clients = (0..count).map(|number| {
        let mut client = Client::connect_to(shared);
        client.send(post("/a"));
        assert_eq!(client.answers(), [REFUSED], "client {number}");
        client.send(post(&format!("/{number}")));
        client
    });
    let clients = clients.collect();
    assert_queueing(shared, count);
    clients
}

fn assert_queueing(shared: &HttpShared, count: usize) {
    assert_eq!(shared.metrics.connections_queueing.get(), count as u64);
}

#[test]
fn whoever_was_refused_is_read_again_when_an_answer_makes_room() {
    let (shared, mut first) = full();
    let mut clients = queueing(&shared, 3);
    let mut refused = shared.metrics.requests_refused_full.get();
    assert_eq!(refused, 3);
    for client in &mut clients {
        assert_eq!(client.line.borrow().reads, 1, "the second one is not read");
        client.run();
        assert_eq!(client.answers(), [""; 0]);
    }
    first.open_gate();
    // Each one's answer calls the next.
    for (number, client) in clients.iter_mut().enumerate() {
        client.run();
        assert_eq!(client.answers(), [format!("200 - 1 Post /{number} x")]);
    }
    refused -= shared.metrics.requests_refused_full.get();
    assert_eq!(refused, 0);
    assert_queueing(&shared, 0);
}

#[test]
fn whoever_was_answered_queues_behind_those_who_were_not() {
    let (shared, mut first) = full();
    let mut clients = queueing(&shared, 2);
    first.open_gate();
    first.send(post("/again"));
    assert_eq!(first.answers(), ["200 - 1 Post /later x"]);
    for client in clients.iter_mut().chain([&mut first]) {
        assert_eq!(client.answers(), [""; 0]);
        client.run();
        assert_eq!(client.answers().len(), 1);
    }
}

#[test]
fn once_refusals_are_paid_for_nobody_queues() {
    let (shared, mut first) = full();
    let mut second = Client::connect_to(&shared);
    second.send(post("/a"));
    assert_eq!(second.answers(), [REFUSED]);
    first.open_gate();
    for _ in 1..ANSWERS_PER_REFUSAL {
        first.send(post("/a"));
    }
    first.answers();
    let mut third = Client::connect_to(&shared);
    third.send(post("/later"));
    second.send(post("/a"));
    assert_eq!(second.answers(), [REFUSED]);
    assert_queueing(&shared, 0);
}

#[test]
fn nobody_queues_for_longer_than_is_said() {
    let (shared, _first) = full();
    let mut clients = queueing(&shared, 2);
    clients[0].pass(QUEUE_TIME_MAX);
    clients[1].run();
    assert_eq!(clients[0].answers(), [""; 0]);
    clients[0].pass(2 * SWEEP_INTERVAL);
    assert_eq!(clients[0].answers(), [REFUSED]);
    clients[1].run();
    assert_eq!(clients[1].answers(), [REFUSED]);
    // Both may queue again, and those who left before are not counted twice.
    for client in &mut clients {
        client.send(post("/a"));
    }
    assert_queueing(&shared, 2);
}

#[test]
fn a_drain_waits_for_nobody_who_queues() {
    let (shared, _first) = full();
    let mut clients = queueing(&shared, 2);
    shared.begin_drain();
    for client in &mut clients {
        client.run();
        assert_eq!(client.answers(), [REFUSED.replace('-', "close")]);
    }
}

#[test]
fn who_asks_how_the_server_is_never_queues() {
    let (shared, _first) = full();
    let mut probe = Client::connect_to(&shared);
    probe.send(PROBE);
    assert_eq!(probe.answers(), ["200 - 1 Get /health "]);
    queueing(&shared, 1);
    probe.send(PROBE);
    assert_eq!(probe.answers(), ["200 - 2 Get /health "]);
}

#[test]
fn who_has_nothing_to_ask_takes_no_place() {
    let (shared, mut first) = full();
    let mut silent = Client::connect_to(&shared);
    silent.send(post("/a"));
    assert_eq!(silent.answers(), [REFUSED]);
    assert_queueing(&shared, 0);
    let mut clients = queueing(&shared, 1);
    first.open_gate();
    clients[0].run();
    assert_eq!(clients[0].answers(), ["200 - 1 Post /0 x"]);
}

#[test]
fn a_client_that_goes_while_it_queues_keeps_no_place() {
    let (shared, mut first) = full();
    let mut clients = queueing(&shared, 2);
    let gone = &mut clients[0];
    gone.end();
    first.open_gate();
    // It was called; what it had sent is answered. That it went is seen when it is called
    // once more, by the other's answer.
    gone.run();
    assert_eq!(gone.answers(), ["200 - 1 Post /0 x"]);
    clients[1].run();
    assert_eq!(clients[1].answers(), ["200 - 1 Post /1 x"]);
    clients[0].run();
    assert!(clients[0].is_closed());
}

#[test]
fn a_place_that_was_called_for_and_not_taken_is_called_for_again() {
    let (shared, mut first) = full();
    let mut clients = queueing(&shared, 2);
    first.open_gate();
    clients.remove(0);
    // No answer comes any more, so the sweep does it.
    clients[0].pass(SWEEP_INTERVAL);
    assert_eq!(clients[0].answers(), ["200 - 1 Post /1 x"]);
}

#[test]
fn whom_the_service_told_to_come_later_is_read_after_the_next_sweep() {
    let mut client = Client::connect();
    client.send(post("/busy"));
    assert_eq!(client.answers(), ["503 - 1 Post /busy x"]);
    client.send(post("/a"));
    assert_eq!(client.answers(), [""; 0]);
    client.pass(SWEEP_INTERVAL);
    assert_eq!(client.answers(), ["200 - 2 Post /a x"]);
    client.send(post("/a"));
    assert_eq!(client.answers(), ["200 - 3 Post /a x"]);
}
