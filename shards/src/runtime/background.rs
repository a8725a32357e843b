//! What the threads share that work behind the shards' backs: how they learn how far a log
//! has come, and how they stay out of everybody's way.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

/// The least important of all threads, which still gets on a little when CPUs are busy.
const NICE: libc::c_int = 19;

/// How far a shard's log has come. Published by who writes the log.
#[derive(Debug, Default)]
pub(super) struct LogReach(AtomicU32);

impl LogReach {
    /// The log writes this segment now, and no longer any before it.
    pub(super) fn publish(&self, segment: u32) {
        // The frame that ended the segment before was written before this.
        self.0.store(segment, Ordering::Release);
    }

    /// The last segment that the log has left; 0 for none.
    pub(super) fn closed(&self) -> u32 {
        self.0.load(Ordering::Acquire).saturating_sub(1)
    }
}

/// Lowers the priority of this thread alone. nix has no `setpriority`.
///
/// # Errors
/// As the system says it.
#[allow(unsafe_code)]
pub(super) fn be_least_important() -> io::Result<()> {
    // SAFETY: takes three numbers and touches no memory. On Linux 0 names the calling thread.
    let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    if done == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}
