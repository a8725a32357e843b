//! The age of a shard's memory: what may be forgotten, and when.
//!
//! Ids and rounds are remembered for a **span** at least. It is cut into [`WINDOWS`]
//! windows by the age at which something was remembered, and a window whose last entry is
//! too old is forgotten as a whole.
//!
//! The age goes by the time between postings, not by the clock's reading: a clock that
//! jumps ahead must not forget everything at once. One step counts as one window at the
//! most, and a spare window makes up for one such jump; a step back counts as nothing.
//! Where postings are rare, things are remembered for longer than they must be.

use std::time::Duration;

use crate::types::UnixMillis;

/// Windows per span. Every new id is looked up in all of them, so few is fast; memory is
/// kept for up to two windows longer than needed, so many is small.
const WINDOWS: i64 = 8;

/// How old a memory is.
pub(super) struct Age {
    window_ms: i64,
    /// How much time has passed from posting to posting, as far as that can be believed.
    age_ms: i64,
    last_at: Option<UnixMillis>,
}

impl Age {
    /// Remembers for `span`.
    pub(super) fn new(span: Duration) -> Self {
        // Rounded up, or the windows together would be shorter than they must be.
        let window_ms = span.as_millis().div_ceil(WINDOWS as u128);
        Self {
            window_ms: i64::try_from(window_ms).unwrap_or(i64::MAX).max(1),
            age_ms: 0,
            last_at: None,
        }
    }

    /// A posting was made at a time.
    pub(super) fn grow_older(&mut self, at: UnixMillis) {
        let passed = self.last_at.map_or(0, |last| at.0.saturating_sub(last.0));
        self.age_ms += passed.clamp(0, self.window_ms);
        self.last_at = Some(at);
    }

    /// The number of the window that things are remembered in now.
    pub(super) fn window(&self) -> i64 {
        self.age_ms / self.window_ms
    }

    /// The number of the oldest window that must be kept: all of the span, and a spare one.
    pub(super) fn oldest_kept(&self) -> i64 {
        self.window() - WINDOWS - 1
    }
}
