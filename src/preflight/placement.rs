//! Where shards run: how many, on which CPUs, pinned or not.
//!
//! Measured (runtime.md): on dedicated CPUs pinning is right; on shared ones it
//! triples p95, because a pinned shard waits for its CPU while another is idle.
//! Nobody can see from inside whether a CPU is shared, so `pin = "auto"` pins
//! only where the arithmetic leaves everybody else a place: every shard has a CPU
//! of its own in the mask, at least one online CPU of the machine has no shard,
//! and no quota takes CPUs away part of the time.

use super::PreflightError;
use super::facts::Facts;
use crate::config::{Pin, SHARDS_MAX};

/// Where shards run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// How many there are.
    pub shards: u16,
    /// Pinned: shard `i` keeps to the `i`-th of these. Otherwise: where all may run.
    pub cpus: Vec<usize>,
    /// Whether shards are pinned.
    pub pin: bool,
    /// What the operator should know, a sentence each, to be logged as warnings.
    pub notes: Vec<String>,
}

/// Decides from the facts. `asked` 0 is one shard per CPU that the mask and the
/// quota give; any other number is taken as it is, since the data has one too.
///
/// # Errors
/// `pin = true` with fewer CPUs than shards.
pub fn place(facts: &Facts, asked: u16, pin: Pin) -> Result<Placement, PreflightError> {
    let allowed = facts.cpus_allowed.len();
    let quota = facts.cpu_quota.map(|quota| quota.whole_cpus().max(1));
    // A quota of 1.5 CPUs is one shard: two busy ones would be stopped for a
    // third of every period, which is a tail of tens of milliseconds.
    let cpus = allowed.min(quota.unwrap_or(usize::MAX));
    let shards = match asked {
        0 => u16::try_from(cpus)
            .unwrap_or(SHARDS_MAX)
            .clamp(1, SHARDS_MAX),
        asked => asked,
    };
    let wanted = usize::from(shards);
    let mut notes = Vec::new();
    if wanted > cpus {
        notes.push(match quota {
            Some(quota) if quota < allowed => format!(
                "{wanted} shards share a quota of {quota} whole CPUs: expect stalls when it is \
                 used up; fewer shards, or a larger quota, give a steadier p95"
            ),
            _ => format!(
                "{wanted} shards share {allowed} CPUs and are not pinned: one shard per CPU is \
                 the intended use"
            ),
        });
    }
    let pin = match pin {
        Pin::Never => false,
        Pin::Always if wanted > allowed => {
            return Err(PreflightError {
                cause: format!(
                    "pin = true needs a CPU for each of the {wanted} shards, and this process may \
                     use {allowed}"
                ),
                fix: "set pin = \"auto\", lower shards, or widen AllowedCPUs= (the cpuset)"
                    .to_owned(),
            });
        }
        Pin::Always => true,
        Pin::Auto => wanted <= allowed && wanted < facts.cpus_online.len() && quota.is_none(),
    };
    let cpus = if pin {
        one_for_each(facts, wanted)
    } else {
        facts.cpus_allowed.clone()
    };
    Ok(Placement {
        shards,
        cpus,
        pin,
        notes,
    })
}

