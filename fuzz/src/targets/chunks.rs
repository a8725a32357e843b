//! Chunked bodies: one verdict in whatever pieces they come, the same as that of a reader
//! that takes the whole and knows no limits, and a buffer that stays small.

use purser::http::Limits;
use purser::http::body::{BodyReader, BodyState};
use purser::http::fields::Framing;
use purser::http::limits::{CHUNK_EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX};

use super::{Target, same};
use crate::random::{Random, hash};

pub(super) const TARGET: Target = Target {
    name: "chunks",
    about: "chunked bodies, whole and in pieces, beside a second reader",
    pieces: &[
        b"0\r\n\r\n",
        b"0\r\n",
        b"1\r\na\r\n",
        b"4\r\nbody\r\n",
        b"A\r\n0123456789\r\n",
        b"0000000000000002\r\nxy\r\n",
        b";name",
        b";name=token",
        b"; name = \"quoted \\\" string\"",
        b"X-Trailer: value\r\n",
        b"\r\n",
        b"\n",
        b"ffffffffffffffff\r\n",
    ],
    run,
};

/// Low enough to be met.
const BODY_BYTES_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Incomplete,
    Complete { body: Vec<u8>, behind: Vec<u8> },
    Rejected { status: u16, why: String },
}

fn run(bytes: &[u8]) -> Result<u64, String> {
    let whole = read(bytes, [bytes.len()]);
    same(
        "whole and byte by byte",
        &whole,
        &read(bytes, 0..=bytes.len()),
    )?;
    let mut random = Random::new(hash(bytes));
    for _ in 0..4 {
        let cut = random.below(bytes.len() + 1);
        same("whole and in two", &whole, &read(bytes, [cut, bytes.len()]))?;
    }
    let simple = read_simply(bytes);
    match &whole {
        Verdict::Incomplete => same("incomplete", &simple, &None)?,
        Verdict::Complete { body, behind } => {
            same("complete", &simple, &Some((body.clone(), behind.clone())))?;
        }
        // Only limits may part the two.
        Verdict::Rejected { status, why } if !is_limit(*status, why) => {
            same(why, &simple, &None)?;
        }
        Verdict::Rejected { .. } => {}
    }
    Ok(match whole {
        Verdict::Incomplete => 0,
        Verdict::Complete { body, .. } => 1 + body.len().ilog2_or_zero(),
        Verdict::Rejected { why, .. } => hash(why.as_bytes()),
    })
}

trait Ilog2OrZero {
    fn ilog2_or_zero(self) -> u64;
}

impl Ilog2OrZero for usize {
    fn ilog2_or_zero(self) -> u64 {
        self.checked_ilog2().map_or(0, |log| u64::from(log) + 1)
    }
}

fn is_limit(status: u16, why: &str) -> bool {
    matches!(status, 413 | 431) || why.contains("too long")
}

/// As a connection does it: pieces, and the gaps taken out.
fn read(bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> Verdict {
    let limits = Limits {
        max_body_bytes: BODY_BYTES_MAX,
        ..Limits::default()
    };
    let mut reader = BodyReader::new(Framing::Chunked, &limits).expect("chunks have no length");
    let mut buffer = Vec::new();
    let mut fed = 0;
    for end in ends {
        buffer.extend_from_slice(&bytes[fed..end]);
        let is_by_byte = end - fed <= 1;
        fed = end;
        match reader.advance(&mut buffer) {
            BodyState::Incomplete => {}
            BodyState::Complete { len, consumed } => {
                buffer.extend_from_slice(&bytes[fed..]);
                return Verdict::Complete {
                    body: buffer[..len].to_vec(),
                    behind: buffer[consumed..].to_vec(),
                };
            }
            BodyState::Rejected(rejection) => {
                assert!(rejection.close, "the framing is in doubt: {rejection:?}");
                return Verdict::Rejected {
                    status: rejection.status.0,
                    why: rejection.description.into_owned(),
                };
            }
        }
        if let Some(gap) = reader.take_gap() {
            buffer.drain(gap);
        }
        // Small chunks must not make a small body need a large buffer.
        let rest_max = TRAILER_BYTES_MAX.max(CHUNK_EXTENSION_BYTES_MAX + 18);
        assert!(!is_by_byte || buffer.len() <= BODY_BYTES_MAX + rest_max);
    }
    Verdict::Incomplete
}

/// The body and what stands behind it, if all of `bytes` is there and well-formed; by
/// RFC 9112 section 7.1, without white space before extensions.
fn read_simply(mut bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut body = Vec::new();
    loop {
        let line = take_line(&mut bytes)?;
        let (size, extensions) = match line.iter().position(|&byte| byte == b';') {
            Some(at) => line.split_at(at),
            None => (line, &line[line.len()..]),
        };
        if !(1..=16).contains(&size.len()) || !size.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let size = u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        if !are_extensions(extensions) {
            return None;
        }
        if size == 0 {
            break;
        }
        let size = usize::try_from(size).ok()?;
        let end = size.checked_add(2)?;
        body.extend_from_slice(bytes.get(..size)?);
        if bytes.get(size..end)? != b"\r\n" {
            return None;
        }
        bytes = &bytes[end..];
    }
    loop {
        let line = take_line(&mut bytes)?;
        if line.is_empty() {
            return Some((body, bytes.to_vec()));
        }
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = line.split_at(colon);
        let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) || !value.iter().all(is_text)
        {
            return None;
        }
    }
}

/// Up to the first LF, which must have a CR before it.
fn take_line<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let feed = bytes.iter().position(|&byte| byte == b'\n')?;
    let line = bytes[..feed].strip_suffix(b"\r")?;
    *bytes = &bytes[feed + 1..];
    Some(line)
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `*( BWS ";" BWS name [ BWS "=" BWS value ] )`, by a machine of states: no white space
/// before the first `;` nor behind the last part.
fn are_extensions(text: &[u8]) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum At {
        Start,
        BeforeName,
        Name,
        BehindName,
        BeforeValue,
        Value,
        Quoted,
        Escaped,
        BehindQuoted,
        BehindValue,
    }
    let mut at = At::Start;
    for &byte in text {
        let white = matches!(byte, b' ' | b'\t');
        let quotable = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        at = match at {
            At::Start if byte == b';' => At::BeforeName,
            At::BeforeName if white => At::BeforeName,
            At::BeforeName | At::Name if is_token(byte) => At::Name,
            At::Name | At::BehindName if byte == b';' => At::BeforeName,
            At::Name | At::BehindName if byte == b'=' => At::BeforeValue,
            At::Name | At::BehindName if white => At::BehindName,
            At::BeforeValue if white => At::BeforeValue,
            At::BeforeValue if byte == b'"' => At::Quoted,
            At::BeforeValue | At::Value if is_token(byte) => At::Value,
            At::Quoted if byte == b'"' => At::BehindQuoted,
            At::Quoted if byte == b'\\' => At::Escaped,
            At::Quoted | At::Escaped if quotable => At::Quoted,
            At::Value | At::BehindQuoted | At::BehindValue if byte == b';' => At::BeforeName,
            At::Value | At::BehindQuoted | At::BehindValue if white => At::BehindValue,
            _ => return false,
        };
    }
    matches!(at, At::Start | At::Name | At::Value | At::BehindQuoted)
}
