use std::borrow::Cow;

use super::*;

/// A request to each endpoint that breaks no rule.
fn good(endpoint: &str) -> Vec<(Member, Value<'static>)> {
    let text = |text: &'static str| Value::Text(Cow::Borrowed(text));
    let mut members = vec![
        (Member::PlatformKey, text("GW")),
        (Member::Sequence, text("s-1")),
        (Member::Timestamp, text("2026-11-22T13:29:05Z")),
    ];
    members.extend(match endpoint {
        "createtoken" => vec![
            (Member::OperatorAccountId, text("acme/p1")),
            (Member::GameId, text("g1")),
        ],
        "redeemtoken" => vec![
            (Member::SessionToken, text(TOKEN)),
            (Member::IpAddress, text("198.51.100.1")),
        ],
        _ => vec![(Member::OperatorAccountId, text("acme/p1"))],
    });
    members
}

const TOKEN: &str = "00000000-0000-8000-8000-000000000000-1a0";
const ENDPOINTS: [&str; 3] = ["createtoken", "redeemtoken", "balance"];

/// The description, or nothing if the request is fine.
fn read(endpoint: &str, change: Option<(Member, Option<Value<'static>>)>) -> String {
    let mut members = Members::default();
    for (member, value) in good(endpoint) {
        members.set(member, Some(value));
    }
    if let Some((member, value)) = change {
        members.set(member, value);
    }
    let invalid = match endpoint {
        "createtoken" => CreateToken::read(&members).err(),
        "redeemtoken" => RedeemToken::read(&members).err(),
        _ => ReadBalance::read(&members).err(),
    };
    invalid.map_or(String::new(), |invalid| invalid.to_string())
}

fn text(text: impl Into<String>) -> Option<Value<'static>> {
    Some(Value::Text(Cow::Owned(text.into())))
}

#[test]
fn each_request_reads_what_it_keeps() {
    let mut members = Members::default();
    let all = ENDPOINTS.iter().flat_map(|endpoint| good(endpoint));
    for (member, value) in all {
        members.set(member, Some(value));
    }
    let common = Common {
        platform_key: "GW".into(),
        timestamp: UnixMillis(1_795_354_145_000),
    };
    let account = AccountId::parse("acme/p1").unwrap();
    let (common, account) = (|| common.clone(), || account.clone());
    assert_eq!(
        CreateToken::read(&members),
        Ok(CreateToken {
            common: common(),
            account: account()
        })
    );
    assert_eq!(
        ReadBalance::read(&members),
        Ok(ReadBalance {
            common: common(),
            account: account()
        })
    );
    let token = SessionToken::parse(TOKEN).unwrap();
    assert_eq!(
        RedeemToken::read(&members),
        Ok(RedeemToken {
            common: common(),
            token
        })
    );
    assert_eq!(sequence(&members), Some("s-1"));
}

#[test]
fn a_member_is_required_optional_or_unknown_by_endpoint() {
    use Member::{
        ContentGameProviderId, GameId, IpAddress, OperatorAccountId, PlatformKey, Sequence,
        SessionToken, Timestamp,
    };
    // Per endpoint of `ENDPOINTS`: required, optional, not looked at.
    let cases = [
        (PlatformKey, "rrr"),
        (Sequence, "rrr"),
        (Timestamp, "rrr"),
        (OperatorAccountId, "r-r"),
        (GameId, "r-o"),
        (ContentGameProviderId, "--o"),
        (SessionToken, "-r-"),
        (IpAddress, "-r-"),
    ];
    assert_eq!(cases.len(), Member::ALL.len());
    for (member, kinds) in cases {
        for (endpoint, kind) in ENDPOINTS.iter().zip(kinds.chars()) {
            let without = read(endpoint, Some((member, None)));
            let wrong = read(endpoint, Some((member, Some(Value::Bool(true)))));
            let required = format!("{}: required", member.name());
            assert_eq!(without == required, kind == 'r', "{endpoint} {without}");
            assert_eq!(without.is_empty(), kind != 'r', "{endpoint} {without}");
            assert_eq!(wrong.is_empty(), kind == '-', "{endpoint} {wrong}");
            assert!(
                wrong.is_empty() || wrong.starts_with(member.name()),
                "{wrong}"
            );
        }
    }
}

#[test]
fn string_members_have_their_length_in_utf16_code_units() {
    let at_endpoint = |member| match member {
        Member::SessionToken | Member::IpAddress => "redeemtoken",
        _ => "balance",
    };
    for &member in Member::ALL {
        // These have a form as well, and their own tests.
        if matches!(
            member,
            Member::Timestamp | Member::OperatorAccountId | Member::SessionToken
        ) {
            continue;
        }
        let endpoint = at_endpoint(member);
        let (least, most) = (*member.units().start(), *member.units().end());
        for (one, units) in [("x", 1), (" ", 1), ("é", 1), ("€", 1), ("😀", 2)] {
            let fits = read(endpoint, Some((member, text(one.repeat(most / units)))));
            assert_eq!(fits, "", "{one}");
            let count = most / units + 1;
            let long = read(endpoint, Some((member, text(one.repeat(count)))));
            let got = count * units;
            let range = match least {
                0 => format!("at most {most}"),
                _ => format!("{least} to {most}"),
            };
            assert_eq!(
                long,
                format!("{}: {range} characters, got {got}", member.name())
            );
        }
        let empty = read(endpoint, Some((member, text(""))));
        assert_eq!(empty.is_empty(), least == 0, "{empty}");
    }
}

