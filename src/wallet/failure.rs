//! Why a request is not answered with 0, and in which words.
//!
//! The words are for the integrator: they name the member and what to mend. Only a
//! failure to authorise says nothing, whatever was wrong.

use std::borrow::Cow;

use shards::Unavailable;
use shards::ledger::{Facts, Funds, Refusal};

use super::error_code::{ErrorCode, of_refusal};
use super::json::JsonError;
use super::refusal::{Stated, Times, fixed_words};
use super::request::Invalid;
use crate::domain::FundsPriority;

/// What ends the walk of a request early.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// An answer: 200 with a code and a sentence, and the balance where the code has it.
    Refused {
        /// The `ErrorCode`.
        code: ErrorCode,
        /// The `ErrorDescription`.
        description: Cow<'static, str>,
        /// The `Balance`.
        balance: Option<(Funds, FundsPriority)>,
    },
    /// No answer from the shards: 503.
    Unavailable(Unavailable),
}

impl Failure {
    /// A refusal in fixed words.
    pub(super) const fn refused(code: ErrorCode, description: &'static str) -> Self {
        Self::plain(code, Cow::Borrowed(description))
    }

    const fn plain(code: ErrorCode, description: Cow<'static, str>) -> Self {
        Self::Refused {
            code,
            description,
            balance: None,
        }
    }

    /// What the ledger refused of a request that stated something.
    pub(super) fn of_stated(
        refusal: &Refusal,
        stated: &Stated,
        times: &Times,
        priority: FundsPriority,
    ) -> Self {
        let (code, with_balance) = of_refusal(refusal.reason);
        let funds = refusal.funds.filter(|_| with_balance);
        Self::Refused {
            code,
            description: stated.words(refusal, times),
            balance: funds.map(|funds| (funds, priority)),
        }
    }

    /// Wrong address, credentials or platform key: all read alike.
    pub(super) const fn not_authorised() -> Self {
        Self::refused(ErrorCode::Refused, "Not authorised")
    }

    /// The ledger told something else than was asked: a fault of ours.
    pub(super) fn unexpected(facts: &Facts) -> Self {
        tracing::error!(
            facts = facts.kind(),
            "the ledger answered with other facts than were asked for"
        );
        Self::refused(
            ErrorCode::UnknownError,
            "a fault of the wallet; it is in its log",
        )
    }

    /// The `ErrorCode`.
    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Unavailable(_) => ErrorCode::UnknownError,
        }
    }

    /// The `Balance`, where the answer has one.
    pub(super) fn balance(&self) -> Option<(&Funds, FundsPriority)> {
        match self {
            Self::Refused { balance, .. } => {
                balance.as_ref().map(|(funds, priority)| (funds, *priority))
            }
            Self::Unavailable(_) => None,
        }
    }

    /// The `ErrorDescription`.
    pub(super) fn description(&self) -> &str {
        match self {
            Self::Refused { description, .. } => description,
            Self::Unavailable(Unavailable::Busy) => {
                "too many requests are waiting; nothing was done, send the same request again"
            }
            Self::Unavailable(Unavailable::DiskFull) => {
                "the wallet's disk is full; nothing was done, send the same request again"
            }
            Self::Unavailable(Unavailable::MemoryFull) => {
                "the wallet's memory is full; nothing was done, send the same request again"
            }
            Self::Unavailable(Unavailable::Draining) => {
                "the server is stopping; nothing was done, send the same request again"
            }
            Self::Unavailable(Unavailable::NoAnswer) => {
                "the outcome is unknown; send the same request again to learn it"
            }
        }
    }
}

impl From<JsonError> for Failure {
    fn from(error: JsonError) -> Self {
        Self::plain(ErrorCode::Refused, Cow::Owned(error.to_string()))
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::plain(ErrorCode::Refused, Cow::Owned(invalid.to_string()))
    }
}

impl From<Unavailable> for Failure {
    fn from(reason: Unavailable) -> Self {
        Self::Unavailable(reason)
    }
}

/// A refusal of a request that states no money; none of these shows the balance.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (code, _) = of_refusal(refusal.reason);
        Self::refused(code, fixed_words(refusal.reason))
    }
}
