//! Commands on a data directory that is not served: verify, inspect, export and backup read
//! it, reshard lays it out anew.
//!
//! All of them read with the code of recovery (`shards::wal`), so what they accept is what
//! a start accepts, and what they refuse is refused in the same words. Those that
//! only read change nothing in the directory.
//!
//! While a directory is not in use they hold its lock. One that another process uses is
//! read as it is: `directory.rs` says why that is safe.

mod backup;
mod directory;
mod export;
mod inspect;
mod output;
mod progress;
mod record;
mod report;
mod reshard;
mod switch;
mod verify;

pub use backup::{BackupOptions, backup};
pub use export::{ExportOptions, Format, export};
pub use inspect::{InspectOptions, inspect};
pub(crate) use output::OutFile;
pub use reshard::{ReshardOptions, reshard};
pub use switch::{Settled, settle};
pub use verify::{VerifyOptions, verify};

/// Says what an earlier `purser reshard` left, and what became of it: a line each.
pub fn say_settled(settled: &Settled, mut say: impl FnMut(&str)) {
    if let Some(old_data) = &settled.old_data {
        say(&format!(
            "a `purser reshard` that was stopped is finished; the data from before it is in {}",
            old_data.display()
        ));
    }
    if let Some(removed) = &settled.removed {
        say(&format!(
            "removed {}, which a `purser reshard` that was stopped did not complete",
            removed.display()
        ));
    }
}
