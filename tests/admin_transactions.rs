//! The list of an account's transactions (operator.md section 4): what was booked, newest
//! first, page by page, wherever in the log it is by now.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Admin, Play, Server, Setup, eventually};
use serde_json::{Value, json};

fn target(account: &str, query: &str) -> String {
    format!("/admin/v1/accounts/{account}/transactions{query}")
}

/// A page, which must be there.
fn page(admin: &mut Admin, account: &str, query: &str) -> Value {
    let answer = admin.get(&target(account, query));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// All rows, read in pages of so many.
fn all(admin: &mut Admin, account: &str, limit: usize) -> Vec<Value> {
    let mut rows: Vec<Value> = Vec::new();
    let mut query = format!("?limit={limit}");
    loop {
        let page = page(admin, account, &query);
        let found = page["Transactions"].as_array().unwrap();
        rows.extend_from_slice(found);
        match &page["Before"] {
            Value::Null => return rows,
            Value::String(before) => {
                assert_eq!(found.len(), limit, "a page that is not the last is full");
                query = format!("?before={before}&limit={limit}");
            }
            other => panic!("Before is {other}"),
        }
    }
}

fn ids(rows: &[Value]) -> Vec<&str> {
    let ids = rows.iter().map(|row| row["TransactionID"].as_str());
    ids.map(Option::unwrap).collect()
}

/// `d-COUNT` down to `d-1`: what so many deposits are to be listed as.
fn newest_first(count: usize) -> Vec<String> {
    (1..=count).rev().map(|n| format!("d-{n}")).collect()
}

/// Deposits 1.00 under each of these ids. Small segments are filled faster than the next
/// one is made now and then, and a deposit that is told so is sent again.
fn deposit(admin: &mut Admin, account: &str, numbers: std::ops::RangeInclusive<usize>) {
    for number in numbers {
        eventually("the deposit is booked", || {
            let answer = admin.deposit(account, &format!("d-{number}"), "1.00");
            assert!(matches!(answer.status, 200 | 503), "{answer:?}");
            (answer.status == 200).then_some(())
        });
    }
}

fn check_error(admin: &mut Admin, account: &str, query: &str, status: u16, code: &str) {
    let answer = admin.get(&target(account, query));
    assert_eq!(answer.status, status, "{account} {query}: {answer:?}");
    assert_eq!(answer.json()["Error"], code, "{account} {query}");
}

#[test]
fn every_kind_is_listed_with_the_funds_after_it() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/p1", "");
    assert_eq!(
        page(&mut play.admin, "acme/p1", ""),
        json!({"Transactions": [], "Before": null})
    );
    play.admin.deposit("acme/p1", "d-1", "10.00");
    play.admin.bonus("acme/p1", "b-1", "4.00");
    let free = play.bet("bet-2", "r2", "9").with("FreeBetCost", "9");
    play.check(&[
        (play.bet("bet-1", "r1", "12"), "0 0.00+2.00 took 10.00+2.00"),
        (play.award("win-1", "r1", "6"), "0 5.00+3.00"),
        // Nothing is taken, and nothing given back.
        (free, "0 5.00+3.00 took 0.00+0.00"),
        (play.rollback("back-2", "r2", "bet-2", "9"), "0 5.00+3.00"),
        (play.rollback("back-1", "r1", "bet-1", "12"), "0 15.00+5.00"),
        (play.void("void-1", "r1", "0.50"), "0 15.50+5.00"),
        (play.credit("credit-1", "1.25"), "0 16.75+5.00"),
        (play.award("win-2", "r1", "0"), "0 16.75+5.00"),
        // What books nothing is no transaction: repeats, refusals, rollbacks of what was
        // rolled back or never came, ends.
        (play.credit("credit-1", "1.25"), "0 16.75+5.00"),
        (play.bet("bet-3", "r3", "1000"), "-2 16.75+5.00"),
        (play.rollback("again", "r1", "bet-1", "12"), "0 16.75+5.00"),
        (play.rollback("early", "r4", "never", "1"), "-8 16.75+5.00"),
        (play.end("r1"), "0 16.75+5.00"),
    ]);
    let withdrawn = play.admin.money("withdrawals", "acme/p1", "w-1", "0.75");
    assert_eq!(withdrawn.status, 200);
    play.admin
        .put("acme/p1", "limits", &json!({"LossDaily": "5"}));
    let row = |kind, id, amount, cash, bonus, round: Option<&str>, original: Option<&str>| {
        json!({
            "TransactionID": id,
            "Kind": kind,
            "Amount": amount,
            "CashFunds": cash,
            "BonusFunds": bonus,
            "GameRoundID": round,
            "GameID": round.map(|_| "chess"),
            "OriginalTransactionID": original,
        })
    };
    let (r1, r2) = (Some("r1"), Some("r2"));
    let expected = [
        row("Withdrawal", "w-1", "0.75", "16.00", "5.00", None, None),
        row("Award", "win-2", "0.00", "16.75", "5.00", r1, None),
        row("Credit", "credit-1", "1.25", "16.75", "5.00", None, None),
        row("Void", "void-1", "0.50", "15.50", "5.00", r1, None),
        row(
            "Rollback",
            "back-1",
            "12.00",
            "15.00",
            "5.00",
            r1,
            Some("bet-1"),
        ),
        row(
            "Rollback",
            "back-2",
            "9.00",
            "5.00",
            "3.00",
            r2,
            Some("bet-2"),
        ),
        row("Bet", "bet-2", "9.00", "5.00", "3.00", r2, None),
        row("Award", "win-1", "6.00", "5.00", "3.00", r1, None),
        row("Bet", "bet-1", "12.00", "0.00", "2.00", r1, None),
        row("Bonus", "b-1", "4.00", "10.00", "4.00", None, None),
        row("Deposit", "d-1", "10.00", "10.00", "0.00", None, None),
    ];
    let found = page(&mut play.admin, "acme/p1", "");
    assert_eq!(found["Before"], Value::Null);
    let mut rows = found["Transactions"].as_array().unwrap().clone();
    let mut times = Vec::new();
    for row in &mut rows {
        let at = row.as_object_mut().unwrap().remove("At").unwrap();
        times.push(at.as_str().unwrap().to_owned());
    }
    assert_eq!(rows, expected);
    // They have one form, so their order as texts is that in time.
    assert!(times.iter().all(|at| at.len() == 24 && at.ends_with('Z')));
    assert!(times.is_sorted_by(|newer, older| newer >= older));
}

