//! What `/metrics` says, as JSON: for the page, which reads it once a second.
//!
//! It is made from the text of the scrape and not beside it, so the two cannot say
//! different things, and whoever adds a metric adds it in one place.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

/// One event of the stream.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Event<'a> {
    /// The server's clock, RFC 3339.
    pub(super) at: String,
    /// Of the admin API, by a clock that never jumps: what rates are to be divided by.
    pub(super) uptime_seconds: f64,
    pub(super) metrics: Metrics<'a>,
}

/// By name.
pub(super) type Metrics<'a> = BTreeMap<&'a str, Metric<'a>>;

/// All samples of one metric.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metric<'a> {
    kind: &'a str,
    /// Of a histogram's buckets: the most that each but the last one holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bounds: Vec<&'a RawValue>,
    samples: Vec<Sample<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sample<'a> {
    labels: BTreeMap<&'a str, Cow<'a, str>>,
    /// Of anything but a histogram.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a RawValue>,
    /// Of a histogram.
    #[serde(flatten)]
    observed: Option<Observed<'a>>,
}

/// What a histogram saw.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Observed<'a> {
    /// In each bucket alone, one for each bound and one beyond; zeroes at the end are left
    /// out, because most histograms of an idle server are nothing else.
    counts: Vec<u64>,
    sum: Option<&'a RawValue>,
    /// In all buckets so far.
    #[serde(skip)]
    total: u64,
}

impl Observed<'_> {
    fn add_bucket(&mut self, cumulated: u64) {
        self.counts.push(cumulated.saturating_sub(self.total));
        self.total = self.total.max(cumulated);
    }

    fn trim(&mut self) {
        let used = self.counts.iter().rposition(|&count| count > 0);
        self.counts.truncate(used.map_or(0, |last| last + 1));
    }
}

/// Reads the text of a scrape, as `prometheus.rs` writes it. A number that JSON cannot say,
/// such as NaN, is left out.
pub(super) fn parse(text: &str) -> Metrics<'_> {
    let mut metrics = Metrics::new();
    let mut family: Option<(&str, Metric)> = None;
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            metrics.extend(family.take());
            family = declared.split_once(' ').map(|(name, kind)| {
                let metric = Metric {
                    kind,
                    bounds: Vec::new(),
                    samples: Vec::new(),
                };
                (name, metric)
            });
        } else if !line.starts_with('#')
            && let Some((name, metric)) = &mut family
            && let Some(line) = line.strip_prefix(*name)
            && let Some((labels, value)) = line.rsplit_once(' ')
        {
            metric.add(labels, value);
        }
    }
    metrics.extend(family);
    for sample in metrics.values_mut().flat_map(|metric| &mut metric.samples) {
        if let Some(observed) = &mut sample.observed {
            observed.trim();
        }
    }
    metrics
}

impl<'a> Metric<'a> {
    /// Adds a line: what stands behind the metric's name, and the value.
    fn add(&mut self, line: &'a str, value: &'a str) {
        let (suffix, labels) = line.split_at(line.find('{').unwrap_or(line.len()));
        let mut labels = parse_labels(labels);
        let number = serde_json::from_str::<&RawValue>(value).ok();
        match suffix {
            "_bucket" => {
                let bound = labels.remove("le");
                // The first histogram of the family names the bounds for all.
                if self.is_first(&labels)
                    && let Some(Cow::Borrowed(bound)) = bound
                    && let Ok(bound) = serde_json::from_str(bound)
                {
                    self.bounds.push(bound);
                }
                self.observed(labels)
                    .add_bucket(value.parse().unwrap_or_default());
            }
            "_sum" => self.observed(labels).sum = number,
            // The sum of the buckets.
            "_count" => {}
            _ if number.is_some() => self.samples.push(Sample {
                labels,
                value: number,
                observed: None,
            }),
            _ => {}
        }
    }

    fn is_first(&self, labels: &BTreeMap<&'a str, Cow<'a, str>>) -> bool {
        match &*self.samples {
            [] => true,
            [only] => only.labels == *labels,
            _ => false,
        }
    }

    /// The histogram of these labels: the last one, or a new one.
    fn observed(&mut self, labels: BTreeMap<&'a str, Cow<'a, str>>) -> &mut Observed<'a> {
        let is_last = self
            .samples
            .last()
            .is_some_and(|sample| sample.labels == labels);
        if !is_last {
            self.samples.push(Sample {
                labels,
                value: None,
                observed: None,
            });
        }
        let last = self.samples.len() - 1;
        self.samples[last]
            .observed
            .get_or_insert_with(Observed::default)
    }
}

