//! Sessions and the tokens made of them (protocol.md section 6).

mod common;

use common::{
    Admin, Members, REDEEM_TOKEN, Server, Wallet, eventually, now_millis, refused, text, token_at,
};
use serde_json::json;

struct Scene {
    server: Server,
    admin: Admin,
    wallet: Wallet,
    account: String,
}

fn scene(domain: &str) -> Scene {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    let account = format!("{domain}/p1");
    admin.account(&account, "5.00");
    let wallet = Wallet::of(domain, &server);
    Scene {
        server,
        admin,
        wallet,
        account,
    }
}

fn is_session_key(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_digit() || ('a'..='f').contains(&c),
        })
}

#[test]
fn session_keys_have_uuid_layout_and_never_come_twice() {
    let mut scene = scene("acme");
    let mut keys: Vec<String> = (0..50)
        .map(|_| scene.admin.session(&scene.account))
        .collect();
    assert!(keys.iter().all(|key| is_session_key(key)), "{keys:?}");
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 50);
}

#[test]
fn a_token_lives_as_long_as_its_domain_says_from_its_own_time() {
    // A second of slack on each side of a limit: the machine may be slow.
    for (domain, ttl) in [("acme", 60_000), ("hasty", 20_000)] {
        let mut scene = scene(domain);
        let key = scene.admin.session(&scene.account);
        let cases = [
            (-86_400_000, -3),
            (-(ttl + 1_000), -3),
            (-(ttl - 10_000), 0),
            (0, 0),
            (2_000, 0),
            (60_000, -6),
            (86_400_000, -6),
        ];
        for (offset, code) in cases {
            let token = token_at(&key, now_millis() + offset);
            let answer = scene.wallet.redeem_token(&token);
            assert_eq!(answer["ErrorCode"], code, "{domain} {offset}: {answer}");
        }
        let epoch = scene.wallet.redeem_token(&token_at(&key, 0));
        refused(&epoch, -3, "the first moment of all");
    }
}

#[test]
fn a_token_from_the_future_is_no_token_until_its_time_is_near() {
    let mut scene = scene("acme");
    let key = scene.admin.session(&scene.account);
    let token = token_at(&key, now_millis() + 6_000);
    refused(&scene.wallet.redeem_token(&token), -6, "6 s ahead");
    eventually("the token is less than 5 s ahead", || {
        (scene.wallet.redeem_token(&token)["ErrorCode"] == 0).then_some(())
    });
}

#[test]
fn malformed_tokens_are_refused() {
    let mut scene = scene("acme");
    let key = scene.admin.session(&scene.account);
    let token = token_at(&key, now_millis());
    let (_, time) = token.rsplit_once('-').unwrap();
    // A time with a letter in it, still alive: of 16 milliseconds in a row, 6 have one.
    let lettered = (0..16)
        .map(|ago| format!("{:x}", now_millis() - ago))
        .find(|time| time.bytes().any(|b| b.is_ascii_lowercase()))
        .unwrap();
    let cases = [
        String::from("x"),
        String::from("-"),
        key.clone(),
        time.to_owned(),
        format!("{key}-"),
        format!("{key}{time}"),
        format!("{key}-{}", lettered.to_uppercase()),
        format!("{}-{time}", with_upper_case_letter(&key)),
        format!("{key}-0x{time}"),
        format!("{key}-+{time}"),
        format!("{key}- {time}"),
        format!(" {token}"),
        format!("{token} "),
        format!("{token}-"),
        format!("{token}g"),
        format!("{}-{time}", &key[1..]),
        format!("{}-{time}", key.replace('-', "")),
        format!("{}-{time}", key.replace('-', "_")),
        format!("{{{key}}}-{time}"),
        // The latest time that fits into 50 characters.
        format!("{key}-fffffffffffff"),
        "g".repeat(48),
    ];
    for wrong in cases {
        let description = refused(&scene.wallet.redeem_token(&wrong), -6, &wrong);
        assert!(
            description.contains("SessionToken"),
            "{wrong}: {description}"
        );
    }
    assert_eq!(scene.wallet.redeem_token(&token)["ErrorCode"], 0);
}

