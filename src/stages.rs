//! Where the time of one request went.
//!
//! The stages of a request follow each other without a gap, in this order, and together are
//! all of it. A stage ends at a reading of the clock, and the next one begins there; most of
//! those moments are read for another purpose anyway.
//!
//! | stage | from | to |
//! |---|---|---|
//! | read | the read that brought its first byte | the read that brought its last |
//! | parse | there, or the end of the request before | the command is given to the core |
//! | queue | there | its turn has come at the owner |
//! | apply | there | the ledger has decided and applied |
//! | commit | there | all that the answer reveals is durable |
//! | hop | there, if another shard is the owner | the connection's task goes on with the answer |
//! | write | there | the body of the answer is complete |
//!
//! A request has no read when one read brought all of it, no hop when its connection's shard
//! owns the account and no queue either, unless commands of other shards came first, and no
//! commit when nothing had to be waited for. On the owner's own connection commit lasts until its task goes on. A request with several
//! commands has the later ones' checks in parse, and each stage is the sum. One that was
//! refused without a command has read and parse alone.
//!
//! It costs four readings of the clock on the connection's shard, five when its own disk is
//! waited for, and at another owner one for each command and one for each burst of them: one
//! or two more than knowing the whole time alone. A reading is 53 ns on a virtual machine
//! under load whose clock is the TSC, and counting a stage 2 ns.
//!
//! Two things are outside, for no moment tells them: how long bytes lay in the socket before
//! they were read, and the sending itself, which is one system call for all the answers of a
//! connection's turn.

use std::io::Write as _;
use std::time::{Duration, Instant};

use shards::Course;
use shards::types::ShardId;

/// A part of a request's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Stage {
    Read,
    Parse,
    Queue,
    Apply,
    Commit,
    Hop,
    Write,
}

impl Stage {
    /// All of them, in the order of a request and of their discriminants.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Parse,
        Self::Queue,
        Self::Apply,
        Self::Commit,
        Self::Hop,
        Self::Write,
    ];

    /// As metrics, logs and `Server-Timing` call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Parse => "parse",
            Self::Queue => "queue",
            Self::Apply => "apply",
            Self::Commit => "commit",
            Self::Hop => "hop",
            Self::Write => "write",
        }
    }
}

/// The stages of one request, as far as it is.
#[derive(Clone, Copy, Debug)]
pub struct StageTimes {
    spent: [Duration; Stage::ALL.len()],
    /// One bit for each stage that it has had.
    had: u8,
    /// Up to when all time belongs to a stage.
    until: Instant,
    asked: Option<Asked>,
}

/// Whom a request asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The owner of the account.
    pub owner: ShardId,
    /// Whether that is another shard than the connection's.
    pub hopped: bool,
}

impl StageTimes {
    /// Of a request whose first byte came at one moment and whose last one at another.
    #[must_use]
    pub fn begin(first_byte_at: Instant, last_byte_at: Instant) -> Self {
        let mut times = Self {
            spent: [Duration::ZERO; Stage::ALL.len()],
            had: 0,
            until: first_byte_at,
            asked: None,
        };
        if last_byte_at > first_byte_at {
            times.pass(Stage::Read, last_byte_at);
        }
        times
    }

    /// A command was answered.
    pub fn follow(&mut self, course: &Course) {
        let Course { owner, hopped, .. } = *course;
        self.asked = Some(Asked { owner, hopped });
        self.pass(Stage::Parse, course.submitted_at);
        if let Some(handled) = course.handled {
            if hopped || handled.taken_at > course.submitted_at {
                self.pass(Stage::Queue, handled.taken_at);
            }
            self.pass(Stage::Apply, handled.decided_at);
            if handled.released_at > handled.decided_at {
                self.pass(Stage::Commit, handled.released_at);
            }
            if hopped {
                self.pass(Stage::Hop, course.answered_at);
            }
        } else if course.answered_at > course.submitted_at {
            // It was waited for in vain: on the way, or for the disk.
            let stage = if hopped { Stage::Hop } else { Stage::Commit };
            self.pass(stage, course.answered_at);
        }
    }

    /// The answer is complete.
    pub fn end(&mut self, now: Instant) {
        let stage = match self.asked {
            Some(_) => Stage::Write,
            None => Stage::Parse,
        };
        self.pass(stage, now);
    }

    fn pass(&mut self, stage: Stage, until: Instant) {
        self.spent[stage as usize] += until.saturating_duration_since(self.until);
        self.had |= 1 << stage as u8;
        // A moment may be before the last one: a command's turn in a burst counts from the
        // end of the one before, and it may have been sent after that.
        self.until = self.until.max(until);
    }

    /// How long a stage took; zero if the request has not had it.
    #[must_use]
    pub fn of(&self, stage: Stage) -> Duration {
        self.spent[stage as usize]
    }

    /// The stages that the request has had, and how long they took.
    pub fn had(&self) -> impl Iterator<Item = (Stage, Duration)> {
        let had = Stage::ALL
            .into_iter()
            .filter(move |&stage| self.had & (1 << stage as u8) != 0);
        had.map(move |stage| (stage, self.of(stage)))
    }

    /// From the last byte of the request on: all but read, which is the client's time.
    #[must_use]
    pub fn worked(&self) -> Duration {
        self.spent[Stage::Parse as usize..].iter().sum()
    }

    /// Up to when all time belongs to a stage.
    #[must_use]
    pub fn until(&self) -> Instant {
        self.until
    }

