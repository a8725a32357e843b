//! Single postings by their position, of a log that is being written.
//!
//! The bookings of an account are a chain through the log, from the last one back. Who
//! follows it reads one posting here and there, in segments and in history files. Kept in
//! memory is where files begin, where frames begin in the files that were asked for last,
//! and the frame that was read last: neighbours in the chain often share it.
//!
//! A position that is durable is in the first file that begins at it or before it. So a
//! posting that is not there is damage, unless all files begin behind it: then it was let
//! go of.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use super::batch::split_record;
use super::codec::decode;
use super::error::{OpenError, READ_ERROR, RESTORE, Refusal};
use super::frame::{Chain, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FileKind, FrameHeader, Place};
use super::history;
use super::inventory::Inventory;
use super::manifest::Manifest;
use super::sealed::Sealed;
use super::segment::{FIRST_FRAME_OFFSET, Segment, shard_directory};
use super::window::{Read, Window};
use crate::ledger::Posting;
use crate::storage::{Storage, StorageFile};
use crate::types::{Lsn, ShardId};

/// Files whose frames are known. A file of 64 MiB has 16,384 frames at the most, of 16
/// bytes each here: so this is 8 MiB for a shard.
const FILES_MAX: usize = 32;

/// How often a search begins anew because history was let go of meanwhile: that happens
/// once per checkpoint.
const TRIES_MAX: usize = 3;

/// Reads postings of one shard.
pub struct PostingReader {
    manifest: Manifest,
    shard: ShardId,
    /// Where files begin: a few bytes for each file that there is.
    firsts: BTreeMap<(FileKind, u32), Lsn>,
    /// The one that was asked for last comes last.
    files: VecDeque<KnownFile>,
    /// The frame that was read last. What stands at a position never changes.
    last: Option<LastFrame>,
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

/// Where a frame stands in its file, and where the next one with postings does.
struct Span {
    start: u64,
    end: u64,
}

struct LastFrame {
    header: FrameHeader,
    bytes: Vec<u8>,
}

/// An open file.
struct Opened {
    file: Box<dyn StorageFile>,
    bytes: u64,
    place: Place,
    /// Where it says that it begins; a segment's first frame has that.
    first_lsn: Option<Lsn>,
}

impl PostingReader {
    /// Begins with nothing known.
    #[must_use]
    pub fn new(manifest: Manifest, shard: ShardId) -> Self {
        Self {
            manifest,
            shard,
            firsts: BTreeMap::new(),
            files: VecDeque::new(),
            last: None,
        }
    }

    /// The posting at a position that is durable; `None` when it is not kept any more.
    ///
    /// # Errors
    /// [`OpenError::Refused`] for damage, which is all that can hide a durable posting;
    /// [`OpenError::Io`] when files were let go of all the time while it looked.
    pub fn posting(
        &mut self,
        storage: &dyn Storage,
        lsn: Lsn,
    ) -> Result<Option<Posting>, OpenError> {
        if let Some(last) = self.last.as_ref().filter(|last| last.has(lsn)) {
            let posting = posting_of(&last.header, &last.bytes, lsn);
            return posting.map(Some).map_err(|found| {
                let directory = storage.display(&shard_directory(self.shard));
                missing(directory, 0, lsn, found).into()
            });
        }
        for _ in 0..TRIES_MAX {
            let inventory = Inventory::of(storage, self.shard)?;
            let files = files_in_order(&inventory);
            let found = self.search(storage, &inventory, &files, lsn);
            let now = Inventory::of(storage, self.shard)?;
            // Segments that are in a checkpoint go one by one, and none of them was read.
            if files.iter().all(|(kind, number)| now.has(*kind, *number)) {
                return found;
            }
            // What was let go of while it was read may have shown anything.
            self.files.retain(|known| now.has(known.kind, known.number));
            self.firsts
                .retain(|(kind, number), _| now.has(*kind, *number));
            self.last = None;
        }
        Err(OpenError::Io {
            action: "read",
            file: storage.display(&shard_directory(self.shard)),
            source: io::Error::other("files were let go of each time while they were read"),
        })
    }

    fn search(
        &mut self,
        storage: &dyn Storage,
        inventory: &Inventory,
        files: &[(FileKind, u32)],
        lsn: Lsn,
    ) -> Result<Option<Posting>, OpenError> {
        if self.firsts.len() > files.len() {
            self.firsts
                .retain(|(kind, number), _| inventory.has(*kind, *number));
        }
        let Some((kind, number)) = self.last_from(storage, files, lsn)? else {
            if inventory.newest_checkpoint().is_some() {
                return Ok(None);
            }
            // Nothing was ever let go of.
            let directory = storage.display(&shard_directory(self.shard));
            let found = "no file that begins at it or before it".to_owned();
            return Err(missing(directory, 0, lsn, found).into());
        };
        let span = self.span(storage, kind, number, lsn)?;
        let opened = self.open(storage, kind, number)?;
        self.read(storage, &opened, &span, lsn).map(Some)
    }

    /// The last file that begins at a position or before it.
    fn last_from(
        &mut self,
        storage: &dyn Storage,
        files: &[(FileKind, u32)],
        lsn: Lsn,
    ) -> Result<Option<(FileKind, u32)>, OpenError> {
        let (mut begin_before, mut end) = (0, files.len());
        while begin_before < end {
            let middle = usize::midpoint(begin_before, end);
            let (kind, number) = files[middle];
            match self.first_lsn(storage, kind, number)? {
                Some(first) if first <= lsn => begin_before = middle + 1,
                _ => end = middle,
            }
        }
        Ok(begin_before.checked_sub(1).map(|at| files[at]))
    }

