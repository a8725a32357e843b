//! The Prometheus text format, version 0.0.4: the little of it that we write.
//!
//! All samples of a metric must stand together behind its `# HELP` and `# TYPE`, so a
//! metric is written as one [`Family`], which borrows the text until it is complete.

use std::fmt::{Display, Write};

use shards::metrics::{Histogram, Sizes};

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the process ends. Its name ends in `_total`.
    Counter,
    /// It comes and goes.
    Gauge,
    /// Observations in buckets.
    Histogram,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A scrape's answer while it is written.
#[derive(Debug, Default)]
pub struct PrometheusText(String);

impl PrometheusText {
    /// Begins a metric. `help` is one sentence; units belong into the name.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {}", Escaped::help(help));
        let _ = writeln!(self.0, "# TYPE {name} {}", kind.as_str());
        Family {
            text: &mut self.0,
            name,
            kind,
        }
    }

    /// The whole text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// One metric, to which samples are added that differ in their labels.
///
/// Labels have few values each; a player, account, session or transaction is never one
/// (host-tuning.md section 6).
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
    kind: Kind,
}

impl Family<'_> {
    /// Adds a number.
    ///
    /// # Panics
    /// For a histogram, which is more than a number.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        assert!(self.kind != Kind::Histogram);
        self.line("", labels, None, value);
        self
    }

    /// Adds a histogram of durations, in seconds.
    ///
    /// # Panics
    /// When the metric is a plain number.
    pub fn durations(&mut self, labels: &[(&str, &str)], histogram: &Histogram) -> &mut Self {
        let sum_seconds = seconds_of_ns(histogram.sum_ns());
        self.buckets(labels, &histogram.counts(), sum_seconds, |bucket| {
            seconds(Histogram::bound_us(bucket))
        })
    }

    /// Adds a histogram of sizes.
    ///
    /// # Panics
    /// When the metric is a plain number.
    pub fn sizes(&mut self, labels: &[(&str, &str)], sizes: &Sizes) -> &mut Self {
        self.buckets(labels, &sizes.counts(), sizes.sum(), Sizes::bound)
    }

    fn buckets<B: Display>(
        &mut self,
        labels: &[(&str, &str)],
        counts: &[u64],
        sum: impl Display,
        bound: impl Fn(usize) -> B,
    ) -> &mut Self {
        assert!(self.kind == Kind::Histogram);
        let mut so_far = 0;
        // The last bucket also holds whatever is beyond it, so it has no bound to name.
        for (bucket, count) in counts[..counts.len() - 1].iter().enumerate() {
            so_far += count;
            let bound = bound(bucket).to_string();
            self.line("_bucket", labels, Some(&bound), so_far);
        }
        so_far += counts[counts.len() - 1];
        self.line("_bucket", labels, Some("+Inf"), so_far);
        self.line("_sum", labels, None, sum);
        // Counted from the buckets, so that it fits them whatever was added meanwhile.
        self.line("_count", labels, None, so_far);
        self
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        bound: Option<&str>,
        value: impl Display,
    ) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        let all = labels
            .iter()
            .copied()
            .chain(bound.map(|bound| ("le", bound)));
        let mut separator = '{';
        for (label, value) in all {
            let _ = write!(
                self.text,
                "{separator}{label}=\"{}\"",
                Escaped::label(value)
            );
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a duration of 285 years is exact to the microsecond"
)]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum of 104 days is exact to the nanosecond, and a longer one to 15 digits"
)]
fn seconds_of_ns(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// A text with the characters escaped that would end it.
struct Escaped<'a> {
    text: &'a str,
    quotes: bool,
}

impl<'a> Escaped<'a> {
    fn label(text: &'a str) -> Self {
        Self { text, quotes: true }
    }

    fn help(text: &'a str) -> Self {
        Self {
            text,
            quotes: false,
        }
    }
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.text.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.quotes => f.write_str("\\\"")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn samples_stand_behind_their_help_and_type() {
        let mut text = PrometheusText::default();
        text.family("purser_hops_total", Kind::Counter, "Hops.\nAll of them.")
            .sample(&[("shard", "0")], 7)
            .sample(&[("shard", "1"), ("odd", "a\"b\\c\nd")], 8);
        text.family("purser_ready", Kind::Gauge, "Whether ready.")
            .sample(&[], 1);
        assert_eq!(
            text.into_string(),
            "# HELP purser_hops_total Hops.\\nAll of them.\n\
             # TYPE purser_hops_total counter\n\
             purser_hops_total{shard=\"0\"} 7\n\
             purser_hops_total{shard=\"1\",odd=\"a\\\"b\\\\c\\nd\"} 8\n\
             # HELP purser_ready Whether ready.\n\
             # TYPE purser_ready gauge\n\
             purser_ready 1\n"
        );
    }

    #[test]
    fn a_histogram_s_buckets_are_cumulated_seconds() {
        let histogram = Histogram::default();
        for us in [1, 2, 2, 1_000_000, 60_000_000] {
            histogram.record(Duration::from_micros(us));
        }
        let mut text = PrometheusText::default();
        text.family("purser_d_seconds", Kind::Histogram, "D.")
            .durations(&[("shard", "0")], &histogram);
        let text = text.into_string();
        for line in [
            "purser_d_seconds_bucket{shard=\"0\",le=\"0.000001\"} 1",
            "purser_d_seconds_bucket{shard=\"0\",le=\"0.000002\"} 3",
            "purser_d_seconds_bucket{shard=\"0\",le=\"0.524288\"} 3",
            "purser_d_seconds_bucket{shard=\"0\",le=\"1.048576\"} 4",
            "purser_d_seconds_bucket{shard=\"0\",le=\"8.388608\"} 4",
            "purser_d_seconds_bucket{shard=\"0\",le=\"+Inf\"} 5",
            "purser_d_seconds_sum{shard=\"0\"} 61.000005",
            "purser_d_seconds_count{shard=\"0\"} 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }

    #[test]
    fn a_histogram_of_sizes_has_their_bounds() {
        let sizes = Sizes::default();
        for size in [1, 2, 3, 5_000] {
            sizes.record(size);
        }
        let mut text = PrometheusText::default();
        text.family("purser_b_postings", Kind::Histogram, "B.")
            .sizes(&[], &sizes);
        let text = text.into_string();
        for line in [
            "purser_b_postings_bucket{le=\"1\"} 1",
            "purser_b_postings_bucket{le=\"4\"} 3",
            "purser_b_postings_bucket{le=\"4096\"} 3",
            "purser_b_postings_bucket{le=\"+Inf\"} 4",
            "purser_b_postings_sum 5006",
            "purser_b_postings_count 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
