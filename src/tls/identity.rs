//! Who the server is, and whom it lets in: from PEM texts to what a handshake needs.
//!
//! Everything that can be wrong with the operator's files is found here, at the start, in
//! `config check` and before a reload: a key of another certificate, a certificate that has
//! expired, a file that holds something else. Nothing here reads a file or a clock.

use std::fmt;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::{Timestamp, tz::TimeZone};
use ring::digest;
use rustls::crypto::ring as provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};

use super::validity;

/// What is spoken inside (RFC 7301): the name is registered as that of HTTP/1.1.
const ALPN_PROTOCOL: &[u8] = b"http/1.1";

/// The texts of the operator's files.
#[derive(Clone, Copy)]
pub struct Pem<'a> {
    /// The server's certificate first, then those that lead to its root.
    pub certificate: &'a str,
    /// The private key of the first.
    pub key: &'a str,
    /// The authorities whose clients are let in; none: clients show no certificate.
    pub client_ca: Option<&'a str>,
}

/// Which of the files an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// [`Pem::certificate`].
    Certificate,
    /// [`Pem::key`].
    Key,
    /// [`Pem::client_ca`].
    ClientCa,
}

/// What is wrong with one of the files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct TlsError {
    /// Which one.
    pub part: Part,
    /// What, and what to do.
    pub problem: String,
}

impl TlsError {
    fn new(part: Part, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self { part, problem }
    }
}

/// A server's identity, ready for handshakes. Two of them are equal when their files are.
#[derive(Clone)]
pub struct Tls {
    server: Arc<ServerConfig>,
    not_after: DateTime,
    /// Of the files: tells whether they have changed, and nothing about the key.
    digest: [u8; digest::SHA256_OUTPUT_LEN],
}

