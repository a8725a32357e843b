//! What the server takes of its machine: memory, by what is in it and as a whole, CPU time,
//! open files, threads and room on the disk.
//!
//! Shards publish what their tables and buffers hold a few times a second, from counts that
//! they keep; the rest is asked of the system when somebody scrapes, on the thread of the
//! admin API. Names of `process_` are those that every exporter gives them.

pub mod budget;
mod clock;
pub mod heap;
mod threads;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::statvfs::statvfs;
use nix::sys::time::TimeVal;
use shards::runtime::ShardMetrics;

use crate::admin::{Kind, MetricsSource, PrometheusText};
use crate::host::Host;
use crate::http::HttpMetrics;
use clock::Clocks;
use heap::Heap;
use threads::{State, Threads};

/// What a shard's memory is taken by, and where that is counted.
type Owner = (&'static str, fn(&ShardMetrics, &HttpMetrics) -> u64);

const OWNERS: &[Owner] = &[
    ("accounts", |shard, _| shard.memory.accounts.get()),
    ("transactions", |shard, _| shard.memory.transactions.get()),
    ("sessions", |shard, _| shard.memory.sessions.get()),
    ("rounds", |shard, _| shard.memory.rounds.get()),
    ("buffers", |shard, http| {
        shard.memory.queues.get() + http.buffer_bytes.get()
    }),
    ("log", |shard, _| shard.memory.log.get()),
];

/// Writes all of it at every scrape. `data_dir` is on the disk whose room is told.
#[must_use]
pub fn exporter(
    shards: Vec<Arc<ShardMetrics>>,
    http: Vec<Arc<HttpMetrics>>,
    data_dir: PathBuf,
) -> MetricsSource {
    let start = Clocks::now();
    let host = Host::live();
    Box::new(move |text| {
        write_shard_memory(text, &shards, &http);
        write_heap(text);
        write_process(text, &host);
        write_threads(text, &Threads::read(&host));
        let mut free = text.family(
            "purser_disk_free_bytes",
            Kind::Gauge,
            "Room for this user on the file system of the data directory.",
        );
        // Without an answer there is no sample: 0 would be an alarm.
        if let Ok(disk) = statvfs(&data_dir) {
            free.sample(&[], disk.blocks_available() * disk.fragment_size());
        }
        text.family(
            "purser_clock_set_seconds",
            Kind::Gauge,
            "How far the wall clock was set since the start, below zero if backwards.",
        )
        .sample(&[], Clocks::now().wall_set_seconds(start));
    })
}

fn write_shard_memory(
    text: &mut PrometheusText,
    shards: &[Arc<ShardMetrics>],
    http: &[Arc<HttpMetrics>],
) {
    let mut memory = text.family(
        "purser_memory_bytes",
        Kind::Gauge,
        "Memory of the shard's tables, buffers and queues, by what is in it.",
    );
    for (id, (shard, http)) in shards.iter().zip(http).enumerate() {
        let id = id.to_string();
        for (owner, bytes) in OWNERS {
            memory.sample(&[("shard", &id), ("owner", owner)], bytes(shard, http));
        }
    }
}

fn write_heap(text: &mut PrometheusText) {
    let bytes = Heap::bytes();
    text.family(
        "purser_heap_bytes",
        Kind::Gauge,
        "Memory of the heap: in use, or held by the allocator and free.",
    )
    .sample(&[("state", "used")], bytes.used)
    .sample(&[("state", "free")], bytes.free);
}

fn write_process(text: &mut PrometheusText, host: &Host) {
    let mut resident = text.family(
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Memory of the process that is in RAM.",
    );
    if let Some(bytes) = resident_bytes(host) {
        resident.sample(&[], bytes);
    }
    let mut cpu = text.family(
        "process_cpu_seconds_total",
        Kind::Counter,
        "CPU time of all threads, in user and kernel mode.",
    );
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let spent = duration(usage.user_time()) + duration(usage.system_time());
        cpu.sample(&[], spent.as_secs_f64());
    }
    let mut open = text.family(
        "process_open_fds",
        Kind::Gauge,
        "File descriptors that are open.",
    );
    if let Some(files) = open_files(host) {
        open.sample(&[], files);
    }
    let mut most = text.family(
        "process_max_fds",
        Kind::Gauge,
        "File descriptors that may be open.",
    );
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        most.sample(&[], soft);
    }
}

