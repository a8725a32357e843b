//! The loop: take an input, change it, try it, keep what did something new.
//!
//! Each target says in one number what became of an input, such as which rule refused it;
//! an input with a number that was never seen joins those that are changed. So does one
//! that took another way through the code, in builds that see it ([`Coverage`]). The same
//! seed makes the same choices on any machine, as far as the time goes and in one build.

use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::coverage::Coverage;
use crate::mutate::{generate, mutate};
use crate::random::Random;
use crate::targets::Target;

/// Inputs tried to make a failing one smaller: thousands take a second.
const SHRINK_TRIES_MAX: usize = 20_000;

/// What a run did.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) tries: u64,
    /// Inputs at the end: those of the corpus and those that did something new.
    pub(crate) inputs: usize,
    /// Edges of the code that were taken; 0 in builds that do not see them.
    pub(crate) edges: usize,
    pub(crate) failure: Option<Failure>,
}

/// An input that must not have done what it did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// As small as it got.
    pub(crate) input: Vec<u8>,
    pub(crate) what: String,
}

/// Runs the corpus, and then changed inputs while `goes_on` says so of the number of tries
/// so far, or until one fails.
pub(crate) fn run(
    target: &Target,
    corpus: Vec<Vec<u8>>,
    seed: u64,
    mut goes_on: impl FnMut(u64) -> bool,
) -> Report {
    let mut random = Random::new(seed);
    let mut seen = Seen::default();
    let mut inputs = corpus;
    let mut tries = 0;
    let mut failure = None;
    for input in &inputs {
        tries += 1;
        if let Err(what) = seen.try_one(target, input) {
            failure = Some((input.clone(), what));
            break;
        }
    }
    while failure.is_none() && goes_on(tries) {
        tries += 1;
        let input = if inputs.is_empty() || random.one_in(8) {
            generate(&mut random, target.pieces)
        } else {
            let (one, other) = (random.below(inputs.len()), random.below(inputs.len()));
            mutate(&mut random, &inputs[one], &inputs[other], target.pieces)
        };
        match seen.try_one(target, &input) {
            Ok(true) => inputs.push(input),
            Ok(false) => {}
            Err(what) => failure = Some((input, what)),
        }
    }
    Report {
        tries,
        inputs: inputs.len(),
        edges: seen.coverage.edges(),
        failure: failure.map(|(input, what)| shrink(target, Failure { input, what })),
    }
}

/// What the inputs so far did.
#[derive(Default)]
struct Seen {
    signatures: HashSet<u64>,
    coverage: Coverage,
}

impl Seen {
    /// Whether an input did something new, or why it must not have.
    fn try_one(&mut self, target: &Target, input: &[u8]) -> Result<bool, String> {
        self.coverage.start();
        let signature = try_one(target, input)?;
        let took_new_way = self.coverage.add();
        Ok(self.signatures.insert(signature) || took_new_way)
    }
}

/// What became of an input, or why it must not have.
pub(crate) fn try_one(target: &Target, input: &[u8]) -> Result<u64, String> {
    thread_local! {
        /// The panic of the input at hand; none: this thread tries nothing.
        static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    }
    // Shrinking makes hundreds of panics, of which one is shown.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_ours = PANIC.with_borrow_mut(|panic| {
                panic
                    .as_mut()
                    .map(|panic| *panic = info.to_string())
                    .is_some()
            });
            if !is_ours {
                default(info);
            }
        }));
    });
    PANIC.set(Some(String::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let panic = PANIC.take().unwrap_or_default();
    result.unwrap_or_else(|_| Err(format!("panic: {panic}")))
}

/// Leaves out pieces, larger ones first, for as long as the input still fails.
fn shrink(target: &Target, mut failure: Failure) -> Failure {
    let mut tries = 0;
    let mut size = failure.input.len().div_ceil(2);
    while size > 0 && tries < SHRINK_TRIES_MAX {
        let mut at = 0;
        let mut is_smaller = false;
        while at < failure.input.len() && tries < SHRINK_TRIES_MAX {
            tries += 1;
            let mut shorter = failure.input.clone();
            shorter.drain(at..(at + size).min(failure.input.len()));
            match try_one(target, &shorter) {
                Ok(_) => at += size,
                Err(what) => {
                    failure = Failure {
                        input: shorter,
                        what,
                    };
                    is_smaller = true;
                }
            }
        }
        if !is_smaller {
            size /= 2;
        }
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planted(input: &[u8]) -> Result<u64, String> {
        match input.windows(3).any(|window| window == b"\r\nX") {
            true => Err("planted".to_owned()),
            // How far it got.
            false => Ok(u64::from(input.windows(2).any(|window| window == b"\r\n"))),
        }
    }

    fn panicking(input: &[u8]) -> Result<u64, String> {
        assert!(!input.contains(&b'%'), "no percent signs");
        Ok(0)
    }

    /// Enough to find what is planted, with any seed.
    fn many(tries: u64) -> bool {
        tries < 1_000_000
    }

    fn target(run: fn(&[u8]) -> Result<u64, String>) -> Target {
        Target {
            name: "test",
            about: "",
            pieces: &[b"\r\n", b"X", b"% and more"],
            run,
        }
    }

    #[test]
    fn a_planted_fault_is_found_and_made_small() {
        let report = run(&target(planted), vec![b"a long start".to_vec()], 7, many);
        assert_eq!(report.failure.unwrap().input, b"\r\nX");
    }

    #[test]
    fn a_panic_is_a_failure_with_its_message() {
        let report = run(&target(panicking), vec![], 7, many);
        let failure = report.failure.unwrap();
        assert_eq!(failure.input, b"%");
        assert!(
            failure.what.contains("no percent signs"),
            "{}",
            failure.what
        );
    }

    #[test]
    fn the_corpus_itself_is_tried() {
        let report = run(&target(planted), vec![b"\r\nX".to_vec()], 7, |_| false);
        assert_eq!((report.tries, report.failure.is_some()), (1, true));
    }

    #[test]
    fn a_seed_makes_the_same_choices_again() {
        let tries_to_find = |seed| run(&target(planted), vec![], seed, many).tries;
        assert_eq!(tries_to_find(1), tries_to_find(1));
        assert!((2..9).any(|seed| tries_to_find(seed) != tries_to_find(1)));
    }
}
