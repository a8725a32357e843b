//! Requests as bytes with places to fill: nothing is serialised while load runs.
//!
//! A template is cut into its fixed pieces and its slots once; a request is then a row of
//! copies into the connection's buffer. The length of the body is the sum of its pieces, so
//! the head is written complete before it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::kind::Kind;

/// A place in a body that differs from request to request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Sequence,
    Timestamp,
    Account,
    SessionKey,
    Token,
    Round,
    Transaction,
    Original,
    Amount,
    StartRound,
    EndRound,
}

impl Slot {
    const COUNT: usize = 11;

    /// How a template's text names it: `<sequence>`.
    fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "sequence" => Self::Sequence,
            "timestamp" => Self::Timestamp,
            "account" => Self::Account,
            "session" => Self::SessionKey,
            "token" => Self::Token,
            "round" => Self::Round,
            "transaction" => Self::Transaction,
            "original" => Self::Original,
            "amount" => Self::Amount,
            "start" => Self::StartRound,
            "end" => Self::EndRound,
            _ => return None,
        })
    }
}

/// What to put into the slots.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Values<'a>([&'a [u8]; Slot::COUNT]);

impl<'a> Values<'a> {
    pub(crate) fn set(&mut self, slot: Slot, value: &'a [u8]) -> &mut Self {
        self.0[slot as usize] = value;
        self
    }

    pub(crate) fn set_flag(&mut self, slot: Slot, value: bool) -> &mut Self {
        self.set(slot, if value { b"true" } else { b"false" })
    }
}

/// What all requests of a run have in common.
#[derive(Clone, Debug)]
pub(crate) struct Common<'a> {
    /// For the `Host` header.
    pub(crate) host: &'a str,
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
    pub(crate) platform_key: &'a str,
    pub(crate) game: &'a str,
    /// Of the accounts, learnt from the server.
    pub(crate) currency: &'a str,
}

/// One request with its slots open.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// The head up to the digits of `Content-Length`.
    head: Vec<u8>,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Fixed(Vec<u8>),
    Slot(Slot),
}

impl Template {
    /// The templates of all kinds, by [`Kind::index`].
    pub(crate) fn all(common: &Common<'_>) -> Vec<Self> {
        Kind::ALL.map(|kind| Self::of(kind, common)).to_vec()
    }

    fn of(kind: Kind, common: &Common<'_>) -> Self {
        let Common {
            host,
            username,
            password,
            ..
        } = common;
        let credentials = BASE64_STANDARD.encode(format!("{username}:{password}"));
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: loadtest/{}\r\n\
             Content-Type: application/json\r\nAuthorization: Basic {credentials}\r\n\
             Content-Length: ",
            kind.path(),
            env!("CARGO_PKG_VERSION"),
        );
        Self {
            head: head.into_bytes(),
            pieces: pieces(&body(kind, common)),
        }
    }

    /// Puts the request into `out`, in place of what was there.
    pub(crate) fn render(&self, values: &Values<'_>, out: &mut Vec<u8>) {
        let value = |piece: &Piece| match piece {
            Piece::Fixed(bytes) => bytes.len(),
            Piece::Slot(slot) => values.0[*slot as usize].len(),
        };
        let body_bytes: usize = self.pieces.iter().map(value).sum();
        out.clear();
        out.extend_from_slice(&self.head);
        push_number(out, body_bytes);
        out.extend_from_slice(b"\r\n\r\n");
        for piece in &self.pieces {
            out.extend_from_slice(match piece {
                Piece::Fixed(bytes) => bytes,
                Piece::Slot(slot) => values.0[*slot as usize],
            });
        }
    }
}

fn push_number(out: &mut Vec<u8>, number: usize) {
    if number >= 10 {
        push_number(out, number / 10);
    }
    out.push(b'0' + (number % 10) as u8);
}

