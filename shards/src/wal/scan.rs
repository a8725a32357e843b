//! Reads a shard's log from a position to its end, and judges the end.
//!
//! Frames are followed from one to the next. Where that stops, the scan goes on block
//! by block through everything behind, to the end of the last segment, looking for
//! frames that would show that the place where it stopped was acknowledged.
//!
//! A log that another process is writing can be read too: then a frame behind the end may
//! be one that was written while the scan was under way, and the end is looked at again.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::batch::split_record;
use super::checkpoint::begin;
use super::codec::decode;
use super::error::{NEWER, OpenError, READ_ERROR, RESTORE, Refusal};
use super::frame::{FRAME_HEADER_BYTES, FileKind, FrameHeader, FrameKind, Place};
use super::history::read_history;
use super::inventory::Inventory;
use super::log::LogPosition;
use super::manifest::Manifest;
use super::sealed::SealedHeader;
use super::segment::{FIRST_FRAME_OFFSET, Segment, segment_path};
use super::verdict::{Behind, Reason, Stop, Verdict, judge};
use super::window::Read;
use crate::ledger::{Entry, Posting};
use crate::storage::{BLOCK_BYTES, Storage};
use crate::types::{Lsn, ShardId};

/// What is done with the contents of a log.
pub trait Visitor {
    /// Every entry of the checkpoint that the reading begins with, in order.
    ///
    /// # Errors
    /// What is wrong with it; the checkpoint is then refused.
    fn entry(&mut self, entry: Entry) -> Result<(), String>;

    /// That was the last entry of the checkpoint.
    ///
    /// # Errors
    /// What is wrong with all of them together; the checkpoint is then refused.
    fn restored(&mut self, header: &SealedHeader) -> Result<(), String>;

    /// Every posting that is in the checkpoint and still kept, in order, if asked for.
    ///
    /// # Errors
    /// What is wrong with it; the history is then refused.
    fn past(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String> {
        let _ = (lsn, posting);
        Ok(())
    }

    /// Files went away while they were read, because a server folded them: the reading
    /// begins once more, and what came of it so far does not count.
    fn again(&mut self);

    /// Every frame, in order.
    fn frame(&mut self, place: &Place, header: &FrameHeader) {
        let _ = (place, header);
    }

    /// Every posting behind the checkpoint, in order.
    ///
    /// # Errors
    /// What is wrong with it; the log is then refused.
    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String>;
}

/// For who reads a log that has no checkpoint.
impl<F: FnMut(Lsn, Posting) -> Result<(), String>> Visitor for F {
    fn entry(&mut self, _: Entry) -> Result<(), String> {
        Err("an entry, where postings are all that is taken".to_owned())
    }

    fn restored(&mut self, _: &SealedHeader) -> Result<(), String> {
        Err("a checkpoint, where postings are all that is taken".to_owned())
    }

    /// Without a checkpoint nothing is let go of.
    fn again(&mut self) {}

    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String> {
        self(lsn, posting)
    }
}

/// How far a scan is, for whoever shows it; several scans may share one.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes read.
    pub bytes: AtomicU64,
    /// Postings handed out.
    pub postings: AtomicU64,
}

impl Progress {
    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn count_posting(&self) {
        self.postings.fetch_add(1, Ordering::Relaxed);
    }
}

/// The rest of a write that a crash cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Which file.
    pub file: String,
    /// Where it starts, in bytes.
    pub offset: u64,
    /// To the end of its last block that is not zero.
    pub bytes: u64,
    /// The position of the first posting that it may have been meant to hold.
    pub first_lsn: Lsn,
}

impl std::fmt::Display for TornTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} bytes of an unfinished write at offset {} of {}, at LSN {}, which nobody was told of",
            self.bytes, self.offset, self.file, self.first_lsn
        )
    }
}

/// How a log ends that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With its last frame.
    Clean,
    /// With the rest of an unfinished write behind its last frame.
    Torn(TornTail),
}

