use shards::types::{
    AccountId, DecimalText, GameId, GameRoundId, JackpotAmount, SessionKey, SessionToken, Text,
    TransactionId,
};

use super::*;
use crate::wallet::members::Value;

/// A request to each endpoint that breaks no rule; optional members are left out.
fn good(endpoint: &str) -> Vec<(Member, Value<'static>)> {
    let text = |text: &'static str| Value::Text(text);
    let round = [
        (Member::GameRoundId, text("r1")),
        (Member::GameRoundTransactionId, text("t1")),
        (Member::GameId, text("g1")),
        (Member::CurrencyCode, text("GBP")),
        (Member::Amount, Value::Number("1.50")),
        (Member::EndRound, Value::Bool(true)),
    ];
    let mut members = vec![
        (Member::PlatformKey, text("GW")),
        (Member::Sequence, text("s-1")),
        (Member::Timestamp, text("2026-11-22T13:29:05Z")),
        (Member::OperatorAccountId, text("acme/p1")),
    ];
    if endpoint == "redeemtoken" {
        members.pop();
    }
    members.extend(match endpoint {
        "createtoken" => vec![(Member::GameId, text("g1"))],
        "redeemtoken" => vec![
            (Member::SessionToken, text(TOKEN)),
            (Member::IpAddress, text("198.51.100.1")),
        ],
        "placebet" => [
            &round[..],
            &[
                (Member::GatewaySessionToken, text(KEY)),
                (Member::StartRound, Value::Bool(false)),
            ],
        ]
        .concat(),
        "awardwinnings" => [&round[..], &[(Member::StartRound, Value::Bool(true))]].concat(),
        "rollbackbet" => [
            &round[..],
            &[(Member::OriginalBetGameRoundTransactionId, text("t0"))],
        ]
        .concat(),
        "voidbet" => round.to_vec(),
        "end" => vec![
            (Member::GameRoundId, text("r1")),
            (Member::GameId, text("g1")),
            (Member::CurrencyCode, text("GBP")),
        ],
        "credit" => vec![
            (Member::AccountTransactionId, text("c1")),
            (Member::AccountTransactionTypeId, text("gift")),
            (Member::CurrencyCode, text("GBP")),
            (Member::Amount, text("1.50")),
        ],
        _ => Vec::new(),
    });
    members
}

const KEY: &str = "00000000-0000-8000-8000-000000000000";
const TOKEN: &str = "00000000-0000-8000-8000-000000000000-1a0";
const ENDPOINTS: [&str; 10] = [
    "createtoken",
    "redeemtoken",
    "balance",
    "placebet",
    "awardwinnings",
    "rollbackbet",
    "voidbet",
    "end",
    "credit",
    "alert",
];

fn members_of(endpoint: &str) -> Members<'static> {
    let mut members = Members::default();
    for (member, value) in good(endpoint) {
        members.set(member, Some(value));
    }
    members
}

/// The description, or nothing if the request is fine.
fn read(endpoint: &str, change: Option<(Member, Option<Value<'static>>)>) -> String {
    let mut members = members_of(endpoint);
    if let Some((member, value)) = change {
        members.set(member, value);
    }
    let invalid = match endpoint {
        "createtoken" => CreateToken::read(&members).err(),
        "redeemtoken" => RedeemToken::read(&members).err(),
        "balance" => ReadBalance::read(&members).err(),
        "placebet" => PlaceBet::read(&members).err(),
        "awardwinnings" => AwardWinnings::read(&members).err(),
        "rollbackbet" => RollbackBet::read(&members).err(),
        "voidbet" => VoidBet::read(&members).err(),
        "end" => EndRound::read(&members).err(),
        "credit" => Credit::read(&members).err(),
        _ => AnswerAlert::read(&members).err(),
    };
    invalid.map_or(String::new(), |invalid| invalid.to_string())
}

fn text(text: impl Into<String>) -> Option<Value<'static>> {
    Some(Value::Text(text.into().leak()))
}

#[test]
fn each_request_reads_what_it_keeps() {
    let common = || Common {
        platform_key: "GW".into(),
        timestamp: UnixMillis(1_795_354_145_000),
    };
    let account = || AccountId::parse("acme/p1").unwrap();
    assert_eq!(
        CreateToken::read(&members_of("createtoken")),
        Ok(CreateToken {
            common: common(),
            account: account()
        })
    );
    assert_eq!(
        ReadBalance::read(&members_of("balance")),
        Ok(ReadBalance {
            common: common(),
            account: account()
        })
    );
    let token = SessionToken::parse(TOKEN).unwrap();
    assert_eq!(
        RedeemToken::read(&members_of("redeemtoken")),
        Ok(RedeemToken {
            common: common(),
            token
        })
    );
    assert_eq!(sequence(&members_of("balance")), Some("s-1"));
}

