//! What a shard counts. The names of the exported metrics follow these.

use std::sync::Arc;

use crate::Unavailable;
use crate::metrics::{Counter, Histogram, Sizes};

/// Counters of one shard, written by its thread only.
#[derive(Debug, Default)]
pub struct ShardMetrics {
    /// Commands that connections of this shard sent to another.
    pub hops: Counter,
    /// Commands that connections of this shard had decided right here.
    pub own: Counter,
    /// Commands refused because the owner's mailbox was full.
    pub mailbox_full: Counter,
    /// Commands refused because all reply slots were in use.
    pub reply_slots_full: Counter,
    /// Bookings refused because the log had no room for them.
    pub no_room: Counter,
    /// Bookings and accounts refused because the memory budget was used up.
    pub no_memory: Counter,
    /// Commands whose answer did not come in time.
    pub no_answer: Counter,
    /// Wakes of a sleeping pump, of this shard or another, by this shard.
    pub wakes: Counter,
    /// How often the pump has looked for work. It is rung now and then when there is none,
    /// so a number that stands still is a shard that does not turn.
    pub pump_turns: Counter,
    /// Commands waiting in the mailbox when the pump last looked.
    pub mailbox_depth: Counter,
    /// Postings made durable.
    pub postings: Counter,
    /// Batches made durable.
    pub batches: Counter,
    /// Time from taking a batch to its being durable.
    pub commit_duration: Histogram,
    /// Postings of each batch.
    pub commit_batch: Sizes,
    /// How long the executor was at work, in ns: the time in which it did not sleep for
    /// want of it.
    pub busy_ns: Counter,
    /// Bookings are refused because the disk is full: 1, otherwise 0.
    pub disk_full: Counter,
    /// The log is written by a thread beside the shard, because the disk is slow: 1,
    /// otherwise 0.
    pub flush_beside: Counter,
    /// Number of the segment that the log has reached.
    pub log_segment: Counter,
    /// Position of the last posting.
    pub appended_lsn: Counter,
    /// Position up to which everything is durable.
    pub durable_lsn: Counter,
    /// What the books lack to zero, in minor units of whatever currency: always 0, or
    /// money was made or lost.
    pub money_imbalance: Counter,
    /// Accounts.
    pub accounts: Counter,
    /// Sessions, ended ones that are still known included.
    pub sessions: Counter,
    /// Transaction ids remembered.
    pub transactions: Counter,
    /// Rounds that are open.
    pub rounds_open: Counter,
    /// The memory that the shard takes.
    pub memory: MemoryMetrics,
    /// What the compactor counts of this shard.
    pub checkpoint: Arc<CheckpointMetrics>,
    /// What the scrubber counts of this shard.
    pub scrub: Arc<ScrubMetrics>,
}

impl ShardMetrics {
    /// A shard refused a command, and why.
    pub(super) fn count_refused(&self, why: Unavailable) {
        match why {
            Unavailable::MemoryFull => self.no_memory.add(1),
            _ => self.no_room.add(1),
        }
    }
}

/// The memory that one shard takes, in bytes, by what is in it. Counted in the room that
/// tables and buffers have, whether it is used or not.
#[derive(Debug, Default)]
pub struct MemoryMetrics {
    /// Accounts, with all that they own.
    pub accounts: Counter,
    /// Sessions, with the tokens that they have spent.
    pub sessions: Counter,
    /// Transaction ids remembered.
    pub transactions: Counter,
    /// Rounds remembered.
    pub rounds: Counter,
    /// The mailbox, the reply lane and the reply slots.
    pub queues: Counter,
    /// What waits for the disk: batches, the answers that wait for them, the frame that is
    /// written.
    pub log: Counter,
}

/// What is counted of one shard's checkpoints, written by the compactor's thread only, and
/// so apart from what the shard writes.
#[derive(Debug, Default)]
pub struct CheckpointMetrics {
    /// Seconds since the last posting in the newest checkpoint; 0 while there is none.
    pub age_seconds: Counter,
    /// Bytes of closed segments that are in no checkpoint.
    pub log_bytes: Counter,
    /// Bytes of the newest checkpoint.
    pub bytes: Counter,
    /// Checkpoints made.
    pub made: Counter,
    /// Folds that failed.
    pub failed: Counter,
    /// Damage was found, and no more checkpoints are made: 1, otherwise 0.
    pub damaged: Counter,
    /// How long the last fold took, in milliseconds.
    pub duration_ms: Counter,
}

/// What is counted of one shard's scrubs, written by the scrubber's thread only.
#[derive(Debug, Default)]
pub struct ScrubMetrics {
    /// Files that were damaged when they were last read, and are still there.
    pub damaged_files: Counter,
    /// Bytes read.
    pub bytes: Counter,
    /// How often all of the shard's closed files were read.
    pub rounds: Counter,
}
