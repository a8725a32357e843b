//! Judges rings and resource limits: facts in, a verdict with cause and fix out.

use nix::errno::Errno;

use super::facts::{Facts, KernelVersion, ResourceLimit};
use super::{Judgement, PreflightError};

/// The executor uses operations that came with this kernel.
const KERNEL_MIN: KernelVersion = KernelVersion { major: 5, minor: 8 };

/// From here on rings are charged to the memory cgroup, no longer to the
/// locked-memory limit of the user (io_uring_setup(2), ENOMEM).
const KERNEL_RINGS_FREE: KernelVersion = KernelVersion {
    major: 5,
    minor: 12,
};

/// Three rings of one executor and its registered buffers (host-tuning.md section 2).
const LOCKED_BYTES_PER_SHARD: u64 = 512 * 1024;

/// The executor refuses to be built below this soft limit, whatever the kernel.
const LOCKED_BYTES_MIN: u64 = 512 * 1024;

/// An executor's rings, event descriptors and timers, its listeners, and the log
/// segments that it has open at once.
const OPEN_FILES_PER_SHARD: u64 = 16;

/// The admin API's connections, the manifest and lock, standard streams, and some
/// to spare for whoever attaches.
const OPEN_FILES_BASE: u64 = 256;

/// Whether shards can have their rings.
///
/// # Errors
/// They cannot.
pub fn ring(facts: &Facts, probe: Result<(), Errno>) -> Result<(), PreflightError> {
    let kernel = facts.kernel;
    let (cause, fix) = match probe {
        Ok(()) if kernel >= KERNEL_MIN => return Ok(()),
        Ok(()) => (
            format!("kernel {kernel} has io_uring, but not all that shards need"),
            format!("run kernel {KERNEL_MIN} or newer"),
        ),
        Err(Errno::ENOSYS) if kernel < KERNEL_MIN => (
            format!("kernel {kernel} has no io_uring (ENOSYS)"),
            format!("run kernel {KERNEL_MIN} or newer"),
        ),
        Err(Errno::ENOSYS) => (
            format!(
                "io_uring is taken away (ENOSYS on kernel {kernel}): by a seccomp profile, as in \
                 a container, or by a kernel built without CONFIG_IO_URING"
            ),
            FIX_SECCOMP.to_owned(),
        ),
        Err(Errno::EPERM | Errno::EACCES) => match facts.io_uring_disabled {
            Some(disabled @ 1..) => (
                format!("io_uring is forbidden: kernel.io_uring_disabled = {disabled} (EPERM)"),
                fix_disabled(disabled),
            ),
            _ => (
                "io_uring is forbidden (EPERM): by the seccomp profile of a container or of the \
                 service"
                    .to_owned(),
                FIX_SECCOMP.to_owned(),
            ),
        },
        Err(Errno::ENOMEM) => (
            format!(
                "no memory for an io_uring (ENOMEM): the locked-memory limit is {}, and the \
                 cgroup or the machine may be out of memory",
                bytes(facts.locked_memory.soft)
            ),
            "set LimitMEMLOCK=infinity in the unit (ulimit -l unlimited, docker run --ulimit \
             memlock=-1), and look at memory.max of the cgroup"
                .to_owned(),
        ),
        Err(Errno::EMFILE | Errno::ENFILE) => (
            "no file descriptor is left for an io_uring".to_owned(),
            "raise LimitNOFILE= in the unit, or fs.file-max".to_owned(),
        ),
        Err(other) => (
            format!("io_uring cannot be set up: {other}"),
            format!("run kernel {KERNEL_MIN} or newer with io_uring allowed"),
        ),
    };
    Err(PreflightError { cause, fix })
}

const FIX_SECCOMP: &str = "allow io_uring_setup, io_uring_enter and io_uring_register: in a \
                           container with a seccomp profile that has them (docker run \
                           --security-opt seccomp=FILE; Kubernetes: seccompProfile type \
                           Localhost), in a unit with SystemCallFilter=@system-service";

fn fix_disabled(disabled: u32) -> String {
    let group = if disabled == 1 {
        ", or add the server's group: sysctl kernel.io_uring_group=GID"
    } else {
        ""
    };
    format!("as root: sysctl kernel.io_uring_disabled=0{group}")
}

