//! The OpenAPI document of both APIs, and the page that shows it.
//!
//! The document is written by hand (`openapi.json`) and names the addresses of the demo;
//! on the way out they become those of this server. The page is plain HTML, CSS and
//! JavaScript from this binary: it needs no other host, and its security policy lets it
//! ask none. Neither says anything that is secret, so neither needs the token.
//!
//! `tests/openapi/` holds the document to the routes that there are, and the helpers of
//! all black-box tests hold every request and answer to the document.

use std::net::SocketAddr;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::errors::AdminError;
use super::server::App;

/// The document as it is in the repository.
const DOCUMENT: &str = include_str!("openapi.json");

/// The wallet's address in [`DOCUMENT`].
const WALLET_WRITTEN: &str = "http://127.0.0.1:9816";

/// The admin address in [`DOCUMENT`].
const ADMIN_WRITTEN: &str = "http://127.0.0.1:9817";

/// The longest `Host` that the document repeats: a name of RFC 1035 section 2.3.4 and a port.
const HOST_BYTES_MAX: usize = 255 + ":65535".len();

/// What the page may load and whom it may ask: this server. It runs no inline script or
/// style, and stands in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Where game platforms reach the wallet API.
#[derive(Clone, Copy, Debug)]
pub struct WalletAddress {
    /// `https` where the wallet's listener speaks TLS itself, else `http`.
    pub scheme: &'static str,
    /// What it listens on.
    pub addr: SocketAddr,
}

/// `GET /openapi.json`.
pub(super) async fn document(State(app): State<App>, headers: HeaderMap) -> Response {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let text = with_addresses(host, app.addr, app.wallet);
    text_answer("application/json", text)
}

/// `GET /docs`.
pub(super) async fn page() -> Response {
    text_answer("text/html; charset=utf-8", include_str!("page.html"))
}

/// `GET /docs/{file}`: what the page is made of.
pub(super) async fn part(Path(file): Path<String>) -> Result<Response, AdminError> {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    let (kind, text) = match file.as_str() {
        "page.css" => ("text/css; charset=utf-8", include_str!("page.css")),
        "page.js" => (SCRIPT, include_str!("page.js")),
        "dom.js" => (SCRIPT, include_str!("dom.js")),
        "schema.js" => (SCRIPT, include_str!("schema.js")),
        "try.js" => (SCRIPT, include_str!("try.js")),
        _ => {
            return Err(AdminError::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "the page has no such part",
            ));
        }
    };
    Ok(text_answer(kind, text))
}

fn text_answer(kind: &'static str, text: impl IntoResponse) -> Response {
    let fields: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Another version of the program has another page under the same name.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (fields, text).into_response()
}

/// The document with the addresses under which the client reaches this server.
///
/// That of the admin API is what the client called it: behind a forwarded port nobody else
/// knows. The wallet's is what it listens on; where that is every address of the machine,
/// the machine is called as the client did.
fn with_addresses(host: Option<&str>, admin: SocketAddr, wallet: WalletAddress) -> String {
    let called = match host {
        Some(host) if is_plain(host) => host.to_owned(),
        _ => admin.to_string(),
    };
    let wallet_at = if wallet.addr.ip().is_unspecified() {
        format!("{}:{}", name_of(&called), wallet.addr.port())
    } else {
        wallet.addr.to_string()
    };
    DOCUMENT
        .replace(WALLET_WRITTEN, &format!("{}://{wallet_at}", wallet.scheme))
        .replace(ADMIN_WRITTEN, &format!("http://{called}"))
}

/// Whether a `Host` is a name or an address with a port perhaps, and nothing that would
/// mean something in JSON or in a shell.
fn is_plain(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    (1..=HOST_BYTES_MAX).contains(&host.len()) && host.bytes().all(is_plain)
}

/// A `Host` without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_document_names_the_addresses_under_which_it_was_reached() {
        let cases = [
            // (Host, wallet listens on, admin said, wallet said)
            (
                "127.0.0.1:9817",
                "127.0.0.1:9816",
                "127.0.0.1:9817",
                "127.0.0.1:9816",
            ),
            ("box:1", "10.0.0.7:80", "box:1", "10.0.0.7:80"),
            ("box", "0.0.0.0:9816", "box", "box:9816"),
            ("box:9817", "0.0.0.0:9816", "box:9817", "box:9816"),
            ("[::1]:9817", "[::]:9816", "[::1]:9817", "[::1]:9816"),
            ("[::1]", "[::]:9816", "[::1]", "[::1]:9816"),
            // Nothing that a client says gets in but a plain host.
            ("a\"b", "127.0.0.1:9816", "127.0.0.9:99", "127.0.0.1:9816"),
            ("a'$(x)'", "0.0.0.0:9816", "127.0.0.9:99", "127.0.0.9:9816"),
            ("", "127.0.0.1:9816", "127.0.0.9:99", "127.0.0.1:9816"),
        ];
        for (host, wallet, admin_said, wallet_said) in cases {
            let wallet = WalletAddress {
                scheme: "https",
                addr: wallet.parse().unwrap(),
            };
            let text = with_addresses(Some(host), "127.0.0.9:99".parse().unwrap(), wallet);
            let document: Value = serde_json::from_str(&text).unwrap();
            let url = |path: &str| document["paths"][path]["servers"][0]["url"].clone();
            assert_eq!(
                url("/v1.0/balance"),
                format!("https://{wallet_said}"),
                "{host}"
            );
            assert_eq!(url("/metrics"), format!("http://{admin_said}"), "{host}");
        }
    }

    #[test]
    fn the_document_names_no_other_address_than_those_that_are_replaced() {
        let others = DOCUMENT
            .replace(WALLET_WRITTEN, "")
            .replace(ADMIN_WRITTEN, "");
        assert!(!others.contains("127.0.0.1"));
        assert!(!others.contains("://"));
    }

    #[test]
    fn the_page_asks_for_nothing_but_its_own_parts() {
        for text in [
            include_str!("page.html"),
            include_str!("page.css"),
            include_str!("page.js"),
            include_str!("dom.js"),
            include_str!("schema.js"),
            include_str!("try.js"),
        ] {
            for word in ["://", "@import", " url(", "innerHTML", "style=", "onclick="] {
                assert!(!text.contains(word), "{word}");
            }
        }
    }
}
