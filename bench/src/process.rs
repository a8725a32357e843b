//! Servers under test as child processes, on CPUs of their own.
//!
//! A child inherits the affinity of the thread that starts it, so that thread moves
//! to the server's CPUs, starts the child and moves back: the server sees its mask
//! before its first instruction, and nothing of it ever runs beside the client. What the
//! server starts itself inherits the mask from it, and its CPU time is counted as well.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// How long a server may take to stop after SIGTERM: its own limit is 10 s
/// (`shutdown_timeout`), and a little for the process to go.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

const STOP_POLL: Duration = Duration::from_millis(5);

/// How much of a failed server's output is shown.
const LOG_SHOWN_BYTES: usize = 4096;

/// A list of CPUs: `0`, `0,2`, `0-3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CpuList(Vec<usize>);

impl CpuList {
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().any(|cpu| other.0.contains(cpu))
    }

    /// In the order in which they were given.
    pub(crate) fn numbers(&self) -> &[usize] {
        &self.0
    }

    /// A CPU that tests may use wherever they run.
    #[cfg(test)]
    pub(crate) fn first_allowed() -> Self {
        let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let is_allowed = |&cpu: &usize| allowed.is_set(cpu).unwrap();
        Self(vec![(0..CpuSet::count()).find(is_allowed).unwrap()])
    }

    fn set(&self) -> anyhow::Result<CpuSet> {
        let mut set = CpuSet::new();
        for &cpu in &self.0 {
            set.set(cpu).with_context(|| format!("CPU {cpu}"))?;
        }
        Ok(set)
    }
}

impl FromStr for CpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            text.parse::<usize>()
                .map_err(|_| format!("expected CPUs like 0, 0,2 or 0-3, got {text:?}"))
        };
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last || last >= CpuSet::count() {
                return Err(format!("no such range of CPUs: {part}"));
            }
            cpus.extend(first..=last);
        }
        Ok(Self(cpus))
    }
}

impl std::fmt::Display for CpuList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, cpu) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{cpu}")?;
        }
        Ok(())
    }
}

/// Moves the calling thread to these CPUs.
pub(crate) fn pin_this_thread(cpus: &CpuList) -> anyhow::Result<()> {
    sched_setaffinity(Pid::from_raw(0), &cpus.set()?)
        .with_context(|| format!("move to CPUs {cpus}: does this machine let us use them?"))
}

/// CPU time that the calling thread has used.
pub(crate) fn thread_cpu_time() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// A running server. Dropping it kills the process.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    clock: ClockId,
    log: PathBuf,
}

impl Process {
    /// Starts `command` on `cpus`, its output going to the file `log`.
    pub(crate) fn start(
        name: &'static str,
        command: &mut Command,
        cpus: &CpuList,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let output = File::create(log).with_context(|| format!("create {}", log.display()))?;
        command.stdout(output.try_clone()?).stderr(output);
        let this_thread = Pid::from_raw(0);
        let ours = sched_getaffinity(this_thread)?;
        pin_this_thread(cpus)?;
        let started = command.spawn();
        sched_setaffinity(this_thread, &ours)?;
        let child =
            started.with_context(|| format!("start {}", command.get_program().display()))?;
        let pid = Pid::from_raw(child.id().try_into()?);
        let process = Self {
            name,
            clock: clock_getcpuclockid(pid)?,
            child,
            log: log.to_owned(),
        };
        Ok(process)
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// CPU time that all threads of the process have used, in user and kernel mode,
    /// from the process's CPU clock: nanoseconds, where `/proc/PID/stat` has 10 ms. With
    /// the processes that it has started, if they are still there: a database works in them.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        let own: Duration = clock_gettime(self.clock)
            .with_context(|| format!("read the CPU clock of {}", self.name))?
            .into();
        Ok(own + descendants_cpu_time(self.child.id()))
    }

