//! What one shard counts of the wire: requests by endpoint and code, how long they took,
//! and where that time went.

use shards::Unavailable;
use shards::metrics::{Counter, Histogram};

use super::error_code::ErrorCode;
use super::routes::Endpoint;
use crate::stages::{Stage, StageTimes};

/// The counters of one shard's [`WalletService`](super::WalletService).
#[derive(Debug, Default)]
pub struct WalletMetrics {
    requests: [[Counter; ErrorCode::ALL.len()]; Endpoint::ALL.len()],
    durations: [Histogram; Endpoint::ALL.len()],
    stages: [Histogram; Stage::ALL.len()],
    slow: Counter,
    unavailable: [Counter; UNAVAILABLE.len()],
}

/// The reasons of a 503, in the order of their counters.
const UNAVAILABLE: [Unavailable; 5] = [
    Unavailable::Busy,
    Unavailable::DiskFull,
    Unavailable::Draining,
    Unavailable::NoAnswer,
    Unavailable::MemoryFull,
];

impl WalletMetrics {
    /// How many requests to the endpoint were answered with the code, 503s included.
    #[must_use]
    pub fn requests(&self, endpoint: Endpoint, code: ErrorCode) -> u64 {
        self.requests[endpoint as usize][code as usize].get()
    }

    /// From the last byte of a request to its complete answer.
    #[must_use]
    pub fn duration(&self, endpoint: Endpoint) -> &Histogram {
        &self.durations[endpoint as usize]
    }

    /// How long a stage took of the requests that have had it.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> &Histogram {
        &self.stages[stage as usize]
    }

    /// How many requests were slow.
    #[must_use]
    pub fn slow(&self) -> &Counter {
        &self.slow
    }

    /// How many requests were answered 503 for the reason.
    #[must_use]
    pub fn unavailable(&self, reason: Unavailable) -> u64 {
        self.unavailable[place(reason)].get()
    }

    pub(super) fn record(&self, endpoint: Endpoint, code: ErrorCode, times: &StageTimes) {
        self.requests[endpoint as usize][code as usize].add(1);
        self.durations[endpoint as usize].record(times.worked());
        for (stage, time) in times.had() {
            self.stages[stage as usize].record(time);
        }
    }

    pub(super) fn record_unavailable(&self, reason: Unavailable) {
        self.unavailable[place(reason)].add(1);
    }
}

const fn place(reason: Unavailable) -> usize {
    match reason {
        Unavailable::Busy => 0,
        Unavailable::DiskFull => 1,
        Unavailable::Draining => 2,
        Unavailable::NoAnswer => 3,
        Unavailable::MemoryFull => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter() {
        let metrics = WalletMetrics::default();
        for (place, reason) in UNAVAILABLE.into_iter().enumerate() {
            (0..=place).for_each(|_| metrics.record_unavailable(reason));
        }
        assert_eq!(
            UNAVAILABLE.map(|reason| metrics.unavailable(reason)),
            [1, 2, 3, 4, 5]
        );
    }
}
