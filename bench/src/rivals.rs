//! The rivals: servers that others would build, asked for the same as purser.
//!
//! Those on axum, may_minihttp and bare io_uring are built from `bench/rivals`; nginx,
//! Redis and PostgreSQL are whatever the machine has. What is missing is left out of the
//! table with a sentence that says how to get it. Servers and stores run on the server's
//! CPUs, in a fresh directory, and are as durable as purser: an answer to a booking leaves
//! when the disk has it.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::process::{CpuList, Process};
use crate::servers::{START_TIMEOUT, Server, directory_in, free_ports, local};
use crate::stores;

/// A server that is not ours, or stands on somebody else's shoulders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rival {
    Uring,
    Nginx,
    May,
    Axum,
    Redis,
    Postgres,
}

/// Why a rival is left out, and how that can be mended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Missing {
    #[error("{0} is not built: cargo build --release --manifest-path bench/rivals/Cargo.toml")]
    NotBuilt(&'static str),
    #[error("{0} is not installed, neither on PATH nor where its packages put it")]
    NotInstalled(&'static str),
}

/// Where the rivals' programs are.
pub(crate) struct Programs {
    built: PathBuf,
}

impl Rival {
    /// The program of ours that it needs.
    fn built(self) -> Option<&'static str> {
        match self {
            Self::Nginx => None,
            Self::Uring => Some("rival-uring"),
            Self::May => Some("rival-may"),
            Self::Axum => Some("rival-axum"),
            Self::Redis => Some("rival-axum-redis"),
            Self::Postgres => Some("rival-axum-postgres"),
        }
    }

    /// The program of others that it needs.
    fn installed(self) -> Option<&'static str> {
        match self {
            Self::Nginx => Some(stores::NGINX),
            Self::Redis => Some(stores::REDIS),
            Self::Postgres => Some(stores::POSTGRES),
            Self::Uring | Self::May | Self::Axum => None,
        }
    }
}

impl Programs {
    /// Looks in `directory`, or else where `cargo build` puts them: beside this program
    /// when the two builds share a target directory, otherwise in the rivals' own.
    pub(crate) fn find(directory: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(directory) = directory {
            // A server starts in a directory of its own, where a relative path would lead
            // elsewhere.
            let built = directory
                .canonicalize()
                .with_context(|| format!("find {}", directory.display()))?;
            return Ok(Self { built });
        }
        let this_program = std::env::current_exe()?;
        let beside = this_program.parent().unwrap_or(Path::new("/")).to_owned();
        let own = beside.join("../../bench/rivals/target/release");
        let built = match own.canonicalize() {
            Ok(own) if !beside.join("rival-axum").is_file() => own,
            _ => beside,
        };
        Ok(Self { built })
    }

    /// Whether everything is there that `rival` needs.
    pub(crate) fn check(&self, rival: Rival) -> Result<(), Missing> {
        if let Some(name) = rival.built()
            && !self.built.join(name).is_file()
        {
            return Err(Missing::NotBuilt(name));
        }
        match rival.installed() {
            Some(name) => stores::find(name).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Starts a rival, and before it what it keeps its accounts in.
    ///
    /// # Errors
    /// One of the two did not start; its last words are in the message.
    pub(crate) fn start(
        &self,
        rival: Rival,
        cpus: &CpuList,
        data_root: &Path,
    ) -> anyhow::Result<Server> {
        let directory = directory_in(data_root)?;
        let base = free_ports(2)?;
        let (address, store_address) = (local(base), local(base + 1));
        let (store, url) = match rival {
            Rival::Redis => {
                let redis = stores::start_redis(store_address, cpus, directory.path())?;
                (Some(redis), Some(format!("redis://{store_address}/")))
            }
            Rival::Postgres => {
                let postgres = stores::start_postgres(store_address, cpus, directory.path())?;
                (Some(postgres), Some(stores::postgres_url(store_address)))
            }
            Rival::Uring | Rival::Nginx | Rival::May | Rival::Axum => (None, None),
        };
        let process = match rival.built() {
            None => stores::start_nginx(address, cpus, directory.path())?,
            Some(name) => {
                let mut command = Command::new(self.built.join(name));
                command.arg(address.to_string()).args(url);
                let log = directory.path().join("rival.log");
                Process::start(name, &mut command, cpus, &log)?
            }
        };
        let process = listening(process, address)?;
        Ok(Server::on_one_port(process, store, directory, address))
    }
}

/// Waits until a server listens.
pub(crate) fn listening(mut process: Process, address: SocketAddr) -> anyhow::Result<Process> {
    process.wait_until(START_TIMEOUT, || TcpStream::connect(address).ok())?;
    Ok(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_says_how_to_get_it() {
        let nowhere = tempfile::tempdir().unwrap();
        let programs = Programs::find(Some(nowhere.path())).unwrap();
        assert_eq!(
            programs.check(Rival::Axum),
            Err(Missing::NotBuilt("rival-axum"))
        );
        let said = Missing::NotBuilt("rival-axum").to_string();
        assert!(
            said.contains("--manifest-path bench/rivals/Cargo.toml"),
            "{said}"
        );
    }

    #[test]
    fn a_rival_that_cannot_serve_is_an_error_with_its_words() {
        let root = tempfile::tempdir().unwrap();
        let programs = Programs {
            built: root.path().to_owned(),
        };
        let script = root.path().join("rival-axum");
        std::fs::write(&script, "#!/bin/sh\necho no such port\nexit 1\n").unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, executable).unwrap();
        let cpus = CpuList::first_allowed();
        let Err(error) = programs.start(Rival::Axum, &cpus, root.path()) else {
            panic!("a script served");
        };
        assert!(error.to_string().contains("no such port"), "{error}");
    }
}
