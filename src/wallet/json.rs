//! Reading a request body: bytes in, the members we know out.
//!
//! Two readers. The fast one is simd-json's tape in buffers that are reused. It
//! turns numbers into binary ones, which this protocol must never do, so their
//! text is taken from a copy of the body: stage one of simd-json lists where every
//! value and every `{ } [ ] : ,` begins, in document order, and the tape has one
//! node for each of them but `} ] : ,`, in the same order.
//!
//! The slow one is serde_json over raw values. It decides whatever the fast one
//! does not take: numbers that no binary number holds (`1e400`), nesting beyond
//! simd-json's limit, and every error, which it can name with line and column.
//!
//! Invariants, held by the tests below:
//! * What the fast reader takes, the slow one takes, and finds the same members.
//! * So whether a body is accepted depends on the slow reader's rules alone.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use simd_json::{Buffers, Node, StaticNode, Tape};

use super::members::{Member, Members, Value};

/// Bodies of the protocol are below 1 KiB; larger ones grow the buffers once, up
/// to the HTTP layer's `max_body_bytes`.
const BODY_BYTES_USUAL: usize = 1024;

/// Why a body is no request, before any member is looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JsonError {
    /// No bytes.
    #[error("Body: empty, expected a JSON object")]
    Empty,
    /// Starts with U+FEFF, which JSON between systems must not (RFC 8259 section 8.1).
    #[error("Body: starts with a byte-order mark, send the JSON object without it")]
    ByteOrderMark,
    /// Bytes that are no UTF-8.
    #[error("Body: not valid UTF-8 from byte {at}")]
    NotUtf8 {
        /// The first wrong byte, counted from 0.
        at: usize,
    },
    /// Half of a surrogate pair, which is no character.
    #[error("Body: the \\u escape at byte {at} is half of a surrogate pair")]
    LoneSurrogate {
        /// Where the escape's `\` stands, counted from 0.
        at: usize,
    },
    /// Not one JSON object and nothing else.
    #[error("Body: not a JSON object: {0}")]
    Syntax(String),
}

/// Reads bodies; one per shard, since it keeps its buffers.
pub(super) struct JsonReader {
    buffers: Buffers,
    tape: Tape<'static>,
    original: Vec<u8>,
    /// Texts that the slow reader resolved, one behind the other.
    resolved: String,
}

impl Default for JsonReader {
    fn default() -> Self {
        Self {
            buffers: Buffers::new(BODY_BYTES_USUAL),
            tape: Tape(Vec::new()),
            original: Vec::with_capacity(BODY_BYTES_USUAL),
            resolved: String::new(),
        }
    }
}

impl fmt::Debug for JsonReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The buffers hold the last request's tokens.
        f.write_str("JsonReader")
    }
}

impl JsonReader {
    /// Reads the members that the protocol knows into `members`, which come empty; the
    /// body is overwritten.
    ///
    /// # Errors
    /// [`JsonError`] says why the body is not one JSON object in UTF-8.
    pub(super) fn read<'a>(
        &'a mut self,
        body: &'a mut [u8],
        members: &mut Members<'a>,
    ) -> Result<(), JsonError> {
        self.original.clear();
        self.original.extend_from_slice(body);
        let (buffers, tape) = (&mut self.buffers, &mut self.tape);
        if read_fast(buffers, tape, &self.original, body, members).is_some() {
            return Ok(());
        }
        // It may have found some before it gave up.
        *members = Members::default();
        read_slow(&self.original, &mut self.resolved, members)
    }
}

/// `None` leaves the decision to [`read_slow`].
fn read_fast<'a>(
    buffers: &mut Buffers,
    kept: &mut Tape<'static>,
    original: &'a [u8],
    body: &'a mut [u8],
    members: &mut Members<'a>,
) -> Option<()> {
    let mut tape = std::mem::replace(kept, Tape(Vec::new())).reset();
    let parsed = simd_json::fill_tape(body, buffers, &mut tape);
    let read = parsed
        .ok()
        .and_then(|()| collect(&tape.0, buffers.structural_indexes(), original, members));
    *kept = tape.reset();
    read
}

fn collect<'a>(
    tape: &[Node<'a>],
    structurals: &[u32],
    original: &'a [u8],
    members: &mut Members<'a>,
) -> Option<()> {
    let (Node::Object { len, .. }, mut at) = (tape.first()?, 1) else {
        return None;
    };
    let mut positions = Positions {
        structurals: structurals.iter(),
        original,
        node_next: 0,
    };
    for _ in 0..*len {
        let Node::String(name) = tape.get(at)? else {
            return None;
        };
        let value_at = at + 1;
        let node = tape.get(value_at)?;
        at = value_at + 1;
        if let Node::Object { count, .. } | Node::Array { count, .. } = node {
            at += count;
        }
        let Some(member) = Member::of_name(name) else {
            continue;
        };
        let value = match node {
            Node::String(text) => Some(Value::Text(text)),
            Node::Object { .. } => Some(Value::Object),
            Node::Array { .. } => Some(Value::Array),
            Node::Static(StaticNode::Null) => None,
            Node::Static(StaticNode::Bool(value)) => Some(Value::Bool(*value)),
            Node::Static(_) => Some(Value::Number(number_at(original, positions.of(value_at)?)?)),
        };
        members.set(member, value);
    }
    Some(())
}

