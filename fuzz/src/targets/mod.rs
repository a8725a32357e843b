//! What is tried: everything that reads bytes of strangers.

mod chunks;
mod connection;
mod head;
mod json;
mod wallet;

/// One reader of bytes, and what must be true of it for any input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// As it is called on the command line and in the corpus.
    pub(crate) name: &'static str,
    /// One line for `--help`.
    pub(crate) about: &'static str,
    /// Of which inputs are put together.
    pub(crate) pieces: &'static [&'static [u8]],
    /// Tries one input: a number for what became of it, or what must not have been.
    pub(crate) run: fn(&[u8]) -> Result<u64, String>,
}

/// All of them.
pub(crate) const ALL: &[Target] = &[
    head::TARGET,
    chunks::TARGET,
    json::TARGET,
    connection::TARGET,
];

/// Fails with both sides when they differ.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, one: &T, other: &T) -> Result<(), String> {
    if one == other {
        Ok(())
    } else {
        Err(format!("{what}: {one:?} and {other:?}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::corpus;
    use crate::driver::{self, try_one};

    #[test]
    fn every_input_of_the_corpus_passes_and_they_are_of_many_kinds() {
        for target in ALL {
            let inputs = corpus::read(target.name).unwrap();
            let mut kinds = HashSet::new();
            for (path, input) in &inputs {
                let result = try_one(target, input);
                assert!(result.is_ok(), "{}: {result:?}", path.display());
                kinds.insert(result);
            }
            let (count, kinds) = (inputs.len(), kinds.len());
            assert!(kinds >= 5, "{}: {kinds} kinds of {count}", target.name);
        }
    }

    #[test]
    fn random_inputs_of_every_target_pass_and_are_of_many_kinds() {
        for target in ALL {
            let report = driver::run(target, Vec::new(), 1, |tries| tries < 1_000);
            assert_eq!(report.failure, None, "{}", target.name);
            assert!(report.inputs > 5, "{}: {report:?}", target.name);
        }
    }
}
