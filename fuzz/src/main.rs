//! `purser-fuzz`: random and mutated bytes against what reads bytes from the network.
//!
//! Stable Rust and nothing to install. Inputs are chosen by what became of them and, in
//! the build of `fuzz/guided.sh`, by the branches that they took. A failing input is made
//! as small as it gets, saved and shown; with a test of its own beside the code it becomes
//! part of the corpus.

mod corpus;
mod coverage;
mod driver;
mod mutate;
mod random;
mod targets;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;

use targets::Target;

/// How often the clock is looked at.
const TRIES_PER_LOOK: u64 = 64;

/// Random and mutated bytes against what reads bytes from the network.
#[derive(Parser, Debug)]
#[command(
    version,
    after_help = "Targets:\n  head        request heads, whole and in pieces, beside httparse\n  \
                  chunks      chunked bodies, whole and in pieces, beside a second reader\n  \
                  json        bodies of every endpoint, beside serde_json\n  \
                  connection  whole connections in random pieces, with the wallet behind them\n\n\
                  Examples:\n  purser-fuzz head --seconds 60\n  \
                  purser-fuzz json --replay fuzz/failures/json-0123456789abcdef"
)]
struct Cli {
    /// What to try.
    #[arg(value_parser = target_of_name)]
    target: Target,
    /// How long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Makes the choices of an earlier run again; a new one each time if left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Tries the input in this file and nothing else.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
}

fn target_of_name(name: &str) -> Result<Target, String> {
    let known = targets::ALL.iter().find(|target| target.name == name);
    known.copied().ok_or_else(|| {
        let names: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    if cfg!(panic = "abort") {
        bail!("this build ends at a panic and could not show the input: leave out --release");
    }
    let mut out = std::io::stdout().lock();
    if let Some(path) = &cli.replay {
        let input = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        return Ok(match driver::try_one(&cli.target, &input) {
            Ok(_) => {
                writeln!(out, "passed")?;
                ExitCode::SUCCESS
            }
            Err(what) => {
                writeln!(out, "failed: {what}")?;
                ExitCode::FAILURE
            }
        });
    }
    let seed = match cli.seed {
        Some(seed) => seed,
        None => getrandom::u64().context("a seed from the system")?,
    };
    let target = &cli.target;
    writeln!(out, "{}: {}, seed {seed}", target.name, target.about)?;
    let inputs = corpus::read(target.name)?;
    let inputs = inputs.into_iter().map(|(_, input)| input).collect();
    let (start, time) = (Instant::now(), Duration::from_secs(cli.seconds));
    let goes_on = |tries| tries % TRIES_PER_LOOK != 0 || start.elapsed() < time;
    let report = driver::run(target, inputs, seed, goes_on);
    writeln!(
        out,
        "{} tries, {} kinds of input",
        report.tries, report.inputs
    )?;
    if cfg!(purser_coverage) {
        writeln!(out, "{} edges of the code taken", report.edges)?;
        if report.edges == 0 {
            bail!("the build was to count edges, and counted none");
        }
    }
    let Some(failure) = report.failure else {
        return Ok(ExitCode::SUCCESS);
    };
    let path = corpus::save_failure(target.name, &failure.input)?;
    writeln!(out, "FAILED: {}", failure.what)?;
    writeln!(out, "input: {:?}", String::from_utf8_lossy(&failure.input))?;
    writeln!(
        out,
        "replay: purser-fuzz {} --replay {}",
        target.name,
        path.display()
    )?;
    Ok(ExitCode::FAILURE)
}
