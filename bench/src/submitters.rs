//! The load on one shard, from tasks on its own executor: no HTTP, no mailbox, only
//! decisions and flushes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::bail;
use shards::ledger::Outcome;
use shards::runtime::ShardHandle;
use shards::{Submit, Unavailable};

use crate::histogram::Histogram;
use crate::timed_disk::FlushTimes;
use pieces::players;

/// Players that the deposits go to in turn.
const PLAYERS: u64 = 1_000;

/// How soon a deposit that the shard was too busy for is sent again.
const BUSY_PAUSE: Duration = Duration::from_millis(1);

/// Lets others run before the next deposit, as a connection does that waits for its next
/// request.
const NEXT_TURN: Duration = Duration::from_nanos(1);

/// When deposits are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// So many submitters, each with its next deposit as soon as the last is answered.
    Closed { submitters: u32 },
    /// At fixed times; latency counts from the moment each was due.
    Open { per_s: u32 },
}

/// How long, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) pace: Pace,
    pub(crate) warmup: Duration,
    pub(crate) window: Duration,
}

/// What was counted in the window.
pub(crate) struct Sample {
    /// From the moment each was due; in a closed loop from its submission.
    pub(crate) latency_ns: Histogram,
    /// Of those, what passed before its submission: the load's own timer.
    pub(crate) late_ns: Histogram,
    /// And what passed behind it: what the shard took.
    pub(crate) served_ns: Histogram,
    pub(crate) flush_ns: Histogram,
    pub(crate) elapsed: Duration,
    /// Deposits that were refused because the shard was too busy, and sent again.
    pub(crate) busy: u64,
}

/// What all tasks of a run share.
struct Run {
    handle: ShardHandle,
    next: Cell<u64>,
    outstanding: Cell<u64>,
    times: FlushTimes,
    count_from: Instant,
    window: Duration,
    /// When the window really began; it lasts for `elapsed` once that is known.
    counted_from: Cell<Option<Instant>>,
    elapsed: Cell<Duration>,
    flush_ns: RefCell<Histogram>,
    stopping: Cell<bool>,
    latency_ns: RefCell<Histogram>,
    late_ns: RefCell<Histogram>,
    served_ns: RefCell<Histogram>,
    busy: Cell<u64>,
    failure: RefCell<Option<anyhow::Error>>,
}

impl Run {
    /// One deposit, until it is booked; latency counts from `due`.
    async fn deposit(&self, due: Instant) -> anyhow::Result<()> {
        let number = self.next.get();
        self.next.set(number + 1);
        let command = players::deposit(number % PLAYERS, number)?;
        let submitted = Instant::now();
        loop {
            match self.handle.submit(command.clone()).await.result {
                Ok(Outcome::Accepted(_)) => break,
                Ok(other) => bail!("a deposit was answered with {other:?}"),
                Err(Unavailable::Busy) => {
                    self.busy.set(self.busy.get() + 1);
                    glommio::timer::sleep(BUSY_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let now = Instant::now();
        if self.is_counting(now) {
            for (times, from, to) in [
                (&self.latency_ns, due, now),
                (&self.late_ns, due, submitted),
                (&self.served_ns, submitted, now),
            ] {
                let took_ns = to.saturating_duration_since(from).as_nanos() as u64;
                times.borrow_mut().record(took_ns);
            }
        }
        Ok(())
    }

    /// Whether the window is open. Those who deposit open and close it: a timer comes
    /// late when the log is never waited for and the executor's turn does not end.
    fn is_counting(&self, now: Instant) -> bool {
        if self.stopping.get() || now < self.count_from {
            return false;
        }
        let Some(began) = self.counted_from.get() else {
            self.times.take();
            self.counted_from.set(Some(now));
            return true;
        };
        let elapsed = now.saturating_duration_since(began);
        if elapsed < self.window {
            return true;
        }
        self.elapsed.set(elapsed);
        *self.flush_ns.borrow_mut() = self.times.take();
        self.stopping.set(true);
        false
    }

    fn keep(&self, result: anyhow::Result<()>) {
        if let Err(error) = result {
            self.stopping.set(true);
            self.failure.borrow_mut().get_or_insert(error);
        }
    }
}

/// Opens the players, deposits by the plan and counts what falls into its window.
///
/// # Errors
/// A deposit was not booked.
pub(crate) async fn drive(
    handle: ShardHandle,
    plan: Plan,
    times: FlushTimes,
) -> anyhow::Result<Sample> {
    let opened: Vec<_> = (0..PLAYERS)
        .map(|number| Ok(handle.submit(players::open(number)?)))
        .collect::<anyhow::Result<_>>()?;
    for answer in opened {
        answer.await.result?;
    }
    let run = Rc::new(Run {
        handle,
        next: Cell::new(0),
        outstanding: Cell::new(0),
        times,
        count_from: Instant::now() + plan.warmup,
        window: plan.window,
        counted_from: Cell::new(None),
        elapsed: Cell::new(Duration::ZERO),
        flush_ns: RefCell::new(Histogram::new()),
        stopping: Cell::new(false),
        latency_ns: RefCell::new(Histogram::new()),
        late_ns: RefCell::new(Histogram::new()),
        served_ns: RefCell::new(Histogram::new()),
        busy: Cell::new(0),
        failure: RefCell::new(None),
    });
    send(run.clone(), plan.pace).await;
    match run.failure.take() {
        Some(error) => Err(error),
        None => Ok(Sample {
            latency_ns: run.latency_ns.replace(Histogram::new()),
            late_ns: run.late_ns.replace(Histogram::new()),
            served_ns: run.served_ns.replace(Histogram::new()),
            flush_ns: run.flush_ns.replace(Histogram::new()),
            elapsed: run.elapsed.get(),
            busy: run.busy.get(),
        }),
    }
}

async fn send(run: Rc<Run>, pace: Pace) {
    match pace {
        Pace::Closed { submitters } => {
            let tasks: Vec<_> = (0..submitters)
                .map(|_| {
                    let run = run.clone();
                    glommio::spawn_local(async move {
                        while !run.stopping.get() {
                            let result = run.deposit(Instant::now()).await;
                            run.keep(result);
                            glommio::timer::sleep(NEXT_TURN).await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await;
            }
        }
        Pace::Open { per_s } => {
            let began = Instant::now();
            for number in 0.. {
                let due = began + Duration::from_secs(1) * number / per_s;
                // Also when that is over: those who answer must run. A timer wakes an idle
                // CPU some ten microseconds late, which counts as latency. To look at the
                // clock again and again instead would take the CPU from the thread that
                // writes beside the shard.
                let early = due.saturating_duration_since(Instant::now());
                glommio::timer::sleep(early.max(NEXT_TURN)).await;
                if run.stopping.get() {
                    break;
                }
                let run = run.clone();
                run.outstanding.set(run.outstanding.get() + 1);
                glommio::spawn_local(async move {
                    let result = run.deposit(due).await;
                    run.keep(result);
                    run.outstanding.set(run.outstanding.get() - 1);
                })
                .detach();
            }
            while run.outstanding.get() > 0 {
                glommio::timer::sleep(BUSY_PAUSE).await;
            }
        }
    }
}
