//! One thread of load: many virtual users, one connection and one request in flight each.
//!
//! Two paces. **Closed**: a user goes on as soon as its answer is there, which finds the
//! highest rate and says little about latency, since a slow server slows its own load.
//! **Open**: requests are due when the schedule says, each goes to the user that has been
//! idle longest and is the next step of that user's flow, and latency counts from the due
//! time; so a stall is felt by every request that should have been sent during it.
//!
//! Invariants:
//! * a user is idle, in flight, or waiting to try again: exactly one of them;
//! * a booking without a definitive answer is sent again with the same id until it has one
//!   or the grace at the end is over; then it is counted as unsettled.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::arrivals::Arrivals;
use crate::cpus;
use crate::random::Random;
use crate::tally::{Effects, Interval, Tally};
use crate::wall_clock::WallClock;
use crate::world::World;

use self::user::{Phase, User};

mod outcome;
mod user;

/// Wake-ups taken from the kernel at once.
const EVENTS_MAX: usize = 256;

/// The longest sleep: the clock is looked at this often at least.
const SLEEP_MS: u16 = 20;

/// How often requests are looked through for those without an answer in time.
const SWEEP: Duration = Duration::from_millis(100);

/// What the timer's events carry instead of a user's number.
const TIMER: u64 = u64::MAX;

/// What one thread has to do.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) world: Arc<World>,
    /// This thread's number.
    pub(crate) lane: usize,
    /// Its virtual users, counted from 1 over all threads, each with its target.
    pub(crate) users: Vec<(u64, usize)>,
    pub(crate) cpu: Option<usize>,
    pub(crate) seed: u64,
    pub(crate) start: Instant,
    /// Load that is not counted, from the start.
    pub(crate) warmup: Duration,
    /// The load that is counted.
    pub(crate) duration: Duration,
    /// How long flows may go on behind the end.
    pub(crate) grace: Duration,
    /// A request without an answer for so long has failed.
    pub(crate) timeout: Duration,
    /// The schedule of an open loop.
    pub(crate) arrivals: Option<Arrivals>,
    pub(crate) seconds: Sender<Interval>,
}

/// What one thread saw.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) tally: Tally,
    pub(crate) effects: Effects,
    /// Of the counted part, to the end of the last flow.
    pub(crate) elapsed: Duration,
    pub(crate) cpu_time: Duration,
    pub(crate) cpu: Option<usize>,
    /// Requests of the whole run, warm-up included.
    pub(crate) requests_ever: u64,
    /// Requests that were due in an open loop and never sent.
    pub(crate) dropped: u64,
    /// The first things that went wrong, for the report.
    pub(crate) complaints: Vec<String>,
}

/// Runs a thread's load to its end.
///
/// # Errors
/// The system refused something; what the server does wrong is counted instead.
pub(crate) fn run(task: Task) -> anyhow::Result<Done> {
    if let Some(cpu) = task.cpu {
        cpus::pin_this_thread(&[cpu])?;
    }
    std::thread::sleep(task.start.saturating_duration_since(Instant::now()));
    Worker::new(task)?.run()
}

struct Worker {
    task: Task,
    epoll: Epoll,
    timer: TimerFd,
    /// The due time that the timer was last set for.
    armed_for: Option<Instant>,
    users: Vec<User>,
    /// Users that wait for a due request (open loop), longest first.
    idle: VecDeque<usize>,
    /// Users that may go on at once.
    ready: Vec<usize>,
    retries: BinaryHeap<Reverse<(Instant, usize)>>,
    random: Random,
    clock: WallClock,
    effects: Effects,
    /// What was counted in full seconds, and what since.
    total: Tally,
    current: Tally,
    second: u64,
    requests_warmup: u64,
    counting_since: Option<(Instant, Duration)>,
    end: Instant,
    complaints: Vec<String>,
}

impl Worker {
    fn new(task: Task) -> anyhow::Result<Self> {
        let users: Vec<User> = task
            .users
            .iter()
            .enumerate()
            .map(|(place, &(number, target))| {
                User::new(place, number, target, task.world.targets[target].address)
            })
            .collect();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        // Edge-triggered: setting the timer again clears what it said.
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(&timer, EpollEvent::new(interest, TIMER))?;
        let all = 0..users.len();
        let is_open = task.arrivals.is_some();
        Ok(Self {
            epoll,
            timer,
            armed_for: None,
            idle: if is_open {
                all.clone().collect()
            } else {
                VecDeque::new()
            },
            ready: if is_open {
                Vec::new()
            } else {
                all.rev().collect()
            },
            users,
            retries: BinaryHeap::new(),
            random: Random::new(task.seed, task.lane as u64 + 1),
            clock: WallClock::new(),
            effects: Effects::new(task.world.accounts.len()),
            total: Tally::default(),
            current: Tally::default(),
            second: 0,
            requests_warmup: 0,
            counting_since: None,
            end: task.start + task.warmup + task.duration,
            complaints: Vec::new(),
            task,
        })
    }

    fn run(mut self) -> anyhow::Result<Done> {
        let give_up = self.end + self.task.grace;
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let mut swept = Instant::now();
        loop {
            let now = Instant::now();
            self.tick(now)?;
            self.send_what_is_due()?;
            if now >= self.end && (now >= give_up || self.is_quiet()) {
                break;
            }
            if now - swept >= SWEEP {
                swept = now;
                self.sweep(now);
            }
            self.arm_timer()?;
            let ready = match self.epoll.wait(&mut events, EpollTimeout::from(SLEEP_MS)) {
                Ok(ready) => ready,
                Err(nix::Error::EINTR) => 0,
                Err(error) => return Err(error).context("wait for sockets"),
            };
            let woke = Instant::now();
            for event in &events[..ready] {
                if event.data() != TIMER {
                    self.hear(event.data() as usize, event.events(), woke)?;
                }
            }
        }
        self.finish()
    }

