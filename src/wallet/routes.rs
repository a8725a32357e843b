//! Which path is which endpoint, and what a head must say before its body is read.
//!
//! Paths are exact and case-sensitive. Of several reasons the most fundamental one
//! wins: path, method, length, media type (protocol.md section 4).

use std::borrow::Cow;

use crate::http::{Method, Rejection, RequestHead, Status};

/// A `POST` endpoint of the wallet (protocol.md section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Mints a session token.
    CreateToken,
    /// Exchanges a session token for the player's facts.
    RedeemToken,
    /// Reads the balance.
    Balance,
    /// Takes a stake.
    PlaceBet,
    /// Pays winnings.
    AwardWinnings,
    /// Reverses a bet.
    RollbackBet,
    /// Gives money back without naming a bet.
    VoidBet,
    /// Closes a round.
    End,
    /// Credits outside any round.
    Credit,
    /// Records the player's answer to an alert.
    Alert,
}

impl Endpoint {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 10] = [
        Self::CreateToken,
        Self::RedeemToken,
        Self::Balance,
        Self::PlaceBet,
        Self::AwardWinnings,
        Self::RollbackBet,
        Self::VoidBet,
        Self::End,
        Self::Credit,
        Self::Alert,
    ];

    /// Where it is.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::CreateToken => "/v1.0/session/createtoken",
            Self::RedeemToken => "/v1.0/session/redeemtoken",
            Self::Balance => "/v1.0/balance",
            Self::PlaceBet => "/v1.0/gameround/placebet",
            Self::AwardWinnings => "/v1.0/gameround/awardwinnings",
            Self::RollbackBet => "/v1.0/gameround/rollbackbet",
            Self::VoidBet => "/v1.0/gameround/voidbet",
            Self::End => "/v1.0/gameround/end",
            Self::Credit => "/v1.0/accounttransaction/credit",
            Self::Alert => "/v1.0/alertwalletcallbacknotification",
        }
    }

    /// Its name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateToken => "createtoken",
            Self::RedeemToken => "redeemtoken",
            Self::Balance => "balance",
            Self::PlaceBet => "placebet",
            Self::AwardWinnings => "awardwinnings",
            Self::RollbackBet => "rollbackbet",
            Self::VoidBet => "voidbet",
            Self::End => "end",
            Self::Credit => "credit",
            Self::Alert => "alert",
        }
    }
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Whether the server takes requests, for load balancers.
    Health,
    /// The protocol itself.
    Endpoint(Endpoint),
}

impl Route {
    /// The route of a path.
    #[must_use]
    pub(super) fn of_path(path: &str) -> Option<Self> {
        if path == "/healthz" {
            return Some(Self::Health);
        }
        Endpoint::ALL
            .into_iter()
            .find(|endpoint| endpoint.path() == path)
            .map(Self::Endpoint)
    }
}

/// Finds the route of a head and judges what can be judged without the body.
///
/// # Errors
/// 404, 405 with `Allow`, 411, or 415.
pub(super) fn check_head(head: &RequestHead<'_>) -> Result<Route, Rejection> {
    // The parser lets `*` pass for OPTIONS only: it asks about the whole server.
    if head.path == "*" {
        return Err(wrong_method("GET, HEAD, POST"));
    }
    let route = Route::of_path(head.path).ok_or_else(unknown_path)?;
    match (route, head.method) {
        (Route::Health, Method::Get | Method::Head) => Ok(route),
        (Route::Health, _) => Err(wrong_method("GET, HEAD")),
        (Route::Endpoint(_), Method::Post) => check_content(head).map(|()| route),
        (Route::Endpoint(_), _) => Err(wrong_method("POST")),
    }
}

fn unknown_path() -> Rejection {
    rejection(
        404,
        "unknown path; paths are case-sensitive and have no trailing slash",
    )
}

fn wrong_method(allow: &'static str) -> Rejection {
    Rejection {
        allow: Some(allow),
        description: Cow::Owned(format!("this path takes {allow} only")),
        ..rejection(405, "")
    }
}

fn check_content(head: &RequestHead<'_>) -> Result<(), Rejection> {
    if !head.has_length {
        return Err(rejection(
            411,
            "a body is needed: send Content-Length or Transfer-Encoding: chunked",
        ));
    }
    let Some(content_type) = head.content_type else {
        return Err(rejection(
            415,
            "Content-Type is missing: send application/json",
        ));
    };
    // Parameters are not judged: JSON is UTF-8, whatever a charset says.
    let end = content_type
        .iter()
        .position(|&byte| byte == b';')
        .unwrap_or(content_type.len());
    let media_type = content_type[..end].trim_ascii();
    if !media_type.eq_ignore_ascii_case(b"application/json") {
        return Err(rejection(415, "Content-Type must be application/json"));
    }
    if head.content_encoded {
        return Err(rejection(
            415,
            "Content-Encoding is not supported: send the JSON as it is",
        ));
    }
    Ok(())
}

