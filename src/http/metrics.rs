//! What one shard's HTTP side counts.

use shards::metrics::Counter;

/// The counters of one shard: written on its thread, read at scrape.
#[derive(Debug, Default)]
pub struct HttpMetrics {
    /// Connections taken from the listener.
    pub connections_accepted: Counter,
    /// Connections that are open now.
    pub connections_open: Counter,
    /// Connections answered 503 because all seats were taken.
    pub connections_refused_full: Counter,
    /// Connections answered 503 because their client has as many as one may have.
    pub connections_refused_client: Counter,
    /// Connections dropped without an answer, because even those that are being refused
    /// had become too many.
    pub connections_refused_flood: Counter,
    /// Failures of accepting, such as no file descriptors left.
    pub accept_errors: Counter,
    /// Requests that reached the service.
    pub requests: Counter,
    /// Requests that the service has and has not answered yet.
    pub requests_in_flight: Counter,
    /// Connections whose next request is left in the socket until there is room for it.
    pub connections_queueing: Counter,
    /// Requests answered 503 because as many were in flight as may be.
    pub requests_refused_full: Counter,
    /// Requests refused by their head or framing, by status.
    pub rejections: Rejections,
    /// Heads that did not arrive in time.
    pub timeouts_head: Counter,
    /// Bodies that did not arrive in time.
    pub timeouts_body: Counter,
    /// Connections closed for being silent between requests.
    pub timeouts_idle: Counter,
    /// Connections cut because the client read no answers.
    pub timeouts_write: Counter,
    /// Connections cut because the client did not close after its last answer.
    pub timeouts_linger: Counter,
    /// Bytes of all read and write buffers, used or not, when deadlines were last looked at.
    pub buffer_bytes: Counter,
    /// Connections that ended with an error of the socket, such as a reset.
    pub connections_failed: Counter,
    /// Bytes read.
    pub bytes_in: Counter,
    /// Bytes written.
    pub bytes_out: Counter,
}

/// Counters of rejections by status; those of unlisted statuses share one.
#[derive(Debug, Default)]
pub struct Rejections([Counter; Self::STATUSES.len()]);

impl Rejections {
    /// The statuses with a counter of their own; 0 stands for all others.
    pub const STATUSES: [u16; 15] = [
        400, 404, 405, 408, 411, 413, 414, 415, 417, 431, 500, 501, 503, 505, 0,
    ];

    /// Counts one.
    pub fn add(&self, status: u16) {
        let index = Self::STATUSES.iter().position(|&known| known == status);
        self.0[index.unwrap_or(Self::STATUSES.len() - 1)].add(1);
    }

    /// Each status with its count.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> {
        Self::STATUSES
            .into_iter()
            .zip(self.0.iter().map(Counter::get))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_counts_under_its_status_or_under_the_others() {
        let rejections = Rejections::default();
        for status in [400, 505, 418, 422] {
            rejections.add(status);
        }
        let counted: Vec<_> = rejections.iter().filter(|&(_, count)| count > 0).collect();
        assert_eq!(counted, [(400, 1), (505, 1), (0, 2)]);
    }
}
