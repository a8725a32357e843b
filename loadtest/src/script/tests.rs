use super::*;
use crate::accounts::Account;
use crate::scan;
use crate::template::{Common, Template};
use crate::world::Target;

fn world(scenario: Scenario, repeats: f64) -> World {
    let account = |number: u32| Account {
        id: format!("demo/player-{number}"),
        session_key: "0b8e9a4c-1111-8222-8333-444455556666".to_owned(),
    };
    let common = Common {
        host: "h",
        username: "u",
        password: "p",
        platform_key: "LT",
        game: "g",
        currency: "EUR",
    };
    World {
        scenario,
        accounts: (0..3).map(account).collect(),
        targets: vec![Target::new(([127, 0, 0, 1], 1).into(), vec![0, 1, 2], 1.0)],
        templates: Template::all(&common),
        currency: "EUR".to_owned(),
        fraction_digits: 2,
        repeats,
        reorderings: 0.0,
        run_id: 0xabc,
    }
}

/// A script in the middle of the flow of this name, at its first step.
fn begun(world: &World, name: &str) -> Script {
    let mut random = Random::new(1, 0);
    loop {
        let mut script = Script::new(7, 0);
        script.begin(world, &mut random);
        if script.round().flow.name == name {
            script.current.as_mut().unwrap().stake = 150;
            return script;
        }
    }
}

