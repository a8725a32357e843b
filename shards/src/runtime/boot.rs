//! What runs on a shard's thread: the executor, the log read back, then the shard's tasks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender};
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};

use super::background::LogReach;
use super::cluster::{Event, Shared, StartError};
use super::committer::Committer;
use super::flusher::Flusher;
use super::handle::ShardHandle;
use super::housekeeping::keep_house;
use super::metrics::ShardMetrics;
use super::pump;
use super::supplier::SupplyLine;
use crate::failpoint::{self, Window};
use crate::ledger::{Entry, Ledger, LedgerSettings, Posting};
use crate::shard::Shard;
use crate::types::{Lsn, ShardId};
use crate::wal::{DataSet, Log, Progress, Rebuild, SealedHeader, Visitor};

/// Memory registered with each ring. The default pins 30 MiB per executor for file
/// I/O that we do not do through it.
const IO_MEMORY_BYTES: usize = 64 << 10;

/// After how long a turn of the executor is cut short to look for I/O.
///
/// Our turns end by themselves: whatever could go on for ever lets I/O run after a
/// bounded burst. So this only has to be finite, and it must not be short: glommio parks
/// with runnable tasks when the timer has fired before the first task of a turn ran,
/// which a thread that is descheduled for as long as this will meet (docs/adr/0001).
const PREEMPT_TIMER: Duration = Duration::from_secs(10);

/// What a shard's thread is given.
pub(super) struct Boot {
    pub(super) id: ShardId,
    pub(super) cpu: Option<usize>,
    pub(super) shared: Arc<Shared>,
    pub(super) metrics: Arc<ShardMetrics>,
    pub(super) ledger: LedgerSettings,
    pub(super) data: DataSet,
    pub(super) reach: Arc<LogReach>,
    pub(super) supply: SupplyLine,
    pub(super) flusher: Flusher,
    pub(super) events: Sender<Event>,
    pub(super) started: Sender<Result<(), StartError>>,
    /// Disconnected when all shards have reported that they are there, or when the
    /// cluster gave up, which then is closing.
    pub(super) all_recovered: Receiver<()>,
}

impl Boot {
    /// Reads the log back, then serves until the end.
    pub(super) fn run<F, Fut>(self, progress: &Progress, serve: F)
    where
        F: Fn(ShardHandle) -> Fut,
        Fut: Future<Output = ()> + 'static,
    {
        let _report = ReportPanic {
            id: self.id,
            events: self.events.clone(),
            started: self.started.clone(),
        };
        // First of all, for it pins this thread to the core near which the ledger is to lie.
        let there = build_executor(self.id, self.cpu)
            .and_then(|executor| Ok((executor, self.recover(progress)?)));
        let (executor, (ledger, log)) = match there {
            Ok(there) => there,
            Err(error) => {
                // The cluster is gone if it gave up on another shard before.
                let _ = self.started.send(Err(error));
                return;
            }
        };
        let _ = self.started.send(Ok(()));
        let _ = self.all_recovered.recv();
        if self.shared.is_closing() {
            return;
        }
        let shard = Shard::recovered(ledger, log.durable_lsn());
        let handle = ShardHandle::new(self.id, self.shared, shard, self.metrics);
        let committer = Committer::new(handle.0.clone(), self.flusher, self.supply, self.reach);
        let (id, events, started) = (self.id, self.events, self.started);
        executor.run(async move {
            let pump = glommio::spawn_local(pump::run(handle.0.clone()));
            let commit_events = events.clone();
            let committer = glommio::spawn_local(async move {
                match committer.run(log).await {
                    Ok(()) => true,
                    Err(error) => {
                        let _ = commit_events.send(Event::DiskFailed(id, error));
                        false
                    }
                }
            });
            let inner = handle.0.clone();
            glommio::spawn_local(keep_house(inner.clone())).detach();
            let _ = started.send(Ok(()));
            serve(handle).await;
            let _ = events.send(Event::Drained(id));
            pump.await;
            inner.finished.set(true);
            inner.commit.raise();
            if committer.await {
                let _ = events.send(Event::Stopped(id));
            }
        });
    }

    fn recover(&self, progress: &Progress) -> Result<(Ledger, Box<Log>), StartError> {
        let began = Instant::now();
        let mut recovering = Recovering(Rebuild::new(self.ledger));
        let recovered = self
            .data
            .recover(self.id, progress, &mut recovering)
            .map_err(|source| StartError::Recovery {
                shard: self.id,
                source,
            })?;
        if let Some(tail) = &recovered.torn_tail {
            tracing::warn!(shard = self.id.0, "cut off {tail}");
        }
        tracing::info!(
            shard = self.id.0,
            checkpoint_lsn = recovered.checkpoint.map_or(0, |c| c.next_lsn.0 - 1),
            entries = recovered.checkpoint.map_or(0, |c| c.records),
            postings = recovered.postings,
            frames = recovered.frames,
            clean_shutdown = recovered.clean_shutdown,
            seconds = began.elapsed().as_secs_f64(),
            "recovered"
        );
        Ok((recovering.0.into_ledger(), Box::new(recovered.log)))
    }
}

/// A ledger that comes back, where tests can end the process at every step of it.
struct Recovering(Rebuild);

impl Visitor for Recovering {
    fn entry(&mut self, entry: Entry) -> Result<(), String> {
        failpoint::pass(Window::MidRecovery);
        self.0.entry(entry)
    }

    fn restored(&mut self, header: &SealedHeader) -> Result<(), String> {
        self.0.restored(header)
    }

    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String> {
        let applied = self.0.posting(lsn, posting);
        failpoint::pass(Window::MidRecovery);
        applied
    }

    fn again(&mut self) {
        self.0.again();
    }
}

fn build_executor(id: ShardId, cpu: Option<usize>) -> Result<LocalExecutor, StartError> {
    if let Some(cpu) = cpu {
        // glommio's own placement looks at online CPUs, not at the process's mask.
        let mut mask = nix::sched::CpuSet::new();
        let pinned = mask
            .set(cpu)
            .and_then(|()| nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &mask));
        if let Err(error) = pinned {
            tracing::warn!(shard = id.0, cpu, %error, "cannot pin the shard to its CPU; it runs unpinned");
        }
    }
    LocalExecutorBuilder::new(Placement::Unbound)
        .name(&format!("shard-{id}"))
        .io_memory(IO_MEMORY_BYTES)
        .preempt_timer(PREEMPT_TIMER)
        .make()
        .map_err(|error| StartError::Executor {
            shard: id,
            why: error.to_string(),
        })
}

/// Tells the supervisor when the thread unwinds.
struct ReportPanic {
    id: ShardId,
    events: Sender<Event>,
    started: Sender<Result<(), StartError>>,
}

impl Drop for ReportPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.events.send(Event::Panicked(self.id));
            let _ = self.started.send(Err(StartError::Panicked(self.id)));
        }
    }
}
