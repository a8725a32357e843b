//! Every row of the table of error codes for bookings (protocol.md section 3).

mod common;

use std::thread::sleep;
use std::time::Duration;

use common::{Call, Play, Server, Setup, now_millis, text};
use serde_json::json;

/// One call of each endpoint that states a session or a currency.
fn rounds(play: &Play) -> [Call; 5] {
    [
        play.bet("t", "r", "1"),
        play.award("t", "r", "1"),
        play.rollback("k", "r", "b", "1"),
        play.void("t", "r", "1"),
        play.end("r"),
    ]
}

fn all(play: &Play) -> Vec<Call> {
    let mut calls = rounds(play).to_vec();
    calls.push(play.credit("c", "1"));
    calls
}

#[test]
fn a_stake_above_the_funds_is_refused_with_the_balance() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/poor", "10.00");
    for amount in [
        "10.01",
        "1e3",
        "92233720368547758.08",
        "1e400",
        "99999999999999999999",
    ] {
        let bet = play.bet("t", "r", amount);
        let description = play.refusal(&bet, -2);
        assert!(description.starts_with("Amount: "), "{description}");
        assert!(description.contains(amount), "{description}");
        assert_eq!(play.told(&bet), "-2 10.00+0.00");
    }
    // A refused bet opens no round, and its id stays free.
    let steps = [
        (play.end("r"), "-14 10.00+0.00"),
        (play.bet("t", "r", "10"), "0 0.00+0.00 took 10.00+0.00"),
        (play.end("r"), "0 0.00+0.00"),
    ];
    play.check(&steps);
}

#[test]
fn a_credit_that_an_account_cannot_hold_is_booked_nowhere() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/rich", "92233720368547758.06");
    for call in [
        play.award("t", "r", "0.02"),
        play.void("t", "r", "1e300"),
        play.credit("t", "0.02"),
    ] {
        let description = play.refusal(&call, -1);
        assert!(description.contains("cannot hold"), "{description}");
    }
    let award = play.award("t", "r", "0.01");
    assert_eq!(play.told(&award), "0 92233720368547758.07+0.00");
}

#[test]
fn a_bet_needs_a_live_session_of_its_player() {
    let server = Server::start();
    let mut stranger = Play::start(&server, "acme/stranger", "10.00");
    let mut play = Play::start(&server, "acme/guest", "10.00");
    let with_key = |play: &Play, key: &str| {
        play.bet("t", "r", "1")
            .with("GatewaySessionToken", &text(key))
    };
    // A key with the routing bits of the player's own, and one of every shard's.
    let last = if play.key.ends_with('0') { "1" } else { "0" };
    let mut unknown = vec![format!("{}{last}", &play.key[..35])];
    unknown.extend(["0", "8", "f"].map(|first| format!("{first}{}{last}", &play.key[1..35])));
    unknown.push("nonsense".to_owned());
    unknown.push(play.key.to_uppercase().replace('-', "_"));
    unknown.push("x".repeat(100));
    unknown.push(stranger.key.clone());
    for key in &unknown {
        let description = play.refusal(&with_key(&play, key), -3);
        assert!(
            description.starts_with("GatewaySessionToken: "),
            "{description}"
        );
        assert!(!description.contains(key.as_str()), "{description}");
    }
    for blank in ["\"\"", "\"  \"", "null"] {
        let bet = play.bet("t", "r", "1").with("GatewaySessionToken", blank);
        play.refusal(&bet, -6);
    }
    stranger.admin.log_out(&stranger.key);
    let of_stranger = with_key(&play, &stranger.key);
    assert_eq!(play.told(&of_stranger), "-3");
    // An older session that is live is as good as the latest.
    let newer = play.admin.session("acme/guest");
    let bet = play.bet("t", "r", "1");
    assert_eq!(play.told(&bet), "0 9.00+0.00 took 1.00+0.00");
    play.admin.log_out(&play.key);
    let bet = play.bet("t2", "r", "1");
    assert_eq!(play.told(&bet), "-3 9.00+0.00");
    let bet = with_key(&play, &newer).with("GameRoundTransactionID", "\"t2\"");
    let told = play.wallet.post(bet.path, bet.members.json());
    assert_eq!(told["ErrorCode"], 0, "{told}");
}

