//! `purser tune`: whether the host is what a wallet needs, and what to change.
//!
//! `machine` reads what there is, below one root, so that any machine's files can be judged.
//! `checks` lists the settings; each is a function from a machine to a verdict, which may be
//! that it cannot be read here: that is said, and is no failure. `report` prints; `apply`
//! writes what can be changed at run time. The server looks at its host with the same checks
//! when it starts (`startup`). `flush` measures the disk, which no file tells.
//!
//! A check changes nothing, and `apply` writes nothing that no check named.

mod apply;
mod checks;
mod container;
mod cpu;
mod finding;
mod flush;
mod kernel;
mod machine;
mod network;
mod report;
mod startup;
mod storage;

#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use crate::config::{Config, Flags, SHARDS_MAX, Source};
use crate::host::Host;

use apply::Applied;
use checks::{Extent, examine, failures};
use finding::{Change, Finding};
use machine::{Calls, Machine, Needs};
use report::Report;

pub use finding::Severity;
pub use flush::{DiskOptions, disk};
pub use startup::AtStart;

/// Options of `purser tune`.
#[derive(Args, Clone, Debug)]
pub struct TuneOptions {
    /// Judge the host for the server of this configuration; without it, for the defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Judge the disk of this directory; overrides the file's data_dir
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,

    /// Judge for so many shards, 0 for one per CPU; overrides the file's shards
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(..=i64::from(SHARDS_MAX)))]
    pub shards: Option<u16>,

    /// Change what can be changed at run time, and write a script first that restores it
    #[arg(long)]
    pub apply: bool,

    /// Only list what --apply would write
    #[arg(long, requires = "apply")]
    pub dry_run: bool,

    /// Where --apply writes the script
    #[arg(
        long,
        value_name = "DIR",
        requires = "apply",
        default_value = "/var/lib/purser-tune"
    )]
    pub restore_dir: PathBuf,

    /// Say why each setting matters
    #[arg(long, short, conflicts_with = "json")]
    pub verbose: bool,

    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,

    /// Judge a copy of another machine's files (DIR/proc, DIR/sys, …) instead of this machine
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

/// Judges a host, changes it if asked to, and prints what was found to `out`.
///
/// # Errors
/// A setting of severity `must` failed, a change failed or may not be made here, the
/// configuration is not valid, or `out` fails.
pub fn tune(options: &TuneOptions, out: &mut dyn Write) -> anyhow::Result<()> {
    let host = match &options.root {
        None => Host::live(),
        Some(root) if !root.join("proc").is_dir() => bail!(
            "{} has no directory proc; --root is where a copy of a machine's /proc and /sys is",
            root.display()
        ),
        // Absolute, since the script that restores may be run from elsewhere.
        Some(root) => Host::below(&std::path::absolute(root)?),
    };
    let config = load(options)?;
    if options.apply {
        apply::allow(&host, options.dry_run)?;
    }
    let needs = Needs::of(&config, &host);
    let look = || {
        let calls = if host.is_live() {
            Calls::all(&needs.data_dir)
        } else {
            Calls::default()
        };
        let machine = Machine::read(host.clone(), needs.clone(), calls);
        let findings = examine(&machine, Extent::All);
        (machine, findings)
    };
    let (mut machine, mut findings) = look();
    let mut applied = None;
    if options.apply {
        applied = Some(change(options, &host, &findings)?);
        if !options.dry_run {
            // What is printed and judged is what is there now.
            (machine, findings) = look();
        }
    }
    let report = Report {
        machine: &machine,
        findings: &findings,
        applied: applied.as_ref(),
    };
    let mut text = Vec::new();
    if options.json {
        report.print_json(&mut text)?;
    } else {
        report.print(options.verbose, &mut text)?;
    }
    say(&text, out)?;
    let failed = applied.as_ref().map_or(0, Applied::failed);
    if failed > 0 {
        bail!("{failed} settings could not be changed; the lines with FAILED say why");
    }
    judge(&findings)
}

/// Prints what there is to say. That nobody reads on (`purser tune | head`) changes nothing.
fn say(text: &[u8], out: &mut dyn Write) -> anyhow::Result<()> {
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write to stdout"),
    }
}

/// The configuration to judge for. Its secrets are not needed.
fn load(options: &TuneOptions) -> anyhow::Result<Config> {
    let source = options.config.as_deref().map_or(Source::Demo, Source::File);
    let flags = Flags {
        data_dir: options.data_dir.clone(),
        shards: options.shards,
        ..Flags::default()
    };
    Ok(Config::load(source, std::env::vars_os(), &flags)?)
}

fn change(options: &TuneOptions, host: &Host, findings: &[Finding]) -> anyhow::Result<Applied> {
    let changes: Vec<Change> = findings
        .iter()
        .flat_map(|finding| finding.verdict.changes.clone())
        .collect();
    if options.dry_run {
        return Ok(apply::rehearse(changes));
    }
    let restore_dir = std::path::absolute(&options.restore_dir)?;
    apply::apply(host, changes, &restore_dir, |script| {
        // Before anything changes, in case that nothing can be said afterwards.
        eprintln!("purser: to restore: sh {}", script.display());
    })
}

/// What a script may go by: the status is 0 when nothing of severity `must` failed.
fn judge(findings: &[Finding]) -> anyhow::Result<()> {
    let must = failures(findings, Severity::Must);
    if must == 0 {
        return Ok(());
    }
    let names: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.has_failed() && finding.severity == Severity::Must)
        .map(|finding| finding.check)
        .collect();
    bail!(
        "{must} {} must be changed before the server runs here: {}",
        if must == 1 { "setting" } else { "settings" },
        names.join(", ")
    );
}
