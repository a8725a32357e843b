//! What the clients know, and so what the server must still know after a crash.
//!
//! The checks are exact. Every request has an effect that is booked once or never, and what
//! a client knows of it only grows. So after a crash
//!
//! `balance = the effects that were acknowledged + those of some of the unanswered`
//!
//! and no definitive answer to an id is ever followed by another one. Under load a balance
//! lies between what must have been booked when it was asked for and what may have been
//! when it came; in accounts that take no bets it never goes back. When everything was sent
//! again and answered, nothing is left to choice.
//!
//! A bet and its rollback are one: whatever became of the bet, once its rollback is
//! answered they move nothing together.

use std::collections::BTreeMap;

/// `ErrorCode` of what was booked, or was before.
pub(crate) const BOOKED: i64 = 0;

/// `ErrorCode` of a rollback whose bet is unknown, and of that bet when it comes late.
pub(crate) const NOT_FOUND: i64 = -8;

/// What a client does to an account's funds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Deposit,
    Award,
    Bet,
    /// Of the bet with that number.
    Rollback(usize),
}

/// Something that was sent at least once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) minor: i64,
    /// The definitive answer, if one came.
    pub(crate) code: Option<i64>,
    /// The number of the rollback of this bet.
    pub(crate) rollback: Option<usize>,
}

/// What is known of a session whose opening was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    Live,
    /// A logout was sent, and no answer came.
    InDoubt,
    LoggedOut,
}

/// Money into an account and out of it, in minor units, neither below zero.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    into: i64,
    out: i64,
}

/// What the clients know of one account. Amounts are minor units.
#[derive(Debug, Default)]
pub(crate) struct Book {
    requests: Vec<Request>,
    /// What was booked for certain.
    certain: Flow,
    /// What may have been: all that was sent and not refused.
    possible: Flow,
    /// The highest balance that any answer showed.
    shown: i64,
    pub(crate) sessions: BTreeMap<String, Session>,
    /// Openings sent, answered or not.
    pub(crate) sessions_sent: usize,
    /// The session that bets are made in; it is never logged out.
    pub(crate) betting_session: String,
}

/// What was certain, taken before a request is sent whose answer shows a balance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    certain: Flow,
    shown: i64,
    /// What the request itself adds, if its answer says that it is booked.
    own: Flow,
}

impl Before {
    /// Once the answer says that the request is booked.
    pub(crate) fn booked(mut self) -> Self {
        self.certain.into += self.own.into;
        self.certain.out += self.own.out;
        self
    }
}

impl Book {
    /// Notes a new request, before it is sent, and gives its number.
    pub(crate) fn begin(&mut self, kind: Kind, minor: i64) -> usize {
        let number = self.requests.len();
        if let Kind::Rollback(bet) = kind {
            self.requests[bet].rollback = Some(number);
        }
        *side(&mut self.possible, kind) += minor;
        self.requests.push(Request {
            kind,
            minor,
            code: None,
            rollback: None,
        });
        number
    }

    pub(crate) fn request(&self, number: usize) -> Request {
        self.requests[number]
    }

    /// Some request, if it has a definitive answer.
    pub(crate) fn answered_one(&self, random: u64) -> Option<usize> {
        let number = random as usize % self.requests.len().max(1);
        self.requests.get(number)?.code.map(|_| number)
    }

    /// What a balance that is asked for now must show.
    pub(crate) fn before(&self) -> Before {
        Before {
            certain: self.certain,
            shown: self.shown,
            own: Flow::default(),
        }
    }

    /// The same, for a request that is sent now.
    pub(crate) fn before_request(&self, number: usize) -> Before {
        let mut before = self.before();
        let Request {
            kind, minor, code, ..
        } = self.requests[number];
        if code.is_none() {
            *side(&mut before.own, kind) += minor;
        }
        if let Kind::Rollback(bet) = kind
            && self.requests[bet].code.is_none()
        {
            before.own.out += minor;
        }
        before
    }

    /// Checks a balance that an answer showed.
    pub(crate) fn saw(&mut self, before: Before, balance: i64) {
        let least = before.certain.into - self.possible.out;
        let most = self.possible.into - before.certain.out;
        assert!(balance >= 0, "{balance}");
        assert!(balance >= least, "{balance}, at least {least}: {before:?}");
        assert!(balance <= most, "{balance}, at most {most}: {before:?}");
        if self.possible.out == 0 {
            assert!(balance >= before.shown, "{balance} after {before:?}");
        }
        self.shown = self.shown.max(balance);
    }

