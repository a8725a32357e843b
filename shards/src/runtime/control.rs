//! The control plane's handle: the same mailboxes as everybody else, from any thread.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use parking_lot::Mutex;

use super::cluster::Shared;
use super::wait::REPLY_TIMEOUT;
use crate::Unavailable;
use crate::ledger::Command;
use crate::mesh::{
    Envelope, PeerId, REPLY_SLOTS, Received, Reply, ReplyAddress, ReplyResult, ReplySlots,
    SlotTicket,
};
use crate::types::Slot;

/// Submits commands from threads that are no shard. Its [`ControlHandle::pump`] must
/// run on some executor, or no answer arrives.
#[derive(Clone)]
pub struct ControlHandle {
    shared: Arc<Shared>,
    replies: Arc<Mutex<ReplySlots>>,
}

impl ControlHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            replies: Arc::new(Mutex::new(ReplySlots::new(REPLY_SLOTS))),
        }
    }

    /// Brings answers to those who wait for them; runs until it is dropped. Wake it
    /// now and then (once a second is plenty) so that overdue answers are noticed.
    pub fn pump(&self) -> impl Future<Output = ()> + Send + use<> {
        let this = self.clone();
        std::future::poll_fn(move |cx| this.poll_pump(cx.waker()))
    }

    fn poll_pump(&self, waker: &Waker) -> Poll<()> {
        let mesh = &self.shared.mesh;
        let me = mesh.control();
        loop {
            while let Some(received) = mesh.receive(me) {
                let Received::Reply(Reply { ticket, answer }) = received else {
                    unreachable!("the control plane owns no account");
                };
                let woken = self.replies.lock().complete(ticket, answer.result);
                if let Some(waker) = woken {
                    waker.wake();
                }
            }
            self.replies
                .lock()
                .wake_overdue(Instant::now(), REPLY_TIMEOUT);
            mesh.arm(me, waker);
            if mesh.is_empty(me) {
                return Poll::Pending;
            }
        }
    }

    fn send(&self, command: Command) -> Result<SlotTicket, Unavailable> {
        if self.shared.is_closing() {
            return Err(Unavailable::Draining);
        }
        let to = PeerId::shard(self.shared.slot_map.owner(command.slot()));
        let slot = self
            .replies
            .lock()
            .reserve(Instant::now())
            .ok_or(Unavailable::Busy)?;
        let reply_to = ReplyAddress {
            peer: self.shared.mesh.control(),
            ticket: slot,
        };
        if self
            .shared
            .mesh
            .send(to, Envelope { command, reply_to })
            .is_err()
        {
            self.replies.lock().release(slot);
            return Err(Unavailable::Busy);
        }
        self.shared.mesh.ring(to);
        Ok(slot)
    }
}

impl ControlHandle {
    /// One slot of each shard, in the order of the shards: for what is asked of shards
    /// rather than of accounts.
    pub fn shard_slots(&self) -> impl Iterator<Item = Slot> + use<> {
        let map = self.shared.slot_map;
        let mut shards_seen = 0;
        (0..Slot::COUNT)
            .map(Slot::from_low_bits)
            .filter(move |slot| {
                // Slots of one shard stand together, and shards in their order.
                let is_first = usize::from(shards_seen) == map.owner(*slot).index();
                shards_seen += u16::from(is_first);
                is_first
            })
    }

    /// Submits one command. As for a shard's handle it is on its way when this returns; the
    /// future may move between threads.
    #[must_use]
    pub fn ask(&self, command: Command) -> ControlReply {
        match self.send(command) {
            Ok(slot) => ControlReply {
                replies: self.replies.clone(),
                state: Ok(Some(slot)),
            },
            Err(why) => ControlReply {
                replies: self.replies.clone(),
                state: Err(why),
            },
        }
    }
}

/// The way back of one command's answer.
pub struct ControlReply {
    replies: Arc<Mutex<ReplySlots>>,
    /// The slot until the answer was taken, or why there is none.
    state: Result<Option<SlotTicket>, Unavailable>,
}

impl Future for ControlReply {
    type Output = ReplyResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ReplyResult> {
        let slot = match self.state {
            Err(why) => return Poll::Ready(Err(why)),
            Ok(None) => unreachable!("polled after its end"),
            Ok(Some(slot)) => slot,
        };
        let mut replies = self.replies.lock();
        let result = match replies.poll(slot, cx) {
            Poll::Ready(result) => result,
            Poll::Pending if !replies.is_overdue(slot) => return Poll::Pending,
            Poll::Pending => {
                replies.abandon(slot);
                Err(Unavailable::NoAnswer)
            }
        };
        drop(replies);
        self.state = Ok(None);
        Poll::Ready(result)
    }
}

impl Drop for ControlReply {
    fn drop(&mut self) {
        if let Ok(Some(slot)) = self.state {
            self.replies.lock().abandon(slot);
        }
    }
}
