//! The server's process as `/proc` shows it: memory, threads by state, CPU time.

use std::collections::BTreeMap;
use std::fs;
use std::ops::AddAssign;

use nix::libc;
use serde::{Deserialize, Serialize};

use crate::client::Url;

/// How many threads are in which state. A profiler of a virtual machine has the same four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ThreadStates {
    /// Runs, or would if it had a CPU.
    pub(crate) runnable: f64,
    /// Cannot be woken: waits for a disk or for memory (state D).
    pub(crate) blocked: f64,
    /// Sleeps in a call that waits for sockets: epoll, `io_uring_enter`, accept, recv.
    pub(crate) network: f64,
    /// Sleeps for another reason: a lock, a condition, a timer.
    pub(crate) waiting: f64,
}

impl ThreadStates {
    pub(crate) fn add(&mut self, other: &Self) {
        self.runnable.add_assign(other.runnable);
        self.blocked.add_assign(other.blocked);
        self.network.add_assign(other.network);
        self.waiting.add_assign(other.waiting);
    }

    pub(crate) fn divided_by(&self, looks: u32) -> Self {
        let looks = f64::from(looks);
        Self {
            runnable: self.runnable / looks,
            blocked: self.blocked / looks,
            network: self.network / looks,
            waiting: self.waiting / looks,
        }
    }
}

/// Calls in which a thread waits for sockets. An executor on io_uring waits for everything
/// in one call; what wakes it are sockets nearly always.
const NETWORK_CALLS: &[libc::c_long] = &[
    libc::SYS_io_uring_enter,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_ppoll,
];

/// The states of a process's threads now; `None` when it is gone.
pub(crate) fn thread_states(pid: u32) -> Option<ThreadStates> {
    let mut states = ThreadStates::default();
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let path = task.ok()?.path();
        // A thread may end between two of these lines.
        let Ok(stat) = fs::read_to_string(path.join("stat")) else {
            continue;
        };
        let call = || fs::read_to_string(path.join("syscall")).unwrap_or_default();
        *match state_of(&stat) {
            Some('R') => &mut states.runnable,
            Some('D') => &mut states.blocked,
            Some(_) if is_network_call(&call()) => &mut states.network,
            Some(_) => &mut states.waiting,
            None => continue,
        } += 1.0;
    }
    Some(states)
}

/// The letter behind the name, which stands in brackets and may hold brackets itself.
fn state_of(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// `syscall` has the number of the call first, or a word.
fn is_network_call(syscall: &str) -> bool {
    let number = syscall
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    number.is_some_and(|number| NETWORK_CALLS.contains(&number))
}

/// Memory of a process in bytes, by the words of a picture.
pub(crate) fn memory(pid: u32) -> BTreeMap<String, f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    memory_in(&status)
}

fn memory_in(status: &str) -> BTreeMap<String, f64> {
    const LINES: [(&str, &str); 2] = [
        ("VmRSS:", "resident"),
        ("RssAnon:", "resident, heap and stacks"),
    ];
    let mut memory = BTreeMap::new();
    for (line, word) in LINES {
        let kib = status
            .lines()
            .find_map(|found| found.strip_prefix(line))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        if let Some(kib) = kib {
            memory.insert(word.to_owned(), kib * 1024.0);
        }
    }
    memory
}

/// What a CPU has done since the machine started, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTimes {
    idle: u64,
    all: u64,
}

impl CpuTimes {
    /// The share (0 to 1) of the time since then that it was busy.
    pub(crate) fn busy_since(&self, before: &Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        let idle = self.idle.saturating_sub(before.idle).min(all);
        if all == 0 {
            return 0.0;
        }
        (all - idle) as f64 / all as f64
    }
}

/// Of each CPU of the machine.
pub(crate) fn cpu_times() -> Vec<CpuTimes> {
    cpu_times_in(&fs::read_to_string("/proc/stat").unwrap_or_default())
}

fn cpu_times_in(stat: &str) -> Vec<CpuTimes> {
    stat.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix("cpu")?;
            // The first line is the sum of all.
            let (number, times) = rest.split_once(' ')?;
            number.parse::<usize>().ok()?;
            // user nice system idle iowait irq softirq steal; guests are in user already.
            let times: Vec<u64> = times
                .split_whitespace()
                .take(8)
                .map_while(|time| time.parse().ok())
                .collect();
            Some(CpuTimes {
                idle: times.get(3)? + times.get(4)?,
                all: times.iter().sum(),
            })
        })
        .collect()
}

/// The process that listens on the port of a URL, where that is on this machine's loopback
/// and we may look into the process.
pub(crate) fn listener_on(url: &Url) -> Option<u32> {
    if !url.address().ok()?.ip().is_loopback() {
        return None;
    }
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, url.port()))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").ok()?;
    processes.filter_map(Result::ok).find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let files = fs::read_dir(process.path().join("fd")).ok()?;
        files
            .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
            .any(|target| {
                target
                    .to_str()
                    .is_some_and(|name| sockets.iter().any(|s| s == name))
            })
            .then_some(pid)
    })
}

/// The inodes of the sockets of a table that listen on a port.
fn listening(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    table
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (_, local_port) = words.get(1)?.rsplit_once(':')?;
            let is_it = u16::from_str_radix(local_port, 16).ok()? == port && words[3] == LISTEN;
            is_it.then(|| words.get(9)?.parse().ok())?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_calls_are_read_past_odd_names() {
        assert_eq!(state_of("12 (a) b) S 1 2"), Some('S'));
        assert_eq!(state_of("12 (a"), None);
        let call = format!("{} 0x5 0x0", libc::SYS_io_uring_enter);
        assert!(is_network_call(&call));
        let futex = format!("{} 0x5 0x0", libc::SYS_futex);
        for text in [&*futex, "running", "-1 0x0", ""] {
            assert!(!is_network_call(text), "{text}");
        }
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let memory = memory_in("Name:\tx\nVmRSS:\t  12 kB\nRssAnon:\t 4 kB\n");
        assert_eq!(memory["resident"], 12_288.0);
        assert_eq!(memory.len(), 2);
        assert!(memory_in("").is_empty());
    }

    #[test]
    fn a_cpu_is_busy_when_it_is_not_idle() {
        let stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 10 0 10 70 10 0 0 0 0 0\ncpu1 1 1 1 1 1 1 1 1\n";
        let times = cpu_times_in(stat);
        assert_eq!(times.len(), 2);
        assert_eq!(times[0], CpuTimes { idle: 80, all: 100 });
        let later = CpuTimes {
            idle: 130,
            all: 200,
        };
        assert!((later.busy_since(&times[0]) - 0.5).abs() < 1e-9);
        assert_eq!(times[0].busy_since(&times[0]), 0.0);
    }

    #[test]
    fn this_process_is_found_by_a_port_that_it_listens_on() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        assert_eq!(listener_on(&url), Some(std::process::id()));
        drop(listener);
        assert_eq!(listener_on(&url), None);
        assert_eq!(listener_on(&"http://192.0.2.1:80".parse().unwrap()), None);
    }

    #[test]
    fn a_thread_that_sleeps_for_a_socket_is_told_from_one_that_runs() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sleeper = std::thread::spawn(move || listener.accept().map(drop));
        let seen = (0..2_000).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            let states = thread_states(std::process::id())?;
            // The thread that asks runs.
            (states.network >= 1.0 && states.runnable >= 1.0).then_some(())
        });
        assert_eq!(seen, Some(()));
        drop(std::net::TcpStream::connect(address).unwrap());
        sleeper.join().unwrap().unwrap();
        assert_eq!(thread_states(0), None);
    }
}
