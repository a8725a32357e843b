//! What the connections of one shard share: limits, counters, a clock, their deadlines
//! and the state of draining.
//!
//! No connection has a timer of its own. Each keeps a deadline in a cell, and a sweep
//! that runs every [`SWEEP_INTERVAL`] wakes those that are overdue, so a request sets
//! its deadlines for the price of a store. The clock moves with the sweep alone, which
//! makes it free to read and easy to fake.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use super::admission::Admission;
use super::encode::CommonFields;
use super::limits::{DRAIN_GRACE, Limits, SWEEP_ADVANCE_MAX, SWEEP_INTERVAL};
use super::metrics::HttpMetrics;
use super::seats::Seats;

/// A moment of the shard's clock: time since it was made.
pub(crate) type Moment = Duration;

const NEVER: Moment = Duration::MAX;

/// One shard's part of the HTTP server.
pub struct HttpShared {
    /// For each connection; they may change while it is open.
    limits: Cell<Limits>,
    /// Of this shard.
    pub metrics: Arc<HttpMetrics>,
    /// Of the process.
    pub(crate) seats: Arc<Seats>,
    pub(crate) admission: Admission,
    pub(crate) common: CommonFields,
    now: Cell<Moment>,
    draining: Cell<bool>,
    slots: RefCell<Vec<Rc<Slot>>>,
    /// Tasks that wait for the drain to begin, or for the last connection to close.
    watchers: RefCell<Vec<Waker>>,
}

impl HttpShared {
    /// For one shard. `seats` are those of all shards; the counters are its own.
    #[must_use]
    pub fn new(limits: Limits, metrics: Arc<HttpMetrics>, seats: Arc<Seats>) -> Rc<Self> {
        Rc::new(Self {
            admission: Admission::new(&metrics, limits.max_in_flight),
            limits: Cell::new(limits),
            metrics,
            seats,
            common: CommonFields::new(SystemTime::now()),
            now: Cell::default(),
            draining: Cell::default(),
            slots: RefCell::default(),
            watchers: RefCell::default(),
        })
    }

    /// The limits as they are now.
    #[must_use]
    #[inline]
    pub fn limits(&self) -> Limits {
        self.limits.get()
    }

    /// Changes the limits. A wait that has begun keeps its deadline, and a connection
    /// that is open keeps the size that its read buffer may have.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.set(limits);
        self.admission.set_max(limits.max_in_flight);
    }

    /// Moves the clock, renders the date and wakes every connection that is overdue.
    pub fn sweep(&self, elapsed: Duration, wall_clock: SystemTime) {
        let now = self.now.get() + elapsed.min(SWEEP_ADVANCE_MAX);
        self.now.set(now);
        self.common.refresh(wall_clock);
        let mut buffer_bytes = 0;
        for slot in self.slots.borrow().iter() {
            buffer_bytes += slot.buffer_bytes.get();
            if slot.deadline.get() <= now {
                slot.deadline.set(NEVER);
                slot.expired.set(true);
                slot.wake();
            }
        }
        self.metrics.buffer_bytes.set(buffer_bytes as u64);
        // Answers call those who queue; where none comes, this does.
        self.admission.call();
    }

    /// Starts draining this shard: every connection is told, and so is every accept loop.
    pub fn begin_drain(&self) {
        if !self.draining.replace(true) {
            self.slots.borrow().iter().for_each(|slot| slot.wake());
            self.wake_watchers();
        }
    }

    /// Whether this shard drains.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Ready once this shard drains.
    pub fn poll_draining(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_watch(cx, self.is_draining())
    }

    /// Waits until no connection is open.
    pub fn closed(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|cx| self.poll_watch(cx, self.connections() == 0))
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.slots.borrow().len()
    }

    fn poll_watch(&self, cx: &Context<'_>, is_there: bool) -> Poll<()> {
        if is_there {
            return Poll::Ready(());
        }
        let mut watchers = self.watchers.borrow_mut();
        if !watchers.iter().any(|waker| waker.will_wake(cx.waker())) {
            watchers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn wake_watchers(&self) {
        for waker in self.watchers.take() {
            waker.wake();
        }
    }

    /// When the next sweep comes.
    pub(crate) fn next_sweep(&self) -> Moment {
        self.now.get()
    }

    /// The moment when a wait that begins now has lasted `timeout`. The clock may be
    /// one sweep behind, so one is added: no wait is cut short.
    pub(crate) fn deadline(&self, timeout: Duration) -> Moment {
        self.now
            .get()
            .saturating_add(timeout)
            .saturating_add(SWEEP_INTERVAL)
    }
}

impl fmt::Debug for HttpShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpShared")
            .field("connections", &self.connections())
            .field("draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}

/// What the sweep sees of a connection.
#[derive(Debug)]
struct Slot {
    /// Its place in the table.
    index: Cell<usize>,
    deadline: Cell<Moment>,
    expired: Cell<bool>,
    /// Of the connection, as of its last wait for bytes.
    buffer_bytes: Cell<usize>,
    /// Of its task; kept from the first wait on, for it does not change.
    waker: RefCell<Option<Waker>>,
}

impl Slot {
    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// A connection's entry in the table of its shard; it leaves with the connection.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Rc<HttpShared>,
    slot: Rc<Slot>,
}

impl Watch {
    pub(crate) fn new(shared: &Rc<HttpShared>) -> Self {
        let mut slots = shared.slots.borrow_mut();
        let slot = Rc::new(Slot {
            index: Cell::new(slots.len()),
            deadline: Cell::new(NEVER),
            expired: Cell::new(false),
            buffer_bytes: Cell::default(),
            waker: RefCell::default(),
        });
        slots.push(Rc::clone(&slot));
        shared.metrics.connections_open.add(1);
        Self {
            shared: Rc::clone(shared),
            slot,
        }
    }

    /// A wait begins that may last until `deadline`.
    pub(crate) fn begin(&self, deadline: Moment) {
        self.slot.expired.set(false);
        self.slot.deadline.set(deadline);
    }

    /// The wait is over.
    pub(crate) fn end(&self) {
        self.slot.expired.set(false);
        self.slot.deadline.set(NEVER);
    }

    /// The connection's buffers take that much memory now.
    pub(crate) fn set_buffer_bytes(&self, bytes: usize) {
        self.slot.buffer_bytes.set(bytes);
    }

    /// Whether the wait has lasted too long; if not, the task is woken when it has, and
    /// when the drain begins.
    pub(crate) fn is_expired(&self, cx: &Context<'_>) -> bool {
        if self.slot.expired.get() {
            return true;
        }
        let mut waker = self.slot.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
        false
    }

    /// While the shard drains, a wait for a request lasts [`DRAIN_GRACE`] at most.
    pub(crate) fn shorten_if_draining(&self) {
        if self.shared.is_draining() {
            // Without the sweep that `deadline` adds: this one may come early.
            let end = self.shared.now.get() + DRAIN_GRACE;
            self.slot.deadline.set(self.slot.deadline.get().min(end));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The waker keeps the task's memory, so it must not outlive the connection.
        self.slot.waker.take();
        let mut slots = self.shared.slots.borrow_mut();
        let index = self.slot.index.get();
        slots.swap_remove(index);
        if let Some(moved) = slots.get(index) {
            moved.index.set(index);
        }
        let is_last = slots.is_empty();
        drop(slots);
        self.shared.metrics.connections_open.sub(1);
        if is_last {
            self.shared.wake_watchers();
        }
    }
}
