//! Many seeds of the simulation, and proof that it would notice.
//!
//! `PURSER_SIM_SEEDS` says how many seeds, `PURSER_SIM_SEED` replays one
//! (docs/internals/testing.md).

use std::time::Instant;

use shards::sim::{Canary, Figures, run};

/// A few seconds without optimisation.
const SEEDS: u64 = 200;

/// Within how many seeds a broken part must show.
const CANARY_SEEDS: u64 = 200;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

#[test]
fn no_seed_breaks_a_promise() {
    let seeds = match number("PURSER_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PURSER_SIM_SEEDS").unwrap_or(SEEDS),
    };
    let count = seeds.end - seeds.start;
    let began = Instant::now();
    let mut figures = Figures::default();
    for seed in seeds {
        match run(seed, None) {
            Ok(report) => figures.add(&report.figures),
            Err(violation) => panic!("{violation}"),
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{figures}{count} seeds in {seconds:.1} s");
    // What never happens is not tested.
    if count >= SEEDS {
        let Figures {
            full_disk_refusals,
            busy_refusals,
            torn_tails,
            recoveries_cut_short,
            shutdowns,
            shard_crashes,
            disk_failures,
            bets,
            rollbacks,
            rollbacks_ahead,
            bets_refused_behind,
            checkpoints,
            folds_cut_short,
            from_checkpoints,
            ..
        } = figures;
        for (what, happened) in [
            ("full disk", full_disk_refusals),
            ("busy", busy_refusals),
            ("torn tail", torn_tails),
            ("recovery cut short", recoveries_cut_short),
            ("shutdown", shutdowns),
            ("shard crash", shard_crashes),
            ("disk failure", disk_failures),
            ("bet", bets),
            ("rollback", rollbacks),
            ("rollback ahead of its bet", rollbacks_ahead),
            ("bet behind its rollback", bets_refused_behind),
            ("checkpoint", checkpoints),
            ("fold cut short", folds_cut_short),
            ("start from a checkpoint", from_checkpoints),
        ] {
            assert!(happened > 0, "never happened: {what}");
        }
    }
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in 0..10 {
        assert_eq!(run(seed, None), run(seed, None), "seed {seed}");
    }
}

#[test]
fn every_canary_is_caught() {
    for canary in Canary::ALL {
        let caught = (0..CANARY_SEEDS).find_map(|seed| run(seed, Some(canary)).err());
        let violation = caught.unwrap_or_else(|| panic!("{canary:?} goes unnoticed"));
        println!("{canary:?}, seed {}: {}", violation.seed, violation.what);
        assert!(
            violation
                .to_string()
                .contains(&format!("PURSER_SIM_SEED={} cargo test", violation.seed))
        );
    }
}
