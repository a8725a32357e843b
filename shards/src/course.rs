//! When what happened to a command: from its submission to its answer, at its owner and on
//! the way.
//!
//! Moments are readings of one monotonic clock that all threads share, so those of two shards
//! can be compared. Each is read where it is needed anyway, or once for several commands.

use std::time::Instant;

use crate::Unavailable;
use crate::ledger::Outcome;
use crate::types::ShardId;

/// What came of a command, and when.
#[derive(Debug)]
pub struct Answered {
    /// What to tell the caller.
    pub result: Result<Outcome, Unavailable>,
    /// How it went.
    pub course: Course,
}

/// One command's way.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// Who owns the account.
    pub owner: ShardId,
    /// Whether that is another shard than the one that asked.
    pub hopped: bool,
    /// It was given to the core.
    pub submitted_at: Instant,
    /// What its owner did; `None` when it never was there, or has not said so in time.
    pub handled: Option<Handled>,
    /// Whoever asked went on with the answer.
    pub answered_at: Instant,
}

/// What its owner did with a command. `taken_at <= decided_at <= released_at`.
#[derive(Clone, Copy, Debug)]
pub struct Handled {
    /// It was its turn.
    pub taken_at: Instant,
    /// The ledger had decided, and applied what it decided.
    pub decided_at: Instant,
    /// All that the answer reveals was durable. The moment of the decision, when it was
    /// before; for a command of the owner's own connection, the end of its wait.
    pub released_at: Instant,
}

impl Handled {
    /// Of an answer that had nothing to wait for.
    #[must_use]
    pub const fn at_once(taken_at: Instant, decided_at: Instant) -> Self {
        Self {
            taken_at,
            decided_at,
            released_at: decided_at,
        }
    }
}
