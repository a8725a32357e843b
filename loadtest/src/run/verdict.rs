//! Whether a run was good enough: its thresholds.

use std::collections::BTreeMap;

use anyhow::bail;

use crate::cli::RunOptions;
use crate::flow;
use crate::kind::Kind;
use crate::summary::{self, Metric, ThresholdResult};
use crate::tally::Tally;
use crate::threshold::Threshold;
use crate::world::Scenario;

/// Without thresholds a run must not fail in anything.
const DEFAULTS: [&str; 2] = ["checks:rate==1", "http_req_failed:rate==0"];

/// Those asked for, or that nothing fails.
///
/// # Errors
/// A threshold that names no metric of the scenario: a typing error must not show after ten
/// minutes.
pub(super) fn thresholds(options: &RunOptions) -> anyhow::Result<Vec<Threshold>> {
    let thresholds = if options.threshold.is_empty() {
        DEFAULTS
            .map(|text| text.parse().expect("a threshold of ours"))
            .to_vec()
    } else {
        options.threshold.clone()
    };
    let mut nothing = Tally::default();
    nothing.expect(&kinds(options.scenario));
    judge(&thresholds, &summary::metrics(&nothing, 1.0, 1))?;
    Ok(thresholds)
}

/// The request types of a scenario: its report has all of them, however short the run was.
pub(super) fn kinds(scenario: Scenario) -> Vec<Kind> {
    let flows = match scenario {
        Scenario::Reference => flow::REFERENCE,
        Scenario::Full => flow::FULL,
    };
    let is_sent = |kind: &Kind| {
        let mut steps = flows.iter().flat_map(|flow| flow.steps);
        steps.any(|step| step.kind == *kind)
    };
    Kind::ALL.into_iter().filter(is_sent).collect()
}

/// What each threshold says of the metrics.
///
/// # Errors
/// A threshold names a metric, or a number of one, that does not exist.
pub(super) fn judge(
    thresholds: &[Threshold],
    metrics: &BTreeMap<String, Metric>,
) -> anyhow::Result<Vec<ThresholdResult>> {
    let mut results = Vec::new();
    for threshold in thresholds {
        let Some(metric) = metrics.get(&threshold.metric) else {
            let known: Vec<&str> = metrics.keys().map(String::as_str).collect();
            bail!(
                "--threshold {threshold}: no such metric; there are {}",
                known.join(", ")
            );
        };
        results.push(ThresholdResult {
            metric: threshold.metric.clone(),
            expression: threshold.expression(),
            met: threshold.is_met(metric).map_err(anyhow::Error::msg)?,
        });
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn options(arguments: &[&str]) -> RunOptions {
        let all = [&["loadtest", "run"], arguments].concat();
        match Cli::try_parse_from(all).unwrap().command {
            Command::Run(options) => *options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_run_without_thresholds_must_not_fail_in_anything() {
        let thresholds = thresholds(&options(&[])).unwrap();
        let mut tally = Tally::default();
        tally.expect(&kinds(Scenario::Reference));
        tally.checked(Kind::Balance, &[Some(true), Some(true), None, None]);
        let met = |tally: &Tally| -> Vec<bool> {
            let metrics = summary::metrics(tally, 1.0, 1);
            judge(&thresholds, &metrics)
                .unwrap()
                .iter()
                .map(|result| result.met)
                .collect()
        };
        assert_eq!(met(&tally), [true, true]);
        tally.checked(Kind::Balance, &[Some(false), None, None, None]);
        tally.request(Kind::Balance, true, &crate::tally::Timings::default());
        assert_eq!(met(&tally), [false, false]);
    }

    #[test]
    fn a_name_that_is_not_there_is_said_before_the_load() {
        let full = ["--scenario", "full", "--threshold"];
        let ask =
            |scenario: &[&str], name: &str| thresholds(&options(&[scenario, &[name]].concat()));
        let credit = "http_reqs{requestType:credit}:count>=0";
        assert!(ask(&full, credit).is_ok());
        let error = ask(&["--threshold"], credit).unwrap_err().to_string();
        assert!(error.contains("no such metric"), "{error}");
        let error = ask(&["--threshold"], "http_reqs:p(95)<1")
            .unwrap_err()
            .to_string();
        assert!(error.contains("http_reqs has no p(95)"), "{error}");
    }
}
