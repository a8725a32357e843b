//! Domains: the brands of an operator, with what the configuration says of each.

use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use ipnet::IpNet;
use ring::hmac;
use shards::types::Currency;

/// How long a session token lives where nothing else is said (protocol.md section 6).
pub const SESSION_TOKEN_TTL: Duration = Duration::from_secs(60);

/// One brand of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The part of its account ids before the first `/`.
    pub name: String,
    /// Of all its accounts.
    pub currency: Currency,
    /// Any of these lets a platform in; several while one is being replaced.
    pub credentials: Vec<Credential>,
    /// Any of these signs a request; several while one is being replaced. Empty: requests
    /// need no signature.
    pub signature_keys: Vec<SignatureKey>,
    /// Client networks; empty: any.
    pub allow: Vec<IpNet>,
    /// Platform keys; empty: any.
    pub platform_keys: HashSet<String>,
    /// Games; empty: any.
    pub games: HashSet<String>,
    /// Which funds a bet takes first.
    pub funds_priority: FundsPriority,
    /// How long a session token lives, from its own time.
    pub session_token_ttl: Duration,
    /// Whether a session token can be redeemed once only.
    pub single_use_tokens: bool,
}

/// A user name and password of HTTP Basic authentication, as `user:password`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Vec<u8>);

impl Credential {
    /// Joins the two parts; the user name must not contain `:`.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        Self(format!("{user}:{password}").into_bytes())
    }

    /// `user:password`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What stands behind the first `:`.
    #[must_use]
    pub fn password(&self) -> &[u8] {
        let colon = self.0.iter().position(|&byte| byte == b':');
        colon.map_or(&[], |colon| &self.0[colon + 1..])
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(hidden)")
    }
}

/// A key that requests are signed with, and what the operator calls it.
#[derive(Clone)]
pub struct SignatureKey {
    id: Option<String>,
    text: String,
    hmac: hmac::Key,
}

impl SignatureKey {
    /// The bytes of the text are the key.
    #[must_use]
    pub fn new(id: Option<String>, text: &str) -> Self {
        Self {
            id,
            text: text.to_owned(),
            hmac: hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()),
        }
    }

    /// The operator's name for it.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The text itself, for comparing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// For making and checking signatures.
    #[must_use]
    pub fn hmac(&self) -> &hmac::Key {
        &self.hmac
    }
}

impl PartialEq for SignatureKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.text == other.text
    }
}

impl Eq for SignatureKey {}

impl std::fmt::Debug for SignatureKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignatureKey(hidden)")
    }
}

/// Which funds a bet takes first (protocol.md section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum FundsPriority {
    /// Cash, then bonus.
    CashFundsFirst,
    /// Bonus, then cash.
    BonusFundsFirst,
    /// The domain has no bonus funds.
    Unknown,
}

impl FundsPriority {
    /// As the wire says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CashFundsFirst => "CashFundsFirst",
            Self::BonusFundsFirst => "BonusFundsFirst",
            Self::Unknown => "Unknown",
        }
    }
}

/// All domains of a configuration, by name.
#[derive(Clone, Debug, Default)]
pub struct Domains {
    by_name: HashMap<String, Domain>,
    any_signed: bool,
}

impl Domains {
    /// The domain of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Domain> {
        self.by_name.get(name)
    }

    /// Whether any of them asks for signatures.
    #[must_use]
    pub fn any_signed(&self) -> bool {
        self.any_signed
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Domain> {
        self.by_name.values()
    }
}

impl FromIterator<Domain> for Domains {
    fn from_iter<I: IntoIterator<Item = Domain>>(domains: I) -> Self {
        let by_name: HashMap<_, _> = domains
            .into_iter()
            .map(|domain| (domain.name.clone(), domain))
            .collect();
        let any_signed = by_name
            .values()
            .any(|domain: &Domain| !domain.signature_keys.is_empty());
        Self {
            by_name,
            any_signed,
        }
    }
}
