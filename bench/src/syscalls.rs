//! `purser-bench syscalls`: how many system calls a request costs, by name.
//!
//! A connection's request needs two at least, one to receive it and one to send its answer;
//! what the executor and the log need on top is shared by all requests of a turn and of a
//! batch. So the number falls with load, and a closed loop of 100 connections is what the
//! goal is for: at most two a request, and shares of the others.
//!
//! Counted twice. `strace -c` is on every machine, but stops each thread at each call: the
//! server is slower below it, so that more requests share a turn and fewer wakes are needed.
//! `perf stat` only counts, and the server runs as ever; where `perf` may not, a line says so.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::{self, Load, Pace};
use crate::place::Place;
use crate::process;
use crate::rows::{Kind, Row};
use crate::servers::{self, Server};

/// Until a counter sees the server: many times as long as both take.
const ATTACH: Duration = Duration::from_secs(1);

/// `strace` lets go of a dozen threads within milliseconds.
const DETACH_TIMEOUT: Duration = Duration::from_secs(10);

/// Rarer ones are together in the last column.
const SHOWN_MIN: f64 = 0.005;

/// Any thread of the server enters the kernel.
const ENTER: &str = "raw_syscalls:sys_enter";

/// A call by its name.
const ENTER_NAMED: &str = "syscalls:sys_enter_";

/// Where the kernel lists what it can count.
const TRACED: &str = "/sys/kernel/tracing/events/syscalls";

/// What `perf` counts by name; the rest of all calls are others.
const NAMES: [&str; 13] = [
    "recvfrom",
    "sendto",
    "io_uring_enter",
    "epoll_wait",
    "epoll_pwait",
    "accept4",
    "epoll_ctl",
    "futex",
    "membarrier",
    "pwritev2",
    "read",
    "sched_yield",
    "write",
];

/// What is left of all calls when those with a name are taken away.
const OTHERS: &str = "others";

/// Options of `purser-bench syscalls`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// Rows of the table: those of `macro` that ask purser.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "ROW,...",
        default_value = "balance,balance-2-hop,bet,bet-2-hop"
    )]
    rows: Vec<Row>,
    /// Keep-alive connections, one request in flight on each.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// Seconds of load for each count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
}

/// Calls of one load, and the requests that were answered meanwhile.
#[derive(Debug, Default)]
struct Counted {
    requests: u64,
    calls: BTreeMap<String, u64>,
}

impl Counted {
    fn all(&self) -> u64 {
        self.calls.values().sum()
    }

    fn per_request(&self, calls: u64) -> f64 {
        calls as f64 / self.requests.max(1) as f64
    }
}

/// Counts for each row and prints a line of it.
///
/// # Errors
/// `strace` is not there or may not trace, or a load failed.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    process::pin_this_thread(&options.place.client_cpus)?;
    let mut out = std::io::stdout().lock();
    let seconds = f64::from(options.seconds);
    for &row in &options.rows {
        let Kind::Purser { shards } = row.kind() else {
            bail!("{:?} is not a row of purser", row.name());
        };
        for counter in [Counter::Perf, Counter::Strace] {
            let name = match counter {
                Counter::Perf => "perf",
                Counter::Strace => "strace",
            };
            let counted = match (count(options, row, shards, counter), counter) {
                (Ok(counted), _) => counted,
                (Err(why), Counter::Perf) => {
                    writeln!(out, "{:23} {name:6} cannot count: {why:#}", row.name())?;
                    continue;
                }
                (Err(why), Counter::Strace) => return Err(why),
            };
            writeln!(
                out,
                "{:23} {name:6} {:>7.0} req/s {:>6.2} calls/req: {}",
                row.name(),
                counted.requests as f64 / seconds,
                counted.per_request(counted.all()),
                by_name(&counted)
            )?;
        }
    }
    Ok(())
}

/// `recvfrom 1.00, sendto 1.00, …, others 0.01`: the most frequent ones first.
fn by_name(counted: &Counted) -> String {
    let mut calls: Vec<(&str, u64)> = counted.calls.iter().map(|(n, &c)| (&**n, c)).collect();
    calls.sort_by_key(|&(name, calls)| (std::cmp::Reverse(calls), name));
    let is_shown =
        |&(name, calls): &(&str, u64)| name != OTHERS && counted.per_request(calls) >= SHOWN_MIN;
    let (shown, rare): (Vec<_>, Vec<_>) = calls.into_iter().partition(is_shown);
    let mut words: Vec<String> = shown
        .into_iter()
        .map(|(name, calls)| format!("{name} {:.2}", counted.per_request(calls)))
        .collect();
    let rare: u64 = rare.into_iter().map(|(_, calls)| calls).sum();
    if rare > 0 {
        words.push(format!("{OTHERS} {:.3}", counted.per_request(rare)));
    }
    words.join(", ")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counter {
    Perf,
    Strace,
}

/// Starts a server, counts its calls while it is under load, and stops it.
fn count(options: &Options, row: Row, shards: u16, counter: Counter) -> anyhow::Result<Counted> {
    let place = &options.place;
    let data_root = place.data_root();
    let server = servers::start_purser(&place.purser()?, shards, &place.server_cpus, &data_root)?;
    let notes = tempfile::NamedTempFile::new_in(data_root)?;
    let counting = Counting::start(counter, server.pid(), notes.path())?;
    let requests = load(options, row, &server);
    let said = counting.stop(notes.path());
    let counted = Counted {
        requests: requests?,
        calls: match counter {
            Counter::Perf => perf_calls(&said?),
            Counter::Strace => strace_calls(&said?),
        },
    };
    server.stop()?;
    if counted.calls.is_empty() {
        bail!("{counter:?} counted nothing");
    }
    Ok(counted)
}

/// The requests that were answered.
fn load(options: &Options, row: Row, server: &Server) -> anyhow::Result<u64> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let load = Load {
        connections: options.connections as usize,
        // What connecting costs is counted with the rest, and is a small part of it.
        warmup: Duration::ZERO,
        window: Duration::from_secs(options.seconds.into()),
        pace: Pace::Closed,
    };
    let targets = row.targets(server, now_ms)?;
    let sample = client::run(targets, &load, &|| server.cpu_time())?;
    if let Some(failure) = sample.failure_first {
        bail!("{} wrong answers; the first:\n{failure}", sample.failures);
    }
    Ok(sample.latency_ns.count())
}

