//! One connection's bytes: what was read and not yet used, what was answered and not
//! yet sent, and the waits for both.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_lite::AsyncWrite;

use super::admission::Place;
use super::limits::{LINGER_BYTES_MAX, OUTPUT_BYTES_KEPT, QUEUE_TIME_MAX, READ_BUFFER_BYTES};
use super::metrics::HttpMetrics;
use super::shared::{HttpShared, Moment, Watch};
use super::{Answer, Socket};

/// How a wait for bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Some came.
    Bytes(usize),
    /// None will come any more.
    End,
    /// None came in time.
    Expired,
    /// The connection is gone, or its client does not read.
    Broken,
}

/// Whether a connection's next request is read as soon as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// Always.
    Hurries,
    /// It queues for its place while others do.
    Queues,
    /// It waits for the next sweep.
    Rests,
}

impl Manners {
    /// Of a connection whose last request was answered so. Who was told to come later by
    /// the service itself rests, for there may be room enough on this shard all the while.
    /// Whoever sends no body books nothing: he asks how the server is, and hears it at once.
    pub(crate) fn after(answer: &Answer, body_len: usize) -> Self {
        if answer.retry_after.is_some() {
            Self::Rests
        } else if body_len > 0 {
            Self::Queues
        } else {
            Self::Hurries
        }
    }
}

/// The connection is gone, or its client does not read: nothing can be said any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// A stream with its buffers and its deadline.
#[derive(Debug)]
pub(crate) struct Wire<IO> {
    pub(crate) io: IO,
    pub(crate) input: Input,
    pub(crate) output: Output,
    /// Whether the task has waited for the socket since this was last cleared: then
    /// the executor has looked for I/O meanwhile.
    pub(crate) has_waited: bool,
    /// Bytes that were read last came then.
    pub(crate) filled_at: Instant,
    /// Of the connection, by its last request.
    pub(crate) manners: Manners,
    held: Held,
    shared: Rc<HttpShared>,
    watch: Watch,
}

/// Why bytes that have come are not read yet.
#[derive(Debug)]
enum Held {
    /// They are.
    Not,
    /// The connection queues.
    Queues(Rc<Place>),
    /// The connection rests.
    Rests,
}

impl<IO: Socket> Wire<IO> {
    pub(crate) fn new(io: IO, shared: &Rc<HttpShared>) -> Self {
        Self {
            io,
            input: Input::new(shared.limits().max_pipelined_bytes),
            output: Output::default(),
            has_waited: false,
            filled_at: Instant::now(),
            manners: Manners::Hurries,
            held: Held::Not,
            shared: Rc::clone(shared),
            watch: Watch::new(shared),
        }
    }

