//! The operator's money, limits, status and books (operator.md section 4).

mod common;

use common::{Admin, Play, Server, Setup};
use serde_json::{Value, json};

fn error(admin: &mut Admin, method: &str, target: &str, body: &str) -> (u16, String, String) {
    let answer = admin.call(method, &format!("/admin/v1/{target}"), Some(body));
    let body = answer.json();
    let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
    (answer.status, text("Error"), text("Message"))
}

#[test]
fn withdrawals_are_paid_once_and_never_beyond_the_cash() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "10.00");
    admin.bonus("acme/p1", "b", "5.00");
    let steps = [
        (
            "w-1",
            "4.00",
            200,
            json!({"CashFunds": "6.00", "BonusFunds": "5.00"}),
        ),
        (
            "w-1",
            "4",
            200,
            json!({"CashFunds": "6.00", "BonusFunds": "5.00"}),
        ),
        // The same id as the deposit's: another kind.
        (
            "opening",
            "1.00",
            200,
            json!({"CashFunds": "5.00", "BonusFunds": "5.00"}),
        ),
    ];
    for (id, amount, status, funds) in steps {
        let answer = admin.money("withdrawals", "acme/p1", id, amount);
        assert_eq!((answer.status, answer.json()), (status, funds), "{id}");
    }
    let target = "accounts/acme/p1/withdrawals";
    for (body, status, code) in [
        (
            r#"{"TransactionID":"w-1","Amount":"4.01"}"#,
            409,
            "transaction_id_reused",
        ),
        (
            r#"{"TransactionID":"w-2","Amount":"5.01"}"#,
            422,
            "insufficient_funds",
        ),
        (
            r#"{"TransactionID":"w-2","Amount":"0"}"#,
            400,
            "invalid_request",
        ),
        (
            r#"{"TransactionID":"w-2","Amount":"1.001"}"#,
            400,
            "invalid_request",
        ),
        (r#"{"TransactionID":"w-2"}"#, 400, "invalid_request"),
    ] {
        let found = error(&mut admin, "POST", target, body);
        assert_eq!((found.0, found.1.as_str()), (status, code), "{}", found.2);
    }
    // A refused withdrawal's id stays free.
    let answer = admin.money("withdrawals", "acme/p1", "w-2", "5.00");
    assert_eq!(answer.json()["CashFunds"], "0.00");
    let row = admin.trial_balance("acme");
    let expected = json!({
        "PlayerCash": "0.00",
        "PlayerBonus": "5.00",
        "HouseStakes": "0.00",
        "HouseWinnings": "0.00",
        "HouseCashier": "0.00",
        "HouseBonus": "-5.00",
        "HouseAdjustments": "0.00",
    });
    assert_eq!(row["Accounts"], expected);
}

#[test]
fn bonuses_need_a_domain_that_has_bonus_funds() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("gulf/p1", "1.000");
    for _ in 0..2 {
        let answer = admin.money("bonuses", "gulf/p1", "b-1", "0.500");
        let funds = json!({"CashFunds": "1.000", "BonusFunds": "0.500"});
        assert_eq!((answer.status, answer.json()), (200, funds));
    }
    let target = "accounts/gulf/p1/bonuses";
    let other = error(
        &mut admin,
        "POST",
        target,
        r#"{"TransactionID":"b-1","Amount":"1"}"#,
    );
    assert_eq!((other.0, other.1.as_str()), (409, "transaction_id_reused"));
    admin.account("nippon/p1", "1");
    let target = "accounts/nippon/p1/bonuses";
    let none = error(
        &mut admin,
        "POST",
        target,
        r#"{"TransactionID":"b-1","Amount":"1"}"#,
    );
    assert_eq!((none.0, none.1.as_str()), (422, "no_bonus_funds"));
    assert_eq!(admin.read("nippon/p1")["BonusFunds"], "0");
}

