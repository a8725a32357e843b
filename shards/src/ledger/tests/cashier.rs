//! What operators do: withdrawals, bonuses, limits, status, books, and the chain of bookings.

use super::*;

fn withdraw(transaction: &str, minor: i64) -> Command {
    Command::Withdraw {
        account: account("p"),
        transaction: id(transaction),
        amount: amount(minor),
        currency: currency("GBP"),
    }
}

fn grant(transaction: &str, minor: i64) -> Command {
    Command::GrantBonus {
        is_offered: true,
        account: account("p"),
        transaction: id(transaction),
        amount: amount(minor),
        currency: currency("GBP"),
    }
}

fn deposit(transaction: &str, minor: i64) -> Command {
    Command::Deposit {
        account: account("p"),
        transaction: id(transaction),
        amount: amount(minor),
        currency: currency("GBP"),
    }
}

#[test]
fn withdrawals_take_cash_and_bonuses_give_bonus_once_per_id() {
    let reused = "refused TransactionIdReused";
    check(&[
        (withdraw("w", 101), "refused InsufficientFunds"),
        (withdraw("w", 40), "accepted 60+5"),
        (withdraw("w", 40), "repeated 60+5"),
        (withdraw("w", 41), reused),
        (grant("w", 7), "accepted 60+12"),
        (grant("w", 7), "repeated 60+12"),
        (grant("w", 8), reused),
        (deposit("w", 1), "accepted 61+12"),
        (deposit("w", 1), "repeated 61+12"),
        (withdraw("x", 61), "accepted 0+12"),
        // A repeat asks nothing of the funds.
        (withdraw("w", 40), "repeated 0+12"),
        (grant("y", i64::MAX), "refused BalanceOverflow"),
        (suspend("p"), "accepted 0+12 live=true"),
        (deposit("y", 2), "accepted 2+12"),
        (withdraw("z", 2), "accepted 0+12"),
    ]);
}

#[test]
fn money_in_another_currency_is_booked_nowhere() {
    let mut story = Story::begin();
    for command in [withdraw("t", 1), grant("t", 1)] {
        let mut other = command.clone();
        if let Command::Withdraw { currency: code, .. }
        | Command::GrantBonus { currency: code, .. } = &mut other
        {
            *code = currency("JPY");
        }
        assert_eq!(story.tell(other), "refused CurrencyMismatch");
        assert!(story.tell(command).starts_with("accepted"));
    }
}

#[test]
fn operators_move_money_against_cashier_and_bonus() {
    let mut story = Story::begin();
    for (command, house, player, minor) in [
        (deposit("d", 9), HouseAccount::Cashier, PlayerFunds::Cash, 9),
        (
            withdraw("w", 9),
            HouseAccount::Cashier,
            PlayerFunds::Cash,
            -9,
        ),
        (grant("g", 9), HouseAccount::Bonus, PlayerFunds::Bonus, 9),
    ] {
        story.tell(command);
        let moved: Vec<_> = story.posted.take().unwrap().change.movements().collect();
        let expected = Movement {
            house,
            player,
            minor,
        };
        assert_eq!(moved, [expected]);
    }
}

#[test]
fn limits_change_one_by_one_and_only_a_change_is_posted() {
    let mut story = Story::begin();
    let weekly = LimitsChange {
        loss_weekly: Some(Some(amount(70))),
        session_s: Some(Some(3_600)),
        ..LimitsChange::default()
    };
    let done = "accepted 100+5 live=true";
    let nothing = "repeated 100+5 live=true";
    story.check(&[
        (limit("p", LimitsChange::default()), nothing),
        (limit("p", daily(50)), done),
        (limit("p", daily(50)), nothing),
        (limit("p", weekly), done),
        (limit("x", weekly), "refused AccountNotFound"),
    ]);
    let expected = Limits {
        loss_daily: Some(amount(50)),
        loss_weekly: Some(amount(70)),
        loss_monthly: None,
        session_s: Some(3_600),
    };
    assert_eq!(story.account("p").limits, expected);
    let none = LimitsChange {
        loss_daily: Some(None),
        loss_weekly: Some(None),
        loss_monthly: Some(None),
        session_s: Some(None),
    };
    story.check(&[(limit("p", none), done)]);
    assert_eq!(story.account("p").limits, Limits::default());
}