/// A log that was read to its end.
#[derive(Debug)]
pub struct Scan {
    /// Where it goes on.
    pub position: LogPosition,
    /// How it ends.
    pub ending: Ending,
    /// The last frame, if there is any: a clean shutdown is one of these.
    pub last_frame: Option<FrameKind>,
    /// How many frames it has, behind the checkpoint if there is one.
    pub frames: u64,
    /// How many postings are in those.
    pub postings: u64,
    /// The checkpoint that the reading began with.
    pub checkpoint: Option<SealedHeader>,
    /// The first posting that is kept, in the history or in the log.
    pub oldest_lsn: Lsn,
    /// The segment in which it ends, then those that wait for their use.
    pub(super) segments: VecDeque<Segment>,
}

/// Whether what is scanned will be written afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Nobody writes it meanwhile.
    Read,
    /// Another process may write it meanwhile.
    ReadLive,
    /// It will be written by who reads it.
    Write,
}

/// How a log is read that is left as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Another process may be writing it: then what is read is what was written up to
    /// some moment of the reading, and a torn tail may be a write under way.
    pub is_live: bool,
    /// Postings that are in the checkpoint are wanted, as far as they are kept.
    pub with_history: bool,
}

/// Reads a shard's checkpoint and the log behind it to its end, changing nothing.
///
/// # Errors
/// [`OpenError::Refused`] when anything of it is damaged, or when the log does not end as
/// a crash may end it.
pub fn scan(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    reading: Reading,
    progress: &Progress,
    visitor: &mut dyn Visitor,
) -> Result<Scan, OpenError> {
    loop {
        let inventory = Inventory::of(storage, shard)?;
        let found = scan_once(
            storage, manifest, shard, reading, &inventory, progress, visitor,
        );
        if !reading.is_live {
            return found;
        }
        // A file that was let go of while it was read may show anything, also an end. A
        // server lets go of some after each checkpoint, so this comes to an end.
        let now = Inventory::of(storage, shard)?;
        let is_gone = match &found {
            Ok(scan) => !now.has(FileKind::Segment, scan.position.segment),
            Err(_) => now.has_lost_of(&inventory),
        };
        if !is_gone {
            return found;
        }
        visitor.again();
    }
}

fn scan_once(
    storage: &dyn Storage,
    manifest: &Manifest,
    shard: ShardId,
    reading: Reading,
    inventory: &Inventory,
    progress: &Progress,
    visitor: &mut dyn Visitor,
) -> Result<Scan, OpenError> {
    let start = begin(storage, manifest, shard, inventory, progress, visitor)?;
    if reading.with_history {
        for header in &start.histories {
            read_history(
                storage,
                manifest,
                shard,
                header.number,
                progress,
                &mut |lsn, posting| visitor.past(lsn, posting),
            )?;
        }
    }
    let access = match reading.is_live {
        true => Access::ReadLive,
        false => Access::Read,
    };
    let scanner = Scanner::new(storage, manifest, shard, access, progress);
    let mut scan = scanner.run(start.position, visitor)?;
    scan.checkpoint = start.checkpoint;
    if let Some(oldest) = start.histories.first() {
        scan.oldest_lsn = oldest.first_lsn;
    }
    Ok(scan)
}

/// One scan under way.
pub(super) struct Scanner<'a> {
    storage: &'a dyn Storage,
    manifest: &'a Manifest,
    shard: ShardId,
    access: Access,
    progress: &'a Progress,
    frames: u64,
    postings: u64,
    last_frame: Option<FrameKind>,
}

/// Where a scan stopped, and the words for it.
struct Stopped {
    stop: Stop,
    expected: String,
    found: String,
    advice: &'static str,
}

/// What lies behind, where, and how far the debris in the same segment reaches.
struct BehindAt {
    behind: Behind,
    file: String,
    offset: u64,
    debris_end: u64,
}

enum Walked {
    Rolled,
    Stopped(Stopped),
}

impl<'a> Scanner<'a> {
    pub(super) fn new(
        storage: &'a dyn Storage,
        manifest: &'a Manifest,
        shard: ShardId,
        access: Access,
        progress: &'a Progress,
    ) -> Self {
        Self {
            storage,
            manifest,
            shard,
            access,
            progress,
            frames: 0,
            postings: 0,
            last_frame: None,
        }
    }

