//! Bodies: by length, or in chunks that are joined in place.
//!
//! Chunks are moved to the front as they come, so that a complete body is one slice of
//! the read buffer. What a reader says depends on the bytes alone, not on the pieces in
//! which they come (RFC 9112 section 6 and 7).

use memchr::memchr;
use std::ops::Range;

use super::Rejection;
use super::fields::{self, Framing};
use super::limits::{CHUNK_EXTENSION_BYTES_MAX, Limits, TRAILER_BYTES_MAX};
use super::target::{hex_digit, is_token_byte};

/// Digits of a chunk's size: all that 64 bits hold.
const CHUNK_SIZE_DIGITS_MAX: usize = 16;

/// How far a body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyState {
    /// More bytes are needed.
    Incomplete,
    /// All of it is here.
    Complete {
        /// Bytes of the body, which stand at the front.
        len: usize,
        /// Bytes up to the next request.
        consumed: usize,
    },
    /// No valid body; the connection closes.
    Rejected(Rejection),
}

/// Reads one body.
#[derive(Debug)]
pub struct BodyReader(Kind);

#[derive(Debug)]
enum Kind {
    Length(usize),
    Chunked(Chunked),
}

impl BodyReader {
    /// For a body framed like this.
    ///
    /// # Errors
    /// 413 when the head alone says that it is too large.
    pub fn new(framing: Framing, limits: &Limits) -> Result<Self, Rejection> {
        Ok(Self(match framing {
            Framing::Absent => Kind::Length(0),
            Framing::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= limits.max_body_bytes => Kind::Length(length),
                _ => return Err(too_large()),
            },
            Framing::Chunked => Kind::Chunked(Chunked::new(limits)),
        }))
    }

    /// Looks at all bytes behind the head. Called again with more, they must begin with
    /// what it left, less what [`BodyReader::take_gap`] gave away.
    pub fn advance(&mut self, bytes: &mut [u8]) -> BodyState {
        match &mut self.0 {
            Kind::Length(length) if bytes.len() < *length => BodyState::Incomplete,
            Kind::Length(length) => BodyState::Complete {
                len: *length,
                consumed: *length,
            },
            Kind::Chunked(chunked) => match chunked.advance(bytes) {
                Ok(false) => BodyState::Incomplete,
                Ok(true) => BodyState::Complete {
                    len: chunked.joined,
                    consumed: chunked.consumed,
                },
                Err(rejection) => BodyState::Rejected(rejection),
            },
        }
    }

    /// The bytes between what is joined and what is still to be read: framing that has
    /// done its work, to be removed so that the buffer needs no room for it.
    pub fn take_gap(&mut self) -> Option<Range<usize>> {
        match &mut self.0 {
            Kind::Chunked(chunked) if chunked.consumed > chunked.joined => {
                let gap = chunked.joined..chunked.consumed;
                chunked.consumed = chunked.joined;
                Some(gap)
            }
            _ => None,
        }
    }
}

fn too_large() -> Rejection {
    Rejection::closing(413, "Body: too large")
}

fn bad_chunk(description: &'static str) -> Rejection {
    Rejection::closing(400, description)
}

#[derive(Debug)]
struct Chunked {
    /// Bytes of chunks, moved to the front.
    joined: usize,
    /// Bytes that have been read, framing included.
    consumed: usize,
    next: Next,
    bytes_max: usize,
    headers_max: usize,
    extension_bytes_left: usize,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug)]
enum Next {
    Size,
    Data(usize),
    DataEnd,
    Trailers,
}

impl Chunked {
    fn new(limits: &Limits) -> Self {
        Self {
            joined: 0,
            consumed: 0,
            next: Next::Size,
            bytes_max: limits.max_body_bytes,
            headers_max: limits.max_headers.min(Limits::HEADERS_MAX),
            extension_bytes_left: CHUNK_EXTENSION_BYTES_MAX,
        }
    }

    /// Whether the body is complete.
    fn advance(&mut self, bytes: &mut [u8]) -> Result<bool, Rejection> {
        loop {
            match self.next {
                Next::Size => {
                    let Some(size) = self.take_size(&bytes[self.consumed..])? else {
                        return Ok(false);
                    };
                    self.next = match usize::try_from(size) {
                        Ok(0) => Next::Trailers,
                        Ok(size) if size <= self.bytes_max - self.joined => Next::Data(size),
                        _ => return Err(too_large()),
                    };
                }
                Next::Data(left) => {
                    let count = left.min(bytes.len() - self.consumed);
                    bytes.copy_within(self.consumed..self.consumed + count, self.joined);
                    self.consumed += count;
                    self.joined += count;
                    if count < left {
                        self.next = Next::Data(left - count);
                        return Ok(false);
                    }
                    self.next = Next::DataEnd;
                }
                Next::DataEnd => match &bytes[self.consumed..] {
                    [] | [b'\r'] => return Ok(false),
                    [b'\r', b'\n', ..] => {
                        self.consumed += 2;
                        self.next = Next::Size;
                    }
                    _ => return Err(bad_chunk("Chunk: longer than its size says")),
                },
                Next::Trailers => return self.take_trailers(&bytes[self.consumed..]),
            }
        }
    }

