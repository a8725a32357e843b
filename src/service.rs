//! What a service manager is told: ready, reloading, stopping, and that every shard turns.
//!
//! The protocol is systemd's sd_notify(3): datagrams to the socket that `NOTIFY_SOCKET`
//! names. Where that variable is not set nobody is told anything.
//!
//! Nobody waits for the manager: what its socket has no room for is offered again by a thread
//! of its own, until it is taken, or something newer is told, or [`PATIENCE`] is over. So a
//! manager that hangs holds up neither the start nor the watchdog's thread, and one that was
//! only busy still hears that the server is ready.
//!
//! Invariant: the watchdog is fed only while every shard turns. A pump counts each look for
//! work and is rung every [`HOUSEKEEPING`] when there is none, so a count that stands still
//! means that the shard's thread hangs, or that its executor forgot the pump. Once the
//! server drains, `shutdown_timeout` bounds what is left, and the watchdog is fed until the
//! end: shards that are done do not turn any more.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use sd_notify::NotifyState;
use shards::runtime::{HOUSEKEEPING, ShardMetrics};

/// The looks at the shards in one period of the watchdog: those that see every shard turn
/// feed it. More than two, so that one that comes late does no harm.
const LOOKS_PER_PERIOD: u32 = 4;

/// Below this a shard that turns may be seen not to, since it is rung too seldom for it.
const PERIOD_MIN: Duration = HOUSEKEEPING.saturating_mul(2 * LOOKS_PER_PERIOD);

/// Where the service manager listens (sd_notify(3)).
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// How long something is offered to a manager that takes nothing. Far above any reload of its
/// own; one that hangs for longer needs a person, and the log says so then.
const PATIENCE: Duration = Duration::from_secs(600);

/// Between two offers: often enough for nobody to notice, and no work to speak of.
const OFFER_INTERVAL: Duration = Duration::from_millis(50);

/// How many things were told or offered. Held while a message is sent, so that what is older
/// never comes after what is newer; sending does not wait.
static TOLD: Mutex<u64> = Mutex::new(0);

/// The server reads its data; `systemctl status` shows it.
pub(crate) fn starting() {
    tell(&[NotifyState::Status("reading the log")]);
}

/// After [`stopping`] nothing else is told: a reload during a drain is none.
static IS_STOPPING: AtomicBool = AtomicBool::new(false);

/// The server answers, and does so until told otherwise. Also how a reload ends.
pub(crate) fn ready(status: &str) {
    if IS_STOPPING.load(Ordering::Acquire) {
        return;
    }
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is being read again; [`ready`] must follow.
pub(crate) fn reloading() {
    if IS_STOPPING.load(Ordering::Acquire) {
        return;
    }
    // systemd 253 and later take a reload only with the time at which it began.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[
            NotifyState::Reloading,
            now,
            NotifyState::Status("reading the configuration again"),
        ]),
        Err(error) => tracing::warn!(%error, "the service manager is not told of a reload"),
    }
}

/// The server drains.
pub(crate) fn stopping() {
    IS_STOPPING.store(true, Ordering::Release);
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

fn tell(states: &[NotifyState<'_>]) {
    let mut told = TOLD.lock();
    *told += 1;
    match send(&message(states)) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let number = *told;
            let message = message(states);
            let offering = std::thread::Builder::new()
                .name("notify".to_owned())
                .spawn(move || offer(number, &message));
            if let Err(error) = offering {
                cannot_be_told(&error);
            }
        }
        Err(error) => cannot_be_told(&error),
        Ok(()) => {}
    }
}

/// Feeds the watchdog; a feed for which there is no room is left out, for the next comes soon.
fn feed_once() {
    // Not counted: it makes nothing else old.
    let _order = TOLD.lock();
    match send(&message(&[NotifyState::Watchdog])) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => cannot_be_told(&error),
        Err(_) | Ok(()) => {}
    }
}

/// Offers a message until it is taken, or another was told after it.
fn offer(number: u64, message: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        std::thread::sleep(OFFER_INTERVAL);
        let told = TOLD.lock();
        if *told != number {
            return;
        }
        match send(message) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => {}
            Err(error) => return cannot_be_told(&error),
        }
    }
}

fn cannot_be_told(error: &io::Error) {
    tracing::warn!(%error, "the service manager cannot be told");
}

fn message(states: &[NotifyState<'_>]) -> String {
    let mut message = String::new();
    for state in states {
        let _ = writeln!(message, "{state}");
    }
    message
}

/// One datagram to the manager, if there is one. A socket without room is
/// [`WouldBlock`](io::ErrorKind::WouldBlock).
fn send(message: &str) -> io::Result<()> {
    let Some(name) = std::env::var_os(NOTIFY_SOCKET) else {
        return Ok(());
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    // It is one datagram: it is sent whole or not at all.
    socket.send_to_addr(message.as_bytes(), &address(&name)?)?;
    Ok(())
}

/// A path, or a name of the abstract space, which `@` marks.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

/// Feeds the watchdog of the service manager from a thread of its own, if it has set one.
///
/// # Errors
/// The kernel gives no thread.
pub(crate) fn start_watchdog(
    shards: Vec<Arc<ShardMetrics>>,
    draining: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let Some(period) = sd_notify::watchdog_enabled() else {
        return Ok(());
    };
    if period < PERIOD_MIN {
        tracing::warn!(
            ?period,
            shortest = ?PERIOD_MIN,
            "the watchdog's period is so short that shards are asked too seldom for it"
        );
    }
    std::thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(move || feed(period, &shards, &draining))
        .context("create the watchdog thread")?;
    Ok(())
}

fn feed(period: Duration, shards: &[Arc<ShardMetrics>], draining: &AtomicBool) -> ! {
    let mut turns = Turns::default();
    let mut hung: Vec<usize> = Vec::new();
    loop {
        let now = shards.iter().map(|shard| shard.pump_turns.get()).collect();
        let still = turns.look(now);
        if still.is_empty() || draining.load(Ordering::Acquire) {
            feed_once();
        }
        if still != hung {
            say(&still, period);
            hung = still;
        }
        std::thread::sleep(period / LOOKS_PER_PERIOD);
    }
}

fn say(still: &[usize], period: Duration) {
    if still.is_empty() {
        tracing::info!("every shard turns again; the watchdog is fed");
    } else {
        tracing::error!(
            shards = ?still,
            period_seconds = period.as_secs_f64(),
            "shards do not turn; unless they do again the watchdog ends the process"
        );
    }
}

/// How often each shard had turned when somebody last looked.
#[derive(Default)]
struct Turns(Vec<u64>);

impl Turns {
    /// The shards that have not turned since the last look; the first look finds none.
    fn look(&mut self, now: Vec<u64>) -> Vec<usize> {
        let before = std::mem::replace(&mut self.0, now);
        let both = before.iter().zip(&self.0).enumerate();
        both.filter(|(_, (before, now))| before == now)
            .map(|(shard, _)| shard)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_hangs_while_its_count_stands_still() {
        let mut turns = Turns::default();
        for (now, hung) in [
            ([0, 0, 0], &[] as &[usize]),
            ([1, 1, 1], &[]),
            ([2, 1, 9], &[1]),
            ([3, 1, 9], &[1, 2]),
            ([4, 2, 10], &[]),
            // A count that wrapped has moved.
            ([0, 3, 11], &[]),
            ([0, 3, 11], &[0, 1, 2]),
        ] {
            assert_eq!(turns.look(now.to_vec()), hung, "{now:?}");
        }
    }
}
