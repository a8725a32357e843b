//! A memory budget that is used up: nothing new is remembered, nothing is lost, and what is
//! there goes on (design.md section 5). The budget is set to less than the server takes while
//! it runs, and back.

mod common;

use common::{Admin, Call, Play, Server, Setup, eventually};
use serde_json::{Value, json};

/// The smallest budget that there is; an empty server takes more.
const TINY: &str = "max_memory_bytes = 1048576";

fn server() -> Server {
    Setup {
        shards: 2,
        limits: "max_memory_bytes = \"off\"",
        ..Setup::default()
    }
    .start()
}

fn set_budget(server: &Server, admin: &mut Admin, line: &str, full: f64) {
    server.edit_config(|text| {
        let at = text.find("max_memory_bytes").unwrap();
        let end = at + text[at..].find('\n').unwrap();
        format!("{}{line}{}", &text[..at], &text[end..])
    });
    assert_eq!(server.reload(), "done");
    eventually(&format!("the budget is {line}"), || {
        (admin.metric_sum("purser_memory_full") == full).then_some(())
    });
}

/// The request is answered 503: what it says.
fn refused(play: &mut Play, call: &Call) -> String {
    let answer = play.wallet.answer(call.path, call.members.json());
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.field("Retry-After"), Some("1"), "{answer:?}");
    let body = answer.json();
    assert_eq!(body["ErrorCode"], -1, "{body}");
    body["ErrorDescription"].as_str().unwrap().to_owned()
}

#[test]
fn a_budget_that_is_used_up_refuses_what_is_new_and_loses_nothing() {
    let server = server();
    let mut admin = Admin::of(&server);
    let mut play = Play::start(&server, "acme/p", "100.00");
    let first = [
        (play.bet("t", "r", "10"), "0 90.00+0.00 took 10.00+0.00"),
        (play.award("a", "r", "1"), "0 91.00+0.00"),
        (play.bet("open", "open", "1"), "0 90.00+0.00 took 1.00+0.00"),
    ];
    play.check(&first);
    set_budget(&server, &mut admin, TINY, 1.0);
    let account = |player: &str| format!("/admin/v1/accounts/acme/{player}");
    let country = Some(r#"{"CountryCode":"GB"}"#);
    // The shards go by it a moment after it is told.
    let new = play.bet("new", "r", "10");
    let mut probes = 0;
    eventually("every shard refuses", || {
        // So many accounts are of both.
        let mut answers = (0..8).map(|_| {
            probes += 1;
            let probe = account(&format!("probe-{probes}"));
            admin.call("PUT", &probe, country).status
        });
        answers.all(|status| status == 503).then_some(())
    });
    for call in [
        new.clone(),
        play.award("b", "r", "1"),
        play.rollback("k", "r", "t", "10"),
        play.rollback("early", "r", "never", "10"),
        play.void("v", "r", "1"),
        play.credit("c", "1"),
    ] {
        let words = refused(&mut play, &call);
        assert!(words.contains("memory"), "{words}");
    }
    let sessions = format!("{}/sessions", account("p"));
    for (method, target, body) in [("PUT", account("q"), country), ("POST", sessions, country)] {
        let answer = admin.call(method, &target, body);
        assert_eq!(answer.status, 503, "{target}: {answer:?}");
        let told = answer.json();
        assert_eq!(told["Error"], "overloaded", "{told}");
        assert!(told.to_string().contains("memory"), "{told}");
    }
    // What was begun as a stream ends with the error.
    let line = r#"{"OperatorAccountID":"acme/q","CountryCode":"GB"}"#;
    let import = admin.call("POST", "/admin/v1/import", Some(line));
    let import: Value = serde_json::from_slice(&import.body).unwrap();
    assert_eq!(import["Error"], "overloaded", "{import}");
    let refused = admin.deposit("acme/p", "d", "1.00");
    assert_eq!(
        (refused.status, refused.field("Retry-After")),
        (503, Some("5"))
    );
    // What was done is told as ever, and what takes no memory is done.
    let funds = "0 90.00+0.00";
    let told = [
        (play.bet("t", "r", "10"), "0 90.00+0.00 took 10.00+0.00"),
        (play.award("a", "r", "1"), funds),
        (play.bet("t", "r", "11"), "-6"),
        (play.end("open"), funds),
    ];
    play.check(&told);
    assert_eq!(play.wallet.balance("acme/p")["ErrorCode"], 0);
    let suspended = admin.put("acme/p", "status", &json!({"Status": "Suspended"}));
    assert_eq!(suspended["Status"], "Suspended");
    assert_eq!(
        admin.put("acme/p", "status", &json!({"Status": "Active"}))["Status"],
        "Active"
    );
    assert!(admin.metric_sum("purser_no_memory_total") >= 10.0);
    assert_eq!(admin.metric_sum("purser_no_room_total"), 0.0);
    assert_eq!(admin.metric_sum("purser_memory_budget_bytes"), 1_048_576.0);
    // With room again, the same requests are done, once.
    set_budget(&server, &mut admin, "max_memory_bytes = \"auto\"", 0.0);
    eventually("bets are taken", || {
        let body: Value = play.wallet.answer(new.path, new.members.json()).json();
        (body["ErrorCode"] == 0).then_some(())
    });
    let again = [
        (new, "0 80.00+0.00 took 10.00+0.00"),
        (play.rollback("k", "r", "t", "10"), "0 90.00+0.00"),
    ];
    play.check(&again);
    assert!(admin.metric_sum("purser_memory_budget_bytes") > 1_048_576.0);
    let said = server.output();
    for words in [
        "the memory budget is used up",
        "there is room in the memory budget again",
    ] {
        assert_eq!(said.matches(words).count(), 1, "{said}");
    }
    admin.trial_balance("acme");
}
