//! The fold: a checkpoint and the segments behind it become a newer checkpoint.
//!
//! It reads files and never live memory, so it needs nothing of the shard but the number
//! of a segment that the log has left. It builds a second ledger of the shard while it runs.
//!
//! What it leaves at any moment is what a start can use: both files are written, synced and
//! read back under temporary names; the history gets its name before the checkpoint that
//! goes with it, and only then is anything let go of. Two generations stay: the new
//! checkpoint, the one before, and every segment behind that one.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use super::checkpoint::{self, begin, write_checkpoint};
use super::codec::encode;
use super::error::{FoldError, OpenError};
use super::frame::{Chain, FileKind, FrameHeader, Place, frame_bytes};
use super::history;
use super::inventory::{FREE_SUFFIX, Inventory, TEMPORARY_SUFFIX};
use super::manifest::Manifest;
use super::rebuild::Rebuild;
use super::scanner::{Access, Scanner};
use super::sealed::{LogAge, Sealed, SealedHeader, SealedId};
use super::sealed_writer::{PACE_BYTES, SealedWriter, remove_temporary};
use super::segment::{release_segment, shard_directory};
use super::visitor::{Progress, Visitor};
use crate::failpoint::{self, Window};
use crate::ledger::{Entry, LedgerSettings, Posting};
use crate::storage::Storage;
use crate::types::{Lsn, ShardId};

/// Segments that were let go of and wait to become others: the next one and another. A
/// log needs one at a time, and the rest of the disk is for whoever needs it.
const FREE_SEGMENTS_MAX: usize = 2;

/// What folds need to know.
#[derive(Clone, Copy, Debug)]
pub struct FoldSettings {
    /// As the shard's own ledger has them.
    pub ledger: LedgerSettings,
    /// For how long postings are kept that are in a checkpoint.
    pub history: Duration,
}

/// What a fold made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The new checkpoint.
    pub checkpoint: SealedHeader,
    /// The history that goes with it.
    pub history: SealedHeader,
}

