//! Slow requests: the last of them with their stages, and a sample of them in the log.
//!
//! A request is slow when the wallet worked on it for longer than `slow_request`, from its
//! last byte to its complete answer. Every one is counted and kept; the log has a few of each
//! second and says how many it has not. Shards put theirs into one lock-free ring and never
//! wait; who reads the ring is on another thread.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::queue::ArrayQueue;
use shards::metrics::Counter;
use shards::types::{ShardId, UnixMillis};

use crate::stages::{Stage, StageTimes};

/// Slow requests that are kept, those of all shards together: enough to see what they have in
/// common, and about 30 KiB.
pub const SLOW_REQUESTS_KEPT: usize = 100;

/// Lines of the log that one shard may write of slow requests in a second. When all requests
/// are slow, a few say why; the others would only bury whatever else is wrong.
const LINES_PER_SECOND_MAX: u32 = 5;

/// One slow request.
#[derive(Clone, Debug)]
pub struct SlowRequest {
    /// When it was answered.
    pub at: UnixMillis,
    /// The operation, as the metrics call it.
    pub op: &'static str,
    /// Its `Sequence`, if it has a valid one.
    pub sequence: Option<Box<str>>,
    /// The account that it names or whose session it does, if it came as far.
    pub account: Option<Box<str>>,
    /// The shard of its connection.
    pub shard: ShardId,
    /// The `ErrorCode` of its answer.
    pub error_code: i16,
    /// Where its time went.
    pub times: StageTimes,
}

impl SlowRequest {
    /// How long the wallet worked on it.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.times.worked()
    }
}

/// The last slow requests of the process.
#[derive(Debug)]
pub struct SlowRing(ArrayQueue<SlowRequest>);

impl Default for SlowRing {
    fn default() -> Self {
        Self(ArrayQueue::new(SLOW_REQUESTS_KEPT))
    }
}

impl SlowRing {
    /// Takes the oldest one out.
    #[must_use]
    pub fn pop(&self) -> Option<SlowRequest> {
        self.0.pop()
    }

    /// Puts one in, in the place of the oldest if there is no other.
    pub fn push(&self, request: SlowRequest) {
        self.0.force_push(request);
    }
}

/// What one shard does with its slow requests.
#[derive(Debug)]
pub struct SlowLog {
    shard: ShardId,
    ring: Arc<SlowRing>,
    /// When the second began that lines are counted of, and how many it has had.
    second: Cell<(Option<Instant>, u32)>,
    /// Requests since the last line that have none.
    unlogged: Cell<u64>,
}

impl SlowLog {
    /// Of one shard; the ring is that of all.
    #[must_use]
    pub fn new(shard: ShardId, ring: Arc<SlowRing>) -> Self {
        Self {
            shard,
            ring,
            second: Cell::default(),
            unlogged: Cell::default(),
        }
    }

    /// The shard that it is of.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// Counts and keeps a request, and logs it unless too many were lately.
    #[cold]
    pub fn keep(&self, request: SlowRequest, slow_requests: &Counter) {
        slow_requests.add(1);
        if self.may_log(request.times.until()) {
            log(&request, self.unlogged.take());
        } else {
            self.unlogged.set(self.unlogged.get() + 1);
        }
        self.ring.push(request);
    }

    fn may_log(&self, now: Instant) -> bool {
        let (begun_at, lines) = self.second.get();
        let is_over =
            begun_at.is_none_or(|at| now.saturating_duration_since(at) >= Duration::from_secs(1));
        let (begun_at, lines) = if is_over {
            (Some(now), 0)
        } else {
            (begun_at, lines)
        };
        let may = lines < LINES_PER_SECOND_MAX;
        self.second.set((begun_at, lines + u32::from(may)));
        may
    }
}

/// At `info`: one slow request is nobody's task. That there are many is what an alert on
/// `purser_slow_requests_total` says.
fn log(request: &SlowRequest, unlogged_before: u64) {
    let us = |stage| micros(request.times.of(stage));
    let asked = request.times.asked();
    tracing::info!(
        op = request.op,
        sequence = request.sequence.as_deref(),
        account = request.account.as_deref(),
        shard = request.shard.0,
        owner = asked.map(|asked| asked.owner.0),
        hopped = asked.is_some_and(|asked| asked.hopped),
        code = request.error_code,
        took_us = micros(request.duration()),
        read_us = us(Stage::Read),
        parse_us = us(Stage::Parse),
        queue_us = us(Stage::Queue),
        apply_us = us(Stage::Apply),
        commit_us = us(Stage::Commit),
        hop_us = us(Stage::Hop),
        write_us = us(Stage::Write),
        unlogged_before,
        "a slow request"
    );
}

/// A duration in whole microseconds.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(at: i64, until: Instant) -> SlowRequest {
        SlowRequest {
            at: UnixMillis(at),
            op: "balance",
            sequence: None,
            account: None,
            shard: ShardId(0),
            error_code: 0,
            times: StageTimes::begin(until, until),
        }
    }

    #[test]
    fn the_ring_keeps_the_last_ones_of_all_shards() {
        let ring = Arc::new(SlowRing::default());
        let shards = [0, 1].map(|shard| SlowLog::new(ShardId(shard), Arc::clone(&ring)));
        let counter = Counter::default();
        let now = Instant::now();
        let all = SLOW_REQUESTS_KEPT + 7;
        for number in 0..all {
            shards[number % 2].keep(request(number as i64, now), &counter);
        }
        assert_eq!(counter.get(), all as u64);
        let kept: Vec<i64> = std::iter::from_fn(|| ring.pop())
            .map(|slow| slow.at.0)
            .collect();
        assert_eq!(kept, (7..all as i64).collect::<Vec<_>>());
    }

    #[test]
    fn a_second_has_a_few_lines() {
        let log = SlowLog::new(ShardId(0), Arc::default());
        let start = Instant::now();
        let lines_at = |ms| {
            (0..20)
                .filter(|_| log.may_log(start + Duration::from_millis(ms)))
                .count()
        };
        assert_eq!(lines_at(0), 5);
        assert_eq!(lines_at(999), 0);
        assert_eq!(lines_at(1_000), 5);
        assert_eq!(lines_at(5_000), 5);
    }
}
