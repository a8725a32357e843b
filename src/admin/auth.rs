//! Who may use the admin API: whoever holds its one token (operator.md section 4).

use std::fmt;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use subtle::ConstantTimeEq;

use super::errors::AdminError;
use super::server::App;

/// The secret that lets an operator in.
#[derive(Clone)]
pub struct AdminToken(Box<[u8]>);

impl AdminToken {
    /// `None` for a blank token, which would let anybody in who sends none. White space
    /// around it is no part of it: secret files may end in a newline.
    #[must_use]
    pub fn new(token: &str) -> Option<Self> {
        let token = token.trim();
        (!token.is_empty()).then(|| Self(token.as_bytes().into()))
    }

    /// Whether the headers carry this token as `Authorization: Bearer <token>`.
    ///
    /// The time this takes tells nothing of the token but its length. Two fields are
    /// refused: which of them counts would depend on who reads.
    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else {
            return false;
        };
        let field = field.as_bytes();
        let Some(space) = field.iter().position(|&byte| byte == b' ') else {
            return false;
        };
        let (scheme, token) = field.split_at(space);
        // RFC 9110 section 11.1: the scheme in any letter case.
        scheme.eq_ignore_ascii_case(b"Bearer") && token.trim_ascii().ct_eq(&self.0).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(hidden)")
    }
}

/// Whether a request with these headers carries the token that is valid now.
pub(super) fn may_pass(app: &App, headers: &HeaderMap) -> bool {
    let settings = app.settings.get();
    let token = settings.admin_token.as_ref();
    token.is_some_and(|token| token.lets_in(headers))
}

/// Lets a request pass that carries the token.
pub(super) async fn require_token(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, AdminError> {
    if may_pass(&app, request.headers()) {
        Ok(next.run(request).await)
    } else {
        Err(AdminError::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "send the admin token as Authorization: Bearer <token>",
        ))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_exact_token_as_bearer_lets_in() {
        let token = AdminToken::new("s3cret\n").unwrap();
        let cases: &[(&[&str], bool)] = &[
            (&["Bearer s3cret"], true),
            (&["bearer s3cret"], true),
            (&["Bearer   s3cret"], true),
            (&[], false),
            (&[""], false),
            (&["Bearer"], false),
            (&["Bearer "], false),
            (&["Bearers3cret"], false),
            (&["s3cret"], false),
            (&["Bearer S3cret"], false),
            (&["Bearer s3cre"], false),
            (&["Bearer s3crets"], false),
            (&["Bearer s3cret x"], false),
            (&["Basic s3cret"], false),
            (&["Bearer s3cret", "Bearer s3cret"], false),
            (&["Bearer s3cret", "Bearer wrong"], false),
        ];
        for (fields, expected) in cases {
            let mut headers = HeaderMap::new();
            for field in *fields {
                headers.append(header::AUTHORIZATION, HeaderValue::from_str(field).unwrap());
            }
            assert_eq!(token.lets_in(&headers), *expected, "{fields:?}");
        }
    }

    #[test]
    fn a_blank_token_is_none() {
        for text in ["", " ", "\n"] {
            assert!(AdminToken::new(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_token_never_shows() {
        let token = AdminToken::new("s3cret").unwrap();
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
