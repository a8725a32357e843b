//! Exactly once: repeats, copies that arrive at once, and restarts in between
//! (protocol.md section 8).

mod common;

use std::collections::BTreeMap;
use std::thread;

use common::{Admin, Call, Play, Server, Setup};
use serde_json::Value;

/// Connections of each player; the kernel spreads them over the shards.
const CONNECTIONS: usize = 12;

/// Every kind of booking, and the funds behind it when all were booked in this order
/// by a player with 100.00.
fn bookings(play: &Play) -> [(Call, &'static str); 6] {
    [
        (play.bet("t", "r", "10"), "0 90.00+0.00 took 10.00+0.00"),
        (play.award("t", "r", "1"), "0 91.00+0.00"),
        (play.rollback("t", "r", "t", "10"), "0 101.00+0.00"),
        (play.void("t", "r", "2"), "0 103.00+0.00"),
        (play.credit("t", "3"), "0 106.00+0.00"),
        (play.rollback("early", "r", "never", "5"), "-8 106.00+0.00"),
    ]
}

/// What a repeat of each tells once all were booked.
fn repeats(play: &Play) -> Vec<(Call, &'static str)> {
    let told = |call: &Call, first: &'static str| match first {
        _ if call.path.ends_with("placebet") => "0 106.00+0.00 took 10.00+0.00",
        told if told.starts_with("-8") => told,
        _ => "0 106.00+0.00",
    };
    let bookings = bookings(play).into_iter();
    bookings
        .map(|(call, first)| {
            let told = told(&call, first);
            (call, told)
        })
        .collect()
}

#[test]
fn a_repeat_is_answered_with_the_balance_of_now() {
    let server = Server::start();
    for number in 0..4 {
        let mut play = Play::start(&server, &format!("acme/p{number}"), "100.00");
        let (first, again) = (bookings(&play), repeats(&play));
        play.check(&first);
        play.check(&again);
        play.check(&again);
    }
}

/// `FreeBetCost` is not compared, so how it is written makes a repeat no other request.
#[test]
fn a_repeat_is_one_however_its_free_bet_cost_is_written() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/p", "100.00");
    let costly = |call: Call| call.with("FreeBetCost", r#""0.001""#);
    let first = [
        (play.bet("t", "r", "10"), "0 90.00+0.00 took 10.00+0.00"),
        (play.rollback("k", "r", "t", "10"), "0 100.00+0.00"),
    ];
    play.check(&first);
    let again = [
        (
            costly(play.bet("t", "r", "10")),
            "0 100.00+0.00 took 10.00+0.00",
        ),
        (costly(play.rollback("k", "r", "t", "10")), "0 100.00+0.00"),
        // Other contents are other contents, and a new bet must follow the rule.
        (costly(play.bet("t", "r", "11")), "-6"),
        (costly(play.bet("u", "r", "10")), "-6"),
    ];
    play.check(&again);
    let words = play.refusal(&costly(play.bet("u", "r", "10")), -6);
    assert!(
        words.starts_with("FreeBetCost: at most 2 fraction digits"),
        "{words}"
    );
}

/// Whatever the configuration says of the domain by then, an account keeps its currency.
#[test]
fn a_repeat_is_judged_by_the_currency_of_its_account() {
    let server = Server::start();
    let mut play = Play::start(&server, "acme/p", "100.00");
    let first = [
        (play.bet("t", "r", "10.50"), "0 89.50+0.00 took 10.50+0.00"),
        (play.rollback("k", "r", "t", "10.50"), "0 100.00+0.00"),
        (play.award("a", "r", "3"), "0 103.00+0.00"),
        (play.credit("c", "1.25"), "0 104.25+0.00"),
    ];
    play.check(&first);
    let deposit = play.admin.deposit("acme/p", "d", "5.50");
    assert_eq!(deposit.status, 200, "{deposit:?}");
    let (mut server, mut of) = (server, "GBP");
    let key = play.key.clone();
    for currency in ["JPY", "KWD"] {
        let in_acme = |code: &str| format!("name = \"acme\"\ncurrency = \"{code}\"");
        server.edit_config(|text| text.replacen(&in_acme(of), &in_acme(currency), 1));
        of = currency;
        server = server.killed_and_restarted();
        let mut play = Play::with_key(&server, "acme/p", key.clone());
        for stated in ["GBP", "JPY", "KWD", "XXX"] {
            let stated = |call: Call| call.with("CurrencyCode", &format!("{stated:?}"));
            let (done, other) = ("0 109.75+0.00", "-6");
            let took = "0 109.75+0.00 took 10.50+0.00";
            let steps = [
                (stated(play.bet("t", "r", "10.50")), took),
                (stated(play.bet("t", "r", "1050")), other),
                (stated(play.bet("t", "r", "1.05")), other),
                (stated(play.bet("t", "r", "10.5001")), other),
                (stated(play.rollback("k", "r", "t", "10.5")), done),
                (stated(play.award("a", "r", "3")), done),
                (stated(play.award("a", "r", "300")), other),
                (stated(play.award("a", "r", "0.3")), other),
                (stated(play.credit("c", "1.25")), done),
                (stated(play.credit("c", "125")), other),
            ];
            play.check(&steps);
        }
        let deposits = [
            ("d", "5.50", 200),
            ("d", "550", 409),
            ("d", "0.55", 409),
            ("new", "1", 422),
            ("new", "1.50", 422),
        ];
        for (id, amount, status) in deposits {
            let told = play.admin.deposit("acme/p", id, amount);
            assert_eq!(told.status, status, "{id} {amount}: {told:?}");
        }
    }
}

