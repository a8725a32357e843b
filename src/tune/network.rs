//! Checks of the network devices: whether packets arrive on the CPUs that serve them.
//!
//! What is looked at are devices of hardware (virtio counts) that are up. A container sees
//! none of them.

use std::collections::BTreeMap;

use crate::host::{Host, cpu_list, cpu_list_text};

use super::finding::{Change, Form, Status, Verdict, cpu_mask, cpu_mask_text};
use super::machine::Machine;

/// What checks say that find no device.
const NO_NICS: &str = "no network device of hardware is seen here";

/// What checks say that cannot know the shards' CPUs.
const NO_CPUS: &str = "which CPUs the shards have is not known";

/// A network device.
#[derive(Clone, Debug)]
pub(super) struct Nic {
    name: String,
    rx_queues: Vec<String>,
    tx_queues: Vec<String>,
    /// Interrupts of receive queues, in the order of the queues as far as drivers keep it.
    rx_irqs: Vec<String>,
}

impl Nic {
    /// All devices of hardware that are up.
    pub(super) fn all(host: &Host) -> Vec<Self> {
        let devices = host.names("sys/class/net").unwrap_or_default();
        devices
            .into_iter()
            .filter(|name| host.has(format!("sys/class/net/{name}/device")))
            .filter(|name| {
                // `unknown` is what drivers say that do not tell, virtio among them.
                let state = host.text(format!("sys/class/net/{name}/operstate"));
                matches!(state.as_deref(), Ok("up" | "unknown"))
            })
            .map(|name| {
                let folder = format!("sys/class/net/{name}");
                let queues = host.names(format!("{folder}/queues")).unwrap_or_default();
                let of = |kind: &str| -> Vec<String> {
                    let of_kind = queues.iter().filter(|queue| queue.starts_with(kind));
                    of_kind.cloned().collect()
                };
                Self {
                    rx_queues: of("rx-"),
                    tx_queues: of("tx-"),
                    rx_irqs: rx_irqs(host, &folder),
                    name,
                }
            })
            .collect()
    }

    fn queue_file(&self, queue: &str, file: &str) -> String {
        format!("sys/class/net/{}/queues/{queue}/{file}", self.name)
    }

    /// For each receive queue, where RPS sends its packets; `None` where that is unknown.
    fn rps(&self, host: &Host) -> Option<Vec<Vec<usize>>> {
        let masks = self.rx_queues.iter().map(|queue| {
            let text = host.text(self.queue_file(queue, "rps_cpus")).ok()?;
            cpu_mask(&text)
        });
        masks.collect()
    }
}

/// The message-signalled interrupts of a device whose name says that they are of a receive
/// queue. A virtio device has them at the PCI device above it.
fn rx_irqs(host: &Host, folder: &str) -> Vec<String> {
    ["device/msi_irqs", "device/../msi_irqs"]
        .into_iter()
        .find_map(|place| host.names(format!("{folder}/{place}")).ok())
        .unwrap_or_default()
        .into_iter()
        .filter(|irq| {
            // Whoever has asked for an interrupt has a directory of his name there.
            let names = host.names(format!("proc/irq/{irq}")).unwrap_or_default();
            names.iter().any(|name| {
                // `eth0-TxRx-0`, `eth0-rx-1`, `virtio2-input.0`, `mlx5_comp3@pci:…`.
                let name = name.to_lowercase();
                name.contains("rx") || name.contains("input.") || name.contains("_comp")
            })
        })
        .collect()
}

pub(super) fn irq_affinity(machine: &Machine) -> Verdict {
    let recommended = "each RX interrupt on a CPU of its own, of a shard";
    if machine.nics.is_empty() {
        return Verdict::unknown(NO_NICS, recommended);
    }
    let Some(cpus) = machine.cpus() else {
        return Verdict::unknown(NO_CPUS, recommended);
    };
    let mut found = Vec::new();
    let mut changes = Vec::new();
    for nic in &machine.nics {
        let Some(places) = irq_places(&machine.host, &nic.rx_irqs) else {
            continue;
        };
        let handled: Vec<usize> = places.iter().filter_map(|place| place.cpu).collect();
        found.push(format!("{}: {}", nic.name, shown(&handled, places.len())));
        if !are_spread(&places, &cpus) {
            for (place, cpu) in places.into_iter().zip(cpus.iter().cycle()) {
                if !Form::CpuList.shows(&place.list, &cpu.to_string()) {
                    changes.push(Change {
                        file: place.file,
                        from: place.list,
                        to: cpu.to_string(),
                        form: Form::CpuList,
                    });
                }
            }
        }
    }
    let found = found.join("; ");
    if found.is_empty() {
        return Verdict::unknown("no interrupt names a receive queue", recommended);
    }
    if changes.is_empty() {
        return Verdict::fine(found, recommended);
    }
    let fix = "echo CPU > /proc/irq/N/smp_affinity_list for each, and keep irqbalance away";
    Verdict::failed(found, recommended, fix).with_changes(changes)
}

