//! The commands that read a data directory, on one that a real server wrote: while it runs,
//! after it ended, after it was killed, and when the data is damaged.

mod common;

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

fn segment(home: &Path, shard: usize) -> PathBuf {
    home.join(format!("data/shard-{shard}/00000001.seg"))
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
fn export_has_every_movement_in_every_format() {
    let home = stop(busy_server(), Signal::SIGTERM);
    let path = home.path();
    let printed = done(
        path,
        "export --data-dir data --format jsonl --out all.jsonl",
    );
    assert_eq!(printed, format!("{MOVEMENTS} rows written to all.jsonl\n"));
    let rows = json_lines(&fs::read_to_string(path.join("all.jsonl")).unwrap());
    assert_eq!(rows.len(), MOVEMENTS);
    let first = rows
        .iter()
        .find(|row| row["OperatorAccountID"] == "nippon/p3")
        .unwrap();
    for (name, value) in [
        ("Domain", "nippon"),
        ("Kind", "Deposit"),
        ("TransactionID", "d-1"),
        ("CurrencyCode", "JPY"),
        ("Funds", "Cash"),
        ("HouseAccount", "HouseCashier"),
        ("Amount", "100"),
        ("CashFunds", "100"),
    ] {
        assert_eq!(first[name], value, "{first}");
    }

    done(
        path,
        "export --data-dir data --format csv --out acme.csv --domain acme",
    );
    let csv = fs::read_to_string(path.join("acme.csv")).unwrap();
    let mut lines = csv.split_terminator("\r\n");
    assert!(lines.next().unwrap().starts_with("Shard,Lsn,At,Domain,"));
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), MOVEMENTS / 2);
    assert!(
        lines.iter().all(|line| line.contains(",acme,acme/p")),
        "{csv}"
    );

    done(
        path,
        "export --data-dir data --format parquet --out all.parquet",
    );
    let parquet = fs::read(path.join("all.parquet")).unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));

    // Nothing but what was asked for is left behind.
    let mut names: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "acme.csv",
            "all.jsonl",
            "all.parquet",
            "data",
            "purser.toml"
        ]
    );
}

#[test]
fn export_takes_a_span_of_time_with_its_begin_and_without_its_end() {
    let home = stop(busy_server(), Signal::SIGTERM);
    let path = home.path();
    done(
        path,
        "export --data-dir data --format jsonl --out all.jsonl",
    );
    let rows = json_lines(&fs::read_to_string(path.join("all.jsonl")).unwrap());
    let mut times: Vec<_> = rows.iter().map(|r| r["At"].as_str().unwrap()).collect();
    times.sort_unstable();
    let middle = times[times.len() / 2];
    let rows_of = |name: &str, span: &str| {
        let command = format!("export --data-dir data --format jsonl --out {name} {span}");
        done(path, &command);
        json_lines(&fs::read_to_string(path.join(name)).unwrap())
    };
    let before = rows_of("before", &format!("--to {middle}"));
    let from = rows_of("from", &format!("--from {middle}"));
    assert!(before.iter().all(|row| row["At"].as_str() < Some(middle)));
    assert!(from.iter().all(|row| row["At"].as_str() >= Some(middle)));
    assert_eq!(before.len() + from.len(), MOVEMENTS);
    assert!(!from.is_empty());
    assert!(rows_of("day", "--from 2001-01-01 --to 2001-01-02").is_empty());
    check_fails(
        path,
        "export --data-dir data --format csv --out x --from 2001-01-02 --to 2001-01-02",
        1,
        &["--from must be before --to"],
    );
    check_fails(
        path,
        "export --data-dir data --format csv --out x --from yesterday",
        2,
        &["2026-01-31T12:00:00Z"],
    );
    check_fails(
        path,
        "export --data-dir data --format csv --out all.jsonl",
        1,
        &["all.jsonl exists already"],
    );
    check_fails(
        path,
        "export --data-dir data --format csv --out missing/x",
        1,
        &["create missing/x"],
    );
}

#[test]
fn a_running_server_is_read_and_backed_up_while_it_books() {
    let server = busy_server();
    let path = server.home.path().to_owned();
    let holder = fs::read_to_string(path.join("data/lock")).unwrap();
    let used = format!("data is in use by process {};", holder.trim());
    let ended = purser(&path, "verify --data-dir data --json");
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.contains(&used), "{ended:?}");
    assert_books(&json_lines(&ended.stdout)[0]);

    // Bookings go on while everything is read again and again.
    let mut admin = Admin::of(&server);
    let mut told = 0;
    std::thread::scope(|scope| {
        let path = &path;
        let reader = scope.spawn(move || {
            for round in 0..5 {
                done(path, "verify --data-dir data");
                done(path, "inspect --data-dir data");
                done(
                    path,
                    &format!("export --data-dir data --format csv --out {round}.csv"),
                );
                done(path, &format!("backup --data-dir data --out copy-{round}"));
            }
        });
        while !reader.is_finished() {
            let answer = admin.deposit("acme/p0", &format!("more-{told}"), "1.00");
            assert_eq!(answer.status, 200, "{answer:?}");
            told += 1;
        }
        reader.join().unwrap();
    });
    assert!(told > 5, "nothing was booked meanwhile");

    // What was told before a backup began is in it.
    let printed = done(&path, "backup --data-dir data --out last");
    let postings = POSTINGS + told;
    let expected = format!("{postings} postings of 2 shards copied to last and verified\n");
    assert_eq!(printed, expected);
    let home = stop(server, Signal::SIGTERM);
    let report = &json_lines(&done(home.path(), "verify --data-dir last --json"))[0];
    assert_eq!(
        report["Domains"][0]["Accounts"]["PlayerCash"],
        format!("{}.00", 72 + told)
    );
    for round in 0..5 {
        done(home.path(), &format!("verify --data-dir copy-{round}"));
    }

    // A server starts on the copy and goes on.
    fs::rename(home.path().join("data"), home.path().join("lost")).unwrap();
    fs::rename(home.path().join("last"), home.path().join("data")).unwrap();
    let config = home.path().join("purser.toml");
    let server = Server::spawn(&["serve", "--config", config.to_str().unwrap()], home);
    let answer = Admin::of(&server).deposit("acme/p0", "more-0", "1.00");
    assert_eq!(
        answer.json()["CashFunds"],
        format!("{}.00", 6 + told),
        "a repeat"
    );
}

