//! Rounds: what was staked in them, and how that splits winnings (protocol.md section 7).
//!
//! A round that nobody touched for the idempotency window may be forgotten, and nothing
//! tells at once whether it is. So a round is a list of the ways it may stand with the
//! wallet, and answers strike out those that they contradict.

use super::account::Purse;

/// One way in which a round may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// The wallet knows the round.
    pub(super) known: bool,
    pub(super) open: bool,
    /// Taken for its bets, those that were rolled back left out.
    pub(super) stakes: Purse,
}

impl Standing {
    pub(super) const UNKNOWN: Self = Self {
        known: false,
        open: false,
        stakes: Purse { cash: 0, bonus: 0 },
    };

    /// After a bet or an award: both open a round, a closed one too, unless they close it.
    pub(super) fn played(self, stake: Purse, end_round: bool) -> Self {
        Self {
            known: true,
            open: !end_round,
            stakes: self.stakes.plus(stake),
        }
    }

    /// After a rollback or a void, which open nothing.
    pub(super) fn touched(self, end_round: bool) -> Self {
        Self {
            open: self.open && !end_round,
            ..self
        }
    }

    /// Without a bet that was rolled back. A round that was forgotten since its bet does
    /// not hold that stake; what is to be taken from it then, nobody promised.
    pub(super) fn without(self, stake: Purse) -> Vec<Self> {
        let left = self.stakes.plus(stake.negated());
        if left.cash >= 0 && left.bonus >= 0 {
            return vec![Self {
                stakes: left,
                ..self
            }];
        }
        let floored = Purse {
            cash: left.cash.max(0),
            bonus: left.bonus.max(0),
        };
        vec![
            self,
            Self {
                stakes: floored,
                ..self
            },
        ]
    }
}

#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) standings: Vec<Standing>,
    /// It is remembered for the window from this age of the wallet.
    pub(super) touched_at_age: i64,
}

/// Winnings in the proportion of the stakes, rounded down to the bonus side.
pub(super) fn split(winnings: i128, stakes: Purse) -> Purse {
    let bonus = match stakes.total() {
        0 => 0,
        total => share(winnings, stakes.bonus, total),
    };
    Purse {
        cash: winnings - bonus,
        bonus,
    }
}

/// `amount × part ÷ whole`, rounded down, for a part of the whole: digit by binary digit,
/// so that no product is too large.
fn share(amount: i128, part: i128, whole: i128) -> i128 {
    let (mut quotient, mut rest) = (0, 0);
    for bit in (0..64).rev() {
        quotient *= 2;
        rest *= 2;
        if (amount >> bit) & 1 == 1 {
            rest += part;
        }
        quotient += rest / whole;
        rest %= whole;
    }
    quotient
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn winnings_follow_the_stakes_and_the_rest_is_cash() {
        let max = i128::from(i64::MAX);
        for (winnings, cash, bonus, expected) in [
            (100, 0, 0, (100, 0)),
            (100, 30, 70, (30, 70)),
            (10, 2, 1, (7, 3)),
            (11, 2, 1, (8, 3)),
            (1, 1, 99, (1, 0)),
            (0, 5, 5, (0, 0)),
            (99, 0, 3, (0, 99)),
            (max, max * 9, max * 9, (max / 2 + 1, max / 2)),
        ] {
            let split = split(winnings, Purse { cash, bonus });
            assert_eq!(
                (split.cash, split.bonus),
                expected,
                "{winnings} on {cash} cash and {bonus} bonus"
            );
        }
    }
}
