//! The sharding core of purser: ledger, log, mailboxes and executors.
//!
//! No HTTP, no JSON, no command line. Simulation and runtime are two drivers of
//! the same synchronous shard.

mod course;
pub mod failpoint;
pub mod ledger;
pub mod mesh;
pub mod metrics;
pub mod routing;
pub mod runtime;
pub mod shard;
pub mod sim;
pub mod storage;
pub mod types;
pub mod wal;

pub use course::{Answered, Course, Handled};
use ledger::Command;

/// Why a command got no answer from its owner. Nothing was booked, but for
/// [`Unavailable::NoAnswer`], where it may have been: a retry finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The owner's mailbox or the asker's reply slots are full.
    #[error("too many commands are waiting")]
    Busy,
    /// The shards are stopping.
    #[error("the server is stopping")]
    Draining,
    /// The disk has no room for another booking; reads go on.
    #[error("the disk is full")]
    DiskFull,
    /// The memory budget has no room for what would be remembered; reads go on.
    #[error("the memory budget is used up")]
    MemoryFull,
    /// The owner did not answer in time.
    #[error("the owner did not answer in time")]
    NoAnswer,
}

/// Takes a command to the shard that owns its account and brings the answer back,
/// once everything that the answer reveals is durable.
pub trait Submit {
    /// Submits one command.
    fn submit(&self, command: Command) -> impl Future<Output = Answered>;
}