    /// Waits for more bytes until `deadline`. Whatever is unsent goes out first: the
    /// client may wait for it before it sends more. A wait `for_request` ends early when
    /// the shard drains, and may leave what has come where it is for a while.
    pub(crate) async fn fill(&mut self, deadline: Moment, for_request: bool) -> Fill {
        if self.flush().await.is_err() {
            return Fill::Broken;
        }
        self.watch
            .set_buffer_bytes(self.input.bytes.capacity() + self.output.bytes.capacity());
        self.watch.begin(deadline);
        let fill = poll_fn(|cx| {
            if for_request && self.is_held(cx, deadline) {
                self.has_waited = true;
                return Poll::Pending;
            }
            let room = self.input.room();
            match Pin::new(&mut self.io).poll_read(cx, room) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Fill::End),
                Poll::Ready(Ok(count)) => return Poll::Ready(Fill::Bytes(count)),
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
                    cx.waker().wake_by_ref();
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Fill::Broken),
                Poll::Pending => {}
            }
            self.has_waited = true;
            if for_request {
                self.watch.shorten_if_draining();
            }
            if self.watch.is_expired(cx) {
                Poll::Ready(Fill::Expired)
            } else {
                Poll::Pending
            }
        })
        .await;
        self.watch.end();
        match fill {
            Fill::Bytes(count) => {
                self.input.advance(count);
                self.filled_at = Instant::now();
                self.shared.metrics.bytes_in.add(count as u64);
            }
            Fill::Broken => self.shared.metrics.connections_failed.add(1),
            Fill::End | Fill::Expired => {}
        }
        fill
    }

    /// Whether the next request is to stay in the socket for now. While it does, the
    /// deadline is that of holding it, and afterwards it is `deadline` again.
    #[inline]
    fn is_held(&mut self, cx: &Context<'_>, deadline: Moment) -> bool {
        match (&self.held, self.manners) {
            (Held::Not, Manners::Hurries) => false,
            (Held::Not, Manners::Queues) if !self.shared.admission.is_queueing() => false,
            _ => self.hold(cx, deadline),
        }
    }

    #[cold]
    fn hold(&mut self, cx: &Context<'_>, deadline: Moment) -> bool {
        let is_draining = self.shared.is_draining();
        if matches!(self.held, Held::Not) {
            // Who has sent nothing takes nobody's place.
            if is_draining || self.io.poll_readable(cx).is_pending() {
                return false;
            }
            let until = if self.manners == Manners::Rests {
                self.held = Held::Rests;
                self.shared.next_sweep()
            } else {
                self.held = Held::Queues(self.shared.admission.queue(cx.waker()));
                self.shared.deadline(QUEUE_TIME_MAX)
            };
            self.watch.begin(until);
        }
        let is_called = matches!(&self.held, Held::Queues(place) if place.is_called());
        if !is_called && !is_draining && !self.watch.is_expired(cx) {
            return true;
        }
        self.held = Held::Not;
        // Until the next answer: what is read now may be less than a request.
        self.manners = Manners::Hurries;
        self.watch.begin(deadline);
        false
    }

    /// Sends all that is unsent.
    pub(crate) async fn flush(&mut self) -> Result<(), Broken> {
        if self.output.is_empty() {
            return Ok(());
        }
        self.watch
            .begin(self.shared.deadline(self.shared.limits().write_timeout));
        let sent = poll_fn(|cx| {
            if let Poll::Ready(sent) = self
                .output
                .poll_send(cx, &mut self.io, &self.shared.metrics)
            {
                return Poll::Ready(sent.map_err(|_| &self.shared.metrics.connections_failed));
            }
            self.has_waited = true;
            if self.watch.is_expired(cx) {
                return Poll::Ready(Err(&self.shared.metrics.timeouts_write));
            }
            Poll::Pending
        })
        .await;
        self.watch.end();
        sent.map_err(|reason| {
            reason.add(1);
            Broken
        })
    }

    /// Closes so that the last answer arrives: says that nothing follows, then swallows
    /// what the client still sends, within limits. Closing a socket with unread bytes
    /// resets the connection, and the reset may overtake the answer
    /// (RFC 9112 section 9.6).
    pub(crate) async fn linger(mut self) {
        if self.flush().await.is_err() {
            return;
        }
        if poll_fn(|cx| Pin::new(&mut self.io).poll_close(cx))
            .await
            .is_err()
        {
            return;
        }
        let deadline = self.shared.deadline(self.shared.limits().linger_timeout);
        let mut swallowed = 0;
        while swallowed < LINGER_BYTES_MAX {
            self.input.clear();
            match self.fill(deadline, false).await {
                Fill::Bytes(count) => swallowed += count,
                Fill::Expired => return self.shared.metrics.timeouts_linger.add(1),
                Fill::End | Fill::Broken => return,
            }
        }
    }
}

/// Bytes that were read and not yet used. Its memory grows as far as a request needs,
/// and only as fast as the client sends.
#[derive(Debug)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether the last read took all the room it was given, so that there is more.
    was_filled: bool,
    /// What its memory grows to for a client that sends ahead, and what it keeps.
    kept_bytes: usize,
}

