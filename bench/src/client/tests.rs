//! The client against the floor and against scripted servers.

use std::net::TcpListener;

use super::*;
use crate::floor::Floor;
use crate::request::DemoAccount;

fn requests() -> Vec<Request> {
    let account = DemoAccount {
        operator_account_id: "demo/player-1".to_owned(),
        session_key: "aaf3ffff-ffff-8fff-bfff-ffffffffffff".to_owned(),
    };
    let now_ms = 1_795_000_000_000;
    vec![
        Request::balance(&account, now_ms).unwrap(),
        Request::redeem(&account, now_ms).unwrap(),
    ]
}

fn floor_target() -> Target {
    let mut floor = Floor::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = floor.address().unwrap();
    std::thread::spawn(move || floor.serve());
    Target {
        address,
        requests: requests(),
    }
}

/// A server of one connection that answers its n-th read with the n-th text.
fn scripted(answers: &'static [&'static str]) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        for answer in answers {
            let _ = stream.read(&mut [0; 4096]).unwrap();
            for piece in answer.as_bytes().chunks(20) {
                stream.write_all(piece).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        // Taken from the socket, so that closing it is an end and not a reset.
        let _ = stream.read(&mut [0; 4096]);
    });
    Target {
        address,
        requests: requests(),
    }
}

fn load(connections: usize, pace: Pace) -> Load {
    Load {
        connections,
        warmup: Duration::from_millis(20),
        window: Duration::from_millis(200),
        pace,
    }
}

fn no_server_cpu() -> anyhow::Result<Duration> {
    Ok(Duration::ZERO)
}

#[test]
fn a_closed_run_keeps_every_connection_busy_over_all_targets() {
    let targets = vec![floor_target(), floor_target()];
    let sample = run(targets, &load(5, Pace::Closed), &no_server_cpu).unwrap();
    assert!(sample.latency_ns.count() > 100);
    assert_eq!((sample.failures, sample.failure_first), (0, None));
    assert!(sample.elapsed >= Duration::from_millis(200));
    assert!(sample.client_cpu > Duration::ZERO);
    assert!(sample.answer_bytes > 200);
}

#[test]
fn an_open_run_sends_what_was_due_in_its_window() {
    let pace = Pace::Open {
        requests_per_s: 1_000.0,
    };
    let sample = run(vec![floor_target()], &load(4, pace), &no_server_cpu).unwrap();
    // 200 ms at 1,000 a second; the ends of the window fall between two of them.
    assert!((199..=201).contains(&sample.latency_ns.count()));
    assert!(sample.late_ns.count() <= sample.latency_ns.count());
}

#[test]
fn an_open_run_counts_a_stall_against_every_request_it_delayed() {
    // One connection, 100 requests a second, and a server that needs 20 ms each:
    // the last of 20 requests waits for all before it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while stream.read(&mut [0; 4096]).unwrap() > 0 {
            std::thread::sleep(Duration::from_millis(20));
            stream.write_all(OK.as_bytes()).unwrap();
        }
    });
    let target = Target {
        address,
        requests: requests(),
    };
    let pace = Pace::Open {
        requests_per_s: 100.0,
    };
    let sample = run(vec![target], &load(1, pace), &no_server_cpu).unwrap();
    assert!(sample.latency_ns.count() >= 19);
    assert!(sample.latency_ns.max() > 150_000_000);
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"ErrorCode\":0}";

#[test]
fn a_refusal_is_counted_and_shown() {
    let target = scripted(&[
        OK,
        "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"ErrorCode\":-6}",
        OK,
    ]);
    // The script ends after three answers; the run then ends with the connection.
    let mut client = Client::connect(vec![target], 1).unwrap();
    let end = Instant::now() + Duration::from_secs(5);
    let error = client.run_closed(end, &mut |_, _| Ok(())).unwrap_err();
    assert!(error.to_string().contains("closed"), "{error}");
    assert_eq!(client.failures, 1);
    assert!(client.failure_first.unwrap().contains("\"ErrorCode\":-6"));
}

#[test]
fn answers_that_nobody_asked_for_end_the_run() {
    let check = |answer: &'static [&'static str], expect: &str| {
        let error = run(
            vec![scripted(answer)],
            &load(1, Pace::Closed),
            &no_server_cpu,
        )
        .unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains(expect), "{text}");
    };
    check(
        &["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore"],
        "behind an answer",
    );
    check(&["220 ready\r\n"], "no HTTP/1.1 status line");
}
