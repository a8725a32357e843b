//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::arrivals::Spacing;
use crate::client::Url;
use crate::cpus::CpuList;
use crate::threshold::Threshold;
use crate::world::Scenario;

/// Load over the wire, a report like k6's, and an audit of the money.
#[derive(Parser, Debug)]
#[command(
    version,
    after_help = "Example:\n  loadtest run --vus 100 --duration 10m --report report\n\n\
                  Exit statuses: 0 fine, 1 could not run, 2 wrong usage, \
                  98 the money audit found a difference, 99 a threshold was not met."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Load a wallet and report.
    #[command(after_help = "Examples:\n  \
        loadtest run --vus 100 --duration 10m\n  \
        loadtest run --scenario full --rate 1110 --duration 1m --cpus 1 --report report\n  \
        loadtest run --threshold 'http_req_duration:p(95)<5' --threshold 'checks:rate==1'")]
    Run(Box<RunOptions>),
    /// Show two runs side by side, from their `--json` files.
    #[command(after_help = "Example:\n  loadtest compare before.json after.json")]
    Compare {
        /// The first run, by which the other is divided.
        a: PathBuf,
        /// The second run.
        b: PathBuf,
    },
    /// Draw the pictures and the page of a recorded run again.
    #[command(after_help = "Example:\n  loadtest run --telemetry rec && loadtest report rec")]
    Report {
        /// What `--telemetry` or `--report` recorded into.
        directory: PathBuf,
    },
}

/// What and how to load.
#[derive(Args, Debug)]
pub(crate) struct RunOptions {
    /// What virtual users do.
    #[arg(long, value_enum, default_value = "reference")]
    pub(crate) scenario: Scenario,
    /// Virtual users, with a connection each: the most requests in flight.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) vus: u32,
    /// How long, behind the warm-up.
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "TIME")]
    pub(crate) duration: Duration,
    /// Load before the duration that is not counted; its bookings are audited all the same.
    #[arg(long, default_value = "0s", value_parser = duration, value_name = "TIME")]
    pub(crate) warmup: Duration,
    /// Open loop: this many requests a second, whatever the server does.
    #[arg(long, value_parser = rate, value_name = "REQUESTS_PER_S")]
    pub(crate) rate: Option<f64>,
    /// Open loop: the distances between requests.
    #[arg(long, value_enum, default_value = "poisson", requires = "rate")]
    pub(crate) arrivals: Spacing,
    /// The wallet's address.
    #[arg(long, default_value = "http://127.0.0.1:9816", value_name = "URL")]
    pub(crate) url: Url,
    /// The domain's user.
    #[arg(long, default_value = "demo")]
    pub(crate) username: String,
    /// The domain's password.
    #[arg(
        long,
        env = "LOADTEST_PASSWORD",
        default_value = "demo",
        hide_env_values = true
    )]
    pub(crate) password: String,
    /// Players and session keys, as `purser serve --demo` writes them.
    #[arg(
        long,
        default_value = "purser-data/demo-accounts.json",
        value_name = "FILE"
    )]
    pub(crate) accounts: PathBuf,
    /// The `PlatformKey` of all requests.
    #[arg(long, default_value = "LT", value_parser = plain_text)]
    pub(crate) platform_key: String,
    /// The `GameID` of all requests.
    #[arg(long, default_value = "game-1", value_parser = plain_text)]
    pub(crate) game: String,
    /// The admin API's address: metrics and the trial balance.
    #[arg(long, default_value = "http://127.0.0.1:9817", value_name = "URL")]
    pub(crate) admin_url: Url,
    /// The admin API's token.
    #[arg(
        long,
        env = "LOADTEST_ADMIN_TOKEN",
        default_value = "demo",
        hide_env_values = true
    )]
    pub(crate) admin_token: String,
    /// Stay on these CPUs, one thread on each unless --threads says otherwise.
    #[arg(long, value_name = "LIST")]
    pub(crate) cpus: Option<CpuList>,
    /// Threads that load; default: one for each CPU of --cpus, else one.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
    /// Scenario full: how skewed players are; 0 all alike, 1 a few do most.
    #[arg(long, default_value_t = 1.0, value_parser = skew)]
    pub(crate) zipf: f64,
    /// Scenario full: share of bookings that are sent once more after their answer.
    #[arg(long, default_value_t = 0.02, value_parser = share)]
    pub(crate) repeats: f64,
    /// Scenario full: share of rounds whose requests come in another order.
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    pub(crate) reorderings: f64,
    /// Repeats the same choices.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// A request without an answer for so long has failed.
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "TIME")]
    pub(crate) timeout: Duration,
    /// How long rounds that were begun may go on behind the end.
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "TIME")]
    pub(crate) grace: Duration,
    /// What must hold, as k6 writes it; else the exit status is 99. May be given often.
    /// Without any: no check and no request may fail.
    #[arg(long, value_name = "METRIC:EXPRESSION")]
    pub(crate) threshold: Vec<Threshold>,
    /// Send each request to its account's shard: shard i listens on BASE_PORT + i
    /// (`shard_ports` in the server's configuration).
    #[arg(long, value_name = "BASE_PORT")]
    pub(crate) shard_aware: Option<u16>,
    /// The server's process on this machine; found by its port where it is on loopback.
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// Do not read every balance before and after.
    #[arg(long)]
    pub(crate) no_audit: bool,
    /// Write the result as JSON, for `loadtest compare`.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Record a sample a second into this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) telemetry: Option<PathBuf>,
    /// Record, and draw the pictures and the page when the run is over.
    #[arg(long, value_name = "DIR", conflicts_with = "telemetry")]
    pub(crate) report: Option<PathBuf>,
    /// Add a flame graph of the server's CPU time to the report, by `perf`: at most 30 s
    /// behind the warm-up.
    #[arg(long, requires = "report", conflicts_with = "telemetry")]
    pub(crate) profile: bool,
    /// No progress bar.
    #[arg(long)]
    pub(crate) quiet: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("expected 90s or 10m: {error}"))
}

