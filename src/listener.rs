//! Listening: one socket for each shard on one address, and the loop that accepts.
//!
//! All sockets are made by [`bind_all`] before any shard runs, so that a port that is
//! taken is one clear error. Each shard then runs, on its executor,
//!
//! ```text
//! let shared = HttpShared::new(limits, metrics, seats);
//! listener::serve(vec![socket], service, shared, door, stop).await?;
//! ```
//!
//! which returns when the shard has drained: once the future `stop` is ready the accept
//! loop ends, and `serve` returns when its last connection is closed. Dropping `serve`
//! instead stops accepting, leaves connections to the executor and is no drain.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use futures_lite::future;
use glommio::Task;
use glommio::timer::sleep;
use shards::runtime::let_io_run;
use socket2::{Domain, Protocol, Socket, Type};

use crate::http::connection::{refuse_connection, serve_connection};
use crate::http::limits::SWEEP_INTERVAL;
use crate::http::{self, Full, HttpShared, Service};
use crate::live::View;
use crate::readiness::{Listener, Readiness, Stream};
use crate::settings::Settings;
use crate::tls::{TlsMetrics, TlsStream};

/// Connections that wait to be accepted, per shard: what 10,000 clients that connect at
/// once need while the shard is busy for a few milliseconds. The kernel caps it at
/// `net.core.somaxconn`, which is 4096 by default.
pub(crate) const BACKLOG: i32 = 4_096;

/// Connections accepted in one go before the shard looks at those that are open: at some
/// 20 µs each that is less than a millisecond.
const ACCEPTS_PER_TURN_MAX: usize = 32;

/// The pause when accepting fails for want of a resource: it comes back when
/// connections close, and trying at once would only burn the core that closes them.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections per shard that are being told 503. Each holds a file descriptor for up
/// to the linger timeout, so under a flood the others are dropped untold.
const REFUSALS_MAX: usize = 64;

