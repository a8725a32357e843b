//! The committer: brings batches to the disk, one at a time, and lets their answers go.
//!
//! It runs as a task behind those that filled the batch, so a batch is whatever one
//! turn of the shard brought: large when the shard is busy, one posting when it idles,
//! and never held back to wait for more. When nothing came for a while it seals the log.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::background::LogReach;
use super::flusher::{Flusher, Work};
use super::handle::Inner;
use super::supplier::SupplyLine;
use crate::Handled;
use crate::failpoint::{self, Window};
use crate::mesh::{Answer, PeerId};
use crate::wal::{Batch, Log, LogError};

/// How long after a batch the log is sealed when no other follows: long enough to cost
/// a busy shard nothing, short enough that damage to the last batch is told from a torn
/// write practically always.
const SEAL_AFTER: Duration = Duration::from_millis(5);

/// Brings one shard's batches to its log.
pub(super) struct Committer {
    inner: Rc<Inner>,
    flusher: Flusher,
    supply: SupplyLine,
    reach: Arc<LogReach>,
    spare: Batch,
    rung: Vec<PeerId>,
}

enum Woken {
    ByWork,
    ByTime,
}

impl Committer {
    pub(super) fn new(
        inner: Rc<Inner>,
        flusher: Flusher,
        supply: SupplyLine,
        reach: Arc<LogReach>,
    ) -> Self {
        Self {
            inner,
            flusher,
            supply,
            reach,
            spare: Batch::default(),
            rung: Vec::new(),
        }
    }

    /// Runs until the shard is finished, and then closes the log; or until the disk
    /// fails. Nobody in a failed batch gets an answer, and the same bytes are never
    /// tried again: after a failed sync nothing is known of them.
    pub(super) async fn run(mut self, mut log: Box<Log>) -> Result<(), LogError> {
        loop {
            self.settle(&mut log)?;
            let spare = std::mem::take(&mut self.spare);
            let taken = self.inner.shard.borrow_mut().take_batch(spare);
            match taken {
                Ok(batch) => log = self.commit(log, batch).await?,
                Err(unused) => {
                    self.spare = unused;
                    if self.inner.finished.get() {
                        return self.flusher.perform(log, Work::Close).await.2;
                    }
                    if let Woken::ByTime = self.wait(!log.is_sealed()).await {
                        let (back, _, sealed) = self.flusher.perform(log, Work::Seal).await;
                        sealed?;
                        log = back;
                    }
                }
            }
        }
    }

    /// Publishes what room the log has, and what else is worth knowing of it.
    fn settle(&mut self, log: &mut Log) -> Result<(), LogError> {
        let metrics = &self.inner.metrics;
        let room = self.supply.settle(log, metrics)?;
        let mut shard = self.inner.shard.borrow_mut();
        shard.set_room(room);
        let bytes = log.buffer_bytes() + self.spare.buffer_bytes() + shard.waiting_bytes();
        metrics.memory.log.set(bytes as u64);
        let segment = log.position().segment;
        metrics.log_segment.set(u64::from(segment));
        self.reach.publish(segment);
        metrics
            .flush_beside
            .set(u64::from(self.flusher.is_beside()));
        Ok(())
    }

    async fn commit(&mut self, log: Box<Log>, batch: Batch) -> Result<Box<Log>, LogError> {
        let started = Instant::now();
        let (log, work, written) = self.flusher.perform(log, Work::Append(batch)).await;
        written?;
        failpoint::pass(Window::AfterSync);
        let Work::Append(batch) = work else {
            unreachable!("work comes back as it was given");
        };
        let inner = &self.inner;
        let released_at = Instant::now();
        inner.metrics.commit_duration.record(released_at - started);
        inner.metrics.batches.add(1);
        let postings = u64::from(batch.postings());
        inner.metrics.postings.add(postings);
        inner.metrics.commit_batch.record(postings);
        for (parked, outcome) in inner.shard.borrow_mut().batch_durable() {
            let answer = Answer {
                result: Ok(outcome),
                handled: Handled {
                    taken_at: parked.taken_at,
                    decided_at: parked.decided_at,
                    released_at,
                },
            };
            let reply_to = parked.reply_to;
            inner.deliver(reply_to, answer);
            if !self.rung.contains(&reply_to.peer) {
                self.rung.push(reply_to.peer);
            }
        }
        for peer in self.rung.drain(..) {
            inner.ring(peer);
        }
        if inner.shared.is_closing() {
            // The pump may be waiting for this batch to end.
            inner.ring(inner.peer);
        }
        self.spare = batch;
        Ok(log)
    }

    /// Waits for something to do, or for the time to seal if `seal_due`.
    async fn wait(&self, seal_due: bool) -> Woken {
        if !seal_due {
            poll_fn(|cx| self.poll_work(cx)).await;
            return Woken::ByWork;
        }
        let mut time = pin!(glommio::timer::sleep(SEAL_AFTER));
        poll_fn(|cx| match self.poll_work(cx) {
            Poll::Ready(()) => Poll::Ready(Woken::ByWork),
            Poll::Pending => time.as_mut().poll(cx).map(|_| Woken::ByTime),
        })
        .await
    }

    fn poll_work(&self, cx: &Context<'_>) -> Poll<()> {
        self.flusher.bell().arm(cx.waker());
        if self.supply.has_news() {
            return Poll::Ready(());
        }
        self.inner.commit.poll(cx)
    }
}