/// The body of a kind, its slots written as `<name>` (protocol.md section 2).
fn body(kind: Kind, common: &Common<'_>) -> String {
    let Common {
        platform_key,
        game,
        currency,
        ..
    } = common;
    let always = format!(
        r#"{{"PlatformKey":"{platform_key}","Sequence":"<sequence>","Timestamp":"<timestamp>""#
    );
    let round = format!(
        r#","OperatorAccountID":"<account>","GameRoundID":"<round>","GameRoundTransactionID":"<transaction>","GameID":"{game}","CurrencyCode":"{currency}","GatewaySessionToken":"<session>","Amount":<amount>"#
    );
    let fields = match kind {
        Kind::Balance => r#","OperatorAccountID":"<account>""#.to_owned(),
        // The address of a documentation network, as in the k6 script.
        Kind::RedeemToken => r#","SessionToken":"<token>","IPAddress":"203.0.113.7""#.to_owned(),
        Kind::CreateToken => format!(r#","OperatorAccountID":"<account>","GameID":"{game}""#),
        Kind::PlaceBet | Kind::AwardWinnings => {
            format!(r#"{round},"StartRound":<start>,"EndRound":<end>"#)
        }
        Kind::RollbackBet => format!(
            r#"{round},"OriginalBetGameRoundTransactionID":"<original>","EndRound":<end>"#
        ),
        Kind::VoidBet => format!(r#"{round},"EndRound":<end>"#),
        Kind::End => format!(
            r#","OperatorAccountID":"<account>","GameRoundID":"<round>","GameID":"{game}","CurrencyCode":"{currency}","GatewaySessionToken":"<session>""#
        ),
        Kind::Credit => format!(
            r#","OperatorAccountID":"<account>","AccountTransactionID":"<transaction>","AccountTransactionTypeID":"loadtest","CurrencyCode":"{currency}","Amount":<amount>"#
        ),
        Kind::Alert => {
            r#","OperatorAccountID":"<account>","GatewaySessionToken":"<session>","Source":"loadtest","Type":"RealityCheck","Method":"continue""#.to_owned()
        }
    };
    format!("{always}{fields}}}")
}

/// Cuts a text at its slots.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('<') {
        let (name, behind) = behind.split_once('>').expect("a slot that ends");
        let slot = Slot::of_name(name).expect("a slot that is known");
        pieces.push(Piece::Fixed(before.as_bytes().to_vec()));
        pieces.push(Piece::Slot(slot));
        rest = behind;
    }
    pieces.push(Piece::Fixed(rest.as_bytes().to_vec()));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: Common<'_> = Common {
        host: "127.0.0.1:9816",
        username: "demo",
        password: "demo",
        platform_key: "LT",
        game: "game-1",
        currency: "EUR",
    };

    fn render(kind: Kind) -> String {
        let mut values = Values::default();
        values
            .set(Slot::Sequence, b"s-1")
            .set(Slot::Timestamp, b"2026-11-22T16:30:00.000Z")
            .set(Slot::Account, b"demo/player-1")
            .set(Slot::SessionKey, b"key")
            .set(Slot::Token, b"key-19a")
            .set(Slot::Round, b"r-1")
            .set(Slot::Transaction, b"t-2")
            .set(Slot::Original, b"t-1")
            .set(Slot::Amount, b"1.50")
            .set_flag(Slot::StartRound, true)
            .set_flag(Slot::EndRound, false);
        let mut out = b"what was there before".to_vec();
        Template::of(kind, &COMMON).render(&values, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_bet_is_the_bytes_that_it_should_be() {
        let expected = "POST /v1.0/gameround/placebet HTTP/1.1\r\n\
            Host: 127.0.0.1:9816\r\n\
            User-Agent: loadtest/0.1.0\r\n\
            Content-Type: application/json\r\n\
            Authorization: Basic ZGVtbzpkZW1v\r\n\
            Content-Length: 279\r\n\r\n\
            {\"PlatformKey\":\"LT\",\"Sequence\":\"s-1\",\"Timestamp\":\"2026-11-22T16:30:00.000Z\",\
            \"OperatorAccountID\":\"demo/player-1\",\"GameRoundID\":\"r-1\",\
            \"GameRoundTransactionID\":\"t-2\",\"GameID\":\"game-1\",\"CurrencyCode\":\"EUR\",\
            \"GatewaySessionToken\":\"key\",\"Amount\":1.50,\"StartRound\":true,\"EndRound\":false}";
        assert_eq!(render(Kind::PlaceBet), expected);
    }

    /// The members that protocol.md section 2 requires, beside the three of every request.
    #[test]
    fn every_kind_is_json_with_its_required_members_and_its_length() {
        let round = [
            "OperatorAccountID",
            "GameRoundID",
            "GameRoundTransactionID",
            "GameID",
            "CurrencyCode",
            "Amount",
            "EndRound",
        ];
        let cases: [(Kind, &[&str]); Kind::COUNT] = [
            (Kind::Balance, &["OperatorAccountID"]),
            (Kind::RedeemToken, &["SessionToken", "IPAddress"]),
            (Kind::CreateToken, &["OperatorAccountID", "GameID"]),
            (
                Kind::PlaceBet,
                &[&round[..], &["GatewaySessionToken", "StartRound"]].concat(),
            ),
            (Kind::AwardWinnings, &[&round[..], &["StartRound"]].concat()),
            (
                Kind::RollbackBet,
                &[&round[..], &["OriginalBetGameRoundTransactionID"]].concat(),
            ),
            (Kind::VoidBet, &round),
            (
                Kind::End,
                &["OperatorAccountID", "GameRoundID", "GameID", "CurrencyCode"],
            ),
            (
                Kind::Credit,
                &[
                    "OperatorAccountID",
                    "AccountTransactionID",
                    "AccountTransactionTypeID",
                    "CurrencyCode",
                    "Amount",
                ],
            ),
            (Kind::Alert, &["OperatorAccountID"]),
        ];
        for (kind, members) in cases {
            let text = render(kind);
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let length = head.rsplit_once("Content-Length: ").unwrap().1;
            assert_eq!(length, body.len().to_string(), "{kind:?}");
            let json: serde_json::Value = serde_json::from_str(body).unwrap();
            for member in members
                .iter()
                .chain(&["PlatformKey", "Sequence", "Timestamp"])
            {
                assert!(!json[member].is_null(), "{kind:?}: {member} in {body}");
            }
        }
    }
}
