//! The commands that read a data directory, on one that a real server wrote: while it runs,
//! after it ended, after it was killed, and when the data is damaged.

#[path = "../common/mod.rs"]
mod common;

mod backup;
mod damage;
mod export;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Admin, Ended, Server, eventually, run};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Accounts in the order they were opened; each gets deposits of 1.00, 2.00 and so on. Enough
/// for both shards.
const PLAYERS: usize = 12;

const DEPOSITS: usize = 3;

/// A server of two shards with players of two domains. What they hold: `DEPOSITS` deposits
/// make 6.00 GBP or 600 JPY each.
fn busy_server() -> Server {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    for player in 0..PLAYERS {
        for (domain, unit) in [("acme", ".00"), ("nippon", "00")] {
            let id = format!("{domain}/p{player}");
            admin.account(&id, "");
            for number in 1..=DEPOSITS {
                let answer = admin.deposit(&id, &format!("d-{number}"), &format!("{number}{unit}"));
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        }
    }
    admin.session("acme/p0");
    server
}

/// Postings that [`busy_server`] has made: an account, its deposits; and one session.
const POSTINGS: usize = 2 * PLAYERS * (1 + DEPOSITS) + 1;

const MOVEMENTS: usize = 2 * PLAYERS * DEPOSITS;

/// Stops a server and keeps its directory.
fn stop(mut server: Server, signal: Signal) -> TempDir {
    server.signal(signal);
    eventually("the server ends", || server.try_ended());
    std::mem::replace(&mut server.home, tempfile::tempdir().unwrap())
}

/// Runs a command in a directory where `data` is a data directory.
fn purser(home: &Path, command: &str) -> Ended {
    run(&command.split(' ').collect::<Vec<_>>(), home)
}

/// As [`purser`], for a command that must succeed; what it printed.
fn done(home: &Path, command: &str) -> String {
    let ended = purser(home, command);
    assert_eq!(ended.status.code(), Some(0), "{command}: {ended:?}");
    ended.stdout
}

fn check_fails(home: &Path, command: &str, status: i32, said: &[&str]) {
    let ended = purser(home, command);
    assert_eq!(ended.status.code(), Some(status), "{command}: {ended:?}");
    for words in said {
        assert!(
            ended.stderr.contains(words),
            "{command}: no {words:?}: {ended:?}"
        );
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

/// Every file below a directory and its contents, but for the lock, whose holder changes.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("lock") {
                found.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The trial balance that [`busy_server`] leaves.
fn assert_books(report: &Value) {
    let book = |domain, code, cash: &str, zero: &str| {
        let none = |negative: &str| format!("{negative}{zero}");
        json!({
            "Domain": domain,
            "CurrencyCode": code,
            "Accounts": {
                "PlayerCash": cash, "PlayerBonus": none(""), "HouseStakes": none(""),
                "HouseWinnings": none(""), "HouseCashier": format!("-{cash}"),
                "HouseBonus": none(""), "HouseAdjustments": none(""),
            },
            "Total": zero,
        })
    };
    let expected = json!([
        book("acme", "GBP", "72.00", "0.00"),
        book("nippon", "JPY", "7200", "0"),
    ]);
    assert_eq!(report["Domains"], expected, "{report:#}");
}

#[test]
fn verify_shows_what_is_there_after_a_clean_end_and_after_a_kill() {
    for (signal, end) in [
        (Signal::SIGTERM, "CleanShutdown"),
        (Signal::SIGKILL, "Open"),
    ] {
        let home = stop(busy_server(), signal);
        let before = contents(home.path());
        let report = &json_lines(&done(home.path(), "verify --data-dir data --json"))[0];
        assert_books(report);
        assert_eq!(report["InUseBy"], Value::Null);
        let shards = report["Shards"].as_array().unwrap();
        assert_eq!(shards.len(), 2);
        let sum = |name| -> u64 {
            shards
                .iter()
                .map(|shard| shard[name].as_u64().unwrap())
                .sum()
        };
        assert_eq!(sum("Postings"), POSTINGS as u64);
        assert_eq!(sum("Accounts"), 2 * PLAYERS as u64);
        for shard in shards {
            assert_eq!(shard["End"], end, "{report:#}");
            assert!(shard["Accounts"].as_u64() > Some(0), "{report:#}");
        }
        let text = done(home.path(), "verify --data-dir data");
        assert!(
            text.contains("HouseCashier                       -72.00\n"),
            "{text}"
        );
        assert!(text.ends_with("everything holds\n"), "{text}");
        assert_eq!(contents(home.path()), before, "verify changed something");
    }
}

#[test]
fn inspect_prints_what_was_asked_for() {
    let home = stop(busy_server(), Signal::SIGTERM);
    let all = json_lines(&done(home.path(), "inspect --data-dir data --json"));
    assert_eq!(all.len(), POSTINGS);
    let lines = done(home.path(), "inspect --data-dir data");
    assert_eq!(lines.lines().count(), POSTINGS);

    let of_one = json_lines(&done(
        home.path(),
        "inspect --data-dir data --json --account acme/p0",
    ));
    let kinds: Vec<_> = of_one.iter().map(|r| r["Kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "AccountOpened",
            "Deposit",
            "Deposit",
            "Deposit",
            "SessionOpened"
        ]
    );
    let second = of_one[2].as_object().unwrap();
    for (name, value) in [
        ("OperatorAccountID", "acme/p0"),
        ("TransactionID", "d-2"),
        ("Amount", "2.00"),
        ("CurrencyCode", "GBP"),
        ("CashFunds", "3.00"),
        ("BonusFunds", "0.00"),
    ] {
        assert_eq!(second[name], value, "{second:?}");
    }
    // A session key is a credential.
    let key = of_one[4]["SessionKey"].as_str().unwrap();
    assert_eq!(key.chars().count(), 9, "{key}");
    assert!(key.ends_with('…'), "{key}");

    let (shard, lsn) = (of_one[2]["Shard"].as_u64(), of_one[2]["Lsn"].as_u64());
    let command = format!(
        "inspect --data-dir data --json --shard {} --from-lsn {}",
        shard.unwrap(),
        lsn.unwrap()
    );
    let later = json_lines(&done(home.path(), &command));
    let expected: Vec<_> = all
        .iter()
        .filter(|r| r["Shard"].as_u64() == shard && r["Lsn"].as_u64() >= lsn)
        .collect();
    assert_eq!(later.iter().collect::<Vec<_>>(), expected);
    assert!(!expected.is_empty());

    check_fails(
        home.path(),
        "inspect --data-dir data --shard 2",
        1,
        &["there is no shard 2", "2 shards, numbered from 0"],
    );
    check_fails(
        home.path(),
        "inspect --data-dir data --account nobody",
        2,
        &["domain/player"],
    );
}

#[test]
fn a_data_directory_without_bookings_holds() {
    let home = stop(Server::start(), Signal::SIGTERM);
    let report = &json_lines(&done(home.path(), "verify --data-dir data --json"))[0];
    assert_eq!(report["Domains"], json!([]));
    assert_eq!(done(home.path(), "inspect --data-dir data"), "");
    let printed = done(
        home.path(),
        "export --data-dir data --format parquet --out none",
    );
    assert_eq!(printed, "0 rows written to none\n");
}
