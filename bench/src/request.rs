//! Requests, built once and sent as they are; only a token's time or a booking's id is
//! patched in.
//!
//! Building a request costs more than sending it. So each account's request exists
//! as bytes before the clock starts, and a redeem rewrites eleven digits in place.

use std::ops::Range;

use anyhow::Context;
use serde::Deserialize;

/// One player of the demo domain, as `demo-accounts.json` lists them
/// (operator.md section 3).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DemoAccount {
    #[serde(rename = "OperatorAccountID")]
    pub(crate) operator_account_id: String,
    pub(crate) session_key: String,
}

/// `demo:demo` in base64: the demo domain's credentials (operator.md section 3).
const AUTHORIZATION: &str = "Basic ZGVtbzpkZW1v";

/// One request as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    /// The hexadecimal digits of a session token's time.
    token_time: Option<Range<usize>>,
    /// The hexadecimal digits of a booking's id, and the next one.
    booking: Option<(Range<usize>, u64)>,
}

impl Request {
    /// Reads the balance of an account. The timestamp is the moment of building: a
    /// balance is no booking, so its age is not judged (protocol.md section 8).
    pub(crate) fn balance(account: &DemoAccount, timestamp_ms: u64) -> anyhow::Result<Self> {
        let body = serde_json::json!({
            "PlatformKey": "PB",
            "Sequence": "bench-balance-1",
            "Timestamp": timestamp_ms,
            "OperatorAccountID": account.operator_account_id,
        });
        Ok(Self {
            bytes: post("/v1.0/balance", &serde_json::to_string(&body)?),
            token_time: None,
            booking: None,
        })
    }

    /// Redeems a session token of an account, made at `timestamp_ms`.
    pub(crate) fn redeem(account: &DemoAccount, timestamp_ms: u64) -> anyhow::Result<Self> {
        let time = format!("{timestamp_ms:x}");
        let token = format!("{}-{time}", account.session_key);
        let body = serde_json::json!({
            "PlatformKey": "PB",
            "Sequence": "bench-redeem-1",
            "Timestamp": timestamp_ms,
            "SessionToken": token,
            "IPAddress": "203.0.113.7",
        });
        let bytes = post("/v1.0/session/redeemtoken", &serde_json::to_string(&body)?);
        let token_at = memchr::memmem::find(&bytes, token.as_bytes())
            .context("the session key needs no escapes in JSON")?;
        let token_end = token_at + token.len();
        Ok(Self {
            bytes,
            token_time: Some(token_end - time.len()..token_end),
            booking: None,
        })
    }

    /// Takes a stake of 0.01 under a new id each time.
    pub(crate) fn place_bet(account: &DemoAccount, timestamp_ms: u64) -> anyhow::Result<Self> {
        Self::booking("/v1.0/gameround/placebet", account, timestamp_ms)
    }

    /// Pays winnings of 0.01 under a new id each time.
    pub(crate) fn award(account: &DemoAccount, timestamp_ms: u64) -> anyhow::Result<Self> {
        Self::booking("/v1.0/gameround/awardwinnings", account, timestamp_ms)
    }

    fn booking(path: &str, account: &DemoAccount, timestamp_ms: u64) -> anyhow::Result<Self> {
        // A million ids a millisecond: no run meets those of another.
        let first = timestamp_ms << 20;
        let id = format!("{first:016x}");
        let body = serde_json::json!({
            "PlatformKey": "PB",
            "Sequence": "bench-booking-1",
            "Timestamp": timestamp_ms,
            "OperatorAccountID": account.operator_account_id,
            "GatewaySessionToken": account.session_key,
            "GameRoundID": "bench-round-1",
            "GameRoundTransactionID": id,
            "GameID": "bench-game-1",
            "CurrencyCode": "EUR",
            "Amount": 0.01,
            "StartRound": false,
            "EndRound": false,
        });
        let bytes = post(path, &serde_json::to_string(&body)?);
        let at = memchr::memmem::find(&bytes, id.as_bytes()).context("the id is in the body")?;
        Ok(Self {
            bytes,
            token_time: None,
            booking: Some((at..at + id.len(), first)),
        })
    }

    /// The bytes to send at `now_ms`, Unix time in milliseconds.
    pub(crate) fn at(&mut self, now_ms: u64) -> &[u8] {
        if let Some(digits) = self.token_time.clone() {
            write_hex(&mut self.bytes[digits], now_ms);
        }
        if let Some((digits, next)) = &mut self.booking {
            write_hex(&mut self.bytes[digits.clone()], *next);
            *next += 1;
        }
        &self.bytes
    }
}

fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {AUTHORIZATION}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Lower-case hexadecimal over the whole width of `digits`.
fn write_hex(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 0xf) as usize];
        value >>= 4;
    }
    // Eleven digits hold every moment from 2004 to 2527.
    assert!(value == 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> DemoAccount {
        serde_json::from_str(
            r#"{"OperatorAccountID":"demo/player-1",
                "SessionKey":"aaf3ffff-ffff-8fff-bfff-ffffffffffff"}"#,
        )
        .unwrap()
    }

    fn body(bytes: &[u8]) -> serde_json::Value {
        let framing = crate::wire::framing(bytes).unwrap().unwrap();
        let body = &bytes[framing.head_bytes..];
        assert_eq!(framing.body_bytes, Some(body.len()));
        serde_json::from_slice(body).unwrap()
    }

    #[test]
    fn a_balance_request_names_the_account() {
        let mut request = Request::balance(&account(), 1_795_000_000_000).unwrap();
        let bytes = request.at(1_795_000_000_001).to_vec();
        assert_eq!(body(&bytes)["OperatorAccountID"], "demo/player-1");
        assert_eq!(body(&bytes)["Timestamp"], 1_795_000_000_000_u64);
        // Nothing in it depends on the moment of sending.
        assert_eq!(request.at(1_795_000_000_002), bytes);
    }

    #[test]
    fn a_redeem_request_carries_the_token_of_its_moment() {
        let mut request = Request::redeem(&account(), 1_795_000_000_000).unwrap();
        for now_ms in [1_795_000_000_000, 1_795_000_000_001, 1_800_123_456_789] {
            assert_eq!(
                body(request.at(now_ms))["SessionToken"],
                format!("aaf3ffff-ffff-8fff-bfff-ffffffffffff-{now_ms:x}")
            );
        }
    }

    #[test]
    fn a_booking_has_another_id_each_time() {
        let mut bet = Request::place_bet(&account(), 1_795_000_000_000).unwrap();
        let mut id = || {
            let bytes = bet.at(1_795_000_000_000).to_vec();
            body(&bytes)["GameRoundTransactionID"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let (first, second) = (id(), id());
        assert_eq!((first.len(), second.len()), (16, 16));
        assert_ne!(first, second);
    }

    #[test]
    fn hexadecimal_fills_its_width() {
        let mut digits = *b"zzzzz";
        write_hex(&mut digits, 0xa1f);
        assert_eq!(&digits, b"00a1f");
    }
}
