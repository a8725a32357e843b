//! What the value of a member may be, and what is said of one that it may not.

use super::*;

/// An endpoint that looks at the member.
fn endpoint_of(member: Member) -> &'static str {
    let looks = |endpoint: &&str| !read(endpoint, Some((member, Some(Value::Object)))).is_empty();
    ENDPOINTS.into_iter().rev().find(looks).unwrap()
}

#[test]
fn string_members_have_their_length_in_utf16_code_units() {
    for &member in Member::ALL {
        // These have a form as well, and their own tests.
        let has_form = matches!(member, Member::OperatorAccountId | Member::SessionToken);
        if has_form || *member.units().end() == usize::MAX {
            continue;
        }
        let endpoint = endpoint_of(member);
        let (least, most) = (*member.units().start(), *member.units().end());
        for (one, units) in [("x", 1), (" ", 1), ("é", 1), ("€", 1), ("😀", 2)] {
            if most % units == 0 {
                let fits = read(endpoint, Some((member, text(one.repeat(most / units)))));
                assert_eq!(fits, "", "{one}");
            }
            let count = most / units + 1;
            let long = read(endpoint, Some((member, text(one.repeat(count)))));
            let got = count * units;
            let range = match least {
                0 => format!("at most {most}"),
                _ if least == most => format!("exactly {most}"),
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
    for short in ["GB", "€€", "😀"] {
        let description = read("end", Some((Member::CurrencyCode, text(short))));
        assert_eq!(description, "CurrencyCode: exactly 3 characters, got 2");
    }
    // Four bytes, but three characters: the domain has no such currency, which is -9.
    assert_eq!(read("end", Some((Member::CurrencyCode, text("é12")))), "");
}

#[test]
fn flags_are_true_or_false() {
    for (value, found) in [
        (text("true"), "\"true\""),
        (text(""), "\"\""),
        (Some(Value::Number("1")), "the number 1"),
        (Some(Value::Array), "an array"),
    ] {
        for member in [Member::StartRound, Member::EndRound] {
            let got = read("placebet", Some((member, value)));
            let expected = format!("{}: true or false expected, got {found}", member.name());
            assert_eq!(got, expected);
        }
    }
    for flag in [true, false] {
        assert_eq!(
            read("voidbet", Some((Member::EndRound, Some(Value::Bool(flag))))),
            ""
        );
    }
}

#[test]
fn amounts_are_numbers_or_strings_holding_one() {
    const FORM: &str = "a number, or a string holding one, expected";
    let number = |raw| Some(Value::Number(raw));
    let cases = [
        (number("10"), String::new()),
        (number("10.50"), String::new()),
        (number("1e1"), String::new()),
        (number("-0"), String::new()),
        (number("0"), String::new()),
        // Which digits it may have is known once the account's currency is.
        (number("1.001"), String::new()),
        (number("1e400"), String::new()),
        (text("10.00"), String::new()),
        (text("1E1"), String::new()),
        (
            number("-1"),
            "must not be negative, got the number -1".to_owned(),
        ),
        (
            text("-0.01"),
            "must not be negative, got \"-0.01\"".to_owned(),
        ),
        (text(" 1"), format!("{FORM}, got \" 1\"")),
        (text("1 "), format!("{FORM}, got \"1 \"")),
        (text(""), format!("{FORM}, got \"\"")),
        (text("+1"), format!("{FORM}, got \"+1\"")),
        (text("01"), format!("{FORM}, got \"01\"")),
        (text(".5"), format!("{FORM}, got \".5\"")),
        (text("1,5"), format!("{FORM}, got \"1,5\"")),
        (text("NaN"), format!("{FORM}, got \"NaN\"")),
        (Some(Value::Bool(true)), format!("{FORM}, got true")),
        (Some(Value::Object), format!("{FORM}, got an object")),
    ];
    for (value, expected) in cases {
        for (endpoint, member) in [
            ("placebet", Member::Amount),
            ("credit", Member::Amount),
            ("rollbackbet", Member::FreeBetCost),
        ] {
            let got = read(endpoint, Some((member, value)));
            let rule = got.strip_prefix(member.name()).unwrap_or_default();
            assert_eq!(rule.strip_prefix(": ").unwrap_or_default(), expected);
        }
    }
}

#[test]
fn jackpot_amounts_have_up_to_eight_fraction_digits() {
    let cases = [
        ("0.00000001", ""),
        ("1e-8", ""),
        ("0.000000010", ""),
        (
            "0.000000001",
            "at most 8 fraction digits, got the number 0.000000001",
        ),
        ("-1", "must not be negative, got the number -1"),
        ("1e400", "too large, got the number 1e400"),
    ];
    for (raw, expected) in cases {
        for (endpoint, member) in [
            ("voidbet", Member::JackpotContribution),
            ("end", Member::JackpotWinnings),
        ] {
            let got = read(endpoint, Some((member, Some(Value::Number(raw)))));
            let rule = got.strip_prefix(member.name()).unwrap_or_default();
            assert_eq!(rule.strip_prefix(": ").unwrap_or_default(), expected);
        }
    }
}

#[test]
fn a_bet_names_a_session() {
    for blank in ["", " ", "\t \u{a0}"] {
        let got = read("placebet", Some((Member::GatewaySessionToken, text(blank))));
        assert_eq!(got, "GatewaySessionToken: must not be blank", "{blank:?}");
        let got = read("voidbet", Some((Member::GatewaySessionToken, text(blank))));
        assert_eq!(got, "", "{blank:?}");
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
        assert_eq!(read("createtoken", change), expected);
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
            let got = read(endpoint, Some((Member::OperatorAccountId, value)));
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
            let got = read(endpoint, Some((Member::Timestamp, value)));
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
