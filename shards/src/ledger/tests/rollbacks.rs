//! Rollbacks: before, behind and besides their bets.

use super::*;

#[test]
fn each_part_goes_back_where_it_came_from() {
    check(&[
        (bet("b-1", 103).into(), "accepted 0+2 took 100+3"),
        (rollback("k-1", "b-1", 103).into(), "accepted 100+5"),
        (rollback("k-1", "b-1", 103).into(), "repeated 100+5"),
    ]);
}

#[test]
fn a_second_rollback_of_a_bet_under_another_id_gives_nothing_and_is_remembered() {
    let mut story = Story::begin();
    story.check(&[
        (bet("b-1", 10).into(), "accepted 90+5 took 10+0"),
        (rollback("k-1", "b-1", 10).into(), "accepted 100+5"),
        (rollback("k-2", "b-1", 10).into(), "repeated 100+5"),
    ]);
    assert!(story.posted.is_some(), "its id is remembered");
    story.check(&[(rollback("k-2", "b-1", 10).into(), "repeated 100+5")]);
    assert!(story.posted.is_none(), "once");
    story.check(&[
        (
            rollback("k-2", "b-1", 11).into(),
            "refused TransactionIdReused",
        ),
        (
            rollback("k-3", "b-1", 11).into(),
            "refused RollbackMismatch",
        ),
    ]);
}

#[test]
fn a_bet_that_was_rolled_back_is_a_repeat_still() {
    check(&[
        (bet("b-1", 103).into(), "accepted 0+2 took 100+3"),
        (rollback("k-1", "b-1", 103).into(), "accepted 100+5"),
        (bet("b-1", 103).into(), "repeated 100+5 took 100+3"),
    ]);
}

#[test]
fn a_rollback_must_agree_with_its_bet() {
    let mismatch = "refused RollbackMismatch";
    check(&[
        (bet("b-1", 10).into(), "accepted 90+5 took 10+0"),
        (rollback("k-1", "b-1", 9).into(), mismatch),
        (rollback("k-1", "b-1", 10).round("s").into(), mismatch),
        (rollback("k-1", "b-1", 10).game("h").into(), mismatch),
        (
            rollback("k-1", "b-1", 0)
                .amount(StatedAmount::TooLarge)
                .into(),
            mismatch,
        ),
        // The id stays free.
        (rollback("k-1", "b-1", 10).into(), "accepted 100+5"),
    ]);
}

#[test]
fn a_rollback_before_its_bet_refuses_both_for_ever() {
    let mut story = Story::begin();
    let not_found = "refused BetNotFound";
    story.check(&[(rollback("k-1", "b-1", 10).into(), not_found)]);
    assert!(story.posted.is_some(), "it is remembered");
    story.check(&[(rollback("k-1", "b-1", 10).into(), not_found)]);
    assert!(story.posted.is_none(), "once");
    story.check(&[
        (bet("b-1", 10).into(), "refused RolledBackBefore"),
        // Whatever the late bet states.
        (bet("b-1", 7).round("s").into(), "refused RolledBackBefore"),
        (rollback("k-1", "b-1", 10).into(), not_found),
        (
            rollback("k-1", "b-1", 9).into(),
            "refused TransactionIdReused",
        ),
        (rollback("k-2", "b-1", 10).into(), not_found),
        (rollback("k-2", "b-1", 10).into(), not_found),
        (bet("b-1", 10).into(), "refused RolledBackBefore"),
        (balance("p"), "accepted 100+5"),
        (end("r").into(), "refused RoundNotFound"),
        // Another account's bet of the same id is another bet.
        (
            bet("b-1", 10)
                .of("q")
                .session(StatedSession::Own(key(2)))
                .into(),
            "accepted 90+5 took 10+0",
        ),
    ]);
}

#[test]
fn a_rollback_of_no_possible_bet_leaves_no_tombstone() {
    check(&[
        (
            rollback("k-1", "b-1", 0)
                .amount(StatedAmount::TooLarge)
                .into(),
            "refused BetNotFound",
        ),
        (bet("b-1", 10).into(), "accepted 90+5 took 10+0"),
        (rollback("k-1", "b-1", 10).into(), "accepted 100+5"),
    ]);
}

#[test]
fn a_rollback_that_breaks_another_rule_leaves_no_tombstone() {
    check(&[
        (
            rollback("k-1", "b-1", 10).currency("EUR").into(),
            "refused CurrencyMismatch",
        ),
        (bet("b-1", 10).into(), "accepted 90+5 took 10+0"),
    ]);
}

#[test]
fn a_rollback_after_the_end_of_its_round_is_booked() {
    check(&[
        (bet("b-1", 10).ends().into(), "accepted 90+5 took 10+0"),
        (rollback("k-1", "b-1", 10).into(), "accepted 100+5"),
    ]);
}

/// The bet is forgotten and its reversal is not: nothing is given back twice, and the bet
/// is not taken again.
#[test]
fn a_reversal_that_outlives_its_bet_still_counts() {
    let mut story = Story::begin();
    story.tell(bet("b-1", 10));
    pass(&mut story, 40);
    story.tell(rollback("k-1", "b-1", 10).stated(story.now));
    pass(&mut story, 45);
    let late = story.now;
    story.check(&[
        (bet("b-1", 10).into(), "refused RequestTooOld"),
        // With a time of its own it is looked up, as long as it is remembered.
        (
            bet("b-1", 10).stated(late).into(),
            "repeated 100+5 took 10+0",
        ),
    ]);
    pass(&mut story, 10);
    let late = story.now;
    let refused = "refused RolledBackBefore";
    let mismatch = "refused RollbackMismatch";
    story.check(&[
        (bet("b-1", 10).stated(late).into(), refused),
        (
            rollback("k-2", "b-1", 10).stated(late).into(),
            "repeated 100+5",
        ),
        (rollback("k-3", "b-1", 9).stated(late).into(), mismatch),
    ]);
}
