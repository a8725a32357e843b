//! Programs of others: nginx, Redis and PostgreSQL, on free loopback ports, in temporary
//! directories, as durable as purser and otherwise in their own favour.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use nix::unistd::{Uid, User};

use crate::process::{CpuList, Process};
use crate::rivals::{Missing, listening};
use crate::servers::START_TIMEOUT;

/// Programs by the names of their files.
pub(crate) const NGINX: &str = "nginx";
pub(crate) const REDIS: &str = "redis-server";
pub(crate) const POSTGRES: &str = "postgres";

/// Where packages put servers beside the directories of PATH.
const SERVER_DIRECTORIES: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// Below it a directory for each version.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

/// As many connections as the bench may open, and some for nginx itself.
const NGINX_CONNECTIONS: u32 = 100_100;

/// The floor's answer, so that only the server differs.
const NGINX_BODY: &str = concat!(
    r#"{"ErrorCode":0,"Balance":{"CurrencyCode":"EUR","CashFunds":"1000.00","#,
    r#""BonusFunds":"0.00","FundsPriority":"CashFundsFirst"}}"#
);

/// Finds a program.
pub(crate) fn find(name: &'static str) -> Result<PathBuf, Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    directories.extend(SERVER_DIRECTORIES.map(PathBuf::from));
    if name == POSTGRES {
        directories.extend(postgres_directories());
    }
    directories
        .into_iter()
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .ok_or(Missing::NotInstalled(name))
}

/// Of all installed versions, the newest first.
fn postgres_directories() -> Vec<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir(POSTGRES_VERSIONS)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    let directory = |version| Path::new(POSTGRES_VERSIONS).join(format!("{version}/bin"));
    versions.into_iter().map(directory).collect()
}

/// Starts nginx as one process that answers everything with the floor's body.
pub(crate) fn start_nginx(
    address: SocketAddr,
    cpus: &CpuList,
    directory: &Path,
) -> anyhow::Result<Process> {
    let configuration = directory.join("nginx.conf");
    fs::write(&configuration, nginx_configuration(address))?;
    let mut command = Command::new(find(NGINX)?);
    command
        .args(["-e", "stderr", "-p"])
        .arg(directory)
        .arg("-c")
        .arg(&configuration);
    Process::start(NGINX, &mut command, cpus, &directory.join("nginx.log"))
}

/// Paths in it are below the directory that `-p` names.
fn nginx_configuration(address: SocketAddr) -> String {
    format!(
        "daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{ worker_connections {NGINX_CONNECTIONS}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen {address};
        location / {{
            default_type application/json;
            return 200 '{NGINX_BODY}';
        }}
    }}
}}
"
    )
}

/// Starts Redis so that a command is on disk before its answer.
pub(crate) fn start_redis(
    address: SocketAddr,
    cpus: &CpuList,
    directory: &Path,
) -> anyhow::Result<Process> {
    let mut command = Command::new(find(REDIS)?);
    command
        .args(["--bind", &address.ip().to_string()])
        .args(["--port", &address.port().to_string()])
        .arg("--dir")
        .arg(directory)
        .args(["--appendonly", "yes", "--appendfsync", "always"])
        // No copies of everything beside the log while it is measured: purser makes none
        // in that time either.
        .args(["--save", "", "--auto-aof-rewrite-percentage", "0"])
        .args(["--daemonize", "no"]);
    let process = Process::start(REDIS, &mut command, cpus, &directory.join("redis.log"))?;
    listening(process, address)
}

/// What a client needs to know.
pub(crate) fn postgres_url(address: SocketAddr) -> String {
    format!("postgres://purser@{address}/postgres")
}

/// Makes a new cluster of databases and starts PostgreSQL on it, so that a transaction is
/// on disk before it is told.
pub(crate) fn start_postgres(
    address: SocketAddr,
    cpus: &CpuList,
    directory: &Path,
) -> anyhow::Result<Process> {
    // A link on PATH may lead away from the programs that belong to it.
    let program = find(POSTGRES)?.canonicalize()?;
    let initdb = program.with_file_name("initdb");
    let user = postgres_user()?;
    let data = directory.join("postgres");
    fs::create_dir(&data)?;
    if let Some(user) = &user {
        chown(&data, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        // Somebody else must find the way to a directory of theirs in ours.
        fs::set_permissions(directory, Permissions::from_mode(0o711))?;
    }
    let as_user = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(&data).arg("-D").arg(&data);
        if let Some(user) = &user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    };
    // Not synced: what is made here is as new as the run, and the server syncs what follows.
    let made = as_user(&initdb)
        .args(["-U", "purser", "-A", "trust", "-E", "UTF8"])
        .args(["--locale=C", "--no-sync"])
        .output()
        .with_context(|| format!("start {}", initdb.display()))?;
    if !made.status.success() {
        let words = String::from_utf8_lossy(&made.stderr);
        bail!("initdb ended with {}:\n{words}", made.status);
    }
    let mut command = as_user(&program);
    command.args(["-p", &address.port().to_string()]);
    let host = format!("listen_addresses={}", address.ip());
    for setting in [
        host.as_str(),
        // The default may be a directory that only its package's user may write to.
        "unix_socket_directories=",
        "fsync=on",
        "synchronous_commit=on",
        // Room for what the run writes, so that no checkpoint falls into it.
        "max_wal_size=4GB",
        "checkpoint_timeout=1h",
        "shared_buffers=256MB",
        // No replicas: the log holds no more than a crash needs.
        "wal_level=minimal",
        "max_wal_senders=0",
    ] {
        command.args(["-c", setting]);
    }
    let log = directory.join("postgres.log");
    let mut process = Process::start(POSTGRES, &mut command, cpus, &log)?;
    process.wait_until(START_TIMEOUT, || {
        let words = fs::read_to_string(&log).ok()?;
        words.contains("ready to accept connections").then_some(())
    })?;
    Ok(process)
}

/// Whom PostgreSQL runs as when we are root, which it refuses to be.
fn postgres_user() -> anyhow::Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some(user));
        }
    }
    bail!("no user postgres or nobody for PostgreSQL to run as")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_installed_is_named() {
        let error = find("no-such-program").unwrap_err();
        assert_eq!(error, Missing::NotInstalled("no-such-program"));
    }

    #[test]
    fn what_is_installed_starts_listens_and_stops() {
        type Start = fn(SocketAddr, &CpuList, &Path) -> anyhow::Result<Process>;
        let programs: [(&'static str, Start); 3] = [
            (NGINX, |address, cpus, directory| {
                listening(start_nginx(address, cpus, directory)?, address)
            }),
            (REDIS, start_redis),
            (POSTGRES, |address, cpus, directory| {
                listening(start_postgres(address, cpus, directory)?, address)
            }),
        ];
        for (name, start) in programs {
            if find(name).is_err() {
                continue;
            }
            let directory = tempfile::tempdir().unwrap();
            let address = crate::servers::local(crate::servers::free_ports(1).unwrap());
            let cpus = CpuList::first_allowed();
            let process = start(address, &cpus, directory.path()).expect(name);
            process.stop().expect(name);
        }
    }
}
