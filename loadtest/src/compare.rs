//! `loadtest compare`: two runs side by side, number by number, with ratios.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

use crate::summary::{Metric, Summary};
use crate::units;

/// The numbers of a trend that a comparison shows.
const COMPARED: [&str; 3] = ["med", "p(95)", "p(99)"];

/// Reads what `--json` wrote.
///
/// # Errors
/// The file cannot be read or is no result of a run.
pub(crate) fn read(file: &Path) -> anyhow::Result<Summary> {
    let text = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{}: not written by `loadtest run --json`", file.display()))
}

/// The table, ending in a line end. A ratio is B by A: below 1 is faster for durations.
pub(crate) fn table(a: &Summary, b: &Summary) -> String {
    let mut rows: Vec<[String; 4]> = vec![["", "A", "B", "B/A"].map(str::to_owned)];
    let mut push = |name: &str, a: f64, b: f64, format: fn(f64) -> String| {
        let ratio = if a == 0.0 {
            "-".to_owned()
        } else {
            format!("{:.3}", b / a)
        };
        rows.push([name.to_owned(), format(a), format(b), ratio]);
    };
    push(
        "generator CPUs",
        a.generator.cpus,
        b.generator.cpus,
        two_places,
    );
    if let (Some(a), Some(b)) = (&a.server, &b.server) {
        push("server CPUs", a.cpus, b.cpus, two_places);
        push(
            "server CPU µs per request",
            a.us_per_request,
            b.us_per_request,
            two_places,
        );
    }
    for (name, metric_a) in &a.metrics {
        match (metric_a, b.metrics.get(name)) {
            (Metric::Trend(a), Some(Metric::Trend(b))) if a.count > 0 && b.count > 0 => {
                let shown = a.shown().into_iter().zip(b.shown());
                for (a, b) in shown.filter(|(a, _)| COMPARED.contains(&a.0)) {
                    push(&format!("{name} {}", a.0), a.1, b.1, units::duration);
                }
            }
            (Metric::Counter { rate: a, .. }, Some(Metric::Counter { rate: b, .. })) => {
                push(&format!("{name} per second"), *a, *b, two_places);
            }
            (Metric::Rate { rate: a, .. }, Some(Metric::Rate { rate: b, .. })) => {
                push(name, *a, *b, |rate| format!("{:.4}%", rate * 100.0));
            }
            _ => {}
        }
    }
    let widths: [usize; 4] = std::array::from_fn(|column| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    });
    let mut out = String::new();
    for (letter, run) in [("A", &a.run), ("B", &b.run)] {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{letter}: {}, {}, {} users, {:.1} s, started {}",
            run.scenario, run.pace, run.users, run.seconds, run.started_at
        );
    }
    for [name, a, b, ratio] in &rows {
        let [w0, w1, w2, w3] = widths;
        let _ = writeln!(out, "{name:w0$}  {a:>w1$}  {b:>w2$}  {ratio:>w3$}");
    }
    for (letter, summary) in [("A", a), ("B", b)] {
        for warning in &summary.warnings {
            let _ = writeln!(out, "! {letter}: {warning}");
        }
    }
    out
}

fn two_places(number: f64) -> String {
    format!("{number:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::example;

    #[test]
    fn a_run_beside_itself_has_ratios_of_one() {
        let summary = example();
        let table = table(&summary, &summary);
        let row = |name: &str| {
            let line = table.lines().find(|line| line.starts_with(name));
            line.unwrap_or_else(|| panic!("{name} in\n{table}"))
                .split_whitespace()
                .collect::<Vec<_>>()
        };
        assert_eq!(
            row("http_reqs per second"),
            ["http_reqs", "per", "second", "1110.57", "1110.57", "1.000"]
        );
        assert_eq!(
            row("http_req_duration p(95)")[2..],
            ["112.31ms", "112.31ms", "1.000"]
        );
        assert_eq!(row("server CPU µs")[5..], ["7.50", "7.50", "1.000"]);
    }

    #[test]
    fn a_faster_run_has_a_smaller_ratio() {
        let (a, mut b) = (example(), example());
        let Some(Metric::Trend(spread)) = b.metrics.get_mut("http_req_duration") else {
            panic!("no durations");
        };
        spread.p95 /= 2.0;
        let table = table(&a, &b);
        let line = table
            .lines()
            .find(|line| line.starts_with("http_req_duration p(95)"));
        assert!(line.unwrap().ends_with("0.500"), "{table}");
    }

    #[test]
    fn a_summary_survives_its_file() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("a.json");
        std::fs::write(&file, serde_json::to_vec(&example()).unwrap()).unwrap();
        assert_eq!(read(&file).unwrap(), example());
        std::fs::write(&file, "{}").unwrap();
        assert!(read(&file).is_err());
    }
}
