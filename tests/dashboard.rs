//! The dashboard as its browser meets it: the page's files, and the stream of figures.
//! What the page makes of them is in `dashboard_browser/`.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use common::{ADMIN_TOKEN, Admin, Client, PATIENCE, Request, Server, Setup, Wallet, eventually};
use nix::sys::signal::Signal;
use serde_json::Value;

/// As many as the server takes at once.
const STREAMS_MAX: usize = 16;

/// One stream of events that somebody reads.
struct Live(BufReader<TcpStream>);

impl Live {
    fn open(admin: SocketAddr) -> Self {
        Self::with_token(admin, ADMIN_TOKEN)
    }

    fn with_token(admin: SocketAddr, token: &str) -> Self {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = Request::new("GET", "/admin/v1/live")
            .field("Authorization", &format!("Bearer {token}"));
        stream.write_all(&request.bytes()).unwrap();
        Self(BufReader::new(stream))
    }

    /// The next line, without its end; `None` at the end of the connection.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.0.read_line(&mut line).unwrap();
        (length > 0).then(|| line.trim_end().to_owned())
    }

    fn status(&mut self) -> u16 {
        let line = self.line().unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The fields of the head, in lower case.
    fn head(&mut self) -> Vec<String> {
        assert_eq!(self.status(), 200);
        std::iter::from_fn(|| self.line().filter(|line| !line.is_empty()))
            .map(|line| line.to_lowercase())
            .collect()
    }

    /// The name and the data of the next event, or `None` when the stream has ended.
    fn event(&mut self) -> Option<(String, Value)> {
        let mut name = "message".to_owned();
        loop {
            // Lines of the chunked coding are neither.
            let line = self.line()?;
            if let Some(found) = line.strip_prefix("event: ") {
                found.clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(data).unwrap()));
            }
        }
    }

    fn metrics(&mut self) -> Value {
        let (name, data) = self.event().unwrap();
        assert_eq!(name, "message", "{data}");
        data["Metrics"].clone()
    }

    /// Asserts that the next event is the last one, and gives its reason.
    fn end(&mut self) -> String {
        loop {
            let (name, data) = self.event().expect("a last word");
            if name == "end" {
                assert!(self.event().is_none(), "nothing comes behind the end");
                return data["Reason"].as_str().unwrap().to_owned();
            }
        }
    }
}

fn sum(metrics: &Value, name: &str) -> f64 {
    let samples = metrics[name]["Samples"].as_array().unwrap();
    samples
        .iter()
        .map(|sample| sample["Value"].as_f64().unwrap())
        .sum()
}

#[test]
fn the_page_needs_no_token_and_its_policy_lets_it_do_little() {
    let server = Server::start();
    let mut client = Client::connect(server.admin);
    let page = client.call(&Request::new("GET", "/dashboard"));
    assert_eq!(page.status, 200);
    assert_eq!(page.field("Content-Type"), Some("text/html; charset=utf-8"));
    let html = String::from_utf8(page.body.clone()).unwrap();
    let mut answers = vec![("dashboard", page)];
    for (name, kind) in [
        ("style.css", "text/css; charset=utf-8"),
        ("main.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        assert!(html.contains(&format!("\"dashboard/{name}\"")), "{name}");
        let answer = client.call(&Request::new("GET", &format!("/dashboard/{name}")));
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(answer.field("Content-Type"), Some(kind));
        answers.push((name, answer));
    }
    for (name, answer) in answers {
        let policy = answer.field("Content-Security-Policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; "),
            "{name}: {policy}"
        );
        for directive in [
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ] {
            assert!(policy.contains(directive), "{name}: {policy}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{name}: {policy}"
        );
        assert_eq!(
            answer.field("X-Content-Type-Options"),
            Some("nosniff"),
            "{name}"
        );
        assert_eq!(
            answer.field("Referrer-Policy"),
            Some("no-referrer"),
            "{name}"
        );
    }
    for target in [
        "/dashboard/",
        "/dashboard/nothing.js",
        "/dashboard/..%2fmod.rs",
    ] {
        let answer = client.call(&Request::new("GET", target));
        assert_eq!(
            (answer.status, &answer.json()["Error"]),
            (404, &"not_found".into()),
            "{target}"
        );
    }
    let answer = client.call(&Request::new("POST", "/dashboard").body(""));
    assert_eq!(answer.status, 405);
}