#[test]
fn money_has_the_digits_of_the_account_s_currency() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    for (account, amount, cash) in [("nippon/p1", "7", "7"), ("gulf/p1", "1.5", "1.500")] {
        admin.account(account, amount);
        let row = &page(&mut admin, account, "")["Transactions"][0];
        assert_eq!(
            (&row["Amount"], &row["CashFunds"]),
            (&cash.into(), &cash.into())
        );
    }
}

#[test]
fn pages_follow_each_other_to_the_end() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "");
    deposit(&mut admin, "acme/p1", 1..=102);
    let expected = newest_first(102);
    let first = page(&mut admin, "acme/p1", "");
    let first = first["Transactions"].as_array().unwrap();
    assert_eq!(ids(first), expected[..100], "100 unless asked otherwise");
    for limit in [1_000, 102, 101, 51, 7] {
        let rows = all(&mut admin, "acme/p1", limit);
        assert_eq!(ids(&rows), expected, "pages of {limit}");
    }
    // What is booked meanwhile comes before the pages that are read, not into them.
    let newest = page(&mut admin, "acme/p1", "?limit=2");
    deposit(&mut admin, "acme/p1", 103..=103);
    let before = newest["Before"].as_str().unwrap();
    let next = page(&mut admin, "acme/p1", &format!("?limit=2&before={before}"));
    assert_eq!(
        ids(next["Transactions"].as_array().unwrap()),
        ["d-100", "d-99"]
    );
}

#[test]
fn what_names_no_page_is_refused() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "");
    deposit(&mut admin, "acme/p1", 1..=3);
    for query in [
        "?limit=0",
        "?limit=1001",
        "?limit=-1",
        "?limit=ten",
        "?limit=1&limit=2",
        "?before=",
        "?before=0",
        "?before=null",
        "?before=99999999",
        "?before=0-99999999",
        "?before=1-99999999",
        "?before=0-0",
        "?before=1-0",
        "?page=2",
    ] {
        check_error(&mut admin, "acme/p1", query, 400, "invalid_request");
    }
    check_error(&mut admin, "acme/nobody", "", 404, "account_not_found");
    check_error(&mut admin, "nowhere/p1", "", 404, "domain_not_found");
    let answer = admin.call("POST", &target("acme/p1", ""), Some("{}"));
    assert_eq!(
        (answer.status, answer.field("allow")),
        (405, Some("GET,HEAD"))
    );
    check_error(
        &mut Admin::with_token(&server, "wrong"),
        "acme/p1",
        "",
        401,
        "unauthorized",
    );
}

