//! Boot and end of the shards: one thread each, a glommio executor on it, and the
//! tasks that make it a shard.
//!
//! Each shard's thread reads its own log, all of them at once, so that its ledger lies
//! in memory near its core. None of them serves before all of them are there.
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
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};

use super::background::LogReach;
use super::committer::Committer;
use super::compactor::{CheckpointSettings, Compactor};
use super::control::ControlHandle;
use super::flusher::{FlushPlace, Flusher};
use super::handle::{Inner, ShardHandle};
use super::metrics::ShardMetrics;
use super::pump;
use super::scrubber::{ScrubSettings, Scrubber};
use super::supplier::{Supplier, SupplyLine};
use super::wait::REPLY_TIMEOUT;
use crate::failpoint::{self, Window};
use crate::ledger::{Book, Entry, Ledger, LedgerSettings, Posting};
use crate::mesh::{Mesh, doorbell::Doorbell};
use crate::routing::SlotMap;
use crate::shard::Shard;
use crate::types::{Lsn, ShardId};
use crate::wal::{DataSet, Log, LogError, OpenError, Progress, Rebuild, SealedHeader, Visitor};

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

/// How often overdue answers are looked for, sizes are published and the pump is rung. Its
/// timer also bounds how long an executor can sleep by mistake.
pub const HOUSEKEEPING: Duration = Duration::from_millis(250);

/// How often a long recovery says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// What the shards need to know.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// Where each shard's log is written.
    pub flush_place: FlushPlace,
    /// The CPU of each shard, or empty to let the scheduler place them.
    pub pin_to_cpus: Vec<usize>,
    /// For every shard's ledger.
    pub ledger: LedgerSettings,
    /// When logs are folded.
    pub checkpoints: CheckpointSettings,
    /// How closed files are looked through for damage; `None`: not at all.
    pub scrubs: Option<ScrubSettings>,
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
    /// A shard panicked before it was there; this is a fault of ours.
    #[error("shard {0} panicked while it started")]
    Panicked(ShardId),
    /// A log cannot be used.
    #[error("recover shard {shard}")]
    Recovery {
        /// Whose.
        shard: ShardId,
        /// Why.
        #[source]
        source: OpenError,
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
    DiskFailed(ShardId, LogError),
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
    /// Said by whoever watches the memory of the process; each shard looks now and then.
    memory_full: AtomicBool,
}

impl Shared {
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether the end has begun, in whichever step.
    pub(super) fn is_ending(&self) -> bool {
        self.is_draining() || self.is_closing()
    }

