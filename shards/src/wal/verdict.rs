//! The decision table: what the end of a log means.
//!
//! A scan of a log stops somewhere. Whether that is its end, a write that a crash cut
//! short, or damage to something acknowledged depends on how it stopped and on what
//! lies behind (reliability.md "Telling a torn tail from damage"). Every combination
//! stands here once; `docs/internals/recovery.md` shows the same table with reasons.

/// How the scan of a shard's log stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// At a block of zeroes: nothing was written here yet.
    Zeroes,
    /// At bytes that are no frame of this place.
    Debris,
    /// At a whole frame that does not follow on the one before, or whose records make
    /// no sense. It was written so; no crash does that.
    Misfit,
    /// At a frame that leads to a segment that is not there.
    MissingSegment,
    /// At a place that the disk cannot read.
    Unreadable,
}

/// What lies behind the place where the scan stopped, to the end of the last segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Zeroes only.
    Zeroes,
    /// Other bytes in the same segment, but no frame.
    Debris,
    /// Other bytes in a later segment, which no write can have reached yet.
    DebrisInLaterSegment,
    /// A whole frame of this log.
    Frame,
    /// A place that the disk cannot read.
    Unreadable,
}

/// Why a log is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The disk cannot read a part of it, so nobody knows what is there.
    Unreadable,
    /// A segment is missing.
    MissingSegment,
    /// A frame or a record does not fit to what is before it.
    Misfit,
    /// A frame is damaged, and a later one shows that it was acknowledged.
    FrameBehind,
    /// There is something where nothing can have been written.
    DebrisInLaterSegment,
}

/// What is done with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It ends where the scan stopped.
    Clean,
    /// It ends where the scan stopped; what is behind is the rest of a write that nobody
    /// was told of, and is cut off.
    Cut,
    /// It is left as it is, and the process does not start.
    Refuse(Reason),
}

/// Looks up the table.
#[must_use]
pub fn judge(stop: Stop, behind: Behind) -> Verdict {
    use Verdict::{Clean, Cut, Refuse};
    match (stop, behind) {
        (Stop::Unreadable, _) => Refuse(Reason::Unreadable),
        (Stop::MissingSegment, _) => Refuse(Reason::MissingSegment),
        (Stop::Misfit, _) => Refuse(Reason::Misfit),
        (Stop::Zeroes | Stop::Debris, Behind::Unreadable) => Refuse(Reason::Unreadable),
        (Stop::Zeroes | Stop::Debris, Behind::Frame) => Refuse(Reason::FrameBehind),
        (Stop::Zeroes | Stop::Debris, Behind::DebrisInLaterSegment) => {
            Refuse(Reason::DebrisInLaterSegment)
        }
        (Stop::Zeroes, Behind::Zeroes) => Clean,
        (Stop::Zeroes, Behind::Debris) | (Stop::Debris, Behind::Zeroes | Behind::Debris) => Cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `docs/internals/recovery.md`, row by row.
    #[test]
    fn every_way_to_stop_and_everything_behind_it_has_a_verdict() {
        let document = include_str!("../../../docs/internals/recovery.md");
        let columns = [
            Behind::Zeroes,
            Behind::Debris,
            Behind::DebrisInLaterSegment,
            Behind::Frame,
            Behind::Unreadable,
        ];
        let rows = [
            Stop::Zeroes,
            Stop::Debris,
            Stop::Misfit,
            Stop::MissingSegment,
            Stop::Unreadable,
        ];
        for stop in rows {
            let cells = columns.map(|behind| match judge(stop, behind) {
                Verdict::Clean => "clean".to_owned(),
                Verdict::Cut => "cut".to_owned(),
                Verdict::Refuse(reason) => format!("refuse: {reason:?}"),
            });
            let row = format!("| `{stop:?}` | {} |", cells.join(" | "));
            assert!(
                document.contains(&row),
                "the document lacks this row:\n{row}"
            );
        }
    }

    #[test]
    fn nothing_is_cut_that_anybody_may_have_been_told() {
        for stop in [Stop::Zeroes, Stop::Debris] {
            for behind in [
                Behind::Frame,
                Behind::DebrisInLaterSegment,
                Behind::Unreadable,
            ] {
                assert!(matches!(judge(stop, behind), Verdict::Refuse(_)));
            }
        }
    }
}
