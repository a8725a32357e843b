//! What a run prints and writes: one table of medians, and every round as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::client::{Pace, Sample};
use crate::rows::Row;

/// Above this share of its CPU the client may be what limits the rate.
const CLIENT_CPU_SHARE_MAX: f64 = 0.9;

/// An open run whose client sent 1 in 100 requests later than this, though a
/// connection was idle, measured its own lateness: a tenth of a millisecond is the
/// size of what the table shows.
const LATE_P99_US_MAX: f64 = 100.0;

/// One round of one row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) row: &'static str,
    pub(crate) round: usize,
    pub(crate) requests: u64,
    pub(crate) failures: u64,
    pub(crate) seconds: f64,
    pub(crate) requests_per_s: f64,
    pub(crate) latency_p50_us: f64,
    pub(crate) latency_p95_us: f64,
    pub(crate) latency_p99_us: f64,
    pub(crate) latency_max_us: f64,
    /// User and system time of the server per request of the window.
    pub(crate) server_cpu_us_per_request: f64,
    /// CPU time by wall time; above 1 with several CPUs.
    pub(crate) server_cpu_share: f64,
    pub(crate) client_cpu_share: f64,
    /// Of one answer, head and body: servers are comparable when these are close.
    pub(crate) answer_bytes: usize,
    /// Open pace only: how late the client itself was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) late_p99_us: Option<f64>,
}

impl Round {
    pub(crate) fn new(row: Row, round: usize, pace: Pace, sample: &Sample) -> Self {
        let seconds = sample.elapsed.as_secs_f64();
        let requests = sample.latency_ns.count();
        let us = |ns: u64| ns as f64 / 1_000.0;
        Self {
            row: row.name(),
            round,
            requests,
            failures: sample.failures,
            seconds,
            requests_per_s: requests as f64 / seconds,
            latency_p50_us: us(sample.latency_ns.percentile(0.5)),
            latency_p95_us: us(sample.latency_ns.percentile(0.95)),
            latency_p99_us: us(sample.latency_ns.percentile(0.99)),
            latency_max_us: us(sample.latency_ns.max()),
            server_cpu_us_per_request: sample.server_cpu.as_secs_f64() * 1e6
                / requests.max(1) as f64,
            server_cpu_share: sample.server_cpu.as_secs_f64() / seconds,
            client_cpu_share: sample.client_cpu.as_secs_f64() / seconds,
            answer_bytes: sample.answer_bytes,
            late_p99_us: matches!(pace, Pace::Open { .. })
                .then(|| us(sample.late_ns.percentile(0.99))),
        }
    }
}

/// Everything that a later reader needs to judge the numbers.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) command: String,
    pub(crate) server_cpus: String,
    pub(crate) client_cpus: String,
    pub(crate) connections: usize,
    pub(crate) warmup_ms: u128,
    pub(crate) window_ms: u128,
    /// Open pace: the rate asked for.
    pub(crate) rate_per_s: Option<f64>,
    pub(crate) rounds: Vec<Round>,
}

impl Report {
    /// The table of medians.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "machine   {}\ncommand   {}\npinning   server on CPU {}, client on CPU {}; \
             {} connections\n\n",
            self.machine, self.command, self.server_cpus, self.client_cpus, self.connections
        );
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<24}{:>10}{:>9}{:>9}{:>9}{:>9}{:>12}{:>11}{:>11}{:>8}{:>11}{:>10}",
            "server",
            "req/s",
            "spread",
            "p50 us",
            "p95 us",
            "p99 us",
            "cpu us/req",
            "server cpu",
            "client cpu",
            "bytes",
            "of purser",
            "of floor"
        );
        for row in Row::ALL {
            let rounds = self.of(row);
            if rounds.is_empty() {
                continue;
            }
            let of = |field: fn(&Round) -> f64| median(rounds.iter().map(|round| field(round)));
            let rates = || rounds.iter().map(|round| round.requests_per_s);
            let least = rates().fold(f64::INFINITY, f64::min);
            let most = rates().fold(0.0, f64::max);
            let rate = of(|round| round.requests_per_s);
            let shown = |ratio: Option<f64>| {
                ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}"))
            };
            let of_purser = row
                .same_of_purser()
                .and_then(|purser| self.ratio(row, purser));
            let _ = writeln!(
                text,
                "{:<24}{:>10.0}{:>8.1}%{:>9.1}{:>9.1}{:>9.1}{:>12.2}{:>10.0}%{:>10.0}%{:>8.0}{:>11}{:>10}",
                row.name(),
                rate,
                100.0 * (most - least) / rate,
                of(|round| round.latency_p50_us),
                of(|round| round.latency_p95_us),
                of(|round| round.latency_p99_us),
                of(|round| round.server_cpu_us_per_request),
                100.0 * of(|round| round.server_cpu_share),
                100.0 * of(|round| round.client_cpu_share),
                of(|round| round.answer_bytes as f64),
                shown(of_purser),
                shown(self.ratio(row, Row::Floor)),
            );
        }
        text
    }

    /// Sentences about what weakens the numbers.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for row in Row::ALL {
            let rounds = self.of(row);
            let share = median(rounds.iter().map(|round| round.client_cpu_share));
            // In an open run its lateness is what counts.
            if self.rate_per_s.is_none() && share > CLIENT_CPU_SHARE_MAX {
                warnings.push(format!(
                    "{}: the client used {:.0} % of its CPU, so the server may be faster than \
                     shown; compare CPU time per request instead of rates",
                    row.name(),
                    100.0 * share
                ));
            }
            let late_us = median(rounds.iter().filter_map(|round| round.late_p99_us));
            if late_us > LATE_P99_US_MAX {
                warnings.push(format!(
                    "{}: the client sent 1 % of its requests more than {late_us:.0} us late by \
                     its own fault; lower the rate or give it a CPU of its own",
                    row.name()
                ));
            }
        }
        warnings
    }

    fn of(&self, row: Row) -> Vec<&Round> {
        self.rounds
            .iter()
            .filter(|round| round.row == row.name())
            .collect()
    }

    /// The median, over the rounds, of the rate by the other row's rate in the same round:
    /// what slows the machine for a while slows both.
    fn ratio(&self, row: Row, other: Row) -> Option<f64> {
        let others = self.of(other);
        let ratios: Vec<f64> = self
            .of(row)
            .iter()
            .filter_map(|round| {
                let other = others.iter().find(|other| other.round == round.round)?;
                Some(round.requests_per_s / other.requests_per_s)
            })
            .collect();
        (!ratios.is_empty()).then(|| median(ratios.into_iter()))
    }
}

