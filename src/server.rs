//! Boot and drain order.
//!
//! Boot: preflight, sockets, data directory, shards, admin API, demo players, ready. A
//! port that is taken or a limit that is too low ends it before anything runs.
//!
//! Drain, on SIGTERM or SIGINT: no new connections, requests in flight are answered,
//! the admin API ends, mailboxes are emptied, the last batch becomes durable. All of it
//! within `shutdown_timeout`; a second signal ends the process at once.

use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use crossbeam::channel::{Receiver, RecvTimeoutError, Select, bounded};
use nix::sys::signal::{SigSet, Signal};
use shards::failpoint;
use shards::ledger::LedgerSettings;
use shards::runtime::{
    CheckpointSettings, Cluster, ClusterSettings, Event, FlushPlace, ShardHandle, StartError,
};
use shards::storage::{Caching, DirectDisk, DirectoryLock};
use shards::wal::{self, DataSet, Founding, OpenError};

use crate::admin::{AdminServer, AdminState, AdminThread, AdminToken, Readiness};
use crate::cli::ServeOptions;
use crate::config::{self, Config, Durability};
use crate::http::{HttpMetrics, HttpShared, Limits, Seats};
use crate::listener;
use crate::preflight::{self, Placement};
use crate::shell::quoted;
use crate::tune::AtStart;
use crate::wallet::{Parts, Times, TokenMint, WalletMetrics, WalletService};
use crate::{demo, metrics, offline};

// reliability.md's exit statuses: could not run, the data is refused, the disk failed.
const EXIT_FAILED: i32 = 1;
const EXIT_DATA_REFUSED: u8 = 3;
const EXIT_DISK_FAILED: u8 = 4;

/// What every shard's server is made of. One clone goes to each shard's thread.
#[derive(Clone)]
struct ServeParts {
    config: Arc<Config>,
    /// By shard: its share of the wallet port, and its own port if it has one.
    sockets: Arc<parking_lot::Mutex<Vec<Vec<OwnedFd>>>>,
    seats: Arc<Seats>,
    http_metrics: Vec<Arc<HttpMetrics>>,
    wallet_metrics: Vec<Arc<WalletMetrics>>,
    mint: Arc<TokenMint>,
    draining: Arc<AtomicBool>,
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// It could not start, or not end in time.
pub fn run(config: &Config, options: &ServeOptions) -> anyhow::Result<ExitCode> {
    // Before any thread exists, so that none of them gets a signal by itself.
    let signals = watch_signals()?;
    failpoint::arm_from_environment().context(failpoint::VARIABLE)?;
    avoid_huge_pages();
    let placement = preflight::run(config)?;
    for note in &placement.notes {
        tracing::warn!("{note}");
    }
    let host = AtStart::look(config);
    for warning in &host.warnings {
        tracing::warn!("{warning}");
    }
    let listening = Listening::open(config, placement.shards)?;
    // Held until the process ends.
    let _lock = DirectoryLock::acquire(&config.data_dir)?;
    // Before anything else is looked at: two data sets may stand side by side.
    let settled = offline::settle(&config.data_dir)
        .with_context(|| format!("finish the layout of {}", config.data_dir.display()))?;
    offline::say_settled(&settled, |line| tracing::warn!("{line}"));
    let data = open_data(config, placement.shards)?;

    let parts = ServeParts::new(config, &placement, listening.shard_sockets);
    let cluster = start_cluster(config, &placement, &data, parts.clone())?;
    let readiness = Arc::new(Readiness::not_ready("the server is starting"));
    let token = AdminToken::new(config.admin.require_token()?.expose())
        .context("the admin token must not be blank")?;
    let admin_address = listening.admin.local_addr();
    let admin = listening.admin.start(AdminState {
        control: cluster.control().clone(),
        domains: Arc::new(config.domains.clone()),
        token,
        shard_metrics: cluster.metrics().to_vec(),
        metrics_sources: vec![
            metrics::exporter(parts.http_metrics.clone(), parts.wallet_metrics.clone()),
            host.exporter(),
        ],
        readiness: readiness.clone(),
        spool_dir: config.data_dir.clone(),
    })?;
    let demo_file = if options.demo {
        match create_demo(&cluster, &config.data_dir) {
            Ok(file) => Some(file),
            // What became of a shard says more than that it did not answer.
            Err(error) => return cluster.events().try_recv().map_or(Err(error), after),
        }
    } else {
        None
    };
    readiness.set_ready();
    announce(
        placement.shards,
        listening.wallet,
        admin_address,
        demo_file.as_deref(),
    )?;
    supervise(
        &signals,
        cluster,
        admin,
        &readiness,
        &parts.draining,
        config.shutdown_timeout,
    )
}

/// The kernel zeroes a huge page, 2 MiB, in the middle of whatever touches it first: of 10
/// million inserts some 540 took 1 to 6 ms for that, and without it 3 did. The price is a
/// tenth of a microsecond for each, in more misses of the address cache
/// (`purser-bench insert`, with and without `--huge-pages`).
fn avoid_huge_pages() {
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        tracing::warn!(%error, "transparent huge pages stay on; expect pauses of milliseconds");
    }
}