/// The key with all its letters in upper case; keys without a letter do not come
/// up, since 108 bits of a key are random.
fn with_upper_case_letter(key: &str) -> String {
    let upper = key.to_uppercase();
    assert_ne!(upper, key);
    upper
}

#[test]
fn unknown_sessions_are_not_found() {
    let mut scene = scene("acme");
    let key = scene.admin.session(&scene.account);
    // Every shard is asked: the routing bits come first.
    let strangers = ["0", "4", "8", "c", "f"].map(|first| format!("{first}{}", &key[1..]));
    for stranger in strangers.iter().filter(|stranger| **stranger != key) {
        let token = token_at(stranger, now_millis());
        refused(&scene.wallet.redeem_token(&token), -3, stranger);
    }
    let last = if key.ends_with('0') { "1" } else { "0" };
    let neighbour = format!("{}{last}", &key[..35]);
    let token = token_at(&neighbour, now_millis());
    refused(&scene.wallet.redeem_token(&token), -3, "one digit away");
}

#[test]
fn redeeming_is_repeatable_within_the_tokens_life() {
    let mut scene = scene("acme");
    scene.admin.session(&scene.account);
    let token = scene.wallet.token(&scene.account);
    let first = scene.wallet.redeem_token(&token);
    assert_eq!(first["ErrorCode"], 0, "{first}");
    for _ in 0..3 {
        assert_eq!(scene.wallet.redeem_token(&token), first);
    }
}

#[test]
fn single_use_tokens_are_redeemed_once() {
    let mut scene = scene("once");
    let key = scene.admin.session(&scene.account);
    for _ in 0..3 {
        let token = scene.wallet.token(&scene.account);
        assert_eq!(scene.wallet.redeem_token(&token)["ErrorCode"], 0);
        refused(&scene.wallet.redeem_token(&token), -3, "the second time");
        refused(&scene.wallet.redeem_token(&token), -3, "the third time");
    }
    // Tokens of one session are independent, whatever order they come in.
    let now = now_millis();
    for ago in [3_000, 1_000, 2_000] {
        let token = token_at(&key, now - ago);
        assert_eq!(scene.wallet.redeem_token(&token)["ErrorCode"], 0, "{ago}");
        refused(&scene.wallet.redeem_token(&token), -3, "again");
    }
}

#[test]
fn tokens_that_are_made_at_once_are_all_good() {
    let mut scene = scene("once");
    scene.admin.session(&scene.account);
    let (server, account) = (&scene.server, &scene.account);
    let mut tokens: Vec<String> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8)
            .map(|_| {
                let mut wallet = Wallet::of("once", server);
                scope.spawn(move || -> Vec<String> {
                    (0..20).map(|_| wallet.token(account)).collect()
                })
            })
            .collect();
        let made = makers.into_iter().flat_map(|maker| maker.join().unwrap());
        made.collect()
    });
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 160);
    for token in &tokens {
        assert_eq!(scene.wallet.redeem_token(token)["ErrorCode"], 0, "{token}");
    }
}

