//! The walk of a request against a ledger of hash maps.

mod access;
mod bookings;
mod fake;
mod slow;
mod tokens;

use proptest::prelude::*;
use serde_json::{Value, json};
use shards::Unavailable;

use super::*;
use crate::wallet::error_code::ErrorCode;
use fake::{Call, KEY, LOST_KEY, NOW, World, token_at};

/// Of any answer: the code, and `ErrorDescription` if there is one.
fn code_of(body: &str) -> (i64, String) {
    let value: Value = serde_json::from_str(body).expect(body);
    let code = value["ErrorCode"].as_i64().expect(body);
    let description = value["ErrorDescription"].as_str().unwrap_or_default();
    assert_eq!(code == 0, description.is_empty(), "{body}");
    assert!(
        code == 0 || value.as_object().is_some_and(|all| all.len() == 2),
        "{body}"
    );
    (code, description.to_owned())
}

/// The request is answered 200 with this code and a description that holds these words.
fn check(world: &World, call: &Call, code: i64, words: &str) {
    let (answer, body) = world.send(call);
    assert_eq!(answer, Answer::OK, "{body}");
    let got = code_of(&body);
    assert_eq!(got.0, code, "{call:?}: {body}");
    assert!(
        got.1.contains(words),
        "{call:?}: {body}, expected {words:?}"
    );
}

#[test]
fn a_balance_has_the_digits_of_its_currency() {
    let world = World::new();
    let cases = [
        (
            "acme/p1",
            r#"{"ErrorCode":0,"Balance":{"CurrencyCode":"GBP","CashFunds":"90.00","BonusFunds":"0.05","FundsPriority":"CashFundsFirst"}}"#,
        ),
        (
            "yen/p1",
            r#"{"ErrorCode":0,"Balance":{"CurrencyCode":"JPY","CashFunds":"9000","BonusFunds":"5","FundsPriority":"BonusFundsFirst"}}"#,
        ),
        (
            "kuwait/p1",
            r#"{"ErrorCode":0,"Balance":{"CurrencyCode":"KWD","CashFunds":"9.000","BonusFunds":"0.005","FundsPriority":"Unknown"}}"#,
        ),
    ];
    for (account, expected) in cases {
        let call = Call::balance().with("OperatorAccountID", json!(account));
        assert_eq!(world.send(&call), (Answer::OK, expected.to_owned()));
    }
}

/// From a request in which everything is wrong, one thing after the other is mended.
fn check_order(world: &World, mut call: Call, steps: &[(Mend, i64, &str)]) {
    for (mend, code, words) in steps {
        mend(&mut call);
        check(world, &call, *code, words);
    }
}

type Mend = fn(&mut Call);

#[test]
fn the_most_fundamental_reason_wins_where_the_request_names_its_account() {
    for endpoint in Endpoint::ALL {
        if endpoint == Endpoint::RedeemToken {
            continue;
        }
        let call = Call::of(endpoint);
        let world = World::new();
        let wrong = call
            .raw(b"{")
            .with("OperatorAccountID", json!("nowhere"))
            .with("PlatformKey", json!("XX"))
            .authorized("nobody", "x")
            .from("203.0.113.9", &[]);
        check_order(
            &world,
            wrong,
            &[
                (|_| (), -6, "not a JSON object"),
                (
                    |call| call.raw = None,
                    -6,
                    "OperatorAccountID: domain/player",
                ),
                (
                    |call| call.set("OperatorAccountID", json!("nowhere/p9")),
                    -5,
                    "unknown domain",
                ),
                (
                    |call| call.set("OperatorAccountID", json!("acme/p9")),
                    -6,
                    "Not authorised",
                ),
                (|call| call.peer = fake::CLIENT, -6, "Not authorised"),
                (|call| call.authorize("gw", "s3:cret"), -6, "Not authorised"),
                (
                    |call| call.set("PlatformKey", json!("GW")),
                    -5,
                    "no such player",
                ),
                (
                    |call| call.set("OperatorAccountID", json!("acme/p1")),
                    0,
                    "",
                ),
            ],
        );
        assert_eq!(
            world.ledger.asked().len(),
            2,
            "asked only once the caller is known"
        );
    }
}

