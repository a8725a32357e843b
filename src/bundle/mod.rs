//! `purser debug-bundle`: what somebody who helps from afar asks for first, in one archive.
//!
//! Works beside a running server, and as well when there is none, which is when it is needed
//! most: whatever cannot be collected is named in the archive's README with the reason, and
//! is no failure.
//!
//! Invariants:
//! * No secret is in it. The configuration is as `purser config check` prints it, nothing
//!   that was left out there is read, and an item that holds a secret of the configuration
//!   all the same is left out whole.
//! * The admin token goes to the server itself and to nobody else who may have its port,
//!   unless whoever asks says so (`peer`).
//! * Nothing of the money is in it but sums: no balance, no posting, no session. Accounts are
//!   named where slow requests and lines of the log name them.
//! * Every item and every wait has a bound, so that it ends on a machine that is in trouble.

mod admin;
mod archive;
mod collected;
mod host;
mod peer;
mod program;

use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::Args;
use shards::storage::DirectDisk;
use shards::wal;

use crate::config::{Config, Flags, Source};
use crate::host::Host;
use crate::tune::{self, TuneOptions};

use admin::Credential;
use collected::Collected;

/// Between the two looks at the metrics: long enough for rates.
const METRICS_INTERVAL: Duration = Duration::from_secs(1);

/// The files that are listed at most: a data directory has a few for each shard and
/// gigabyte of log.
const FILES_LISTED_MAX: usize = 20_000;

/// How deep directories are listed: shards' directories, and those that a reshard kept.
const DEPTH_MAX: usize = 4;

/// Options of `purser debug-bundle`.
#[derive(Args, Clone, Debug)]
pub struct BundleOptions {
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,

    /// The archive to make, a .tar.gz; without it, a name with the time in this directory
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Where logs and checkpoints live; overrides the file's data_dir
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,

    /// Address of the admin API; overrides the file's listen.admin
    #[arg(long, value_name = "ADDR")]
    pub admin_listen: Option<SocketAddr>,

    /// Send the admin token to whoever answers at that address, not only to the process that
    /// has the data directory's lock
    #[arg(long)]
    pub send_token: bool,

    /// The unit that runs the server, whose log is asked for
    #[arg(long, value_name = "UNIT", default_value = "purser.service")]
    pub unit: String,
}

/// Collects what there is, writes the archive and prints its name to `out`.
///
/// # Errors
/// The archive cannot be written.
pub fn debug_bundle(options: &BundleOptions, out: &mut dyn Write) -> anyhow::Result<()> {
    let now = SystemTime::now();
    let stamp = jiff::Timestamp::try_from(now)
        .context("read the clock")?
        .strftime("%Y-%m-%dT%H%M%SZ")
        .to_string();
    let name = format!("purser-debug-{stamp}");
    let target = match &options.out {
        Some(target) => target.clone(),
        None => PathBuf::from(format!("{name}.tar.gz")),
    };
    let collected = collect(options, &stamp);
    archive::write(&target, &name, now, &collected)?;
    for missing in &collected.missing {
        eprintln!("purser: not collected: {}: {}", missing.name, missing.why);
    }
    writeln!(
        out,
        "{} holds {} files; look through them before you send them on",
        target.display(),
        collected.items.len() + 1
    )
    .context("write to stdout")
}

fn collect(options: &BundleOptions, stamp: &str) -> Collected {
    let flags = Flags {
        data_dir: options.data_dir.clone(),
        admin_listen: options.admin_listen,
        ..Flags::default()
    };
    let loaded = Config::load(Source::File(&options.config), std::env::vars_os(), &flags);
    let mut collected = Collected::new(loaded.as_ref().ok());
    collected.add(
        "version.txt",
        "the program that made this; a running server says its own in metrics-1.txt",
        Ok(version(stamp)),
    );
    let config_text = match &loaded {
        Ok(config) => config.to_toml(),
        // What a start would say.
        Err(error) => {
            eprintln!("purser: no server would start with this configuration: {error}");
            format!("# This configuration is not valid.\n# {error}\n")
        }
    };
    collected.add(
        "config.toml",
        "the effective configuration, secrets hidden, as `purser config check` prints it here",
        Ok(config_text.into_bytes()),
    );
    let data_dir = match (&options.data_dir, &loaded) {
        (_, Ok(config)) => Some(config.data_dir.clone()),
        (Some(directory), Err(_)) => Some(PathBuf::from(directory)),
        (None, Err(_)) => None,
    };
    let machine = Host::live();
    let process = data_dir
        .as_deref()
        .and_then(|directory| host::process_of(&machine, directory));
    // Before the rest makes work for the machine.
    server(loaded.as_ref().ok(), options, process, &mut collected);
    if let Some(directory) = &data_dir {
        collected.add(
            "data/manifest.txt",
            "which data set it is and how it is laid out",
            manifest(directory),
        );
        collected.add(
            "data/files.txt",
            "every file of the data directory with its size and time of change",
            files(directory),
        );
    } else {
        let why = "the configuration that names it is not valid; --data-dir names it too";
        collected.miss("data", why);
    }
    tuning(options, &mut collected);
    host::collect(&machine, process, &mut collected);
    program::collect(&options.unit, &mut collected);
    collected
}

