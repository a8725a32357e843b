//! Commands that read a data directory without serving it: verify, inspect, export, backup.
//!
//! All of them read with the code of recovery (`shards::wal`), so what they accept is what
//! a start accepts, and what they refuse is refused in the same words. They change nothing
//! in the directory that they read.
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
mod verify;

pub use backup::{BackupOptions, backup};
pub use export::{ExportOptions, Format, export};
pub use inspect::{InspectOptions, inspect};
pub use verify::{VerifyOptions, verify};
