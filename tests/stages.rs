//! Where the time of a request went: in its answer, in the metrics, and of slow requests in
//! a list and in the log.

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::{Admin, Answer, BALANCE, Members, PLACE_BET, Server, Setup, Wallet, eventually, text};
use serde_json::Value;

const STAGES: [&str; 7] = ["read", "parse", "queue", "apply", "commit", "hop", "write"];

/// Four players with money and a session each, and their keys.
fn start(shards: usize) -> (Server, Vec<(String, String)>) {
    let server = Setup {
        shards,
        ..Setup::default()
    }
    .start();
    let mut admin = Admin::of(&server);
    let players = (0..4).map(|number| {
        let id = format!("acme/p{number}");
        admin.account(&id, "100.00");
        let key = admin.session(&id);
        (id, key)
    });
    let players = players.collect();
    (server, players)
}

fn bet(id: &str, key: &str, transaction: &str) -> String {
    Members::booking(id, "GBP")
        .with("GameRoundID", &text("r-1"))
        .with("GameID", &text("g-1"))
        .with("GameRoundTransactionID", &text(transaction))
        .with("GatewaySessionToken", &text(key))
        .with("Amount", "0.01")
        .with("StartRound", "true")
        .with("EndRound", "true")
        .json()
}

/// Sends a request that asks for its stages; gives them in milliseconds, by name.
fn timed(wallet: &mut Wallet, path: &str, body: &str) -> BTreeMap<String, f64> {
    let asking = wallet
        .request(path)
        .field("X-Server-Timing", "1")
        .body(body);
    let sent_at = Instant::now();
    let answer = wallet.client.call(&asking);
    let all_ms = sent_at.elapsed().as_secs_f64() * 1e3;
    assert_eq!(answer.json()["ErrorCode"], 0, "{answer:?}");
    let stages = stages_of(&answer);
    let sum: f64 = stages.values().sum();
    assert!(0.0 < sum && sum <= all_ms, "{stages:?} of {all_ms} ms");
    stages
}

/// The field as W3C Server Timing has it: `name;dur=milliseconds`, in the order of a request.
fn stages_of(answer: &Answer) -> BTreeMap<String, f64> {
    let field = answer.field("Server-Timing").unwrap();
    let metrics: Vec<(&str, &str)> = field
        .split(", ")
        .map(|metric| metric.split_once(";dur=").unwrap())
        .collect();
    let names: Vec<&str> = metrics.iter().map(|metric| metric.0).collect();
    assert_eq!(names, STAGES, "{field}");
    metrics
        .into_iter()
        .map(|(name, ms)| (name.to_owned(), ms.parse().unwrap()))
        .collect()
}

#[test]
fn an_answer_has_the_stages_that_its_request_had() {
    let (server, players) = start(1);
    let mut wallet = Wallet::of("acme", &server);
    let (id, key) = &players[0];
    let read = timed(&mut wallet, BALANCE, &Members::balance(id).json());
    let booked = timed(&mut wallet, PLACE_BET, &bet(id, key, "t-1"));
    for stages in [&read, &booked] {
        assert!(stages["parse"] > 0.0 && stages["apply"] > 0.0, "{stages:?}");
        assert!(stages["queue"] == 0.0 && stages["hop"] == 0.0, "{stages:?}");
    }
    assert_eq!(read["commit"], 0.0, "a balance that rests on the disk");
    assert!(booked["commit"] > 0.0, "{booked:?}");
}

#[test]
fn with_several_shards_some_requests_hop_and_the_others_do_not() {
    let (server, players) = start(4);
    let mut hops = [false; 2];
    eventually("one request that hops and one that does not", || {
        let mut wallet = Wallet::of("acme", &server);
        for (id, _) in &players {
            let stages = timed(&mut wallet, BALANCE, &Members::balance(id).json());
            let hopped = stages["hop"] > 0.0;
            assert_eq!(hopped, stages["queue"] > 0.0, "{stages:?}");
            hops[usize::from(hopped)] = true;
        }
        (hops == [true; 2]).then_some(())
    });
}

