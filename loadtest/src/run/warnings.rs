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
        let why = if busiest >= BUSY_SHARE {
            "it has too much to do"
        } else {
            "something else ran on its CPUs"
        };
        warnings.push(format!(
            "the generator was late: requests left late although a connection was idle, p(99) \
             {}, its busiest thread {:.0} % busy, so {why}; that is in the durations and is not \
             the server's",
            units::duration(late.p99),
            busiest * 100.0
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::layout::tests::example;
    use crate::summary::Spread;
    use crate::trend::Trend;

    fn warnings(change: impl FnOnce(&mut Summary), arguments: &[&str]) -> String {
        let all = [&["loadtest", "run"], arguments].concat();
        let Command::Run(options) = Cli::try_parse_from(all).unwrap().command else {
            panic!("not a run");
        };
        let mut summary = example();
        summary.generator.threads[0].share = 0.5;
        change(&mut summary);
        of(&summary, &options, &Ok(Scrape::default()), &[]).join("\n")
    }

    #[test]
    fn a_quiet_generator_on_cpus_of_its_own_needs_no_warning() {
        assert_eq!(warnings(|_| {}, &["--cpus", "1"]), "");
    }

    #[test]
    fn what_spoils_the_figures_is_said() {
        let late = |ms| {
            let mut trend = Trend::default();
            trend.record(std::time::Duration::from_millis(ms));
            Some(Spread::from(&trend))
        };
        let pinned = ["--cpus", "1"];
        let busy = warnings(|summary| summary.generator.threads[0].share = 0.93, &pinned);
        assert!(
            busy.contains("bottleneck: a thread of it was 93 % busy"),
            "{busy}"
        );
        let said = warnings(|summary| summary.generator.late = late(5), &pinned);
        assert!(said.contains("left late"), "{said}");
        assert!(said.contains("50 % busy, so something else ran"), "{said}");
        assert_eq!(
            warnings(|summary| summary.generator.late = late(0), &pinned),
            ""
        );
        let said = warnings(|summary| summary.generator.dropped = 1_234, &pinned);
        assert!(
            said.contains("1,234 due requests were never sent"),
            "{said}"
        );
        let said = warnings(|_| {}, &[]);
        assert!(said.contains("not pinned apart"), "{said}");
        let Command::Run(options) = Cli::try_parse_from(["loadtest", "run"]).unwrap().command
        else {
            panic!("not a run");
        };
        let said = of(&example(), &options, &Err("no admin".to_owned()), &[]).join("\n");
        assert!(
            said.contains("no metrics of the server, so no hops: no admin"),
            "{said}"
        );
    }
}
