//! Credits outside any round (`accounttransaction/credit`, protocol.md sections 4, 7 and
//! 8): to cash, against the operator's adjustments. They are no part of the net loss.

use super::digest::Kind;
use super::subject::{Subject, Verdict};
use super::{Change, Credit, Credited, Decision, Ledger, RefusalReason, funds};
use crate::types::{AccountId, Balance, UnixMillis};

impl Ledger {
    pub(super) fn decide_credit(&self, credit: &Credit, now: UnixMillis) -> Decision {
        self.judge(&credit.account, now, |subject| {
            self.judge_credit(subject, credit, now)
        })
    }

    fn judge_credit(
        &self,
        subject: &mut Subject<'_>,
        credit: &Credit,
        now: UnixMillis,
    ) -> Result<Verdict, RefusalReason> {
        self.check_time(credit.stated_at, now)?;
        let contents = subject
            .exact(credit.currency, credit.amount)
            .map(|amount| self.digester.contents_of_amount(amount));
        let repeat = self.seen(subject, Kind::Credit, &credit.transaction, contents)?;
        if repeat.is_some() {
            let nothing = Balance::default();
            return Ok(Verdict::Answer(subject.booked_before(nothing)));
        }
        let amount = subject.check_money(credit.currency, credit.amount)?;
        let overflow = RefusalReason::BalanceOverflow;
        let amount = amount.ok_or(overflow)?;
        let balance = funds::add(subject.account.balance, funds::cash(amount)).ok_or(overflow)?;
        let change = Change::Credited(Box::new(Credited {
            transaction: credit.transaction.clone(),
            type_id: credit.type_id.clone(),
            amount,
            previous_booking: subject.account.last_booking,
        }));
        let outcome = subject.booked(balance, Balance::default());
        Ok(Verdict::Post(change, balance, outcome))
    }

    pub(super) fn apply_credit(&mut self, account: &AccountId, credit: &Credited) {
        let contents = self.digester.contents_of_amount(credit.amount);
        self.remember(account, Kind::Credit, &credit.transaction, contents);
    }
}
