//! Boot and drain order.

use std::process::ExitCode;

use crate::cli::ServeOptions;
use crate::config::Config;

/// Runs the server until it is told to stop.
///
/// # Errors
/// It could not start.
pub fn run(_config: &Config, _options: &ServeOptions) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built in this worktree")
}
