//! What is remembered of bets and their reversals, for how long, behind a restore: also to
//! another window than they were remembered in.

use super::*;
use crate::ledger::RefusalReason;

/// The life of one player with money and a session.
fn opened_after(minutes: i64) -> Life {
    lived(&[Step {
        kind: 1,
        player: 0,
        number: 9,
        minutes,
    }])
}

/// A bet and a rollback, each stated at a time.
fn bet(number: u8, stated_at: UnixMillis) -> Command {
    let step = Step {
        kind: 10,
        player: 0,
        number,
        minutes: 0,
    };
    command(&step, stated_at)
}

fn rollback(id: &str, number: u8, stated_at: UnixMillis) -> Command {
    let Command::PlaceBet(placed) = bet(number, stated_at) else {
        unreachable!("a bet")
    };
    let mut round = placed.round;
    let bet = std::mem::replace(&mut round.transaction, TransactionId::parse(id).unwrap());
    Command::RollBackBet(Box::new(RollBackBet {
        round,
        bet,
        jackpot_contribution: None,
    }))
}

fn set_status(life: &mut Life, status: AccountStatus) {
    let account = AccountId::parse("acme/p0").unwrap();
    life.ask(&Command::SetStatus { account, status });
}

/// Something happens every ten seconds, so that all of that time counts.
fn pass(life: &mut Life, hours: i64) {
    let statuses = [AccountStatus::Suspended, AccountStatus::Active];
    for status in statuses.into_iter().cycle().take(360 * hours as usize) {
        life.now.0 += 10_000;
        set_status(life, status);
    }
}

fn refused(outcome: &Outcome) -> Option<RefusalReason> {
    match outcome {
        Outcome::Refused(refusal) => Some(refusal.reason),
        _ => None,
    }
}

#[test]
fn a_window_that_is_made_longer_lets_nothing_forgotten_be_booked_again() {
    let mut life = opened_after(0);
    let stated_at = life.now;
    assert_eq!(refused(&life.ask(&bet(9, stated_at))), None);
    pass(&mut life, 40);
    let longer = restore(entries(&life.ledger), settings(72)).unwrap();
    // And once more through a checkpoint, which must not forget that it forgot.
    life.ledger = restore(entries(&longer), settings(72)).unwrap();
    pass(&mut life, 1);
    let again = life.ask(&bet(9, stated_at));
    assert_eq!(refused(&again), Some(RefusalReason::RequestTooOld));
    let now = life.now;
    assert_eq!(refused(&life.ask(&bet(9, now))), None, "a new bet");
}

#[test]
fn a_tombstone_that_was_renewed_is_restored_to_any_window() {
    for quarter_hours in 0..40 {
        let mut life = opened_after(15 * quarter_hours);
        for id in ["k-1", "k-2"] {
            let rollback = rollback(id, 9, life.now);
            let told = refused(&life.ask(&rollback));
            assert_eq!(told, Some(RefusalReason::BetNotFound));
            pass(&mut life, 3);
        }
        for hours in [1, 20, 23, 24, 25, 72] {
            let ledger = restore(entries(&life.ledger), settings(hours)).unwrap();
            let mut restored = life.with(ledger);
            let bet = bet(9, restored.now);
            let told = refused(&restored.ask(&bet));
            assert_eq!(told, Some(RefusalReason::RolledBackBefore), "{hours} h");
        }
    }
}

/// The age is less than at the last entry then, and the newest window ahead of it.
#[test]
fn a_clock_set_back_at_the_beginning_of_a_window_leaves_a_memory_that_is_restored() {
    let mut life = opened_after(0);
    let early = rollback("k-1", 9, life.now);
    life.ask(&early);
    while life.ledger.age.window() == 0 {
        life.now.0 += 10_000;
        let id = format!("k-{}", life.now.0);
        let renewed = rollback(&id, 9, life.now);
        life.ask(&renewed);
    }
    life.now.0 -= 3_600_000;
    set_status(&mut life, AccountStatus::Suspended);
    assert_eq!(life.ledger.age.window(), 0);
    for hours in [1, 24, 72] {
        let restored = restore(entries(&life.ledger), settings(hours)).unwrap();
        assert!(entries(&restored).len() <= entries(&life.ledger).len());
        if hours == 24 {
            assert_eq!(entries(&restored), entries(&life.ledger));
        }
    }
}

#[test]
fn a_longer_memory_takes_a_bet_under_a_forgotten_id_for_a_new_one() {
    let mut life = opened_after(0);
    let first = bet(9, life.now);
    life.ask(&first);
    let back = rollback("k-1", 9, life.now);
    life.ask(&back);
    pass(&mut life, 60);
    let again = bet(9, life.now);
    life.ask(&again);
    let mut longer = Ledger::new(settings(10_000));
    for (lsn, posting) in &life.postings {
        longer.try_apply(*lsn, posting).unwrap();
    }
    // The new bet can be rolled back, once.
    let rollback = rollback("k-2", 9, life.now);
    let outcome = |ledger: &Ledger| match ledger.decide(&rollback, life.now) {
        Decision::Post(_, outcome) | Decision::Answer { outcome, .. } => outcome,
    };
    assert!(matches!(outcome(&life.ledger), Outcome::Accepted(_)));
    assert_eq!(outcome(&longer), outcome(&life.ledger));
}
