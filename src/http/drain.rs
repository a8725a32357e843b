//! What all shards share: the order to drain, and the seats for connections.
//!
//! Both are touched when a connection opens or closes and when the server stops, never
//! for a request.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use parking_lot::Mutex;

/// The order to stop: given once, from any thread, heard by every shard.
#[derive(Debug, Default)]
pub struct Drain {
    started: AtomicBool,
    /// One for each shard that waits, woken from the thread that gives the order.
    waiting: Mutex<Vec<Waker>>,
}

impl Drain {
    /// Gives the order. Giving it again changes nothing.
    pub fn start(&self) {
        self.started.store(true, Ordering::SeqCst);
        for waker in self.waiting.lock().drain(..) {
            waker.wake();
        }
    }

    /// Whether it was given.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.started.load(Ordering::SeqCst)
    }

    /// Waits for it.
    pub fn started(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|cx| {
            let mut waiting = self.waiting.lock();
            // Looked at under the lock: an order that comes later finds the waker.
            if self.is_started() {
                return Poll::Ready(());
            }
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
    }
}

/// How many connections may be open over all shards. The kernel spreads connections
/// unevenly, so a share for each shard would refuse some while others have room.
#[derive(Debug)]
pub struct Seats {
    taken: AtomicUsize,
    max: usize,
}

impl Seats {
    /// That many.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            taken: AtomicUsize::new(0),
            max,
        }
    }

    /// One of them, unless all are taken.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> Option<Seat> {
        // Counted first and given back if that was too many: two shards that take the
        // last seat together may both be refused, and neither gets one too many.
        if self.taken.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Seat(Arc::clone(self)))
    }
}

/// A seat, free again when dropped.
#[derive(Debug)]
pub struct Seat(Arc<Seats>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_bounded_and_come_back() {
        let seats = Arc::new(Seats::new(2));
        let first = seats.take().unwrap();
        let _second = seats.take().unwrap();
        assert!(seats.take().is_none());
        drop(first);
        assert!(seats.take().is_some());
    }

    #[test]
    fn an_order_from_another_thread_is_heard() {
        let drain = Arc::new(Drain::default());
        let giver = Arc::clone(&drain);
        let thread = std::thread::spawn(move || giver.start());
        futures_lite::future::block_on(drain.started());
        thread.join().unwrap();
        assert!(drain.is_started());
    }
}
