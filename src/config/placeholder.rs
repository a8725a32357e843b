//! Secrets that were to be changed and were not.

use super::Config;
use crate::domain::Credential;

/// The password that `purser config example` shows, and the README's admin token.
const PLACEHOLDER: &str = "change-me";

impl Config {
    /// A line for each secret that everybody can read in our documentation.
    #[must_use]
    pub fn placeholders(&self) -> Vec<String> {
        let token = self.admin.token.as_ref();
        let of_admin = token
            .filter(|token| token.expose() == PLACEHOLDER)
            .map(|_| format!("the admin token is still `{PLACEHOLDER}`: choose one of your own"));
        let is_placeholder =
            |credential: &Credential| credential.password() == PLACEHOLDER.as_bytes();
        let of_domains = self
            .domains
            .iter()
            .filter(|domain| domain.credentials.iter().any(is_placeholder))
            .map(|domain| {
                let name = &domain.name;
                format!(
                    "a password of domain {name} is still `{PLACEHOLDER}`: choose one of your own"
                )
            });
        of_admin.into_iter().chain(of_domains).collect()
    }
}