impl Tls {
    /// Judges the files as of `now`.
    ///
    /// # Errors
    /// The first file that is wrong.
    pub fn new(pem: &Pem<'_>, now: Timestamp) -> Result<Self, TlsError> {
        let provider = Arc::new(provider::default_provider());
        let (chain, not_after) = chain(pem.certificate, now)?;
        let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).map_err(|_| {
            TlsError::new(
                Part::Key,
                "holds no private key in PEM form (PKCS#8, PKCS#1 or SEC1); \
                 one that is encrypted cannot be read",
            )
        })?;
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|error| {
                TlsError::new(Part::Key, format!("is a key that cannot be used: {error}"))
            })?;
        let identity = CertifiedKey::new(chain, key);
        match identity.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                let problem = "is not the key of the certificate";
                return Err(TlsError::new(Part::Key, problem));
            }
            Err(error) => {
                let problem = format!("holds a certificate that cannot be read: {error}");
                return Err(TlsError::new(Part::Certificate, problem));
            }
        }
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has suites of both versions");
        let builder = match pem.client_ca {
            None => builder.with_no_client_auth(),
            Some(text) => {
                let roots = Arc::new(client_roots(text)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| TlsError::new(Part::ClientCa, error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        server.alpn_protocols = vec![ALPN_PROTOCOL.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        if pem.client_ca.is_some() {
            // A resumed session would let a client in whose certificate has expired since.
            server.send_tls13_tickets = 0;
        } else {
            // Tickets hold the session at the client's: any shard resumes it, and nothing
            // is kept for clients that never come back.
            server.ticketer = provider::Ticketer::new().map_err(|error| {
                TlsError::new(Part::Key, format!("no ticket keys could be made: {error}"))
            })?;
        }
        Ok(Self {
            server: Arc::new(server),
            not_after,
            digest: digest_of(pem),
        })
    }

    /// For the handshake of a connection.
    #[must_use]
    pub fn server(&self) -> &Arc<ServerConfig> {
        &self.server
    }

    /// When the first certificate of the chain ends to be valid, in seconds since 1970.
    #[must_use]
    pub fn expires_at_s(&self) -> i64 {
        let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
        self.not_after.duration_since(epoch).as_secs()
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// The certificates of a file, all of them valid now, and the end of the first.
fn chain(pem: &str, now: Timestamp) -> Result<(Vec<CertificateDer<'static>>, DateTime), TlsError> {
    let wrong = |problem: String| TlsError::new(Part::Certificate, problem);
    let chain = certificates(pem).map_err(wrong)?;
    let now = now.to_zoned(TimeZone::UTC).datetime();
    let mut first_not_after = None;
    for (number, der) in (1..).zip(&chain) {
        let which = if chain.len() == 1 {
            "the certificate".to_owned()
        } else {
            format!("certificate {number} of {}", chain.len())
        };
        let Some(validity) = validity::of_certificate(der) else {
            return Err(wrong(format!("{which} cannot be read")));
        };
        if now > validity.not_after {
            let problem = format!("{which} expired at {}Z; renew it", validity.not_after);
            return Err(wrong(problem));
        }
        if now < validity.not_before {
            let problem = format!(
                "{which} is not valid before {}Z; is the clock right?",
                validity.not_before
            );
            return Err(wrong(problem));
        }
        first_not_after.get_or_insert(validity.not_after);
    }
    let not_after = first_not_after.expect("there is a certificate");
    Ok((chain, not_after))
}

fn client_roots(pem: &str) -> Result<RootCertStore, TlsError> {
    let wrong = |problem: String| TlsError::new(Part::ClientCa, problem);
    let mut roots = RootCertStore::empty();
    for (number, authority) in (1..).zip(certificates(pem).map_err(wrong)?) {
        roots
            .add(authority)
            .map_err(|error| wrong(format!("certificate {number} cannot be read: {error}")))?;
    }
    Ok(roots)
}

/// At least one.
fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err("holds no certificate in PEM form".to_owned()),
        Err(error) => Err(format!("is broken PEM: {error}")),
    }
}

fn digest_of(pem: &Pem<'_>) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let mut context = digest::Context::new(&digest::SHA256);
    for text in [Some(pem.certificate), Some(pem.key), pem.client_ca] {
        // With its length, so that no text runs into the next.
        let len = text.map_or(u64::MAX, |text| text.len() as u64);
        context.update(&len.to_le_bytes());
        context.update(text.unwrap_or_default().as_bytes());
    }
    let digest = context.finish();
    let digest = digest.as_ref().try_into();
    digest.expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::super::testing::Authority;
    use super::*;

    fn now() -> Timestamp {
        "2026-06-01T12:00:00Z".parse().unwrap()
    }

    fn check(pem: &Pem<'_>, part: Part, problem: &str) {
        let error = Tls::new(pem, now()).expect_err(problem);
        assert_eq!((error.part, &*error.problem), (part, problem));
    }

    #[test]
    fn a_chain_with_its_key_is_an_identity() {
        let authority = Authority::new();
        let server = authority.issue("wallet.test", 2026, 2027);
        let chain = format!("{}{}", server.certificate_pem(), authority.pem());
        let pem = Pem {
            certificate: &chain,
            key: &server.key_pem(),
            client_ca: Some(&authority.pem()),
        };
        let tls = Tls::new(&pem, now()).unwrap();
        assert_eq!(tls.expires_at_s(), 1_798_761_600, "2027-01-01");
        assert_eq!(tls, Tls::new(&pem, now()).unwrap());
        let open = Pem {
            client_ca: None,
            ..pem
        };
        assert_ne!(tls, Tls::new(&open, now()).unwrap());
        assert!(!format!("{tls:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_of_that_file() {
        let authority = Authority::new();
        let server = authority.issue("wallet.test", 2026, 2027);
        let other = authority.issue("other.test", 2026, 2027);
        let certificate = server.certificate_pem();
        let key = server.key_pem();
        let good = Pem {
            certificate: &certificate,
            key: &key,
            client_ca: None,
        };
        let no_certificate = "holds no certificate in PEM form";
        for text in ["", "nonsense", &key] {
            let pem = Pem {
                certificate: text,
                ..good
            };
            check(&pem, Part::Certificate, no_certificate);
            let pem = Pem {
                client_ca: Some(text),
                ..good
            };
            check(&pem, Part::ClientCa, no_certificate);
        }
        let no_key = "holds no private key in PEM form (PKCS#8, PKCS#1 or SEC1); \
                      one that is encrypted cannot be read";
        for text in ["", "nonsense", &certificate] {
            check(&Pem { key: text, ..good }, Part::Key, no_key);
        }
        let other = Pem {
            key: &other.key_pem(),
            ..good
        };
        check(&other, Part::Key, "is not the key of the certificate");
        let not_der = "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n";
        let pem = Pem {
            certificate: not_der,
            ..good
        };
        check(&pem, Part::Certificate, "the certificate cannot be read");
    }

    #[test]
    fn a_certificate_outside_of_its_time_is_refused_wherever_it_stands() {
        let authority = Authority::new();
        let good = authority.issue("wallet.test", 2026, 2027);
        let expired = authority.issue("old.test", 2020, 2026);
        let future = authority.issue("new.test", 2027, 2028);
        for (certificate, key, problem) in [
            (
                expired.certificate_pem(),
                expired.key_pem(),
                "the certificate expired at 2026-01-01T00:00:00Z; renew it",
            ),
            (
                future.certificate_pem(),
                future.key_pem(),
                "the certificate is not valid before 2027-01-01T00:00:00Z; is the clock right?",
            ),
            (
                good.certificate_pem() + &expired.certificate_pem(),
                good.key_pem(),
                "certificate 2 of 2 expired at 2026-01-01T00:00:00Z; renew it",
            ),
        ] {
            let pem = Pem {
                certificate: &certificate,
                key: &key,
                client_ca: None,
            };
            check(&pem, Part::Certificate, problem);
        }
    }
}