fn number(text: &str, is_fine: fn(f64) -> bool, form: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|&number| is_fine(number));
    number.ok_or_else(|| format!("expected {form}"))
}

fn rate(text: &str) -> Result<f64, String> {
    // Ten million a second is beyond what a machine can send.
    number(
        text,
        |rate| rate > 0.0 && rate <= 1e7,
        "a number above 0, at most 10000000",
    )
}

fn share(text: &str) -> Result<f64, String> {
    number(
        text,
        |share| (0.0..=1.0).contains(&share),
        "a number from 0 to 1",
    )
}

fn skew(text: &str) -> Result<f64, String> {
    number(
        text,
        |skew| (0.0..=5.0).contains(&skew),
        "a number from 0 to 5",
    )
}

/// It is put between quotes as it is.
fn plain_text(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '<' | '>');
    if text.is_empty() || !text.chars().all(is_plain) {
        return Err("expected letters, digits and plain signs".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> Result<RunOptions, String> {
        let all = [&["loadtest", "run"], arguments].concat();
        match Cli::try_parse_from(all)
            .map_err(|error| error.to_string())?
            .command
        {
            Command::Run(options) => Ok(*options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_defaults_are_the_reference_s_load() {
        let options = run(&[]).unwrap();
        assert_eq!(options.scenario, Scenario::Reference);
        assert_eq!(
            (options.vus, options.duration),
            (100, Duration::from_secs(60))
        );
        assert!(options.rate.is_none());
    }

    #[test]
    fn what_makes_no_sense_is_wrong_usage() {
        for arguments in [
            &["--vus", "0"][..],
            &["--rate", "0"],
            &["--rate", "nan"],
            &["--arrivals", "constant"],
            &["--repeats", "1.1"],
            &["--zipf", "-1"],
            &["--duration", "10"],
            &["--url", "https://a:1"],
            &["--threshold", "checks"],
            &["--game", "a\"b"],
            &["--cpus", "x"],
            &["--telemetry", "a", "--report", "b"],
            &["--profile"],
            &["--profile", "--telemetry", "a"],
        ] {
            assert!(run(arguments).is_err(), "{arguments:?}");
        }
    }
}
