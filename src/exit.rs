//! The exit statuses of a server that failed, as reliability.md lists them.

use std::process::ExitCode;

use anyhow::bail;
use shards::runtime::{Event, StartError};
use shards::wal::OpenError;

/// The data is refused.
const DATA_REFUSED: u8 = 3;
/// The disk failed.
const DISK_FAILED: u8 = 4;

/// The status of a server that could not start or run.
#[must_use]
pub fn status(error: &anyhow::Error) -> ExitCode {
    let is_recovery = error.downcast_ref::<StartError>().is_some();
    match error.chain().find_map(|cause| cause.downcast_ref()) {
        Some(OpenError::Refused(_)) => ExitCode::from(DATA_REFUSED),
        // Data that is there and cannot be made durable; founding it is only a start.
        Some(OpenError::Io { .. }) if is_recovery => ExitCode::from(DISK_FAILED),
        Some(OpenError::Io { .. } | OpenError::OtherShardCount { .. }) | None => ExitCode::FAILURE,
    }
}

/// A shard ended when it should not have.
pub(crate) fn after(event: Event) -> anyhow::Result<ExitCode> {
    match event {
        Event::DiskFailed(shard, error) => {
            let error = anyhow::Error::new(error);
            tracing::error!(
                shard = shard.0,
                error = format!("{error:#}"),
                "the log could not be written; nobody in this batch was answered, and the \
                 process ends: restart it to read back what the disk holds"
            );
            Ok(ExitCode::from(DISK_FAILED))
        }
        Event::Panicked(shard) => bail!("shard {shard} panicked; this is a fault of purser"),
        Event::Drained(shard) | Event::Stopped(shard) => {
            bail!("shard {shard} ended without being asked to")
        }
    }
}