/// Folds all segments up to `through`, which the log must have left, and lets go of what
/// is no longer needed. `pace` is told now and then how many bytes were read or written
/// since, may take its time, and may stop the fold.
///
/// # Errors
/// [`FoldError`]. A fold that is cut short anywhere leaves a log that starts, and what it
/// left is gone after the next one.
///
/// # Panics
/// When the ledger is to digest with another key than the data set's, or when `through`
/// is in a checkpoint already.
pub fn fold(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    through: u32,
    settings: &FoldSettings,
    pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Folded, FoldError> {
    assert!(settings.ledger.digest_secret == manifest.digest_secret);
    let inventory = Inventory::of(storage, shard)?;
    assert!(
        inventory
            .newest_checkpoint()
            .is_none_or(|newest| newest < through)
    );
    remove_leftovers(storage, shard, &inventory)?;
    let past_id = history::id_of(manifest, shard, through);
    let mut folding = Folding {
        storage,
        past_id,
        rebuild: Rebuild::new(settings.ledger),
        past: None,
        age: LogAge::default(),
        pace,
        unpaced_bytes: 0,
        fault: None,
    };
    let folded = folding.run(manifest, &inventory, through);
    let folded = folded.inspect_err(|_| {
        for id in [past_id, checkpoint::id_of(manifest, shard, through)] {
            remove_temporary(storage, id);
        }
    })?;
    release(storage, manifest, shard, settings, &folded.history)?;
    Ok(folded)
}

/// One fold under way.
struct Folding<'a, 'p> {
    storage: &'a dyn Storage,
    past_id: SealedId,
    rebuild: Rebuild,
    /// Begun with the first posting.
    past: Option<SealedWriter<'a>>,
    age: LogAge,
    pace: &'p mut dyn FnMut(u64) -> ControlFlow<()>,
    /// Read since `pace` was last asked.
    unpaced_bytes: u64,
    /// Why a posting or an entry was not taken, where that is not what is wrong with it.
    fault: Option<FoldError>,
}

impl<'a> Folding<'a, '_> {
    fn run(
        &mut self,
        manifest: &Manifest,
        inventory: &Inventory,
        through: u32,
    ) -> Result<Folded, FoldError> {
        let (storage, shard) = (self.storage, self.past_id.shard);
        let progress = Progress::default();
        let start = begin(storage, manifest, shard, inventory, &progress, self)
            .map_err(|refusal| self.fault_or(refusal.into()))?;
        let first_lsn = start.position.next_lsn;
        let scanner = Scanner::new(storage, manifest, shard, Access::Read, &progress);
        let end = scanner
            .run_closed(start.position, through, self)
            .map_err(|error| self.fault_or(error))?;
        failpoint::pass(Window::MidCheckpoint);
        let header = SealedHeader {
            kind: FileKind::History,
            data_set: manifest.data_set,
            shard,
            number: through,
            base: start.checkpoint.map_or(0, |base| base.number),
            bytes: 0,
            first_lsn,
            next_lsn: end.next_lsn,
            chain: end.chain,
            records: 0,
            age: self.age,
            digest: Chain(0),
        };
        let past = match self.past.take() {
            Some(past) => past,
            None => self.begin_past(first_lsn)?,
        };
        let past = past.finish(header, self.pace)?;
        failpoint::pass(Window::MidCheckpoint);
        let header = SealedHeader {
            kind: FileKind::Checkpoint,
            ..header
        };
        let checkpoint = write_checkpoint(storage, header, self.rebuild.ledger(), self.pace)?;
        failpoint::pass(Window::MidCheckpoint);
        // In this order: a history without its checkpoint is left over, a checkpoint
        // without its history has lost it.
        let history = past.publish()?;
        let checkpoint = checkpoint.publish()?;
        failpoint::pass(Window::MidCheckpoint);
        Ok(Folded {
            checkpoint,
            history,
        })
    }

    fn fault_or(&mut self, error: OpenError) -> FoldError {
        self.fault.take().unwrap_or(FoldError::Open(error))
    }

    fn begin_past(&self, first: Lsn) -> Result<SealedWriter<'a>, FoldError> {
        SealedWriter::create(self.storage, self.past_id, first)
            .map_err(|source| self.io_error(source))
    }

    fn io_error(&self, source: io::Error) -> FoldError {
        FoldError::Open(OpenError::Io {
            action: "write",
            file: self.storage.display(&self.past_id.path()),
            source,
        })
    }

    fn breathe(&mut self, bytes: u64) -> Result<(), FoldError> {
        self.unpaced_bytes += bytes;
        if self.unpaced_bytes < PACE_BYTES {
            return Ok(());
        }
        match (self.pace)(std::mem::take(&mut self.unpaced_bytes)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(FoldError::Stopped),
        }
    }

    /// Writes a posting to the history.
    fn keep(&mut self, lsn: Lsn, posting: &Posting) -> Result<(), FoldError> {
        let mut past = match self.past.take() {
            Some(past) => past,
            None => self.begin_past(lsn)?,
        };
        let written = past.push(|out| encode(posting, out));
        self.past = Some(past);
        if let Some(bytes) = written.map_err(|source| self.io_error(source))? {
            failpoint::pass(Window::MidCheckpoint);
            self.breathe(bytes)?;
        }
        Ok(())
    }

    /// What a visitor can say of a fault: the fault itself is kept.
    fn stop_with(&mut self, fault: FoldError) -> String {
        let words = fault.to_string();
        self.fault = Some(fault);
        words
    }
}

impl Visitor for Folding<'_, '_> {
    fn entry(&mut self, entry: Entry) -> Result<(), String> {
        self.rebuild.entry(entry)?;
        // No entry is longer; its exact length counts for nothing here.
        let paced = self.breathe(ENTRY_BYTES);
        paced.map_err(|fault| self.stop_with(fault))
    }

    fn restored(&mut self, header: &SealedHeader) -> Result<(), String> {
        self.age = header.age;
        self.rebuild.restored(header)
    }

    fn frame(&mut self, _: &Place, header: &FrameHeader) {
        self.unpaced_bytes += frame_bytes(header.payload_bytes as usize) as u64;
    }

    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String> {
        self.age.grow(posting.at);
        let kept = self.keep(lsn, &posting).and_then(|()| self.breathe(0));
        kept.map_err(|fault| self.stop_with(fault))?;
        self.rebuild.posting(lsn, posting)
    }

