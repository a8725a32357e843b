//! Requests that book nothing: balance, and the player's answer to an alert.

use shards::types::{AccountId, Text};

use super::{Common, Invalid, Read, fields};
use crate::wallet::members::{Member, Members};

/// `POST /v1.0/balance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wallet) struct ReadBalance {
    /// What every request carries.
    pub(in crate::wallet) common: Common,
    /// Whose.
    pub(in crate::wallet) account: AccountId,
}

/// `POST /v1.0/alertwalletcallbacknotification`: members that are missing are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wallet) struct AnswerAlert {
    /// What every request carries.
    pub(in crate::wallet) common: Common,
    /// Whose.
    pub(in crate::wallet) account: AccountId,
    /// Where the answer was given.
    pub(in crate::wallet) source: Text,
    /// What the player chose.
    pub(in crate::wallet) action_id: Text,
    /// The operator's name for that choice.
    pub(in crate::wallet) action_reference: Text,
    /// The operator's name for the alert.
    pub(in crate::wallet) reference: Text,
    /// Which regulator asked for the alert.
    pub(in crate::wallet) regulator_code: Text,
    /// What kind of alert it was.
    pub(in crate::wallet) kind: Text,
    /// How the player was told.
    pub(in crate::wallet) method: Text,
    /// Whatever else belongs to it.
    pub(in crate::wallet) data: Text,
}

impl Read for ReadBalance {
    fn read(members: &Members<'_>) -> Result<Self, Invalid> {
        let request = Self {
            common: Common::read(members)?,
            account: fields::account(members)?,
        };
        fields::optional(members, Member::GameId)?;
        fields::optional(members, Member::ContentGameProviderId)?;
        Ok(request)
    }
}

impl Read for AnswerAlert {
    fn read(members: &Members<'_>) -> Result<Self, Invalid> {
        let text = |member| fields::recorded(members, member);
        let request = Self {
            common: Common::read(members)?,
            account: fields::account(members)?,
            source: text(Member::Source)?,
            action_id: text(Member::AlertActionId)?,
            action_reference: text(Member::OperatorAlertActionReference)?,
            reference: text(Member::OperatorAlertReference)?,
            regulator_code: text(Member::GamingRegulatorCode)?,
            kind: text(Member::Type)?,
            method: text(Member::Method)?,
            data: text(Member::Data)?,
        };
        // An answer to an alert is recorded whatever became of its session.
        fields::optional(members, Member::GatewaySessionToken)?;
        Ok(request)
    }
}
