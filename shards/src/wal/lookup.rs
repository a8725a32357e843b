//! Single postings by their position, of a log that is being written.
//!
//! The bookings of an account are a chain through the log, from the last one back. Who
//! follows it reads one posting here and there, in segments and in history files. Where
//! frames begin is found once per file and kept for the files that were asked for last.

use std::collections::VecDeque;
use std::io;

use super::batch::split_record;
use super::codec::decode;
use super::error::{OpenError, READ_ERROR, RESTORE, Refusal};
use super::frame::{Chain, FRAME_HEADER_BYTES, FileKind, FrameHeader, Place};
use super::history;
use super::inventory::Inventory;
use super::manifest::Manifest;
use super::sealed::Sealed;
use super::segment::{FIRST_FRAME_OFFSET, Segment};
use super::window::{Read, Window};
use crate::ledger::Posting;
use crate::storage::{Storage, StorageFile};
use crate::types::{Lsn, ShardId};

/// Files whose frames are known. A file of 64 MiB has 16,384 frames at the most, of 16
/// bytes each here: so this is 8 MiB for a shard.
const FILES_MAX: usize = 32;

/// How often a search begins anew because files were let go of meanwhile: that happens
/// once per checkpoint.
const TRIES_MAX: usize = 3;

/// Reads postings of one shard.
pub struct PostingReader {
    manifest: Manifest,
    shard: ShardId,
    /// The one that was asked for last comes last.
    files: VecDeque<KnownFile>,
}

/// A file and where its frames begin.
struct KnownFile {
    kind: FileKind,
    number: u32,
    /// First position and offset of each frame with postings, ascending.
    frames: Vec<(Lsn, u64)>,
    /// Where the first frame that is not known yet would be.
    end: u64,
    next_lsn: Lsn,
}

/// An open file.
struct Opened {
    file: Box<dyn StorageFile>,
    bytes: u64,
    place: Place,
}

impl PostingReader {
    /// Begins with nothing known.
    #[must_use]
    pub fn new(manifest: Manifest, shard: ShardId) -> Self {
        Self {
            manifest,
            shard,
            files: VecDeque::new(),
        }
    }

    /// The posting at a position that is durable; `None` when it is not kept any more.
    ///
    /// # Errors
    /// [`OpenError::Refused`] for damage.
    pub fn posting(
        &mut self,
        storage: &dyn Storage,
        lsn: Lsn,
    ) -> Result<Option<Posting>, OpenError> {
        for _ in 0..TRIES_MAX {
            let inventory = Inventory::of(storage, self.shard)?;
            let found = self.search(storage, &inventory, lsn);
            let now = Inventory::of(storage, self.shard)?;
            if !now.has_lost_of(&inventory) {
                return found;
            }
            // What was let go of while it was read may have shown anything.
            self.files.retain(|known| now.has(known.kind, known.number));
        }
        Ok(None)
    }

    fn search(
        &mut self,
        storage: &dyn Storage,
        inventory: &Inventory,
        lsn: Lsn,
    ) -> Result<Option<Posting>, OpenError> {
        let newest = inventory.newest_checkpoint().unwrap_or(0);
        // Newest first: what is asked for happened lately, as a rule.
        let segments = inventory.segments.iter().rev();
        let segments = segments
            .filter(|number| **number > newest)
            .map(|number| (FileKind::Segment, *number));
        let histories = inventory.valid_histories().iter().rev();
        let histories = histories.map(|number| (FileKind::History, *number));
        for (kind, number) in segments.chain(histories) {
            let known = self.know(storage, kind, number, lsn)?;
            let at = known.frames.partition_point(|(first, _)| *first <= lsn);
            if at == 0 {
                // It begins later, or has no posting yet.
                continue;
            }
            if known.next_lsn <= lsn {
                return Ok(None);
            }
            let offset = known.frames[at - 1].1;
            let opened = self.open(storage, kind, number)?;
            return self.read(storage, &opened, offset, lsn).map(Some);
        }
        Ok(None)
    }

