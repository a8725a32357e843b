//! Where the server's CPU time goes: `perf` samples its stacks from outside.
//!
//! Why not a profiler inside the server: those that need no privileges wake on `SIGPROF`, and
//! a signal makes `io_uring_enter` and `epoll_wait` return early with `EINTR`, so that what is
//! measured is no longer what runs. `perf` interrupts the CPU and not the thread: no signal,
//! no system call ended, nothing to switch on in the server.
//!
//! Release builds have no frame pointers, so `perf` copies the top of the stack with each
//! sample and finds the frames in it afterwards. A copy may hold credentials of a request:
//! it stays in memory, and only names of functions reach the disk.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use stacks::Stacks;

pub(crate) mod stacks;

/// The folded stacks, inside the directory of a recording: a line a stack, with its count,
/// as other viewers of flame graphs read them.
pub(crate) const STACKS_FILE: &str = "profile.folded";

/// Samples a second of each thread that runs. Not a round number, so that nothing which
/// happens a hundred times a second is always seen or never.
const SAMPLES_PER_SECOND: u32 = 99;

/// How much of a stack is copied. With 2 and 4 KiB one sample in six reached the start of its
/// thread, with 8 KiB five of six, with 16 KiB all 385; by frame pointers 3 of 455. `perf`
/// copies less than 64 KiB.
const STACK_BYTES: u32 = 16 * 1_024;

/// 30 s of a busy thread are 2,970 samples, so that a frame of a thousandth is seen, and
/// 50 MB.
const LENGTH_MAX: Duration = Duration::from_secs(30);

/// Ten threads that never pause, for [`LENGTH_MAX`]. With more of them it ends earlier.
const BYTES_MAX: usize = 512 << 20;

/// A look at the server before the load, so that what is missing shows before ten minutes.
const TRIAL: Duration = Duration::from_millis(50);

/// Whether `perf` is here and may look into the process.
///
/// # Errors
/// It may not: what to install, or which setting is in the way.
pub(crate) fn check(pid: u32) -> anyhow::Result<()> {
    let recording = record(pid, TRIAL)?;
    script(recording).context("--profile: perf cannot read what it has recorded")?;
    Ok(())
}

/// A recording that is under way.
#[derive(Debug)]
pub(crate) struct Profiler(JoinHandle<anyhow::Result<Vec<u8>>>);

impl Profiler {
    /// Waits for the warm-up, then records the load, [`LENGTH_MAX`] of it at most. `perf` runs
    /// where the calling thread may: beside the generator, where that is pinned.
    ///
    /// # Errors
    /// There can be no more threads.
    pub(crate) fn start(pid: u32, warmup: Duration, load: Duration) -> anyhow::Result<Self> {
        let thread = std::thread::Builder::new().name("profile".to_owned());
        let record = move || {
            std::thread::sleep(warmup);
            record(pid, load.min(LENGTH_MAX))
        };
        Ok(Self(thread.spawn(record).context("start a thread")?))
    }

