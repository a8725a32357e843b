//! Machines made of files: one of each kind, and edits of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::errno::Errno;

use super::super::machine::{Calls, Clock, Machine, Needs};
use crate::config::Pin;
use crate::host::Host;

/// By path.
type Nodes = BTreeMap<String, Node>;

#[derive(Clone, PartialEq, Eq)]
enum Node {
    File(String),
    Link(String),
}

/// A machine that is not there yet.
pub(super) struct Tree {
    nodes: Nodes,
    pub(super) calls: Calls,
    pub(super) needs: Needs,
}

const CPUS: usize = 8;
const QUEUES: usize = 3;

/// The counters that the kernel has, as far as they are looked at.
pub(super) fn netstat(overflows: u64, drops: u64) -> String {
    format!(
        "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPHPHits\n\
         TcpExt: 0 {overflows} {drops} 77\n"
    )
}

pub(super) fn limits(locked_bytes: &str, files: u64) -> String {
    format!(
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max open files            1024                 {files:<20} files     \n\
         Max locked memory         {locked_bytes:<20} {locked_bytes:<20} bytes     \n"
    )
}

pub(super) fn mount(device: &str, kind: &str, source: &str) -> String {
    format!(
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
         27 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n\
         30 27 {device} / /var/lib/purser rw,noatime shared:9 - {kind} {source} rw\n"
    )
}

impl Tree {
    /// Four cores of two threads each, three shards, a network device of three queues, an
    /// NVMe drive; everything as it should be.
    pub(super) fn tuned_metal() -> Self {
        let mut tree = Self {
            nodes: Nodes::new(),
            calls: Calls {
                ring: Some(Ok(())),
                clock: Some(Clock {
                    is_synchronised: true,
                    error_us: 12,
                }),
                free_bytes: Some(900_000_000_000),
            },
            needs: Needs {
                shards: 3,
                pin: Pin::Auto,
                connections_max: 10_000,
                segment_bytes: 64 << 20,
                data_dir: "/var/lib/purser".into(),
            },
        };
        tree.add_processes();
        tree.add_cpus();
        tree.add_network();
        tree.add_disk();
        for (name, value) in [
            ("kernel/numa_balancing", "0"),
            ("kernel/io_uring_disabled", "0"),
            ("net/core/somaxconn", "4096"),
            ("net/core/busy_poll", "0"),
            ("net/core/busy_read", "0"),
            ("net/ipv4/tcp_max_syn_backlog", "8192"),
            ("net/ipv4/tcp_slow_start_after_idle", "0"),
            ("vm/swappiness", "60"),
        ] {
            tree.set(&format!("proc/sys/{name}"), value);
        }
        tree.set("proc/net/netstat", &netstat(0, 0));
        tree.set("proc/swaps", "Filename Type Size Used Priority");
        let huge_pages = "sys/kernel/mm/transparent_hugepage";
        tree.set(&format!("{huge_pages}/enabled"), "always [madvise] never");
        tree.set(
            &format!("{huge_pages}/defrag"),
            "always defer [defer+madvise] madvise never",
        );
        tree
    }

    fn add_processes(&mut self) {
        self.set("proc/sys/kernel/osrelease", "6.8.0-45-generic");
        self.set(
            "proc/self/status",
            "Name:\tpurser\nCapEff:\t0000000000000000\nCpus_allowed_list:\t0-7\n",
        );
        self.set("proc/self/limits", &limits("unlimited", 524_288));
        self.set("proc/self/cgroup", "0::/system.slice/purser.service");
        self.set(
            "sys/fs/cgroup/system.slice/purser.service/cpu.max",
            "max 100000",
        );
        self.set(
            "sys/fs/cgroup/system.slice/purser.service/cpu.stat",
            "usage_usec 5",
        );
        self.set("proc/1/comm", "systemd");
        self.link("proc/self/ns/pid", "pid:[4026531836]");
    }

    fn add_cpus(&mut self) {
        let folder = "sys/devices/system";
        self.set(
            "proc/stat",
            "cpu  1000000 0 500000 8000000 0 0 0 20 0 0\ncpu0 1 2 3\n",
        );
        self.set(&format!("{folder}/cpu/online"), "0-7");
        self.set(&format!("{folder}/cpu/isolated"), "");
        self.set(&format!("{folder}/cpu/nohz_full"), "1-3");
        self.set(&format!("{folder}/node/online"), "0");
        self.set(&format!("{folder}/node/node0/cpulist"), "0-7");
        for cpu in 0..CPUS {
            let folder = format!("{folder}/cpu/cpu{cpu}");
            let core = cpu % 4;
            let siblings = format!("{core},{}", core + 4);
            self.set(
                &format!("{folder}/topology/thread_siblings_list"),
                &siblings,
            );
            self.set(&format!("{folder}/cpufreq/scaling_governor"), "performance");
            self.set(
                &format!("{folder}/cpufreq/scaling_available_governors"),
                "performance powersave",
            );
            for (state, name, exit_us, disabled) in [
                (0, "POLL", "0", "0"),
                (1, "C1", "2", "0"),
                (2, "C6", "170", "1"),
            ] {
                let folder = format!("{folder}/cpuidle/state{state}");
                self.set(&format!("{folder}/name"), name);
                self.set(&format!("{folder}/latency"), exit_us);
                self.set(&format!("{folder}/disable"), disabled);
            }
        }
        let clock = format!("{folder}/clocksource/clocksource0");
        self.set(&format!("{clock}/current_clocksource"), "tsc");
        self.set(
            &format!("{clock}/available_clocksource"),
            "tsc hpet acpi_pm",
        );
    }

