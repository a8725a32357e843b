//! A virtual user: its script, its connection, and where its request is.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use crate::answer::Framing;
use crate::script::Script;
use crate::socket::{Broken, Wire};
use crate::tally::Timings;

/// Wrong answers that a thread shows; the rest are counted like these.
pub(super) const COMPLAINTS_MAX: usize = 5;

/// How much of a wrong answer is shown.
const SHOWN_BYTES: usize = 300;

/// Where a user's request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Idle {
        since: Instant,
    },
    Connecting,
    /// Going out, or waiting for its answer.
    InFlight,
    /// Waits before the connection is tried again; `settled`: with the next request.
    Pausing {
        settled: bool,
    },
}

/// What a connection told.
#[derive(Debug)]
pub(super) enum Heard {
    Nothing,
    Answer(Framing),
    Lost(String),
}

#[derive(Debug)]
pub(super) struct User {
    /// Its place among the users of its thread, which is what events carry.
    place: usize,
    pub(super) script: Script,
    pub(super) wire: Wire,
    pub(super) phase: Phase,
    pub(super) iteration_since: Instant,
    /// When the request should have left.
    pub(super) due: Instant,
    pub(super) attempts: u32,
    began: Instant,
    connecting: Duration,
    write_began: Instant,
    /// When the last byte went out.
    sent: Option<Instant>,
    first_byte: Option<Instant>,
    give_up: Instant,
}

impl User {
    pub(super) fn new(place: usize, number: u64, target: usize, address: SocketAddr) -> Self {
        let now = Instant::now();
        Self {
            place,
            script: Script::new(number, target),
            wire: Wire::new(address),
            phase: Phase::Idle { since: now },
            iteration_since: now,
            due: now,
            attempts: 0,
            began: now,
            connecting: Duration::ZERO,
            write_began: now,
            sent: None,
            first_byte: None,
            give_up: now,
        }
    }

    pub(super) fn idle_since(&self) -> Instant {
        match self.phase {
            Phase::Idle { since } => since,
            _ => self.due,
        }
    }

    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::InFlight | Phase::Connecting) && now >= self.give_up
    }

    /// Sends the request in the wire's buffer, over a new connection where there is none.
    ///
    /// # Errors
    /// The system refused to watch the socket.
    pub(super) fn start(
        &mut self,
        now: Instant,
        give_up: Instant,
        epoll: &Epoll,
    ) -> anyhow::Result<Heard> {
        (self.began, self.give_up) = (now, give_up);
        (self.sent, self.first_byte) = (None, None);
        self.connecting = Duration::ZERO;
        self.write_began = now;
        if self.wire.is_there() {
            self.write_began = Instant::now();
            return Ok(self.write());
        }
        self.phase = Phase::Connecting;
        let is_connected = match self.wire.connect() {
            Ok(is_connected) => is_connected,
            Err(error) => return Ok(lost("connect", &error)),
        };
        let interest = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLOUT
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLET;
        if let Some(fd) = self.wire.fd() {
            epoll
                .add(fd, EpollEvent::new(interest, self.place as u64))
                .context("watch a socket")?;
        }
        Ok(if is_connected {
            self.connected()
        } else {
            Heard::Nothing
        })
    }

    fn connected(&mut self) -> Heard {
        self.write_began = Instant::now();
        self.connecting = self.write_began - self.began;
        self.write()
    }

    fn write(&mut self) -> Heard {
        self.phase = Phase::InFlight;
        match self.wire.write() {
            Ok(true) => {
                self.sent = Some(Instant::now());
                Heard::Nothing
            }
            Ok(false) => Heard::Nothing,
            Err(error) => lost("send", &error),
        }
    }

    /// Acts on what epoll says of the connection.
    pub(super) fn hear(&mut self, flags: EpollFlags, woke: Instant) -> Heard {
        let is_readable = flags.intersects(
            EpollFlags::EPOLLIN
                | EpollFlags::EPOLLRDHUP
                | EpollFlags::EPOLLHUP
                | EpollFlags::EPOLLERR,
        );
        match self.phase {
            Phase::Connecting => {
                if !flags
                    .intersects(EpollFlags::EPOLLOUT | EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP)
                {
                    return Heard::Nothing;
                }
                match self.wire.connected() {
                    Ok(()) => self.connected(),
                    Err(error) => lost("connect", &error),
                }
            }
            Phase::InFlight => {
                if self.sent.is_none() && flags.contains(EpollFlags::EPOLLOUT) {
                    let heard = self.write();
                    if !matches!(heard, Heard::Nothing) {
                        return heard;
                    }
                }
                if is_readable {
                    self.read(flags, woke)
                } else {
                    Heard::Nothing
                }
            }
            // The server closed a connection that nobody uses, or said what nobody asked
            // for: the next request opens another.
            Phase::Idle { .. } | Phase::Pausing { .. } => {
                if is_readable && self.wire.is_there() && !matches!(self.wire.read(), Ok(None)) {
                    self.wire.drop_connection();
                }
                Heard::Nothing
            }
        }
    }

    fn read(&mut self, flags: EpollFlags, woke: Instant) -> Heard {
        match self.wire.read() {
            Ok(None) => {
                self.first_byte.get_or_insert(woke);
                Heard::Nothing
            }
            Ok(Some(mut head)) => {
                self.first_byte.get_or_insert(woke);
                // Its end came with the answer, and there will be no other event for it.
                head.closes |= flags.contains(EpollFlags::EPOLLRDHUP);
                Heard::Answer(head)
            }
            Err(error) => lost("receive", &error),
        }
    }

    /// How long the parts of the request took that is over now.
    pub(super) fn timings(&self, now: Instant, is_open_loop: bool) -> Timings {
        let sent = self.sent.unwrap_or(now);
        // Other answers of the same wake may have been looked at before this was sent.
        let first_byte = self.first_byte.unwrap_or(now).max(sent);
        let since = if is_open_loop {
            self.due
        } else {
            self.write_began
        };
        Timings {
            blocked: self.write_began.saturating_duration_since(self.due),
            connecting: self.connecting,
            sending: sent.saturating_duration_since(self.write_began),
            waiting: first_byte - sent,
            receiving: now.saturating_duration_since(first_byte),
            duration: now.saturating_duration_since(since),
            group: now.saturating_duration_since(self.due),
        }
    }

    /// A wrong answer, for people.
    pub(super) fn complaint(&self, head: &Framing) -> String {
        let body = self.wire.body(head);
        let shown = &body[..body.len().min(SHOWN_BYTES)];
        format!(
            "{} of {}: status {}: {}",
            self.script.kind().name(),
            self.script.flow_name(),
            head.status,
            String::from_utf8_lossy(shown)
        )
    }
}

fn lost(doing: &str, error: &Broken) -> Heard {
    Heard::Lost(match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            format!("{doing}: the server closed the connection without an answer")
        }
        _ => format!("{doing}: {error}"),
    })
}
