//! Seats: how many connections may be open over all shards. Touched when a connection
//! opens or closes, never for a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
}
