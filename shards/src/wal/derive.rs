//! Whether a checkpoint is what the postings before it lead to: the fold, done again and
//! compared, for who verifies a data directory.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::checkpoint::{self, read_checkpoint, with_way_back};
use super::codec::encode_entry;
use super::error::{OpenError, RESTORE, Refusal};
use super::frame::FileKind;
use super::history::{self, read_history};
use super::inventory::Inventory;
use super::log::LogPosition;
use super::manifest::Manifest;
use super::rebuild::Rebuild;
use super::scanner::{Access, Scanner};
use super::sealed::{Sealed, SealedHeader};
use super::visitor::{Progress, Visitor};
use crate::ledger::{Entry, Ledger, LedgerSettings};
use crate::storage::Storage;
use crate::types::{Lsn, ShardId};

/// What came of deriving a checkpoint once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derived {
    /// It is what follows from the files before it.
    Equal,
    /// Nothing that it follows from is kept any more; by itself it is whole.
    NothingBefore,
}

/// Reads all of a checkpoint, and derives it once more from the one before it, or from the
/// beginning, with the segments or the history in between, where those are still there.
///
/// # Errors
/// [`OpenError::Refused`] when anything that is read is damaged, or when the checkpoint is
/// not what follows.
pub fn derive(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    inventory: &Inventory,
    number: u32,
    progress: &Progress,
) -> Result<(SealedHeader, Derived), OpenError> {
    // Without the checkpoint before, nothing tells how long ids were to be remembered when
    // its postings were folded: then what is remembered is left out.
    let has_base = header_base_is_there(storage, manifest, shard, inventory, number)?;
    let mut stated = EntriesDigest::new(has_base);
    let mut window = Duration::ZERO;
    let mut rebuild = Rebuild::new(settings(manifest, Duration::from_secs(3_600)));
    let header = read_checkpoint(storage, manifest, shard, number, progress, &mut |entry| {
        stated.add(&entry);
        if let Entry::Memory(memory) = &entry {
            window = memory.span();
        }
        rebuild.entry(entry)
    })
    .map_err(|refusal| with_way_back(refusal, inventory, number))?;
    let refuse = |expected: &str, found: String| Refusal {
        file: storage.display(&FileKind::Checkpoint.path(shard, number)),
        offset: header.bytes,
        expected: expected.to_owned(),
        found,
        advice: RESTORE.to_owned(),
    };
    rebuild
        .restored(&header)
        .map_err(|found| refuse("entries that are a ledger", found))?;
    drop(rebuild);
    let mut again = Rebuild::new(settings(manifest, window));
    let before = Before {
        storage,
        manifest,
        shard,
        inventory,
        progress,
    };
    let Some(next_lsn) = before.replay(&header, &mut again)? else {
        return Ok((header, Derived::NothingBefore));
    };
    let derived = EntriesDigest::of(&again.into_ledger(), has_base);
    if derived != stated || next_lsn != header.next_lsn {
        let expected = "the state that the checkpoint and the postings before it lead to";
        let found = format!(
            "another one: {} entries at LSN {} where {} at LSN {next_lsn} follow",
            stated.count, header.next_lsn, derived.count
        );
        return Err(refuse(expected, found).into());
    }
    Ok((header, Derived::Equal))
}

fn settings(manifest: &Manifest, idempotency_window: Duration) -> LedgerSettings {
    LedgerSettings {
        idempotency_window,
        digest_secret: manifest.digest_secret,
        // Part of that window already.
        clock_skew_max: Duration::ZERO,
    }
}

/// What may be there from before a checkpoint.
struct Before<'a> {
    storage: &'a dyn Storage,
    manifest: &'a Manifest,
    shard: ShardId,
    inventory: &'a Inventory,
    progress: &'a Progress,
}

impl Before<'_> {
    /// Brings a ledger to the state of a checkpoint, and tells how far it came; `None`
    /// when what would lead there is not kept.
    fn replay(
        &self,
        header: &SealedHeader,
        rebuild: &mut Rebuild,
    ) -> Result<Option<Lsn>, OpenError> {
        let Self {
            storage,
            manifest,
            shard,
            inventory,
            progress,
        } = *self;
        let has_base = inventory.checkpoints.binary_search(&header.base).is_ok();
        // Without the checkpoint before, a history that reaches back to the first
        // posting says the same.
        let base = if has_base { header.base } else { 0 };
        let mut start = LogPosition::origin(manifest.data_set, shard);
        if base > 0 {
            let read = read_checkpoint(storage, manifest, shard, base, progress, &mut |entry| {
                rebuild.entry(entry)
            })?;
            // Refused already when that checkpoint was looked at by itself.
            let _ = rebuild.restored(&read);
            start = read.position();
        }
        if inventory.has_segments(base + 1..=header.number) {
            let scanner = Scanner::new(storage, manifest, shard, Access::Read, progress);
            let end = scanner.run_closed(start, header.number, rebuild)?;
            return Ok(Some(end.next_lsn));
        }
        let mut next = start.next_lsn;
        let between = |at: &&u32| **at > base && **at <= header.number;
        for &number in inventory.histories.iter().filter(between) {
            let past = Sealed::open(storage, history::id_of(manifest, shard, number))?.header;
            if past.first_lsn != next {
                return Ok(None);
            }
            read_history(
                storage,
                manifest,
                shard,
                number,
                progress,
                &mut |lsn, posting| rebuild.posting(lsn, posting),
            )?;
            next = past.next_lsn;
        }
        // Some of the history is missing, or all of it.
        Ok((next == header.next_lsn && !inventory.histories.is_empty()).then_some(next))
    }
}

/// Whether the checkpoint that another one goes on from is still there, or there was none.
fn header_base_is_there(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    inventory: &Inventory,
    number: u32,
) -> Result<bool, OpenError> {
    let header = Sealed::open(storage, checkpoint::id_of(manifest, shard, number))
        .map_err(|refusal| with_way_back(refusal, inventory, number))?
        .header;
    Ok(header.base == 0 || inventory.has(FileKind::Checkpoint, header.base))
}

/// Digest of entries in their order, and how many they are.
#[derive(PartialEq, Eq)]
struct EntriesDigest {
    with_memory: bool,
    digest: u64,
    count: u64,
    bytes: Vec<u8>,
}

impl EntriesDigest {
    fn new(with_memory: bool) -> Self {
        Self {
            with_memory,
            digest: 0,
            count: 0,
            bytes: Vec::new(),
        }
    }

    fn add(&mut self, entry: &Entry) {
        let is_memory = !matches!(
            entry,
            Entry::Book(_) | Entry::Account(_) | Entry::Session(_) | Entry::SpentToken(_)
        );
        if is_memory && !self.with_memory {
            return;
        }
        self.bytes.clear();
        encode_entry(entry, &mut self.bytes);
        self.digest = xxh3_64_with_seed(&self.bytes, self.digest);
        self.count += 1;
    }

    fn of(ledger: &Ledger, with_memory: bool) -> Self {
        let mut digest = Self::new(with_memory);
        let Ok(()) = ledger.entries::<std::convert::Infallible>(&mut |entry| {
            digest.add(&entry);
            Ok(())
        });
        digest
    }
}
