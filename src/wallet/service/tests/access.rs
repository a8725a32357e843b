//! Who may ask: credentials, platform keys, addresses, signatures.

use super::*;
use crate::domain::SignatureKey;

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