    /// The frames of a file, as far as they reach to `lsn`.
    fn know(
        &mut self,
        storage: &dyn Storage,
        kind: FileKind,
        number: u32,
        lsn: Lsn,
    ) -> Result<&KnownFile, OpenError> {
        let is_it = |known: &KnownFile| (known.kind, known.number) == (kind, number);
        let mut known = match self.files.iter().position(is_it) {
            Some(at) => self.files.remove(at),
            None => None,
        }
        .unwrap_or(KnownFile {
            kind,
            number,
            frames: Vec::new(),
            end: FIRST_FRAME_OFFSET,
            next_lsn: Lsn::NONE,
        });
        // A file that begins behind `lsn` needs no more than its first frame.
        let begins_behind = known.frames.first().is_some_and(|(first, _)| *first > lsn);
        if known.next_lsn <= lsn && !begins_behind {
            let opened = self.open(storage, kind, number)?;
            known.follow(&opened, lsn).map_err(|error| Refusal {
                file: storage.display(&kind.path(self.shard, number)),
                offset: known.end,
                expected: "a readable block".to_owned(),
                found: error.to_string(),
                advice: READ_ERROR.to_owned(),
            })?;
        }
        if self.files.len() == FILES_MAX {
            self.files.pop_front();
        }
        self.files.push_back(known);
        let Some(known) = self.files.back() else {
            unreachable!("just put there")
        };
        Ok(known)
    }

    fn open(
        &self,
        storage: &dyn Storage,
        kind: FileKind,
        number: u32,
    ) -> Result<Opened, OpenError> {
        match kind {
            FileKind::Segment => {
                let data_set = self.manifest.data_set;
                let segment = Segment::open_to_read(storage, data_set, self.shard, number)?;
                Ok(Opened {
                    bytes: segment.header.bytes,
                    place: segment.header.place(0),
                    file: segment.file,
                })
            }
            FileKind::Checkpoint | FileKind::History => {
                let id = history::id_of(&self.manifest, self.shard, number);
                let sealed = Sealed::open(storage, id)?;
                Ok(Opened {
                    bytes: sealed.header.bytes,
                    place: sealed.header.id().place(0),
                    file: sealed.file,
                })
            }
        }
    }

    fn read(
        &self,
        storage: &dyn Storage,
        opened: &Opened,
        offset: u64,
        lsn: Lsn,
    ) -> Result<Posting, OpenError> {
        let place = opened.place.at(offset);
        let refuse = |found: String| Refusal {
            file: storage.display(&place.file.path(self.shard, place.segment)),
            offset,
            expected: format!("the frame with LSN {lsn}"),
            found,
            advice: RESTORE.to_owned(),
        };
        let mut window = Window::new(opened.file.as_ref(), opened.bytes);
        let (header, bytes) = match window.frame(&place) {
            Ok(Read::Frame(header, _, bytes)) => (header, bytes),
            Ok(Read::Other(_, found)) => return Err(refuse(found).into()),
            Err(error) => return Err(refuse(error.to_string()).into()),
        };
        posting_of(&header, bytes, lsn).map_err(|found| refuse(found).into())
    }
}

impl KnownFile {
    /// Finds frames until one reaches behind `lsn`, or until the last one.
    fn follow(&mut self, opened: &Opened, lsn: Lsn) -> io::Result<()> {
        let mut window = Window::new(opened.file.as_ref(), opened.bytes);
        while self.end < opened.bytes {
            let place = opened.place.at(self.end);
            // Whatever is no frame is where a log that is being written ends.
            let Read::Frame(header, Chain(_), bytes) = window.frame(&place)? else {
                return Ok(());
            };
            if header.postings > 0 {
                self.frames.push((header.first_lsn, self.end));
            }
            self.end += bytes.len() as u64;
            self.next_lsn = Lsn(header.first_lsn.0 + u64::from(header.postings));
            if self.next_lsn > lsn {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The posting at a position of a frame.
fn posting_of(header: &FrameHeader, frame: &[u8], lsn: Lsn) -> Result<Posting, String> {
    let mut records = &frame[FRAME_HEADER_BYTES..][..header.payload_bytes as usize];
    let mut at = header.first_lsn;
    while let Some((record, rest)) = split_record(records) {
        if at == lsn {
            return decode(record).map_err(|error| error.to_string());
        }
        records = rest;
        at = at.next();
    }
    Err(format!("one that ends before LSN {at}"))
}
