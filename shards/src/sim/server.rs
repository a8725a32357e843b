//! The server's side: what the runtime does with executors, done by events.
//!
//! Each step follows the task that does it in `runtime/`: handle (`arrive`), pump
//! (`hop_arrives`, `deliver`); `commit.rs` has the way to the disk.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use super::Canary;
use super::clients::NETWORK_US;
use super::effect::Verdict;
use super::world::{Event, Life, World};
use crate::Unavailable;
use crate::ledger::{Command, FundsOrder, Outcome, RefusalReason};
use crate::mesh::{ReplyResult, ReplySlots, SlotTicket};
use crate::shard::{Shard, Ticket};
use crate::types::{Lsn, TransactionId};
use crate::wal::{Batch, Log, Segment};

/// Few, so that they run out now and then.
const SLOTS: usize = 10;

/// Where an answer goes: to a slot of a shard that lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    shard: usize,
    life: Life,
    ticket: SlotTicket,
}

/// Who waits at a slot, and for which shard.
#[derive(Clone, Copy)]
struct Waiting {
    request: Option<u64>,
    owner: usize,
    ticket: SlotTicket,
}

/// Where a batch is on its way.
pub(super) enum Stage {
    None,
    /// A batch will be taken.
    Soon,
    Taken(Batch),
    /// On the disk, and not yet told.
    Written(Batch),
}

/// One shard of a running process.
pub(super) struct Node {
    pub(super) shard: Shard<Address>,
    pub(super) log: Log,
    /// As of the last step.
    pub(super) durable_lsn: Lsn,
    slots: ReplySlots,
    waiting: BTreeMap<u32, Waiting>,
    pub(super) stage: Stage,
    pub(super) made: Option<Segment>,
    pub(super) ordered: bool,
    pub(super) disk_full: bool,
}

impl Node {
    pub(super) fn new(shard: Shard<Address>, log: Log) -> Self {
        Self {
            durable_lsn: shard.durable_lsn(),
            shard,
            log,
            slots: ReplySlots::new(SLOTS),
            waiting: BTreeMap::new(),
            stage: Stage::None,
            made: None,
            ordered: false,
            disk_full: false,
        }
    }

    /// The client that waits at a slot went away.
    pub(super) fn abandon(&mut self, ticket: SlotTicket, request: u64) {
        if let Some(waiting) = self.waiting.get_mut(&ticket.index)
            && waiting.request == Some(request)
        {
            waiting.request = None;
            self.slots.abandon(ticket);
        }
    }
}

impl World {
    pub(super) fn node(&mut self, shard: usize) -> &mut Node {
        let Some(node) = &mut self.nodes[shard] else {
            unreachable!("events of a life come to that life only");
        };
        node
    }

    /// A request at a listener: decided here, or sent to its owner.
    pub(super) fn arrive(&mut self, number: u64, front: usize) -> Verdict {
        let Some(request) = self.requests.get(&number) else {
            return Ok(());
        };
        let command = request.command.clone();
        if self.nodes[front].is_none() {
            // The connection is refused.
            return self.finish(number, Err(Unavailable::NoAnswer));
        }
        if self.node(front).slots.is_full() {
            return self.finish(number, Err(Unavailable::Busy));
        }
        let owner = self.slot_map.owner(command.slot()).index();
        if owner != front {
            return self.send_hop(number, front, owner, command);
        }
        match self.submit(front, &command) {
            Ok(ticket) if self.may_tell(front, &command, &ticket) => {
                self.finish(number, Ok(ticket.outcome))
            }
            Ok(ticket) => {
                let reply_to = self.reserve(number, front, front);
                self.node(front).shard.park(ticket, reply_to);
                self.commit_soon(front);
                Ok(())
            }
            Err(why) => self.finish(number, Err(why)),
        }
    }

    fn send_hop(&mut self, number: u64, front: usize, owner: usize, command: Command) -> Verdict {
        if self.nodes[owner].is_none() {
            return self.finish(number, Err(Unavailable::NoAnswer));
        }
        self.figures.hops += 1;
        let reply_to = self.reserve(number, front, owner);
        let life = self.lives[owner];
        let hop = Event::Hop {
            to: owner,
            life,
            command,
            reply_to,
        };
        self.within(NETWORK_US, hop);
        Ok(())
    }

    fn reserve(&mut self, number: u64, front: usize, owner: usize) -> Address {
        let (now, life) = (self.instant(), self.lives[front]);
        let node = self.node(front);
        let Some(ticket) = node.slots.reserve(now) else {
            unreachable!("there was room a few lines ago");
        };
        let waiting = Waiting {
            request: Some(number),
            owner,
            ticket,
        };
        node.waiting.insert(ticket.index, waiting);
        if let Some(request) = self.requests.get_mut(&number) {
            request.waits = Some((front, ticket));
        }
        Address {
            shard: front,
            life,
            ticket,
        }
    }