fn rejection(status: u16, description: &'static str) -> Rejection {
    Rejection {
        status: Status(status),
        description: Cow::Borrowed(description),
        allow: None,
        retry_after: None,
        close: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: RequestHead<'static> = RequestHead {
        method: Method::Post,
        path: "/v1.0/balance",
        content_type: Some(b"application/json"),
        content_encoded: false,
        has_length: true,
    };

    fn check(head: RequestHead<'_>, status: u16, allow: Option<&str>) {
        match check_head(&head) {
            Ok(_) => assert_eq!(200, status, "{head:?}"),
            Err(rejection) => {
                assert_eq!(rejection.status, Status(status), "{head:?}");
                assert_eq!(rejection.allow, allow, "{head:?}");
                assert!(!rejection.description.is_empty());
                assert!(!rejection.close);
            }
        }
    }

    #[test]
    fn endpoints_stand_where_their_discriminant_says_and_their_paths_lead_to_them() {
        for (place, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint as usize, place);
            assert_eq!(
                Route::of_path(endpoint.path()),
                Some(Route::Endpoint(endpoint))
            );
            check(
                RequestHead {
                    path: endpoint.path(),
                    ..GOOD
                },
                200,
                None,
            );
        }
    }

    #[test]
    fn paths_are_exact() {
        for path in [
            "",
            "/",
            "/v1.0/balance/",
            "/v1.0/Balance",
            "//v1.0/balance",
            "/v1.0",
            "/v1/balance",
            "/healthz/",
            "/Healthz",
            "/metrics",
        ] {
            check(RequestHead { path, ..GOOD }, 404, None);
        }
    }

    #[test]
    fn other_methods_are_told_which_one_is_allowed() {
        use Method::{Delete, Get, Head, Options, Patch, Post, Put};
        for method in [Get, Head, Put, Patch, Delete, Options] {
            check(RequestHead { method, ..GOOD }, 405, Some("POST"));
        }
        let health = RequestHead {
            path: "/healthz",
            content_type: None,
            has_length: false,
            ..GOOD
        };
        for method in [Post, Put, Patch, Delete, Options] {
            check(RequestHead { method, ..health }, 405, Some("GET, HEAD"));
        }
        for method in [Get, Head] {
            check(RequestHead { method, ..health }, 200, None);
        }
        let server = RequestHead {
            method: Options,
            path: "*",
            ..health
        };
        check(server, 405, Some("GET, HEAD, POST"));
    }

    #[test]
    fn the_body_must_be_plain_json_of_known_length() {
        let types: [(Option<&[u8]>, u16); 13] = [
            (Some(b"application/json"), 200),
            (Some(b"APPLICATION/Json"), 200),
            (Some(b"application/json;charset=utf-8"), 200),
            (Some(b"application/json ; charset=UTF-16"), 200),
            (Some(b"application/json;"), 200),
            (None, 415),
            (Some(b""), 415),
            (Some(b"text/json"), 415),
            (Some(b"application/jsonx"), 415),
            (Some(b"application/problem+json"), 415),
            (Some(b"application/json, text/plain"), 415),
            (Some(b"application/ json"), 415),
            (Some(b"\xff"), 415),
        ];
        for (content_type, status) in types {
            check(
                RequestHead {
                    content_type,
                    ..GOOD
                },
                status,
                None,
            );
        }
        check(
            RequestHead {
                content_encoded: true,
                ..GOOD
            },
            415,
            None,
        );
        check(
            RequestHead {
                has_length: false,
                ..GOOD
            },
            411,
            None,
        );
    }

    #[test]
    fn the_most_fundamental_reason_wins() {
        let all_wrong = RequestHead {
            method: Method::Get,
            path: "/nowhere",
            content_type: None,
            content_encoded: true,
            has_length: false,
        };
        let known = RequestHead {
            path: "/v1.0/balance",
            ..all_wrong
        };
        let posted = RequestHead {
            method: Method::Post,
            ..known
        };
        check(all_wrong, 404, None);
        check(known, 405, Some("POST"));
        check(posted, 411, None);
        check(
            RequestHead {
                has_length: true,
                ..posted
            },
            415,
            None,
        );
    }
}
