//! The list of checks: what each is called, how much it matters and why. `tuning.md` has the
//! same names with more words.

use super::finding::Severity::{self, High, Low, Must};
use super::finding::{Finding, Status, Verdict};
use super::machine::Machine;
use super::{cpu, kernel, network, storage};

/// One setting of the host.
pub(super) struct Check {
    pub(super) name: &'static str,
    severity: Severity,
    why: &'static str,
    examine: fn(&Machine) -> Verdict,
    /// Whether a start of the server looks at it too.
    at_start: bool,
}

/// Which checks are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    All,
    /// Without those that read every process, and those that a start has made already.
    AtStart,
}

/// Examines a machine.
pub(super) fn examine(machine: &Machine, extent: Extent) -> Vec<Finding> {
    let chosen = CHECKS
        .iter()
        .filter(|check| extent == Extent::All || check.at_start);
    chosen
        .map(|check| {
            let verdict = (check.examine)(machine);
            Finding {
                check: check.name,
                severity: verdict.severity.unwrap_or(check.severity),
                why: check.why,
                verdict,
            }
        })
        .collect()
}

/// How many of the findings failed with a severity.
pub(super) fn failures(findings: &[Finding], severity: Severity) -> usize {
    let failed = findings.iter().filter(|finding| finding.has_failed());
    failed
        .filter(|finding| finding.severity == severity)
        .count()
}

/// How many could not be read.
pub(super) fn unknown(findings: &[Finding]) -> usize {
    let unknown = |finding: &&Finding| finding.verdict.status == Status::Unknown;
    findings.iter().filter(unknown).count()
}

const fn check(
    name: &'static str,
    severity: Severity,
    examine: fn(&Machine) -> Verdict,
    why: &'static str,
) -> Check {
    Check {
        name,
        severity,
        why,
        examine,
        at_start: true,
    }
}

impl Check {
    const fn not_at_start(self) -> Self {
        Self {
            at_start: false,
            ..self
        }
    }
}

/// In the order of the table.
pub(super) const CHECKS: &[Check] = &[
    check(
        "io_uring",
        Must,
        kernel::io_uring,
        "Shards wait for sockets through io_uring; without it the server does not start.",
    )
    .not_at_start(),
    check(
        "locked_memory",
        Must,
        kernel::locked_memory,
        "Rings are locked memory on older kernels, registered buffers on newer ones.",
    ),
    check(
        "open_files",
        Must,
        kernel::open_files,
        "Each connection and each open log is a file; below the need the server does not start.",
    ),
    check(
        "cpu_affinity",
        High,
        cpu::affinity,
        "A shard is a thread that wants a CPU; more shards than CPUs take turns.",
    ),
    check(
        "cpu_quota",
        High,
        cpu::quota,
        "A quota that is used up stops all shards for the rest of its period, tens of \
         milliseconds.",
    ),
    check(
        "cpu_governor",
        High,
        cpu::governor,
        "A CPU that speeds up only under load is slow for the first requests of a burst.",
    ),
    check(
        "cpu_idle_states",
        High,
        cpu::idle_states,
        "Waking from a deep sleep takes tens to hundreds of microseconds, for the request that \
         wakes it.",
    ),
    check(
        "cpu_isolation",
        Low,
        cpu::isolation,
        "The timer tick and other threads interrupt shards; nohz_full= and pinning keep them off.",
    ),
    check(
        "cpu_threads",
        Low,
        cpu::threads_of_a_core,
        "Two threads of a core share its caches and units; two shards there slow each other.",
    ),
    check(
        "cpu_steal",
        High,
        cpu::steal,
        "Time that the hypervisor gives to others shows as a tail that nothing here explains.",
    ),
    check(
        "numa_balancing",
        High,
        cpu::numa_balancing,
        "The kernel unmaps pages to learn who uses them; each is a fault in a request.",
    ),
    check(
        "numa_nodes",
        Low,
        cpu::numa_nodes,
        "Memory of another node is slower, and so is a hop to a shard there.",
    ),
    check(
        "clocksource",
        High,
        kernel::clocksource,
        "Each request reads the clock; other sources need a system call or a slow device.",
    ),
    check(
        "time_sync",
        High,
        kernel::time_sync,
        "Timestamps of requests, sessions and the idempotency window follow the clock.",
    ),
    check(
        "irq_affinity",
        High,
        network::irq_affinity,
        "Packets that all arrive on one CPU make it the limit, and wake shards from afar.",
    ),
    check(
        "irqbalance",
        High,
        network::irqbalance,
        "It moves interrupts every ten seconds, so also those that were put in their place.",
    )
    .not_at_start(),
    check(
        "nic_queues",
        High,
        network::queues,
        "With fewer receive queues than shards some CPUs do the network's work for the others.",
    ),
    check(
        "rps",
        Low,
        network::rps,
        "Where the device has too few queues, software can spread packets, for a hop each.",
    ),
    check(
        "xps",
        Low,
        network::xps,
        "A transmit queue of its own spares a CPU the lock of the others.",
    ),
    check(
        "somaxconn",
        High,
        kernel::somaxconn,
        "It caps the listeners' queues: when platforms reconnect at once, what is beyond is \
         dropped.",
    ),
    check(
        "tcp_max_syn_backlog",
        High,
        kernel::syn_backlog,
        "The same for connections whose handshake is not complete.",
    ),
    check(
        "listen_overflows",
        High,
        kernel::listen_overflows,
        "Each was a client that waited a second or more for its retry.",
    ),
    check(
        "busy_poll",
        Low,
        kernel::busy_poll,
        "Polling sockets burns CPUs that shards share with others.",
    ),
    check(
        "tcp_slow_start",
        Low,
        kernel::slow_start,
        "Connections of a pool that idled would begin slowly again.",
    ),
    check(
        "huge_pages",
        Low,
        kernel::huge_pages,
        "The server turns them off for itself; made for others, their pages still stall \
         allocations.",
    ),
    check(
        "swap",
        High,
        kernel::swap,
        "An account that was swapped out costs a read of the disk, on a shard that serves nobody \
         meanwhile.",
    ),
    check(
        "disk_file_system",
        High,
        storage::file_system,
        "Logs were tried on these; in memory or across a network, on disk means something else.",
    ),
    check(
        "disk_scheduler",
        High,
        storage::scheduler,
        "A flush gains nothing from a queue that sorts, and waits in it.",
    ),
    check(
        "disk_write_cache",
        High,
        storage::write_cache,
        "Called write through, a volatile cache gets no flushes: what was answered can be lost.",
    ),
    check(
        "disk_free_space",
        High,
        storage::free_space,
        "The log grows with each booking; when no segment fits, bookings are refused.",
    ),
];
