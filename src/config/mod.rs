//! The configuration: one TOML file, overridden by the environment, overridden by flags.
//!
//! Text becomes a [`Config`] once, here; past this door every value is valid
//! (operator.md section 2). The way in: `document` parses the text and lays the
//! overrides over it, remembering where each value came from; `raw` gives the
//! values their types; `value` and `validate` (for `[log]`, `validate_log`) judge them;
//! `print` writes them back; `change` compares two of them, for a server that runs.
//!
//! Invariants:
//! * Every error names the place (file and line, variable or flag) and the key.
//! * A secret appears in no `Debug`, in no error and in no printed configuration.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::domain::Domains;
use crate::tls::Tls;

mod change;
mod document;
mod overrides;
mod placeholder;
mod print;
mod raw;
mod text_file;
mod validate;
mod validate_log;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use change::other_currency;
pub use document::ConfigError;
pub use overrides::Flags;

/// A complete configuration with comments, as `purser config example` prints it.
pub const EXAMPLE: &str = include_str!("example.toml");

/// The configuration of `--demo` (operator.md section 3).
const DEMO: &str = include_str!("demo.toml");

/// More physical cores than the machines of today have. Each shard has a mailbox, reply
/// slots and a log of its own, a few megabytes before the first account.
pub const SHARDS_MAX: u16 = 256;

/// Everything that the operator can decide, valid.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the manifest and the logs live.
    pub data_dir: PathBuf,
    /// How many shards; 0: one per CPU that this process may use.
    pub shards: u16,
    /// Whether each shard keeps to a CPU of its own.
    pub pin: Pin,
    /// How long a drain may take before the process ends anyway.
    pub shutdown_timeout: Duration,
    /// The least important message that is written.
    pub log_level: LogLevel,
    /// The form of the messages.
    pub log_format: LogFormat,
    /// A request that the wallet works on for longer is kept, counted and logged as slow.
    pub slow_request: Duration,
    /// Peers whose `X-Forwarded-For` is believed (protocol.md section 5).
    pub trusted_proxies: Vec<IpNet>,
    /// Addresses.
    pub listen: Listen,
    /// The admin API.
    pub admin: Admin,
    /// Bounds of connections and requests.
    pub limits: Limits,
    /// Rules of bookkeeping that are the operator's to set.
    pub ledger: LedgerSettings,
    /// The write-ahead log.
    pub log: LogSettings,
    /// The brands; never empty in a loaded configuration.
    pub domains: Domains,
}

/// Whether each shard keeps to a CPU of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Decided from what the machine looks like; `preflight::placement` has the rule.
    Auto,
    /// Yes, and refuse to start where that is impossible.
    Always,
    /// No: the kernel's scheduler decides.
    Never,
}

/// The least important message that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The form of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Addresses to listen on.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Of the wallet API. Port 0: any free one.
    pub wallet: SocketAddr,
    /// Of the admin API. Port 0: any free one.
    pub admin: SocketAddr,
    /// Shard `i` also listens on this port plus `i`; 0: it does not.
    pub shard_ports: u16,
    /// TLS of the wallet API, shard ports included; none: plain HTTP.
    pub tls: Option<ListenTls>,
}

/// TLS of the wallet API.
#[derive(Clone, Debug)]
pub struct ListenTls {
    /// The file of the certificate chain.
    pub certificate: PathBuf,
    /// The file of its key.
    pub key: PathBuf,
    /// The file of the authorities whose clients are let in; none: clients need no
    /// certificate.
    pub client_ca: Option<PathBuf>,
    /// What they held when the configuration was read.
    pub identity: Tls,
}

impl Listen {
    /// The ports of `shards` shards, or `None` where shards have no port of their own.
    ///
    /// # Errors
    /// A sentence, when the range ends above 65535 or covers another listener's port.
    pub fn shard_ports_of(&self, shards: u16) -> Result<Option<RangeInclusive<u16>>, String> {
        let first = self.shard_ports;
        if first == 0 || shards == 0 {
            return Ok(None);
        }
        let Some(last) = first.checked_add(shards - 1) else {
            return Err(format!(
                "{shards} shards need the ports from {first} on, and ports end at 65535"
            ));
        };
        for (key, port) in [
            ("listen.wallet", self.wallet.port()),
            ("listen.admin", self.admin.port()),
        ] {
            if (first..=last).contains(&port) {
                return Err(format!(
                    "{shards} shards need the ports {first} to {last}, and {port} is that of {key}"
                ));
            }
        }
        Ok(Some(first..=last))
    }
}

/// The admin API.
#[derive(Clone, Debug, Default)]
pub struct Admin {
    /// What a caller must show. `None` is good enough for `config check` only,
    /// since the environment of the service may bring the token.
    pub token: Option<Secret>,
}

impl Admin {
    /// The token.
    ///
    /// # Errors
    /// There is none; the message says how to set one.
    pub fn require_token(&self) -> Result<&Secret, ConfigError> {
        self.token
            .as_ref()
            .ok_or_else(ConfigError::admin_token_missing)
    }
}

