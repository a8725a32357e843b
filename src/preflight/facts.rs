//! Reads what the host is and allows to this process, from its files. Nothing is judged
//! here.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;

use crate::host::{Host, cpu_list};

/// `CAP_IPC_LOCK`, which frees a process from its locked-memory limit
/// (capabilities(7)), is bit 14 of a capability set.
const CAP_IPC_LOCK: u32 = 14;

/// What the host is and allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The running kernel.
    pub kernel: KernelVersion,
    /// `kernel.io_uring_disabled`; kernels before 6.6 have none.
    pub io_uring_disabled: Option<u32>,
    /// `RLIMIT_MEMLOCK`, in bytes.
    pub locked_memory: ResourceLimit,
    /// Whether `CAP_IPC_LOCK` is in the effective set.
    pub locks_without_limit: bool,
    /// `RLIMIT_NOFILE`.
    pub open_files: ResourceLimit,
    /// The affinity mask of this process, ascending; not empty.
    pub cpus_allowed: Vec<usize>,
    /// Every CPU of the machine that is online, ascending.
    pub cpus_online: Vec<usize>,
    /// For each allowed CPU, the first CPU of its physical core.
    pub cores: BTreeMap<usize, usize>,
    /// The tightest CPU quota of the cgroup and those above it.
    pub cpu_quota: Option<CpuQuota>,
}

/// `major.minor` of a kernel release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct KernelVersion {
    pub major: u32,
    pub minor: u32,
}

impl std::fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A soft and a hard limit; `u64::MAX` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ResourceLimit {
    pub soft: u64,
    pub hard: u64,
}

/// So many microseconds of CPU time in every period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CpuQuota {
    pub quota_us: u64,
    pub period_us: u64,
}

impl CpuQuota {
    /// Whole CPUs that the quota pays for.
    #[must_use]
    pub fn whole_cpus(self) -> usize {
        usize::try_from(self.quota_us / self.period_us.max(1)).unwrap_or(usize::MAX)
    }
}

impl Facts {
    /// Reads all facts.
    ///
    /// # Errors
    /// The kernel's release, the affinity mask or a limit cannot be read.
    pub fn read(host: &Host) -> io::Result<Self> {
        let status = host.text("proc/self/status")?;
        let cpus_allowed = field_of(&status, "Cpus_allowed_list")
            .and_then(cpu_list)
            .ok_or_else(|| invalid("/proc/self/status has no Cpus_allowed_list".to_owned()))?;
        let limits = host.text("proc/self/limits")?;
        let limit = |name| {
            limit_of(&limits, name)
                .ok_or_else(|| invalid(format!("/proc/self/limits has no {name:?}")))
        };
        Ok(Self {
            kernel: kernel(host)?,
            io_uring_disabled: host
                .number("proc/sys/kernel/io_uring_disabled")
                .and_then(|number| u32::try_from(number).ok()),
            locked_memory: limit("Max locked memory")?,
            locks_without_limit: has_capability(&status, CAP_IPC_LOCK),
            open_files: limit("Max open files")?,
            // Some sandboxes hide /sys; then the mask is all that is known.
            cpus_online: host
                .cpus("sys/devices/system/cpu/online")
                .unwrap_or_else(|| cpus_allowed.clone()),
            cores: cores(host, &cpus_allowed),
            cpus_allowed,
            cpu_quota: cpu_quota(host),
        })
    }
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Sets up the smallest ring there is and closes it again.
///
/// # Errors
/// Why the kernel refused.
#[allow(unsafe_code)]
pub fn probe_ring() -> Result<(), Errno> {
    // `struct io_uring_params` is 120 bytes, all zero for a plain ring (io_uring_setup(2)).
    let mut params = [0_u32; 30];
    // SAFETY: the call reads and writes 120 bytes at `params`, which is that long,
    // aligned for its 32-bit members, and outlives the call.
    let answer = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1_u32, params.as_mut_ptr()) };
    let answer = Errno::result(answer)?;
    let ring = RawFd::try_from(answer).map_err(|_| Errno::EOVERFLOW)?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    drop(unsafe { OwnedFd::from_raw_fd(ring) });
    Ok(())
}

/// What stands behind `name:` in a file such as /proc/self/status.
fn field_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// A row of /proc/self/limits: a name, the soft limit, the hard one, a unit.
fn limit_of(limits: &str, name: &str) -> Option<ResourceLimit> {
    let row = limits.lines().find_map(|line| line.strip_prefix(name))?;
    let mut numbers = row.split_whitespace().map(|word| match word {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    });
    let (soft, hard) = (numbers.next()??, numbers.next()??);
    Some(ResourceLimit { soft, hard })
}

