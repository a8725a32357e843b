//! Stories that the oracle must believe, and those that it must not.

use super::*;
use crate::ledger::Refusal;
use crate::types::{Amount, Currency, TransactionId};

fn account() -> AccountId {
    AccountId::parse("acme/p").unwrap()
}

fn deposit(id: &str, minor: i64) -> Command {
    Command::Deposit {
        account: account(),
        transaction: TransactionId::parse(id).unwrap(),
        amount: Amount::from_minor(minor).unwrap(),
        currency: Currency::parse("GBP").unwrap(),
    }
}

fn read() -> Command {
    Command::ReadBalance { account: account() }
}

fn open() -> Command {
    Command::OpenAccount {
        account: account(),
        currency: Currency::parse("GBP").unwrap(),
        country: crate::types::CountryCode::parse("GB").unwrap(),
    }
}

fn funds(minor: i64) -> Funds {
    Funds {
        currency: Currency::parse("GBP").unwrap(),
        balance: Balance {
            cash: Amount::from_minor(minor).unwrap(),
            bonus: Amount::ZERO,
        },
    }
}

fn accepted(minor: i64) -> Outcome {
    Outcome::Accepted(Facts::Funds(funds(minor)))
}

fn repeated(minor: i64) -> Outcome {
    Outcome::Repeated(Facts::Funds(funds(minor)))
}

fn refused(reason: RefusalReason, minor: i64) -> Outcome {
    let funds = Some(funds(minor));
    Outcome::Refused(Refusal { reason, funds })
}

/// Asks and answers one after the other; what is wrong with the last answer.
fn check(story: &[(Command, Option<Outcome>)], expected: &str) {
    let mut oracle = Oracle::default();
    oracle.asked(&open());
    let (last, before) = story.split_last().unwrap();
    let mut step = |(command, outcome): &(Command, Option<Outcome>)| {
        let asked_at = oracle.asked(command);
        let result = outcome.clone().ok_or(Unavailable::NoAnswer);
        oracle.answered(command, asked_at, &result)
    };
    for (at, answer) in before.iter().enumerate() {
        assert_eq!(step(answer), Ok(()), "answer {at}");
    }
    let why = step(last).err().unwrap_or_default();
    assert_eq!(why.lines().next().unwrap_or("fine"), expected);
}

#[test]
fn possible_answers_are_fine() {
    let reused = refused(RefusalReason::TransactionIdReused, 5);
    check(
        &[
            (deposit("a", 1), Some(accepted(1))),
            (deposit("a", 1), Some(repeated(1))),
            (deposit("b", 4), None),
            (read(), Some(accepted(5))),
            (deposit("b", 4), Some(repeated(5))),
            (deposit("b", 16), Some(reused)),
        ],
        "fine",
    );
}

#[test]
fn impossible_answers_are_named() {
    let told = (deposit("a", 1), Some(accepted(1)));
    let unanswered = (deposit("b", 4), None);
    let reused = refused(RefusalReason::TransactionIdReused, 1);
    let unknown = refused(RefusalReason::AccountNotFound, 1);
    for (before, last, expected) in [
        (
            vec![told.clone()],
            (read(), accepted(0)),
            "lost: digit 0, balance 0",
        ),
        (
            vec![told.clone()],
            (read(), accepted(2)),
            "booked twice: digit 0 of balance 2",
        ),
        (
            vec![told.clone()],
            (read(), accepted(17)),
            "never asked for: digit 2 of balance 17",
        ),
        (
            vec![told.clone()],
            (deposit("a", 1), accepted(1)),
            "what was done before is done again",
        ),
        (
            vec![],
            (deposit("a", 1), repeated(1)),
            "every try of what was shown is denied",
        ),
        (
            vec![told.clone(), unanswered.clone()],
            (deposit("b", 4), accepted(1)),
            "the answer and its balance disagree",
        ),
        (
            vec![told.clone()],
            (deposit("a", 4), accepted(5)),
            "two bookings of id \"a\" in balance 5",
        ),
        (
            vec![told.clone()],
            (deposit("b", 4), reused),
            "the answer and its balance disagree",
        ),
        (
            vec![told],
            (read(), unknown),
            "what was shown before is forgotten",
        ),
    ] {
        let last = (last.0, Some(last.1));
        check(&[before, vec![last]].concat(), expected);
    }
}
