//! What is measured and where: options of every command that starts a server.

use std::path::PathBuf;

use clap::Args;

use crate::process::CpuList;

/// The server, its CPUs and the client's, and where its data lies.
#[derive(Args, Debug)]
pub(crate) struct Place {
    /// The server to measure; the `purser` beside this program when left out, so
    /// target/release/purser after `cargo build --release`.
    #[arg(long, value_name = "FILE")]
    purser: Option<PathBuf>,
    /// CPUs of the server; its shards share them.
    #[arg(long, default_value = "0", value_name = "CPUS")]
    pub(crate) server_cpus: CpuList,
    /// CPU of the client, which is one thread, and of what else measures.
    #[arg(long, default_value = "1", value_name = "CPUS")]
    pub(crate) client_cpus: CpuList,
    /// Where temporary data directories are made; the system's default when left out.
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
}

impl Place {
    pub(crate) fn purser(&self) -> anyhow::Result<PathBuf> {
        match &self.purser {
            Some(path) => Ok(path.clone()),
            None => Ok(std::env::current_exe()?.with_file_name("purser")),
        }
    }

    pub(crate) fn data_root(&self) -> PathBuf {
        self.data_root.clone().unwrap_or_else(std::env::temp_dir)
    }
}
