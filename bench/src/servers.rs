//! Starts the servers that are compared: the floor, and purser with demo data; the rivals
//! have a file of their own.
//!
//! Every start is a fresh process in a fresh directory on free ports, so that the
//! spread between rounds contains what differs from start to start.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use shards::routing::{SlotMap, slot_of};
use shards::types::AccountId;
use tempfile::TempDir;

use crate::process::{CpuList, Process};
use crate::request::DemoAccount;

/// A first start writes a thousand accounts and preallocates log segments; a slow
/// disk takes seconds for it.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);

const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Tries to find neighbouring free ports before giving up.
const PORT_TRIES: usize = 200;

/// A running server and the directory that goes with it.
pub(crate) struct Server {
    // Before the directory, so that a drop ends the process first.
    process: Process,
    /// What the server keeps its accounts in, where that is another program.
    store: Option<Process>,
    _directory: TempDir,
    /// Where requests go that do not care which shard takes them.
    pub(crate) address: SocketAddr,
    /// The port of each shard, for requests that do; empty but for purser.
    pub(crate) shard_addresses: Vec<SocketAddr>,
    /// The demo players; those of purser have sessions of their own.
    pub(crate) accounts: Vec<DemoAccount>,
}

impl Server {
    /// A server on one port, with the players that every server but purser knows.
    pub(crate) fn on_one_port(
        process: Process,
        store: Option<Process>,
        directory: TempDir,
        address: SocketAddr,
    ) -> Self {
        Self {
            process,
            store,
            _directory: directory,
            address,
            shard_addresses: Vec::new(),
            accounts: fixed_accounts(),
        }
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// CPU time of the server and of its store.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        let store = self.store.as_ref().map(Process::cpu_time).transpose()?;
        Ok(self.process.cpu_time()? + store.unwrap_or_default())
    }

    /// Stops the server, and then its store, which may wait for its clients to go.
    ///
    /// # Errors
    /// One of them did not stop in time.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.process.stop()?;
        self.store.map_or(Ok(()), Process::stop)
    }
}

/// As many players as the demo has, so that the client works as hard on every server. Who
/// answers for them looks at no session.
pub(crate) fn fixed_accounts() -> Vec<DemoAccount> {
    (1..=1_000)
        .map(|number| DemoAccount {
            operator_account_id: format!("demo/player-{number}"),
            session_key: "00000000-0000-8000-8000-000000000000".to_owned(),
        })
        .collect()
}

/// Starts the floor.
pub(crate) fn start_floor(cpus: &CpuList, data_root: &Path) -> anyhow::Result<Server> {
    let directory = directory_in(data_root)?;
    let address = local(free_ports(1)?);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["floor", "--listen", &address.to_string()]);
    let log = directory.path().join("floor.log");
    let mut process = Process::start("the floor", &mut command, cpus, &log)?;
    process.wait_until(START_TIMEOUT, || TcpStream::connect(address).ok())?;
    Ok(Server::on_one_port(process, None, directory, address))
}

/// Starts purser with `shards` shards and demo data (operator.md section 3).
pub(crate) fn start_purser(
    binary: &Path,
    shards: u16,
    cpus: &CpuList,
    data_root: &Path,
) -> anyhow::Result<Server> {
    start_purser_with(binary, shards, cpus, data_root, &[])
}

