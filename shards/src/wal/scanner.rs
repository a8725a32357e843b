//! Follows the frames of a shard's log from a position to its end, and judges the end.
//!
//! Where frames stop, the scan goes on block by block through everything behind, to the end
//! of the last segment, looking for frames that would show that the place where it stopped
//! was acknowledged (`stopped.rs`).
//!
//! A log that another process is writing can be read too: then a frame behind the end may
//! be one that was written while the scan was under way, and the end is looked at again.

use std::collections::VecDeque;

use super::batch::split_record;
use super::codec::decode;
use super::error::{NEWER, OpenError, RESTORE, Refusal};
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameKind};
use super::inventory::Inventory;
use super::log::LogPosition;
use super::manifest::Manifest;
use super::scan::{Ending, Scan, TornTail};
use super::segment::{FIRST_FRAME_OFFSET, Segment, segment_path};
use super::stopped::{BehindAt, Stopped};
use super::verdict::{Behind, Reason, Stop, Verdict, judge};
use super::visitor::{Progress, Visitor};
use super::window::Read;
use crate::storage::Storage;
use crate::types::{Lsn, ShardId};

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
        let behind = BehindAt::look(self.storage, &segments, at.offset, self.progress);
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
                return Err(stopped.refusal(reason, &file, at.offset, &behind).into());
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
        stopped.refusal(reason, &file, 0, &behind)
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
                Err(error) => return Walked::Stopped(Stopped::unreadable(&error)),
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
            self.progress.add_bytes(frame.len() as u64);
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
            self.progress.add_postings(u64::from(header.postings));
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
