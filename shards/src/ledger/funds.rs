//! How an amount is split between cash and bonus funds (protocol.md section 7).

use super::FundsOrder;
use crate::types::{Amount, Balance};

/// How a stake is taken from a balance; `None` when the funds do not suffice.
pub(super) fn take(stake: Amount, balance: Balance, order: FundsOrder) -> Option<Balance> {
    let Balance { cash, bonus } = balance;
    let none = Amount::ZERO;
    match order {
        FundsOrder::CashFirst => {
            let first = stake.min(cash);
            let rest = stake.checked_sub(first)?;
            (rest <= bonus).then_some(Balance {
                cash: first,
                bonus: rest,
            })
        }
        FundsOrder::BonusFirst => {
            let first = stake.min(bonus);
            let rest = stake.checked_sub(first)?;
            (rest <= cash).then_some(Balance {
                cash: rest,
                bonus: first,
            })
        }
        FundsOrder::CashOnly => (stake <= cash).then_some(Balance {
            cash: stake,
            bonus: none,
        }),
    }
}

/// How winnings are split: in the proportion of the round's stakes, rounded down to the
/// bonus side. Without stakes they are cash.
pub(super) fn share(winnings: Amount, stakes: Balance) -> Balance {
    let wide = |amount: Amount| i128::from(amount.minor());
    let staked = wide(stakes.cash) + wide(stakes.bonus);
    let all_cash = Balance {
        cash: winnings,
        bonus: Amount::ZERO,
    };
    if staked == 0 {
        return all_cash;
    }
    // At most 2^126, and the quotient is at most the winnings.
    let bonus = wide(winnings) * wide(stakes.bonus) / staked;
    i64::try_from(bonus)
        .ok()
        .and_then(Amount::from_minor)
        .and_then(|bonus| {
            Some(Balance {
                cash: winnings.checked_sub(bonus)?,
                bonus,
            })
        })
        .unwrap_or(all_cash)
}

/// Both parts of a balance and of what comes to it; `None` when one overflows.
pub(super) fn add(balance: Balance, more: Balance) -> Option<Balance> {
    Some(Balance {
        cash: balance.cash.checked_add(more.cash)?,
        bonus: balance.bonus.checked_add(more.bonus)?,
    })
}

/// Both parts of a balance without what goes from it; `None` when one does not suffice.
pub(super) fn subtract(balance: Balance, less: Balance) -> Option<Balance> {
    Some(Balance {
        cash: balance.cash.checked_sub(less.cash)?,
        bonus: balance.bonus.checked_sub(less.bonus)?,
    })
}

/// An amount of cash.
pub(super) fn cash(amount: Amount) -> Balance {
    Balance {
        cash: amount,
        bonus: Amount::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use FundsOrder::{BonusFirst, CashFirst, CashOnly};

    use super::*;

    const MAX: i64 = i64::MAX;

    fn amount(minor: i64) -> Amount {
        Amount::from_minor(minor).unwrap()
    }

    fn balance((cash, bonus): (i64, i64)) -> Balance {
        Balance {
            cash: amount(cash),
            bonus: amount(bonus),
        }
    }

    #[test]
    fn a_stake_is_taken_in_the_domain_s_order_and_split_where_one_side_runs_dry() {
        for (stake, has, order, expected) in [
            (0, (0, 0), CashFirst, Some((0, 0))),
            (10, (10, 5), CashFirst, Some((10, 0))),
            (12, (10, 5), CashFirst, Some((10, 2))),
            (15, (10, 5), CashFirst, Some((10, 5))),
            (16, (10, 5), CashFirst, None),
            (0, (0, 0), BonusFirst, Some((0, 0))),
            (5, (10, 5), BonusFirst, Some((0, 5))),
            (12, (10, 5), BonusFirst, Some((7, 5))),
            (15, (10, 5), BonusFirst, Some((10, 5))),
            (16, (10, 5), BonusFirst, None),
            (0, (0, 0), CashOnly, Some((0, 0))),
            (10, (10, 5), CashOnly, Some((10, 0))),
            (11, (10, 5), CashOnly, None),
            (MAX, (MAX, MAX), CashFirst, Some((MAX, 0))),
            (MAX, (1, MAX), CashFirst, Some((1, MAX - 1))),
        ] {
            let taken = take(amount(stake), balance(has), order);
            assert_eq!(taken, expected.map(balance), "{stake} of {has:?} {order:?}");
        }
    }

    #[test]
    fn winnings_follow_the_stakes_and_are_rounded_down_to_the_bonus_side() {
        for (winnings, stakes, expected) in [
            (10, (0, 0), (10, 0)),
            (10, (5, 0), (10, 0)),
            (10, (0, 5), (0, 10)),
            (10, (5, 5), (5, 5)),
            (11, (5, 5), (6, 5)),
            (10, (2, 1), (7, 3)),
            (1, (1, 99), (1, 0)),
            (0, (1, 99), (0, 0)),
            (MAX, (0, MAX), (0, MAX)),
            (MAX, (MAX, MAX), (MAX - MAX / 2, MAX / 2)),
        ] {
            let paid = share(amount(winnings), balance(stakes));
            assert_eq!(paid, balance(expected), "{winnings} for {stakes:?}");
        }
    }
}
