//! A sample a second of everything that can be seen from outside, one JSON object a line.
//!
//! From the generator itself: requests and their percentiles by type. From the server's
//! metrics: objects, memory by owner where it is exported, batches, flushes, mailboxes,
//! hops. From `/proc`, where the server runs on this machine: memory, threads by state, CPU.
//! What cannot be had is left out of a sample; a picture leaves out what no sample has.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::admin::Admin;
use crate::cpus;
use crate::kind::Kind;
use crate::prometheus::Scrape;
use crate::run::live::Second;
use crate::trend::Trend;

pub(crate) mod process;

use process::{CpuTimes, ThreadStates};

/// The samples, inside the directory of a recording.
pub(crate) const SAMPLES_FILE: &str = "samples.jsonl";
/// What stands for all request types together.
pub(crate) const ALL_TYPES: &str = "all";
/// The result of the run, beside the samples.
pub(crate) const SUMMARY_FILE: &str = "summary.json";

/// One second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// From the start, 0 first.
    pub(crate) second: u64,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    /// By request type, and of all types under [`ALL_TYPES`].
    pub(crate) latency: BTreeMap<String, Latency>,
    /// Bytes: `resident`, `anonymous`, and what the server says by owner.
    pub(crate) memory: BTreeMap<String, f64>,
    /// How many: accounts, sessions, …
    pub(crate) objects: BTreeMap<String, f64>,
    /// Threads by state, averaged over the second.
    pub(crate) threads: Option<ThreadStates>,
    /// Busy share of each CPU of the machine.
    pub(crate) cpu_busy: Vec<f64>,
    /// CPUs used by server and generator.
    pub(crate) server_cpus: Option<f64>,
    pub(crate) generator_cpus: Option<f64>,
    pub(crate) log: Option<Log>,
    pub(crate) shards: Option<Shards>,
}

/// Percentiles of a second, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
}

impl Latency {
    fn of(trend: &Trend) -> Self {
        Self {
            count: trend.count(),
            p50: trend.percentile_ms(50.0),
            p95: trend.percentile_ms(95.0),
            p99: trend.percentile_ms(99.0),
        }
    }
}

/// The log in one second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Log {
    pub(crate) postings: f64,
    pub(crate) batches: f64,
    /// From taking a batch to its being durable, in milliseconds, as upper ends of the
    /// server's buckets; 0 where there was no batch.
    pub(crate) flush_p50: f64,
    pub(crate) flush_p95: f64,
    pub(crate) lag_postings: f64,
}

/// The shards' messages in one second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shards {
    pub(crate) hops: f64,
    pub(crate) own: f64,
    /// Waiting in all mailboxes at the end of the second.
    pub(crate) mailbox_depth: f64,
}

/// Gauges that count live objects, and the words that a picture has for them.
const OBJECTS: [(&str, &str); 5] = [
    ("purser_accounts", "accounts"),
    ("purser_sessions", "sessions"),
    ("purser_rounds_open", "open rounds"),
    ("purser_seen_entries", "remembered transactions"),
    ("purser_http_connections", "connections"),
];

/// Gauges of bytes with a label that says whose they are.
const MEMORY: [(&str, &str); 2] = [
    ("purser_memory_bytes", "owner"),
    ("purser_heap_bytes", "state"),
];

/// Takes and writes the samples. Without a directory it does nothing.
#[derive(Debug)]
pub(crate) struct Recorder {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: BufWriter<File>,
    admin: Admin,
    pid: Option<u32>,
    before: Looked,
    threads: ThreadStates,
    thread_looks: u32,
}

/// What only differences tell.
#[derive(Debug)]
struct Looked {
    at: Instant,
    metrics: Option<Scrape>,
    server_cpu: Option<Duration>,
    own_cpu: Option<Duration>,
    cpus: Vec<CpuTimes>,
}

impl Looked {
    fn now(admin: &mut Admin, pid: Option<u32>) -> Self {
        Self {
            at: Instant::now(),
            metrics: admin.metrics().ok(),
            server_cpu: pid.and_then(|pid| cpus::process_cpu_time(Some(pid))),
            own_cpu: cpus::process_cpu_time(None),
            cpus: process::cpu_times(),
        }
    }
}

impl Recorder {
    /// Makes the directory and the file.
    ///
    /// # Errors
    /// They cannot be made.
    pub(crate) fn open(
        directory: Option<&Path>,
        mut admin: Admin,
        pid: Option<u32>,
    ) -> anyhow::Result<Self> {
        let Some(directory) = directory else {
            return Ok(Self { open: None });
        };
        std::fs::create_dir_all(directory)
            .with_context(|| format!("create {}", directory.display()))?;
        let path = directory.join(SAMPLES_FILE);
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(Self {
            open: Some(Open {
                file: BufWriter::new(file),
                before: Looked::now(&mut admin, pid),
                admin,
                pid,
                threads: ThreadStates::default(),
                thread_looks: 0,
            }),
        })
    }

    /// Looks at the states of the server's threads; called many times a second.
    pub(crate) fn look_at_threads(&mut self) {
        if let Some(open) = &mut self.open
            && let Some(states) = open.pid.and_then(process::thread_states)
        {
            open.threads.add(&states);
            open.thread_looks += 1;
        }
    }

