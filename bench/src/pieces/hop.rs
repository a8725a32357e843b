//! A hop: a command into its owner's mailbox and out of it, and its answer back.
//!
//! Both ends are on this thread and nobody sleeps, so this is what the mesh itself costs:
//! no wake-up, no cache line that travels between cores.

use std::hint::black_box;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use shards::ledger::{Command, Facts, Funds, Outcome};
use shards::mesh::{
    Envelope, Mesh, PeerId, REPLY_SLOTS, Received, Reply, ReplyAddress, ReplySlots,
};
use shards::types::{Balance, Currency, ShardId};

use crate::{Piece, players};

const ASKER: PeerId = PeerId::shard(ShardId(0));
const OWNER: PeerId = PeerId::shard(ShardId(1));

/// Takes commands there and answers back.
pub struct Hop {
    mesh: Mesh,
    slots: ReplySlots,
    commands: Vec<Command>,
    answer: Outcome,
    /// Read once: what the clock costs is no part of the hop.
    now: Instant,
}

impl Hop {
    fn hop(&mut self, command: Command) {
        let ticket = self.slots.reserve(self.now).expect("a free slot");
        let reply_to = ReplyAddress {
            peer: ASKER,
            ticket,
        };
        let envelope = Envelope { command, reply_to };
        assert!(self.mesh.send(OWNER, envelope).is_ok());
        self.mesh.ring(OWNER);
        let Some(Received::Command(envelope)) = self.mesh.receive(OWNER) else {
            panic!("the command is there");
        };
        black_box(&envelope.command);
        let ReplyAddress { peer, ticket } = envelope.reply_to;
        let result = Ok(self.answer.clone());
        self.mesh.reply(peer, Reply { ticket, result });
        self.mesh.ring(peer);
        let Some(Received::Reply(reply)) = self.mesh.receive(ASKER) else {
            panic!("the answer is there");
        };
        let waker = self.slots.complete(reply.ticket, reply.result);
        assert!(waker.is_none());
        let polled = self.slots.poll(ticket, &Context::from_waker(Waker::noop()));
        assert!(matches!(black_box(polled), Poll::Ready(Ok(_))));
    }
}

impl Piece for Hop {
    const STEPS: u64 = 100;

    fn new() -> Self {
        let command = |number| players::read(number).expect("a command");
        Self {
            mesh: Mesh::new(2),
            slots: ReplySlots::new(REPLY_SLOTS),
            commands: (0..Self::STEPS).map(command).collect(),
            answer: Outcome::Accepted(Facts::Funds(Funds {
                currency: Currency::parse("EUR").expect("a currency"),
                balance: Balance::default(),
            })),
            now: Instant::now(),
        }
    }

    fn run(&mut self) {
        for command in std::mem::take(&mut self.commands) {
            self.hop(command);
        }
    }
}
