//! Counters with one writer, read by anybody.
//!
//! A shard counts on its own thread and the control plane reads at scrape. Because
//! only one thread writes, adding is a plain load and store without a locked
//! instruction; the atomics are there so that a reader never sees half a number.
//! Each shard's counters live in their own allocation, so no two shards share a
//! cache line.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that one thread changes and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only ever from the owner's thread.
    pub fn add(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// Subtracts, for what counts things that come and go.
    pub fn sub(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_sub(n),
            Ordering::Relaxed,
        );
    }

    /// Replaces the number, for what is measured rather than counted.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Durations in buckets whose bounds grow by powers of two from 1 µs, so that a
/// quantile read from it is at most a factor of two too high.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; Self::BUCKETS],
    sum_ns: Counter,
}

impl Histogram {
    /// Bucket `i` counts durations up to `2^i` µs; the last one also all beyond (16.8 s).
    pub const BUCKETS: usize = 25;

    /// Counts one duration.
    pub fn record(&self, duration: Duration) {
        // 585 years fit; what is longer is no duration.
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let us = ns.div_ceil(1_000);
        let bucket = (64 - us.saturating_sub(1).leading_zeros()) as usize;
        self.buckets[bucket.min(Self::BUCKETS - 1)].add(1);
        self.sum_ns.add(ns);
    }

    /// How many durations each bucket holds, not cumulated.
    #[must_use]
    pub fn counts(&self) -> [u64; Self::BUCKETS] {
        std::array::from_fn(|bucket| self.buckets[bucket].get())
    }

    /// All durations together, in ns: many are shorter than a microsecond.
    #[must_use]
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns.get()
    }

    /// The upper bound of a bucket, in µs.
    #[must_use]
    pub const fn bound_us(bucket: usize) -> u64 {
        1 << bucket
    }
}

/// Sizes of something that is counted, in buckets whose bounds grow by powers of two.
#[derive(Debug, Default)]
pub struct Sizes {
    buckets: [Counter; Self::BUCKETS],
    sum: Counter,
}

impl Sizes {
    /// Bucket `i` counts sizes up to `2^i`, the last one also all beyond. The one before it
    /// ends at 4,096, what one shard's connections can have in flight
    /// ([`crate::mesh::REPLY_SLOTS`]): a batch that is larger is large enough.
    pub const BUCKETS: usize = 14;

    /// Counts one size.
    pub fn record(&self, size: u64) {
        let bound = size.checked_next_power_of_two().unwrap_or(1 << 63);
        let bucket = bound.trailing_zeros() as usize;
        self.buckets[bucket.min(Self::BUCKETS - 1)].add(1);
        self.sum.add(size);
    }

    /// How many sizes each bucket holds, not cumulated.
    #[must_use]
    pub fn counts(&self) -> [u64; Self::BUCKETS] {
        std::array::from_fn(|bucket| self.buckets[bucket].get())
    }

    /// All sizes together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }

    /// The upper bound of a bucket.
    #[must_use]
    pub const fn bound(bucket: usize) -> u64 {
        1 << bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_lands_in_the_first_bucket_that_holds_it() {
        for (ns, bucket) in [
            (0, 0),
            (1, 0),
            (1_000, 0),
            (1_001, 1),
            (2_000, 1),
            (3_000, 2),
            (4_000, 2),
            (4_001, 3),
            (1 << 50, 24),
        ] {
            let histogram = Histogram::default();
            histogram.record(Duration::from_nanos(ns));
            let counts = histogram.counts();
            assert_eq!(counts[bucket], 1, "{ns} ns in {counts:?}");
            assert_eq!(histogram.sum_ns(), ns);
        }
    }

    #[test]
    fn a_size_lands_in_the_first_bucket_that_holds_it() {
        for (size, bucket) in [
            (0, 0),
            (1, 0),
            (2, 1),
            (3, 2),
            (4_096, 12),
            (4_097, 13),
            (9_999, 13),
        ] {
            let sizes = Sizes::default();
            sizes.record(size);
            assert_eq!(sizes.counts()[bucket], 1, "{size} in {:?}", sizes.counts());
            assert_eq!(sizes.sum(), size);
        }
    }
}
