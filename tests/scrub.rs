//! The scrubber of a running server: damage to a closed segment is told while the server
//! goes on, and a server whose files are whole never says anything.

mod common;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::{Admin, Server, Setup, Wallet, eventually};
use nix::sys::signal::Signal;

/// How the log line begins.
const WORDS: &str = "a scrub found stored data damaged";

/// More deposits than three segments of the smallest size have blocks.
const DEPOSITS_MAX: usize = 200;

/// A server that scrubs once a second and has left two segments, with one account.
fn server() -> (Server, Admin) {
    let setup = Setup {
        shards: 1,
        segment_bytes: 64 << 10,
        log: "scrub_interval = \"1s\"\nscrub_bytes_per_second = 68719476736",
        ..Setup::default()
    };
    let server = setup.start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "");
    for number in 0.. {
        assert!(number < DEPOSITS_MAX);
        deposit(&mut admin, number);
        if admin.metric_sum("purser_log_segment") >= 3.0 {
            break;
        }
    }
    (server, admin)
}

/// The log answers 503 while the next segment is made.
fn deposit(admin: &mut Admin, number: usize) {
    eventually("the deposit is booked", || {
        let answer = admin.deposit("acme/p1", &format!("d-{number}"), "1.00");
        (answer.status == 200).then_some(())
    });
}

fn await_rounds(admin: &mut Admin, rounds: f64) {
    let end = admin.metric_sum("purser_scrub_rounds_total") + rounds;
    eventually("the files are read", || {
        (admin.metric_sum("purser_scrub_rounds_total") >= end).then_some(())
    });
}

fn await_damaged(admin: &mut Admin, files: f64) {
    eventually("the damage is counted", || {
        (admin.metric_sum("purser_scrub_damaged_files") == files).then_some(())
    });
}

/// Flips a bit of the first frame, behind whose header the records stand.
fn flip(segment: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(segment);
    let file = file.unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 4_096 + 80).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 4_096 + 80).unwrap();
}

#[test]
fn damage_to_a_closed_segment_is_told_once_while_the_server_goes_on() {
    let (server, mut admin) = server();
    let segment = server.home.path().join("data/shard-0/00000001.seg");
    flip(&segment);
    await_damaged(&mut admin, 1.0);
    await_rounds(&mut admin, 2.0);
    let said = server.output();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains(WORDS)).collect();
    let [line] = lines[..] else {
        panic!("{said}");
    };
    for words in ["ERROR", "shard-0/00000001.seg", "offset=4096", "whole copy"] {
        assert!(line.contains(words), "no {words}: {line}");
    }
    deposit(&mut admin, DEPOSITS_MAX);
    assert_eq!(
        Wallet::of("acme", &server).balance("acme/p1")["ErrorCode"],
        0
    );
    // The whole copy, put back.
    flip(&segment);
    await_damaged(&mut admin, 0.0);
    server.signal(Signal::SIGTERM);
    let (ended, home) = server.ended_with_home();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let config = home.path().join("purser.toml");
    let server = Server::spawn(&["serve", "--config", config.to_str().unwrap()], home);
    deposit(&mut Admin::of(&server), DEPOSITS_MAX);
}

#[test]
fn whole_files_are_never_accused_while_the_log_grows() {
    let (server, mut admin) = server();
    let read_bytes = admin.metric_sum("purser_scrub_bytes_total");
    for number in DEPOSITS_MAX..2 * DEPOSITS_MAX {
        deposit(&mut admin, number);
    }
    await_rounds(&mut admin, 2.0);
    assert!(admin.metric_sum("purser_scrub_bytes_total") > read_bytes);
    assert_eq!(admin.metric_sum("purser_scrub_damaged_files"), 0.0);
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(!ended.stderr.contains(WORDS), "{}", ended.stderr);
}
