//! The age of a shard's memory: what may be forgotten, and when.
//!
//! Ids and rounds are remembered for a **span** at least. It is cut into [`WINDOWS`]
//! windows by the age at which something was remembered, and a window whose last entry is
//! too old is forgotten as a whole.
//!
//! The age goes by the time between postings, not by the clock's reading, and of that time
//! it counts a **step** at most, a small part of a window: a gap that is longer may be time
//! in which nobody played, or a clock that was set ahead, and nobody can tell. So a clock
//! that jumps ahead, however far, makes the memory older by one step; set back, it makes it
//! younger by as much, so that a clock that goes to and fro comes to nothing. A spare window
//! makes up for sixty jumps ahead that are never set back, or for a clock that runs fast by
//! an eighth; the kernel lets none run fast by more than a tenth (adjtimex(2)).
//!
//! The price: of a time without postings only a step counts, so a shard that rests for hours
//! remembers for longer than it must. While memory is full a posting is let through for each
//! step, so that the age goes on ([`Age::is_due`]).

use std::time::Duration;

use super::{EntryMisfit, MemoryEntry};
use crate::types::UnixMillis;

/// Windows per span. Every new id is looked up in all of them, so few is fast; memory is
/// kept for up to two windows longer than needed, so many is small.
const WINDOWS: i64 = 8;

/// Steps per window: some eight minutes each for 72 hours, seven seconds for one. More would
/// leave room for more jumps of the clock; fewer let more of a quiet night count.
const STEPS: i64 = 64;

/// The window of the memory `to` that what stands in the window `number` of the memory
/// `from` belongs into: it is remembered for at least as long from now on as it would
/// have been.
pub(super) fn window_elsewhere(number: i64, from: &MemoryEntry, to: &MemoryEntry) -> i64 {
    // Negative, or zero for the window that is open now.
    let end_ms = ((number + 1) * from.span_ms - from.age_ms).min(1);
    (to.age_ms + end_ms - 1).max(0) / to.span_ms.max(1)
}

/// How old a memory is.
pub(super) struct Age {
    window_ms: i64,
    /// The most that counts of the time between two postings.
    step_ms: i64,
    /// How much time has passed from posting to posting, as far as that can be believed.
    /// Less again when the clock is set back: what was remembered last stays in the window
    /// that it was put into, and is remembered for longer.
    age_ms: i64,
    last_at: Option<UnixMillis>,
    /// What was remembered before this time may be forgotten already, because it was to be
    /// remembered for a shorter time then.
    complete_from: Option<UnixMillis>,
    /// What a window spanned in the memory that this one is restored from.
    restored_span_ms: i64,
}

impl MemoryEntry {
    /// A span of time whose windows are as long as in the memory that this is of.
    #[must_use]
    pub fn span(&self) -> Duration {
        let span_ms = self.span_ms.saturating_mul(WINDOWS);
        Duration::from_millis(span_ms.unsigned_abs())
    }

    /// Everything since then is surely remembered, by the span alone.
    fn complete_since(&self) -> Option<UnixMillis> {
        let span_ms = self.span_ms.saturating_mul(WINDOWS);
        let since = |last: UnixMillis| UnixMillis(last.0.saturating_sub(span_ms));
        self.last_at.map(since)
    }
}

impl Age {
    /// Remembers for `span`.
    pub(super) fn new(span: Duration) -> Self {
        // Rounded up, or the windows together would be shorter than they must be.
        let window_ms = span.as_millis().div_ceil(WINDOWS as u128);
        let window_ms = i64::try_from(window_ms).unwrap_or(i64::MAX).max(1);
        Self {
            window_ms,
            step_ms: (window_ms / STEPS).max(1),
            age_ms: 0,
            last_at: None,
            complete_from: None,
            restored_span_ms: 1,
        }
    }

    /// A posting was made at a time.
    pub(super) fn grow_older(&mut self, at: UnixMillis) {
        let passed = self.last_at.map_or(0, |last| at.0.saturating_sub(last.0));
        let counted = passed.clamp(-self.step_ms, self.step_ms);
        self.age_ms = self.age_ms.saturating_add(counted).max(0);
        self.last_at = Some(at);
    }

    /// Whether a posting at this time would count as a whole step.
    pub(super) fn is_due(&self, now: UnixMillis) -> bool {
        self.last_at
            .is_none_or(|last| now.0.abs_diff(last.0) >= self.step_ms.unsigned_abs())
    }

    /// The number of the window that things are remembered in now.
    pub(super) fn window(&self) -> i64 {
        self.age_ms / self.window_ms
    }

    /// Since when everything is remembered that is not too old; nothing if that goes
    /// without saying.
    pub(super) fn complete_from(&self) -> Option<UnixMillis> {
        self.complete_from
    }

    /// For a checkpoint.
    pub(super) fn entry(&self) -> MemoryEntry {
        MemoryEntry {
            span_ms: self.window_ms,
            age_ms: self.age_ms,
            last_at: self.last_at,
            complete_from: self.complete_from,
        }
    }

    /// Takes over the age of another memory.
    pub(super) fn restore(&mut self, memory: &MemoryEntry) -> Result<(), EntryMisfit> {
        if memory.span_ms < 1 || memory.age_ms < 0 {
            return Err(EntryMisfit::Impossible("age of the memory"));
        }
        self.restored_span_ms = memory.span_ms;
        self.age_ms = memory.age_ms;
        self.last_at = memory.last_at;
        self.complete_from = memory.complete_from;
        if memory.span_ms < self.window_ms {
            let complete_from = memory.complete_since();
            self.complete_from = self.complete_from.max(complete_from);
        }
        Ok(())
    }

    /// Whether what another memory had in two windows may come into one.
    pub(super) fn merges_windows(&self) -> bool {
        self.restored_span_ms != self.window_ms
    }

    /// The window for what another memory had in the window `number`. Where windows span
    /// another time now, it is the one that its end falls into: nothing is forgotten sooner.
    pub(super) fn restored_window(&self, number: i64) -> Result<i64, EntryMisfit> {
        let end_ms = number
            .checked_add(1)
            .and_then(|next| next.checked_mul(self.restored_span_ms))
            .filter(|_| number >= 0)
            .ok_or(EntryMisfit::Impossible("window"))?;
        if !self.merges_windows() {
            // It may be ahead of the age, which is less again when a clock was set back.
            return Ok(number);
        }
        Ok((end_ms - 1).min(self.age_ms) / self.window_ms)
    }

    /// The number of the oldest window that must be kept: all of the span, and a spare one.
    pub(super) fn oldest_kept(&self) -> i64 {
        self.window() - WINDOWS - 1
    }
}
