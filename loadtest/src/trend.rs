//! Durations, counted so that every percentile can be told afterwards.
//!
//! A log-linear histogram: memory is bounded whatever comes, and a percentile is at most
//! 1 % off. Least, greatest and mean are exact.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer durations count as this one: beyond the timeout of any request.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// Two significant digits: a percentile is at most 1 % above the true value.
const DIGITS: u8 = 2;

/// Many durations of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Trend {
    histogram: Histogram<u64>,
    sum_ns: u128,
    min_ns: u64,
    max_ns: u64,
}

impl Default for Trend {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS);
        Self {
            histogram: histogram.expect("constant bounds that the histogram takes"),
            sum_ns: 0,
            min_ns: u64::MAX,
            max_ns: 0,
        }
    }
}

impl Trend {
    pub(crate) fn record(&mut self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(ns);
        self.sum_ns += u128::from(ns);
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// Adds what another one has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        // Both have the same bounds, so that nothing can be refused.
        self.histogram
            .add(&other.histogram)
            .expect("histograms of the same bounds");
        self.sum_ns += other.sum_ns;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    pub(crate) fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The shortest, in milliseconds; 0 when there is none.
    pub(crate) fn min_ms(&self) -> f64 {
        if self.count() == 0 {
            return 0.0;
        }
        milliseconds(self.min_ns)
    }

    /// The longest, in milliseconds.
    pub(crate) fn max_ms(&self) -> f64 {
        milliseconds(self.max_ns)
    }

    /// The mean, in milliseconds; 0 when there is none.
    pub(crate) fn avg_ms(&self) -> f64 {
        if self.count() == 0 {
            return 0.0;
        }
        self.sum_ns as f64 / self.count() as f64 / 1e6
    }

    /// The duration that `percent` (0 to 100) of all do not exceed, in milliseconds.
    pub(crate) fn percentile_ms(&self, percent: f64) -> f64 {
        if self.count() == 0 {
            return 0.0;
        }
        // A bucket's upper end may lie outside of what was seen.
        let ns = self.histogram.value_at_quantile(percent / 100.0);
        milliseconds(ns.clamp(self.min_ns, self.max_ns))
    }
}

fn milliseconds(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_one_percent() {
        let mut trend = Trend::default();
        for us in 1..=100_000 {
            trend.record(Duration::from_micros(us));
        }
        for (percent, exact_ms) in [(50.0, 50.0), (90.0, 90.0), (95.0, 95.0), (99.9, 99.9)] {
            let seen = trend.percentile_ms(percent);
            assert!((seen / exact_ms - 1.0).abs() < 0.01, "{percent}: {seen}");
        }
        assert_eq!((trend.min_ms(), trend.max_ms()), (0.001, 100.0));
        assert!((trend.avg_ms() - 50.000_5).abs() < 1e-9);
        assert_eq!(trend.percentile_ms(100.0), 100.0);
    }

    #[test]
    fn merged_trends_are_as_if_counted_together() {
        let (mut a, mut b, mut both) = (Trend::default(), Trend::default(), Trend::default());
        for us in 0..1_000_u64 {
            let part = if us % 3 == 0 { &mut a } else { &mut b };
            part.record(Duration::from_micros(us * us));
            both.record(Duration::from_micros(us * us));
        }
        a.merge(&b);
        for percent in [0.0, 10.0, 50.0, 99.0, 100.0] {
            assert_eq!(a.percentile_ms(percent), both.percentile_ms(percent));
        }
        assert_eq!(
            (a.count(), a.avg_ms(), a.min_ms(), a.max_ms()),
            (both.count(), both.avg_ms(), both.min_ms(), both.max_ms())
        );
    }

    #[test]
    fn nothing_and_no_time_are_zero_and_an_age_is_kept() {
        let mut trend = Trend::default();
        assert_eq!((trend.avg_ms(), trend.percentile_ms(95.0)), (0.0, 0.0));
        trend.record(Duration::ZERO);
        assert_eq!((trend.count(), trend.max_ms()), (1, 0.0));
        trend.record(Duration::from_secs(7_200));
        assert_eq!(trend.max_ms(), 7_200_000.0);
        assert_eq!(trend.count(), 2);
    }
}
