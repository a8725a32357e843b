//! Whether a posting from the disk fits the ledger it is to be applied to.
//!
//! [`Ledger::apply`] takes it for granted that a posting was decided on this very
//! ledger. Bytes from a disk get an answer instead of a panic, so that recovery can
//! refuse them with the file and the place (reliability.md).

use super::digest::Kind;
use super::{Change, Ledger, PlayerFunds, Posting};
use crate::types::{Amount, Balance, Lsn};

/// A posting that cannot have been decided on this ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It opens an account that is there.
    #[error("it opens an account that exists")]
    AccountExists,
    /// It changes an account that is not there.
    #[error("its account does not exist")]
    NoSuchAccount,
    /// It follows another booking of its account than the last one.
    #[error("it follows the booking at {stated}, and the account's last is at {computed}")]
    PreviousBooking {
        /// What the posting says.
        stated: Lsn,
        /// What follows from the postings before.
        computed: Lsn,
    },
    /// The balance before and the money it moves do not give its balance after.
    #[error("its balance after is {stated:?} and the postings before it give {computed:?}")]
    Balance {
        /// What the posting says.
        stated: Balance,
        /// What follows from the postings before; `None` when that is no balance.
        computed: Option<Balance>,
    },
}

impl Ledger {
    /// [`Ledger::apply`] for a posting that was read from a disk.
    ///
    /// # Errors
    /// [`Misfit`] says why the posting is not applied.
    pub fn try_apply(&mut self, lsn: Lsn, posting: &Posting) -> Result<(), Misfit> {
        self.check(posting)?;
        // A bet is not taken while its rollback is remembered. Where this memory is longer
        // than that of the ledger that took it, the rollback was of an earlier bet.
        if let Change::BetPlaced(bet) = &posting.change {
            let reversal =
                self.digester
                    .transaction(&posting.account, Kind::Reversal, &bet.facts.transaction);
            self.transactions.forget(reversal);
        }
        self.apply(lsn, posting);
        Ok(())
    }

    fn check(&self, posting: &Posting) -> Result<(), Misfit> {
        let known = self.accounts.find(&posting.account);
        let (before, last_booking) = match (&posting.change, known) {
            (Change::AccountOpened { .. }, Some(_)) => return Err(Misfit::AccountExists),
            (Change::AccountOpened { .. }, None) => (Balance::default(), Lsn::NONE),
            (_, None) => return Err(Misfit::NoSuchAccount),
            (_, Some(at)) => {
                let account = self.accounts.get(at);
                (account.balance, account.last_booking)
            }
        };
        if let Some(stated) = posting.change.previous_booking()
            && stated != last_booking
        {
            return Err(Misfit::PreviousBooking {
                stated,
                computed: last_booking,
            });
        }
        let computed = after(before, &posting.change);
        if computed == Some(posting.balance_after) {
            return Ok(());
        }
        Err(Misfit::Balance {
            stated: posting.balance_after,
            computed,
        })
    }
}

/// The balance behind all movements of a change; `None` when one of them leaves none.
fn after(before: Balance, change: &Change) -> Option<Balance> {
    change
        .movements()
        .try_fold(before, |mut balance, movement| {
            let funds = match movement.player {
                PlayerFunds::Cash => &mut balance.cash,
                PlayerFunds::Bonus => &mut balance.bonus,
            };
            *funds = funds
                .minor()
                .checked_add(movement.minor)
                .and_then(Amount::from_minor)?;
            Some(balance)
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::{Cashed, LedgerSettings};
    use crate::types::{AccountId, CountryCode, Currency, TransactionId, UnixMillis};

    fn posting(change: Change, cash_after: i64) -> Posting {
        Posting {
            at: UnixMillis(0),
            account: AccountId::parse("acme/p1").unwrap(),
            change,
            balance_after: Balance {
                cash: Amount::from_minor(cash_after).unwrap(),
                bonus: Amount::ZERO,
            },
        }
    }

    fn open() -> Posting {
        let change = Change::AccountOpened {
            currency: Currency::parse("GBP").unwrap(),
            country: CountryCode::parse("GB").unwrap(),
            balance: Balance::default(),
            session: None,
        };
        posting(change, 0)
    }

    fn deposit(minor: i64, cash_after: i64, previous_booking: u64) -> Posting {
        let change = Change::Deposited(Cashed {
            transaction: TransactionId::parse("d").unwrap(),
            amount: Amount::from_minor(minor).unwrap(),
            previous_booking: Lsn(previous_booking),
        });
        posting(change, cash_after)
    }

    #[test]
    fn only_postings_that_follow_from_those_before_are_applied() {
        let mut ledger = Ledger::new(LedgerSettings {
            idempotency_window: Duration::from_secs(3_600),
            digest_secret: [1, 2],
            clock_skew_max: Duration::from_secs(300),
        });
        let steps = [
            (deposit(5, 5, 0), "its account does not exist"),
            (open(), "applied"),
            (open(), "it opens an account that exists"),
            (
                deposit(5, 6, 0),
                "its balance after is Balance { cash: 6, bonus: 0 } and the postings before it \
                 give Some(Balance { cash: 5, bonus: 0 })",
            ),
            (
                deposit(5, 5, 1),
                "it follows the booking at 1, and the account's last is at 0",
            ),
            (deposit(5, 5, 0), "applied"),
            (
                deposit(5, 10, 0),
                "it follows the booking at 0, and the account's last is at 6",
            ),
            (
                deposit(i64::MAX, 5, 6),
                "its balance after is Balance { cash: 5, bonus: 0 } and the postings before it \
                 give None",
            ),
        ];
        for (lsn, (posting, expected)) in (1..).zip(steps) {
            let told = match ledger.try_apply(Lsn(lsn), &posting) {
                Ok(()) => "applied".to_owned(),
                Err(misfit) => misfit.to_string(),
            };
            assert_eq!(told, expected);
        }
    }
}
