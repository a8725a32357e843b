//! `purser reshard` with the real binary: what players have and what was answered to them is
//! the same on another number of shards, also when the process dies at any step of it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Admin, Ended, Play, Server, Setup, Wallet, eventually, run, run_until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Enough for every shard of every layout here.
const PLAYERS: usize = 12;

/// A domain whose tokens can be redeemed once.
const ONCE: &str = "once/p0";

/// What is known of the players outside of the server.
struct Players {
    /// Account and session key.
    keys: Vec<(String, String)>,
    /// Of the first player, not redeemed yet.
    token: String,
    /// Of the player in [`ONCE`], redeemed.
    spent_token: String,
}

/// Like every directory here, with a space in its name.
fn new_home() -> TempDir {
    let home = tempfile::Builder::new()
        .prefix("the wallet ")
        .tempdir()
        .unwrap();
    Setup::default().write_config(home.path());
    home
}

fn serve(home: TempDir, shards: usize) -> Server {
    let shards = shards.to_string();
    let arguments = ["serve", "--config", "purser.toml", "--shards", &shards];
    Server::spawn(&arguments, home)
}

/// Stops a server and keeps its directory.
fn stop(mut server: Server, signal: Signal) -> TempDir {
    server.signal(signal);
    eventually("the server ends", || server.try_ended());
    std::mem::replace(&mut server.home, tempfile::tempdir().unwrap())
}

fn reshard(home: &Path, shards: &str, failpoint: &str) -> Ended {
    let arguments = ["reshard", "--data-dir", "data", "--shards", shards];
    run_until(&arguments, home, failpoint)
}

/// As [`reshard`], which must succeed; what it printed.
fn resharded(home: &Path, shards: usize) -> String {
    let ended = reshard(home, &shards.to_string(), "");
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    ended.stdout
}

/// The trial balance of data that must be whole.
fn verified(home: &Path) -> Value {
    let ended = run(&["verify", "--data-dir", "data", "--json"], home);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    report["Domains"].clone()
}

fn assert_fails(ended: &Ended, status: i32, said: &[&str]) {
    assert_eq!(ended.status.code(), Some(status), "{ended:?}");
    for words in said {
        assert!(ended.stderr.contains(words), "no {words:?}: {ended:?}");
    }
}

/// Every player deposits and plays two rounds, of which the second stays open.
fn play(server: &Server) -> Players {
    let mut keys = Vec::new();
    for player in 0..PLAYERS {
        let account = format!("acme/p{player}");
        let mut play = Play::start(server, &account, "100.00");
        play.check(&[
            (
                play.bet("b-1", "r-1", "10.00"),
                "0 90.00+0.00 took 10.00+0.00",
            ),
            (play.award("a-1", "r-1", "4.00"), "0 94.00+0.00"),
            (play.end("r-1"), "0 94.00+0.00"),
            (
                play.bet("b-2", "r-2", "5.00"),
                "0 89.00+0.00 took 5.00+0.00",
            ),
        ]);
        keys.push((account, play.key));
    }
    let mut admin = Admin::of(server);
    admin.put("acme/p1", "limits", &json!({"LossDaily": "50.00"}));
    admin.put("acme/p2", "status", &json!({"Status": "Suspended"}));
    admin.log_out(&keys[3].1);
    admin.bonus("acme/p4", "bonus", "7.00");
    admin.account(ONCE, "1.00");
    keys.push((ONCE.to_owned(), admin.session(ONCE)));
    let mut once = Wallet::of("once", server);
    let spent_token = once.token(ONCE);
    assert_eq!(once.redeem_token(&spent_token)["ErrorCode"], 0);
    Players {
        keys,
        token: Wallet::of("acme", server).token("acme/p0"),
        spent_token,
    }
}

/// Everything that can be asked of a server, and what becomes of requests that it has
/// answered before.
fn answers(server: &Server, players: &Players) -> Vec<Value> {
    let mut admin = Admin::of(server);
    let mut answers = Vec::new();
    for (account, key) in &players.keys {
        answers.push(admin.read(account));
        answers.push(admin.get(&format!("/admin/v1/sessions/{key}")).json());
        let domain = account.split('/').next().unwrap();
        answers.push(Wallet::of(domain, server).balance(account));
        if domain == "acme" {
            let mut play = Play::with_key(server, account, key.clone());
            for call in [
                play.bet("b-1", "r-1", "10.00"),
                play.award("a-1", "r-1", "4.00"),
                play.bet("b-2", "r-2", "5.00"),
                // An id that was used for another amount.
                play.bet("b-2", "r-2", "6.00"),
            ] {
                answers.push(play.send(&call));
            }
            answers.push(admin.deposit(account, "opening", "100.00").json());
        }
    }
    answers.push(Wallet::of("once", server).redeem_token(&players.spent_token));
    let books = admin.get("/admin/v1/trial-balance").json();
    let mut books = books["Domains"].as_array().unwrap().clone();
    books.sort_by_key(|row| row["Domain"].to_string());
    answers.extend(books);
    answers
}

