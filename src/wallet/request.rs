//! Members to requests: past this file every value follows protocol.md section 2.
//!
//! Each request reads what its endpoint knows, the optional members too: one that is
//! there must be right. Requests own what they keep, so that nothing borrows the
//! body or the reader's buffers while a shard is asked.

use compact_str::CompactString;
use shards::types::{AccountId, SessionToken, UnixMillis};

use super::members::{Member, Members, Value};
use super::timestamp;

/// Which member broke which rule; the `ErrorDescription` of a `-6`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {rule}", member.name())]
pub(super) struct Invalid {
    member: Member,
    rule: String,
}

/// What every request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Common {
    /// Who calls.
    pub(super) platform_key: CompactString,
    /// When it was sent.
    pub(super) timestamp: UnixMillis,
}

/// `POST /v1.0/session/createtoken`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CreateToken {
    /// What every request carries.
    pub(super) common: Common,
    /// Whose session the token will stand for.
    pub(super) account: AccountId,
}

/// `POST /v1.0/session/redeemtoken`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RedeemToken {
    /// What every request carries.
    pub(super) common: Common,
    /// Well-formed; whether it lives is for the service to judge.
    pub(super) token: SessionToken,
}

/// `POST /v1.0/balance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadBalance {
    /// What every request carries.
    pub(super) common: Common,
    /// Whose.
    pub(super) account: AccountId,
}

/// A request that can be read from the members of a body.
pub(super) trait Read: Sized {
    /// Validates the members that the endpoint knows.
    ///
    /// # Errors
    /// The first member that breaks a rule.
    fn read(members: &Members<'_>) -> Result<Self, Invalid>;
}

impl Read for CreateToken {
    fn read(members: &Members<'_>) -> Result<Self, Invalid> {
        let request = Self {
            common: common(members)?,
            account: account(members)?,
        };
        required(members, Member::GameId)?;
        Ok(request)
    }
}

impl Read for RedeemToken {
    fn read(members: &Members<'_>) -> Result<Self, Invalid> {
        let request = Self {
            common: common(members)?,
            token: session_token(members)?,
        };
        required(members, Member::IpAddress)?;
        Ok(request)
    }
}

impl Read for ReadBalance {
    fn read(members: &Members<'_>) -> Result<Self, Invalid> {
        let request = Self {
            common: common(members)?,
            account: account(members)?,
        };
        optional(members, Member::GameId)?;
        optional(members, Member::ContentGameProviderId)?;
        Ok(request)
    }
}

/// The platform's id of the request, for logs; `None` if the request has no valid one.
#[must_use]
pub(super) fn sequence<'m>(members: &'m Members<'_>) -> Option<&'m str> {
    optional(members, Member::Sequence).ok().flatten()
}

fn common(members: &Members<'_>) -> Result<Common, Invalid> {
    let platform_key = required(members, Member::PlatformKey)?;
    required(members, Member::Sequence)?;
    Ok(Common {
        platform_key: CompactString::new(platform_key),
        timestamp: timestamp(members)?,
    })
}

fn account(members: &Members<'_>) -> Result<AccountId, Invalid> {
    let member = Member::OperatorAccountId;
    let text = required(members, member)?;
    AccountId::parse(text).ok_or_else(|| {
        let rule = "domain/player expected, neither part empty";
        invalid(member, format!("{rule}, got {}", shown(text)))
    })
}

fn session_token(members: &Members<'_>) -> Result<SessionToken, Invalid> {
    let member = Member::SessionToken;
    // The token itself is a credential and is not repeated in a description.
    SessionToken::parse(required(members, member)?)
        .map_err(|error| invalid(member, error.to_string()))
}

fn timestamp(members: &Members<'_>) -> Result<UnixMillis, Invalid> {
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

fn required<'m>(members: &'m Members<'_>, member: Member) -> Result<&'m str, Invalid> {
    optional(members, member)?.ok_or_else(|| missing(member))
}

/// The text of a string member: a string, or an integer as it was written.
fn optional<'m>(members: &'m Members<'_>, member: Member) -> Result<Option<&'m str>, Invalid> {
    let text: &str = match members.get(member) {
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
    if text.len() < least || (text.len() > most && utf16_units(text) > most) {
        let got = utf16_units(text);
        let rule = match least {
            0 => format!("at most {most} characters, got {got}"),
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
        Some(Value::Text(text)) => shown(text),
        Some(Value::Number(raw)) => format!("the number {}", cut(raw)),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Object) => "an object".to_owned(),
        Some(Value::Array) => "an array".to_owned(),
    }
}

fn shown(text: &str) -> String {
    format!("\"{}\"", cut(text))
}

/// As much of a text as a description repeats: enough to find it in a log.
fn cut(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
