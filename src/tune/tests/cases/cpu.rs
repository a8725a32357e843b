//! CPUs: which ones, how fast, how quiet, how near to memory.

use super::*;
use crate::config::Pin;

const GOVERNOR: &str = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor";
const UNIT: &str = "sys/fs/cgroup/system.slice/purser.service";

pub(super) const CASES: &[Case] = &[
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
];