impl Input {
    pub(crate) fn new(kept_bytes: usize) -> Self {
        Self {
            bytes: vec![0; READ_BUFFER_BYTES],
            start: 0,
            end: 0,
            was_filled: false,
            kept_bytes: kept_bytes.max(READ_BUFFER_BYTES),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Forgets the first `count` bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        assert!(count <= self.end - self.start);
        self.start += count;
        if self.is_empty() {
            self.clear();
        }
    }

    /// Whether more has come than the first `count` bytes, or may have: a read that took
    /// all the room it was given may have left some in the socket.
    pub(crate) fn has_more_behind(&self, count: usize) -> bool {
        self.end - self.start > count || self.was_filled
    }

    /// Forgets a range of bytes in the middle.
    pub(crate) fn remove(&mut self, gap: Range<usize>) {
        let (start, end) = (self.start + gap.start, self.start + gap.end);
        self.bytes.copy_within(end..self.end, start);
        self.end -= end - start;
    }

    /// Forgets all, and gives back what an exceptional request needed.
    pub(crate) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
        if self.bytes.len() > self.kept_bytes {
            self.bytes = vec![0; READ_BUFFER_BYTES];
        }
    }

    /// Where the next bytes go: a quarter of the buffer at least, so that a read is
    /// worth its system call.
    fn room(&mut self) -> &mut [u8] {
        let wanted = self.bytes.len() / 4;
        if self.bytes.len() - self.end < wanted && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let is_hungry = self.was_filled && self.bytes.len() < self.kept_bytes;
        if self.bytes.len() - self.end < wanted {
            self.bytes.resize(self.bytes.len() * 2, 0);
        } else if is_hungry {
            let len = (self.bytes.len() * 2).min(self.kept_bytes);
            self.bytes.resize(len, 0);
        }
        &mut self.bytes[self.end..]
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.bytes.len() - self.end);
        self.end += count;
        self.was_filled = self.end == self.bytes.len();
    }
}

/// Answers that are not sent yet.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// What to append answers to.
    pub(crate) bytes: Vec<u8>,
    sent: usize,
}

impl Output {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Sends until all is sent, also what the stream keeps back.
    pub(crate) fn poll_send<IO: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut IO,
        metrics: &HttpMetrics,
    ) -> Poll<io::Result<()>> {
        while self.sent < self.bytes.len() {
            match ready!(Pin::new(&mut *io).poll_write(cx, &self.bytes[self.sent..])) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.sent += count;
                    metrics.bytes_out.add(count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        // TLS keeps records back; a plain socket keeps nothing, and this costs nothing.
        ready!(Pin::new(io).poll_flush(cx))?;
        self.sent = 0;
        self.bytes.clear();
        self.bytes.shrink_to(OUTPUT_BYTES_KEPT);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT_BYTES: usize = 4 * READ_BUFFER_BYTES;

    fn receive(input: &mut Input, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = input.room();
            let count = room.len().min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            input.advance(count);
            rest = &rest[count..];
        }
    }

    #[test]
    fn the_read_buffer_grows_with_what_it_must_hold_and_shrinks_back() {
        let mut input = Input::new(KEPT_BYTES);
        let bytes: Vec<u8> = (0..80_000_u32)
            .map(|number| number.to_le_bytes()[0])
            .collect();
        receive(&mut input, &bytes);
        assert_eq!(input.bytes(), bytes);
        assert!(input.bytes.len() <= 2 * bytes.len());
        input.consume(80_000);
        assert_eq!(input.bytes.len(), READ_BUFFER_BYTES);
    }

    #[test]
    fn small_requests_never_grow_the_read_buffer() {
        let mut input = Input::new(KEPT_BYTES);
        for _ in 0..1_000 {
            receive(&mut input, &[1; 700]);
            input.consume(300);
            receive(&mut input, &[2; 300]);
            input.consume(700);
        }
        assert_eq!(input.bytes.len(), READ_BUFFER_BYTES);
    }

    #[test]
    fn a_busy_pipeline_gets_the_kept_size_and_no_more() {
        let mut input = Input::new(KEPT_BYTES);
        for _ in 0..100 {
            let room = input.room().len();
            input.advance(room);
            input.consume(input.bytes().len() - 100);
        }
        assert_eq!(input.bytes.len(), KEPT_BYTES);
    }

    #[test]
    fn a_gap_closes() {
        let mut input = Input::new(KEPT_BYTES);
        receive(&mut input, b"skip|head|gap|tail");
        input.consume(5);
        input.remove(5..9);
        assert_eq!(input.bytes(), b"head|tail");
    }
}
