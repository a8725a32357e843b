//! A socket whose bytes are encrypted: plain text in and out for whoever reads and writes
//! it, records on the socket below.
//!
//! The handshake happens under the first wait for bytes, so the deadline of that wait, the
//! `header_timeout` of a new connection, is that of the handshake too, and dripping bytes
//! buys no time. What is written is encrypted at once and sent by the flush; nothing more
//! is taken from the writer while records wait for room.
//!
//! The end: `close_notify` is sent before every close of ours, as far as the socket takes
//! it. A client's end without one is read as an end: RFC 9112 section 9.8 asks for it, and
//! nothing is guessed by it, because where a request ends is told by its head and its
//! lengths, never by the end of the stream. When TLS itself fails, the alert that says why
//! is sent, and what the client still sends is swallowed for a while, for a reset would
//! overtake the alert.

use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use futures_lite::{AsyncRead, AsyncWrite};
use rustls::{ServerConfig, ServerConnection};

use super::metrics::{Handshake, TlsMetrics};
use crate::http::Socket;

/// Bytes that are swallowed after TLS has failed: the request that a client sent right
/// behind its handshake.
const FAREWELL_BYTES_MAX: usize = 65_536;

/// What is swallowed at a time.
const FAREWELL_BUFFER_BYTES: usize = 1_024;

