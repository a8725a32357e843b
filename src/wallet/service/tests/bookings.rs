//! Bookings: what the ledger is asked, and what is said of its refusals.

use serde_json::json;
use shards::ledger::{self, FundsOrder, LossPeriod, RefusalReason, StatedAmount, StatedSession};
use shards::types::{
    Amount, Currency, GameId, GameRoundId, JackpotAmount, SessionKey, Text, TransactionId,
};

use super::fake::{Call, KEY, NOW, ONCE_KEY, World, own_key};
use super::*;

const BOOKINGS: [Endpoint; 5] = [
    Endpoint::PlaceBet,
    Endpoint::AwardWinnings,
    Endpoint::RollbackBet,
    Endpoint::VoidBet,
    Endpoint::Credit,
];

fn exact(minor: i64) -> StatedAmount {
    StatedAmount::Exact(Amount::from_minor(minor).unwrap())
}

/// In the currency that the request states, which is its domain's.
fn in_stated(minor: i64) -> StatedAmount {
    StatedAmount::InStated(Amount::from_minor(minor).unwrap())
}

/// What the requests of [`Call::of`] state, in a domain that lists no games.
fn round(session: StatedSession) -> ledger::RoundBooking {
    ledger::RoundBooking {
        account: AccountId::parse("acme/p1").unwrap(),
        transaction: TransactionId::parse("t1").unwrap(),
        round: GameRoundId::parse("r1").unwrap(),
        game: GameId::parse("7").unwrap(),
        game_known: true,
        stated_at: UnixMillis(NOW + 123),
        currency: Currency::parse("GBP"),
        amount: in_stated(150),
        session,
        end_round: true,
        free_game_offer: None,
    }
}

