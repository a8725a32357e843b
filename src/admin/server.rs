//! The admin thread: its listener, its runtime, its beginning and its end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::Deref;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use shards::runtime::{ControlHandle, ShardMetrics};
use shards::types::UnixMillis;
use shards::wal::DataSet;
use tokio::sync::{Semaphore, oneshot};

use super::bookings::Bookings;
use super::dashboard::{self, LiveStreams};
use super::health::Readiness;
use super::import::IMPORTS_AT_ONCE;
use super::listener::{CONNECTIONS_MAX, Cut, IDLE_TIMEOUT, Listener};
use super::metrics::{AnswerCounts, MetricsSource};
use super::openapi::WalletAddress;
use super::routes;
use super::slow_requests::SlowRequests;
use super::transactions::LISTS_AT_ONCE;
use crate::domain::Domains;
use crate::live::Live;
use crate::settings::Settings;
use crate::slow::SlowRing;

/// How often the pump of the control plane looks for answers that are overdue.
const PUMP_WAKE_INTERVAL: Duration = Duration::from_secs(1);

/// What the admin API works with.
pub struct AdminState {
    /// The way to the shards. Its pump runs here.
    pub control: ControlHandle,
    /// The domains of the configuration and the token, as they are now.
    pub settings: Arc<Live<Settings>>,
    /// What each shard counts, by shard.
    pub shard_metrics: Vec<Arc<ShardMetrics>>,
    /// Whatever else is counted; each writes metrics of its own names.
    pub metrics_sources: Vec<MetricsSource>,
    /// What `/healthz` and `/readyz` say.
    pub readiness: Arc<Readiness>,
    /// Where an import is kept until all of it was checked: the data directory. The
    /// file has no name there and is gone with the process.
    pub spool_dir: PathBuf,
    /// Where the shards' logs are, to read what was booked.
    pub data: DataSet,
    /// How far back an account's transactions are listed.
    pub idempotency_window: Duration,
    /// Where the wallet is, for the documentation.
    pub wallet: WalletAddress,
    /// Where the shards put the wallet's slow requests.
    pub slow_ring: Arc<SlowRing>,
}

/// What handlers share.
#[derive(Clone)]
pub(super) struct App(Arc<Shared>);

pub(super) struct Shared {
    state: AdminState,
    /// Where the admin API is.
    pub(super) addr: SocketAddr,
    pub(super) started_at: UnixMillis,
    pub(super) started: Instant,
    pub(super) imports: Arc<Semaphore>,
    pub(super) lists: Arc<Semaphore>,
    pub(super) bookings: Arc<Bookings>,
    pub(super) slow_requests: SlowRequests,
    pub(super) answers: AnswerCounts,
    pub(super) live_streams: Arc<LiveStreams>,
}

impl Shared {
    /// The domains as they are now. What must not change under a request asks once.
    pub(super) fn domains(&self) -> Arc<Domains> {
        Arc::clone(&self.settings.get().domains)
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Deref for Shared {
    type Target = AdminState;

    fn deref(&self) -> &AdminState {
        &self.state
    }
}

/// A bound address that nobody serves yet. Clients that connect meanwhile wait.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    addr: SocketAddr,
}

impl AdminServer {
    /// Takes the address.
    ///
    /// # Errors
    /// It cannot be listened on; the error names it.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        let bound = TcpListener::bind(addr).and_then(|listener| {
            // What tokio takes over must not block its thread.
            listener.set_nonblocking(true)?;
            let addr = listener.local_addr()?;
            Ok(Self { listener, addr })
        });
        bound.map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("listen on {addr} for the admin API: {error}"),
            )
        })
    }

    /// The address, with the port that the system chose if none was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves on a thread of its own.
    ///
    /// # Errors
    /// The thread or what it waits with could not be created.
    pub fn start(self, state: AdminState) -> io::Result<AdminThread> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(self.listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let app = App(Arc::new(Shared {
            lists: Arc::new(Semaphore::new(LISTS_AT_ONCE)),
            bookings: Arc::new(Bookings::new(state.data.clone())),
            slow_requests: SlowRequests::new(Arc::clone(&state.slow_ring)),
            state,
            addr: self.addr,
            started_at: shards::runtime::now(),
            started: Instant::now(),
            imports: Arc::new(Semaphore::new(IMPORTS_AT_ONCE)),
            answers: AnswerCounts::default(),
            live_streams: Arc::default(),
        }));
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || {
                let finished = runtime.block_on(serve(listener, app, stopped));
                // Whatever is still at it, a disk that hangs included, is left behind.
                runtime.shutdown_background();
                finished
            })?;
        Ok(AdminThread {
            stop,
            thread,
            addr: self.addr,
        })
    }
}

/// The running admin API. Dropping it stops it at once.
#[derive(Debug)]
pub struct AdminThread {
    stop: oneshot::Sender<Duration>,
    thread: JoinHandle<bool>,
    addr: SocketAddr,
}

impl AdminThread {
    /// The address it serves.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Accepts no more connections, finishes the requests in flight, and returns when
    /// the thread has ended: whether all of them were answered within `timeout`.
    ///
    /// Requests need the shards, so stop this before the shards are closed.
    pub fn stop(self, timeout: Duration) -> bool {
        // A thread that is gone already has nothing to stop.
        let _ = self.stop.send(timeout);
        self.thread.join().unwrap_or(false)
    }
}

async fn serve(
    listener: tokio::net::TcpListener,
    app: App,
    stopped: oneshot::Receiver<Duration>,
) -> bool {
    tokio::spawn(run_pump(app.control.clone()));
    tokio::spawn(dashboard::run_live_streams(app.clone()));
    let (drain, drained) = oneshot::channel::<()>();
    let listener = Listener::new(listener, CONNECTIONS_MAX, IDLE_TIMEOUT);
    let router = routes::router(app.clone());
    let serving = axum::serve(
        listener,
        router.into_make_service_with_connect_info::<Cut>(),
    )
    .with_graceful_shutdown(async {
        let _ = drained.await;
    });
    let serving = tokio::spawn(serving.into_future());
    let patience = stopped.await.unwrap_or(Duration::ZERO);
    // They would never end by themselves.
    app.live_streams.close();
    let _ = drain.send(());
    matches!(tokio::time::timeout(patience, serving).await, Ok(Ok(_)))
}

/// Brings the answers of the shards to those who wait for them.
async fn run_pump(control: ControlHandle) {
    let mut pump = pin!(control.pump());
    loop {
        // Polled at least that often, so that overdue answers are noticed.
        let _ = tokio::time::timeout(PUMP_WAKE_INTERVAL, pump.as_mut()).await;
    }
}
