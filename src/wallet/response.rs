//! Writing answers: bytes appended to the connection's buffer, nothing allocated.
//!
//! Money leaves as strings with exactly the currency's digits, text is escaped as
//! RFC 8259 section 7 asks, and every body is one complete JSON object.

use std::borrow::Cow;

use shards::ledger::{Booked, Funds, SessionFacts};
use shards::types::SessionToken;

use super::error_code::ErrorCode;
use super::failure::Failure;
use crate::domain::FundsPriority;
use crate::http::{Rejection, Status};

/// The answer of balance and end.
pub(super) fn write_balance(funds: &Funds, priority: FundsPriority, out: &mut Vec<u8>) {
    write_code(ErrorCode::Success, out);
    write_funds(funds, priority, out);
    out.push(b'}');
}

/// The answer of a booking; `with_split` says how a stake was taken.
pub(super) fn write_booked(
    booked: &Booked,
    priority: FundsPriority,
    reference: &str,
    with_split: bool,
    out: &mut Vec<u8>,
) {
    write_code(ErrorCode::Success, out);
    write_funds(&booked.funds, priority, out);
    out.extend_from_slice(b",\"Result\":{\"OperatorTransactionReference\":");
    write_text(reference, out);
    if with_split {
        let currency = booked.funds.currency;
        out.extend_from_slice(b",\"OperatorTransactionSplit\":{\"BonusAmount\":\"");
        booked.split.bonus.write_major(currency, out);
        out.extend_from_slice(b"\",\"CashAmount\":\"");
        booked.split.cash.write_major(currency, out);
        out.extend_from_slice(b"\"}");
    }
    out.extend_from_slice(b"}}");
}

/// The answer of an endpoint that tells nothing but that it was done.
pub(super) fn write_done(out: &mut Vec<u8>) {
    write_code(ErrorCode::Success, out);
    out.push(b'}');
}

fn write_funds(funds: &Funds, priority: FundsPriority, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"Balance\":{\"CurrencyCode\":\"");
    out.extend_from_slice(funds.currency.code().as_bytes());
    out.extend_from_slice(b"\",\"CashFunds\":\"");
    funds.balance.cash.write_major(funds.currency, out);
    out.extend_from_slice(b"\",\"BonusFunds\":\"");
    funds.balance.bonus.write_major(funds.currency, out);
    out.extend_from_slice(b"\",\"FundsPriority\":\"");
    out.extend_from_slice(priority.as_str().as_bytes());
    out.extend_from_slice(b"\"}");
}

/// The answer of createtoken.
pub(super) fn write_token(token: SessionToken, out: &mut Vec<u8>) {
    write_code(ErrorCode::Success, out);
    out.extend_from_slice(b",\"Result\":{\"SessionToken\":\"");
    out.extend_from_slice(&token.key.text());
    out.push(b'-');
    write_hex(token.issued_at.0.unsigned_abs(), out);
    out.extend_from_slice(b"\"}}");
}

/// The answer of redeemtoken.
pub(super) fn write_player(session: &SessionFacts, out: &mut Vec<u8>) {
    write_code(ErrorCode::Success, out);
    out.extend_from_slice(b",\"Result\":{\"OperatorAccountID\":");
    write_text(session.account.as_str(), out);
    out.extend_from_slice(b",\"CurrencyCode\":\"");
    out.extend_from_slice(session.currency.code().as_bytes());
    out.extend_from_slice(b"\",\"CountryCode\":\"");
    out.extend_from_slice(session.country.as_str().as_bytes());
    out.extend_from_slice(b"\",\"GatewaySessionToken\":\"");
    out.extend_from_slice(&session.key.text());
    out.extend_from_slice(b"\"}}");
}

/// An answer that says what went wrong, and the balance where the code comes with it.
pub(super) fn write_failure(failure: &Failure, out: &mut Vec<u8>) {
    write_description(failure.code(), failure.description(), out);
    if let Some((funds, priority)) = failure.balance() {
        write_funds(funds, priority, out);
    }
    out.push(b'}');
}

