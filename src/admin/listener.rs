//! The connections of the admin API: how many there may be, how long one may say nothing,
//! and how one is ended from outside. Without the first two, clients that only connect
//! would use up the process's files.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// Connections at a time: a fleet's scrapers, probes and back-office workers are some
/// dozens. Those beyond wait in the kernel's queue.
pub(super) const CONNECTIONS_MAX: usize = 256;

/// How long nothing may come or go: longer than the pause of any scraper, and than an
/// import of ten million accounts works without having anything to say.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// A listener with a bounded number of connections.
pub(super) struct Listener {
    listener: TcpListener,
    room: Arc<Semaphore>,
    idle_timeout: Duration,
}

impl Listener {
    pub(super) fn new(
        listener: TcpListener,
        connections_max: usize,
        idle_timeout: Duration,
    ) -> Self {
        Self {
            listener,
            room: Arc::new(Semaphore::new(connections_max)),
            idle_timeout,
        }
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let Ok(permit) = self.room.clone().acquire_owned().await else {
            unreachable!("the semaphore is never closed");
        };
        // axum's own accept logs errors and waits before it tries again.
        let (stream, peer) = axum::serve::Listener::accept(&mut self.listener).await;
        // Without it an answer of two writes waits for the client's delayed ACK; a socket
        // that refuses the option still works.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            stream,
            idle: Box::pin(tokio::time::sleep(self.idle_timeout)),
            idle_timeout: self.idle_timeout,
            cut: Cut::default(),
            _permit: permit,
        };
        (connection, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that fails when nothing came or went for too long.
pub(super) struct Connection {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    idle_timeout: Duration,
    cut: Cut,
    _permit: OwnedSemaphorePermit,
}

/// Ends a connection that a handler knows to be stuck: while a client takes nothing, an
/// answer is not asked for more of its body, so the body has no way to say that it ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Cut(Arc<CutState>);

#[derive(Debug, Default)]
struct CutState {
    is_cut: AtomicBool,
    /// The connection's task, which alone reads and writes.
    connection: AtomicWaker,
}

impl Cut {
    /// The connection fails the next time that it is looked at, which is now.
    pub(super) fn cut(&self) {
        self.0.is_cut.store(true, Ordering::Release);
        self.0.connection.wake();
    }

    fn is_cut(&self) -> bool {
        self.0.is_cut.load(Ordering::Acquire)
    }
}

impl Connected<IncomingStream<'_, Listener>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.io().cut.clone()
    }
}

impl Connection {
    /// Watches the time, and for a cut, while an operation has to wait.
    fn or_idle<T>(
        &mut self,
        progress: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.idle.as_mut().reset(Instant::now() + self.idle_timeout);
            return progress;
        }
        self.cut.0.connection.register(cx.waker());
        // Looked at behind the registration, so that a cut is either seen here or wakes.
        if self.cut.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        match self.idle.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_read(cx, into);
        self.or_idle(progress, cx)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.or_idle(progress, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.or_idle(progress, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use axum::Router;
    use axum::routing::get;

    use super::*;

    /// Serves "hello" with these limits, and lets a client of its own thread try it.
    fn check(connections_max: usize, client: impl FnOnce(SocketAddr) + Send + 'static) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let listener = Listener::new(listener, connections_max, Duration::from_millis(200));
            let router = Router::new().route("/", get(async || "hello"));
            tokio::spawn(axum::serve(listener, router).into_future());
            tokio::task::spawn_blocking(move || client(addr))
                .await
                .unwrap();
        });
    }

    fn connect(addr: SocketAddr) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(addr).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    #[test]
    fn a_silent_connection_is_closed() {
        check(8, |addr| {
            let mut text = String::new();
            assert_eq!(connect(addr).read_to_string(&mut text).unwrap(), 0);
        });
    }

    #[test]
    fn a_connection_beyond_the_limit_waits_for_its_turn() {
        check(1, |addr| {
            let first = connect(addr);
            let mut second = connect(addr);
            second
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .unwrap();
            second
                .set_read_timeout(Some(Duration::from_millis(50)))
                .unwrap();
            let early = second.read(&mut [0]).unwrap_err();
            assert_eq!(early.kind(), io::ErrorKind::WouldBlock);
            drop(first);
            second
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let mut text = String::new();
            second.read_to_string(&mut text).unwrap();
            assert!(text.ends_with("hello"), "{text}");
        });
    }
}
