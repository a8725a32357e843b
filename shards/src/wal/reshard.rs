//! A data set laid out anew, for another number of shards.
//!
//! Every shard of the old one is read to its end, as a start would, with all postings that
//! are kept. Each new shard gets its accounts as a checkpoint, the postings of those
//! accounts as history under new positions, and an empty segment behind them. The new data
//! set has another id, so no file of one can be taken for a file of the other; it keeps the
//! key of the digests, or every id would be new.
//!
//! All of the old ledgers are in memory meanwhile, and one new one: as much as the server
//! needs, and a shard.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use hashbrown::HashMap;

use super::checkpoint::write_checkpoint;
use super::codec::encode;
use super::error::{FoldError, OpenError};
use super::frame::{Chain, DataSetId, FileKind};
use super::history;
use super::log::LogPosition;
use super::manifest::{Manifest, write_manifest};
use super::rebuild::Rebuild;
use super::scan::{Reading, scan};
use super::sealed::{LogAge, SealedHeader};
use super::sealed_writer::SealedWriter;
use super::segment::{SegmentOrder, shard_directory};
use super::tally::{Counting, Tally};
use super::visitor::{Progress, Visitor};
use crate::ledger::{Entry, Ledger, LedgerSettings, Posting, Restoring, Share, entries_of_share};
use crate::routing::{SlotMap, slot_of};
use crate::storage::Storage;
use crate::types::{AccountId, Lsn, ShardId, UnixMillis};

/// The number of the only checkpoint of a new shard. The log goes on in the next segment.
const CHECKPOINT: u32 = 1;

/// As long as an idempotency window can be. A log without a checkpoint does not tell how
/// long its ids are to be remembered, so none of them is forgotten.
const WINDOW_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);

/// What a data set becomes.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Its new id.
    pub data_set: DataSetId,
    /// How many shards it gets.
    pub shards: u16,
    /// Length of their first segments.
    pub segment_bytes: u64,
}

/// A data set that was laid out anew.
#[derive(Clone, Debug)]
pub struct Resharded {
    /// Of the new one.
    pub manifest: Manifest,
    /// What the old one holds. [`super::tally`] counts the new one once it is on the disk.
    pub tally: Tally,
}

/// Writes the data set of `from`, which nobody uses, into the empty directory `to`.
/// `progress` goes up by what is read, twice, and by what is written.
///
/// # Errors
/// [`OpenError::Refused`] when any of the data is damaged; [`OpenError::Io`] when the new
/// files cannot be written. The old ones are not touched.
///
/// # Panics
/// With no shards, or more shards than slots.
pub fn reshard(
    from: &dyn Storage,
    manifest: &Manifest,
    to: &dyn Storage,
    layout: Layout,
    progress: &Progress,
) -> Result<Resharded, OpenError> {
    let new = Manifest {
        data_set: layout.data_set,
        digest_secret: manifest.digest_secret,
        slot_map: SlotMap::even(layout.shards),
    };
    let shards = |of: &Manifest| (0..of.slot_map.shards()).map(ShardId);
    let first_lsn = first_lsn_behind(from, manifest, progress)?;
    let mut counting = Counting::default();
    let mut moves = Vec::new();
    for shard in shards(&new) {
        moves.push(Moved::begin(to, &new, shard, first_lsn)?);
    }
    let mut ledgers = Vec::new();
    for shard in shards(manifest) {
        let mut reading = Moving {
            rebuild: Rebuild::new(settings(manifest)),
            slot_map: new.slot_map,
            moves: &mut moves,
            counting: &mut counting,
            failed: None,
        };
        let whole = Reading {
            is_live: false,
            with_history: true,
        };
        let read = scan(from, manifest, shard, whole, progress, &mut reading);
        if let Some(failed) = reading.failed {
            return Err(failed);
        }
        read?;
        let ledger = reading.rebuild.into_ledger();
        let Ok(()) = ledger.entries::<std::convert::Infallible>(&mut |entry| {
            counting.entry(entry);
            Ok(())
        });
        counting.end_shard();
        ledgers.push(ledger);
    }
    for moved in moves {
        moved.finish(to, &new, &ledgers, layout.segment_bytes, progress)?;
    }
    write_manifest(to, &new).map_err(|source| io_error(to, "manifest", source))?;
    Ok(Resharded {
        manifest: new,
        tally: counting.finish(),
    })
}

