//! Checks of the kernel's settings that are one number or one word each: queues of
//! connections, memory, clocks, limits, io_uring.

use std::fmt::Display;

use crate::listener::BACKLOG;
use crate::preflight::{self, Judgement, PreflightError, cpu_groups};

use super::finding::{Change, Form, Verdict};
use super::machine::Machine;

/// What the kernel lets a listener's queue of complete connections grow to.
pub(super) fn somaxconn(machine: &Machine) -> Verdict {
    at_least(machine, "net.core.somaxconn", BACKLOG.unsigned_abs().into())
}

/// What it lets the queue of half-open ones grow to.
pub(super) fn syn_backlog(machine: &Machine) -> Verdict {
    let name = "net.ipv4.tcp_max_syn_backlog";
    at_least(machine, name, BACKLOG.unsigned_abs().into())
}

pub(super) fn slow_start(machine: &Machine) -> Verdict {
    exactly(machine, "net.ipv4.tcp_slow_start_after_idle", 0)
}

fn at_least(machine: &Machine, name: &str, least: u64) -> Verdict {
    let recommended = format!("{least} or more");
    sysctl(machine, name, recommended, least, |value| value >= least)
}

fn exactly(machine: &Machine, name: &str, wanted: u64) -> Verdict {
    sysctl(machine, name, wanted.to_string(), wanted, |value| {
        value == wanted
    })
}

/// Judges one number below /proc/sys; `to` is what `--apply` makes it.
fn sysctl(
    machine: &Machine,
    name: &str,
    recommended: String,
    to: u64,
    is_fine: impl Fn(u64) -> bool,
) -> Verdict {
    let file = format!("proc/sys/{}", name.replace('.', "/"));
    match machine.host.number(&file) {
        None => Verdict::unknown(format!("/{file} cannot be read"), recommended),
        Some(value) if is_fine(value) => Verdict::fine(value.to_string(), recommended),
        Some(value) => Verdict::failed(
            value.to_string(),
            recommended,
            format!("sysctl -w {name}={to}"),
        )
        .with_changes(vec![change(file, value, to, Form::Plain)]),
    }
}

fn change(file: String, from: impl Display, to: impl Display, form: Form) -> Change {
    Change {
        file,
        from: from.to_string(),
        to: to.to_string(),
        form,
    }
}

/// An experiment for dedicated CPUs, and the operator's: nothing here changes it.
pub(super) fn busy_poll(machine: &Machine) -> Verdict {
    let recommended = "0 and 0, but for an experiment";
    let read = |name| machine.host.number(format!("proc/sys/net/core/{name}"));
    let (Some(poll), Some(read)) = (read("busy_poll"), read("busy_read")) else {
        let found = "/proc/sys/net/core/busy_poll cannot be read";
        return Verdict::unknown(found, recommended);
    };
    let found = format!("busy_poll {poll}, busy_read {read}");
    if poll == 0 && read == 0 {
        return Verdict::fine(found, recommended);
    }
    let fix = "sysctl -w net.core.busy_poll=0 net.core.busy_read=0, unless it was measured to help";
    Verdict::failed(found, recommended, fix)
}

/// Connections that the kernel dropped since boot because nobody accepted them in time.
pub(super) fn listen_overflows(machine: &Machine) -> Verdict {
    let recommended = "0, and not growing";
    let counted = machine.host.text("proc/net/netstat").ok();
    let counted = counted.and_then(|text| {
        let overflows = netstat(&text, "ListenOverflows")?;
        Some((overflows, netstat(&text, "ListenDrops")?))
    });
    let Some((overflows, drops)) = counted else {
        return Verdict::unknown("/proc/net/netstat cannot be read", recommended);
    };
    let found = format!("{overflows} overflows, {drops} drops since boot");
    if overflows == 0 && drops == 0 {
        return Verdict::fine(found, recommended);
    }
    let fix = "nstat -az TcpExtListenOverflows TcpExtListenDrops shows whether they grow; then \
               raise somaxconn and tcp_max_syn_backlog, or add shards";
    Verdict::failed(found, recommended, fix)
}

/// A counter of /proc/net/netstat: a row of names, then a row of numbers.
fn netstat(text: &str, counter: &str) -> Option<u64> {
    let mut rows = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let at = rows
        .next()?
        .split_whitespace()
        .position(|name| name == counter)?;
    rows.next()?.split_whitespace().nth(at)?.parse().ok()
}

pub(super) fn huge_pages(machine: &Machine) -> Verdict {
    let recommended = "madvise or never; defrag not always";
    let folder = "sys/kernel/mm/transparent_hugepage";
    let wanted = [("enabled", "madvise"), ("defrag", "defer+madvise")];
    let mut found = Vec::new();
    let mut changes = Vec::new();
    for (name, to) in wanted {
        let file = format!("{folder}/{name}");
        let Some(value) = machine.host.chosen(&file) else {
            return Verdict::unknown(format!("/{folder} cannot be read"), recommended);
        };
        found.push(format!("{name} {value}"));
        if value == "always" {
            changes.push(change(file, value, to, Form::Chosen));
        }
    }
    let found = found.join(", ");
    if changes.is_empty() {
        return Verdict::fine(found, recommended);
    }
    let fix = format!("echo madvise > /{folder}/enabled; echo defer+madvise > /{folder}/defrag");
    Verdict::failed(found, recommended, fix).with_changes(changes)
}

/// At this, the kernel swaps only what would otherwise end a process; 0 is too low for some
/// kernels to swap at all when they must.
const SWAPPINESS: u64 = 1;