    /// Notes a definitive answer to a request; true the first time. Any other answer than
    /// the one before is a violation.
    pub(crate) fn answer(&mut self, number: usize, code: i64) -> bool {
        let Request {
            kind, code: known, ..
        } = self.requests[number];
        let allowed: &[i64] = match kind {
            Kind::Deposit | Kind::Award => &[BOOKED],
            Kind::Bet | Kind::Rollback(_) => &[BOOKED, NOT_FOUND],
        };
        assert!(allowed.contains(&code), "{code} to {kind:?} {number}");
        if let Some(known) = known {
            assert_eq!(code, known, "{kind:?} {number} was answered before");
            return false;
        }
        self.settle(number, code);
        if let Kind::Rollback(bet) = kind {
            // It says what became of its bet as well.
            match self.requests[bet].code {
                None => self.settle(bet, code),
                known => assert_eq!(known, Some(code), "bet {bet}, rolled back by {number}"),
            }
        }
        true
    }

    fn settle(&mut self, number: usize, code: i64) {
        let request = &mut self.requests[number];
        request.code = Some(code);
        let (kind, minor) = (request.kind, request.minor);
        if code == BOOKED {
            *side(&mut self.certain, kind) += minor;
        } else {
            *side(&mut self.possible, kind) -= minor;
        }
    }

    /// Checks the balance that a server shows which nobody else has talked to.
    pub(crate) fn check_recovered(&mut self, balance: i64) {
        let before = self.before();
        self.saw(before, balance);
        // With everything that may have gone out gone, and nothing come in that may not have.
        let mut least = 0;
        let mut in_doubt = Vec::new();
        for request in &self.requests {
            match (request.kind, request.code) {
                (Kind::Deposit | Kind::Award, Some(_)) => least += request.minor,
                (Kind::Deposit | Kind::Award, None) => in_doubt.push(request.minor),
                // Judged with its bet.
                (Kind::Rollback(_), _) => {}
                (Kind::Bet, code) => {
                    let rollback = request.rollback.map(|number| self.requests[number].code);
                    match (code, rollback) {
                        (_, Some(Some(_))) | (Some(NOT_FOUND), _) => {}
                        (Some(_), None) => least -= request.minor,
                        (None, None) | (_, Some(None)) => {
                            least -= request.minor;
                            in_doubt.push(request.minor);
                        }
                    }
                }
            }
        }
        let beyond = balance - least;
        assert!(
            is_sum_of_some(&in_doubt, beyond),
            "{balance} is {beyond} beyond {least}, which is no sum of some of {in_doubt:?}"
        );
    }

    /// Checks the balance after everything was answered.
    pub(crate) fn check_settled(&mut self, balance: i64) {
        assert!(self.requests.iter().all(|request| request.code.is_some()));
        let expected = self.certain.into - self.certain.out;
        assert_eq!(balance, expected, "all of {}", self.requests.len());
        self.shown = balance;
    }
}

/// Where a request's money goes.
fn side(flow: &mut Flow, kind: Kind) -> &mut i64 {
    match kind {
        Kind::Deposit | Kind::Award | Kind::Rollback(_) => &mut flow.into,
        Kind::Bet => &mut flow.out,
    }
}