#[test]
fn money_for_nobody_is_not_found() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    for (target, code) in [
        ("accounts/acme/nobody", "account_not_found"),
        ("accounts/nowhere/p1", "domain_not_found"),
    ] {
        for (what, method, body) in [
            (
                "withdrawals",
                "POST",
                r#"{"TransactionID":"t","Amount":"1"}"#,
            ),
            ("bonuses", "POST", r#"{"TransactionID":"t","Amount":"1"}"#),
            ("limits", "PUT", r#"{"LossDaily":"1"}"#),
            ("status", "PUT", r#"{"Status":"Active"}"#),
        ] {
            let found = error(&mut admin, method, &format!("{target}/{what}"), body);
            assert_eq!((found.0, found.1.as_str()), (404, code), "{what}");
        }
    }
}

#[test]
fn limits_left_out_stay_and_null_removes() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "1.00");
    let limits = |daily: Value, weekly: Value, monthly: Value, seconds: Value| {
        json!({
            "LossDaily": daily,
            "LossWeekly": weekly,
            "LossMonthly": monthly,
            "SessionSeconds": seconds,
        })
    };
    let null = Value::Null;
    let steps = [
        (
            json!({}),
            limits(null.clone(), null.clone(), null.clone(), null.clone()),
        ),
        (
            json!({"LossDaily": "50.00", "SessionSeconds": 3600}),
            limits("50.00".into(), null.clone(), null.clone(), 3_600.into()),
        ),
        (
            json!({"LossWeekly": "1e2", "LossMonthly": "0"}),
            limits("50.00".into(), "100.00".into(), "0.00".into(), 3_600.into()),
        ),
        (
            json!({"LossDaily": null, "SessionSeconds": null}),
            limits(null.clone(), "100.00".into(), "0.00".into(), null.clone()),
        ),
        (
            json!({}),
            limits(null.clone(), "100.00".into(), "0.00".into(), null),
        ),
    ];
    for (change, expected) in steps {
        let account = admin.put("acme/p1", "limits", &change);
        assert_eq!(account["Limits"], expected, "{change}");
        assert_eq!(account, admin.read("acme/p1"));
    }
    for (body, member) in [
        (r#"{"LossDaily":"-1"}"#, "LossDaily: must not be negative"),
        (
            r#"{"LossWeekly":"1.001"}"#,
            "LossWeekly: at most 2 fraction digits",
        ),
        (r#"{"LossMonthly":5}"#, "LossMonthly: expected a string"),
        (r#"{"SessionSeconds":0}"#, "SessionSeconds: expected"),
        (r#"{"SessionSeconds":-1}"#, "SessionSeconds: expected"),
        (r#"{"SessionSeconds":1.5}"#, "SessionSeconds: expected"),
        (r#"{"SessionSeconds":"60"}"#, "SessionSeconds: expected"),
        (
            r#"{"SessionSeconds":4294967296}"#,
            "SessionSeconds: expected",
        ),
        (r#"{"LossYearly":"1"}"#, "unknown field"),
        ("[]", "expected a JSON object"),
    ] {
        let found = error(&mut admin, "PUT", "accounts/acme/p1/limits", body);
        assert_eq!((found.0, found.1.as_str()), (400, "invalid_request"));
        assert!(found.2.contains(member), "{}", found.2);
    }
    assert_eq!(admin.read("acme/p1")["Limits"]["LossWeekly"], "100.00");
}

#[test]
fn limits_and_status_survive_a_restart() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "1.00");
    admin.put(
        "acme/p1",
        "limits",
        &json!({"LossDaily": "5", "SessionSeconds": 60}),
    );
    let before = admin.put("acme/p1", "status", &json!({"Status": "Suspended"}));
    let server = server.killed_and_restarted();
    assert_eq!(Admin::of(&server).read("acme/p1"), before);
}

#[test]
fn a_status_is_active_or_suspended() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "1.00");
    for status in ["Suspended", "Suspended", "Active", "Active"] {
        let account = admin.put("acme/p1", "status", &json!({"Status": status}));
        assert_eq!(account["Status"], status);
        assert_eq!(admin.read("acme/p1"), account);
    }
    for (body, words) in [
        (r#"{"Status":"suspended"}"#, "Status: expected"),
        (r#"{"Status":1}"#, "Status: expected a string"),
        ("{}", "Status: is required"),
        (r#"{"State":"Active"}"#, "unknown field"),
    ] {
        let found = error(&mut admin, "PUT", "accounts/acme/p1/status", body);
        assert_eq!((found.0, found.1.as_str()), (400, "invalid_request"));
        assert!(found.2.contains(words), "{}", found.2);
    }
}

#[test]
fn an_account_counts_its_open_rounds() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/p1", "10.00");
    let end_with = play.award("w", "r2", "0").with("EndRound", "true");
    let steps = [
        (play.bet("b1", "r1", "1"), 1),
        (play.bet("b2", "r1", "1"), 1),
        (play.bet("b3", "r2", "1"), 2),
        (end_with, 1),
        (play.void("v", "r3", "1"), 1),
        (play.end("r1"), 0),
        (play.end("r1"), 0),
    ];
    for (call, open) in steps {
        assert!(play.told(&call).starts_with("0 "));
        assert_eq!(play.admin.read("acme/p1")["OpenRounds"], open);
    }
}

#[test]
fn the_books_of_all_shards_sum_to_zero() {
    let server = Setup {
        shards: 3,
        ..Setup::default()
    }
    .start();
    let mut admin = Admin::of(&server);
    let row = admin.trial_balance("gulf");
    assert_eq!(row["Accounts"]["PlayerCash"], "0.000", "{row}");
    for number in 0..6 {
        let mut play = Play::start(&server, &format!("acme/p{number}"), "100.00");
        let account = play.account.clone();
        play.admin.bonus(&account, "b", "10.00");
        let calls = [
            play.bet("b1", "r", "105"),
            play.award("w1", "r", "21"),
            play.void("v1", "r", "1"),
            play.credit("c1", "2"),
            play.bet("b2", "r2", "3"),
            play.rollback("k2", "r2", "b2", "3"),
        ];
        for call in calls {
            let told = play.told(&call);
            assert!(told.starts_with("0 "), "{told}");
        }
        let withdrawn = play.admin.money("withdrawals", &account, "w", "3.00");
        assert_eq!(withdrawn.status, 200);
    }
    let row = admin.trial_balance("acme");
    // Of 105.00, 5.00 were bonus; so of 21.00, 1.00 is.
    let expected = json!({
        "Domain": "acme",
        "CurrencyCode": "GBP",
        "Accounts": {
            "PlayerCash": "120.00",
            "PlayerBonus": "36.00",
            "HouseStakes": "630.00",
            "HouseWinnings": "-126.00",
            "HouseCashier": "-582.00",
            "HouseBonus": "-60.00",
            "HouseAdjustments": "-18.00",
        },
        "Total": "0.00",
    });
    assert_eq!(row, expected);
    common::eventually("sizes are published", || {
        (admin.metric_sum("purser_accounts") == 6.0).then_some(())
    });
    assert_eq!(admin.metric_sum("purser_money_imbalance_minor_units"), 0.0);
}

/// A repeat asks nothing of the domain: what was booked was booked.
#[test]
fn a_bonus_is_repeated_after_its_domain_gave_up_bonus_funds() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p", "1.00");
    admin.bonus("acme/p", "g", "2.00");
    server.edit_config(|text| {
        let acme = "name = \"acme\"\n";
        text.replacen(acme, &format!("{acme}funds_priority = \"Unknown\"\n"), 1)
    });
    assert_eq!(server.reload(), "done");
    for (id, amount, status, code) in [
        ("g", "2.00", 200, None),
        ("g", "3.00", 409, Some("transaction_id_reused")),
        ("new", "2.00", 422, Some("no_bonus_funds")),
    ] {
        let told = admin.money("bonuses", "acme/p", id, amount);
        assert_eq!(told.status, status, "{told:?}");
        if let Some(code) = code {
            assert_eq!(told.json()["Error"], code, "{told:?}");
        }
    }
}
