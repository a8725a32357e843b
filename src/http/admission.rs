//! Admission: how many requests of a shard may wait for their answers at a time.
//!
//! A request is in flight from the moment its body is complete until its answer is
//! made. Most are for no time at all: the account is this shard's and what it says is
//! on disk. Those that wait do so for the disk or for another shard, and when either is
//! slower than what comes in, the row grows. Beyond the limit a request is answered 503
//! with `Retry-After` before its body is looked at, so that those in the row keep their
//! wait and nothing of the refused one is booked.
//!
//! A slow body holds no place: it is the client's time that passes, not ours.
//!
//! A refusal costs half of what an answer does, so those who ask again at once would take
//! the core from those who were admitted. So refusing is paid for by answers, some for
//! each refusal, and follows what the shard manages, whatever part of a CPU it has. While
//! refusals are owed for and the shard is full, what a known connection sends next stays
//! in its socket: the connection queues, and each answer calls the one that queues
//! longest. Nobody queues for longer than [`QUEUE_TIME_MAX`](super::limits::QUEUE_TIME_MAX).
//! There is no timer and no look at the clock in any of it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use super::limits::ANSWERS_PER_REFUSAL;
use super::metrics::HttpMetrics;

/// The limit of one shard; the count is its gauge.
#[derive(Debug)]
pub(crate) struct Admission {
    metrics: Arc<HttpMetrics>,
    max: Cell<u64>,
    /// Answers that refusals still wait to be paid for with; not 0 while anybody queues.
    owed: Cell<u64>,
    queue: RefCell<VecDeque<Rc<Place>>>,
    /// Connections that were called and have not come yet.
    called: Rc<Cell<u64>>,
}

impl Admission {
    pub(crate) fn new(metrics: &Arc<HttpMetrics>, max: usize) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            max: Cell::new(max as u64),
            owed: Cell::default(),
            queue: RefCell::default(),
            called: Rc::default(),
        }
    }

    /// Changes the limit. Those that are in flight stay, also beyond it.
    pub(crate) fn set_max(&self, max: usize) {
        self.max.set(max as u64);
    }

    /// Whether as many requests are in flight as may be.
    pub(crate) fn is_full(&self) -> bool {
        self.metrics.requests_in_flight.get() >= self.max.get()
    }

    /// A request begins; it ends with what is returned.
    pub(crate) fn begin(&self) -> InFlight<'_> {
        self.metrics.requests_in_flight.add(1);
        InFlight(self)
    }

    /// A request was refused because the shard is full.
    pub(crate) fn refuse(&self) {
        self.metrics.requests_refused_full.add(1);
        self.owed
            .set(self.owed.get().saturating_add(ANSWERS_PER_REFUSAL));
    }

    /// Whether a connection that has something to read is to queue before it does.
    #[inline]
    pub(crate) fn is_queueing(&self) -> bool {
        self.owed.get() > 0 && !self.has_room()
    }

    /// A connection queues, behind all that do. It leaves by dropping its place.
    pub(crate) fn queue(&self, waker: &Waker) -> Rc<Place> {
        let place = Rc::new(Place {
            is_called: Cell::new(false),
            called: Rc::clone(&self.called),
            waker: waker.clone(),
        });
        let mut queue = self.queue.borrow_mut();
        // Those who have waited for long enough left, and they stood first.
        while queue.front().is_some_and(is_left) {
            queue.pop_front();
        }
        queue.push_back(Rc::clone(&place));
        self.metrics.connections_queueing.set(queue.len() as u64);
        place
    }

    /// Calls as many as there is room for, those first who queue longest.
    pub(crate) fn call(&self) {
        let mut queue = self.queue.borrow_mut();
        if queue.is_empty() {
            return;
        }
        while self.has_room()
            && let Some(place) = queue.pop_front()
        {
            if !is_left(&place) {
                place.is_called.set(true);
                self.called.set(self.called.get() + 1);
                place.waker.wake_by_ref();
            }
        }
        self.metrics.connections_queueing.set(queue.len() as u64);
    }

    fn has_room(&self) -> bool {
        self.metrics.requests_in_flight.get() + self.called.get() < self.max.get()
    }

    fn pay(&self, owed: u64) {
        self.call();
        let least = u64::from(!self.queue.borrow().is_empty());
        self.owed.set((owed - 1).max(least));
    }
}

