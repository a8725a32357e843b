//! What /proc and /sys say of the machine and of the server's process.
//!
//! The files are taken as they are. What a process was given, its environment, is not read:
//! a secret may stand there.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::collected::{Collected, ITEM_BYTES_MAX};
use crate::host::Host;

/// Files of the machine. A `*` stands for every name of its directory.
const MACHINE: &[&str] = &[
    "etc/os-release",
    "proc/cgroups",
    "proc/cmdline",
    "proc/cpuinfo",
    "proc/diskstats",
    "proc/interrupts",
    "proc/loadavg",
    "proc/meminfo",
    "proc/mounts",
    "proc/net/dev",
    "proc/net/netstat",
    "proc/net/snmp",
    "proc/net/sockstat",
    "proc/net/softnet_stat",
    "proc/pressure/cpu",
    "proc/pressure/io",
    "proc/pressure/memory",
    "proc/softirqs",
    "proc/stat",
    "proc/uptime",
    "proc/version",
    "proc/vmstat",
    "proc/sys/fs/file-max",
    "proc/sys/fs/nr_open",
    "proc/sys/kernel/io_uring_disabled",
    "proc/sys/kernel/numa_balancing",
    "proc/sys/net/core/somaxconn",
    "proc/sys/net/ipv4/tcp_max_syn_backlog",
    "proc/sys/vm/overcommit_memory",
    "proc/sys/vm/swappiness",
    "sys/block/*/queue/scheduler",
    "sys/block/*/queue/write_cache",
    "sys/devices/system/clocksource/clocksource0/current_clocksource",
    "sys/devices/system/cpu/isolated",
    "sys/devices/system/cpu/nohz_full",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/smt/active",
    "sys/devices/system/cpu/cpufreq/*/scaling_governor",
    "sys/kernel/mm/transparent_hugepage/defrag",
    "sys/kernel/mm/transparent_hugepage/enabled",
];

/// Files of the server's process, below its directory in /proc.
const PROCESS: &[&str] = &[
    "cgroup",
    "cmdline",
    "io",
    "limits",
    "sched",
    "smaps_rollup",
    "stat",
    "status",
    "task/*/comm",
    "task/*/schedstat",
    "task/*/status",
];

/// Files that are not longer than this are put together into one, each below its name:
/// most of them are one line.
const SMALL_BYTES_MAX: usize = 1 << 10;

/// The names that a `*` may stand for at most: above the threads of the largest server.
const NAMES_MAX: usize = 2_000;

/// Where a data directory says who uses it.
const LOCK_FILE: &str = "lock";

/// Adds what is there. What this kernel or machine does not have is not missed.
pub(super) fn collect(host: &Host, process: Option<u32>, collected: &mut Collected) {
    add(host, "", MACHINE, "host", "this machine", collected);
    let Some(process) = process else {
        let why = "no process has the lock of a data directory here";
        collected.miss("process", why);
        return;
    };
    add(
        host,
        &format!("proc/{process}/"),
        PROCESS,
        "process",
        "the server's process",
        collected,
    );
}

/// The process that has the lock of a data directory: the one that the lock file names, if
/// the kernel says that it holds the lock still, for ids are used again.
pub(super) fn process_of(host: &Host, data_dir: &Path) -> Option<u32> {
    let path = data_dir.join(LOCK_FILE);
    let process: u32 = fs::read_to_string(&path).ok()?.trim().parse().ok()?;
    let inode = fs::metadata(&path).ok()?.ino();
    let locks = host.text("proc/locks").ok()?;
    let mut held = locks.lines();
    let is_held = held.any(|line| holds_lock(line, process, inode));
    is_held.then_some(process)
}

/// Whether a line of `/proc/locks` (proc(5)) is this process's lock of a whole file:
/// `1: FLOCK ADVISORY WRITE 17 fe:00:5341188 0 EOF`. The device is not compared: some file
/// systems show another one there than to who asks about the file.
fn holds_lock(line: &str, process: u32, inode: u64) -> bool {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, "FLOCK", _, "WRITE", owner, file, ..] = fields[..] else {
        return false;
    };
    let file = file.rsplit(':').next().unwrap_or_default();
    owner.parse() == Ok(process) && file.parse() == Ok(inode)
}