    /// Takes the sample of a second that is over.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn record(&mut self, second: u64, seen: &Second) -> anyhow::Result<()> {
        // Who was kept from its CPU for a second has not looked; a hole would be drawn as none.
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.thread_looks == 0)
        {
            self.look_at_threads();
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let now = Looked::now(&mut open.admin, open.pid);
        let mut sample = sample(second, seen, &open.before, &now);
        if let Some(pid) = open.pid {
            sample.memory.extend(process::memory(pid));
        }
        if open.thread_looks > 0 {
            sample.threads = Some(open.threads.divided_by(open.thread_looks));
        }
        (open.threads, open.thread_looks) = (ThreadStates::default(), 0);
        open.before = now;
        serde_json::to_writer(&mut open.file, &sample)?;
        open.file.write_all(b"\n")?;
        // A run that is stopped leaves what it had.
        open.file.flush().context("write a sample")
    }
}

/// What two looks and the generator's own second say.
fn sample(second: u64, seen: &Second, before: &Looked, now: &Looked) -> Sample {
    let passed_s = (now.at - before.at).as_secs_f64().max(1e-9);
    let mut latency = BTreeMap::new();
    let mut all = Trend::default();
    for kind in Kind::ALL {
        if let Some(trend) = &seen.durations[kind.index()] {
            all.merge(trend);
            latency.insert(kind.name().to_owned(), Latency::of(trend));
        }
    }
    if all.count() > 0 {
        latency.insert(ALL_TYPES.to_owned(), Latency::of(&all));
    }
    let used = |before: Option<Duration>, now: Option<Duration>| {
        Some(now?.saturating_sub(before?).as_secs_f64() / passed_s)
    };
    let mut sample = Sample {
        second,
        requests: seen.requests,
        failed: seen.failed,
        latency,
        server_cpus: used(before.server_cpu, now.server_cpu),
        generator_cpus: used(before.own_cpu, now.own_cpu),
        cpu_busy: now
            .cpus
            .iter()
            .zip(&before.cpus)
            .map(|(now, before)| now.busy_since(before))
            .collect(),
        ..Sample::default()
    };
    if let (Some(before), Some(now)) = (&before.metrics, &now.metrics) {
        add_metrics(&mut sample, before, now, passed_s);
    }
    sample
}

fn add_metrics(sample: &mut Sample, before: &Scrape, now: &Scrape, passed_s: f64) {
    for (metric, word) in OBJECTS {
        if let Some(count) = now.sum(metric) {
            sample.objects.insert(word.to_owned(), count);
        }
    }
    for (metric, label) in MEMORY {
        for (owner, bytes) in now.by_label(metric, label) {
            sample.memory.insert(format!("{label} {owner}"), bytes);
        }
    }
    let grown = |metric: &str| Some((now.sum(metric)? - before.sum(metric)?).max(0.0) / passed_s);
    let grew = |metric| grown(metric).unwrap_or(0.0);
    if now.sum("purser_hops_total").is_some() {
        sample.shards = Some(Shards {
            hops: grew("purser_hops_total"),
            own: grew("purser_own_commands_total"),
            mailbox_depth: now.sum("purser_mailbox_depth").unwrap_or(0.0),
        });
    }
    if now.sum("purser_postings_total").is_some() {
        let flushes =
            |scrape: &Scrape| scrape.by_label("purser_commit_duration_seconds_bucket", "le");
        let (before, now_flushes) = (flushes(before), flushes(now));
        sample.log = Some(Log {
            postings: grew("purser_postings_total"),
            batches: grew("purser_commit_batches_total"),
            flush_p50: 1e3 * quantile(&before, &now_flushes, 0.5),
            flush_p95: 1e3 * quantile(&before, &now_flushes, 0.95),
            lag_postings: now.sum("purser_durable_lag_postings").unwrap_or(0.0),
        });
    }
}

/// The upper end of the bucket that holds a quantile of what came between two scrapes of
/// cumulated buckets; 0 when nothing came.
fn quantile(before: &[(String, f64)], now: &[(String, f64)], share: f64) -> f64 {
    let grown: Vec<(f64, f64)> = now
        .iter()
        .filter_map(|(bound, count)| {
            let earlier = before.iter().find(|(known, _)| known == bound);
            let bound = if bound == "+Inf" {
                f64::INFINITY
            } else {
                bound.parse().ok()?
            };
            Some((bound, count - earlier.map_or(0.0, |(_, count)| *count)))
        })
        .collect();
    let all = grown.last().map_or(0.0, |(_, count)| *count);
    if all <= 0.0 {
        return 0.0;
    }
    let largest = grown
        .iter()
        .map(|(bound, _)| *bound)
        .filter(|bound| bound.is_finite());
    let largest = largest.fold(0.0, f64::max);
    let found = grown.iter().find(|(_, count)| *count >= share * all);
    found.map_or(largest, |(bound, _)| bound.min(largest))
}

/// Reads a recording; a last line that was cut is passed over.
///
/// # Errors
/// There is none, or it is no recording.
pub(crate) fn read(directory: &Path) -> anyhow::Result<Vec<Sample>> {
    let path = directory.join(SAMPLES_FILE);
    let file = File::open(&path)
        .with_context(|| format!("read {}: made by `run --telemetry`", path.display()))?;
    let mut samples = Vec::new();
    let mut lines = BufReader::new(file).lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        match serde_json::from_str(&line?) {
            Ok(sample) => samples.push(sample),
            Err(_) if lines.peek().is_none() => break,
            Err(error) => {
                return Err(error).with_context(|| format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests;
