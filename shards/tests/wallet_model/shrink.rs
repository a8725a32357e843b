//! Makes a sequence that fails as short as it can be.

use super::canary::Canary;
use super::sequence::Sequence;
use super::wallet::run;

/// Leaves out all steps that the failure does not need, many at a time first.
///
/// Every command is whole by itself, so a sequence without some of its steps is a
/// sequence too.
pub(crate) fn shortened(sequence: &Sequence, canary: Option<Canary>) -> Sequence {
    let mut short = sequence.clone();
    if let Err(failure) = run(&short, canary) {
        short.steps.truncate(failure.step + 1);
    }
    let mut chunk = short.steps.len().div_ceil(2);
    loop {
        let mut at = 0;
        let before = short.steps.len();
        while at < short.steps.len() {
            let mut without = short.clone();
            let end = (at + chunk).min(without.steps.len());
            without.steps.drain(at..end);
            match run(&without, canary) {
                Ok(_) => at += chunk,
                Err(failure) => {
                    without.steps.truncate(failure.step + 1);
                    short = without;
                }
            }
        }
        if chunk == 1 && short.steps.len() == before {
            return short;
        }
        chunk = chunk.div_ceil(2).max(1);
    }
}
