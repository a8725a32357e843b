//! Requests as members: what each endpoint keeps of them, and what it asks for.

mod values;

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
