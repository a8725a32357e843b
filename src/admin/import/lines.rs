//! Pieces of a body, cut where the network or a block ended, into lines.

/// The longest line, its newline not counted: some 200 bytes are needed, the rest is
/// room for generous spacing and escapes.
pub(super) const LINE_BYTES_MAX: usize = 4 << 10;

/// Cuts pieces into lines and counts them, the first being 1.
#[derive(Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    /// Whether `partial` is a whole line that was handed out.
    handed_out: bool,
    /// Lines that ended.
    ended: u64,
}

/// A line that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong {
    pub(super) number: u64,
}

impl Lines {
    /// The next line that ends in `piece`, which shrinks to what is behind it; `None` when
    /// the rest of the piece begins a line, which is then remembered.
    pub(super) fn next<'a, 'piece: 'a>(
        &'a mut self,
        piece: &mut &'piece [u8],
    ) -> Result<Option<(u64, &'a [u8])>, TooLong> {
        if self.handed_out {
            self.partial.clear();
            self.handed_out = false;
        }
        let end = piece.iter().position(|&byte| byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (&piece[..end], &piece[end + 1..]),
            None => (*piece, &piece[piece.len()..]),
        };
        if self.partial.len() + line.len() > LINE_BYTES_MAX {
            return Err(TooLong {
                number: self.ended + 1,
            });
        }
        *piece = rest;
        if end.is_none() {
            self.partial.extend_from_slice(line);
            return Ok(None);
        }
        self.ended += 1;
        if self.partial.is_empty() {
            return Ok(Some((self.ended, line)));
        }
        self.partial.extend_from_slice(line);
        self.handed_out = true;
        Ok(Some((self.ended, &self.partial)))
    }

    /// The number of the line that comes next.
    pub(super) fn next_number(&self) -> u64 {
        self.ended + 1
    }

    /// The last line, if the text ended without a newline. Not for use after an error.
    pub(super) fn last(&self) -> Option<(u64, &[u8])> {
        (!self.handed_out && !self.partial.is_empty()).then_some((self.ended + 1, &self.partial))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(pieces: &[&[u8]]) -> Result<Vec<(u64, String)>, TooLong> {
        let own = |(number, line): (u64, &[u8])| (number, String::from_utf8_lossy(line).into());
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            while let Some(line) = lines.next(&mut rest)? {
                found.push(own(line));
            }
        }
        found.extend(lines.last().map(own));
        Ok(found)
    }

    #[test]
    fn lines_are_the_same_wherever_the_text_is_cut() {
        let text = b"one\n\ntwo two\r\nthree\n\nlast";
        let expected = [
            (1, "one"),
            (2, ""),
            (3, "two two\r"),
            (4, "three"),
            (5, ""),
            (6, "last"),
        ]
        .map(|(number, line)| (number, line.to_owned()));
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(lines_of(&pieces).unwrap(), expected, "{first} {second}");
            }
        }
    }

    #[test]
    fn a_final_newline_begins_no_line() {
        assert_eq!(lines_of(&[b"a\n"]).unwrap(), [(1, "a".to_owned())]);
        assert_eq!(lines_of(&[b"a", b"\n"]).unwrap(), [(1, "a".to_owned())]);
        assert_eq!(lines_of(&[b""]).unwrap(), []);
    }

    #[test]
    fn a_line_may_have_4096_bytes_and_no_more() {
        let fits = vec![b'x'; LINE_BYTES_MAX];
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        assert_eq!(lines_of(&[b"a\n", &fits, b"\n"]).unwrap().len(), 2);
        for pieces in [
            &[b"a\n", &long[..], b"\n"][..],
            &[b"a\n", &fits[..], b"x"],
            &[b"a\nx", &fits[..]],
        ] {
            assert_eq!(lines_of(pieces), Err(TooLong { number: 2 }));
        }
    }
}
