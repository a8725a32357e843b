//! Boot and end of the shards: one thread each, a glommio executor on it, and the
//! tasks that make it a shard.
//!
//! The end comes in three steps, so that nothing accepted goes unanswered: shards are
//! asked to **drain** (what they serve ends by itself), then the cluster **closes**
//! (no new commands; mailboxes are emptied, the last batch becomes durable), then the
//! threads are joined.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, unbounded};
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};

use super::control::ControlHandle;
use super::handle::{Inner, ShardHandle};
use super::metrics::ShardMetrics;
use super::wait::REPLY_TIMEOUT;
use super::{committer, pump};
use crate::ledger::LedgerSettings;
use crate::mesh::{Mesh, doorbell::Doorbell};
use crate::routing::SlotMap;
use crate::shard::Shard;
use crate::storage::Storage;
use crate::types::ShardId;

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

/// How often overdue answers are looked for, and sizes are published. Its timer also
/// bounds how long an executor can sleep by mistake.
const HOUSEKEEPING: Duration = Duration::from_millis(250);

/// What the shards need to know.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// Who owns which slot, and so how many shards there are.
    pub slot_map: SlotMap,
    /// The CPU of each shard, or empty to let the scheduler place them.
    pub pin_to_cpus: Vec<usize>,
    /// For every shard's ledger.
    pub ledger: LedgerSettings,
}

/// The cluster could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A thread could not be created.
    #[error("create the thread of shard {shard}")]
    Thread {
        /// Whose.
        shard: ShardId,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An executor could not be created on its thread.
    #[error("create the executor of shard {shard}: {why}")]
    Executor {
        /// Whose.
        shard: ShardId,
        /// Why, as glommio or the system says it.
        why: String,
    },
}

/// What happens to a shard after it was started.
#[derive(Debug)]
pub enum Event {
    /// What it served has drained.
    Drained(ShardId),
    /// Its mailbox is empty, its last batch durable, its executor gone.
    Stopped(ShardId),
    /// It could not write or sync. The process must end without another answer.
    DiskFailed(ShardId, io::Error),
    /// Its thread panicked.
    Panicked(ShardId),
}

/// What all peers share.
pub(super) struct Shared {
    pub(super) mesh: Mesh,
    pub(super) slot_map: SlotMap,
    draining: AtomicBool,
    drain_bells: Box<[Doorbell]>,
    closing: AtomicBool,
}

