//! More than there is room for: requests, connections of one client, open files. What is
//! refused is told so and nothing of it is booked; what is admitted is booked; and when
//! there is room again, everybody is served (issue 5, design.md section 4).

mod common;

use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use common::{
    Admin, Answer, Client, Members, REDEEM_TOKEN, Request, Server, Setup, Wallet,
    assert_transport_error, eventually, now_millis, token_at,
};
use nix::sys::signal::Signal;

/// Clients that all ask while the server cannot even look.
const CROWD: usize = 64;

/// A server of one shard, and tokens of one session that can be spent once each, all of
/// them in their lives.
fn one_shard(limits: &'static str) -> (Server, Admin, Vec<String>) {
    let setup = Setup {
        shards: 1,
        limits,
        ..Setup::default()
    };
    let server = setup.start();
    let mut admin = Admin::of(&server);
    admin.account("once/p1", "5.00");
    let key = admin.session("once/p1");
    let now = now_millis();
    let ago = |number: usize| now - 10 * i64::try_from(number).unwrap();
    let tokens = (0..CROWD).map(|number| token_at(&key, ago(number)));
    let tokens = tokens.collect();
    (server, admin, tokens)
}

/// Redeems every token on a connection of its own, all at the same moment: they are in
/// the server's sockets before it may run again.
fn redeem_at_once(server: &Server, tokens: &[String]) -> (Vec<Wallet>, Vec<Answer>) {
    let mut crowd: Vec<Wallet> = tokens.iter().map(|_| Wallet::of("once", server)).collect();
    for wallet in &mut crowd {
        // So that nothing is left to do but to read the request.
        assert_eq!(
            wallet.client.call(&Request::new("GET", "/healthz")).status,
            200
        );
    }
    server.signal(Signal::SIGSTOP);
    for (wallet, token) in crowd.iter_mut().zip(tokens) {
        let body = Members::redeem_token(token).json();
        let request = wallet.request(REDEEM_TOKEN).body(body);
        wallet.client.send(&request.bytes());
    }
    server.signal(Signal::SIGCONT);
    let answers = crowd
        .iter_mut()
        .map(|wallet| wallet.client.answer())
        .collect();
    (crowd, answers)
}

#[test]
fn what_is_refused_under_overload_is_not_booked_and_what_is_answered_is() {
    let (server, mut admin, tokens) = one_shard("max_in_flight = 1");
    let (mut crowd, answers) = redeem_at_once(&server, &tokens);

    let mut refused = 0.0;
    for ((wallet, token), answer) in crowd.iter_mut().zip(&tokens).zip(&answers) {
        // On its own connection: nobody lost it for being one too many.
        let again = || Members::redeem_token(token).json();
        match answer.status {
            200 => {
                assert_eq!(answer.json()["ErrorCode"], 0, "{answer:?}");
                let second = wallet.post(REDEEM_TOKEN, again());
                assert_eq!(second["ErrorCode"], -3, "booked, so spent: {second}");
            }
            503 => {
                assert_transport_error(answer, 503, "refused");
                assert_eq!(answer.field("Retry-After"), Some("1"), "{answer:?}");
                assert!(!answer.closes(), "{answer:?}");
                let second = wallet.post(REDEEM_TOKEN, again());
                assert_eq!(second["ErrorCode"], 0, "not booked, so unspent: {second}");
                refused += 1.0;
            }
            _ => panic!("{answer:?}"),
        }
    }
    // The first one fills the shard, and all the others are there before it is written.
    assert!(refused > 0.0, "nobody was refused");
    assert!(refused < CROWD as f64, "nobody was admitted");
    assert_eq!(
        admin.metric_sum("purser_http_requests_refused_total"),
        refused
    );
    eventually("nothing is in flight", || {
        (admin.metric_sum("purser_http_requests_in_flight") == 0.0).then_some(())
    });
}

