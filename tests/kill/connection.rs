//! A connection to a server that may die: everything it does can come to nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use crate::common::{
    ADMIN_TOKEN, AWARD_WINNINGS, BALANCE, Members, PATIENCE, PLACE_BET, ROLLBACK_BET, Request,
    basic, text,
};

/// A connection; broken for good after the first call that gives `None`.
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Connection {
    pub(crate) fn open(to: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(to).ok()?;
        stream.set_nodelay(true).ok()?;
        // A server that is alive and silent must not hang the test: it fails it, since
        // nobody has killed that server.
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        Some(Self {
            stream,
            unread: Vec::new(),
        })
    }

    pub(crate) fn call(&mut self, request: &Request) -> Option<Answer> {
        self.send(request)?;
        self.answer()
    }

    pub(crate) fn send(&mut self, request: &Request) -> Option<()> {
        self.stream.write_all(&request.bytes()).ok()
    }

    /// Reads a whole answer. Half of one is none: it may have said anything.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            let end = self.unread.windows(4).position(|four| four == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None => self.read_more()?,
            }
        };
        let head = String::from_utf8(self.unread[..end].to_ascii_lowercase()).unwrap();
        let status = head[9..12].parse().unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(0, |length| length.trim().parse().unwrap());
        while self.unread.len() < end + length {
            self.read_more()?;
        }
        let body = match &self.unread[end..end + length] {
            [] => Value::Null,
            bytes => serde_json::from_slice(bytes).unwrap(),
        };
        self.unread.drain(..end + length);
        Some(Answer { status, body })
    }

    fn read_more(&mut self) -> Option<()> {
        let mut bytes = [0; 4_096];
        match self.stream.read(&mut bytes) {
            Ok(0) | Err(_) => None,
            Ok(count) => {
                self.unread.extend_from_slice(&bytes[..count]);
                Some(())
            }
        }
    }
}

/// Amounts as text, `12.34`, in minor units.
pub(crate) fn minor(text: &Value) -> i64 {
    let (units, fraction) = text.as_str().unwrap().split_once('.').unwrap();
    assert_eq!(fraction.len(), 2, "{text}");
    units.parse::<i64>().unwrap() * 100 + fraction.parse::<i64>().unwrap()
}

/// Whether a cause passes, so that the request is sent again: status 503.
pub(crate) fn is_refused_for_now(answer: &Answer) -> bool {
    answer.status == 503
}

fn admin(method: &str, target: &str) -> Request {
    Request::new(method, &format!("/admin/v1/{target}"))
        .field("Authorization", &format!("Bearer {ADMIN_TOKEN}"))
}

fn with_body(request: Request, body: &Value) -> Request {
    request
        .field("Content-Type", "application/json")
        .body(body.to_string())
}

pub(crate) fn open_account(account: &str) -> Request {
    let request = admin("PUT", &format!("accounts/{account}"));
    with_body(request, &json!({"CountryCode": "GB"}))
}

pub(crate) fn read_account(account: &str) -> Request {
    admin("GET", &format!("accounts/{account}"))
}

pub(crate) fn deposit(account: &str, transaction: &str, minor: i64) -> Request {
    let request = admin("POST", &format!("accounts/{account}/deposits"));
    let amount = format!("{}.{:02}", minor / 100, minor % 100);
    with_body(
        request,
        &json!({"TransactionID": transaction, "Amount": amount}),
    )
}

pub(crate) fn open_session(account: &str) -> Request {
    let request = admin("POST", &format!("accounts/{account}/sessions"));
    with_body(request, &json!({"CountryCode": "GB", "LogoutAt": null}))
}

pub(crate) fn read_session(key: &str) -> Request {
    admin("GET", &format!("sessions/{key}"))
}

pub(crate) fn log_out(key: &str) -> Request {
    admin("DELETE", &format!("sessions/{key}"))
}

pub(crate) fn trial_balance() -> Request {
    admin("GET", "trial-balance")
}

fn wallet(path: &str, members: &Members) -> Request {
    Request::new("POST", path)
        .field("Authorization", &basic("gw", "s3cret-of-acme"))
        .field("Content-Type", "application/json")
        .body(members.json())
}

/// A balance, as the game platform asks for it.
pub(crate) fn balance(account: &str) -> Request {
    wallet(BALANCE, &Members::balance(account))
}

fn round(account: &str, transaction: &str, minor: i64) -> Members {
    Members::booking(account, "GBP")
        .with("GameID", r#""game""#)
        .with("GameRoundID", &text(&format!("r-{minor}")))
        .with("GameRoundTransactionID", &text(transaction))
        .with("Amount", &format!("{}.{:02}", minor / 100, minor % 100))
        .with("EndRound", "false")
}

pub(crate) fn bet(account: &str, transaction: &str, minor: i64, session: &str) -> Request {
    let members = round(account, transaction, minor)
        .with("StartRound", "true")
        .with("GatewaySessionToken", &text(session));
    wallet(PLACE_BET, &members)
}

pub(crate) fn award(account: &str, transaction: &str, minor: i64) -> Request {
    let members = round(account, transaction, minor).with("StartRound", "false");
    wallet(AWARD_WINNINGS, &members)
}

pub(crate) fn rollback(account: &str, transaction: &str, minor: i64, bet: &str) -> Request {
    let members =
        round(account, transaction, minor).with("OriginalBetGameRoundTransactionID", &text(bet));
    wallet(ROLLBACK_BET, &members)
}