/// Whether some of the amounts, each used once, make up `sum`: a bit for every sum up to
/// it that can be had, moved up by one amount after the other.
fn is_sum_of_some(amounts: &[i64], sum: i64) -> bool {
    if sum < 0 || sum > amounts.iter().sum() {
        return false;
    }
    let sum = sum as usize;
    let mut can_be_had = vec![0_u64; sum / 64 + 1];
    can_be_had[0] = 1;
    for amount in amounts {
        let (words, bits) = (*amount as usize / 64, *amount as usize % 64);
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
            let number = book.begin(Kind::Deposit, minor);
            if acknowledged {
                assert!(book.answer(number, BOOKED));
                assert!(!book.answer(number, BOOKED));
            }
        }
        book
    }

    /// 1,000 acknowledged, and bets of 1 (booked), 10 (unanswered), 100 (booked, its
    /// rollback, number 4, unanswered).
    fn betting() -> Book {
        let mut book = Book::default();
        let number = book.begin(Kind::Deposit, 1_000);
        book.answer(number, BOOKED);
        for (minor, acknowledged) in [(1, true), (10, false), (100, true)] {
            let number = book.begin(Kind::Bet, minor);
            if acknowledged {
                book.answer(number, BOOKED);
            }
        }
        book.begin(Kind::Rollback(3), 100);
        book
    }

    fn is_caught(mut book: Book, check: impl FnOnce(&mut Book)) -> bool {
        let check = std::panic::AssertUnwindSafe(|| check(&mut book));
        std::panic::catch_unwind(check).is_err()
    }

    #[test]
    fn some_of_the_unanswered_may_be_there_and_nothing_else() {
        for balance in 0..=40 {
            let fine = [3, 13, 23, 33].contains(&balance);
            let caught = is_caught(book(), |b| b.check_recovered(balance));
            assert_eq!(!caught, fine, "{balance}");
        }
        for balance in 850..=1_050 {
            let fine = [889, 899, 989, 999].contains(&balance);
            let caught = is_caught(betting(), |b| b.check_recovered(balance));
            assert_eq!(!caught, fine, "{balance}");
        }
    }

    #[test]
    fn a_rollback_settles_its_bet() {
        for code in [BOOKED, NOT_FOUND] {
            let mut book = betting();
            let rollback = book.begin(Kind::Rollback(2), 10);
            assert!(book.answer(rollback, code));
            // The bet's answer is known from it, and the two move nothing.
            assert_eq!(book.request(2).code, Some(code));
            assert!(!book.answer(2, code));
            assert!(book.answer(4, BOOKED));
            book.check_recovered(999);
            book.check_settled(999);
            let other = BOOKED + NOT_FOUND - code;
            assert!(is_caught(book, |b| {
                b.answer(2, other);
            }));
        }
    }

    #[test]
    fn answers_that_disagree_are_caught() {
        // A bet that was booked has no rollback that finds none.
        assert!(is_caught(betting(), |b| {
            b.answer(4, NOT_FOUND);
        }));
        assert!(is_caught(betting(), |b| {
            b.answer(1, NOT_FOUND);
        }));
        assert!(is_caught(betting(), |b| {
            b.answer(0, NOT_FOUND);
        }));
        assert!(is_caught(betting(), |b| {
            b.answer(2, -2);
        }));
    }

    #[test]
    fn sums_of_some_are_those_of_all_subsets() {
        let amounts = [1, 63, 64, 65, 130, 130, 1_000];
        let subset = |bits: usize| -> i64 {
            let chosen = (0..amounts.len()).filter(|at| bits >> at & 1 == 1);
            chosen.map(|at| amounts[at]).sum()
        };
        let sums: Vec<i64> = (0..1 << amounts.len()).map(subset).collect();
        for sum in -1..=2_000 {
            let found = is_sum_of_some(&amounts, sum);
            assert_eq!(found, sums.contains(&sum), "{sum}");
        }
    }

    #[test]
    fn a_balance_that_goes_back_without_bets_is_caught() {
        assert!(is_caught(book(), |b| {
            b.check_recovered(13);
            b.check_recovered(3);
        }));
        assert!(!is_caught(betting(), |b| {
            b.check_recovered(999);
            b.check_recovered(889);
        }));
    }

    #[test]
    fn settled_is_the_sum_of_all() {
        let settle = |balance| {
            is_caught(book(), |b| {
                b.answer(2, BOOKED);
                b.answer(3, BOOKED);
                b.check_settled(balance);
            })
        };
        assert!(!settle(33));
        assert!(settle(32) && settle(34));
        assert!(
            is_caught(book(), |b| b.check_settled(33)),
            "not all answered"
        );
    }

    #[test]
    fn an_answer_shows_its_own_effect() {
        for (balance, fine) in [(3, false), (13, true), (23, false), (33, true)] {
            let caught = is_caught(book(), |b| {
                b.answer(2, BOOKED);
                b.check_recovered(balance);
            });
            assert_eq!(!caught, fine, "{balance}");
        }
        for (balance, fine) in [(888, false), (889, true), (989, true), (999, false)] {
            let caught = is_caught(betting(), |b| {
                let before = b.before_request(2).booked();
                b.saw(before, balance);
            });
            assert_eq!(!caught, fine, "{balance}");
        }
        // Under load: at least and at most, whatever else is on its way.
        for (balance, fine) in [(888, false), (889, true), (999, true), (1_000, false)] {
            let caught = is_caught(betting(), |b| {
                let before = b.before();
                b.saw(before, balance);
            });
            assert_eq!(!caught, fine, "{balance}");
        }
    }
}
