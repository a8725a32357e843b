//! What a thread of the generator counts. Threads share nothing: their tallies are merged
//! when the run is over.

use std::time::Duration;

use crate::kind::Kind;
use crate::script::Checked;
use crate::trend::Trend;

/// What is asked of every answer; the first two are the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Status200,
    ErrorCode0,
    ErrorCodeMinus8,
    Body,
}

impl Check {
    pub(crate) const COUNT: usize = 4;

    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Status200,
        Self::ErrorCode0,
        Self::ErrorCodeMinus8,
        Self::Body,
    ];

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// The check that an answer has the code that is right in its place.
    pub(crate) fn of_code(code: i32) -> Self {
        match code {
            0 => Self::ErrorCode0,
            -8 => Self::ErrorCodeMinus8,
            other => panic!("no flow expects the code {other}"),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Status200 => "is status 200",
            Self::ErrorCode0 => "is body errorCode 0",
            Self::ErrorCodeMinus8 => "is body errorCode -8",
            Self::Body => "is body as promised",
        }
    }
}

/// How long the parts of one request took, as k6 divides them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timings {
    /// Waiting for a connection, connecting included; in an open loop from the due time.
    pub(crate) blocked: Duration,
    pub(crate) connecting: Duration,
    pub(crate) sending: Duration,
    pub(crate) waiting: Duration,
    pub(crate) receiving: Duration,
    /// What a report calls `http_req_duration`.
    pub(crate) duration: Duration,
    /// From the wish to ask to the judged answer.
    pub(crate) group: Duration,
}

/// Passes and failures of one check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CheckCount {
    pub(crate) passes: u64,
    pub(crate) fails: u64,
}

/// The durations of requests by kind.
pub(crate) type ByKind = [Option<Box<Trend>>; Kind::COUNT];

/// Everything counted between two moments.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// `http_req_duration` of answers that did not fail as HTTP.
    pub(crate) durations: ByKind,
    /// ... and of those that did.
    pub(crate) durations_failed: Trend,
    pub(crate) blocked: Trend,
    pub(crate) connecting: Trend,
    pub(crate) sending: Trend,
    pub(crate) waiting: Trend,
    pub(crate) receiving: Trend,
    pub(crate) groups: Trend,
    pub(crate) iterations: Trend,
    /// How late requests of an open loop left although a connection was idle.
    pub(crate) late: Trend,
    pub(crate) checks: [[CheckCount; Check::COUNT]; Kind::COUNT],
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    /// Requests sent again because their answer did not come or said nothing.
    pub(crate) retries: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

impl Tally {
    /// Has durations of these kinds from the start, also when none is ever sent.
    pub(crate) fn expect(&mut self, kinds: &[Kind]) {
        for kind in kinds {
            self.durations[kind.index()].get_or_insert_default();
        }
    }

    /// Counts a request that is over; `failed` as HTTP: no answer, or a status of 400 and up.
    pub(crate) fn request(&mut self, kind: Kind, failed: bool, timings: &Timings) {
        self.requests += 1;
        self.failed += u64::from(failed);
        let durations = if failed {
            &mut self.durations_failed
        } else {
            self.durations[kind.index()].get_or_insert_default()
        };
        durations.record(timings.duration);
        self.blocked.record(timings.blocked);
        self.connecting.record(timings.connecting);
        self.sending.record(timings.sending);
        self.waiting.record(timings.waiting);
        self.receiving.record(timings.receiving);
        self.groups.record(timings.group);
    }

    pub(crate) fn checked(&mut self, kind: Kind, checked: &Checked) {
        for (count, passed) in self.checks[kind.index()].iter_mut().zip(checked) {
            match passed {
                Some(true) => count.passes += 1,
                Some(false) => count.fails += 1,
                None => {}
            }
        }
    }

    /// Adds what another tally has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        merge_by_kind(&mut self.durations, &other.durations);
        for (ours, theirs) in [
            (&mut self.durations_failed, &other.durations_failed),
            (&mut self.blocked, &other.blocked),
            (&mut self.connecting, &other.connecting),
            (&mut self.sending, &other.sending),
            (&mut self.waiting, &other.waiting),
            (&mut self.receiving, &other.receiving),
            (&mut self.groups, &other.groups),
            (&mut self.iterations, &other.iterations),
            (&mut self.late, &other.late),
        ] {
            ours.merge(theirs);
        }
        for (ours, theirs) in self
            .checks
            .iter_mut()
            .flatten()
            .zip(other.checks.iter().flatten())
        {
            ours.passes += theirs.passes;
            ours.fails += theirs.fails;
        }
        self.requests += other.requests;
        self.failed += other.failed;
        self.retries += other.retries;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }
}

