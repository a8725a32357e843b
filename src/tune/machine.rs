//! What the checks look at: a host's files, what system calls tell of it, and what the
//! server is going to do there.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::sys::statvfs::statvfs;

use crate::config::Config;
use crate::host::Host;
use crate::preflight::{self, Facts, Placement, PreflightError};

use super::network::Nic;
use super::storage::DataDisk;

/// A host, and the server that it is judged for.
pub(super) struct Machine {
    pub(super) host: Host,
    pub(super) needs: Needs,
    pub(super) facts: Result<Facts, String>,
    pub(super) calls: Calls,
    pub(super) nics: Vec<Nic>,
    pub(super) disk: Option<DataDisk>,
}

/// What the configuration asks of the host.
#[derive(Clone, Debug)]
pub(super) struct Needs {
    pub(super) shards: u16,
    pub(super) pin: crate::config::Pin,
    pub(super) connections_max: u32,
    pub(super) segment_bytes: u64,
    /// Absolute, without symbolic links as far as it exists.
    pub(super) data_dir: PathBuf,
}

/// What no file tells; `None` for a host that is only a copy of its files.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calls {
    /// What became of setting up a ring; left out where preflight has just done it.
    pub(super) ring: Option<Result<(), Errno>>,
    pub(super) clock: Option<Clock>,
    /// What anybody may still write to the data directory's file system.
    pub(super) free_bytes: Option<u64>,
}

/// What the kernel thinks of its wall clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) is_synchronised: bool,
    /// By how much it may be off, as whoever disciplines it estimates.
    pub(super) error_us: u64,
}

impl Needs {
    pub(super) fn of(config: &Config, host: &Host) -> Self {
        let data_dir = if host.is_live() {
            resolve(&config.data_dir)
        } else {
            Path::new("/").join(&config.data_dir)
        };
        Self {
            shards: config.shards,
            pin: config.pin,
            connections_max: config.limits.max_connections,
            segment_bytes: config.log.segment_bytes,
            data_dir,
        }
    }
}

/// The absolute path without symbolic links, also where its end does not exist yet.
fn resolve(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute
        .ancestors()
        .find_map(|existing| {
            let resolved = existing.canonicalize().ok()?;
            Some(match absolute.strip_prefix(existing) {
                // Joining an empty path would append a slash.
                Ok(rest) if rest != Path::new("") => resolved.join(rest),
                _ => resolved,
            })
        })
        .unwrap_or(absolute)
}

impl Machine {
    /// Reads what all checks share. `calls` are those of this machine, or none.
    pub(super) fn read(host: Host, needs: Needs, calls: Calls) -> Self {
        Self {
            facts: Facts::read(&host).map_err(|error| error.to_string()),
            nics: Nic::all(&host),
            disk: DataDisk::of(&host, &needs.data_dir),
            host,
            needs,
            calls,
        }
    }

    /// Where shards would run.
    pub(super) fn placement(&self) -> Result<Placement, PlacementError> {
        let facts = self
            .facts
            .as_ref()
            .map_err(|error| PlacementError::Unknown(error.clone()))?;
        preflight::place(facts, self.needs.shards, self.needs.pin).map_err(PlacementError::Refused)
    }

    /// The CPUs of the shards, ascending; all that are allowed where shards are not pinned.
    pub(super) fn cpus(&self) -> Option<Vec<usize>> {
        let allowed = &self.facts.as_ref().ok()?.cpus_allowed;
        Some(
            self.placement()
                .map_or_else(|_| allowed.clone(), |p| p.cpus),
        )
    }

    /// How many shards there would be.
    pub(super) fn shards(&self) -> Option<u16> {
        self.placement().ok().map(|placement| placement.shards)
    }
}

/// Why it is not known where shards run.
pub(super) enum PlacementError {
    Unknown(String),
    Refused(PreflightError),
}

impl Calls {
    /// Asks this machine everything but for a ring.
    pub(super) fn quick(data_dir: &Path) -> Self {
        Self {
            ring: None,
            clock: clock(),
            free_bytes: data_dir
                .ancestors()
                .find_map(|existing| statvfs(existing).ok())
                .map(|found| found.blocks_available() * found.fragment_size()),
        }
    }

    /// Asks this machine everything.
    pub(super) fn all(data_dir: &Path) -> Self {
        Self {
            ring: Some(preflight::probe_ring()),
            ..Self::quick(data_dir)
        }
    }
}

/// Reads the state of the clock, and changes nothing (adjtimex(2) with no modes).
#[allow(unsafe_code)]
fn clock() -> Option<Clock> {
    // SAFETY: `timex` is integers only, for which zero is a value.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the call fills the one struct that it is given, which outlives it.
    let answer = unsafe { libc::adjtimex(&raw mut state) };
    (answer >= 0).then(|| Clock {
        is_synchronised: answer != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0,
        error_us: u64::try_from(state.esterror).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_is_resolved_as_far_as_it_exists() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap().join("real");
        std::fs::create_dir(&real).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(resolve(&link), real);
        assert_eq!(resolve(&link.join("not/yet")), real.join("not/yet"));
        assert!(resolve(Path::new("relative")).is_absolute());
    }

    #[test]
    fn this_machine_answers_every_call() {
        let calls = Calls::all(Path::new("/no/such/directory"));
        assert!(calls.ring.is_some());
        assert!(calls.clock.is_some());
        assert!(calls.free_bytes.is_some());
    }
}
