//! The kernel: what it allows, its clocks, queues and memory.

use nix::errno::Errno;

use super::super::super::machine::Clock;
use super::super::tree::{limits, netstat};
use super::*;

const CLOCK: &str = "sys/devices/system/clocksource/clocksource0/current_clocksource";
const CLOCKS: &str = "sys/devices/system/clocksource/clocksource0/available_clocksource";
const SWAPS: &str = "Filename Type Size Used Priority\n/swapfile file 2097148 0 -2\n";
const UNIT: &str = "sys/fs/cgroup/system.slice/purser.service";

pub(super) const CASES: &[Case] = &[
    ("io_uring", |_| (), "ok allowed, kernel 6.8"),
    (
        "io_uring",
        |t| t.calls.ring = Some(Err(Errno::EPERM)),
        "must io_uring is forbidden (EPERM): by the seccomp profile of a container or of the \
         service",
    ),
    (
        "io_uring",
        |t| t.calls.ring = None,
        "? only the running machine tells",
    ),
    ("locked_memory", |_| (), "ok unlimited"),
    (
        "locked_memory",
        |t| t.set("proc/self/limits", &limits("8388608", 524_288)),
        "ok 8192 KiB",
    ),
    (
        "locked_memory",
        |t| t.set("proc/self/limits", &limits("1048576", 524_288)),
        "ok 1024 KiB, enough for this kernel",
    ),
    (
        "locked_memory",
        |t| t.set("proc/self/limits", &limits("65536", 524_288)),
        "must the locked-memory limit is 64 KiB, and 3 shards want 1536 KiB",
    ),
    (
        "locked_memory",
        |t| t.remove("proc/self/limits"),
        "? the limit or the shards are not known",
    ),
    ("open_files", |_| (), "ok 524288"),
    (
        "open_files",
        |t| t.set("proc/self/limits", &limits("unlimited", 10_303)),
        "must the limit of open files is 10303, and 10000 connections on 3 shards need 10304",
    ),
    (
        "open_files",
        |t| t.remove("proc/self/limits"),
        "? the limit or the shards are not known",
    ),
    ("clocksource", |_| (), "ok tsc"),
    (
        "clocksource",
        |t| t.set(CLOCK, "hpet"),
        "high hpet => /sys/devices/system/clocksource/clocksource0/current_clocksource: hpet -> tsc",
    ),
    (
        "clocksource",
        |t| {
            t.set(CLOCK, "hpet");
            t.set(CLOCKS, "hpet acpi_pm");
        },
        "high hpet",
    ),
    (
        "clocksource",
        |t| t.remove(CLOCK),
        "? /sys/devices/system/clocksource/clocksource0/current_clocksource cannot be read",
    ),
    ("time_sync", |_| (), "ok synchronised, off by 12 µs at most"),
    (
        "time_sync",
        |t| {
            t.calls.clock = Some(Clock {
                is_synchronised: false,
                error_us: 0,
            });
        },
        "high not synchronised",
    ),
    (
        "time_sync",
        |t| t.calls.clock = None,
        "? only the running machine tells",
    ),
    ("somaxconn", |_| (), "ok 4096"),
    (
        "somaxconn",
        |t| t.set("proc/sys/net/core/somaxconn", "4095"),
        "high 4095 => /proc/sys/net/core/somaxconn: 4095 -> 4096",
    ),
    (
        "somaxconn",
        |t| t.remove("proc/sys/net/core/somaxconn"),
        "? /proc/sys/net/core/somaxconn cannot be read",
    ),
    ("tcp_max_syn_backlog", |_| (), "ok 8192"),
    (
        "tcp_max_syn_backlog",
        |t| t.set("proc/sys/net/ipv4/tcp_max_syn_backlog", "512"),
        "high 512 => /proc/sys/net/ipv4/tcp_max_syn_backlog: 512 -> 4096",
    ),
    (
        "tcp_max_syn_backlog",
        |t| t.set("proc/sys/net/ipv4/tcp_max_syn_backlog", "many"),
        "? /proc/sys/net/ipv4/tcp_max_syn_backlog cannot be read",
    ),
    (
        "listen_overflows",
        |_| (),
        "ok 0 overflows, 0 drops since boot",
    ),
    (
        "listen_overflows",
        |t| t.set("proc/net/netstat", &netstat(0, 1)),
        "high 0 overflows, 1 drops since boot",
    ),
    (
        "listen_overflows",
        |t| t.set("proc/net/netstat", "TcpExt: A\nTcpExt: 1\n"),
        "? /proc/net/netstat cannot be read",
    ),
    ("busy_poll", |_| (), "ok busy_poll 0, busy_read 0"),
    (
        "busy_poll",
        |t| t.set("proc/sys/net/core/busy_read", "50"),
        "low busy_poll 0, busy_read 50",
    ),
    (
        "busy_poll",
        |t| t.remove("proc/sys/net/core/busy_poll"),
        "? /proc/sys/net/core/busy_poll cannot be read",
    ),
    ("tcp_slow_start", |_| (), "ok 0"),
    (
        "tcp_slow_start",
        |t| t.set("proc/sys/net/ipv4/tcp_slow_start_after_idle", "1"),
        "low 1 => /proc/sys/net/ipv4/tcp_slow_start_after_idle: 1 -> 0",
    ),
    (
        "tcp_slow_start",
        |t| t.remove("proc/sys/net/ipv4/tcp_slow_start_after_idle"),
        "? /proc/sys/net/ipv4/tcp_slow_start_after_idle cannot be read",
    ),
    (
        "huge_pages",
        |_| (),
        "ok enabled madvise, defrag defer+madvise",
    ),
    (
        "huge_pages",
        |t| {
            t.set(
                "sys/kernel/mm/transparent_hugepage/enabled",
                "[always] madvise never",
            );
        },
        "low enabled always, defrag defer+madvise => \
         /sys/kernel/mm/transparent_hugepage/enabled: always -> madvise",
    ),
    (
        "huge_pages",
        |t| t.remove("sys/kernel/mm"),
        "? /sys/kernel/mm/transparent_hugepage cannot be read",
    ),
    ("swap", |_| (), "ok no swap"),
    (
        "swap",
        |t| t.set("proc/swaps", SWAPS),
        "high 2047 MiB of swap, vm.swappiness 60 => /proc/sys/vm/swappiness: 60 -> 1",
    ),
    (
        "swap",
        |t| {
            t.set("proc/swaps", SWAPS);
            t.set("proc/sys/vm/swappiness", "1");
        },
        "ok 2047 MiB of swap, vm.swappiness 1",
    ),
    (
        "swap",
        |t| {
            t.set("proc/swaps", SWAPS);
            t.set(&format!("{UNIT}/memory.swap.max"), "0");
        },
        "ok 2047 MiB of swap, vm.swappiness 60, barred by the cgroup",
    ),
    (
        "swap",
        |t| t.remove("proc/swaps"),
        "? /proc/swaps cannot be read",
    ),
];