/// Whoever is refused asks again at once, all of them together, again and again.
#[test]
fn a_crowd_that_asks_again_at_once_is_served_in_turn() {
    let (server, mut admin, tokens) = one_shard("max_in_flight = 1");
    let (mut crowd, answers) = redeem_at_once(&server, &tokens);
    let mut answers: Vec<_> = tokens.into_iter().zip(answers).collect();
    let mut refused = 0.0;
    let mut booked = 0;
    while !crowd.is_empty() {
        let mut again = Vec::new();
        for (wallet, (token, answer)) in crowd.into_iter().zip(answers) {
            if answer.status == 503 {
                refused += 1.0;
                again.push((wallet, token));
            } else {
                assert_eq!(answer.json()["ErrorCode"], 0, "{answer:?}");
                booked += 1;
            }
        }
        for (wallet, token) in &mut again {
            let body = Members::redeem_token(token).json();
            let request = wallet.request(REDEEM_TOKEN).body(body);
            wallet.client.send(&request.bytes());
        }
        answers = again
            .iter_mut()
            .map(|(wallet, token)| (token.clone(), wallet.client.answer()))
            .collect();
        crowd = again.into_iter().map(|(wallet, _)| wallet).collect();
    }
    assert_eq!(booked, CROWD);
    assert!(refused > 0.0, "nobody was refused");
    assert_eq!(
        admin.metric_sum("purser_http_requests_refused_total"),
        refused
    );
    assert_eq!(admin.metric_sum("purser_http_connections_queueing"), 0.0);
}

#[test]
fn within_the_limit_nobody_is_refused() {
    let (server, _, tokens) = one_shard("");
    let (_, answers) = redeem_at_once(&server, &tokens);
    for answer in answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["ErrorCode"], 0, "{answer:?}");
    }
}

#[test]
fn one_address_gets_no_more_connections_than_it_may_have() {
    let server = Setup {
        limits: "max_connections_per_client = 3",
        ..Setup::default()
    }
    .start();
    let health = Request::new("GET", "/healthz");
    let from = |last: u8| Client::connect_from(IpAddr::from([127, 0, 0, last]), server.wallet);
    let mut first: Vec<Client> = (0..3).map(|_| from(2)).collect();
    for client in &mut first {
        assert_eq!(client.call(&health).status, 200);
    }
    let mut fourth = from(2);
    let answer = fourth.answer();
    assert_transport_error(&answer, 503, "the fourth");
    assert!(
        answer.closes() && answer.field("Retry-After").is_some(),
        "{answer:?}"
    );
    fourth.assert_closed();
    // Others are none the worse, and neither are those that it has.
    assert_eq!(from(3).call(&health).status, 200);
    assert_eq!(first[0].call(&health).status, 200);
    first.pop();
    eventually("a seat is free again", || {
        let mut client = from(2);
        client.send(&health.bytes());
        client.try_answer().filter(|answer| answer.status == 200)
    });
}

/// Lowers how many files another process may have open.
fn limit_open_files(process: u32, most: u64) {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    let process = i32::try_from(process).unwrap();
    let old = std::ptr::null_mut();
    // SAFETY: `limit` outlives the call, and nothing is written through a null pointer.
    #[allow(unsafe_code)]
    let result = unsafe { libc::prlimit(process, libc::RLIMIT_NOFILE, &raw const limit, old) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

fn open_files(process: u32) -> u64 {
    let entries = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    entries.count() as u64
}

#[test]
fn without_open_files_those_who_are_there_are_served_and_the_others_wait() {
    const LATE: usize = 20;
    let server = Setup {
        shards: 1,
        ..Setup::default()
    }
    .start();
    let mut admin = Admin::of(&server);
    let health = Request::new("GET", "/healthz");
    let mut early: Vec<Client> = (0..5).map(|_| Client::connect(server.wallet)).collect();
    for client in &mut early {
        assert_eq!(client.call(&health).status, 200);
    }
    // All of these are accepted now, and not only in a queue of the kernel.
    assert_eq!(admin.metric_sum("purser_http_accept_errors_total"), 0.0);
    let process = server.process();
    let began = Instant::now();
    limit_open_files(process, open_files(process) + 3);
    let mut late: Vec<Client> = (0..LATE).map(|_| Client::connect(server.wallet)).collect();
    for client in &mut late {
        client.send(&health.bytes());
    }
    let errors = eventually("accepting fails", || {
        let errors = admin.metric_sum("purser_http_accept_errors_total");
        (errors > 0.0).then_some(errors)
    });
    for _ in 0..50 {
        for client in &mut early {
            assert_eq!(client.call(&health).status, 200);
        }
    }
    // It tries again every 50 ms and not all the time.
    thread::sleep(Duration::from_millis(200));
    let now = admin.metric_sum("purser_http_accept_errors_total");
    let tries_max = began.elapsed().as_millis() as f64 / 50.0 + 2.0;
    assert!(errors <= now && now <= tries_max, "{now} of {tries_max}");

    // Whoever leaves makes room for whoever waits; nobody who waits is forgotten.
    drop(early);
    for mut client in late {
        assert_eq!(client.answer().status, 200);
    }
}
