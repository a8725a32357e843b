//! Who may call: client address, then credentials, then platform key (protocol.md section 5).
//! A signature (`signature`), where the domain asks for one, stands beside the credentials.
//!
//! All of them refuse with the same words, so that a stranger learns nothing of which
//! one was wrong. Credentials are compared in constant time over all credentials of
//! the domain: how long it takes tells neither which one came close nor how close.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::{Choice, ConstantTimeEq as _};

use super::signature::Signed;
use crate::domain::{Credential, Domain};

/// 512 bytes hold a user name and password of 370 characters together; a longer field
/// is decoded on every request instead of being kept for the life of its connection.
const KEPT_BYTES_MAX: usize = 512;

/// What a connection remembers: the last `Authorization` field that was accepted, for
/// which domain and by which settings, so that a platform's next request decodes nothing.
/// Settings that were read again may no longer have the credential, so nothing that was
/// accepted before them counts.
#[derive(Default)]
pub struct Session {
    authorization: Vec<u8>,
    domain: String,
    generation: u64,
    /// The request at hand, for its signature.
    pub(super) signed: Signed,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(hidden)")
    }
}

impl Session {
    /// Whether the `Authorization` field holds one of the domain's credentials, which are
    /// those of the settings of that generation.
    pub(super) fn admits(
        &mut self,
        authorization: Option<&[u8]>,
        domain: &Domain,
        generation: u64,
    ) -> bool {
        let Some(authorization) = authorization else {
            return false;
        };
        // A proxy may send several clients down one connection, so what is
        // remembered is a secret towards the next request as well.
        if self.generation == generation
            && self.domain == domain.name
            && bool::from(self.authorization.ct_eq(authorization))
        {
            return true;
        }
        let admitted = credentials_of(authorization)
            .is_some_and(|presented| any_matches(&domain.credentials, &presented));
        if admitted && authorization.len() <= KEPT_BYTES_MAX {
            self.authorization.clear();
            self.authorization.extend_from_slice(authorization);
            self.domain.clear();
            self.domain.push_str(&domain.name);
            self.generation = generation;
        }
        admitted
    }
}

/// Whether the domain takes requests of that platform.
#[must_use]
pub(super) fn knows_platform(domain: &Domain, platform_key: &str) -> bool {
    domain.platform_keys.is_empty() || domain.platform_keys.contains(platform_key)
}

/// `user:password` of `Basic`, one or more spaces, and canonical base64
/// (RFC 9110 section 11.4, RFC 7617 section 2).
fn credentials_of(authorization: &[u8]) -> Option<Vec<u8>> {
    const SCHEME: &[u8] = b"Basic";
    let (scheme, rest) = authorization.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let encoded = rest.trim_ascii_start();
    if encoded.len() == rest.len() {
        return None;
    }
    STANDARD.decode(encoded.trim_ascii_end()).ok()
}

fn any_matches(credentials: &[Credential], presented: &[u8]) -> bool {
    let none = Choice::from(0);
    credentials
        .iter()
        .fold(none, |any, known| {
            any | matches(known.as_bytes(), presented)
        })
        .into()
}