#[test]
fn bookings_keep_what_is_booked_and_forget_what_is_not() {
    let decimal = |text| DecimalText::parse(text).unwrap();
    let booking = |session| RoundBooking {
        common: Common {
            platform_key: "GW".into(),
            timestamp: UnixMillis(1_795_354_145_000),
        },
        account: AccountId::parse("acme/p1").unwrap(),
        transaction: TransactionId::parse("t1").unwrap(),
        round: GameRoundId::parse("r1").unwrap(),
        game: GameId::parse("g1").unwrap(),
        payment: Payment {
            currency: "GBP".into(),
            amount: decimal("1.50"),
            free_bet_cost: None,
        },
        session,
        end_round: true,
        free_game_offer: None,
    };
    let key = SessionKey::parse(KEY);
    let mut members = members_of("placebet");
    assert_eq!(
        PlaceBet::read(&members),
        Ok(PlaceBet {
            booking: booking(key),
            start_round: false,
            jackpot_contribution: None,
        })
    );
    members.set(Member::FreeBetCost, Some(Value::Number("0.5")));
    members.set(Member::FreeGameOfferCode, text("offer"));
    members.set(Member::JackpotContribution, Some(Value::Number("1e-8")));
    let mut free = booking(key);
    free.payment.free_bet_cost = Some(decimal("0.5"));
    free.free_game_offer = Text::parse("offer");
    assert_eq!(
        PlaceBet::read(&members),
        Ok(PlaceBet {
            booking: free,
            start_round: false,
            jackpot_contribution: Some(JackpotAmount::from_units(1)),
        })
    );
    // An empty offer is none, and a text that cannot be a key names no session.
    let mut members = members_of("awardwinnings");
    members.set(Member::FreeGameOfferCode, text(""));
    members.set(Member::GatewaySessionToken, text("nonsense"));
    assert_eq!(
        AwardWinnings::read(&members),
        Ok(AwardWinnings {
            booking: booking(None),
            start_round: true,
            jackpot_winnings: None,
        })
    );
    assert_eq!(
        RollbackBet::read(&members_of("rollbackbet")),
        Ok(RollbackBet {
            booking: booking(None),
            bet: TransactionId::parse("t0").unwrap(),
            jackpot_contribution: None,
        })
    );
    assert_eq!(
        VoidBet::read(&members_of("voidbet")),
        Ok(VoidBet {
            booking: booking(None),
            jackpot_contribution: None,
        })
    );
}

#[test]
fn a_member_is_required_optional_or_unknown_by_endpoint() {
    // Per endpoint of `ENDPOINTS`: required, optional, not looked at.
    let cases = [
        (Member::PlatformKey, "rrrrrrrrrr"),
        (Member::Sequence, "rrrrrrrrrr"),
        (Member::Timestamp, "rrrrrrrrrr"),
        (Member::OperatorAccountId, "r-rrrrrrrr"),
        (Member::GameId, "r-orrrrr--"),
        (Member::ContentGameProviderId, "--oooooo--"),
        (Member::SessionToken, "-r--------"),
        (Member::IpAddress, "-r--------"),
        (Member::GameRoundId, "---rrrrr--"),
        (Member::GameRoundTransactionId, "---rrrr---"),
        (Member::OriginalBetGameRoundTransactionId, "-----r----"),
        (Member::CurrencyCode, "---rrrrrr-"),
        (Member::GatewaySessionToken, "---roooo-o"),
        (Member::FreeGameOfferCode, "---ooooo--"),
        (Member::Amount, "---rrrr-r-"),
        (Member::FreeBetCost, "---o-o----"),
        (Member::JackpotContribution, "---o-ooo--"),
        (Member::JackpotWinnings, "----o--o--"),
        (Member::StartRound, "---rr-----"),
        (Member::EndRound, "---rrrr---"),
        (Member::GameVersion, "-----oo---"),
        (Member::TableId, "-----oo---"),
        (Member::AccountTransactionId, "--------r-"),
        (Member::AccountTransactionTypeId, "--------r-"),
        (Member::Source, "---------o"),
        (Member::AlertActionId, "---------o"),
        (Member::OperatorAlertActionReference, "---------o"),
        (Member::OperatorAlertReference, "---------o"),
        (Member::GamingRegulatorCode, "---------o"),
        (Member::Type, "---------o"),
        (Member::Method, "---------o"),
        (Member::Data, "---------o"),
    ];
    assert_eq!(cases.len(), Member::ALL.len());
    for (member, kinds) in cases {
        for (endpoint, kind) in ENDPOINTS.iter().zip(kinds.chars()) {
            let without = read(endpoint, Some((member, None)));
            let wrong = read(endpoint, Some((member, Some(Value::Object))));
            let required = format!("{}: required", member.name());
            assert_eq!(
                without == required,
                kind == 'r',
                "{endpoint} {member:?} {without}"
            );
            assert_eq!(
                without.is_empty(),
                kind != 'r',
                "{endpoint} {member:?} {without}"
            );
            assert_eq!(
                wrong.is_empty(),
                kind == '-',
                "{endpoint} {member:?} {wrong}"
            );
            assert!(
                wrong.is_empty() || wrong.starts_with(member.name()),
                "{wrong}"
            );
        }
    }
}

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
            let got = read("placebet", Some((member, value.clone())));
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
            let got = read(endpoint, Some((member, value.clone())));
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
