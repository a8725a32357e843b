//! The data directory from outside: what a killed server left is there, and what is
//! wrong is refused with the status and the words of operator.md and reliability.md.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Admin, Ended, Server, eventually, run};
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// Starts a server on what another one left.
fn again(home: TempDir) -> Server {
    let config = config(home.path());
    Server::spawn(&["serve", "--config", &config], home)
}

fn again_in_vain(home: &Path, more: &[&str]) -> Ended {
    let config = config(home);
    run(&[&["serve", "--config", &config], more].concat(), home)
}

fn config(home: &Path) -> String {
    home.join("purser.toml").to_str().unwrap().to_owned()
}

/// Deposits 1.00 under an id of its own and gives the funds afterwards.
fn deposit(admin: &mut Admin, number: usize) -> String {
    let answer = admin.deposit("acme/p1", &format!("d-{number}"), "1.00");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["CashFunds"].as_str().unwrap().to_owned()
}

/// Stops a server and keeps its directory.
fn stop(mut server: Server, signal: Signal) -> TempDir {
    server.signal(signal);
    eventually("the server ends", || server.try_ended());
    std::mem::replace(&mut server.home, tempfile::tempdir().unwrap())
}

#[test]
fn what_was_answered_is_there_after_a_kill_and_a_repeat_books_nothing() {
    let mut home = {
        let server = Server::start();
        Admin::of(&server).account("acme/p1", "");
        stop(server, Signal::SIGKILL)
    };
    for life in 0..3 {
        let server = again(home);
        let mut admin = Admin::of(&server);
        for number in 0..=life * 20 {
            // Those of earlier lives are repeats.
            deposit(&mut admin, number);
        }
        assert_eq!(deposit(&mut admin, 0), format!("{}.00", life * 20 + 1));
        home = stop(server, Signal::SIGKILL);
    }
    let server = again(home);
    let log = {
        let home = stop(server, Signal::SIGTERM);
        let server = again(home);
        server.output()
    };
    assert!(log.contains("clean_shutdown=true"), "{log}");
}

fn first_segment(home: &Path) -> PathBuf {
    home.join("data/shard-0/00000001.seg")
}

#[test]
fn damage_exits_3_and_changes_nothing() {
    let server = Server::start();
    for number in 0..10 {
        Admin::of(&server).account(&format!("acme/p{number}"), "1.00");
    }
    let home = stop(server, Signal::SIGTERM);
    let path = first_segment(home.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[4_096 + 70] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let ended = again_in_vain(home.path(), &[]);
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    for said in [
        "shard-0/00000001.seg, offset 4096: expected",
        "purser verify",
    ] {
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);

    fs::remove_file(&path).unwrap();
    let ended = again_in_vain(home.path(), &[]);
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert!(ended.stderr.contains("found no such file"), "{ended:?}");
}

#[test]
fn a_torn_tail_is_cut_and_said() {
    let home = stop(Server::start(), Signal::SIGTERM);
    let path = first_segment(home.path());
    let mut bytes = fs::read(&path).unwrap();
    // Behind the header and the clean shutdown.
    bytes[2 * 4_096..2 * 4_096 + 1_000].fill(0xEE);
    fs::write(&path, &bytes).unwrap();
    let log = again(home).output();
    assert!(
        log.contains("cut off 4096 bytes of an unfinished write at offset 8192"),
        "{log}"
    );
}

#[test]
fn a_directory_serves_one_process_and_one_number_of_shards() {
    let server = Server::start();
    let ended = again_in_vain(server.home.path(), &[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let holder = fs::read_to_string(server.home.path().join("data/lock")).unwrap();
    let holder = format!("is in use by process {};", holder.trim());
    assert!(ended.stderr.contains(&holder), "{ended:?}");
    let home = stop(server, Signal::SIGTERM);
    let ended = again_in_vain(home.path(), &["--shards", "3"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains(&format!(
            "purser reshard --data-dir '{}' --shards 3",
            home.path().join("data").display()
        )),
        "{ended:?}"
    );
}
