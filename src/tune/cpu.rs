//! Checks of the processors: clock speed, sleep, who else runs there, and which belong to
//! the shards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::host::{Host, cpu_list_text};
use crate::preflight::{CpuQuota, cpu_groups};

use super::finding::{Change, Form, Severity, Verdict};
use super::machine::{Machine, PlacementError};
use super::report::plural;

/// Waking from C1 takes 1 to 10 µs, from deeper states 40 µs and more: a tenth of a request
/// and as much as a whole one.
const IDLE_EXIT_US_MAX: u64 = 10;

/// One in a thousand: what two neighbours that are mostly idle take. `steal` above it
/// lengthens the p99 first.
const STEAL_SHARE_MAX: u64 = 1_000;

/// What checks say that cannot know the shards' CPUs.
const NO_CPUS: &str = "which CPUs the shards have is not known";

pub(super) fn governor(machine: &Machine) -> Verdict {
    let recommended = "performance";
    let Some(cpus) = machine.cpus() else {
        return Verdict::unknown(NO_CPUS, recommended);
    };
    let mut by_governor = BTreeMap::<String, usize>::new();
    let mut changes = Vec::new();
    let mut is_offered = true;
    for cpu in &cpus {
        let folder = format!("sys/devices/system/cpu/cpu{cpu}/cpufreq");
        let file = format!("{folder}/scaling_governor");
        let Ok(governor) = machine.host.text(&file) else {
            continue;
        };
        if governor != recommended {
            let offered = machine
                .host
                .text(format!("{folder}/scaling_available_governors"))
                .unwrap_or_default();
            if offered.split_whitespace().any(|name| name == recommended) {
                changes.push(Change {
                    file,
                    from: governor.clone(),
                    to: recommended.to_owned(),
                    form: Form::Plain,
                });
            } else {
                is_offered = false;
            }
        }
        *by_governor.entry(governor).or_default() += 1;
    }
    if by_governor.is_empty() {
        let found = "no cpufreq here: firmware or hypervisor sets the clock";
        return Verdict::unknown(found, recommended);
    }
    let found: Vec<String> = by_governor
        .iter()
        .map(|(governor, count)| format!("{governor} on {count} of {} CPUs", cpus.len()))
        .collect();
    let found = found.join(", ");
    if by_governor.keys().all(|governor| governor == recommended) {
        return Verdict::fine(found, recommended);
    }
    let fix = if is_offered {
        "echo performance > /sys/devices/system/cpu/cpuN/cpufreq/scaling_governor for each"
    } else {
        "load the governor (modprobe cpufreq_performance), or set the firmware to performance"
    };
    Verdict::failed(found, recommended, fix).with_changes(changes)
}

pub(super) fn idle_states(machine: &Machine) -> Verdict {
    let recommended = format!("none that takes over {IDLE_EXIT_US_MAX} µs to leave");
    let Some(cpus) = machine.cpus() else {
        return Verdict::unknown(NO_CPUS, recommended);
    };
    // Who holds the device open bounds the states of all CPUs; tuned does so.
    let bound = latency_bound_us(&machine.host).unwrap_or(u64::MAX);
    let mut deep = BTreeMap::<String, u64>::new();
    let mut changes = Vec::new();
    let mut states = 0;
    for cpu in cpus {
        let folder = format!("sys/devices/system/cpu/cpu{cpu}/cpuidle");
        for state in machine.host.names(&folder).unwrap_or_default() {
            let state = format!("{folder}/{state}");
            let read = |name: &str| machine.host.number(format!("{state}/{name}"));
            let (Some(exit_us), Some(disabled)) = (read("latency"), read("disable")) else {
                continue;
            };
            states += 1;
            if exit_us <= IDLE_EXIT_US_MAX || exit_us > bound || disabled != 0 {
                continue;
            }
            let name = machine.host.text(format!("{state}/name"));
            deep.insert(name.unwrap_or_else(|_| "a state".to_owned()), exit_us);
            changes.push(Change {
                file: format!("{state}/disable"),
                from: disabled.to_string(),
                to: "1".to_owned(),
                form: Form::Plain,
            });
        }
    }
    if states == 0 {
        let found = "no idle states here: firmware or hypervisor decides";
        return Verdict::unknown(found, recommended);
    }
    if deep.is_empty() {
        return Verdict::fine(
            format!("none over {IDLE_EXIT_US_MAX} µs in use"),
            recommended,
        );
    }
    let found: Vec<String> = deep
        .iter()
        .map(|(name, exit_us)| format!("{name} ({exit_us} µs)"))
        .collect();
    let fix = "echo 1 > /sys/devices/system/cpu/cpuN/cpuidle/stateM/disable for each, or a tuned \
               profile that bounds the latency (network-latency)";
    Verdict::failed(found.join(", "), recommended, fix).with_changes(changes)
}

