//! When requests are due in an open loop: the schedule does not look at the server.

use std::time::{Duration, Instant};

use crate::random::Random;

/// The distances between requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Spacing {
    /// Independent of each other, as the requests of many players are.
    Poisson,
    /// All alike.
    Constant,
}

/// The due times of one thread.
#[derive(Debug)]
pub(crate) struct Arrivals {
    spacing: Spacing,
    start: Instant,
    interval_s: f64,
    /// Of the next request, in seconds after the start: a sum, so that rounding to
    /// nanoseconds does not add up.
    due_s: f64,
    random: Random,
}

impl Arrivals {
    /// This thread's share of `requests_per_s`: thread `lane` of `lanes`. Constant
    /// distances interleave, so that all threads together are constant too.
    pub(crate) fn new(
        spacing: Spacing,
        requests_per_s: f64,
        (lane, lanes): (usize, usize),
        start: Instant,
        random: Random,
    ) -> Self {
        assert!(requests_per_s > 0.0);
        assert!(lane < lanes);
        let interval_s = lanes as f64 / requests_per_s;
        let mut arrivals = Self {
            spacing,
            start,
            interval_s,
            due_s: interval_s * lane as f64 / lanes as f64,
            random,
        };
        if spacing == Spacing::Poisson {
            arrivals.due_s = 0.0;
            arrivals.advance();
        }
        arrivals
    }

    /// When the next request is due.
    pub(crate) fn next_due(&self) -> Instant {
        self.start + Duration::from_secs_f64(self.due_s)
    }

    /// The next request was taken: the one after it is next.
    pub(crate) fn advance(&mut self) {
        self.due_s += match self.spacing {
            Spacing::Poisson => self.interval_s * self.random.waiting(),
            Spacing::Constant => self.interval_s,
        };
    }

    /// How many requests are due until `end`, counting and dropping them.
    pub(crate) fn drop_until(&mut self, end: Instant) -> u64 {
        let mut dropped = 0;
        while self.next_due() < end {
            self.advance();
            dropped += 1;
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within_a_second(spacing: Spacing, lane: (usize, usize)) -> Vec<Duration> {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(spacing, 1_000.0, lane, start, Random::new(1, 0));
        let mut due = Vec::new();
        while arrivals.next_due() < start + Duration::from_secs(1) {
            due.push(arrivals.next_due() - start);
            arrivals.advance();
        }
        due
    }

    #[test]
    fn constant_requests_are_due_at_even_distances() {
        let due = within_a_second(Spacing::Constant, (0, 1));
        assert_eq!(due.len(), 1_000);
        for pair in due.windows(2) {
            let distance = (pair[1] - pair[0]).as_nanos();
            assert!((999_990..1_000_010).contains(&distance), "{distance}");
        }
    }

    #[test]
    fn two_threads_interleave_their_constant_requests() {
        let (first, second) = (
            within_a_second(Spacing::Constant, (0, 2)),
            within_a_second(Spacing::Constant, (1, 2)),
        );
        assert_eq!((first.len(), second.len()), (500, 500));
        assert_eq!(first[1] - first[0], Duration::from_millis(2));
        assert_eq!(second[0], Duration::from_millis(1));
    }

    #[test]
    fn poisson_requests_keep_the_rate_and_come_in_bursts() {
        let due = within_a_second(Spacing::Poisson, (0, 1));
        assert!((900..1_100).contains(&due.len()), "{}", due.len());
        let close = due
            .windows(2)
            .filter(|pair| pair[1] - pair[0] < Duration::from_micros(100));
        // 1 - e^-0.1 of the distances are below a tenth of the mean.
        let share = close.count() as f64 / due.len() as f64;
        assert!((0.06..0.14).contains(&share), "{share}");
    }

    #[test]
    fn what_is_never_sent_is_counted() {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(Spacing::Constant, 10.0, (0, 1), start, Random::new(1, 0));
        arrivals.advance();
        assert_eq!(arrivals.drop_until(start + Duration::from_secs(1)), 9);
        assert_eq!(arrivals.drop_until(start + Duration::from_secs(1)), 0);
    }
}
