//! Peers and what travels between them.

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use crossbeam::utils::CachePadded;

use super::doorbell::Doorbell;
use super::slots::{REPLY_SLOTS, Result as ReplyResult, Ticket};
use crate::Handled;
use crate::ledger::Command;
use crate::types::ShardId;

/// Commands that a mailbox holds: about 4 ms of work for one core. Enough for every
/// connection of a busy peer to ask at once, small enough that waiting stays visible.
pub const MAILBOX_DEPTH: usize = 4_096;

/// A shard, or, with the number after the last shard, the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerId(u16);

impl PeerId {
    /// The peer that a shard is.
    #[must_use]
    pub const fn shard(shard: ShardId) -> Self {
        Self(shard.0)
    }
}

/// Where an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyAddress {
    /// Whose slot.
    pub peer: PeerId,
    /// Which slot.
    pub ticket: Ticket,
}

/// A command on its way to its owner.
#[derive(Debug)]
pub struct Envelope {
    /// What is asked.
    pub command: Command,
    /// Where the answer goes.
    pub reply_to: ReplyAddress,
}

/// What the owner of an account has to say.
#[derive(Debug)]
pub struct Answer {
    /// What came of the command.
    pub result: ReplyResult,
    /// When.
    pub handled: Handled,
}

/// An answer on its way back.
#[derive(Debug)]
pub struct Reply {
    /// The slot that waits for it.
    pub ticket: Ticket,
    /// What it says.
    pub answer: Answer,
}

/// What a peer found when it looked into its queues.
#[derive(Debug)]
pub enum Received {
    /// An answer to one of its own commands.
    Reply(Reply),
    /// A command for it to decide.
    Command(Envelope),
}

struct Peer {
    commands: (Sender<Envelope>, Receiver<Envelope>),
    replies: (Sender<Reply>, Receiver<Reply>),
    doorbell: CachePadded<Doorbell>,
}

impl Peer {
    fn new() -> Self {
        Self {
            commands: bounded(MAILBOX_DEPTH),
            replies: bounded(REPLY_SLOTS),
            doorbell: CachePadded::default(),
        }
    }
}

/// All peers. Shared by every shard and the control plane.
pub struct Mesh {
    peers: Box<[Peer]>,
}

impl Mesh {
    /// The memory of one peer's queues, which are made with all their room: each place of a
    /// channel is what it holds and the number of its turn.
    pub const BYTES_PER_PEER: usize = MAILBOX_DEPTH * (size_of::<Envelope>() + size_of::<usize>())
        + REPLY_SLOTS * (size_of::<Reply>() + size_of::<usize>());

    /// A mesh of that many shards and the control plane.
    #[must_use]
    pub fn new(shards: u16) -> Self {
        Self {
            peers: (0..=shards).map(|_| Peer::new()).collect(),
        }
    }

    /// The control plane's peer.
    #[must_use]
    pub fn control(&self) -> PeerId {
        PeerId((self.peers.len() - 1) as u16)
    }

    /// Puts a command into its owner's mailbox; gives it back when that is full.
    /// The owner hears of it when [`Mesh::ring`] is called.
    ///
    /// # Errors
    /// The mailbox is full.
    pub fn send(&self, to: PeerId, envelope: Envelope) -> Result<(), Envelope> {
        self.peer(to)
            .commands
            .0
            .try_send(envelope)
            .map_err(TrySendError::into_inner)
    }

    /// Puts an answer into a peer's lane. The peer hears of it when [`Mesh::ring`]
    /// is called.
    ///
    /// # Panics
    /// When the lane is full, which reserved slots make impossible.
    pub fn reply(&self, to: PeerId, reply: Reply) {
        let sent = self.peer(to).replies.0.try_send(reply);
        assert!(sent.is_ok(), "a reply without a reserved slot");
    }

    /// Takes the next thing out of a peer's queues, answers first: they free slots.
    #[must_use]
    pub fn receive(&self, peer: PeerId) -> Option<Received> {
        let peer = self.peer(peer);
        if let Ok(reply) = peer.replies.1.try_recv() {
            return Some(Received::Reply(reply));
        }
        peer.commands.1.try_recv().ok().map(Received::Command)
    }

    /// Whether a peer's queues are both empty.
    #[must_use]
    pub fn is_empty(&self, peer: PeerId) -> bool {
        let peer = self.peer(peer);
        peer.replies.1.is_empty() && peer.commands.1.is_empty()
    }

    /// How many commands wait in a peer's mailbox.
    #[must_use]
    pub fn depth(&self, peer: PeerId) -> usize {
        self.peer(peer).commands.1.len()
    }

    /// Wakes a peer's task if it sleeps. Tells whether it did.
    pub fn ring(&self, peer: PeerId) -> bool {
        self.peer(peer).doorbell.ring()
    }

    /// Arms a peer's doorbell; the peer looks into its queues once more before it sleeps.
    pub fn arm(&self, peer: PeerId, waker: &std::task::Waker) {
        self.peer(peer).doorbell.arm(waker);
    }

    fn peer(&self, id: PeerId) -> &Peer {
        &self.peers[usize::from(id.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::AccountId;

    fn envelope(index: u32) -> Envelope {
        Envelope {
            command: Command::ReadBalance {
                account: AccountId::parse("a/b").unwrap(),
            },
            reply_to: ReplyAddress {
                peer: PeerId::shard(ShardId(0)),
                ticket: Ticket {
                    index,
                    generation: 1,
                },
            },
        }
    }

    #[test]
    fn a_full_mailbox_gives_the_command_back() {
        let mesh = Mesh::new(2);
        let to = PeerId::shard(ShardId(1));
        for index in 0..MAILBOX_DEPTH as u32 {
            mesh.send(to, envelope(index)).unwrap();
        }
        assert_eq!(
            mesh.send(to, envelope(7))
                .unwrap_err()
                .reply_to
                .ticket
                .index,
            7
        );
        assert_eq!(mesh.depth(to), MAILBOX_DEPTH);
    }

    #[test]
    fn answers_come_before_commands() {
        let mesh = Mesh::new(1);
        let to = PeerId::shard(ShardId(0));
        mesh.send(to, envelope(1)).unwrap();
        let ticket = Ticket {
            index: 2,
            generation: 1,
        };
        let now = std::time::Instant::now();
        let answer = Answer {
            result: Err(crate::Unavailable::Busy),
            handled: Handled::at_once(now, now),
        };
        mesh.reply(to, Reply { ticket, answer });
        assert!(matches!(mesh.receive(to), Some(Received::Reply(_))));
        assert!(matches!(mesh.receive(to), Some(Received::Command(_))));
        assert!(mesh.receive(to).is_none() && mesh.is_empty(to));
    }
}
