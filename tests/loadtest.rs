//! The load generator against the server: real processes, a second or two of load.
//!
//! `loadtest` shares no code with the server and is a package of its own, so its binary is
//! built here by cargo, into the directory where the server's binary is; after a build of
//! the whole workspace that is a glance at file times.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use common::{Client, Request, Server, eventually};
use nix::sys::signal::Signal;
use serde_json::Value;

/// The generator, built once for all tests of this file.
fn generator() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let profile_dir = Path::new(env!("CARGO_BIN_EXE_purser")).parent().unwrap();
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--offline", "--locked", "--package", "loadtest"])
            .arg("--target-dir")
            .arg(profile_dir.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        if profile_dir.ends_with("release") {
            build.arg("--release");
        }
        let built = build.output().unwrap();
        assert!(built.status.success(), "{built:?}");
        profile_dir.join("loadtest")
    })
}

/// A run against the server's demo players, its result in `result.json` of their directory.
fn load(server: &Server, more: &[&str]) -> Output {
    let mut run = Command::new(generator());
    run.args(["run", "--quiet", "--json", "result.json"])
        .args(["--url", &format!("http://{}", server.wallet)])
        .args(["--admin-url", &format!("http://{}", server.admin)])
        .args(more)
        .current_dir(server.home.path());
    run.output().unwrap()
}

fn result(server: &Server) -> Value {
    let text = std::fs::read(server.home.path().join("result.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn words(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn the_reference_s_load_passes_its_checks_and_its_audit() {
    let server = Server::demo(&[]);
    let run = load(&server, &["--vus", "8", "--duration", "1s"]);
    let said = words(&run);
    assert_eq!(run.status.code(), Some(0), "{said}");
    for line in [
        "http_req_duration",
        "{ requestType:redeemToken }",
        "money audit: ✓ clean",
    ] {
        assert!(said.contains(line), "{line} in\n{said}");
    }
    let result = result(&server);
    assert_eq!(result["metrics"]["checks"]["rate"], 1.0, "{said}");
    let requests = result["metrics"]["http_reqs"]["count"].as_f64().unwrap();
    assert!(requests > 100.0, "{said}");
    // The server counted the same: every request was one command.
    let hops = &result["hops"];
    let commands = hops["crossed"].as_f64().unwrap() + hops["own"].as_f64().unwrap();
    assert_eq!(commands, requests, "{said}");
    assert_eq!(result["server"]["pid"], server.id(), "{said}");
}

#[test]
fn an_open_loop_sends_at_its_rate_and_records_what_it_saw() {
    let server = Server::demo(&[]);
    let options =
        "--rate 200 --arrivals constant --vus 20 --threads 2 --duration 2s --report report";
    let run = load(&server, &options.split(' ').collect::<Vec<_>>());
    let said = words(&run);
    assert_eq!(run.status.code(), Some(0), "{said}");
    let result = result(&server);
    let sent = result["metrics"]["http_reqs"]["count"].as_f64().unwrap();
    let dropped = result["generator"]["dropped"].as_f64().unwrap();
    // Pairs that were begun before the end are finished behind it.
    assert!((400.0..=420.0).contains(&(sent + dropped)), "{said}");
    assert_eq!(result["generator"]["threads"].as_array().unwrap().len(), 2);
    for file in [
        "telemetry.png",
        "telemetry.svg",
        "report.html",
        "samples.jsonl",
    ] {
        let path = server.home.path().join("report").join(file);
        assert!(path.metadata().unwrap().len() > 0, "{file}");
    }
}

#[test]
fn a_threshold_that_is_not_met_is_status_99_and_a_mistyped_one_is_said_at_once() {
    let server = Server::demo(&[]);
    let fast = ["--threshold", "http_req_duration:p(95)<0.000001"];
    let run = load(
        &server,
        &[&["--vus", "2", "--duration", "1s"], &fast[..]].concat(),
    );
    assert_eq!(run.status.code(), Some(99), "{}", words(&run));
    let run = load(
        &server,
        &["--duration", "1h", "--threshold", "http_req_duratoin:avg<1"],
    );
    assert_eq!(run.status.code(), Some(1), "{}", words(&run));
    assert!(words(&run).contains("no such metric"), "{}", words(&run));
}

#[test]
fn a_server_that_goes_away_fails_the_run_and_not_the_generator() {
    let server = Server::demo(&[]);
    // What is built while the run waits must not take the run's time.
    generator();
    let options = [
        "--vus",
        "4",
        "--duration",
        "8s",
        "--grace",
        "0s",
        "--no-audit",
    ];
    let run = std::thread::scope(|scope| {
        let run = scope.spawn(|| load(&server, &options));
        eventually("load arrives", || (requests(&server) > 100.0).then_some(()));
        server.signal(Signal::SIGKILL);
        run.join().unwrap()
    });
    let said = words(&run);
    assert_eq!(run.status.code(), Some(99), "{said}");
    assert!(
        said.contains("threshold not met: http_req_failed:rate==0"),
        "{said}"
    );
    assert!(said.contains("wrong answer"), "{said}");
}

/// Requests that reached the wallet, over all shards.
fn requests(server: &Server) -> f64 {
    let answer = Client::connect(server.admin).call(&Request::new("GET", "/metrics"));
    let text = String::from_utf8(answer.body).unwrap();
    text.lines()
        .filter(|line| line.starts_with("purser_http_service_requests_total"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}
