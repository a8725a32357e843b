//! Seats: how many connections may be open over all shards, and for one client address.
//! Touched when a connection opens or closes, never for a request.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;

/// How many connections may be open over all shards. The kernel spreads connections
/// unevenly, so a share for each shard would refuse some while others have room.
#[derive(Debug)]
pub struct Seats {
    taken: AtomicUsize,
    max: AtomicUsize,
    by_client: ByClient,
}

/// Who has how many seats. One lock for all shards: it is held for one look into a
/// table, at the price of a connection's first system call or less.
#[derive(Debug)]
struct ByClient {
    taken: Mutex<HashMap<IpAddr, usize>>,
    /// 0: one client may take all seats, and nobody counts them.
    max: AtomicUsize,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// All seats of the server are taken.
    Server,
    /// The client has as many as one may have.
    Client,
}

impl Seats {
    /// `max` of them, of which one client address may have `max_per_client`; 0: all.
    #[must_use]
    pub fn new(max: usize, max_per_client: usize) -> Self {
        Self {
            taken: AtomicUsize::new(0),
            max: AtomicUsize::new(max),
            by_client: ByClient {
                taken: Mutex::default(),
                max: AtomicUsize::new(max_per_client),
            },
        }
    }

    /// Changes how many there are, and how many of them one client may have. Who sits
    /// stays, also beyond the new bounds; connections that nobody counted when they came
    /// count for no client.
    pub fn set_max(&self, max: usize, max_per_client: usize) {
        self.max.store(max, Ordering::Relaxed);
        self.by_client.max.store(max_per_client, Ordering::Relaxed);
    }

    /// One of them for a client.
    ///
    /// # Errors
    /// Why there is none.
    pub fn take(self: &Arc<Self>, client: IpAddr) -> Result<Seat, Full> {
        // Counted first and given back if that was too many: two shards that take the
        // last seat together may both be refused, and neither gets one too many.
        if self.taken.fetch_add(1, Ordering::Relaxed) >= self.max.load(Ordering::Relaxed) {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            return Err(Full::Server);
        }
        let counted_for = match self.by_client.max.load(Ordering::Relaxed) {
            0 => None,
            max if self.by_client.take(client, max) => Some(client),
            _ => {
                self.taken.fetch_sub(1, Ordering::Relaxed);
                return Err(Full::Client);
            }
        };
        Ok(Seat {
            seats: Arc::clone(self),
            counted_for,
        })
    }
}

impl ByClient {
    fn take(&self, client: IpAddr, max: usize) -> bool {
        let mut taken = self.taken.lock();
        let count = taken.entry(client).or_default();
        // A client that is refused has a row already: `max` is above 0.
        let has_room = *count < max;
        *count += usize::from(has_room);
        has_room
    }

    /// Rows go with their last seat, so that there are never more than connections.
    fn give_back(&self, client: IpAddr) {
        let mut taken = self.taken.lock();
        let count = taken.get_mut(&client).expect("who has a seat has a row");
        *count -= 1;
        if *count == 0 {
            taken.remove(&client);
        }
    }
}

/// A seat, free again when dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    /// Whose row it is in, if clients were counted when it was taken.
    counted_for: Option<IpAddr>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(client) = self.counted_for {
            self.seats.by_client.give_back(client);
        }
        self.seats.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    #[test]
    fn seats_are_bounded_and_come_back() {
        let seats = Arc::new(Seats::new(2, 0));
        let first = seats.take(client(1)).unwrap();
        let _second = seats.take(client(1)).unwrap();
        assert_eq!(seats.take(client(1)).unwrap_err(), Full::Server);
        drop(first);
        assert!(seats.take(client(1)).is_ok());
    }

    #[test]
    fn one_client_leaves_seats_for_others() {
        let seats = Arc::new(Seats::new(4, 2));
        let mut of_first: Vec<Seat> = (0..2).map(|_| seats.take(client(1)).unwrap()).collect();
        assert_eq!(seats.take(client(1)).unwrap_err(), Full::Client);
        let of_second: Vec<Seat> = (0..2).map(|_| seats.take(client(2)).unwrap()).collect();
        assert_eq!(seats.take(client(3)).unwrap_err(), Full::Server);
        of_first.pop();
        assert_eq!(seats.take(client(2)).unwrap_err(), Full::Client);
        drop(seats.take(client(1)).unwrap());
        drop((of_first, of_second));
        assert_eq!(seats.taken.load(Ordering::Relaxed), 0);
        let rows = seats.by_client.taken.lock().len();
        assert_eq!(rows, 0, "nobody is remembered for ever");
    }

    #[test]
    fn bounds_change_under_those_who_sit() {
        let seats = Arc::new(Seats::new(4, 0));
        let uncounted: Vec<Seat> = (0..3).map(|_| seats.take(client(1)).unwrap()).collect();
        seats.set_max(2, 1);
        assert_eq!(seats.take(client(1)).unwrap_err(), Full::Server);
        seats.set_max(9, 1);
        let counted = seats.take(client(1)).unwrap();
        assert_eq!(seats.take(client(1)).unwrap_err(), Full::Client);
        seats.set_max(9, 0);
        let again_uncounted = seats.take(client(1)).unwrap();
        drop((uncounted, counted, again_uncounted));
        assert_eq!(seats.taken.load(Ordering::Relaxed), 0);
        assert!(seats.by_client.taken.lock().is_empty());
    }
}
