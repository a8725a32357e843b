//! Network interfaces: interrupts and queues.

use super::*;

pub(super) const CASES: &[Case] = &[
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
];
