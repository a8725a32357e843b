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
use super::pump;
use super::wait::Signal;
use crate::ledger::Command;
use crate::mesh::{
    Answer, Envelope, PeerId, REPLY_SLOTS, Reply, ReplyAddress, ReplySlots, SlotTicket,
};
use crate::shard::Shard;
use crate::types::ShardId;
use crate::{Answered, Course, Handled, Submit, Unavailable};

/// A shard, as the tasks on its thread see it. Cloning gives another handle.
#[derive(Clone)]
pub struct ShardHandle(pub(super) Rc<Inner>);

pub(super) struct Inner {
    pub(super) id: ShardId,
    pub(super) peer: PeerId,
    pub(super) shared: Arc<Shared>,
    pub(super) shard: RefCell<Shard<Parked>>,
    pub(super) replies: RefCell<ReplySlots<Answer>>,
    /// Raised when the shard has something for the disk, or is to stop.
    pub(super) commit: Signal,
    /// Nothing more will be booked: the log may be closed.
    pub(super) finished: Cell<bool>,
    pub(super) metrics: Arc<ShardMetrics>,
    /// Whom the pump has answered and not rung yet; empty between its bursts.
    pub(super) rung: Cell<Vec<PeerId>>,
}

/// Where an answer goes that waits for the disk, and what is known of its course.
#[derive(Clone, Copy)]
pub(super) struct Parked {
    pub(super) reply_to: ReplyAddress,
    pub(super) taken_at: Instant,
    pub(super) decided_at: Instant,
}

impl ShardHandle {
    pub(super) fn new(
        id: ShardId,
        shared: Arc<Shared>,
        shard: Shard<Parked>,
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
            rung: Cell::default(),
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
    fn submit(&self, command: Command) -> impl Future<Output = Answered> {
        let owner = self.0.shared.slot_map.owner(command.slot());
        let submitted = Submitted {
            owner,
            hops: owner != self.0.id,
            at: Instant::now(),
        };
        // The shard's own commands too: the last batch would never be the last.
        if self.0.shared.is_closing() {
            return submitted.refused(Unavailable::Draining);
        }
        // Behind that look, for when the cluster closes the pump alone knows what is last.
        let has_waited = pump::serve_between(&self.0);
        if submitted.hops {
            self.hop(submitted, command)
        } else {
            let taken_at = if has_waited {
                Instant::now()
            } else {
                submitted.at
            };
            self.decide_here(submitted, taken_at, &command)
        }
    }
}

/// A command that was given to the core.
#[derive(Clone, Copy)]
struct Submitted {
    owner: ShardId,
    /// Whether the owner is another shard.
    hops: bool,
    at: Instant,
}

impl Submitted {
    fn answered(self, answer: Answer, answered_at: Instant) -> Answered {
        Answered {
            result: answer.result,
            course: self.course(Some(answer.handled), answered_at),
        }
    }

    fn course(self, handled: Option<Handled>, answered_at: Instant) -> Course {
        Course {
            owner: self.owner,
            hopped: self.hops,
            submitted_at: self.at,
            handled,
            answered_at,
        }
    }

    /// Told at once that there will be no answer: it never was at its owner.
    fn refused(self, why: Unavailable) -> ShardReply {
        ShardReply(State::Known(Answered {
            result: Err(why),
            course: self.course(None, self.at),
        }))
    }
}

impl ShardHandle {
    fn decide_here(
        &self,
        submitted: Submitted,
        taken_at: Instant,
        command: &Command,
    ) -> ShardReply {
        let inner = &self.0;
        inner.metrics.own.add(1);
        // Room first: a posting that was decided must be answered.
        if inner.replies.borrow().is_full() {
            inner.metrics.reply_slots_full.add(1);
            return submitted.refused(Unavailable::Busy);
        }
        let mut shard = inner.shard.borrow_mut();
        let decided = shard.submit(command, clock::now());
        let decided_at = Instant::now();
        let result = match decided {
            Ok(ticket) if !shard.is_durable(&ticket) => {
                let Some(slot) = inner.replies.borrow_mut().reserve(decided_at) else {
                    unreachable!("there was room a few lines ago");
                };
                let parked = Parked {
                    reply_to: ReplyAddress {
                        peer: inner.peer,
                        ticket: slot,
                    },
                    taken_at,
                    decided_at,
                };
                shard.park(ticket, parked);
                inner.commit.raise();
                return ShardReply(State::Awaited(inner.clone(), slot, submitted));
            }
            Ok(ticket) => Ok(ticket.outcome),
            Err(why) => {
                inner.metrics.count_refused(why);
                Err(why)
            }
        };
        let handled = Handled::at_once(taken_at, decided_at);
        let answer = Answer { result, handled };
        ShardReply(State::Known(submitted.answered(answer, decided_at)))
    }

    fn hop(&self, submitted: Submitted, command: Command) -> ShardReply {
        let inner = &self.0;
        inner.metrics.hops.add(1);
        let Some(slot) = inner.replies.borrow_mut().reserve(submitted.at) else {
            inner.metrics.reply_slots_full.add(1);
            return submitted.refused(Unavailable::Busy);
        };
        let to = PeerId::shard(submitted.owner);
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
            return submitted.refused(Unavailable::Busy);
        }
        inner.ring(to);
        ShardReply(State::Awaited(inner.clone(), slot, submitted))
    }
}

impl Inner {
    /// Hands an answer to whoever waits for it, here or at another peer, who then
    /// has to be rung.
    pub(super) fn deliver(&self, to: ReplyAddress, answer: Answer) {
        let ticket = to.ticket;
        if to.peer == self.peer {
            if let Some(waker) = self.replies.borrow_mut().complete(ticket, answer) {
                waker.wake();
            }
        } else {
            self.shared.mesh.reply(to.peer, Reply { ticket, answer });
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
    Known(Answered),
    /// It will arrive in a slot of the shard that asked.
    Awaited(Rc<Inner>, SlotTicket, Submitted),
    /// It was taken.
    Taken,
}

impl Future for ShardReply {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        if let State::Awaited(inner, slot, submitted) = &self.0 {
            let submitted = *submitted;
            let mut replies = inner.replies.borrow_mut();
            let answer = replies.poll(*slot, cx);
            if answer.is_pending() {
                if !replies.is_overdue(*slot) {
                    return Poll::Pending;
                }
                replies.abandon(*slot);
                inner.metrics.no_answer.add(1);
            }
            drop(replies);
            self.0 = State::Taken;
            let answered_at = Instant::now();
            return Poll::Ready(match answer {
                Poll::Ready(mut answer) => {
                    if !submitted.hops {
                        // No message brought it: the wait ends here.
                        answer.handled.released_at = answered_at;
                    }
                    submitted.answered(answer, answered_at)
                }
                Poll::Pending => Answered {
                    result: Err(Unavailable::NoAnswer),
                    course: submitted.course(None, answered_at),
                },
            });
        }
        match std::mem::replace(&mut self.0, State::Taken) {
            State::Known(answered) => Poll::Ready(answered),
            State::Awaited(..) | State::Taken => unreachable!("polled after its end"),
        }
    }
}

impl Drop for ShardReply {
    fn drop(&mut self) {
        if let State::Awaited(inner, slot, _) = &self.0 {
            inner.replies.borrow_mut().abandon(*slot);
        }
    }
}
