//! Imports: all or nothing of what is wrong, once of what is right, of any size.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::{Value, json};
use shards::ledger::Command;
use shards::mesh::REPLY_SLOTS;
use shards::types::AccountId;

use super::client::{Response, ask_first, begin, receive};
use super::{Fixture, TOKEN, shared};

/// An import that starts when no other test's is running.
fn import(admin: &Fixture, body: &str) -> Response {
    loop {
        let answer = admin.ask("POST", "/admin/v1/import", body);
        if answer.status != 503 {
            return answer;
        }
        answer.expect_error(503, "overloaded", "another import is running");
        assert_eq!(answer.header("retry-after"), Some("5"));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The lines of an import that was taken.
fn lines(answer: &Response) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    assert!(answer.text().ends_with('\n'));
    let parse = |line| serde_json::from_str(line).unwrap();
    answer.text().lines().map(parse).collect()
}

fn counts(accounts: u64, created: u64, sessions: u64) -> Value {
    json!({
        "Accounts": accounts,
        "Created": created,
        "Existing": accounts - created,
        "Sessions": sessions,
    })
}

#[test]
fn a_hundred_thousand_accounts_are_imported_and_only_once() {
    const ACCOUNTS: u64 = 100_000;
    let admin = shared();
    let body: String = (0..ACCOUNTS)
        .map(|at| {
            format!(
                "{{\"OperatorAccountID\":\"acme/bulk-{at}\",\"CountryCode\":\"GB\",\
                 \"CashFunds\":\"{at}.25\",\"OpenSession\":{}}}\n",
                at % 2 == 0
            )
        })
        .collect();
    let first = lines(&import(admin, &body));
    assert_eq!(
        first.last(),
        Some(&counts(ACCOUNTS, ACCOUNTS, ACCOUNTS / 2))
    );
    assert_eq!(first.len() as u64, ACCOUNTS / 2 + 1);
    assert_eq!(first[1]["OperatorAccountID"], "acme/bulk-2");
    let again = lines(&import(admin, &body));
    assert_eq!(again.last(), Some(&counts(ACCOUNTS, 0, ACCOUNTS / 2)));
    let but_last = first.len() - 1;
    assert!(
        first[..but_last] == again[..but_last],
        "the sessions are the same"
    );
    let key = first[1]["SessionKey"].as_str().unwrap();
    let session = admin.ask("GET", &format!("/admin/v1/sessions/{key}"), "");
    assert_eq!(session.member("OperatorAccountID"), "acme/bulk-2");
    let account = admin.ask("GET", "/admin/v1/accounts/acme/bulk-99999", "");
    assert_eq!(account.member("CashFunds"), "99999.25");
}

#[test]
fn blank_lines_and_a_missing_last_newline_are_fine() {
    let admin = shared();
    for (body, expected) in [
        ("", counts(0, 0, 0)),
        ("\n\r\n  \n", counts(0, 0, 0)),
        (
            "\n{\"OperatorAccountID\":\"acme/blank-1\",\"CountryCode\":\"GB\"}\r\n\n\
             {\"OperatorAccountID\":\"acme/blank-2\",\"CountryCode\":\"GB\",\"OpenSession\":false}",
            counts(2, 2, 0),
        ),
    ] {
        assert_eq!(lines(&import(admin, body)), [expected], "{body:?}");
    }
}

#[test]
fn of_two_lines_about_an_account_the_first_counts() {
    let admin = shared();
    let line = |cash: &str| {
        json!({
            "OperatorAccountID": "acme/twice",
            "CountryCode": "GB",
            "CashFunds": cash,
            "BonusFunds": "2.00",
            "OpenSession": true,
        })
        .to_string()
    };
    let answer = lines(&import(
        admin,
        &format!("{}\n{}\n", line("1.00"), line("9.00")),
    ));
    assert_eq!(answer[0], answer[1]);
    assert_eq!(answer[2], counts(2, 1, 2));
    let account = admin.ask("GET", "/admin/v1/accounts/acme/twice", "");
    assert_eq!(account.member("CashFunds"), "1.00");
    assert_eq!(account.member("BonusFunds"), "2.00");
}

#[test]
fn a_bad_line_is_named_and_nothing_is_kept() {
    let admin = shared();
    let good = "{\"OperatorAccountID\":\"acme/unkept\",\"CountryCode\":\"GB\"}\n";
    let long = format!("{good}{}", " ".repeat(5_000));
    // Larger than what a client and the kernel hold between them, so that the client is
    // still sending when the first line is refused.
    let large = format!("?\n{}", good.repeat(200_000));
    for (body, message) in [
        (
            format!("{good}\n{{}}\n{good}"),
            "line 3: OperatorAccountID: is required",
        ),
        (format!("{good}{good}{{\"Operator"), "line 3: EOF"),
        (
            format!("{good}{{\"OperatorAccountID\":\"acme/x\",\"CountryCode\":\"GB\",\"X\":1}}"),
            "line 2: unknown field `X`",
        ),
        (
            format!("{good}{{\"OperatorAccountID\":\"nope/x\",\"CountryCode\":\"GB\"}}\n"),
            "line 2: OperatorAccountID: no domain \"nope\"",
        ),
        (
            format!(
                "{good}{{\"OperatorAccountID\":\"yen/x\",\"CountryCode\":\"JP\",\"BonusFunds\":\"1\"}}\n"
            ),
            "line 2: BonusFunds: the domain \"yen\" has no bonus funds",
        ),
        (
            format!("{good}\u{feff}{good}"),
            "line 2: expected a JSON object",
        ),
        (long, "line 2: longer than 4096 bytes"),
        (large, "line 1: expected a JSON object"),
    ] {
        import(admin, &body).expect_error(400, "invalid_request", message);
    }
    admin
        .ask("GET", "/admin/v1/accounts/acme/unkept", "")
        .expect_error(404, "account_not_found", "");
}

#[test]
fn one_import_runs_at_a_time() {
    let admin = Fixture::start();
    let line = "{\"OperatorAccountID\":\"acme/slow\",\"CountryCode\":\"GB\"}\n";
    let path = "/admin/v1/import";
    let authorization = format!("Bearer {TOKEN}");
    let mut first = begin(admin.addr, "POST", path, &authorization, line.len());
    // A large one too: who is still sending must hear why.
    for body in [line.to_owned(), line.repeat(200_000)] {
        let second = admin.ask("POST", path, &body);
        second.expect_error(503, "overloaded", "another import is running");
        assert_eq!(second.header("retry-after"), Some("5"));
    }
    // Who asks before it sends is told not to.
    let third = ask_first(admin.addr, "POST", path, &authorization, line.len());
    receive(third).expect_error(503, "overloaded", "another import is running");
    first.write_all(line.as_bytes()).unwrap();
    assert_eq!(lines(&receive(first)), [counts(1, 1, 0)]);
}

#[test]
fn an_import_that_ends_early_keeps_nothing() {
    let admin = Fixture::start();
    let line = "{\"OperatorAccountID\":\"acme/early\",\"CountryCode\":\"GB\"}\n";
    let path = "/admin/v1/import";
    let authorization = format!("Bearer {TOKEN}");
    let mut stream = begin(admin.addr, "POST", path, &authorization, line.len() + 1);
    stream.write_all(line.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    // What the server says to that, if anything, is for nobody.
    let _ = stream.read_to_end(&mut Vec::new());
    assert_eq!(lines(&import(&admin, "")), [counts(0, 0, 0)]);
    admin
        .ask("GET", "/admin/v1/accounts/acme/early", "")
        .expect_error(404, "account_not_found", "");
}

#[test]
fn without_room_a_request_is_503_and_an_import_waits() {
    let admin = Fixture::start();
    let command = Command::ReadBalance {
        account: AccountId::parse("acme/nobody").unwrap(),
    };
    // An answer that nobody takes keeps its slot.
    let untaken: Vec<_> = (0..REPLY_SLOTS)
        .map(|_| admin.cluster.control().ask(command.clone()))
        .collect();
    let refused = admin.ask("GET", "/admin/v1/accounts/acme/nobody", "");
    refused.expect_error(503, "overloaded", "too many commands are waiting");
    assert_eq!(refused.header("retry-after"), Some("1"));
    std::thread::scope(|scope| {
        let line = "{\"OperatorAccountID\":\"acme/patient\",\"CountryCode\":\"GB\"}\n";
        let waiting = scope.spawn(|| import(&admin, line));
        std::thread::sleep(Duration::from_millis(100));
        assert!(!waiting.is_finished());
        drop(untaken);
        assert_eq!(lines(&waiting.join().unwrap()), [counts(1, 1, 0)]);
    });
}

#[test]
fn a_spool_that_cannot_be_made_is_a_fault_of_ours() {
    let admin = Fixture::start();
    std::fs::remove_dir(admin.spool_dir.path()).unwrap();
    import(&admin, "").expect_error(500, "internal_error", "");
}

#[test]
fn an_import_that_shards_cut_short_says_so_at_its_end() {
    let admin = Fixture::start();
    admin.cluster.drain();
    admin.cluster.close();
    let body = "\n{\"OperatorAccountID\":\"acme/late\",\"CountryCode\":\"GB\"}\n";
    let answer = lines(&import(&admin, body));
    assert_eq!(
        answer,
        [json!({
            "Error": "overloaded",
            "Message": "the server is stopping at line 2; repeat the import, it is idempotent",
        })]
    );
}
