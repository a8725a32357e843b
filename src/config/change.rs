//! What differs between two configurations, and whether a running server can go over from
//! one to the other.
//!
//! Both are compared as they are printed, key by key, so that a key that is new to the
//! configuration counts as one that needs a restart until it is named here. Secrets and
//! the contents of files, which are not printed, are compared by themselves.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use super::Config;
use crate::domain::Domain;

/// Keys that take effect while the server runs, and tables all of whose keys do.
const LIVE_KEYS: &[&str] = &["log_level", "slow_request", "trusted_proxies"];
const LIVE_TABLES: &[&str] = &["admin.", "limits.", "listen.tls."];

impl Config {
    /// The keys that `next` has with other values, in words for a log: no values, and so
    /// no secrets.
    ///
    /// # Errors
    /// A sentence about the first key that cannot change while the server runs.
    pub fn changes_to(&self, next: &Self) -> Result<BTreeSet<String>, String> {
        if self.listen.tls.is_some() != next.listen.tls.is_some() {
            let switched = "listen.tls is switched on or off";
            return Err(format!("{switched}, which needs a restart"));
        }
        let (old, new) = (values(self), values(next));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let mut changes = BTreeSet::new();
        for name in names {
            if old.get(name) == new.get(name) {
                continue;
            }
            let is_live = LIVE_KEYS.contains(&&**name)
                || LIVE_TABLES.iter().any(|table| name.starts_with(table));
            if !is_live {
                return Err(format!("{name} has changed, which needs a restart"));
            }
            changes.insert(name.clone());
        }
        if self.admin.token != next.admin.token {
            changes.insert("admin.token".to_owned());
        }
        if let (Some(old), Some(new)) = (&self.listen.tls, &next.listen.tls)
            && old.identity != new.identity
        {
            changes.insert("listen.tls".to_owned());
        }
        self.domain_changes_to(next, &mut changes)?;
        Ok(changes)
    }

    fn domain_changes_to(&self, next: &Self, changes: &mut BTreeSet<String>) -> Result<(), String> {
        for domain in self.domains.iter() {
            let name = &domain.name;
            let Some(new) = next.domains.get(name) else {
                changes.insert(format!("domain {name} (removed)"));
                continue;
            };
            if new.currency != domain.currency {
                return Err(other_currency(new));
            }
            if new != domain {
                changes.insert(format!(
                    "domain {name}: {}",
                    keys_of(domain, new).join(", ")
                ));
            }
        }
        let added = next.domains.iter().map(|domain| &domain.name);
        let added = added.filter(|name| self.domains.get(name).is_none());
        changes.extend(added.map(|name| format!("domain {name} (added)")));
        Ok(())
    }
}

/// Why a domain cannot be served in the currency that it has now.
pub(crate) fn other_currency(domain: &Domain) -> String {
    format!(
        "the currency of domain {} has changed, and its accounts keep theirs",
        domain.name
    )
}

/// The keys in which two domains of one name differ.
fn keys_of(old: &Domain, new: &Domain) -> Vec<&'static str> {
    let Domain {
        name: _,
        currency: _,
        credentials,
        signature_keys,
        allow,
        platform_keys,
        games,
        funds_priority,
        session_token_ttl,
        single_use_tokens,
    } = old;
    [
        ("credentials", *credentials != new.credentials),
        ("signature_keys", *signature_keys != new.signature_keys),
        ("allow", *allow != new.allow),
        ("platform_keys", *platform_keys != new.platform_keys),
        ("games", *games != new.games),
        ("funds_priority", *funds_priority != new.funds_priority),
        (
            "session_token_ttl",
            *session_token_ttl != new.session_token_ttl,
        ),
        (
            "single_use_tokens",
            *single_use_tokens != new.single_use_tokens,
        ),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}

/// All that is printed but the domains, by dotted key.
fn values(config: &Config) -> BTreeMap<String, Value> {
    let mut printed: toml::Table = config
        .to_toml()
        .parse()
        .expect("what is printed can be read");
    printed.remove("domain");
    let mut values = BTreeMap::new();
    flatten("", printed, &mut values);
    values
}

fn flatten(parent: &str, table: toml::Table, values: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        match value {
            Value::Table(table) => flatten(&format!("{parent}{key}."), table, values),
            value => {
                values.insert(format!("{parent}{key}"), value);
            }
        }
    }
}
