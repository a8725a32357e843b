//! What the shards said, as the operator is told: the one place that maps an
//! [`Outcome`] or [`Unavailable`] to an HTTP answer.

use axum::http::StatusCode;
use shards::Unavailable;
use shards::ledger::{AccountFacts, Book, Facts, Funds, Outcome, RefusalReason, SessionFacts};

use super::errors::AdminError;

/// Seconds until a queue that was full has surely been served.
const RETRY_BUSY_SECONDS: u32 = 1;

/// Seconds until another process may have taken over.
const RETRY_DRAINING_SECONDS: u32 = 5;

/// A command that was done, now or before.
#[derive(Debug)]
pub(super) struct Done {
    facts: Facts,
    /// Whether it had been done before.
    pub(super) repeated: bool,
}

impl Done {
    /// Takes the answer of a shard.
    ///
    /// # Errors
    /// What to tell the operator when the command was not done.
    pub(super) fn from_answer(answer: Result<Outcome, Unavailable>) -> Result<Self, AdminError> {
        match answer {
            Ok(Outcome::Accepted(facts)) => Ok(Self {
                facts,
                repeated: false,
            }),
            Ok(Outcome::Repeated(facts)) => Ok(Self {
                facts,
                repeated: true,
            }),
            Ok(Outcome::Refused(refusal)) => Err(refused(refusal.reason)),
            Err(why) => Err(unavailable(why)),
        }
    }

    pub(super) fn account(self) -> Result<Box<AccountFacts>, AdminError> {
        match self.facts {
            Facts::Account(facts) => Ok(facts),
            other => Err(unexpected("account", &other)),
        }
    }

    pub(super) fn funds(self) -> Result<Funds, AdminError> {
        match self.facts {
            Facts::Funds(funds) => Ok(funds),
            other => Err(unexpected("funds", &other)),
        }
    }

    pub(super) fn books(self) -> Result<Vec<Book>, AdminError> {
        match self.facts {
            Facts::Books(books) => Ok(books),
            other => Err(unexpected("books", &other)),
        }
    }

    pub(super) fn session(self) -> Result<SessionFacts, AdminError> {
        match self.facts {
            Facts::Session(facts) => Ok(facts),
            other => Err(unexpected("session", &other)),
        }
    }
}

/// No session of that key, whether it reads like a key or not.
pub(super) fn session_not_found() -> AdminError {
    refused(RefusalReason::SessionNotFound)
}

fn refused(reason: RefusalReason) -> AdminError {
    let (status, code, message) = match reason {
        RefusalReason::AccountNotFound => (
            StatusCode::NOT_FOUND,
            "account_not_found",
            "the domain has no such account",
        ),
        RefusalReason::SessionNotFound => (
            StatusCode::NOT_FOUND,
            "session_not_found",
            "no session has this key",
        ),
        RefusalReason::TransactionIdReused => (
            StatusCode::CONFLICT,
            "transaction_id_reused",
            "this TransactionID was used before with another amount",
        ),
        RefusalReason::CurrencyMismatch => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "currency_mismatch",
            "the account was opened in another currency than its domain has now",
        ),
        RefusalReason::BalanceOverflow => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "balance_overflow",
            "the funds would be larger than an account can hold",
        ),
        RefusalReason::InsufficientFunds => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "insufficient_funds",
            "the amount is above the cash funds",
        ),
        RefusalReason::NoBonusFunds => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "no_bonus_funds",
            "the domain has no bonus funds: its funds_priority is \"Unknown\"",
        ),
        // Reasons to refuse a platform's request: no command of ours meets them.
        other => {
            tracing::error!(reason = ?other, "a shard refused an admin command for a reason of the wallet's");
            return AdminError::internal();
        }
    };
    AdminError::new(status, code, message)
}

fn unavailable(why: Unavailable) -> AdminError {
    match why {
        Unavailable::Busy => AdminError::overloaded(
            "too many commands are waiting; send the request again",
            RETRY_BUSY_SECONDS,
        ),
        Unavailable::DiskFull => AdminError::overloaded(
            "the disk is full and nothing was done; send the request again when there is room",
            RETRY_DRAINING_SECONDS,
        ),
        Unavailable::MemoryFull => AdminError::overloaded(
            "the memory budget (limits.max_memory_bytes) is used up and nothing was done; send \
             the request again when there is room",
            RETRY_DRAINING_SECONDS,
        ),
        Unavailable::Draining => {
            AdminError::overloaded("the server is stopping", RETRY_DRAINING_SECONDS)
        }
        Unavailable::NoAnswer => AdminError::overloaded(
            "the account's shard did not answer in time, and may have done what was asked; \
             send the request again, with the same TransactionID if it has one",
            RETRY_BUSY_SECONDS,
        ),
    }
}

fn unexpected(wanted: &str, facts: &Facts) -> AdminError {
    tracing::error!(
        wanted,
        facts = facts.kind(),
        "a shard answered with other facts than the command asks for"
    );
    AdminError::internal()
}

#[cfg(test)]
mod tests {
    use shards::ledger::Refusal;

    use super::*;

    #[test]
    fn whatever_was_not_done_has_a_status_and_a_code() {
        let refusal = |reason| {
            Ok(Outcome::Refused(Refusal {
                reason,
                funds: None,
            }))
        };
        let cases = [
            (
                refusal(RefusalReason::AccountNotFound),
                404,
                "account_not_found",
                None,
            ),
            (
                refusal(RefusalReason::SessionNotFound),
                404,
                "session_not_found",
                None,
            ),
            (
                refusal(RefusalReason::TransactionIdReused),
                409,
                "transaction_id_reused",
                None,
            ),
            (
                refusal(RefusalReason::CurrencyMismatch),
                422,
                "currency_mismatch",
                None,
            ),
            (
                refusal(RefusalReason::BalanceOverflow),
                422,
                "balance_overflow",
                None,
            ),
            (
                refusal(RefusalReason::InsufficientFunds),
                422,
                "insufficient_funds",
                None,
            ),
            (
                refusal(RefusalReason::NoBonusFunds),
                422,
                "no_bonus_funds",
                None,
            ),
            (
                refusal(RefusalReason::TokenSpent),
                500,
                "internal_error",
                None,
            ),
            (Err(Unavailable::Busy), 503, "overloaded", Some(1)),
            (Err(Unavailable::DiskFull), 503, "overloaded", Some(5)),
            (Err(Unavailable::MemoryFull), 503, "overloaded", Some(5)),
            (Err(Unavailable::Draining), 503, "overloaded", Some(5)),
            (Err(Unavailable::NoAnswer), 503, "overloaded", Some(1)),
        ];
        for (answer, status, code, retry_after) in cases {
            let error = Done::from_answer(answer.clone()).unwrap_err();
            assert_eq!(
                (error.status.as_u16(), error.code, error.retry_after),
                (status, code, retry_after),
                "{answer:?}"
            );
        }
    }
}