/// One allowed CPU for each shard: physical cores before their second threads,
/// and the first CPU last, since interrupts and everybody else start there.
fn one_for_each(facts: &Facts, shards: usize) -> Vec<usize> {
    let spare_first = usize::from(facts.cpus_allowed.len() > shards);
    let mut used = std::collections::BTreeMap::<usize, usize>::new();
    let mut ranked: Vec<(usize, usize)> = facts.cpus_allowed[spare_first..]
        .iter()
        .map(|&cpu| {
            let threads = used
                .entry(facts.cores.get(&cpu).copied().unwrap_or(cpu))
                .or_default();
            *threads += 1;
            (*threads, cpu)
        })
        .collect();
    ranked.sort_unstable();
    let mut cpus: Vec<usize> = ranked
        .into_iter()
        .map(|(_, cpu)| cpu)
        .take(shards)
        .collect();
    cpus.sort_unstable();
    cpus
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::facts;
    use super::super::{CpuQuota, Facts};
    use super::*;

    fn host(allowed: &[usize], online: usize, quota_percent: Option<u64>) -> Facts {
        Facts {
            cpus_allowed: allowed.to_vec(),
            cpus_online: (0..online).collect(),
            cores: allowed.iter().map(|cpu| (*cpu, *cpu)).collect(),
            cpu_quota: quota_percent.map(|percent| CpuQuota {
                quota_us: percent * 1_000,
                period_us: 100_000,
            }),
            ..facts()
        }
    }

    /// `shards pinned/free cpus notes`.
    fn check(facts: &Facts, asked: u16, pin: Pin, expected: &str) {
        let placed = place(facts, asked, pin).unwrap();
        let how = if placed.pin { "pinned" } else { "free" };
        let found = format!(
            "{} {how} {:?} {}",
            placed.shards,
            placed.cpus,
            placed.notes.len()
        );
        assert_eq!(found, expected, "{asked} {pin:?} {facts:?}");
    }

    #[test]
    fn one_shard_per_cpu_unless_told_otherwise() {
        check(&host(&[0, 1], 2, None), 0, Pin::Auto, "2 free [0, 1] 0");
        check(&host(&[2, 5], 8, None), 0, Pin::Auto, "2 pinned [2, 5] 0");
        check(
            &host(&[0, 1, 2, 3], 4, Some(250)),
            0,
            Pin::Auto,
            "2 free [0, 1, 2, 3] 0",
        );
        check(&host(&[0, 1], 2, Some(50)), 0, Pin::Auto, "1 free [0, 1] 0");
        let large: Vec<usize> = (0..300).collect();
        assert_eq!(
            place(&host(&large, 300, None), 0, Pin::Auto)
                .unwrap()
                .shards,
            SHARDS_MAX
        );
    }

    #[test]
    fn auto_pins_where_a_cpu_remains_for_everybody_else() {
        check(
            &host(&[0, 1, 2, 3], 4, None),
            3,
            Pin::Auto,
            "3 pinned [1, 2, 3] 0",
        );
        check(
            &host(&[0, 1, 2, 3], 4, None),
            4,
            Pin::Auto,
            "4 free [0, 1, 2, 3] 0",
        );
        check(
            &host(&[1, 2, 3], 4, None),
            3,
            Pin::Auto,
            "3 pinned [1, 2, 3] 0",
        );
        check(&host(&[0], 1, None), 1, Pin::Auto, "1 free [0] 0");
        // A quota takes CPUs away from time to time, pinned or not.
        check(
            &host(&[0, 1, 2, 3], 8, Some(400)),
            2,
            Pin::Auto,
            "2 free [0, 1, 2, 3] 0",
        );
    }

    #[test]
    fn the_operator_has_the_last_word_on_pinning() {
        check(&host(&[0, 1], 2, None), 2, Pin::Always, "2 pinned [0, 1] 0");
        check(
            &host(&[0, 1], 2, Some(150)),
            1,
            Pin::Always,
            "1 pinned [1] 0",
        );
        check(&host(&[2, 3], 8, None), 2, Pin::Never, "2 free [2, 3] 0");
    }

    #[test]
    fn more_shards_than_cpus_run_free_with_a_warning() {
        check(&host(&[0, 1], 8, None), 3, Pin::Auto, "3 free [0, 1] 1");
        check(
            &host(&[0, 1], 2, Some(100)),
            2,
            Pin::Auto,
            "2 free [0, 1] 1",
        );
        assert_eq!(
            place(&host(&[0, 1], 8, None), 3, Pin::Always)
                .unwrap_err()
                .to_string(),
            "pin = true needs a CPU for each of the 3 shards, and this process may use 2; \
             set pin = \"auto\", lower shards, or widen AllowedCPUs= (the cpuset)"
        );
    }

    #[test]
    fn physical_cores_come_before_second_threads() {
        let mut facts = host(&[0, 1, 2, 3, 4, 5, 6, 7], 8, None);
        // Neighbours are threads of one core: 0 and 1, 2 and 3, ….
        facts.cores = (0..8).map(|cpu| (cpu, cpu / 2 * 2)).collect();
        check(&facts, 4, Pin::Auto, "4 pinned [1, 2, 4, 6] 0");
        check(&facts, 5, Pin::Auto, "5 pinned [1, 2, 3, 4, 6] 0");
        // Halves are threads of one core: 0 and 4, 1 and 5, ….
        facts.cores = (0..8).map(|cpu| (cpu, cpu % 4)).collect();
        check(&facts, 4, Pin::Auto, "4 pinned [1, 2, 3, 4] 0");
    }
}
