//! The load: one thread, many keep-alive connections, one request in flight on each.
//!
//! Two paces. **Closed**: a connection sends its next request as soon as its answer is
//! there, which finds the highest rate and says little about latency, since a slow
//! server slows its own load. **Open**: requests are due at fixed times and latency
//! counts from the due time, so that a stall is felt by every request that should
//! have been sent during it.
//!
//! The client never sleeps. A kernel's timer is later than what an open run measures; and
//! a server whose client sleeps has to wake it with nearly every answer, which the server
//! that keeps its client busy would be spared. What the client spends on looking in vain
//! does not count as its CPU time.
//!
//! Invariants:
//! * a connection is in flight or idle, never both; an answer without a request, or
//!   bytes behind an answer, end the run;
//! * every request that was due in an open run's window is answered or counted as
//!   failed.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::histogram::Histogram;
use crate::process;
use crate::request::Request;
use crate::wire::{self, Verdict};

/// A server that answers nothing for so long is stuck: the wallet's own longest
/// wait is shorter.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Several answers fit; one is below 400 bytes.
const READ_BYTES: usize = 16 * 1024;

/// Wake-ups taken from the kernel at once.
const EVENTS_MAX: usize = 256;

/// How much of the first failed answer is shown.
const FAILURE_SHOWN_BYTES: usize = 600;

/// One port of a server, and the requests that belong there.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Vec<Request>,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// After the answer to the one before.
    Closed,
    /// At this many per second over all connections.
    Open { requests_per_s: f64 },
}

/// The shape of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Load that is not counted, before the window.
    pub(crate) warmup: Duration,
    /// The window that is counted.
    pub(crate) window: Duration,
    pub(crate) pace: Pace,
}

/// What one run saw in its window.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) elapsed: Duration,
    /// Of successful answers, in nanoseconds.
    pub(crate) latency_ns: Histogram,
    /// Open pace: how late a request left although a connection was idle, in
    /// nanoseconds. That is the client's own fault.
    pub(crate) late_ns: Histogram,
    /// Wrong answers of the whole run, warm-up included.
    pub(crate) failures: u64,
    /// The first of them, as text.
    pub(crate) failure_first: Option<String>,
    /// Size of the last answer.
    pub(crate) answer_bytes: usize,
    pub(crate) server_cpu: Duration,
    /// Of the client's work, without what it spent on looking in vain.
    pub(crate) client_cpu: Duration,
}

/// Runs the load; `server_cpu` tells the CPU time that the server has used so far.
///
/// # Errors
/// A connection failed, an answer could not be read, or the server fell silent.
/// Wrong answers are no error here: they are in the [`Sample`].
pub(crate) fn run(
    targets: Vec<Target>,
    load: &Load,
    server_cpu: &dyn Fn() -> anyhow::Result<Duration>,
) -> anyhow::Result<Sample> {
    let mut client = Client::connect(targets, load.connections)?;
    let start = Instant::now();
    let window_start = start + load.warmup;
    let window_end = window_start + load.window;
    let mut before = None;
    let cpu_times = || -> anyhow::Result<(Duration, Duration)> {
        Ok((server_cpu()?, process::thread_cpu_time()?))
    };
    let mut step = |client: &mut Client, now: Instant| -> anyhow::Result<()> {
        if before.is_none() && now >= window_start {
            client.counting = Some((window_start, window_end));
            before = Some(cpu_times()?);
            client.in_vain = InVain::default();
        }
        Ok(())
    };
    match load.pace {
        Pace::Closed => client.run_closed(window_end, &mut step)?,
        Pace::Open { requests_per_s } => {
            client.run_open(start, window_end, requests_per_s, &mut step)?;
        }
    }
    let elapsed = window_start.elapsed();
    let (server_after, client_after) = cpu_times()?;
    let (server_before, client_before) = before.context("the window never opened")?;
    Ok(Sample {
        elapsed,
        latency_ns: client.latency_ns,
        late_ns: client.late_ns,
        failures: client.failures,
        failure_first: client.failure_first,
        answer_bytes: client.answer_bytes,
        server_cpu: server_after.saturating_sub(server_before),
        client_cpu: client_after
            .saturating_sub(client_before)
            .mul_f64(client.in_vain.rest_of(elapsed)),
    })
}

/// Called with the time once a turn.
type Step<'a> = &'a mut dyn FnMut(&mut Client, Instant) -> anyhow::Result<()>;

