//! What a service manager is told: ready, reloading, stopping, and that every shard turns.
//!
//! The protocol is systemd's sd_notify(3): datagrams to the socket that `NOTIFY_SOCKET`
//! names. Where that variable is not set nobody is told anything.
//!
//! Invariant: the watchdog is fed only while every shard turns. A pump counts each look for
//! work and is rung every [`HOUSEKEEPING`] when there is none, so a count that stands still
//! means that the shard's thread hangs, or that its executor forgot the pump. Once the
//! server drains, `shutdown_timeout` bounds what is left, and the watchdog is fed until the
//! end: shards that are done do not turn any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use sd_notify::NotifyState;
use shards::runtime::{HOUSEKEEPING, ShardMetrics};

/// The looks at the shards in one period of the watchdog: those that see every shard turn
/// feed it. More than two, so that one that comes late does no harm.
const LOOKS_PER_PERIOD: u32 = 4;

/// Below this a shard that turns may be seen not to, since it is rung too seldom for it.
const PERIOD_MIN: Duration = HOUSEKEEPING.saturating_mul(2 * LOOKS_PER_PERIOD);

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
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
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
            tell(&[NotifyState::Watchdog]);
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
