//! The command line: what was typed becomes an [`Invocation`], or a usage error.
//!
//! Usage errors end the process with status 2; whatever fails later ends it with
//! the statuses of reliability.md.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::bundle::BundleOptions;
use crate::config::{Config, ConfigError, Flags, SHARDS_MAX, Source};
use crate::offline::{BackupOptions, ExportOptions, InspectOptions, ReshardOptions, VerifyOptions};
use crate::pages::{CompletionsOptions, ManOptions};
use crate::tune::{DiskOptions, TuneOptions};

/// What the process was asked to do.
#[derive(Debug)]
pub enum Invocation {
    /// `purser serve`.
    Serve(ServeOptions),
    /// `purser config check FILE`.
    ConfigCheck(PathBuf),
    /// `purser config example`.
    ConfigExample,
    /// `purser verify`.
    Verify(VerifyOptions),
    /// `purser inspect`.
    Inspect(InspectOptions),
    /// `purser export`.
    Export(ExportOptions),
    /// `purser backup`.
    Backup(BackupOptions),
    /// `purser reshard`.
    Reshard(ReshardOptions),
    /// `purser tune`.
    Tune(TuneOptions),
    /// `purser tune disk`.
    TuneDisk(DiskOptions),
    /// `purser debug-bundle`.
    DebugBundle(BundleOptions),
    /// `purser completions`.
    Completions(CompletionsOptions),
    /// `purser man`.
    Man(ManOptions),
}

/// Options of `purser serve`. Exactly one of `config` and `demo` is given.
#[derive(Args, Clone, Debug)]
pub struct ServeOptions {
    /// The configuration file
    #[arg(long, value_name = "FILE", conflicts_with = "demo")]
    pub config: Option<PathBuf>,

    /// Run without a configuration file: wallet API on 127.0.0.1:9816, admin API on 127.0.0.1:9817
    /// with the token `demo`, domain `demo` with the user `demo` and the password `demo`
    #[arg(long)]
    pub demo: bool,

    /// Where logs and checkpoints live; overrides the file's data_dir
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,

    /// Address of the wallet API; overrides the file's listen.wallet
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,

    /// Address of the admin API; overrides the file's listen.admin
    #[arg(long, value_name = "ADDR")]
    pub admin_listen: Option<SocketAddr>,

    /// How many shards, 0 for one per CPU; overrides the file's shards
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(..=i64::from(SHARDS_MAX)))]
    pub shards: Option<u16>,
}

impl ServeOptions {
    /// The configuration to serve with: file or demo, environment, flags. It has
    /// an admin token.
    ///
    /// # Errors
    /// The configuration is not valid, or has no admin token.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let source = self.config.as_deref().map_or(Source::Demo, Source::File);
        let flags = Flags {
            data_dir: self.data_dir.clone(),
            listen: self.listen,
            admin_listen: self.admin_listen,
            shards: self.shards,
        };
        let config = Config::load(source, std::env::vars_os(), &flags)?;
        config.admin.require_token()?;
        Ok(config)
    }
}

/// A seamless-wallet server: one thread per core, every booking on disk before its answer leaves.
#[derive(Debug, Parser)]
#[command(name = "purser", version, after_help = "Example: purser serve --demo")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server in the foreground
    ///
    /// SIGTERM and SIGINT drain: stop accepting, finish what is in flight, last batch to disk. A
    /// second signal ends the process at once. SIGHUP reads the configuration file again.
    #[command(after_help = "Examples:\n  \
        purser serve --demo\n  \
        purser serve --config /etc/purser/purser.toml --shards 4")]
    Serve(ServeOptions),
    /// Check or write a configuration
    #[command(
        subcommand,
        after_help = "Example: purser config example > purser.toml"
    )]
    Config(ConfigCommand),
    /// Read all of a data directory and check that everything in it holds
    ///
    /// Checks checksums, order and chain of every log, derives every balance again, and prints the
    /// trial balance. Ends with status 0 only when everything holds, and with 3 when a server would
    /// refuse to start on this data. The directory of a running server is read as it is.
    #[command(after_help = "Example: purser verify --data-dir /var/lib/purser")]
    Verify(VerifyOptions),
    /// Print the records of the logs
    #[command(after_help = "Examples:\n  \
        purser inspect --data-dir /var/lib/purser --account acme/p1\n  \
        purser inspect --data-dir /var/lib/purser --shard 0 --from-lsn 1000 --json")]
    Inspect(InspectOptions),
    /// Write every movement of money to a file, for reports and reconciliation
    #[command(
        after_help = "Example: purser export --data-dir /var/lib/purser --format csv \
        --out january.csv --from 2026-01-01 --to 2026-02-01 --domain acme"
    )]
    Export(ExportOptions),
    /// Copy a data directory, also of a running server, and verify the copy
    ///
    /// To restore, start a server on the copy, or on a copy of it.
    #[command(
        after_help = "Example: purser backup --data-dir /var/lib/purser --out /backup/monday"
    )]
    Backup(BackupOptions),
    /// Rewrite a data directory for another number of shards
    ///
    /// No server may be using it. The new data is written beside the old, verified, compared with
    /// it, and takes its place in one step; until then a crash, a full disk or any failure leaves
    /// the old data as it was. The old data is kept in before-reshard-... until it is removed. Needs
    /// room for a copy, and as much memory as the server and a shard of it.
    #[command(after_help = "Example: purser reshard --data-dir /var/lib/purser --shards 8")]
    Reshard(ReshardOptions),
    /// Check this machine's settings, and change them if asked to
    ///
    /// Prints each setting with what was found and what is recommended. The status is 0 when
    /// nothing of severity MUST failed. What cannot be read here is said, and is no failure.
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  \
        purser tune --config /etc/purser/purser.toml --verbose\n  \
        sudo purser tune --config /etc/purser/purser.toml --apply --dry-run\n  \
        purser tune disk --data-dir /var/lib/purser"
    )]
    Tune(TuneCommand),
    /// Collect what somebody who helps asks for first, in one archive without secrets
    ///
    /// Works beside a running server and without one: the configuration with secrets hidden, metrics,
    /// the sums of the books, the settings of this machine, the files of the data directory and the
    /// end of the log. The README in the archive says what could not be collected.
    #[command(
        after_help = "Example: sudo purser debug-bundle --config /etc/purser/purser.toml \
        --out bundle.tar.gz"
    )]
    DebugBundle(BundleOptions),
    /// Print the completions of a shell
    #[command(after_help = "Examples:\n  \
        purser completions bash > /etc/bash_completion.d/purser\n  \
        purser completions zsh --out ~/.zfunc")]
    Completions(CompletionsOptions),
    /// Print a page of the manual
    #[command(after_help = "Examples:\n  \
        purser man config check | man -l -\n  \
        purser man --out /usr/local/share/man/man1")]
    Man(ManOptions),
}

