//! Of several reasons to refuse a booking the most fundamental one wins
//! (protocol.md section 4).

mod common;

use std::thread::sleep;
use std::time::Duration;

use common::{Admin, Call, Client, Play, Server, Wallet, basic, now_millis, text};
use serde_json::json;

/// From a call in which everything is wrong, one thing after the other is mended.
fn check_order(play: &mut Play, mut call: Call, steps: &[(&str, &str, &str)]) {
    for (member, value, expected) in steps {
        if !member.is_empty() {
            call = call.with(member, value);
        }
        assert_eq!(play.told(&call), *expected, "after {member} {value}");
    }
}

#[test]
fn of_several_reasons_to_refuse_a_bet_the_most_fundamental_wins() {
    let server = Server::start();
    let mut play = Play::start(&server, "arcade/order", "10.00");
    let account = play.account.clone();
    let early = play.rollback("k", "r", "late", "1");
    play.check(&[(early, "-8 10.00+0.00")]);
    let limits = json!({"LossDaily": "0.00", "SessionSeconds": 1});
    play.admin.put(&account, "limits", &limits);
    play.admin
        .put(&account, "status", &json!({"Status": "Suspended"}));
    sleep(Duration::from_millis(1_500));
    let key = text(&play.key);
    let wrong = play
        .bet("late", "r", "1000")
        .with("OperatorAccountID", "\"arcade/nobody\"")
        .with("Timestamp", "0")
        .with("GatewaySessionToken", "\"nonsense\"")
        .with("CurrencyCode", "\"EUR\"")
        .with("GameID", "\"unknown\"");
    let now = now_millis().to_string();
    let steps = [
        ("", "", "-5"),
        ("OperatorAccountID", &text(&account), "-6"),
        ("Timestamp", &now, "-3"),
        ("GatewaySessionToken", &key, "-9 10.00+0.00"),
        ("CurrencyCode", "\"GBP\"", "-15 10.00+0.00"),
        ("GameID", "\"chess\"", "-8 10.00+0.00"),
        ("GameRoundTransactionID", "\"new\"", "-1"),
    ];
    let mut mended = wrong.clone();
    for (member, value, _) in &steps[1..] {
        mended = mended.with(member, value);
    }
    check_order(&mut play, wrong, &steps);
    // Restrictions, then the session's age, then losses, then funds.
    play.admin
        .put(&account, "status", &json!({"Status": "Active"}));
    assert_eq!(play.told(&mended), "-13 10.00+0.00");
    play.admin
        .put(&account, "limits", &json!({"SessionSeconds": null}));
    assert_eq!(play.told(&mended), "-12 10.00+0.00");
    play.admin
        .put(&account, "limits", &json!({"LossDaily": null}));
    assert_eq!(play.told(&mended), "-2 10.00+0.00");
    let affordable = mended.clone().with("Amount", "10");
    assert_eq!(play.told(&affordable), "0 0.00+0.00 took 10.00+0.00");
    // From now on it is a repeat, whatever else is wrong with it.
    play.admin
        .put(&account, "status", &json!({"Status": "Suspended"}));
    play.admin.log_out(&play.key);
    let repeat = affordable.with("CurrencyCode", "\"EUR\"");
    assert_eq!(play.told(&repeat), "0 0.00+0.00 took 10.00+0.00");
}

#[test]
fn of_several_reasons_to_refuse_a_correction_the_most_fundamental_wins() {
    let server = Server::start();
    let stranger = Play::start(&server, "arcade/stranger", "");
    let foreign = text(&stranger.key);
    let mut play = Play::start(&server, "arcade/fix", "10.00");
    let steps: [(&str, &str, &str); 5] = [
        ("", "", "-5"),
        ("GatewaySessionToken", "null", "-9 10.00+0.00"),
        ("CurrencyCode", "\"GBP\"", "-6"),
        ("Amount", "0", "-15 10.00+0.00"),
        ("GameID", "\"chess\"", "0 10.00+0.00"),
    ];
    for call in [play.award("t", "r", "1.001"), play.void("t", "r2", "1.001")] {
        let wrong = call
            .with("GatewaySessionToken", &foreign)
            .with("CurrencyCode", "\"EUR\"")
            .with("GameID", "\"unknown\"");
        check_order(&mut play, wrong, &steps);
    }
    let wrong = play
        .rollback("t", "r", "b", "1")
        .with("GatewaySessionToken", &foreign)
        .with("CurrencyCode", "\"EUR\"")
        .with("GameID", "\"unknown\"");
    let rollback = [
        ("", "", "-5"),
        ("GatewaySessionToken", "null", "-9 10.00+0.00"),
        ("CurrencyCode", "\"GBP\"", "-15 10.00+0.00"),
        ("GameID", "\"chess\"", "-8 10.00+0.00"),
    ];
    check_order(&mut play, wrong, &rollback);
    let wrong = play
        .end("unknown")
        .with("GatewaySessionToken", &foreign)
        .with("CurrencyCode", "\"EUR\"")
        .with("GameID", "\"unknown\"");
    let end = [
        ("", "", "-5"),
        ("GatewaySessionToken", "null", "-9 10.00+0.00"),
        ("CurrencyCode", "\"GBP\"", "-14 10.00+0.00"),
        ("GameRoundID", "\"r\"", "0 10.00+0.00"),
    ];
    check_order(&mut play, wrong, &end);
    let currency = play.credit("c", "1.001").with("CurrencyCode", "\"EUR\"");
    assert_eq!(play.told(&currency), "-9 10.00+0.00");
}

#[test]
fn body_domain_and_credentials_come_before_the_account() {
    let server = Server::start();
    Admin::of(&server).account("acme/p1", "1.00");
    let play = Play::with_key(&server, "acme/p1", "no-key".to_owned());
    for call in [
        play.bet("t", "r", "1"),
        play.award("t", "r", "1"),
        play.rollback("k", "r", "b", "1"),
        play.void("t", "r", "1"),
        play.end("r"),
        play.credit("c", "1"),
    ] {
        let mut stranger = Wallet::over(Client::connect(server.wallet), &basic("gw", "wrong"));
        let mut post = |call: &Call| {
            let body = stranger.post(call.path, call.members.json());
            body["ErrorCode"].as_i64().unwrap()
        };
        let nobody = call.clone().with("OperatorAccountID", "\"acme/nobody\"");
        let nowhere = call.clone().with("OperatorAccountID", "\"nowhere/p1\"");
        assert_eq!(post(&nowhere.clone().without("CurrencyCode")), -6);
        assert_eq!(post(&nowhere), -5);
        assert_eq!(post(&nobody), -6);
        assert_eq!(post(&call), -6);
    }
}
