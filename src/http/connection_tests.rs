//! Connections as facts: what a client sends, and what it gets.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::limits::Limits;
use super::super::testing::{Client, shared};

/// A POST with a body.
pub(super) fn post(path: &str, body: &str) -> String {
    post_with(path, "", body)
}

/// A POST with more field lines.
pub(super) fn post_with(path: &str, fields: &str, body: &str) -> String {
    let len = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {len}\r\n\r\n{body}")
}

/// The head of a POST, without the body that it announces.
pub(super) fn head_of(path: &str, fields: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

pub(super) const GET: &str = "GET /g HTTP/1.1\r\nHost: a\r\n\r\n";

/// One piece is sent; these are the answers, and this is what becomes of the connection.
#[track_caller]
pub(super) fn check(request: &str, answers: &[&str], is_shut: bool) {
    let mut client = Client::connect();
    client.send(request);
    assert_eq!(client.answers(), answers, "{request:?}");
    assert_eq!(client.line.borrow().is_shut, is_shut, "{request:?}");
}

#[test]
fn a_request_costs_one_read_and_one_write() {
    let mut client = Client::connect();
    for count in 1..=5 {
        let polls = client.polls;
        client.send(post("/a", "x"));
        assert_eq!(client.answers(), [format!("200 - {count} Post /a x")]);
        assert_eq!(client.line.borrow().reads, count);
        assert_eq!(client.line.borrow().writes, count);
        assert_eq!(client.polls, polls + 1);
    }
    assert_eq!(client.shared.metrics.requests.get(), 5);
}

#[test]
fn pipelined_requests_are_answered_in_order_in_one_write() {
    let mut client = Client::connect();
    client.send(format!(
        "{}{GET}{}{GET}",
        post("/a", "x"),
        post("/missing", "y")
    ));
    assert_eq!(
        client.answers(),
        [
            "200 - 1 Post /a x",
            "200 - 2 Get /g ",
            "404 - refused",
            "200 - 3 Get /g "
        ]
    );
    assert_eq!(client.line.borrow().writes, 1);
}

#[test]
fn many_answers_leave_before_they_pile_up() {
    let mut client = Client::connect();
    client.service.padding.set(1_000);
    client.send(GET.repeat(40));
    assert_eq!(client.answers().len(), 40);
    let writes = client.line.borrow().writes;
    assert!((3..=5).contains(&writes), "{writes} writes for 48 KB");
}

#[test]
fn a_client_that_never_stops_gives_way() {
    let check = |request: &str, turns: std::ops::RangeInclusive<usize>| {
        let mut client = Client::connect();
        client.open_gate();
        client.send(request.repeat(640));
        assert_eq!(client.answers().len(), 640);
        let gave_way = client.line.borrow().gave_way;
        assert!(turns.contains(&gave_way), "{request}: {gave_way} turns");
    };
    check(GET, 9..=10);
    check(&post("/missing", "x"), 9..=10);
    // Whoever waits for each answer has the shard work for him meanwhile.
    check(&post("/yielding", ""), 79..=80);
}

#[test]
fn a_client_that_waits_for_its_answers_need_not_give_way() {
    let mut client = Client::connect();
    for _ in 0..640 {
        client.send(GET);
    }
    assert_eq!(client.answers().len(), 640);
    assert_eq!(client.line.borrow().gave_way, 0);
}

#[test]
fn a_request_too_many_hears_503_before_its_body_is_looked_at() {
    let shared = shared(Limits {
        max_in_flight: 2,
        ..Limits::default()
    });
    let mut waiting: Vec<Client> = (0..2).map(|_| Client::connect_to(&shared)).collect();
    for client in &mut waiting {
        client.send(post("/later", ""));
    }
    assert_eq!(shared.metrics.requests_in_flight.get(), 2);

    let refused = "503 - Too many requests are in flight; nothing was done";
    let mut client = Client::connect_to(&shared);
    client.send(format!("{}{GET}", post("/a", "never seen")));
    let text = client.received();
    assert_eq!(text.matches("\r\nRetry-After: 1\r\n").count(), 2, "{text}");
    let mut client = Client::connect_to(&shared);
    client.send(post_with("/a", "Connection: close\r\n", "x"));
    assert_eq!(client.answers(), [refused.replace('-', "close")]);
    // A slow body waits for its client, not for us: it takes no place and needs none.
    let mut slow = Client::connect_to(&shared);
    slow.send(head_of("/a", "Content-Length: 2\r\n") + "x");
    assert_eq!(shared.metrics.requests_in_flight.get(), 2);
    // What asks how the server is hears it.
    let mut probe = Client::connect_to(&shared);
    probe.send(GET.replace("/g", "/health"));
    assert_eq!(probe.answers(), ["200 - 1 Get /health "]);
    assert_eq!(shared.metrics.requests_refused_full.get(), 3);
    assert_eq!(shared.metrics.requests.get(), 3);

    waiting[0].open_gate();
    assert_eq!(waiting[0].answers(), ["200 - 1 Post /later "]);
    slow.send("y");
    assert_eq!(slow.answers(), ["200 - 1 Post /a xy"]);
    waiting[1].open_gate();
    assert_eq!(shared.metrics.requests_in_flight.get(), 0);
}

#[test]
fn a_request_whose_connection_is_cut_is_in_flight_no_more() {
    let mut client = Client::connect();
    client.send(post("/later", ""));
    let metrics = client.shared.metrics.clone();
    assert_eq!(metrics.requests_in_flight.get(), 1);
    drop(client);
    assert_eq!(metrics.requests_in_flight.get(), 0);
}

#[test]
fn earlier_answers_do_not_wait_for_a_slow_one() {
    let mut client = Client::connect();
    client.send(format!("{GET}{}{GET}", post("/later", "")));
    assert_eq!(client.answers(), ["200 - 1 Get /g "]);
    client.open_gate();
    assert_eq!(
        client.answers(),
        ["200 - 2 Post /later ", "200 - 3 Get /g "]
    );
}

#[test]
fn a_slow_call_goes_on_while_the_client_does_not_read() {
    let mut client = Client::connect();
    client.take(Some(10));
    client.send(format!("{GET}{}", post("/later", "")));
    client.open_gate();
    client.take(None);
    assert_eq!(
        client.answers(),
        ["200 - 1 Get /g ", "200 - 2 Post /later "]
    );
}

#[test]
fn head_has_the_fields_of_get_and_no_body() {
    let mut client = Client::connect();
    client.send(format!("{}{GET}", GET.replace("GET", "HEAD")));
    let text = client.received();
    assert!(
        text.contains("Content-Length: 10\r\n\r\nHTTP/1.1 200"),
        "{text}"
    );
    assert!(text.ends_with("\r\n\r\n2 Get /g "), "{text}");
    for head in [
        "HEAD /missing HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD / HTTP/1.1\r\n\r\n",
        "HEAD /# HTTP/1.1\r\n",
    ] {
        let mut client = Client::connect();
        client.send(head);
        let text = client.received();
        assert!(
            text.starts_with("HTTP/1.1 40") && text.ends_with("\r\n\r\n"),
            "{head:?}: {text}"
        );
    }
}

#[test]
fn connections_close_when_they_are_asked_to() {
    let close = "Connection: close\r\n";
    check(
        &format!("{}{GET}", post_with("/a", close, "x")),
        &["200 close 1 Post /a x"],
        true,
    );
    check(
        &format!("{}{GET}", post_with("/missing", close, "x")),
        &["404 close refused"],
        true,
    );
    check("GET /a HTTP/1.0\r\n\r\n", &["200 close 1 Get /a "], true);
    check(
        "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        &["200 keep-alive 1 Get /a "],
        false,
    );
    let upgrade = "Connection: upgrade\r\nUpgrade: h2c\r\n";
    check(
        &post_with("/a", upgrade, "x"),
        &["200 - 1 Post /a x"],
        false,
    );
}

#[test]
fn framing_in_doubt_gets_one_answer_and_closes() {
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n".to_owned(), "400"),
        ("\u{16}\u{3}\u{1}".to_owned(), "400"),
        (
            head_of("/", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
            "400",
        ),
        (head_of("/", "Transfer-Encoding: gzip\r\n"), "501"),
        (
            head_of("/", "Transfer-Encoding: chunked\r\n") + "5x\r\n",
            "400",
        ),
        (head_of("/", "Content-Length: 65537\r\n"), "413"),
        (
            head_of("/", "Transfer-Encoding: chunked\r\n") + "10001\r\n",
            "413",
        ),
        (format!("GET /{}", "a".repeat(9_000)), "414"),
        (
            head_of("/", &format!("X: {}\r\n", "a".repeat(17_000))),
            "431",
        ),
        ("GET / HTTP/3.0\r\n".to_owned(), "505"),
    ] {
        let mut client = Client::connect();
        client.send(format!("{GET}{request}"));
        client.send(GET);
        let answers = client.answers();
        assert_eq!(answers.len(), 2, "{answers:?}");
        assert!(
            answers[1].starts_with(&format!("{status} close ")),
            "{answers:?}"
        );
        assert!(client.line.borrow().is_shut && !client.is_closed());
        client.end();
        assert!(client.is_closed());
        let counted = client
            .shared
            .metrics
            .rejections
            .iter()
            .filter(|&(_, count)| count > 0);
        assert_eq!(counted.collect::<Vec<_>>(), [(status.parse().unwrap(), 1)]);
    }
}

#[test]
fn a_405_names_what_is_allowed() {
    let mut client = Client::connect();
    client.send(post("/read", ""));
    assert!(client.received().contains("\r\nAllow: GET\r\n"));
}

#[test]
fn a_half_close_cancels_nothing_that_was_complete() {
    let mut client = Client::connect();
    client.send(format!("{}{GET}", post("/later", "x")));
    client.end();
    client.open_gate();
    assert_eq!(
        client.answers(),
        ["200 - 1 Post /later x", "200 - 2 Get /g "]
    );
    assert!(client.is_closed());
}

#[test]
fn what_ends_in_the_middle_is_refused() {
    for (request, answers) in [
        ("", &[][..]),
        ("\r\n", &[]),
        ("GET / HT", &["400 close Request head: ended in the middle"]),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx",
            &["400 close Body: ended in the middle"],
        ),
    ] {
        let mut client = Client::connect();
        client.send(request);
        client.end();
        assert_eq!(client.answers(), answers, "{request:?}");
        assert!(client.is_closed(), "{request:?}");
    }
}

