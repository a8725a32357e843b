//! What the fields of a head mean for framing, for the connection and for the service.
//!
//! httparse splits the block into names and values; it is lenient about line ends, so
//! the parser has checked those before. Every rule here is one that lets two servers
//! disagree about where a request ends when it is bent (RFC 9112 section 11.2).

use std::ops::Range;

use super::limits::{FORWARDED_FOR_MAX, Limits};
use super::parse::{RequestLine, Version};
use super::target;
use super::{Method, Rejection, RequestHead};

/// How the end of a body is found (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Neither length nor chunks: there is no body.
    Absent,
    /// That many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// A place in the bytes of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(range: Range<usize>) -> Self {
        let place = |at| u32::try_from(at).expect("a head is far below 4 GiB");
        Self {
            start: place(range.start),
            end: place(range.end),
        }
    }

    /// Of `part`, which is a piece of `bytes`.
    fn of(part: &[u8], bytes: &[u8]) -> Self {
        let start = part.as_ptr().addr() - bytes.as_ptr().addr();
        Self::new(start..start + part.len())
    }

    fn in_bytes(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }
}

/// A complete, valid head: what it decides, and where in its bytes the rest stands. The
/// bytes may move, so it borrows nothing; they are handed in again to read from it.
#[derive(Clone, Debug)]
pub struct Head {
    /// Bytes up to the body, an empty line before the request included.
    pub len: usize,
    /// None: a method that no resource of ours has.
    pub method: Option<Method>,
    /// Of the client.
    pub version: Version,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection may stay open, by version and `Connection`.
    pub persistent: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether it expects something else, which nobody can fulfil.
    pub expects_other: bool,
    /// Whether it asked for the time of each stage.
    pub wants_server_timing: bool,
    content_encoded: bool,
    path: Span,
    path_normal: Option<Box<str>>,
    content_type: Option<Span>,
    authorization: Option<Span>,
    signature: Option<Span>,
    forwarded_for: [Span; FORWARDED_FOR_MAX],
    forwarded_for_len: u8,
}

impl Head {
    /// What the service decides on. None for an unknown method.
    #[must_use]
    pub fn request_head<'a>(&'a self, bytes: &'a [u8]) -> Option<RequestHead<'a>> {
        let path = self.path_normal.as_deref().unwrap_or_else(|| {
            std::str::from_utf8(self.path.in_bytes(bytes)).expect("a path is visible ASCII")
        });
        // RFC 9110 section 4.2.3: an absolute-form without a path means "/".
        let path = if path.is_empty() { "/" } else { path };
        Some(RequestHead {
            method: self.method?,
            path,
            content_type: self.content_type.map(|span| span.in_bytes(bytes)),
            content_encoded: self.content_encoded,
            has_length: self.framing != Framing::Absent,
        })
    }

    /// The `Authorization` field.
    #[must_use]
    pub fn authorization<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.authorization.map(|span| span.in_bytes(bytes))
    }

    /// The `X-Signature` field; empty, when there are two of them.
    #[must_use]
    pub fn signature<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.signature.map(|span| span.in_bytes(bytes))
    }

    /// The `X-Forwarded-For` fields in order, in the first places of `lines`.
    pub fn forwarded_for<'a, 'l>(
        &self,
        bytes: &'a [u8],
        lines: &'l mut [&'a [u8]; FORWARDED_FOR_MAX],
    ) -> &'l [&'a [u8]] {
        let count = usize::from(self.forwarded_for_len);
        for (line, span) in lines.iter_mut().zip(&self.forwarded_for[..count]) {
            *line = span.in_bytes(bytes);
        }
        &lines[..count]
    }
}

/// Reads the `count` field lines in `block`, which ends with the empty line.
pub(crate) fn interpret(
    bytes: &[u8],
    request_line: &RequestLine,
    block: Range<usize>,
    count: usize,
) -> Result<Head, Rejection> {
    // The array is cleared each time; most heads do with a small one.
    const FEW: usize = 16;
    if count <= FEW {
        interpret_within::<FEW>(bytes, request_line, block)
    } else {
        interpret_within::<{ Limits::HEADERS_MAX }>(bytes, request_line, block)
    }
}

