//! Requests of a game platform: raw members, so that a test can send any text at all.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Answer, Api, Client, Request, Server, assert_agrees};

pub const CREATE_TOKEN: &str = "/v1.0/session/createtoken";
pub const REDEEM_TOKEN: &str = "/v1.0/session/redeemtoken";
pub const BALANCE: &str = "/v1.0/balance";
pub const PLACE_BET: &str = "/v1.0/gameround/placebet";
pub const AWARD_WINNINGS: &str = "/v1.0/gameround/awardwinnings";
pub const ROLLBACK_BET: &str = "/v1.0/gameround/rollbackbet";
pub const VOID_BET: &str = "/v1.0/gameround/voidbet";
pub const END: &str = "/v1.0/gameround/end";
pub const CREDIT: &str = "/v1.0/accounttransaction/credit";
pub const ALERT: &str = "/v1.0/alertwalletcallbacknotification";

/// The members of a body in order, each value as JSON text.
#[derive(Clone)]
pub struct Members(Vec<(String, String)>);

impl Members {
    /// What every request carries (protocol.md section 2).
    pub fn common() -> Self {
        Self(Vec::new())
            .with("PlatformKey", r#""MG""#)
            .with("Sequence", r#""seq-1""#)
            .with("Timestamp", r#""2026-01-02T03:04:05Z""#)
    }

    pub fn balance(account: &str) -> Self {
        Self::common().with("OperatorAccountID", &text(account))
    }

    pub fn create_token(account: &str) -> Self {
        Self::balance(account).with("GameID", r#""game-1""#)
    }

    pub fn redeem_token(token: &str) -> Self {
        Self::common()
            .with("SessionToken", &text(token))
            .with("IPAddress", r#""203.0.113.7""#)
    }

    /// A booking says when it was sent, which must be about now.
    pub fn booking(account: &str, currency: &str) -> Self {
        Self::balance(account)
            .with("Timestamp", &now_millis().to_string())
            .with("CurrencyCode", &text(currency))
    }

    /// Sets a member, or adds it at the end.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some(member) => value.clone_into(&mut member.1),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Adds a member even if it is there.
    pub fn again(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        let before = self.0.len();
        self.0.retain(|(n, _)| n != name);
        assert!(self.0.len() < before, "{name} was not there");
        self
    }

    pub fn json(&self) -> String {
        let members: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

/// One connection of a platform that knows its credentials.
pub struct Wallet {
    pub client: Client,
    authorization: String,
    forwarded_for: Vec<String>,
}

impl Wallet {
    /// A connection of `domain`'s usual platform: user `gw`, password `s3cret-of-DOMAIN`.
    pub fn of(domain: &str, server: &Server) -> Self {
        Self::with_credentials("gw", &format!("s3cret-of-{domain}"), server.wallet)
    }

    pub fn with_credentials(user: &str, password: &str, to: SocketAddr) -> Self {
        Self::over(Client::connect(to), &basic(user, password))
    }

    /// Over a connection, with the `Authorization` field as given; empty: none.
    pub fn over(client: Client, authorization: &str) -> Self {
        Self {
            client,
            authorization: authorization.to_owned(),
            forwarded_for: Vec::new(),
        }
    }

    /// From now on every request says this in lines of `X-Forwarded-For`.
    pub fn forwarded_for(mut self, lines: &[&str]) -> Self {
        self.forwarded_for = lines.iter().map(|&line| line.to_owned()).collect();
        self
    }

    /// A request with everything but its body's length and its body.
    pub fn request(&self, path: &str) -> Request {
        let mut request = Request::new("POST", path).field("Content-Type", "application/json");
        if !self.authorization.is_empty() {
            request = request.field("Authorization", &self.authorization);
        }
        for line in &self.forwarded_for {
            request = request.field("X-Forwarded-For", line);
        }
        request
    }

    /// Posts a body and gives the JSON of the answer, which must be HTTP 200. As for all
    /// answers here, it and the request must agree with the OpenAPI document.
    pub fn post(&mut self, path: &str, body: impl Into<Vec<u8>>) -> Value {
        let answer = self.answer(path, body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub fn answer(&mut self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        let request = self.request(path).body(body);
        let answer = self.client.call(&request);
        assert_agrees(Api::Wallet, &request, &answer);
        answer
    }

    pub fn balance(&mut self, account: &str) -> Value {
        self.post(BALANCE, Members::balance(account).json())
    }

    pub fn create_token(&mut self, account: &str) -> Value {
        self.post(CREATE_TOKEN, Members::create_token(account).json())
    }

    pub fn redeem_token(&mut self, token: &str) -> Value {
        self.post(REDEEM_TOKEN, Members::redeem_token(token).json())
    }

    /// The token of a createtoken that must succeed.
    pub fn token(&mut self, account: &str) -> String {
        let answer = self.create_token(account);
        let token = answer["Result"]["SessionToken"].as_str();
        token.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

/// Asserts that a body is a plain error: that code, a sentence, and nothing else.
/// Gives the sentence.
pub fn refused(body: &Value, code: i64, case: &str) -> String {
    assert_eq!(body["ErrorCode"], code, "{case}: {body}");
    let description = body["ErrorDescription"].as_str().unwrap_or_default();
    assert!(!description.is_empty(), "{case}: no sentence in {body}");
    assert_eq!(body.as_object().unwrap().len(), 2, "{case}: {body}");
    description.to_owned()
}

/// JSON text of a string.
pub fn text(value: &str) -> String {
    serde_json::to_string(value).unwrap()
}

/// The value of an `Authorization` field.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

pub fn now_millis() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// A session token as the wallet would have made it at that time (protocol.md section 6).
pub fn token_at(session_key: &str, unix_millis: i64) -> String {
    format!("{session_key}-{unix_millis:x}")
}
