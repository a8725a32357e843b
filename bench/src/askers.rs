//! Those who ask shards for balances and bets from the shards' own executors, in place of
//! connections.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use shards::Submit;
use shards::ledger::{Command, Outcome};
use shards::routing::SlotMap;
use shards::runtime::{self, ShardHandle, let_io_run};
use shards::types::ShardId;

use crate::histogram::Histogram;
use pieces::players;

/// Players of each shard.
const PLAYERS: usize = 1_000;

/// Requests of an open loop come so often on each shard, and are no load themselves.
const PROBE_EVERY: Duration = Duration::from_micros(200);

/// How often a shard looks whether the others are ready too.
const READY_POLL: Duration = Duration::from_millis(1);

/// Tasks that keep a shard busy: with one alone the shard would sleep until it is ready
/// again.
const BUSY: usize = 2;

/// Turns of [`Work::run`] in one try of its calibration, some 0.1 ms.
const CALIBRATION_TURNS: u32 = 100_000;

/// Of so many tries the quickest counts: the others were interrupted.
const CALIBRATION_TRIES: u32 = 50;

/// When requests are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Each asker asks again as soon as it is answered, after its work.
    Closed,
    /// Every now and then, while others on the shard ask it all the time, and compute.
    Busy,
    /// Every now and then on a shard that sleeps in between.
    Idle,
}

/// What is asked, and of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    OwnBalance,
    OthersBalance,
    OwnBet,
    OthersBet,
}

/// A piece of computing that takes the same instructions each time, and so more time on a
/// CPU that is shared: what else a request costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    turns: u32,
}

impl Work {
    /// What takes so long on a CPU that does nothing else.
    pub(crate) fn of(time: Duration) -> Self {
        let probe = Self {
            turns: CALIBRATION_TURNS,
        };
        let quickest = (0..CALIBRATION_TRIES)
            .map(|_| {
                let began = Instant::now();
                probe.run();
                began.elapsed()
            })
            .min()
            .unwrap_or(time);
        let turns = time.as_secs_f64() / quickest.as_secs_f64() * f64::from(CALIBRATION_TURNS);
        Self {
            turns: (turns as u32).max(1),
        }
    }

    fn run(self) {
        let mut state = black_box(1u64);
        for _ in 0..self.turns {
            // Each turn waits for the one before.
            state = black_box(
                state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .rotate_left(17),
            );
        }
    }
}

/// How long, how and what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) shards: u16,
    pub(crate) load: Load,
    pub(crate) asked: Asked,
    pub(crate) askers: u32,
    pub(crate) work: Work,
    pub(crate) warmup: Duration,
    pub(crate) window: Duration,
}

/// What one shard's askers counted in the window.
pub(crate) struct Sample {
    /// From the submission to the answer.
    pub(crate) latency_ns: Histogram,
    pub(crate) elapsed: Duration,
}

/// What all tasks on a shard share.
struct Run {
    handle: ShardHandle,
    plan: Plan,
    /// Of the shard that is asked.
    players: Vec<u64>,
    next: Cell<u64>,
    count_from: Instant,
    latency_ns: RefCell<Histogram>,
    stopping: Cell<bool>,
    failure: RefCell<Option<anyhow::Error>>,
}

/// The first players that a shard owns.
fn players_of(shard: ShardId, shards: u16) -> anyhow::Result<Vec<u64>> {
    let slot_map = SlotMap::even(shards);
    let mut players = Vec::with_capacity(PLAYERS);
    for number in 0.. {
        if players.len() == PLAYERS {
            break;
        }
        if slot_map.owner(players::read(number)?.slot()) == shard {
            players.push(number);
        }
    }
    Ok(players)
}

