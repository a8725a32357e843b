//! Reads what the host is and allows: a thin layer over /proc, /sys and three
//! system calls. Nothing is judged here.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::Pid;

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
    /// Reads all facts; `root` is where `proc` and `sys` are found, `/` but for tests.
    ///
    /// # Errors
    /// The kernel's release, the affinity mask or a limit cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let limit = |resource| -> io::Result<ResourceLimit> {
            let (soft, hard) = getrlimit(resource)?;
            Ok(ResourceLimit { soft, hard })
        };
        let cpus_allowed = cpus_allowed()?;
        Ok(Self {
            kernel: kernel(root)?,
            io_uring_disabled: number(&root.join("proc/sys/kernel/io_uring_disabled"))
                .and_then(|number| u32::try_from(number).ok()),
            locked_memory: limit(Resource::RLIMIT_MEMLOCK)?,
            locks_without_limit: has_capability(root, CAP_IPC_LOCK),
            open_files: limit(Resource::RLIMIT_NOFILE)?,
            // Some sandboxes hide /sys; then the mask is all that is known.
            cpus_online: cpus_online(root).unwrap_or_else(|| cpus_allowed.clone()),
            cores: cores(root, &cpus_allowed),
            cpus_allowed,
            cpu_quota: cpu_quota(root),
        })
    }
}

/// Sets up the smallest ring there is and closes it again.
///
/// # Errors
/// Why the kernel refused.
#[allow(unsafe_code)]
pub(super) fn probe_ring() -> Result<(), Errno> {
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

fn cpus_allowed() -> io::Result<Vec<usize>> {
    let mask = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count())
        .filter(|cpu| mask.is_set(*cpu).unwrap_or(false))
        .collect())
}

fn kernel(root: &Path) -> io::Result<KernelVersion> {
    let release = fs::read_to_string(root.join("proc/sys/kernel/osrelease"))?;
    kernel_version(&release).ok_or_else(|| {
        let why = format!("{:?} is no kernel release", release.trim());
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}

fn kernel_version(release: &str) -> Option<KernelVersion> {
    let mut parts = release.trim().split(|c: char| !c.is_ascii_digit());
    let mut next = || parts.next()?.parse().ok();
    Some(KernelVersion {
        major: next()?,
        minor: next()?,
    })
}

fn has_capability(root: &Path, bit: u32) -> bool {
    let status = fs::read_to_string(root.join("proc/self/status")).unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .is_some_and(|set| set >> bit & 1 == 1)
}

fn cpus_online(root: &Path) -> Option<Vec<usize>> {
    cpu_list(&fs::read_to_string(root.join("sys/devices/system/cpu/online")).ok()?)
}

fn cores(root: &Path, cpus: &[usize]) -> BTreeMap<usize, usize> {
    let core_of = |cpu: usize| {
        let name = format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        let siblings = cpu_list(&fs::read_to_string(root.join(name)).ok()?)?;
        siblings.first().copied()
    };
    cpus.iter()
        .map(|&cpu| (cpu, core_of(cpu).unwrap_or(cpu)))
        .collect()
}

/// The kernel's list format: `0-3,8,10-11`.
fn cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse().ok()?..=last.parse::<usize>().ok()?);
    }
    cpus.sort_unstable();
    (!cpus.is_empty()).then_some(cpus)
}

/// The tightest quota from the process's own group up to the root, of either
/// version of cgroups. A container may see its group at the root of the mount
/// under a path that means nothing inside, so files that are not there are skipped.
fn cpu_quota(root: &Path) -> Option<CpuQuota> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mount = root.join("sys/fs/cgroup");
    let mut found = Vec::new();
    for line in groups.lines() {
        // `hierarchy:controllers:path`; version 2 has no controllers.
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next(), fields.next()?, fields.next()?);
        if controllers.is_empty() {
            found.extend(from_group_up(&mount, path, quota_v2));
        } else if controllers.split(',').any(|name| name == "cpu") {
            found.extend(from_group_up(&mount.join("cpu"), path, quota_v1));
            found.extend(from_group_up(&mount.join(controllers), path, quota_v1));
        }
    }
    // a/b < c/d without division.
    found.into_iter().min_by(|a, b| {
        let left = u128::from(a.quota_us) * u128::from(b.period_us);
        left.cmp(&(u128::from(b.quota_us) * u128::from(a.period_us)))
    })
}

