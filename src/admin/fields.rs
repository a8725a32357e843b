//! Bodies and their members: from JSON to the types of the shards, once, at the edge.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shards::ledger::AccountStatus;
use shards::types::{
    AccountId, Amount, AmountError, CountryCode, Currency, TransactionId, UnixMillis,
};

use super::errors::AdminError;
use super::server::App;
use crate::domain::{Domain, Domains, FundsPriority};

/// The largest body of a request about one account: some 300 bytes are needed, the rest
/// is room for generous spacing and escapes.
pub(super) const BODY_BYTES_MAX: usize = 16 << 10;

/// How long such a body may take: one packet as a rule.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of a wrong value is shown to whoever sent it.
const EXCERPT_CHARS_MAX: usize = 40;

/// What is wrong with a request, the member's name first: `Amount: must be above 0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invalid(pub(super) String);

impl Invalid {
    fn member(name: &str, what: impl std::fmt::Display) -> Self {
        Self(format!("{name}: {what}"))
    }
}

impl From<Invalid> for AdminError {
    fn from(invalid: Invalid) -> Self {
        Self::invalid(invalid.0)
    }
}

/// A JSON object as the body of a request, of any media type: the token already says
/// that it comes from an operator, and hand-typed requests rarely name one.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = AdminError;

    async fn from_request(request: Request, _: &App) -> Result<Self, AdminError> {
        let body = tokio::time::timeout(BODY_TIMEOUT, read(request))
            .await
            .map_err(|_| AdminError::timed_out())??;
        Ok(Self(parse_object(&body)?))
    }
}

async fn read(request: Request) -> Result<Bytes, AdminError> {
    let limited = Limited::new(request.into_body(), BODY_BYTES_MAX);
    match limited.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(AdminError::too_large(format!(
            "the body may have at most {BODY_BYTES_MAX} bytes"
        ))),
        Err(_) => Err(AdminError::invalid("the body ended before it was complete")),
    }
}

/// Reads one JSON object with nothing but white space around it.
pub(super) fn parse_object<T: DeserializeOwned>(json: &[u8]) -> Result<T, Invalid> {
    // Left to itself, serde would read an array as the members in order.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(Invalid("expected a JSON object".to_owned()));
    }
    serde_json::from_slice(json).map_err(|error| Invalid(error.to_string()))
}

/// The account that a path names, in a domain that we know.
pub(super) struct AccountPath {
    pub(super) account: AccountId,
    /// Of the domain.
    pub(super) currency: Currency,
    /// Whether the domain has bonus funds.
    pub(super) has_bonus_funds: bool,
}

impl FromRequestParts<App> for AccountPath {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, AdminError> {
        // Percent escapes are resolved after the path was split, so `p%2F1` is `p/1`.
        let Path((domain, player)) = Path::<(String, String)>::from_request_parts(parts, app)
            .await
            .map_err(|_| AdminError::invalid("the account id in the path is not UTF-8"))?;
        let domains = app.domains();
        let Some(found) = domains.get(&domain) else {
            return Err(AdminError::new(
                StatusCode::NOT_FOUND,
                "domain_not_found",
                format!("no domain {:?}", excerpt(&domain)),
            ));
        };
        let id = Value::String(format!("{domain}/{player}"));
        Ok(Self {
            account: account_id(Some(id))?,
            currency: found.currency,
            has_bonus_funds: found.funds_priority != FundsPriority::Unknown,
        })
    }
}

/// A member that must be there and be a string; `null` counts as missing.
fn text(name: &str, value: Option<Value>) -> Result<String, Invalid> {
    optional_text(name, value)?.ok_or_else(|| Invalid::member(name, "is required"))
}

fn optional_text(name: &str, value: Option<Value>) -> Result<Option<String>, Invalid> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(Invalid::member(
            name,
            format_args!("expected a string, got {}", kind(&other)),
        )),
    }
}

fn account_id(value: Option<Value>) -> Result<AccountId, Invalid> {
    const NAME: &str = "OperatorAccountID";
    AccountId::parse(&text(NAME, value)?).ok_or_else(|| {
        Invalid::member(
            NAME,
            "expected domain/player, both not empty, 50 characters at most",
        )
    })
}

/// `OperatorAccountID`, with its domain.
pub(super) fn account_of_domain(
    value: Option<Value>,
    domains: &Domains,
) -> Result<(AccountId, &Domain), Invalid> {
    let account = account_id(value)?;
    match domains.get(account.domain()) {
        Some(domain) => Ok((account, domain)),
        None => Err(Invalid::member(
            "OperatorAccountID",
            format_args!("no domain {:?}", account.domain()),
        )),
    }
}

/// `CountryCode`.
pub(super) fn country(value: Option<Value>) -> Result<CountryCode, Invalid> {
    const NAME: &str = "CountryCode";
    let text = text(NAME, value)?;
    CountryCode::parse(&text).ok_or_else(|| {
        Invalid::member(
            NAME,
            format_args!("expected two letters, got {:?}", excerpt(&text)),
        )
    })
}

/// `TransactionID`.
pub(super) fn transaction_id(value: Option<Value>) -> Result<TransactionId, Invalid> {
    const NAME: &str = "TransactionID";
    TransactionId::parse(&text(NAME, value)?)
        .ok_or_else(|| Invalid::member(NAME, "expected 1 to 50 characters"))
}

/// `Amount`: there, and above zero.
pub(super) fn amount(value: Option<Value>, currency: Currency) -> Result<Amount, Invalid> {
    const NAME: &str = "Amount";
    let amount = money(NAME, &text(NAME, value)?, currency)?;
    if amount.is_zero() {
        return Err(Invalid::member(NAME, "must be above 0"));
    }
    Ok(amount)
}