/// Why nobody can connect.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else listens there.
    #[error("listen on {address}: another server has this port; stop it or choose another port")]
    Taken {
        /// What was asked for.
        address: SocketAddr,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Anything else, such as an address that is not this machine's.
    #[error("listen on {address}")]
    Failed {
        /// What was asked for.
        address: SocketAddr,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// The listening sockets of one address.
#[derive(Debug)]
pub struct Bound {
    /// With the port that the kernel chose, if 0 was asked for.
    pub address: SocketAddr,
    /// One for each shard. The kernel spreads new connections over them.
    pub sockets: Vec<OwnedFd>,
}

/// Binds one socket for each shard, all listening on return.
///
/// # Errors
/// [`ListenError::Taken`] when another process listens there, even one of the same user
/// that would let us share its port.
pub fn bind_all(address: SocketAddr, shards: usize) -> Result<Bound, ListenError> {
    let fail = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken { address, source },
        _ => ListenError::Failed { address, source },
    };
    // SO_REUSEPORT lets every process of this user join in silence, and the kernel would
    // give it a share of our connections. Without it the kernel tells.
    if address.port() != 0 {
        bind(address, false).map_err(fail)?;
    }
    let mut actual = address;
    let mut sockets = Vec::with_capacity(shards);
    for _ in 0..shards {
        let socket = bind(actual, true).map_err(fail)?;
        socket.listen(BACKLOG).map_err(fail)?;
        let bound = socket.local_addr().map_err(fail)?;
        actual = bound.as_socket().expect("a TCP socket has an IP address");
        sockets.push(OwnedFd::from(socket));
    }
    Ok(Bound {
        address: actual,
        sockets,
    })
}

fn bind(address: SocketAddr, is_shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // So that connections of a former process in TIME_WAIT do not count as listeners.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(is_shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Serves one shard until it has drained after `stop`: accepts on its sockets, most
/// often one. To be called once for each `shared`, on the executor of its shard.
///
/// # Errors
/// Only before it serves, when no file descriptors are left.
pub async fn serve<S: Service + 'static>(
    sockets: Vec<OwnedFd>,
    service: Rc<S>,
    shared: Rc<HttpShared>,
    door: Door,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let readiness = Readiness::start()?;
    let mut listeners = Vec::with_capacity(sockets.len());
    for socket in sockets {
        listeners.push(Listener::new(socket, &readiness)?);
    }
    let acceptor = Rc::new(Acceptor {
        service,
        shared,
        door,
        readiness,
        refusals: Cell::new(0),
    });
    let loops: Vec<Task<()>> = listeners
        .into_iter()
        .map(|listener| glommio::spawn_local(Rc::clone(&acceptor).accept_all(listener)))
        .collect();
    let shared = &acceptor.shared;
    let sweeper = glommio::spawn_local(sweep(Rc::clone(&acceptor)));
    stop.await;
    shared.begin_drain();
    for accepting in loops {
        accepting.await;
    }
    shared.closed().await;
    sweeper.cancel().await;
    Ok(())
}

/// Looks at the deadlines of all connections, again and again, and takes up settings that
/// no request has met yet.
async fn sweep<S>(acceptor: Rc<Acceptor<S>>) {
    let mut last = Instant::now();
    loop {
        sleep(SWEEP_INTERVAL).await;
        let now = Instant::now();
        acceptor.shared.sweep(now - last, SystemTime::now());
        let _ = acceptor.door.settings.get();
        last = now;
    }
}

/// What a connection meets first: settings that may change while the server runs.
#[derive(Debug)]
pub struct Door {
    /// As they are now.
    pub settings: Rc<View<Settings>>,
    /// Where this shard counts handshakes.
    pub tls_metrics: Arc<TlsMetrics>,
}

struct Acceptor<S> {
    service: Rc<S>,
    shared: Rc<HttpShared>,
    door: Door,
    readiness: Rc<Readiness>,
    /// Connections that are being told 503.
    refusals: Cell<usize>,
}

impl<S: Service + 'static> Acceptor<S> {
    async fn accept_all(self: Rc<Self>, listener: Listener) {
        let mut in_a_row = 0;
        let mut is_failing = false;
        loop {
            let accepted = poll_fn(|cx| {
                if self.shared.poll_draining(cx).is_ready() {
                    return Poll::Ready(None);
                }
                let accepted = listener.poll_accept(cx);
                if accepted.is_pending() {
                    in_a_row = 0;
                }
                accepted.map(Some)
            });
            match accepted.await {
                None => break,
                Some(Ok((socket, peer))) => {
                    is_failing = false;
                    self.admit(socket, peer);
                }
                Some(Err(error)) => {
                    self.shared.metrics.accept_errors.add(1);
                    if !is_of_connection(&error) {
                        // Once for each time of need, not for each attempt.
                        if !std::mem::replace(&mut is_failing, true) {
                            tracing::warn!(%error, "cannot accept connections, trying again");
                        }
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
            in_a_row += 1;
            if in_a_row >= ACCEPTS_PER_TURN_MAX {
                in_a_row = 0;
                let_io_run().await;
            }
        }
        // Closing the socket resets what waits in its queue: accept that first.
        while let Some(Ok((socket, peer))) =
            future::poll_once(poll_fn(|cx| listener.poll_accept(cx))).await
        {
            self.admit(socket, peer);
        }
    }

    fn admit(self: &Rc<Self>, socket: TcpStream, peer: SocketAddr) {
        let metrics = &self.shared.metrics;
        metrics.connections_accepted.add(1);
        // Fails for a client that is gone already.
        let Ok(stream) = Stream::new(socket, &self.readiness) else {
            metrics.connections_failed.add(1);
            return;
        };
        let settings = self.door.settings.get();
        let Some(tls) = &settings.tls else {
            return self.seat(stream, peer);
        };
        let tls = Arc::clone(tls.server());
        match TlsStream::new(stream, tls, Arc::clone(&self.door.tls_metrics)) {
            Ok(stream) => self.seat(stream, peer),
            Err(error) => {
                tracing::error!(%error, "a connection could not begin to speak TLS");
                metrics.connections_failed.add(1);
            }
        }
    }

    /// Serves a connection, or says that there is no seat for it.
    fn seat<IO: http::Socket + 'static>(self: &Rc<Self>, stream: IO, peer: SocketAddr) {
        let metrics = &self.shared.metrics;
        let this = Rc::clone(self);
        let peer = peer.ip().to_canonical();
        match self.shared.seats.take(peer) {
            Ok(seat) => {
                glommio::spawn_local(async move {
                    serve_connection(stream, peer, &*this.service, &this.shared).await;
                    drop(seat);
                })
                .detach();
            }
            Err(_) if self.refusals.get() >= REFUSALS_MAX => {
                metrics.connections_refused_flood.add(1);
            }
            Err(full) => {
                match full {
                    Full::Server => metrics.connections_refused_full.add(1),
                    Full::Client => metrics.connections_refused_client.add(1),
                }
                self.refusals.set(self.refusals.get() + 1);
                glommio::spawn_local(async move {
                    refuse_connection(stream, full, &*this.service, &this.shared).await;
                    this.refusals.set(this.refusals.get() - 1);
                })
                .detach();
            }
        }
    }
}

/// Whether a failure belongs to the one connection that was to be accepted (accept(2)),
/// so that the next attempt may well succeed.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
    )
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