#[test]
fn a_live_session_of_another_player_refuses_what_pays_or_corrects() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/owner", "10.00");
    let bet = play.bet("b", "r", "1");
    play.check(&[(bet, "0 9.00+0.00 took 1.00+0.00")]);
    // Strangers of every shard, and of another domain.
    let strangers = ["acme/s1", "acme/s2", "acme/s3", "gulf/s4"];
    for (at, stranger) in strangers.into_iter().enumerate() {
        let mut stranger = Play::start(&server, stranger, "");
        let calls = |key: &str| {
            let id = format!("{at}");
            [
                play.award(&id, "r", "1"),
                play.rollback(&id, "r", "b", "1"),
                play.void(&id, "r", "1"),
                play.end("r"),
            ]
            .map(|call| call.with("GatewaySessionToken", &text(key)))
        };
        let live = calls(&stranger.key);
        for call in &live {
            play.refusal(call, -5);
        }
        // Once it is over it refuses nothing any more; nor does what is no session.
        stranger.admin.log_out(&stranger.key);
        for call in &live {
            let told = play.told(call);
            assert!(told.starts_with("0 "), "{told}");
        }
    }
    for key in ["", "nonsense", "00000000-0000-8000-8000-000000000000"] {
        let award = play
            .award(&format!("w{key}"), "r", "0")
            .with("GatewaySessionToken", &text(key));
        let told = play.told(&award);
        assert!(told.starts_with("0 "), "{told}");
    }
}

#[test]
fn unknown_domains_and_players_are_not_found() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/known", "10.00");
    for account in ["acme/nobody", "nowhere/known"] {
        for call in all(&play) {
            play.refusal(&call.with("OperatorAccountID", &text(account)), -5);
        }
    }
}

#[test]
fn another_currency_is_refused_with_the_balance_in_the_account_s() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/pounds", "10.00");
    for currency in ["EUR", "JPY", "gbp", "XXX", "£££", "826"] {
        for call in all(&play) {
            let call = call.with("CurrencyCode", &text(currency));
            let body = play.send(&call);
            assert_eq!(body["ErrorCode"], -9, "{body}");
            assert_eq!(body["Balance"]["CurrencyCode"], "GBP");
            assert_eq!(body["Balance"]["CashFunds"], "10.00");
            let description = body["ErrorDescription"].as_str().unwrap();
            assert!(
                description.contains("GBP") && description.contains(currency),
                "{body}"
            );
        }
    }
    for wrong in ["\"GB\"", "\"GBPX\"", "\"\"", "null", "true"] {
        for call in all(&play) {
            play.refusal(&call.with("CurrencyCode", wrong), -6);
        }
    }
}

#[test]
fn a_game_that_the_domain_does_not_list_is_refused_but_may_be_ended() {
    let server = Server::start();
    let mut play = Play::start(&server, "arcade/p1", "10.00");
    let bet = play.bet("b", "r", "1").with("GameID", "11588");
    play.check(&[(bet, "0 9.00+0.00 took 1.00+0.00")]);
    for call in [
        play.bet("t", "r", "1"),
        play.award("t", "r", "1"),
        play.rollback("t", "r", "b", "1"),
        play.void("t", "r", "1"),
    ] {
        let body = play.send(&call.with("GameID", "\"Chess\""));
        assert_eq!(body["ErrorCode"], -15, "{body}");
        assert_eq!(body["Balance"]["CashFunds"], "9.00");
        let description = body["ErrorDescription"].as_str().unwrap();
        assert!(description.contains("\"Chess\""), "{description}");
    }
    let end = play.end("r").with("GameID", "\"Chess\"");
    assert_eq!(play.told(&end), "0 9.00+0.00");
}

