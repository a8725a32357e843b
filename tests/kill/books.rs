//! What the clients know, and so what the server must still know after a crash.
//!
//! The checks are exact. Money only comes in here, so for every account at any time
//!
//! `acknowledged <= balance <= sent`, a balance once shown never goes back, and what the
//! balance has beyond the acknowledged is the sum of some of the unanswered deposits.
//! When all of those were sent again and answered, it is the sum of all deposits.

use std::collections::BTreeMap;

/// A deposit that was sent at least once.
#[derive(Clone, Debug)]
struct Deposit {
    minor: i64,
    acknowledged: bool,
}

/// What is known of a session whose opening was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    Live,
    /// A logout was sent, and no answer came.
    InDoubt,
    LoggedOut,
}

/// What the clients know of one account. Amounts are minor units.
#[derive(Debug, Default)]
pub(crate) struct Book {
    deposits: Vec<Deposit>,
    acknowledged: i64,
    sent: i64,
    /// The highest balance that any answer showed.
    shown: i64,
    pub(crate) sessions: BTreeMap<String, Session>,
    /// Openings sent, answered or not.
    pub(crate) sessions_sent: usize,
}

/// What must be in an answer, taken before its request is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtLeast(i64);

impl Book {
    /// Notes a new deposit, before it is sent, and gives its number.
    pub(crate) fn begin(&mut self, minor: i64) -> usize {
        self.sent += minor;
        self.deposits.push(Deposit {
            minor,
            acknowledged: false,
        });
        self.deposits.len() - 1
    }

    pub(crate) fn minor(&self, number: usize) -> i64 {
        self.deposits[number].minor
    }

    /// The number of some deposit that was acknowledged.
    pub(crate) fn acknowledged_one(&self, random: u64) -> Option<usize> {
        let number = random as usize % self.deposits.len().max(1);
        let deposit = self.deposits.get(number)?;
        deposit.acknowledged.then_some(number)
    }

    /// What a balance asked for from now on shows at least.
    pub(crate) fn at_least(&self) -> AtLeast {
        AtLeast(self.shown.max(self.acknowledged))
    }

    /// What the answer to a deposit that is sent now shows at least: itself, too.
    pub(crate) fn at_least_with(&self, number: usize) -> AtLeast {
        let Deposit {
            minor,
            acknowledged,
        } = self.deposits[number];
        let own = if acknowledged { 0 } else { minor };
        AtLeast(self.shown.max(self.acknowledged + own))
    }

    /// Checks a balance that an answer showed.
    pub(crate) fn saw(&mut self, at_least: AtLeast, balance: i64) {
        assert!(balance >= at_least.0, "{balance} after {at_least:?}");
        assert!(balance <= self.sent, "{balance} of {} sent", self.sent);
        self.shown = self.shown.max(balance);
    }

    /// Notes that a deposit was answered as booked; true the first time.
    pub(crate) fn acknowledge(&mut self, number: usize) -> bool {
        let deposit = &mut self.deposits[number];
        let first = !deposit.acknowledged;
        if first {
            deposit.acknowledged = true;
            self.acknowledged += deposit.minor;
        }
        first
    }

    /// Checks the balance that a server shows which nobody else has talked to.
    pub(crate) fn check_recovered(&mut self, balance: i64) {
        let at_least = self.at_least();
        self.saw(at_least, balance);
        let beyond = balance - self.acknowledged;
        let unanswered = self.deposits.iter().filter(|d| !d.acknowledged);
        assert!(
            is_sum_of_some(unanswered.map(|deposit| deposit.minor), beyond),
            "{beyond} beyond the {} acknowledged is no sum of unanswered deposits",
            self.acknowledged
        );
    }

    /// Checks the balance after everything was answered.
    pub(crate) fn check_settled(&mut self, balance: i64) {
        assert!(self.deposits.iter().all(|deposit| deposit.acknowledged));
        assert_eq!(self.acknowledged, self.sent);
        assert_eq!(balance, self.acknowledged, "all of {}", self.deposits.len());
        self.shown = balance;
    }
}

/// Whether some of the amounts, each used once, make up `sum`: a bit for every sum up to
/// it that can be had, moved up by one amount after the other.
fn is_sum_of_some(amounts: impl Iterator<Item = i64>, sum: i64) -> bool {
    let sum = sum as usize;
    let mut can_be_had = vec![0_u64; sum / 64 + 1];
    can_be_had[0] = 1;
    for amount in amounts {
        let (words, bits) = (amount as usize / 64, amount as usize % 64);
        // From the top, so that no amount is used twice.
        for to in (words..can_be_had.len()).rev() {
            let from = to - words;
            let mut moved = can_be_had[from] << bits;
            if bits > 0 && from > 0 {
                moved |= can_be_had[from - 1] >> (64 - bits);
            }
            can_be_had[to] |= moved;
        }
    }
    can_be_had[sum / 64] >> (sum % 64) & 1 == 1
}

/// The checker must catch what it is there for.
#[cfg(test)]
mod canaries {
    use super::*;

    /// 1 and 2 acknowledged, 10 and 20 unanswered.
    fn book() -> Book {
        let mut book = Book::default();
        for (minor, acknowledged) in [(1, true), (2, true), (10, false), (20, false)] {
            let number = book.begin(minor);
            if acknowledged {
                assert!(book.acknowledge(number));
                assert!(!book.acknowledge(number));
            }
        }
        book
    }

    fn is_caught(check: impl FnOnce(&mut Book) + std::panic::UnwindSafe) -> bool {
        std::panic::catch_unwind(|| check(&mut book())).is_err()
    }

    #[test]
    fn some_of_the_unanswered_may_be_there_and_nothing_else() {
        for balance in 0..=40 {
            let fine = [3, 13, 23, 33].contains(&balance);
            assert_eq!(
                !is_caught(|b| b.check_recovered(balance)),
                fine,
                "{balance}"
            );
        }
    }

    #[test]
    fn sums_of_some_are_those_of_all_subsets() {
        let amounts = [1, 63, 64, 65, 130, 130, 1_000];
        let subset = |bits: usize| -> i64 {
            let chosen = (0..amounts.len()).filter(|at| bits >> at & 1 == 1);
            chosen.map(|at| amounts[at]).sum()
        };
        let sums: Vec<i64> = (0..1 << amounts.len()).map(subset).collect();
        for sum in 0..=2_000 {
            let found = is_sum_of_some(amounts.into_iter(), sum);
            assert_eq!(found, sums.contains(&sum), "{sum}");
        }
    }

    #[test]
    fn a_balance_that_goes_back_is_caught() {
        assert!(is_caught(|b| {
            b.check_recovered(13);
            b.check_recovered(3);
        }));
    }

    #[test]
    fn settled_is_the_sum_of_all() {
        let settle = |balance| {
            is_caught(move |b| {
                b.acknowledge(2);
                b.acknowledge(3);
                b.check_settled(balance);
            })
        };
        assert!(!settle(33));
        assert!(settle(32) && settle(34));
        assert!(is_caught(|b| b.check_settled(33)), "not all answered");
    }

    #[test]
    fn an_answer_to_a_deposit_shows_it() {
        assert!(is_caught(|b| {
            let at_least = b.at_least_with(2);
            b.saw(at_least, 3);
        }));
        assert!(!is_caught(|b| {
            let at_least = b.at_least_with(2);
            b.saw(at_least, 13);
        }));
    }
}
