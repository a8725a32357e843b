//! While load runs: the progress bar, and a sample a second for the telemetry.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::RunOptions;
use crate::tally::{ByKind, Interval, merge_by_kind};
use crate::telemetry::Recorder;
use crate::trend::Trend;
use crate::units;

/// How often the server's threads are looked at: twenty looks make a second's shares.
const LOOK: Duration = Duration::from_millis(50);

/// A thread hands its second over when it next wakes: within this time.
const SECOND_COMPLETE: Duration = Duration::from_millis(150);

/// One second of all threads together.
#[derive(Debug, Default)]
pub(crate) struct Second {
    pub(crate) durations: ByKind,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
}

/// Returns when all threads are done.
pub(super) fn watch(
    options: &RunOptions,
    start: Instant,
    collected: &Receiver<Interval>,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let bar = bar(options);
    let mut seconds: BTreeMap<u64, Second> = BTreeMap::new();
    let mut next = 0;
    let mut next_look = start;
    loop {
        let wait = next_look.saturating_duration_since(Instant::now());
        match collected.recv_timeout(wait) {
            Ok(interval) => {
                let second = seconds.entry(interval.second).or_default();
                merge_by_kind(&mut second.durations, &interval.durations);
                second.requests += interval.requests;
                second.failed += interval.failed;
            }
            Err(RecvTimeoutError::Timeout) => {
                next_look = Instant::now() + LOOK;
                recorder.look_at_threads();
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let end_of_next = start + Duration::from_secs(next + 1);
        if Instant::now() >= end_of_next + SECOND_COMPLETE {
            let second = seconds.remove(&next).unwrap_or_default();
            show(&bar, start, &second);
            recorder.record(next, &second)?;
            next += 1;
        }
    }
    // The last second is one that was cut: shorter than others, and no rate.
    bar.finish_and_clear();
    Ok(())
}

fn bar(options: &RunOptions) -> ProgressBar {
    let target = if options.quiet {
        ProgressDrawTarget::hidden()
    } else {
        // Draws on a terminal only.
        ProgressDrawTarget::stderr()
    };
    let seconds = (options.warmup + options.duration).as_secs();
    let bar = ProgressBar::with_draw_target(Some(seconds), target);
    let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len}s {msg}");
    bar.set_style(style.expect("a constant template").progress_chars("=> "));
    bar
}

fn show(bar: &ProgressBar, start: Instant, second: &Second) {
    let mut all = Trend::default();
    for trend in second.durations.iter().flatten() {
        all.merge(trend);
    }
    bar.set_position(start.elapsed().as_secs());
    bar.set_message(format!(
        "{} req/s  med {}  p(95) {}  p(99) {}  failed {}",
        units::grouped(second.requests),
        units::duration(all.percentile_ms(50.0)),
        units::duration(all.percentile_ms(95.0)),
        units::duration(all.percentile_ms(99.0)),
        second.failed
    ));
}
