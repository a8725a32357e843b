//! Rounds of a game and credits: what is booked, and how the funds stand then
//! (protocol.md section 7). Every table is played by several players over one
//! connection's shard, so that some of them are of that shard and some of the other.

mod common;

use common::{ALERT, Admin, Call, Members, Play, Server, text};
use serde_json::json;

/// How many play each table. The kernel draws the shard of each connection, so that with two
/// shards one run in two thousand has all of them on one side.
const PLAYERS: usize = 12;

/// Has several players of a domain play the same calls.
fn each(
    server: &Server,
    domain: &str,
    name: &str,
    (cash, bonus): (&str, &str),
    table: impl Fn(&Play) -> Vec<(Call, &'static str)>,
) {
    for number in 0..PLAYERS {
        let account = format!("{domain}/{name}-{number}");
        let mut play = Play::start(server, &account, cash);
        if !bonus.is_empty() {
            play.admin.bonus(&account, "b", bonus);
        }
        let steps = table(&play);
        play.check(&steps);
    }
}

#[test]
fn a_round_takes_the_stake_and_pays_the_winnings() {
    let server = Server::start();
    each(&server, "acme", "plain", ("100.00", ""), |p| {
        vec![
            (p.bet("t1", "r1", "10"), "0 90.00+0.00 took 10.00+0.00"),
            (p.bet("t2", "r1", "0.5"), "0 89.50+0.00 took 0.50+0.00"),
            (p.award("t1", "r1", "25.01"), "0 114.51+0.00"),
            (p.award("t3", "r1", "0"), "0 114.51+0.00"),
            (p.end("r1"), "0 114.51+0.00"),
            (p.end("r1"), "0 114.51+0.00"),
            // Into a closed round: booked.
            (p.bet("t4", "r1", "4.51"), "0 110.00+0.00 took 4.51+0.00"),
            (p.award("t5", "r1", "1"), "0 111.00+0.00"),
            // An award opens an unknown round, and may close it at once.
            (
                p.award("t6", "r2", "1").with("EndRound", "true"),
                "0 112.00+0.00",
            ),
            (p.end("r2"), "0 112.00+0.00"),
            // A bet that ends its round.
            (
                p.bet("t7", "r3", "12").with("EndRound", "true"),
                "0 100.00+0.00 took 12.00+0.00",
            ),
            (p.end("r3"), "0 100.00+0.00"),
            // All of it, and a stake of nothing.
            (p.bet("t8", "r4", "100"), "0 0.00+0.00 took 100.00+0.00"),
            (p.bet("t9", "r4", "0"), "0 0.00+0.00 took 0.00+0.00"),
        ]
    });
    let mut admin = Admin::of(&server);
    assert!(admin.metric_sum("purser_hops_total") > 0.0);
    assert!(admin.metric_sum("purser_own_commands_total") > 0.0);
}

#[test]
fn an_amount_is_a_number_or_a_string_holding_one() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/forms", "100.00");
    let amounts = [
        "1", "1.0", "1.50", "1e0", "10e-1", "\"1.00\"", "\"1E0\"", "-0", "\"0\"",
    ];
    let funds = [
        "99.00", "98.00", "96.50", "95.50", "94.50", "93.50", "92.50", "92.50", "92.50",
    ];
    for (at, (amount, cash)) in amounts.iter().zip(funds).enumerate() {
        let bet = play.bet(&format!("t{at}"), "r", "0").with("Amount", amount);
        let told = play.told(&bet);
        assert!(
            told.starts_with(&format!("0 {cash}+0.00 ")),
            "{amount}: {told}"
        );
    }
    for amount in ["1.001", "\"1.001\"", "1e-3"] {
        let description = play.refusal(&play.bet("t", "r", "0").with("Amount", amount), -6);
        let got = amount.trim_matches('"');
        assert_eq!(
            description,
            format!("Amount: at most 2 fraction digits for GBP, got {got}")
        );
    }
    for amount in [
        "-1",
        "\"-0.01\"",
        "\" 1\"",
        "\"1 \"",
        "\"\"",
        "true",
        "null",
        "{}",
        "\"1,0\"",
    ] {
        let description = play.refusal(&play.bet("t", "r", "0").with("Amount", amount), -6);
        assert!(description.starts_with("Amount: "), "{description}");
    }
    // None of those used its id up.
    let told = play.told(&play.bet("t", "r", "0.50"));
    assert_eq!(told, "0 92.00+0.00 took 0.50+0.00");
}