/// A request that is in flight.
#[derive(Debug)]
pub(crate) struct InFlight<'a>(&'a Admission);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.metrics.requests_in_flight.sub(1);
        let owed = self.0.owed.get();
        if owed > 0 {
            self.0.pay(owed);
        }
    }
}

/// Where a connection queues. It belongs to the connection; the queue only finds it.
#[derive(Debug)]
pub(crate) struct Place {
    is_called: Cell<bool>,
    called: Rc<Cell<u64>>,
    waker: Waker,
}

impl Place {
    /// Whether it is this connection's turn.
    pub(crate) fn is_called(&self) -> bool {
        self.is_called.get()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_called.get() {
            self.called.set(self.called.get() - 1);
        }
    }
}

/// Whether nobody but the queue still has it.
fn is_left(place: &Rc<Place>) -> bool {
    Rc::strong_count(place) == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(max: usize) -> Admission {
        Admission::new(&Arc::default(), max)
    }

    fn called(places: &[Rc<Place>]) -> Vec<bool> {
        places.iter().map(|place| place.is_called()).collect()
    }

    #[test]
    fn a_refusal_is_paid_for_with_so_many_answers() {
        let admission = admission(1);
        let first = admission.begin();
        assert!(!admission.is_queueing(), "nobody was refused");
        admission.refuse();
        assert!(admission.is_queueing());
        drop(first);
        for answers in 1..ANSWERS_PER_REFUSAL {
            assert!(!admission.is_queueing(), "there is room");
            let request = admission.begin();
            assert!(admission.is_queueing(), "after {answers} answers");
            drop(request);
        }
        let _full = admission.begin();
        assert!(!admission.is_queueing(), "it is paid for");
    }

    #[test]
    fn each_answer_calls_the_one_that_queues_longest() {
        let admission = admission(2);
        let mut in_flight = vec![admission.begin(), admission.begin()];
        admission.refuse();
        let mut places: Vec<_> = (0..4).map(|_| admission.queue(Waker::noop())).collect();
        assert_eq!(admission.metrics.connections_queueing.get(), 4);
        admission.call();
        assert_eq!(called(&places), [false; 4], "there is no room");
        in_flight.pop();
        assert_eq!(called(&places), [true, false, false, false]);
        assert!(admission.is_queueing(), "the room is promised");
        // Who left is passed over, and a place that was called for is free again.
        places.remove(1);
        places.remove(0);
        admission.call();
        assert_eq!(called(&places), [true, false]);
        in_flight.pop();
        assert_eq!(called(&places), [true, true]);
        assert_eq!(admission.metrics.connections_queueing.get(), 0);
    }

    #[test]
    fn as_long_as_anybody_queues_others_queue_behind() {
        let admission = admission(1);
        let mut in_flight = admission.begin();
        admission.refuse();
        let mut places: Vec<_> = (0..3 * ANSWERS_PER_REFUSAL)
            .map(|_| admission.queue(Waker::noop()))
            .collect();
        while !places.is_empty() {
            drop(in_flight);
            assert!(places.remove(0).is_called());
            in_flight = admission.begin();
            assert_eq!(admission.is_queueing(), !places.is_empty());
        }
    }

    #[test]
    fn those_who_left_are_forgotten() {
        let admission = admission(1);
        let _in_flight = admission.begin();
        for _ in 0..1_000 {
            admission.queue(Waker::noop());
        }
        assert_eq!(admission.metrics.connections_queueing.get(), 1);
    }
}
