//! Whether somebody has set the wall clock while the server runs.
//!
//! The wall clock decides how old a request is, when a session ends and which day a loss
//! belongs to. A time service that slews it slews the monotonic clock too, so the distance
//! between the two stays; only setting the clock changes it. So there is nothing to count
//! or to watch: the distance now, less that at the start, is how far the clock was set.

use std::time::{Duration, Instant, SystemTime};

/// How long reading both clocks may take: then the distance is known to that. A thread that
/// lost its CPU in between tries again.
const READ_MAX: Duration = Duration::from_micros(100);

/// On a machine that is so busy that all of these take longer, the shortest one counts.
const TRIES: usize = 16;

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    wall: SystemTime,
    monotonic: Instant,
}

impl Clocks {
    /// As they stand now.
    #[must_use]
    pub(super) fn now() -> Self {
        let mut best = Self::read();
        for _ in 1..TRIES {
            if best.1 <= READ_MAX {
                break;
            }
            let again = Self::read();
            if again.1 < best.1 {
                best = again;
            }
        }
        best.0
    }

    fn read() -> (Self, Duration) {
        let monotonic = Instant::now();
        let wall = SystemTime::now();
        (Self { wall, monotonic }, monotonic.elapsed())
    }

    /// How far the wall clock was set since `start`, in seconds; below zero, if backwards.
    #[must_use]
    pub(super) fn wall_set_seconds(self, start: Self) -> f64 {
        let wall = match self.wall.duration_since(start.wall) {
            Ok(ahead) => ahead.as_secs_f64(),
            Err(behind) => -behind.duration().as_secs_f64(),
        };
        wall - self.monotonic.duration_since(start.monotonic).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_passes_is_no_setting_and_a_setting_is_seen_both_ways() {
        let start = Clocks::now();
        let minute = Duration::from_secs(60);
        for (set_s, wall) in [
            (0.0, start.wall + minute),
            (3_600.0, start.wall + 61 * minute),
            (-7_200.0, start.wall - 119 * minute),
        ] {
            let later = Clocks {
                wall,
                monotonic: start.monotonic + minute,
            };
            let seen = later.wall_set_seconds(start);
            assert!((seen - set_s).abs() < 1e-6, "{seen} for {set_s}");
        }
    }
}