/// A position behind all of the old logs: who has read up to some position before reads
/// nothing twice afterwards.
fn first_lsn_behind(
    storage: &dyn Storage,
    manifest: &Manifest,
    progress: &Progress,
) -> Result<Lsn, OpenError> {
    let mut behind = Lsn::NONE.next();
    let to_the_end = Reading {
        is_live: false,
        with_history: false,
    };
    for shard in (0..manifest.slot_map.shards()).map(ShardId) {
        let end = scan(
            storage,
            manifest,
            shard,
            to_the_end,
            progress,
            &mut ToTheEnd,
        )?;
        behind = behind.max(end.position.next_lsn);
    }
    // A log whose first position is 1 would be taken for one that has all of its history.
    Ok(behind.next())
}

/// Looks at nothing.
struct ToTheEnd;

impl Visitor for ToTheEnd {
    fn entry(&mut self, _: Entry) -> Result<(), String> {
        Ok(())
    }

    fn restored(&mut self, _: &SealedHeader) -> Result<(), String> {
        Ok(())
    }

    fn again(&mut self) {}

    fn posting(&mut self, _: Lsn, _: Posting) -> Result<(), String> {
        Ok(())
    }
}

/// For the ledger of an old shard. Nobody here knows for how long the server was to
/// remember, so nothing is forgotten; the next start sees to that.
fn settings(manifest: &Manifest) -> LedgerSettings {
    LedgerSettings {
        idempotency_window: WINDOW_MAX,
        digest_secret: manifest.digest_secret,
        // Nothing is decided.
        clock_skew_max: Duration::ZERO,
    }
}

/// What comes to one new shard, while the old ones are read.
struct Moved<'a> {
    shard: ShardId,
    past: SealedWriter<'a>,
    first_lsn: Lsn,
    next_lsn: Lsn,
    last_at: UnixMillis,
    last_bookings: HashMap<AccountId, Lsn>,
}

impl<'a> Moved<'a> {
    fn begin(
        to: &'a dyn Storage,
        new: &Manifest,
        shard: ShardId,
        first_lsn: Lsn,
    ) -> Result<Self, OpenError> {
        let directory = shard_directory(shard);
        to.create_directory(&directory)
            .map_err(|source| io_error(to, &directory, source))?;
        let id = history::id_of(new, shard, CHECKPOINT);
        let past = SealedWriter::create(to, id, first_lsn)
            .map_err(|source| io_error(to, &directory, source))?;
        Ok(Self {
            shard,
            past,
            first_lsn,
            next_lsn: first_lsn,
            last_at: UnixMillis::default(),
            last_bookings: HashMap::new(),
        })
    }

    /// Takes a posting over, behind those that came before.
    fn push(&mut self, mut posting: Posting) -> io::Result<()> {
        if let Some(previous) = posting.change.previous_booking_mut() {
            let before = self
                .last_bookings
                .insert(posting.account.clone(), self.next_lsn);
            // The chain ends where postings are not kept any more.
            *previous = before.unwrap_or(Lsn::NONE);
        }
        self.last_at = self.last_at.max(posting.at);
        self.past.push(|out| encode(&posting, out))?;
        self.next_lsn = self.next_lsn.next();
        Ok(())
    }

