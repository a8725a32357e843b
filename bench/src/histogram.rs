//! Latencies counted in buckets whose width grows with the value.
//!
//! Every power of two is split into 128 buckets, so a percentile is at most
//! 1/128 (0.8 %) above the true value and never below it. Recording is one
//! addition into an array of 58 KiB, which stays in the cache of the client's
//! core: the measurement must not be what is measured.

/// Buckets of one power of two, as a number of bits.
const SUB_BITS: u32 = 7;
const SUB_BUCKETS: u64 = 1 << SUB_BITS;
const BUCKETS: usize = ((64 - SUB_BITS as usize) + 1) << SUB_BITS;

/// Counts of values, in whatever unit the caller records; here nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            max: 0,
        }
    }

    pub(crate) fn record(&mut self, value: u64) {
        self.counts[bucket_of(value)] += 1;
        self.total += 1;
        self.max = self.max.max(value);
    }

    /// Adds all that another has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// How many values were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    /// The largest value, exactly; 0 when there is none.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The least value that `share` (0 to 1) of all values do not exceed, rounded
    /// up to its bucket's upper end; 0 when nothing was recorded.
    pub(crate) fn percentile(&self, share: f64) -> u64 {
        assert!((0.0..=1.0).contains(&share));
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_end_of(bucket).min(self.max);
            }
        }
        self.max
    }
}

fn bucket_of(value: u64) -> usize {
    if value < SUB_BUCKETS {
        return value as usize;
    }
    let exponent = 63 - value.leading_zeros();
    let shift = exponent - SUB_BITS;
    let sub = (value >> shift) - SUB_BUCKETS;
    (u64::from(shift + 1) * SUB_BUCKETS + sub) as usize
}

fn upper_end_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB_BUCKETS {
        return bucket;
    }
    let shift = bucket / SUB_BUCKETS - 1;
    let sub = bucket % SUB_BUCKETS + SUB_BUCKETS;
    // The width of a bucket is 1 << shift; added in this order it cannot overflow.
    (sub << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_own_upper_end_and_not_the_next_value() {
        for bucket in 0..BUCKETS {
            let end = upper_end_of(bucket);
            assert_eq!(bucket_of(end), bucket);
            if let Some(next) = end.checked_add(1) {
                assert_eq!(bucket_of(next), bucket + 1);
            }
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_never_below_the_truth_and_at_most_a_128th_above() {
        let mut histogram = Histogram::new();
        for value in 1..=100_000 {
            histogram.record(value);
        }
        for (share, truth) in [
            (0.5, 50_000),
            (0.95, 95_000),
            (0.99, 99_000),
            (1.0, 100_000),
        ] {
            let shown = histogram.percentile(share);
            assert!(shown >= truth, "{share}: {shown}");
            assert!(shown <= truth + truth / 128, "{share}: {shown}");
        }
    }

    #[test]
    fn small_sets_give_the_values_themselves() {
        let mut histogram = Histogram::new();
        assert_eq!((histogram.percentile(0.5), histogram.max()), (0, 0));
        for value in [3, 1, 2, 100] {
            histogram.record(value);
        }
        let at = |share| histogram.percentile(share);
        assert_eq!((at(0.0), at(0.5), at(0.75), at(0.76)), (1, 2, 3, 100));
        assert_eq!((histogram.count(), histogram.max()), (4, 100));
        let mut more = Histogram::new();
        more.record(200);
        histogram.merge(&more);
        assert_eq!((histogram.count(), histogram.max()), (5, 200));
        assert_eq!(
            (histogram.percentile(0.8), histogram.percentile(0.9)),
            (100, 200)
        );
    }
}