fn kernel(host: &Host) -> io::Result<KernelVersion> {
    let release = host.text("proc/sys/kernel/osrelease")?;
    kernel_version(&release).ok_or_else(|| invalid(format!("{release:?} is no kernel release")))
}

fn kernel_version(release: &str) -> Option<KernelVersion> {
    let mut parts = release.trim().split(|c: char| !c.is_ascii_digit());
    let mut next = || parts.next()?.parse().ok();
    Some(KernelVersion {
        major: next()?,
        minor: next()?,
    })
}

fn has_capability(status: &str, bit: u32) -> bool {
    field_of(status, "CapEff")
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .is_some_and(|set| set >> bit & 1 == 1)
}

fn cores(host: &Host, cpus: &[usize]) -> BTreeMap<usize, usize> {
    let core_of = |cpu: usize| {
        let name = format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        host.cpus(name)?.first().copied()
    };
    cpus.iter()
        .map(|&cpu| (cpu, core_of(cpu).unwrap_or(cpu)))
        .collect()
}

/// The tightest quota from the process's own group up to the root, of either
/// version of cgroups.
fn cpu_quota(host: &Host) -> Option<CpuQuota> {
    let quotas = cpu_groups(host)
        .into_iter()
        .filter_map(|group| quota_v2(host, &group).or_else(|| quota_v1(host, &group)));
    // a/b < c/d without division.
    quotas.min_by(|a, b| {
        let left = u128::from(a.quota_us) * u128::from(b.period_us);
        left.cmp(&(u128::from(b.quota_us) * u128::from(a.period_us)))
    })
}

/// The directories of this process's cgroups for CPU time, each followed by those above
/// it. A container may see its group at the root of the mount under a path that means
/// nothing inside, so not every directory is there.
#[must_use]
pub fn cpu_groups(host: &Host) -> Vec<PathBuf> {
    let mount = PathBuf::from("sys/fs/cgroup");
    let mut found = Vec::new();
    for line in host.text("proc/self/cgroup").unwrap_or_default().lines() {
        // `hierarchy:controllers:path`; version 2 has no controllers.
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let mounts = if controllers.is_empty() {
            vec![mount.clone()]
        } else if controllers.split(',').any(|name| name == "cpu") {
            vec![mount.join("cpu"), mount.join(controllers)]
        } else {
            continue;
        };
        // A group outside of the namespace begins with `..`; only what is below the mount
        // counts.
        let names = path.split('/').filter(|name| !matches!(*name, "" | ".."));
        let group: PathBuf = names.collect();
        for mount in mounts {
            found.extend(group.ancestors().map(|group| mount.join(group)));
        }
    }
    found
}

/// `cpu.max`: `max 100000` or `150000 100000`.
fn quota_v2(host: &Host, group: &Path) -> Option<CpuQuota> {
    let text = host.text(group.join("cpu.max")).ok()?;
    let (quota, period) = text.split_once(' ')?;
    Some(CpuQuota {
        quota_us: quota.parse().ok()?,
        period_us: period.parse().ok()?,
    })
}