#[test]
fn a_status_is_posted_when_it_changes() {
    let mut story = Story::begin();
    story.check(&[
        (suspend("x"), "refused AccountNotFound"),
        (suspend("p"), "accepted 100+5 live=true"),
        (suspend("p"), "repeated 100+5 live=true"),
    ]);
    assert!(story.posted.is_none());
    assert_eq!(story.account("p").status, AccountStatus::Suspended);
    assert_eq!(story.account("q").status, AccountStatus::Active);
}

#[test]
fn an_answer_to_an_alert_is_recorded_each_time() {
    let text = |text| Text::parse(text).unwrap();
    let alert = |player| {
        Command::AnswerAlert(Box::new(AnswerAlert {
            account: account(player),
            source: text("source"),
            action_id: text("action"),
            action_reference: text("action reference"),
            reference: text("reference"),
            regulator_code: text("UKGC"),
            kind: text("kind"),
            method: text("method"),
            data: text(""),
        }))
    };
    let mut story = Story::begin();
    story.check(&[
        (alert("x"), "refused AccountNotFound"),
        (alert("p"), "accepted 100+5"),
        (alert("p"), "accepted 100+5"),
    ]);
    let Some(Change::AlertAnswered(facts)) = story.posted.map(|posting| posting.change) else {
        panic!("it is recorded");
    };
    assert_eq!(facts.action_reference, text("action reference"));
    assert_eq!(facts.data, text(""));
}

#[test]
fn bookings_lead_back_to_the_one_before() {
    let mut story = Story::begin();
    assert_eq!(story.account("p").last_booking, Lsn::NONE);
    let mut bookings = Vec::new();
    // Bookings, and what is none.
    let steps: [(Command, bool); 14] = [
        (deposit("d", 1), true),
        (bet("b", 1).into(), true),
        (suspend("p"), false),
        (award("a", 1).into(), true),
        (rollback("k", "none", 1).into(), false),
        (rollback("k-2", "b", 1).into(), true),
        (rollback("k-3", "b", 1).into(), false),
        (void("v", 1).into(), true),
        (award("other", 1).of("q").into(), false),
        (end("r").into(), false),
        (credit("c", 1).into(), true),
        (withdraw("w", 1), true),
        (log_out(1), false),
        (grant("g", 1), true),
    ];
    for (command, is_booking) in steps {
        story.tell(command.clone());
        let posting = story.posted.take();
        if is_booking {
            let previous = posting.and_then(|posting| posting.change.previous_booking());
            let last = bookings.last().copied().unwrap_or(Lsn::NONE);
            assert_eq!(previous, Some(last), "{command:?}");
            bookings.push(story.lsn);
        }
        let last = bookings.last().copied().unwrap_or(Lsn::NONE);
        assert_eq!(story.account("p").last_booking, last, "{command:?}");
    }
}

#[test]
fn books_are_those_of_the_whole_shard_and_rest_on_all_of_it() {
    let mut story = Story::begin();
    story.tell(award("a", 1).of("q"));
    let read = Command::ReadBooks {
        slot: Slot::from_low_bits(0),
    };
    assert_eq!(story.tell(read), "accepted 1 books");
    assert_eq!(story.rests_on, story.lsn);
}

#[test]
fn a_bonus_is_granted_where_there_are_such_and_repeated_anywhere() {
    let given_up = |transaction, minor| match grant(transaction, minor) {
        Command::GrantBonus {
            account,
            transaction,
            amount,
            currency,
            ..
        } => Command::GrantBonus {
            is_offered: false,
            account,
            transaction,
            amount,
            currency,
        },
        other => panic!("{other:?}"),
    };
    check(&[
        (grant("g", 3), "accepted 100+8"),
        (given_up("g", 3), "repeated 100+8"),
        (given_up("g", 4), "refused TransactionIdReused"),
        (given_up("new", 3), "refused NoBonusFunds"),
    ]);
}