/// Everything that listens, bound before anything serves.
struct Listening {
    wallet: SocketAddr,
    admin: AdminServer,
    shard_sockets: Vec<Vec<OwnedFd>>,
}

impl Listening {
    fn open(config: &Config, shards: u16) -> anyhow::Result<Self> {
        let admin = AdminServer::bind(config.listen.admin)?;
        let bound = listener::bind_all(config.listen.wallet, usize::from(shards))?;
        let mut shard_sockets: Vec<Vec<OwnedFd>> = bound
            .sockets
            .into_iter()
            .map(|socket| vec![socket])
            .collect();
        if let Some(ports) = config
            .listen
            .shard_ports_of(shards)
            .map_err(anyhow::Error::msg)?
        {
            for (sockets, port) in shard_sockets.iter_mut().zip(ports) {
                let address = SocketAddr::new(config.listen.wallet.ip(), port);
                sockets.extend(listener::bind_all(address, 1)?.sockets);
            }
        }
        Ok(Self {
            wallet: bound.address,
            admin,
            shard_sockets,
        })
    }
}

impl ServeParts {
    fn new(config: &Config, placement: &Placement, sockets: Vec<Vec<OwnedFd>>) -> Self {
        let shards = usize::from(placement.shards);
        Self {
            config: Arc::new(config.clone()),
            sockets: Arc::new(parking_lot::Mutex::new(sockets)),
            seats: Arc::new(Seats::new(
                config.limits.max_connections as usize,
                config.limits.max_connections_per_client as usize,
            )),
            http_metrics: (0..shards).map(|_| Arc::default()).collect(),
            wallet_metrics: (0..shards).map(|_| Arc::default()).collect(),
            mint: Arc::default(),
            draining: Arc::default(),
        }
    }

    /// Serves one shard's connections until it has drained.
    async fn serve(self, handle: ShardHandle) {
        let shard = handle.id().index();
        let sockets = std::mem::take(&mut self.sockets.lock()[shard]);
        let shared = HttpShared::new(
            http_limits(&self.config.limits),
            self.http_metrics[shard].clone(),
            self.seats.clone(),
        );
        let service = WalletService::new(Parts {
            ledger: handle.clone(),
            domains: Arc::new(self.config.domains.clone()),
            trusted_proxies: self.config.trusted_proxies.clone(),
            clock: Box::new(shards::runtime::now),
            metrics: self.wallet_metrics[shard].clone(),
            draining: self.draining.clone(),
            times: Times {
                idempotency_window: self.config.ledger.idempotency_window,
                clock_skew_max: self.config.ledger.max_clock_skew,
            },
            mint: self.mint.clone(),
        });
        let patience = connections_share(self.config.shutdown_timeout);
        let cut = {
            let handle = handle.clone();
            async move {
                handle.drain_requested().await;
                glommio::timer::sleep(patience).await;
                tracing::warn!(shard, "connections that did not end in time are cut");
                Ok(())
            }
        };
        let stop = async move { handle.drain_requested().await };
        let serve = listener::serve(sockets, std::rc::Rc::new(service), shared, stop);
        if let Err(error) = futures_lite::future::or(serve, cut).await {
            tracing::error!(shard, %error, "cannot serve connections");
        }
    }
}

/// The part of `shutdown_timeout` that requests in flight may take: half, so that a client
/// that never finishes its request leaves time for the admin API and the last batch.
fn connections_share(shutdown_timeout: Duration) -> Duration {
    shutdown_timeout / 2
}

