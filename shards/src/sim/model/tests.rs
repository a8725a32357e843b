//! What protocol.md says in so many words, told to the model.

use std::time::Duration;

use super::account::Purse;
use super::expected::{Posts, Told};
use super::*;
use crate::ledger::{
    AccountStatus, AwardWinnings, EndRound, FundsOrder, LimitsChange, PlaceBet, RollBackBet,
    RoundBooking, StatedAmount, StatedSession, VoidBet,
};
use crate::types::{
    Amount, Balance, CountryCode, GameId, GameRoundId, Lsn, SessionKey, Slot, TransactionId,
};

const NOW: UnixMillis = UnixMillis(1_795_000_000_000);
const HOUR_MS: i64 = 3_600_000;

fn account() -> AccountId {
    AccountId::parse("acme/p1").unwrap()
}

fn key() -> SessionKey {
    SessionKey::mint(Slot::from_low_bits(1), 7)
}

fn transaction(id: &str) -> TransactionId {
    TransactionId::parse(id).unwrap()
}

/// An account with funds and a session.
fn import(cash: i64, bonus: i64) -> Command {
    let minor = |minor| Amount::from_minor(minor).unwrap();
    Command::ImportAccount {
        account: account(),
        currency: Currency::parse("GBP").unwrap(),
        country: CountryCode::parse("GB").unwrap(),
        balance: Balance {
            cash: minor(cash),
            bonus: minor(bonus),
        },
        session: Some(key()),
    }
}

fn round(id: &str, round: &str, minor: i64) -> RoundBooking {
    RoundBooking {
        account: account(),
        transaction: transaction(id),
        round: GameRoundId::parse(round).unwrap(),
        game: GameId::parse("g").unwrap(),
        game_known: true,
        stated_at: NOW,
        currency: Currency::parse("GBP"),
        amount: StatedAmount::Exact(Amount::from_minor(minor).unwrap()),
        session: StatedSession::Own(key()),
        end_round: false,
        free_game_offer: None,
    }
}

fn bet_of(round: RoundBooking, free_play: bool) -> Command {
    Command::PlaceBet(Box::new(PlaceBet {
        round,
        start_round: true,
        free_play,
        funds_order: FundsOrder::CashFirst,
        jackpot_contribution: None,
    }))
}

fn bet(id: &str, minor: i64) -> Command {
    bet_of(round(id, "r", minor), false)
}

fn award_in(name: &str, id: &str, minor: i64) -> Command {
    Command::AwardWinnings(Box::new(AwardWinnings {
        round: round(id, name, minor),
        start_round: false,
        jackpot_winnings: None,
    }))
}

fn award(id: &str, minor: i64) -> Command {
    award_in("r", id, minor)
}

fn rollback(id: &str, bet: &str, minor: i64) -> Command {
    Command::RollBackBet(Box::new(RollBackBet {
        round: round(id, "r", minor),
        bet: transaction(bet),
        jackpot_contribution: None,
    }))
}

fn void(id: &str, minor: i64) -> Command {
    Command::VoidBet(Box::new(VoidBet {
        round: round(id, "r", minor),
        jackpot_contribution: None,
    }))
}

fn end() -> Command {
    Command::EndRound(Box::new(EndRound {
        account: account(),
        round: GameRoundId::parse("r").unwrap(),
        game: GameId::parse("another").unwrap(),
        currency: Currency::parse("GBP"),
        session: StatedSession::None,
        jackpot_contribution: None,
        jackpot_winnings: None,
    }))
}

fn deposit(id: &str, minor: i64) -> Command {
    Command::Deposit {
        account: account(),
        transaction: transaction(id),
        amount: Amount::from_minor(minor).unwrap(),
        currency: Currency::parse("GBP").unwrap(),
    }
}

fn limit_daily(minor: i64) -> Command {
    Command::SetLimits {
        account: account(),
        limits: LimitsChange {
            loss_daily: Some(Amount::from_minor(minor)),
            ..LimitsChange::default()
        },
    }
}

fn suspend() -> Command {
    Command::SetStatus {
        account: account(),
        status: AccountStatus::Suspended,
    }
}