#[test]
fn a_connection_without_a_seat_hears_503() {
    let shared = shared(Limits::default());
    let mut client = Client::connect_refused(&shared);
    let text = client.received();
    assert!(
        text.starts_with("HTTP/1.1 503 ") && text.contains("\r\nRetry-After: 1\r\n"),
        "{text}"
    );
    assert!(text.contains("\r\nConnection: close\r\n") && client.line.borrow().is_shut);
    client.send(GET);
    client.end();
    assert!(client.is_closed() && client.received().is_empty());
}

#[test]
fn a_request_that_asks_is_told_how_long_it_took() {
    let mut client = Client::connect();
    let asking = post_with("/a", "X-Server-Timing: 1\r\n", "body");
    client.send(&asking);
    let told = client.received();
    assert!(
        told.contains("\r\nServer-Timing: read;dur=0.0000, parse;dur="),
        "{told}"
    );
    client.send(post_with("/a", "", "body"));
    let told = client.received();
    assert!(!told.contains("Server-Timing"), "{told}");
}

/// What the client takes to send is its own time, and what it waits before is nobody's.
#[test]
fn reading_lasts_from_the_first_byte_to_the_last() {
    const PAUSE: Duration = Duration::from_millis(20);
    let mut client = Client::connect();
    let asking = post_with("/a", "X-Server-Timing: 1\r\n", "body");
    let in_body = asking.len() - 2;
    for cut in [1, 30, in_body] {
        std::thread::sleep(5 * PAUSE);
        let begun = Instant::now();
        client.send(&asking[..cut]);
        std::thread::sleep(PAUSE);
        client.send(&asking[cut..]);
        let most = begun.elapsed();
        let told = client.received();
        let (_, times) = told.split_once("read;dur=").unwrap();
        let (ms, _) = times.split_once(',').unwrap();
        let read = Duration::from_secs_f64(ms.parse::<f64>().unwrap() / 1e3);
        assert!(
            PAUSE <= read && read <= most,
            "{read:?} of {most:?} at {cut}: {told}"
        );
    }
}

