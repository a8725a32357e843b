//! The supplier: one thread that makes segments ahead of their use, for all shards.
//!
//! Zero-filling 64 MiB takes longer than any answer may, so no shard does it. When the
//! disk is full the supplier says so once and tries again until there is room; the
//! shard goes on with what room its log has left, and then refuses bookings.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::metrics::ShardMetrics;
use crate::Unavailable;
use crate::mesh::doorbell::Doorbell;
use crate::shard::Room;
use crate::storage::{Storage, is_no_room};
use crate::wal::{Log, LogError, Segment, SegmentOrder};

/// How soon a full disk is tried again: an operator who made room sees it at once.
const RETRY: Duration = Duration::from_secs(1);

/// Left to the shards' own writes after each one of the supplier's, which are of a
/// mebibyte: making a segment may take 0.1 s longer, a flush may not.
const BREATH: Duration = Duration::from_millis(1);

/// A shard's order, and where what was made is put.
struct Order {
    order: SegmentOrder,
    to: Sender<io::Result<Segment>>,
    bell: Arc<Doorbell>,
    /// Whether the shard knows that there is no room.
    told: bool,
}

/// The way to the supplier's thread, which ends when all of these are gone.
#[derive(Clone)]
pub(super) struct Supplier(Sender<Order>);

impl Supplier {
    pub(super) fn start(storage: Arc<dyn Storage>) -> io::Result<(Self, JoinHandle<()>)> {
        // As many orders as there are shards at most.
        let (orders, received) = unbounded();
        let thread = std::thread::Builder::new()
            .name("supplier".to_owned())
            .spawn(move || run(storage.as_ref(), &received))?;
        Ok((Self(orders), thread))
    }
}

fn run(storage: &dyn Storage, orders: &Receiver<Order>) {
    let mut waiting: VecDeque<Order> = VecDeque::new();
    loop {
        let received = match waiting.is_empty() {
            true => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => orders.recv_timeout(RETRY),
        };
        match received {
            Ok(order) => waiting.push_back(order),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for _ in 0..waiting.len() {
            if let Some(order) = waiting.pop_front()
                && let Some(unfilled) = fill(storage, order)
            {
                waiting.push_back(unfilled);
            }
        }
    }
}

/// Gives the order back when there is no room for what it asks.
fn fill(storage: &dyn Storage, mut order: Order) -> Option<Order> {
    let SegmentOrder { shard, number, .. } = order.order;
    let made = order
        .order
        .make(storage, &mut || std::thread::sleep(BREATH));
    let full = made.as_ref().err().is_some_and(is_no_room);
    match &made {
        Ok(_) if order.told => {
            tracing::info!(
                shard = shard.0,
                segment = number,
                "there is room on the disk again"
            );
        }
        Ok(_) => {}
        Err(_) if order.told => return Some(order),
        Err(error) => {
            tracing::error!(shard = shard.0, segment = number, %error,
                "the next log segment cannot be made; when this one is full, bookings are \
                 refused and reads go on until there is room");
        }
    }
    // A shard that has ended needs no segment.
    let _ = order.to.send(made);
    order.bell.ring();
    order.told = true;
    full.then_some(order)
}

/// A shard's end of the line to the supplier.
pub(super) struct SupplyLine {
    supplier: Supplier,
    made_to: Sender<io::Result<Segment>>,
    made: Receiver<io::Result<Segment>>,
    bell: Arc<Doorbell>,
    /// The number of the segment that is being made.
    ordered: Option<u32>,
    disk_full: bool,
}

impl SupplyLine {
    pub(super) fn new(supplier: Supplier, bell: Arc<Doorbell>) -> Self {
        // One order at a time, told at most twice: that there is no room, then the segment.
        let (made_to, made) = bounded(2);
        Self {
            supplier,
            made_to,
            made,
            bell,
            ordered: None,
            disk_full: false,
        }
    }

    /// Whether something arrived that [`SupplyLine::settle`] would take.
    pub(super) fn has_news(&self) -> bool {
        !self.made.is_empty()
    }

    /// Gives the log what arrived, orders what it needs, and tells what room it has.
    pub(super) fn settle(
        &mut self,
        log: &mut Log,
        metrics: &ShardMetrics,
    ) -> Result<Room, LogError> {
        while let Ok(made) = self.made.try_recv() {
            match made {
                Ok(segment) => {
                    log.supply(segment);
                    self.ordered = None;
                    self.disk_full = false;
                }
                Err(error) if is_no_room(&error) => self.disk_full = true,
                Err(source) => {
                    return Err(LogError::Make {
                        shard: log.shard(),
                        number: self.ordered.unwrap_or_default(),
                        source,
                    });
                }
            }
        }
        if self.ordered.is_none()
            && let Some(order) = log.order()
        {
            self.ordered = Some(order.number);
            // The supplier lives as long as the shards.
            let _ = self.supplier.0.send(Order {
                order,
                to: self.made_to.clone(),
                bell: self.bell.clone(),
                told: false,
            });
        }
        metrics.disk_full.set(u64::from(self.disk_full));
        Ok(Room {
            bytes: log.room(),
            beyond: match self.disk_full {
                true => Unavailable::DiskFull,
                false => Unavailable::Busy,
            },
        })
    }
}
