//! Writes the effective configuration as TOML, every secret as `"hidden"`.

use std::path::PathBuf;

use serde::Serialize;

use super::validate::Word;
use super::{Config, ListenTls, MemoryBudget, Pin};
use crate::domain::{Credential, Domain, SignatureKey};

const HIDDEN: &str = "hidden";

/// As long as a key must be, so that what is printed is a valid configuration.
const HIDDEN_KEY: &str = "hidden hidden hidden hidden hidden";

#[derive(Serialize)]
struct Printed {
    data_dir: String,
    shards: u16,
    pin: PrintedPin,
    shutdown_timeout: String,
    log_level: &'static str,
    log_format: &'static str,
    slow_request: String,
    trusted_proxies: Vec<String>,
    listen: PrintedListen,
    admin: PrintedAdmin,
    limits: PrintedLimits,
    ledger: PrintedLedger,
    log: PrintedLog,
    domain: Vec<PrintedDomain>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PrintedPin {
    Word(&'static str),
    Switch(bool),
}

#[derive(Serialize)]
struct PrintedListen {
    wallet: String,
    admin: String,
    shard_ports: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<PrintedTls>,
}

#[derive(Serialize)]
struct PrintedTls {
    certificate: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ca: Option<String>,
}

#[derive(Serialize)]
struct PrintedAdmin {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'static str>,
}

#[derive(Serialize)]
struct PrintedLimits {
    max_connections: u32,
    max_connections_per_client: u32,
    max_in_flight: usize,
    header_timeout: String,
    body_timeout: String,
    idle_timeout: String,
    write_timeout: String,
    max_head_bytes: usize,
    max_headers: usize,
    max_body_bytes: usize,
    max_pipelined_bytes: usize,
    max_memory_bytes: PrintedBudget,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PrintedBudget {
    Word(&'static str),
    Bytes(u64),
}

#[derive(Serialize)]
struct PrintedLedger {
    idempotency_window: String,
    max_clock_skew: String,
}

#[derive(Serialize)]
struct PrintedLog {
    durability: &'static str,
    segment_bytes: u64,
    checkpoint_bytes: u64,
    history: String,
    scrub_bytes_per_second: u64,
    scrub_interval: String,
}

#[derive(Serialize)]
struct PrintedDomain {
    name: String,
    currency: String,
    allow: Vec<String>,
    platform_keys: Vec<String>,
    games: Vec<String>,
    funds_priority: &'static str,
    session_token_ttl: String,
    single_use_tokens: bool,
    credentials: Vec<PrintedCredential>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signature_keys: Vec<PrintedKey>,
}

#[derive(Serialize)]
struct PrintedKey {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    key: &'static str,
}

#[derive(Serialize)]
struct PrintedCredential {
    user: String,
    password: &'static str,
}

impl Config {
    /// This configuration as TOML, complete, with secrets shown as `"hidden"`.
    ///
    /// # Panics
    /// Never: plain tables of texts and numbers always have a TOML form.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(&printed(self)).expect("tables of texts and numbers have a TOML form")
    }
}

fn printed(config: &Config) -> Printed {
    let duration = |value| humantime::format_duration(value).to_string();
    let mut domain: Vec<_> = config.domains.iter().map(printed_domain).collect();
    domain.sort_by(|a, b| a.name.cmp(&b.name));
    Printed {
        data_dir: config.data_dir.display().to_string(),
        shards: config.shards,
        pin: match config.pin {
            Pin::Auto => PrintedPin::Word("auto"),
            Pin::Always => PrintedPin::Switch(true),
            Pin::Never => PrintedPin::Switch(false),
        },
        shutdown_timeout: duration(config.shutdown_timeout),
        log_level: config.log_level.word(),
        log_format: config.log_format.word(),
        slow_request: duration(config.slow_request),
        trusted_proxies: texts(&config.trusted_proxies),
        listen: PrintedListen {
            wallet: config.listen.wallet.to_string(),
            admin: config.listen.admin.to_string(),
            shard_ports: config.listen.shard_ports,
            tls: config.listen.tls.as_ref().map(printed_tls),
        },
        admin: PrintedAdmin {
            token: config.admin.token.as_ref().map(|_| HIDDEN),
        },
        limits: PrintedLimits {
            max_connections: config.limits.max_connections,
            max_connections_per_client: config.limits.max_connections_per_client,
            max_in_flight: config.limits.max_in_flight,
            header_timeout: duration(config.limits.header_timeout),
            body_timeout: duration(config.limits.body_timeout),
            idle_timeout: duration(config.limits.idle_timeout),
            write_timeout: duration(config.limits.write_timeout),
            max_head_bytes: config.limits.max_head_bytes,
            max_headers: config.limits.max_headers,
            max_body_bytes: config.limits.max_body_bytes,
            max_pipelined_bytes: config.limits.max_pipelined_bytes,
            max_memory_bytes: match config.limits.max_memory {
                MemoryBudget::Auto => PrintedBudget::Word("auto"),
                MemoryBudget::Off => PrintedBudget::Word("off"),
                MemoryBudget::Bytes(bytes) => PrintedBudget::Bytes(bytes),
            },
        },
        ledger: PrintedLedger {
            idempotency_window: duration(config.ledger.idempotency_window),
            max_clock_skew: duration(config.ledger.max_clock_skew),
        },
        log: PrintedLog {
            durability: config.log.durability.word(),
            segment_bytes: config.log.segment_bytes,
            checkpoint_bytes: config.log.checkpoint_bytes,
            history: duration(config.log.history),
            scrub_bytes_per_second: config.log.scrub_bytes_per_second,
            scrub_interval: duration(config.log.scrub_interval),
        },
        domain,
    }
}

fn printed_tls(tls: &ListenTls) -> PrintedTls {
    let path = |path: &PathBuf| path.display().to_string();
    PrintedTls {
        certificate: path(&tls.certificate),
        key: path(&tls.key),
        client_ca: tls.client_ca.as_ref().map(path),
    }
}

fn printed_domain(domain: &Domain) -> PrintedDomain {
    PrintedDomain {
        name: domain.name.clone(),
        currency: domain.currency.to_string(),
        allow: texts(&domain.allow),
        platform_keys: sorted(&domain.platform_keys),
        games: sorted(&domain.games),
        funds_priority: domain.funds_priority.as_str(),
        session_token_ttl: humantime::format_duration(domain.session_token_ttl).to_string(),
        single_use_tokens: domain.single_use_tokens,
        credentials: domain.credentials.iter().map(printed_credential).collect(),
        signature_keys: domain.signature_keys.iter().map(printed_key).collect(),
    }
}

fn printed_key(key: &SignatureKey) -> PrintedKey {
    PrintedKey {
        id: key.id().map(str::to_owned),
        key: HIDDEN_KEY,
    }
}

fn printed_credential(credential: &Credential) -> PrintedCredential {
    // A user name holds no ':' (RFC 7617 section 2), so the first one ends it.
    let user = credential.as_bytes().split(|byte| *byte == b':').next();
    PrintedCredential {
        user: String::from_utf8_lossy(user.unwrap_or_default()).into_owned(),
        password: HIDDEN,
    }
}

fn texts(values: &[impl ToString]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn sorted(values: &hashbrown::HashSet<String>) -> Vec<String> {
    let mut values: Vec<String> = values.iter().cloned().collect();
    values.sort_unstable();
    values
}
