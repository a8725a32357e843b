//! What the environment and the command line say over the file.
//!
//! Both become lines of TOML, one for each key, so that they are read, judged
//! and reported by the same code as the file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;

use super::document::ConfigError;

/// What the text of a variable becomes in TOML.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Integer,
    /// `pin` alone.
    TextOrBoolean,
    /// `limits.max_memory_bytes` alone.
    TextOrInteger,
}

/// Every key that holds one value and belongs to no list. A test compares this
/// table with what a printed configuration has.
const SCALAR_KEYS: &[(&str, Kind)] = &[
    ("data_dir", Kind::Text),
    ("shards", Kind::Integer),
    ("pin", Kind::TextOrBoolean),
    ("shutdown_timeout", Kind::Text),
    ("log_level", Kind::Text),
    ("log_format", Kind::Text),
    ("slow_request", Kind::Text),
    ("listen.wallet", Kind::Text),
    ("listen.admin", Kind::Text),
    ("listen.shard_ports", Kind::Integer),
    ("listen.tls.certificate", Kind::Text),
    ("listen.tls.key", Kind::Text),
    ("listen.tls.client_ca", Kind::Text),
    ("admin.token", Kind::Text),
    ("admin.token_file", Kind::Text),
    ("limits.max_connections", Kind::Integer),
    ("limits.max_connections_per_client", Kind::Integer),
    ("limits.max_in_flight", Kind::Integer),
    ("limits.header_timeout", Kind::Text),
    ("limits.body_timeout", Kind::Text),
    ("limits.idle_timeout", Kind::Text),
    ("limits.write_timeout", Kind::Text),
    ("limits.max_head_bytes", Kind::Integer),
    ("limits.max_headers", Kind::Integer),
    ("limits.max_body_bytes", Kind::Integer),
    ("limits.max_pipelined_bytes", Kind::Integer),
    ("limits.max_memory_bytes", Kind::TextOrInteger),
    ("ledger.idempotency_window", Kind::Text),
    ("ledger.max_clock_skew", Kind::Text),
    ("log.durability", Kind::Text),
    ("log.segment_bytes", Kind::Integer),
    ("log.checkpoint_bytes", Kind::Integer),
    ("log.history", Kind::Text),
    ("log.scrub_bytes_per_second", Kind::Integer),
    ("log.scrub_interval", Kind::Text),
];

const PREFIX: &str = "PURSER_";

/// The name that operator.md gives to `admin.token`; `PURSER_ADMIN__TOKEN` works too.
const ADMIN_TOKEN_VARIABLE: &str = "PURSER_ADMIN_TOKEN";

/// Belongs to builds that crash on purpose (reliability.md), not to the configuration.
const FAILPOINT_VARIABLE: &str = shards::failpoint::VARIABLE;

/// One key, set from outside the file.
pub(super) struct Override {
    /// How an error names the place.
    pub(super) origin: String,
    pub(super) key: &'static str,
    value: toml::Value,
}

impl Override {
    /// As TOML, with its line end.
    pub(super) fn line(&self) -> String {
        format!("{} = {}\n", self.key, self.value)
    }
}

/// The command line's part of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--data-dir`.
    pub data_dir: Option<String>,
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--admin-listen`.
    pub admin_listen: Option<SocketAddr>,
    /// `--shards`.
    pub shards: Option<u16>,
}

impl Flags {
    pub(super) fn overrides(&self) -> Vec<Override> {
        let text = |address: SocketAddr| toml::Value::from(address.to_string());
        let values = [
            (
                "--data-dir",
                "data_dir",
                self.data_dir.clone().map(toml::Value::from),
            ),
            ("--listen", "listen.wallet", self.listen.map(text)),
            (
                "--admin-listen",
                "listen.admin",
                self.admin_listen.map(text),
            ),
            (
                "--shards",
                "shards",
                self.shards.map(|n| toml::Value::from(i64::from(n))),
            ),
        ];
        values
            .into_iter()
            .filter_map(|(flag, key, value)| {
                Some(Override {
                    origin: flag.to_owned(),
                    key,
                    value: value?,
                })
            })
            .collect()
    }
}

/// The overrides among some environment variables, in order of their names.
///
/// # Errors
/// A `PURSER_…` variable that names no scalar key, a key set by two variables,
/// or a value that cannot be of the key's type.
pub(super) fn from_environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<Override>, ConfigError> {
    // Sorted, so that the first error does not depend on the environment's order.
    let ours: BTreeMap<String, OsString> = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX) && name != FAILPOINT_VARIABLE)
        .collect();
    let mut found: Vec<Override> = Vec::with_capacity(ours.len());
    for (name, value) in ours {
        let origin = format!("environment variable {name}");
        let Some((key, kind)) = scalar_key(&name) else {
            return Err(ConfigError::new(
                origin,
                "",
                "names no key that holds a single value; PURSER_SHARDS sets shards, \
                 PURSER_LISTEN__WALLET sets wallet in [listen]",
            ));
        };
        if let Some(other) = found.iter().find(|other| other.key == key) {
            let problem = format!("is set by the {} too; keep one", other.origin);
            return Err(ConfigError::new(origin, key, problem));
        }
        let value = value
            .into_string()
            .map_err(|_| ConfigError::new(origin.clone(), key, "is not UTF-8 text"))?;
        let value =
            typed(kind, value).map_err(|problem| ConfigError::new(origin.clone(), key, problem))?;
        found.push(Override { origin, key, value });
    }
    Ok(found)
}

fn scalar_key(variable: &str) -> Option<(&'static str, Kind)> {
    if variable == ADMIN_TOKEN_VARIABLE {
        return Some(("admin.token", Kind::Text));
    }
    let name = variable.strip_prefix(PREFIX)?;
    SCALAR_KEYS
        .iter()
        .find(|(key, _)| key.replace('.', "__").to_uppercase() == name)
        .copied()
}

fn typed(kind: Kind, text: String) -> Result<toml::Value, String> {
    match kind {
        Kind::TextOrBoolean => match text.parse() {
            Ok(yes) => Ok(toml::Value::Boolean(yes)),
            Err(_) => Ok(toml::Value::String(text)),
        },
        Kind::TextOrInteger => match text.parse() {
            Ok(number) => Ok(toml::Value::Integer(number)),
            Err(_) => Ok(toml::Value::String(text)),
        },
        Kind::Text => Ok(toml::Value::String(text)),
        Kind::Integer => text
            .parse()
            .map(toml::Value::Integer)
            .map_err(|_| format!("expected an integer, got {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Admin, Config, Secret};

    #[test]
    fn every_printed_scalar_can_be_overridden() {
        let config = Config {
            admin: Admin {
                token: Some(Secret("t".to_owned())),
            },
            ..Config::default()
        };
        let printed: toml::Table = config.to_toml().parse().unwrap();
        let mut keys = Vec::new();
        for (name, value) in &printed {
            match value {
                toml::Value::Table(table) => {
                    keys.extend(table.keys().map(|key| format!("{name}.{key}")));
                }
                toml::Value::Array(_) => {}
                _ => keys.push(name.clone()),
            }
        }
        // A printed configuration shows the token, never the file it came from, and the
        // files of TLS where there are any.
        keys.push("admin.token_file".to_owned());
        keys.extend(["certificate", "key", "client_ca"].map(|name| format!("listen.tls.{name}")));
        keys.sort();
        let mut known: Vec<&str> = SCALAR_KEYS.iter().map(|(key, _)| *key).collect();
        known.sort_unstable();
        assert_eq!(keys, known);
    }
}