/// A quota of -1 is none, and does not parse as unsigned.
fn quota_v1(host: &Host, group: &Path) -> Option<CpuQuota> {
    Some(CpuQuota {
        quota_us: host.number(group.join("cpu.cfs_quota_us"))?,
        period_us: host.number(group.join("cpu.cfs_period_us"))?,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A root directory with the given files.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn kernel_releases() {
        for (release, expected) in [
            ("6.18.44-fc-v769\n", Some((6, 18))),
            ("5.10.0-28-amd64", Some((5, 10))),
            ("4.19+", Some((4, 19))),
            ("linux", None),
            ("", None),
        ] {
            let found = kernel_version(release).map(|version| (version.major, version.minor));
            assert_eq!(found, expected, "{release}");
        }
    }

    const STATUS: &str = "Name:\tx\nCapEff:\t0000000000004000\nCpus_allowed:\t33\n\
                          Cpus_allowed_list:\t0-1,4,5\nMems_allowed_list:\t0\n";
    const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max open files            1024                 524288               files     \n\
         Max locked memory         8388608              unlimited            bytes     \n";

    #[test]
    fn facts_come_from_the_files_of_the_root() {
        let dir = root(&[
            ("proc/sys/kernel/osrelease", "6.8.0-1\n"),
            ("proc/sys/kernel/io_uring_disabled", "2\n"),
            ("proc/self/status", STATUS),
            ("proc/self/limits", LIMITS),
            ("proc/self/cgroup", "0::/a\n"),
            ("sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
            ("sys/devices/system/cpu/online", "0-63\n"),
        ]);
        let facts = Facts::read(&Host::below(dir.path())).unwrap();
        assert_eq!(facts.kernel, KernelVersion { major: 6, minor: 8 });
        assert_eq!(facts.io_uring_disabled, Some(2));
        assert!(facts.locks_without_limit);
        assert_eq!(facts.cpus_allowed, [0, 1, 4, 5]);
        let (files, memory) = (facts.open_files, facts.locked_memory);
        assert_eq!((files.soft, files.hard), (1_024, 524_288));
        assert_eq!((memory.soft, memory.hard), (8_388_608, u64::MAX));
        assert_eq!(facts.cpus_online.len(), 64);
        assert_eq!(facts.cpu_quota.map(CpuQuota::whole_cpus), Some(1));
        // No topology: every CPU is its own core.
        assert!(facts.cores.iter().all(|(cpu, core)| cpu == core));
    }

    #[test]
    fn missing_files_are_missing_facts_but_for_those_that_nothing_works_without() {
        let needed = [
            ("proc/sys/kernel/osrelease", "5.4.0\n"),
            ("proc/self/status", "Cpus_allowed_list:\t3\n"),
            ("proc/self/limits", LIMITS),
        ];
        let facts = Facts::read(&Host::below(root(&needed).path())).unwrap();
        assert_eq!(facts.io_uring_disabled, None);
        assert!(!facts.locks_without_limit);
        assert_eq!(facts.cpus_online, facts.cpus_allowed);
        assert_eq!(facts.cpu_quota, None);
        for missing in 0..needed.len() {
            let mut files = needed.to_vec();
            files.remove(missing);
            let facts = Facts::read(&Host::below(root(&files).path()));
            assert!(facts.is_err(), "{files:?}");
        }
    }

    /// What the files say is what the calls say, for this process.
    #[test]
    fn limits_and_mask_are_those_of_this_process() {
        use nix::sched::{CpuSet, sched_getaffinity};
        use nix::sys::resource::{Resource, getrlimit};

        let facts = Facts::read(&Host::live()).unwrap();
        for (found, resource) in [
            (facts.open_files, Resource::RLIMIT_NOFILE),
            (facts.locked_memory, Resource::RLIMIT_MEMLOCK),
        ] {
            let found = (found.soft, found.hard);
            assert_eq!(found, getrlimit(resource).unwrap(), "{resource:?}");
        }
        let mask = sched_getaffinity(nix::unistd::Pid::this()).unwrap();
        let cpus: Vec<usize> = (0..CpuSet::count())
            .filter(|cpu| mask.is_set(*cpu).unwrap())
            .collect();
        assert_eq!(facts.cpus_allowed, cpus);
    }

    #[test]
    fn siblings_share_a_core() {
        let siblings =
            |cpu| format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        let dir = root(&[(&siblings(0), "0,4\n"), (&siblings(4), "0,4\n")]);
        let cores = cores(&Host::below(dir.path()), &[0, 1, 4]);
        assert_eq!(cores, BTreeMap::from([(0, 0), (1, 1), (4, 0)]));
    }

    fn check_quota(files: &[(&str, &str)], expected: Option<(u64, u64)>) {
        let dir = root(files);
        let found =
            cpu_quota(&Host::below(dir.path())).map(|quota| (quota.quota_us, quota.period_us));
        assert_eq!(found, expected, "{files:?}");
    }

    #[test]
    fn the_tightest_quota_counts() {
        let v2 = ("proc/self/cgroup", "0::/system.slice/purser.service\n");
        check_quota(&[v2], None);
        check_quota(
            &[
                v2,
                (
                    "sys/fs/cgroup/system.slice/purser.service/cpu.max",
                    "max 100000\n",
                ),
            ],
            None,
        );
        check_quota(
            &[
                v2,
                (
                    "sys/fs/cgroup/system.slice/purser.service/cpu.max",
                    "400000 100000\n",
                ),
                ("sys/fs/cgroup/system.slice/cpu.max", "150000 50000\n"),
            ],
            Some((150_000, 50_000)),
        );
    }

    #[test]
    fn a_container_sees_its_group_at_the_mount() {
        check_quota(
            &[
                ("proc/self/cgroup", "0::/../../pod1/c2\n"),
                ("sys/fs/cgroup/cpu.max", "200000 100000\n"),
            ],
            Some((200_000, 100_000)),
        );
        check_quota(
            &[
                (
                    "proc/self/cgroup",
                    "7:memory:/docker/c\n4:cpu,cpuacct:/docker/c\n",
                ),
                ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000\n"),
                ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ],
            Some((250_000, 100_000)),
        );
        check_quota(
            &[
                ("proc/self/cgroup", "4:cpu:/\n"),
                ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
                ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ],
            None,
        );
    }
}
