//! Heads that a connection has sent before.
//!
//! A platform's pool sends the same few heads over and over: the path, the credentials
//! and the media type are the connection's, and the length often is. What a head means
//! and where it leads depend on its bytes alone, so the same bytes need no second parsing
//! and no second look for their endpoint. It saves a third of the instructions of a
//! `balance` (`purser-bench` shows the difference in CPU time).

use std::rc::Rc;

use super::fields::Head;

/// Heads that a connection keeps: those of a game round (balance, bet, win, end), each
/// with the length of its body.
const HEADS_MAX: usize = 4;

/// The longest head that is kept. Ours have some 200 bytes, with a proxy's fields 500;
/// with four of them 10,000 connections keep 40 MiB at the very most.
const HEAD_BYTES_MAX: usize = 1_024;

/// The last few heads of one connection that the service let pass.
#[derive(Debug)]
pub(crate) struct Remembered<T> {
    heads: Vec<Known<T>>,
    /// Which one makes room for the next.
    oldest: usize,
}

#[derive(Debug)]
struct Known<T> {
    bytes: Vec<u8>,
    head: Rc<Head>,
    /// Where the service says it leads.
    target: T,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self {
            heads: Vec::new(),
            oldest: 0,
        }
    }
}

impl<T: Copy> Remembered<T> {
    /// The head that `bytes` begin with and where it leads, if it was here before.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<(Rc<Head>, T)> {
        let known = self
            .heads
            .iter()
            .find(|known| bytes.starts_with(&known.bytes));
        known.map(|known| (Rc::clone(&known.head), known.target))
    }

    /// Keeps a head that `bytes` begin with.
    pub(crate) fn keep(&mut self, bytes: &[u8], head: &Rc<Head>, target: T) {
        if head.len > HEAD_BYTES_MAX {
            return;
        }
        let bytes = &bytes[..head.len];
        let head = Rc::clone(head);
        if self.heads.len() < HEADS_MAX {
            let bytes = bytes.to_vec();
            self.heads.push(Known {
                bytes,
                head,
                target,
            });
            return;
        }
        // Into the memory of the one it replaces.
        let known = &mut self.heads[self.oldest];
        known.bytes.clear();
        known.bytes.extend_from_slice(bytes);
        known.head = head;
        known.target = target;
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

    fn parse(bytes: &[u8]) -> Rc<Head> {
        match HeadParser::default().parse(bytes, &Limits::default()) {
            Parsed::Head(head) => Rc::new(head),
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
            remembered.keep(&bytes, &parse(&bytes), number);
        }
        assert!(remembered.find(&request(0)).is_none(), "it made room");
        for number in 1..=HEADS_MAX {
            let bytes = request(number);
            let (head, target) = remembered.find(&bytes).unwrap();
            assert_eq!(path(&head, &bytes), format!("/{number}"));
            assert_eq!(target, number);
        }
    }

    #[test]
    fn a_head_that_differs_in_one_byte_or_is_cut_is_not_found() {
        let bytes = request(7);
        let mut remembered = Remembered::default();
        let head = parse(&bytes);
        remembered.keep(&bytes, &head, ());
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
        remembered.keep(&bytes, &parse(&bytes), ());
        assert!(remembered.find(&bytes).is_none());
    }
}
