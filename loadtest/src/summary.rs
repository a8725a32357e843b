//! What a run found, as it is printed, written with `--json` and compared.
//!
//! Metrics have k6's names and units: durations in milliseconds, rates from 0 to 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kind::Kind;
use crate::tally::{ByKind, Check, Tally};
use crate::trend::Trend;

/// One metric, in one of k6's four forms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Metric {
    Trend(Spread),
    Counter {
        count: f64,
        rate: f64,
    },
    /// `passes` of what the metric counts; for `http_req_failed` these are the failures.
    Rate {
        rate: f64,
        passes: u64,
        fails: u64,
    },
    Gauge {
        value: f64,
        min: f64,
        max: f64,
    },
}

/// Where durations lie, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) avg: f64,
    pub(crate) min: f64,
    pub(crate) med: f64,
    pub(crate) max: f64,
    #[serde(rename = "p(90)")]
    pub(crate) p90: f64,
    #[serde(rename = "p(95)")]
    pub(crate) p95: f64,
    #[serde(rename = "p(99)")]
    pub(crate) p99: f64,
    #[serde(rename = "p(99.9)")]
    pub(crate) p999: f64,
    /// How many there were.
    pub(crate) count: u64,
}

impl Spread {
    /// The numbers that a report shows, in its order.
    pub(crate) fn shown(&self) -> [(&'static str, f64); 8] {
        [
            ("avg", self.avg),
            ("min", self.min),
            ("med", self.med),
            ("max", self.max),
            ("p(90)", self.p90),
            ("p(95)", self.p95),
            ("p(99)", self.p99),
            ("p(99.9)", self.p999),
        ]
    }
}

impl From<&Trend> for Spread {
    fn from(trend: &Trend) -> Self {
        Self {
            avg: trend.avg_ms(),
            min: trend.min_ms(),
            med: trend.percentile_ms(50.0),
            max: trend.max_ms(),
            p90: trend.percentile_ms(90.0),
            p95: trend.percentile_ms(95.0),
            p99: trend.percentile_ms(99.0),
            p999: trend.percentile_ms(99.9),
            count: trend.count(),
        }
    }
}

impl Metric {
    fn trend(trend: &Trend) -> Self {
        Self::Trend(Spread::from(trend))
    }

    fn counter(count: f64, seconds: f64) -> Self {
        let rate = if seconds > 0.0 { count / seconds } else { 0.0 };
        Self::Counter { count, rate }
    }

    pub(crate) fn rate(passes: u64, fails: u64) -> Self {
        let all = passes + fails;
        let rate = if all == 0 {
            0.0
        } else {
            passes as f64 / all as f64
        };
        Self::Rate {
            rate,
            passes,
            fails,
        }
    }

    /// A number by the name that thresholds use.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.named()
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// The names of its numbers, for people.
    pub(crate) fn numbers(&self) -> String {
        let names: Vec<&str> = self.named().into_iter().map(|(name, _)| name).collect();
        names.join(", ")
    }

    fn named(&self) -> Vec<(&'static str, f64)> {
        match *self {
            Self::Trend(spread) => {
                let mut named = spread.shown().to_vec();
                named.push(("count", spread.count as f64));
                named
            }
            Self::Counter { count, rate } => vec![("count", count), ("rate", rate)],
            Self::Rate { rate, .. } => vec![("rate", rate)],
            Self::Gauge { value, min, max } => vec![("value", value), ("min", min), ("max", max)],
        }
    }
}

/// The whole result of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// What ran: scenario, pace, users, where.
    pub(crate) run: RunFacts,
    pub(crate) metrics: BTreeMap<String, Metric>,
    pub(crate) groups: Vec<Group>,
    pub(crate) thresholds: Vec<ThresholdResult>,
    pub(crate) generator: Generator,
    pub(crate) server: Option<ServerShare>,
    pub(crate) hops: Option<Hops>,
    pub(crate) audit: Option<crate::audit::Audit>,
    pub(crate) warnings: Vec<String>,
}

/// What ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunFacts {
    pub(crate) version: String,
    /// UTC.
    pub(crate) started_at: String,
    pub(crate) scenario: String,
    /// In words: `closed loop` or `open loop, 1110 requests/s, poisson`.
    pub(crate) pace: String,
    pub(crate) url: String,
    pub(crate) users: u64,
    pub(crate) accounts: u64,
    pub(crate) seed: u64,
    /// Of the counted part, with the end of the last flows.
    pub(crate) seconds: f64,
}

/// The checks of one request type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) checks: Vec<CheckResult>,
}

/// One check of one request type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CheckResult {
    pub(crate) name: String,
    pub(crate) passes: u64,
    pub(crate) fails: u64,
}

/// One threshold, and whether the run met it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ThresholdResult {
    pub(crate) metric: String,
    pub(crate) expression: String,
    pub(crate) met: bool,
}