#[test]
fn the_most_fundamental_reason_wins_where_the_session_names_the_account() {
    let world = World::new();
    let wrong = Call::redeem_token()
        .raw(b"[]")
        .with("SessionToken", json!("not-a-token"))
        .with("PlatformKey", json!("XX"))
        .authorized("nobody", "x")
        .from("203.0.113.9", &[]);
    check_order(
        &world,
        wrong,
        &[
            (|_| (), -6, "not a JSON object"),
            (|call| call.raw = None, -6, "SessionToken: the part before"),
            (
                |call| call.set("SessionToken", json!(token_at(KEY, NOW + 6_000))),
                -6,
                "in the future",
            ),
            (
                |call| call.set("SessionToken", json!(token_at(KEY, NOW - 60_001))),
                -3,
                "its life",
            ),
            (
                |call| call.set("SessionToken", json!(token_at(LOST_KEY, NOW))),
                -5,
                "unknown domain",
            ),
            (
                |call| call.set("SessionToken", json!(token_at(KEY, NOW))),
                -6,
                "Not authorised",
            ),
            (|call| call.peer = fake::CLIENT, -6, "Not authorised"),
            (|call| call.authorize("gw", "s3:cret"), -6, "Not authorised"),
            (|call| call.set("PlatformKey", json!("GW")), 0, ""),
        ],
    );
}

