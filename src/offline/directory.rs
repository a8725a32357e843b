//! A data directory that is read from outside.
//!
//! While no process uses it, its lock is held, so that none begins to. If one does use it,
//! it is read as well: frames are never written twice and each stands behind one that is
//! whole, so what was read is a state that the directory had at some moment of the reading,
//! and what came meanwhile is left out. A server that makes a checkpoint lets go of files;
//! then the reading begins again (`shards::wal::scan`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use shards::ledger::{Entry, LedgerSettings, Posting};
use shards::storage::{DirectDisk, DirectoryLock, LockError, Storage};
use shards::types::{Lsn, ShardId};
use shards::wal::{
    self, FileKind, Inventory, Manifest, Progress, Reading, Rebuild, Scan, SealedHeader, Visitor,
};

use super::switch::{self, Settled};

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

impl From<String> for Stop {
    fn from(misfit: String) -> Self {
        Self::Misfit(misfit)
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
        check_is_directory(path)?;
        let (lock, user) = take_or_respect_lock(path)?;
        switch::check_is_settled(path, user.is_some())?;
        let (disk, manifest) = open_manifest(path)?;
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

    /// Opens a data directory that nobody else uses, to change it, and finishes what was
    /// begun there.
    pub(super) fn open_alone(path: &Path) -> anyhow::Result<(Self, Settled)> {
        check_is_directory(path)?;
        // A lock is made only where there is something to lock.
        let lock = match DirectoryLock::acquire_existing(path)? {
            Some(lock) => lock,
            None => {
                open_manifest(path)?;
                DirectoryLock::acquire(path)?
            }
        };
        let settled = switch::settle(path)
            .with_context(|| format!("finish the layout of {}", path.display()))?;
        let (disk, manifest) = open_manifest(path)?;
        let opened = Self {
            disk,
            manifest,
            user: None,
            _lock: Some(lock),
        };
        Ok((opened, settled))
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.manifest.slot_map.shards()).map(ShardId)
    }

    /// Whether somebody may be writing what is read.
    pub(super) fn is_live(&self) -> bool {
        self.user.is_some()
    }

    /// How long the logs of some shards are, to show how far the reading is.
    pub(super) fn log_bytes(&self, shards: impl Iterator<Item = ShardId>) -> u64 {
        let of_shard = |shard| {
            let directory = wal::shard_directory(shard);
            // What cannot be listed is refused when it is read.
            let names = self.disk.list(&directory).unwrap_or_default();
            names
                .iter()
                .filter(|name| KINDS.iter().any(|kind| kind.number(name).is_some()))
                .filter_map(|name| self.disk.open(&format!("{directory}/{name}")).ok())
                .filter_map(|file| file.length().ok())
                .sum::<u64>()
        };
        shards.map(of_shard).sum()
    }

    /// Reads what a shard has to its end: the checkpoint, the history before it if that is
    /// wanted, and the log.
    pub(super) fn read(
        &self,
        shard: ShardId,
        with_history: bool,
        progress: &Progress,
        reader: &mut dyn Reader,
    ) -> anyhow::Result<Scan> {
        let reading = Reading {
            is_live: self.is_live(),
            with_history,
        };
        let mut adapter = Adapter {
            reader,
            failed: None,
        };
        let (disk, manifest) = (&self.disk, &self.manifest);
        let read = wal::scan(disk, manifest, shard, reading, progress, &mut adapter);
        match adapter.failed {
            Some(error) => Err(error),
            None => read.with_context(|| format!("shard {shard}")),
        }
    }

    /// Does something with the files of a shard, and once more when some of them went away
    /// meanwhile.
    pub(super) fn with_files<T>(
        &self,
        shard: ShardId,
        mut work: impl FnMut(&Inventory) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let list = || Inventory::of(&self.disk, shard).map_err(wal::OpenError::from);
        loop {
            let files = list()?;
            let done = work(&files);
            let is_gone = done.is_err() && self.is_live() && list()?.has_lost_of(&files);
            if !is_gone {
                return done;
            }
        }
    }
}

fn check_is_directory(path: &Path) -> anyhow::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => bail!("{} is no directory", path.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
            "there is no directory {}; --data-dir is what data_dir in the configuration says",
            path.display()
        ),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

fn open_manifest(path: &Path) -> anyhow::Result<(DirectDisk, Manifest)> {
    let disk = DirectDisk::read_only(path);
    let Some(manifest) = wal::find_manifest(&disk)? else {
        bail!(
            "{} is no data directory: there is no manifest in it, and no log",
            path.display()
        );
    };
    Ok((disk, manifest))
}

const KINDS: [FileKind; 3] = [FileKind::Segment, FileKind::Checkpoint, FileKind::History];

/// What is done with what a shard has.
pub(super) trait Reader {
    /// An entry of the checkpoint that the reading begins with.
    fn entry(&mut self, entry: Entry) -> Result<(), Stop>;

    /// That was the last entry.
    fn restored(&mut self, header: &SealedHeader) -> Result<(), Stop>;

    /// A posting that is in the checkpoint, if those are wanted.
    fn past(&mut self, lsn: Lsn, posting: Posting) -> Result<(), Stop>;

    /// A posting behind the checkpoint.
    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), Stop>;

    /// The reading begins again.
    fn again(&mut self);
}

/// Remembers why a reader failed: the log is not what is wrong then.
struct Adapter<'a> {
    reader: &'a mut dyn Reader,
    failed: Option<anyhow::Error>,
}

impl Adapter<'_> {
    fn judge(&mut self, done: Result<(), Stop>) -> Result<(), String> {
        done.map_err(|stop| match stop {
            Stop::Misfit(what) => what,
            Stop::Failed(error) => {
                self.failed = Some(error);
                String::new()
            }
        })
    }
}

impl Visitor for Adapter<'_> {
    fn entry(&mut self, entry: Entry) -> Result<(), String> {
        let done = self.reader.entry(entry);
        self.judge(done)
    }

    fn restored(&mut self, header: &SealedHeader) -> Result<(), String> {
        let done = self.reader.restored(header);
        self.judge(done)
    }

    fn past(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String> {
        let done = self.reader.past(lsn, posting);
        self.judge(done)
    }

    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String> {
        let done = self.reader.posting(lsn, posting);
        self.judge(done)
    }

    fn again(&mut self) {
        self.reader.again();
    }
}

/// Says which postings are kept no longer, where that is so.
pub(super) fn warn_of_forgotten(shard: ShardId, scan: &Scan) {
    let oldest = scan.oldest_lsn.0;
    if oldest > 1 {
        eprintln!(
            "purser: shard {shard}: the oldest posting that is kept is LSN {oldest}; what those \
             before it led to is in the checkpoint"
        );
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

/// A ledger that is read back to be checked, and that nobody asks anything.
pub(super) fn rebuild(manifest: &Manifest) -> Rebuild {
    Rebuild::new(LedgerSettings {
        // Repeats are not looked for: the shortest memory that there is will do.
        idempotency_window: std::time::Duration::from_secs(3_600),
        digest_secret: manifest.digest_secret,
        // Nothing is asked.
        clock_skew_max: std::time::Duration::ZERO,
    })
}

/// The folder that a file or directory is in; the current one for a bare name.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