/// A text that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for comparing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Bounds of connections and requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections over all shards.
    pub max_connections: u32,
    /// Of them for one peer address; 0: as many as there are.
    pub max_connections_per_client: u32,
    /// Requests of one shard that wait for their answers at a time.
    pub max_in_flight: usize,
    /// From the first byte of a request head to its last.
    pub header_timeout: Duration,
    /// From the end of the head to the end of the body.
    pub body_timeout: Duration,
    /// Between requests on a kept-alive connection.
    pub idle_timeout: Duration,
    /// For a client to take an answer.
    pub write_timeout: Duration,
    /// A request head.
    pub max_head_bytes: usize,
    /// Field lines of a head.
    pub max_headers: usize,
    /// A request body.
    pub max_body_bytes: usize,
    /// What is read ahead for a client that sends requests before it has its answers.
    pub max_pipelined_bytes: usize,
    /// The heap of the process.
    pub max_memory: MemoryBudget,
}

/// How much memory the process may take before it refuses to remember more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryBudget {
    /// A share of what the machine or its control group allows; `usage::budget` has it.
    #[default]
    Auto,
    /// As much as there is.
    Off,
    /// So many bytes.
    Bytes(u64),
}

impl MemoryBudget {
    /// Less is a slip of the unit: an empty server takes more.
    pub const BYTES_MIN: u64 = 1 << 20;
}

/// Rules of bookkeeping that are the operator's to set (protocol.md section 8).
#[derive(Clone, Copy, Debug)]
pub struct LedgerSettings {
    /// How long a transaction is remembered, from its booking.
    pub idempotency_window: Duration,
    /// How far ahead of our clock a request's `Timestamp` may be.
    pub max_clock_skew: Duration,
}

/// The write-ahead log.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    /// What must have happened before an answer leaves.
    pub durability: Durability,
    /// Size of one segment file, a multiple of [`LogSettings::BLOCK_BYTES`].
    pub segment_bytes: u64,
    /// A checkpoint is made when a shard's closed segments have that many bytes; at
    /// least two segments.
    pub checkpoint_bytes: u64,
    /// How long postings are kept that are in a checkpoint; at least the idempotency window.
    pub history: Duration,
    /// How much of the closed files of all shards is read at most to look for damage; 0:
    /// nothing is.
    pub scrub_bytes_per_second: u64,
    /// How long after such a round began the next one begins at the earliest.
    pub scrub_interval: Duration,
}

impl LogSettings {
    /// Direct I/O writes whole blocks of this size.
    pub const BLOCK_BYTES: u64 = 4_096;
}

/// What must have happened to a posting before its answer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It is on disk.
    Fsync,
    /// The kernel has it: survives a crash of the process, not of the machine.
    Os,
}

impl Default for Config {
    /// operator.md section 2, without a token and without domains.
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("purser-data"),
            shards: 0,
            pin: Pin::Auto,
            shutdown_timeout: Duration::from_secs(10),
            log_level: LogLevel::Info,
            log_format: LogFormat::Text,
            // A commit takes one or two; a player does not feel it yet.
            slow_request: Duration::from_millis(10),
            trusted_proxies: vec![
                IpNet::from(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST)),
            ],
            listen: Listen {
                wallet: SocketAddr::from(([0, 0, 0, 0], 9816)),
                admin: SocketAddr::from(([127, 0, 0, 1], 9817)),
                shard_ports: 0,
                tls: None,
            },
            admin: Admin::default(),
            limits: Limits {
                max_connections: 10_000,
                max_connections_per_client: 0,
                max_in_flight: 1_024,
                header_timeout: Duration::from_secs(10),
                body_timeout: Duration::from_secs(10),
                idle_timeout: Duration::from_secs(75),
                write_timeout: Duration::from_secs(10),
                max_head_bytes: 16_384,
                max_headers: 64,
                max_body_bytes: 65_536,
                max_pipelined_bytes: 16_384,
                max_memory: MemoryBudget::Auto,
            },
            ledger: LedgerSettings {
                idempotency_window: Duration::from_secs(72 * 60 * 60),
                max_clock_skew: Duration::from_secs(5 * 60),
            },
            log: LogSettings {
                durability: Durability::Fsync,
                segment_bytes: 64 << 20,
                checkpoint_bytes: 1 << 30,
                history: Duration::from_secs(72 * 60 * 60),
                scrub_bytes_per_second: 8 << 20,
                scrub_interval: Duration::from_secs(24 * 60 * 60),
            },
            domains: Domains::default(),
        }
    }
}

/// Where the text of a configuration comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A file.
    File(&'a Path),
    /// The embedded configuration of `--demo`.
    Demo,
}

impl Config {
    /// Reads a configuration, lays `environment` (its `PURSER_…` variables) and
    /// then `flags` over it, reads the secret files that it names, and judges it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place and its key.
    pub fn load(
        source: Source<'_>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let (name, text) = match source {
            Source::File(path) => {
                let name = path.display().to_string();
                let text = text_file::read(path, text_file::CONFIG_BYTES_MAX)
                    .map_err(|why| ConfigError::unreadable(&name, &why))?;
                (name, text)
            }
            Source::Demo => ("the demo configuration".to_owned(), DEMO.to_owned()),
        };
        Self::from_text(&name, &text, environment, flags)
    }

    fn from_text(
        name: &str,
        text: &str,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let environment = overrides::from_environment(environment)?;
        // One byte apart, so that an error at the end of the file is the file's.
        let environment = document::Layer::after(text.len() + 1, environment);
        let flags = document::Layer::after(environment.end(), flags.overrides());
        let layers = [&environment, &flags];
        let document = document::Document::parse(name, text, &layers)?;
        let raw = document.read()?;
        validate::config(&document, raw)
    }
}
