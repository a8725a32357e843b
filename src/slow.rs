//! Slow requests: the last of them with their stages, and a sample of them in the log.
//!
//! A request is slow when the wallet worked on it for longer than `slow_request`, from its
//! last byte to its complete answer. Every one is counted and kept; the log has a few of each
//! second and says how many it has not. Each shard puts theirs into a lane of its own; who
//! reads the lanes is on another thread.
//!
//! Invariant: a shard never waits and never spins for the reader, wherever the kernel has put
//! that one to sleep. It tries the lane's lock once, with one atomic operation; where the
//! reader is inside, the request is not kept, and that is counted. The reader only tries,
//! too, so nobody ever sleeps on the lock and letting go of it wakes nobody.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use shards::metrics::Counter;
use shards::types::{ShardId, UnixMillis};

use crate::stages::{Stage, StageTimes};

/// Slow requests that are shown, those of all shards together, and that one shard keeps until
/// somebody looks: enough to see what they have in common, and about 30 KiB for each.
pub const SLOW_REQUESTS_KEPT: usize = 100;

/// How often a reader tries a lane's lock, with a turn of the scheduler in between, before it
/// leaves that lane for the next look: far above the few moves of memory that a shard does
/// inside, and an end for a shard that the kernel has put to sleep there.
const LOOKS_MAX: usize = 1_000;

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

/// The last slow requests of the process, by shard.
#[derive(Debug)]
pub struct SlowRing {
    lanes: Vec<Lane>,
}

/// The last slow requests of one shard that nobody has read.
#[derive(Debug)]
struct Lane {
    /// The newest is the last. Never held while anything is made or freed on the reader's
    /// side.
    requests: Mutex<VecDeque<SlowRequest>>,
    /// Requests that were not kept since the reader was inside.
    missed: Counter,
}

impl Lane {
    /// One try at the lock, and no more.
    fn enter(&self) -> Option<MutexGuard<'_, VecDeque<SlowRequest>>> {
        match self.requests.try_lock() {
            Ok(requests) => Some(requests),
            // Whoever panicked inside left whole requests: each is moved in one step.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl SlowRing {
    /// With a lane for each shard.
    #[must_use]
    pub fn new(shards: u16) -> Self {
        let lane = || Lane {
            requests: Mutex::new(VecDeque::with_capacity(SLOW_REQUESTS_KEPT)),
            missed: Counter::default(),
        };
        Self {
            lanes: (0..shards).map(|_| lane()).collect(),
        }
    }

    /// Takes out all that the shards have put in, in the order in which they were answered.
    /// What a shard is putting in at this moment comes with the next look.
    #[must_use]
    pub fn take(&self) -> Vec<SlowRequest> {
        let mut all: Vec<SlowRequest> = Vec::new();
        for lane in &self.lanes {
            // Made outside, so that a shard finds the lane taken for one swap only.
            let mut taken = VecDeque::with_capacity(SLOW_REQUESTS_KEPT);
            for _ in 0..LOOKS_MAX {
                if let Some(mut requests) = lane.enter() {
                    std::mem::swap(&mut *requests, &mut taken);
                    break;
                }
                std::thread::yield_now();
            }
            all.extend(taken);
        }
        all.sort_by_key(|request| request.times.until());
        all
    }

    /// Puts one into its shard's lane, in the place of the oldest if there is no other; only
    /// ever from that shard's thread. Where the reader is inside it is counted instead.
    pub fn push(&self, request: SlowRequest) {
        let lane = &self.lanes[request.shard.index()];
        let Some(mut requests) = lane.enter() else {
            lane.missed.add(1);
            return;
        };
        if requests.len() == SLOW_REQUESTS_KEPT {
            requests.pop_front();
        }
        requests.push_back(request);
    }

    /// By shard, how many were not kept since somebody read at that moment.
    pub fn missed(&self) -> impl Iterator<Item = u64> {
        self.lanes.iter().map(|lane| lane.missed.get())
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
        let ring = Arc::new(SlowRing::new(2));
        let shards = [0, 1].map(|shard| SlowLog::new(ShardId(shard), Arc::clone(&ring)));
        let counter = Counter::default();
        let start = Instant::now();
        let all = 2 * SLOW_REQUESTS_KEPT + 7;
        for number in 0..all {
            let shard = number % 2;
            let mut slow = request(number as i64, start + Duration::from_millis(number as u64));
            slow.shard = shards[shard].shard();
            shards[shard].keep(slow, &counter);
        }
        assert_eq!(counter.get(), all as u64);
        let taken = || -> Vec<i64> { ring.take().iter().map(|slow| slow.at.0).collect() };
        assert_eq!(taken(), (7..all as i64).collect::<Vec<_>>());
        assert!(taken().is_empty(), "taken is taken");
        assert!(ring.missed().eq([0, 0]));
    }

    #[test]
    fn a_shard_that_finds_the_reader_inside_goes_on_and_counts() {
        let ring = SlowRing::new(2);
        let now = Instant::now();
        let mut other = request(3, now);
        other.shard = ShardId(1);
        {
            let _reader = ring.lanes[0].enter().unwrap();
            ring.push(request(1, now));
            ring.push(request(2, now));
            ring.push(other);
        }
        ring.push(request(4, now));
        assert!(ring.missed().eq([2, 0]));
        let mut kept: Vec<i64> = ring.take().iter().map(|slow| slow.at.0).collect();
        kept.sort_unstable();
        assert_eq!(kept, [3, 4]);
    }

    #[test]
    fn a_reader_leaves_a_lane_whose_shard_sleeps_inside_for_the_next_look() {
        let ring = SlowRing::new(1);
        ring.push(request(1, Instant::now()));
        {
            let _shard = ring.lanes[0].enter().unwrap();
            assert!(ring.take().is_empty());
        }
        assert_eq!(ring.take().len(), 1);
    }

    #[test]
    fn a_second_has_a_few_lines() {
        let log = SlowLog::new(ShardId(0), Arc::new(SlowRing::new(1)));
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