/// Funds to start with; left out, none.
pub(super) fn funds(
    name: &str,
    value: Option<Value>,
    currency: Currency,
) -> Result<Amount, Invalid> {
    match optional_text(name, value)? {
        None => Ok(Amount::ZERO),
        Some(text) => money(name, &text, currency),
    }
}

/// A limit that was stated: `None` removes it, zero allows no loss at all.
pub(super) fn loss_limit(
    name: &str,
    value: Value,
    currency: Currency,
) -> Result<Option<Amount>, Invalid> {
    match optional_text(name, Some(value))? {
        None => Ok(None),
        Some(text) => money(name, &text, currency).map(Some),
    }
}

/// `SessionSeconds` that was stated: `None` removes it.
pub(super) fn session_seconds(value: &Value) -> Result<Option<u32>, Invalid> {
    let seconds = match value {
        Value::Null => return Ok(None),
        value => value.as_u64().and_then(|s| u32::try_from(s).ok()),
    };
    match seconds {
        Some(seconds @ 1..) => Ok(Some(seconds)),
        _ => Err(Invalid::member(
            "SessionSeconds",
            format_args!(
                "expected a whole number of 1 to {} or null, got {}",
                u32::MAX,
                excerpt(&value.to_string())
            ),
        )),
    }
}

/// `Status`.
pub(super) fn status(value: Option<Value>) -> Result<AccountStatus, Invalid> {
    const NAME: &str = "Status";
    match text(NAME, value)?.as_str() {
        "Active" => Ok(AccountStatus::Active),
        "Suspended" => Ok(AccountStatus::Suspended),
        other => Err(Invalid::member(
            NAME,
            format_args!(
                "expected \"Active\" or \"Suspended\", got {:?}",
                excerpt(other)
            ),
        )),
    }
}

fn money(name: &str, text: &str, currency: Currency) -> Result<Amount, Invalid> {
    let shown = excerpt(text);
    Amount::parse(text, currency).map_err(|error| match error {
        AmountError::TooPrecise => Invalid::member(
            name,
            format_args!(
                "at most {} fraction digits for {currency}, got {shown}",
                currency.fraction_digits()
            ),
        ),
        AmountError::NotANumber => Invalid::member(
            name,
            format_args!("expected a decimal number in a string, got {shown:?}"),
        ),
        AmountError::Negative | AmountError::TooLarge => {
            Invalid::member(name, format_args!("{error}, got {shown}"))
        }
    })
}

/// `OpenSession`: left out, no.
pub(super) fn open_session(value: Option<Value>) -> Result<bool, Invalid> {
    match value {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(open)) => Ok(open),
        Some(other) => Err(Invalid::member(
            "OpenSession",
            format_args!("expected true or false, got {}", kind(&other)),
        )),
    }
}

/// `LogoutAt`: left out, the session has no end of its own.
pub(super) fn logout_at(value: Option<Value>) -> Result<Option<UnixMillis>, Invalid> {
    const NAME: &str = "LogoutAt";
    let Some(text) = optional_text(NAME, value)? else {
        return Ok(None);
    };
    let at = parse_rfc3339(&text).ok_or_else(|| {
        Invalid::member(
            NAME,
            format_args!(
                "expected a time such as 2027-01-31T18:30:00Z (RFC 3339), got {:?}",
                excerpt(&text)
            ),
        )
    })?;
    Ok(Some(at))
}

/// Reads a moment as RFC 3339 section 5.6 writes it, finer parts than milliseconds cut off.
fn parse_rfc3339(text: &str) -> Option<UnixMillis> {
    // The parser knows more of ISO 8601 than RFC 3339 allows, so the shape is ours to check.
    let shape_ok = |at: usize, byte: u8| match at {
        4 | 7 => byte == b'-',
        10 => matches!(byte, b'T' | b't' | b' '),
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    let (seconds, rest) = text.split_at_checked("2027-01-31T18:30:00".len())?;
    if !seconds.bytes().enumerate().all(|(at, b)| shape_ok(at, b)) {
        return None;
    }
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return None;
            }
            zone
        }
    };
    let zone_ok = match zone.as_bytes() {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()),
        _ => false,
    };
    if !zone_ok {
        return None;
    }
    let at: Timestamp = text.parse().ok()?;
    Some(UnixMillis(at.as_millisecond()))
}

/// A text from outside, shown to whoever sent it.
pub(super) fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(EXCERPT_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_rfc_3339_writes_them() {
        let cases = [
            ("1970-01-01T00:00:01Z", Some(1_000)),
            ("1970-01-01t00:00:01z", Some(1_000)),
            ("1970-01-01 00:00:01Z", Some(1_000)),
            ("1970-01-01T00:00:01.5Z", Some(1_500)),
            ("1970-01-01T00:00:01.123456789Z", Some(1_123)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("1969-12-31T23:30:00-00:30", Some(0)),
            ("1970-01-01T00:00:01", None),
            ("1970-01-01T00:00Z", None),
            ("1970-01-01", None),
            ("19700101T000001Z", None),
            ("1970-01-01T00:00:01.Z", None),
            ("1970-01-01T00:00:01,5Z", None),
            ("1970-01-01T00:00:01+01", None),
            ("1970-01-01T00:00:01+0100", None),
            ("1970-01-01T00:00:01Z[UTC]", None),
            ("1970-02-30T00:00:01Z", None),
            ("1970-01-01T25:00:00Z", None),
            ("0", None),
            ("", None),
            ("ééééééééééééééééééé", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_rfc3339(text).map(|at| at.0), expected, "{text}");
        }
    }

    #[test]
    fn a_long_value_is_shown_in_part() {
        assert_eq!(excerpt(&"é".repeat(41)), format!("{}…", "é".repeat(40)));
        assert_eq!(excerpt("short"), "short");
    }
}
