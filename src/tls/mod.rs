//! TLS on the wallet's listener: what the operator's files become, and a stream that
//! speaks it.
//!
//! `identity` turns certificate, key and the authority of clients into what a handshake
//! needs, or says which of them is wrong and why; `validity` reads when a certificate
//! begins and ends. `stream` is a socket whose bytes are encrypted: the connection loop of
//! `http` reads and writes plain text through it and knows of no TLS. `metrics` counts
//! handshakes by how they ended.
//!
//! TLS 1.3 and 1.2 with the suites of rustls, `http/1.1` by ALPN, no early data: what
//! could be replayed never reaches a request. HTTP/2 is not spoken.

mod identity;
mod metrics;
mod stream;
#[cfg(test)]
#[allow(unreachable_pub)]
#[path = "../../tests/common/certificates.rs"]
pub(crate) mod testing;
mod validity;

pub use identity::{Part, Pem, Tls, TlsError};
pub use metrics::{Handshake, TlsMetrics};
pub use stream::TlsStream;