/// Reads `{name="value",…}`, or nothing.
fn parse_labels(text: &str) -> BTreeMap<&str, Cow<'_, str>> {
    let mut labels = BTreeMap::new();
    let mut rest = text.strip_prefix('{').unwrap_or_default();
    while let Some((name, behind)) = rest.split_once("=\"") {
        let Some(end) = end_of_value(behind) else {
            break;
        };
        labels.insert(name, unescaped(&behind[..end]));
        rest = behind[end + 1..].trim_start_matches(',');
    }
    labels
}

/// Where the quotation mark stands that ends a value.
fn end_of_value(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })
}

fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shards::metrics::Histogram;

    use super::super::super::prometheus::{Kind, PrometheusText};
    use super::*;

    /// Parses what the closure writes, and compares it as JSON.
    fn check(write: impl FnOnce(&mut PrometheusText), expected: &str) {
        let mut text = PrometheusText::default();
        write(&mut text);
        let text = text.into_string();
        let json = serde_json::to_string(&parse(&text)).unwrap();
        assert_eq!(json, expected, "{text}");
    }

    #[test]
    fn numbers_keep_their_labels_and_their_digits() {
        check(
            |text| {
                text.family("b_total", Kind::Counter, "B{x=\"y\"} 7")
                    .sample(&[("shard", "0")], u64::MAX)
                    .sample(&[("shard", "1"), ("op", "end")], 0);
                text.family("a", Kind::Gauge, "A.").sample(&[], -1.5);
            },
            r#"{"a":{"Kind":"gauge","Samples":[{"Labels":{},"Value":-1.5}]},"b_total":{"Kind":"counter","Samples":[{"Labels":{"shard":"0"},"Value":18446744073709551615},{"Labels":{"op":"end","shard":"1"},"Value":0}]}}"#,
        );
    }

    #[test]
    fn escaped_labels_come_back_as_they_were() {
        check(
            |text| {
                text.family("a", Kind::Gauge, "A.")
                    .sample(&[("x", "a\"b\\c\nd,e=\"f} 1"), ("y", "\\")], 1);
            },
            r#"{"a":{"Kind":"gauge","Samples":[{"Labels":{"x":"a\"b\\c\nd,e=\"f} 1","y":"\\"},"Value":1}]}}"#,
        );
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        check(
            |text| {
                text.family("a", Kind::Gauge, "A.")
                    .sample(&[("x", "1")], f64::NAN)
                    .sample(&[("x", "2")], f64::INFINITY)
                    .sample(&[("x", "3")], 3);
                text.family("empty", Kind::Gauge, "Without samples.");
            },
            r#"{"a":{"Kind":"gauge","Samples":[{"Labels":{"x":"3"},"Value":3}]},"empty":{"Kind":"gauge","Samples":[]}}"#,
        );
    }

    #[test]
    fn histograms_are_counts_of_each_bucket_alone() {
        let histogram = |values: &[u64]| {
            let histogram = Histogram::default();
            for &us in values {
                histogram.record(Duration::from_micros(us));
            }
            histogram
        };
        let mut text = PrometheusText::default();
        text.family("d_seconds", Kind::Histogram, "D.")
            .durations(&[("shard", "0")], &histogram(&[1, 2, 2, 4]))
            .durations(&[("shard", "1")], &histogram(&[]))
            .durations(&[("shard", "2")], &histogram(&[60_000_000]));
        let text = text.into_string();
        let metrics = parse(&text);
        let found = &metrics["d_seconds"];
        assert_eq!(found.kind, "histogram");
        assert_eq!(found.bounds.len(), Histogram::BUCKETS - 1);
        assert_eq!(found.bounds[0].get(), "0.000001");
        let counts: Vec<&[u64]> = found
            .samples
            .iter()
            .map(|sample| &*sample.observed.as_ref().unwrap().counts)
            .collect();
        let mut beyond = [0; Histogram::BUCKETS];
        beyond[Histogram::BUCKETS - 1] = 1;
        assert_eq!(counts, [&[1, 2, 1][..], &[], &beyond]);
        let sample = serde_json::to_string(&found.samples[0]).unwrap();
        assert_eq!(
            sample,
            r#"{"Labels":{"shard":"0"},"Counts":[1,2,1],"Sum":0.000009}"#
        );
    }
}
