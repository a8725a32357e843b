//! The player's answers to alerts (`alertwalletcallbacknotification`, protocol.md section
//! 1): recorded with all that they say, and nothing is booked. They have no id, so each one
//! that comes is recorded.

use super::{AlertFacts, AnswerAlert, Change, Decision, Facts, Ledger, Outcome};
use crate::ledger::subject::Verdict;
use crate::types::UnixMillis;

impl Ledger {
    pub(super) fn decide_alert(&self, alert: &AnswerAlert, now: UnixMillis) -> Decision {
        self.judge(&alert.account, now, |subject| {
            let facts = Facts::Funds(subject.account.funds());
            let change = Change::AlertAnswered(Box::new(AlertFacts {
                source: alert.source.clone(),
                action_id: alert.action_id.clone(),
                action_reference: alert.action_reference.clone(),
                reference: alert.reference.clone(),
                regulator_code: alert.regulator_code.clone(),
                kind: alert.kind.clone(),
                method: alert.method.clone(),
                data: alert.data.clone(),
            }));
            let balance = subject.account.balance;
            Ok(Verdict::Post(change, balance, Outcome::Accepted(facts)))
        })
    }
}
