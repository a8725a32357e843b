//! The walk of a request against a ledger of hash maps.

mod bookings;
mod fake;
mod slow;

use proptest::prelude::*;
use serde_json::{Value, json};
use shards::Unavailable;

use super::*;
use crate::domain::SignatureKey;
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

#[test]
fn a_token_is_minted_for_the_latest_session_and_redeems_to_its_facts() {
    let world = World::new();
    let (_, body) = world.send(&Call::create_token());
    let token = format!("{KEY}-{NOW:x}");
    assert_eq!(
        body,
        format!(r#"{{"ErrorCode":0,"Result":{{"SessionToken":"{token}"}}}}"#)
    );
    assert_eq!(token.len(), 48);
    let redeem = Call::redeem_token().with("SessionToken", json!(token));
    for _ in 0..2 {
        assert_eq!(
            world.send(&redeem).1,
            format!(
                r#"{{"ErrorCode":0,"Result":{{"OperatorAccountID":"acme/p1","CurrencyCode":"GBP","CountryCode":"IE","GatewaySessionToken":"{KEY}"}}}}"#
            ),
            "the country is the session's, not the player's"
        );
    }
}

#[test]
fn tokens_of_one_millisecond_are_different() {
    let world = World::new();
    let mut made: Vec<String> = (0..100)
        .map(|_| world.send(&Call::create_token()).1)
        .collect();
    assert!(made[99].contains(&token_at(KEY, NOW + 99)), "{}", made[99]);
    made.dedup();
    assert_eq!(made.len(), 100);
}

#[test]
fn only_a_live_session_gets_a_token_but_any_session_s_token_redeems() {
    let world = World::new();
    world.ledger.log_out(KEY);
    check(&world, &Call::create_token(), -5, "no live session");
    check(&world, &Call::redeem_token(), 0, "");
}

#[test]
fn a_token_lives_as_long_as_its_domain_says() {
    let world = World::new();
    // acme's tokens live 60 s.
    let cases = [
        (0, 0, ""),
        (-59_999, 0, ""),
        (-60_000, 0, ""),
        (-60_001, -3, "older than its life"),
        (-NOW, -3, "older than its life"),
        (5_000, 0, ""),
        (5_001, -6, "in the future"),
        (0xffff_ffff_ffff, -6, "in the future"),
    ];
    for (offset, code, words) in cases {
        let call = Call::redeem_token().with("SessionToken", json!(token_at(KEY, NOW + offset)));
        check(&world, &call, code, words);
    }
    let unknown = KEY.replace("00c0ffee", "00c0ffef");
    let call = Call::redeem_token().with("SessionToken", json!(token_at(&unknown, NOW)));
    check(&world, &call, -3, "no such session");
}

#[test]
fn a_single_use_token_is_spent_by_the_ledger_once_everything_else_is_right() {
    let world = World::new();
    let token = token_at(fake::ONCE_KEY, NOW - 1_000);
    let redeem = Call::redeem_token().with("SessionToken", json!(token));
    check(
        &world,
        &redeem.clone().authorized("once", "wrong"),
        -6,
        "Not authorised",
    );
    assert_eq!(world.ledger.asked(), ["ReadSession"]);
    check(&world, &redeem, 0, "");
    assert_eq!(world.ledger.asked(), ["ReadSession", "SpendToken"]);
    assert!(
        world.ledger.spent_until() >= NOW - 1_000 + 60_000,
        "remembered for all its life"
    );
    check(&world, &redeem, -3, "for one use");
    let other = Call::redeem_token().with("SessionToken", json!(token_at(fake::ONCE_KEY, NOW)));
    check(&world, &other, 0, "");
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
fn all_failures_to_authorise_read_alike() {
    let world = World::new();
    for good in Endpoint::ALL.map(Call::of) {
        check(&world, &good, 0, "");
        let mut missing = good.clone();
        missing.authorization = None;
        let wrong = [
            missing,
            good.clone().authorized("acme", "wrong"),
            good.clone().authorized("once", "once"),
            good.clone().with("PlatformKey", json!("XX")),
            good.clone().from("203.0.113.9", &[]),
            good.clone().from("10.0.0.1", &["203.0.113.9"]),
            good.clone().from("10.0.0.1", &["198.51.100.7:80"]),
        ];
        for call in &wrong {
            assert_eq!(
                world.send(call),
                (
                    Answer::OK,
                    r#"{"ErrorCode":-6,"ErrorDescription":"Not authorised"}"#.to_owned()
                ),
                "{call:?}"
            );
        }
    }
}

#[test]
fn the_allow_list_judges_the_client_behind_trusted_proxies() {
    let world = World::new();
    // acme allows 198.51.100.0/24 and 2001:db8::/32; 10.0.0.0/8 are trusted proxies.
    let cases: &[(&str, &[&str], i64)] = &[
        ("198.51.100.7", &[], 0),
        ("::ffff:198.51.100.7", &[], 0),
        ("2001:db8::1", &[], 0),
        ("2001:db9::1", &[], -6),
        ("203.0.113.9", &["198.51.100.7"], -6),
        ("10.0.0.1", &[], -6),
        ("10.0.0.1", &["198.51.100.7"], 0),
        ("10.0.0.1", &["203.0.113.9, 198.51.100.7"], 0),
        ("10.0.0.1", &["198.51.100.7, 203.0.113.9"], -6),
        ("10.0.0.1", &["198.51.100.7", "10.0.0.2"], 0),
        ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], -6),
    ];
    for (peer, forwarded_for, code) in cases {
        check(
            &world,
            &Call::balance().from(peer, forwarded_for),
            *code,
            "",
        );
    }
    let anywhere = Call::balance().with("OperatorAccountID", json!("yen/p1"));
    check(&world, &anywhere.clone().from("203.0.113.9", &[]), 0, "");
    // No allow-list to judge, but a client that cannot be told.
    check(
        &world,
        &anywhere.from("10.0.0.1", &["[::1]"]),
        -6,
        "Not authorised",
    );
}

