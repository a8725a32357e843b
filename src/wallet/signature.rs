//! Signed requests: that the body came as it was sent from someone who has the domain's
//! key.
//!
//! `X-Signature: sha256=` and the HMAC-SHA-256 (RFC 2104, FIPS 180-4) of the body's bytes
//! as 64 hexadecimal digits. The body is that of the message, its chunks joined. Which
//! domain's keys count is known only after the body was read, and reading destroys it, so
//! where any domain asks for signatures the body of a signed request is kept aside first.

use ring::hmac;

use crate::domain::SignatureKey;

/// Bytes of an HMAC-SHA-256.
const TAG_BYTES: usize = 32;

/// What comes before the digits, naming the algorithm.
const PREFIX: &[u8] = b"sha256=";

/// What a connection keeps of this memory between requests: a request has some 500 bytes.
const KEPT_BYTES_MAX: usize = 4_096;

/// The request at hand as its signature sees it. A connection has one, for its memory.
#[derive(Default)]
pub(super) struct Signed {
    tag: Option<[u8; TAG_BYTES]>,
    body: Vec<u8>,
}

impl Signed {
    /// Keeps what is needed to judge a request later: its `X-Signature` and its body.
    pub(super) fn keep(&mut self, field: Option<&[u8]>, body: &[u8]) {
        self.body.clear();
        self.body.shrink_to(KEPT_BYTES_MAX);
        self.tag = field.and_then(tag_of);
        if self.tag.is_some() {
            self.body.extend_from_slice(body);
        }
    }

    /// Whether one of the keys made the signature; without keys none is asked for. How
    /// long it takes does not tell which key came close, nor how close.
    pub(super) fn fits(&self, keys: &[SignatureKey]) -> bool {
        if keys.is_empty() {
            return true;
        }
        let Some(tag) = &self.tag else { return false };
        keys.iter().fold(false, |fits, key| {
            fits | hmac::verify(key.hmac(), &self.body, tag).is_ok()
        })
    }
}

/// The tag in a field. Anything but the one form is none.
fn tag_of(field: &[u8]) -> Option<[u8; TAG_BYTES]> {
    let digits = field.strip_prefix(PREFIX)?;
    let digits: &[u8; 2 * TAG_BYTES] = digits.try_into().ok()?;
    let mut tag = [0; TAG_BYTES];
    for (byte, pair) in tag.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(tag)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 section 4.3: key and data in text.
    const RFC_KEY: &str = "Jefe";
    const RFC_DATA: &[u8] = b"what do ya want for nothing?";
    const RFC_TAG: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    fn fits(field: Option<&str>, body: &[u8], keys: &[&str]) -> bool {
        let mut signed = Signed::default();
        // What another request left behind must not count.
        signed.keep(Some(format!("sha256={RFC_TAG}").as_bytes()), RFC_DATA);
        signed.keep(field.map(str::as_bytes), body);
        let keys: Vec<_> = keys
            .iter()
            .map(|key| SignatureKey::new(None, key))
            .collect();
        signed.fits(&keys)
    }

    #[test]
    fn only_the_exact_signature_by_one_of_the_keys_fits() {
        let right = format!("sha256={RFC_TAG}");
        let upper = format!("sha256={}", RFC_TAG.to_uppercase());
        type Case<'a> = (Option<&'a str>, &'a [u8], &'a [&'a str], bool);
        let cases: &[Case<'_>] = &[
            (Some(&right), RFC_DATA, &[RFC_KEY], true),
            (Some(&upper), RFC_DATA, &[RFC_KEY], true),
            (Some(&right), RFC_DATA, &["new", RFC_KEY], true),
            (Some(&right), RFC_DATA, &[RFC_KEY, "new"], true),
            (Some(&right), RFC_DATA, &["new"], false),
            (
                Some(&right),
                b"what do ya want for nothing!",
                &[RFC_KEY],
                false,
            ),
            (Some(&right), b"", &[RFC_KEY], false),
            (
                Some(&right.replace("43", "42")),
                RFC_DATA,
                &[RFC_KEY],
                false,
            ),
            (
                Some(&right.replace("5b", "5g")),
                RFC_DATA,
                &[RFC_KEY],
                false,
            ),
            (Some(&right[..right.len() - 1]), RFC_DATA, &[RFC_KEY], false),
            (Some(&(right.clone() + "0")), RFC_DATA, &[RFC_KEY], false),
            (
                Some(&right.replace("sha256=", "sha1=")),
                RFC_DATA,
                &[RFC_KEY],
                false,
            ),
            (
                Some(&right.replace("sha256=", "SHA256=")),
                RFC_DATA,
                &[RFC_KEY],
                false,
            ),
            (Some(RFC_TAG), RFC_DATA, &[RFC_KEY], false),
            (Some(""), RFC_DATA, &[RFC_KEY], false),
            (None, RFC_DATA, &[RFC_KEY], false),
            // Nobody asks.
            (None, RFC_DATA, &[], true),
            (Some("nonsense"), RFC_DATA, &[], true),
        ];
        for (field, body, keys, expected) in cases {
            assert_eq!(fits(*field, body, keys), *expected, "{field:?} {keys:?}");
        }
    }

    #[test]
    fn a_large_body_is_not_kept_for_the_next_request() {
        let mut signed = Signed::default();
        signed.keep(Some(format!("sha256={RFC_TAG}").as_bytes()), &[7; 60_000]);
        assert_eq!(signed.body.len(), 60_000);
        signed.keep(None, b"");
        assert!(signed.body.capacity() <= KEPT_BYTES_MAX);
    }
}