#[test]
fn what_a_slow_client_takes_is_read() {
    const PAUSE: Duration = Duration::from_millis(100);
    let (server, players) = start(1);
    let mut wallet = Wallet::of("acme", &server);
    let body = Members::balance(&players[0].0).json();
    let asking = wallet
        .request(BALANCE)
        .field("X-Server-Timing", "1")
        .body(body);
    let bytes = asking.bytes();
    let (head, rest) = bytes.split_at(bytes.len() - 5);
    wallet.client.send(head);
    std::thread::sleep(PAUSE);
    wallet.client.send(rest);
    let stages = stages_of(&wallet.client.answer());
    // Half of it, in case the first part lay in the socket for a while.
    assert!(
        stages["read"] >= PAUSE.as_secs_f64() * 1e3 / 2.0,
        "{stages:?}"
    );
}

/// A histogram's samples of one kind, by stage, over all shards.
fn by_stage(admin: &mut Admin, of: &str) -> BTreeMap<String, f64> {
    let prefix = format!("purser_http_stage_duration_seconds_{of}{{");
    let mut found = BTreeMap::new();
    for (name, value) in admin.metrics() {
        if let Some(labels) = name.strip_prefix(&prefix) {
            let stage = labels.split("stage=\"").nth(1).unwrap();
            *found
                .entry(stage.trim_end_matches("\"}").to_owned())
                .or_default() += value;
        }
    }
    assert_eq!(found.len(), STAGES.len(), "{found:?}");
    found
}

#[test]
fn the_histograms_count_the_stages_that_requests_had() {
    let (server, players) = start(1);
    let mut admin = Admin::of(&server);
    let mut wallet = Wallet::of("acme", &server);
    let (id, key) = &players[0];
    for number in 0..10 {
        assert_eq!(wallet.balance(id)["ErrorCode"], 0);
        if number < 3 {
            let body = bet(id, key, &format!("t-{number}"));
            assert_eq!(wallet.post(PLACE_BET, body)["ErrorCode"], 0);
        }
        if number < 2 {
            assert_eq!(wallet.post(BALANCE, "{}")["ErrorCode"], -6);
        }
    }
    let counts = by_stage(&mut admin, "count");
    let had = STAGES.map(|stage| counts[stage]);
    // Two of fifteen were refused before anybody was asked, three had to wait for the disk.
    assert_eq!(had, [0.0, 15.0, 0.0, 13.0, 3.0, 0.0, 13.0], "{counts:?}");
    let stages: f64 = by_stage(&mut admin, "sum").values().sum();
    let requests = admin.metric_sum("purser_http_request_duration_seconds_sum");
    assert!(
        requests > 0.0 && (stages - requests).abs() < 1e-6,
        "{stages} {requests}"
    );
}

/// From now on every request is slow.
fn make_slow(server: &Server) {
    server.edit_config(|text| format!("slow_request = \"1ns\"\n{text}"));
    assert_eq!(server.reload(), "done");
}

fn slow_requests(server: &Server) -> Vec<Value> {
    let answer = Admin::of(server).get("/admin/v1/slow-requests");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["SlowRequests"].as_array().unwrap().clone()
}

