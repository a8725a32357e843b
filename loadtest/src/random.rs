//! Choices that a seed repeats: a small generator, waiting times, and skewed accounts.

/// SplitMix64: a counter whose bits are mixed. Not for secrets; passes the usual tests and
/// costs a nanosecond.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A stream of its own for each seed and `lane`, such as the number of a thread.
    pub(crate) fn new(seed: u64, lane: u64) -> Self {
        let mut random = Self(seed ^ lane.wrapping_mul(0xd134_2543_de82_ef95));
        // Seeds are small numbers: the first value would show it.
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least 0 and below 1.
    pub(crate) fn share(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number below `end`, which is at least 1. The bias is below `end / 2^64`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// Whether something happens that happens with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    /// A waiting time with mean 1 of a process without memory (exponential distribution).
    pub(crate) fn waiting(&mut self) -> f64 {
        // 1 - share is above 0, so the logarithm is finite.
        -(1.0 - self.share()).ln()
    }
}

/// Ranks drawn so that rank `k` (from 0) has the weight `1 / (k + 1)^skew`: few hot accounts
/// and a long tail, as players are. A skew of 0 draws all alike.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    /// Weight of this rank and all before it, divided by the weight of all.
    cumulated: Vec<f64>,
}

impl Zipf {
    /// # Panics
    /// Without ranks.
    pub(crate) fn new(ranks: usize, skew: f64) -> Self {
        assert!(ranks > 0);
        let mut sum = 0.0;
        let mut cumulated: Vec<f64> = (1..=ranks)
            .map(|rank| {
                sum += (rank as f64).powf(-skew);
                sum
            })
            .collect();
        for weight in &mut cumulated {
            *weight /= sum;
        }
        Self { cumulated }
    }

    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        let share = random.share();
        let rank = self.cumulated.partition_point(|&weight| weight <= share);
        // Rounding may leave the last weight a little below 1.
        rank.min(self.cumulated.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_lanes_differ() {
        let draw = |seed, lane| {
            let mut random = Random::new(seed, lane);
            [random.next(), random.next(), random.next()]
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
        assert_ne!(draw(1, 0), draw(2, 0));
    }

    #[test]
    fn waiting_times_have_mean_one_and_no_memory() {
        let mut random = Random::new(7, 0);
        let draws: Vec<f64> = (0..100_000).map(|_| random.waiting()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        // Of an exponential distribution, 1/e lasts longer than the mean.
        let longer = draws.iter().filter(|&&wait| wait > 1.0).count() as f64 / 1e5;
        assert!((longer - 0.3679).abs() < 0.01, "{longer}");
        assert!(draws.iter().all(|wait| wait.is_finite() && *wait >= 0.0));
    }

    #[test]
    fn numbers_below_an_end_are_even_and_never_reach_it() {
        let mut random = Random::new(3, 0);
        let mut seen = [0; 6];
        for _ in 0..60_000 {
            seen[random.below(6) as usize] += 1;
        }
        for count in seen {
            assert!((9_500..10_500).contains(&count), "{seen:?}");
        }
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn the_first_rank_of_a_skew_of_one_is_drawn_twice_as_often_as_the_second() {
        let zipf = Zipf::new(1_000, 1.0);
        let mut random = Random::new(11, 0);
        let mut seen = vec![0_u32; 1_000];
        for _ in 0..200_000 {
            seen[zipf.draw(&mut random)] += 1;
        }
        let ratio = f64::from(seen[0]) / f64::from(seen[1]);
        assert!((1.85..2.15).contains(&ratio), "{ratio}");
        // The sum of 1/k up to 1,000 is 7.485.
        let first = f64::from(seen[0]) / 200_000.0;
        assert!((first - 1.0 / 7.485).abs() < 0.005, "{first}");
    }

    #[test]
    fn without_skew_all_ranks_are_alike() {
        let zipf = Zipf::new(4, 0.0);
        let mut random = Random::new(5, 0);
        let mut seen = [0; 4];
        for _ in 0..40_000 {
            seen[zipf.draw(&mut random)] += 1;
        }
        assert!(seen.iter().all(|n| (9_500..10_500).contains(n)), "{seen:?}");
    }
}
