//! The real binary, to be killed: its outputs go to files, so nothing waits for it.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::{address, eventually};

/// Where a server listens.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) wallet: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// One life of the server. Killed, by its own process id, when dropped.
pub(crate) struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `purser serve` on the data of `home`, with a failpoint unless that is empty.
    pub(crate) fn start(home: &Path, failpoint: &str) -> Self {
        let (stdout, stderr) = (home.join("stdout"), home.join("stderr"));
        let open = |path: &Path| {
            let mut options = OpenOptions::new();
            options.create(true).write(true).truncate(true);
            options.open(path).unwrap()
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_purser"));
        command
            .args(["serve", "--config", "purser.toml"])
            .current_dir(home)
            // What steers this test is no configuration of the server.
            .env_remove(super::KILLS_VARIABLE)
            .env_remove(super::SEED_VARIABLE)
            .env_remove("PURSER_FAILPOINT")
            .stdin(Stdio::null())
            .stdout(open(&stdout))
            .stderr(open(&stderr));
        if !failpoint.is_empty() {
            command.env("PURSER_FAILPOINT", failpoint);
        }
        Self {
            child: command.spawn().unwrap(),
            stdout,
            stderr,
        }
    }

    /// Waits until it serves; `None` when it ends before.
    pub(crate) fn ready(&mut self) -> Option<Addresses> {
        eventually("the server is ready, or ends", || {
            let said = fs::read_to_string(&self.stdout).unwrap();
            if let (Some(wallet), Some(admin)) =
                (address(&said, "wallet API"), address(&said, "admin API"))
            {
                return Some(Some(Addresses { wallet, admin }));
            }
            self.child.try_wait().unwrap().map(|_| None)
        })
    }

    /// As [`Process::ready`], of a server that has no reason to end.
    pub(crate) fn must_be_ready(&mut self) -> Addresses {
        let ready = self.ready();
        ready.unwrap_or_else(|| panic!("it refused to start:\n{}", self.log()))
    }

    /// Kills it as `kill -9` does. It must have been running until then.
    pub(crate) fn kill(mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(
            ended.is_none(),
            "ended by itself: {ended:?}\n{}",
            self.log()
        );
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended by itself: the status it exited with, or the signal
    /// that ended it.
    pub(crate) fn ended(&mut self) -> Result<i32, i32> {
        let status = eventually("the server ends", || self.child.try_wait().unwrap());
        match status.signal() {
            Some(signal) => Err(signal),
            None => Ok(status.code().unwrap()),
        }
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the server said:\n{}", self.log());
        }
    }
}

/// Sleeps for a while, as a killer does who has not made up his mind.
pub(crate) fn wait_us(us: u64) {
    std::thread::sleep(Duration::from_micros(us));
}
