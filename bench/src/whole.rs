//! `purser-bench macro`: whole servers under load, beside the floor, round by round.
//!
//! A round runs every row once, and every other round runs them backwards, so that a
//! machine that warms up or slows down does so for all rows alike. Server and client
//! have CPUs of their own; on shared ones the two would measure each other.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::Args;

use crate::client::{self, Load, Pace};
use crate::place::Place;
use crate::process;
use crate::report::{self, Report, Round};
use crate::rivals::Programs;
use crate::rows::{Kind, Row};
use crate::servers;

/// Options of `purser-bench macro`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// Where the rivals are that are built from bench/rivals; beside this program or in
    /// bench/rivals/target/release when left out.
    #[arg(long, value_name = "DIR")]
    rivals: Option<PathBuf>,
    /// Rows of the table; all when left out. A rival that is not there is left out too.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROW,...")]
    rows: Vec<Row>,
    /// Keep-alive connections, one request in flight on each.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// Seconds that are counted, per row and round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// Milliseconds of load before the counted seconds.
    #[arg(long, default_value_t = 500)]
    warmup_ms: u32,
    /// How often each row is run; the table shows medians.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Open loop: requests a second, latency counted from the moment each was due.
    #[arg(long, value_name = "REQUESTS_PER_S", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Write every round to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs all rounds and prints the table.
///
/// # Errors
/// A server did not start, a run broke off, or answers were wrong.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let programs = Programs::find(options.rivals.as_deref())?;
    let rows = present(options.rows(), &programs);
    let needs_purser = |row: &Row| matches!(row.kind(), Kind::Purser { .. });
    let place = &options.place;
    let purser = place.purser()?;
    if rows.iter().any(needs_purser) && !purser.is_file() {
        bail!(
            "no server at {}: build it with `cargo build --release` or name it with --purser",
            purser.display()
        );
    }
    if cfg!(debug_assertions) {
        note("this is a debug build: build with --release before you believe a number");
    }
    if place.server_cpus.overlaps(&place.client_cpus) {
        note("server and client share CPUs: they will measure each other");
    }
    process::pin_this_thread(&place.client_cpus)?;

    let mut report = Report {
        machine: report::machine(),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        server_cpus: place.server_cpus.to_string(),
        client_cpus: place.client_cpus.to_string(),
        connections: options.connections as usize,
        warmup_ms: options.load().warmup.as_millis(),
        window_ms: options.load().window.as_millis(),
        rate_per_s: options.rate.map(f64::from),
        rounds: Vec::new(),
    };
    let mut failure_first = None;
    for number in 0..options.rounds as usize {
        let mut kinds = kinds_of(&rows);
        if number % 2 == 1 {
            kinds.reverse();
        }
        for kind in kinds {
            run_kind(
                options,
                &programs,
                &rows,
                kind,
                number,
                &mut report,
                &mut failure_first,
            )?;
        }
    }

    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", report.table())?;
    for warning in report.warnings() {
        note(&warning);
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))?;
    }
    let failures: u64 = report.rounds.iter().map(|round| round.failures).sum();
    if failures > 0 {
        bail!(
            "FAILED: {failures} answers were not status 200 with ErrorCode 0, so the numbers \
             above mean nothing; the first:\n{}",
            failure_first.unwrap_or_default()
        );
    }
    Ok(())
}

impl Options {
    fn rows(&self) -> Vec<Row> {
        if self.rows.is_empty() {
            return Row::ALL.to_vec();
        }
        // In the table's order, each once.
        let asked = |row: &Row| self.rows.contains(row);
        Row::ALL.into_iter().filter(asked).collect()
    }

    fn load(&self) -> Load {
        Load {
            connections: self.connections as usize,
            warmup: Duration::from_millis(self.warmup_ms.into()),
            window: Duration::from_secs(self.seconds.into()),
            pace: self.rate.map_or(Pace::Closed, |rate| Pace::Open {
                requests_per_s: rate.into(),
            }),
        }
    }
}

/// The servers that the rows need, each once, in the order of its first row.
fn kinds_of(rows: &[Row]) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for row in rows {
        if !kinds.contains(&row.kind()) {
            kinds.push(row.kind());
        }
    }
    kinds
}

/// The rows whose servers are there; says which are not, and what to do about it.
fn present(mut rows: Vec<Row>, programs: &Programs) -> Vec<Row> {
    for kind in kinds_of(&rows) {
        if let Kind::Rival(rival) = kind
            && let Err(missing) = programs.check(rival)
        {
            note(&format!("skipped: {missing}"));
            rows.retain(|row| row.kind() != kind);
        }
    }
    rows
}

/// Starts one server, runs its rows, stops it.
fn run_kind(
    options: &Options,
    programs: &Programs,
    rows: &[Row],
    kind: Kind,
    number: usize,
    report: &mut Report,
    failure_first: &mut Option<String>,
) -> anyhow::Result<()> {
    let cpus = &options.place.server_cpus;
    let data_root = &options.place.data_root();
    let server = match kind {
        Kind::Floor => servers::start_floor(cpus, data_root)?,
        Kind::Purser { shards } => {
            servers::start_purser(&options.place.purser()?, shards, cpus, data_root)?
        }
        Kind::Rival(rival) => programs.start(rival, cpus, data_root)?,
    };
    let load = options.load();
    for &row in rows.iter().filter(|row| row.kind() == kind) {
        note(&format!(
            "round {} of {}: {}",
            number + 1,
            options.rounds,
            row.name()
        ));
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
        let targets = row.targets(&server, now_ms)?;
        let sample = client::run(targets, &load, &|| server.cpu_time())
            .with_context(|| format!("row {:?}, round {}", row.name(), number + 1))?;
        report
            .rounds
            .push(Round::new(row, number, load.pace, &sample));
        if failure_first.is_none() {
            failure_first.clone_from(&sample.failure_first);
        }
    }
    server.stop()
}

/// Says something to the person, beside the table on standard output.
fn note(text: &str) {
    // A closed standard error is no reason to stop measuring.
    let _ = writeln!(std::io::stderr().lock(), "purser-bench: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rivals::Rival;

    #[test]
    fn each_server_is_started_once_a_round() {
        assert_eq!(
            kinds_of(&Row::ALL),
            [
                Kind::Floor,
                Kind::Rival(Rival::Uring),
                Kind::Rival(Rival::Nginx),
                Kind::Rival(Rival::May),
                Kind::Rival(Rival::Axum),
                Kind::Purser { shards: 1 },
                Kind::Purser { shards: 2 },
                Kind::Rival(Rival::Redis),
                Kind::Rival(Rival::Postgres),
            ]
        );
        assert_eq!(kinds_of(&[Row::Redeem]), [Kind::Purser { shards: 1 }]);
    }

    #[test]
    fn a_rival_that_is_not_built_is_left_out_and_nothing_else() {
        let nowhere = tempfile::tempdir().unwrap();
        let programs = Programs::find(Some(nowhere.path())).unwrap();
        let rows = present(vec![Row::Floor, Row::Axum, Row::Bet, Row::May], &programs);
        assert_eq!(rows, [Row::Floor, Row::Bet]);
    }
}
