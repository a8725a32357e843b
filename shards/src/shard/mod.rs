//! One shard: a ledger, the batch that fills, and the answers that wait for the disk.
//!
//! Synchronous and deterministic. The runtime drives it with executors and disks, the
//! simulation with a seed; both call [`Shard::submit`], take batches, and report them
//! durable.
//!
//! Invariants:
//! * `durable_lsn <= appended_lsn`; both only grow.
//! * One batch is on its way to the disk at a time; the next one fills meanwhile.
//! * An answer leaves when everything that it reveals is durable.
//! * No posting is made that the log may not have room for, and while memory is full none
//!   that takes more of it: bookings are refused before they happen, and answers about what
//!   did happen go on.

use crate::Unavailable;
use crate::ledger::{Command, Decision, Ledger, LedgerSettings, Outcome};
use crate::types::{Lsn, UnixMillis};
use crate::wal::{Batch, RECORD_BYTES_MAX};

/// An outcome, and the position that must be durable before it may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// What to tell.
    pub outcome: Outcome,
    /// When.
    pub needs: Lsn,
}

/// An answer that waits, with the address it goes to.
struct Parked<R> {
    reply_to: R,
    outcome: Outcome,
}

/// The batch on its way to the disk.
#[derive(Clone, Copy)]
struct InFlight {
    last_lsn: Lsn,
    bytes: u64,
}

/// What the log has room for, and what to tell those for whom it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of records that are not durable yet, those in flight included.
    pub bytes: u64,
    /// Why there is no more.
    pub beyond: Unavailable,
}

impl Room {
    /// For a shard whose log has no bounds.
    pub const ENDLESS: Self = Self {
        bytes: u64::MAX,
        beyond: Unavailable::Busy,
    };
}

/// The owner of a slice of the accounts. `R` is where an answer goes.
pub struct Shard<R> {
    ledger: Ledger,
    appended_lsn: Lsn,
    durable_lsn: Lsn,
    filling: Batch,
    in_flight: Option<InFlight>,
    room: Room,
    memory_full: bool,
    /// Answers that wait for the batch in flight, and for the one that fills.
    parked_in_flight: Vec<Parked<R>>,
    parked_filling: Vec<Parked<R>>,
}

impl<R> Shard<R> {
    /// An empty shard.
    #[must_use]
    pub fn new(settings: LedgerSettings) -> Self {
        Self::recovered(Ledger::new(settings), Lsn::NONE)
    }

    /// A shard whose log ends with `last_lsn`, all of it applied to the ledger.
    #[must_use]
    pub fn recovered(ledger: Ledger, last_lsn: Lsn) -> Self {
        Self {
            ledger,
            appended_lsn: last_lsn,
            durable_lsn: last_lsn,
            filling: Batch::default(),
            in_flight: None,
            room: Room::ENDLESS,
            memory_full: false,
            parked_in_flight: Vec::new(),
            parked_filling: Vec::new(),
        }
    }

    /// Decides a command; a change is applied and put into the batch that fills.
    ///
    /// # Errors
    /// It would change something and the log or memory has no room for it; nothing was
    /// booked.
    pub fn submit(&mut self, command: &Command, now: UnixMillis) -> Result<Ticket, Unavailable> {
        match self.ledger.decide(command, now) {
            Decision::Answer { outcome, rests_on } => Ok(Ticket {
                outcome,
                needs: rests_on,
            }),
            Decision::Post(posting, outcome) => {
                if self.undurable_bytes() + RECORD_BYTES_MAX as u64 > self.room.bytes {
                    return Err(self.room.beyond);
                }
                // One for each step of the memory's age passes, or nothing would ever be
                // old enough to be forgotten.
                let grows = posting.change.grows_memory();
                if self.memory_full && grows && !self.ledger.is_ageing_due(now) {
                    return Err(Unavailable::MemoryFull);
                }
                let lsn = self.appended_lsn.next();
                self.filling.push(lsn, &posting);
                self.ledger.apply(lsn, &posting);
                self.appended_lsn = lsn;
                Ok(Ticket {
                    outcome,
                    needs: lsn,
                })
            }
        }
    }

    /// Sets what the log has room for, as of the last batch that became durable.
    pub fn set_room(&mut self, room: Room) {
        self.room = room;
    }

    /// Frees some of what was forgotten, while nothing is booked that would.
    pub fn tidy_up(&mut self) {
        self.ledger.tidy_up();
    }

    /// Says whether memory is full: then what would take more of it is refused.
    pub fn set_memory_full(&mut self, full: bool) {
        self.memory_full = full;
    }

    fn undurable_bytes(&self) -> u64 {
        let in_flight = self.in_flight.map_or(0, |in_flight| in_flight.bytes);
        in_flight + self.filling.bytes().len() as u64
    }

