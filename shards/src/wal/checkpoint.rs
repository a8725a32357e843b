//! Checkpoints: the state that all closed segments up to one led to.
//!
//! A start reads the newest one and then the segments behind it; the postings before need
//! not be there any more. `shard-N/NNNNNNNN.ckpt` has the number of the last segment
//! that is in it. Two generations are kept, and every segment behind the older one.

use std::ops::ControlFlow;

use super::codec::{decode_entry, encode_entry};
use super::error::{FoldError, OpenError, RESTORE, Refusal};
use super::frame::FileKind;
use super::history::check_history;
use super::inventory::Inventory;
use super::log::LogPosition;
use super::manifest::Manifest;
use super::sealed::{Sealed, SealedHeader, SealedId};
use super::sealed_writer::{SealedWriter, WholeFile, remove_temporary};
use super::visitor::{Progress, Visitor};
use crate::failpoint::{self, Window};
use crate::ledger::{Entry, Ledger};
use crate::storage::Storage;
use crate::types::{Lsn, ShardId};

/// Where the reading of a log begins.
pub(super) struct Start {
    pub(super) position: LogPosition,
    /// What was read before that position.
    pub(super) checkpoint: Option<SealedHeader>,
    /// The history up to there, oldest first.
    pub(super) histories: Vec<SealedHeader>,
}

/// Reads a checkpoint, hands out its entries, and checks every byte of it.
///
/// # Errors
/// A [`Refusal`] for damage, a file that is not there or that of another log, and for an
/// entry that `each` does not take.
pub fn read_checkpoint(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    number: u32,
    progress: &Progress,
    each: &mut dyn FnMut(Entry) -> Result<(), String>,
) -> Result<SealedHeader, Refusal> {
    let checkpoint = Sealed::open(storage, id_of(manifest, shard, number))?;
    checkpoint.read(progress, &mut |_, record| {
        let entry = decode_entry(record).map_err(|error| error.to_string())?;
        each(entry)
    })?;
    Ok(checkpoint.header)
}

pub(super) fn id_of(manifest: &Manifest, shard: ShardId, number: u32) -> SealedId {
    SealedId {
        kind: FileKind::Checkpoint,
        data_set: manifest.data_set,
        shard,
        number,
    }
}

/// Reads the newest checkpoint, if there is any, into `visitor`, and finds the history
/// that belongs to it.
///
/// # Errors
/// A [`Refusal`] for any damage. Where a start could do without the checkpoint, it says so.
pub(super) fn begin(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    inventory: &Inventory,
    progress: &Progress,
    visitor: &mut dyn Visitor,
) -> Result<Start, Refusal> {
    let Some(number) = inventory.newest_checkpoint() else {
        return Ok(Start {
            position: LogPosition::origin(manifest.data_set, shard),
            checkpoint: None,
            histories: Vec::new(),
        });
    };
    let header = read_checkpoint(storage, manifest, shard, number, progress, &mut |entry| {
        visitor.entry(entry)
    })
    .and_then(|header| {
        let restored = visitor.restored(&header).map_err(|found| Refusal {
            file: storage.display(&FileKind::Checkpoint.path(shard, number)),
            offset: header.bytes,
            expected: "entries that are a ledger".to_owned(),
            found,
            advice: RESTORE.to_owned(),
        });
        restored.map(|()| header)
    })
    .map_err(|refusal| with_way_back(refusal, inventory, number))?;
    let histories = check_history(storage, manifest, shard, inventory, &header)?;
    Ok(Start {
        position: header.position(),
        checkpoint: Some(header),
        histories,
    })
}

/// Adds to the refusal of a checkpoint what leads to the same state, where something does:
/// the one before, the log from its beginning, or a newer one.
pub(super) fn with_way_back(mut refusal: Refusal, inventory: &Inventory, number: u32) -> Refusal {
    if let Some(newest) = inventory.newest_checkpoint().filter(|at| *at > number) {
        refusal.advice = format!(
            "A start reads checkpoint {newest} and does without this one, and it goes away when \
             two newer ones are there: check the disk, and make a backup now."
        );
        return refusal;
    }
    let before = inventory.checkpoint_before(number);
    if inventory.has_segments(before + 1..=number + 1) {
        let from = match before {
            0 => "Every segment since the first is still there".to_owned(),
            before => format!("Checkpoint {before} and every segment after it are still there"),
        };
        refusal.advice = format!(
            "{from}: to start from there, move this file out of the directory; nothing is lost. {}",
            refusal.advice
        );
    }
    refusal
}

/// Writes a ledger as a checkpoint, whole and durable, still under its temporary name.
/// `header` says what it is; what only the writer knows of it is filled in. `pace` is told
/// of the bytes between writes and may stop it.
///
/// # Errors
/// [`FoldError`]; then nothing is left.
pub(super) fn write_checkpoint<'a>(
    storage: &'a dyn Storage,
    header: SealedHeader,
    ledger: &Ledger,
    pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<WholeFile<'a>, FoldError> {
    let id = SealedId {
        kind: FileKind::Checkpoint,
        data_set: header.data_set,
        shard: header.shard,
        number: header.number,
    };
    let mut write = || {
        let io_error = |source| OpenError::Io {
            action: "write",
            file: storage.display(&id.path()),
            source,
        };
        let mut writer = SealedWriter::create(storage, id, Lsn::NONE.next()).map_err(io_error)?;
        ledger.entries(&mut |entry| -> Result<(), FoldError> {
            let written = writer.push(|out| encode_entry(&entry, out));
            if let Some(bytes) = written.map_err(io_error)? {
                failpoint::pass(Window::MidCheckpoint);
                if pace(bytes).is_break() {
                    return Err(FoldError::Stopped);
                }
            }
            Ok(())
        })?;
        writer.finish(header, pace)
    };
    write().inspect_err(|_| remove_temporary(storage, id))
}