    /// Calls `ready` until it gives something.
    ///
    /// # Errors
    /// The process ended, or nothing came within `timeout`; the end of its output is
    /// in the message.
    pub(crate) fn wait_until<T>(
        &mut self,
        timeout: Duration,
        mut ready: impl FnMut() -> Option<T>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(found) = ready() {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended early ({status}):\n{}", self.name, self.log_end());
            }
            if Instant::now() > deadline {
                bail!(
                    "{} was not ready within {} s:\n{}",
                    self.name,
                    timeout.as_secs(),
                    self.log_end()
                );
            }
            std::thread::sleep(STOP_POLL);
        }
    }

    fn log_end(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let from = bytes.len().saturating_sub(LOG_SHOWN_BYTES);
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    }

    /// Asks the process to stop (SIGTERM) and waits.
    ///
    /// # Errors
    /// It did not stop in time.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!(
                    "{} did not stop within {} s of SIGTERM:\n{}",
                    self.name,
                    STOP_TIMEOUT.as_secs(),
                    self.log_end()
                );
            }
            std::thread::sleep(STOP_POLL);
        }
        Ok(())
    }
}

/// Of the processes below `parent`. One that ends meanwhile is left out.
fn descendants_cpu_time(parent: u32) -> Duration {
    let mut total = Duration::ZERO;
    let mut parents = vec![parent];
    while let Some(parent) = parents.pop() {
        for child in children_of(parent) {
            let clock = clock_getcpuclockid(Pid::from_raw(child.cast_signed()));
            if let Ok(time) = clock.and_then(clock_gettime) {
                total += Duration::from(time);
            }
            parents.push(child);
        }
    }
    total
}

/// The processes that the threads of `parent` have started; none where the kernel does
/// not list them.
fn children_of(parent: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{parent}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| {
            let numbers = list.split_whitespace().map(str::parse);
            numbers.flatten().collect::<Vec<u32>>()
        })
        .collect()
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // Nothing is left to do about a failure here: the process is ours and alive.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_read_numbers_and_ranges() {
        let check = |text: &str, expect: &[usize]| {
            assert_eq!(text.parse::<CpuList>().unwrap().0, expect, "{text}");
        };
        check("0", &[0]);
        check("0,2", &[0, 2]);
        check("1-3,7", &[1, 2, 3, 7]);
        for text in ["", "a", "3-1", "0,", "-1", "99999"] {
            assert!(text.parse::<CpuList>().is_err(), "{text}");
        }
    }

    #[test]
    fn lists_that_share_a_cpu_overlap() {
        let list = |text: &str| text.parse::<CpuList>().unwrap();
        assert!(list("0-2").overlaps(&list("2,5")));
        assert!(!list("0-2").overlaps(&list("3")));
    }

    #[test]
    fn a_child_that_ends_early_shows_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such file; exit 3"]);
        let cpus = CpuList::first_allowed();
        let log = directory.path().join("log");
        let mut process = Process::start("sh", &mut command, &cpus, &log).unwrap();
        let error = process
            .wait_until(Duration::from_secs(10), || None::<()>)
            .unwrap_err()
            .to_string();
        assert!(error.contains("no such file"), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
    }

    #[test]
    fn a_child_runs_on_its_cpus_and_its_time_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "grep Cpus_allowed_list /proc/self/status; while :; do :; done",
        ]);
        let cpus = CpuList::first_allowed();
        let mut process = Process::start("sh", &mut command, &cpus, &log).unwrap();
        let said = process
            .wait_until(Duration::from_secs(10), || {
                let text = std::fs::read_to_string(&log).ok()?;
                text.ends_with('\n').then_some(text)
            })
            .unwrap();
        assert_eq!(said.trim(), format!("Cpus_allowed_list:\t{cpus}"));
        let before = process.cpu_time().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        assert!(process.cpu_time().unwrap() > before);
        process.stop().unwrap();
    }

    #[test]
    fn the_time_of_what_a_child_started_is_counted_too() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut command = Command::new("sh");
        // The shell waits, which costs nothing; its child works until it is told to stop.
        let work = "sh -c 'while :; do :; done' & worker=$!; trap 'kill $worker; exit' TERM; wait";
        command.args(["-c", work]);
        let cpus = CpuList::first_allowed();
        let process = Process::start("sh", &mut command, &cpus, &log).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while process.cpu_time().unwrap() < Duration::from_millis(100) {
            assert!(Instant::now() < deadline, "the worker's time is missing");
            std::thread::sleep(STOP_POLL);
        }
        process.stop().unwrap();
    }
}