/// Adds durations kind by kind.
pub(crate) fn merge_by_kind(ours: &mut ByKind, theirs: &ByKind) {
    for (ours, theirs) in ours.iter_mut().zip(theirs) {
        if let Some(theirs) = theirs {
            ours.get_or_insert_default().merge(theirs);
        }
    }
}

/// One second of one thread, for the live figures and the telemetry.
#[derive(Debug)]
pub(crate) struct Interval {
    /// Seconds since the start.
    pub(crate) second: u64,
    pub(crate) durations: ByKind,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
}

/// What was acknowledged, in minor units.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    /// Change of each player's funds.
    pub(crate) net: Vec<i64>,
    /// Sums of what was booked, by kind, without a sign.
    pub(crate) by_kind: [i64; Kind::COUNT],
    /// Bookings whose answer never came: the player, and what it would have changed.
    pub(crate) unsettled: Vec<(u32, i64)>,
}

impl Effects {
    pub(crate) fn new(players: usize) -> Self {
        Self {
            net: vec![0; players],
            ..Self::default()
        }
    }

    /// A booking was acknowledged for the first time.
    ///
    /// # Panics
    /// When sums leave 64 bits, which takes more money than a test has.
    pub(crate) fn booked(&mut self, kind: Kind, player: u32, change: i64) {
        let net = &mut self.net[player as usize];
        *net = net.checked_add(change).expect("money in 64 bits");
        let sum = &mut self.by_kind[kind.index()];
        *sum = sum.checked_add(change.abs()).expect("money in 64 bits");
    }

    /// A booking was given up without an answer.
    pub(crate) fn unsettled(&mut self, player: u32, change: i64) {
        if change != 0 {
            self.unsettled.push((player, change));
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        assert!(self.net.len() == other.net.len());
        for (ours, theirs) in self.net.iter_mut().zip(&other.net) {
            *ours = ours.checked_add(*theirs).expect("money in 64 bits");
        }
        for (ours, theirs) in self.by_kind.iter_mut().zip(other.by_kind) {
            *ours = ours.checked_add(theirs).expect("money in 64 bits");
        }
        self.unsettled.extend_from_slice(&other.unsettled);
    }

    /// Over all players.
    pub(crate) fn sum(&self) -> i64 {
        self.net.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timings(ms: u64) -> Timings {
        Timings {
            duration: Duration::from_millis(ms),
            ..Timings::default()
        }
    }

    #[test]
    fn requests_are_counted_by_kind_and_failures_apart() {
        let mut tally = Tally::default();
        tally.request(Kind::Balance, false, &timings(1));
        tally.request(Kind::Balance, true, &timings(50));
        tally.request(Kind::End, false, &timings(3));
        let mut both = Tally::default();
        both.merge(&tally);
        both.merge(&tally);
        assert_eq!((both.requests, both.failed), (6, 2));
        let balances = both.durations[Kind::Balance.index()].as_ref().unwrap();
        assert_eq!((balances.count(), balances.max_ms()), (2, 1.0));
        assert_eq!(both.durations_failed.count(), 2);
        assert!(both.durations[Kind::Credit.index()].is_none());
        assert_eq!(both.blocked.count(), 6);
    }

    #[test]
    fn checks_that_were_not_asked_count_nowhere() {
        let mut tally = Tally::default();
        tally.checked(Kind::Balance, &[Some(true), Some(false), None, None]);
        tally.checked(Kind::Balance, &[Some(true), Some(true), None, None]);
        let seen = tally.checks[Kind::Balance.index()].map(|count| (count.passes, count.fails));
        assert_eq!(seen, [(2, 0), (1, 1), (0, 0), (0, 0)]);
    }

    #[test]
    fn effects_of_threads_add_up() {
        let mut a = Effects::new(2);
        a.booked(Kind::PlaceBet, 0, -150);
        a.booked(Kind::AwardWinnings, 0, 300);
        let mut b = Effects::new(2);
        b.booked(Kind::PlaceBet, 1, -50);
        b.unsettled(1, -10);
        b.unsettled(1, 0);
        a.merge(&b);
        assert_eq!(a.net, [150, -50]);
        assert_eq!(a.sum(), 100);
        assert_eq!(a.by_kind[Kind::PlaceBet.index()], 200);
        assert_eq!(a.unsettled, [(1, -10)]);
    }
}
