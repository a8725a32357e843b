//! What one shard counts of TLS: handshakes, by how they ended.

use rustls::Error;
use shards::metrics::Counter;

/// How a handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// Both sides agreed.
    Done,
    /// What came was no TLS: plain HTTP, or garbage.
    Malformed,
    /// No version, cipher suite or protocol in common.
    Incompatible,
    /// The client's certificate is missing, or none that its authority stands behind.
    ClientCertificate,
    /// The client ended it with an alert: most often it does not trust our certificate.
    Alert,
    /// The client went away in the middle.
    Ended,
    /// It was not over in time.
    Timeout,
    /// Anything else.
    Other,
}

impl Handshake {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 8] = [
        Self::Done,
        Self::Malformed,
        Self::Incompatible,
        Self::ClientCertificate,
        Self::Alert,
        Self::Ended,
        Self::Timeout,
        Self::Other,
    ];

    /// As it is exported.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Malformed => "malformed",
            Self::Incompatible => "incompatible",
            Self::ClientCertificate => "client_certificate",
            Self::Alert => "alert",
            Self::Ended => "ended",
            Self::Timeout => "timeout",
            Self::Other => "other",
        }
    }

    /// What an error of rustls says of the handshake that it ended.
    pub(super) fn failed(error: &Error) -> Self {
        match error {
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerSentOversizedRecord
            | Error::PeerMisbehaved(_)
            | Error::DecryptError => Self::Malformed,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::Incompatible,
            Error::NoCertificatesPresented | Error::InvalidCertificate(_) => {
                Self::ClientCertificate
            }
            Error::AlertReceived(_) => Self::Alert,
            _ => Self::Other,
        }
    }
}

/// The counters of one shard.
#[derive(Debug, Default)]
pub struct TlsMetrics {
    handshakes: [Counter; Handshake::ALL.len()],
}

impl TlsMetrics {
    /// How many handshakes ended like that.
    #[must_use]
    pub fn handshakes(&self, end: Handshake) -> u64 {
        self.handshakes[end as usize].get()
    }

    pub(super) fn record(&self, end: Handshake) {
        self.handshakes[end as usize].add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_own_counter_and_name() {
        let metrics = TlsMetrics::default();
        for (place, end) in Handshake::ALL.into_iter().enumerate() {
            (0..=place).for_each(|_| metrics.record(end));
        }
        let counts = Handshake::ALL.map(|end| metrics.handshakes(end));
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 8]);
        let mut names = Handshake::ALL.map(Handshake::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Handshake::ALL.len());
    }
}