fn write_description(code: ErrorCode, description: &str, out: &mut Vec<u8>) {
    write_code(code, out);
    out.extend_from_slice(b",\"ErrorDescription\":");
    write_text(description, out);
}

/// The body for a request that the transport refuses: the client's doing below 500,
/// ours from there on.
pub(super) fn write_rejection(rejection: &Rejection, out: &mut Vec<u8>) {
    let Status(status) = rejection.status;
    let code = if status < 500 {
        ErrorCode::Refused
    } else {
        ErrorCode::UnknownError
    };
    let description: &str = match &rejection.description {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => text,
    };
    write_description(code, description, out);
    out.push(b'}');
}

/// The body of `/healthz`.
pub(super) fn write_health(draining: bool, out: &mut Vec<u8>) {
    let body: &[u8] = if draining {
        b"{\"Status\":\"draining\"}"
    } else {
        b"{\"Status\":\"ok\"}"
    };
    out.extend_from_slice(body);
}

/// Opens the object with its first member.
fn write_code(code: ErrorCode, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"ErrorCode\":");
    out.extend_from_slice(itoa::Buffer::new().format(code.number()).as_bytes());
}

/// Lower-case hexadecimal without leading zeroes.
fn write_hex(number: u64, out: &mut Vec<u8>) {
    let digits = number.checked_ilog2().map_or(0, |top_bit| top_bit / 4) + 1;
    for place in (0..digits).rev() {
        out.push(HEX[(number >> (place * 4) & 0xf) as usize]);
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A JSON string: quotes, backslashes and control characters escaped, all else as it is.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if !matches!(byte, b'"' | b'\\' | 0..=0x1f) {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[plain_from..at]);
        plain_from = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]);
            }
        }
    }
    out.extend_from_slice(&text.as_bytes()[plain_from..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shards::types::{
        AccountId, Amount, Balance, CountryCode, Currency, SessionKey, Slot, UnixMillis,
    };

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        let text = String::from_utf8(out).unwrap();
        let parsed = serde_json::from_str::<serde_json::Value>(&text);
        assert!(parsed.is_ok_and(|value| value.is_object()), "{text}");
        text
    }

    #[test]
    fn money_has_exactly_the_digits_of_its_currency() {
        let cases = [
            (
                "GBP",
                9_000,
                5,
                FundsPriority::CashFundsFirst,
                r#""CurrencyCode":"GBP","CashFunds":"90.00","BonusFunds":"0.05","FundsPriority":"CashFundsFirst""#,
            ),
            (
                "JPY",
                9_000,
                0,
                FundsPriority::Unknown,
                r#""CurrencyCode":"JPY","CashFunds":"9000","BonusFunds":"0","FundsPriority":"Unknown""#,
            ),
            (
                "KWD",
                i64::MAX,
                1,
                FundsPriority::BonusFundsFirst,
                r#""CurrencyCode":"KWD","CashFunds":"9223372036854775.807","BonusFunds":"0.001","FundsPriority":"BonusFundsFirst""#,
            ),
        ];
        for (code, cash, bonus, priority, members) in cases {
            let funds = Funds {
                currency: Currency::parse(code).unwrap(),
                balance: Balance {
                    cash: Amount::from_minor(cash).unwrap(),
                    bonus: Amount::from_minor(bonus).unwrap(),
                },
            };
            assert_eq!(
                written(|out| write_balance(&funds, priority, out)),
                format!(r#"{{"ErrorCode":0,"Balance":{{{members}}}}}"#)
            );
        }
    }

    fn pounds(cash: i64, bonus: i64) -> Funds {
        let minor = |minor| Amount::from_minor(minor).unwrap();
        Funds {
            currency: Currency::parse("GBP").unwrap(),
            balance: Balance {
                cash: minor(cash),
                bonus: minor(bonus),
            },
        }
    }

    const BALANCE: &str = r#""Balance":{"CurrencyCode":"GBP","CashFunds":"90.00","BonusFunds":"0.05","FundsPriority":"CashFundsFirst"}"#;

    #[test]
    fn a_booking_has_the_balance_its_reference_and_a_bet_s_split() {
        let booked = Booked {
            funds: pounds(9_000, 5),
            split: pounds(1_000, 25).balance,
        };
        let answer = |with_split| {
            let priority = FundsPriority::CashFundsFirst;
            written(|out| write_booked(&booked, priority, "t\"1", with_split, out))
        };
        assert_eq!(
            answer(true),
            format!(
                r#"{{"ErrorCode":0,{BALANCE},"Result":{{"OperatorTransactionReference":"t\"1","OperatorTransactionSplit":{{"BonusAmount":"0.25","CashAmount":"10.00"}}}}}}"#
            )
        );
        assert_eq!(
            answer(false),
            format!(
                r#"{{"ErrorCode":0,{BALANCE},"Result":{{"OperatorTransactionReference":"t\"1"}}}}"#
            )
        );
        assert_eq!(written(write_done), r#"{"ErrorCode":0}"#);
    }

    #[test]
    fn a_failure_has_the_balance_behind_its_sentence() {
        let failure = |balance| Failure::Refused {
            code: ErrorCode::InsufficientFunds,
            description: Cow::Borrowed("too much"),
            balance,
        };
        let shown = failure(Some((pounds(9_000, 5), FundsPriority::CashFundsFirst)));
        assert_eq!(
            written(|out| write_failure(&shown, out)),
            format!(r#"{{"ErrorCode":-2,"ErrorDescription":"too much",{BALANCE}}}"#)
        );
        assert_eq!(
            written(|out| write_failure(&failure(None), out)),
            r#"{"ErrorCode":-2,"ErrorDescription":"too much"}"#
        );
    }

    #[test]
    fn a_written_token_reads_back() {
        for millis in [0, 1, 15, 16, 1_795_354_145_000, i64::MAX] {
            let token = SessionToken {
                key: SessionKey::mint(Slot::from_low_bits(9), 42),
                issued_at: UnixMillis(millis),
            };
            assert_eq!(
                written(|out| write_token(token, out)),
                format!(r#"{{"ErrorCode":0,"Result":{{"SessionToken":"{token}"}}}}"#)
            );
        }
    }

    #[test]
    fn a_player_s_facts_are_those_of_the_session() {
        let key = SessionKey::mint(Slot::from_low_bits(9), 42);
        let facts = SessionFacts {
            key,
            account: AccountId::parse("acme/p\"1").unwrap(),
            currency: Currency::parse("GBP").unwrap(),
            country: CountryCode::parse("gb").unwrap(),
            created_at: UnixMillis(0),
            logout_at: None,
            live: false,
        };
        assert_eq!(
            written(|out| write_player(&facts, out)),
            format!(
                r#"{{"ErrorCode":0,"Result":{{"OperatorAccountID":"acme/p\"1","CurrencyCode":"GBP","CountryCode":"GB","GatewaySessionToken":"{key}"}}}}"#
            )
        );
    }

    #[test]
    fn rejections_name_whose_doing_they_are() {
        for (status, code) in [
            (400, -6),
            (404, -6),
            (431, -6),
            (500, -1),
            (501, -1),
            (503, -1),
        ] {
            let rejection = Rejection {
                status: Status(status),
                description: Cow::Borrowed("a\tb"),
                allow: None,
                retry_after: None,
                close: true,
            };
            assert_eq!(
                written(|out| write_rejection(&rejection, out)),
                format!(r#"{{"ErrorCode":{code},"ErrorDescription":"a\tb"}}"#)
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text: String, controls in "[\\x00-\\x20\"\\\\\\x7f\u{2028}]{0,20}") {
            for text in [text, controls] {
                let body = written(|out| {
                    write_description(ErrorCode::Refused, &text, out);
                    out.push(b'}');
                });
                let value: serde_json::Value = serde_json::from_str(&body).unwrap();
                prop_assert_eq!(value["ErrorDescription"].as_str(), Some(text.as_str()));
            }
        }
    }
}
