//! All shards of the process: their start, and their end.
//!
//! Each shard's thread (`boot.rs`) reads its own log, all of them at once, so that its ledger lies
//! in memory near its core. None of them serves before all of them are there.
//!
//! The end comes in three steps, so that nothing accepted goes unanswered: shards are
//! asked to **drain** (what they serve ends by itself), then the cluster **closes**
//! (no new commands; mailboxes are emptied, the last batch becomes durable), then the
//! threads are joined.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, bounded, unbounded};

use super::background::LogReach;
use super::boot::Boot;
use super::compactor::{CheckpointSettings, Compactor};
use super::control::ControlHandle;
use super::flusher::{FlushPlace, Flusher};
use super::handle::ShardHandle;
use super::metrics::ShardMetrics;
use super::scrubber::{ScrubSettings, Scrubber};
use super::supplier::{Supplier, SupplyLine};
use crate::ledger::LedgerSettings;
use crate::mesh::{Mesh, doorbell::Doorbell};
use crate::routing::SlotMap;
use crate::types::ShardId;
use crate::wal::{DataSet, LogError, OpenError, Progress};

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

    pub(super) fn is_memory_full(&self) -> bool {
        self.memory_full.load(Ordering::Relaxed)
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
    /// [`HOUSEKEEPING`](super::HOUSEKEEPING).
    pub fn set_full(&self, full: bool) {
        self.0.memory_full.store(full, Ordering::Relaxed);
    }
}

fn thread_error(shard: ShardId) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::Thread { shard, source }
}
