//! A data directory that is read from outside.
//!
//! While no process uses it, its lock is held, so that none begins to. If one does use it,
//! it is read as well: frames are never written twice and each stands behind one that is
//! whole, so what was read is a state that the directory had at some moment of the reading,
//! and what came meanwhile is left out (`shards::wal::scan_live`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use shards::ledger::{Ledger, LedgerSettings, Misfit, Posting};
use shards::storage::{DirectDisk, DirectoryLock, LockError, Storage};
use shards::types::{Lsn, ShardId};
use shards::wal::{self, Manifest, Progress, Scan};

/// A data set, open to be read.
pub(super) struct DataDirectory {
    pub(super) disk: DirectDisk,
    pub(super) manifest: Manifest,
    /// Who uses the directory, in words.
    pub(super) user: Option<String>,
    /// Held until the reading is done.
    _lock: Option<DirectoryLock>,
}

/// Why the reading of a log stops before its end.
pub(super) enum Stop {
    /// The posting does not follow from those before it: the log is refused.
    Misfit(String),
    /// What was to be done with it failed.
    Failed(anyhow::Error),
}

impl From<Misfit> for Stop {
    fn from(misfit: Misfit) -> Self {
        Self::Misfit(misfit.to_string())
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl DataDirectory {
    /// Opens a data directory, and says on stderr who uses it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => bail!("{} is no directory", path.display()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
                "there is no directory {}; --data-dir is what data_dir in the configuration says",
                path.display()
            ),
            Err(error) => {
                return Err(error).with_context(|| format!("read {}", path.display()));
            }
        }
        let (lock, user) = take_or_respect_lock(path)?;
        let disk = DirectDisk::read_only(path);
        let Some(manifest) = wal::find_manifest(&disk)? else {
            bail!(
                "{} is no data directory: there is no manifest in it, and no log",
                path.display()
            );
        };
        if let Some(user) = &user {
            eprintln!(
                "purser: {} is in use by {user}; reading what it has written so far",
                path.display()
            );
        }
        Ok(Self {
            disk,
            manifest,
            user,
            _lock: lock,
        })
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.manifest.slot_map.shards()).map(ShardId)
    }

    /// How long the logs of some shards are, to show how far the reading is.
    pub(super) fn log_bytes(&self, shards: impl Iterator<Item = ShardId>) -> u64 {
        let of_shard = |shard| {
            let directory = wal::shard_directory(shard);
            // What cannot be listed is refused when it is read.
            let names = self.disk.list(&directory).unwrap_or_default();
            names
                .iter()
                .filter(|name| name.ends_with(".seg"))
                .filter_map(|name| self.disk.open(&format!("{directory}/{name}")).ok())
                .filter_map(|file| file.length().ok())
                .sum::<u64>()
        };
        shards.map(of_shard).sum()
    }

    /// Reads a shard's log to its end.
    pub(super) fn read(
        &self,
        shard: ShardId,
        progress: &Progress,
        mut each: impl FnMut(Lsn, Posting) -> Result<(), Stop>,
    ) -> anyhow::Result<Scan> {
        let mut failed = None;
        let mut visitor = |lsn, posting| {
            each(lsn, posting).map_err(|stop| match stop {
                Stop::Misfit(what) => what,
                Stop::Failed(error) => {
                    failed = Some(error);
                    String::new()
                }
            })
        };
        let scan = if self.user.is_none() {
            wal::scan
        } else {
            wal::scan_live
        };
        let read = scan(&self.disk, &self.manifest, shard, progress, &mut visitor);
        match failed {
            Some(error) => Err(error),
            None => read.with_context(|| format!("shard {shard}")),
        }
    }
}

/// The lock, if there is one and nobody has it; otherwise who has it.
fn take_or_respect_lock(path: &Path) -> anyhow::Result<(Option<DirectoryLock>, Option<String>)> {
    match DirectoryLock::acquire_existing(path) {
        Ok(lock) => Ok((lock, None)),
        Err(LockError::Held { holder, .. }) => Ok((None, Some(format!("process {holder}")))),
        // On a read-only file system, or as another user: nothing can be known.
        Err(LockError::Io { source, .. })
            if matches!(
                source.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            let user = format!("nobody or somebody (its lock cannot be opened: {source})");
            Ok((None, Some(user)))
        }
        Err(error) => Err(error.into()),
    }
}

/// A ledger that postings are checked on and that nobody asks anything.
pub(super) fn empty_ledger() -> Ledger {
    Ledger::new(LedgerSettings {
        // Repeats are not looked for: the shortest memory that there is will do.
        idempotency_window: std::time::Duration::from_secs(3_600),
        digest_secret: [0, 0],
        clock_skew_max: std::time::Duration::from_secs(300),
    })
}

/// The folder that a file or directory is in; the current one for a bare name.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
