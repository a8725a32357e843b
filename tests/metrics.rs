//! Health and metrics, which need no token (operator.md section 4).

mod common;

use common::{Admin, Client, Request, Server, Wallet};

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
    common::eventually("ten more requests are counted", || {
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
    common::eventually("sizes are published", || {
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
            assert!(value >= 0.0, "{line}");
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
