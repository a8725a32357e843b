//! How much a client may send, and how long it may take.
//!
//! The timeouts but the linger, the bytes and fields of heads, the bytes of bodies and of
//! what is sent ahead, and the requests in flight are the operator's (operator.md
//! section 2); the others are ours.

use std::time::Duration;

/// The bounds of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a whole request head, counted from its first byte, and for the first byte of
    /// a new connection. Not per byte, so that dripping bytes buys no time.
    pub header_timeout: Duration,
    /// For a whole body, counted from the end of its head.
    pub body_timeout: Duration,
    /// Between requests on a connection that is kept alive.
    pub idle_timeout: Duration,
    /// Bytes of a head: request line, fields and the empty line.
    pub max_head_bytes: usize,
    /// Field lines of a head. Proxies add a dozen; each one costs a slot on the stack,
    /// and 64 is the most the parser has ([`Self::HEADERS_MAX`]).
    pub max_headers: usize,
    /// Bytes of a body, once its chunks are joined.
    pub max_body_bytes: usize,
    /// What the read buffer grows to for a client that sends ahead of its answers, and
    /// what it keeps when it is empty. A request that is larger still gets the room that
    /// it needs; what is not read waits in the socket, where the client's own send
    /// buffer feels it. With 10,000 connections that once were busy the default comes
    /// to 160 MiB.
    pub max_pipelined_bytes: usize,
    /// Requests of one shard that the service has and has not answered yet. At some 10 µs
    /// of work for each, whoever is admitted has 10 ms of others before him, and flushes
    /// are as large as they are worth being from a tenth of that on.
    pub max_in_flight: usize,

    /// For a write to make room. Platforms read answers within milliseconds; one that
    /// has not read for this long is gone and only holds memory.
    pub write_timeout: Duration,
    /// How long a connection lingers after its last answer, so that the reset of unread
    /// bytes does not destroy the answer before the client has read it
    /// (RFC 9112 section 9.6).
    pub linger_timeout: Duration,
    /// Bytes of a request line. RFC 9112 section 3 asks for at least 8000; our longest
    /// path has 40.
    pub max_line_bytes: usize,
}

impl Limits {
    /// The most that [`Limits::max_headers`] can be.
    pub const HEADERS_MAX: usize = 64;

    /// The most that [`Limits::max_in_flight`] can be: what is in flight may have a
    /// reply slot, and a shard has that many.
    pub const IN_FLIGHT_MAX: usize = shards::mesh::REPLY_SLOTS;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            max_head_bytes: 16_384,
            max_headers: Self::HEADERS_MAX,
            max_body_bytes: 65_536,
            max_pipelined_bytes: 16_384,
            max_in_flight: 1_024,
            write_timeout: Duration::from_secs(10),
            linger_timeout: Duration::from_secs(2),
            max_line_bytes: 8_192,
        }
    }
}

/// Lines of `X-Forwarded-For` in one head. Each proxy either extends the line or adds
/// one; a chain of more than eight is nobody's, and dropping a line in silence would
/// let a client choose its own address.
pub const FORWARDED_FOR_MAX: usize = 8;

/// Bytes of one chunk's line and of all extensions of one body together. Nobody we know
/// sends extensions; they are a way to make a server work for nothing.
pub const CHUNK_EXTENSION_BYTES_MAX: usize = 1_024;

/// Bytes of the trailers of one body, which we parse and discard.
pub const TRAILER_BYTES_MAX: usize = 4_096;

/// Bytes that a lingering connection still swallows: a body of a few hundred kilobytes
/// that was refused by its length can arrive whole, so that its sender reads the 413.
pub const LINGER_BYTES_MAX: usize = 1 << 20;

/// A new connection's read buffer: about five pipelined bets.
pub const READ_BUFFER_BYTES: usize = 4_096;

/// Unsent answers beyond this leave before the next request is answered: the answers of
/// some 50 requests, below what a socket takes in one write.
pub const OUTPUT_BYTES_FLUSH: usize = 16_384;

/// What an output buffer keeps when it is empty.
pub const OUTPUT_BYTES_KEPT: usize = 32_768;

/// Pipelined requests that one connection may have answered before everybody else gets a
/// turn, those included whose bytes nobody has seen yet: at about 2 µs each that is an
/// eighth of a millisecond.
pub const REQUESTS_PER_TURN_MAX: usize = 64;

/// What a request counts of a turn when its answer had to be waited for: a shard that
/// writes its log itself does so meanwhile, in some 75 µs on a quick disk.
pub const WAITED_REQUEST_WEIGHT: usize = 8;

/// Answers that a refusal for want of room is paid for with. A refusal costs half of what
/// an answer does, so refusing takes a sixteenth of what answering takes, on a whole core as
/// on a tenth of one.
pub const ANSWERS_PER_REFUSAL: u64 = 8;

/// How long a connection queues before it is read though there is still no room: then it is
/// told so. Twice what `Retry-After` says, and less than clients wait for an answer. With N
/// connections that all ask at once, so many are read in vain each second as half of N;
/// what one read brings, a pipeline too, is refused at once.
pub const QUEUE_TIME_MAX: Duration = Duration::from_secs(2);

/// How often deadlines are looked at, and the precision of all of them: fine against
/// timeouts of seconds, and 10,000 connections cost some 20 µs each time.
pub const SWEEP_INTERVAL: Duration = Duration::from_millis(250);

/// The most that one sweep moves the clock. A process that was stopped for a minute has
/// not looked at its sockets either: what waits in them gets its chance.
pub const SWEEP_ADVANCE_MAX: Duration = Duration::from_secs(1);

/// How long a drain leaves an idle connection open for the request that may already be
/// under way: closing at once would answer it with a reset.
pub const DRAIN_GRACE: Duration = Duration::from_millis(250);