/// The middle value, or the mean of the two middle ones; 0 for none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

/// What every result begins with: the machine, and the command that repeats it.
pub(crate) fn preamble() -> String {
    let command: Vec<String> = std::env::args().collect();
    format!("machine   {}\ncommand   {}\n", machine(), command.join(" "))
}

/// The head of a table of numbers: names first, and then columns of 11 characters.
pub(crate) fn head(name_width: usize, columns: &[&str]) -> String {
    let mut text = format!("{:<name_width$}", "row");
    for column in columns {
        text += &format!("{column:>11}");
    }
    text + "\n"
}

/// A line of it: each number, and how many digits of its fraction are shown.
pub(crate) fn line(name_width: usize, name: &str, cells: &[(f64, usize)]) -> String {
    let mut text = format!("{name:<name_width$}");
    for (value, digits) in cells {
        text += &format!("{value:>11.digits$}");
    }
    text + "\n"
}

/// The processor, how many CPUs are online, and the kernel.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cpus = cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{model}, {cpus} CPUs, Linux {}", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_the_middle() {
        let check = |values: &[f64], expect: f64| {
            assert!((median(values.iter().copied()) - expect).abs() < 1e-9);
        };
        check(&[], 0.0);
        check(&[3.0], 3.0);
        check(&[9.0, 1.0, 5.0], 5.0);
        check(&[4.0, 1.0, 2.0, 100.0], 3.0);
    }

    fn round(row: Row, round: usize, requests_per_s: f64) -> Round {
        Round {
            row: row.name(),
            round,
            requests: 10,
            failures: 0,
            seconds: 1.0,
            requests_per_s,
            latency_p50_us: 1.0,
            latency_p95_us: 2.0,
            latency_p99_us: 3.0,
            latency_max_us: 4.0,
            server_cpu_us_per_request: 5.0,
            server_cpu_share: 1.0,
            client_cpu_share: 0.5,
            answer_bytes: 240,
            late_p99_us: None,
        }
    }

    fn report(rounds: Vec<Round>) -> Report {
        Report {
            machine: "m".to_owned(),
            command: "c".to_owned(),
            server_cpus: "0".to_owned(),
            client_cpus: "1".to_owned(),
            connections: 1,
            warmup_ms: 1,
            window_ms: 1,
            rate_per_s: None,
            rounds,
        }
    }

    #[test]
    fn the_ratio_compares_within_a_round() {
        // The second round ran on a machine half as fast.
        let report = report(vec![
            round(Row::Floor, 0, 100.0),
            round(Row::Balance, 0, 80.0),
            round(Row::Floor, 1, 50.0),
            round(Row::Balance, 1, 40.0),
        ]);
        let ratio = report.ratio(Row::Balance, Row::Floor).unwrap();
        assert!((ratio - 0.8).abs() < 1e-9);
        assert_eq!(report.ratio(Row::Redeem, Row::Floor), None);
        let table = report.table();
        let line = table.lines().find(|line| line.starts_with("balance"));
        assert!(line.unwrap().ends_with("0.800"), "{table}");
    }

    #[test]
    fn a_rival_is_compared_with_what_purser_was_asked_alike() {
        let report = report(vec![
            round(Row::Floor, 0, 100.0),
            round(Row::Balance, 0, 80.0),
            round(Row::Bet, 0, 50.0),
            round(Row::Axum, 0, 40.0),
            round(Row::RedisBet, 0, 10.0),
        ]);
        let table = report.table();
        let check = |name: &str, ends: &str| {
            let line = table.lines().find(|line| line.starts_with(name)).unwrap();
            assert!(line.ends_with(ends), "{table}");
        };
        check("axum, balance", "  0.500     0.400");
        check("axum+redis, placebet", "  0.200     0.100");
        check("placebet", "  -     0.500");
    }

    #[test]
    fn a_client_at_its_limit_is_a_warning_in_a_closed_run() {
        let mut busy = round(Row::Floor, 0, 100.0);
        busy.client_cpu_share = 0.95;
        let mut report = report(vec![busy]);
        assert_eq!(report.warnings().len(), 1);
        // What its lateness says in an open run, its CPU time need not.
        report.rate_per_s = Some(100.0);
        assert_eq!(report.warnings(), Vec::<String>::new());
        report.rounds[0].late_p99_us = Some(150.0);
        assert_eq!(report.warnings().len(), 1);
    }
}