#[test]
fn a_restart_forgets_nothing_that_was_answered() {
    let mut server = Server::start();
    let names = ["acme/p0", "acme/p1", "acme/p2", "acme/p3"];
    let mut keys = BTreeMap::new();
    for name in names {
        let mut play = Play::start(&server, name, "100.00");
        let first = bookings(&play);
        play.check(&first);
        let late = play.bet("open", "open", "1");
        play.check(&[(late, "0 105.00+0.00 took 1.00+0.00")]);
        let credit = play.credit("back", "1");
        play.check(&[(credit, "0 106.00+0.00")]);
        keys.insert(name, play.key);
    }
    for _ in 0..2 {
        server = server.killed_and_restarted();
        for name in names {
            let mut play = Play::with_key(&server, name, keys[name].clone());
            let again = repeats(&play);
            play.check(&again);
            let steps = [
                // The bet whose rollback came first is still refused.
                (play.bet("never", "r", "5"), "-8 106.00+0.00"),
                // A round that was open is still there.
                (play.end("open"), "0 106.00+0.00"),
                (play.end("unheard"), "-14 106.00+0.00"),
                // Other contents are still other contents.
                (play.bet("t", "r", "11"), "-6"),
            ];
            play.check(&steps);
        }
        Admin::of(&server).trial_balance("acme");
    }
}

#[test]
fn of_copies_that_arrive_at_once_one_is_booked() {
    let server = Setup {
        shards: 3,
        ..Setup::default()
    }
    .start();
    for player in 0..4 {
        let account = format!("acme/p{player}");
        let mut play = Play::start(&server, &account, "100.00");
        let calls = bookings(&play);
        for (call, expected) in &calls {
            let answers: Vec<Value> = thread::scope(|scope| {
                let copies: Vec<_> = (0..CONNECTIONS)
                    .map(|_| {
                        let (server, key) = (&server, play.key.clone());
                        let account = &account;
                        scope.spawn(move || {
                            let mut copy = Play::with_key(server, account, key);
                            [copy.send(call), copy.send(call)]
                        })
                    })
                    .collect();
                copies
                    .into_iter()
                    .flat_map(|copy| copy.join().unwrap())
                    .collect()
            });
            // One was booked and the others repeat it: all are told the same.
            assert_eq!(answers.len(), 2 * CONNECTIONS);
            for answer in &answers {
                assert_eq!(*answer, answers[0]);
            }
            assert_eq!(play.told(call), *expected);
        }
    }
    let mut admin = Admin::of(&server);
    assert!(admin.metric_sum("purser_hops_total") > 0.0);
    assert!(admin.metric_sum("purser_own_commands_total") > 0.0);
    let row = admin.trial_balance("acme");
    assert_eq!(row["Accounts"]["PlayerCash"], "424.00", "{row}");
}

#[test]
fn different_bookings_at_once_are_all_booked() {
    let server = Server::start();
    let account = "acme/busy";
    let play = Play::start(&server, account, "1000.00");
    const EACH: usize = 25;
    thread::scope(|scope| {
        for connection in 0..8 {
            let (server, key) = (&server, play.key.clone());
            scope.spawn(move || {
                let mut play = Play::with_key(server, account, key);
                for step in 0..EACH {
                    let id = format!("{connection}-{step}");
                    for call in [play.bet(&id, &id, "1.10"), play.award(&id, &id, "0.10")] {
                        let told = play.told(&call);
                        assert!(told.starts_with("0 "), "{told}");
                    }
                }
            });
        }
    });
    let mut admin = Admin::of(&server);
    assert_eq!(admin.read(account)["CashFunds"], "800.00");
    let row = admin.trial_balance("acme");
    assert_eq!(row["Accounts"]["HouseStakes"], "220.00", "{row}");
    assert_eq!(row["Accounts"]["HouseWinnings"], "-20.00", "{row}");
    assert_eq!(row["Accounts"]["HouseCashier"], "-1000.00", "{row}");
}

#[test]
fn a_bet_and_its_rollback_that_cross_leave_the_funds_as_they_were() {
    let server = Server::start();
    let account = "acme/crossing";
    let mut play = Play::start(&server, account, "100.00");
    for number in 0..40 {
        let id = format!("b{number}");
        let (bet, rollback) = (
            play.bet(&id, &id, "7"),
            play.rollback(&format!("k{number}"), &id, &id, "7"),
        );
        let codes = thread::scope(|scope| {
            let send = |call: &Call| {
                let (server, key, call) = (&server, play.key.clone(), call.clone());
                scope.spawn(move || Play::with_key(server, account, key).told(&call))
            };
            let (bet, rollback) = (send(&bet), send(&rollback));
            (bet.join().unwrap(), rollback.join().unwrap())
        });
        // Either the bet came first and was reversed, or the rollback, and it was refused.
        let is_right = (codes.0.starts_with("0 ") && codes.1.starts_with("0 "))
            || (codes.0.starts_with("-8 ") && codes.1.starts_with("-8 "));
        assert!(is_right, "{codes:?}");
        assert_eq!(play.admin.read(account)["CashFunds"], "100.00");
    }
}