fn request(script: &Script, world: &World) -> serde_json::Value {
    let mut out = Vec::new();
    script.render(world, &mut WallClock::new(), Instant::now(), &mut out);
    let text = String::from_utf8(out).unwrap();
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn judge(
    script: &Script,
    world: &World,
    effects: &mut Effects,
    status: u16,
    text: &str,
) -> (bool, Meaning) {
    let body = scan::body(text.as_bytes());
    let (checked, meaning) = script.judge(world, status, body.as_ref(), effects);
    (checked.iter().flatten().all(|&passed| passed), meaning)
}

const DONE: &str =
    r#"{"ErrorCode":0,"Balance":{"CurrencyCode":"EUR","CashFunds":"1.00","BonusFunds":"0.00"}}"#;

fn booked(script: &Script, world: &World) -> String {
    let id = &request(script, world)["GameRoundTransactionID"];
    format!(
        r#"{{"ErrorCode":0,"Balance":{{"CurrencyCode":"EUR","CashFunds":"1.00","BonusFunds":"0.00"}},"Result":{{"OperatorTransactionReference":{id},"OperatorTransactionSplit":{{"BonusAmount":"0.50","CashAmount":"1.00"}}}}}}"#
    )
}

#[test]
fn a_round_s_requests_name_one_round_and_their_own_ids() {
    let world = world(Scenario::Full, 0.0);
    let mut script = begun(&world, "balance-bet-rollback-end");
    let mut random = Random::new(1, 0);
    let mut requests = Vec::new();
    loop {
        requests.push(request(&script, &world));
        if script.advance(&world, true, &mut random) == Next::Done {
            break;
        }
    }
    let [balance, bet, rollback, end] = &requests[..] else {
        panic!("{requests:?}");
    };
    assert_eq!(balance["OperatorAccountID"], bet["OperatorAccountID"]);
    assert_eq!(bet["Amount"].to_string(), "1.5");
    assert_eq!(
        rollback["OriginalBetGameRoundTransactionID"],
        bet["GameRoundTransactionID"]
    );
    assert_ne!(
        rollback["GameRoundTransactionID"],
        bet["GameRoundTransactionID"]
    );
    for request in [rollback, end] {
        assert_eq!(request["GameRoundID"], bet["GameRoundID"]);
    }
    let id = bet["GameRoundTransactionID"].as_str().unwrap();
    assert_eq!(
        id,
        format!("lt-00000abc-{:018}-b", script.round_number_before(&world))
    );
}

impl Script {
    /// The number of the flow that was just done.
    fn round_number_before(&self, _: &World) -> u64 {
        self.vu * ITERATIONS_MAX + self.iteration - 1
    }
}

#[test]
fn two_flows_never_share_an_id() {
    let world = world(Scenario::Full, 0.0);
    let mut random = Random::new(1, 0);
    let mut seen = std::collections::BTreeSet::new();
    for vu in 1..=3 {
        let mut script = Script::new(vu, 0);
        for _ in 0..50 {
            script.begin(&world, &mut random);
            assert!(seen.insert(request(&script, &world)["Sequence"].to_string()));
            while script.advance(&world, true, &mut random) == Next::Step {
                assert!(seen.insert(request(&script, &world)["Sequence"].to_string()));
            }
        }
    }
}

#[test]
fn a_booking_counts_at_its_first_definitive_answer_and_once() {
    let world = world(Scenario::Full, 1.0);
    let mut random = Random::new(1, 0);
    let mut script = begun(&world, "bet-end");
    let mut effects = Effects::new(3);
    let answer = booked(&script, &world);
    let lost = judge(&script, &world, &mut effects, 503, r#"{"ErrorCode":-1}"#);
    assert_eq!((lost, effects.sum()), ((false, Meaning::Unknown), 0));
    let first = judge(&script, &world, &mut effects, 200, &answer);
    assert_eq!((first, effects.sum()), ((true, Meaning::Settled), -150));
    // With every booking repeated, the same bet goes out again, and counts no more.
    assert_eq!(script.advance(&world, true, &mut random), Next::Step);
    assert_eq!(script.kind(), Kind::PlaceBet);
    assert_eq!(booked(&script, &world), answer);
    let again = judge(&script, &world, &mut effects, 200, &answer);
    assert_eq!((again, effects.sum()), ((true, Meaning::Settled), -150));
    assert_eq!(script.advance(&world, true, &mut random), Next::Step);
    assert_eq!(script.kind(), Kind::End);
}

#[test]
fn what_an_answer_means_depends_on_who_refused() {
    let world = world(Scenario::Full, 0.0);
    let bet = begun(&world, "bet-end");
    let cases = [
        (200, r#"{"ErrorCode":-2}"#, Meaning::Settled),
        (200, "not JSON", Meaning::Unknown),
        (200, "{}", Meaning::Unknown),
        (404, "{}", Meaning::Settled),
        (408, "{}", Meaning::Unknown),
        (500, "{}", Meaning::Unknown),
        (503, r#"{"ErrorCode":-1}"#, Meaning::Unknown),
    ];
    for (status, body, meaning) in cases {
        let mut effects = Effects::new(3);
        let seen = judge(&bet, &world, &mut effects, status, body);
        assert_eq!(seen, (false, meaning), "{status} {body}");
        assert_eq!(effects.sum(), 0);
    }
    let balance = begun(&world, "balance");
    let seen = judge(&balance, &world, &mut Effects::new(3), 503, "{}");
    assert_eq!(seen.1, Meaning::Settled);
}

#[test]
fn an_answer_must_say_what_was_asked() {
    let world = world(Scenario::Full, 0.0);
    let bet = begun(&world, "bet-end");
    let right = booked(&bet, &world);
    let cases = [
        (right.clone(), true),
        (right.replace("\"EUR\"", "\"GBP\""), false),
        (
            right.replace("\"CashFunds\":\"1.00\"", "\"CashFunds\":\"1.0\""),
            false,
        ),
        (
            right.replace("\"CashFunds\":\"1.00\"", "\"CashFunds\":\"-1.00\""),
            false,
        ),
        (
            right.replace("\"CashAmount\":\"1.00\"", "\"CashAmount\":\"1.01\""),
            false,
        ),
        (right.replace("-b\"", "-c\""), false),
        (DONE.to_owned(), false),
    ];
    for (body, expected) in cases {
        let seen = judge(&bet, &world, &mut Effects::new(3), 200, &body);
        assert_eq!(seen.0, expected, "{body}");
    }
    let balance = begun(&world, "balance");
    assert!(judge(&balance, &world, &mut Effects::new(3), 200, DONE).0);
    assert!(
        !judge(
            &balance,
            &world,
            &mut Effects::new(3),
            200,
            r#"{"ErrorCode":0}"#
        )
        .0
    );
}

#[test]
fn a_wrong_answer_ends_a_round_but_not_the_reference_s_pair() {
    let mut random = Random::new(1, 0);
    let full = world(Scenario::Full, 0.0);
    let mut script = begun(&full, "bet-end");
    assert_eq!(script.advance(&full, false, &mut random), Next::Done);
    assert!(script.is_between_flows());
    let reference = world(Scenario::Reference, 0.0);
    let mut script = begun(&reference, "reference");
    assert_eq!(script.advance(&reference, false, &mut random), Next::Step);
    assert_eq!(script.kind(), Kind::RedeemToken);
}

#[test]
fn reference_users_walk_through_the_players_from_their_own_start() {
    let world = world(Scenario::Reference, 0.0);
    let mut random = Random::new(1, 0);
    let mut script = Script::new(2, 0);
    for iteration in 0..5 {
        script.begin(&world, &mut random);
        let expected = (2 * 7919 + iteration) % 3;
        assert_eq!(u64::from(script.round().player), expected);
        while script.advance(&world, true, &mut random) == Next::Step {}
    }
}

#[test]
fn a_token_is_the_session_key_and_the_time() {
    let mut buffer = [0; TOKEN_BYTES_MAX];
    let token = fresh_token("abc", 0x19a, &mut buffer);
    assert_eq!(token, b"abc-19a");
    let long = "k".repeat(TOKEN_BYTES_MAX + 1);
    assert_eq!(
        fresh_token(&long, 1, &mut [0; TOKEN_BYTES_MAX]).len(),
        TOKEN_BYTES_MAX
    );
}
