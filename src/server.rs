//! Boot order, and what each shard serves.
//!
//! Preflight, sockets, data directory, shards, admin API, demo players, ready. A port that
//! is taken or a limit that is too low ends it before anything runs. From then on the
//! process waits in `drain.rs` for its end. SIGHUP is none: the configuration is read again
//! (`reload.rs`).

use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail};
use shards::failpoint;
use shards::ledger::LedgerSettings;
use shards::runtime::{
    CheckpointSettings, Cluster, ClusterSettings, FlushPlace, ScrubSettings, ShardHandle,
};
use shards::storage::{Caching, DirectDisk, DirectoryLock};
use shards::wal::{self, DataSet, Founding, OpenError};

use crate::admin::{AdminServer, AdminState, Readiness, WalletAddress};
use crate::cli::ServeOptions;
use crate::config::{Config, Durability};
use crate::drain::supervise;
use crate::exit::after;
use crate::http::{HttpMetrics, HttpShared, Seats};
use crate::listener::{self, Door};
use crate::live::{Live, View};
use crate::logging::LevelSwitch;
use crate::preflight::{self, Placement};
use crate::reload::{ReloadMetrics, Reloader};
use crate::settings::Settings;
use crate::shell::quoted;
use crate::slow::{SlowLog, SlowRing};
use crate::tls::TlsMetrics;
use crate::tune::AtStart;
use crate::wallet::{Parts, Times, TokenMint, WalletMetrics, WalletService};
use crate::{demo, metrics, offline, service, signals, usage};

