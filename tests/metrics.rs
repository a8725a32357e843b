//! Health and metrics, which need no token (operator.md section 4).

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::{Admin, Client, Play, Request, Server, Wallet, eventually};

#[test]
fn health_and_metrics_need_no_token() {
    let server = Server::start();
    for target in ["/healthz", "/readyz", "/metrics"] {
        let answer = Client::connect(server.admin).call(&Request::new("GET", target));
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert!(!answer.body.is_empty(), "{target}");
    }
}

#[test]
fn metrics_count_what_happens() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "1.00");
    admin.account("acme/p2", "1.00");
    let key = admin.session("acme/p1");
    admin.log_out(&key);
    let before = admin.metric_sum("purser_http_requests_total");
    let mut wallet = Wallet::of("acme", &server);
    for _ in 0..10 {
        assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
    }
    // Counters are published once a turn of the shard, so the last may be a turn late.
    eventually("ten more requests are counted", || {
        let now = admin.metric_sum("purser_http_requests_total");
        assert!(now <= before + 10.0, "{before} {now}");
        (now == before + 10.0).then_some(())
    });
    let answered = admin.metrics();
    let balances = r#"purser_http_requests_total{op="balance",outcome="0"}"#;
    assert!(
        answered.contains(&(balances.to_owned(), 10.0)),
        "{answered:?}"
    );
    eventually("sizes are published", || {
        let accounts = admin.metric_sum("purser_accounts");
        let sessions = admin.metric_sum("purser_sessions");
        ((accounts, sessions) == (2.0, 1.0)).then_some(())
    });
}

#[test]
fn every_metric_is_told_and_typed_once() {
    let server = Server::start();
    let answer = Admin::of(&server).get("/metrics");
    let kind = answer.field("Content-Type").unwrap();
    assert!(kind.starts_with("text/plain"), "{kind}");
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.ends_with('\n'));
    let mut typed: Vec<&str> = Vec::new();
    let mut samples: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
            assert!(!typed.contains(&name), "{name} twice");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(
                text.contains(&format!("# HELP {name} ")),
                "{name} has no help"
            );
            typed.push(name);
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            // A clock may be set backwards; nothing else here is ever below zero.
            assert!(value >= 0.0 || name == "purser_clock_set_seconds", "{line}");
            assert!(!samples.contains(&name), "{name} twice");
            let family = name.split('{').next().unwrap();
            let known = typed.iter().any(|typed| {
                let end = family.strip_prefix(typed);
                matches!(end, Some("" | "_bucket" | "_sum" | "_count"))
            });
            assert!(known, "{line} has no type before it");
            // Those of the process have names that every exporter gives them.
            let ours = family.starts_with("purser_") || family.starts_with("process_");
            assert!(ours, "{line}");
            samples.push(name);
        }
    }
    assert!(samples.len() > 5, "{text}");
}

/// The sum of the samples whose names with labels contain all of these words.
fn sum(samples: &[(String, f64)], words: &[&str]) -> f64 {
    let chosen = samples
        .iter()
        .filter(|(name, _)| words.iter().all(|word| name.contains(word)));
    chosen.map(|(_, value)| value).sum()
}

#[test]
fn memory_is_told_by_what_is_in_it_and_is_a_part_of_the_heap() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    let owned = |samples: &[(String, f64)], owner: &str| {
        let label = format!("owner=\"{owner}\"");
        sum(samples, &["purser_memory_bytes{", &label])
    };
    let mut play = Play::start(&server, "acme/p1", "10.00");
    let bet = play.bet("t1", "r1", "1");
    assert_eq!(play.told(&bet), "0 9.00+0.00 took 1.00+0.00");
    // A table that has one entry has its first chunk, of 4,096 (ledger/index.rs).
    let chunk = |entry_bytes: f64| 4_096.0 * entry_bytes;
    let samples = eventually("the bet is published", || {
        let samples = admin.metrics();
        let entries = [
            ("accounts", 96.0),
            ("sessions", 64.0),
            ("transactions", 32.0),
            ("rounds", 48.0),
        ];
        let all = entries
            .iter()
            .all(|(owner, entry_bytes)| owned(&samples, owner) >= chunk(*entry_bytes));
        (all && sum(&samples, &["purser_rounds_open"]) == 1.0).then_some(samples)
    });
    // Its read buffer, and the queues of both shards.
    assert!(owned(&samples, "buffers") > 100_000.0);
    // At least the block that frames are written from (wal-format.md).
    assert!(owned(&samples, "log") >= 4_096.0);
    let tables = sum(&samples, &["purser_memory_bytes{"]);
    let heap = sum(&samples, &["purser_heap_bytes{state=\"used\"}"]);
    assert!(tables < heap, "{tables} of {heap}");
    // Much more than that nobody holds in a server without players.
    assert!(heap < tables + 64e6, "{tables} of {heap}");
    // What a connection reads into has 4 KiB at least, and is counted while it is open.
    let idle = owned(&samples, "buffers");
    let more: Vec<Wallet> = (0..20)
        .map(|_| {
            let mut wallet = Wallet::of("acme", &server);
            assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
            wallet
        })
        .collect();
    eventually("the buffers of 20 connections are published", || {
        let now = owned(&admin.metrics(), "buffers");
        (now >= idle + 20.0 * 4_096.0).then_some(())
    });
    drop(more);
    eventually("they are gone with them", || {
        let now = owned(&admin.metrics(), "buffers");
        (now < idle + 4_096.0).then_some(())
    });
    let end = play.end("r1");
    assert_eq!(play.told(&end), "0 9.00+0.00");
    eventually("the round is closed", || {
        (admin.metric_sum("purser_rounds_open") == 0.0).then_some(())
    });
}