/// Takes as long as what was presented is long, whatever we know: a known
/// credential is gone round as often as it takes.
fn matches(known: &[u8], presented: &[u8]) -> Choice {
    let same_length = (known.len() as u64).ct_eq(&(presented.len() as u64));
    known
        .iter()
        .cycle()
        .zip(presented)
        .fold(same_length, |same, (known, presented)| {
            same & known.ct_eq(presented)
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shards::types::Currency;

    use super::*;
    use crate::domain::FundsPriority;

    fn domain(name: &str, credentials: &[(&str, &str)]) -> Domain {
        Domain {
            name: name.to_owned(),
            currency: Currency::parse("GBP").unwrap(),
            credentials: credentials
                .iter()
                .map(|(user, password)| Credential::new(user, password))
                .collect(),
            signature_keys: Vec::new(),
            allow: Vec::new(),
            platform_keys: ["GW", "é"].map(str::to_owned).into(),
            games: Default::default(),
            funds_priority: FundsPriority::CashFundsFirst,
            session_token_ttl: Duration::from_secs(60),
            single_use_tokens: false,
        }
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn any_credential_of_the_domain_is_admitted_and_nothing_else() {
        let acme = domain(
            "acme",
            &[("old", "s3cret"), ("new", "pa:ss:wörd"), ("e", "")],
        );
        let cases = [
            (basic("old:s3cret"), true),
            (basic("new:pa:ss:wörd"), true),
            (basic("e:"), true),
            (basic("old:s3cret").replace("Basic", "bAsIC"), true),
            (basic("old:s3cret").replace(' ', "   "), true),
            (basic("old:s3cre"), false),
            (basic("old:s3cret!"), false),
            (basic("old:s3creT"), false),
            (basic("OLD:s3cret"), false),
            (basic("old:pa:ss:wörd"), false),
            (basic("old:s3cretold:s3cret"), false),
            (basic("old"), false),
            (basic(""), false),
            (basic(":"), false),
            (String::new(), false),
            ("Basic".to_owned(), false),
            ("Basic ".to_owned(), false),
            (basic("old:s3cret").replace(' ', ""), false),
            (basic("old:s3cret").replace("Basic", "Bearer"), false),
            (basic("old:s3cret").replace("Basic ", ""), false),
            (format!("{}, {}", basic("old:s3cret"), basic("x:y")), false),
            // "old:s3cret" with bits set that decode to nothing, without padding,
            // in the URL alphabet's place, and with a blank inside.
            ("Basic b2xkOnMzY3JldA==".to_owned(), true),
            ("Basic b2xkOnMzY3JldB==".to_owned(), false),
            ("Basic b2xkOnMzY3JldA".to_owned(), false),
            ("Basic b2xkOnMzY3JldA=".to_owned(), false),
            ("Basic b2xk OnMzY3JldA==".to_owned(), false),
            ("Basic b2xkOnMzY3JldA==\0".to_owned(), false),
        ];
        for (field, expected) in &cases {
            let mut session = Session::default();
            for round in 0..2 {
                let got = session.admits(Some(field.as_bytes()), &acme, 1);
                assert_eq!(got, *expected, "{field:?} in round {round}");
            }
        }
        assert!(!Session::default().admits(None, &acme, 1));
        let open = domain("open", &[]);
        assert!(!Session::default().admits(Some(basic(":").as_bytes()), &open, 1));
    }

    #[test]
    fn what_a_connection_remembers_is_for_one_domain() {
        let acme = domain("acme", &[("gw", "one")]);
        let other = domain("other", &[("gw", "two")]);
        let mut session = Session::default();
        assert!(session.admits(Some(basic("gw:one").as_bytes()), &acme, 1));
        assert!(!session.admits(Some(basic("gw:one").as_bytes()), &other, 1));
        assert!(session.admits(Some(basic("gw:two").as_bytes()), &other, 1));
        assert!(!session.admits(Some(basic("gw:two").as_bytes()), &acme, 1));
        assert!(session.admits(Some(basic("gw:one").as_bytes()), &acme, 1));
        assert!(!session.admits(Some(b""), &acme, 1));
        assert!(!session.admits(None, &acme, 1));
    }

    #[test]
    fn what_a_connection_remembers_is_for_one_generation_of_settings() {
        let before = domain("acme", &[("gw", "one"), ("gw", "two")]);
        let after = domain("acme", &[("gw", "two")]);
        let mut session = Session::default();
        for (field, domain, generation, expected) in [
            ("gw:one", &before, 1, true),
            ("gw:one", &before, 1, true),
            ("gw:one", &after, 2, false),
            ("gw:two", &after, 2, true),
            ("gw:one", &after, 2, false),
            ("gw:one", &before, 3, true),
        ] {
            let field = basic(field);
            let got = session.admits(Some(field.as_bytes()), domain, generation);
            assert_eq!(got, expected, "{field} in generation {generation}");
        }
    }

    #[test]
    fn a_long_field_is_admitted_but_not_kept() {
        let password = "p".repeat(2_000);
        let acme = domain("acme", &[("gw", &password)]);
        let mut session = Session::default();
        for _ in 0..2 {
            assert!(session.admits(Some(basic(&format!("gw:{password}")).as_bytes()), &acme, 1));
            assert!(session.authorization.is_empty());
        }
    }

    #[test]
    fn platform_keys_are_exact_where_the_domain_lists_them() {
        let mut acme = domain("acme", &[]);
        for (key, known) in [("GW", true), ("é", true), ("gw", false), ("", false)] {
            assert_eq!(knows_platform(&acme, key), known, "{key}");
        }
        acme.platform_keys.clear();
        assert!(knows_platform(&acme, "any"));
    }
}
