//! What stands behind the method: request target and host, as bytes.
//!
//! A target is kept as it came; only [`normalize_path`] makes a new text, for the few
//! that carry percent escapes.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::{Method, Rejection};

/// A target that may be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where its path stands within the target.
    pub(crate) path: Range<usize>,
    /// Whether the path has percent escapes.
    pub(crate) escaped: bool,
}

/// Bytes of a token (RFC 9110 section 5.6.2).
const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};

/// Whether a byte may stand in a token.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[byte as usize]
}

/// Whether all of it is one token.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// RFC 3986 section 2.3: what means the same escaped and plain.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn has_escape(bytes: &[u8], at: usize) -> bool {
    bytes.len() > at + 2 && bytes[at + 1].is_ascii_hexdigit() && bytes[at + 2].is_ascii_hexdigit()
}

/// Judges a request target (RFC 9112 section 3.2): origin-form, absolute-form, or `*`
/// for OPTIONS. A target that is a path at the end of its checks may still hold dot
/// segments or `%00`: those are never resolved, so they name no resource.
pub(crate) fn parse(target: &[u8], method: Option<Method>) -> Result<Target, Rejection> {
    let mut at = 0;
    let mut query = None;
    let mut escape = None;
    while at < target.len() {
        match target[at] {
            b'#' => {
                return Err(Rejection::closing(
                    400,
                    "Request target: a fragment is never sent",
                ));
            }
            b'?' if query.is_none() => query = Some(at),
            b'%' if !has_escape(target, at) => {
                return Err(Rejection::closing(
                    400,
                    "Request target: % must be followed by two hexadecimal digits",
                ));
            }
            b'%' if escape.is_none() => escape = Some(at),
            0x21..=0x7e => {}
            _ => {
                return Err(Rejection::closing(
                    400,
                    "Request target: only visible ASCII characters, others percent-encoded",
                ));
            }
        }
        at += 1;
    }
    let path_end = query.unwrap_or(target.len());
    let path_start = match target.first() {
        Some(b'/') => 0,
        Some(b'*') if target.len() == 1 && method == Some(Method::Options) => 0,
        _ => absolute_form_path(&target[..path_end])?,
    };
    let path = path_start..path_end;
    let escaped = escape.is_some_and(|at| at < path_end);
    Ok(Target { path, escaped })
}

