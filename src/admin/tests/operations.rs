//! Token, unknown paths and methods, metrics and health.

use super::client::{Response, send};
use super::{Fixture, TOKEN, shared};

fn ask_without_token(admin: &Fixture, method: &str, path: &str) -> Response {
    send(admin.addr, method, path, &[], b"")
}

#[test]
fn nothing_of_the_api_is_told_without_the_token() {
    let admin = shared();
    for (method, path) in [
        ("GET", "/admin/v1/accounts/acme/p"),
        ("PUT", "/admin/v1/accounts/acme/p"),
        ("POST", "/admin/v1/accounts/acme/p/deposits"),
        ("POST", "/admin/v1/accounts/acme/p/withdrawals"),
        ("POST", "/admin/v1/accounts/acme/p/bonuses"),
        ("PUT", "/admin/v1/accounts/acme/p/limits"),
        ("PUT", "/admin/v1/accounts/acme/p/status"),
        ("GET", "/admin/v1/trial-balance"),
        ("POST", "/admin/v1/accounts/acme/p/sessions"),
        ("GET", "/admin/v1/sessions/x"),
        ("DELETE", "/admin/v1/sessions/x"),
        ("POST", "/admin/v1/import"),
        ("GET", "/admin/v1/import"),
        ("GET", "/admin/v1/nothing"),
    ] {
        let path_of = |headers: &[(&str, &str)]| send(admin.addr, method, path, headers, b"");
        for answer in [
            path_of(&[]),
            path_of(&[("Authorization", "Bearer wrong")]),
            path_of(&[("Authorization", "Basic YWRtaW46YWRtaW4=")]),
            path_of(&[("Authorization", TOKEN)]),
        ] {
            answer.expect_error(401, "unauthorized", "Bearer");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
}

#[test]
fn what_does_not_exist_is_404_and_a_wrong_method_405() {
    let admin = shared();
    for path in [
        "/",
        "/admin",
        "/admin/v1",
        "/admin/v1/nothing",
        "/admin/v1/accounts/acme/p/transactions/",
        "/admin/v1/accounts/acme/p/status/",
        "/metrics/",
        "/v1.0/balance",
    ] {
        admin
            .ask("GET", path, "")
            .expect_error(404, "not_found", path);
    }
    for (method, path, allow) in [
        (
            "DELETE",
            "/admin/v1/accounts/acme/p",
            ["PUT", "GET"].as_slice(),
        ),
        ("GET", "/admin/v1/accounts/acme/p/deposits", &["POST"]),
        ("PUT", "/admin/v1/accounts/acme/p/withdrawals", &["POST"]),
        ("PUT", "/admin/v1/accounts/acme/p/bonuses", &["POST"]),
        ("GET", "/admin/v1/accounts/acme/p/limits", &["PUT"]),
        ("POST", "/admin/v1/accounts/acme/p/status", &["PUT"]),
        ("POST", "/admin/v1/accounts/acme/p/transactions", &["GET"]),
        ("POST", "/admin/v1/trial-balance", &["GET"]),
        ("PUT", "/admin/v1/accounts/acme/p/sessions", &["POST"]),
        ("POST", "/admin/v1/sessions/x", &["GET", "DELETE"]),
        ("GET", "/admin/v1/import", &["POST"]),
        ("POST", "/metrics", &["GET"]),
        ("POST", "/healthz", &["GET"]),
        ("DELETE", "/readyz", &["GET"]),
    ] {
        let answer = admin.ask(method, path, "");
        answer.expect_error(405, "method_not_allowed", method);
        let field = answer.header("allow").unwrap_or_default();
        for name in allow {
            assert!(
                field.split(',').any(|m| m.trim() == *name),
                "{path}: {field}"
            );
        }
    }
}

#[test]
fn metrics_are_prometheus_text_and_name_no_player() {
    let admin = shared();
    let account = "/admin/v1/accounts/acme/unmeasured";
    admin.ask("PUT", account, r#"{"CountryCode":"GB"}"#);
    let scrape = ask_without_token(admin, "GET", "/metrics");
    assert_eq!(scrape.status, 200);
    assert_eq!(
        scrape.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = scrape.text();
    assert!(!text.contains("unmeasured"));
    let mut names: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(about) = line.strip_prefix("# TYPE ") {
            let name = about.split(' ').next().unwrap();
            assert!(!names.contains(&name), "{name} is there twice");
            names.push(name);
        } else if !line.starts_with("# HELP ") {
            check_sample(line, names.last().unwrap());
        }
    }
    for sample in [
        "purser_build_info{version=\"0.1.0\"} 1",
        "purser_test_total 42",
        "purser_draining 0",
    ] {
        assert!(text.lines().any(|line| line == sample), "{sample}");
    }
    for name in [
        "process_start_time_seconds ",
        "purser_ready ",
        "purser_admin_answers_total{status=\"4xx\"} ",
        "purser_hops_total{shard=\"0\"} ",
        "purser_mailbox_depth{shard=\"1\"} ",
        "purser_postings_total{shard=\"1\"} ",
        "purser_durable_lag_postings{shard=\"1\"} ",
        "purser_accounts{shard=\"0\"} ",
        "purser_commit_duration_seconds_bucket{shard=\"1\",le=\"+Inf\"} ",
        "purser_commit_duration_seconds_sum{shard=\"0\"} ",
        "purser_commit_duration_seconds_count{shard=\"0\"} ",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}");
    }
}

/// A sample is `name value` or `name{label="value",…} value`, of the metric above it.
fn check_sample(line: &str, metric: &str) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    assert!(value.parse::<f64>().is_ok(), "{line}");
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
    };
    let suffix = name.strip_prefix(metric);
    assert!(
        matches!(suffix, Some("" | "_bucket" | "_sum" | "_count")),
        "{line} stands below {metric}"
    );
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (name, value) = label.split_once('=').unwrap();
        assert!(
            matches!(name, "shard" | "le" | "version" | "status"),
            "{line}"
        );
        assert!(
            value.len() >= 3 && value.starts_with('"') && value.ends_with('"'),
            "{line}"
        );
    }
}

#[test]
fn answers_are_counted_by_status() {
    let admin = Fixture::start();
    for path in ["/healthz", "/nothing", "/readyz", "/admin/v1/import"] {
        ask_without_token(&admin, "GET", path);
    }
    let scrape = ask_without_token(&admin, "GET", "/metrics");
    for line in [
        "purser_admin_answers_total{status=\"2xx\"} 1",
        "purser_admin_answers_total{status=\"4xx\"} 2",
        "purser_admin_answers_total{status=\"5xx\"} 1",
        "purser_admin_unavailable_total 1",
    ] {
        assert!(scrape.text().lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn scrapes_may_overlap() {
    let admin = shared();
    std::thread::scope(|scope| {
        let scrapers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| ask_without_token(admin, "GET", "/metrics").status))
            .collect();
        for scraper in scrapers {
            assert_eq!(scraper.join().unwrap(), 200);
        }
    });
}