    /// The stacks, once the load is over: finding the frames takes CPU time.
    ///
    /// # Errors
    /// `perf` failed, or the server did nothing.
    pub(crate) fn finish(self) -> anyhow::Result<Stacks> {
        let recording = match self.0.join() {
            Ok(recording) => recording?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let stacks = Stacks::from_script(&script(recording)?);
        if stacks.samples() == 0 {
            bail!("perf saw the server do nothing");
        }
        Ok(stacks)
    }
}

/// Removes the profile of an earlier run from a directory.
///
/// # Errors
/// It is there and stays.
pub(crate) fn forget(directory: &Path) -> anyhow::Result<()> {
    for file in [STACKS_FILE, "flame.svg", "flame.png"] {
        let path = directory.join(file);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn perf() -> Command {
    let mut perf = Command::new("perf");
    // Its messages are shown, its tables are read.
    perf.env("LC_ALL", "C");
    perf
}

/// What `perf record` writes about a process.
fn record(pid: u32, length: Duration) -> anyhow::Result<Vec<u8>> {
    let spawned = perf()
        // Collecting build ids reads and copies the whole binary.
        .args(["record", "--no-buildid", "--no-buildid-cache"])
        .args(["--freq", &SAMPLES_PER_SECOND.to_string()])
        .args(["--call-graph", &format!("dwarf,{STACK_BYTES}")])
        .args(["--pid", &pid.to_string(), "--output", "-"])
        // It records for as long as this runs.
        .args(["--", "sleep", &length.as_secs_f64().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut perf = match spawned {
        Ok(perf) => perf,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "--profile: perf is not there; the package is linux-perf on Debian, \
             linux-tools-$(uname -r) on Ubuntu, perf elsewhere"
        ),
        Err(error) => return Err(error).context("--profile: start perf"),
    };
    let recording = read_bounded(&mut perf)?;
    let end = perf.wait_with_output()?;
    // Stopped by us, it may say so with its status; a recording is one nevertheless.
    if !end.status.success() && recording.len() < BYTES_MAX {
        bail!("--profile: {}", refusal(pid, &end));
    }
    Ok(recording)
}

/// All that `perf` writes; near [`BYTES_MAX`] it is asked to come to an end.
fn read_bounded(perf: &mut Child) -> anyhow::Result<Vec<u8>> {
    let mut output = perf.stdout.take().context("a pipe from perf")?;
    let mut recording = Vec::new();
    (&mut output)
        .take(BYTES_MAX as u64)
        .read_to_end(&mut recording)?;
    if recording.len() == BYTES_MAX {
        kill(Pid::from_raw(perf.id().try_into()?), Signal::SIGINT)?;
        output.read_to_end(&mut recording)?;
    }
    Ok(recording)
}

/// Why `perf` did not record, in its own words, and what to do.
fn refusal(pid: u32, end: &Output) -> String {
    let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
    format!(
        "perf cannot look at process {pid}: {}\n\
         It may when the server is yours and kernel.perf_event_paranoid is 1 or less (it is {}), \
         or as root: `sudo sysctl kernel.perf_event_paranoid=1`, or `sudo loadtest …`. \
         In a container it also needs CAP_PERFMON, and perf_event_open allowed.",
        String::from_utf8_lossy(&end.stderr).trim(),
        paranoid.as_deref().unwrap_or("not readable").trim()
    )
}

/// A recording as text: a paragraph a sample, a line a frame.
///
/// Inlined functions are left out: in line tables they have names without paths, and `perf`
/// asks for them one address after the other.
fn script(recording: Vec<u8>) -> anyhow::Result<String> {
    let mut perf = perf()
        .args(["script", "--input", "-", "--no-inline"])
        .args(["--fields", "comm,tid,ip,sym"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start perf script")?;
    let mut input = perf.stdin.take().context("a pipe to perf")?;
    // It writes while it reads: both at once, or both wait.
    let feeder = std::thread::spawn(move || input.write_all(&recording));
    let end = perf.wait_with_output()?;
    let fed = feeder.join();
    if !end.status.success() {
        bail!("{}", String::from_utf8_lossy(&end.stderr).trim());
    }
    if let Ok(fed) = fed {
        fed.context("hand the recording to perf")?;
    }
    Ok(String::from_utf8_lossy(&end.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn a_refusal_has_perf_s_words_and_what_to_do() {
        let end = Output {
            status: ExitStatus::from_raw(255 << 8),
            stdout: Vec::new(),
            stderr: b"Error:\nAccess is limited.\n".to_vec(),
        };
        let said = refusal(12, &end);
        for part in [
            "process 12: Error:\nAccess is limited.\n",
            "sysctl kernel.perf_event_paranoid=1",
            "CAP_PERFMON",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }

    #[test]
    fn an_earlier_profile_is_forgotten_and_none_is_fine() {
        let home = tempfile::tempdir().unwrap();
        forget(home.path()).unwrap();
        std::fs::write(home.path().join(STACKS_FILE), "a;b 1\n").unwrap();
        std::fs::write(home.path().join("load.svg"), "").unwrap();
        forget(home.path()).unwrap();
        let left: Vec<_> = home.path().read_dir().unwrap().collect();
        assert_eq!(left.len(), 1);
    }
}