#[test]
fn string_members_take_integers_and_no_other_value() {
    let number = |raw| Some(Value::Number(raw));
    let cases = [
        (number("11588"), ""),
        (number("0"), ""),
        (number("-7"), ""),
        (
            number("12345678901234567890123456789012345678901234567890"),
            "",
        ),
        (
            number("123456789012345678901234567890123456789012345678901"),
            "GameID: 1 to 50 characters, got 51",
        ),
        (
            number("1.5"),
            "GameID: a string or an integer expected, got the number 1.5",
        ),
        (
            number("1.0"),
            "GameID: a string or an integer expected, got the number 1.0",
        ),
        (
            number("1e2"),
            "GameID: a string or an integer expected, got the number 1e2",
        ),
        (
            number("1E2"),
            "GameID: a string or an integer expected, got the number 1E2",
        ),
        (
            Some(Value::Bool(true)),
            "GameID: a string or an integer expected, got true",
        ),
        (
            Some(Value::Bool(false)),
            "GameID: a string or an integer expected, got false",
        ),
        (
            Some(Value::Object),
            "GameID: a string or an integer expected, got an object",
        ),
        (
            Some(Value::Array),
            "GameID: a string or an integer expected, got an array",
        ),
    ];
    for (value, expected) in cases {
        let change = Some((Member::GameId, value));
        assert_eq!(read("createtoken", change.clone()), expected);
        assert_eq!(read("balance", change), expected);
    }
}

#[test]
fn an_account_is_domain_slash_player() {
    let cases = [
        (text("acme/p1"), ""),
        (text("a/b"), ""),
        (text("acme/p/1"), ""),
        (text("acme//"), ""),
        (text("acme/ "), ""),
        (text(format!("a/{}", "x".repeat(48))), ""),
        (
            text(format!("a/{}", "x".repeat(49))),
            "1 to 50 characters, got 51",
        ),
        (
            text(format!("a/{}", "😀".repeat(25))),
            "1 to 50 characters, got 52",
        ),
        (text(""), "1 to 50 characters, got 0"),
        (
            text("acme"),
            "domain/player expected, neither part empty, got \"acme\"",
        ),
        (
            text("/"),
            "domain/player expected, neither part empty, got \"/\"",
        ),
        (
            text("/p1"),
            "domain/player expected, neither part empty, got \"/p1\"",
        ),
        (
            text("acme/"),
            "domain/player expected, neither part empty, got \"acme/\"",
        ),
        (
            Some(Value::Number("7")),
            "domain/player expected, neither part empty, got \"7\"",
        ),
    ];
    for (value, expected) in cases {
        for endpoint in ["createtoken", "balance"] {
            let got = read(endpoint, Some((Member::OperatorAccountId, value.clone())));
            let rule = got.strip_prefix("OperatorAccountID: ").unwrap_or(&got);
            assert_eq!(rule, expected);
        }
    }
}

#[test]
fn a_timestamp_is_text_or_whole_milliseconds() {
    let number = |raw| Some(Value::Number(raw));
    let cases = [
        (text("2026-11-22T13:29:05Z"), None),
        (text("2026-11-22T13:29:05.123456789+01:00"), None),
        (text("2026-11-22T13:29:05"), None),
        (number("1795354145000"), None),
        (number("0"), None),
        (text("2026-11-22"), Some("\"2026-11-22\"")),
        (text("1795354145000"), Some("\"1795354145000\"")),
        (text(""), Some("\"\"")),
        (
            text("x".repeat(41)),
            Some("\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\""),
        ),
        (
            number("1795354145000.5"),
            Some("the number 1795354145000.5"),
        ),
        (number("1e12"), Some("the number 1e12")),
        (
            number("99999999999999999999"),
            Some("the number 99999999999999999999"),
        ),
        (Some(Value::Bool(true)), Some("true")),
        (Some(Value::Object), Some("an object")),
    ];
    for (value, found) in cases {
        for endpoint in ENDPOINTS {
            let got = read(endpoint, Some((Member::Timestamp, value.clone())));
            match found {
                None => assert_eq!(got, ""),
                Some(found) => {
                    assert!(got.starts_with("Timestamp: YYYY-MM-DDThh:mm:ss"), "{got}");
                    assert!(got.ends_with(&format!("expected, got {found}")), "{got}");
                }
            }
        }
    }
}

#[test]
fn a_session_token_names_its_wrong_part_but_is_not_repeated() {
    let cases = [
        (text(TOKEN), ""),
        (
            text(TOKEN.to_uppercase()),
            "no time in lower-case hexadecimal",
        ),
        (text(&TOKEN[1..]), "no session key"),
        (text("abc"), "expected a session key"),
        (text(format!("{TOKEN}-")), "no session key"),
        (text("x".repeat(51)), "1 to 50 characters, got 51"),
        (text(""), "1 to 50 characters, got 0"),
        (Some(Value::Number("12")), "expected a session key"),
    ];
    for (value, expected) in cases {
        let got = read("redeemtoken", Some((Member::SessionToken, value)));
        assert!(
            got.contains(expected) && got.is_empty() == expected.is_empty(),
            "{got}"
        );
        assert!(!got.contains("00000000"), "{got}");
    }
}