/// How hard the generator itself worked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Generator {
    pub(crate) threads: Vec<ThreadShare>,
    /// All threads, in CPUs: 1.5 is one and a half of them.
    pub(crate) cpus: f64,
    /// Open loop: how late requests left although a connection was idle.
    pub(crate) late: Option<Spread>,
    /// Open loop: requests that were due and never sent.
    pub(crate) dropped: u64,
    /// Requests sent again for want of an answer.
    pub(crate) retries: u64,
}

/// CPU time of one thread by the time that passed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ThreadShare {
    pub(crate) cpu: Option<u64>,
    pub(crate) share: f64,
}

/// How hard the server worked meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServerShare {
    pub(crate) pid: u32,
    /// In CPUs.
    pub(crate) cpus: f64,
    pub(crate) us_per_request: f64,
}

/// Where requests were decided, from the server's own counters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hops {
    pub(crate) shards: u64,
    /// Commands that crossed from one shard to another, and those that did not.
    pub(crate) crossed: u64,
    pub(crate) own: u64,
    pub(crate) shard_aware: bool,
}

impl Hops {
    /// Crossings that connections to any shard would have had, less those that were.
    pub(crate) fn avoided(&self) -> u64 {
        let all = self.crossed + self.own;
        let expected = all - all / self.shards.max(1);
        expected.saturating_sub(self.crossed)
    }
}

/// k6's metrics of a tally.
pub(crate) fn metrics(tally: &Tally, seconds: f64, users: u64) -> BTreeMap<String, Metric> {
    let mut expected = Trend::default();
    for trend in tally.durations.iter().flatten() {
        expected.merge(trend);
    }
    let mut all = expected.clone();
    all.merge(&tally.durations_failed);
    let checks = tally.checks.iter().flatten();
    let (passes, fails) = checks.fold((0, 0), |(passes, fails), count| {
        (passes + count.passes, fails + count.fails)
    });
    let users = users as f64;
    let gauge = Metric::Gauge {
        value: users,
        min: users,
        max: users,
    };
    let mut metrics: BTreeMap<String, Metric> = [
        ("checks", Metric::rate(passes, fails)),
        (
            "data_received",
            Metric::counter(tally.bytes_in as f64, seconds),
        ),
        (
            "data_sent",
            Metric::counter(tally.bytes_out as f64, seconds),
        ),
        ("group_duration", Metric::trend(&tally.groups)),
        ("http_req_blocked", Metric::trend(&tally.blocked)),
        ("http_req_connecting", Metric::trend(&tally.connecting)),
        ("http_req_duration", Metric::trend(&all)),
        (
            "http_req_duration{expected_response:true}",
            Metric::trend(&expected),
        ),
        (
            "http_req_failed",
            Metric::rate(tally.failed, tally.requests - tally.failed),
        ),
        ("http_req_receiving", Metric::trend(&tally.receiving)),
        ("http_req_sending", Metric::trend(&tally.sending)),
        // Plain HTTP only: the reference's report has the line.
        ("http_req_tls_handshaking", Metric::trend(&Trend::default())),
        ("http_req_waiting", Metric::trend(&tally.waiting)),
        ("http_reqs", Metric::counter(tally.requests as f64, seconds)),
        ("iteration_duration", Metric::trend(&tally.iterations)),
        (
            "iterations",
            Metric::counter(tally.iterations.count() as f64, seconds),
        ),
        ("vus", gauge.clone()),
        ("vus_max", gauge),
    ]
    .map(|(name, metric)| (name.to_owned(), metric))
    .into();
    metrics.extend(by_kind(&tally.durations, seconds));
    metrics
}

fn by_kind(durations: &ByKind, seconds: f64) -> Vec<(String, Metric)> {
    let mut metrics = Vec::new();
    for kind in Kind::ALL {
        if let Some(trend) = &durations[kind.index()] {
            let tag = format!("{{requestType:{}}}", kind.name());
            metrics.push((format!("http_req_duration{tag}"), Metric::trend(trend)));
            let count = Metric::counter(trend.count() as f64, seconds);
            metrics.push((format!("http_reqs{tag}"), count));
        }
    }
    metrics
}

/// The checks of a tally by request type.
pub(crate) fn groups(tally: &Tally) -> Vec<Group> {
    let mut groups = Vec::new();
    for kind in Kind::ALL {
        let checks: Vec<CheckResult> = Check::ALL
            .into_iter()
            .map(|check| (check, tally.checks[kind.index()][check.index()]))
            .filter(|(_, count)| count.passes + count.fails > 0)
            .map(|(check, count)| CheckResult {
                name: check.name().to_owned(),
                passes: count.passes,
                fails: count.fails,
            })
            .collect();
        if !checks.is_empty() {
            groups.push(Group {
                name: kind.name().to_owned(),
                checks,
            });
        }
    }
    groups
}
