//! What a reader of the figures must know before believing them.

use crate::cli::RunOptions;
use crate::prometheus::Scrape;
use crate::summary::Summary;
use crate::units;
use crate::worker::Done;

/// A thread that is busier than this may be what limits the rate.
const BUSY_SHARE: f64 = 0.9;

/// Requests of an open loop that leave later than this, by p(99), are the generator's delay.
const LATE_MS: f64 = 1.0;

/// Wrong answers that are shown.
const COMPLAINTS_SHOWN: usize = 5;

pub(super) fn of(
    summary: &Summary,
    options: &RunOptions,
    metrics: &Result<Scrape, String>,
    done: &[Done],
) -> Vec<String> {
    let mut warnings = Vec::new();
    let generator = &summary.generator;
    let busiest = generator
        .threads
        .iter()
        .map(|thread| thread.share)
        .fold(0.0, f64::max);
    if busiest >= BUSY_SHARE {
        warnings.push(format!(
            "the generator was the bottleneck: a thread of it was {:.0} % busy, so the server \
             may be faster than this rate; give it more CPUs (--cpus, --threads)",
            busiest * 100.0
        ));
    }
    if let Some(late) = generator.late.filter(|late| late.p99 > LATE_MS) {
        warnings.push(format!(
            "the generator was the bottleneck: requests left late although a connection was \
             idle, p(99) {}; that is in the durations and is not the server's",
            units::duration(late.p99)
        ));
    }
    if generator.dropped > 0 {
        warnings.push(format!(
            "{} due requests were never sent, because all {} users waited for answers: the \
             percentiles are too kind",
            units::grouped(generator.dropped),
            options.vus
        ));
    }
    if summary.server.is_some() && options.cpus.is_none() {
        warnings.push(
            "generator and server are on the same machine and not pinned apart: each takes the \
             other's time (taskset -c 0 for the server, --cpus 1 here)"
                .to_owned(),
        );
    }
    if let Err(why) = metrics {
        warnings.push(format!("no metrics of the server, so no hops: {why}"));
    }
    for complaint in done
        .iter()
        .flat_map(|part| &part.complaints)
        .take(COMPLAINTS_SHOWN)
    {
        warnings.push(format!("wrong answer: {complaint}"));
    }
    warnings
}
