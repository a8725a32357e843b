//! New inputs: put together from a target's pieces, or made from old ones by small harm.

use crate::random::Random;

/// Inputs stay near the size of requests; what is longer only runs slower.
const INPUT_BYTES_MAX: usize = 4_096;

/// Bytes that mean something to one of the grammars, so that they come often.
const BYTES: &[u8] = b"\r\n\t :;,/?#%*\"\\{}[]0123456789+-.eE\0\x7f\x80\xff";

/// Something of the target's own pieces, one behind the other.
pub(crate) fn generate(random: &mut Random, pieces: &[&[u8]]) -> Vec<u8> {
    let mut input = Vec::new();
    for _ in 0..=random.below(12) {
        match random.below(8) {
            0 => input.push(BYTES[random.below(BYTES.len())]),
            1 => input.push(random.byte()),
            _ => input.extend_from_slice(random.pick(pieces)),
        }
    }
    input
}

/// An input with one to four changes.
pub(crate) fn mutate(random: &mut Random, input: &[u8], other: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    let mut input = input.to_vec();
    for _ in 0..=random.below(4) {
        change(random, &mut input, other, pieces);
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

fn change(random: &mut Random, input: &mut Vec<u8>, other: &[u8], pieces: &[&[u8]]) {
    let at = random.below(input.len() + 1);
    // A place that there is; an empty input can only grow.
    let place = random.below(input.len().max(1));
    match random.below(if input.is_empty() { 4 } else { 9 }) {
        0 => input.insert(at, BYTES[random.below(BYTES.len())]),
        1 => insert(input, at, random.pick(pieces)),
        2 => input.insert(at, random.byte()),
        3 => {
            let cut = random.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[cut..]);
        }
        4 => input[place] ^= 1 << random.below(8),
        5 => input[place] = BYTES[random.below(BYTES.len())],
        6 => {
            let end = (place + 1 + random.below(16)).min(input.len());
            input.drain(place..end);
        }
        7 => {
            let end = (place + 1 + random.below(64)).min(input.len());
            let copy = input[place..end].to_vec();
            insert(input, at, &copy);
        }
        _ => input.truncate(at),
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}