fn bet_of(call: &Call) -> ledger::PlaceBet {
    let world = World::new();
    check(&world, call, 0, "");
    match world.ledger.last() {
        Command::PlaceBet(bet) => *bet,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_becomes_its_command() {
    let own = StatedSession::Own(SessionKey::parse(&own_key()).unwrap());
    assert_eq!(
        bet_of(&Call::of(Endpoint::PlaceBet)),
        ledger::PlaceBet {
            round: round(own),
            start_round: true,
            free_play: false,
            funds_order: FundsOrder::CashFirst,
            jackpot_contribution: None,
        }
    );
    let none = || round(StatedSession::None);
    let jackpot_contribution = Some(JackpotAmount::from_units(1));
    let cases = [
        (
            Call::of(Endpoint::AwardWinnings).with("JackpotWinnings", json!("0.00000001")),
            Command::AwardWinnings(Box::new(ledger::AwardWinnings {
                round: none(),
                start_round: true,
                jackpot_winnings: jackpot_contribution,
            })),
        ),
        (
            Call::of(Endpoint::RollbackBet),
            Command::RollBackBet(Box::new(ledger::RollBackBet {
                round: none(),
                bet: TransactionId::parse("t0").unwrap(),
                jackpot_contribution: None,
            })),
        ),
        (
            Call::of(Endpoint::VoidBet).with("JackpotContribution", json!("1e-8")),
            Command::VoidBet(Box::new(ledger::VoidBet {
                round: none(),
                jackpot_contribution,
            })),
        ),
        (
            Call::of(Endpoint::End),
            Command::EndRound(Box::new(ledger::EndRound {
                account: none().account,
                round: none().round,
                game: none().game,
                currency: none().currency,
                session: StatedSession::None,
                jackpot_contribution: None,
                jackpot_winnings: None,
            })),
        ),
        (
            Call::of(Endpoint::Credit),
            Command::Credit(Box::new(ledger::Credit {
                account: none().account,
                transaction: TransactionId::parse("c1").unwrap(),
                type_id: Text::parse("gift").unwrap(),
                stated_at: none().stated_at,
                currency: none().currency,
                amount: in_stated(150),
            })),
        ),
        (
            Call::of(Endpoint::Alert).with("Data", json!("seen")),
            Command::AnswerAlert(Box::new(ledger::AnswerAlert {
                account: none().account,
                source: Text::default(),
                action_id: Text::default(),
                action_reference: Text::default(),
                reference: Text::default(),
                regulator_code: Text::default(),
                kind: Text::default(),
                method: Text::default(),
                data: Text::parse("seen").unwrap(),
            })),
        ),
    ];
    for (call, expected) in cases {
        let world = World::new();
        check(&world, &call, 0, "");
        assert_eq!(world.ledger.last(), expected);
        assert_eq!(world.ledger.asked().len(), 1, "{call:?}");
    }
}

#[test]
fn a_bet_is_free_play_by_its_offer_or_its_cost() {
    let cases = [
        ("FreeGameOfferCode", json!(""), false),
        ("FreeGameOfferCode", json!("offer"), true),
        ("FreeBetCost", json!(0), false),
        ("FreeBetCost", json!("-0.00"), false),
        ("FreeBetCost", json!("0.01"), true),
        ("FreeBetCost", json!(1e300), true),
    ];
    for (member, value, free_play) in cases {
        let bet = bet_of(&Call::of(Endpoint::PlaceBet).with(member, value));
        assert_eq!(bet.free_play, free_play, "{bet:?}");
    }
}

#[test]
fn the_domain_says_which_funds_come_first_and_which_games_there_are() {
    let call = |account: &str, currency: &str, game: &str| {
        Call::of(Endpoint::PlaceBet)
            .with("OperatorAccountID", json!(account))
            .with("CurrencyCode", json!(currency))
            .with("GameID", json!(game))
            .with("Amount", json!(1))
    };
    let cases = [
        (call("acme/p1", "GBP", "any"), FundsOrder::CashFirst, true),
        (call("yen/p1", "JPY", "chess"), FundsOrder::BonusFirst, true),
        (
            call("yen/p1", "JPY", "Chess"),
            FundsOrder::BonusFirst,
            false,
        ),
        (call("kuwait/p1", "KWD", "any"), FundsOrder::CashOnly, true),
    ];
    for (call, order, known) in cases {
        let bet = bet_of(&call);
        assert_eq!((bet.funds_order, bet.round.game_known), (order, known));
    }
}

#[test]
fn an_amount_is_judged_by_the_currency_of_the_account() {
    use StatedAmount::{TooLarge, TooPrecise};
    // `acme/p1` is in pounds. What does not fit the domain's currency costs one question.
    let cases = [
        ("GBP", json!("1.5"), in_stated(150), 1),
        ("GBP", json!("1.001"), TooPrecise, 2),
        ("GBP", json!("92233720368547758.08"), TooLarge, 2),
        ("GBP", json!(1e300), TooLarge, 2),
        ("JPY", json!("1.5"), exact(150), 2),
        ("KWD", json!("1.001"), TooPrecise, 2),
        ("gbp", json!("1.50"), exact(150), 2),
        ("XXX", json!("1.001"), TooPrecise, 2),
    ];
    for (currency, amount, expected, asked) in cases {
        let call = Call::of(Endpoint::VoidBet)
            .with("CurrencyCode", json!(currency))
            .with("Amount", amount);
        let world = World::new();
        check(&world, &call, 0, "");
        match world.ledger.last() {
            Command::VoidBet(void) => {
                assert_eq!(void.round.amount, expected, "{call:?}");
                let stated = Currency::parse(currency);
                assert_eq!(void.round.currency, stated, "{call:?}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(world.ledger.asked().len(), asked, "{call:?}");
    }
    let bet = bet_of(&Call::of(Endpoint::PlaceBet).with("FreeBetCost", json!("0.001")));
    let amount = Amount::from_minor(150).unwrap();
    assert_eq!(bet.round.amount, StatedAmount::BesideTooPrecise(amount));
}

#[test]
fn a_session_of_another_slot_is_asked_of_its_owner_but_not_for_a_bet() {
    let with_session =
        |endpoint, key: &str| Call::of(endpoint).with("GatewaySessionToken", json!(key));
    let bet = bet_of(&with_session(Endpoint::PlaceBet, KEY));
    assert_eq!(bet.round.session, StatedSession::Foreign { live: false });
    let bet = bet_of(&with_session(Endpoint::PlaceBet, "nonsense"));
    assert_eq!(bet.round.session, StatedSession::None);

    let own = StatedSession::Own(SessionKey::parse(&own_key()).unwrap());
    let unknown = KEY.replace("00c0ffee", "00c0ffef");
    let cases = [
        ("".to_owned(), StatedSession::None, 1),
        ("nonsense".to_owned(), StatedSession::None, 1),
        (own_key(), own, 1),
        (unknown, StatedSession::Foreign { live: false }, 2),
        (
            ONCE_KEY.to_owned(),
            StatedSession::Foreign { live: true },
            2,
        ),
        (KEY.to_owned(), StatedSession::Foreign { live: false }, 2),
    ];
    for (key, expected, asked) in cases {
        for endpoint in [
            Endpoint::AwardWinnings,
            Endpoint::RollbackBet,
            Endpoint::VoidBet,
            Endpoint::End,
        ] {
            let world = World::new();
            world.ledger.log_out(KEY);
            check(&world, &with_session(endpoint, &key), 0, "");
            let session = match world.ledger.last() {
                Command::AwardWinnings(award) => award.round.session,
                Command::RollBackBet(rollback) => rollback.round.session,
                Command::VoidBet(void) => void.round.session,
                Command::EndRound(end) => end.session,
                other => panic!("{other:?}"),
            };
            assert_eq!(session, expected, "{endpoint:?} {key}");
            assert_eq!(world.ledger.asked().len(), asked, "{endpoint:?} {key}");
        }
    }
}

#[test]
fn bookings_answer_the_balance_and_their_own_id() {
    const BALANCE: &str = r#""Balance":{"CurrencyCode":"GBP","CashFunds":"90.00","BonusFunds":"0.05","FundsPriority":"CashFundsFirst"}"#;
    let world = World::new();
    for endpoint in BOOKINGS {
        let (id, split) = match endpoint {
            Endpoint::PlaceBet => (
                "t1",
                r#","OperatorTransactionSplit":{"BonusAmount":"0.25","CashAmount":"1.25"}"#,
            ),
            Endpoint::Credit => ("c1", ""),
            _ => ("t1", ""),
        };
        assert_eq!(
            world.send(&Call::of(endpoint)).1,
            format!(
                r#"{{"ErrorCode":0,{BALANCE},"Result":{{"OperatorTransactionReference":"{id}"{split}}}}}"#
            )
        );
    }
    assert_eq!(
        world.send(&Call::of(Endpoint::End)).1,
        format!(r#"{{"ErrorCode":0,{BALANCE}}}"#)
    );
    assert_eq!(
        world.send(&Call::of(Endpoint::Alert)).1,
        r#"{"ErrorCode":0}"#
    );
}

#[test]
fn refusals_have_their_code_their_words_and_the_balance_where_it_belongs() {
    use RefusalReason as R;
    let cases = [
        (R::InsufficientFunds, -2, "got 1.50", true),
        (R::SessionUnknown, -3, "GatewaySessionToken", false),
        (R::SessionLoggedOut, -3, "logged out", true),
        (R::SessionOfAnotherAccount, -5, "another player", false),
        (R::TransactionIdReused, -6, "used before", false),
        (R::RequestTooOld, -6, "older than 3days", false),
        (R::RequestInFuture, -6, "more than 5m ahead", false),
        (R::RollbackMismatch, -6, "those of its bet", false),
        (R::RolledBackBefore, -8, "rolled back before", true),
        (R::BetNotFound, -8, "no such bet", true),
        (R::CurrencyMismatch, -9, "in GBP, got \"GBP\"", true),
        (R::LossLimit(LossPeriod::Day), -12, "daily", true),
        (R::SessionLimit, -13, "older than", true),
        (R::RoundNotFound, -14, "no such round", true),
        (R::GameNotFound, -15, "GameID", true),
        (R::AccountSuspended, -1, "stopped", false),
        (R::BalanceOverflow, -1, "cannot hold", false),
    ];
    let world = World::new();
    for (reason, code, words, with_balance) in cases {
        world.ledger.refuse.set(Some(reason));
        for endpoint in BOOKINGS.into_iter().chain([Endpoint::End]) {
            let (answer, body) = world.send(&Call::of(endpoint));
            assert_eq!(answer, Answer::OK);
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["ErrorCode"], code, "{body}");
            // A round's end states no amount.
            if reason != R::InsufficientFunds || endpoint != Endpoint::End {
                let description = body["ErrorDescription"].as_str().unwrap();
                assert!(description.contains(words), "{body}");
            }
            let members = if with_balance { 3 } else { 2 };
            assert_eq!(body.as_object().unwrap().len(), members, "{body}");
            assert_eq!(body["Balance"].is_object(), with_balance, "{body}");
        }
    }
    world.ledger.refuse.set(Some(R::TransactionIdReused));
    check(
        &world,
        &Call::of(Endpoint::VoidBet),
        -6,
        "GameRoundTransactionID: used",
    );
    check(
        &world,
        &Call::of(Endpoint::Credit),
        -6,
        "AccountTransactionID: used",
    );
}