/// The bound on wake-up latency that is in force; only root may read it.
fn latency_bound_us(host: &Host) -> Option<u64> {
    let bytes = fs::read(host.path("dev/cpu_dma_latency")).ok()?;
    u64::try_from(i32::from_ne_bytes(bytes.try_into().ok()?)).ok()
}

pub(super) fn isolation(machine: &Machine) -> Verdict {
    let recommended = "shards pinned, their CPUs in nohz_full=";
    let (Some(cpus), Ok(isolated)) = (
        machine.cpus(),
        machine.host.text("sys/devices/system/cpu/isolated"),
    ) else {
        return Verdict::unknown("isolated CPUs cannot be read", recommended);
    };
    let ticks_off = machine.host.text("sys/devices/system/cpu/nohz_full");
    let ticks_off = ticks_off.unwrap_or_default();
    let shown = |text: &str| match crate::host::cpu_list(text) {
        Some(cpus) => cpu_list_text(&cpus),
        None => "none".to_owned(),
    };
    let is_pinned = machine.placement().is_ok_and(|placement| placement.pin);
    let found = format!(
        "{}; nohz_full {}, isolated {}",
        if is_pinned { "pinned" } else { "not pinned" },
        shown(&ticks_off),
        shown(&isolated),
    );
    let quiet = crate::host::cpu_list(&ticks_off).unwrap_or_default();
    if is_pinned && cpus.iter().all(|cpu| quiet.contains(cpu)) {
        return Verdict::fine(found, recommended);
    }
    let fix = if is_pinned {
        let cpus = cpu_list_text(&cpus);
        format!("boot with nohz_full={cpus} rcu_nocbs={cpus} on the kernel command line")
    } else {
        "leave a CPU without a shard, so that pin = \"auto\" pins; then boot with the shards' CPUs \
         in nohz_full= and rcu_nocbs="
            .to_owned()
    };
    Verdict::failed(found, recommended, fix)
}

pub(super) fn affinity(machine: &Machine) -> Verdict {
    let recommended = "a CPU for each shard";
    let placement = match machine.placement() {
        Ok(placement) => placement,
        Err(PlacementError::Unknown(error)) => return Verdict::unknown(error, recommended),
        Err(PlacementError::Refused(error)) => {
            return Verdict::failed(error.cause, recommended, error.fix)
                .of_severity(Severity::Must);
        }
    };
    let (mut allowed, mut online) = (0, 0);
    if let Ok(facts) = &machine.facts {
        (allowed, online) = (facts.cpus_allowed.len(), facts.cpus_online.len());
    }
    let shards = usize::from(placement.shards);
    let how = if placement.pin {
        "pinned"
    } else {
        "not pinned"
    };
    let found = format!(
        "{shards} {} on CPUs {}, {how}; {allowed} of {online} CPUs allowed",
        plural(placement.shards, "shard"),
        cpu_list_text(&placement.cpus),
    );
    if shards <= allowed {
        return Verdict::fine(found, recommended);
    }
    let fix = "lower shards before the data is founded, or widen AllowedCPUs= (the cpuset)";
    Verdict::failed(found, recommended, fix)
}

pub(super) fn quota(machine: &Machine) -> Verdict {
    let recommended = "no quota";
    let Ok(facts) = &machine.facts else {
        return Verdict::unknown("the cgroup cannot be read", recommended);
    };
    let groups = cpu_groups(&machine.host);
    if groups.is_empty() {
        return Verdict::unknown("/proc/self/cgroup names no group", recommended);
    }
    let throttled = groups.iter().find_map(|group| {
        let text = machine.host.text(group.join("cpu.stat")).ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("nr_throttled "))?;
        line.parse::<u64>().ok()
    });
    let Some(CpuQuota {
        quota_us,
        period_us,
    }) = facts.cpu_quota
    else {
        return Verdict::fine("none", recommended);
    };
    let hundredths = quota_us.saturating_mul(100) / period_us.max(1);
    let found = format!(
        "{}.{:02} CPUs; stopped {} times so far",
        hundredths / 100,
        hundredths % 100,
        throttled.map_or("?".to_owned(), |count| count.to_string())
    );
    let fix = "give whole CPUs instead: AllowedCPUs= in the unit (a cpuset), without CPUQuota=; \
               Kubernetes: Guaranteed QoS with the static CPU manager";
    Verdict::failed(found, recommended, fix)
}