    fn add_network(&mut self) {
        self.set("sys/class/net/lo/operstate", "unknown");
        self.set("sys/class/net/eth0/operstate", "up");
        self.set("sys/class/net/eth0/device/msi_irqs/39", "");
        self.set("proc/irq/39/eth0-mgmt/x", "");
        self.set("proc/irq/39/smp_affinity_list", "0-7");
        for queue in 0..QUEUES {
            let irq = 40 + queue;
            self.set(&format!("sys/class/net/eth0/device/msi_irqs/{irq}"), "");
            self.set(&format!("proc/irq/{irq}/eth0-TxRx-{queue}/x"), "");
            self.set(
                &format!("proc/irq/{irq}/smp_affinity_list"),
                &(queue + 1).to_string(),
            );
            let queues = "sys/class/net/eth0/queues";
            self.set(&format!("{queues}/rx-{queue}/rps_cpus"), "00");
            let own = format!("{:02x}", 2 << queue);
            self.set(&format!("{queues}/tx-{queue}/xps_cpus"), &own);
        }
    }

    fn add_disk(&mut self) {
        self.set(
            "proc/self/mountinfo",
            &mount("259:2", "xfs", "/dev/nvme0n1p2"),
        );
        let disk = "sys/devices/pci0/nvme0n1";
        self.set(&format!("{disk}/nvme0n1p2/partition"), "2");
        for (file, value) in [
            ("scheduler", "[none] mq-deadline kyber"),
            ("rotational", "0"),
            ("write_cache", "write back"),
            ("fua", "1"),
        ] {
            self.set(&format!("{disk}/queue/{file}"), value);
        }
        self.link(
            "sys/dev/block/259:2",
            "../../devices/pci0/nvme0n1/nvme0n1p2",
        );
    }

    /// The same machine as it comes from an installer, with one queue.
    pub(super) fn untuned_metal() -> Self {
        let mut tree = Self::tuned_metal();
        tree.needs.shards = 0;
        tree.set("sys/devices/system/cpu/nohz_full", "");
        for cpu in 0..CPUS {
            let folder = format!("sys/devices/system/cpu/cpu{cpu}");
            tree.set(&format!("{folder}/cpufreq/scaling_governor"), "powersave");
            tree.set(&format!("{folder}/cpuidle/state2/disable"), "0");
        }
        tree.set("sys/devices/system/node/online", "0-1");
        tree.set("sys/devices/system/node/node0/cpulist", "0-3");
        tree.set("sys/devices/system/node/node1/cpulist", "4-7");
        tree.set("proc/sys/kernel/numa_balancing", "1");
        tree.set(
            "sys/devices/system/clocksource/clocksource0/current_clocksource",
            "hpet",
        );
        for queue in 0..QUEUES {
            tree.set(&format!("proc/irq/{}/smp_affinity_list", 40 + queue), "0");
            tree.set(
                &format!("sys/class/net/eth0/queues/tx-{queue}/xps_cpus"),
                "00",
            );
        }
        tree.set("proc/812/comm", "irqbalance");
        tree.set("etc/default/irqbalance", "#IRQBALANCE_ARGS=--banirq=1");
        tree.set("proc/sys/net/core/somaxconn", "128");
        tree.set("proc/sys/net/ipv4/tcp_max_syn_backlog", "512");
        tree.set("proc/sys/net/ipv4/tcp_slow_start_after_idle", "1");
        tree.set("proc/net/netstat", &netstat(12, 14));
        tree.set(
            "sys/kernel/mm/transparent_hugepage/enabled",
            "[always] madvise never",
        );
        tree.set(
            "proc/swaps",
            "Filename Type Size Used Priority\n/swapfile file 8388604 0 -2\n",
        );
        tree.set(
            "sys/devices/pci0/nvme0n1/queue/scheduler",
            "none [mq-deadline] kyber",
        );
        tree.set("proc/self/limits", &limits("65536", 4096));
        tree.calls.clock = Some(Clock {
            is_synchronised: false,
            error_us: 16_000_000,
        });
        tree
    }

