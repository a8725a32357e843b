//! Which bodies are accepted: presence, types, lengths, times and JSON itself
//! (protocol.md section 2).

mod common;

use common::{
    Admin, BALANCE, CREATE_TOKEN, Members, REDEEM_TOKEN, Server, Wallet, now_millis, refused, text,
    token_at,
};
use serde_json::Value;

/// A server with one player who has a session, and a platform connected to it.
struct Scene {
    /// Only kept alive.
    _server: Server,
    wallet: Wallet,
    session_key: String,
}

fn scene(domain: &str) -> Scene {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    let account = format!("{domain}/p1");
    admin.account(&account, "5.00");
    let session_key = admin.session(&account);
    let wallet = Wallet::of(domain, &server);
    Scene {
        _server: server,
        wallet,
        session_key,
    }
}

impl Scene {
    /// A fresh, valid body of each endpoint.
    fn good(&self) -> [(&'static str, Members); 3] {
        let token = token_at(&self.session_key, now_millis());
        [
            (BALANCE, Members::balance("acme/p1")),
            (CREATE_TOKEN, Members::create_token("acme/p1")),
            (REDEEM_TOKEN, Members::redeem_token(&token)),
        ]
    }

    /// Sends a balance request's body; `accepted` says whether it must be answered 0 or -6.
    fn check(&mut self, case: &str, body: impl Into<Vec<u8>>, accepted: bool) {
        let answer = self.wallet.post(BALANCE, body);
        judge(&answer, case, accepted);
    }

    fn check_member(&mut self, name: &str, value: &str, accepted: bool) {
        let body = Members::balance("acme/p1").with(name, value).json();
        self.check(&format!("{name}: {value}"), body, accepted);
    }
}

fn judge(answer: &Value, case: &str, accepted: bool) {
    if accepted {
        assert_eq!(answer["ErrorCode"], 0, "{case}: {answer}");
    } else {
        refused(answer, -6, case);
    }
}

#[test]
fn required_members_are_there_as_strings_of_the_right_length() {
    let mut scene = scene("acme");
    let required: [&[&str]; 3] = [
        &["PlatformKey", "Sequence", "Timestamp", "OperatorAccountID"],
        &[
            "PlatformKey",
            "Sequence",
            "Timestamp",
            "OperatorAccountID",
            "GameID",
        ],
        &[
            "PlatformKey",
            "Sequence",
            "Timestamp",
            "SessionToken",
            "IPAddress",
        ],
    ];
    let long = text(&"x".repeat(51));
    let wrong = [
        "null", "true", "false", "{}", "[]", "[\"a\"]", "1.5", "1e3", "1.0",
    ];
    for ((path, good), names) in scene.good().into_iter().zip(required) {
        judge(&scene.wallet.post(path, good.json()), path, true);
        for &name in names {
            let mut bad = vec![("missing", good.clone().without(name))];
            bad.extend(wrong.map(|value| (value, good.clone().with(name, value))));
            if name != "IPAddress" {
                bad.push(("empty", good.clone().with(name, "\"\"")));
                bad.push(("51 characters", good.clone().with(name, &long)));
            }
            for (case, members) in bad {
                let case = format!("{path} {name} {case}");
                let description = refused(&scene.wallet.post(path, members.json()), -6, &case);
                assert!(description.contains(name), "{case}: {description}");
            }
        }
    }
}

#[test]
fn optional_members_may_be_missing_or_null_but_not_wrong() {
    let mut scene = scene("acme");
    for name in ["GameID", "ContentGameProviderID"] {
        scene.check_member(name, "null", true);
        scene.check_member(name, r#""x""#, true);
        scene.check_member(name, "11588", true);
        scene.check_member(name, &text(&"x".repeat(50)), true);
        scene.check_member(name, &text(&"x".repeat(51)), false);
        for wrong in ["true", "{}", "[]", "1.5"] {
            scene.check_member(name, wrong, false);
        }
    }
}

#[test]
fn lengths_count_utf16_code_units() {
    let mut scene = scene("acme");
    let cases = [
        ("PlatformKey", "x", 4),
        ("PlatformKey", "€", 4),
        ("PlatformKey", "😀", 2),
        ("Sequence", "x", 50),
        ("Sequence", "€", 50),
        ("Sequence", "😀", 25),
        // Escapes count as what they stand for.
        ("Sequence", r"\u20ac", 50),
        ("Sequence", r"\ud83d\ude00", 25),
        ("Sequence", r"\n", 50),
    ];
    for (name, unit, most) in cases {
        let of = |count: usize| format!("\"{}\"", unit.repeat(count));
        scene.check_member(name, &of(most), true);
        scene.check_member(name, &of(most + 1), false);
    }
}

#[test]
fn integers_are_read_as_their_text_with_all_digits() {
    let mut scene = scene("acme");
    let cases = [
        ("Sequence", "0", true),
        ("Sequence", "-7", true),
        ("Sequence", "123456789012345678901234567890", true),
        ("Sequence", &"9".repeat(50), true),
        ("Sequence", &"9".repeat(51), false),
        ("GameID", &"9".repeat(50), true),
        ("GameID", &"9".repeat(51), false),
        ("PlatformKey", "1234", true),
        ("PlatformKey", "12345", false),
        // No JSON numbers at all.
        ("Sequence", "01", false),
        ("Sequence", "+1", false),
        ("Sequence", "0x1", false),
        ("Sequence", "1_000", false),
    ];
    for (name, value, accepted) in cases {
        scene.check_member(name, value, accepted);
    }
}

#[test]
fn an_integer_platform_key_is_found_in_the_list() {
    let mut scene = scene("keyed");
    for (value, accepted) in [("1234", true), (r#""1234""#, true), ("1235", false)] {
        let body = Members::balance("keyed/p1")
            .with("PlatformKey", value)
            .json();
        scene.check(value, body, accepted);
    }
}

#[test]
fn timestamps_are_iso_8601_or_epoch_milliseconds() {
    let mut scene = scene("acme");
    let good = [
        r#""2026-01-02T03:04:05Z""#,
        r#""2026-01-02T03:04:05""#,
        r#""2026-01-02T03:04:05.1Z""#,
        r#""2026-01-02T03:04:05.123456789Z""#,
        r#""2026-01-02T03:04:05.123456789""#,
        r#""2026-01-02T03:04:05+02:00""#,
        r#""2026-01-02T03:04:05.5-05:30""#,
        r#""2024-02-29T23:59:59Z""#,
        "1767323045000",
        "0",
    ];
    let bad = [
        r#""2026-01-02""#,
        r#""2026-01-02T""#,
        r#""2026-01-02T03:04Z""#,
        r#""2026-01-02T03:04:05.Z""#,
        r#""2026-01-02T03:04:05.1234567890Z""#,
        r#""2026-01-02 03:04:05Z""#,
        r#""2026-01-02T03:04:05+0200""#,
        r#""2026-01-02T03:04:05+02""#,
        r#""2026-01-02T03:04:05+02:60""#,
        r#""2026-01-02T03:04:05ZZ""#,
        r#""2026-01-02T03:04:05Z ""#,
        r#"" 2026-01-02T03:04:05Z""#,
        r#""2026-1-2T3:4:5Z""#,
        r#""20260102T030405Z""#,
        r#""2026-02-30T03:04:05Z""#,
        r#""2026-13-01T03:04:05Z""#,
        r#""2025-02-29T03:04:05Z""#,
        r#""2026-01-02T24:04:05Z""#,
        r#""2026-01-02T03:60:05Z""#,
        r#""2026-01-02T03:04:61Z""#,
        r#""2026-01-02T03:04:05[Europe/London]""#,
        r#""1767323045000""#,
        r#""Fri, 02 Jan 2026 03:04:05 GMT""#,
        "1767323045000.0",
        "1.767323045e12",
    ];
    for value in good {
        scene.check_member("Timestamp", value, true);
    }
    for value in bad {
        scene.check_member("Timestamp", value, false);
    }
}

#[test]
fn account_ids_have_a_domain_and_a_player() {
    let mut scene = scene("acme");
    for wrong in ["acme", "/", "acme/", "/p1", "//"] {
        scene.check_member("OperatorAccountID", &text(wrong), false);
    }
}

#[test]
fn the_last_of_repeated_members_wins() {
    let mut scene = scene("acme");
    let good = Members::balance("acme/p1");
    let cases = [
        ("bad, then good", "Sequence", "\"\"", "\"s\"", true),
        ("a wrong type, then good", "Sequence", "true", "\"s\"", true),
        ("null, then good", "Sequence", "null", "\"s\"", true),
        ("good, then bad", "Sequence", "\"s\"", "\"\"", false),
        ("good, then a wrong type", "Sequence", "\"s\"", "{}", false),
        ("good, then null", "Sequence", "\"s\"", "null", false),
        (
            "another account first",
            "OperatorAccountID",
            "\"acme/nobody\"",
            "\"acme/p1\"",
            true,
        ),
        ("a name in escapes", "Sequence", "\"\"", "\"s\"", true),
    ];
    for (case, name, first, second, accepted) in cases {
        let last = if case.ends_with("escapes") {
            r"\u0053equence"
        } else {
            name
        };
        let members = good.clone().with(name, first).again(last, second);
        scene.check(case, members.json(), accepted);
    }
}

#[test]
fn unknown_members_are_ignored_and_names_are_case_sensitive() {
    let mut scene = scene("acme");
    for value in [
        "1",
        "1.5e300",
        "null",
        "[[[{}]]]",
        r#"{"Sequence":""}"#,
        r#""\ud83d\ude00""#,
    ] {
        scene.check_member("Unknown", value, true);
    }
    // Not the member of that name, so it neither helps nor harms.
    scene.check_member("sequence", "true", true);
    let lower = Members::balance("acme/p1")
        .without("Sequence")
        .with("sequence", "\"s\"");
    scene.check("only in lower case", lower.json(), false);
}

#[test]
fn the_body_is_one_json_object_and_nothing_else() {
    let mut scene = scene("acme");
    let good = Members::balance("acme/p1").json();
    let spaced = good.replace(':', " :\t").replace(',', "\r\n,  ");
    let spaced = spaced.replace("03 :\t04 :\t05", "03:04:05");
    let accepted: [(&str, String); 3] = [
        ("plain", good.clone()),
        ("white space around", format!(" \t\r\n{good} \t\r\n")),
        ("white space inside", spaced),
    ];
    for (case, body) in accepted {
        scene.check(case, body, true);
    }
    let open = &good[..good.len() - 1];
    let refused: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("white space", b"  ".to_vec()),
        ("an array", format!("[{good}]").into()),
        ("a string", b"\"x\"".to_vec()),
        ("a number", b"1".to_vec()),
        ("null", b"null".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("cut short", open.into()),
        ("a second object", format!("{good}{good}").into()),
        ("a letter behind", format!("{good} x").into()),
        ("a brace behind", format!("{good}}}").into()),
        ("a NUL behind", format!("{good}\0").into()),
        ("a byte-order mark", format!("\u{feff}{good}").into()),
        ("a trailing comma", format!("{open},}}").into()),
        ("single quotes", good.replace('"', "'").into()),
        ("a comment", format!("/* */{good}").into()),
        (
            "a raw control character",
            format!("{open},\"X\":\"\n\"}}").into(),
        ),
        (
            "an unknown escape",
            format!("{open},\"X\":\"\\q\"}}").into(),
        ),
        (
            "a lone surrogate",
            format!("{open},\"GameID\":\"\\ud83d\"}}").into(),
        ),
        ("NaN", format!("{open},\"X\":NaN}}").into()),
        (
            "UTF-16",
            good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ),
        (
            "invalid UTF-8, known",
            [open.as_bytes(), b",\"GameID\":\"\xff\"}"].concat(),
        ),
        (
            "invalid UTF-8, ignored",
            [open.as_bytes(), b",\"X\":\"\xc3\"}"].concat(),
        ),
        (
            "overlong UTF-8, ignored",
            [open.as_bytes(), b",\"X\":\"\xc0\xaf\"}"].concat(),
        ),
        (
            "a surrogate in UTF-8",
            [open.as_bytes(), b",\"X\":\"\xed\xa0\x80\"}"].concat(),
        ),
        (
            "invalid UTF-8 in a name",
            [open.as_bytes(), b",\"\xff\":1}"].concat(),
        ),
    ];
    for (case, body) in refused {
        scene.check(case, body, false);
    }
}

#[test]
fn deep_json_is_answered_and_harms_nobody() {
    let mut scene = scene("acme");
    let good = Members::balance("acme/p1").json();
    let open = &good[..good.len() - 1];
    for (up, down) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 10_000;
        let deep = format!("{}1{}", up.repeat(depth), down.repeat(depth));
        let answer = scene.wallet.post(BALANCE, format!("{open},\"X\":{deep}}}"));
        let code = answer["ErrorCode"].as_i64().unwrap();
        assert!(code == 0 || code == -6, "{answer}");
        let endless = format!("{open},\"X\":{}", up.repeat(depth));
        scene.check("never closed", endless, false);
        scene.check("the next request", good.clone(), true);
    }
}

#[test]
fn ip_addresses_are_recorded_not_judged_by_the_wire() {
    let mut scene = scene("acme");
    for address in ["203.0.113.7", "2001:db8::1"] {
        let token = token_at(&scene.session_key, now_millis());
        let body = Members::redeem_token(&token).with("IPAddress", &text(address));
        judge(&scene.wallet.post(REDEEM_TOKEN, body.json()), address, true);
    }
}
