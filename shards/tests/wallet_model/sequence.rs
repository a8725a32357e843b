//! Sequences of commands and the times at which they come, from a seed.

use std::time::Duration;

use shards::ledger::{Command, LedgerSettings};
use shards::sim::{Dealer, Random, Taste};
use shards::types::{AccountId, UnixMillis};

/// Commands of one sequence: enough for every account to have a history, few enough to
/// read all of it again at every step.
pub(crate) const STEPS: u64 = 200;

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// Moments at which days, weeks, months and years end: 2026-11-30 (a month, on a Monday),
/// 2026-12-31 (a year, within a week), 2027-01-03 (a week), 2028-02-28 and 29.
const ENDS: [i64; 5] = [
    1_796_083_200_000,
    1_798_761_600_000,
    1_799_020_800_000,
    1_835_395_200_000,
    1_835_481_600_000,
];

#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) now: UnixMillis,
    pub(crate) command: Command,
}

#[derive(Clone)]
pub(crate) struct Sequence {
    pub(crate) seed: u64,
    pub(crate) settings: LedgerSettings,
    pub(crate) accounts: Vec<AccountId>,
    /// Others play meanwhile, without whom nothing would ever be old enough to be forgotten.
    pub(crate) is_busy: bool,
    pub(crate) steps: Vec<Step>,
}

/// How time passes.
#[derive(Clone, Copy)]
enum Clock {
    /// Seconds.
    Calm,
    /// Seconds around the end of a day, and days in between; small steps back.
    Ends,
    /// Minutes and hours: what is old is forgotten meanwhile.
    Hours,
    /// Anything, back too.
    Wild,
}

impl Sequence {
    pub(crate) fn deal(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let window_hours = [1, 72][random.below(2) as usize];
        let settings = LedgerSettings {
            idempotency_window: Duration::from_secs(window_hours * 3_600),
            digest_secret: [random.number(), random.number()],
            clock_skew_max: Duration::from_secs(300),
        };
        let clock = match random.below(8) {
            0..=2 => Clock::Calm,
            3 | 4 => Clock::Ends,
            5 | 6 => Clock::Hours,
            _ => Clock::Wild,
        };
        let taste = match random.below(8) {
            0..=4 => Taste::Plain,
            5 => Taste::ManyLimits,
            6 => Taste::ManySessions,
            _ => Taste::LargeAmounts,
        };
        let accounts = 1 + random.below(6) as usize;
        let mut dealer = Dealer::new(taste, accounts, &settings);
        let mut now = UnixMillis(ENDS[random.below(ENDS.len() as u64) as usize]);
        now.0 -= random.below(100 * SECOND) as i64;
        let steps = (0..STEPS).map(|_| {
            now.0 += clock.passes(&mut random);
            let command = dealer.next(&mut random, now);
            Step { now, command }
        });
        let steps = steps.collect();
        Self {
            seed,
            settings,
            accounts: dealer.accounts().cloned().collect(),
            is_busy: matches!(clock, Clock::Hours),
            steps,
        }
    }
}

impl Clock {
    /// Milliseconds from one command to the next.
    fn passes(self, random: &mut Random) -> i64 {
        let forth = |ms: u64| ms as i64;
        match (self, random.below(40)) {
            (Self::Calm, _) => forth(random.below(5 * SECOND)),
            (Self::Ends, 0) => -forth(random.below(5 * SECOND)),
            (Self::Ends, 1) => forth(DAY - random.below(20 * SECOND)),
            (Self::Ends, 2) => forth(random.below(7 * DAY)),
            (Self::Ends, _) => forth(random.below(3 * SECOND)),
            (Self::Hours, 0) => forth(random.below(40 * HOUR)),
            (Self::Hours, _) => forth(random.below(HOUR / 2)),
            (Self::Wild, 0) => forth(random.below(60 * DAY)),
            (Self::Wild, 1 | 2) => forth(random.below(2 * DAY)),
            (Self::Wild, 3 | 4) => -forth(random.below(2 * DAY)),
            (Self::Wild, 5..=9) => -forth(random.below(60 * SECOND)),
            (Self::Wild, _) => forth(random.below(600 * SECOND)),
        }
    }
}
