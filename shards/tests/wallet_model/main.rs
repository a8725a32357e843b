//! The ledger beside the model, for random sequences of everything that a wallet can be
//! asked, at clocks that run, jump and step back.
//!
//! Every answer, every posting and, after every step, all accounts and books must be what
//! the model says; a second ledger is given the postings alone, as recovery does it.
//! A sequence that fails is made as short as it can be and printed.
//!
//! `PURSER_MODEL_OPERATIONS` says how many commands, `PURSER_MODEL_SEED` replays one
//! sequence (docs/internals/testing.md).

mod canary;
mod sequence;
mod shrink;
mod wallet;
mod words;

use std::time::Instant;

use canary::Canary;
use sequence::{STEPS, Sequence};
use shrink::shortened;
use wallet::{Tally, run};

/// A few seconds without optimisation.
const OPERATIONS: u64 = 24_000;

/// What must have happened: every kind is done and repeated, every reason is given.
const ANSWERS: [&str; 49] = [
    "bet accepted",
    "bet repeated",
    "bet refused AccountNotFound",
    "bet refused RequestTooOld",
    "bet refused RequestInFuture",
    "bet refused TransactionIdReused",
    "bet refused SessionUnknown",
    "bet refused SessionLoggedOut",
    "bet refused CurrencyMismatch",
    "bet refused AmountTooPrecise",
    "bet refused GameNotFound",
    "bet refused RolledBackBefore",
    "bet refused AccountSuspended",
    "bet refused SessionLimit",
    "bet refused LossLimit(Day)",
    "bet refused LossLimit(Week)",
    "bet refused LossLimit(Month)",
    "bet refused InsufficientFunds",
    "free bet accepted",
    "award accepted",
    "award repeated",
    "award refused SessionOfAnotherAccount",
    "award refused BalanceOverflow",
    "rollback accepted",
    "rollback repeated",
    "rollback refused BetNotFound",
    "rollback refused RollbackMismatch",
    "void accepted",
    "void repeated",
    "end accepted",
    "end refused RoundNotFound",
    "credit accepted",
    "credit repeated",
    "deposit repeated",
    "deposit refused BalanceOverflow",
    "deposit refused CurrencyMismatch",
    "withdrawal accepted",
    "withdrawal refused InsufficientFunds",
    "bonus repeated",
    "limits accepted",
    "status accepted",
    "import repeated",
    "session repeated",
    "logout repeated",
    "token accepted",
    "token refused TokenSpent",
    "token refused TokenExpired",
    "read refused NoLiveSession",
    "alert accepted",
];

/// Within how many sequences a broken rule must show.
const CANARY_SEQUENCES: u64 = 200;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

#[test]
fn the_ledger_answers_as_the_model_does() {
    let operations = number("PURSER_MODEL_OPERATIONS").unwrap_or(OPERATIONS);
    let seeds = match number("PURSER_MODEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..operations.div_ceil(STEPS),
    };
    let count = seeds.end - seeds.start;
    let began = Instant::now();
    let mut tally = Tally::new();
    for seed in seeds {
        let sequence = Sequence::deal(seed);
        match run(&sequence, None) {
            Err(_) => panic!("{}", report(&sequence, None)),
            Ok(of_one) => {
                for (answer, times) in of_one {
                    *tally.entry(answer).or_default() += times;
                }
            }
        }
    }
    for (answer, times) in &tally {
        println!("{times:>8}  {answer}");
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{} operations in {seconds:.1} s", count * STEPS);
    // What never happens is not tested.
    if count * STEPS >= OPERATIONS {
        for answer in ANSWERS {
            assert!(tally.contains_key(answer), "never happened: {answer}");
        }
    }
}

/// A sequence that fails, shortened, and how to see it again.
fn report(sequence: &Sequence, canary: Option<Canary>) -> String {
    let seed = sequence.seed;
    let short = shortened(sequence, canary);
    let Err(why) = run(&short, canary) else {
        unreachable!("a shortened sequence still fails");
    };
    words::without_padding(&format!(
        "{}seed {seed}: {why}\n\
         replay: PURSER_MODEL_SEED={seed} cargo test -p purser-shards --test wallet_model",
        words::of(&short)
    ))
}

#[test]
fn every_canary_is_caught_and_shortened() {
    for canary in Canary::ALL {
        let mut sequences = (0..CANARY_SEQUENCES).map(Sequence::deal);
        let caught = sequences.find(|sequence| run(sequence, Some(canary)).is_err());
        let sequence = caught.unwrap_or_else(|| panic!("{canary:?} goes unnoticed"));
        let short = shortened(&sequence, Some(canary));
        println!("{canary:?}:\n{}", report(&sequence, Some(canary)));
        // An account, a session, money, a limit or a restriction, a bet, and what
        // follows it.
        assert!(
            short.steps.len() <= 10,
            "{canary:?}: {} steps are left",
            short.steps.len()
        );
    }
}
