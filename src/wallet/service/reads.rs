//! What books nothing: balance, and the player's answer to an alert.

use shards::Submit;
use shards::ledger::{self, Command, Facts};

use super::{Caller, WalletService};
use crate::wallet::failure::Failure;
use crate::wallet::request::{AnswerAlert, ReadBalance};
use crate::wallet::response;

impl<L: Submit> WalletService<L> {
    pub(super) async fn read_balance(
        &self,
        caller: &mut Caller<'_>,
        request: ReadBalance,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let domain = self.admit(caller, &request.account, &request.common)?;
        let account = request.account;
        match self.ask(caller, Command::ReadBalance { account }).await? {
            Facts::Funds(funds) => {
                response::write_balance(&funds, domain.funds_priority, out);
                Ok(())
            }
            facts => Err(Failure::unexpected(&facts)),
        }
    }

    pub(super) async fn answer_alert(
        &self,
        caller: &mut Caller<'_>,
        request: AnswerAlert,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        self.admit(caller, &request.account, &request.common)?;
        let command = Command::AnswerAlert(Box::new(ledger::AnswerAlert {
            account: request.account,
            source: request.source,
            action_id: request.action_id,
            action_reference: request.action_reference,
            reference: request.reference,
            regulator_code: request.regulator_code,
            kind: request.kind,
            method: request.method,
            data: request.data,
        }));
        match self.ask(caller, command).await? {
            Facts::Funds(_) => {
                response::write_done(out);
                Ok(())
            }
            facts => Err(Failure::unexpected(&facts)),
        }
    }
}