#[test]
fn slow_requests_are_listed_newest_first() {
    let (server, players) = start(2);
    let mut wallet = Wallet::of("acme", &server);
    let (id, key) = &players[0];
    let list = "/admin/v1/slow-requests";
    assert_eq!(Admin::with_token(&server, "wrong").get(list).status, 401);
    make_slow(&server);
    let before = Admin::of(&server).metric_sum("purser_slow_requests_total");
    let sent = Members::balance(id).with("Sequence", &text("first"));
    wallet.post(BALANCE, sent.json());
    wallet.post(PLACE_BET, bet(id, key, "t-1"));
    let sent = Members::balance("acme/nobody").with("Sequence", &text("third \"€\""));
    wallet.post(BALANCE, sent.json());
    wallet.post(BALANCE, "{}");
    let listed = slow_requests(&server);
    let [broken, unknown, booked, read] = listed.first_chunk().unwrap();
    let told = |slow: &Value| {
        ["Op", "Sequence", "OperatorAccountID", "ErrorCode"].map(|member| slow[member].clone())
    };
    let expected = |op: &str, sequence: Value, account: Value, code: i32| {
        [op.into(), sequence, account, code.into()]
    };
    let null = Value::Null;
    assert_eq!(
        told(read),
        expected("balance", "first".into(), id.as_str().into(), 0)
    );
    assert_eq!(booked["Op"], "placebet");
    assert_eq!(
        told(unknown),
        expected("balance", "third \"€\"".into(), "acme/nobody".into(), -5)
    );
    assert_eq!(
        told(broken),
        expected("balance", null.clone(), null.clone(), -6)
    );
    assert_eq!(
        (&broken["OwnerShard"], &broken["Hopped"]),
        (&null, &false.into())
    );
    for slow in [read, booked, unknown] {
        assert_eq!(
            slow["Hopped"],
            slow["OwnerShard"] != slow["Shard"],
            "{slow}"
        );
        let spent: u64 = STAGES
            .iter()
            .map(|stage| slow["Stages"][stage].as_u64().unwrap())
            .sum();
        let took = slow["DurationMicros"].as_u64().unwrap();
        // Each stage is cut to whole microseconds.
        assert!(
            spent <= took && took < spent + STAGES.len() as u64,
            "{slow}"
        );
        assert!(slow["At"].as_str().unwrap().ends_with('Z'), "{slow}");
    }
    assert!(booked["Stages"]["commit"].as_u64().unwrap() > 0, "{booked}");
    let after = Admin::of(&server).metric_sum("purser_slow_requests_total");
    assert_eq!(after - before, 4.0);
}

#[test]
fn the_last_hundred_are_kept_and_a_few_a_second_are_logged() {
    let (server, players) = start(2);
    make_slow(&server);
    let begun = Instant::now();
    let mut wallets: Vec<Wallet> = (0..4).map(|_| Wallet::of("acme", &server)).collect();
    for number in 0..150 {
        let body = Members::balance(&players[number % 4].0).with("Sequence", &number.to_string());
        let answer = wallets[number % 4].post(BALANCE, body.json());
        assert_eq!(answer["ErrorCode"], 0, "{answer}");
    }
    for _ in 0..2 {
        let listed = slow_requests(&server);
        let sequences: Vec<&str> = listed
            .iter()
            .map(|slow| slow["Sequence"].as_str().unwrap())
            .collect();
        let expected: Vec<String> = (50..150).rev().map(|number| number.to_string()).collect();
        assert_eq!(sequences, expected);
    }
    let lines = || server.output().matches("a slow request").count();
    eventually("slow requests are logged", || (lines() > 0).then_some(()));
    let seconds = begun.elapsed().as_secs() as usize;
    assert!(
        lines() <= 2 * 5 * (seconds + 1),
        "{} in {seconds} s",
        lines()
    );
    let said = server.output();
    let line = said
        .lines()
        .find(|line| line.contains("a slow request"))
        .unwrap();
    assert!(line.contains(" INFO "), "{line}");
    for field in [
        "op=\"balance\" sequence=\"",
        "account=\"acme/p",
        "hopped=",
        "code=0",
        "took_us=",
        "commit_us=0",
        "unlogged_before=0",
    ] {
        assert!(line.contains(field), "{field} in {line}");
    }
}

#[test]
fn a_quick_request_is_in_no_list() {
    let (server, players) = start(1);
    server.edit_config(|text| format!("slow_request = \"1day\"\n{text}"));
    assert_eq!(server.reload(), "done");
    Wallet::of("acme", &server).balance(&players[0].0);
    let logged = server.output().matches("a slow request").count();
    assert!(slow_requests(&server).is_empty() && logged == 0);
    assert_eq!(
        Admin::of(&server).metric_sum("purser_slow_requests_total"),
        0.0
    );
}
