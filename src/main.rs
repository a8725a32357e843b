//! The `purser` command: reads the command line, does what it says, ends with a
//! status of reliability.md.

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use purser::allocator::{self, Allocator};
use purser::cli::{self, Invocation, ServeOptions};
use purser::config::{self, Config, Flags, Source};
use purser::{bundle, exit, logging, offline, pages, server, tune};

#[global_allocator]
static ALLOCATOR: Allocator = allocator::ALLOCATOR;

fn main() -> ExitCode {
    allocator::keep_freed_memory();
    let done = match cli::parse() {
        Invocation::Serve(options) => serve(&options),
        Invocation::ConfigCheck(file) => config_check(&file, std::env::vars_os()),
        Invocation::ConfigExample => print(config::EXAMPLE),
        Invocation::Verify(options) => tool(|out| offline::verify(&options, out)),
        Invocation::Inspect(options) => tool(|out| offline::inspect(&options, out)),
        Invocation::Export(options) => tool(|out| offline::export(&options, out)),
        Invocation::Backup(options) => tool(|out| offline::backup(&options, out)),
        Invocation::Reshard(options) => tool(|out| offline::reshard(&options, out)),
        Invocation::Tune(options) => tool(|out| tune::tune(&options, out)),
        Invocation::TuneDisk(options) => tool(|out| tune::disk(&options, out)),
        Invocation::DebugBundle(options) => tool(|out| bundle::debug_bundle(&options, out)),
        Invocation::Completions(options) => {
            tool(|out| pages::completions(cli::definition(), &options, out))
        }
        Invocation::Man(options) => tool(|out| pages::man(cli::definition(), &options, out)),
    };
    done.unwrap_or_else(|error| {
        if logging::flush() {
            eprintln!("purser: {error:#}");
        }
        exit::status(&error)
    })
}

fn serve(options: &ServeOptions) -> anyhow::Result<ExitCode> {
    let config = options.load()?;
    let log_level = logging::init(config.log_level, config.log_format)
        .context("create the thread that writes the log")?;
    let ended = server::run(&config, options, log_level);
    logging::flush();
    ended
}

fn config_check(
    file: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> anyhow::Result<ExitCode> {
    let config = Config::load(Source::File(file), environment, &Flags::default())?;
    if let Err(missing) = config.admin.require_token() {
        // No error: the environment of the service may bring it.
        eprintln!("purser: `purser serve` would not start here: {missing}");
    }
    for line in config.placeholders() {
        eprintln!("purser: {line}");
    }
    print(&config.to_toml())
}

/// Runs a command that prints to stdout and is fine unless it fails.
fn tool(run: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    run(&mut std::io::stdout().lock()).map(|()| ExitCode::SUCCESS)
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Who reads has read enough: `purser config example | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => written
            .context("write to stdout")
            .map(|()| ExitCode::SUCCESS),
    }
}