    pub(super) fn poll_drain(&self, shard: ShardId, cx: &Context<'_>) -> Poll<()> {
        if !self.is_draining() {
            self.drain_bells[shard.index()].arm(cx.waker());
            if !self.is_draining() {
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
    /// Those that sleep between pieces of work: the compactor and the scrubber.
    background: Vec<Thread>,
    events: Receiver<Event>,
}

impl Cluster {
    /// Starts a thread and an executor per shard, which reads its log back, and on each
    /// what `serve` makes of its handle. `serve`'s future ends when it has drained after
    /// [`ShardHandle::drain_requested`]. Nothing is served before all logs are read;
    /// returns when all executors run.
    ///
    /// # Errors
    /// A thread or an executor could not be created, or a log is refused; what was
    /// started is stopped, and nothing was served.
    ///
    /// # Panics
    /// When the ledger is to digest with another key than the data set's.
    pub fn start<F, Fut>(
        settings: &ClusterSettings,
        data: &DataSet,
        serve: F,
    ) -> Result<Self, StartError>
    where
        F: Fn(ShardHandle) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let slot_map = data.manifest().slot_map;
        // Digests of another key would find nothing that a checkpoint remembers.
        assert!(settings.ledger.digest_secret == data.manifest().digest_secret);
        let shards = slot_map.shards();
        let shared = Arc::new(Shared {
            mesh: Mesh::new(shards),
            slot_map,
            draining: AtomicBool::new(false),
            drain_bells: (0..shards).map(|_| Doorbell::default()).collect(),
            closing: AtomicBool::new(false),
            memory_full: AtomicBool::new(false),
        });
        let (event_sender, events) = unbounded();
        let metrics: Vec<_> = (0..shards)
            .map(|_| Arc::new(ShardMetrics::default()))
            .collect();
        let mut cluster = Self {
            control: ControlHandle::new(shared.clone()),
            shared,
            metrics,
            threads: Vec::new(),
            background: Vec::new(),
            events,
        };
        let reaches: Vec<Arc<LogReach>> = (0..shards).map(|_| Arc::default()).collect();
        let progress = Arc::new(Progress::default());
        let (started_sender, started) = unbounded();
        let (go, all_recovered) = bounded(0);
        let start_threads = |cluster: &mut Self| {
            let first = ShardId(0);
            let (supplier, thread) =
                Supplier::start(data.storage().clone()).map_err(thread_error(first))?;
            cluster.threads.push(thread);
            for id in (0..shards).map(ShardId) {
                let (flusher, thread) = Flusher::start(id, settings.flush_place, Arc::default())
                    .map_err(thread_error(id))?;
                cluster.threads.push(thread);
                let boot = Boot {
                    id,
                    cpu: settings.pin_to_cpus.get(id.index()).copied(),
                    shared: cluster.shared.clone(),
                    metrics: cluster.metrics[id.index()].clone(),
                    ledger: settings.ledger,
                    data: data.clone(),
                    reach: reaches[id.index()].clone(),
                    supply: SupplyLine::new(supplier.clone(), flusher.bell().clone()),
                    flusher,
                    events: event_sender.clone(),
                    started: started_sender.clone(),
                    all_recovered: all_recovered.clone(),
                };
                let (serve, progress) = (serve.clone(), progress.clone());
                let thread = std::thread::Builder::new()
                    .name(format!("shard-{id}"))
                    .spawn(move || boot.run(&progress, serve))
                    .map_err(thread_error(id))?;
                cluster.threads.push(thread);
            }
            Ok(())
        };
        let recovered =
            start_threads(&mut cluster).and_then(|()| cluster.await_started(&started, &progress));
        if let Err(error) = recovered {
            // Before they may go, so that those who wait for it go home.
            cluster.close();
            drop(go);
            cluster.abort();
            return Err(error);
        }
        drop(go);
        let in_background = cluster
            .await_started(&started, &progress)
            .and_then(|()| cluster.start_background(settings, data, &reaches));
        match in_background {
            Ok(()) => Ok(cluster),
            Err(error) => {
                cluster.abort();
                Err(error)
            }
        }
    }

    /// Only now, when recovery has removed what an earlier fold left.
    fn start_background(
        &mut self,
        settings: &ClusterSettings,
        data: &DataSet,
        reaches: &[Arc<LogReach>],
    ) -> Result<(), StartError> {
        let shards = reaches.iter().zip(&self.metrics);
        let checkpoints = shards
            .clone()
            .map(|(reach, shard)| (reach.clone(), shard.checkpoint.clone()));
        let (compactor, thread) = Compactor::start(
            data.clone(),
            settings.checkpoints,
            settings.ledger,
            checkpoints,
            self.shared.clone(),
        )
        .map_err(thread_error(ShardId(0)))?;
        self.background.push(compactor);
        self.threads.push(thread);
        if let Some(scrubs) = settings.scrubs {
            let shards = shards.map(|(reach, shard)| (reach.clone(), shard.scrub.clone()));
            let (scrubber, thread) =
                Scrubber::start(data.clone(), scrubs, shards, self.shared.clone())
                    .map_err(thread_error(ShardId(0)))?;
            self.background.push(scrubber);
            self.threads.push(thread);
        }
        Ok(())
    }

    /// Waits until every shard has reported, and says now and then how far they are.
    fn await_started(
        &self,
        started: &Receiver<Result<(), StartError>>,
        progress: &Progress,
    ) -> Result<(), StartError> {
        let mut waiting = self.shared.slot_map.shards();
        while waiting > 0 {
            match started.recv_timeout(PROGRESS_EVERY) {
                Ok(report) => {
                    report?;
                    waiting -= 1;
                }
                Err(RecvTimeoutError::Timeout) => tracing::info!(
                    shards_left = waiting,
                    mebibytes = progress.bytes.load(Ordering::Relaxed) >> 20,
                    postings = progress.postings.load(Ordering::Relaxed),
                    "reading the log"
                ),
                Err(RecvTimeoutError::Disconnected) => {
                    unreachable!("the caller holds a sender")
                }
            }
        }
        Ok(())
    }

    /// The control plane's way in.
    #[must_use]
    pub fn control(&self) -> &ControlHandle {
        &self.control
    }

    /// Where to say whether memory is full.
    #[must_use]
    pub fn memory_gate(&self) -> MemoryGate {
        MemoryGate(Arc::clone(&self.shared))
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
        self.wake_background();
    }

    /// Has the threads beside the shards look whether they are to end.
    fn wake_background(&self) {
        for thread in &self.background {
            thread.unpark();
        }
    }

    /// Refuses new commands and lets every shard finish; each reports [`Event::Stopped`].
    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.wake_background();
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

/// Tells all shards whether they may take more memory.
pub struct MemoryGate(Arc<Shared>);

impl MemoryGate {
    /// While memory is full, what would take more of it is refused
    /// ([`Unavailable::MemoryFull`](crate::Unavailable)). Shards go by it within
    /// [`HOUSEKEEPING`].
    pub fn set_full(&self, full: bool) {
        self.0.memory_full.store(full, Ordering::Relaxed);
    }
}

fn thread_error(shard: ShardId) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::Thread { shard, source }
}

/// What a shard's thread is given.
struct Boot {
    id: ShardId,
    cpu: Option<usize>,
    shared: Arc<Shared>,
    metrics: Arc<ShardMetrics>,
    ledger: LedgerSettings,
    data: DataSet,
    reach: Arc<LogReach>,
    supply: SupplyLine,
    flusher: Flusher,
    events: Sender<Event>,
    started: Sender<Result<(), StartError>>,
    /// Disconnected when all shards have reported that they are there, or when the
    /// cluster gave up, which then is closing.
    all_recovered: Receiver<()>,
}

impl Boot {
    fn run<F, Fut>(self, progress: &Progress, serve: F)
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

/// What goes by time rather than by request.
async fn keep_house(inner: Rc<Inner>) {
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
        shard.set_memory_full(inner.shared.memory_full.load(Ordering::Relaxed));
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
