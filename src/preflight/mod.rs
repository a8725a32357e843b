//! What must be true of the host before any executor is built.
//!
//! An executor that cannot have its rings ends in a panic or in an error far from
//! its cause (runtime.md). So the facts are read first (`facts`), judged by
//! functions that see nothing but facts (`placement`, `judge`), and what is wrong
//! becomes one sentence with the cause and the fix.

use nix::sys::resource::{Resource, setrlimit};

use crate::config::Config;
use crate::host::Host;

mod facts;
mod judge;
mod placement;

pub use facts::{CpuQuota, Facts, KernelVersion, ResourceLimit, cpu_groups, probe_ring};
pub use judge::{locked_memory, open_files, ring};
pub use placement::{Placement, place};

/// Why the server cannot start on this host as it is, and what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}; {fix}")]
pub struct PreflightError {
    /// What was found.
    pub cause: String,
    /// What to do about it.
    pub fix: String,
}

/// A resource limit in the light of what is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The soft limit to set, where the present one is too low.
    pub raise_to: Option<u64>,
    /// What the operator should know.
    pub note: Option<String>,
}

/// Checks this host, raises soft limits where that helps, and decides where
/// shards run. Notes for the operator are in the answer, not yet logged.
///
/// # Errors
/// The first thing that keeps the server from running, with its fix.
pub fn run(config: &Config) -> Result<Placement, PreflightError> {
    let facts = Facts::read(&Host::live()).map_err(|error| PreflightError {
        cause: format!("cannot find out what this host allows: {error}"),
        fix: "mount /proc and /sys where the server runs".to_owned(),
    })?;
    let mut placement = place(&facts, config.shards, config.pin)?;
    let connections = config.limits.max_connections;
    let open_files = open_files(facts.open_files, connections, placement.shards)?;
    let locked_memory = locked_memory(&facts, placement.shards)?;
    for (resource, judgement) in [
        (Resource::RLIMIT_NOFILE, open_files),
        (Resource::RLIMIT_MEMLOCK, locked_memory),
    ] {
        if let Some(soft) = judgement.raise_to {
            raise(resource, soft)?;
        }
        placement.notes.extend(judgement.note);
    }
    // Last, since kernels that charge rings to locked memory need the raised limit.
    ring(&facts, probe_ring())?;
    Ok(placement)
}

/// Raises a soft limit to the hard one.
fn raise(resource: Resource, hard: u64) -> Result<(), PreflightError> {
    setrlimit(resource, hard, hard).map_err(|error| PreflightError {
        cause: format!("cannot raise {resource:?} to its hard limit of {hard}: {error}"),
        fix: "allow setrlimit, or start the server with the soft limit raised".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Pin, Source};

    /// Where the tests run, a CPU and a limit exist; what they are is the host's.
    #[test]
    fn the_facts_of_this_host_are_sane() {
        let facts = Facts::read(&Host::live()).unwrap();
        assert!(facts.kernel >= KernelVersion { major: 3, minor: 0 });
        assert!(!facts.cpus_allowed.is_empty());
        assert!(facts.open_files.soft <= facts.open_files.hard);
        let placement = place(&facts, 1, Pin::Never).unwrap();
        assert_eq!(placement.shards, 1);
        assert_eq!(placement.cpus, facts.cpus_allowed);
    }

    #[test]
    fn this_host_can_run_the_demo_or_hears_what_to_change() {
        let demo = Config::load(Source::Demo, [], &Flags::default()).unwrap();
        match run(&demo) {
            Ok(placement) => assert!(!placement.cpus.is_empty() && placement.shards >= 1),
            Err(error) => assert!(!error.fix.is_empty(), "{error}"),
        }
    }
}
