//! Repeats: what is compared, what is not, and when nobody asks.

use super::*;

/// A domain may be configured in another currency than an account was opened in: then the
/// request states that, and its number is read as one of the account's.
#[test]
fn a_repeat_is_compared_as_the_accounts_currency_reads_it() {
    let stated = |code: &str, minor| {
        let amount = StatedAmount::InStated(amount(minor));
        Command::from(bet("t", 0).currency(code).amount(amount))
    };
    let repeated = "repeated 90+5 took 10+0";
    let reused = "refused TransactionIdReused";
    check(&[
        (stated("JPY", 1), "refused CurrencyMismatch"),
        // 0.10 pounds.
        (stated("GBP", 10), "accepted 90+5 took 10+0"),
        (stated("GBP", 10), repeated),
        (stated("EUR", 10), repeated),
        (stated("KWD", 100), repeated),
        (stated("KWD", 101), reused),
        (stated("KWD", 10), reused),
        (stated("JPY", 10), reused),
        (stated("JPY", i64::MAX), reused),
    ]);
}

/// What is beside an amount and too precise is refused where something new is booked.
#[test]
fn a_repeat_is_one_whatever_is_beside_its_amount() {
    let costly =
        |request: Request, minor| request.amount(StatedAmount::BesideTooPrecise(amount(minor)));
    for (kind, request) in every_kind() {
        let mut story = begin();
        let too_precise = "refused AmountTooPrecise";
        assert_eq!(
            story.tell(costly(request.clone(), 10)),
            too_precise,
            "{kind}"
        );
        assert!(
            story.tell(request.clone()).starts_with("accepted"),
            "{kind}"
        );
        let again = story.tell(costly(request.clone(), 10));
        assert!(again.starts_with("repeated"), "{kind}: {again}");
        let reused = story.tell(costly(request, 11));
        assert_eq!(reused, "refused TransactionIdReused", "{kind}");
    }
}

/// How a request is made another one.
type Bend = fn(Request) -> Request;

/// One request of every kind that is bound to a round.
fn every_kind() -> Vec<(&'static str, Request)> {
    vec![
        ("bet", bet("t", 10)),
        ("award", award("t", 10)),
        ("rollback", rollback("t", "b", 10)),
        ("void", void("t", 10)),
    ]
}

fn begin() -> Story {
    let mut story = Story::begin();
    story.tell(bet("b", 10));
    story
}

#[test]
fn amount_round_and_game_are_compared() {
    let bends: [(&str, Bend); 5] = [
        ("another amount", |r| {
            r.amount(StatedAmount::Exact(amount(11)))
        }),
        ("too precise", |r| r.amount(StatedAmount::TooPrecise)),
        ("too large", |r| r.amount(StatedAmount::TooLarge)),
        ("another round", |r| r.round("s")),
        ("another game", |r| r.game("h")),
    ];
    for (kind, request) in every_kind() {
        let mut story = begin();
        assert!(
            story.tell(request.clone()).starts_with("accepted"),
            "{kind}"
        );
        for (bend, bent) in bends {
            let told = story.tell(bent(request.clone()));
            assert_eq!(told, "refused TransactionIdReused", "{kind}, {bend}");
        }
        assert!(story.tell(request).starts_with("repeated"), "{kind}");
    }
    let mut story = begin();
    story.tell(rollback("t", "b", 10));
    let told = story.tell(rollback("t", "c", 10));
    assert_eq!(told, "refused TransactionIdReused", "another bet");
}

#[test]
fn whatever_else_a_repeat_states_is_not_looked_at() {
    let bends: [(&str, Bend); 9] = [
        ("no currency", |r| r.currency("gbp")),
        ("another currency", |r| r.currency("JPY")),
        ("a game that is unknown now", Request::unknown_game),
        ("no session", |r| r.session(StatedSession::None)),
        ("an unknown session", |r| {
            r.session(StatedSession::Own(key(9)))
        }),
        ("another's session", |r| {
            r.session(StatedSession::Own(key(2)))
        }),
        ("a foreign session", |r| {
            r.session(StatedSession::Foreign { live: true })
        }),
        ("an end", Request::ends),
        ("free play", Request::free),
    ];
    for (kind, request) in every_kind() {
        let mut story = begin();
        story.tell(request.clone());
        let open_rounds = story.open_rounds();
        for (bend, bent) in bends {
            let told = story.tell(bent(request.clone()));
            assert!(told.starts_with("repeated"), "{kind}, {bend}: {told}");
            assert!(story.posted.is_none(), "{kind}, {bend}");
        }
        assert_eq!(story.open_rounds(), open_rounds, "{kind}");
    }
}

#[test]
fn a_repeat_tells_the_current_balance() {
    check(&[
        (bet("b-1", 10).into(), "accepted 90+5 took 10+0"),
        (credit("c-1", 1).into(), "accepted 91+5"),
        (bet("b-1", 10).into(), "repeated 91+5 took 10+0"),
        (credit("c-1", 1).into(), "repeated 91+5"),
    ]);
}

#[test]
fn one_id_may_be_used_once_per_kind_and_account() {
    check(&[
        (bet("t", 10).into(), "accepted 90+5 took 10+0"),
        (award("t", 10).into(), "accepted 100+5"),
        (void("t", 10).into(), "accepted 110+5"),
        (rollback("t", "t", 10).into(), "accepted 120+5"),
        (credit("t", 10).into(), "accepted 130+5"),
        (award("t", 7).of("q").into(), "accepted 107+5"),
    ]);
}

#[test]
fn a_credit_compares_its_amount_alone() {
    let bent = |bend: fn(&mut Credit)| {
        let mut credit = credit("c", 10);
        bend(&mut credit);
        Command::from(credit)
    };
    let reused = "refused TransactionIdReused";
    check(&[
        (credit("c", 10).into(), "accepted 110+5"),
        (
            bent(|credit| credit.type_id = Text::parse("other").unwrap()),
            "repeated 110+5",
        ),
        (bent(|credit| credit.currency = None), "repeated 110+5"),
        (
            bent(|credit| credit.amount = StatedAmount::Exact(amount(9))),
            reused,
        ),
        (
            bent(|credit| credit.amount = StatedAmount::TooPrecise),
            reused,
        ),
        (
            bent(|credit| credit.amount = StatedAmount::TooLarge),
            reused,
        ),
    ]);
}

#[test]
fn a_refused_request_leaves_its_id_free() {
    check(&[
        (bet("t", 200).into(), "refused InsufficientFunds"),
        (bet("t", 10).into(), "accepted 90+5 took 10+0"),
        (
            award("t", 10).currency("EUR").into(),
            "refused CurrencyMismatch",
        ),
        (award("t", 11).into(), "accepted 101+5"),
    ]);
}
