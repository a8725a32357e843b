//! Deposits: the operator's money becomes the player's cash, once per transaction id.

use super::transactions::{Kind, Seen, TransactionKey};
use super::{Change, Decision, Facts, Funds, Ledger, Outcome, Posting, RefusalReason};
use crate::types::{AccountId, Amount, Balance, Currency, TransactionId, UnixMillis};

/// An amount and what it is in.
#[derive(Clone, Copy)]
pub(super) struct Money {
    pub(super) amount: Amount,
    pub(super) currency: Currency,
}

impl Ledger {
    pub(super) fn decide_deposit(
        &self,
        id: &AccountId,
        transaction: &TransactionId,
        Money { amount, currency }: Money,
        now: UnixMillis,
    ) -> Decision {
        let Some(at) = self.accounts.find(id) else {
            return Decision::refuse_unknown_account();
        };
        let account = self.accounts.get(at);
        let key = TransactionKey {
            account: id,
            kind: Kind::Deposit,
            transaction,
        };
        match self
            .transactions
            .seen(&key, self.transactions.contents(amount.minor()))
        {
            Seen::Never => {}
            Seen::Same => {
                return Decision::Answer {
                    outcome: Outcome::Repeated(Facts::Funds(account.funds())),
                    rests_on: account.last_lsn,
                };
            }
            Seen::Other => return Decision::refuse(RefusalReason::TransactionIdReused, account),
        }
        if currency != account.currency {
            return Decision::refuse(RefusalReason::CurrencyMismatch, account);
        }
        let Some(cash) = account.balance.cash.checked_add(amount) else {
            return Decision::refuse(RefusalReason::BalanceOverflow, account);
        };
        let balance = Balance {
            cash,
            bonus: account.balance.bonus,
        };
        Decision::Post(
            Posting {
                at: now,
                account: id.clone(),
                change: Change::Deposited {
                    transaction: transaction.clone(),
                    amount,
                },
                balance_after: balance,
            },
            Outcome::Accepted(Facts::Funds(Funds {
                currency: account.currency,
                balance,
            })),
        )
    }

    pub(super) fn apply_deposit(
        &mut self,
        account: &AccountId,
        transaction: &TransactionId,
        amount: Amount,
        at: UnixMillis,
    ) {
        let key = TransactionKey {
            account,
            kind: Kind::Deposit,
            transaction,
        };
        let contents = self.transactions.contents(amount.minor());
        self.transactions.remember(&key, contents, at);
    }
}