struct Client {
    epoll: Epoll,
    connections: Vec<Connection>,
    targets: Vec<Target>,
    /// The next request of each target.
    next: Vec<usize>,
    /// Unix time and the monotonic clock at one moment, so that a request needs one
    /// reading of the clock.
    unix_epoch_ms: u64,
    epoch: Instant,
    counting: Option<(Instant, Instant)>,
    latency_ns: Histogram,
    late_ns: Histogram,
    failures: u64,
    failure_first: Option<String>,
    answer_bytes: usize,
    in_vain: InVain,
    scratch: Vec<u8>,
}

/// Time spent on looks that found nothing.
#[derive(Default)]
struct InVain {
    spent: Duration,
    /// When the last look ended, if it found nothing.
    since: Option<Instant>,
}

impl InVain {
    /// Which part of `elapsed` was spent on something else. Of the wall's time, as other
    /// work on the CPU slows all of the client alike.
    fn rest_of(&self, elapsed: Duration) -> f64 {
        1.0 - self.spent.as_secs_f64() / elapsed.as_secs_f64()
    }

    /// A look has ended.
    fn note(&mut self, now: Instant, ready: usize) {
        if let Some(since) = self.since
            && ready == 0
        {
            self.spent += now - since;
        }
        self.since = (ready == 0).then_some(now);
    }
}

struct Connection {
    stream: TcpStream,
    target: usize,
    /// When the request in flight was sent (closed) or due (open).
    since: Option<Instant>,
    /// The front of an answer whose rest has not come yet.
    partial: Vec<u8>,
    /// The rest of a request that the socket did not take.
    unsent: Vec<u8>,
}