#[test]
fn bodies_are_read_as_protocol_md_says() {
    let world = World::new();
    let head = r#""PlatformKey":"GW","Sequence":1,"Timestamp":0"#;
    let cases = [
        (format!(r#"{{{head},"OperatorAccountID":"acme/p1"}}"#), 0),
        (
            format!(r#"{{{head},"OperatorAccountID":"acme\/p\u0031","x":[{{"y":1e999}}]}}"#),
            0,
        ),
        (
            format!(r#"{{{head},"OperatorAccountID":"x/y","OperatorAccountID":"acme/p1"}}"#),
            0,
        ),
        (
            format!(r#"{{{head},"OperatorAccountID":"acme/p1","GameID":null}}"#),
            0,
        ),
        (
            format!(r#"{{{head},"OperatorAccountID":"acme/p1","GameID":1e5}}"#),
            -6,
        ),
        (
            format!(r#"{{{head},"OperatorAccountID":"acme/p1","OperatorAccountID":null}}"#),
            -6,
        ),
        (format!(r#"{{{head},"operatorAccountID":"acme/p1"}}"#), -6),
        (format!(r#"{{{head},"OperatorAccountID":"acme/p1"}}x"#), -6),
        (
            format!("\u{feff}{{{head},\"OperatorAccountID\":\"acme/p1\"}}"),
            -6,
        ),
        (String::new(), -6),
    ];
    for (body, code) in &cases {
        check(&world, &Call::balance().raw(body.as_bytes()), *code, "");
    }
    let mut bytes = cases[0].0.clone().into_bytes();
    bytes.pop();
    bytes.extend_from_slice(b",\"x\":\"\xff\"}");
    check(&world, &Call::balance().raw(&bytes), -6, "not valid UTF-8");
}

#[test]
fn an_owner_that_does_not_answer_is_a_503_with_retry_after() {
    let cases = [
        (Unavailable::Busy, "nothing was done"),
        (Unavailable::DiskFull, "disk is full; nothing was done"),
        (Unavailable::MemoryFull, "memory is full; nothing was done"),
        (Unavailable::Draining, "stopping"),
        (Unavailable::NoAnswer, "the outcome is unknown"),
    ];
    for (reason, words) in cases {
        let world = World::new();
        world.ledger.unavailable.set(Some(reason));
        for call in Endpoint::ALL.map(Call::of) {
            let (answer, body) = world.send(&call);
            assert_eq!(
                answer,
                Answer {
                    status: Status(503),
                    retry_after: Some(1)
                }
            );
            let (code, description) = code_of(&body);
            assert_eq!(code, -1);
            assert!(description.contains(words), "{description}");
        }
        assert_eq!(
            world.metrics.unavailable(reason),
            Endpoint::ALL.len() as u64
        );
        assert_eq!(
            world
                .metrics
                .requests(Endpoint::Balance, ErrorCode::UnknownError),
            1
        );
    }
}

#[test]
fn facts_that_were_not_asked_for_are_a_fault_of_ours() {
    let world = World::new();
    world.ledger.confused.set(true);
    for call in Endpoint::ALL.map(Call::of) {
        check(&world, &call, -1, "a fault of the wallet");
    }
}

#[test]
fn every_answer_is_counted_by_endpoint_and_code() {
    let world = World::new();
    check(&world, &Call::balance(), 0, "");
    check(&world, &Call::balance(), 0, "");
    check(&world, &Call::balance().raw(b""), -6, "empty");
    check(
        &world,
        &Call::create_token().with("OperatorAccountID", json!("no/p")),
        -5,
        "",
    );
    let expired = json!(token_at(KEY, 0));
    check(
        &world,
        &Call::redeem_token().with("SessionToken", expired),
        -3,
        "",
    );
    let counted: Vec<_> = Endpoint::ALL
        .into_iter()
        .flat_map(|endpoint| ErrorCode::ALL.map(|code| (endpoint, code)))
        .map(|(endpoint, code)| (endpoint, code, world.metrics.requests(endpoint, code)))
        .filter(|(.., count)| *count > 0)
        .collect();
    assert_eq!(
        counted,
        [
            (Endpoint::CreateToken, ErrorCode::AccountNotFound, 1),
            (Endpoint::RedeemToken, ErrorCode::SessionNotFound, 1),
            (Endpoint::Balance, ErrorCode::Success, 2),
            (Endpoint::Balance, ErrorCode::Refused, 1),
        ]
    );
    let balances: u64 = world
        .metrics
        .duration(Endpoint::Balance)
        .counts()
        .iter()
        .sum();
    assert_eq!(balances, 3);
}

#[test]
fn health_follows_the_draining_flag_and_needs_no_credentials() {
    let world = World::new();
    let mut call = Call::balance().raw(b"").from("203.0.113.9", &[]);
    call.route = Route::Health;
    call.authorization = None;
    assert_eq!(
        world.send(&call),
        (Answer::OK, r#"{"Status":"ok"}"#.to_owned())
    );
    world.draining.store(true, Ordering::Relaxed);
    let (answer, body) = world.send(&call);
    assert_eq!(
        answer,
        Answer {
            status: Status(503),
            retry_after: Some(1)
        }
    );
    assert_eq!(body, r#"{"Status":"draining"}"#);
}

proptest! {
    #[test]
    fn any_bytes_are_answered_with_json(bytes: Vec<u8>, text in "\\PC{0,60}") {
        let world = World::new();
        for call in Endpoint::ALL.map(Call::of) {
            for body in [bytes.as_slice(), text.as_bytes()] {
                let (answer, body) = world.send(&call.clone().raw(body));
                prop_assert_eq!(answer, Answer::OK);
                prop_assert_eq!(code_of(&body).0, -6);
            }
        }
        prop_assert!(world.ledger.asked().is_empty());
    }

    #[test]
    fn any_value_of_any_member_is_answered_with_json(
        member in prop::sample::select(vec![
            "PlatformKey", "Sequence", "Timestamp", "OperatorAccountID", "GameID",
            "ContentGameProviderID", "SessionToken", "IPAddress", "CurrencyCode", "Amount",
            "GatewaySessionToken", "GameRoundTransactionID", "FreeBetCost", "EndRound",
        ]),
        text: String,
        number: i64,
        authorization: Vec<u8>,
        forwarded_for: Vec<u8>,
    ) {
        let world = World::new();
        for call in Endpoint::ALL.map(Call::of) {
            for value in [json!(text), json!(number), json!(format!("acme/{text}")), json!([text])] {
                let mut call = call.clone().with(member, value);
                code_of(&world.send(&call).1);
                call.forwarded_for = vec![forwarded_for.clone()];
                call.peer = "10.0.0.1".parse().unwrap();
                code_of(&world.send(&call).1);
                call.authorization = Some(authorization.clone());
                prop_assert_ne!(code_of(&world.send(&call).1).0, 0);
            }
        }
    }
}