/// Finds where a tape node begins in the body; asked in ascending order.
struct Positions<'s> {
    structurals: std::slice::Iter<'s, u32>,
    original: &'s [u8],
    node_next: usize,
}

impl Positions<'_> {
    fn of(&mut self, node: usize) -> Option<usize> {
        for &structural in self.structurals.by_ref() {
            let at = structural as usize;
            if matches!(self.original.get(at)?, b',' | b':' | b'}' | b']') {
                continue;
            }
            self.node_next += 1;
            if self.node_next > node {
                return Some(at);
            }
        }
        None
    }
}

/// The text of the number that begins there.
fn number_at(original: &[u8], at: usize) -> Option<&str> {
    let rest = original.get(at..)?;
    let in_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let end = rest
        .iter()
        .position(|byte| !in_number(byte))
        .unwrap_or(rest.len());
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    (!text.is_empty()).then_some(text)
}

#[cold]
fn read_slow<'a>(
    original: &'a [u8],
    resolved: &'a mut String,
    members: &mut Members<'a>,
) -> Result<(), JsonError> {
    let text = std::str::from_utf8(original).map_err(|error| JsonError::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    if text.is_empty() {
        return Err(JsonError::Empty);
    }
    if text.starts_with('\u{feff}') {
        return Err(JsonError::ByteOrderMark);
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let known = reader
        .deserialize_map(KnownMembers)
        .and_then(|known| reader.end().map(|()| known))
        .map_err(|error| JsonError::Syntax(error.to_string()))?;
    // serde_json does not look into the strings of a raw value, and an ignored
    // member may be one.
    if let Some(at) = lone_surrogate(text.as_bytes()) {
        return Err(JsonError::LoneSurrogate { at });
    }
    let mut values = Vec::with_capacity(known.len());
    resolved.clear();
    for (member, raw) in known {
        let value = value_of(raw.get(), resolved);
        let value = value.map_err(|error| JsonError::Syntax(error.to_string()))?;
        values.push((member, value));
    }
    // From here on the resolved texts stay where they are, and may be borrowed.
    let resolved = &*resolved;
    for (member, value) in values {
        let value = match value {
            Resolved::Text(range) => Some(Value::Text(&resolved[range])),
            Resolved::Other(value) => value,
        };
        members.set(member, value);
    }
    Ok(())
}

/// A value whose text, if it is one, lies among the resolved ones.
enum Resolved<'a> {
    Text(Range<usize>),
    Other(Option<Value<'a>>),
}

fn value_of<'a>(raw: &'a str, resolved: &mut String) -> Result<Resolved<'a>, serde_json::Error> {
    Ok(Resolved::Other(match raw.as_bytes().first() {
        Some(b'"') => {
            let start = resolved.len();
            resolved.push_str(&serde_json::from_str::<String>(raw)?);
            return Ok(Resolved::Text(start..resolved.len()));
        }
        Some(b'{') => Some(Value::Object),
        Some(b'[') => Some(Value::Array),
        Some(b't') => Some(Value::Bool(true)),
        Some(b'f') => Some(Value::Bool(false)),
        Some(b'n') => None,
        _ => Some(Value::Number(raw)),
    }))
}

/// Where the first `\u` escape stands that is half of a surrogate pair. The text
/// follows JSON's grammar, so every backslash begins an escape inside a string.
fn lone_surrogate(text: &[u8]) -> Option<usize> {
    let unit_at = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut at = 0;
    while let Some(step) = text[at..].iter().position(|&byte| byte == b'\\') {
        at += step;
        at += match unit_at(at) {
            Some(0xd800..=0xdbff) => match unit_at(at + 6) {
                Some(0xdc00..=0xdfff) => 12,
                _ => return Some(at),
            },
            Some(0xdc00..=0xdfff) => return Some(at),
            Some(_) => 6,
            None => 2,
        };
    }
    None
}

/// Collects the raw values of the members we know, in the order of the body.
struct KnownMembers;

impl<'de> Visitor<'de> for KnownMembers {
    type Value = Vec<(Member, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut known = Vec::new();
        while let Some(member) = map.next_key_seed(Name)? {
            let raw: &RawValue = map.next_value()?;
            known.extend(member.map(|member| (member, raw)));
        }
        Ok(known)
    }
}

/// Reads a name without keeping it.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<Member>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Member::of_name(name))
    }
}

#[cfg(test)]
mod tests;
