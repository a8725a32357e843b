//! What the process's threads are doing at this moment, from /proc/self/task.
//!
//! A thread that is runnable has work and perhaps no CPU. One that sleeps without being
//! interruptible waits for a disk (or for memory). One that sleeps otherwise waits for
//! whatever its system call is for: the network, or another thread, or time.

use crate::host::Host;

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It runs, or would if it had a CPU.
    Runnable,
    /// It waits for a disk.
    Blocked,
    /// It waits for the network, as a shard without work does in its ring.
    NetworkIo,
    /// It waits for another thread, for time, or for nobody knows what.
    Waiting,
}

impl State {
    /// All of them, in the order of [`Threads::count`].
    pub(super) const ALL: [Self; 4] = [
        Self::Runnable,
        Self::Blocked,
        Self::NetworkIo,
        Self::Waiting,
    ];

    /// Its name in metrics.
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Runnable => "runnable",
            Self::Blocked => "blocked",
            Self::NetworkIo => "network_io",
            Self::Waiting => "waiting",
        }
    }
}

/// How many threads do what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Threads([u64; State::ALL.len()]);

impl Threads {
    /// Those of the process whose `proc/self` the host has.
    #[must_use]
    pub(super) fn read(host: &Host) -> Self {
        let mut threads = Self::default();
        for id in host.names("proc/self/task").unwrap_or_default() {
            let file = |name| host.text(format!("proc/self/task/{id}/{name}"));
            // One that has ended since the directory was read is none.
            if let Ok(stat) = file("stat") {
                let call = file("syscall").unwrap_or_default();
                threads.0[state_of(&stat, &call) as usize] += 1;
            }
        }
        threads
    }

    /// How many are in a state.
    #[must_use]
    pub(super) fn count(&self, state: State) -> u64 {
        self.0[state as usize]
    }
}

/// From a thread's `stat` and `syscall`, the second of which may be hidden from us.
fn state_of(stat: &str, call: &str) -> State {
    // The name stands in parentheses and may hold any character (proc(5)).
    let letter = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    match letter {
        Some('R') => State::Runnable,
        Some('D') => State::Blocked,
        _ if is_for_network(call) => State::NetworkIo,
        _ => State::Waiting,
    }
}

/// Whether the system call whose number comes first waits for sockets.
fn is_for_network(call: &str) -> bool {
    let number = call
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok());
    number.is_some_and(|number: libc::c_long| NETWORK_CALLS.contains(&number))
}

/// What shards (io_uring, epoll) and the admin API (epoll) wait in.
const NETWORK_CALLS: [libc::c_long; 3] = [
    libc::SYS_io_uring_enter,
    libc::SYS_epoll_pwait,
    // The C library's epoll_wait is another call on x86-64 and this one elsewhere.
    EPOLL_WAIT,
];

#[cfg(target_arch = "x86_64")]
const EPOLL_WAIT: libc::c_long = libc::SYS_epoll_wait;
#[cfg(not(target_arch = "x86_64"))]
const EPOLL_WAIT: libc::c_long = libc::SYS_epoll_pwait;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_thread_is_what_its_state_and_call_say() {
        let ring = format!("{} 0x7 0x0 0x1", libc::SYS_io_uring_enter);
        let futex = format!("{} 0x7f 0x80", libc::SYS_futex);
        for (stat, call, expected) in [
            ("71 (shard-0) R 1 71", "running", State::Runnable),
            ("71 (shard-0) D 1 71", "-1 0x0 0x0", State::Blocked),
            ("71 (shard-0) S 1 71", &ring, State::NetworkIo),
            ("71 (compactor) S 1 71", &futex, State::Waiting),
            ("71 (compactor) S 1 71", "", State::Waiting),
            ("71 (odd) R name) S 1 71", &ring, State::NetworkIo),
            ("", "", State::Waiting),
        ] {
            assert_eq!(state_of(stat, call), expected, "{stat}, {call}");
        }
    }

    #[test]
    fn every_thread_is_counted_once() {
        let dir = tempfile::tempdir().unwrap();
        for (id, stat) in [("7", "7 (a) S 1"), ("8", "8 (b) R 1"), ("9", "9 (c) R 1")] {
            let task = dir.path().join("proc/self/task").join(id);
            fs::create_dir_all(&task).unwrap();
            fs::write(task.join("stat"), stat).unwrap();
        }
        let threads = Threads::read(&Host::below(dir.path()));
        let counts = State::ALL.map(|state| threads.count(state));
        assert_eq!(counts, [2, 0, 0, 1]);
    }

    #[test]
    fn this_thread_runs() {
        let threads = Threads::read(&Host::live());
        assert!(threads.count(State::Runnable) >= 1);
    }
}
