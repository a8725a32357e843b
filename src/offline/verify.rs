//! `purser verify`: reads all of a data directory, and says whether everything in it holds.
//!
//! Checksums, order and chain are checked by the scan that recovery uses, balances by the
//! ledger that recovery uses. Here it is checked in addition that every checkpoint is what
//! the postings before it lead to, as far as they are kept, that the history is whole, that
//! every account is with the shard that owns it, and that the books of each domain sum to
//! zero.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::Context;
use clap::Args;
use shards::ledger::{Book, Entry, Posting};
use shards::routing::slot_of;
use shards::types::{AccountId, Lsn, ShardId};
use shards::wal::{self, Progress, Rebuild, SealedHeader, Visitor};

use super::directory::{DataDirectory, Reader, Stop, rebuild};
use super::progress::{Stdout, shown};
use super::report::{Report, ShardReport};

/// Options of `purser verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyOptions {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Verifies a data directory and prints what it holds to `out`.
///
/// # Errors
/// The directory cannot be read, its data is refused, or its books do not sum to zero.
pub fn verify(options: &VerifyOptions, out: &mut dyn Write) -> anyhow::Result<()> {
    let report = check(&options.data_dir)?;
    let printed = if options.json {
        serde_json::to_writer(&mut *out, &report)
            .map_err(Into::into)
            .and_then(|()| writeln!(out))
    } else {
        report.print(out)
    };
    printed.context("write to stdout")?;
    report.judge_books()
}

/// Reads and checks everything. All shards are read, also when one is refused, and every
/// refusal but the last is said here.
pub(super) fn check(path: &Path) -> anyhow::Result<Report> {
    check_directory(&DataDirectory::open(path)?)
}

/// As [`check`], of a directory that is open.
pub(super) fn check_directory(directory: &DataDirectory) -> anyhow::Result<Report> {
    let bytes = directory.log_bytes(directory.shards());
    let checked = shown("verify", bytes, Stdout::Quiet, |progress| {
        check_shards(directory, progress)
    });
    let mut shards = Vec::new();
    let mut books = Vec::new();
    let mut refused: Option<anyhow::Error> = None;
    for result in checked {
        match result {
            Ok((shard, of_shard)) => {
                shards.push(shard);
                books.extend(of_shard);
            }
            Err(error) => {
                if let Some(earlier) = refused.replace(error) {
                    eprintln!("purser: {earlier:#}");
                }
            }
        }
    }
    if let Some(error) = refused {
        return Err(error);
    }
    Ok(Report::new(directory, shards, &books))
}

type Checked = anyhow::Result<(ShardReport, Vec<Book>)>;

/// As many shards at a time as there are CPUs; the results in the order of the shards.
fn check_shards(directory: &DataDirectory, progress: &Progress) -> Vec<Checked> {
    let shards = directory.manifest.slot_map.shards();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU16::new(0);
    let worker = || {
        std::iter::from_fn(|| {
            let shard = next.fetch_add(1, Ordering::Relaxed);
            (shard < shards).then_some(ShardId(shard))
        })
        .map(|shard| (shard, check_shard(directory, shard, progress)))
        .collect::<Vec<_>>()
    };
    let mut checked = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cpus.min(usize::from(shards)))
            .map(|_| scope.spawn(worker))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| match worker.join() {
                Ok(checked) => checked,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect::<Vec<_>>()
    });
    checked.sort_by_key(|(shard, _)| *shard);
    checked.into_iter().map(|(_, checked)| checked).collect()
}

fn check_shard(directory: &DataDirectory, shard: ShardId, progress: &Progress) -> Checked {
    let checkpoints = directory
        .with_files(shard, |files| {
            let derive = |number: &u32| {
                let (disk, manifest) = (&directory.disk, &directory.manifest);
                wal::derive(disk, manifest, shard, files, *number, progress)
            };
            let checked: Result<Vec<_>, _> = files.checkpoints.iter().map(derive).collect();
            Ok(checked?)
        })
        .with_context(|| format!("shard {shard}"))?;
    let mut checker = Checker {
        directory,
        shard,
        rebuild: rebuild(&directory.manifest),
    };
    let scan = directory.read(shard, true, progress, &mut checker)?;
    let ledger = checker.rebuild.ledger();
    let report = ShardReport::new(shard, ledger.counts().accounts, &scan, &checkpoints);
    Ok((report, ledger.books().to_vec()))
}

/// Applies everything to a ledger, and sees to it that it belongs to this shard.
struct Checker<'a> {
    directory: &'a DataDirectory,
    shard: ShardId,
    rebuild: Rebuild,
}

impl Checker<'_> {
    fn check_owner(&self, account: &AccountId) -> Result<(), Stop> {
        let owner = self.directory.manifest.slot_map.owner(slot_of(account));
        if owner != self.shard {
            let what = format!("its account {account} belongs to shard {owner}");
            return Err(Stop::Misfit(what));
        }
        Ok(())
    }
}

impl Reader for Checker<'_> {
    fn entry(&mut self, entry: Entry) -> Result<(), Stop> {
        if let Entry::Account(account) = &entry {
            self.check_owner(&account.id)?;
        }
        Ok(self.rebuild.entry(entry)?)
    }

    fn restored(&mut self, header: &SealedHeader) -> Result<(), Stop> {
        Ok(self.rebuild.restored(header)?)
    }

    fn past(&mut self, _: Lsn, posting: Posting) -> Result<(), Stop> {
        self.check_owner(&posting.account)
    }

    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), Stop> {
        self.check_owner(&posting.account)?;
        Ok(self.rebuild.posting(lsn, posting)?)
    }

    fn again(&mut self) {
        self.rebuild = rebuild(&self.directory.manifest);
    }
}
