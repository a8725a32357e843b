//! What a shard does by time rather than by request: it looks for overdue answers, goes by
//! the gate of the memory, and publishes its sizes.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::handle::Inner;
use super::wait::REPLY_TIMEOUT;
use crate::ledger::Book;
use crate::mesh::Mesh;

/// How often overdue answers are looked for, sizes are published and the pump is rung. Its
/// timer also bounds how long an executor can sleep by mistake.
pub const HOUSEKEEPING: Duration = Duration::from_millis(250);

/// Keeps house for ever.
pub(super) async fn keep_house(inner: Rc<Inner>) {
    let slots_bytes = inner.replies.borrow().bytes();
    inner
        .metrics
        .memory
        .queues
        .set((Mesh::BYTES_PER_PEER + slots_bytes) as u64);
    loop {
        glommio::timer::sleep(HOUSEKEEPING).await;
        // So that a pump without work counts a turn, and whoever watches sees that it can.
        inner.shared.mesh.ring(inner.peer);
        inner
            .replies
            .borrow_mut()
            .wake_overdue(Instant::now(), REPLY_TIMEOUT);
        let mut shard = inner.shard.borrow_mut();
        shard.set_memory_full(inner.shared.is_memory_full());
        shard.tidy_up();
        let counts = shard.ledger().counts();
        let metrics = &inner.metrics;
        metrics.accounts.set(counts.accounts as u64);
        metrics.sessions.set(counts.sessions as u64);
        metrics.transactions.set(counts.transactions as u64);
        metrics.rounds_open.set(counts.rounds_open as u64);
        let bytes = shard.ledger().bytes();
        let memory = &metrics.memory;
        memory.accounts.set(bytes.accounts as u64);
        memory.sessions.set(bytes.sessions as u64);
        memory.transactions.set(bytes.transactions as u64);
        memory.rounds.set(bytes.rounds as u64);
        metrics.busy_ns.add(busy_ns_since_the_last_look());
        metrics
            .money_imbalance
            .set(imbalance(shard.ledger().books()));
        metrics.appended_lsn.set(shard.appended_lsn().0);
        metrics.durable_lsn.set(shard.durable_lsn().0);
    }
}

/// How long this thread's executor was at work since somebody last asked; nobody else does.
///
/// By the executor's clock rather than the thread's CPU time: while a flush holds the shard,
/// or another process its CPU, nobody is served, and that is what a busy shard means.
fn busy_ns_since_the_last_look() -> u64 {
    // This sets what it returns back to nothing.
    let at_work = glommio::executor().executor_stats().total_runtime();
    u64::try_from(at_work.as_nanos()).unwrap_or(u64::MAX)
}

/// Minor units that all books together are off by; more than a number holds is that number.
fn imbalance(books: &[Book]) -> u64 {
    let off_by = books.iter().map(|book| book.total().unsigned_abs());
    u64::try_from(off_by.sum::<u128>()).unwrap_or(u64::MAX)
}