    /// Two CPUs of a hypervisor that has sold them twice.
    pub(super) fn vm_with_steal() -> Self {
        let mut tree = Self::tuned_metal();
        tree.needs.shards = 0;
        tree.set(
            "proc/self/status",
            "Name:\tpurser\nCapEff:\t0000000000000000\nCpus_allowed_list:\t0-1\n",
        );
        for folder in ["cpufreq", "cpuidle", "topology"] {
            for cpu in 0..CPUS {
                tree.remove(&format!("sys/devices/system/cpu/cpu{cpu}/{folder}"));
            }
        }
        tree.set("sys/devices/system/cpu/online", "0-1");
        tree.set("sys/devices/system/cpu/nohz_full", "");
        tree.set("proc/stat", "cpu  7000 0 2000 90000 0 0 100 4200 0 0\n");
        let clock = "sys/devices/system/clocksource/clocksource0";
        tree.set(&format!("{clock}/current_clocksource"), "kvm-clock");
        // A virtio device: its interrupts are those of the PCI device above it.
        tree.remove("sys/class/net/eth0");
        tree.remove("proc/irq");
        tree.set("sys/class/net/eth0/operstate", "up");
        tree.link("sys/class/net/eth0/device", "../../../devices/pci0/virtio2");
        tree.set("sys/devices/pci0/virtio2/status", "0xf");
        tree.set("sys/devices/pci0/msi_irqs/37", "");
        tree.set("sys/devices/pci0/msi_irqs/38", "");
        tree.set("proc/irq/37/virtio2-config/x", "");
        tree.set("proc/irq/38/virtio2-input.0/x", "");
        tree.set("proc/irq/38/smp_affinity_list", "0-1");
        tree.set("proc/irq/38/effective_affinity_list", "1");
        tree.set("sys/class/net/eth0/queues/rx-0/rps_cpus", "0");
        tree.set("sys/class/net/eth0/queues/tx-0/traffic_class", "");
        tree.set("proc/self/mountinfo", &mount("254:0", "ext4", "/dev/vda"));
        for (file, value) in [
            ("scheduler", "none [mq-deadline]"),
            ("rotational", "1"),
            ("write_cache", "write back"),
            ("fua", "0"),
        ] {
            tree.set(&format!("sys/devices/pci0/vda/queue/{file}"), value);
        }
        tree.link("sys/dev/block/254:0", "../../devices/pci0/vda");
        tree
    }

    /// A container with a quota and no devices, whose runtime denies io_uring.
    pub(super) fn container() -> Self {
        let mut tree = Self::vm_with_steal();
        tree.set(".dockerenv", "");
        tree.set("proc/self/cgroup", "0::/");
        tree.set("sys/fs/cgroup/cpu.max", "150000 100000");
        tree.set(
            "sys/fs/cgroup/cpu.stat",
            "nr_periods 900\nnr_throttled 44\n",
        );
        tree.remove("proc/self/ns");
        tree.link("proc/self/ns/pid", "pid:[4026532201]");
        tree.remove("sys/class/net");
        tree.remove("sys/dev/block");
        tree.remove("proc/sys/net/core/somaxconn");
        tree.remove("sys/kernel/mm/transparent_hugepage");
        tree.set(
            "proc/self/mountinfo",
            "30 27 0:52 / / rw - overlay overlay rw\n",
        );
        tree.calls.ring = Some(Err(Errno::EPERM));
        tree.calls.free_bytes = Some(50_000_000);
        tree
    }

    pub(super) fn set(&mut self, file: &str, text: &str) {
        let node = Node::File(format!("{text}\n"));
        self.nodes.insert(file.to_owned(), node);
    }

    pub(super) fn link(&mut self, file: &str, target: &str) {
        let node = Node::Link(target.to_owned());
        self.nodes.insert(file.to_owned(), node);
    }

    /// Takes away what begins with that path. It must be there, or the edit does nothing.
    pub(super) fn remove(&mut self, path: &str) {
        let before = self.nodes.len();
        self.nodes
            .retain(|file, _| !Path::new(file).starts_with(path));
        assert!(self.nodes.len() < before, "{path} was not there");
    }

    /// Writes the files, and reads the machine. The files go with the ground.
    pub(super) fn machine(&self) -> (Ground, Machine) {
        let mut ground = Ground::new();
        let machine = ground.becomes(self);
        (ground, machine)
    }
}

/// A directory that is one machine after the other; only what differs is written, so that
/// a hundred machines cost little more than one.
pub(super) struct Ground {
    dir: tempfile::TempDir,
    nodes: Nodes,
}

impl Ground {
    pub(super) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            nodes: Nodes::new(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn becomes(&mut self, tree: &Tree) -> Machine {
        for (file, node) in &self.nodes {
            if tree.nodes.get(file) != Some(node) {
                self.clear(file);
            }
        }
        for (file, node) in &tree.nodes {
            if self.nodes.get(file) == Some(node) {
                continue;
            }
            let path = self.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match node {
                Node::File(text) => fs::write(path, text).unwrap(),
                Node::Link(target) => symlink(target, path).unwrap(),
            }
        }
        self.nodes = tree.nodes.clone();
        let host = Host::below(self.path());
        Machine::read(host, tree.needs.clone(), tree.calls)
    }

    /// Removes a file and the directories that are empty without it.
    fn clear(&self, file: &str) {
        fs::remove_file(self.path().join(file)).unwrap();
        let folders = Path::new(file).ancestors().skip(1);
        for folder in folders.filter(|folder| *folder != Path::new("")) {
            if fs::remove_dir(self.path().join(folder)).is_err() {
                break;
            }
        }
    }
}
