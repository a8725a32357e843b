//! Awards, voids and credits: where money that comes to the player goes.

use super::*;

fn bonus_first(id: &str, minor: i64) -> Request {
    bet(id, minor).order(FundsOrder::BonusFirst)
}

#[test]
fn winnings_are_split_as_the_round_s_stakes_were() {
    check(&[
        (bonus_first("b-1", 20).into(), "accepted 85+0 took 15+5"),
        // A quarter is bonus, rounded down.
        (award("a-1", 11).into(), "accepted 94+2"),
        // Another round has other stakes.
        (award("a-2", 10).round("s").into(), "accepted 104+2"),
        (bonus_first("b-2", 40).into(), "accepted 66+0 took 38+2"),
        // 7 of 60 are bonus by now.
        (award("a-3", 60).into(), "accepted 119+7"),
    ]);
}

#[test]
fn stakes_that_were_rolled_back_leave_the_proportion() {
    check(&[
        (bonus_first("b-1", 5).into(), "accepted 100+0 took 0+5"),
        (bet("b-2", 5).into(), "accepted 95+0 took 5+0"),
        (rollback("k-1", "b-1", 5).into(), "accepted 95+5"),
        (award("a-1", 10).into(), "accepted 105+5"),
        (rollback("k-2", "b-2", 5).into(), "accepted 110+5"),
        (award("a-2", 10).into(), "accepted 120+5"),
    ]);
}

#[test]
fn free_play_is_no_stake() {
    check(&[
        (
            bonus_first("b-1", 1_000).free().into(),
            "accepted 100+5 took 0+0",
        ),
        (award("a-1", 10).into(), "accepted 110+5"),
        (bonus_first("b-2", 5).into(), "accepted 110+0 took 0+5"),
        (award("a-2", 10).into(), "accepted 110+10"),
    ]);
}

#[test]
fn voids_and_credits_go_to_cash_and_leave_the_proportion_alone() {
    check(&[
        (bonus_first("b-1", 5).into(), "accepted 100+0 took 0+5"),
        (void("v-1", 3).into(), "accepted 103+0"),
        (credit("c-1", 4).into(), "accepted 107+0"),
        (award("a-1", 10).into(), "accepted 107+10"),
    ]);
}

#[test]
fn an_award_of_nothing_records_a_loss() {
    let mut story = Story::begin();
    story.tell(bet("b-1", 10));
    story.check(&[(award("a-1", 0).into(), "accepted 90+5")]);
    story.tell(end("r"));
    let Some(Change::RoundEnded(end)) = story.posted.map(|posting| posting.change) else {
        panic!("it was open");
    };
    assert!(!end.zero_loss, "the round has its result");
}

#[test]
fn money_comes_from_the_house_account_of_its_kind() {
    let mut story = Story::begin();
    story.tell(bonus_first("b-1", 10));
    for (command, house) in [
        (award("a-1", 10).into(), HouseAccount::Winnings),
        (rollback("k-1", "b-1", 10).into(), HouseAccount::Stakes),
        (void("v-1", 10).into(), HouseAccount::Adjustments),
        (Command::from(credit("c-1", 10)), HouseAccount::Adjustments),
    ] {
        story.tell(command.clone());
        let movements: Vec<_> = story.posted.take().unwrap().change.movements().collect();
        let total: i64 = movements.iter().map(|movement| movement.minor).sum();
        assert_eq!(total, 10, "{command:?}");
        for movement in movements {
            assert_eq!(movement.house, house, "{command:?}");
        }
    }
}

#[test]
fn what_would_overflow_is_booked_nowhere() {
    let mut story = Story::empty();
    story.tell(import("p", i64::MAX - 10, Some(key(1))));
    let overflow = "refused BalanceOverflow";
    let full = "9223372036854775807+5";
    story.check(&[
        (award("a", 11).into(), overflow),
        (void("v", 11).into(), overflow),
        (credit("c", 11).into(), overflow),
        (
            award("a", 0).amount(StatedAmount::TooLarge).into(),
            overflow,
        ),
        (void("v", 0).amount(StatedAmount::TooLarge).into(), overflow),
        (
            Credit {
                amount: StatedAmount::TooLarge,
                ..credit("c", 0)
            }
            .into(),
            overflow,
        ),
        (
            bet("b", 10).into(),
            "accepted 9223372036854775787+5 took 10+0",
        ),
        (credit("c", 20).into(), &format!("accepted {full}")),
        (rollback("k", "b", 10).into(), overflow),
        // The ids stayed free, and no round but the bet's was opened.
        (end("s").into(), "refused RoundNotFound"),
        (award("a", 0).into(), &format!("accepted {full}")),
        (void("v", 0).into(), &format!("accepted {full}")),
    ]);
}