fn words(told: &Told) -> String {
    let balance = |balance: Balance| format!("{:?}+{:?}", balance.cash, balance.bonus);
    let shown = |shown: &Shown| match shown {
        Shown::Funds(funds) => balance(funds.balance),
        Shown::Booked(booked) if booked.split == Balance::default() => {
            balance(booked.funds.balance)
        }
        Shown::Booked(booked) => format!(
            "{} split {}",
            balance(booked.funds.balance),
            balance(booked.split)
        ),
        Shown::Account(shown) => balance(shown.facts.funds.balance),
        other => format!("{other:?}"),
    };
    match told {
        Told::Accepted(facts) => format!("accepted {}", shown(facts)),
        Told::Repeated(facts) => format!("repeated {}", shown(facts)),
        Told::Done(facts) => format!("done {}", shown(facts)),
        Told::Refused { reasons, .. } => format!("{reasons:?}"),
    }
}

/// Each command is answered as the text behind it says, the first one as `import(..)` is.
/// The first of several right answers is the one that happens.
fn check_at(funds: (i64, i64), steps: &[(i64, Command, &str)]) {
    let mut model = Model::new(&LedgerSettings {
        idempotency_window: Duration::from_secs(72 * 3_600),
        digest_secret: [1, 2],
        clock_skew_max: Duration::from_secs(300),
    });
    let opening = (0, import(funds.0, funds.1), "accepted");
    for (number, (hours, command, expected)) in (1..).zip(std::iter::once(&opening).chain(steps)) {
        let now = UnixMillis(NOW.0 + hours * HOUR_MS);
        let possibles = model.possibles(command, now);
        let told: Vec<_> = possibles.iter().map(|p| words(&p.told)).collect();
        let told = told.join(" or ");
        assert!(
            told == *expected || number == 1,
            "step {number}: {told}, not {expected}"
        );
        let first = possibles.into_iter().next().unwrap();
        if first.posts != Posts::Never {
            model.pass_to(now);
            model.carry_out(first.effect, Lsn(number), now);
        }
        for book in model.books() {
            assert_eq!(book.total(), 0, "step {number}");
        }
    }
}

fn check(funds: (i64, i64), steps: &[(Command, &str)]) {
    let steps: Vec<_> = steps
        .iter()
        .map(|(command, expected)| (0, command.clone(), *expected))
        .collect();
    check_at(funds, &steps);
}

#[test]
fn a_repeat_is_answered_with_the_current_balance_and_its_own_split() {
    check(
        (100, 10),
        &[
            (bet("b", 105), "accepted 0+5 split 100+5"),
            (deposit("b", 7), "accepted 7+5"),
            (bet("b", 105), "repeated 7+5 split 100+5"),
            (bet("b", 104), "[TransactionIdReused]"),
            (rollback("b", "b", 105), "accepted 107+10"),
            (bet("b", 105), "repeated 107+10 split 100+5"),
            (rollback("other", "b", 105), "done 107+10"),
            (rollback("other", "b", 105), "repeated 107+10"),
        ],
    );
}

#[test]
fn a_rollback_before_its_bet_stays_refused_and_refuses_the_bet() {
    check(
        (100, 0),
        &[
            (rollback("r", "b", 10), "[BetNotFound]"),
            (rollback("r", "b", 10), "[BetNotFound]"),
            (rollback("r", "b", 11), "[TransactionIdReused]"),
            (bet("b", 10), "[RolledBackBefore]"),
            (bet("b", 10), "[RolledBackBefore]"),
            (rollback("r", "b", 10), "[BetNotFound]"),
            (bet("c", 10), "accepted 90+0 split 10+0"),
            (rollback("s", "c", 11), "[RollbackMismatch]"),
        ],
    );
}

#[test]
fn winnings_are_split_as_the_stakes_of_the_round_were() {
    check(
        (20, 10),
        &[
            (bet("b", 30), "accepted 0+0 split 20+10"),
            (award("a", 100), "accepted 67+33"),
            (award_in("other", "b", 100), "accepted 167+33"),
            (rollback("r", "b", 30), "accepted 187+43"),
            (award("c", 100), "accepted 287+43"),
            (void("v", 3), "accepted 290+43"),
        ],
    );
}

