//! A request head, as far as it has arrived.
//!
//! The parser goes line by line and remembers where it was, so that a head that comes
//! in many pieces is not searched again and again. What it says depends on the bytes
//! alone: a head gets the same answer in whatever pieces it comes, and a head that can
//! never become valid is refused as soon as the line that shows it is there. Lines and
//! the request line are judged here, by the rules of RFC 9112 section 2 and 3; the
//! fields by [`super::fields`].

use memchr::memchr;

use super::fields::{self, Head};
use super::limits::Limits;
use super::target::{self, Target};
use super::{Method, Rejection};

/// What a parser makes of the bytes so far.
#[derive(Debug)]
pub enum Parsed {
    /// The head is not complete, and so far nothing is wrong.
    Incomplete,
    /// The whole head.
    Head(Head),
    /// No request: where the next one starts is in doubt, so the connection closes.
    Rejected(Rejection),
}

/// The minor version of HTTP/1 (RFC 9112 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: closes after an answer unless asked to stay.
    Http10,
    /// HTTP/1.1 and all later minors: stays unless asked to close.
    Http11,
}

/// What a request line says.
#[derive(Clone, Debug)]
pub(crate) struct RequestLine {
    /// None: a token that we do not know.
    pub(crate) method: Option<Method>,
    pub(crate) version: Version,
    /// The path's place is relative to [`RequestLine::target_start`].
    pub(crate) target: Target,
    pub(crate) target_start: usize,
}

/// Parses one head. A new one is made for each request.
#[derive(Debug, Default)]
pub struct HeadParser {
    /// Where the line that is not complete starts.
    line_start: usize,
    /// No line ends before here.
    searched: usize,
    skipped_empty_line: bool,
    is_head: bool,
    request_line: Option<RequestLine>,
    fields_start: usize,
    fields: usize,
}

impl HeadParser {
    /// Looks at all bytes since the end of the last request. Called again with more,
    /// they must begin with the same ones.
    pub fn parse(&mut self, bytes: &[u8], limits: &Limits) -> Parsed {
        match self.advance(bytes, limits) {
            Ok(None) => Parsed::Incomplete,
            Ok(Some(head)) => Parsed::Head(head),
            Err(rejection) => Parsed::Rejected(rejection),
        }
    }

    /// Whether a request has begun in `bytes`, which [`HeadParser::parse`] has seen: an
    /// empty line before it is not yet one.
    #[must_use]
    pub fn has_begun(&self, bytes: &[u8]) -> bool {
        self.request_line.is_some() || !matches!(&bytes[self.line_start..], [] | [b'\r'])
    }

    /// Whether the request says HEAD, so that its answer, a refusal too, has no body.
    #[must_use]
    pub fn is_head_request(&self) -> bool {
        self.is_head
    }

    fn advance(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<Head>, Rejection> {
        loop {
            let feed = memchr(b'\n', &bytes[self.searched..]).map(|at| self.searched + at);
            let line = &bytes[self.line_start..feed.unwrap_or(bytes.len())];
            // Limits come before everything that needs the whole line, so that they are
            // the same for a line that is complete and for one that never will be.
            if self.request_line.is_none() {
                self.check_line_start(line)?;
                self.check_line_length(line, limits)?;
            }
            let Some(feed) = feed else {
                self.searched = bytes.len();
                // The head's last byte is still to come.
                check_head_length(bytes.len() + 1, limits)?;
                return Ok(None);
            };
            check_head_length(feed + 1, limits)?;
            let Some(line) = line.strip_suffix(b"\r") else {
                return Err(Rejection::closing(
                    400,
                    "Request head: a line must end in CR LF",
                ));
            };
            let line_start = std::mem::replace(&mut self.line_start, feed + 1);
            self.searched = feed + 1;
            match &self.request_line {
                None if line.is_empty() => self.skipped_empty_line = true,
                None => {
                    self.is_head = line.starts_with(b"HEAD ");
                    self.request_line = Some(parse_request_line(line, line_start)?);
                    self.fields_start = feed + 1;
                }
                Some(request_line) if line.is_empty() => {
                    let fields = self.fields_start..feed + 1;
                    return fields::interpret(bytes, request_line, fields, self.fields).map(Some);
                }
                Some(_) => {
                    self.fields += 1;
                    if self.fields > limits.max_headers.min(Limits::HEADERS_MAX) {
                        return Err(Rejection::closing(431, "Request head: too many fields"));
                    }
                }
            }
        }
    }

    /// One empty line may come before a request (RFC 9112 section 2.2); nothing else
    /// may, and what is no HTTP at all, such as a TLS handshake, shows in its first byte.
    fn check_line_start(&self, line: &[u8]) -> Result<(), Rejection> {
        match line {
            [] => Ok(()),
            [b'\r'] if !self.skipped_empty_line => Ok(()),
            [first, ..] if target::is_token_byte(*first) => Ok(()),
            _ => Err(Rejection::closing(
                400,
                "Request line: must begin with a method",
            )),
        }
    }

    fn check_line_length(&self, line: &[u8], limits: &Limits) -> Result<(), Rejection> {
        // One more for the CR, which is part of `line` here. Where the head's limit is
        // the smaller one, it is reached in this line.
        let within_head = limits.max_head_bytes.saturating_sub(self.line_start + 1);
        if line.len() > (limits.max_line_bytes + 1).min(within_head) {
            return Err(Rejection::closing(414, "Request line: too long"));
        }
        Ok(())
    }
}

fn check_head_length(len: usize, limits: &Limits) -> Result<(), Rejection> {
    if len > limits.max_head_bytes {
        return Err(Rejection::closing(431, "Request head: too large"));
    }
    Ok(())
}

/// `method SP target SP HTTP/1.x` (RFC 9112 section 3), its CR LF removed.
fn parse_request_line(line: &[u8], line_start: usize) -> Result<RequestLine, Rejection> {
    let malformed = || {
        Rejection::closing(
            400,
            "Request line: method, target and HTTP/1.1, one space between",
        )
    };
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed());
    };
    if !target::is_token(method) || target.is_empty() {
        return Err(malformed());
    }
    let version = parse_version(version)?;
    // What follows a CONNECT would be somebody else's bytes.
    if method == b"CONNECT" {
        return Err(Rejection::closing(501, "CONNECT: this server is no proxy"));
    }
    let known = parse_method(method);
    Ok(RequestLine {
        method: known,
        version,
        target: target::parse(target, known)?,
        target_start: line_start + method.len() + 1,
    })
}

/// RFC 9112 section 2.3: exactly one digit on each side, upper case.
fn parse_version(version: &[u8]) -> Result<Version, Rejection> {
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            if *major == b'1' {
                Ok(Version::Http11)
            } else {
                Err(Rejection::closing(
                    505,
                    "Request line: this server speaks HTTP/1.1",
                ))
            }
        }
        _ => Err(Rejection::closing(
            400,
            "Request line: must end in HTTP/1.1",
        )),
    }
}

/// Methods are case-sensitive (RFC 9110 section 9.1).
fn parse_method(method: &[u8]) -> Option<Method> {
    Some(match method {
        b"POST" => Method::Post,
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"PUT" => Method::Put,
        b"PATCH" => Method::Patch,
        b"DELETE" => Method::Delete,
        b"OPTIONS" => Method::Options,
        _ => return None,
    })
}

#[cfg(test)]
#[path = "parse_tests.rs"]
pub(crate) mod tests;