    pub(super) fn hop_arrives(
        &mut self,
        to: usize,
        command: &Command,
        reply_to: Address,
    ) -> Verdict {
        let answer = match self.submit(to, command) {
            Ok(ticket) if self.may_tell(to, command, &ticket) => Ok(ticket.outcome),
            Ok(ticket) => {
                self.node(to).shard.park(ticket, reply_to);
                self.commit_soon(to);
                return Ok(());
            }
            Err(why) => Err(why),
        };
        self.send_reply(to, reply_to, answer)
    }

    fn submit(&mut self, shard: usize, command: &Command) -> Result<Ticket, Unavailable> {
        let now = self.clock();
        let broken = self.broken(command);
        let node = self.node(shard);
        let before = node.shard.appended_lsn();
        let ticket = node.shard.submit(broken.as_ref().unwrap_or(command), now)?;
        let after = node.shard.appended_lsn();
        self.count(command, &ticket.outcome);
        if self.is_judged() {
            let posted = (after > before).then_some(after);
            let judge = &mut self.judges[shard];
            let verdict = judge.decided(command, now, &ticket.outcome, posted);
            if self.verdict.is_ok() {
                self.verdict = verdict;
            }
        }
        Ok(ticket)
    }

    /// What a canary makes of a command.
    fn broken(&mut self, command: &Command) -> Option<Command> {
        let canary = self.canary?;
        let mut broken = command.clone();
        let forgotten = format!("unremembered-{}", self.figures.events);
        let forgotten = TransactionId::parse(&forgotten)?;
        match (canary, &mut broken) {
            (Canary::LedgerForgetsId, Command::Deposit { transaction, .. }) => {
                *transaction = forgotten;
            }
            (Canary::LedgerForgetsBet, Command::PlaceBet(bet)) => {
                bet.round.transaction = forgotten;
            }
            (Canary::StakeFromOtherFunds, Command::PlaceBet(bet)) => {
                bet.funds_order = match bet.funds_order {
                    FundsOrder::CashFirst => FundsOrder::BonusFirst,
                    _ => FundsOrder::CashFirst,
                };
            }
            _ => return None,
        }
        self.random.one_in(6).then_some(broken)
    }

    fn count(&mut self, command: &Command, outcome: &Outcome) {
        let figures = &mut self.figures;
        let figure = match (command, outcome) {
            (Command::PlaceBet(_), Outcome::Accepted(_)) => &mut figures.bets,
            (Command::RollBackBet(_), Outcome::Accepted(_)) => &mut figures.rollbacks,
            (_, Outcome::Refused(refusal)) => match refusal.reason {
                RefusalReason::BetNotFound => &mut figures.rollbacks_ahead,
                RefusalReason::RolledBackBefore => &mut figures.bets_refused_behind,
                _ => return,
            },
            _ => return,
        };
        *figure += 1;
    }

    /// Whether an answer may leave at once; some canaries do not wait.
    fn may_tell(&mut self, shard: usize, command: &Command, ticket: &Ticket) -> bool {
        let is_read = matches!(
            command,
            Command::ReadBalance { .. } | Command::ReadAccount { .. } | Command::ReadSession { .. }
        );
        let too_early = self.is(Canary::AnswersEarly) || self.is(Canary::ReadsEarly) && is_read;
        let node = self.node(shard);
        let durable = node.shard.is_durable(ticket);
        if too_early && !durable {
            self.commit_soon(shard);
        }
        durable || too_early
    }

    pub(super) fn send_reply(
        &mut self,
        from: usize,
        reply_to: Address,
        result: ReplyResult,
    ) -> Verdict {
        if reply_to.shard == from {
            return self.deliver(reply_to, result);
        }
        let life = self.lives[from];
        self.within(
            NETWORK_US,
            Event::Reply {
                from,
                life,
                reply_to,
                result,
            },
        );
        Ok(())
    }

    /// An answer arrives at its slot, and from there at the client.
    pub(super) fn deliver(&mut self, to: Address, result: ReplyResult) -> Verdict {
        if self.lives[to.shard] != to.life {
            return Ok(());
        }
        let node = self.node(to.shard);
        let Some(waiting) = node.waiting.remove(&to.ticket.index) else {
            return Err("an answer that nobody waits for".to_owned());
        };
        node.slots.complete(to.ticket, result);
        let Some(number) = waiting.request else {
            return Ok(());
        };
        match node
            .slots
            .poll(to.ticket, &Context::from_waker(Waker::noop()))
        {
            Poll::Ready(result) => self.finish(number, result),
            Poll::Pending => Err("an answer is not in its slot".to_owned()),
        }
    }

    /// Those who wait for a shard that died hear that there will be no answer.
    pub(super) fn give_up_on(&mut self, dead: usize) -> Verdict {
        for shard in 0..self.nodes.len() {
            let life = self.lives[shard];
            let Some(node) = &self.nodes[shard] else {
                continue;
            };
            let lost: Vec<_> = node.waiting.values().copied().collect();
            for waiting in lost.iter().filter(|waiting| waiting.owner == dead) {
                let ticket = waiting.ticket;
                self.deliver(
                    Address {
                        shard,
                        life,
                        ticket,
                    },
                    Err(Unavailable::NoAnswer),
                )?;
            }
        }
        Ok(())
    }
}