/// `RLIMIT_MEMLOCK` for that many shards.
///
/// Below the executor's own minimum nothing runs. Between that and the need of
/// all shards, kernels before 5.12 run out while building rings; newer ones
/// charge only registered buffers, which the executor can do without.
///
/// # Errors
/// Too low, and the hard limit is too.
pub fn locked_memory(facts: &Facts, shards: u16) -> Result<Judgement, PreflightError> {
    let limit = facts.locked_memory;
    let needed = LOCKED_BYTES_PER_SHARD * u64::from(shards);
    if limit.soft >= needed {
        return Ok(Judgement::default());
    }
    let reached = limit.hard.max(limit.soft);
    let raise_to = (reached > limit.soft).then_some(reached);
    let charged = facts.kernel < KERNEL_RINGS_FREE && !facts.locks_without_limit;
    let short = format!(
        "the locked-memory limit is {}, and {shards} shards want {}",
        bytes(reached),
        bytes(needed)
    );
    if reached < LOCKED_BYTES_MIN || (charged && reached < needed) {
        return Err(PreflightError {
            cause: short,
            fix: "set LimitMEMLOCK=infinity in the unit (ulimit -l unlimited, docker run \
                  --ulimit memlock=-1)"
                .to_owned(),
        });
    }
    let note = (reached < needed).then(|| {
        format!(
            "{short}: kernel {} runs without, LimitMEMLOCK=infinity keeps registered buffers",
            facts.kernel
        )
    });
    Ok(Judgement { raise_to, note })
}

/// `RLIMIT_NOFILE` for that many connections and shards.
///
/// # Errors
/// Too low, and the hard limit is too.
pub fn open_files(
    limit: ResourceLimit,
    max_connections: u32,
    shards: u16,
) -> Result<Judgement, PreflightError> {
    let per_shards = OPEN_FILES_PER_SHARD * u64::from(shards);
    let needed = u64::from(max_connections) + per_shards + OPEN_FILES_BASE;
    if limit.soft >= needed {
        return Ok(Judgement::default());
    }
    if limit.hard >= needed {
        return Ok(Judgement {
            raise_to: Some(limit.hard),
            note: None,
        });
    }
    Err(PreflightError {
        cause: format!(
            "the limit of open files is {}, and {max_connections} connections on {shards} shards \
             need {needed}",
            limit.hard
        ),
        fix: format!(
            "set LimitNOFILE={} in the unit (ulimit -n), or lower [limits] max_connections",
            needed.next_power_of_two()
        ),
    })
}