/// The operator's bounds, beside those that are ours.
fn http_limits(operator: &config::Limits) -> Limits {
    Limits {
        header_timeout: operator.header_timeout,
        body_timeout: operator.body_timeout,
        idle_timeout: operator.idle_timeout,
        write_timeout: operator.write_timeout,
        max_head_bytes: operator.max_head_bytes,
        max_headers: operator.max_headers,
        max_body_bytes: operator.max_body_bytes,
        max_pipelined_bytes: operator.max_pipelined_bytes,
        max_in_flight: operator.max_in_flight,
        ..Limits::default()
    }
}

/// The status of a server that could not start or run.
#[must_use]
pub fn exit_status(error: &anyhow::Error) -> ExitCode {
    let is_recovery = error.downcast_ref::<StartError>().is_some();
    match error.chain().find_map(|cause| cause.downcast_ref()) {
        Some(OpenError::Refused(_)) => ExitCode::from(EXIT_DATA_REFUSED),
        // Data that is there and cannot be made durable; founding it is only a start.
        Some(OpenError::Io { .. }) if is_recovery => ExitCode::from(EXIT_DISK_FAILED),
        Some(OpenError::Io { .. } | OpenError::OtherShardCount { .. }) | None => ExitCode::FAILURE,
    }
}

/// Finds the data set in the data directory, or founds one.
fn open_data(config: &Config, shards: u16) -> anyhow::Result<DataSet> {
    let (caching, durability) = match config.log.durability {
        Durability::Fsync => (Caching::Bypassed, wal::Durability::Fsync),
        Durability::Os => (Caching::Used, wal::Durability::Os),
    };
    let disk = DirectDisk::open(&config.data_dir, caching)
        .with_context(|| format!("write to the data directory {}", config.data_dir.display()))?;
    let settings = wal::LogSettings {
        segment_bytes: config.log.segment_bytes,
        durability,
    };
    let new = Founding::random().context("the system's random source failed")?;
    match DataSet::open(Arc::new(disk), shards, settings, new) {
        Err(other @ OpenError::OtherShardCount { found, asked, .. }) => bail!(
            "{other}; start with --shards {found}, or lay the data out anew first: \
             purser reshard --data-dir {} --shards {asked}",
            quoted(&config.data_dir.to_string_lossy())
        ),
        opened => Ok(opened?),
    }
}

fn start_cluster(
    config: &Config,
    placement: &Placement,
    data: &DataSet,
    parts: ServeParts,
) -> anyhow::Result<Cluster> {
    let settings = ClusterSettings {
        flush_place: FlushPlace::Auto,
        pin_to_cpus: if placement.pin {
            placement.cpus.clone()
        } else {
            Vec::new()
        },
        ledger: LedgerSettings {
            idempotency_window: config.ledger.idempotency_window,
            digest_secret: data.manifest().digest_secret,
            clock_skew_max: config.ledger.max_clock_skew,
        },
        checkpoints: CheckpointSettings {
            log_bytes: config.log.checkpoint_bytes,
            history: config.log.history,
        },
    };
    Ok(Cluster::start(&settings, data, move |handle| {
        parts.clone().serve(handle)
    })?)
}

/// The admin API runs: its thread brings the answers, and notices those that are overdue.
fn create_demo(cluster: &Cluster, data_dir: &Path) -> anyhow::Result<std::path::PathBuf> {
    futures_lite::future::block_on(demo::create_players(cluster.control(), data_dir))
}

/// Tells on stdout where the server listens, for people and for scripts.
fn announce(
    shards: u16,
    wallet: SocketAddr,
    admin: SocketAddr,
    demo_file: Option<&Path>,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "purser {} is ready: {shards} shards",
        env!("CARGO_PKG_VERSION")
    )?;
    writeln!(out, "wallet API  http://{wallet}")?;
    writeln!(out, "admin API   http://{admin}")?;
    if let Some(file) = demo_file {
        writeln!(out, "players     {}", file.display())?;
        writeln!(out, "try it:\n{}", demo::curl(wallet))?;
    }
    Ok(out.flush()?)
}