    /// Takes the line with a chunk's size, once it is there.
    fn take_size(&mut self, bytes: &[u8]) -> Result<Option<u64>, Rejection> {
        let feed = memchr(b'\n', bytes);
        let line = &bytes[..feed.unwrap_or(bytes.len())];
        // These two come before everything that needs the whole line, so that they are
        // the same for a line that never ends.
        let digits = check_size_digits(line)?;
        if line.len() > CHUNK_SIZE_DIGITS_MAX + 1 + self.extension_bytes_left {
            return Err(bad_chunk("Chunk: extensions too long"));
        }
        if feed.is_none() {
            return Ok(None);
        }
        let Some(line) = line.strip_suffix(b"\r") else {
            return Err(bad_chunk("Chunk: its size must end in CR LF"));
        };
        let (size, extensions) = line.split_at(digits);
        check_extensions(extensions)?;
        self.extension_bytes_left = self
            .extension_bytes_left
            .checked_sub(extensions.len())
            .ok_or_else(|| bad_chunk("Chunk: extensions too long"))?;
        self.consumed += line.len() + 2;
        Ok(Some(size.iter().fold(0, |sum, &digit| {
            sum << 4 | u64::from(hex_digit(digit))
        })))
    }

    /// Takes the trailers and the empty line behind them, once they are there. They are
    /// parsed as fields and discarded (RFC 9112 section 7.1.2).
    fn take_trailers(&mut self, bytes: &[u8]) -> Result<bool, Rejection> {
        let too_long = || Rejection::closing(431, "Trailers: too large");
        let mut line_start = 0;
        while let Some(at) = memchr(b'\n', &bytes[line_start..]) {
            let end = line_start + at + 1;
            if end > TRAILER_BYTES_MAX {
                return Err(too_long());
            }
            match &bytes[line_start..end] {
                b"\r\n" => {
                    let mut fields = [httparse::EMPTY_HEADER; Limits::HEADERS_MAX];
                    fields::parse_block(&bytes[..end], &mut fields[..self.headers_max])?;
                    self.consumed += end;
                    return Ok(true);
                }
                [.., b'\r', b'\n'] => line_start = end,
                _ => return Err(bad_chunk("Trailers: a line must end in CR LF")),
            }
        }
        if bytes.len() >= TRAILER_BYTES_MAX {
            return Err(too_long());
        }
        Ok(false)
    }
}

/// 1 to 16 hexadecimal digits, then the end of the line or an extension. RFC 9112
/// section 7.1.1 would allow white space before an extension; nobody sends it, and
/// servers that skip it disagree with those that do not.
fn check_size_digits(line: &[u8]) -> Result<usize, Rejection> {
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let next_is_valid = match line.get(digits) {
        None => true,
        Some(next) => digits > 0 && matches!(next, b'\r' | b';'),
    };
    if digits > CHUNK_SIZE_DIGITS_MAX || !next_is_valid {
        return Err(bad_chunk("Chunk: its size is 1 to 16 hexadecimal digits"));
    }
    Ok(digits)
}

/// `*( ";" name [ "=" value ] )` with optional white space around both signs, a value
/// being a token or a quoted string (RFC 9112 section 7.1.1). They mean nothing to us.
fn check_extensions(extensions: &[u8]) -> Result<(), Rejection> {
    let malformed = || bad_chunk("Chunk: malformed extension");
    let mut rest = extensions;
    while !rest.is_empty() {
        rest = rest.strip_prefix(b";").ok_or_else(malformed)?;
        rest = skip_token(skip_white(rest)).ok_or_else(malformed)?;
        let behind_name = skip_white(rest);
        if let Some(value) = behind_name.strip_prefix(b"=") {
            let value = skip_white(value);
            rest = match value.strip_prefix(b"\"") {
                Some(quoted) => skip_quoted(quoted),
                None => skip_token(value),
            }
            .ok_or_else(malformed)?;
        }
        let next = skip_white(rest);
        if next.is_empty() && !rest.is_empty() {
            return Err(malformed());
        }
        rest = next;
    }
    Ok(())
}

fn skip_white(bytes: &[u8]) -> &[u8] {
    let count = bytes
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    &bytes[count..]
}

fn skip_token(bytes: &[u8]) -> Option<&[u8]> {
    let count = bytes
        .iter()
        .take_while(|&&byte| is_token_byte(byte))
        .count();
    (count > 0).then(|| &bytes[count..])
}

/// Behind the closing quote (RFC 9110 section 5.6.4).
fn skip_quoted(bytes: &[u8]) -> Option<&[u8]> {
    let is_text = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some(&bytes[at + 1..]),
            b'\\' if is_text(*bytes.get(at + 1)?) => at += 2,
            byte if byte != b'\\' && is_text(byte) => at += 1,
            _ => return None,
        }
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
