//! Sockets of one shard: edge-triggered readiness through one epoll descriptor that the
//! shard's executor waits on.
//!
//! glommio's own streams register a poll with the ring for every read. Here a socket is
//! registered once, and a turn of the executor costs one poll and one `epoll_wait` for
//! all sockets that became ready, so a busy connection costs one `recv` and one `send`
//! per request and nothing else. docs/adr/0002 has the measurements.
//!
//! How an edge is not missed: a socket starts as ready; a read that would block, or that
//! returns less than was asked for, makes it "not ready" until the next event. Whatever
//! arrives after that call raises an event, and events are taken on the same thread, so
//! none falls between the call and the mark. The end of the stream raises its event only
//! once, maybe together with the last bytes, so a socket whose peer has finished stays
//! ready to read.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_lite::{AsyncRead, AsyncWrite};
use glommio::Task;
use glommio::io::PollableFd;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use shards::runtime::let_io_run;

use crate::http::Socket;

/// Events taken at once; more are taken in the next round of the same turn.
const EVENTS_MAX: usize = 256;

/// Reads that a socket may serve between two looks at the others. A client that keeps
/// its socket full would otherwise be the only one that is served: its task always has
/// something to do, so the executor would not look for I/O.
const READS_IN_A_ROW_MAX: u32 = 8;

/// The sockets of one shard and the task that wakes their readers and writers.
pub struct Readiness {
    epoll: Rc<PollableFd<OwnedEpoll>>,
    watched: Rc<RefCell<Watched>>,
    _waker: Task<()>,
}

/// What an event's number stands for.
#[derive(Default)]
struct Watched {
    sources: Vec<Option<Rc<Source>>>,
    free: Vec<usize>,
}

struct OwnedEpoll(Epoll);

impl std::os::fd::AsRawFd for OwnedEpoll {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        std::os::fd::AsRawFd::as_raw_fd(&self.0.0)
    }
}

/// What is known of one socket.
#[derive(Default)]
struct Source {
    readable: Cell<bool>,
    writable: Cell<bool>,
    /// The peer has finished or the socket has failed: reading never blocks again.
    ended: Cell<bool>,
    /// Reads since the last event.
    reads_in_a_row: Cell<u32>,
    reader: RefCell<Option<Waker>>,
    writer: RefCell<Option<Waker>>,
}

/// What is asked of every socket: to be told of each change once.
fn interest() -> EpollFlags {
    EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET
}

impl Readiness {
    /// Starts the waking task on this thread's executor. It ends with this value.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub fn start() -> io::Result<Rc<Self>> {
        let epoll = OwnedEpoll(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        let epoll = Rc::new(PollableFd::new(epoll).map_err(io::Error::from)?);
        let watched = Rc::new(RefCell::new(Watched::default()));
        let waker = glommio::spawn_local(wake_all(epoll.clone(), watched.clone()));
        Ok(Rc::new(Self {
            epoll,
            watched,
            _waker: waker,
        }))
    }

    fn watch(self: &Rc<Self>, socket: &impl std::os::fd::AsFd) -> io::Result<Registration> {
        let source = Rc::new(Source::default());
        source.readable.set(true);
        source.writable.set(true);
        let mut watched = self.watched.borrow_mut();
        let number = match watched.free.pop() {
            Some(number) => number,
            None => {
                watched.sources.push(None);
                watched.sources.len() - 1
            }
        };
        watched.sources[number] = Some(source.clone());
        drop(watched);
        let registration = Registration {
            readiness: self.clone(),
            source,
            number,
        };
        let event = EpollEvent::new(interest(), number as u64);
        self.epoll.get_ref().0.add(socket, event)?;
        Ok(registration)
    }
}

/// Takes events and wakes whom they concern, for ever.
async fn wake_all(epoll: Rc<PollableFd<OwnedEpoll>>, watched: Rc<RefCell<Watched>>) {
    let mut events = [EpollEvent::empty(); EVENTS_MAX];
    loop {
        if let Err(error) = epoll.readable().await {
            // The ring itself failed: no socket of this shard would ever be served again.
            panic!("waiting for sockets: {error}");
        }
        loop {
            let count = match epoll.get_ref().0.wait(&mut events, EpollTimeout::ZERO) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(error) => panic!("taking events of sockets: {error}"),
            };
            let watched = watched.borrow();
            for event in &events[..count] {
                // A number whose socket is gone has no source; its events went with it.
                if let Some(Some(source)) = watched.sources.get(event.data() as usize) {
                    source.note(event.events());
                }
            }
            if count < EVENTS_MAX {
                break;
            }
        }
    }
}