#[test]
fn of_many_redeems_of_a_single_use_token_at_once_one_succeeds() {
    let mut scene = scene("once");
    scene.admin.session(&scene.account);
    let token = scene.wallet.token(&scene.account);
    let server = &scene.server;
    let token = &token;
    let mut codes: Vec<i64> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..16)
            .map(|_| {
                let mut wallet = Wallet::of("once", server);
                scope.spawn(move || wallet.redeem_token(token)["ErrorCode"].as_i64().unwrap())
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    codes.sort_unstable();
    let mut expected = vec![-3; 15];
    expected.push(0);
    assert_eq!(codes, expected);
}

#[test]
fn a_failed_redeem_does_not_use_a_token_up() {
    let mut scene = scene("once");
    scene.admin.session(&scene.account);
    let token = scene.wallet.token(&scene.account);
    let mut stranger = Wallet::with_credentials("gw", "wrong", scene.server.wallet);
    refused(&stranger.redeem_token(&token), -6, "wrong password");
    let members = Members::redeem_token(&token).with("PlatformKey", &text("12345"));
    refused(
        &scene.wallet.post(REDEEM_TOKEN, members.json()),
        -6,
        "bad member",
    );
    assert_eq!(scene.wallet.redeem_token(&token)["ErrorCode"], 0);
}

#[test]
fn without_a_session_there_is_no_token() {
    let mut scene = scene("acme");
    refused(
        &scene.wallet.create_token(&scene.account),
        -5,
        "never a session",
    );
    let key = scene.admin.session(&scene.account);
    scene.wallet.token(&scene.account);
    scene.admin.log_out(&key);
    refused(&scene.wallet.create_token(&scene.account), -5, "logged out");
    scene.admin.session(&scene.account);
    scene.wallet.token(&scene.account);
}

#[test]
fn a_logged_out_session_can_still_be_redeemed() {
    let mut scene = scene("acme");
    let key = scene.admin.session(&scene.account);
    let token = scene.wallet.token(&scene.account);
    scene.admin.log_out(&key);
    let answer = scene.wallet.redeem_token(&token);
    assert_eq!(answer["ErrorCode"], 0, "{answer}");
    assert_eq!(answer["Result"]["GatewaySessionToken"], key);
}

#[test]
fn the_latest_session_is_wrapped_and_older_ones_stay_alive() {
    let mut scene = scene("acme");
    let keys = [(); 3].map(|()| scene.admin.session(&scene.account));
    let token = scene.wallet.token(&scene.account);
    assert_eq!(&token[..36], keys[2]);
    for key in &keys {
        let answer = scene.wallet.redeem_token(&token_at(key, now_millis()));
        assert_eq!(answer["Result"]["GatewaySessionToken"], **key, "{answer}");
    }
    // Ending an older one changes nothing.
    scene.admin.log_out(&keys[0]);
    assert_eq!(&scene.wallet.token(&scene.account)[..36], keys[2]);
    // The latest one logged out: no token, although an older one is live.
    scene.admin.log_out(&keys[2]);
    refused(
        &scene.wallet.create_token(&scene.account),
        -5,
        "latest logged out",
    );
}

#[test]
fn a_session_may_have_a_logout_time() {
    let mut scene = scene("acme");
    // Seconds since 1970 as RFC 3339 would need a calendar; these years do not.
    let far = json!({"CountryCode": "GB", "LogoutAt": "2099-01-01T00:00:00Z"});
    scene.admin.open_session(&scene.account, &far);
    scene.wallet.token(&scene.account);
    let past = json!({"CountryCode": "GB", "LogoutAt": "2020-01-01T00:00:00Z"});
    let target = format!("/admin/v1/accounts/{}/sessions", scene.account);
    let answer = scene.admin.call("POST", &target, Some(&past.to_string()));
    // An operator may be told that this makes no sense; if not, the session is over.
    if answer.status == 201 {
        refused(
            &scene.wallet.create_token(&scene.account),
            -5,
            "logged out long ago",
        );
    } else {
        assert_eq!(answer.status, 400, "{answer:?}");
    }
}

#[test]
fn sessions_of_different_accounts_do_not_mix() {
    let mut scene = scene("acme");
    scene.admin.account("acme/p2", "7.00");
    let first = scene.admin.session("acme/p1");
    let second = scene.admin.session("acme/p2");
    for (account, key) in [("acme/p1", &first), ("acme/p2", &second)] {
        let token = scene.wallet.token(account);
        assert_eq!(&token[..36], key);
        let answer = scene.wallet.redeem_token(&token);
        assert_eq!(answer["Result"]["OperatorAccountID"], account, "{answer}");
    }
}
