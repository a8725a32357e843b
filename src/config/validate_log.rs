//! Judges `[log]`: what is written, what is kept, and how it is looked through for damage.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::LogSettings;
use super::raw::{self, Item};
use super::validate::{DURABILITIES, YEAR};
use super::value::{Judge, Result};

/// At least 16 blocks, so that a segment holds several batches; at most 4 GiB,
/// since one segment is what the compactor folds at a time.
const SEGMENT_BYTES: RangeInclusive<i64> = 64 << 10..=4 << 30;

/// At least two of the smallest segments, so that a fold is worth a checkpoint; at most
/// what a start reads in a quarter of an hour.
const CHECKPOINT_BYTES: RangeInclusive<i64> = 128 << 10..=1 << 40;

/// Ten years, as long as any law that we know of asks records to be kept.
const HISTORY_MAX: Duration = YEAR.saturating_mul(10);

/// Below the lower one, which is half a segment in ten minutes, a disk is never read to its
/// end, and somebody meant mebibytes; no disk is faster than the upper one.
const SCRUB_BYTES_PER_SECOND: RangeInclusive<i64> = 64 << 10..=64 << 30;

/// A shorter round would be all waking up; after a year without one, no copy of a damaged
/// file is left.
const SCRUB_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=YEAR;

impl Judge<'_> {
    pub(super) fn log(
        &self,
        raw: raw::Log,
        default: LogSettings,
        idempotency_window: Duration,
    ) -> Result<LogSettings> {
        let segment_bytes = self.segment_bytes(raw.segment_bytes, default.segment_bytes)?;
        let checkpoint_bytes = self.integer(
            raw.checkpoint_bytes.as_ref(),
            &CHECKPOINT_BYTES,
            default.checkpoint_bytes.max(2 * segment_bytes),
        )?;
        if checkpoint_bytes < 2 * segment_bytes {
            let problem = format!(
                "expected at least two segments, which are {}, got {checkpoint_bytes}",
                2 * segment_bytes
            );
            return Err(self.wrong(
                raw.checkpoint_bytes.as_ref(),
                "log.checkpoint_bytes",
                problem,
            ));
        }
        // What the admin API shows and what a repeat is judged by must not part.
        let history = idempotency_window..=HISTORY_MAX;
        Ok(LogSettings {
            durability: self.word(raw.durability, DURABILITIES, default.durability)?,
            segment_bytes,
            checkpoint_bytes,
            history: self.duration(raw.history, &history, idempotency_window)?,
            scrub_bytes_per_second: self
                .scrub_rate(raw.scrub_bytes_per_second, default.scrub_bytes_per_second)?,
            scrub_interval: self.duration(
                raw.scrub_interval,
                &SCRUB_INTERVAL,
                default.scrub_interval,
            )?,
        })
    }

    fn segment_bytes(&self, item: Item<i64>, default: u64) -> Result<u64> {
        let bytes = self.integer(item.as_ref(), &SEGMENT_BYTES, default)?;
        if let Some(item) = item.filter(|_| bytes % LogSettings::BLOCK_BYTES != 0) {
            let block = LogSettings::BLOCK_BYTES;
            let problem = format!("expected a multiple of {block}, got {bytes}");
            return Err(self.error(&item.span(), problem));
        }
        Ok(bytes)
    }

    /// 0 is no scrub at all.
    fn scrub_rate(&self, item: Item<i64>, default: u64) -> Result<u64> {
        match item.map(|item| (item.span(), item.into_inner())) {
            None => Ok(default),
            Some((_, 0)) => Ok(0),
            Some((span, rate)) => u64::try_from(rate)
                .ok()
                .filter(|_| SCRUB_BYTES_PER_SECOND.contains(&rate))
                .ok_or_else(|| {
                    let (least, most) =
                        (SCRUB_BYTES_PER_SECOND.start(), SCRUB_BYTES_PER_SECOND.end());
                    let problem =
                        format!("expected 0 or an integer from {least} to {most}, got {rate}");
                    self.error(&span, problem)
                }),
        }
    }
}