/// The server's end of a TLS connection.
pub struct TlsStream<IO: AsyncRead + AsyncWrite + Unpin> {
    io: IO,
    tls: ServerConnection,
    phase: Phase,
    /// Whether the last read of the socket took all the room it was given, so that more
    /// may wait there.
    may_have_more: bool,
    /// Whether the last read of plain text took all the room it was given, so that more
    /// may wait here.
    has_plain_text: bool,
    metrics: Arc<TlsMetrics>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Handshake,
    Open,
    /// TLS has failed: the alert goes out, then so many bytes were swallowed.
    Failed {
        alert_sent: bool,
        swallowed: usize,
    },
    /// The client went away during the handshake.
    Ended,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> TlsStream<IO> {
    /// A connection that was just accepted.
    ///
    /// # Errors
    /// The configuration cannot make connections.
    pub fn new(
        io: IO,
        config: Arc<ServerConfig>,
        metrics: Arc<TlsMetrics>,
    ) -> Result<Self, rustls::Error> {
        Ok(Self {
            io,
            tls: ServerConnection::new(config)?,
            phase: Phase::Handshake,
            may_have_more: false,
            has_plain_text: false,
            metrics,
        })
    }

    /// Drives the handshake to its end, if it has not ended.
    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.phase == Phase::Handshake {
            let progress = match ready!(self.poll_send(cx)) {
                Err(error) => Err(error),
                Ok(()) if !self.tls.is_handshaking() => {
                    self.phase = Phase::Open;
                    self.metrics.record(Handshake::Done);
                    break;
                }
                Ok(()) => ready!(self.poll_receive(cx)),
            };
            if !matches!(progress, Ok(1..)) && self.phase == Phase::Handshake {
                self.phase = Phase::Ended;
                self.metrics.record(Handshake::Ended);
                progress?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends all records that wait.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.wants_write() {
            let mut raw = Raw::new(&mut self.io, cx);
            match self.tls.write_tls(&mut raw) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads the socket once and decrypts what came: how many bytes; 0 at the end of the
    /// stream and when TLS has failed, which the phase tells.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut raw = Raw::new(&mut self.io, cx);
        let read = self.tls.read_tls(&mut raw);
        self.may_have_more = raw.was_filled;
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Err(error) => return Poll::Ready(Err(error)),
            Ok(_) => {}
        }
        if let Err(error) = self.tls.process_new_packets() {
            self.fail(&error);
            return Poll::Ready(Ok(0));
        }
        Poll::Ready(read)
    }

    fn fail(&mut self, error: &rustls::Error) {
        if self.phase == Phase::Handshake {
            let end = Handshake::failed(error);
            self.metrics.record(end);
            tracing::debug!(%error, reason = end.name(), "a TLS handshake failed");
        }
        self.phase = Phase::Failed {
            alert_sent: false,
            swallowed: 0,
        };
    }

    /// Plain text, as much as there is room for and nothing has to be waited for.
    fn poll_plain_text(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut filled = 0;
        loop {
            match self.tls.reader().read(&mut buffer[filled..]) {
                // The client's close_notify.
                Ok(0) => return Poll::Ready(Ok(filled)),
                Ok(count) => {
                    filled += count;
                    if filled == buffer.len() {
                        return Poll::Ready(Ok(filled));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An end without close_notify.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Ok(filled));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
            // A short read tells whoever reads that nothing more has come.
            if filled > 0 && !self.may_have_more {
                return Poll::Ready(Ok(filled));
            }
            // TLS may have something to say of its own, such as its part of a key update.
            if let Poll::Ready(Err(error)) = self.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
            match self.poll_receive(cx) {
                Poll::Ready(Ok(_)) if self.phase == Phase::Open => {}
                // What ended it shows again at the next look.
                _ if filled > 0 => return Poll::Ready(Ok(filled)),
                Poll::Ready(Ok(_)) => return self.poll_farewell(cx),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// After TLS has failed: the alert, then silence until the client has read it.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let failed = || io::Error::new(io::ErrorKind::InvalidData, "TLS failed");
        loop {
            let Phase::Failed {
                alert_sent,
                swallowed,
            } = &mut self.phase
            else {
                return Poll::Ready(Err(failed()));
            };
            if !*alert_sent {
                ready!(self.poll_send(cx))?;
                ready!(Pin::new(&mut self.io).poll_close(cx))?;
                self.phase = Phase::Failed {
                    alert_sent: true,
                    swallowed: 0,
                };
                continue;
            }
            let mut buffer = [0; FAREWELL_BUFFER_BYTES];
            let count = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            *swallowed += count;
            if count == 0 || *swallowed > FAREWELL_BYTES_MAX {
                return Poll::Ready(Err(failed()));
            }
        }
    }

    /// Ready for plain text, or why not.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_handshake(cx))?;
        Poll::Ready(if self.phase == Phase::Open {
            Ok(())
        } else {
            Err(io::ErrorKind::NotConnected.into())
        })
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_handshake(cx))?;
        match this.phase {
            Phase::Open => {
                let read = this.poll_plain_text(cx, buffer);
                this.has_plain_text =
                    matches!(read, Poll::Ready(Ok(count)) if count == buffer.len());
                read
            }
            Phase::Failed { .. } => this.poll_farewell(cx),
            Phase::Handshake | Phase::Ended => Poll::Ready(Ok(0)),
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_open(cx))?;
        // So that no more than one write's worth of records ever waits.
        ready!(this.poll_send(cx))?;
        Poll::Ready(this.tls.writer().write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_open(cx))?;
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    /// Tells the peer that nothing follows, in TLS and below; reading goes on.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_open(cx))?;
        this.tls.send_close_notify();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_close(cx)
    }
}

impl<IO: Socket> Socket for TlsStream<IO> {
    fn give_way(&self) -> impl Future<Output = ()> {
        self.io.give_way()
    }

    /// What was decrypted and did not fit into the last read needs no more of the socket.
    fn poll_readable(&self, cx: &Context<'_>) -> Poll<()> {
        if self.has_plain_text {
            return Poll::Ready(());
        }
        self.io.poll_readable(cx)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Drop for TlsStream<IO> {
    fn drop(&mut self) {
        match self.phase {
            Phase::Handshake => self.metrics.record(Handshake::Timeout),
            // A connection that ends in silence says so in TLS.
            Phase::Open => self.tls.send_close_notify(),
            Phase::Failed { .. } => {}
            Phase::Ended => return,
        }
        // What the socket does not take now has nobody to wait for it.
        let _ = self.poll_send(&mut Context::from_waker(Waker::noop()));
    }
}

/// The socket as rustls asks for it: what would have to wait is an error that says so.
struct Raw<'a, 'c, 'w, IO> {
    io: &'a mut IO,
    cx: &'c mut Context<'w>,
    /// Whether the last read took all the room it was given.
    was_filled: bool,
}

impl<'a, 'c, 'w, IO> Raw<'a, 'c, 'w, IO> {
    fn new(io: &'a mut IO, cx: &'c mut Context<'w>) -> Self {
        Self {
            io,
            cx,
            was_filled: false,
        }
    }
}

fn now_or_would_block<T>(done: Poll<io::Result<T>>) -> io::Result<T> {
    match done {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<IO: AsyncRead + Unpin> Read for Raw<'_, '_, '_, IO> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = now_or_would_block(Pin::new(&mut *self.io).poll_read(self.cx, buffer))?;
        self.was_filled = count == buffer.len();
        Ok(count)
    }
}

impl<IO: AsyncWrite + Unpin> Write for Raw<'_, '_, '_, IO> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        now_or_would_block(Pin::new(&mut *self.io).poll_write(self.cx, bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        now_or_would_block(Pin::new(&mut *self.io).poll_write_vectored(self.cx, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        now_or_would_block(Pin::new(&mut *self.io).poll_flush(self.cx))
    }
}

#[cfg(test)]
mod tests;