fn bytes(count: u64) -> String {
    match count {
        u64::MAX => "unlimited".to_owned(),
        _ => format!("{} KiB", count / 1024),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A host where everything is fine.
    pub(in crate::preflight) fn facts() -> Facts {
        Facts {
            kernel: KernelVersion { major: 6, minor: 8 },
            io_uring_disabled: Some(0),
            locked_memory: ResourceLimit {
                soft: u64::MAX,
                hard: u64::MAX,
            },
            locks_without_limit: false,
            open_files: ResourceLimit {
                soft: 1 << 20,
                hard: 1 << 20,
            },
            cpus_allowed: vec![0, 1],
            cpus_online: vec![0, 1],
            cores: BTreeMap::from([(0, 0), (1, 1)]),
            cpu_quota: None,
        }
    }

    #[test]
    fn a_refused_ring_names_cause_and_fix() {
        let seccomp = "allow io_uring_setup, io_uring_enter and io_uring_register";
        for (kernel, disabled, errno, cause, fix) in [
            (
                (5, 4),
                None,
                Errno::ENOSYS,
                "kernel 5.4 has no io_uring",
                "run kernel 5.8 or newer",
            ),
            (
                (6, 8),
                Some(0),
                Errno::ENOSYS,
                "ENOSYS on kernel 6.8): by a seccomp",
                seccomp,
            ),
            (
                (6, 8),
                Some(0),
                Errno::EPERM,
                "by the seccomp profile",
                seccomp,
            ),
            (
                (5, 15),
                None,
                Errno::EPERM,
                "by the seccomp profile",
                seccomp,
            ),
            (
                (6, 8),
                Some(1),
                Errno::EPERM,
                "kernel.io_uring_disabled = 1",
                "sysctl kernel.io_uring_disabled=0, or add the server's group",
            ),
            (
                (6, 8),
                Some(2),
                Errno::EPERM,
                "kernel.io_uring_disabled = 2",
                "sysctl kernel.io_uring_disabled=0",
            ),
            (
                (5, 10),
                None,
                Errno::ENOMEM,
                "limit is 64 KiB",
                "LimitMEMLOCK=infinity",
            ),
            (
                (6, 8),
                Some(0),
                Errno::EMFILE,
                "no file descriptor",
                "LimitNOFILE=",
            ),
            ((6, 8), Some(0), Errno::EINVAL, "EINVAL", "io_uring allowed"),
        ] {
            let (major, minor) = kernel;
            let facts = Facts {
                kernel: KernelVersion { major, minor },
                io_uring_disabled: disabled,
                locked_memory: ResourceLimit {
                    soft: 64 * 1024,
                    hard: 64 * 1024,
                },
                ..facts()
            };
            let error = ring(&facts, Err(errno)).unwrap_err();
            assert!(error.cause.contains(cause), "{errno}: {error}");
            assert!(error.fix.contains(fix), "{errno}: {error}");
        }
    }

    #[test]
    fn a_ring_is_enough_on_a_new_enough_kernel() {
        assert_eq!(ring(&facts(), Ok(())), Ok(()));
        let old = Facts {
            kernel: KernelVersion { major: 5, minor: 7 },
            ..facts()
        };
        assert_eq!(
            ring(&old, Ok(())).unwrap_err().to_string(),
            "kernel 5.7 has io_uring, but not all that shards need; run kernel 5.8 or newer"
        );
    }

    /// `ok`, `raise N`, with `, note`; or the error.
    fn said(judged: Result<Judgement, PreflightError>) -> String {
        match judged {
            Err(error) => error.to_string(),
            Ok(judgement) => {
                let raise = judgement
                    .raise_to
                    .map_or("ok".to_owned(), |to| format!("raise {to}"));
                let note = if judgement.note.is_some() {
                    ", note"
                } else {
                    ""
                };
                format!("{raise}{note}")
            }
        }
    }

    #[test]
    fn locked_memory_is_needed_in_full_only_before_5_12() {
        const KIB: u64 = 1024;
        let check = |minor: u32, free: bool, soft: u64, hard: u64, expected: &str| {
            let facts = Facts {
                kernel: KernelVersion { major: 5, minor },
                locks_without_limit: free,
                locked_memory: ResourceLimit { soft, hard },
                ..facts()
            };
            let found = said(locked_memory(&facts, 4));
            assert_eq!(found, expected, "5.{minor} {free} {soft} {hard}");
        };
        let fix = "set LimitMEMLOCK=infinity in the unit (ulimit -l unlimited, docker run \
                   --ulimit memlock=-1)";
        check(10, false, u64::MAX, u64::MAX, "ok");
        check(10, false, 2_048 * KIB, 2_048 * KIB, "ok");
        check(10, false, 64 * KIB, 2_048 * KIB, "raise 2097152");
        let short = "the locked-memory limit is 2047 KiB, and 4 shards want 2048 KiB";
        check(10, false, 64 * KIB, 2_047 * KIB, &format!("{short}; {fix}"));
        // CAP_IPC_LOCK and newer kernels do without, down to the executor's own minimum.
        check(10, true, 64 * KIB, 2_047 * KIB, "raise 2096128, note");
        check(12, false, 64 * KIB, 512 * KIB, "raise 524288, note");
        check(12, false, 512 * KIB, 512 * KIB, "ok, note");
        let short = "the locked-memory limit is 511 KiB, and 4 shards want 2048 KiB";
        check(15, true, 511 * KIB, 511 * KIB, &format!("{short}; {fix}"));
    }

    #[test]
    fn open_files_cover_connections_and_shards() {
        let check = |soft: u64, hard: u64, expected: &str| {
            let found = said(open_files(ResourceLimit { soft, hard }, 10_000, 4));
            assert_eq!(found, expected, "{soft} {hard}");
        };
        check(10_320, 10_320, "ok");
        check(1_024, 524_288, "raise 524288");
        check(
            1_024,
            10_319,
            "the limit of open files is 10319, and 10000 connections on 4 shards need 10320; \
             set LimitNOFILE=16384 in the unit (ulimit -n), or lower [limits] max_connections",
        );
    }
}