/// Where an interrupt is handled.
struct IrqPlace {
    file: String,
    list: String,
    /// The one CPU that gets it.
    cpu: Option<usize>,
}

/// `None` when there is none, or one cannot be read.
fn irq_places(host: &Host, irqs: &[String]) -> Option<Vec<IrqPlace>> {
    let place = |irq: &String| {
        let file = format!("proc/irq/{irq}/smp_affinity_list");
        let list = host.text(&file).ok()?;
        // Of several that are allowed the kernel chooses one.
        let chosen = || host.text(format!("proc/irq/{irq}/effective_affinity_list"));
        let cpu = only(&list).or_else(|| only(&chosen().ok()?));
        Some(IrqPlace { file, list, cpu })
    };
    let places: Option<Vec<IrqPlace>> = irqs.iter().map(place).collect();
    places.filter(|places| !places.is_empty())
}

fn only(list: &str) -> Option<usize> {
    match cpu_list(list)?[..] {
        [cpu] => Some(cpu),
        _ => None,
    }
}

/// Whether no CPU has more interrupts than its share, and, where there are enough for all
/// shards, they come to the shards' CPUs.
fn are_spread(places: &[IrqPlace], cpus: &[usize]) -> bool {
    if places.len() == 1 || cpus.len() <= 1 {
        return true;
    }
    let mut counts = BTreeMap::<usize, usize>::new();
    for place in places {
        let Some(cpu) = place.cpu else {
            return false;
        };
        *counts.entry(cpu).or_default() += 1;
    }
    let share = places.len().div_ceil(cpus.len());
    counts
        .iter()
        .all(|(cpu, count)| *count <= share && (places.len() < cpus.len() || cpus.contains(cpu)))
}

fn shown(handled: &[usize], irqs: usize) -> String {
    let mut cpus = handled.to_vec();
    cpus.sort_unstable();
    cpus.dedup();
    let irqs = match irqs {
        1 => "1 RX interrupt".to_owned(),
        several => format!("{several} RX interrupts"),
    };
    match &cpus[..] {
        [] => format!("{irqs} on any CPU"),
        [only] => format!("{irqs} on CPU {only}"),
        several => format!("{irqs} on CPUs {}", cpu_list_text(several)),
    }
}

/// Where its options may stand: Debian's file, and that of Red Hat and SUSE.
const IRQBALANCE_OPTIONS: [&str; 2] = ["etc/default/irqbalance", "etc/sysconfig/irqbalance"];

pub(super) fn irqbalance(machine: &Machine) -> Verdict {
    let recommended = "absent, or told to leave RX interrupts alone";
    let Ok(processes) = machine.host.names("proc") else {
        return Verdict::unknown("the processes cannot be read", recommended);
    };
    let mut names = processes
        .iter()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter_map(|pid| machine.host.text(format!("proc/{pid}/comm")).ok())
        .peekable();
    if names.peek().is_none() {
        return Verdict::unknown("the processes cannot be read", recommended);
    }
    if names.all(|name| name != "irqbalance") {
        return Verdict::fine("not running", recommended);
    }
    let has_bans = IRQBALANCE_OPTIONS.iter().any(|file| {
        let text = machine.host.text(file).unwrap_or_default();
        text.lines().any(|line| {
            let line = line.trim_start();
            !line.starts_with('#') && (line.contains("BANNED_CPU") || line.contains("--banirq"))
        })
    });
    if has_bans {
        return Verdict::fine("running, with bans", recommended);
    }
    let irqs = machine.nics.iter().flat_map(|nic| &nic.rx_irqs);
    let bans: Vec<String> = irqs.map(|irq| format!("--banirq={irq}")).collect();
    let fix = format!(
        "IRQBALANCE_ARGS=\"{}\" in /etc/default/irqbalance (/etc/sysconfig/irqbalance), then \
         systemctl restart irqbalance",
        if bans.is_empty() {
            "--banirq=N".to_owned()
        } else {
            bans.join(" ")
        }
    );
    Verdict::failed("running, without bans", recommended, fix)
}

