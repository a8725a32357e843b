//! Each check where it passes, where it fails and where nothing can be read.

use nix::errno::Errno;

use super::super::checks::{CHECKS, Extent, examine};
use super::super::finding::{Severity, Status};
use super::super::machine::{Clock, Machine};
use super::tree::{Ground, Tree, limits, mount, netstat};
use crate::config::Pin;

/// A check, an edit of the tuned machine, and what it says: the status, what was found, and
/// behind `=>` the first change that it offers and how many more there are.
type Case = (&'static str, fn(&mut Tree), &'static str);

fn every(tree: &mut Tree, pattern: &str, numbers: std::ops::Range<usize>, text: &str) {
    for number in numbers {
        tree.set(&pattern.replace("{}", &number.to_string()), text);
    }
}

fn remove_every(tree: &mut Tree, pattern: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        tree.remove(&pattern.replace("{}", &number.to_string()));
    }
}

fn no_mask(tree: &mut Tree) {
    tree.remove("proc/self/status");
}

const CLOCK: &str = "sys/devices/system/clocksource/clocksource0/current_clocksource";
const CLOCKS: &str = "sys/devices/system/clocksource/clocksource0/available_clocksource";
const GOVERNOR: &str = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor";
const SCHEDULER: &str = "sys/devices/pci0/nvme0n1/queue/scheduler";
const SWAPS: &str = "Filename Type Size Used Priority\n/swapfile file 2097148 0 -2\n";
const UNIT: &str = "sys/fs/cgroup/system.slice/purser.service";