/// `strace` or `perf` at work.
struct Counting(Child);

impl Counting {
    fn start(counter: Counter, pid: u32, notes: &Path) -> anyhow::Result<Self> {
        let (program, options) = match counter {
            Counter::Strace => ("strace", "-c -f -q -p".to_owned()),
            Counter::Perf => ("perf", format!("stat -x , -e {} -p", events())),
        };
        let child = Command::new(program)
            .args(options.split(' '))
            .arg(pid.to_string())
            .arg("-o")
            .arg(notes)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {program}: is it installed?"))?;
        std::thread::sleep(ATTACH);
        Ok(Self(child))
    }

    /// Lets it go, and reads what it has counted.
    fn stop(mut self, notes: &Path) -> anyhow::Result<String> {
        let deadline = Instant::now() + DETACH_TIMEOUT;
        // One that ended before had a reason.
        let is_gone = self.0.try_wait()?.is_some();
        if !is_gone {
            kill(Pid::from_raw(self.0.id().try_into()?), Signal::SIGINT)?;
        }
        while self.0.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.0.kill()?;
                bail!("it did not let go of the server");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if is_gone {
            let end = self.0.wait_with_output()?;
            bail!("{}", String::from_utf8_lossy(&end.stderr).trim());
        }
        std::fs::read_to_string(notes).context("read what was counted")
    }
}

/// `% time, seconds, usecs/call, calls, errors or nothing, name`.
fn strace_calls(table: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = words.last().filter(|&&name| name != "total")?;
        Some(((*name).to_owned(), words.get(3)?.parse().ok()?))
    };
    table.lines().filter_map(line).collect()
}

/// All that this kernel can count, as `perf` wants it.
fn events() -> String {
    let is_known = |name: &&str| Path::new(TRACED).join(format!("sys_enter_{name}")).exists();
    let named = NAMES.into_iter().filter(is_known);
    let named = named.map(|name| format!(",{ENTER_NAMED}{name}"));
    ENTER.to_owned() + &named.collect::<String>()
}

/// `85243,,raw_syscalls:sys_enter,…`, and lines of the same form with names.
fn perf_calls(lines: &str) -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    let mut all = None;
    for line in lines.lines() {
        let words: Vec<&str> = line.split(',').collect();
        let (Some(Ok(count)), Some(&event)) = (words.first().map(|w| w.parse()), words.get(2))
        else {
            continue;
        };
        if event == ENTER {
            all = Some(count);
        } else if let Some(name) = event.strip_prefix(ENTER_NAMED) {
            calls.insert(name.to_owned(), count);
        }
    }
    if let Some(all) = all {
        let named: u64 = calls.values().sum();
        calls.insert(OTHERS.to_owned(), u64::saturating_sub(all, named));
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_strace_is_read_with_and_without_errors() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 32.03    0.376387         322      1166           epoll_wait
 27.61    0.324444      108148      1000         3 recvfrom
  0.08    0.000991           6         4           write
------ ----------- ----------- --------- --------- ----------------
100.00    1.175099          19      2170         3 total
";
        let counted = Counted {
            requests: 1_000,
            calls: strace_calls(table),
        };
        assert_eq!(counted.all(), 2_170);
        assert_eq!(
            by_name(&counted),
            "epoll_wait 1.17, recvfrom 1.00, others 0.004"
        );
    }

    #[test]
    fn lines_of_perf_are_read_and_those_without_a_count_are_not() {
        let said = "# started on Sun\n\n2500,,raw_syscalls:sys_enter,100,100.00,,\n\
                    1000,,syscalls:sys_enter_recvfrom,100,100.00,,\n\
                    1001,,syscalls:sys_enter_sendto,100,100.00,,\n";
        let counted = Counted {
            requests: 1_000,
            calls: perf_calls(said),
        };
        assert_eq!(counted.all(), 2_500);
        assert_eq!(
            by_name(&counted),
            "sendto 1.00, recvfrom 1.00, others 0.499"
        );
        let refused = "<not supported>,,raw_syscalls:sys_enter,0,100.00,,\n";
        assert!(perf_calls(refused).is_empty());
    }
}