    /// Whether a ticket may be told.
    #[must_use]
    pub fn is_durable(&self, ticket: &Ticket) -> bool {
        ticket.needs <= self.durable_lsn
    }

    /// Keeps an answer until the batch that it needs is durable.
    ///
    /// # Panics
    /// When the ticket is durable already: it would wait for a batch it does not need.
    pub fn park(&mut self, ticket: Ticket, reply_to: R) {
        assert!(ticket.needs > self.durable_lsn);
        assert!(ticket.needs <= self.appended_lsn);
        let parked = Parked {
            reply_to,
            outcome: ticket.outcome,
        };
        match self.in_flight {
            Some(in_flight) if ticket.needs <= in_flight.last_lsn => {
                self.parked_in_flight.push(parked);
            }
            _ => self.parked_filling.push(parked),
        }
    }

    /// Takes the batch that fills, for the way to the disk, and gives `next` to be
    /// filled meanwhile. `None` while another batch is on its way, or when there is
    /// nothing to write.
    pub fn take_batch(&mut self, mut next: Batch) -> Result<Batch, Batch> {
        if self.in_flight.is_some() || self.filling.is_empty() {
            return Err(next);
        }
        next.clear();
        let batch = std::mem::replace(&mut self.filling, next);
        self.in_flight = Some(InFlight {
            last_lsn: batch.last_lsn(),
            bytes: batch.bytes().len() as u64,
        });
        assert!(self.parked_in_flight.is_empty());
        std::mem::swap(&mut self.parked_in_flight, &mut self.parked_filling);
        Ok(batch)
    }

    /// The batch in flight is durable: its answers may be told, in the order in which
    /// they were parked.
    ///
    /// # Panics
    /// When no batch is in flight.
    pub fn batch_durable(&mut self) -> impl Iterator<Item = (R, Outcome)> {
        let Some(InFlight { last_lsn, .. }) = self.in_flight.take() else {
            panic!("a batch became durable that was never taken");
        };
        assert!(last_lsn > self.durable_lsn);
        self.durable_lsn = last_lsn;
        self.parked_in_flight
            .drain(..)
            .map(|parked| (parked.reply_to, parked.outcome))
    }