impl Shared {
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(super) fn poll_drain(&self, shard: ShardId, cx: &Context<'_>) -> Poll<()> {
        let draining = || self.draining.load(Ordering::Acquire);
        if !draining() {
            self.drain_bells[shard.index()].arm(cx.waker());
            if !draining() {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

/// All shards of this process.
pub struct Cluster {
    shared: Arc<Shared>,
    control: ControlHandle,
    metrics: Vec<Arc<ShardMetrics>>,
    threads: Vec<JoinHandle<()>>,
    events: Receiver<Event>,
}

impl Cluster {
    /// Starts a thread and an executor per shard, with one log each from `storages`,
    /// and on each what `serve` makes of its handle. `serve`'s future ends when it has
    /// drained after [`ShardHandle::drain_requested`]. Returns when all executors run.
    ///
    /// # Errors
    /// A thread or an executor could not be created; those that were are stopped.
    ///
    /// # Panics
    /// When there are not as many storages as shards.
    pub fn start<S, F, Fut>(
        settings: &ClusterSettings,
        storages: Vec<S>,
        serve: F,
    ) -> Result<Self, StartError>
    where
        S: Storage,
        F: Fn(ShardHandle) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let shards = settings.slot_map.shards();
        assert!(storages.len() == usize::from(shards));
        let shared = Arc::new(Shared {
            mesh: Mesh::new(shards),
            slot_map: settings.slot_map,
            draining: AtomicBool::new(false),
            drain_bells: (0..shards).map(|_| Doorbell::default()).collect(),
            closing: AtomicBool::new(false),
        });
        let (event_sender, events) = unbounded();
        let (started_sender, started) = unbounded();
        let metrics: Vec<_> = (0..shards)
            .map(|_| Arc::new(ShardMetrics::default()))
            .collect();
        let mut cluster = Self {
            control: ControlHandle::new(shared.clone()),
            shared,
            metrics,
            threads: Vec::new(),
            events,
        };
        for (id, storage) in (0..shards).map(ShardId).zip(storages) {
            let boot = Boot {
                id,
                cpu: settings.pin_to_cpus.get(id.index()).copied(),
                shared: cluster.shared.clone(),
                metrics: cluster.metrics[id.index()].clone(),
                ledger: settings.ledger,
                events: event_sender.clone(),
                started: started_sender.clone(),
            };
            let serve = serve.clone();
            let thread = std::thread::Builder::new()
                .name(format!("shard-{id}"))
                .spawn(move || boot.run(storage, serve));
            match thread {
                Ok(thread) => cluster.threads.push(thread),
                Err(source) => {
                    cluster.abort();
                    return Err(StartError::Thread { shard: id, source });
                }
            }
        }
        drop(started_sender);
        for _ in 0..shards {
            match started.recv() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    cluster.abort();
                    return Err(error);
                }
                Err(_) => unreachable!("every shard reports before it ends"),
            }
        }
        Ok(cluster)
    }

    /// The control plane's way in.
    #[must_use]
    pub fn control(&self) -> &ControlHandle {
        &self.control
    }

    /// What each shard counts, by shard.
    #[must_use]
    pub fn metrics(&self) -> &[Arc<ShardMetrics>] {
        &self.metrics
    }

    /// What happens to the shards, for whoever supervises them.
    #[must_use]
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// Asks every shard to drain; each reports [`Event::Drained`].
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::Release);
        for bell in &self.shared.drain_bells {
            bell.ring();
        }
    }

    /// Refuses new commands and lets every shard finish; each reports [`Event::Stopped`].
    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        for shard in 0..self.shared.slot_map.shards() {
            self.shared
                .mesh
                .ring(crate::mesh::PeerId::shard(ShardId(shard)));
        }
    }

    /// Waits for the threads after all shards have stopped.
    pub fn join(self) {
        for thread in self.threads {
            // A panic was reported as an event.
            let _ = thread.join();
        }
    }

    /// Ends the threads of a cluster that never came up.
    fn abort(&mut self) {
        self.drain();
        self.close();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// What a shard's thread is given.
struct Boot {
    id: ShardId,
    cpu: Option<usize>,
    shared: Arc<Shared>,
    metrics: Arc<ShardMetrics>,
    ledger: LedgerSettings,
    events: Sender<Event>,
    started: Sender<Result<(), StartError>>,
}

impl Boot {
    fn run<S, F, Fut>(self, storage: S, serve: F)
    where
        S: Storage,
        F: Fn(ShardHandle) -> Fut,
        Fut: Future<Output = ()> + 'static,
    {
        let _report = ReportPanic {
            id: self.id,
            events: self.events.clone(),
        };
        let executor = match build_executor(self.id, self.cpu) {
            Ok(executor) => executor,
            Err(error) => {
                // The cluster is gone if it gave up on another shard before.
                let _ = self.started.send(Err(error));
                return;
            }
        };
        let shard = Shard::new(self.ledger);
        let handle = ShardHandle::new(self.id, self.shared, shard, self.metrics);
        let (id, events, started) = (self.id, self.events, self.started);
        executor.run(async move {
            let pump = glommio::spawn_local(pump::run(handle.0.clone()));
            let commit_events = events.clone();
            let inner = handle.0.clone();
            glommio::spawn_local(async move {
                let error = committer::run(inner, storage).await;
                let _ = commit_events.send(Event::DiskFailed(id, error));
            })
            .detach();
            glommio::spawn_local(keep_house(handle.0.clone())).detach();
            let _ = started.send(Ok(()));
            serve(handle).await;
            let _ = events.send(Event::Drained(id));
            pump.await;
            let _ = events.send(Event::Stopped(id));
        });
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

/// What goes by time rather than by request.
async fn keep_house(inner: Rc<Inner>) {
    loop {
        glommio::timer::sleep(HOUSEKEEPING).await;
        inner
            .replies
            .borrow_mut()
            .wake_overdue(Instant::now(), REPLY_TIMEOUT);
        let shard = inner.shard.borrow();
        let counts = shard.ledger().counts();
        let metrics = &inner.metrics;
        metrics.accounts.set(counts.accounts as u64);
        metrics.sessions.set(counts.sessions as u64);
        metrics.transactions.set(counts.transactions as u64);
        metrics.appended_lsn.set(shard.appended_lsn().0);
        metrics.durable_lsn.set(shard.durable_lsn().0);
    }
}

/// Tells the supervisor when the thread unwinds.
struct ReportPanic {
    id: ShardId,
    events: Sender<Event>,
}

impl Drop for ReportPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.events.send(Event::Panicked(self.id));
        }
    }
}