    pub(super) fn run(
        mut self,
        start: LogPosition,
        visitor: &mut dyn Visitor,
    ) -> Result<Scan, OpenError> {
        let mut numbers = self.segment_numbers(&start)?;
        let mut at = start;
        let (active, stopped) = loop {
            let Some(number) = numbers.pop_front() else {
                return Err(self.missing(&at).into());
            };
            let mut segment = self.open(number)?;
            match self.walk(&segment, &mut at, visitor) {
                Walked::Rolled => {
                    self.settle(&mut segment)?;
                    at.segment += 1;
                    at.offset = FIRST_FRAME_OFFSET;
                    if numbers.is_empty() && self.access == Access::ReadLive {
                        // A segment exists before the frame that leads to it is written,
                        // and may have come after the names were listed.
                        numbers = self.segment_numbers(&at)?;
                    }
                }
                Walked::Stopped(stopped) => break (segment, stopped),
            }
        };
        let mut segments = VecDeque::from([active]);
        for number in numbers {
            segments.push_back(self.open(number)?);
        }
        let behind = self.look_behind(&segments, at.offset);
        let file = self.storage.display(&segments[0].path);
        let ending = match judge(stopped.stop, behind.behind) {
            Verdict::Clean => Ending::Clean,
            Verdict::Cut => Ending::Torn(TornTail {
                file,
                offset: at.offset,
                bytes: behind.debris_end - at.offset,
                first_lsn: at.next_lsn,
            }),
            Verdict::Refuse(Reason::FrameBehind | Reason::DebrisInLaterSegment)
                if self.was_being_written(&segments[0], &at) =>
            {
                Ending::Clean
            }
            Verdict::Refuse(reason) => {
                return Err(refusal(reason, &file, at.offset, stopped, &behind).into());
            }
        };
        Ok(Scan {
            position: at,
            ending,
            last_frame: self.last_frame,
            frames: self.frames,
            postings: self.postings,
            checkpoint: None,
            oldest_lsn: start.next_lsn,
            segments,
        })
    }

    /// Reads the segments from `start` to the last one given, all of which the log has
    /// left; the position behind them.
    pub(super) fn run_closed(
        mut self,
        start: LogPosition,
        last: u32,
        visitor: &mut dyn Visitor,
    ) -> Result<LogPosition, OpenError> {
        let numbers = self.segment_numbers(&start)?;
        let mut at = start;
        for number in start.segment..=last {
            if !numbers.contains(&number) {
                return Err(self.missing(&at).into());
            }
            let segment = self.open(number)?;
            if let Walked::Stopped(stopped) = self.walk(&segment, &mut at, visitor) {
                return Err(Refusal {
                    file: self.storage.display(&segment.path),
                    offset: at.offset,
                    expected: stopped.expected,
                    found: stopped.found,
                    advice: stopped.advice.to_owned(),
                }
                .into());
            }
            at.segment += 1;
            at.offset = FIRST_FRAME_OFFSET;
        }
        Ok(at)
    }

    /// The segments that are there from `start` on, without a gap.
    fn segment_numbers(&self, start: &LogPosition) -> Result<VecDeque<u32>, OpenError> {
        let mut numbers = Inventory::of(self.storage, self.shard)?.segments;
        numbers.retain(|number| *number >= start.segment);
        for (number, expected) in numbers.iter().zip(start.segment..) {
            if *number != expected {
                let gap = LogPosition {
                    segment: expected,
                    ..*start
                };
                return Err(self.missing(&gap).into());
            }
        }
        Ok(numbers.into())
    }

    fn missing(&self, at: &LogPosition) -> Refusal {
        let stopped = Stopped {
            stop: Stop::MissingSegment,
            expected: match at.segment {
                1 => format!("segment 1 of shard {}, or a checkpoint", self.shard),
                number => format!("segment {number} of shard {}", self.shard),
            },
            found: "no such file".to_owned(),
            advice: "Put the file back from where it went, or restore the data directory from a \
                     backup.",
        };
        let file = self.storage.display(&segment_path(self.shard, at.segment));
        let behind = BehindAt {
            behind: Behind::Zeroes,
            file: file.clone(),
            offset: 0,
            debris_end: 0,
        };
        let Verdict::Refuse(reason) = judge(stopped.stop, behind.behind) else {
            unreachable!("a log with a segment missing is refused")
        };
        refusal(reason, &file, 0, stopped, &behind)
    }

