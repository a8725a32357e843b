//! The world of one simulation: time, the queue of events, and what is checked at
//! every step.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clients::{Client, Request};
use super::disks::Disks;
use super::effect::Verdict;
use super::judge::Judge;
use super::oracle::Oracle;
use super::random::Random;
use super::server::{Address, Node};
use super::traffic::Traffic;
use super::{Canary, Figures, Report};
use crate::ledger::{Command, Decision, Facts, LedgerSettings, Outcome};
use crate::mesh::ReplyResult;
use crate::routing::SlotMap;
use crate::storage::MemoryDisk;
use crate::types::{Lsn, ShardId, UnixMillis};
use crate::wal::DataSet;

/// Where simulated time begins.
const BEGINNING: UnixMillis = UnixMillis(1_795_000_000_000);

/// No run needs a hundredth of it; a run that does not end is a violation too.
const EVENTS_MAX: u64 = 1_000_000;

/// How many steps a violation shows.
const STEPS_SHOWN: usize = 60;

/// Which process, or which life of a shard: what was sent to another is lost.
pub(super) type Life = u64;

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A client does its next thing, unless it has done something since.
    Client {
        client: usize,
        turn: u64,
    },
    /// A request arrives at a shard's listener.
    Arrives {
        request: u64,
        front: usize,
    },
    /// A command arrives at its owner.
    Hop {
        to: usize,
        life: Life,
        command: Command,
        reply_to: Address,
    },
    /// An answer arrives where its command came from.
    Reply {
        from: usize,
        life: Life,
        reply_to: Address,
        result: ReplyResult,
    },
    /// A batch is taken, written, and reported durable.
    Take {
        shard: usize,
        life: Life,
    },
    Write {
        shard: usize,
        life: Life,
    },
    Durable {
        shard: usize,
        life: Life,
    },
    Seal {
        shard: usize,
        life: Life,
    },
    /// A segment that was ordered is made.
    Supply {
        shard: usize,
        life: Life,
    },
    /// What a shard's log has left is folded.
    Fold {
        shard: usize,
        life: Life,
    },
    /// The process starts, or one of its shards.
    Start,
    StartShard {
        shard: usize,
        life: Life,
    },
    Fault,
    RoomReturns,
}

pub(super) struct World {
    pub(super) random: Random,
    pub(super) canary: Option<Canary>,
    pub(super) now_us: u64,
    /// How far the wall clock has jumped.
    pub(super) clock_ms: i64,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    /// The reply slots want an [`Instant`]; only differences count.
    began: Instant,
    pub(super) disks: Vec<MemoryDisk>,
    /// After which operation a disk loses power, by disk.
    pub(super) power_goes_at: Vec<Option<u64>>,
    pub(super) storage: Arc<Disks>,
    pub(super) slot_map: SlotMap,
    /// While the process runs.
    pub(super) data: Option<DataSet>,
    pub(super) nodes: Vec<Option<Node>>,
    pub(super) lives: Vec<Life>,
    /// What recovery must find at least and at most, by shard.
    pub(super) bounds: Vec<(Lsn, Lsn)>,
    /// How long a batch waits to be taken, takes to be written, and to be reported.
    pub(super) commit_us: u64,
    pub(super) clients: Vec<Client>,
    pub(super) requests: BTreeMap<u64, Request>,
    pub(super) commands_left: u64,
    pub(super) faults_left: u64,
    pub(super) traffic: Traffic,
    pub(super) oracle: Oracle,
    /// The model beside each shard.
    pub(super) judges: Vec<Judge>,
    /// What a judge said of a decision since the last step.
    pub(super) verdict: Verdict,
    pub(super) figures: Figures,
    pub(super) settings: LedgerSettings,
    trace: u64,
    tells: bool,
    steps: VecDeque<String>,
}

