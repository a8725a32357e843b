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
//! the core from those who were admitted. After a refusal the connection rests: what is
//! not read yet stays in the socket for a moment. Whoever heeds `Retry-After` never
//! notices.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::limits::{REFUSAL_REST, REFUSAL_REST_MAX};
use super::metrics::HttpMetrics;

/// The limit of one shard; the count is its gauge.
#[derive(Debug)]
pub(crate) struct Admission {
    metrics: Arc<HttpMetrics>,
    max: Cell<u64>,
}

impl Admission {
    pub(crate) fn new(metrics: &Arc<HttpMetrics>, max: usize) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            max: Cell::new(max as u64),
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

    /// How long a connection rests after that many refusals, so that refusing all who are
    /// connected takes little of the core.
    pub(crate) fn rest(&self, refusals: u32) -> Duration {
        let open = u32::try_from(self.metrics.connections_open.get()).unwrap_or(u32::MAX);
        REFUSAL_REST
            .saturating_mul(open)
            .saturating_mul(refusals)
            .min(REFUSAL_REST_MAX)
    }

    /// A request begins; it ends with what is returned.
    pub(crate) fn begin(&self) -> InFlight<'_> {
        self.metrics.requests_in_flight.add(1);
        InFlight(&self.metrics)
    }
}

/// A request that is in flight.
#[derive(Debug)]
pub(crate) struct InFlight<'a>(&'a HttpMetrics);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.requests_in_flight.sub(1);
    }
}