/// What every shard's server is made of. One clone goes to each shard's thread.
#[derive(Clone)]
struct ServeParts {
    settings: Arc<Live<Settings>>,
    shutdown_timeout: Duration,
    /// By shard: its share of the wallet port, and its own port if it has one.
    sockets: Arc<parking_lot::Mutex<Vec<Vec<OwnedFd>>>>,
    seats: Arc<Seats>,
    http_metrics: Vec<Arc<HttpMetrics>>,
    wallet_metrics: Vec<Arc<WalletMetrics>>,
    times: Times,
    mint: Arc<TokenMint>,
    slow: Arc<SlowRing>,
    tls_metrics: Vec<Arc<TlsMetrics>>,
    draining: Arc<AtomicBool>,
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// It could not start, or not end in time.
pub fn run(
    config: &Config,
    options: &ServeOptions,
    log_level: LevelSwitch,
) -> anyhow::Result<ExitCode> {
    // Before any thread exists, so that none of them gets a signal by itself.
    let signals = signals::watch(options.config.is_some())?;
    failpoint::arm_from_environment().context(failpoint::VARIABLE)?;
    avoid_huge_pages();
    let placement = preflight::run(config)?;
    for note in &placement.notes {
        tracing::warn!("{note}");
    }
    for line in config.placeholders() {
        tracing::warn!("{line}");
    }
    let host = AtStart::look(config);
    for warning in &host.warnings {
        tracing::warn!("{warning}");
    }
    let listening = Listening::open(config, placement.shards)?;
    // Held until the process ends.
    // Never let go of by us: a shard may still write while the process ends.
    let _lock = std::mem::ManuallyDrop::new(DirectoryLock::acquire(&config.data_dir)?);
    // Before anything else is looked at: two data sets may stand side by side.
    let settled = offline::settle(&config.data_dir)
        .with_context(|| format!("finish the layout of {}", config.data_dir.display()))?;
    offline::say_settled(&settled, |line| tracing::warn!("{line}"));
    let data = open_data(config, placement.shards)?;

    let parts = ServeParts::new(config, &placement, listening.shard_sockets);
    service::starting();
    let cluster = start_cluster(config, &placement, &data, parts.clone())?;
    let readiness = Arc::new(Readiness::not_ready("the server is starting"));
    let budget = Arc::<usage::budget::BudgetMetrics>::default();
    usage::budget::watch(
        cluster.memory_gate(),
        Arc::clone(&parts.settings),
        budget.clone(),
    )?;
    let admin_address = listening.admin.local_addr();
    let scheme = if config.listen.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let reloads = Arc::<ReloadMetrics>::default();
    let admin = listening.admin.start(AdminState {
        control: cluster.control().clone(),
        settings: Arc::clone(&parts.settings),
        shard_metrics: cluster.metrics().to_vec(),
        metrics_sources: vec![
            metrics::exporter(parts.http_metrics.clone(), parts.wallet_metrics.clone()),
            host.exporter(),
            metrics::tls_exporter(parts.settings.clone(), parts.tls_metrics.clone()),
            metrics::reload_exporter(reloads.clone()),
            metrics::log_exporter(),
            usage::budget::exporter(budget),
            metrics::slow_exporter(parts.slow.clone()),
            usage::exporter(
                cluster.metrics().to_vec(),
                parts.http_metrics.clone(),
                config.data_dir.clone(),
            ),
        ],
        readiness: readiness.clone(),
        spool_dir: config.data_dir.clone(),
        data: data.clone(),
        idempotency_window: config.ledger.idempotency_window,
        wallet: WalletAddress {
            scheme,
            addr: listening.wallet,
        },
        slow_ring: parts.slow.clone(),
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
    let reloader = Reloader {
        options: options.clone(),
        config: config.clone(),
        settings: parts.settings.clone(),
        seats: parts.seats.clone(),
        log_level,
        metrics: reloads,
    };
    let hangups = signals.hangups;
    std::thread::Builder::new()
        .name("reload".to_owned())
        .spawn(move || reloader.run(&hangups))
        .context("create the reload thread")?;
    readiness.set_ready();
    announce(
        placement.shards,
        (scheme, listening.wallet),
        admin_address,
        demo_file.as_deref(),
    )?;
    service::start_watchdog(cluster.metrics().to_vec(), parts.draining.clone())?;
    service::ready("serving");
    supervise(
        &signals.stop,
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
            settings: Live::new(Settings::from(config), shards),
            shutdown_timeout: config.shutdown_timeout,
            sockets: Arc::new(parking_lot::Mutex::new(sockets)),
            seats: Arc::new(Seats::new(
                config.limits.max_connections as usize,
                config.limits.max_connections_per_client as usize,
            )),
            http_metrics: (0..shards).map(|_| Arc::default()).collect(),
            wallet_metrics: (0..shards).map(|_| Arc::default()).collect(),
            times: Times {
                idempotency_window: config.ledger.idempotency_window,
                clock_skew_max: config.ledger.max_clock_skew,
            },
            mint: Arc::default(),
            slow: Arc::new(SlowRing::new(placement.shards)),
            tls_metrics: (0..shards).map(|_| Arc::default()).collect(),
            draining: Arc::default(),
        }
    }

    /// Serves one shard's connections until it has drained.
    async fn serve(self, handle: ShardHandle) {
        let shard = handle.id().index();
        let sockets = std::mem::take(&mut self.sockets.lock()[shard]);
        let shared = HttpShared::new(
            self.settings.get().limits,
            self.http_metrics[shard].clone(),
            self.seats.clone(),
        );
        let settings = Rc::new(View::new(&self.settings, shard, {
            let shared = Rc::clone(&shared);
            move |settings: &Settings| shared.set_limits(settings.limits)
        }));
        let service = WalletService::new(Parts {
            ledger: handle.clone(),
            settings: Rc::clone(&settings),
            clock: Box::new(shards::runtime::now),
            metrics: self.wallet_metrics[shard].clone(),
            draining: self.draining.clone(),
            times: self.times,
            mint: self.mint.clone(),
            slow: SlowLog::new(handle.id(), self.slow.clone()),
        });
        let patience = connections_share(self.shutdown_timeout);
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
        let door = Door {
            settings,
            tls_metrics: self.tls_metrics[shard].clone(),
        };
        let serve = listener::serve(sockets, Rc::new(service), shared, door, stop);
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
        scrubs: NonZeroU64::new(config.log.scrub_bytes_per_second).map(|bytes_per_second| {
            ScrubSettings {
                bytes_per_second,
                interval: config.log.scrub_interval,
            }
        }),
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
    (scheme, wallet): (&str, SocketAddr),
    admin: SocketAddr,
    demo_file: Option<&Path>,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "purser {} is ready: {shards} shards",
        env!("CARGO_PKG_VERSION")
    )?;
    writeln!(out, "wallet API  {scheme}://{wallet}")?;
    writeln!(out, "admin API   http://{admin}")?;
    if let Some(file) = demo_file {
        writeln!(out, "players     {}", file.display())?;
        writeln!(out, "try it:\n{}", demo::curl(wallet))?;
    }
    Ok(out.flush()?)
}
