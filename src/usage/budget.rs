//! The memory budget: how much the heap may take before the shards refuse to remember more
//! (design.md section 5).
//!
//! Everything that a wallet remembers is in memory, so a machine that is too small for its
//! traffic would swap, and then each answer would wait for a disk, or the kernel would kill
//! the process. Before that, what takes more memory is refused: new accounts, sessions and
//! bookings, with 503 and nothing done, so that whoever asked can ask again. Reads, repeats,
//! the end of rounds and sessions and an operator's limits go on.
//!
//! A thread looks at the heap twice a second and tells the shards. What counts is what the
//! program has asked for and not given back: the allocator keeps what was freed, and that is
//! room for what comes next. Between two looks the heap grows by tens of megabytes at most
//! (a large import), which the share that is left of the machine has room for.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use shards::metrics::Counter;
use shards::runtime::MemoryGate;

use super::heap::Heap;
use crate::admin::{Kind, MetricsSource};
use crate::config::MemoryBudget;
use crate::host::Host;
use crate::live::Live;
use crate::preflight::cpu_groups;
use crate::settings::Settings;

/// Half a second of an import, the fastest growth there is, is some 15 MB.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Of what the machine or the control group has, three quarters are for the heap: the rest
/// is for what the allocator rounds up, for stacks and rings, for the kernel's socket
/// buffers, and for whatever else runs there.
const AUTO_QUARTERS: u64 = 3;

/// Once full, so much of the budget must be free before bookings go on: a thirty-second, so
/// that one entry freed and another made do not take turns.
const FREE_AGAIN_SHARE: u64 = 32;

/// What the thread found, for whoever scrapes.
#[derive(Debug, Default)]
pub struct BudgetMetrics {
    /// 0 without a budget.
    bytes: Counter,
    full: Counter,
}

/// Looks at the heap from now on, from a thread of its own, and goes by the settings of now.
///
/// # Errors
/// The kernel gives no thread.
pub fn watch(
    gate: MemoryGate,
    settings: Arc<Live<Settings>>,
    metrics: Arc<BudgetMetrics>,
) -> anyhow::Result<()> {
    let host = Host::live();
    let mut full = false;
    let mut look = move || {
        let budget = bytes_of(settings.get().max_memory, &host);
        let used = Heap::used() as u64;
        let was_full = full;
        full = is_full(was_full, used, budget);
        metrics.bytes.set(budget.unwrap_or(0));
        metrics.full.set(u64::from(full));
        gate.set_full(full);
        say(was_full, full, used, budget);
    };
    // What recovery has read may be too much already.
    look();
    std::thread::Builder::new()
        .name("memory".to_owned())
        .spawn(move || {
            loop {
                std::thread::sleep(LOOK_EVERY);
                look();
            }
        })
        .context("create the thread that watches memory")?;
    Ok(())
}

/// Writes what the thread found last.
#[must_use]
pub fn exporter(metrics: Arc<BudgetMetrics>) -> MetricsSource {
    Box::new(move |text| {
        let mut budget = text.family(
            "purser_memory_budget_bytes",
            Kind::Gauge,
            "What the heap may take before bookings are refused; no sample without a budget.",
        );
        let bytes = metrics.bytes.get();
        if bytes > 0 {
            budget.sample(&[], bytes);
        }
        text.family(
            "purser_memory_full",
            Kind::Gauge,
            "1 while bookings are refused because the memory budget is used up, otherwise 0.",
        )
        .sample(&[], metrics.full.get());
    })
}

fn is_full(was_full: bool, used: u64, budget: Option<u64>) -> bool {
    budget.is_some_and(|budget| match was_full {
        true => used > budget - budget / FREE_AGAIN_SHARE,
        false => used >= budget,
    })
}

fn say(was_full: bool, full: bool, used: u64, budget: Option<u64>) {
    let mebibytes = |bytes: u64| bytes >> 20;
    let used_mib = mebibytes(used);
    let budget_mib = budget.map(mebibytes);
    match (was_full, full) {
        (false, true) => tracing::warn!(
            used_mib,
            budget_mib,
            "the memory budget is used up; new accounts, sessions and bookings are refused, and \
             reads and repeats go on"
        ),
        (true, false) => tracing::warn!(
            used_mib,
            budget_mib,
            "there is room in the memory budget again; bookings go on"
        ),
        _ => {}
    }
}

/// The budget in bytes; none: no bound.
fn bytes_of(budget: MemoryBudget, host: &Host) -> Option<u64> {
    match budget {
        MemoryBudget::Off => None,
        MemoryBudget::Bytes(bytes) => Some(bytes),
        MemoryBudget::Auto => Some(allowed_bytes(host)? / 4 * AUTO_QUARTERS),
    }
}

/// What this process may take: the machine's memory, or the least that a control group
/// (version 2) around it allows.
fn allowed_bytes(host: &Host) -> Option<u64> {
    let groups = cpu_groups(host).into_iter();
    let of_groups = groups.filter_map(|group| host.number(group.join("memory.max")));
    of_groups.chain(memory_total(host)).min()
}

/// `MemTotal` of /proc/meminfo, which is in kB of 1,024 bytes (proc(5)).
fn memory_total(host: &Host) -> Option<u64> {
    let meminfo = host.text("proc/meminfo").ok()?;
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_is_full_at_the_budget_and_until_some_of_it_is_free() {
        let budget = Some(3_200);
        for (was_full, used, full) in [
            (false, 3_199, false),
            (false, 3_200, true),
            (true, 3_199, true),
            (true, 3_101, true),
            (true, 3_100, false),
        ] {
            assert_eq!(is_full(was_full, used, budget), full, "{was_full} {used}");
        }
        assert!(!is_full(true, u64::MAX, None));
        assert!(!is_full(false, u64::MAX, None));
    }

    #[test]
    fn what_may_be_taken_is_the_least_that_anything_around_allows() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::below(dir.path());
        let set = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let check = |allowed: Option<u64>| {
            assert_eq!(allowed_bytes(&host), allowed);
            let auto = allowed.map(|bytes| bytes / 4 * 3);
            assert_eq!(bytes_of(MemoryBudget::Auto, &host), auto);
        };
        check(None);
        set("proc/meminfo", "MemTotal:       1000 kB\nMemFree: 1 kB\n");
        check(Some(1_024_000));
        set("proc/self/cgroup", "0::/system.slice/purser.service\n");
        set(
            "sys/fs/cgroup/system.slice/purser.service/memory.max",
            "max\n",
        );
        check(Some(1_024_000));
        set("sys/fs/cgroup/system.slice/memory.max", "800000\n");
        check(Some(800_000));
        set(
            "sys/fs/cgroup/system.slice/purser.service/memory.max",
            "400000\n",
        );
        check(Some(400_000));
        assert_eq!(bytes_of(MemoryBudget::Off, &host), None);
        assert_eq!(bytes_of(MemoryBudget::Bytes(7), &host), Some(7));
    }

    #[test]
    fn a_budget_is_exported_where_there_is_one() {
        let metrics = Arc::<BudgetMetrics>::default();
        let export = exporter(metrics.clone());
        let text = || {
            let mut text = crate::admin::PrometheusText::default();
            export(&mut text);
            text.into_string()
        };
        assert!(!text().contains("\npurser_memory_budget_bytes "));
        metrics.bytes.set(77);
        metrics.full.set(1);
        for line in ["purser_memory_budget_bytes 77", "purser_memory_full 1"] {
            assert!(text().lines().any(|written| written == line), "{}", text());
        }
    }
}
