//! What an operator restricts: limits, and whether an account may bet at all (operator.md
//! section 4). Either is a posting only if something changes.

use super::subject::Verdict;
use super::{AccountFacts, AccountStatus, Change, Decision, Facts, Ledger, LimitsChange, Outcome};
use crate::types::{AccountId, UnixMillis};

impl Ledger {
    pub(super) fn decide_limits(
        &self,
        id: &AccountId,
        change: &LimitsChange,
        now: UnixMillis,
    ) -> Decision {
        self.decide_restriction(id, now, |facts| {
            let limits = change.applied_to(facts.limits);
            let changes = limits != facts.limits;
            facts.limits = limits;
            changes.then_some(Change::LimitsSet { limits })
        })
    }

    pub(super) fn decide_status(
        &self,
        id: &AccountId,
        status: AccountStatus,
        now: UnixMillis,
    ) -> Decision {
        self.decide_restriction(id, now, |facts| {
            let changes = facts.status != status;
            facts.status = status;
            changes.then_some(Change::StatusSet { status })
        })
    }

    /// Changes the facts of an account, if there is something to change.
    fn decide_restriction(
        &self,
        id: &AccountId,
        now: UnixMillis,
        restrict: impl FnOnce(&mut AccountFacts) -> Option<Change>,
    ) -> Decision {
        self.judge(id, now, |subject| {
            let mut facts = self.facts_of(subject.account, now);
            let change = restrict(&mut facts);
            let facts = Facts::Account(Box::new(facts));
            Ok(match change {
                None => Verdict::Answer(Outcome::Repeated(facts)),
                Some(change) => {
                    let balance = subject.account.balance;
                    Verdict::Post(change, balance, Outcome::Accepted(facts))
                }
            })
        })
    }
}