fn version(stamp: &str) -> Vec<u8> {
    format!(
        "purser {}\nbuilt for {} {}\nmade at {stamp}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
    )
    .into_bytes()
}

/// What a running server says of itself; `process` is the one that it must be.
fn server(
    config: Option<&Config>,
    options: &BundleOptions,
    process: Option<u32>,
    collected: &mut Collected,
) {
    let configured = config.map(|config| config.listen.admin);
    let Some(address) = options.admin_listen.or(configured) else {
        let why = "the configuration that names its admin API is not valid; --admin-listen \
                   names it too";
        collected.miss("server", why);
        return;
    };
    let address = admin::reachable(address);
    if let Err(why) = admin::connect(address) {
        collected.miss("server", &format!("nobody answers at {address}: {why}"));
        return;
    }
    let token = config.and_then(|config| config.admin.token.as_ref());
    let credential = match token {
        None => Err("no admin token is configured here".to_owned()),
        Some(token) if options.send_token => Ok(Credential {
            token,
            process: None,
        }),
        Some(token) if process.is_some() => Ok(Credential { token, process }),
        Some(_) => Err(format!(
            "the admin token is not sent to {address}: no process has the lock of a data \
             directory here; --send-token sends it"
        )),
    };
    let mut ask = |name, about, path, needs_token: bool| {
        let body = if needs_token {
            credential
                .clone()
                .and_then(|credential| admin::get(address, path, Some(credential)))
        } else {
            admin::get(address, path, None)
        };
        collected.add(name, about, body);
    };
    ask(
        "server/metrics-1.txt",
        "the metrics of the running server",
        "/metrics",
        false,
    );
    ask("server/healthz.txt", "whether it lives", "/healthz", false);
    ask(
        "server/readyz.txt",
        "whether it is ready, and why not",
        "/readyz",
        false,
    );
    ask(
        "server/trial-balance.json",
        "the sums of the books of each domain; each total is zero",
        "/admin/v1/trial-balance",
        true,
    );
    ask(
        "server/slow-requests.json",
        "the requests that took long, where the server keeps them",
        "/admin/v1/slow-requests",
        true,
    );
    thread::sleep(METRICS_INTERVAL);
    ask(
        "server/metrics-2.txt",
        "the same metrics a second and the questions in between later, for rates",
        "/metrics",
        false,
    );
}

fn manifest(directory: &Path) -> Result<Vec<u8>, String> {
    let disk = DirectDisk::read_only(directory);
    match wal::read_manifest(&disk) {
        // Its third field is a secret: whoever has it can make transaction ids that collide.
        Ok(Some(manifest)) => Ok(format!(
            "data set  {}\nshards    {}\n",
            manifest.data_set,
            manifest.slot_map.shards()
        )
        .into_bytes()),
        Ok(None) => Err(format!("there is none in {}", directory.display())),
        Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
    }
}

fn files(directory: &Path) -> Result<Vec<u8>, String> {
    let mut text = String::from("bytes on-disk changed name\n");
    let mut left = FILES_LISTED_MAX;
    list(directory, Path::new(""), 0, &mut left, &mut text)
        .map_err(|error| format!("read {}: {error}", directory.display()))?;
    if left == 0 {
        let _ = writeln!(text, "… there are more");
    }
    Ok(text.into_bytes())
}

fn list(
    root: &Path,
    below: &Path,
    depth: usize,
    left: &mut usize,
    text: &mut String,
) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;

    let mut entries = std::fs::read_dir(root.join(below))?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = below.join(entry.file_name());
        // A server may let go of a file meanwhile.
        let Ok(found) = entry.metadata() else {
            continue;
        };
        if *left == 0 {
            return Ok(());
        }
        *left -= 1;
        let changed = found
            .modified()
            .ok()
            .and_then(|time| jiff::Timestamp::try_from(time).ok())
            .map_or_else(|| "-".to_owned(), |time| time.to_string());
        // Blocks are of 512 bytes here, whatever the file system's are (stat(2)).
        let _ = writeln!(
            text,
            "{} {} {changed} {}{}",
            found.len(),
            found.blocks() * 512,
            name.display(),
            if found.is_dir() { "/" } else { "" },
        );
        if found.is_dir() && depth + 1 < DEPTH_MAX {
            list(root, &name, depth + 1, left, text)?;
        }
    }
    Ok(())
}

/// What `purser tune` says, once for people and once for programs.
fn tuning(options: &BundleOptions, collected: &mut Collected) {
    for (name, about, json) in [
        (
            "tune.txt",
            "the settings of this machine as `purser tune` judges them; limits are those of \
             the process that made this, not of the server",
            false,
        ),
        ("tune.json", "the same for programs", true),
    ] {
        let options = TuneOptions {
            config: Some(options.config.clone()),
            data_dir: options.data_dir.clone(),
            shards: None,
            apply: false,
            dry_run: false,
            // Used by --apply only.
            restore_dir: PathBuf::new(),
            verbose: false,
            json,
            root: None,
        };
        let mut text = Vec::new();
        // A setting that must be changed is an error, after all of it was printed.
        let judged = tune::tune(&options, &mut text);
        let printed = match judged {
            Err(error) if text.is_empty() => Err(format!("{error:#}")),
            _ => Ok(text),
        };
        collected.add(name, about, printed);
    }
}