/// Opens this shard's players, waits until `ready` counts all shards, and asks.
///
/// # Errors
/// A request was not answered as it should.
pub(crate) async fn drive(
    handle: ShardHandle,
    plan: Plan,
    ready: Arc<AtomicU16>,
) -> anyhow::Result<Sample> {
    let own = players_of(handle.id(), plan.shards)?;
    let imported: Vec<_> = own
        .iter()
        .map(|&number| Ok(handle.submit(players::import(number)?)))
        .collect::<anyhow::Result<_>>()?;
    for answer in imported {
        answer.await.result?;
    }
    ready.fetch_add(1, Ordering::SeqCst);
    while ready.load(Ordering::SeqCst) < plan.shards {
        glommio::timer::sleep(READY_POLL).await;
    }
    let players = match plan.asked {
        Asked::OwnBalance | Asked::OwnBet => own.clone(),
        Asked::OthersBalance | Asked::OthersBet => {
            let other = ShardId((handle.id().0 + 1) % plan.shards);
            players_of(other, plan.shards)?
        }
    };
    let run = Rc::new(Run {
        handle,
        plan,
        players,
        next: Cell::new(0),
        count_from: Instant::now() + plan.warmup,
        latency_ns: RefCell::new(Histogram::new()),
        stopping: Cell::new(false),
        failure: RefCell::new(None),
    });
    let mut tasks = Vec::new();
    if plan.load == Load::Busy {
        let busy = |_| glommio::spawn_local(run.clone().keep_busy(own.clone()));
        tasks.extend((0..BUSY).map(busy));
    }
    let askers = match plan.load {
        Load::Closed => plan.askers,
        Load::Busy | Load::Idle => 1,
    };
    tasks.extend((0..askers).map(|_| glommio::spawn_local(run.clone().ask())));
    for task in tasks {
        task.await;
    }
    match run.failure.take() {
        Some(error) => Err(error),
        None => Ok(Sample {
            latency_ns: run.latency_ns.replace(Histogram::new()),
            elapsed: plan.window,
        }),
    }
}

impl Run {
    /// Keeps the shard busy with requests of its own, which are not counted.
    async fn keep_busy(self: Rc<Self>, players: Vec<u64>) {
        for number in (0..PLAYERS).cycle() {
            if self.stopping.get() {
                break;
            }
            self.plan.work.run();
            let answered = match players::read(players[number]) {
                Ok(command) => self.handle.submit(command).await.result.map_err(Into::into),
                Err(error) => Err(error),
            };
            if let Err(error) = answered {
                self.fail(error);
            }
            let_io_run().await;
        }
    }

    fn fail(&self, error: anyhow::Error) {
        self.failure.borrow_mut().get_or_insert(error);
        self.stopping.set(true);
    }

    async fn ask(self: Rc<Self>) {
        while !self.stopping.get() {
            if let Err(error) = self.ask_once().await {
                self.fail(error);
            }
            match self.plan.load {
                // As a connection waits for its next request.
                Load::Closed => let_io_run().await,
                Load::Busy | Load::Idle => glommio::timer::sleep(PROBE_EVERY).await,
            }
        }
    }

    async fn ask_once(&self) -> anyhow::Result<()> {
        let command = self.next_command()?;
        if self.plan.load == Load::Closed {
            self.plan.work.run();
        }
        let submitted = Instant::now();
        match self.handle.submit(command).await.result? {
            Outcome::Accepted(_) => {}
            other => bail!("answered with {other:?}"),
        }
        let now = Instant::now();
        if now >= self.count_from + self.plan.window {
            self.stopping.set(true);
        } else if now >= self.count_from {
            let took_ns = (now - submitted).as_nanos() as u64;
            self.latency_ns.borrow_mut().record(took_ns);
        }
        Ok(())
    }

    fn next_command(&self) -> anyhow::Result<Command> {
        let number = self.next.get();
        self.next.set(number + 1);
        let player = self.players[number as usize % PLAYERS];
        match self.plan.asked {
            Asked::OwnBalance | Asked::OthersBalance => players::read(player),
            // Each shard's askers bet for players of one shard, so numbers meet no others.
            Asked::OwnBet | Asked::OthersBet => {
                players::bet(player, number / 64, number, runtime::now())
            }
        }
    }
}
