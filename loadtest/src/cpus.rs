//! Which CPUs run what, and how much of them was used.

use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// A list of CPUs: `0`, `0,2`, `0-3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CpuList(pub(crate) Vec<usize>);

impl FromStr for CpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let cpu = text
                .parse::<usize>()
                .ok()
                .filter(|&cpu| cpu < CpuSet::count());
            cpu.ok_or_else(|| format!("expected CPUs such as 0, 0,2 or 0-3, got {text:?}"))
        };
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(format!("no such range of CPUs: {part}"));
            }
            cpus.extend(first..=last);
        }
        Ok(Self(cpus))
    }
}

/// Moves the calling thread to these CPUs.
///
/// # Errors
/// The machine does not let us use them.
pub(crate) fn pin_this_thread(cpus: &[usize]) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu).with_context(|| format!("CPU {cpu}"))?;
    }
    sched_setaffinity(Pid::from_raw(0), &set)
        .with_context(|| format!("move to the CPUs {cpus:?} (--cpus): may we use them?"))
}

/// CPU time that the calling thread has used.
///
/// # Errors
/// The kernel does not say.
pub(crate) fn thread_cpu_time() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// CPU time that all threads of a process have used, of this one without a `pid`.
pub(crate) fn process_cpu_time(pid: Option<u32>) -> Option<Duration> {
    let clock = match pid {
        Some(pid) => clock_getcpuclockid(Pid::from_raw(i32::try_from(pid).ok()?)).ok()?,
        None => ClockId::CLOCK_PROCESS_CPUTIME_ID,
    };
    Some(clock_gettime(clock).ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_read_numbers_and_ranges() {
        for (text, expected) in [("0", &[0][..]), ("0,2", &[0, 2]), ("1-3,7", &[1, 2, 3, 7])] {
            assert_eq!(text.parse::<CpuList>().unwrap().0, expected, "{text}");
        }
        for text in ["", "a", "3-1", "0,", "-1", "99999"] {
            assert!(text.parse::<CpuList>().is_err(), "{text}");
        }
    }

    #[test]
    fn work_shows_in_the_cpu_time_of_its_thread_and_process() {
        let (thread, process) = (thread_cpu_time().unwrap(), process_cpu_time(None).unwrap());
        let mut sum = 0_u64;
        while thread_cpu_time().unwrap() < thread + Duration::from_millis(5) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let ours = process_cpu_time(Some(std::process::id())).unwrap();
        assert!(ours >= process + Duration::from_millis(5));
    }
}
