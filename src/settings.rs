//! What may change while the server runs, as the threads that serve see it.
//!
//! Made of a valid [`Config`] and replaced as a whole when the configuration is read again
//! (`reload`). What is not here is decided once, at the start.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::admin::AdminToken;
use crate::config::{self, Config, MemoryBudget};
use crate::domain::Domains;
use crate::http::Limits;
use crate::tls::Tls;

/// One generation of settings.
#[derive(Debug)]
pub struct Settings {
    /// The brands that are served.
    pub domains: Arc<Domains>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Bounds of each connection.
    pub limits: Limits,
    /// Who the wallet's listener is in TLS; none: it speaks plain HTTP.
    pub tls: Option<Tls>,
    /// What lets an operator in; none: nobody.
    pub admin_token: Option<AdminToken>,
    /// What the heap may take.
    pub max_memory: MemoryBudget,
    /// A request that the wallet works on for longer is a slow one.
    pub slow_request: Duration,
}

impl Default for Settings {
    /// Nobody is served, and nothing is slow.
    fn default() -> Self {
        Self {
            domains: Arc::default(),
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
            tls: None,
            admin_token: None,
            max_memory: MemoryBudget::Off,
            slow_request: Duration::MAX,
        }
    }
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let token = config.admin.token.as_ref();
        Self {
            domains: Arc::new(config.domains.clone()),
            trusted_proxies: config.trusted_proxies.clone(),
            limits: http_limits(&config.limits),
            tls: config.listen.tls.as_ref().map(|tls| tls.identity.clone()),
            admin_token: token.and_then(|token| AdminToken::new(token.expose())),
            max_memory: config.limits.max_memory,
            slow_request: config.slow_request,
        }
    }
}

/// The operator's bounds, beside those that are ours.
fn http_limits(operator: &config::Limits) -> Limits {
    Limits {
        header_timeout: operator.header_timeout,
        body_timeout: operator.body_timeout,
        idle_timeout: operator.idle_timeout,
        write_timeout: operator.write_timeout,
        max_head_bytes: operator.max_head_bytes,
        max_headers: operator.max_headers,
        max_body_bytes: operator.max_body_bytes,
        max_pipelined_bytes: operator.max_pipelined_bytes,
        max_in_flight: operator.max_in_flight,
        ..Limits::default()
    }
}