impl Source {
    fn note(&self, events: EpollFlags) {
        let over = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        let failed = EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        if events.intersects(over) {
            self.ended.set(true);
        }
        self.reads_in_a_row.set(0);
        if events.intersects(EpollFlags::EPOLLIN | over) {
            self.readable.set(true);
            wake(&self.reader);
        }
        if events.intersects(EpollFlags::EPOLLOUT | failed) && !self.writable.replace(true) {
            wake(&self.writer);
        }
    }
}

fn wake(waker: &RefCell<Option<Waker>>) {
    if let Some(waker) = &*waker.borrow() {
        waker.wake_by_ref();
    }
}

fn remember(waker: &RefCell<Option<Waker>>, cx: &Context<'_>) {
    let mut known = waker.borrow_mut();
    match &mut *known {
        Some(known) if known.will_wake(cx.waker()) => {}
        known => *known = Some(cx.waker().clone()),
    }
}

/// One socket's place among those watched; leaves with the socket.
struct Registration {
    readiness: Rc<Readiness>,
    source: Rc<Source>,
    number: usize,
}

impl Registration {
    fn raise_again(&self, socket: &TcpStream) -> io::Result<()> {
        self.source.readable.set(false);
        let mut event = EpollEvent::new(interest(), self.number as u64);
        Ok(self
            .readiness
            .epoll
            .get_ref()
            .0
            .modify(socket, &mut event)?)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Closing the socket takes it out of the epoll set. Wakers keep their tasks'
        // memory, so they must not outlive the socket.
        self.source.reader.take();
        self.source.writer.take();
        let mut watched = self.readiness.watched.borrow_mut();
        watched.sources[self.number] = None;
        watched.free.push(self.number);
    }
}

/// A listening socket of this shard.
pub struct Listener {
    socket: TcpListener,
    registration: Registration,
}

impl Listener {
    /// Watches a listening, non-blocking socket.
    ///
    /// # Errors
    /// The kernel will not watch it.
    pub fn new(socket: OwnedFd, readiness: &Rc<Readiness>) -> io::Result<Self> {
        let socket = TcpListener::from(socket);
        let registration = readiness.watch(&socket)?;
        Ok(Self {
            socket,
            registration,
        })
    }

    /// The next connection, if one waits.
    ///
    /// # Errors
    /// As accept(2) has them.
    pub fn poll_accept(&self, cx: &Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let source = &self.registration.source;
        if !source.readable.get() {
            remember(&source.reader, cx);
            return Poll::Pending;
        }
        match self.socket.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                source.readable.set(false);
                remember(&source.reader, cx);
                Poll::Pending
            }
            accepted => Poll::Ready(accepted),
        }
    }
}

/// A connection of this shard.
pub struct Stream {
    socket: TcpStream,
    registration: Registration,
}

impl Stream {
    /// Watches a connection, which becomes non-blocking and sends without delay.
    ///
    /// # Errors
    /// The connection is gone already, or the kernel will not watch it.
    pub fn new(socket: TcpStream, readiness: &Rc<Readiness>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let registration = readiness.watch(&socket)?;
        Ok(Self {
            socket,
            registration,
        })
    }
}

impl Stream {
    #[inline]
    fn write_with(
        &self,
        cx: &Context<'_>,
        write: impl FnOnce(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let source = &self.registration.source;
        if source.writable.get() {
            match write(&self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    source.writable.set(false);
                }
                written => return Poll::Ready(written),
            }
        }
        remember(&source.writer, cx);
        Poll::Pending
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let source = &self.registration.source;
        if source.readable.get() {
            if source.reads_in_a_row.get() == READS_IN_A_ROW_MAX {
                // Registering again raises the event again, after all that wait already.
                remember(&source.reader, cx);
                self.registration.raise_again(&self.socket)?;
                return Poll::Pending;
            }
            match recv(&self.socket, &mut *buffer, RecvFlags::empty()).map_err(io::Error::from) {
                Ok((count, _)) => {
                    source.reads_in_a_row.set(source.reads_in_a_row.get() + 1);
                    if count < buffer.len() && !source.ended.get() {
                        source.readable.set(false);
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    source.readable.set(false);
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        remember(&source.reader, cx);
        Poll::Pending
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write_with(cx, |socket| Ok(send(socket, bytes, SendFlags::NOSIGNAL)?))
    }

    /// Several records of TLS leave in one call.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_with(cx, |mut socket| socket.write_vectored(slices))
    }

    /// Nothing is kept back, so there is nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Tells the peer that nothing follows; reading goes on.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.shutdown(Shutdown::Write))
    }
}

impl Socket for Stream {
    async fn give_way(&self) {
        let_io_run().await;
    }

    fn poll_readable(&self, cx: &Context<'_>) -> Poll<()> {
        let source = &self.registration.source;
        if source.readable.get() {
            return Poll::Ready(());
        }
        remember(&source.reader, cx);
        Poll::Pending
    }
}

#[cfg(test)]
#[path = "readiness_tests.rs"]
mod tests;