pub(super) fn swap(machine: &Machine) -> Verdict {
    let recommended = "none for the server, or vm.swappiness 1";
    let file = "proc/sys/vm/swappiness";
    let areas = machine.host.text("proc/swaps").ok();
    let (Some(areas), Some(swappiness)) = (areas, machine.host.number(file)) else {
        return Verdict::unknown("/proc/swaps cannot be read", recommended);
    };
    // A head line, then `file type size used priority`; sizes are in KiB.
    let sizes: Vec<u64> = areas
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(2)?.parse().ok())
        .collect();
    if sizes.is_empty() {
        return Verdict::fine("no swap", recommended);
    }
    let is_barred = cpu_groups(&machine.host)
        .iter()
        .any(|group| machine.host.number(group.join("memory.swap.max")) == Some(0));
    let mib = sizes.iter().sum::<u64>() / 1024;
    let found = format!("{mib} MiB of swap, vm.swappiness {swappiness}");
    if is_barred {
        return Verdict::fine(format!("{found}, barred by the cgroup"), recommended);
    }
    if swappiness <= SWAPPINESS {
        return Verdict::fine(found, recommended);
    }
    let fix = format!("MemorySwapMax=0 in the unit, or sysctl -w vm.swappiness={SWAPPINESS}");
    Verdict::failed(found, recommended, fix).with_changes(vec![change(
        file.to_owned(),
        swappiness,
        SWAPPINESS,
        Form::Plain,
    )])
}

/// Clocks that are read without a system call: that of the processor, of KVM, of Hyper-V, and
/// of Arm.
const QUICK_CLOCKS: [&str; 4] = [
    "tsc",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
    "arch_sys_counter",
];

pub(super) fn clocksource(machine: &Machine) -> Verdict {
    let recommended = "tsc, or that of the hypervisor";
    let folder = "sys/devices/system/clocksource/clocksource0";
    let file = format!("{folder}/current_clocksource");
    let Ok(current) = machine.host.text(&file) else {
        return Verdict::unknown(format!("/{file} cannot be read"), recommended);
    };
    if QUICK_CLOCKS.contains(&current.as_str()) {
        return Verdict::fine(current, recommended);
    }
    let offered = machine
        .host
        .text(format!("{folder}/available_clocksource"))
        .unwrap_or_default();
    let better = QUICK_CLOCKS
        .into_iter()
        .find(|clock| offered.split_whitespace().any(|name| name == *clock));
    let Some(better) = better else {
        let fix = "find out why the kernel gave up on tsc (dmesg | grep -i clocksource)";
        return Verdict::failed(current, recommended, fix);
    };
    let fix = format!("echo {better} > /{file}");
    let changes = vec![change(file, &current, better, Form::Plain)];
    Verdict::failed(current, recommended, fix).with_changes(changes)
}

pub(super) fn time_sync(machine: &Machine) -> Verdict {
    let recommended = "synchronised";
    match machine.calls.clock {
        None => Verdict::unknown("only the running machine tells", recommended),
        Some(clock) if clock.is_synchronised => Verdict::fine(
            format!("synchronised, off by {} µs at most", clock.error_us),
            recommended,
        ),
        Some(_) => Verdict::failed(
            "not synchronised",
            recommended,
            "run chrony or systemd-timesyncd; chronyc tracking shows what it does",
        ),
    }
}

pub(super) fn io_uring(machine: &Machine) -> Verdict {
    let recommended = "allowed, kernel 5.8 or newer";
    let (Ok(facts), Some(probe)) = (&machine.facts, machine.calls.ring) else {
        return Verdict::unknown("only the running machine tells", recommended);
    };
    match preflight::ring(facts, probe) {
        Ok(()) => Verdict::fine(format!("allowed, kernel {}", facts.kernel), recommended),
        Err(PreflightError { cause, fix }) => Verdict::failed(cause, recommended, fix),
    }
}

pub(super) fn locked_memory(machine: &Machine) -> Verdict {
    let recommended = "unlimited, or 512 KiB for each shard";
    let (Ok(facts), Some(shards)) = (&machine.facts, machine.shards()) else {
        return Verdict::unknown("the limit or the shards are not known", recommended);
    };
    let found = match facts.locked_memory.hard {
        u64::MAX => "unlimited".to_owned(),
        bytes => format!("{} KiB", bytes / 1024),
    };
    limit(found, recommended, preflight::locked_memory(facts, shards))
}

pub(super) fn open_files(machine: &Machine) -> Verdict {
    let recommended = "max_connections, 16 a shard and 256";
    let (Ok(facts), Some(shards)) = (&machine.facts, machine.shards()) else {
        return Verdict::unknown("the limit or the shards are not known", recommended);
    };
    let found = match facts.open_files.hard {
        u64::MAX => "unlimited".to_owned(),
        files => files.to_string(),
    };
    let connections = machine.needs.connections_max;
    let judged = preflight::open_files(facts.open_files, connections, shards);
    limit(found, recommended, judged)
}

/// A limit as a start would judge it. What a start raises by itself is fine.
fn limit(found: String, recommended: &str, judged: Result<Judgement, PreflightError>) -> Verdict {
    match judged {
        Ok(Judgement { note: Some(_), .. }) => {
            Verdict::fine(format!("{found}, enough for this kernel"), recommended)
        }
        Ok(_) => Verdict::fine(found, recommended),
        Err(error) => Verdict::failed(error.cause, recommended, error.fix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_stand_below_their_names() {
        let text = "TcpExt: A ListenOverflows ListenDrops\nTcpExt: 1 2 3\nIpExt: X\nIpExt: 9\n";
        assert_eq!(netstat(text, "ListenDrops"), Some(3));
        assert_eq!(netstat(text, "X"), None);
        assert_eq!(
            netstat("TcpExt: A ListenDrops\nTcpExt: 1\n", "ListenDrops"),
            None
        );
    }
}
