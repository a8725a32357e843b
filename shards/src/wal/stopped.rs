//! Where a scan stopped and what lies behind: what `verdict.rs` judges, and the words of the
//! refusal that comes of it.

use std::collections::VecDeque;
use std::io;

use super::error::{READ_ERROR, RESTORE, Refusal};
use super::segment::{FIRST_FRAME_OFFSET, Segment};
use super::verdict::{Behind, Reason, Stop};
use super::visitor::Progress;
use super::window::Read;
use crate::storage::{BLOCK_BYTES, Storage};

/// Where a scan stopped, and the words for it.
pub(super) struct Stopped {
    pub(super) stop: Stop,
    pub(super) expected: String,
    pub(super) found: String,
    pub(super) advice: &'static str,
}

impl Stopped {
    pub(super) fn unreadable(error: &io::Error) -> Self {
        Self {
            stop: Stop::Unreadable,
            expected: "a readable block".to_owned(),
            found: error.to_string(),
            advice: READ_ERROR,
        }
    }

    /// The words of a log that is refused, because of what stands here or behind.
    pub(super) fn refusal(
        self,
        reason: Reason,
        file: &str,
        offset: u64,
        behind: &BehindAt,
    ) -> Refusal {
        let Self {
            stop,
            expected,
            found,
            advice,
        } = self;
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
}

/// What lies behind, where, and how far the debris in the same segment reaches.
pub(super) struct BehindAt {
    pub(super) behind: Behind,
    pub(super) file: String,
    pub(super) offset: u64,
    pub(super) debris_end: u64,
}

impl BehindAt {
    /// Looks at every block behind `offset` of the first segment.
    pub(super) fn look(
        storage: &dyn Storage,
        segments: &VecDeque<Segment>,
        offset: u64,
        progress: &Progress,
    ) -> Self {
        let mut debris: Option<Self> = None;
        let mut debris_end = offset;
        for (index, segment) in segments.iter().enumerate() {
            let file = storage.display(&segment.path);
            let mut window = segment.window();
            // The block where the scan stopped is judged by how it stopped.
            let (start, here) = match index {
                0 => (offset, Behind::Debris),
                _ => (FIRST_FRAME_OFFSET, Behind::DebrisInLaterSegment),
            };
            for at in (start..segment.header.bytes).step_by(BLOCK_BYTES) {
                let found = |behind| Self {
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
                progress.add_bytes(BLOCK_BYTES as u64);
            }
        }
        let mut behind = debris.unwrap_or(Self {
            behind: Behind::Zeroes,
            file: String::new(),
            offset,
            debris_end,
        });
        behind.debris_end = debris_end;
        behind
    }
}