const CASES: &[Case] = &[
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
    (
        "cpu_affinity",
        |_| (),
        "ok 3 shards on CPUs 1-3, pinned; 8 of 8 CPUs allowed",
    ),
    (
        "cpu_affinity",
        |t| t.needs.shards = 9,
        "high 9 shards on CPUs 0-7, not pinned; 8 of 8 CPUs allowed",
    ),
    (
        "cpu_affinity",
        |t| {
            t.needs.shards = 9;
            t.needs.pin = Pin::Always;
        },
        "must pin = true needs a CPU for each of the 9 shards, and this process may use 8",
    ),
    ("cpu_affinity", no_mask, "? "),
    ("cpu_quota", |_| (), "ok none"),
    (
        "cpu_quota",
        |t| {
            t.set(&format!("{UNIT}/cpu.max"), "400000 100000");
            t.set(&format!("{UNIT}/cpu.stat"), "nr_periods 9\nnr_throttled 4");
        },
        "high 4.00 CPUs; stopped 4 times so far",
    ),
    (
        "cpu_quota",
        |t| t.remove("proc/self/cgroup"),
        "? /proc/self/cgroup names no group",
    ),
    ("cpu_governor", |_| (), "ok performance on 3 of 3 CPUs"),
    (
        // Of CPUs without a shard nothing is said.
        "cpu_governor",
        |t| every(t, GOVERNOR, 4..8, "powersave"),
        "ok performance on 3 of 3 CPUs",
    ),
    (
        "cpu_governor",
        |t| every(t, GOVERNOR, 2..8, "powersave"),
        "high performance on 1 of 3 CPUs, powersave on 2 of 3 CPUs => \
         /sys/devices/system/cpu/cpu2/cpufreq/scaling_governor: powersave -> performance and 1 more",
    ),
    (
        "cpu_governor",
        |t| {
            every(t, GOVERNOR, 1..4, "ondemand");
            remove_every(
                t,
                "sys/devices/system/cpu/cpu{}/cpufreq/scaling_available_governors",
                1..4,
            );
        },
        "high ondemand on 3 of 3 CPUs",
    ),
    (
        "cpu_governor",
        |t| remove_every(t, "sys/devices/system/cpu/cpu{}/cpufreq", 0..8),
        "? no cpufreq here: firmware or hypervisor sets the clock",
    ),
    ("cpu_idle_states", |_| (), "ok none over 10 µs in use"),
    (
        "cpu_idle_states",
        |t| {
            every(
                t,
                "sys/devices/system/cpu/cpu{}/cpuidle/state2/disable",
                0..8,
                "0",
            );
        },
        "high C6 (170 µs) => /sys/devices/system/cpu/cpu1/cpuidle/state2/disable: 0 -> 1 and 2 more",
    ),
    (
        "cpu_idle_states",
        |t| remove_every(t, "sys/devices/system/cpu/cpu{}/cpuidle", 0..8),
        "? no idle states here: firmware or hypervisor decides",
    ),
    (
        "cpu_isolation",
        |_| (),
        "ok pinned; nohz_full 1-3, isolated none",
    ),
    (
        "cpu_isolation",
        |t| t.set("sys/devices/system/cpu/nohz_full", "2-3"),
        "low pinned; nohz_full 2-3, isolated none",
    ),
    (
        "cpu_isolation",
        |t| t.needs.pin = Pin::Never,
        "low not pinned; nohz_full 1-3, isolated none",
    ),
    (
        "cpu_isolation",
        |t| t.remove("sys/devices/system/cpu/isolated"),
        "? isolated CPUs cannot be read",
    ),
    ("cpu_threads", |_| (), "ok 3 shards, 3 cores, 3 CPUs"),
    (
        "cpu_threads",
        |t| t.needs.shards = 5,
        "low 5 shards, 4 cores, 5 CPUs",
    ),
    (
        "cpu_threads",
        |t| remove_every(t, "sys/devices/system/cpu/cpu{}/topology", 0..8),
        "? which CPUs share a core is not known",
    ),
    ("cpu_steal", |_| (), "ok 0.00 % since boot"),
    (
        "cpu_steal",
        |t| t.set("proc/stat", "cpu  500 0 400 90 0 0 9 1 0 0"),
        "high 0.10 % since boot",
    ),
    (
        "cpu_steal",
        |t| t.remove("proc/stat"),
        "? /proc/stat cannot be read",
    ),
    ("numa_balancing", |_| (), "ok one memory node"),
    (
        "numa_balancing",
        |t| t.set("sys/devices/system/node/online", "0-1"),
        "ok 0, 2 nodes",
    ),
    (
        "numa_balancing",
        |t| {
            t.set("sys/devices/system/node/online", "0-1");
            t.set("proc/sys/kernel/numa_balancing", "1");
        },
        "high 1, 2 nodes => /proc/sys/kernel/numa_balancing: 1 -> 0",
    ),
    (
        "numa_balancing",
        |t| t.remove("sys/devices/system/node"),
        "? the memory nodes cannot be read",
    ),
    ("numa_nodes", |_| (), "ok node 0"),
    (
        "numa_nodes",
        |t| {
            t.set("sys/devices/system/node/online", "0-1");
            t.set("sys/devices/system/node/node0/cpulist", "0-1,4-5");
            t.set("sys/devices/system/node/node1/cpulist", "2-3,6-7");
        },
        "low nodes 0-1",
    ),
    (
        "numa_nodes",
        |t| t.remove("sys/devices/system/node"),
        "? the memory nodes cannot be read",
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
    (
        "irq_affinity",
        |_| (),
        "ok eth0: 3 RX interrupts on CPUs 1-3",
    ),
    (
        "irq_affinity",
        |t| t.set("proc/irq/42/smp_affinity_list", "1"),
        "high eth0: 3 RX interrupts on CPUs 1-2 => /proc/irq/42/smp_affinity_list: 1 -> 3",
    ),
    (
        // Spread, but away from the shards.
        "irq_affinity",
        |t| t.set("proc/irq/42/smp_affinity_list", "5"),
        "high eth0: 3 RX interrupts on CPUs 1-2,5 => /proc/irq/42/smp_affinity_list: 5 -> 3",
    ),
    (
        "irq_affinity",
        |t| every(t, "proc/irq/{}/smp_affinity_list", 40..43, "0-7"),
        "high eth0: 3 RX interrupts on any CPU => /proc/irq/40/smp_affinity_list: 0-7 -> 1 and 2 \
         more",
    ),
    (
        // Allowed everywhere, but the kernel has spread them.
        "irq_affinity",
        |t| {
            for irq in 40..43 {
                t.set(&format!("proc/irq/{irq}/smp_affinity_list"), "0-7");
                let file = format!("proc/irq/{irq}/effective_affinity_list");
                t.set(&file, &(irq - 39).to_string());
            }
        },
        "ok eth0: 3 RX interrupts on CPUs 1-3",
    ),
    (
        "irq_affinity",
        |t| t.remove("proc/irq"),
        "? no interrupt names a receive queue",
    ),
    (
        "irq_affinity",
        |t| t.set("sys/class/net/eth0/operstate", "down"),
        "? no network device of hardware is seen here",
    ),
    ("irqbalance", |_| (), "ok not running"),
    (
        "irqbalance",
        |t| t.set("proc/77/comm", "irqbalance"),
        "high running, without bans",
    ),
    (
        "irqbalance",
        |t| {
            t.set("proc/77/comm", "irqbalance");
            t.set("etc/default/irqbalance", "IRQBALANCE_BANNED_CPULIST=1-3");
        },
        "ok running, with bans",
    ),
    (
        "irqbalance",
        |t| t.remove("proc/1"),
        "? the processes cannot be read",
    ),
    ("nic_queues", |_| (), "ok eth0 has 3 for 3"),
    (
        "nic_queues",
        |t| t.remove("sys/class/net/eth0/queues/rx-2"),
        "high eth0 has 2 for 3",
    ),
    (
        "nic_queues",
        |t| {
            t.remove("sys/class/net/eth0/queues/rx-2");
            every(t, "sys/class/net/eth0/queues/rx-{}/rps_cpus", 0..2, "0e");
        },
        "ok eth0 has 2 for 3, and RPS",
    ),
    (
        "nic_queues",
        |t| t.remove("sys/class/net/eth0/queues"),
        "? its queues cannot be read",
    ),
    ("rps", |_| (), "ok eth0: on 0 of 3 RX queues"),
    (
        "rps",
        |t| t.remove("sys/class/net/eth0/queues/rx-2"),
        "low eth0: on 0 of 2 RX queues => /sys/class/net/eth0/queues/rx-0/rps_cpus: 00 -> e and 1 \
         more",
    ),
    (
        "rps",
        |t| t.remove("sys/class/net/eth0"),
        "? no network device of hardware is seen here",
    ),
    ("xps", |_| (), "ok eth0: 3 of 3 TX queues set"),
    (
        "xps",
        |t| t.set("sys/class/net/eth0/queues/tx-1/xps_cpus", "00"),
        "low eth0: 2 of 3 TX queues set => /sys/class/net/eth0/queues/tx-1/xps_cpus: 00 -> 4",
    ),
    (
        "xps",
        |t| {
            t.remove("sys/class/net/eth0/queues/tx-1");
            t.remove("sys/class/net/eth0/queues/tx-2");
        },
        "ok eth0 has one",
    ),
    (
        "xps",
        |t| {
            t.remove("sys/class/net/eth0/queues/tx-1/xps_cpus");
            t.set("sys/class/net/eth0/queues/tx-1/traffic_class", "");
        },
        "? its queues cannot be read",
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
    ("disk_file_system", |_| (), "ok xfs"),
    (
        "disk_file_system",
        |t| t.set("proc/self/mountinfo", &mount("0:40", "btrfs", "/dev/sda3")),
        "high btrfs",
    ),
    (
        "disk_file_system",
        |t| t.set("proc/self/mountinfo", &mount("0:41", "tmpfs", "tmpfs")),
        "must tmpfs",
    ),
    (
        "disk_file_system",
        |t| {
            t.set(
                "proc/self/mountinfo",
                &mount("0:42", "fuse.sshfs", "host:/"),
            );
        },
        "must fuse.sshfs",
    ),
    (
        "disk_file_system",
        |t| t.remove("proc/self/mountinfo"),
        "? the mount of the data directory is not known",
    ),
    ("disk_scheduler", |_| (), "ok nvme0n1: none"),
    (
        "disk_scheduler",
        |t| t.set(SCHEDULER, "none [mq-deadline]"),
        "high nvme0n1: mq-deadline => \
         /sys/dev/block/259:2/../queue/scheduler: mq-deadline -> none",
    ),
    (
        "disk_scheduler",
        |t| {
            t.set(SCHEDULER, "none [mq-deadline]");
            t.set("sys/devices/pci0/nvme0n1/queue/rotational", "1");
        },
        "ok nvme0n1: mq-deadline, rotating",
    ),
    (
        // btrfs on LVM on encryption on two partitions of one disk.
        "disk_scheduler",
        |t| {
            t.set(SCHEDULER, "none [kyber]");
            t.set("proc/self/mountinfo", &mount("0:44", "btrfs", "/dev/dm-1"));
            t.set("sys/devices/virtual/dm-1/queue/scheduler", "none");
            t.link("sys/class/block/dm-1", "../../devices/virtual/dm-1");
            t.link("sys/devices/virtual/dm-1/slaves/dm-0", "../../dm-0");
            t.set("sys/devices/pci0/nvme0n1/nvme0n1p3/partition", "3");
            t.link(
                "sys/devices/virtual/dm-0/slaves/nvme0n1p3",
                "../../../pci0/nvme0n1/nvme0n1p3",
            );
            t.link(
                "sys/devices/virtual/dm-0/slaves/nvme0n1p2",
                "../../../pci0/nvme0n1/nvme0n1p2",
            );
        },
        "high nvme0n1: kyber => /sys/class/block/dm-1/slaves/dm-0/slaves/nvme0n1p2/../queue/\
         scheduler: kyber -> none",
    ),
    (
        "disk_scheduler",
        |t| t.remove("sys/dev/block"),
        "? no disk of hardware is seen below the data directory",
    ),
    ("disk_write_cache", |_| (), "ok nvme0n1: write back"),
    (
        "disk_write_cache",
        |t| {
            t.set(
                "sys/devices/pci0/nvme0n1/queue/write_cache",
                "write through",
            );
            t.set("sys/devices/pci0/nvme0n1/queue/fua", "0");
        },
        "ok nvme0n1: write through",
    ),
    (
        "disk_write_cache",
        |t| {
            t.set(
                "sys/devices/pci0/nvme0n1/queue/write_cache",
                "write through",
            );
        },
        "high nvme0n1: write through, set by hand",
    ),
    (
        "disk_write_cache",
        |t| t.remove("sys/devices/pci0/nvme0n1/queue/write_cache"),
        "? no disk tells of its cache",
    ),
    ("disk_free_space", |_| (), "ok 900.0 GB"),
    (
        "disk_free_space",
        |t| t.calls.free_bytes = Some(9_990_000_000),
        "high 9.9 GB",
    ),
    (
        "disk_free_space",
        |t| t.calls.free_bytes = Some(3 * (64 << 20) - 1),
        "must 0.2 GB",
    ),
    (
        "disk_free_space",
        |t| t.calls.free_bytes = None,
        "? only the running machine tells",
    ),
];

fn said(machine: &Machine, check: &str) -> String {
    let findings = examine(machine, Extent::All);
    let finding = findings.iter().find(|f| f.check == check).unwrap();
    let verdict = &finding.verdict;
    let status = match (verdict.status, finding.severity) {
        (Status::Fine, _) => "ok",
        (Status::Unknown, _) => "?",
        (Status::Failed, severity) => severity.name(),
    };
    assert_eq!(finding.has_failed(), !verdict.fix.is_empty(), "{finding:?}");
    let mut said = format!("{status} {}", verdict.found);
    if let [first, more @ ..] = &verdict.changes[..] {
        said += &format!(" => /{}: {} -> {}", first.file, first.from, first.to);
        if !more.is_empty() {
            said += &format!(" and {} more", more.len());
        }
    }
    said
}

#[test]
fn every_check_says_what_it_sees() {
    let mut ground = Ground::new();
    for (check, edit, expected) in CASES {
        let mut tree = Tree::tuned_metal();
        edit(&mut tree);
        let said = said(&ground.becomes(&tree), check);
        // An error of the system names a file of the tree.
        let fits = if *expected == "? " {
            said.starts_with("? ")
        } else {
            said == *expected
        };
        assert!(fits, "{check}:\n{said}\nbut expected\n{expected}");
    }
}

#[test]
fn every_check_passes_fails_and_is_unknown_somewhere() {
    for check in CHECKS {
        let of_check = CASES.iter().filter(|(name, _, _)| *name == check.name);
        let statuses: Vec<&str> = of_check
            .map(|(_, _, said)| said.split(' ').next().unwrap())
            .collect();
        assert!(statuses.contains(&"ok"), "{}", check.name);
        assert!(statuses.contains(&"?"), "{}", check.name);
        let failures = Severity::ALL.map(Severity::name);
        assert!(
            statuses.iter().any(|status| failures.contains(status)),
            "{}",
            check.name
        );
    }
    for (name, _, _) in CASES {
        assert!(CHECKS.iter().any(|check| check.name == *name), "{name}");
    }
}

#[test]
fn a_bound_on_wake_ups_makes_deep_states_fine() {
    let mut tree = Tree::tuned_metal();
    every(
        &mut tree,
        "sys/devices/system/cpu/cpu{}/cpuidle/state2/disable",
        0..8,
        "0",
    );
    let (ground, machine) = tree.machine();
    std::fs::create_dir(ground.path().join("dev")).unwrap();
    for (bound_us, expected) in [(3_i32, Status::Fine), (2_000_000_000, Status::Failed)] {
        std::fs::write(
            ground.path().join("dev/cpu_dma_latency"),
            bound_us.to_ne_bytes(),
        )
        .unwrap();
        let findings = examine(&machine, Extent::All);
        let states = findings.iter().find(|f| f.check == "cpu_idle_states");
        assert_eq!(states.unwrap().verdict.status, expected, "{bound_us}");
    }
}