    fn again(&mut self) {
        unreachable!("a fold reads files that only it lets go of");
    }
}

/// What an entry is counted with while a checkpoint is read: that of a transaction, the
/// most frequent one.
const ENTRY_BYTES: u64 = 29;

/// Removes what an earlier fold left that did not come to its end: the next one makes it
/// anew. Files of other suffixes are somebody else's, who may be writing them.
fn remove_leftovers(
    storage: &dyn Storage,
    shard: ShardId,
    inventory: &Inventory,
) -> Result<(), OpenError> {
    let directory = shard_directory(shard);
    // The last is a segment whose release was not completed; a log makes no such names.
    let of_fold = [
        FileKind::Checkpoint.suffix(),
        FileKind::History.suffix(),
        FREE_SUFFIX,
    ]
    .map(|suffix| format!("{suffix}{TEMPORARY_SUFFIX}"));
    let temporary = inventory
        .temporary
        .iter()
        .filter(|name| of_fold.iter().any(|suffix| name.ends_with(suffix)))
        .map(|name| format!("{directory}/{name}"));
    let orphans = inventory.histories[inventory.valid_histories().len()..]
        .iter()
        .map(|number| FileKind::History.path(shard, *number));
    remove_all(storage, shard, temporary.chain(orphans))
}

/// Removes files, durably; one that is gone already is fine.
fn remove_all(
    storage: &dyn Storage,
    shard: ShardId,
    paths: impl Iterator<Item = String>,
) -> Result<(), OpenError> {
    let mut removed = false;
    for path in paths {
        match storage.remove(&path) {
            Ok(()) => removed = true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(OpenError::Io {
                    action: "remove",
                    file: storage.display(&path),
                    source,
                });
            }
        }
    }
    if removed {
        let directory = shard_directory(shard);
        storage
            .sync_directory(&directory)
            .map_err(|source| OpenError::Io {
                action: "sync",
                file: storage.display(&directory),
                source,
            })?;
    }
    Ok(())
}

/// Lets go of everything that neither of the two newest checkpoints needs, and of history
/// that is too old.
fn release(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    settings: &FoldSettings,
    newest: &SealedHeader,
) -> Result<(), OpenError> {
    let inventory = Inventory::of(storage, shard)?;
    let before = inventory.checkpoint_before(newest.number);
    let older = inventory.checkpoints.iter().filter(|at| **at < before);
    remove_all(
        storage,
        shard,
        older.map(|number| FileKind::Checkpoint.path(shard, *number)),
    )?;
    failpoint::pass(Window::MidCheckpoint);
    for number in inventory.segments.iter().filter(|at| **at <= before) {
        release_segment(storage, shard, *number).map_err(|source| OpenError::Io {
            action: "rename",
            file: storage.display(&FileKind::Segment.path(shard, *number)),
            source,
        })?;
        failpoint::pass(Window::MidCheckpoint);
    }
    let directory = shard_directory(shard);
    let free = Inventory::of(storage, shard)?.free;
    let surplus = free.len().saturating_sub(FREE_SEGMENTS_MAX);
    let surplus = free[..surplus].iter();
    remove_all(
        storage,
        shard,
        surplus.map(|name| format!("{directory}/{name}")),
    )?;
    failpoint::pass(Window::MidCheckpoint);
    let history_ms = i64::try_from(settings.history.as_millis()).unwrap_or(i64::MAX);
    let mut too_old = Vec::new();
    for &number in inventory.valid_histories() {
        let header = Sealed::open(storage, history::id_of(manifest, shard, number))?.header;
        // The older checkpoint goes with its history: a start from there looks for it.
        let is_needed = number >= before;
        if is_needed || newest.age.ms.saturating_sub(header.age.ms) <= history_ms {
            break;
        }
        too_old.push(FileKind::History.path(shard, number));
    }
    // One after the other, the oldest first: a crash in between leaves no gap.
    too_old
        .into_iter()
        .try_for_each(|path| remove_all(storage, shard, std::iter::once(path)))
}