impl World {
    pub(super) fn new(seed: u64, canary: Option<Canary>, tells: bool) -> Self {
        let mut random = Random::new(seed);
        let shards = 1 + random.below(4) as usize;
        let disks: Vec<_> = (0..shards).map(|_| MemoryDisk::default()).collect();
        let lies = canary == Some(Canary::DiskLies);
        let clients = 2 + random.below(23) as usize;
        let settings = LedgerSettings {
            idempotency_window: Duration::from_secs(72 * 3_600),
            digest_secret: [random.number(), random.number()],
            clock_skew_max: Duration::from_secs(300),
        };
        let mut world = Self {
            canary,
            now_us: 0,
            clock_ms: 0,
            queue: BTreeMap::new(),
            queued: 0,
            began: Instant::now(),
            storage: Arc::new(Disks::new(disks.clone(), lies)),
            power_goes_at: vec![None; shards],
            disks,
            slot_map: SlotMap::even(shards as u16),
            data: None,
            nodes: (0..shards).map(|_| None).collect(),
            lives: vec![0; shards],
            bounds: vec![(Lsn::NONE, Lsn::NONE); shards],
            // Some disks are quick; on others, many postings share a batch.
            commit_us: 400 << random.below(6),
            clients: (0..clients).map(|_| Client::default()).collect(),
            requests: BTreeMap::new(),
            commands_left: 60 + random.below(240),
            faults_left: random.below(10),
            traffic: Traffic::new(&mut random, &settings),
            oracle: Oracle::default(),
            judges: (0..shards).map(|_| Judge::new(settings)).collect(),
            verdict: Ok(()),
            figures: Figures::default(),
            settings,
            trace: seed,
            tells,
            steps: VecDeque::new(),
            random,
        };
        world.after(0, Event::Start);
        for client in 0..clients {
            world.within(2_000, Event::Client { client, turn: 0 });
        }
        world.within(20_000, Event::Fault);
        world
    }

    /// Puts an event `us` microseconds ahead.
    pub(super) fn after(&mut self, us: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((self.now_us + us, self.queued), event);
    }

    /// Puts an event up to `us` microseconds ahead: most of them soon, some late.
    pub(super) fn within(&mut self, us: u64, event: Event) {
        let us = self.random.below(us + 1).min(self.random.below(us + 1));
        self.after(us, event);
    }

    /// What the wall clock says.
    pub(super) fn clock(&self) -> UnixMillis {
        UnixMillis(BEGINNING.0 + (self.now_us / 1_000) as i64 + self.clock_ms)
    }

    pub(super) fn instant(&self) -> Instant {
        self.began + Duration::from_micros(self.now_us)
    }

    pub(super) fn is(&self, canary: Canary) -> bool {
        self.canary == Some(canary)
    }

    /// Whether the model judges what shards decide.
    pub(super) fn is_judged(&self) -> bool {
        self.canary.is_none_or(Canary::is_for_the_model)
    }