#[test]
fn money_has_the_digits_of_its_currency() {
    let server = Server::start();
    each(&server, "nippon", "yen", ("1000", ""), |p| {
        vec![
            (p.bet("t1", "r", "10"), "0 990+0 took 10+0"),
            (p.bet("t2", "r", "10.0"), "0 980+0 took 10+0"),
            (p.bet("t3", "r", "1.5"), "-6"),
            (p.award("t4", "r", "20"), "0 1000+0"),
        ]
    });
    each(&server, "gulf", "dinar", ("1.000", ""), |p| {
        vec![
            (p.bet("t1", "r", "0.001"), "0 0.999+0.000 took 0.001+0.000"),
            (p.bet("t2", "r", "0.0001"), "-6"),
            (p.void("t3", "r", "0.0010"), "0 1.000+0.000"),
        ]
    });
}

#[test]
fn a_rollback_gives_back_what_its_bet_took() {
    let server = Server::start();
    each(&server, "acme", "back", ("100.00", ""), |p| {
        vec![
            (p.bet("b1", "r1", "10"), "0 90.00+0.00 took 10.00+0.00"),
            (p.rollback("k1", "r1", "b1", "10"), "0 100.00+0.00"),
            (p.rollback("k1", "r1", "b1", "10"), "0 100.00+0.00"),
            // Under another id: no second credit, and its id is remembered.
            (p.rollback("k2", "r1", "b1", "10"), "0 100.00+0.00"),
            (p.rollback("k2", "r1", "b1", "10"), "0 100.00+0.00"),
            // The bet again is a repeat, not a bet.
            (p.bet("b1", "r1", "10"), "0 100.00+0.00 took 10.00+0.00"),
            // Behind the end of its round, and behind its award.
            (p.bet("b2", "r2", "20"), "0 80.00+0.00 took 20.00+0.00"),
            (p.award("w2", "r2", "5"), "0 85.00+0.00"),
            (p.end("r2"), "0 85.00+0.00"),
            (p.rollback("k3", "r2", "b2", "20"), "0 105.00+0.00"),
            (p.end("r2"), "0 105.00+0.00"),
        ]
    });
}

#[test]
fn a_rollback_before_its_bet_is_remembered() {
    let server = Server::start();
    each(&server, "acme", "early", ("100.00", ""), |p| {
        vec![
            (p.rollback("k1", "r1", "b1", "10"), "-8 100.00+0.00"),
            (p.rollback("k1", "r1", "b1", "10"), "-8 100.00+0.00"),
            (p.bet("b1", "r1", "10"), "-8 100.00+0.00"),
            (p.bet("b1", "r1", "10"), "-8 100.00+0.00"),
            (p.rollback("k1", "r1", "b1", "10"), "-8 100.00+0.00"),
            // Neither opened the round.
            (p.end("r1"), "-14 100.00+0.00"),
            (p.bet("b2", "r1", "10"), "0 90.00+0.00 took 10.00+0.00"),
        ]
    });
}

#[test]
fn voids_and_credits_go_to_cash() {
    let server = Server::start();
    each(&server, "gulf", "gifts", ("1.000", "1.000"), |p| {
        vec![
            (p.void("v1", "r1", "0.500"), "0 1.500+1.000"),
            (p.void("v1", "r1", "0.5"), "0 1.500+1.000"),
            // A void opens no round.
            (p.end("r1"), "-14 1.500+1.000"),
            (p.credit("v1", "0.250"), "0 1.750+1.000"),
            (p.credit("v1", "0.250"), "0 1.750+1.000"),
            (p.credit("v2", "0"), "0 1.750+1.000"),
        ]
    });
}

#[test]
fn stakes_are_taken_by_the_domain_s_priority_and_winnings_follow_them() {
    let server = Server::start();
    each(&server, "acme", "cash-first", ("10.00", "5.00"), |p| {
        vec![
            (p.bet("b1", "r1", "8"), "0 2.00+5.00 took 8.00+0.00"),
            (p.bet("b2", "r1", "4"), "0 0.00+3.00 took 2.00+2.00"),
            // 2 of 12 were bonus: 1.00 of 6.00, and a penny's part is cash.
            (p.award("w1", "r1", "6"), "0 5.00+4.00"),
            (p.award("w2", "r1", "0.05"), "0 5.05+4.00"),
            (p.rollback("k2", "r1", "b2", "4"), "0 7.05+6.00"),
            // The rolled back stake has left the proportion: all cash.
            (p.award("w3", "r1", "1"), "0 8.05+6.00"),
            (p.bet("b3", "r2", "14.06"), "-2 8.05+6.00"),
            (p.bet("b3", "r2", "14.05"), "0 0.00+0.00 took 8.05+6.00"),
        ]
    });
    each(&server, "gulf", "bonus-first", ("10.000", "5.000"), |p| {
        vec![
            (p.bet("b1", "r1", "4"), "0 10.000+1.000 took 0.000+4.000"),
            (p.bet("b2", "r1", "4"), "0 7.000+0.000 took 3.000+1.000"),
            // 5 of 8 were bonus.
            (p.award("w1", "r1", "8"), "0 10.000+5.000"),
        ]
    });
}