#[test]
fn a_cursor_is_of_one_account_whichever_shard_has_it() {
    let server = Setup {
        shards: 3,
        ..Setup::default()
    }
    .start();
    let mut admin = Admin::of(&server);
    let accounts: Vec<String> = (0..9).map(|n| format!("acme/p{n}")).collect();
    for account in &accounts {
        admin.account(account, "");
    }
    for number in 1..=4 {
        for account in &accounts {
            deposit(&mut admin, account, number..=number);
        }
    }
    let expected = newest_first(4);
    for account in &accounts {
        assert_eq!(ids(&all(&mut admin, account, 3)), expected, "{account}");
        let found = page(&mut admin, account, "?limit=2");
        let query = format!("?before={}", found["Before"].as_str().unwrap());
        for other in &accounts {
            if other != account {
                check_error(&mut admin, other, &query, 400, "invalid_request");
            }
        }
    }
}

/// Logs that roll after some 15 deposits and are folded as soon as may be.
fn folding() -> Setup {
    Setup {
        segment_bytes: 64 << 10,
        log: "checkpoint_bytes = 131072",
        ..Setup::default()
    }
}

/// Files with this ending, of the shard that has some.
fn files(data: &Path, ending: &str) -> Vec<PathBuf> {
    let shards = (0..2).map(|shard| data.join(format!("shard-{shard}")));
    let mut found: Vec<PathBuf> = shards
        .flat_map(|shard| fs::read_dir(shard).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    found.sort();
    found
}

/// Deposits until the first bookings are in history files alone; gives how many there are.
fn deposit_until_folded(admin: &mut Admin, server: &Server, account: &str) -> usize {
    let data = server.home.path().join("data");
    let mut count = 0;
    eventually("two folds", || {
        deposit(admin, account, count + 1..=count + 20);
        count += 20;
        let newest = format!("d-{count}");
        let rows = page(admin, account, "?limit=1");
        assert_eq!(rows["Transactions"][0]["TransactionID"], newest);
        (files(&data, "past").len() >= 3).then_some(count)
    })
}

#[test]
fn old_bookings_are_listed_from_history_and_after_restarts() {
    let server = folding().start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "");
    let count = deposit_until_folded(&mut admin, &server, "acme/p1");
    let rows = all(&mut admin, "acme/p1", 1_000);
    assert_eq!(ids(&rows), newest_first(count));
    assert_eq!(all(&mut admin, "acme/p1", 33), rows);
    let oldest_cash: Vec<_> = rows
        .iter()
        .rev()
        .take(3)
        .map(|row| &row["CashFunds"])
        .collect();
    assert_eq!(oldest_cash, ["1.00", "2.00", "3.00"]);
    let server = server.killed_and_restarted();
    let mut admin = Admin::of(&server);
    assert_eq!(all(&mut admin, "acme/p1", 50), rows);
    deposit(&mut admin, "acme/p1", count + 1..=count + 1);
    let more = all(&mut admin, "acme/p1", 1_000);
    assert_eq!(more[1..], rows);
}

#[test]
fn damage_is_told_and_the_list_is_not_cut_short() {
    let server = folding().start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "");
    let count = deposit_until_folded(&mut admin, &server, "acme/p1");
    let data = server.home.path().join("data");
    let oldest = files(&data, "past").remove(0);
    let mut bytes = fs::read(&oldest).unwrap();
    let middle = 4_096 + 100;
    bytes[middle] ^= 1;
    fs::write(&oldest, bytes).unwrap();
    check_error(&mut admin, "acme/p1", "?limit=1000", 500, "data_damaged");
    let name = oldest.file_name().unwrap().to_str().unwrap();
    eventually("the log names the file", || {
        let said = server.output();
        (said.contains("met damage") && said.contains(name)).then_some(())
    });
    // What is whole is listed still, and bookings go on.
    page(&mut admin, "acme/p1", "?limit=5");
    deposit(&mut admin, "acme/p1", count + 1..=count + 1);
}
