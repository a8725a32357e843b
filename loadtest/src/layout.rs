//! The report as text: k6's end-of-test summary, then what k6 does not say.
//!
//! Names, order and columns are those of the summary that the reference was reported with,
//! so that two reports can be laid side by side. Two percentiles are added at the end of a
//! line, p(99) and p(99.9).

use std::fmt::Write;

use crate::summary::{Group, Metric, Summary};
use crate::units;

/// Every line of k6's part starts with it.
const MARGIN: &str = "     ";

/// The report, ending in a line end.
pub(crate) fn report(summary: &Summary) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_groups(&mut out, &summary.groups)
        .and_then(|()| write_metrics(&mut out, summary))
        .and_then(|()| write_generator(&mut out, summary))
        .and_then(|()| write_audit(&mut out, summary))
        .and_then(|()| write_verdict(&mut out, summary));
    out
}

fn write_groups(out: &mut String, groups: &[Group]) -> std::fmt::Result {
    for group in groups {
        writeln!(out, "{MARGIN}█ {}\n", group.name)?;
        for check in &group.checks {
            if check.fails == 0 {
                writeln!(out, "{MARGIN}  ✓ {}", check.name)?;
            } else {
                let all = check.passes + check.fails;
                writeln!(out, "{MARGIN}  ✗ {}", check.name)?;
                writeln!(
                    out,
                    "{MARGIN}   ↳  {:.0}% — ✓ {} / ✗ {}",
                    // Cut: 99.9 % is not all of them.
                    (check.passes as f64 * 100.0 / all as f64).trunc(),
                    check.passes,
                    check.fails
                )?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A line of the table of metrics, taken apart.
struct Row<'a> {
    /// `{ requestType:balance }` for a tag of the metric above.
    name: String,
    is_tag: bool,
    mark: &'static str,
    metric: &'a Metric,
}

fn write_metrics(out: &mut String, summary: &Summary) -> std::fmt::Result {
    let rows: Vec<Row<'_>> = summary
        .metrics
        .iter()
        .map(|(name, metric)| {
            let thresholds = summary
                .thresholds
                .iter()
                .filter(|result| &result.metric == name);
            let mark = match thresholds.map(|result| result.met).reduce(|a, b| a && b) {
                None => " ",
                Some(true) => "✓",
                Some(false) => "✗",
            };
            let (shown, is_tag) = match name.split_once('{') {
                Some((_, tag)) => (format!("{{ {} }}", tag.trim_end_matches('}')), true),
                None => (name.clone(), false),
            };
            Row {
                name: shown,
                is_tag,
                mark,
                metric,
            }
        })
        .collect();
    let name_width = rows
        .iter()
        .map(|row| width(&row.name) + indent(row))
        .max()
        .unwrap_or(0);
    let columns = Columns::of(rows.iter().map(|row| (&*row.name, row.metric)));
    for row in &rows {
        let indent = indent(row);
        let dots = ".".repeat(name_width - width(&row.name) - indent + 3);
        let numbers = columns.format(&row.name, row.metric);
        writeln!(
            out,
            "   {:indent$}{} {}{dots}: {}",
            "",
            row.mark,
            row.name,
            numbers.trim_end()
        )?;
    }
    Ok(())
}

fn indent(row: &Row<'_>) -> usize {
    if row.is_tag { 2 } else { 0 }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// How wide the columns must be so that numbers stand below each other.
struct Columns {
    /// Of each number of a trend.
    trend: [usize; 8],
    /// Of the value, and of the extras behind it.
    value: usize,
    extra: usize,
}

impl Columns {
    fn of<'a>(metrics: impl Iterator<Item = (&'a str, &'a Metric)>) -> Self {
        let mut columns = Self {
            trend: [0; 8],
            value: 0,
            extra: 0,
        };
        for (name, metric) in metrics {
            if let Metric::Trend(spread) = metric {
                for (widest, (_, ms)) in columns.trend.iter_mut().zip(spread.shown()) {
                    *widest = (*widest).max(width(&units::duration(ms)));
                }
            } else {
                let (value, extras) = plain(name, metric);
                columns.value = columns.value.max(width(&value));
                let longest = extras.iter().map(|extra| width(extra)).max();
                columns.extra = columns.extra.max(longest.unwrap_or(0));
            }
        }
        columns
    }

    fn format(&self, name: &str, metric: &Metric) -> String {
        let mut line = String::new();
        if let Metric::Trend(spread) = metric {
            for ((number, ms), columns) in spread.shown().into_iter().zip(self.trend) {
                let _ = write!(line, "{number}={:columns$} ", units::duration(ms));
            }
        } else {
            let (value, extras) = plain(name, metric);
            let _ = write!(line, "{value:0$}", self.value);
            for extra in extras {
                let _ = write!(line, " {extra:0$}", self.extra);
            }
        }
        line
    }
}

/// The value of a metric that is no trend, and what stands behind it.
fn plain(name: &str, metric: &Metric) -> (String, Vec<String>) {
    match *metric {
        Metric::Trend(_) => (String::new(), Vec::new()),
        Metric::Counter { count, rate } if name.starts_with("data_") => {
            let per_s = format!("{}/s", units::bytes(rate));
            (units::bytes(count), vec![per_s])
        }
        Metric::Counter { count, rate } => (format!("{count}"), vec![format!("{rate:.6}/s")]),
        Metric::Rate {
            rate,
            passes,
            fails,
        } => (
            // Cut to two places: only all of them are 100 %.
            format!("{:.2}%", (rate * 1e4 + 1e-9).trunc() / 1e2),
            vec![format!("✓ {passes}"), format!("✗ {fails}")],
        ),
        Metric::Gauge { value, min, max } => (
            format!("{value}"),
            vec![format!("min={min}"), format!("max={max}")],
        ),
    }
}

fn write_generator(out: &mut String, summary: &Summary) -> std::fmt::Result {
    let generator = &summary.generator;
    let run = &summary.run;
    writeln!(out)?;
    writeln!(
        out,
        "{MARGIN}run........: {}, {}, {} users, {} accounts, seed {}, {:.1} s, {}",
        run.scenario, run.pace, run.users, run.accounts, run.seed, run.seconds, run.url
    )?;
    let threads: Vec<String> = generator
        .threads
        .iter()
        .map(|thread| {
            let place = thread.cpu.map(|cpu| format!(" on CPU {cpu}"));
            format!("{:.0} %{}", thread.share * 100.0, place.unwrap_or_default())
        })
        .collect();
    writeln!(
        out,
        "{MARGIN}generator..: {:.2} CPUs in total; threads: {}",
        generator.cpus,
        threads.join(", ")
    )?;
    match &summary.server {
        Some(server) => writeln!(
            out,
            "{MARGIN}server.....: {:.2} CPUs (process {}), {:.2} µs per request",
            server.cpus, server.pid, server.us_per_request
        )?,
        None => writeln!(
            out,
            "{MARGIN}server.....: its CPU time is not known (--server-pid, on this machine)"
        )?,
    }
    if let Some(late) = &generator.late {
        writeln!(
            out,
            "{MARGIN}schedule...: left late by p(50) {}, p(99) {}, max {}; {} due requests never sent",
            units::duration(late.med),
            units::duration(late.p99),
            units::duration(late.max),
            generator.dropped
        )?;
    }
    if generator.retries > 0 {
        writeln!(out, "{MARGIN}retries....: {}", generator.retries)?;
    }
    if let Some(hops) = &summary.hops {
        let all = hops.crossed + hops.own;
        writeln!(
            out,
            "{MARGIN}hops.......: {} of {} commands crossed between {} shards ({:.1} %){}",
            units::grouped(hops.crossed),
            units::grouped(all),
            hops.shards,
            if all == 0 {
                0.0
            } else {
                hops.crossed as f64 * 100.0 / all as f64
            },
            if hops.shard_aware {
                format!("; shard-aware: {} avoided", units::grouped(hops.avoided()))
            } else {
                String::new()
            }
        )?;
    }
    Ok(())
}

fn write_audit(out: &mut String, summary: &Summary) -> std::fmt::Result {
    let Some(audit) = &summary.audit else {
        return writeln!(out, "{MARGIN}money audit: not made (--no-audit)");
    };
    let mark = if audit.is_clean {
        "✓ clean"
    } else {
        "✗ DIFFERENT"
    };
    writeln!(
        out,
        "{MARGIN}money audit: {mark}: {} + {} acknowledged = {} {} over {} accounts",
        audit.before,
        audit.acknowledged,
        audit.after,
        audit.currency,
        units::grouped(audit.accounts)
    )?;
    if !audit.by_type.is_empty() {
        let sums: Vec<String> = audit
            .by_type
            .iter()
            .map(|(name, sum)| format!("{name} {sum}"))
            .collect();
        writeln!(out, "{MARGIN}  booked: {}", sums.join(", "))?;
    }
    writeln!(out, "{MARGIN}  trial balance: {}", audit.trial_balance)?;
    if audit.unsettled > 0 {
        writeln!(
            out,
            "{MARGIN}  {} bookings never had an answer: each may be booked or not",
            audit.unsettled
        )?;
    }
    for difference in &audit.differences {
        writeln!(out, "{MARGIN}  ✗ {difference}")?;
    }
    if audit.difference_count > audit.differences.len() as u64 {
        writeln!(
            out,
            "{MARGIN}  ✗ … and more: {} in all",
            audit.difference_count
        )?;
    }
    Ok(())
}

fn write_verdict(out: &mut String, summary: &Summary) -> std::fmt::Result {
    for result in summary.thresholds.iter().filter(|result| !result.met) {
        writeln!(
            out,
            "{MARGIN}✗ threshold not met: {}:{}",
            result.metric, result.expression
        )?;
    }
    for warning in &summary.warnings {
        writeln!(out, "{MARGIN}! {warning}")?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