#[test]
fn a_connection_may_change_its_credentials_and_its_domain() {
    let world = World::new();
    let mut session = Session::default();
    let yen = |password| {
        Call::balance()
            .with("OperatorAccountID", json!("yen/p1"))
            .authorized("yen", password)
    };
    let steps = [
        (Call::balance(), 0),
        (Call::balance(), 0),
        (Call::balance().authorized("acme", "next"), 0),
        (Call::balance().authorized("acme", "nexT"), -6),
        (yen("yen"), 0),
        (yen("next"), -6),
        (Call::balance().authorized("yen", "yen"), -6),
        (Call::balance().authorized("acme", "next"), 0),
        (Call::balance(), 0),
    ];
    for (call, code) in &steps {
        let (_, body) = world.send_on(&mut session, call);
        assert_eq!(code_of(&body).0, *code, "{call:?}");
    }
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

/// Its life is judged before its domain (protocol.md section 4, step 10).
#[test]
fn an_expired_token_of_a_domain_that_was_removed_is_expired() {
    let world = World::new();
    let redeem = |issued_at| {
        let token = json!(token_at(LOST_KEY, issued_at));
        Call::redeem_token().with("SessionToken", token)
    };
    check(&world, &redeem(NOW), -5, "domain");
    check(&world, &redeem(NOW - 60_001), -3, "older than its life");
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

#[test]
fn a_credential_that_was_taken_away_is_refused_on_the_next_request_of_an_old_connection() {
    let world = World::new();
    let mut session = Session::default();
    let (old, new) = (Call::balance(), Call::balance().authorized("acme", "next"));
    let mut codes = |call: &Call| code_of(&world.send_on(&mut session, call).1).0;
    assert_eq!([codes(&old), codes(&old), codes(&new), codes(&old)], [0; 4]);
    let mut acme = world.live.get().domains.get("acme").unwrap().clone();
    acme.credentials.remove(0);
    world.live.replace(Settings {
        domains: Arc::new([acme].into_iter().collect()),
        ..Settings::default()
    });
    assert_eq!([codes(&old), codes(&new), codes(&old)], [-6, 0, -6]);
}

const KEY_TEXT: &str = "0123456789abcdef0123456789abcdef";

/// `X-Signature` of a body.
fn signature(key: &str, body: &[u8]) -> Vec<u8> {
    let key = SignatureKey::new(None, key);
    let tag = ring::hmac::sign(key.hmac(), body);
    let digits: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={digits}").into_bytes()
}

impl World {
    /// From now on `acme` takes only requests that one of the keys has signed.
    fn ask_for_signatures(&self, keys: &[&str]) {
        let before = self.live.get();
        let domains = before
            .domains
            .iter()
            .cloned()
            .map(|domain| match &*domain.name {
                "acme" => Domain {
                    signature_keys: keys
                        .iter()
                        .map(|key| SignatureKey::new(None, key))
                        .collect(),
                    ..domain
                },
                _ => domain,
            });
        self.live.replace(Settings {
            domains: Arc::new(domains.collect()),
            trusted_proxies: before.trusted_proxies.clone(),
            ..Settings::default()
        });
    }
}

#[test]
fn a_domain_that_asks_for_signatures_takes_no_request_without_a_right_one() {
    let world = World::new();
    let other = "another-key-of-the-same-domain-00";
    world.ask_for_signatures(&[other, KEY_TEXT]);
    for call in [Call::balance(), Call::create_token(), Call::redeem_token()] {
        let body = call.body();
        let cases = [
            (Some(signature(KEY_TEXT, &body)), 0, ""),
            (Some(signature(other, &body)), 0, ""),
            (
                Some(signature("a-key-of-nobody", &body)),
                -6,
                "Not authorised",
            ),
            (Some(signature(KEY_TEXT, b"{}")), -6, "Not authorised"),
            (Some(Vec::new()), -6, "Not authorised"),
            (None, -6, "Not authorised"),
        ];
        for (signature, code, words) in cases {
            let call = call.clone().signed(signature);
            check(&world, &call, code, words);
        }
    }
    let yen = Call::balance()
        .with("OperatorAccountID", json!("yen/p1"))
        .with("PlatformKey", json!("MG"));
    check(&world, &yen, 0, "");
}

#[test]
fn a_signature_stands_beside_the_credentials() {
    let world = World::new();
    world.ask_for_signatures(&[KEY_TEXT]);
    // Nothing is said of a signature before the body is good and the domain is known, and
    // a right one opens nothing by itself.
    check(&world, &Call::balance().raw(b"{"), -6, "not a JSON object");
    let nowhere = Call::balance().with("OperatorAccountID", json!("nowhere/p1"));
    check(&world, &nowhere, -5, "unknown domain");
    for wrong in [
        Call::balance().authorized("gw", "wrong"),
        Call::balance().from("203.0.113.9", &[]),
        Call::balance().with("PlatformKey", json!("XX")),
    ] {
        let signature = signature(KEY_TEXT, &wrong.body());
        let signed = wrong.signed(Some(signature));
        check(&world, &signed, -6, "Not authorised");
    }
    let unknown = Call::balance().with("OperatorAccountID", json!("acme/p9"));
    check(&world, &unknown, -6, "Not authorised");
    let signature = signature(KEY_TEXT, &unknown.body());
    let signed = unknown.signed(Some(signature));
    check(&world, &signed, -5, "no such player");
}
