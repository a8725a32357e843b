//! A configuration as it is written: names and types, nothing judged.
//!
//! Every value keeps its span, so that whoever judges it can say where it stands.
//! None of these types has a `Debug`: they hold secrets in plain text.

use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use toml::Spanned;

/// A key that may be left out.
pub(super) type Item<T> = Option<Spanned<T>>;

/// A list that may be left out.
pub(super) type List<T> = Option<Vec<Spanned<T>>>;

/// A table and nothing else. Without this, serde would take a list for a table
/// and deal its items out to the keys in the order of their declaration.
#[derive(Default)]
pub(super) struct Table<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TableVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
            type Value = Table<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Table<T>, M::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Table)
            }
        }
        deserializer.deserialize_map(TableVisitor(PhantomData))
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Root {
    pub(super) data_dir: Item<String>,
    pub(super) shards: Item<i64>,
    pub(super) pin: Item<Pin>,
    pub(super) shutdown_timeout: Item<String>,
    pub(super) log_level: Item<String>,
    pub(super) log_format: Item<String>,
    pub(super) slow_request: Item<String>,
    pub(super) trusted_proxies: List<String>,
    pub(super) listen: Table<Listen>,
    pub(super) admin: Table<Admin>,
    pub(super) limits: Table<Limits>,
    pub(super) ledger: Table<Ledger>,
    pub(super) log: Table<Log>,
    pub(super) domain: Vec<Table<Domain>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Listen {
    pub(super) wallet: Item<String>,
    pub(super) admin: Item<String>,
    pub(super) shard_ports: Item<i64>,
    pub(super) tls: Item<Table<Tls>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificate: Item<String>,
    pub(super) key: Item<String>,
    pub(super) client_ca: Item<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) token: Item<String>,
    pub(super) token_file: Item<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) max_connections: Item<i64>,
    pub(super) max_connections_per_client: Item<i64>,
    pub(super) max_in_flight: Item<i64>,
    pub(super) header_timeout: Item<String>,
    pub(super) body_timeout: Item<String>,
    pub(super) idle_timeout: Item<String>,
    pub(super) write_timeout: Item<String>,
    pub(super) max_head_bytes: Item<i64>,
    pub(super) max_headers: Item<i64>,
    pub(super) max_body_bytes: Item<i64>,
    pub(super) max_pipelined_bytes: Item<i64>,
    pub(super) max_memory_bytes: Item<MemoryBudget>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ledger {
    pub(super) idempotency_window: Item<String>,
    pub(super) max_clock_skew: Item<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    pub(super) durability: Item<String>,
    pub(super) segment_bytes: Item<i64>,
    pub(super) checkpoint_bytes: Item<i64>,
    pub(super) history: Item<String>,
    pub(super) scrub_bytes_per_second: Item<i64>,
    pub(super) scrub_interval: Item<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Domain {
    pub(super) name: Spanned<String>,
    pub(super) currency: Spanned<String>,
    pub(super) credentials: Spanned<Vec<Spanned<Table<Credential>>>>,
    #[serde(default)]
    pub(super) signature_keys: Vec<Spanned<Table<SignatureKey>>>,
    pub(super) allow: List<String>,
    pub(super) platform_keys: List<String>,
    pub(super) games: List<String>,
    pub(super) funds_priority: Item<String>,
    pub(super) session_token_ttl: Item<String>,
    pub(super) single_use_tokens: Item<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credential {
    pub(super) user: Spanned<String>,
    pub(super) password: Item<String>,
    pub(super) password_file: Item<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignatureKey {
    pub(super) id: Item<String>,
    pub(super) key: Item<String>,
    pub(super) key_file: Item<String>,
}

/// `pin`: a boolean or a word.
pub(super) enum Pin {
    Switch(bool),
    Word(String),
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PinVisitor;
        impl Visitor<'_> for PinVisitor {
            type Value = Pin;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"auto\", true or false")
            }

            fn visit_bool<E: Error>(self, yes: bool) -> Result<Pin, E> {
                Ok(Pin::Switch(yes))
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Pin, E> {
                Ok(Pin::Word(word.to_owned()))
            }
        }
        deserializer.deserialize_any(PinVisitor)
    }
}

/// `max_memory_bytes`: a number or a word.
pub(super) enum MemoryBudget {
    Bytes(i64),
    Word(String),
}

impl<'de> Deserialize<'de> for MemoryBudget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BudgetVisitor;
        impl Visitor<'_> for BudgetVisitor {
            type Value = MemoryBudget;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"auto\", \"off\" or a number of bytes")
            }

            fn visit_i64<E: Error>(self, bytes: i64) -> Result<MemoryBudget, E> {
                Ok(MemoryBudget::Bytes(bytes))
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<MemoryBudget, E> {
                Ok(MemoryBudget::Word(word.to_owned()))
            }
        }
        deserializer.deserialize_any(BudgetVisitor)
    }
}