pub(super) fn threads_of_a_core(machine: &Machine) -> Verdict {
    let recommended = "one shard per physical core";
    let known = machine
        .host
        .has("sys/devices/system/cpu/cpu0/topology/thread_siblings_list");
    let (Ok(facts), Ok(placement), true) = (&machine.facts, machine.placement(), known) else {
        return Verdict::unknown("which CPUs share a core is not known", recommended);
    };
    let of_shards: BTreeSet<usize> = placement
        .cpus
        .iter()
        .filter_map(|cpu| facts.cores.get(cpu).copied())
        .collect();
    let (shards, cores) = (usize::from(placement.shards), of_shards.len());
    let found = format!(
        "{shards} shards, {cores} cores, {} CPUs",
        placement.cpus.len()
    );
    // Only CPUs that share a core can make shards share one: fewer CPUs than shards is
    // another check's.
    if shards <= cores || cores == placement.cpus.len() {
        return Verdict::fine(found, recommended);
    }
    let fix = format!(
        "shards = {cores} before the data is founded; measure both, two threads of a core do \
         more together than one"
    );
    Verdict::failed(found, recommended, fix)
}

pub(super) fn steal(machine: &Machine) -> Verdict {
    let recommended = "below 0.1 % of CPU time";
    let Some((stolen, total)) = stolen_ticks(&machine.host) else {
        return Verdict::unknown("/proc/stat cannot be read", recommended);
    };
    let per_mille = stolen.saturating_mul(10_000) / total.max(1);
    let found = format!("{}.{:02} % since boot", per_mille / 100, per_mille % 100);
    if stolen.saturating_mul(STEAL_SHARE_MAX) < total {
        return Verdict::fine(found, recommended);
    }
    let fix = "ask for dedicated CPUs, or run on a machine of your own";
    Verdict::failed(found, recommended, fix)
}

/// Ticks that the hypervisor took, and all ticks (proc_stat(5): user, nice, system, idle,
/// iowait, irq, softirq, steal).
fn stolen_ticks(host: &Host) -> Option<(u64, u64)> {
    let text = host.text("proc/stat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .take(8)
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    Some((*ticks.get(7)?, ticks.iter().sum()))
}

pub(super) fn numa_balancing(machine: &Machine) -> Verdict {
    let recommended = "0 where there are several nodes";
    let Some(nodes) = machine.host.cpus("sys/devices/system/node/online") else {
        return Verdict::unknown("the memory nodes cannot be read", recommended);
    };
    if let [_] = nodes[..] {
        return Verdict::fine("one memory node", recommended);
    }
    let nodes = nodes.len();
    let file = "proc/sys/kernel/numa_balancing";
    match machine.host.number(file) {
        Some(0) => Verdict::fine(format!("0, {nodes} nodes"), recommended),
        None => Verdict::fine(format!("not in this kernel, {nodes} nodes"), recommended),
        Some(value) => Verdict::failed(
            format!("{value}, {nodes} nodes"),
            recommended,
            "sysctl -w kernel.numa_balancing=0",
        )
        .with_changes(vec![Change {
            file: file.to_owned(),
            from: value.to_string(),
            to: "0".to_owned(),
            form: Form::Plain,
        }]),
    }
}

pub(super) fn numa_nodes(machine: &Machine) -> Verdict {
    let recommended = "all shards on one node";
    let (Some(cpus), Some(nodes)) = (
        machine.cpus(),
        machine.host.cpus("sys/devices/system/node/online"),
    ) else {
        return Verdict::unknown("the memory nodes cannot be read", recommended);
    };
    let used: Vec<usize> = nodes
        .into_iter()
        .filter(|node| {
            let list = format!("sys/devices/system/node/node{node}/cpulist");
            let of_node = machine.host.cpus(list).unwrap_or_default();
            cpus.iter().any(|cpu| of_node.contains(cpu))
        })
        .collect();
    match &used[..] {
        [] => Verdict::unknown("no node has the shards' CPUs", recommended),
        [only] => Verdict::fine(format!("node {only}"), recommended),
        several => Verdict::failed(
            format!("nodes {}", cpu_list_text(several)),
            recommended,
            format!(
                "AllowedCPUs= and AllowedMemoryNodes={} in the unit, with as many shards as that \
                 node has cores; the node of the network device is best",
                several[0]
            ),
        ),
    }
}
