//! One member of a request, by its form: text, id, time, number, flag, session key.

use shards::types::{
    AccountId, AmountError, DecimalText, JACKPOT_FRACTION_DIGITS_MAX, JackpotAmount, SessionKey,
    SessionToken, Text, UnixMillis,
};

use super::Invalid;
use crate::wallet::members::{Member, Members, Value};
use crate::wallet::shown::{cut, quoted};
use crate::wallet::timestamp;

pub(super) fn account(members: &Members<'_>) -> Result<AccountId, Invalid> {
    let member = Member::OperatorAccountId;
    let text = required(members, member)?;
    AccountId::parse(text).ok_or_else(|| {
        let rule = "domain/player expected, neither part empty";
        invalid(member, format!("{rule}, got {}", quoted(text)))
    })
}

pub(super) fn session_token(members: &Members<'_>) -> Result<SessionToken, Invalid> {
    let member = Member::SessionToken;
    // The token itself is a credential and is not repeated in a description.
    SessionToken::parse(required(members, member)?)
        .map_err(|error| invalid(member, error.to_string()))
}

/// A text that cannot be a session key names no session: no error, but `None`.
pub(super) fn session_key(members: &Members<'_>) -> Result<Option<SessionKey>, Invalid> {
    let text = optional(members, Member::GatewaySessionToken)?;
    Ok(text.and_then(SessionKey::parse))
}

/// As [`session_key`], for a request that must say something.
pub(super) fn session_key_required(members: &Members<'_>) -> Result<Option<SessionKey>, Invalid> {
    let member = Member::GatewaySessionToken;
    let text = required(members, member)?;
    if text.trim().is_empty() {
        return Err(invalid(member, "must not be blank".to_owned()));
    }
    Ok(SessionKey::parse(text))
}

pub(super) fn timestamp(members: &Members<'_>) -> Result<UnixMillis, Invalid> {
    const RULE: &str = "YYYY-MM-DDThh:mm:ss with up to 9 fraction digits and Z, an offset \
                        or none, or epoch milliseconds as an integer, expected";
    let member = Member::Timestamp;
    let read = match members.get(member) {
        None => return Err(missing(member)),
        Some(Value::Text(text)) => timestamp::parse_text(text),
        Some(Value::Number(raw)) => timestamp::parse_number(raw),
        Some(_) => None,
    };
    read.ok_or_else(|| invalid(member, format!("{RULE}, got {}", found(members, member))))
}

/// An id that must be there.
pub(super) fn id<T>(
    members: &Members<'_>,
    member: Member,
    parse: fn(&str) -> Option<T>,
) -> Result<T, Invalid> {
    let text = required(members, member)?;
    parse(text).ok_or_else(|| invalid(member, "1 to 50 characters expected".to_owned()))
}

/// A text that is recorded; missing, it is empty.
pub(super) fn recorded(members: &Members<'_>, member: Member) -> Result<Text, Invalid> {
    let text = optional(members, member)?.unwrap_or_default();
    Text::parse(text).ok_or_else(|| invalid(member, "too long".to_owned()))
}

/// `true` or `false`, and nothing that reads like one.
pub(super) fn flag(members: &Members<'_>, member: Member) -> Result<bool, Invalid> {
    match members.get(member) {
        None => Err(missing(member)),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(_) => Err(invalid(
            member,
            format!("true or false expected, got {}", found(members, member)),
        )),
    }
}

pub(super) fn amount(members: &Members<'_>, member: Member) -> Result<DecimalText, Invalid> {
    optional_amount(members, member)?.ok_or_else(|| missing(member))
}

pub(super) fn optional_amount(
    members: &Members<'_>,
    member: Member,
) -> Result<Option<DecimalText>, Invalid> {
    decimal(members, member, DecimalText::parse)
}

pub(super) fn jackpot(
    members: &Members<'_>,
    member: Member,
) -> Result<Option<JackpotAmount>, Invalid> {
    decimal(members, member, JackpotAmount::parse)
}

/// A number, or a string that holds one and nothing else.
fn decimal<T>(
    members: &Members<'_>,
    member: Member,
    parse: impl FnOnce(&str) -> Result<T, AmountError>,
) -> Result<Option<T>, Invalid> {
    let read = match members.get(member) {
        None => return Ok(None),
        Some(Value::Text(text)) => parse(text),
        Some(Value::Number(raw)) => parse(raw),
        Some(_) => Err(AmountError::NotANumber),
    };
    read.map(Some).map_err(|error| {
        let rule = match error {
            AmountError::NotANumber => "a number, or a string holding one, expected".to_owned(),
            AmountError::TooPrecise => {
                format!("at most {JACKPOT_FRACTION_DIGITS_MAX} fraction digits")
            }
            AmountError::Negative | AmountError::TooLarge => error.to_string(),
        };
        invalid(member, format!("{rule}, got {}", found(members, member)))
    })
}

pub(super) fn required<'a>(members: &Members<'a>, member: Member) -> Result<&'a str, Invalid> {
    optional(members, member)?.ok_or_else(|| missing(member))
}

/// The text of a string member: a string, or an integer as it was written.
pub(super) fn optional<'a>(
    members: &Members<'a>,
    member: Member,
) -> Result<Option<&'a str>, Invalid> {
    let text = match members.get(member) {
        None => return Ok(None),
        Some(Value::Text(text)) => text,
        Some(Value::Number(raw)) if is_integer(raw) => raw,
        Some(_) => {
            let rule = "a string or an integer expected";
            return Err(invalid(
                member,
                format!("{rule}, got {}", found(members, member)),
            ));
        }
    };
    let units = member.units();
    let (least, most) = (*units.start(), *units.end());
    // A code unit is one to three bytes of UTF-8, so most lengths need no count.
    let is_surely_right = text.is_ascii() && (least..=most).contains(&text.len());
    if !is_surely_right && !(least..=most).contains(&utf16_units(text)) {
        let got = utf16_units(text);
        let rule = match least {
            0 => format!("at most {most} characters, got {got}"),
            _ if least == most => format!("exactly {most} characters, got {got}"),
            _ => format!("{least} to {most} characters, got {got}"),
        };
        return Err(invalid(member, rule));
    }
    Ok(Some(text))
}

fn utf16_units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn is_integer(raw: &str) -> bool {
    !raw.contains(['.', 'e', 'E'])
}

fn invalid(member: Member, rule: String) -> Invalid {
    Invalid { member, rule }
}

fn missing(member: Member) -> Invalid {
    invalid(member, "required".to_owned())
}

/// What stands behind the name, for a description.
fn found(members: &Members<'_>, member: Member) -> String {
    match members.get(member) {
        None => "nothing".to_owned(),
        Some(Value::Text(text)) => quoted(text),
        Some(Value::Number(raw)) => format!("the number {}", cut(raw)),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Object) => "an object".to_owned(),
        Some(Value::Array) => "an array".to_owned(),
    }
}
