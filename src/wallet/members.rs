//! The members of a request body that some endpoint knows, one row each.
//!
//! A body is read into one fixed table of these, so reading costs no map and no
//! allocation, whatever else the body holds. A new endpoint adds rows.

use std::borrow::Cow;
use std::ops::RangeInclusive;

macro_rules! members {
    ($($(#[$doc:meta])* $member:ident = $name:literal, $units:expr;)*) => {
        /// A member that some endpoint reads (protocol.md section 2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Member {
            $($(#[$doc])* $member,)*
        }

        impl Member {
            /// Every member there is.
            pub(super) const ALL: &[Self] = &[$(Self::$member,)*];

            /// The member of that exact name; names are case-sensitive.
            #[must_use]
            pub(super) fn of_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$member),)*
                    _ => None,
                }
            }

            /// As the wire says it.
            #[must_use]
            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$member => $name,)*
                }
            }

            /// How many UTF-16 code units its text may have; the same wherever it appears.
            #[must_use]
            pub(super) const fn units(self) -> RangeInclusive<usize> {
                match self {
                    $(Self::$member => $units,)*
                }
            }
        }
    };
}

members! {
    /// Names the platform; the domain may list the ones it knows.
    PlatformKey = "PlatformKey", 1..=4;
    /// The platform's id of the request, for tracing.
    Sequence = "Sequence", 1..=50;
    /// When the platform sent the request. Its form is judged, not its length.
    Timestamp = "Timestamp", 0..=usize::MAX;
    /// `domain/player`.
    OperatorAccountId = "OperatorAccountID", 1..=50;
    /// A game of the platform's catalogue.
    GameId = "GameID", 1..=50;
    /// Who made the game.
    ContentGameProviderId = "ContentGameProviderID", 0..=50;
    /// The short-lived token to redeem.
    SessionToken = "SessionToken", 1..=50;
    /// Where the player is; recorded text, not judged as an address.
    IpAddress = "IPAddress", 1..=50;
}

/// What stands behind a member's name. `null` is no value: it counts as missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A string, its escapes resolved.
    Text(Cow<'a, str>),
    /// A number exactly as it was written, so that no digit is lost.
    Number(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// An object; no member of this protocol is one.
    Object,
    /// An array; no member of this protocol is one.
    Array,
}

/// The known members of one body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Members<'a>([Option<Value<'a>>; Member::ALL.len()]);

impl<'a> Members<'a> {
    /// Puts a value behind a name; the last one of a repeated name stays, also when
    /// it is `null` (`None`).
    pub(super) fn set(&mut self, member: Member, value: Option<Value<'a>>) {
        self.0[member as usize] = value;
    }

    /// The value, unless missing or `null`.
    #[must_use]
    pub(super) fn get(&self, member: Member) -> Option<&Value<'a>> {
        self.0[member as usize].as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_member() {
        for (place, &member) in Member::ALL.iter().enumerate() {
            assert_eq!(member as usize, place);
            assert_eq!(Member::of_name(member.name()), Some(member));
        }
    }

    #[test]
    fn names_are_exact() {
        for name in [
            "",
            "platformkey",
            "PLATFORMKEY",
            "PlatformKey ",
            "OperatorAccountId",
        ] {
            assert_eq!(Member::of_name(name), None, "{name:?}");
        }
    }

    #[test]
    fn the_last_of_a_repeated_name_stays_also_when_it_is_null() {
        let mut members = Members::default();
        members.set(Member::GameId, Some(Value::Bool(true)));
        members.set(Member::GameId, Some(Value::Number("2")));
        assert_eq!(members.get(Member::GameId), Some(&Value::Number("2")));
        members.set(Member::GameId, None);
        assert_eq!(members.get(Member::GameId), None);
    }
}