    /// Mixes something that happened into the digest of the run.
    pub(super) fn mark(&mut self, what: u64) {
        self.trace = (self.trace.rotate_left(7) ^ what).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    /// Remembers a step in words, if somebody will read them.
    pub(super) fn tell(&mut self, step: impl FnOnce() -> String) {
        if self.tells {
            if self.steps.len() == STEPS_SHOWN {
                self.steps.pop_front();
            }
            let at_ms = self.now_us as f64 / 1_000.0;
            self.steps.push_back(format!("{at_ms:9.3} ms  {}", step()));
        }
    }

    pub(super) fn report(&self) -> Report {
        Report {
            figures: self.figures,
            trace: self.trace,
        }
    }

    pub(super) fn steps(&mut self) -> Vec<String> {
        std::mem::take(&mut self.steps).into()
    }

    /// Everything, to the last audit.
    pub(super) fn run(&mut self) -> Verdict {
        while !self.is_over() {
            let Some(((at_us, number), event)) = self.queue.pop_first() else {
                return Err("clients wait and nothing is going to happen".to_owned());
            };
            self.now_us = at_us;
            self.figures.events += 1;
            if self.figures.events > EVENTS_MAX {
                return Err("the simulation does not come to an end".to_owned());
            }
            self.mark(at_us ^ number << 32);
            self.tell(|| format!("{event:?}"));
            self.happen(event)?;
            self.check_step()?;
        }
        self.end()
    }

    fn is_over(&self) -> bool {
        self.commands_left == 0
            && self.faults_left == 0
            && self.clients.iter().all(Client::is_idle)
            && self.data.is_some()
            && self
                .nodes
                .iter()
                .all(|node| node.as_ref().is_some_and(|n| !n.shard.has_undurable()))
    }

    fn happen(&mut self, event: Event) -> Verdict {
        match event {
            Event::Client { client, turn } => self.client_turn(client, turn),
            Event::Arrives { request, front } => self.arrive(request, front),
            Event::Hop {
                to,
                life,
                command,
                reply_to,
            } if life == self.lives[to] => self.hop_arrives(to, &command, reply_to),
            Event::Reply {
                from,
                life,
                reply_to,
                result,
            } if life == self.lives[from] => self.deliver(reply_to, result),
            Event::Take { shard, life } if life == self.lives[shard] => self.take(shard),
            Event::Write { shard, life } if life == self.lives[shard] => self.write(shard),
            Event::Durable { shard, life } if life == self.lives[shard] => self.durable(shard),
            Event::Seal { shard, life } if life == self.lives[shard] => self.seal(shard),
            Event::Supply { shard, life } if life == self.lives[shard] => self.supply(shard),
            Event::Fold { shard, life } if life == self.lives[shard] => self.fold(shard),
            Event::StartShard { shard, life } if life == self.lives[shard] => {
                self.start_shard(shard)
            }
            Event::Start => self.start(),
            Event::Fault => self.fault(),
            Event::RoomReturns => {
                self.disks.iter().for_each(|disk| disk.set_bytes_max(None));
                Ok(())
            }
            // To a life that is over.
            _ => Ok(()),
        }
    }

    /// What must hold at any moment.
    fn check_step(&mut self) -> Verdict {
        std::mem::replace(&mut self.verdict, Ok(()))?;
        for node in self.nodes.iter_mut().flatten() {
            let shard = &node.shard;
            let (durable, appended) = (shard.durable_lsn(), shard.appended_lsn());
            if durable > appended || durable < node.durable_lsn || durable > node.log.durable_lsn()
            {
                return Err(format!("durable LSN {durable}, appended {appended}"));
            }
            node.durable_lsn = durable;
            for book in shard.ledger().books() {
                if book.total() != 0 || book.player_cash < 0 || book.player_bonus < 0 {
                    return Err(format!("the books do not add up: {book:?}"));
                }
            }
        }
        Ok(())
    }

    /// Judges the whole state of shards that were just read back from the disk: all of
    /// it may be told from now on.
    pub(super) fn audit(&mut self, shards: std::ops::Range<usize>) -> Verdict {
        let now = self.clock();
        for shard in shards {
            let Some(node) = &self.nodes[shard] else {
                continue;
            };
            let ledger = node.shard.ledger();
            if self.is_judged() {
                self.judges[shard].audit(ledger, now)?;
            }
            let owner = ShardId(shard as u16);
            let mut player_cash = 0;
            for read in self.oracle.reads() {
                if self.slot_map.owner(read.slot()) != owner {
                    continue;
                }
                let Decision::Answer { outcome, .. } = ledger.decide(&read, now) else {
                    return Err(format!("a read books: {read:?}"));
                };
                if let Outcome::Accepted(Facts::Account(facts)) = &outcome {
                    player_cash += i128::from(facts.funds.balance.cash.minor());
                }
                let asked_at = self.oracle.asked(&read);
                self.oracle.answered(&read, asked_at, &Ok(outcome))?;
            }
            let booked: i128 = ledger.books().iter().map(|book| book.player_cash).sum();
            if booked != player_cash {
                return Err(format!("books {booked}, accounts {player_cash}"));
            }
            let done = self.oracle.done();
            for command in done.filter(|command| self.slot_map.owner(command.slot()) == owner) {
                if let Decision::Post(..) = ledger.decide(command, now) {
                    return Err(format!("forgotten, would be done again: {command:?}"));
                }
            }
        }
        Ok(())
    }

    /// What every account ends with.
    fn settle_accounts(&self) -> Verdict {
        for read in self.oracle.reads() {
            let owner = self.slot_map.owner(read.slot()).index();
            let Some(node) = &self.nodes[owner] else {
                continue;
            };
            if let Decision::Answer { outcome, .. } =
                node.shard.ledger().decide(&read, self.clock())
                && let Outcome::Accepted(Facts::Account(facts)) = outcome
            {
                self.oracle.settle(&facts.account, facts.funds.balance)?;
            }
        }
        Ok(())
    }

    /// The last word: with no more faults than a power cut that loses all it can,
    /// everything must be there, twice.
    fn end(&mut self) -> Verdict {
        self.audit(0..self.nodes.len())?;
        self.settle_accounts()?;
        for _ in 0..2 {
            self.power_cut_at_the_end();
            self.start()?;
            if self.data.is_none() {
                return Err("no start without faults".to_owned());
            }
        }
        Ok(())
    }
}
