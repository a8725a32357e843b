//! Session tokens: minted, redeemed, too old, spent.

use super::*;

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
