//! `purser-bench instructions`: how many instructions each piece is, beside what is written
//! down in `bench/baselines.json`.
//!
//! A count says the same on an idle machine and on a busy one, so CI can hold a change to
//! it. It does depend on what made the code and what ran it, so the baselines say with what
//! they were taken, and counts of anything else are shown and not judged.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

/// A piece may grow by so much, in percent, without saying so.
const WORSE_PERCENT_MAX: f64 = 3.0;

/// The tool that counts, and what the benchmarks are.
const TOOL: &str = "valgrind";
const RUNNER: &str = "gungraun-runner";
const BENCHMARKS: [&str; 6] = [
    "bench",
    "--locked",
    "-p",
    "purser-bench",
    "--bench",
    "instructions",
];

/// Options of `purser-bench instructions`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Write what is counted into the file, for the commit that changes it on purpose.
    #[arg(long)]
    update: bool,
    /// How often it is counted; the least counts, and the spread is shown.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// The counts to compare with.
    #[arg(long, default_value = "bench/baselines.json", value_name = "FILE")]
    baselines: PathBuf,
}

/// Instructions of each piece.
type Counts = BTreeMap<String, u64>;

/// What the counts are and what they were taken with.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Baselines {
    taken_with: Tools,
    instructions: Counts,
}

/// Everything beside our own code that a count depends on.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Tools {
    rustc: String,
    valgrind: String,
    /// Copies and compares memory.
    libc: String,
    /// Libraries choose their code by what the processor can do.
    cpu: String,
}

/// Counts, and compares or writes down.
///
/// # Errors
/// A tool is missing, a benchmark failed, or a piece has grown.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let tools = Tools::here()?;
    let mut runs = Vec::new();
    for _ in 0..options.runs {
        runs.push(count()?);
    }
    let mut out = std::io::stdout().lock();
    if runs.len() > 1 {
        write!(out, "{}", spread(&runs))?;
    }
    let counts = least(&runs)?;
    if options.update {
        let new = Baselines {
            taken_with: tools,
            instructions: counts,
        };
        let text = serde_json::to_string_pretty(&new)? + "\n";
        std::fs::write(&options.baselines, text)
            .with_context(|| format!("write {}", options.baselines.display()))?;
        writeln!(out, "wrote {}", options.baselines.display())?;
        return Ok(());
    }
    let baselines = read(&options.baselines)?;
    let comparison = Comparison::new(&baselines.instructions, &counts);
    write!(out, "{}", comparison.table())?;
    if baselines.taken_with != tools {
        writeln!(
            out,
            "not judged: the baselines were taken with {}, these with {}",
            baselines.taken_with, tools
        )?;
        return Ok(());
    }
    ensure!(
        comparison.is_passed(),
        "instructions: a piece has grown by more than {WORSE_PERCENT_MAX} %, or the pieces are \
         not those of {}. If that is meant, run `purser-bench instructions --update` and commit \
         the file together with the change and its reason",
        options.baselines.display()
    );
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Baselines> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))
}

impl Tools {
    fn here() -> anyhow::Result<Self> {
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        // The runner is asked for nothing here; without it the benchmarks would be built in
        // vain.
        words_of(RUNNER, &["--version"])?;
        Ok(Self {
            rustc: words_of(&rustc, &["--version"])?,
            valgrind: words_of(TOOL, &["--version"])?,
            libc: words_of("getconf", &["GNU_LIBC_VERSION"])?,
            cpu: cpu(),
        })
    }
}

impl std::fmt::Display for Tools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            rustc,
            valgrind,
            libc,
            cpu,
        } = self;
        write!(f, "{rustc}, {valgrind}, {libc}, {cpu}")
    }
}

/// The instruction set, as far as valgrind and the libraries make use of it.
fn cpu() -> String {
    #[cfg(target_arch = "x86_64")]
    let beyond = match std::arch::is_x86_feature_detected!("avx2") {
        true => " with AVX2",
        false => "",
    };
    #[cfg(not(target_arch = "x86_64"))]
    let beyond = "";
    format!("{}{beyond}", std::env::consts::ARCH)
}

