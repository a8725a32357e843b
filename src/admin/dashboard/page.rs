//! The files of the page, as they were when the program was built.

use axum::extract::Path;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::super::errors::AdminError;

/// What the browser lets the page do: load its own files, ask its own server, and nothing
/// else. No script or style stands in the HTML, and text never becomes HTML
/// (`require-trusted-types-for`), whatever an account id looks like.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
     style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types 'none'";

/// A file of the page.
struct File {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($name:literal $content_type:expr),* $(,)?) => {
        [$(File {
            name: $name,
            content_type: $content_type,
            text: include_str!(concat!("page/", $name)),
        }),*]
    };
}

const PAGE: File = File {
    name: "index.html",
    content_type: HTML,
    text: include_str!("page/index.html"),
};

/// What the page loads, by the names that it uses.
const FILES: [File; 12] = files![
    "style.css" CSS,
    "icon.svg" "image/svg+xml",
    "main.js" JAVASCRIPT,
    "api.js" JAVASCRIPT,
    "model.js" JAVASCRIPT,
    "format.js" JAVASCRIPT,
    "dom.js" JAVASCRIPT,
    "chart.js" JAVASCRIPT,
    "panels.js" JAVASCRIPT,
    "books.js" JAVASCRIPT,
    "slow.js" JAVASCRIPT,
    "account.js" JAVASCRIPT,
];

/// `GET /dashboard`.
pub(in crate::admin) async fn page() -> Response {
    PAGE.into_response()
}

/// `GET /dashboard/{file}`.
pub(in crate::admin) async fn file(Path(name): Path<String>) -> Result<Response, AdminError> {
    let found = FILES.iter().find(|file| file.name == name);
    found.map(IntoResponse::into_response).ok_or_else(|| {
        AdminError::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "the dashboard has no file of this name",
        )
    })
}

impl IntoResponse for &File {
    fn into_response(self) -> Response {
        let headers: [(HeaderName, &str); 6] = [
            (header::CONTENT_TYPE, self.content_type),
            // Another version of the program brings other files under the same names.
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            ),
        ];
        (headers, self.text).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name in quotation marks that follows a word, such as `from` or `href=`.
    fn names_after<'a>(text: &'a str, word: &str) -> impl Iterator<Item = &'a str> {
        text.split(word)
            .skip(1)
            .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
    }

    #[test]
    fn every_file_that_is_named_is_served_and_every_file_is_named() {
        let mut named: Vec<&str> = Vec::new();
        for attribute in ["src=", "href="] {
            for name in names_after(PAGE.text, attribute) {
                if !name.starts_with('#') {
                    named.push(name.strip_prefix("dashboard/").expect(name));
                }
            }
        }
        for file in &FILES {
            for name in names_after(file.text, " from ") {
                named.push(name.strip_prefix("./").expect(name));
            }
        }
        named.sort_unstable();
        named.dedup();
        let mut served: Vec<&str> = FILES.iter().map(|file| file.name).collect();
        served.sort_unstable();
        assert_eq!(named, served);
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for file in FILES.iter().chain([&PAGE]) {
            // The name of a namespace is an address that nobody asks.
            let text = file.text.replace("http://www.w3.org/", "");
            for word in ["http:", "https:", "url(", "@import", "innerHTML", "eval("] {
                assert!(!text.contains(word), "{} has {word}", file.name);
            }
        }
    }
}