#[test]
fn an_id_stands_for_one_booking_of_its_kind() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/ids", "100.00");
    let kinds = [
        (play.bet("t", "r", "1"), "0 99.00+0.00 took 1.00+0.00"),
        (play.award("t", "r", "2"), "0 101.00+0.00"),
        (play.rollback("t", "r", "t", "1"), "0 102.00+0.00"),
        (play.void("t", "r", "3"), "0 105.00+0.00"),
        (play.credit("t", "4"), "0 109.00+0.00"),
    ];
    play.check(&kinds);
    assert_eq!(play.admin.deposit("acme/ids", "t", "5.00").status, 200);
    let withdrawn = play.admin.money("withdrawals", "acme/ids", "t", "6.00");
    assert_eq!(withdrawn.status, 200, "{withdrawn:?}");
    for (call, _) in &kinds {
        let mut others = vec![call.clone().with("Amount", "7")];
        if call.path.contains("gameround") {
            others.push(call.clone().with("GameRoundID", "\"other\""));
            others.push(call.clone().with("GameID", "\"other\""));
        }
        if call.path.ends_with("rollbackbet") {
            let other = call.clone();
            others.push(other.with("OriginalBetGameRoundTransactionID", "\"other\""));
        }
        for other in others {
            let description = play.refusal(&other, -6);
            assert!(description.contains("TransactionID"), "{description}");
        }
        // What is not compared: repeats all the same.
        let mut repeat = call
            .clone()
            .with("CurrencyCode", "\"JPY\"")
            .with("Sequence", "\"another\"");
        if call.path.contains("gameround") {
            repeat = repeat.with("EndRound", "true");
        } else {
            repeat = repeat.with("AccountTransactionTypeID", "\"another\"");
        }
        let told = play.told(&repeat);
        assert!(told.starts_with("0 108.00+0.00"), "{told}");
    }
}

#[test]
fn a_rollback_names_its_bet_s_amount_round_and_game() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/exact", "10.00");
    let bet = play.bet("b", "r", "4");
    play.check(&[(bet, "0 6.00+0.00 took 4.00+0.00")]);
    let good = play.rollback("k", "r", "b", "4");
    for wrong in [
        good.clone().with("Amount", "3.99"),
        good.clone().with("Amount", "4.01"),
        good.clone().with("Amount", "1e300"),
        good.clone().with("GameRoundID", "\"R\""),
        good.clone().with("GameID", "\"other\""),
    ] {
        let description = play.refusal(&wrong, -6);
        assert!(description.contains("Amount"), "{description}");
    }
    play.check(&[(good, "0 10.00+0.00")]);
}

#[test]
fn a_rollback_of_an_unknown_bet_is_not_found() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/none", "10.00");
    let steps = [
        (play.rollback("k", "r", "b", "4"), "-8 10.00+0.00"),
        // An award is no bet, whatever its id.
        (play.award("w", "r", "1"), "0 11.00+0.00"),
        (play.rollback("k2", "r", "w", "1"), "-8 11.00+0.00"),
    ];
    play.check(&steps);
}

#[test]
fn requests_from_another_time_are_refused() {
    let server = Setup {
        ledger: "idempotency_window = \"1h\"\nmax_clock_skew = \"2m\"",
        ..Setup::default()
    }
    .start();
    let mut play = Play::start(&server, "acme/clock", "100.00");
    let minutes = |count: i64| (now_millis() + count * 60_000).to_string();
    let calls = [
        play.bet("t", "r", "1"),
        play.award("t", "r", "1"),
        play.rollback("k", "r", "t", "1"),
        play.void("t", "r", "1"),
        play.credit("t", "1"),
    ];
    for call in &calls {
        for (time, words) in [
            (minutes(-61), "older than 1h"),
            ("0".to_owned(), "older than 1h"),
            (
                "\"2020-01-01T00:00:00Z\"".to_owned(),
                "got 2020-01-01T00:00:00.000Z",
            ),
            (minutes(3), "more than 2m ahead"),
        ] {
            let description = play.refusal(&call.clone().with("Timestamp", &time), -6);
            assert!(description.starts_with("Timestamp: "), "{description}");
            assert!(description.contains(words), "{description}");
        }
        for time in [minutes(-59), minutes(1)] {
            let told = play.told(&call.clone().with("Timestamp", &time));
            assert!(told.starts_with("0 "), "{told}");
        }
        // A repeat that comes so late is no longer recognised, so it is not looked for.
        play.refusal(&call.clone().with("Timestamp", &minutes(-61)), -6);
        // Whether the player is known comes first.
        let nobody = call.clone().with("OperatorAccountID", "\"acme/nobody\"");
        play.refusal(&nobody.with("Timestamp", "0"), -5);
    }
    // end books nothing, and reads are no bookings.
    let end = play.end("r").with("Timestamp", "0");
    assert!(play.told(&end).starts_with("0 "));
}