    /// Once a second: hands the second to the collector and goes on with a fresh one.
    fn tick(&mut self, now: Instant) -> anyhow::Result<()> {
        let second = now.saturating_duration_since(self.task.start).as_secs();
        if second != self.second {
            self.hand_over();
            self.second = second;
        }
        let counting_from = self.task.start + self.task.warmup;
        if self.counting_since.is_none() && now >= counting_from {
            // What the warm-up counted is forgotten; what it booked is not.
            self.requests_warmup = self.total.requests + self.current.requests;
            self.total = Tally::default();
            self.current = Tally::default();
            self.counting_since = Some((now, cpus::thread_cpu_time()?));
        }
        Ok(())
    }

    fn hand_over(&mut self) {
        let current = std::mem::take(&mut self.current);
        self.total.merge(&current);
        // Without a collector nobody wants to know.
        let _ = self.task.seconds.send(Interval {
            second: self.second,
            durations: current.durations,
            requests: current.requests,
            failed: current.failed,
        });
    }

    /// Sends whatever may go out now. The clock is read for each request: to send a hundred
    /// takes a millisecond, which is not the server's.
    fn send_what_is_due(&mut self) -> anyhow::Result<()> {
        while let Some(&Reverse((at, id))) = self.retries.peek() {
            let now = Instant::now();
            if at > now {
                break;
            }
            self.retries.pop();
            if self.users[id].phase == (Phase::Pausing { settled: true }) {
                self.settled(id, false, now);
            } else {
                self.attempt(id, now)?;
            }
        }
        while let Some(id) = self.ready.pop() {
            let now = Instant::now();
            if now < self.end || !self.users[id].script.is_between_flows() {
                self.launch(id, now, now)?;
            }
        }
        while let Some(arrivals) = &mut self.task.arrivals {
            let now = Instant::now();
            let due = arrivals.next_due();
            if due > now || due >= self.end {
                break;
            }
            let Some(id) = self.idle.pop_front() else {
                break;
            };
            arrivals.advance();
            let could_leave = due.max(self.users[id].idle_since());
            self.current.late.record(now - could_leave);
            self.launch(id, due, now)?;
        }
        let now = Instant::now();
        if now >= self.end && self.task.arrivals.is_some() {
            // Rounds that were begun are brought to their end.
            for id in std::mem::take(&mut self.idle) {
                if !self.users[id].script.is_between_flows() {
                    self.launch(id, now, now)?;
                }
            }
        }
        Ok(())
    }

    /// Sends a user's next request, which is due since `due`.
    fn launch(&mut self, id: usize, due: Instant, now: Instant) -> anyhow::Result<()> {
        let user = &mut self.users[id];
        if user.script.is_between_flows() {
            user.script.begin(&self.task.world, &mut self.random);
            user.iteration_since = due;
        }
        user.due = due;
        user.attempts = 0;
        self.attempt(id, now)
    }

    /// Sends a user's request for the first time or again.
    fn attempt(&mut self, id: usize, now: Instant) -> anyhow::Result<()> {
        let user = &mut self.users[id];
        if user.attempts > 0 {
            // A pause of ours is not the server's time.
            user.due = now;
            self.current.retries += 1;
        }
        user.attempts += 1;
        let bytes = user.wire.request();
        user.script
            .render(&self.task.world, &mut self.clock, now, bytes);
        let heard = user.start(now, now + self.task.timeout, &self.epoll)?;
        self.act_on(id, heard)
    }

    /// Whether every flow is at its end.
    fn is_quiet(&self) -> bool {
        let is_done = |user: &User| {
            matches!(user.phase, Phase::Idle { .. }) && user.script.is_between_flows()
        };
        self.users.iter().all(is_done)
    }

    fn arm_timer(&mut self) -> anyhow::Result<()> {
        let due = match &self.task.arrivals {
            Some(arrivals) if !self.idle.is_empty() => arrivals.next_due(),
            _ => return Ok(()),
        };
        if due >= self.end || self.armed_for == Some(due) {
            return Ok(());
        }
        self.armed_for = Some(due);
        // A timer of zero would be one that is off.
        let left = due
            .saturating_duration_since(Instant::now())
            .max(Duration::from_nanos(1));
        let expiration = Expiration::OneShot(TimeSpec::from_duration(left));
        self.timer
            .set(expiration, TimerSetTimeFlags::empty())
            .context("set the timer of the next request")
    }

    fn finish(mut self) -> anyhow::Result<Done> {
        let now = Instant::now();
        for user in &self.users {
            // In flight, or waiting to be sent again: nobody knows whether it was booked.
            if matches!(
                user.phase,
                Phase::InFlight | Phase::Connecting | Phase::Pausing { settled: false }
            ) {
                let (player, change) = user.script.effect();
                self.effects.unsettled(player, change);
            }
        }
        self.hand_over();
        let dropped = match &mut self.task.arrivals {
            Some(arrivals) => arrivals.drop_until(self.end),
            None => 0,
        };
        let (since, cpu_before) = self.counting_since.unwrap_or((now, Duration::ZERO));
        Ok(Done {
            effects: self.effects,
            elapsed: now - since,
            cpu_time: cpus::thread_cpu_time()?.saturating_sub(cpu_before),
            cpu: self.task.cpu,
            requests_ever: self.requests_warmup + self.total.requests,
            dropped,
            complaints: self.complaints,
            tally: self.total,
        })
    }
}
