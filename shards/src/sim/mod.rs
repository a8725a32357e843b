//! The simulation: several shards, their disks and their clients on one thread, driven
//! by one seed.
//!
//! It is a second driver of the core beside the runtime: the real [`Shard`], the real
//! log and recovery over [`MemoryDisk`]s that lose, tear, fail and fill up, the real
//! reply slots. Only the waiting is made up: events in a queue take the place of
//! executors, hops arrive late and in any order, shards and the whole process die at any
//! step, and clients try again until they have an answer. An oracle that shares no
//! code with the ledger judges every answer, and every state that recovery brings back,
//! as an outsider can. Beside each shard, a [`model`] of the whole wallet judges every
//! decision, from inside.
//!
//! The same seed gives the same run, so a failure is replayed by its seed. A simulation
//! that finds nothing proves nothing unless it would have: [`Canary`] breaks one part on
//! purpose, and tests prove that each is caught.
//!
//! [`Shard`]: crate::shard::Shard
//! [`MemoryDisk`]: crate::storage::MemoryDisk

mod account;
mod clients;
mod commit;
mod dealer;
mod disks;
mod effect;
mod faults;
mod judge;
pub mod model;
mod oracle;
mod players;
mod random;
mod server;
mod session;
mod traffic;
mod world;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use dealer::{Dealer, Taste};
pub use random::Random;
use world::World;

/// A part that is broken on purpose, to see whether the simulation notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// The ledger forgets a transaction id now and then: a retry books again.
    LedgerForgetsId,
    /// The ledger forgets transaction ids when it is read back.
    RecoveryForgetsIds,
    /// The disk says that a write is durable when it is not.
    DiskLies,
    /// Every answer leaves before it is durable.
    AnswersEarly,
    /// Reads do not wait for the postings that they show; bookings do.
    ReadsEarly,
    /// A batch is told although its write failed.
    DiskErrorIgnored,
    /// A balance is not the one that the ledger gave.
    AnswerAltered,
    /// The ledger forgets the id of a bet now and then.
    LedgerForgetsBet,
    /// A bet is taken from the other funds first; no client can know.
    StakeFromOtherFunds,
    /// A checkpoint loses an entry on its way back.
    CheckpointLosesEntry,
}

impl Canary {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::LedgerForgetsId,
        Self::RecoveryForgetsIds,
        Self::DiskLies,
        Self::AnswersEarly,
        Self::ReadsEarly,
        Self::DiskErrorIgnored,
        Self::AnswerAltered,
        Self::LedgerForgetsBet,
        Self::StakeFromOtherFunds,
        Self::CheckpointLosesEntry,
    ];

    /// Whether only the model can notice it. For all others it looks away, so that the
    /// oracle is seen to notice by itself.
    fn is_for_the_model(self) -> bool {
        self == Self::StakeFromOtherFunds
    }
}

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened in a simulation, or in many.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Figures {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Figures {
            /// Adds those of another simulation.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }

        impl fmt::Display for Figures {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:>14}  {}", self.$name, stringify!($name).replace('_', " "))?;)*
                Ok(())
            }
        }
    };
}

figures! {
    /// Steps of the simulation.
    events,
    /// Requests that clients sent, retries included.
    requests,
    /// Of these, the ones after the first for the same command.
    retries,
    /// Answers that reached a client and said what happened.
    answers,
    /// Refusals for want of room on the disk.
    full_disk_refusals,
    /// Refusals for want of reply slots.
    busy_refusals,
    /// Commands that went to another shard.
    hops,
    /// Postings that became durable and were told.
    bookings,
    /// Batches of them.
    batches,
    /// Bets that were taken.
    bets,
    /// Rollbacks that were booked.
    rollbacks,
    /// Rollbacks that came before their bets.
    rollbacks_ahead,
    /// Bets that came behind their rollbacks.
    bets_refused_behind,
    /// Times the machine lost power.
    power_cuts,
    /// Times the process was killed.
    kills,
    /// Times a single shard died or its disk lost power.
    shard_crashes,
    /// Times the process ended because a disk failed.
    disk_failures,
    /// Times the process ended in good order.
    shutdowns,
    /// Recoveries of a shard's log.
    recoveries,
    /// Recoveries that died on the way.
    recoveries_cut_short,
    /// Torn tails that were cut off.
    torn_tails,
    /// Segments made.
    segments,
    /// Checkpoints made.
    checkpoints,
    /// Folds that failed, or died on the way.
    folds_cut_short,
    /// Recoveries that began with a checkpoint.
    from_checkpoints,
}

/// The simulation went through; `trace` is equal for equal runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// What happened.
    pub figures: Figures,
    /// Digest of every step.
    pub trace: u64,
}

/// A promise was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// In which run.
    pub seed: u64,
    /// What, in words.
    pub what: String,
    /// The steps before it, the last one last.
    pub steps: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, what, steps } = self;
        writeln!(f, "the steps before:")?;
        steps.iter().try_for_each(|step| writeln!(f, "  {step}"))?;
        writeln!(f, "seed {seed}: {what}")?;
        write!(
            f,
            "replay: PURSER_SIM_SEED={seed} cargo test -p purser-shards --test simulation"
        )
    }
}

/// Runs one simulation from its first event to its last audit.
///
/// # Errors
/// A [`Violation`], also for a panic in the code under test.
pub fn run(seed: u64, canary: Option<Canary>) -> Result<Report, Violation> {
    // Steps are put into words only when somebody will read them.
    attempt(seed, canary, false).or_else(|_| attempt(seed, canary, true))
}

fn attempt(seed: u64, canary: Option<Canary>, tells: bool) -> Result<Report, Violation> {
    let mut world = World::new(seed, canary, tells);
    let went = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let words = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", words.unwrap_or("without words")))
    });
    match went {
        Ok(()) => Ok(world.report()),
        Err(what) => Err(Violation {
            seed,
            what,
            steps: world.steps(),
        }),
    }
}