    fn open(&self, number: u32) -> Result<Segment, OpenError> {
        let (storage, data_set) = (self.storage, self.manifest.data_set);
        match self.access {
            Access::Read | Access::ReadLive => {
                Segment::open_to_read(storage, data_set, self.shard, number)
            }
            Access::Write => Segment::open(storage, data_set, self.shard, number),
        }
    }

    /// What a killed process wrote last may still be on its way to the disk: it is made
    /// durable before anybody is shown it.
    fn settle(&self, segment: &mut Segment) -> Result<(), OpenError> {
        if self.access == Access::Write {
            segment.file.sync().map_err(|source| OpenError::Io {
                action: "sync",
                file: self.storage.display(&segment.path),
                source,
            })?;
        }
        Ok(())
    }

    /// Follows the frames of a segment from `at` on.
    fn walk(
        &mut self,
        segment: &Segment,
        at: &mut LogPosition,
        visitor: &mut dyn Visitor,
    ) -> Walked {
        let mut window = segment.window();
        loop {
            let place = segment.header.place(at.offset);
            let (header, chain, frame) = match window.frame(&place) {
                Err(error) => return Walked::Stopped(unreadable(&error)),
                Ok(Read::Frame(header, chain, frame)) => (header, chain, frame),
                Ok(Read::Other(stop, found)) => {
                    return Walked::Stopped(Stopped {
                        stop,
                        expected: format!("the frame of LSN {}", at.next_lsn),
                        found,
                        advice: if stop == Stop::Misfit { NEWER } else { RESTORE },
                    });
                }
            };
            self.progress
                .bytes
                .fetch_add(frame.len() as u64, Ordering::Relaxed);
            if let Err(stopped) = check_header(&header, at) {
                return Walked::Stopped(stopped);
            }
            visitor.frame(&place, &header);
            let records = &frame[FRAME_HEADER_BYTES..][..header.payload_bytes as usize];
            let next_lsn = match hand_out(&header, records, visitor) {
                Ok(next_lsn) => next_lsn,
                Err(stopped) => return Walked::Stopped(stopped),
            };
            at.offset += frame.len() as u64;
            at.next_lsn = next_lsn;
            at.chain = chain;
            self.frames += 1;
            self.postings += u64::from(header.postings);
            self.last_frame = Some(header.kind);
            self.progress
                .postings
                .fetch_add(u64::from(header.postings), Ordering::Relaxed);
            if header.kind == FrameKind::Roll {
                return Walked::Rolled;
            }
        }
    }

    /// Whether the place where the scan stopped holds the next frame by now. One frame is
    /// on its way at a time, so with anything behind it that place is written whole: if it
    /// was not damaged, it shows now.
    fn was_being_written(&self, segment: &Segment, at: &LogPosition) -> bool {
        self.access == Access::ReadLive
            && matches!(
                segment.window().frame(&segment.header.place(at.offset)),
                Ok(Read::Frame(header, ..)) if check_header(&header, at).is_ok()
            )
    }

    /// Looks at every block behind `offset` of the first segment.
    fn look_behind(&self, segments: &VecDeque<Segment>, offset: u64) -> BehindAt {
        let mut debris: Option<BehindAt> = None;
        let mut debris_end = offset;
        for (index, segment) in segments.iter().enumerate() {
            let file = self.storage.display(&segment.path);
            let mut window = segment.window();
            // The block where the scan stopped is judged by how it stopped.
            let (start, here) = match index {
                0 => (offset, Behind::Debris),
                _ => (FIRST_FRAME_OFFSET, Behind::DebrisInLaterSegment),
            };
            for at in (start..segment.header.bytes).step_by(BLOCK_BYTES) {
                let found = |behind| BehindAt {
                    behind,
                    file: file.clone(),
                    offset: at,
                    debris_end: 0,
                };
                let is_stop = index == 0 && at == offset;
                match window.frame(&segment.header.place(at)) {
                    Err(_) if is_stop => {}
                    Err(_) => return found(Behind::Unreadable),
                    Ok(Read::Other(Stop::Zeroes, _)) => {}
                    Ok(Read::Other(Stop::Debris, _)) => {
                        if index == 0 {
                            debris_end = at + BLOCK_BYTES as u64;
                        }
                        let worse = debris.as_ref().is_none_or(|known| known.behind != here);
                        if worse && !is_stop {
                            debris = Some(found(here));
                        }
                    }
                    Ok(Read::Frame(..) | Read::Other(..)) if is_stop => {}
                    Ok(Read::Frame(..) | Read::Other(..)) => return found(Behind::Frame),
                }
                self.progress
                    .bytes
                    .fetch_add(BLOCK_BYTES as u64, Ordering::Relaxed);
            }
        }
        let mut behind = debris.unwrap_or(BehindAt {
            behind: Behind::Zeroes,
            file: String::new(),
            offset,
            debris_end,
        });
        behind.debris_end = debris_end;
        behind
    }
}

