//! `purser-bench`: how fast purser is, beside a floor measured in the same run.
//!
//! Absolute numbers say as much about the machine as about the server. So every
//! table has a row for a server that does nothing, taken round by round between the
//! others, and every row has its ratio to it.

mod askers;
mod client;
mod commit;
mod floor;
mod histogram;
mod hops;
mod in_process;
mod insert;
mod instructions;
mod memory;
mod place;
mod process;
mod recovery;
mod report;
mod request;
mod rivals;
mod rows;
mod servers;
mod stores;
mod submitters;
mod syscalls;
mod timed_disk;
mod tls;
mod whole;
mod wire;

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use purser::allocator::{self, Allocator};

/// The server's allocator, for what is measured inside this process.
#[global_allocator]
static ALLOCATOR: Allocator = allocator::ALLOCATOR;

/// How fast purser is, beside a floor measured in the same run.
#[derive(Parser, Debug)]
#[command(
    version,
    after_help = "Example:\n  purser-bench macro --rounds 3 --json rounds.json"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the floor: a server on one thread that answers every request with the same bytes.
    #[command(after_help = "Example:\n  purser-bench floor --listen 127.0.0.1:9900 --cpu 0")]
    Floor {
        /// Where to listen; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:9900", value_name = "ADDR")]
        listen: SocketAddr,
        /// Stay on this CPU.
        #[arg(long, value_name = "N")]
        cpu: Option<process::CpuList>,
    },
    /// Load whole servers, the floor and purser, and print one table.
    #[command(after_help = "Examples:\n  purser-bench macro\n  \
                      purser-bench macro --rows floor,balance --rate 20000 --seconds 10")]
    Macro(whole::Options),
    /// Book durable deposits on one shard in this process, beside a bare loop of the same writes.
    #[command(after_help = "Example:\n  purser-bench commit --data-root /var/lib/purser")]
    Commit(commit::Options),
    /// Ask two shards in this process on two CPUs, with a hop and without, beside one shard.
    #[command(after_help = "Example:\n  purser-bench hops --cpus 2,3 --work-us 8")]
    Hops(hops::Options),
    /// Write a log and read it back as the server does when it starts.
    #[command(
        after_help = "Examples:\n  purser-bench recovery --postings 10000000\n  \
                      purser-bench recovery --checkpoint --accounts 1000000 --postings 2000000"
    )]
    Recovery(recovery::Options),
    /// Fill the tables of accounts and transactions and show the longest insert.
    #[command(after_help = "Example:\n  purser-bench insert --accounts 1000000")]
    Insert(insert::Options),
    /// Count the instructions of each piece and compare them with bench/baselines.json.
    #[command(
        after_help = "Examples, in the repository:\n  purser-bench instructions\n  \
                      purser-bench instructions --runs 5\n  \
                      purser-bench instructions --update"
    )]
    Instructions(instructions::Options),
    /// Fill a shard with accounts, bets and rounds and show the memory that each takes.
    #[command(after_help = "Example:\n  purser-bench memory")]
    Memory(memory::Options),
    /// Measure the server's CPU time for TLS handshakes and requests, beside plain ones.
    #[command(after_help = "Example:\n  purser-bench tls --rounds 5")]
    Tls(tls::Options),
    /// Count the system calls of each request, by name.
    #[command(after_help = "Example, as root:\n  purser-bench syscalls --seconds 3")]
    Syscalls(syscalls::Options),
}

fn main() -> ExitCode {
    allocator::keep_freed_memory();
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With a closed standard error the exit status still says it.
            let _ = writeln!(std::io::stderr().lock(), "purser-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    // Every connection is a file; the usual soft limit is 1,024.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    match cli.command {
        Command::Floor { listen, cpu } => {
            if let Some(cpu) = &cpu {
                process::pin_this_thread(cpu)?;
            }
            let mut floor = floor::Floor::bind(listen)?;
            writeln!(
                std::io::stdout().lock(),
                "listening on {}",
                floor.address()?
            )?;
            floor.serve()
        }
        Command::Macro(options) => whole::run(&options),
        Command::Commit(options) => commit::run(&options),
        Command::Hops(options) => hops::run(&options),
        Command::Recovery(options) => recovery::run(&options),
        Command::Insert(options) => insert::run(&options),
        Command::Instructions(options) => instructions::run(&options),
        Command::Memory(options) => memory::run(&options),
        Command::Tls(options) => tls::run(&options),
        Command::Syscalls(options) => syscalls::run(&options),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