#[test]
fn a_suspended_account_is_paid_and_does_not_bet() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/stopped", "10.00");
    let bet = play.bet("b", "r", "1");
    play.check(&[(bet, "0 9.00+0.00 took 1.00+0.00")]);
    let account = play
        .admin
        .put("acme/stopped", "status", &json!({"Status": "Suspended"}));
    assert_eq!(account["Status"], "Suspended");
    let steps = [
        (play.bet("b2", "r", "1"), "-1"),
        // A repeat is a repeat.
        (play.bet("b", "r", "1"), "0 9.00+0.00 took 1.00+0.00"),
        (play.award("w", "r", "1"), "0 10.00+0.00"),
        (play.rollback("k", "r", "b", "1"), "0 11.00+0.00"),
        (play.void("v", "r", "1"), "0 12.00+0.00"),
        (play.credit("c", "1"), "0 13.00+0.00"),
        (play.end("r"), "0 13.00+0.00"),
    ];
    play.check(&steps);
    play.admin
        .put("acme/stopped", "status", &json!({"Status": "Active"}));
    let bet = play.bet("b2", "r", "1");
    play.check(&[(bet, "0 12.00+0.00 took 1.00+0.00")]);
}

#[test]
fn a_loss_limit_stops_the_bet_that_would_pass_it() {
    let server = Server::start();
    for (limit, word) in [
        ("LossDaily", "daily"),
        ("LossWeekly", "weekly"),
        ("LossMonthly", "monthly"),
    ] {
        let account = format!("acme/{word}");
        let mut play = Play::start(&server, &account, "100.00");
        play.admin.put(&account, "limits", &json!({limit: "10.00"}));
        let free = play
            .bet("f", "r", "50")
            .with("FreeGameOfferCode", "\"spins\"");
        let steps = [
            (play.bet("b1", "r", "9"), "0 91.00+0.00 took 9.00+0.00"),
            (play.bet("b2", "r", "1.01"), "-12 91.00+0.00"),
            (free, "0 91.00+0.00 took 0.00+0.00"),
            (play.bet("b2", "r", "1"), "0 90.00+0.00 took 1.00+0.00"),
            (play.bet("b3", "r", "0.01"), "-12 90.00+0.00"),
            // Winnings, rollbacks and voids make room again.
            (play.award("w", "r", "2"), "0 92.00+0.00"),
            (play.rollback("k", "r", "b2", "1"), "0 93.00+0.00"),
            (play.void("v", "r", "1"), "0 94.00+0.00"),
            (play.bet("b4", "r", "4.01"), "-12 94.00+0.00"),
            (play.bet("b4", "r", "4"), "0 90.00+0.00 took 4.00+0.00"),
        ];
        play.check(&steps);
        let description = play.refusal(&play.bet("b5", "r", "1"), -12);
        assert!(description.contains(word), "{description}");
        play.admin.put(&account, "limits", &json!({limit: null}));
        let bet = play.bet("b5", "r", "1");
        play.check(&[(bet, "0 89.00+0.00 took 1.00+0.00")]);
    }
}

#[test]
fn a_session_limit_stops_the_bets_of_an_old_session() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/long", "10.00");
    let limit = json!({"SessionSeconds": 1});
    play.admin.put("acme/long", "limits", &limit);
    sleep(Duration::from_millis(1_500));
    let steps = [
        (play.bet("b", "r", "1"), "-13 10.00+0.00"),
        (play.award("w", "r", "1"), "0 11.00+0.00"),
    ];
    play.check(&steps);
    play.admin
        .put("acme/long", "limits", &json!({"SessionSeconds": 60}));
    let bet = play.bet("b", "r", "1");
    play.check(&[(bet, "0 10.00+0.00 took 1.00+0.00")]);
}
