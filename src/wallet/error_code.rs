//! The error codes of the wire, and what a refusal of the ledger is called there.
//!
//! This is the one place that maps reasons to codes (protocol.md section 3).

use shards::ledger::RefusalReason;

/// The `ErrorCode` of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// 0: done, or done before.
    Success,
    /// -1: a fault of ours.
    UnknownError,
    /// -3: unknown session, or a token past its life.
    SessionNotFound,
    /// -5: unknown domain, player or live session.
    AccountNotFound,
    /// -6: the request breaks a rule, or is not authorised.
    Refused,
}

impl ErrorCode {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 5] = [
        Self::Success,
        Self::UnknownError,
        Self::SessionNotFound,
        Self::AccountNotFound,
        Self::Refused,
    ];

    /// As the wire says it.
    #[must_use]
    pub const fn number(self) -> i16 {
        match self {
            Self::Success => 0,
            Self::UnknownError => -1,
            Self::SessionNotFound => -3,
            Self::AccountNotFound => -5,
            Self::Refused => -6,
        }
    }
}

/// The code of a refusal, and a sentence that tells the integrator what to mend.
#[must_use]
pub(super) fn of_refusal(reason: RefusalReason) -> (ErrorCode, &'static str) {
    use ErrorCode::{AccountNotFound, Refused, SessionNotFound, UnknownError};
    match reason {
        RefusalReason::AccountNotFound => (
            AccountNotFound,
            "OperatorAccountID: the domain has no such player",
        ),
        RefusalReason::SessionNotFound => (SessionNotFound, "SessionToken: no such session"),
        RefusalReason::NoLiveSession => (
            AccountNotFound,
            "OperatorAccountID: the player has no live session",
        ),
        RefusalReason::TokenSpent => (
            SessionNotFound,
            "SessionToken: redeemed before, and this domain's tokens are for one use",
        ),
        RefusalReason::TokenExpired => (
            SessionNotFound,
            "SessionToken: older than its life, ask for a new one",
        ),
        RefusalReason::TransactionIdReused => (
            Refused,
            "the transaction id was used before with other contents",
        ),
        // Code -9 comes with the endpoints that name a currency.
        RefusalReason::CurrencyMismatch => (
            UnknownError,
            "the account has another currency, nothing was booked",
        ),
        RefusalReason::BalanceOverflow => (
            UnknownError,
            "the account cannot hold that much, nothing was booked",
        ),
        // The endpoints that can be refused so are being written on the branch `wire`.
        RefusalReason::SessionUnknown
        | RefusalReason::SessionLoggedOut
        | RefusalReason::SessionOfAnotherAccount
        | RefusalReason::GameNotFound
        | RefusalReason::RolledBackBefore
        | RefusalReason::AccountSuspended
        | RefusalReason::SessionLimit
        | RefusalReason::LossLimit(_)
        | RefusalReason::InsufficientFunds
        | RefusalReason::BetNotFound
        | RefusalReason::RollbackMismatch
        | RefusalReason::RoundNotFound
        | RefusalReason::RequestTooOld
        | RefusalReason::RequestInFuture
        | RefusalReason::AmountTooPrecise
        | RefusalReason::NoBonusFunds => (UnknownError, "refused"),
        RefusalReason::TooManyTokens => (
            UnknownError,
            "the session redeemed as many tokens as the wallet keeps for one, retry when they have expired",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_where_their_discriminant_says() {
        for (place, code) in ErrorCode::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, place);
        }
    }

    #[test]
    fn refusals_have_the_codes_of_protocol_md() {
        let cases = [
            (RefusalReason::AccountNotFound, -5),
            (RefusalReason::SessionNotFound, -3),
            (RefusalReason::NoLiveSession, -5),
            (RefusalReason::TokenSpent, -3),
            (RefusalReason::TokenExpired, -3),
            (RefusalReason::TransactionIdReused, -6),
            (RefusalReason::BalanceOverflow, -1),
            (RefusalReason::TooManyTokens, -1),
        ];
        for (reason, number) in cases {
            assert_eq!(of_refusal(reason).0.number(), number, "{reason:?}");
        }
    }
}