fn interpret_within<const MAX: usize>(
    bytes: &[u8],
    request_line: &RequestLine,
    block: Range<usize>,
) -> Result<Head, Rejection> {
    let mut fields = [httparse::EMPTY_HEADER; MAX];
    let fields = parse_block(&bytes[block.clone()], &mut fields)?;
    let mut seen = Seen::default();
    for field in fields {
        seen.note(field, bytes)?;
    }
    let path_start = request_line.target_start + request_line.target.path.start;
    let path = path_start..path_start + request_line.target.path.len();
    let version = request_line.version;
    seen.check_host(version)?;
    Ok(Head {
        len: block.end,
        method: request_line.method,
        version,
        framing: seen.framing(version)?,
        persistent: !seen.close && (version == Version::Http11 || seen.keep_alive),
        // RFC 9110 section 10.1.1: from a 1.0 client it is ignored.
        expects_continue: seen.expects_continue && version == Version::Http11,
        expects_other: seen.expects_other,
        wants_server_timing: seen.wants_server_timing,
        content_encoded: seen.content_encoded,
        path_normal: request_line
            .target
            .escaped
            .then(|| target::normalize_path(&bytes[path.clone()]).into_boxed_str()),
        path: Span::new(path),
        content_type: seen.content_type,
        authorization: seen.authorization,
        signature: seen.signature,
        forwarded_for: seen.forwarded_for,
        forwarded_for_len: seen.forwarded_for_len,
    })
}

/// Splits a block of field lines that ends with the empty line (RFC 9112 section 5):
/// token names right before their colon, no folding, no control characters in values.
pub(crate) fn parse_block<'b, 'f>(
    block: &'b [u8],
    fields: &'f mut [httparse::Header<'b>],
) -> Result<&'f [httparse::Header<'b>], Rejection> {
    match httparse::parse_headers(block, fields) {
        Ok(httparse::Status::Complete((len, fields))) if len == block.len() => Ok(fields),
        Err(httparse::Error::TooManyHeaders) => Err(Rejection::closing(431, "Fields: too many")),
        Err(httparse::Error::HeaderValue) => Err(Rejection::closing(
            400,
            "Fields: a value must not hold control characters",
        )),
        _ => Err(Rejection::closing(
            400,
            "Fields: each line is a name, a colon right behind it and a value",
        )),
    }
}

/// What has been said so far by the fields that we heed.
#[derive(Default)]
struct Seen<'b> {
    host: Option<&'b [u8]>,
    content_length: Option<u64>,
    transfer_encoding: Option<&'b [u8]>,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    expects_other: bool,
    content_encoded: bool,
    wants_server_timing: bool,
    content_type: Option<Span>,
    authorization: Option<Span>,
    signature: Option<Span>,
    forwarded_for: [Span; FORWARDED_FOR_MAX],
    forwarded_for_len: u8,
}

impl<'b> Seen<'b> {
    fn note(&mut self, field: &httparse::Header<'b>, bytes: &[u8]) -> Result<(), Rejection> {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        let value = field.value;
        match field.name.len() {
            4 if is("host") => once(&mut self.host, value, "Host: more than one"),
            6 if is("expect") => {
                for item in list(value) {
                    if item.eq_ignore_ascii_case(b"100-continue") {
                        self.expects_continue = true;
                    } else {
                        self.expects_other = true;
                    }
                }
                Ok(())
            }
            10 if is("connection") => {
                for item in list(value) {
                    self.close |= item.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= item.eq_ignore_ascii_case(b"keep-alive");
                }
                Ok(())
            }
            11 if is("x-signature") => {
                // Only some domains ask for one, so two are no fault of the head; but
                // neither of them counts, for who stands before us may have judged the other.
                self.signature = match self.signature {
                    None => Some(Span::of(value, bytes)),
                    Some(_) => Some(Span::default()),
                };
                Ok(())
            }
            12 if is("content-type") => {
                let span = Span::of(value, bytes);
                once(&mut self.content_type, span, "Content-Type: more than one")
            }
            13 if is("authorization") => {
                let span = Span::of(value, bytes);
                once(
                    &mut self.authorization,
                    span,
                    "Authorization: more than one",
                )
            }
            14 if is("content-length") => {
                let length = parse_length(value)?;
                once(
                    &mut self.content_length,
                    length,
                    "Content-Length: more than one",
                )
            }
            15 if is("x-forwarded-for") => self.note_forwarded_for(Span::of(value, bytes)),
            15 if is("x-server-timing") => {
                self.wants_server_timing |= value == b"1";
                Ok(())
            }
            16 if is("content-encoding") => {
                self.content_encoded |=
                    list(value).any(|item| !item.eq_ignore_ascii_case(b"identity"));
                Ok(())
            }
            17 if is("transfer-encoding") => once(
                &mut self.transfer_encoding,
                value,
                "Transfer-Encoding: more than one",
            ),
            _ => Ok(()),
        }
    }

