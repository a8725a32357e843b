//! Bets: how stakes are taken, free play, and what stops a bet.

use super::*;

#[test]
fn a_stake_is_taken_from_the_funds_and_the_split_is_told() {
    check(&[
        (bet("b-1", 10).into(), "accepted 90+5 took 10+0"),
        (bet("b-2", 93).into(), "accepted 0+2 took 90+3"),
        (bet("b-3", 3).into(), "refused InsufficientFunds"),
        (bet("b-4", 0).into(), "accepted 0+2 took 0+0"),
        (bet("b-5", 2).into(), "accepted 0+0 took 0+2"),
        (bet("b-6", 0).into(), "accepted 0+0 took 0+0"),
    ]);
}

#[test]
fn the_domain_says_which_funds_come_first() {
    use FundsOrder::{BonusFirst, CashOnly};
    check(&[
        (
            bet("b-1", 3).order(BonusFirst).into(),
            "accepted 100+2 took 0+3",
        ),
        (
            bet("b-2", 3).order(BonusFirst).into(),
            "accepted 99+0 took 1+2",
        ),
    ]);
    check(&[
        (
            bet("b-1", 101).order(CashOnly).into(),
            "refused InsufficientFunds",
        ),
        (
            bet("b-1", 100).order(CashOnly).into(),
            "accepted 0+5 took 100+0",
        ),
    ]);
}

#[test]
fn a_stake_moves_to_the_house_by_the_funds_it_came_from() {
    let mut story = Story::begin();
    story.tell(bet("b", 103));
    let moved: Vec<_> = story.posted.unwrap().change.movements().collect();
    let to_stakes = |player, minor| Movement {
        house: HouseAccount::Stakes,
        player,
        minor,
    };
    let expected = [
        to_stakes(PlayerFunds::Cash, -100),
        to_stakes(PlayerFunds::Bonus, -3),
    ];
    assert_eq!(moved, expected);
}

#[test]
fn a_stake_beyond_64_bits_is_above_any_funds() {
    let too_large = |id| bet(id, 0).amount(StatedAmount::TooLarge);
    check(&[
        (too_large("b-1").into(), "refused InsufficientFunds"),
        (too_large("b-2").free().into(), "refused InsufficientFunds"),
        // The id stays free, and no round was opened.
        (bet("b-1", 1).round("s").into(), "accepted 99+5 took 1+0"),
        (end("r").into(), "refused RoundNotFound"),
    ]);
}

#[test]
fn free_play_is_recorded_and_takes_nothing() {
    let mut story = Story::begin();
    story.check(&[
        (bet("b-1", 1_000).free().into(), "accepted 100+5 took 0+0"),
        (bet("b-1", 1_000).free().into(), "repeated 100+5 took 0+0"),
        // What is compared is not whether it was free.
        (bet("b-1", 1_000).into(), "repeated 100+5 took 0+0"),
    ]);
    assert_eq!(story.open_rounds(), 1, "it opens a round");
    // Its winnings are paid like any others: without stakes, to cash.
    story.check(&[
        (award("a-1", 7).into(), "accepted 107+5"),
        (rollback("k-1", "b-1", 1_000).into(), "accepted 107+5"),
    ]);
    let Some(Change::BetRolledBack(booked)) = story.posted.map(|posting| posting.change) else {
        panic!("it is booked");
    };
    assert!(booked.free_play);
    assert_eq!(booked.returned, Balance::default());
}

#[test]
fn what_was_a_paid_bet_repeats_its_split_whatever_the_repeat_calls_it() {
    check(&[
        (bet("b-1", 102).into(), "accepted 0+3 took 100+2"),
        (award("a-1", 50).into(), "accepted 50+3"),
        (bet("b-1", 102).free().into(), "repeated 50+3 took 100+2"),
    ]);
}

#[test]
fn a_suspended_account_bets_nothing_and_is_paid_everything() {
    let active = Command::SetStatus {
        account: account("p"),
        status: AccountStatus::Active,
    };
    check(&[
        (bet("b-1", 10).into(), "accepted 90+5 took 10+0"),
        (bet("b-2", 10).into(), "accepted 80+5 took 10+0"),
        (suspend("p"), "accepted 80+5 live=true"),
        (bet("b-3", 0).into(), "refused AccountSuspended"),
        (bet("b-3", 1).free().into(), "refused AccountSuspended"),
        (bet("b-1", 10).into(), "repeated 80+5 took 10+0"),
        (award("a-1", 1).into(), "accepted 81+5"),
        (rollback("k-1", "b-2", 10).into(), "accepted 91+5"),
        (void("v-1", 2).into(), "accepted 93+5"),
        (credit("c-1", 3).into(), "accepted 96+5"),
        (end("r").into(), "accepted 96+5"),
        (active, "accepted 96+5 live=true"),
        (bet("b-3", 1).into(), "accepted 95+5 took 1+0"),
    ]);
}