#[test]
fn counters_follow_a_connection() {
    let shared = shared(Limits::default());
    let mut client = Client::connect_to(&shared);
    assert_eq!(shared.metrics.connections_open.get(), 1);
    client.send(GET);
    let received = client.received().len() as u64;
    assert_eq!(shared.metrics.bytes_in.get(), GET.len() as u64);
    assert_eq!(shared.metrics.bytes_out.get(), received);
    client.end();
    assert_eq!(
        (shared.metrics.connections_open.get(), shared.connections()),
        (0, 0)
    );
}

/// Everything that a well-behaved connection may carry, ending with what closes it.
fn stream_of_requests() -> String {
    [
        post("/a", "x"),
        "\r\n".to_owned() + GET,
        post("/missing", "not found"),
        head_of("/b", "Transfer-Encoding: chunked\r\n")
            + "3;e=\"f\"\r\nabc\r\n1\r\nd\r\n0\r\nT: u\r\n\r\n",
        "BREW /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxx".to_owned(),
        post("/%61", &"y".repeat(300)),
        "GET /k HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned(),
        post("/read", ""),
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n".to_owned(),
        GET.to_owned(),
    ]
    .concat()
}

fn answers_to_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut client = Client::connect();
    for piece in pieces {
        client.send(piece);
    }
    client.pass(Duration::from_secs(5));
    assert!(client.is_closed());
    client.answers()
}

#[test]
fn a_stream_of_requests_cut_anywhere_gets_the_same_answers() {
    let text = stream_of_requests();
    let whole = answers_to_pieces([text.as_bytes()]);
    assert_eq!(whole.len(), 9, "{whole:#?}");
    assert_eq!(answers_to_pieces(text.as_bytes().chunks(1)), whole);
    for cut in 1..text.len() {
        let (front, back) = text.as_bytes().split_at(cut);
        assert_eq!(answers_to_pieces([front, back]), whole, "cut at {cut}");
    }
}

proptest! {
    #[test]
    fn a_stream_of_requests_in_any_pieces_gets_the_same_answers(
        sizes in proptest::collection::vec(1_usize..200, 1..100),
    ) {
        let text = stream_of_requests();
        let mut rest = text.as_bytes();
        let mut pieces = Vec::new();
        for size in sizes.iter().cycle() {
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(answers_to_pieces(pieces), answers_to_pieces([text.as_bytes()]));
    }
}
