//! Members to requests: past this file every value follows protocol.md section 2.
//!
//! Each request reads what its endpoint knows, the optional members too: one that is
//! there must be right. Requests own what they keep, so that nothing borrows the
//! body or the reader's buffers while a shard is asked.
//!
//! `fields` reads one member, the other files a family of endpoints each.

mod bookings;
mod fields;
mod reads;
mod sessions;

use compact_str::CompactString;
use shards::types::UnixMillis;

pub(super) use bookings::{
    AwardWinnings, Credit, EndRound, Payment, PlaceBet, RollbackBet, RoundBooking, VoidBet,
};
pub(super) use reads::{AnswerAlert, ReadBalance};
pub(super) use sessions::{CreateToken, RedeemToken};

use super::members::{Member, Members};

/// Which member broke which rule; the `ErrorDescription` of a `-6`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {rule}", member.name())]
pub(super) struct Invalid {
    member: Member,
    rule: String,
}

/// What every request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Common {
    /// Who calls.
    pub(super) platform_key: CompactString,
    /// When it was sent.
    pub(super) timestamp: UnixMillis,
}

/// A request that can be read from the members of a body.
pub(super) trait Read: Sized {
    /// Validates the members that the endpoint knows.
    ///
    /// # Errors
    /// The first member that breaks a rule.
    fn read(members: &Members<'_>) -> Result<Self, Invalid>;
}

impl Read for Common {
    fn read(members: &Members<'_>) -> Result<Self, Invalid> {
        let platform_key = fields::required(members, Member::PlatformKey)?;
        fields::required(members, Member::Sequence)?;
        Ok(Self {
            platform_key: CompactString::new(platform_key),
            timestamp: fields::timestamp(members)?,
        })
    }
}

/// The platform's id of the request, for logs; `None` if the request has no valid one.
#[must_use]
pub(super) fn sequence<'a>(members: &Members<'a>) -> Option<&'a str> {
    fields::optional(members, Member::Sequence).ok().flatten()
}

#[cfg(test)]
mod tests;
