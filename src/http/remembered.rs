//! Heads that a connection has sent before.
//!
//! A platform's pool sends the same few heads over and over: the path, the credentials
//! and the media type are the connection's, and the length often is. What a head means
//! depends on its bytes alone, so the same bytes need no second parsing. It saves a third
//! of the instructions of a `balance` (`purser-bench` shows the difference in CPU time).

use super::fields::Head;

/// Heads that a connection keeps: those of a game round (balance, bet, win, end), each
/// with the length of its body.
const HEADS_MAX: usize = 4;

/// The longest head that is kept. Ours have some 200 bytes, with a proxy's fields 500;
/// with four of them 10,000 connections keep 40 MiB at the very most.
const HEAD_BYTES_MAX: usize = 1_024;

/// The last few heads of one connection that were accepted.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    heads: Vec<(Vec<u8>, Head)>,
    /// Which one makes room for the next.
    oldest: usize,
}

impl Remembered {
    /// The head that `bytes` begin with, if it was here before.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<Head> {
        let known = self
            .heads
            .iter()
            .find(|(known, _)| bytes.starts_with(known));
        known.map(|(_, head)| head.clone())
    }

    /// Keeps a head that `bytes` begin with.
    pub(crate) fn keep(&mut self, bytes: &[u8], head: &Head) {
        if head.len > HEAD_BYTES_MAX {
            return;
        }
        let bytes = &bytes[..head.len];
        if self.heads.len() < HEADS_MAX {
            self.heads.push((bytes.to_vec(), head.clone()));
            return;
        }
        // Into the memory of the one it replaces.
        let (its_bytes, its_head) = &mut self.heads[self.oldest];
        its_bytes.clear();
        its_bytes.extend_from_slice(bytes);
        its_head.clone_from(head);
        self.oldest = (self.oldest + 1) % HEADS_MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::Limits;
    use super::super::parse::{HeadParser, Parsed};
    use super::*;

    fn request(number: usize) -> Vec<u8> {
        format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\nbody").into_bytes()
    }

    fn parse(bytes: &[u8]) -> Head {
        match HeadParser::default().parse(bytes, &Limits::default()) {
            Parsed::Head(head) => head,
            other => panic!("{other:?}"),
        }
    }

    fn path(head: &Head, bytes: &[u8]) -> String {
        head.request_head(bytes).unwrap().path.to_owned()
    }

    #[test]
    fn the_last_few_heads_are_found_and_no_others() {
        let mut remembered = Remembered::default();
        for number in 0..=HEADS_MAX {
            let bytes = request(number);
            assert!(remembered.find(&bytes).is_none());
            remembered.keep(&bytes, &parse(&bytes));
        }
        assert!(remembered.find(&request(0)).is_none(), "it made room");
        for number in 1..=HEADS_MAX {
            let bytes = request(number);
            let head = remembered.find(&bytes).unwrap();
            assert_eq!(path(&head, &bytes), format!("/{number}"));
        }
    }

    #[test]
    fn a_head_that_differs_in_one_byte_or_is_cut_is_not_found() {
        let bytes = request(7);
        let mut remembered = Remembered::default();
        let head = parse(&bytes);
        remembered.keep(&bytes, &head);
        for at in 0..head.len {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(remembered.find(&other).is_none(), "byte {at}");
            assert!(remembered.find(&bytes[..at]).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn a_long_head_is_not_kept() {
        let value = "x".repeat(HEAD_BYTES_MAX);
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {value}\r\n\r\n").into_bytes();
        let mut remembered = Remembered::default();
        remembered.keep(&bytes, &parse(&bytes));
        assert!(remembered.find(&bytes).is_none());
    }
}