fn add(
    host: &Host,
    below: &str,
    files: &[&str],
    folder: &str,
    whose: &str,
    collected: &mut Collected,
) {
    let mut small = String::new();
    for pattern in files {
        for name in names(host, below, pattern) {
            // Absent, or another user's.
            let Ok(bytes) = read(&host.path(format!("{below}{name}"))) else {
                continue;
            };
            if bytes.len() <= SMALL_BYTES_MAX {
                let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
                let _ = writeln!(small, "== {name}\n{}", text.trim_end());
            } else {
                let file = format!("{folder}/{}.txt", name.replace('/', "-"));
                collected.add(file, format!("/{below}{name}"), Ok(bytes));
            }
        }
    }
    let about = format!("the short files of {whose}, each below its name");
    let file = format!("{folder}/{folder}.txt");
    collected.add(file, about, Ok(small.into_bytes()));
}

/// The files that a pattern stands for.
fn names(host: &Host, below: &str, pattern: &str) -> Vec<String> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![pattern.to_owned()];
    };
    let mut names = host.names(format!("{below}{before}")).unwrap_or_default();
    names.truncate(NAMES_MAX);
    names
        .iter()
        .map(|name| format!("{before}{name}{after}"))
        .collect()
}

/// At most so many bytes of a file whose length nobody knows before.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(ITEM_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn short_files_share_one_and_long_ones_have_their_own() {
        let root = tempfile::tempdir().unwrap();
        let long = "cpu\n".repeat(SMALL_BYTES_MAX);
        write(root.path(), "proc/loadavg", "0.1 0.2\n");
        write(root.path(), "proc/cpuinfo", &long);
        write(root.path(), "sys/block/sda/queue/scheduler", "[none]\n");
        write(root.path(), "sys/block/sdb/queue/scheduler", "none\n");
        write(root.path(), "proc/17/comm", "purser\n");
        write(root.path(), "proc/17/cmdline", "purser\0serve\0");
        write(root.path(), "proc/17/environ", "PURSER_ADMIN_TOKEN=s3cret");
        write(root.path(), "proc/17/task/18/comm", "shard-0\n");
        let mut collected = Collected::new(None);
        collect(&Host::below(root.path()), Some(17), &mut collected);
        let items: Vec<(&str, String)> = collected
            .items
            .iter()
            .map(|item| {
                (
                    &*item.name,
                    String::from_utf8_lossy(&item.bytes).into_owned(),
                )
            })
            .collect();
        assert_eq!(
            items,
            [
                ("host/proc-cpuinfo.txt", long),
                (
                    "host/host.txt",
                    "== proc/loadavg\n0.1 0.2\n== sys/block/sda/queue/scheduler\n[none]\n\
                     == sys/block/sdb/queue/scheduler\nnone\n"
                        .to_owned()
                ),
                (
                    "process/process.txt",
                    "== cmdline\npurser serve\n== task/18/comm\nshard-0\n".to_owned()
                ),
            ]
        );
        assert!(collected.missing.is_empty());
    }

    #[test]
    fn a_process_that_only_got_the_same_id_is_not_the_server() {
        let root = tempfile::tempdir().unwrap();
        let data = tempfile::tempdir().unwrap();
        let host = Host::below(root.path());
        let lock = data.path().join(LOCK_FILE);
        assert_eq!(process_of(&host, data.path()), None, "no lock file");
        fs::write(&lock, "17\n").unwrap();
        assert_eq!(process_of(&host, data.path()), None, "no list of locks");
        let inode = fs::metadata(&lock).unwrap().ino();
        for (listed, expected) in [
            (
                format!("FLOCK  ADVISORY  WRITE 17 fe:00:{inode} 0 EOF"),
                Some(17),
            ),
            (
                format!("FLOCK  ADVISORY  WRITE 18 fe:00:{inode} 0 EOF"),
                None,
            ),
            (
                format!("FLOCK  ADVISORY  READ 17 fe:00:{inode} 0 EOF"),
                None,
            ),
            (
                format!("POSIX  ADVISORY  WRITE 17 fe:00:{inode} 0 EOF"),
                None,
            ),
            (
                format!("FLOCK  ADVISORY  WRITE 17 fe:00:{} 0 EOF", inode + 1),
                None,
            ),
        ] {
            let locks = format!("1: FLOCK  ADVISORY  WRITE 9 fe:00:1 0 EOF\n2: {listed}\n");
            write(root.path(), "proc/locks", &locks);
            assert_eq!(process_of(&host, data.path()), expected, "{listed}");
        }
    }
}