#[derive(Debug, Args)]
struct TuneCommand {
    #[command(flatten)]
    options: TuneOptions,
    #[command(subcommand)]
    part: Option<TunePart>,
}

#[derive(Debug, Subcommand)]
enum TunePart {
    /// Measure how long the disk takes to make a write durable
    ///
    /// Writes into a file without a name in the directory, for a few seconds, and says what it
    /// means for the p95 of bookings. Measure before the server runs: both would slow each other.
    #[command(after_help = "Example: purser tune disk --data-dir /var/lib/purser")]
    Disk(DiskOptions),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Validate a configuration and print the effective one, secrets hidden
    ///
    /// The effective configuration is the file, with defaults for what it leaves out, overridden by
    /// the PURSER_... variables of this environment.
    #[command(after_help = "Example: purser config check /etc/purser/purser.toml")]
    Check {
        /// The configuration file
        file: PathBuf,
    },
    /// Print a complete, commented configuration
    #[command(after_help = "Example: purser config example > purser.toml")]
    Example,
}

/// Reads this process's command line. Prints help or a usage error and ends the
/// process where there is nothing to do.
#[must_use]
pub fn parse() -> Invocation {
    read(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

fn read(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
) -> Result<Invocation, clap::Error> {
    match CommandLine::try_parse_from(arguments)?.command {
        Command::Serve(options) if options.config.is_none() && !options.demo => Err(serve_usage()
            .error(
                ErrorKind::MissingRequiredArgument,
                "serve needs a configuration: `purser serve --config FILE`, or `purser serve \
                 --demo` to try it without one; `purser config example` prints a configuration \
                 to start from",
            )),
        Command::Serve(options) => Ok(Invocation::Serve(options)),
        Command::Config(ConfigCommand::Check { file }) => Ok(Invocation::ConfigCheck(file)),
        Command::Config(ConfigCommand::Example) => Ok(Invocation::ConfigExample),
        Command::Verify(options) => Ok(Invocation::Verify(options)),
        Command::Inspect(options) => Ok(Invocation::Inspect(options)),
        Command::Export(options) => Ok(Invocation::Export(options)),
        Command::Backup(options) => Ok(Invocation::Backup(options)),
        Command::Reshard(options) => Ok(Invocation::Reshard(options)),
        Command::Tune(TuneCommand { options, part }) => Ok(match part {
            None => Invocation::Tune(options),
            Some(TunePart::Disk(options)) => Invocation::TuneDisk(options),
        }),
        Command::DebugBundle(options) => Ok(Invocation::DebugBundle(options)),
        Command::Completions(options) => Ok(Invocation::Completions(options)),
        Command::Man(options) => Ok(Invocation::Man(options)),
    }
}

/// The whole command line, for what is made from it.
#[must_use]
pub fn definition() -> clap::Command {
    CommandLine::command()
}

/// The command that a usage error of `serve` shows.
fn serve_usage() -> clap::Command {
    let mut all = CommandLine::command();
    // Only a built command knows that it is called `purser serve`.
    all.build();
    all.find_subcommand("serve").cloned().unwrap_or(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        CommandLine::command().debug_assert();
    }

    /// Every command's help but that of clap's own `help`, found by walking, so
    /// that a new one is held to it too.
    #[test]
    fn every_command_has_an_example_in_its_help() {
        fn walk(command: &mut clap::Command) {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Example"), "{}:\n{help}", command.get_name());
            command
                .get_subcommands_mut()
                .filter(|child| child.get_name() != "help")
                .for_each(walk);
        }
        walk(&mut CommandLine::command());
    }
}