#[test]
fn what_overflows_is_booked_nowhere() {
    check(
        (i64::MAX, 0),
        &[
            (award("a", 1), "[BalanceOverflow]"),
            (
                bet("b", i64::MAX),
                "accepted 0+0 split 9223372036854775807+0",
            ),
            (award("a", 1), "accepted 1+0"),
            (rollback("r", "b", i64::MAX), "[BalanceOverflow]"),
        ],
    );
}

#[test]
fn only_bets_meet_limits_and_restrictions() {
    check(
        (100, 0),
        &[
            (limit_daily(10), "accepted 100+0"),
            (bet("a", 10), "accepted 90+0 split 10+0"),
            (bet("b", 1), "[LossLimit(Day)]"),
            (bet_of(round("f", "r", 50), true), "accepted 90+0"),
            (rollback("f", "f", 50), "accepted 90+0"),
            (award("w", 5), "accepted 95+0"),
            (bet("b", 6), "[LossLimit(Day)]"),
            (bet("b", 5), "accepted 90+0 split 5+0"),
            (suspend(), "accepted 90+0"),
            (bet("c", 0), "[AccountSuspended]"),
            (rollback("b", "b", 5), "accepted 95+0"),
            (void("v", 1), "accepted 96+0"),
        ],
    );
}

#[test]
fn rounds_are_opened_by_bets_and_awards_only() {
    check(
        (100, 0),
        &[
            (void("v", 1), "accepted 101+0"),
            (end(), "[RoundNotFound]"),
            (bet("b", 1), "accepted 100+0 split 1+0"),
            (end(), "accepted 100+0"),
            (end(), "done 100+0"),
            (award("a", 1), "accepted 101+0"),
            (end(), "accepted 101+0"),
        ],
    );
}

#[test]
fn beyond_the_window_an_id_may_be_known_or_not() {
    let fresh = |hours: i64| {
        let mut round = round("b", "r", 10);
        round.stated_at.0 += hours * HOUR_MS;
        bet_of(round, false)
    };
    check_at(
        (100, 0),
        &[
            (0, bet("b", 10), "accepted 90+0 split 10+0"),
            (0, deposit("d", 10), "accepted 100+0"),
            (72, bet("b", 10), "repeated 100+0 split 10+0"),
            (72, deposit("d", 10), "repeated 100+0"),
            (73, bet("b", 10), "[RequestTooOld]"),
            (
                73,
                fresh(73),
                "repeated 100+0 split 10+0 or accepted 90+0 split 10+0",
            ),
            (73, fresh(74), "[RequestInFuture]"),
            (73, deposit("d", 10), "repeated 100+0 or accepted 110+0"),
            (73, end(), "[RoundNotFound] or accepted 100+0"),
        ],
    );
}

#[test]
fn a_days_loss_is_over_when_the_day_is() {
    // 2026-11-18 at 11:06:40 UTC; the clock goes back over midnight at the end.
    let at = |hours: i64, id: &str| {
        let mut round = round(id, "r", 10);
        round.stated_at.0 += hours * HOUR_MS;
        (hours, bet_of(round, false))
    };
    let step = |(hours, command), expected| (hours, command, expected);
    check_at(
        (100, 0),
        &[
            (0, limit_daily(10), "accepted 100+0"),
            step(at(0, "a"), "accepted 90+0 split 10+0"),
            step(at(12, "b"), "[LossLimit(Day)]"),
            step(at(13, "b"), "accepted 80+0 split 10+0"),
            step(at(12, "c"), "accepted 70+0 split 10+0 or [LossLimit(Day)]"),
            step(at(13, "d"), "accepted 60+0 split 10+0 or [LossLimit(Day)]"),
            step(at(37, "e"), "accepted 50+0 split 10+0"),
        ],
    );
}

#[test]
fn a_purse_knows_what_it_can_hold() {
    let max = i128::from(i64::MAX);
    for (cash, fits) in [(0, true), (max, true), (max + 1, false), (-1, false)] {
        assert_eq!(Purse::cash(cash).balance().is_some(), fits, "{cash}");
    }
}
