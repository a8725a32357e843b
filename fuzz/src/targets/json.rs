//! Bodies of every endpoint: the wallet takes a body exactly if serde_json does, whichever
//! of its two readers it used, and finds the same account in it.

use std::time::Instant;

use futures_lite::future::block_on;
use purser::http::{Request, Service};
use purser::stages::StageTimes;
use purser::wallet::{Endpoint, Route, Session};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use shards::ledger::Command;

use super::wallet::{AUTHORIZATION, wallet};
use super::{Target, same};
use crate::random::hash;

pub(super) const TARGET: Target = Target {
    name: "json",
    about: "bodies of every endpoint, beside serde_json",
    pieces: &[
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"PlatformKey\":\"MG\",",
        b"\"Sequence\":\"1\",",
        b"\"Timestamp\":\"2026-01-02T03:04:05Z\",",
        b"\"Timestamp\":1767323045000,",
        b"\"OperatorAccountID\":\"acme/p1\"",
        b"\"GameID\":11588,",
        b"\"GameID\":null,",
        b"\"x\":",
        b"\"a\\u00e9\\ud83d\\ude00\\n\"",
        b"\"\\ud800\"",
        b"-0.5e-3",
        b"1e400",
        b"123456789012345678901234567890",
        b"01",
        b"true",
        b"null",
        b"\"",
        b"\\",
        b"\xef\xbb\xbf",
        b"\xc3\xa9",
        b" \t\r\n",
    ],
    run,
};

fn run(body: &[u8]) -> Result<u64, String> {
    let members = members(body);
    let mut signature = 0_u64;
    for endpoint in Endpoint::ALL {
        let answer = ask(endpoint, body)?;
        let is_taken = !answer.description.starts_with("Body: ");
        let what = format!(
            "taken by {} ({}) and by serde_json",
            endpoint.name(),
            answer.description
        );
        same(&what, &is_taken, &members.is_some())?;
        if let (Some(account), Some(members)) = (&answer.account, &members) {
            let named = members
                .iter()
                .rev()
                .find(|(name, _)| name == "OperatorAccountID");
            let named = named.and_then(|(_, raw)| serde_json::from_str::<String>(raw.get()).ok());
            same("the account", &Some(account), &named.as_ref())?;
        }
        // Which rule spoke, without what it quotes.
        let rule = answer
            .description
            .split(['"', '`', '0'])
            .next()
            .unwrap_or_default();
        let rule = rule.split(", got").next().unwrap_or_default();
        signature = signature.rotate_left(8) ^ hash(rule.as_bytes());
    }
    Ok(signature)
}

struct Said {
    description: String,
    /// Of the balance that was read.
    account: Option<String>,
}

fn ask(endpoint: Endpoint, body: &[u8]) -> Result<Said, String> {
    let (service, asked) = wallet();
    let mut body = body.to_vec();
    let now = Instant::now();
    let request = Request {
        authorization: Some(AUTHORIZATION),
        signature: None,
        forwarded_for: &[],
        times: &mut StageTimes::begin(now, now),
        peer: [127, 0, 0, 1].into(),
        body: &mut body,
    };
    let mut out = Vec::new();
    let mut session = Session::default();
    block_on(service.call(&mut session, Route::Endpoint(endpoint), request, &mut out));
    let answer: serde_json::Value =
        serde_json::from_slice(&out).map_err(|error| format!("the answer is no JSON: {error}"))?;
    if !answer["ErrorCode"].is_i64() {
        return Err(format!("no ErrorCode in {answer}"));
    }
    let account = match asked.borrow().first() {
        Some(Command::ReadBalance { account }) => Some(account.as_str().to_owned()),
        _ => None,
    };
    Ok(Said {
        description: answer["ErrorDescription"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        account,
    })
}

/// An object's members in order; the names read, the values not yet.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

/// The members, if serde_json takes all of the body for one object. Values are read one
/// by one, with a list for a stack: as one tree it would refuse numbers beyond those of
/// 64 bits and deep nesting, which JSON does not.
fn members(body: &[u8]) -> Option<Vec<(String, &RawValue)>> {
    let text = std::str::from_utf8(body).ok()?;
    let Members(members) = serde_json::from_str(text).ok()?;
    let mut unread: Vec<&RawValue> = members.iter().map(|(_, raw)| *raw).collect();
    while let Some(raw) = unread.pop() {
        match raw.get().as_bytes().first()? {
            b'{' => {
                let Members(inner) = serde_json::from_str(raw.get()).ok()?;
                unread.extend(inner.iter().map(|(_, raw)| *raw));
            }
            b'[' => unread.extend(serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok()?),
            b'"' => drop(serde_json::from_str::<String>(raw.get()).ok()?),
            _ => {}
        }
    }
    Some(members)
}