pub(super) fn queues(machine: &Machine) -> Verdict {
    let recommended = "an RX queue for each shard, or RPS";
    let Some(shards) = machine.shards().map(usize::from) else {
        return Verdict::unknown("how many shards there are is not known", recommended);
    };
    each_nic(machine, recommended, |nic| {
        let queues = nic.rx_queues.len();
        if queues == 0 {
            return None;
        }
        let found = format!("{} has {queues} for {shards}", nic.name);
        if queues >= shards {
            return Some(Verdict::fine(found, recommended));
        }
        let spreads = nic.rps(&machine.host)?.iter().all(|cpus| !cpus.is_empty());
        if spreads {
            let found = format!("{found}, and RPS");
            return Some(Verdict::fine(found, recommended));
        }
        let fix = format!(
            "ethtool -L {} combined {shards} (ethtool -l shows how many it can have), or RPS below",
            nic.name
        );
        Some(Verdict::failed(found, recommended, fix))
    })
}

pub(super) fn rps(machine: &Machine) -> Verdict {
    let recommended = "all shards' CPUs where queues are fewer";
    let (Some(cpus), Some(shards)) = (machine.cpus(), machine.shards()) else {
        return Verdict::unknown(NO_CPUS, recommended);
    };
    each_nic(machine, recommended, |nic| {
        let masks = nic.rps(&machine.host)?;
        if masks.is_empty() {
            return None;
        }
        let set = masks.iter().filter(|mask| !mask.is_empty()).count();
        let queues = masks.len();
        let found = format!("{}: on {set} of {queues} RX queues", nic.name);
        if queues >= usize::from(shards) || set == queues {
            return Some(Verdict::fine(found, recommended));
        }
        let mask = cpu_mask_text(&cpus);
        let changes = nic.rx_queues.iter().zip(&masks);
        let changes = changes
            .filter(|(_, mask)| mask.is_empty())
            .map(|(queue, _)| mask_change(machine, nic.queue_file(queue, "rps_cpus"), mask.clone()))
            .collect();
        let fix = format!(
            "echo {mask} > /sys/class/net/{}/queues/rx-N/rps_cpus for each",
            nic.name
        );
        Some(Verdict::failed(found, recommended, fix).with_changes(changes))
    })
}

pub(super) fn xps(machine: &Machine) -> Verdict {
    let recommended = "each TX queue for CPUs of its own";
    let Some(cpus) = machine.cpus() else {
        return Verdict::unknown(NO_CPUS, recommended);
    };
    each_nic(machine, recommended, |nic| {
        let queues = nic.tx_queues.len();
        match queues {
            0 => return None,
            // The kernel has nothing to choose from, and offers no setting.
            1 => return Some(Verdict::fine(format!("{} has one", nic.name), recommended)),
            _ => {}
        }
        let mut changes = Vec::new();
        for (at, queue) in nic.tx_queues.iter().enumerate() {
            let file = nic.queue_file(queue, "xps_cpus");
            let mask = cpu_mask(&machine.host.text(&file).ok()?)?;
            let own: Vec<usize> = cpus.iter().copied().skip(at).step_by(queues).collect();
            // With more queues than CPUs the last ones stay empty.
            if mask.is_empty() && !own.is_empty() {
                changes.push(mask_change(machine, file, cpu_mask_text(&own)));
            }
        }
        let unset = changes.len();
        let found = format!("{}: {} of {queues} TX queues set", nic.name, queues - unset);
        if unset == 0 {
            return Some(Verdict::fine(found, recommended));
        }
        let fix = format!(
            "echo MASK > /sys/class/net/{}/queues/tx-N/xps_cpus for each",
            nic.name
        );
        Some(Verdict::failed(found, recommended, fix).with_changes(changes))
    })
}

fn mask_change(machine: &Machine, file: String, to: String) -> Change {
    Change {
        from: machine.host.text(&file).unwrap_or_default(),
        file,
        to,
        form: Form::CpuMask,
    }
}

/// The verdict over all devices: what fails outweighs what is fine, and that what is not
/// known.
fn each_nic(
    machine: &Machine,
    recommended: &str,
    judge: impl Fn(&Nic) -> Option<Verdict>,
) -> Verdict {
    if machine.nics.is_empty() {
        return Verdict::unknown(NO_NICS, recommended);
    }
    let verdicts: Vec<Verdict> = machine.nics.iter().filter_map(judge).collect();
    let failed = |verdict: &&Verdict| verdict.status == Status::Failed;
    let found = |verdicts: &[&Verdict]| {
        let found: Vec<&str> = verdicts.iter().map(|v| v.found.as_str()).collect();
        found.join("; ")
    };
    let (bad, good): (Vec<&Verdict>, Vec<&Verdict>) = verdicts.iter().partition(failed);
    match (bad.first(), good.first()) {
        (Some(first), _) => {
            let changes = bad.iter().flat_map(|v| v.changes.clone()).collect();
            Verdict::failed(found(&bad), recommended, &first.fix).with_changes(changes)
        }
        (None, Some(_)) => Verdict::fine(found(&good), recommended),
        (None, None) => Verdict::unknown("its queues cannot be read", recommended),
    }
}