#[test]
fn free_play_takes_nothing_and_its_winnings_are_paid() {
    let server = Server::start();
    let offer = |call: Call| call.with("FreeGameOfferCode", r#""spins""#);
    each(&server, "acme", "free", ("1.00", ""), |p| {
        vec![
            (offer(p.bet("b1", "r1", "50")), "0 1.00+0.00 took 0.00+0.00"),
            (
                p.bet("b2", "r1", "50").with("FreeBetCost", "0.01"),
                "0 1.00+0.00 took 0.00+0.00",
            ),
            (p.award("w1", "r1", "3"), "0 4.00+0.00"),
            // What the bet said counts, not what its rollback says.
            (p.rollback("k1", "r1", "b1", "50"), "0 4.00+0.00"),
            // Neither makes it free: an empty offer, a cost of nothing.
            (
                p.bet("b3", "r2", "1")
                    .with("FreeGameOfferCode", r#""""#)
                    .with("FreeBetCost", "0"),
                "0 3.00+0.00 took 1.00+0.00",
            ),
            (offer(p.rollback("k3", "r2", "b3", "1")), "0 4.00+0.00"),
        ]
    });
}

#[test]
fn jackpot_amounts_move_no_funds() {
    let server = Server::start();
    each(&server, "acme", "jackpot", ("10.00", ""), |p| {
        vec![
            (
                p.bet("b1", "r1", "1")
                    .with("JackpotContribution", "0.00000001"),
                "0 9.00+0.00 took 1.00+0.00",
            ),
            (
                p.award("w1", "r1", "1").with("JackpotWinnings", "1000000"),
                "0 10.00+0.00",
            ),
            (
                p.bet("b2", "r1", "1")
                    .with("JackpotContribution", "0.000000001"),
                "-6",
            ),
            (
                p.end("r1")
                    .with("JackpotContribution", "0.1")
                    .with("JackpotWinnings", "\"0.2\""),
                "0 10.00+0.00",
            ),
        ]
    });
}

#[test]
fn rounds_belong_to_their_account() {
    let server = Server::start();
    let mut first = Play::start(&server, "acme/owner", "10.00");
    let mut second = Play::start(&server, "acme/other", "10.00");
    let bet = first.bet("b", "r", "1");
    first.check(&[(bet, "0 9.00+0.00 took 1.00+0.00")]);
    let end = second.end("r");
    let bet = second.bet("b", "r", "2");
    second.check(&[
        (end.clone(), "-14 10.00+0.00"),
        (bet, "0 8.00+0.00 took 2.00+0.00"),
        (end, "0 8.00+0.00"),
    ]);
    assert_eq!(first.admin.read("acme/owner")["OpenRounds"], 1);
    assert_eq!(first.admin.read("acme/other")["OpenRounds"], 0);
}

#[test]
fn an_answer_to_an_alert_is_recorded_and_books_nothing() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/alerted", "10.00");
    let plain = Members::balance("acme/alerted");
    let full = plain
        .clone()
        .with("GatewaySessionToken", &text(&play.key))
        .with("Source", r#""game""#)
        .with("AlertActionID", "7")
        .with("OperatorAlertActionReference", r#""continue""#)
        .with("OperatorAlertReference", r#""reality-check""#)
        .with("GamingRegulatorCode", r#""UKGC""#)
        .with("Type", r#""popup""#)
        .with("Method", r#""click""#)
        .with("Data", &text(&"x".repeat(50)));
    for members in [&plain, &full] {
        let answer = play.wallet.post(ALERT, members.json());
        assert_eq!(answer, json!({"ErrorCode": 0}));
    }
    let long = full.with("Data", &text(&"x".repeat(51)));
    let answer = play.wallet.post(ALERT, long.json());
    assert_eq!(answer["ErrorCode"], -6, "{answer}");
    let nobody = Members::balance("acme/nobody");
    assert_eq!(play.wallet.post(ALERT, nobody.json())["ErrorCode"], -5);
    let funds = &play.wallet.balance("acme/alerted")["Balance"]["CashFunds"];
    assert_eq!(funds, "10.00");
}