    /// The memory of the batch that fills and of the answers that wait for the disk.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        let parked = self.parked_in_flight.capacity() + self.parked_filling.capacity();
        self.filling.buffer_bytes() + parked * size_of::<Parked<R>>()
    }

    /// Whether a batch waits to be taken, or is on its way.
    #[must_use]
    pub fn has_undurable(&self) -> bool {
        self.durable_lsn < self.appended_lsn
    }

    /// The position of the last posting.
    #[must_use]
    pub fn appended_lsn(&self) -> Lsn {
        self.appended_lsn
    }

    /// The position up to which everything is on disk.
    #[must_use]
    pub fn durable_lsn(&self) -> Lsn {
        self.durable_lsn
    }

    /// The ledger, to read.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::AccountStatus;
    use crate::types::{AccountId, Amount, CountryCode, Currency, TransactionId};

    const NOW: UnixMillis = UnixMillis(1_795_000_000_000);

    fn account() -> AccountId {
        AccountId::parse("acme/p1").unwrap()
    }

    fn shard() -> Shard<u32> {
        Shard::new(LedgerSettings {
            idempotency_window: Duration::from_secs(3_600),
            digest_secret: [1, 2],
            clock_skew_max: Duration::from_secs(300),
        })
    }

    fn open() -> Command {
        Command::OpenAccount {
            account: account(),
            currency: Currency::parse("GBP").unwrap(),
            country: CountryCode::parse("GB").unwrap(),
        }
    }

    fn deposit(id: &str) -> Command {
        Command::Deposit {
            account: account(),
            transaction: TransactionId::parse(id).unwrap(),
            amount: Amount::from_minor(5).unwrap(),
            currency: Currency::parse("GBP").unwrap(),
        }
    }

    /// Submits and parks; the number is the address of the answer.
    fn park(shard: &mut Shard<u32>, command: &Command, reply_to: u32) {
        let ticket = shard.submit(command, NOW).unwrap();
        shard.park(ticket, reply_to);
    }

    fn told(shard: &mut Shard<u32>) -> Vec<u32> {
        shard
            .batch_durable()
            .map(|(reply_to, _)| reply_to)
            .collect()
    }

    #[test]
    fn answers_wait_for_the_batch_that_they_need() {
        let mut shard = shard();
        park(&mut shard, &open(), 1);
        let batch = shard.take_batch(Batch::default()).unwrap();
        assert_eq!(batch.postings(), 1);
        // While the first batch is on its way: a read and a refusal of what it shows
        // wait for it, a new posting and what rests on that wait for the next.
        park(&mut shard, &Command::ReadBalance { account: account() }, 2);
        park(&mut shard, &deposit("d"), 3);
        park(&mut shard, &Command::ReadBalance { account: account() }, 4);
        park(&mut shard, &deposit("d"), 5);
        assert!(
            shard.take_batch(Batch::default()).is_err(),
            "one batch in flight"
        );
        assert_eq!(told(&mut shard), [1, 2]);
        let batch = shard.take_batch(batch).unwrap();
        assert_eq!(batch.last_lsn(), Lsn(2));
        assert_eq!(told(&mut shard), [3, 4, 5]);
        assert!(!shard.has_undurable());
    }

    #[test]
    fn what_rests_on_durable_postings_is_told_at_once() {
        let mut shard = shard();
        let ticket = shard
            .submit(&Command::ReadBalance { account: account() }, NOW)
            .unwrap();
        assert!(
            shard.is_durable(&ticket),
            "an unknown account rests on nothing"
        );
        park(&mut shard, &open(), 1);
        let ticket = shard
            .submit(&Command::ReadBalance { account: account() }, NOW)
            .unwrap();
        assert!(!shard.is_durable(&ticket));
        shard.take_batch(Batch::default()).unwrap();
        assert!(!shard.is_durable(&ticket), "on its way is not there");
        told(&mut shard);
        assert!(shard.is_durable(&ticket));
    }

    #[test]
    fn while_memory_is_full_nothing_new_is_kept_and_everything_else_goes_on() {
        let mut shard = shard();
        park(&mut shard, &open(), 1);
        park(&mut shard, &deposit("d"), 2);
        shard.take_batch(Batch::default()).unwrap();
        told(&mut shard);
        shard.set_memory_full(true);
        let refused = Err(Unavailable::MemoryFull);
        assert_eq!(shard.submit(&deposit("e"), NOW), refused);
        let lsn = shard.appended_lsn();
        for command in [
            // A repeat, a read, and what stops a player.
            deposit("d"),
            open(),
            Command::ReadBalance { account: account() },
        ] {
            let ticket = shard.submit(&command, NOW).unwrap();
            assert!(!matches!(ticket.outcome, Outcome::Refused(_)), "{ticket:?}");
        }
        assert_eq!(shard.appended_lsn(), lsn);
        let suspend = Command::SetStatus {
            account: account(),
            status: AccountStatus::Suspended,
        };
        park(&mut shard, &suspend, 3);
        shard.set_memory_full(false);
        park(&mut shard, &deposit("e"), 4);
    }

    /// Else nothing would ever be old enough to be forgotten, and memory stay full for ever.
    #[test]
    fn while_memory_is_full_a_little_is_booked_until_old_windows_are_forgotten() {
        let mut shard = shard();
        park(&mut shard, &open(), 1);
        let mut now = NOW;
        // More than what is let through before they are forgotten.
        for number in 0..1_000 {
            let early = deposit(&format!("early-{number}"));
            shard.submit(&early, now).unwrap();
        }
        let full = shard.ledger().counts().transactions;
        shard.set_memory_full(true);
        let (mut booked, mut refused) = (0, 0);
        while shard.ledger().counts().transactions >= full {
            assert!(now.0 - NOW.0 < 2 * 3_600_000, "nothing is forgotten");
            now.0 += 1_000;
            let late = deposit(&format!("late-{}", now.0));
            match shard.submit(&late, now) {
                Ok(_) => booked += 1,
                Err(why) => {
                    assert_eq!(why, Unavailable::MemoryFull);
                    refused += 1;
                }
            }
        }
        // A step of an hour's memory is seven seconds.
        assert!(booked * 6 <= refused, "{booked} booked, {refused} refused");
        shard.tidy_up();
    }

    #[test]
    fn without_room_nothing_is_booked_and_everything_booked_is_told() {
        let mut shard = shard();
        park(&mut shard, &open(), 1);
        let undurable = shard.undurable_bytes();
        shard.set_room(Room {
            bytes: undurable + RECORD_BYTES_MAX as u64 - 1,
            beyond: Unavailable::DiskFull,
        });
        let refused = Err(Unavailable::DiskFull);
        assert_eq!(shard.submit(&deposit("d"), NOW), refused);
        shard.take_batch(Batch::default()).unwrap();
        assert_eq!(
            shard.submit(&deposit("d"), NOW),
            refused,
            "in flight counts"
        );
        assert_eq!(told(&mut shard), [1]);
        let read = shard.submit(&Command::ReadBalance { account: account() }, NOW);
        assert!(shard.is_durable(&read.unwrap()));
        park(&mut shard, &deposit("d"), 2);
    }
}
