//! The error codes of the wire, and what a refusal of the ledger is called there.
//!
//! This is the one place that maps reasons to codes and says which of them come with the
//! balance (protocol.md section 3); `refusal` has their words.

use shards::ledger::RefusalReason;

/// The `ErrorCode` of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// 0: done, or done before.
    Success,
    /// -1: a fault of ours, or an account that may not bet.
    UnknownError,
    /// -2: the stake is above the funds.
    InsufficientFunds,
    /// -3: unknown or ended session, or a token past its life.
    SessionNotFound,
    /// -5: unknown domain, player or live session; the session of another player.
    AccountNotFound,
    /// -6: the request breaks a rule, or is not authorised.
    Refused,
    /// -8: the bet is unknown, or was rolled back before it arrived.
    TransactionNotFound,
    /// -9: another currency than the account's.
    CurrencyMismatch,
    /// -12: a net-loss limit.
    LossLimit,
    /// -13: the session is too old.
    SessionLimit,
    /// -14: the account has no such round.
    GameRoundNotFound,
    /// -15: the domain does not have the game.
    GameNotFound,
}

impl ErrorCode {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 12] = [
        Self::Success,
        Self::UnknownError,
        Self::InsufficientFunds,
        Self::SessionNotFound,
        Self::AccountNotFound,
        Self::Refused,
        Self::TransactionNotFound,
        Self::CurrencyMismatch,
        Self::LossLimit,
        Self::SessionLimit,
        Self::GameRoundNotFound,
        Self::GameNotFound,
    ];

    /// As the wire says it.
    #[must_use]
    pub const fn number(self) -> i16 {
        match self {
            Self::Success => 0,
            Self::UnknownError => -1,
            Self::InsufficientFunds => -2,
            Self::SessionNotFound => -3,
            Self::AccountNotFound => -5,
            Self::Refused => -6,
            Self::TransactionNotFound => -8,
            Self::CurrencyMismatch => -9,
            Self::LossLimit => -12,
            Self::SessionLimit => -13,
            Self::GameRoundNotFound => -14,
            Self::GameNotFound => -15,
        }
    }
}

/// The code of a refusal, and whether the balance stands beside it.
#[must_use]
pub(super) const fn of_refusal(reason: RefusalReason) -> (ErrorCode, bool) {
    use RefusalReason as R;
    match reason {
        R::InsufficientFunds => (ErrorCode::InsufficientFunds, true),
        R::SessionNotFound | R::TokenSpent | R::TokenExpired | R::SessionUnknown => {
            (ErrorCode::SessionNotFound, false)
        }
        R::SessionLoggedOut => (ErrorCode::SessionNotFound, true),
        R::AccountNotFound | R::NoLiveSession | R::SessionOfAnotherAccount => {
            (ErrorCode::AccountNotFound, false)
        }
        R::TransactionIdReused
        | R::RollbackMismatch
        | R::RequestTooOld
        | R::RequestInFuture
        | R::AmountTooPrecise => (ErrorCode::Refused, false),
        R::BetNotFound | R::RolledBackBefore => (ErrorCode::TransactionNotFound, true),
        R::CurrencyMismatch => (ErrorCode::CurrencyMismatch, true),
        R::LossLimit(_) => (ErrorCode::LossLimit, true),
        R::SessionLimit => (ErrorCode::SessionLimit, true),
        R::RoundNotFound => (ErrorCode::GameRoundNotFound, true),
        R::GameNotFound => (ErrorCode::GameNotFound, true),
        // The last one is a refusal of the admin API.
        R::AccountSuspended | R::BalanceOverflow | R::TooManyTokens | R::NoBonusFunds => {
            (ErrorCode::UnknownError, false)
        }
    }
}

#[cfg(test)]
mod tests {
    use shards::ledger::LossPeriod;

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
            (RefusalReason::AccountSuspended, -1, false),
            (RefusalReason::BalanceOverflow, -1, false),
            (RefusalReason::TooManyTokens, -1, false),
            (RefusalReason::InsufficientFunds, -2, true),
            (RefusalReason::SessionNotFound, -3, false),
            (RefusalReason::SessionUnknown, -3, false),
            (RefusalReason::SessionLoggedOut, -3, true),
            (RefusalReason::TokenSpent, -3, false),
            (RefusalReason::TokenExpired, -3, false),
            (RefusalReason::AccountNotFound, -5, false),
            (RefusalReason::NoLiveSession, -5, false),
            (RefusalReason::SessionOfAnotherAccount, -5, false),
            (RefusalReason::TransactionIdReused, -6, false),
            (RefusalReason::RollbackMismatch, -6, false),
            (RefusalReason::RequestTooOld, -6, false),
            (RefusalReason::RequestInFuture, -6, false),
            (RefusalReason::AmountTooPrecise, -6, false),
            (RefusalReason::BetNotFound, -8, true),
            (RefusalReason::RolledBackBefore, -8, true),
            (RefusalReason::CurrencyMismatch, -9, true),
            (RefusalReason::LossLimit(LossPeriod::Week), -12, true),
            (RefusalReason::SessionLimit, -13, true),
            (RefusalReason::RoundNotFound, -14, true),
            (RefusalReason::GameNotFound, -15, true),
        ];
        for (reason, number, with_balance) in cases {
            let (code, balance) = of_refusal(reason);
            assert_eq!(
                (code.number(), balance),
                (number, with_balance),
                "{reason:?}"
            );
        }
    }
}