/// A frame must follow on the one before.
fn check_header(header: &FrameHeader, at: &LogPosition) -> Result<(), Stopped> {
    let misfit = |expected, found| {
        Err(Stopped {
            stop: Stop::Misfit,
            expected,
            found,
            advice: RESTORE,
        })
    };
    if header.previous != at.chain {
        return misfit(
            format!(
                "a frame that follows the one with checksum {:016x}",
                at.chain.0
            ),
            format!("one that follows {:016x}", header.previous.0),
        );
    }
    if header.first_lsn != at.next_lsn {
        return misfit(
            format!("a frame that starts at LSN {}", at.next_lsn),
            format!("one that starts at LSN {}", header.first_lsn),
        );
    }
    if header.durable_lsn >= at.next_lsn {
        return misfit(
            format!("a frame that knows nothing of LSN {}", at.next_lsn),
            format!("one written when LSN {} was durable", header.durable_lsn),
        );
    }
    Ok(())
}

/// Gives a frame's postings to the visitor; the position behind them.
fn hand_out(
    header: &FrameHeader,
    mut records: &[u8],
    visitor: &mut dyn Visitor,
) -> Result<Lsn, Stopped> {
    let misfit = |lsn: Lsn, found: String| Stopped {
        stop: Stop::Misfit,
        expected: format!("a posting at LSN {lsn} that follows from those before it"),
        found,
        advice: RESTORE,
    };
    let mut lsn = header.first_lsn;
    for _ in 0..header.postings {
        let Some((bytes, rest)) = split_record(records) else {
            return Err(misfit(lsn, "the end of the frame".to_owned()));
        };
        records = rest;
        let posting = decode(bytes).map_err(|error| misfit(lsn, error.to_string()))?;
        visitor
            .posting(lsn, posting)
            .map_err(|error| misfit(lsn, error))?;
        lsn = lsn.next();
    }
    if !records.is_empty() {
        let found = format!("{} bytes behind the last posting", records.len());
        return Err(misfit(lsn, found));
    }
    Ok(lsn)
}

fn unreadable(error: &io::Error) -> Stopped {
    Stopped {
        stop: Stop::Unreadable,
        expected: "a readable block".to_owned(),
        found: error.to_string(),
        advice: READ_ERROR,
    }
}

fn refusal(
    reason: Reason,
    file: &str,
    offset: u64,
    stopped: Stopped,
    behind: &BehindAt,
) -> Refusal {
    let Stopped {
        stop,
        expected,
        found,
        advice,
    } = stopped;
    let here = |found: String, advice: &str| Refusal {
        file: file.to_owned(),
        offset,
        expected: expected.clone(),
        found,
        advice: advice.to_owned(),
    };
    match reason {
        Reason::Misfit | Reason::MissingSegment => here(found, advice),
        Reason::Unreadable if stop == Stop::Unreadable => here(found, advice),
        Reason::Unreadable => Refusal {
            file: behind.file.clone(),
            offset: behind.offset,
            expected: "a readable block".to_owned(),
            found: "one that the disk cannot read".to_owned(),
            advice: READ_ERROR.to_owned(),
        },
        Reason::FrameBehind => here(
            format!(
                "{found}, and a later frame of this log at offset {} of {}",
                behind.offset, behind.file
            ),
            RESTORE,
        ),
        Reason::DebrisInLaterSegment => Refusal {
            file: behind.file.clone(),
            offset: behind.offset,
            expected: "zeroes: the log does not reach this segment".to_owned(),
            found: "other bytes".to_owned(),
            advice: RESTORE.to_owned(),
        },
    }
}
