//! The handle that a connection submits commands with, to its own shard or another.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::clock;
use super::cluster::Shared;
use super::metrics::ShardMetrics;
use super::wait::{REPLY_TIMEOUT, Signal};
use crate::ledger::{Command, Outcome};
use crate::mesh::{
    Envelope, PeerId, REPLY_SLOTS, Reply, ReplyAddress, ReplyResult, ReplySlots, SlotTicket,
};
use crate::shard::Shard;
use crate::types::ShardId;
use crate::{Submit, Unavailable};

/// A shard, as the tasks on its thread see it. Cloning gives another handle.
#[derive(Clone)]
pub struct ShardHandle(pub(super) Rc<Inner>);

pub(super) struct Inner {
    pub(super) id: ShardId,
    pub(super) peer: PeerId,
    pub(super) shared: Arc<Shared>,
    pub(super) shard: RefCell<Shard<ReplyAddress>>,
    pub(super) replies: RefCell<ReplySlots>,
    /// Raised when the shard has something for the disk, or is to stop.
    pub(super) commit: Signal,
    /// Nothing more will be booked: the log may be closed.
    pub(super) finished: Cell<bool>,
    pub(super) metrics: Arc<ShardMetrics>,
}

impl ShardHandle {
    pub(super) fn new(
        id: ShardId,
        shared: Arc<Shared>,
        shard: Shard<ReplyAddress>,
        metrics: Arc<ShardMetrics>,
    ) -> Self {
        Self(Rc::new(Inner {
            id,
            peer: PeerId::shard(id),
            shared,
            shard: RefCell::new(shard),
            replies: RefCell::new(ReplySlots::new(REPLY_SLOTS)),
            commit: Signal::default(),
            finished: Cell::new(false),
            metrics,
        }))
    }

    /// Which shard this is.
    #[must_use]
    pub fn id(&self) -> ShardId {
        self.0.id
    }

    /// Resolves when the server is to drain. For one task per shard.
    pub async fn drain_requested(&self) {
        poll_fn(|cx| self.0.shared.poll_drain(self.0.id, cx)).await;
    }
}

impl Submit for ShardHandle {
    /// The command is on its way, or decided, when this returns; the future only
    /// brings the answer. Dropping it loses the answer, never the booking.
    fn submit(&self, command: Command) -> impl Future<Output = Result<Outcome, Unavailable>> {
        // The shard's own commands too: the last batch would never be the last.
        if self.0.shared.is_closing() {
            return ShardReply(State::Known(Err(Unavailable::Draining)));
        }
        let owner = self.0.shared.slot_map.owner(command.slot());
        if owner == self.0.id {
            self.decide_here(&command)
        } else {
            self.hop(owner, command)
        }
    }
}

impl ShardHandle {
    fn decide_here(&self, command: &Command) -> ShardReply {
        let inner = &self.0;
        inner.metrics.own.add(1);
        // Room first: a posting that was decided must be answered.
        if inner.replies.borrow().is_full() {
            inner.metrics.reply_slots_full.add(1);
            return ShardReply(State::Known(Err(Unavailable::Busy)));
        }
        let mut shard = inner.shard.borrow_mut();
        let ticket = match shard.submit(command, clock::now()) {
            Ok(ticket) => ticket,
            Err(why) => {
                inner.metrics.no_room.add(1);
                return ShardReply(State::Known(Err(why)));
            }
        };
        if shard.is_durable(&ticket) {
            return ShardReply(State::Known(Ok(ticket.outcome)));
        }
        let Some(slot) = inner.replies.borrow_mut().reserve(Instant::now()) else {
            unreachable!("there was room a few lines ago");
        };
        shard.park(
            ticket,
            ReplyAddress {
                peer: inner.peer,
                ticket: slot,
            },
        );
        inner.commit.raise();
        ShardReply(State::Awaited(inner.clone(), slot))
    }

    fn hop(&self, owner: ShardId, command: Command) -> ShardReply {
        let inner = &self.0;
        inner.metrics.hops.add(1);
        let Some(slot) = inner.replies.borrow_mut().reserve(Instant::now()) else {
            inner.metrics.reply_slots_full.add(1);
            return ShardReply(State::Known(Err(Unavailable::Busy)));
        };
        let to = PeerId::shard(owner);
        let reply_to = ReplyAddress {
            peer: inner.peer,
            ticket: slot,
        };
        if inner
            .shared
            .mesh
            .send(to, Envelope { command, reply_to })
            .is_err()
        {
            inner.replies.borrow_mut().release(slot);
            inner.metrics.mailbox_full.add(1);
            return ShardReply(State::Known(Err(Unavailable::Busy)));
        }
        inner.ring(to);
        ShardReply(State::Awaited(inner.clone(), slot))
    }
}

impl Inner {
    /// Hands an answer to whoever waits for it, here or at another peer, who then
    /// has to be rung.
    pub(super) fn deliver(&self, to: ReplyAddress, result: ReplyResult) {
        if to.peer == self.peer {
            if let Some(waker) = self.replies.borrow_mut().complete(to.ticket, result) {
                waker.wake();
            }
        } else {
            self.shared.mesh.reply(
                to.peer,
                Reply {
                    ticket: to.ticket,
                    result,
                },
            );
        }
    }

    pub(super) fn ring(&self, peer: PeerId) {
        if self.shared.mesh.ring(peer) {
            self.metrics.wakes.add(1);
        }
    }
}

/// The way back of one command's answer.
pub struct ShardReply(State);

enum State {
    /// It was there at once.
    Known(ReplyResult),
    /// It will arrive in a slot of the shard that asked.
    Awaited(Rc<Inner>, SlotTicket),
    /// It was taken.
    Taken,
}

impl Future for ShardReply {
    type Output = ReplyResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ReplyResult> {
        if let State::Awaited(inner, slot) = &self.0 {
            let mut replies = inner.replies.borrow_mut();
            let answered = replies.poll(*slot, cx);
            if answered.is_pending() {
                if replies.waited(*slot, Instant::now()) < REPLY_TIMEOUT {
                    return Poll::Pending;
                }
                replies.abandon(*slot);
                inner.metrics.no_answer.add(1);
            }
            drop(replies);
            self.0 = State::Taken;
            return match answered {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending => Poll::Ready(Err(Unavailable::NoAnswer)),
            };
        }
        match std::mem::replace(&mut self.0, State::Taken) {
            State::Known(result) => Poll::Ready(result),
            State::Awaited(..) | State::Taken => unreachable!("polled after its end"),
        }
    }
}

impl Drop for ShardReply {
    fn drop(&mut self) {
        if let State::Awaited(inner, slot) = &self.0 {
            inner.replies.borrow_mut().abandon(*slot);
        }
    }
}