/// What a program prints.
fn words_of(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("start {program}: bench/README.md says how to install it"))?;
    if !output.status.success() {
        bail!("{program} {arguments:?} ended with {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs all benchmarks once.
fn count() -> anyhow::Result<Counts> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(BENCHMARKS)
        .args(["--", "--output-format=json"])
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo")?;
    if !output.status.success() {
        bail!("the benchmarks ended with {}", output.status);
    }
    let counts = counts_in(&String::from_utf8_lossy(&output.stdout))?;
    ensure!(!counts.is_empty(), "the benchmarks counted nothing");
    Ok(counts)
}

/// The part of a benchmark's summary that we read; its version is that of the runner.
#[derive(Deserialize)]
struct Summary {
    function_name: String,
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    total: Total,
}

#[derive(Deserialize)]
struct Total {
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Metrics {
    #[serde(rename = "Ir")]
    instructions: Metric,
}

#[derive(Deserialize)]
struct Metric {
    values: Values,
}

#[derive(Deserialize)]
struct Values {
    new: u64,
}

/// One summary a line.
fn counts_in(output: &str) -> anyhow::Result<Counts> {
    let mut counts = Counts::new();
    for line in output.lines().filter(|line| line.starts_with('{')) {
        let summary: Summary = serde_json::from_str(line).context("read a summary")?;
        let [profile] = summary.profiles.as_slice() else {
            bail!("{}: not one profile", summary.function_name);
        };
        let count = profile.data.total.metrics.instructions.values.new;
        let earlier = counts.insert(summary.function_name, count);
        ensure!(earlier.is_none(), "two benchmarks of one name: {line}");
    }
    Ok(counts)
}

/// Of each piece the least: what the process drew at random only adds.
fn least(runs: &[Counts]) -> anyhow::Result<Counts> {
    let (first, others) = runs.split_first().context("no runs")?;
    let mut least = first.clone();
    for run in others {
        ensure!(run.keys().eq(first.keys()), "other pieces in another run");
        for (name, count) in run {
            least
                .entry(name.clone())
                .and_modify(|least| *least = (*least).min(*count));
        }
    }
    Ok(least)
}

/// How far the runs of each piece are apart.
fn spread(runs: &[Counts]) -> String {
    let mut text = format!(
        "{:<16}{:>14}{:>14}{:>10}   of {} runs\n",
        "piece",
        "least",
        "most",
        "spread",
        runs.len()
    );
    for name in runs.first().into_iter().flat_map(Counts::keys) {
        let counts = || runs.iter().filter_map(|run| run.get(name)).copied();
        let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
        let percent = percent_more(least, most);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<16}{least:>14}{most:>14}{percent:>9.3}%");
    }
    text.push('\n');
    text
}

/// By how much `now` is more than `before`, in percent.
fn percent_more(before: u64, now: u64) -> f64 {
    100.0 * (now as f64 - before as f64) / before.max(1) as f64
}

/// A piece in the baselines, now, or both.
struct Comparison(BTreeMap<String, (Option<u64>, Option<u64>)>);

impl Comparison {
    fn new(before: &Counts, now: &Counts) -> Self {
        let names = before.keys().chain(now.keys());
        let of = |name: &String| (before.get(name).copied(), now.get(name).copied());
        Self(names.map(|name| (name.clone(), of(name))).collect())
    }

    fn verdict(before: Option<u64>, now: Option<u64>) -> &'static str {
        match (before, now) {
            (Some(before), Some(now)) => match percent_more(before, now) {
                percent if percent > WORSE_PERCENT_MAX => "WORSE",
                percent if percent < -WORSE_PERCENT_MAX => "better: --update keeps it so",
                _ => "",
            },
            (None, _) => "NEW",
            (_, None) => "GONE",
        }
    }

    fn is_passed(&self) -> bool {
        let is_bad = |verdict: &str| matches!(verdict, "WORSE" | "NEW" | "GONE");
        let mut verdicts = self.0.values().map(|&(a, b)| Self::verdict(a, b));
        !verdicts.any(is_bad)
    }

    fn table(&self) -> String {
        let mut text = format!(
            "{:<16}{:>14}{:>14}{:>10}\n",
            "piece", "baseline", "now", "change"
        );
        for (name, &(before, now)) in &self.0 {
            let shown = |count: Option<u64>| count.map_or("-".to_owned(), |n| n.to_string());
            let change = match (before, now) {
                (Some(before), Some(now)) => format!("{:+.2}%", percent_more(before, now)),
                _ => "-".to_owned(),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{name:<16}{:>14}{:>14}{change:>10}   {}",
                shown(before),
                shown(now),
                Self::verdict(before, now)
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, u64)]) -> Counts {
        let owned = |&(name, count): &(&str, u64)| (name.to_owned(), count);
        counts.iter().map(owned).collect()
    }

    #[test]
    fn more_than_three_percent_is_worse_and_so_are_other_pieces() {
        let before = counts(&[("a", 1_000), ("b", 200)]);
        let check = |now: &[(&str, u64)], passes: bool, says: &str| {
            let comparison = Comparison::new(&before, &counts(now));
            let table = comparison.table();
            assert_eq!(comparison.is_passed(), passes, "{table}");
            assert!(table.contains(says), "{table}");
        };
        check(&[("a", 1_000), ("b", 200)], true, "+0.00%");
        check(&[("a", 1_030), ("b", 200)], true, "+3.00%");
        check(&[("a", 1_031), ("b", 200)], false, "+3.10%   WORSE");
        check(&[("a", 500), ("b", 200)], true, "-50.00%   better");
        check(&[("a", 1_000)], false, "GONE");
        check(&[("a", 1_000), ("b", 200), ("c", 1)], false, "NEW");
    }

    #[test]
    fn the_least_of_all_runs_counts() {
        let runs = [
            counts(&[("a", 12), ("b", 7)]),
            counts(&[("a", 10), ("b", 8)]),
        ];
        assert_eq!(least(&runs).unwrap(), counts(&[("a", 10), ("b", 7)]));
        assert!(spread(&runs).contains("20.000%"));
        assert!(least(&[counts(&[("a", 1)]), counts(&[("b", 1)])]).is_err());
    }

    #[test]
    fn counts_are_read_from_the_runner_s_lines() {
        let line = |name: &str, count: u64| {
            format!(
                r#"{{"function_name":"{name}","id":"once","profiles":[{{"tool":"Callgrind","data":{{"parts":[],"total":{{"metrics":{{"Ir":{{"values":{{"new":{count},"old":5}}}}}},"regressions":[]}}}}}}]}}"#
            )
        };
        let output = format!("note\n{}\n{}\n", line("a", 7), line("b", 9));
        assert_eq!(counts_in(&output).unwrap(), counts(&[("a", 7), ("b", 9)]));
        assert!(counts_in(&format!("{}\n{}", line("a", 1), line("a", 2))).is_err());
        assert!(counts_in("{}").is_err());
    }

    /// One that has no baseline is told by the comparison.
    #[test]
    fn every_baseline_is_of_a_benchmark_that_there_is() {
        let baselines: Baselines = serde_json::from_str(include_str!("../baselines.json")).unwrap();
        let source = include_str!("../benches/instructions.rs");
        let (_, list) = source.split_once("count! {").unwrap();
        let (list, _) = list.split_once('}').unwrap();
        let names: Vec<&str> = list
            .split(',')
            .filter_map(|line| Some(line.split_once(':')?.0.trim()))
            .collect();
        assert!(names.contains(&"parse_head"), "{names:?}");
        for name in baselines.instructions.keys() {
            assert!(names.contains(&name.as_str()), "{name} of {names:?}");
        }
    }
}