    fn note_forwarded_for(&mut self, span: Span) -> Result<(), Rejection> {
        let Some(place) = self
            .forwarded_for
            .get_mut(usize::from(self.forwarded_for_len))
        else {
            return Err(Rejection::closing(431, "X-Forwarded-For: too many lines"));
        };
        *place = span;
        self.forwarded_for_len += 1;
        Ok(())
    }

    /// RFC 9112 section 3.2: exactly one in HTTP/1.1, and a valid one.
    fn check_host(&self, version: Version) -> Result<(), Rejection> {
        match self.host {
            Some(host) if !target::is_host(host) => Err(Rejection::closing(
                400,
                "Host: a host name or address and an optional port",
            )),
            None if version == Version::Http11 => {
                Err(Rejection::closing(400, "Host: required in HTTP/1.1"))
            }
            _ => Ok(()),
        }
    }

    /// RFC 9112 section 6.1 and 6.3. Where it leaves a choice between guessing and
    /// refusing, we refuse.
    fn framing(&self, version: Version) -> Result<Framing, Rejection> {
        let Some(coding) = self.transfer_encoding else {
            return Ok(self.content_length.map_or(Framing::Absent, Framing::Length));
        };
        if self.content_length.is_some() {
            return Err(Rejection::closing(
                400,
                "Content-Length: not with Transfer-Encoding",
            ));
        }
        if version == Version::Http10 {
            return Err(Rejection::closing(
                400,
                "Transfer-Encoding: not in HTTP/1.0",
            ));
        }
        if coding.eq_ignore_ascii_case(b"chunked") {
            return Ok(Framing::Chunked);
        }
        // Tokens that name other codings are well-formed and not implemented, alone or
        // before a last `chunked`; everything else hides something.
        let codings: Vec<&[u8]> = coding
            .split(|&byte| byte == b',')
            .map(<[u8]>::trim_ascii)
            .collect();
        let (last, others) = codings.split_last().expect("split gives at least one part");
        let is_other =
            |item: &[u8]| target::is_token(item) && !item.eq_ignore_ascii_case(b"chunked");
        if others.iter().all(|item| is_other(item)) && target::is_token(last) {
            return Err(Rejection::closing(
                501,
                "Transfer-Encoding: only chunked is implemented",
            ));
        }
        Err(Rejection::closing(
            400,
            "Transfer-Encoding: must be chunked",
        ))
    }
}

/// Keeps the value of a field that has one. Two of them are refused even when they are
/// equal: whoever stands before us may have taken the other one.
fn once<T>(place: &mut Option<T>, value: T, repeated: &'static str) -> Result<(), Rejection> {
    if place.replace(value).is_some() {
        return Err(Rejection::closing(400, repeated));
    }
    Ok(())
}

/// Digits only (RFC 9110 section 8.6).
fn parse_length(value: &[u8]) -> Result<u64, Rejection> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let length = std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok());
    match length {
        Some(length) if digits => Ok(length),
        _ => Err(Rejection::closing(
            400,
            "Content-Length: one number of decimal digits",
        )),
    }
}

/// The items of a comma-separated list, empty ones left out (RFC 9110 section 5.6.1).
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