    /// The position where a file begins; `None` for a segment that has no frame yet.
    fn first_lsn(
        &mut self,
        storage: &dyn Storage,
        kind: FileKind,
        number: u32,
    ) -> Result<Option<Lsn>, OpenError> {
        if let Some(first) = self.firsts.get(&(kind, number)) {
            return Ok(Some(*first));
        }
        let opened = self.open(storage, kind, number)?;
        let first = match opened.first_lsn {
            Some(first) => Some(first),
            None => {
                let end = FIRST_FRAME_OFFSET + FRAME_BYTES_MAX as u64;
                let mut window = Window::new(opened.file.as_ref(), opened.bytes.min(end));
                let place = opened.place.at(FIRST_FRAME_OFFSET);
                match window.frame(&place) {
                    Ok(Read::Frame(header, ..)) => Some(header.first_lsn),
                    Ok(Read::Other(..)) => None,
                    Err(error) => {
                        return Err(self.unreadable(storage, kind, number, place.offset, &error));
                    }
                }
            }
        };
        if let Some(first) = first {
            self.firsts.insert((kind, number), first);
        }
        Ok(first)
    }

    /// Where the frame with a position stands in the file that must have it.
    fn span(
        &mut self,
        storage: &dyn Storage,
        kind: FileKind,
        number: u32,
        lsn: Lsn,
    ) -> Result<Span, OpenError> {
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
        if known.next_lsn <= lsn {
            let opened = self.open(storage, kind, number)?;
            known
                .follow(&opened, lsn)
                .map_err(|error| self.unreadable(storage, kind, number, known.end, &error))?;
        }
        let span = known.span(lsn).ok_or_else(|| {
            let file = storage.display(&kind.path(self.shard, number));
            missing(file, known.end, lsn, "no frame".to_owned())
        });
        if self.files.len() == FILES_MAX {
            self.files.pop_front();
        }
        self.files.push_back(known);
        Ok(span?)
    }

    fn unreadable(
        &self,
        storage: &dyn Storage,
        kind: FileKind,
        number: u32,
        offset: u64,
        error: &io::Error,
    ) -> OpenError {
        let refusal = Refusal {
            file: storage.display(&kind.path(self.shard, number)),
            offset,
            expected: "a readable block".to_owned(),
            found: error.to_string(),
            advice: READ_ERROR.to_owned(),
        };
        refusal.into()
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
                    first_lsn: None,
                })
            }
            FileKind::Checkpoint | FileKind::History => {
                let id = history::id_of(&self.manifest, self.shard, number);
                let sealed = Sealed::open(storage, id)?;
                Ok(Opened {
                    bytes: sealed.header.bytes,
                    place: sealed.header.id().place(0),
                    file: sealed.file,
                    first_lsn: Some(sealed.header.first_lsn),
                })
            }
        }
    }

    fn read(
        &mut self,
        storage: &dyn Storage,
        opened: &Opened,
        span: &Span,
        lsn: Lsn,
    ) -> Result<Posting, OpenError> {
        let place = opened.place.at(span.start);
        let file = storage.display(&place.file.path(self.shard, place.segment));
        let refuse = |found: String| missing(file, span.start, lsn, found);
        // Not a byte behind the frame: single postings are read from all over the disk.
        let mut window = Window::new(opened.file.as_ref(), span.end);
        let (header, bytes) = match window.frame(&place) {
            Ok(Read::Frame(header, _, bytes)) => (header, bytes.to_vec()),
            Ok(Read::Other(_, found)) => return Err(refuse(found).into()),
            Err(error) => return Err(refuse(error.to_string()).into()),
        };
        let posting = posting_of(&header, &bytes, lsn).map_err(refuse)?;
        self.last = Some(LastFrame { header, bytes });
        Ok(posting)
    }
}

/// The files that have postings, in the order of these: history, then the segments that are
/// in no checkpoint.
fn files_in_order(inventory: &Inventory) -> Vec<(FileKind, u32)> {
    let newest = inventory.newest_checkpoint().unwrap_or(0);
    let histories = inventory.valid_histories().iter();
    let segments = inventory.segments.iter().filter(|number| **number > newest);
    histories
        .map(|number| (FileKind::History, *number))
        .chain(segments.map(|number| (FileKind::Segment, *number)))
        .collect()
}

impl LastFrame {
    fn has(&self, lsn: Lsn) -> bool {
        let first = self.header.first_lsn;
        (first.0..first.0 + u64::from(self.header.postings)).contains(&lsn.0)
    }
}

fn missing(file: String, offset: u64, lsn: Lsn, found: String) -> Refusal {
    Refusal {
        file,
        offset,
        expected: format!("the frame with LSN {lsn}"),
        found,
        advice: RESTORE.to_owned(),
    }
}

impl KnownFile {
    /// Where the frame with a position stands, if it is known.
    fn span(&self, lsn: Lsn) -> Option<Span> {
        if self.next_lsn <= lsn {
            return None;
        }
        let at = self.frames.partition_point(|(first, _)| *first <= lsn);
        let start = self.frames[..at].last()?.1;
        let end = self.frames.get(at).map_or(self.end, |(_, next)| *next);
        Some(Span { start, end })
    }

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
