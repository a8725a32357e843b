//! `loadtest`: what a game platform sees of the wallet, under load.
//!
//! It knows the wire and nothing else, and shares no code with the server, so that the two
//! can disagree. README.md beside this package says how to use it and how to read it.

mod accounts;
mod admin;
mod answer;
mod arrivals;
mod audit;
mod cli;
mod client;
mod compare;
mod cpus;
mod flow;
mod kind;
mod layout;
mod money;
mod page;
mod picture;
mod profile;
mod prometheus;
mod random;
mod run;
mod scan;
mod script;
mod socket;
mod summary;
mod tally;
mod telemetry;
mod template;
mod threshold;
mod trend;
mod units;
mod wall_clock;
mod worker;
mod world;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

/// Money is missing or too much: worse than slow.
const EXIT_AUDIT: u8 = 98;

/// A threshold was not met; k6 has the same status.
const EXIT_THRESHOLD: u8 = 99;

fn main() -> ExitCode {
    match command(Cli::parse().command) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            // With a closed standard error the exit status still says it.
            let _ = writeln!(std::io::stderr().lock(), "loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(command: Command) -> anyhow::Result<u8> {
    let mut stdout = std::io::stdout();
    match command {
        Command::Run(options) => {
            let summary = run::run(&options)?;
            let is_clean = summary.audit.as_ref().is_none_or(|audit| audit.is_clean);
            let all_met = summary.thresholds.iter().all(|result| result.met);
            return Ok(match (is_clean, all_met) {
                (false, _) => EXIT_AUDIT,
                (true, false) => EXIT_THRESHOLD,
                (true, true) => 0,
            });
        }
        Command::Compare { a, b } => {
            let table = compare::table(&compare::read(&a)?, &compare::read(&b)?);
            stdout.write_all(table.as_bytes())?;
        }
        Command::Report { directory } => {
            for file in page::draw(&directory)? {
                writeln!(stdout, "{}", file.display())?;
            }
        }
    }
    Ok(0)
}
