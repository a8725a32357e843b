//! Requests about sessions: createtoken, redeemtoken.

use shards::types::{AccountId, SessionToken};

use super::{Common, Invalid, Read, fields};
use crate::wallet::members::{Member, Members};

/// `POST /v1.0/session/createtoken`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wallet) struct CreateToken {
    /// What every request carries.
    pub(in crate::wallet) common: Common,
    /// Whose session the token will stand for.
    pub(in crate::wallet) account: AccountId,
}

/// `POST /v1.0/session/redeemtoken`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wallet) struct RedeemToken {
    /// What every request carries.
    pub(in crate::wallet) common: Common,
    /// Well-formed; whether it lives is for the service to judge.
    pub(in crate::wallet) token: SessionToken,
}

impl Read for CreateToken {
    fn read(members: &Members<'_>) -> Result<Self, Invalid> {
        let request = Self {
            common: Common::read(members)?,
            account: fields::account(members)?,
        };
        fields::required(members, Member::GameId)?;
        Ok(request)
    }
}

impl Read for RedeemToken {
    fn read(members: &Members<'_>) -> Result<Self, Invalid> {
        let request = Self {
            common: Common::read(members)?,
            token: fields::session_token(members)?,
        };
        fields::required(members, Member::IpAddress)?;
        Ok(request)
    }
}