/// Where the path of `http://authority/path` starts; the path may be empty.
fn absolute_form_path(target: &[u8]) -> Result<usize, Rejection> {
    let refused = || {
        Rejection::closing(
            400,
            "Request target: a path that starts with /, or an http URI with a host",
        )
    };
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| {
            target
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .ok_or_else(refused)?;
    let rest = &target[scheme.len()..];
    let authority_len = rest
        .iter()
        .position(|&byte| byte == b'/')
        .unwrap_or(rest.len());
    if !is_host(&rest[..authority_len]) {
        return Err(refused());
    }
    Ok(scheme.len() + authority_len)
}

/// Whether a `Host` field or an authority is well-formed (RFC 9110 section 7.2,
/// RFC 3986 section 3.2.2) and names a host: no user, path, list or white space.
pub(crate) fn is_host(host: &[u8]) -> bool {
    let (name_is_valid, rest) = if let Some(bracketed) = host.strip_prefix(b"[") {
        let Some(end) = bracketed.iter().position(|&byte| byte == b']') else {
            return false;
        };
        let address = std::str::from_utf8(&bracketed[..end]).ok();
        let is_address = address.is_some_and(|text| text.parse::<Ipv6Addr>().is_ok());
        (is_address, &bracketed[end + 1..])
    } else {
        let end = host
            .iter()
            .position(|&byte| byte == b':')
            .unwrap_or(host.len());
        (is_registered_name(&host[..end]), &host[end..])
    };
    let port_is_valid = match rest {
        [] | [b':'] => true,
        [b':', digits @ ..] => {
            let port = std::str::from_utf8(digits)
                .ok()
                .and_then(|text| text.parse::<u16>().ok());
            port.is_some() && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    name_is_valid && port_is_valid
}

/// RFC 3986's reg-name but for the comma, which makes a list of two hosts look like one.
fn is_registered_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().enumerate().all(|(at, &byte)| match byte {
            b'%' => has_escape(name, at),
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=' => true,
            _ => is_unreserved(byte),
        })
}

/// A path with its escaped unreserved characters made plain and the digits of all other
/// escapes in upper case (RFC 3986 section 6.2.2): two spellings of one path get equal.
pub(crate) fn normalize_path(path: &[u8]) -> String {
    let mut normal = String::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        if path[at] != b'%' || !has_escape(path, at) {
            normal.push(char::from(path[at]));
            at += 1;
            continue;
        }
        let value = hex_digit(path[at + 1]) << 4 | hex_digit(path[at + 2]);
        if is_unreserved(value) {
            normal.push(char::from(value));
        } else {
            normal.push('%');
            normal.push(char::from(path[at + 1].to_ascii_uppercase()));
            normal.push(char::from(path[at + 2].to_ascii_uppercase()));
        }
        at += 3;
    }
    normal
}

/// The value of a hexadecimal digit.
pub(crate) fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_that_have_a_path() {
        let check = |target: &str, path: &str, escaped| {
            let parsed = parse(target.as_bytes(), Some(Method::Post)).expect(target);
            assert_eq!(&target[parsed.path], path, "{target}");
            assert_eq!(parsed.escaped, escaped, "{target}");
        };
        check("/", "/", false);
        check("/v1.0/balance", "/v1.0/balance", false);
        check("/v1.0/balance?a=%20b", "/v1.0/balance", false);
        check("/v1.0/b%61lance?a?b", "/v1.0/b%61lance", true);
        check("/a/../b", "/a/../b", false);
        check("/a//b", "/a//b", false);
        check(
            "http://wallet.example/v1.0/balance?x=1",
            "/v1.0/balance",
            false,
        );
        check("HTTPS://[::1]:9816/", "/", false);
        check("http://127.0.0.1:/x", "/x", false);
        check("http://host", "", false);
        check("http://host?/a", "", false);
    }

    #[test]
    fn targets_that_are_refused() {
        for target in [
            "",
            "v1.0",
            "*",
            "**",
            "/a#b",
            "/%",
            "/%4",
            "/%4g",
            "/a%2",
            "/a?%zz",
            "/a b",
            "/a\tb",
            "/ä",
            "/\u{7f}",
            "http:/a",
            "http://",
            "http:///a",
            "http://?/a",
            "http://u@host/a",
            "http://a,b/c",
            "http://host:99999/",
            "http://host:+1/",
            "ftp://h/a",
            "host:443",
            "http://[::1/a",
            "http://[nonsense]/a",
        ] {
            let refused = parse(target.as_bytes(), Some(Method::Get)).expect_err(target);
            assert_eq!(refused.status.0, 400, "{target}");
        }
    }

    #[test]
    fn the_asterisk_is_for_options_only() {
        assert!(parse(b"*", Some(Method::Options)).is_ok());
        assert!(parse(b"*", None).is_err());
    }

    #[test]
    fn hosts() {
        for host in [
            "a",
            "a.example",
            "a.example:80",
            "a:",
            "127.0.0.1:9816",
            "[::1]",
            "[::1]:80",
            "a_b",
            "a%20b",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":80",
            "a b",
            "a,b",
            "a/b",
            "u@a",
            "a:b",
            "a:-1",
            "a:+1",
            "a:65536",
            "a:8 0",
            "[::1",
            "[::1]x",
            "[]",
            "[1.2.3.4]",
            "a\\b",
            "a%2",
            "a:80:80",
            "::1",
            "ä",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn only_unreserved_characters_lose_their_escapes() {
        for (path, normal) in [
            ("/v1%2e0/b%61lanc%65", "/v1.0/balance"),
            ("/a%2fb", "/a%2Fb"),
            ("/%00", "/%00"),
            ("/%7e%7E", "/~~"),
            ("/%25%36%31", "/%2561"),
            ("/%2e%2e/x", "/../x"),
        ] {
            assert_eq!(normalize_path(path.as_bytes()), normal);
        }
    }
}