    /// Writes the share of the ledgers that belongs here, and the beginning of a log.
    fn finish(
        self,
        to: &dyn Storage,
        new: &Manifest,
        ledgers: &[Ledger],
        segment_bytes: u64,
        progress: &Progress,
    ) -> Result<(), OpenError> {
        let shard = self.shard;
        let history = SealedHeader {
            kind: FileKind::History,
            data_set: new.data_set,
            shard,
            number: CHECKPOINT,
            base: 0,
            bytes: 0,
            first_lsn: self.first_lsn,
            next_lsn: self.next_lsn,
            chain: Chain::origin(new.data_set, shard),
            records: 0,
            age: LogAge {
                ms: 0,
                last_at: self.last_at,
            },
            digest: Chain(0),
        };
        let share = Share {
            owns: &|slot| new.slot_map.owner(slot) == shard,
            holds_house: shard == ShardId(0),
            last_bookings: &self.last_bookings,
        };
        let ledger = share_of(ledgers, &share, new, to)?;
        let at_once = &mut |bytes| {
            progress.add_bytes(bytes);
            ControlFlow::Continue(())
        };
        let past = self.past.finish(history, at_once).map_err(of_fold)?;
        let header = SealedHeader {
            kind: FileKind::Checkpoint,
            ..history
        };
        let checkpoint = write_checkpoint(to, header, &ledger, at_once).map_err(of_fold)?;
        past.publish()?;
        let LogPosition { segment, .. } = checkpoint.publish()?.position();
        let first = SegmentOrder {
            data_set: new.data_set,
            shard,
            number: segment,
            bytes: segment_bytes,
        };
        first
            .make(to, &mut || {})
            .map_err(|source| io_error(to, &shard_directory(shard), source))?;
        Ok(())
    }
}

/// The ledger of one new shard.
fn share_of(
    ledgers: &[Ledger],
    share: &Share<'_>,
    new: &Manifest,
    to: &dyn Storage,
) -> Result<Ledger, OpenError> {
    let mut settings = LedgerSettings {
        idempotency_window: Duration::ZERO,
        digest_secret: new.digest_secret,
        clock_skew_max: Duration::ZERO,
    };
    let mut entries = Vec::new();
    let Ok(()) = entries_of_share::<std::convert::Infallible>(ledgers, share, &mut |entry| {
        if let Entry::Memory(memory) = &entry {
            settings.idempotency_window = memory.span();
        }
        entries.push(entry);
        Ok(())
    });
    let mut restoring = Restoring::new(settings);
    entries
        .into_iter()
        .try_for_each(|entry| restoring.entry(entry))
        .and_then(|()| restoring.finish())
        // Accounts of one shard were on one shard each, so this is a fault of ours.
        .map_err(|misfit| io_error(to, "", io::Error::other(misfit)))
}

/// Reads an old shard: its ledger, and its postings into the new ones.
struct Moving<'m, 'a> {
    rebuild: Rebuild,
    slot_map: SlotMap,
    moves: &'m mut [Moved<'a>],
    counting: &'m mut Counting,
    failed: Option<OpenError>,
}

impl Moving<'_, '_> {
    fn take_over(&mut self, posting: Posting) -> Result<(), String> {
        self.counting.posting(posting.clone());
        let owner = self.slot_map.owner(slot_of(&posting.account));
        self.moves[owner.index()].push(posting).map_err(|source| {
            let words = source.to_string();
            self.failed = Some(OpenError::Io {
                action: "write",
                file: shard_directory(owner),
                source,
            });
            words
        })
    }
}

impl Visitor for Moving<'_, '_> {
    fn entry(&mut self, entry: Entry) -> Result<(), String> {
        self.rebuild.entry(entry)
    }

    fn restored(&mut self, header: &SealedHeader) -> Result<(), String> {
        self.rebuild.restored(header)
    }

    fn past(&mut self, _: Lsn, posting: Posting) -> Result<(), String> {
        self.take_over(posting)
    }

    fn again(&mut self) {
        unreachable!("nobody else uses the data");
    }

    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String> {
        self.rebuild.posting(lsn, posting.clone())?;
        self.take_over(posting)
    }
}

fn of_fold(error: FoldError) -> OpenError {
    match error {
        FoldError::Open(error) => error,
        FoldError::Stopped => unreachable!("nobody stops it"),
    }
}

fn io_error(storage: &dyn Storage, path: &str, source: io::Error) -> OpenError {
    OpenError::Io {
        action: "write",
        file: storage.display(path),
        source,
    }
}
