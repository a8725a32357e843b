//! Reply slots: where the answers to a peer's commands arrive.
//!
//! A command goes out only with a slot reserved for its answer, so the number of
//! commands in flight is bounded and the reply lane always has room. A slot whose
//! asker went away stays taken until its answer has come; then it is free again.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::Unavailable;
use crate::ledger::Outcome;

/// Commands that one peer may have in flight. About 4 ms of work for one core; as
/// many as a mailbox holds, so one busy peer can fill a mailbox but not block it.
pub const REPLY_SLOTS: usize = 4_096;

/// What a command ends with.
pub type Result = std::result::Result<Outcome, Unavailable>;

/// A reserved slot. The generation tells its use from earlier ones of the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Which slot.
    pub index: u32,
    /// Which use of it.
    pub generation: u32,
}

/// The reply slots of one peer, for answers of type `A`.
#[derive(Debug)]
pub struct ReplySlots<A = Result> {
    slots: Vec<Slot<A>>,
    /// Indices of free slots; the last used comes first, while it is warm.
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<A> {
    generation: u32,
    reserved_at: Instant,
    /// Whether its asker was woken because no answer had come in time.
    is_overdue: bool,
    state: State<A>,
}

#[derive(Debug)]
enum State<A> {
    Free,
    Waiting(Option<Waker>),
    Answered(A),
    Abandoned,
}

impl<A> ReplySlots<A> {
    /// `capacity` free slots.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let now = Instant::now();
        let slot = |_| Slot {
            generation: 0,
            reserved_at: now,
            is_overdue: false,
            state: State::Free,
        };
        let slots: Vec<Slot<A>> = (0..capacity).map(slot).collect();
        let free = (0..u32::try_from(capacity).unwrap_or(u32::MAX))
            .rev()
            .collect();
        Self { slots, free }
    }

    /// The memory that they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<A>>() + self.free.capacity() * size_of::<u32>()
    }

    /// Takes a slot, or `None` when all are in use.
    pub fn reserve(&mut self, now: Instant) -> Option<Ticket> {
        let index = self.free.pop()?;
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.reserved_at = now;
        slot.is_overdue = false;
        slot.state = State::Waiting(None);
        Some(Ticket {
            index,
            generation: slot.generation,
        })
    }

    /// Gives back a slot whose command was never sent.
    pub fn release(&mut self, ticket: Ticket) {
        self.slots[ticket.index as usize].state = State::Free;
        self.free.push(ticket.index);
    }

    /// Stores an answer and hands out the waker of whoever waits for it. The answer
    /// to an abandoned slot falls away, and the slot is free again.
    pub fn complete(&mut self, ticket: Ticket, answer: A) -> Option<Waker> {
        let slot = &mut self.slots[ticket.index as usize];
        assert!(
            slot.generation == ticket.generation,
            "an answer to a slot that was freed before"
        );
        match std::mem::replace(&mut slot.state, State::Answered(answer)) {
            State::Waiting(waker) => waker,
            State::Abandoned => {
                self.release(ticket);
                None
            }
            State::Free | State::Answered(_) => unreachable!("two answers to one command"),
        }
    }

    /// Takes the answer if it has come, and frees the slot.
    pub fn poll(&mut self, ticket: Ticket, cx: &Context<'_>) -> Poll<A> {
        let slot = &mut self.slots[ticket.index as usize];
        match &mut slot.state {
            State::Waiting(waker) => {
                match waker {
                    Some(known) => known.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            State::Answered(_) => {
                let State::Answered(answer) = std::mem::replace(&mut slot.state, State::Free)
                else {
                    unreachable!("it was answered a line ago")
                };
                self.free.push(ticket.index);
                Poll::Ready(answer)
            }
            State::Free | State::Abandoned => unreachable!("polled after its end"),
        }
    }

    /// The asker went away, or waited long enough. The slot is free at once if its
    /// answer is there, else when it comes.
    pub fn abandon(&mut self, ticket: Ticket) {
        let slot = &mut self.slots[ticket.index as usize];
        match slot.state {
            State::Answered(_) => self.release(ticket),
            _ => slot.state = State::Abandoned,
        }
    }

    /// Wakes those who have waited for `limit`: their commands are overdue.
    pub fn wake_overdue(&mut self, now: Instant, limit: Duration) {
        for slot in &mut self.slots {
            if let State::Waiting(waker) = &mut slot.state
                && now.duration_since(slot.reserved_at) >= limit
            {
                slot.is_overdue = true;
                if let Some(waker) = waker.take() {
                    waker.wake();
                }
            }
        }
    }

    /// Whether the answer is overdue, as [`ReplySlots::wake_overdue`] last saw it. So that
    /// a wait costs no look at the clock.
    #[must_use]
    pub fn is_overdue(&self, ticket: Ticket) -> bool {
        self.slots[ticket.index as usize].is_overdue
    }

    /// Whether every slot is taken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// How many slots are taken.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_overdue_once_it_was_waited_for_that_long() {
        let mut slots = ReplySlots::<Result>::new(2);
        let (start, limit) = (Instant::now(), Duration::from_secs(30));
        let [early, late] = [0, 1].map(|s| slots.reserve(start + Duration::from_secs(s)).unwrap());
        for (seconds, overdue) in [
            (29, [false, false]),
            (30, [true, false]),
            (31, [true, true]),
        ] {
            slots.wake_overdue(start + Duration::from_secs(seconds), limit);
            assert_eq!(
                [early, late].map(|ticket| slots.is_overdue(ticket)),
                overdue
            );
        }
        slots.release(late);
        let again = slots.reserve(start).unwrap();
        assert!(!slots.is_overdue(again), "another use of the slot");
    }

    fn poll(slots: &mut ReplySlots, ticket: Ticket) -> Poll<Result> {
        slots.poll(ticket, &Context::from_waker(Waker::noop()))
    }

    const ANSWER: Result = Err(Unavailable::Draining);

    #[test]
    fn an_answer_reaches_its_asker_once_and_frees_the_slot() {
        let mut slots = ReplySlots::new(1);
        let ticket = slots.reserve(Instant::now()).unwrap();
        assert_eq!(slots.reserve(Instant::now()), None);
        assert_eq!(poll(&mut slots, ticket), Poll::Pending);
        assert!(slots.complete(ticket, ANSWER).is_some());
        assert_eq!(poll(&mut slots, ticket), Poll::Ready(ANSWER));
        assert_eq!(slots.in_use(), 0);
    }

    #[test]
    fn an_abandoned_slot_is_taken_until_its_answer_came() {
        let mut slots = ReplySlots::new(1);
        let ticket = slots.reserve(Instant::now()).unwrap();
        slots.abandon(ticket);
        assert_eq!(slots.reserve(Instant::now()), None);
        assert!(slots.complete(ticket, ANSWER).is_none());
        let next = slots.reserve(Instant::now()).unwrap();
        assert_ne!(next.generation, ticket.generation);
    }

    #[test]
    fn a_slot_abandoned_after_its_answer_is_free_at_once() {
        let mut slots = ReplySlots::new(1);
        let ticket = slots.reserve(Instant::now()).unwrap();
        slots.complete(ticket, ANSWER);
        slots.abandon(ticket);
        assert_eq!(slots.in_use(), 0);
    }
}
