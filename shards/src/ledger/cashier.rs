//! The cashier: the operator's money comes to the player, goes, or is given as a bonus,
//! once per transaction id and kind (operator.md section 4).
//!
//! An operator has no clock to state and no session, so the checks are few: the account,
//! a repeat, whether the domain has bonus funds, the currency, the funds.

use super::digest::Kind;
use super::subject::{Subject, Verdict};
use super::{Cashed, Change, Decision, Facts, Ledger, Outcome, RefusalReason};
use crate::types::{AccountId, Amount, Balance, Currency, TransactionId, UnixMillis};

/// What an operator asks for.
#[derive(Clone, Copy)]
pub(super) struct CashierRequest<'a> {
    pub(super) kind: CashierKind,
    /// The domain does such a thing.
    pub(super) is_offered: bool,
    pub(super) account: &'a AccountId,
    pub(super) transaction: &'a TransactionId,
    pub(super) amount: Amount,
    pub(super) currency: Currency,
}

/// Which way the money goes.
#[derive(Clone, Copy)]
pub(super) enum CashierKind {
    Deposit,
    Withdrawal,
    Bonus,
}

impl CashierKind {
    fn of_transaction(self) -> Kind {
        match self {
            Self::Deposit => Kind::Deposit,
            Self::Withdrawal => Kind::Withdrawal,
            Self::Bonus => Kind::Bonus,
        }
    }
}

impl Ledger {
    pub(super) fn decide_cashier(&self, request: CashierRequest<'_>, now: UnixMillis) -> Decision {
        self.judge(request.account, now, |subject| {
            self.judge_cashier(subject, request)
        })
    }

    fn judge_cashier(
        &self,
        subject: &mut Subject<'_>,
        request: CashierRequest<'_>,
    ) -> Result<Verdict, RefusalReason> {
        let CashierRequest {
            kind,
            is_offered,
            transaction,
            amount,
            currency,
            ..
        } = request;
        let contents = self.digester.contents_of_amount(amount);
        let repeat = self.seen(subject, kind.of_transaction(), transaction, Some(contents))?;
        if repeat.is_some() {
            let facts = Facts::Funds(subject.account.funds());
            return Ok(Verdict::Answer(Outcome::Repeated(facts)));
        }
        // Bonuses are the one thing that a domain may not have.
        if !is_offered {
            return Err(RefusalReason::NoBonusFunds);
        }
        subject.check_currency(Some(currency))?;
        let Balance { cash, bonus } = subject.account.balance;
        let overflow = RefusalReason::BalanceOverflow;
        let cashed = Cashed {
            transaction: transaction.clone(),
            amount,
            previous_booking: subject.account.last_booking,
        };
        let (change, cash, bonus) = match kind {
            CashierKind::Deposit => {
                let cash = cash.checked_add(amount).ok_or(overflow)?;
                (Change::Deposited(cashed), cash, bonus)
            }
            CashierKind::Withdrawal => {
                let cash = cash
                    .checked_sub(amount)
                    .ok_or(RefusalReason::InsufficientFunds)?;
                (Change::Withdrawn(cashed), cash, bonus)
            }
            CashierKind::Bonus => {
                let bonus = bonus.checked_add(amount).ok_or(overflow)?;
                (Change::BonusGranted(cashed), cash, bonus)
            }
        };
        let balance = Balance { cash, bonus };
        let facts = Facts::Funds(subject.funds_after(balance));
        Ok(Verdict::Post(change, balance, Outcome::Accepted(facts)))
    }

    pub(super) fn apply_cashed(&mut self, account: &AccountId, kind: CashierKind, cashed: &Cashed) {
        let contents = self.digester.contents_of_amount(cashed.amount);
        self.remember(
            account,
            kind.of_transaction(),
            &cashed.transaction,
            contents,
        );
    }
}