/// Waits for a signal or a failure, then drains.
fn supervise(
    signals: &Receiver<Signal>,
    cluster: Cluster,
    admin: AdminThread,
    readiness: &Readiness,
    draining: &AtomicBool,
    shutdown_timeout: Duration,
) -> anyhow::Result<ExitCode> {
    let shards = cluster.metrics().len();
    let mut supervisor = Supervisor {
        signals,
        cluster: &cluster,
        deadline: None,
    };
    match supervisor.next()? {
        Next::Signal(signal) => tracing::info!(%signal, "draining"),
        Next::Event(event) => return after(event),
        Next::TimeIsUp => unreachable!("there is no deadline yet"),
    }
    supervisor.deadline = Some(Instant::now() + shutdown_timeout);
    draining.store(true, Ordering::Release);
    readiness.set_draining();
    cluster.drain();
    if let Some(status) =
        supervisor.await_all(shards, |event| matches!(event, Event::Drained(_)))?
    {
        return Ok(status);
    }
    // Half of what is left, for the same reason.
    if !admin.stop(supervisor.time_left() / 2) {
        tracing::warn!("requests of the admin API that did not end in time are cut");
    }
    cluster.close();
    if let Some(status) =
        supervisor.await_all(shards, |event| matches!(event, Event::Stopped(_)))?
    {
        return Ok(status);
    }
    cluster.join();
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// What the supervisor heard.
enum Next {
    Signal(Signal),
    Event(Event),
    TimeIsUp,
}

struct Supervisor<'a> {
    signals: &'a Receiver<Signal>,
    cluster: &'a Cluster,
    deadline: Option<Instant>,
}

impl Supervisor<'_> {
    fn next(&self) -> anyhow::Result<Next> {
        let mut select = Select::new();
        let signal = select.recv(self.signals);
        let event = select.recv(self.cluster.events());
        let ready = match self.deadline {
            None => select.ready(),
            Some(deadline) => match select.ready_deadline(deadline) {
                Ok(ready) => ready,
                Err(_) => return Ok(Next::TimeIsUp),
            },
        };
        if ready == signal {
            return Ok(Next::Signal(
                self.signals.recv().context("the signal thread ended")?,
            ));
        }
        assert!(ready == event);
        match self.cluster.events().recv_timeout(Duration::ZERO) {
            Ok(event) => Ok(Next::Event(event)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                bail!("all shards have ended without a word")
            }
        }
    }

    /// Waits until every shard reported `what`; a status when the process must end now.
    fn await_all(
        &self,
        shards: usize,
        what: impl Fn(&Event) -> bool,
    ) -> anyhow::Result<Option<ExitCode>> {
        for _ in 0..shards {
            match self.next()? {
                Next::Event(event) if what(&event) => {}
                Next::Event(event) => return after(event).map(Some),
                Next::Signal(_) => unreachable!("a second one ends the process"),
                Next::TimeIsUp => bail!(
                    "not everything was drained within shutdown_timeout; \
                     what was answered is safe, what was not may be retried"
                ),
            }
        }
        Ok(None)
    }

    fn time_left(&self) -> Duration {
        self.deadline.map_or(Duration::ZERO, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        })
    }
}

/// A shard ended when it should not have.
fn after(event: Event) -> anyhow::Result<ExitCode> {
    match event {
        Event::DiskFailed(shard, error) => {
            let error = anyhow::Error::new(error);
            tracing::error!(
                shard = shard.0,
                error = format!("{error:#}"),
                "the log could not be written; nobody in this batch was answered, and the \
                 process ends: restart it to read back what the disk holds"
            );
            Ok(ExitCode::from(EXIT_DISK_FAILED))
        }
        Event::Panicked(shard) => bail!("shard {shard} panicked; this is a fault of purser"),
        Event::Drained(shard) | Event::Stopped(shard) => {
            bail!("shard {shard} ended without being asked to")
        }
    }
}

/// Turns the first SIGTERM or SIGINT into a message. A second one ends the process here,
/// whatever it is waiting for: recovery, requests, the admin API or the disk.
fn watch_signals() -> anyhow::Result<Receiver<Signal>> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.add(Signal::SIGINT);
    set.thread_block().context("block SIGTERM and SIGINT")?;
    let (sender, receiver) = bounded(1);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let wait = || set.wait().expect("the set is a valid one");
            // Nobody hears it if the server could not start, and is on its way out.
            let _ = sender.send(wait());
            let second = wait();
            tracing::error!(%second, "ended by a second signal before everything was drained");
            std::process::exit(EXIT_FAILED);
        })
        .context("create the signal thread")?;
    Ok(receiver)
}
