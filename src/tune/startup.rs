//! What the server says of its host when it starts: at most three lines, and one metric.
//!
//! Only files are read and two calls made, so a start is not slower for it; what takes long
//! is left to `purser tune`.

use crate::admin::{Kind, MetricsSource};
use crate::config::Config;
use crate::host::Host;

use super::checks::{Extent, examine, failures};
use super::finding::{Finding, Severity};
use super::machine::{Calls, Machine, Needs};

/// Lines that a start may spend on its host: whoever needs more asks `purser tune`.
const LINES_MAX: usize = 3;

/// What a start found.
#[derive(Clone, Debug)]
pub struct AtStart {
    /// By severity, in the order of [`Severity::ALL`].
    failures: [usize; Severity::ALL.len()],
    /// To be logged as warnings.
    pub warnings: Vec<String>,
}

impl AtStart {
    /// Looks at this machine.
    #[must_use]
    pub fn look(config: &Config) -> Self {
        let host = Host::live();
        let needs = Needs::of(config, &host);
        let calls = Calls::quick(&needs.data_dir);
        let machine = Machine::read(host, needs, calls);
        Self::of(&examine(&machine, Extent::AtStart))
    }

    fn of(findings: &[Finding]) -> Self {
        Self {
            failures: Severity::ALL.map(|severity| failures(findings, severity)),
            warnings: warnings(findings),
        }
    }

    /// Writes `purser_tune_failures` at every scrape; it stays what it was at start.
    #[must_use]
    pub fn exporter(&self) -> MetricsSource {
        let failures = self.failures;
        Box::new(move |text| {
            let mut family = text.family(
                "purser_tune_failures",
                Kind::Gauge,
                "Settings of the host that were not as recommended at start, by severity; \
                 `purser tune` names them.",
            );
            for (severity, count) in Severity::ALL.into_iter().zip(failures) {
                family.sample(&[("severity", severity.name())], count);
            }
        })
    }
}

/// The worst first; low ones are not worth a line. The last line says how many there is no
/// line for.
fn warnings(findings: &[Finding]) -> Vec<String> {
    let mut failed: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.has_failed() && finding.severity != Severity::Low)
        .collect();
    failed.sort_by_key(|finding| finding.severity);
    let shown = if failed.len() > LINES_MAX {
        LINES_MAX - 1
    } else {
        failed.len()
    };
    let mut lines: Vec<String> = failed[..shown]
        .iter()
        .map(|finding| {
            let verdict = &finding.verdict;
            format!(
                "host: {} is {}, recommended: {}; `purser tune` says what to do",
                finding.check, verdict.found, verdict.recommended
            )
        })
        .collect();
    let names: Vec<&str> = failed[shown..]
        .iter()
        .map(|finding| finding.check)
        .collect();
    if !names.is_empty() {
        lines.push(format!(
            "host: {} more settings are not as recommended ({}); `purser tune` says what to do",
            names.len(),
            names.join(", ")
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::finding::Verdict;
    use super::*;
    use crate::admin::PrometheusText;
    use crate::config::{Flags, Source};

    fn finding(check: &'static str, severity: Severity, verdict: Verdict) -> Finding {
        Finding {
            check,
            severity,
            why: "",
            verdict,
        }
    }

    fn failed(check: &'static str, severity: Severity) -> Finding {
        finding(check, severity, Verdict::failed("bad", "good", "mend it"))
    }

    #[test]
    fn a_start_spends_three_lines_at_most_the_worst_first() {
        let line = |check| {
            format!("host: {check} is bad, recommended: good; `purser tune` says what to do")
        };
        let fine = finding("a", Severity::Must, Verdict::fine("good", "good"));
        let unknown = finding("b", Severity::Must, Verdict::unknown("not there", "good"));
        let low = failed("c", Severity::Low);
        assert_eq!(warnings(&[fine, unknown, low]), Vec::<String>::new());

        let three = [
            failed("d", Severity::High),
            failed("e", Severity::Must),
            failed("f", Severity::High),
        ];
        assert_eq!(warnings(&three), [line("e"), line("d"), line("f")]);

        let mut four = three.to_vec();
        four.push(failed("g", Severity::High));
        assert_eq!(
            warnings(&four),
            [
                line("e"),
                line("d"),
                "host: 2 more settings are not as recommended (f, g); `purser tune` says what to \
                 do"
                .to_owned()
            ]
        );
    }

    #[test]
    fn failures_are_exported_by_severity() {
        let at_start = AtStart::of(&[
            failed("d", Severity::High),
            failed("e", Severity::High),
            failed("f", Severity::Low),
        ]);
        let mut text = PrometheusText::default();
        at_start.exporter()(&mut text);
        let text = text.into_string();
        for line in [
            "purser_tune_failures{severity=\"must\"} 0",
            "purser_tune_failures{severity=\"high\"} 2",
            "purser_tune_failures{severity=\"low\"} 1",
        ] {
            assert!(text.lines().any(|written| written == line), "{text}");
        }
    }

    /// The best of some, since others use this machine too.
    #[test]
    fn a_look_takes_a_twentieth_of_a_second_at_most() {
        let demo = Config::load(Source::Demo, [], &Flags::default()).unwrap();
        let times = (0..5).map(|_| {
            let start = Instant::now();
            let at_start = AtStart::look(&demo);
            assert!(at_start.warnings.len() <= LINES_MAX);
            start.elapsed()
        });
        let best = times.min().unwrap();
        assert!(best < Duration::from_millis(50), "{best:?}");
    }
}