#[test]
fn a_session_that_is_too_old_bets_no_more_and_wins_still() {
    let mut story = Story::begin();
    let limits = LimitsChange {
        session_s: Some(Some(60)),
        ..LimitsChange::default()
    };
    story.tell(limit("p", limits));
    story.tell(bet("b-1", 10));
    story.wait(Duration::from_secs(61));
    story.check(&[
        (bet("b-2", 0).into(), "refused SessionLimit"),
        (bet("b-2", 1).free().into(), "refused SessionLimit"),
        (bet("b-1", 10).into(), "repeated 90+5 took 10+0"),
        (award("a-1", 1).into(), "accepted 91+5"),
        (rollback("k-1", "b-1", 10).into(), "accepted 101+5"),
        (void("v-1", 2).into(), "accepted 103+5"),
        (end("r").into(), "accepted 103+5"),
        (credit("c-1", 3).into(), "accepted 106+5"),
    ]);
}

#[test]
fn net_loss_is_stakes_less_winnings_rollbacks_and_voids() {
    let day = "refused LossLimit(Day)";
    check(&[
        (limit("p", daily(50)), "accepted 100+5 live=true"),
        (bet("b-1", 51).into(), day),
        (bet("b-1", 50).into(), "accepted 50+5 took 50+0"),
        (bet("b-2", 1).into(), day),
        (bet("b-2", 0).into(), "accepted 50+5 took 0+0"),
        (bet("b-3", 9).free().into(), "accepted 50+5 took 0+0"),
        // Each of these gives back two, of which one is bet.
        (award("a-1", 2).into(), "accepted 52+5"),
        (bet("b-4", 3).into(), day),
        (bet("b-4", 1).into(), "accepted 51+5 took 1+0"),
        (void("v-1", 2).into(), "accepted 53+5"),
        (bet("b-5", 4).into(), day),
        (bet("b-5", 2).into(), "accepted 51+5 took 2+0"),
        (rollback("k-1", "b-5", 2).into(), "accepted 53+5"),
        (bet("b-6", 4).into(), day),
        (bet("b-6", 3).into(), "accepted 50+5 took 3+0"),
        // A credit is no winnings, and neither is a free bet's rollback a stake's.
        (credit("c-1", 30).into(), "accepted 80+5"),
        (rollback("k-2", "b-3", 9).into(), "accepted 80+5"),
        (bet("b-7", 1).into(), day),
        // Nothing but bets is stopped.
        (award("a-2", 0).into(), "accepted 80+5"),
        (bet("b-1", 50).into(), "repeated 80+5 took 50+0"),
    ]);
}

#[test]
fn bonus_money_that_is_lost_counts_too() {
    let mut story = Story::begin();
    let first = |id, minor| bet(id, minor).order(FundsOrder::BonusFirst);
    story.check(&[
        (limit("p", daily(5)), "accepted 100+5 live=true"),
        (first("b-1", 5).into(), "accepted 100+0 took 0+5"),
        (first("b-2", 1).into(), "refused LossLimit(Day)"),
        (award("a-1", 1).into(), "accepted 100+1"),
        (first("b-2", 1).into(), "accepted 100+0 took 0+1"),
    ]);
}

#[test]
fn a_limit_counts_what_was_lost_before_it_was_set() {
    let mut story = Story::begin();
    story.check(&[
        (bet("b-1", 10).into(), "accepted 90+5 took 10+0"),
        (limit("p", daily(10)), "accepted 90+5 live=true"),
        (bet("b-2", 1).into(), "refused LossLimit(Day)"),
    ]);
    // Monday is another day.
    story.wait(DAY);
    story.check(&[(
        bet("b-2", 10).stated(NOW.after(DAY)).into(),
        "accepted 80+5 took 10+0",
    )]);
}

#[test]
fn each_limit_stands_for_itself_and_the_shortest_refuses_first() {
    let all = LimitsChange {
        loss_daily: Some(Some(amount(10))),
        loss_weekly: Some(Some(amount(10))),
        loss_monthly: Some(Some(amount(10))),
        session_s: None,
    };
    let without = |period| match period {
        LossPeriod::Day => LimitsChange {
            loss_daily: Some(None),
            ..LimitsChange::default()
        },
        LossPeriod::Week => LimitsChange {
            loss_weekly: Some(None),
            ..LimitsChange::default()
        },
        LossPeriod::Month => LimitsChange {
            loss_monthly: Some(None),
            ..LimitsChange::default()
        },
    };
    let set = "accepted 100+5 live=true";
    check(&[
        (limit("p", all), set),
        (bet("b-1", 11).into(), "refused LossLimit(Day)"),
        (limit("p", without(LossPeriod::Day)), set),
        (bet("b-1", 11).into(), "refused LossLimit(Week)"),
        (limit("p", without(LossPeriod::Week)), set),
        (bet("b-1", 11).into(), "refused LossLimit(Month)"),
        (limit("p", without(LossPeriod::Month)), set),
        (bet("b-1", 11).into(), "accepted 89+5 took 11+0"),
    ]);
}

#[test]
fn a_winner_may_lose_again_what_was_won() {
    check(&[
        (limit("p", daily(0)), "accepted 100+5 live=true"),
        (bet("b-1", 1).into(), "refused LossLimit(Day)"),
        (award("a-1", 30).into(), "accepted 130+5"),
        (bet("b-1", 30).into(), "accepted 100+5 took 30+0"),
        (bet("b-2", 1).into(), "refused LossLimit(Day)"),
    ]);
}
