//! A server that folds its log: what the next start, and every command that reads the data
//! directory, makes of it, while it runs, after it ended, and when a checkpoint is damaged.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Admin, Ended, Server, Setup, eventually, run};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// One shard with the smallest segments and checkpoints that there are: a fold every 26
/// bookings or so.
fn setup() -> Setup {
    Setup {
        shards: 1,
        segment_bytes: 64 << 10,
        log: "checkpoint_bytes = 131072",
        ..Setup::default()
    }
}

/// Books until there are so many checkpoints; how many deposits of 1.00 that took.
fn book_until(admin: &mut Admin, checkpoints: f64, already: usize) -> usize {
    let mut booked = already;
    eventually("checkpoints are made", || {
        for _ in 0..10 {
            let answer = admin.deposit("acme/p1", &format!("d-{booked}"), "1.00");
            // So small a segment may be full before the next one is made: send it again.
            assert!(matches!(answer.status, 200 | 503), "{answer:?}");
            booked += usize::from(answer.status == 200);
        }
        (admin.metric_sum("purser_checkpoints_total") >= checkpoints).then_some(booked)
    })
}

fn stop(mut server: Server, signal: Signal) -> TempDir {
    server.signal(signal);
    eventually("the server ends", || server.try_ended());
    std::mem::replace(&mut server.home, tempfile::tempdir().unwrap())
}

fn start(home: TempDir) -> Server {
    let config = home.path().join("purser.toml");
    Server::spawn(&["serve", "--config", config.to_str().unwrap()], home)
}

fn purser(home: &Path, command: &str) -> Ended {
    run(&command.split(' ').collect::<Vec<_>>(), home)
}

/// What a command prints that must succeed.
fn done(home: &Path, command: &str) -> String {
    let ended = purser(home, command);
    assert_eq!(ended.status.code(), Some(0), "{command}: {ended:?}");
    ended.stdout
}

/// The files of the shard with that ending, by their numbers.
fn files(home: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.join("data/shard-0")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    paths.sort();
    paths
}

#[test]
fn what_was_folded_is_read_by_the_next_start_and_by_every_command() {
    let server = setup().start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "");
    let path = server.home.path().to_owned();
    // The reading goes on while files are let go of.
    let deposits = std::thread::scope(|scope| {
        let path = &path;
        let reader = scope.spawn(move || {
            for round in 0..4 {
                done(path, "verify --data-dir data");
                let lines = done(path, "inspect --data-dir data --json");
                let lsns = lines.lines().map(|line| {
                    let record: Value = serde_json::from_str(line).unwrap();
                    record["Lsn"].as_u64().unwrap()
                });
                assert!(lsns.eq(1..=lines.lines().count() as u64), "without a gap");
                done(path, &format!("backup --data-dir data --out copy-{round}"));
            }
        });
        let mut booked = 0;
        while booked == 0 || !reader.is_finished() {
            let made = admin.metric_sum("purser_checkpoints_total");
            booked = book_until(&mut admin, made + 1.0, booked);
        }
        reader.join().unwrap();
        book_until(&mut admin, 3.0, booked)
    });
    let home = stop(server, Signal::SIGTERM);
    assert_eq!(files(home.path(), "ckpt").len(), 2);
    assert!(files(home.path(), "free").len() <= 2);
    assert!(!files(home.path(), "seg")[0].ends_with("00000001.seg"));

    let report: Value =
        serde_json::from_str(&done(home.path(), "verify --data-dir data --json")).unwrap();
    let shard = &report["Shards"][0];
    assert_eq!(shard["Postings"], deposits + 1, "{shard:#}");
    assert_eq!(shard["OldestLsn"], 1, "{shard:#}");
    let checkpoints = shard["Checkpoints"].as_array().unwrap();
    assert_eq!(checkpoints.len(), 2, "{shard:#}");
    assert!(
        checkpoints.iter().all(|c| c["Follows"] == true),
        "{shard:#}"
    );
    assert!(shard["LogPostings"].as_u64().unwrap() < deposits as u64 / 2);
    let text = done(home.path(), "verify --data-dir data");
    assert!(text.contains("it follows from what is before it"), "{text}");

    let printed = done(
        home.path(),
        "export --data-dir data --format csv --out all.csv",
    );
    assert_eq!(printed, format!("{deposits} rows written to all.csv\n"));
    for round in 0..4 {
        done(home.path(), &format!("verify --data-dir copy-{round}"));
    }
    let copied = done(home.path(), "backup --data-dir data --out last");
    assert!(
        copied.starts_with(&format!("{} postings of 1 shards", deposits + 1)),
        "{copied}"
    );

    // A start on the copy: everything is there, and nothing is booked again.
    fs::rename(home.path().join("data"), home.path().join("first")).unwrap();
    fs::rename(home.path().join("last"), home.path().join("data")).unwrap();
    let server = start(home);
    let mut admin = Admin::of(&server);
    for number in [0, deposits / 2, deposits - 1] {
        let answer = admin.deposit("acme/p1", &format!("d-{number}"), "1.00");
        assert_eq!(
            answer.json()["CashFunds"],
            format!("{deposits}.00"),
            "d-{number}"
        );
    }
    book_until(&mut admin, 2.0, deposits);
    let home = stop(server, Signal::SIGKILL);
    done(home.path(), "verify --data-dir data");
}

#[test]
fn a_damaged_checkpoint_is_refused_and_the_one_before_leads_to_the_same() {
    let server = setup().start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "");
    let deposits = book_until(&mut admin, 2.0, 0);
    let home = stop(server, Signal::SIGKILL);
    let newest = files(home.path(), "ckpt").pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    bytes[4_096 + 100] ^= 1;
    fs::write(&newest, &bytes).unwrap();
    for command in [
        "serve --config purser.toml",
        "verify --data-dir data",
        "inspect --data-dir data",
        "export --data-dir data --format jsonl --out none.jsonl",
        "backup --data-dir data --out none",
    ] {
        let ended = purser(home.path(), command);
        assert_eq!(ended.status.code(), Some(3), "{command}: {ended:?}");
        let name = newest.file_name().unwrap().to_str().unwrap();
        for said in [name, "offset 4096", "move this file out of the directory"] {
            assert!(ended.stderr.contains(said), "{command}: {ended:?}");
        }
    }
    assert_eq!(fs::read(&newest).unwrap(), bytes, "untouched");
    fs::rename(&newest, home.path().join("damaged")).unwrap();
    let server = start(home);
    let answer = Admin::of(&server).deposit("acme/p1", "d-0", "1.00");
    assert_eq!(answer.json()["CashFunds"], format!("{deposits}.00"));
}