/// The same, with settings by the names that they have in the environment.
pub(crate) fn start_purser_with(
    binary: &Path,
    shards: u16,
    cpus: &CpuList,
    data_root: &Path,
    settings: &[(&str, &Path)],
) -> anyhow::Result<Server> {
    let directory = directory_in(data_root)?;
    let data_dir = directory.path().join("data");
    let base = free_ports(2 + shards)?;
    let (address, admin, shard_base) = (local(base), local(base + 1), base + 2);
    // The child starts in its own directory, where a relative path would lead elsewhere.
    let binary = binary
        .canonicalize()
        .with_context(|| format!("find {}", binary.display()))?;
    let mut command = Command::new(binary);
    // What the caller's environment says of purser is not what we measure.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PURSER_") {
            command.env_remove(name);
        }
    }
    command
        .args(["serve", "--demo", "--shards", &shards.to_string()])
        .args(["--listen", &address.to_string()])
        .args(["--admin-listen", &admin.to_string()])
        .arg("--data-dir")
        .arg(&data_dir)
        .env("PURSER_LISTEN__SHARD_PORTS", shard_base.to_string())
        .envs(settings.iter().copied())
        .current_dir(directory.path());
    let log = directory.path().join("purser.log");
    let mut process = Process::start("purser", &mut command, cpus, &log)?;
    let accounts = process.wait_until(START_TIMEOUT, || {
        let listed = std::fs::read(data_dir.join("demo-accounts.json")).ok()?;
        let accounts: Vec<DemoAccount> = serde_json::from_slice(&listed).ok()?;
        (!accounts.is_empty() && says_ready(admin)).then_some(accounts)
    })?;
    Ok(Server {
        process,
        store: None,
        _directory: directory,
        address,
        shard_addresses: (0..shards).map(|shard| local(shard_base + shard)).collect(),
        accounts,
    })
}

/// The shard that owns an account, of `shards`.
pub(crate) fn owner_of(account: &DemoAccount, shards: u16) -> anyhow::Result<usize> {
    let id = AccountId::parse(&account.operator_account_id)
        .with_context(|| format!("account id {:?}", account.operator_account_id))?;
    Ok(SlotMap::even(shards).owner(slot_of(&id)).index())
}

pub(crate) fn directory_in(data_root: &Path) -> anyhow::Result<TempDir> {
    tempfile::Builder::new()
        .prefix("purser-bench-")
        .tempdir_in(data_root)
        .with_context(|| format!("make a directory in {}", data_root.display()))
}

pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Whether `GET /readyz` on the admin address is answered 200.
fn says_ready(admin: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&admin, PROBE_TIMEOUT)?;
        stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; "HTTP/1.1 200".len()];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// The first of `count` neighbouring ports that nobody listens on. Another process
/// may take one before the server does; the server then says so and the run ends.
pub(crate) fn free_ports(count: u16) -> anyhow::Result<u16> {
    'tries: for _ in 0..PORT_TRIES {
        let first = TcpListener::bind(local(0))?;
        let base = first.local_addr()?.port();
        let mut held = vec![first];
        for offset in 1..count {
            let Some(port) = base.checked_add(offset) else {
                continue 'tries;
            };
            match TcpListener::bind(local(port)) {
                Ok(listener) => held.push(listener),
                Err(_) => continue 'tries,
            }
        }
        return Ok(base);
    }
    bail!("no {count} neighbouring free ports in {PORT_TRIES} tries")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_can_be_bound() {
        let base = free_ports(4).unwrap();
        for port in base..base + 4 {
            TcpListener::bind(local(port)).unwrap();
        }
    }

    #[test]
    fn owners_follow_the_slot_map() {
        // The slot of demo/player-1 is 10,232 of 16,384 (shards::routing).
        let account = DemoAccount {
            operator_account_id: "demo/player-1".to_owned(),
            session_key: String::new(),
        };
        for (shards, owner) in [(1, 0), (2, 1), (4, 2), (16_384, 10_232)] {
            assert_eq!(owner_of(&account, shards).unwrap(), owner, "{shards}");
        }
    }

    #[test]
    fn a_binary_that_cannot_serve_is_an_error_with_its_words() {
        let root = tempfile::tempdir().unwrap();
        let cpus = CpuList::first_allowed();
        let Err(error) = start_purser(Path::new("/bin/false"), 1, &cpus, root.path()) else {
            panic!("/bin/false served");
        };
        assert!(error.to_string().contains("ended early"), "{error}");
    }

    #[test]
    fn readiness_is_status_200_only() {
        let check = |answer: &'static str, expect: bool| {
            let listener = TcpListener::bind(local(0)).unwrap();
            let address = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 1024]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            assert_eq!(says_ready(address), expect, "{answer}");
            server.join().unwrap();
        };
        check("HTTP/1.1 200 OK\r\n\r\n", true);
        check("HTTP/1.1 503 Service Unavailable\r\n\r\n", false);
        check("oops", false);
    }
}