fn from_group_up(mount: &Path, path: &str, quota: fn(&Path) -> Option<CpuQuota>) -> Vec<CpuQuota> {
    // A group outside of the namespace begins with `..`; only what is below the mount counts.
    let names: PathBuf = path.split('/').filter(|name| *name != "..").collect();
    let relative = names.ancestors().map(|group| mount.join(group));
    relative.filter_map(|group| quota(&group)).collect()
}

/// `cpu.max`: `max 100000` or `150000 100000`.
fn quota_v2(group: &Path) -> Option<CpuQuota> {
    let text = fs::read_to_string(group.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    Some(CpuQuota {
        quota_us: quota.parse().ok()?,
        period_us: period.parse().ok()?,
    })
}

/// A quota of -1 is none, and does not parse as unsigned.
fn quota_v1(group: &Path) -> Option<CpuQuota> {
    Some(CpuQuota {
        quota_us: number(&group.join("cpu.cfs_quota_us"))?,
        period_us: number(&group.join("cpu.cfs_period_us"))?,
    })
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn cpu_lists() {
        for (text, expected) in [
            ("0\n", Some(vec![0])),
            ("0-3", Some(vec![0, 1, 2, 3])),
            ("8,0-1,10-11\n", Some(vec![0, 1, 8, 10, 11])),
            ("\n", None),
            ("a-b", None),
            ("1-", None),
        ] {
            assert_eq!(cpu_list(text), expected, "{text:?}");
        }
    }

    #[test]
    fn facts_come_from_the_files_of_the_root() {
        let dir = root(&[
            ("proc/sys/kernel/osrelease", "6.8.0-1\n"),
            ("proc/sys/kernel/io_uring_disabled", "2\n"),
            ("proc/self/status", "Name:\tx\nCapEff:\t0000000000004000\n"),
            ("proc/self/cgroup", "0::/a\n"),
            ("sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
            ("sys/devices/system/cpu/online", "0-63\n"),
        ]);
        let facts = Facts::read(dir.path()).unwrap();
        assert_eq!(facts.kernel, KernelVersion { major: 6, minor: 8 });
        assert_eq!(facts.io_uring_disabled, Some(2));
        assert!(facts.locks_without_limit);
        assert_eq!(facts.cpus_online.len(), 64);
        assert_eq!(facts.cpu_quota.map(CpuQuota::whole_cpus), Some(1));
        // No topology: every CPU is its own core.
        assert!(facts.cores.iter().all(|(cpu, core)| cpu == core));
    }

    #[test]
    fn missing_files_are_missing_facts_but_for_the_kernel() {
        let dir = root(&[("proc/sys/kernel/osrelease", "5.4.0\n")]);
        let facts = Facts::read(dir.path()).unwrap();
        assert_eq!(facts.io_uring_disabled, None);
        assert!(!facts.locks_without_limit);
        assert_eq!(facts.cpus_online, facts.cpus_allowed);
        assert_eq!(facts.cpu_quota, None);
        assert!(Facts::read(root(&[]).path()).is_err());
    }

    #[test]
    fn siblings_share_a_core() {
        let dir = root(&[
            (
                "sys/devices/system/cpu/cpu0/topology/thread_siblings_list",
                "0,4\n",
            ),
            (
                "sys/devices/system/cpu/cpu4/topology/thread_siblings_list",
                "0,4\n",
            ),
        ]);
        let cores = cores(dir.path(), &[0, 1, 4]);
        assert_eq!(cores, BTreeMap::from([(0, 0), (1, 1), (4, 0)]));
    }

    fn check_quota(files: &[(&str, &str)], expected: Option<(u64, u64)>) {
        let found = cpu_quota(root(files).path()).map(|quota| (quota.quota_us, quota.period_us));
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