impl Client {
    fn connect(targets: Vec<Target>, connections: usize) -> anyhow::Result<Self> {
        assert!(!targets.is_empty());
        assert!(targets.iter().all(|target| !target.requests.is_empty()));
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut opened = Vec::with_capacity(connections);
        for id in 0..connections {
            let target = id % targets.len();
            let address = targets[target].address;
            let stream =
                TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, id as u64))?;
            opened.push(Connection {
                stream,
                target,
                since: None,
                partial: Vec::new(),
                unsent: Vec::new(),
            });
        }
        Ok(Self {
            epoll,
            connections: opened,
            next: vec![0; targets.len()],
            targets,
            unix_epoch_ms: SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64,
            epoch: Instant::now(),
            counting: None,
            latency_ns: Histogram::new(),
            late_ns: Histogram::new(),
            failures: 0,
            failure_first: None,
            answer_bytes: 0,
            in_vain: InVain::default(),
            scratch: vec![0; READ_BYTES],
        })
    }

    fn run_closed(&mut self, end: Instant, step: Step<'_>) -> anyhow::Result<()> {
        for id in 0..self.connections.len() {
            self.send(id, Instant::now())?;
        }
        let mut heard_at = Instant::now();
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        loop {
            let ready = self.look(&mut events)?;
            let now = Instant::now();
            self.in_vain.note(now, ready);
            if now >= end {
                return Ok(());
            }
            step(self, now)?;
            if ready > 0 {
                heard_at = now;
            } else if now - heard_at > SILENCE_MAX {
                bail!("no answer for {} s", SILENCE_MAX.as_secs());
            }
            for event in &events[..ready] {
                let id = event.data() as usize;
                if let Some((since, at)) = self.receive(id, event.events())? {
                    if let Some((window_start, _)) = self.counting
                        && at >= window_start
                    {
                        self.latency_ns.record((at - since).as_nanos() as u64);
                    }
                    self.send(id, at)?;
                }
            }
        }
    }

    fn run_open(
        &mut self,
        start: Instant,
        end: Instant,
        requests_per_s: f64,
        step: Step<'_>,
    ) -> anyhow::Result<()> {
        let due_at = |k: u64| start + Duration::from_secs_f64(k as f64 / requests_per_s);
        let mut idle: Vec<usize> = (0..self.connections.len()).collect();
        let mut due = 0;
        let mut heard_at = Instant::now();
        // Whether the next request has seen a moment without an idle connection.
        let mut starved = false;
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        loop {
            let now = Instant::now();
            step(self, now)?;
            let mut at = due_at(due);
            while at <= now && at < end {
                let Some(id) = idle.pop() else {
                    starved = true;
                    break;
                };
                if !starved && self.is_counted(at) {
                    self.late_ns.record((now - at).as_nanos() as u64);
                }
                starved = false;
                self.send(id, now)?;
                self.connections[id].since = Some(at);
                due += 1;
                at = due_at(due);
            }
            let in_flight = self.connections.len() - idle.len();
            if at >= end && in_flight == 0 {
                return Ok(());
            }
            let ready = self.look(&mut events)?;
            self.in_vain.note(Instant::now(), ready);
            if ready > 0 || in_flight == 0 {
                heard_at = now;
            } else if now - heard_at > SILENCE_MAX {
                bail!("no answer for {} s", SILENCE_MAX.as_secs());
            }
            for event in &events[..ready] {
                let id = event.data() as usize;
                if let Some((since, answered_at)) = self.receive(id, event.events())? {
                    if self.is_counted(since) {
                        self.latency_ns
                            .record((answered_at - since).as_nanos() as u64);
                    }
                    idle.push(id);
                }
            }
        }
    }

    fn is_counted(&self, due: Instant) -> bool {
        self.counting
            .is_some_and(|(start, end)| due >= start && due < end)
    }

    fn look(&self, events: &mut [EpollEvent]) -> anyhow::Result<usize> {
        match self.epoll.wait(events, EpollTimeout::ZERO) {
            Ok(ready) => Ok(ready),
            Err(nix::Error::EINTR) => Ok(0),
            Err(error) => Err(error).context("wait for sockets"),
        }
    }

    fn send(&mut self, id: usize, now: Instant) -> anyhow::Result<()> {
        let now_ms = self.unix_epoch_ms + (now - self.epoch).as_millis() as u64;
        // Work since the last look.
        self.in_vain.since = None;
        let connection = &mut self.connections[id];
        assert!(connection.since.is_none());
        let requests = &mut self.targets[connection.target].requests;
        let next = &mut self.next[connection.target];
        let chosen = *next;
        *next = (chosen + 1) % requests.len();
        let bytes = requests[chosen].at(now_ms);
        connection.since = Some(now);
        let written = match connection.stream.write(bytes) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error).context("send a request"),
        };
        if written < bytes.len() {
            connection.unsent.extend_from_slice(&bytes[written..]);
            self.set_interest(id, EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT)?;
        }
        Ok(())
    }

    fn set_interest(&self, id: usize, interest: EpollFlags) -> anyhow::Result<()> {
        let mut event = EpollEvent::new(interest, id as u64);
        self.epoll
            .modify(&self.connections[id].stream, &mut event)
            .context("change what a socket is watched for")
    }

    fn send_rest(&mut self, id: usize) -> anyhow::Result<()> {
        let connection = &mut self.connections[id];
        match connection.stream.write(&connection.unsent) {
            Ok(written) => drop(connection.unsent.drain(..written)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("send a request"),
        }
        if self.connections[id].unsent.is_empty() {
            self.set_interest(id, EpollFlags::EPOLLIN)?;
        }
        Ok(())
    }

    /// Reads what came. Gives, for a complete and successful answer or a failed one,
    /// since when it was awaited and when it was complete.
    fn receive(
        &mut self,
        id: usize,
        flags: EpollFlags,
    ) -> anyhow::Result<Option<(Instant, Instant)>> {
        if flags.contains(EpollFlags::EPOLLOUT) && !self.connections[id].unsent.is_empty() {
            self.send_rest(id)?;
        }
        let connection = &mut self.connections[id];
        let read = match connection.stream.read(&mut self.scratch) {
            Ok(0) => bail!("the server closed a connection that we keep alive"),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error).context("receive an answer"),
        };
        let at = Instant::now();
        let mut bytes = &self.scratch[..read];
        if !connection.partial.is_empty() {
            connection.partial.extend_from_slice(bytes);
            bytes = &connection.partial;
        }
        let Some(answer) = wire::answer(bytes).with_context(|| shown(bytes))? else {
            if connection.partial.is_empty() {
                connection.partial.extend_from_slice(&self.scratch[..read]);
            }
            return Ok(None);
        };
        if answer.bytes != bytes.len() {
            bail!("bytes behind an answer: {}", shown(bytes));
        }
        let Some(since) = connection.since.take() else {
            bail!("an answer that nobody asked for: {}", shown(bytes));
        };
        if answer.verdict == Verdict::Failure {
            self.failures += 1;
            if self.failure_first.is_none() {
                self.failure_first = Some(shown(bytes));
            }
        }
        self.answer_bytes = answer.bytes;
        connection.partial.clear();
        Ok(Some((since, at)))
    }
}

fn shown(bytes: &[u8]) -> String {
    let end = bytes.len().min(FAILURE_SHOWN_BYTES);
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests;