    /// Whom the request asked last, if anybody.
    #[must_use]
    pub fn asked(&self) -> Option<Asked> {
        self.asked
    }

    /// Appends the `Server-Timing` field (W3C Server Timing, section 3): all stages, in
    /// milliseconds with four fraction digits.
    pub fn push_field(&self, out: &mut Vec<u8>) {
        let mut separator = "Server-Timing: ";
        for stage in Stage::ALL {
            let tenths_us = self.of(stage).as_nanos() / 100;
            let (ms, rest) = (tenths_us / 10_000, tenths_us % 10_000);
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{separator}{};dur={ms}.{rest:04}", stage.name());
            separator = ", ";
        }
        out.extend_from_slice(b"\r\n");
    }
}

const _: () = assert!(Stage::Read as usize == 0 && Stage::Parse as usize == 1);

#[cfg(test)]
mod tests {
    use shards::Handled;

    use super::*;

    /// Microseconds since some moment.
    struct Clock(Instant);

    impl Clock {
        fn at(&self, us: u64) -> Instant {
            self.0 + Duration::from_micros(us)
        }

        fn course(
            &self,
            hopped: bool,
            submitted: u64,
            handled: Option<[u64; 3]>,
            answered: u64,
        ) -> Course {
            Course {
                owner: ShardId(3),
                hopped,
                submitted_at: self.at(submitted),
                handled: handled.map(|[taken, decided, released]| Handled {
                    taken_at: self.at(taken),
                    decided_at: self.at(decided),
                    released_at: self.at(released),
                }),
                answered_at: self.at(answered),
            }
        }
    }

    /// What a request has had: its first and last byte, its commands, its end.
    fn check(first: u64, last: u64, courses: impl Fn(&Clock) -> Vec<Course>, end: u64, had: &str) {
        let clock = Clock(Instant::now());
        let mut times = StageTimes::begin(clock.at(first), clock.at(last));
        for course in courses(&clock) {
            times.follow(&course);
        }
        times.end(clock.at(end));
        let shown: Vec<String> = times
            .had()
            .map(|(stage, time)| format!("{} {}", stage.name(), time.as_micros()))
            .collect();
        assert_eq!(shown.join(", "), had);
        assert_eq!(times.worked(), Duration::from_micros(end - last), "{had}");
        assert_eq!(times.until(), clock.at(end));
    }

    #[test]
    fn the_stages_of_a_request_are_all_of_its_time() {
        let none = |_: &Clock| Vec::new();
        check(0, 0, none, 7, "parse 7");
        check(0, 5, none, 7, "read 5, parse 2");
        let own = |c: &Clock| vec![c.course(false, 2, Some([2, 3, 3]), 3)];
        let behind_hops = |c: &Clock| vec![c.course(false, 2, Some([5, 6, 6]), 6)];
        check(0, 0, behind_hops, 7, "parse 2, queue 3, apply 1, write 1");
        check(0, 0, own, 4, "parse 2, apply 1, write 1");
        let parked = |c: &Clock| vec![c.course(false, 2, Some([2, 3, 40]), 40)];
        check(0, 0, parked, 41, "parse 2, apply 1, commit 37, write 1");
        let hop = |c: &Clock| vec![c.course(true, 2, Some([5, 6, 6]), 10)];
        check(0, 0, hop, 11, "parse 2, queue 3, apply 1, hop 4, write 1");
        let far = |c: &Clock| vec![c.course(true, 12, Some([15, 16, 50]), 60)];
        let all = "read 10, parse 2, queue 3, apply 1, commit 34, hop 10, write 1";
        check(0, 10, far, 61, all);
        let within_a_burst = |c: &Clock| vec![c.course(true, 12, Some([5, 16, 50]), 60)];
        let all = "read 10, parse 2, queue 0, apply 4, commit 34, hop 10, write 1";
        check(0, 10, within_a_burst, 61, all);
    }

    #[test]
    fn several_commands_add_up_and_what_is_between_them_is_parse() {
        let two = |c: &Clock| {
            vec![
                c.course(true, 2, Some([5, 6, 6]), 10),
                c.course(false, 13, Some([13, 15, 15]), 15),
            ]
        };
        check(0, 0, two, 16, "parse 5, queue 3, apply 3, hop 4, write 1");
    }

    #[test]
    fn who_gets_no_answer_waited_on_the_way_or_for_the_disk() {
        let busy = |c: &Clock| vec![c.course(true, 2, None, 2)];
        check(0, 0, busy, 3, "parse 2, write 1");
        let lost = |c: &Clock| vec![c.course(true, 2, None, 9)];
        check(0, 0, lost, 10, "parse 2, hop 7, write 1");
        let stuck = |c: &Clock| vec![c.course(false, 2, None, 9)];
        check(0, 0, stuck, 10, "parse 2, commit 7, write 1");
    }

    #[test]
    fn the_field_has_every_stage_in_milliseconds() {
        let clock = Clock(Instant::now());
        let mut times = StageTimes::begin(clock.at(0), clock.at(12));
        times.follow(&clock.course(true, 20, Some([1_020, 1_021, 12_055]), 12_060));
        times.end(clock.at(12_060) + Duration::from_nanos(470));
        let mut field = Vec::new();
        times.push_field(&mut field);
        assert_eq!(
            String::from_utf8(field).unwrap(),
            "Server-Timing: read;dur=0.0120, parse;dur=0.0080, queue;dur=1.0000, \
             apply;dur=0.0010, commit;dur=11.0340, hop;dur=0.0050, write;dur=0.0004\r\n"
        );
    }
}