/// Rolls back the open bets of some players, and makes new ones.
fn go_on(server: &Server, players: &Players, some: std::ops::Range<usize>, bet: &str) {
    for (account, key) in &players.keys[some] {
        let mut play = Play::with_key(server, account, key.clone());
        let body = play.send(&play.rollback("k-2", "r-2", "b-2", "5.00"));
        assert_eq!(body["ErrorCode"], 0, "{account}: {body}");
        assert_eq!(body["Balance"]["CashFunds"], "94.00", "{account}: {body}");
        let told = play.told(&play.bet(bet, "r-3", "1.00"));
        assert_eq!(told, "0 93.00+0.00 took 1.00+0.00", "{account}");
    }
}

/// Every file below a directory and its contents, but for the lock, whose holder changes.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if !path.ends_with("lock") {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// The same data in another home.
fn copy_of(home: &Path) -> TempDir {
    let copy = new_home();
    for (path, bytes) in contents(&home.join("data")) {
        let to = copy.path().join(path.strip_prefix(home).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
    copy
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn everything_is_as_before_on_another_number_of_shards() {
    let server = serve(new_home(), 2);
    let players = play(&server);
    let before = answers(&server, &players);
    let home = stop(server, Signal::SIGTERM);
    let books = verified(home.path());

    let printed = resharded(home.path(), 3);
    let said = format!(
        "laid out for 3 shards instead of 2: {} accounts",
        PLAYERS + 1
    );
    assert!(printed.starts_with(&said), "{printed}");
    assert_eq!(verified(home.path()), books);
    let data = home.path().join("data");
    let there = names(&data);
    assert!(there[0].starts_with("before-reshard-"), "{there:?}");
    let rest = ["lock", "manifest", "shard-0", "shard-1", "shard-2"];
    assert_eq!(there[1..], rest, "{there:?}");
    // What is kept of the old data is whole.
    let old = data.join(&there[0]);
    let ended = run(&["verify", "--data-dir", old.to_str().unwrap()], &data);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    // And goes with the command that is printed.
    let command = printed.lines().last().unwrap();
    let removed = Command::new("sh")
        .args(["-ec", command])
        .current_dir(home.path())
        .status()
        .unwrap();
    assert!(removed.success(), "{command}");
    assert!(!old.exists());

    let server = serve(home, 3);
    assert_eq!(answers(&server, &players), before);
    let redeemed = Wallet::of("acme", &server).redeem_token(&players.token);
    assert_eq!(redeemed["ErrorCode"], 0, "{redeemed}");
    go_on(&server, &players, 5..8, "b-3");
    let before = answers(&server, &players);
    // What a killed server leaves is laid out anew as well.
    let home = stop(server, Signal::SIGKILL);
    let books = verified(home.path());

    resharded(home.path(), 1);
    assert_eq!(verified(home.path()), books);
    let server = serve(home, 1);
    assert_eq!(answers(&server, &players), before);
    go_on(&server, &players, 8..11, "b-4");
    let before = answers(&server, &players);
    let home = stop(server, Signal::SIGTERM);
    resharded(home.path(), 2);
    assert_eq!(answers(&serve(home, 2), &players), before);
}

#[test]
fn the_number_of_shards_that_there_is_changes_nothing() {
    let home = stop(serve(new_home(), 2), Signal::SIGTERM);
    let before = contents(home.path());
    let printed = resharded(home.path(), 2);
    assert!(
        printed.contains("for 2 shards; there is nothing to do"),
        "{printed}"
    );
    assert_eq!(contents(home.path()), before);
}

#[test]
fn data_without_bookings_can_be_laid_out_anew() {
    let home = stop(serve(new_home(), 2), Signal::SIGTERM);
    resharded(home.path(), 5);
    Admin::of(&serve(home, 5)).account("acme/p1", "1.00");
}

#[test]
fn the_server_names_the_command_that_lays_its_data_out() {
    let home = stop(serve(new_home(), 2), Signal::SIGTERM);
    let ended = run(
        &["serve", "--config", "purser.toml", "--shards", "3"],
        home.path(),
    );
    assert_fails(
        &ended,
        1,
        &["laid out for 2 shards", "start with --shards 2"],
    );
    let (_, command) = ended.stderr.split_once("anew first: purser ").unwrap();
    let typed = format!("'{}' {command}", env!("CARGO_BIN_EXE_purser"));
    let done = Command::new("sh").args(["-ec", &typed]).output().unwrap();
    assert!(done.status.success(), "{typed}: {done:?}");
    serve(home, 3);
}

#[test]
fn what_cannot_be_laid_out_anew_is_told_and_left_alone() {
    let server = serve(new_home(), 2);
    play(&server);
    let used_by = format!("is in use by process {};", server.id());
    let ended = reshard(server.home.path(), "3", "");
    assert_fails(&ended, 1, &[&used_by]);
    let home = stop(server, Signal::SIGTERM);
    let path = home.path();

    for shards in ["0", "-1", "257", "16385", "two", ""] {
        assert_fails(&reshard(path, shards, ""), 2, &["--shards <N>"]);
    }
    let missing = ["reshard", "--data-dir", "missing", "--shards", "2"];
    assert_fails(&run(&missing, path), 1, &["no directory missing"]);
    fs::create_dir(path.join("empty")).unwrap();
    let empty = ["reshard", "--data-dir", "empty", "--shards", "2"];
    assert_fails(&run(&empty, path), 1, &["no data directory"]);
    assert!(names(&path.join("empty")).is_empty());

    // A bit of an acknowledged posting, and the same with the whole file gone.
    let segment = path.join("data/shard-1/00000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[4_096 + 70] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let before = contents(path);
    let damaged = ["seg, offset 4096: expected", "Nothing was changed"];
    assert_fails(&reshard(path, "3", ""), 3, &damaged);
    assert_eq!(contents(path), before);
    fs::remove_file(&segment).unwrap();
    let before = contents(path);
    assert_fails(&reshard(path, "3", ""), 3, &["no such file"]);
    assert_eq!(contents(path), before);
}

#[test]
fn a_full_disk_leaves_the_data_as_it_was() {
    let server = serve(new_home(), 2);
    play(&server);
    let home = stop(server, Signal::SIGTERM);
    let before = contents(home.path());
    // No file may be longer than 32 KiB, and a segment is.
    let limited = "ulimit -f 64; exec \"$0\" reshard --data-dir data --shards 3";
    let ended = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_purser")])
        .current_dir(home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("the data is as it was"), "{said}");
    assert_eq!(contents(home.path()), before);
    resharded(home.path(), 3);
}

/// Passages of `mid_reshard` until the other layout is committed: one before, one behind.
#[cfg(debug_assertions)]
const COMMITTED_AT: usize = 2;

#[cfg(debug_assertions)]
#[test]
fn a_crash_at_every_step_leaves_all_of_the_old_or_all_of_the_new() {
    let server = serve(new_home(), 2);
    let players = play(&server);
    let before = answers(&server, &players);
    let played = stop(server, Signal::SIGTERM);
    let mut steps = 0;
    loop {
        let step = steps + 1;
        let home = copy_of(played.path());
        let ended = reshard(home.path(), "3", &format!("mid_reshard:{step}"));
        if ended.status.code() == Some(0) {
            break;
        }
        assert_eq!(ended.status.code(), None, "step {step}: {ended:?}");
        let is_committed = step >= COMMITTED_AT;
        if home.path().join("data/reshard.ready").exists() {
            assert!(is_committed);
            // Who only reads does not take half of it for whole, and says what to do.
            let command = "purser reshard --data-dir 'data' --shards 3";
            for reading in ["verify", "inspect"] {
                let refused = run(&[reading, "--data-dir", "data"], home.path());
                assert_fails(&refused, 1, &[command]);
            }
            // Who finishes it may die as well.
            let again = format!("mid_reshard:{}", 1 + step % 3);
            reshard(home.path(), "3", &again);
        }
        if step % 2 == 0 {
            resharded(home.path(), 3);
        }
        let is_new = is_committed || step % 2 == 0;
        let server = serve(home, if is_new { 3 } else { 2 });
        assert_eq!(answers(&server, &players), before, "step {step}");
        let home = stop(server, Signal::SIGTERM);
        verified(home.path());
        let left = names(&home.path().join("data"));
        let is_left = left.iter().any(|name| name.starts_with("reshard."));
        assert!(!is_left, "step {step}: {left:?}");
        steps = step;
    }
    // The commit, the copy of the manifest, two old shards, three new ones, the manifest
    // and the end.
    assert_eq!(steps, COMMITTED_AT + 1 + 2 + 3 + 1 + 1);
}

#[cfg(debug_assertions)]
#[test]
fn a_crash_while_the_new_data_is_written_leaves_the_old() {
    let server = serve(new_home(), 2);
    let players = play(&server);
    let before = answers(&server, &players);
    let played = stop(server, Signal::SIGTERM);
    let untouched = contents(&played.path().join("data"));
    // Three files of each shard get their names, and then the manifest.
    for failpoint in [
        "before_rename:1",
        "after_rename:5",
        "before_rename:10",
        "after_rename:10",
    ] {
        let home = copy_of(played.path());
        let ended = reshard(home.path(), "3", failpoint);
        assert_eq!(ended.status.code(), None, "{failpoint}: {ended:?}");
        let left = home.path().join("data/reshard.new");
        assert!(left.exists(), "{failpoint}");
        // The old data can be read meanwhile.
        verified(home.path());
        for (path, bytes) in &untouched {
            let path = home.path().join(path.strip_prefix(played.path()).unwrap());
            assert!(fs::read(&path).unwrap() == *bytes, "{failpoint}: {path:?}");
        }
        let server = serve(home, 2);
        assert!(!left.exists(), "{failpoint}");
        let log = server.output();
        assert!(log.contains("reshard.new"), "{log}");
        assert_eq!(answers(&server, &players), before, "{failpoint}");
    }
}