#[test]
fn batches_are_counted_with_their_postings() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    for player in 0..10 {
        admin.account(&format!("acme/p{player}"), "1.00");
    }
    // Both are counted before an answer leaves.
    let samples = admin.metrics();
    let count = |name: &str| sum(&samples, &[name]);
    assert_eq!(count("purser_commit_batch_postings_sum"), 20.0);
    assert_eq!(count("purser_postings_total"), 20.0);
    let batches = count("purser_commit_batches_total");
    assert_eq!(count("purser_commit_batch_postings_count"), batches);
    assert!((1.0..=20.0).contains(&batches));
}

#[test]
fn time_at_work_adds_up_and_is_less_than_time() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    let mut wallet = Wallet::of("acme", &server);
    admin.account("acme/p1", "1.00");
    let started = Instant::now();
    let first = admin.metric_sum("purser_executor_busy_seconds_total");
    let mut last = first;
    // Eight publications.
    while started.elapsed() < Duration::from_secs(2) {
        assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
        let now = admin.metric_sum("purser_executor_busy_seconds_total");
        assert!(now >= last, "{last} {now}");
        last = now;
    }
    let busy = last - first;
    assert!(busy > 0.0 && busy < 2.0 * started.elapsed().as_secs_f64());
}

#[test]
fn what_the_process_takes_is_what_the_system_says() {
    let started = Instant::now();
    let server = Server::start();
    let mut admin = Admin::of(&server);
    let process = format!("/proc/{}", server.process());
    let samples = eventually("the shards have worked", || {
        let samples = admin.metrics();
        (sum(&samples, &["purser_executor_busy_seconds_total"]) > 0.0).then_some(samples)
    });
    let busy = sum(&samples, &["purser_executor_busy_seconds_total"]);
    let lived = started.elapsed().as_secs_f64();
    assert!(busy <= 2.0 * lived, "{busy} s on two shards in {lived} s");
    let value = |name: &str| {
        let sample = samples.iter().find(|sample| sample.0 == name);
        sample.unwrap_or_else(|| panic!("no {name}")).1
    };
    let files = fs::read_dir(format!("{process}/fd")).unwrap().count();
    assert_eq!(value("process_open_fds"), files as f64);
    let threads = fs::read_dir(format!("{process}/task")).unwrap().count();
    assert_eq!(sum(&samples, &["purser_threads{"]), threads as f64);
    // The one that answers runs; shards without work wait for the network.
    assert!(value("purser_threads{state=\"runnable\"}") >= 1.0);
    let resident = value("process_resident_memory_bytes");
    assert!((1e6..1e10).contains(&resident), "{resident}");
    let cpu = value("process_cpu_seconds_total");
    assert!(cpu > 0.0 && cpu <= 64.0 * lived, "{cpu} s in {lived} s");
    let set = value("purser_clock_set_seconds");
    assert!(set.abs() < 0.1, "{set}");
    let disk = nix::sys::statvfs::statvfs(server.home.path()).unwrap();
    let free = (disk.blocks_available() * disk.fragment_size()) as f64;
    // Others write to this disk meanwhile.
    let told = value("purser_disk_free_bytes");
    assert!((told - free).abs() < 1e9, "{told} {free}");
}