#[test]
fn a_backup_never_goes_where_something_is() {
    let home = stop(busy_server(), Signal::SIGTERM);
    fs::create_dir(home.path().join("empty")).unwrap();
    done(home.path(), "backup --data-dir data --out empty");
    let copied = contents(&home.path().join("empty"));
    check_fails(
        home.path(),
        "backup --data-dir data --out empty",
        1,
        &["empty is not empty"],
    );
    assert_eq!(contents(&home.path().join("empty")), copied);
    for (out, said) in [
        ("purser.toml", "use purser.toml"),
        ("data/copy", "inside of the data directory"),
        ("missing/copy", "missing"),
    ] {
        let command = format!("backup --data-dir data --out {out}");
        check_fails(home.path(), &command, 1, &[said]);
    }
}

#[test]
fn damage_is_refused_by_every_command_in_the_words_of_a_start() {
    let home = stop(busy_server(), Signal::SIGTERM);
    let path = home.path();
    for shard in [0, 1] {
        let file = segment(path, shard);
        let mut bytes = fs::read(&file).unwrap();
        bytes[4_096 + 70] ^= 1;
        fs::write(&file, &bytes).unwrap();
    }
    let before = contents(path);
    let start = run(&["serve", "--config", "purser.toml"], path);
    assert_eq!(start.status.code(), Some(3), "{start:?}");
    let words = start
        .stderr
        .lines()
        .find_map(|line| Some(line.split_once("offset 4096: ")?.1))
        .unwrap()
        .split_once(" at offset ")
        .unwrap()
        .0
        .to_owned();
    let place = |shard| format!("shard-{shard}/00000001.seg, offset 4096: {words}");
    // All of it is read: the damage of both shards is told.
    check_fails(
        path,
        "verify --data-dir data",
        3,
        &[&place(0), &place(1), "Nothing was changed."],
    );
    for command in [
        "inspect --data-dir data --shard 1",
        "export --data-dir data --format csv --out x.csv",
        "backup --data-dir data --out copy",
    ] {
        let shard = usize::from(command.contains("--shard 1"));
        check_fails(path, command, 3, &[&place(shard)]);
    }
    assert_eq!(
        contents(path),
        before,
        "something was changed or left behind"
    );
}

#[test]
fn a_torn_tail_is_told_and_left_alone() {
    let home = stop(busy_server(), Signal::SIGKILL);
    let file = segment(home.path(), 0);
    let mut bytes = fs::read(&file).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let end = (used / 4_096 + 1) * 4_096;
    bytes[end..end + 1_000].fill(0xEE);
    fs::write(&file, &bytes).unwrap();
    let text = done(home.path(), "verify --data-dir data");
    let told = format!(
        "4096 bytes at offset {end} of data/shard-0/00000001.seg are an unfinished write, which \
         nobody was told of: a start would cut them off"
    );
    assert!(text.contains(&told), "{text}");
    assert_eq!(fs::read(&file).unwrap(), bytes);
    // The copy ends where the tail began.
    done(home.path(), "backup --data-dir data --out copy");
    let report = &json_lines(&done(home.path(), "verify --data-dir copy --json"))[0];
    assert_books(report);
    assert_eq!(report["Shards"][0]["End"], "Open");
}

#[test]
fn what_is_no_data_directory_is_told_from_lost_data() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path();
    fs::create_dir(path.join("empty")).unwrap();
    fs::write(path.join("file"), "").unwrap();
    for command in [
        "verify",
        "inspect",
        "export --format csv --out x",
        "backup --out x",
    ] {
        for (directory, said) in [
            ("missing", "there is no directory missing"),
            ("empty", "empty is no data directory"),
            ("file", "file is no directory"),
        ] {
            let command = format!("{command} --data-dir {directory}");
            check_fails(path, &command, 1, &[said]);
        }
        check_fails(path, command, 2, &["--data-dir <DIR>"]);
    }
    assert_eq!(fs::read_dir(path.join("empty")).unwrap().count(), 0);
    assert!(!path.join("missing").exists() && !path.join("x").exists());

    let home = stop(busy_server(), Signal::SIGTERM);
    fs::remove_file(home.path().join("data/manifest")).unwrap();
    check_fails(
        home.path(),
        "verify --data-dir data",
        3,
        &["The manifest is missing"],
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