fn write_threads(text: &mut PrometheusText, threads: &Threads) {
    let mut family = text.family(
        "purser_threads",
        Kind::Gauge,
        "Threads of the process by what they do at this moment.",
    );
    for state in State::ALL {
        family.sample(&[("state", state.name())], threads.count(state));
    }
}

/// `VmRSS` of /proc/self/status, which is in kB of 1,024 bytes (proc(5)).
fn resident_bytes(host: &Host) -> Option<u64> {
    let status = host.text("proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

/// Since Linux 6.2 the size of the directory is their number. Before, they are listed, which
/// takes a few milliseconds for ten thousand; the one that lists them is no more then.
fn open_files(host: &Host) -> Option<u64> {
    let directory = "proc/self/fd";
    match std::fs::metadata(host.path(directory)).ok()?.len() {
        0 => Some(host.names(directory).ok()?.len().saturating_sub(1) as u64),
        files => Some(files),
    }
}

fn duration(time: TimeVal) -> Duration {
    let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn exported(shards: usize) -> String {
        let metrics: Vec<Arc<ShardMetrics>> = (0..shards).map(|_| Arc::default()).collect();
        let http: Vec<Arc<HttpMetrics>> = (0..shards).map(|_| Arc::default()).collect();
        metrics[1].memory.accounts.set(700);
        metrics[1].memory.queues.set(30);
        http[1].buffer_bytes.set(12);
        let mut text = PrometheusText::default();
        exporter(metrics, http, PathBuf::from("/"))(&mut text);
        text.into_string()
    }

    #[test]
    fn memory_is_told_by_shard_and_owner() {
        let text = exported(2);
        for line in [
            "purser_memory_bytes{shard=\"0\",owner=\"log\"} 0",
            "purser_memory_bytes{shard=\"1\",owner=\"accounts\"} 700",
            "purser_memory_bytes{shard=\"1\",owner=\"buffers\"} 42",
        ] {
            assert!(
                text.lines().any(|written| written == line),
                "{line} is missing in\n{text}"
            );
        }
    }

    #[test]
    fn this_process_takes_memory_files_threads_and_time() {
        let text = exported(2);
        let value = |name: &str| -> f64 {
            let mut samples = text.lines().filter_map(|line| line.rsplit_once(' '));
            let sample = samples.find(|sample| sample.0 == name);
            let (_, value) = sample.unwrap_or_else(|| panic!("no {name} in\n{text}"));
            value.parse().unwrap()
        };
        for (name, least, most) in [
            ("process_resident_memory_bytes", 1e6, 1e12),
            ("process_cpu_seconds_total", 1e-6, 1e9),
            ("process_open_fds", 3.0, 1e6),
            ("process_max_fds", 3.0, 1e12),
            ("purser_threads{state=\"runnable\"}", 1.0, 1e6),
            ("purser_disk_free_bytes", 1.0, 1e18),
            ("purser_clock_set_seconds", -1.0, 1.0),
        ] {
            let value = value(name);
            assert!((least..=most).contains(&value), "{name} {value}");
        }
        assert!(value("process_open_fds") <= value("process_max_fds"));
    }

    #[test]
    fn what_the_system_does_not_tell_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::below(dir.path());
        assert_eq!((resident_bytes(&host), open_files(&host)), (None, None));
        let own = dir.path().join("proc/self");
        fs::create_dir_all(&own).unwrap();
        let status = |text: &str| fs::write(own.join("status"), text).unwrap();
        status("Name:\tx\nVmRSS:\t   12 kB\nThreads:\t1\n");
        assert_eq!(resident_bytes(&host), Some(12_288));
        status("Name:\tx\n");
        assert_eq!(resident_bytes(&host), None);
    }

    #[test]
    fn open_files_are_counted_as_the_kernel_does() {
        let before = open_files(&Host::live()).unwrap();
        let listed = Host::live().names(Path::new("proc/self/fd")).unwrap().len() as u64 - 1;
        // Other tests of this process open and close files meanwhile.
        assert!(before.abs_diff(listed) < 64, "{before} {listed}");
    }
}
