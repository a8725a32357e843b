//! History: the postings of segments that were folded, without the room between them.
//!
//! A segment pads every flush to whole blocks, and most of it is that padding; kept for
//! days, it would fill disks. So a fold also writes the postings that it folded, packed into
//! full frames: `shard-N/NNNNNNNN.past`, with the number of the checkpoint that it goes
//! with. A start only checks that none is missing. Who asks what happened reads them.

use super::codec::decode;
use super::error::Refusal;
use super::frame::FileKind;
use super::inventory::Inventory;
use super::manifest::Manifest;
use super::sealed::{Sealed, SealedHeader, SealedId};
use super::visitor::Progress;
use crate::ledger::Posting;
use crate::storage::Storage;
use crate::types::{Lsn, ShardId};

pub(super) fn id_of(manifest: &Manifest, shard: ShardId, number: u32) -> SealedId {
    SealedId {
        kind: FileKind::History,
        data_set: manifest.data_set,
        shard,
        number,
    }
}

/// Checks by their headers that the history is whole: from its oldest file to the
/// newest checkpoint without a gap.
///
/// # Errors
/// A [`Refusal`] that names the file that is missing or damaged.
pub(super) fn check_history(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    inventory: &Inventory,
    checkpoint: &SealedHeader,
) -> Result<Vec<SealedHeader>, Refusal> {
    let missing = |number: u32| Refusal {
        file: storage.display(&FileKind::History.path(shard, number)),
        offset: 0,
        expected: format!("the history up to segment {number}"),
        found: "no such file".to_owned(),
        advice: "Put the file back from where it went, or restore the data directory from a \
                 backup. It has no part in the balances: to go on without the postings in it and \
                 before it, move the history files before it out of the directory."
            .to_owned(),
    };
    let mut headers: Vec<SealedHeader> = Vec::new();
    for &number in inventory.valid_histories() {
        let header = Sealed::open(storage, id_of(manifest, shard, number))?.header;
        if let Some(before) = headers.last()
            && (before.number, before.next_lsn) != (header.base, header.first_lsn)
        {
            return Err(missing(header.base));
        }
        headers.push(header);
    }
    match headers.last() {
        Some(newest)
            if (newest.number, newest.next_lsn) == (checkpoint.number, checkpoint.next_lsn) =>
        {
            Ok(headers)
        }
        _ => Err(missing(checkpoint.number)),
    }
}

/// Hands out the postings of one history file, in order, and checks every byte of it.
///
/// # Errors
/// A [`Refusal`] for damage, a file that is not there or that of another log, and for a
/// posting that `each` does not take.
pub fn read_history(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    number: u32,
    progress: &Progress,
    each: &mut dyn FnMut(Lsn, Posting) -> Result<(), String>,
) -> Result<SealedHeader, Refusal> {
    let history = Sealed::open(storage, id_of(manifest, shard, number))?;
    history.read(progress, &mut |lsn, record| {
        let posting = decode(record).map_err(|error| error.to_string())?;
        progress.add_postings(1);
        each(lsn, posting)
    })?;
    Ok(history.header)
}
