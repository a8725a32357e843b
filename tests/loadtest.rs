//! The load generator against the server: real processes, a second or two of load.
//!
//! `loadtest` shares no code with the server and is a package of its own, so its binary is
//! built here by cargo, into the directory where the server's binary is; after a build of
//! the whole workspace that is a glance at file times.

mod common;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use common::{Admin, Client, Request, Server, eventually};
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
    command(server, more).output().unwrap()
}

fn command(server: &Server, more: &[&str]) -> Command {
    let mut run = Command::new(generator());
    run.args(["run", "--quiet", "--json", RESULT])
        .args(["--url", &format!("http://{}", server.wallet)])
        .args(["--admin-url", &format!("http://{}", server.admin)])
        .args(more)
        .current_dir(server.home.path());
    run
}

const RESULT: &str = "result.json";

fn result(server: &Server) -> Value {
    let text = std::fs::read(server.home.path().join(RESULT)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The files of a report are there.
fn assert_written(server: &Server, files: &[&str]) {
    for file in files {
        let path = server.home.path().join("report").join(file);
        let length = path.metadata().map_or(0, |metadata| metadata.len());
        assert!(length > 0, "{file}");
    }
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
    let files = "telemetry.png telemetry.svg report.html samples.jsonl";
    assert_written(&server, &files.split(' ').collect::<Vec<_>>());
}

/// What the full mix sends, as its report calls it.
const FULL_MIX: [&str; 10] = [
    "alert",
    "awardWinnings",
    "balance",
    "createToken",
    "credit",
    "end",
    "placeBet",
    "redeemToken",
    "rollbackBet",
    "voidBet",
];

#[test]
fn whole_rounds_their_repeats_and_other_orders_leave_the_money_where_it_belongs() {
    let server = Server::demo(&[]);
    let options = "--scenario full --vus 16 --duration 2s --repeats 0.2 --reorderings 0.1 \
                   --threshold http_req_failed:rate==0 --threshold checks:rate==1 \
                   --threshold http_reqs{requestType:credit}:count>0 --report report";
    let run = load(&server, &options.split_whitespace().collect::<Vec<_>>());
    let said = words(&run);
    assert_eq!(run.status.code(), Some(0), "{said}");
    for line in [
        "money audit: ✓ clean",
        "trial balance: total 0.00",
        "commands crossed between 2 shards",
        "is body errorCode -8",
        "written: report/report.html",
    ] {
        assert!(said.contains(line), "{line} in\n{said}");
    }
    let closed = result(&server);
    for kind in FULL_MIX {
        let of_kind = &closed["metrics"][format!("http_reqs{{requestType:{kind}}}")];
        assert!(of_kind["count"].as_f64().unwrap() > 0.0, "{kind}: {said}");
    }
    for group in closed["groups"].as_array().unwrap() {
        for check in group["checks"].as_array().unwrap() {
            assert_eq!(check["fails"], 0, "{group}");
            assert!(check["passes"].as_u64().unwrap() > 0, "{group}");
        }
    }
    let audit = &closed["audit"];
    assert_eq!(audit["is_clean"], true, "{audit}");
    assert_eq!(audit["unsettled"], 0, "{audit}");
    assert_eq!(audit["accounts"], 1_000, "{audit}");
    assert_ne!(audit["acknowledged"], "0.00", "{audit}");
    assert_eq!(closed["hops"]["shards"], 2, "{said}");
    let files = "telemetry.svg telemetry.png load.svg load.png latency.svg latency.png \
                 report.html samples.jsonl summary.json";
    assert_written(&server, &files.split_whitespace().collect::<Vec<_>>());

    // The same at a rate, and with a threshold that nothing can meet.
    std::fs::rename(
        server.home.path().join(RESULT),
        server.home.path().join("closed.json"),
    )
    .unwrap();
    let options = "--scenario full --rate 300 --vus 32 --duration 2s \
                   --threshold http_req_duration:max<0.000001";
    let run = load(&server, &options.split_whitespace().collect::<Vec<_>>());
    let said = words(&run);
    assert_eq!(run.status.code(), Some(99), "{said}");
    let line = "threshold not met: http_req_duration:max<0.000001";
    assert!(said.contains(line), "{said}");
    assert!(said.contains("money audit: ✓ clean"), "{said}");
    let open = result(&server);
    let sent = open["metrics"]["http_reqs"]["count"].as_f64().unwrap();
    let dropped = open["generator"]["dropped"].as_f64().unwrap();
    // 600 are due, at random times; rounds that were begun are finished behind the end, and
    // repeats come on top.
    let range = 450.0..=850.0;
    assert!(range.contains(&(sent + dropped)), "{said}");

    let compared = Command::new(generator())
        .args(["compare", "closed.json", RESULT])
        .current_dir(server.home.path())
        .output()
        .unwrap();
    let said = words(&compared);
    assert_eq!(compared.status.code(), Some(0), "{said}");
    for part in [
        "A: full, closed loop, 16 users",
        "B: full, open loop, 300 requests/s, poisson, 32 users",
        "server CPU µs per request",
        "http_req_duration{requestType:placeBet} p(95)",
        "http_reqs per second",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
}

#[test]
fn money_that_came_from_somewhere_else_is_found_by_the_audit() {
    let server = Server::demo(&[]);
    generator();
    let postings = || Admin::with_token(&server, "demo").metric_sum("purser_postings_total");
    let postings_before = postings();
    // The audit's status comes before that of a threshold.
    let options = "--scenario full --vus 4 --duration 3s --threshold http_reqs:count<0";
    let run = std::thread::scope(|scope| {
        let run = scope.spawn(|| load(&server, &options.split_whitespace().collect::<Vec<_>>()));
        // The audit's own look before the load books nothing.
        eventually("bookings arrive", || {
            (postings() > postings_before).then_some(())
        });
        let deposit =
            Admin::with_token(&server, "demo").deposit("demo/player-7", "beside", "77.77");
        assert_eq!(deposit.status, 200, "{deposit:?}");
        run.join().unwrap()
    });
    let said = words(&run);
    assert_eq!(run.status.code(), Some(98), "{said}");
    for part in [
        "money audit: ✗ DIFFERENT",
        "✗ demo/player-7: ",
        "expected; the wallet says",
        "✗ the trial balance's players changed by",
        "did anybody else use the server?",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    let audit = &result(&server)["audit"];
    assert_eq!(audit["is_clean"], false, "{audit}");
    // The player, and the sum of all.
    assert_eq!(audit["difference_count"], 2, "{audit}");
}

#[test]
fn who_knows_the_owners_sends_everything_to_its_shard() {
    let base = free_ports(2).to_string();
    let home = tempfile::tempdir().unwrap();
    let demo = "serve --demo --shards 2 --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0";
    let server = Server::spawn_with(
        &demo.split(' ').collect::<Vec<_>>(),
        home,
        &[("PURSER_LISTEN__SHARD_PORTS", &base)],
    );
    let options = "--scenario full --vus 6 --duration 1s --shard-aware";
    let options: Vec<&str> = options.split(' ').chain([&*base]).collect();
    let run = load(&server, &options);
    let said = words(&run);
    assert_eq!(run.status.code(), Some(0), "{said}");
    let hops = &result(&server)["hops"];
    assert_eq!(hops["crossed"], 0, "{said}");
    let own = hops["own"].as_u64().unwrap();
    assert!(own > 100, "{said}");
    // Of two shards half of the commands would have crossed.
    let avoided = format!("shard-aware: {} avoided", grouped(own.div_ceil(2)));
    assert!(said.contains(&avoided), "{avoided} in\n{said}");
}

/// The first of so many ports in a row that nobody has.
fn free_ports(count: u16) -> u16 {
    let bind = |port: u16| TcpListener::bind(("127.0.0.1", port)).ok();
    eventually("free ports in a row", || {
        let first = bind(0)?.local_addr().unwrap().port();
        let all: Option<Vec<_>> = (0..count).map(|at| bind(first.checked_add(at)?)).collect();
        all.map(|_| first)
    })
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// Load with a profile.
const PROFILED: &str = "--scenario full --vus 8 --duration 2s --report report --profile";

#[test]
fn a_profile_shows_where_the_server_s_time_goes_and_leaves_the_money_alone() {
    let server = Server::demo(&[]);
    let tried = Command::new("perf")
        .args(["record", "--output", "-", "--pid"])
        .arg(server.id().to_string())
        .args(["--", "true"])
        .output();
    if !tried.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: perf is not here, or may not look at a process: {tried:?}");
        return;
    }
    let run = load(&server, &PROFILED.split(' ').collect::<Vec<_>>());
    let said = words(&run);
    assert_eq!(run.status.code(), Some(0), "{said}");
    assert!(said.contains("money audit: ✓ clean"), "{said}");
    assert!(!said.contains("no flame graph"), "{said}");
    assert_written(&server, &["flame.svg", "flame.png", "profile.folded"]);
    let read =
        |file: &str| std::fs::read_to_string(server.home.path().join("report").join(file)).unwrap();
    let stacks = read("profile.folded");
    for part in ["shard-0;", "shard-1;"] {
        assert!(stacks.contains(part), "{part} in\n{stacks}");
    }
    assert!(read("report.html").contains("CPU time of the server"));

    // A run without one does not keep the picture of an earlier one.
    let run = load(
        &server,
        &["--vus", "2", "--duration", "2s", "--report", "report"],
    );
    assert_eq!(run.status.code(), Some(0), "{}", words(&run));
    assert!(!read("report.html").contains("CPU time of the server"));
    assert!(!server.home.path().join("report/flame.svg").exists());
}

#[test]
fn what_a_profile_lacks_is_said_before_the_load() {
    let server = Server::demo(&[]);
    let home = server.home.path();
    let refuses = home.join("refuses");
    std::fs::create_dir(&refuses).unwrap();
    let perf = refuses.join("perf");
    std::fs::write(
        &perf,
        "#!/bin/sh\necho 'Access is limited.' >&2\nexit 255\n",
    )
    .unwrap();
    std::fs::set_permissions(&perf, std::fs::Permissions::from_mode(0o755)).unwrap();
    for (path, parts) in [
        (
            home.join("nothing"),
            &["perf is not there", "linux-perf"][..],
        ),
        (
            refuses,
            &["Access is limited.", "kernel.perf_event_paranoid=1"],
        ),
    ] {
        let options = ["--duration", "1h", "--report", "report", "--profile"];
        let run = command(&server, &options)
            .env("PATH", path)
            .output()
            .unwrap();
        let said = words(&run);
        assert_eq!(run.status.code(), Some(1), "{said}");
        for part in parts {
            assert!(said.contains(part), "{part} in\n{said}");
        }
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