#[test]
fn the_stream_needs_the_token() {
    let server = Server::start();
    for token in ["", "wrong", "adm1n-t0ken-of-the-test"] {
        let answer = Admin::with_token(&server, token).get("/admin/v1/live");
        assert_eq!(answer.status, 401, "{token:?}");
        assert_eq!(answer.json()["Error"], "unauthorized");
    }
}

#[test]
fn events_have_every_metric_and_counters_that_grow() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "1.00");
    let mut live = Live::open(server.admin);
    let head = live.head();
    for field in ["content-type: text/event-stream", "cache-control: no-store"] {
        assert!(head.iter().any(|found| found == field), "{field}: {head:?}");
    }
    let (_, first) = live.event().unwrap();
    let before = sum(&first["Metrics"], "purser_http_requests_total");
    let mut wallet = Wallet::of("acme", &server);
    for _ in 0..10 {
        assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
    }
    let last = eventually("ten requests more", || {
        let (_, event) = live.event().unwrap();
        let grown = sum(&event["Metrics"], "purser_http_requests_total") - before;
        (grown >= 10.0).then_some(event)
    });
    assert!(
        last["UptimeSeconds"].as_f64() > first["UptimeSeconds"].as_f64(),
        "{}",
        last["UptimeSeconds"]
    );
    let durations = &last["Metrics"]["purser_http_request_duration_seconds"];
    assert_eq!(durations["Kind"], "histogram");
    let observed: u64 = durations["Samples"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|sample| sample["Labels"]["op"] == "balance")
        .flat_map(|sample| sample["Counts"].as_array().unwrap())
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert_eq!(observed, 10);
    // What a scrape has, the stream has, under the same names and kinds.
    let scrape = String::from_utf8(admin.get("/metrics").body).unwrap();
    let mut families = 0;
    for line in scrape.lines() {
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            assert_eq!(last["Metrics"][name]["Kind"], kind, "{name}");
            families += 1;
        }
    }
    assert_eq!(last["Metrics"].as_object().unwrap().len(), families);
    assert_eq!(sum(&last["Metrics"], "purser_live_streams"), 1.0);
}

#[test]
fn events_come_about_once_a_second() {
    let server = Server::start();
    let mut live = Live::open(server.admin);
    live.event().unwrap();
    let start = Instant::now();
    for _ in 0..3 {
        live.event().unwrap();
    }
    let took = start.elapsed();
    assert!(took > Duration::from_millis(2_000), "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn there_are_so_many_streams_and_no_more() {
    let server = Server::start();
    let mut open: Vec<Live> = (0..STREAMS_MAX).map(|_| Live::open(server.admin)).collect();
    for live in &mut open {
        live.metrics();
    }
    let mut admin = Admin::of(&server);
    let answer = admin.get("/admin/v1/live");
    assert_eq!(
        (answer.status, answer.field("Retry-After")),
        (503, Some("5"))
    );
    assert_eq!(answer.json()["Error"], "overloaded");
    // Everything else goes on.
    assert_eq!(admin.get("/admin/v1/trial-balance").status, 200);
    open.pop();
    eventually("a place that was left is free", || {
        (Live::open(server.admin).status() == 200).then_some(())
    });
}

#[test]
fn a_drain_ends_streams_and_does_not_wait_for_them() {
    let server = Setup {
        shutdown_timeout: "60s",
        ..Setup::default()
    }
    .start();
    let mut live = Live::open(server.admin);
    live.metrics();
    // This one is never read.
    let _silent = Live::open(server.admin);
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(live.end(), "stopping");
    let ended = server.ended();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_token_that_is_replaced_ends_its_streams() {
    const OTHER: &str = "an0ther-t0ken";
    let server = Server::start();
    let mut old = Live::open(server.admin);
    old.metrics();
    server.edit_config(|text| text.replace(ADMIN_TOKEN, OTHER));
    server.signal(Signal::SIGHUP);
    assert_eq!(old.end(), "token");
    let mut rest = Vec::new();
    old.0.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
    assert_eq!(Live::open(server.admin).status(), 401);
    Live::with_token(server.admin, OTHER).metrics();
}
