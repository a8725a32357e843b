//! The members of a request body that some endpoint knows, one row each.
//!
//! A body is read into one fixed table of these, so reading costs no map and no
//! allocation, whatever else the body holds. A new endpoint adds rows.

use std::ops::RangeInclusive;

/// Of members whose form is judged, not their length.
const ANY_LENGTH: RangeInclusive<usize> = 0..=usize::MAX;

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
    Timestamp = "Timestamp", ANY_LENGTH;
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
    /// The round of a game.
    GameRoundId = "GameRoundID", 1..=50;
    /// What makes a booking of a round happen once.
    GameRoundTransactionId = "GameRoundTransactionID", 1..=50;
    /// The bet that a rollback reverses.
    OriginalBetGameRoundTransactionId = "OriginalBetGameRoundTransactionID", 1..=50;
    /// Three characters, compared exactly with the account's currency.
    CurrencyCode = "CurrencyCode", 3..=3;
    /// The session key.
    GatewaySessionToken = "GatewaySessionToken", 0..=100;
    /// The offer of a free game; empty: none.
    FreeGameOfferCode = "FreeGameOfferCode", 0..=100;
    /// How much a booking is about.
    Amount = "Amount", ANY_LENGTH;
    /// What a free bet cost; above zero, nothing is taken from the player.
    FreeBetCost = "FreeBetCost", ANY_LENGTH;
    /// For information.
    JackpotContribution = "JackpotContribution", ANY_LENGTH;
    /// For information.
    JackpotWinnings = "JackpotWinnings", ANY_LENGTH;
    /// Whether the round begins with this; recorded.
    StartRound = "StartRound", ANY_LENGTH;
    /// Whether the round ends with this.
    EndRound = "EndRound", ANY_LENGTH;
    /// Which version of the game.
    GameVersion = "GameVersion", 0..=100;
    /// Which table.
    TableId = "TableID", 0..=50;
    /// What makes a credit happen once.
    AccountTransactionId = "AccountTransactionID", 1..=50;
    /// What kind of credit it is; recorded.
    AccountTransactionTypeId = "AccountTransactionTypeID", 1..=50;
    /// Of an alert's answer, as the seven below.
    Source = "Source", 0..=50;
    /// What the player chose.
    AlertActionId = "AlertActionID", 0..=50;
    /// The operator's name for that choice.
    OperatorAlertActionReference = "OperatorAlertActionReference", 0..=50;
    /// The operator's name for the alert.
    OperatorAlertReference = "OperatorAlertReference", 0..=50;
    /// Which regulator asked for the alert.
    GamingRegulatorCode = "GamingRegulatorCode", 0..=50;
    /// What kind of alert it was.
    Type = "Type", 0..=50;
    /// How the player was told.
    Method = "Method", 0..=50;
    /// Whatever else belongs to it.
    Data = "Data", 0..=50;
}

/// What stands behind a member's name. `null` is no value: it counts as missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A string, its escapes resolved.
    Text(&'a str),
    /// A number exactly as it was written, so that no digit is lost.
    Number(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// An object; no member of this protocol is one.
    Object,
    /// An array; no member of this protocol is one.
    Array,
}

/// The known members of one body. Filled where it lies: it has 768 bytes.
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
    pub(super) fn get(&self, member: Member) -> Option<Value<'a>> {
        self.0[member as usize]
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
        assert_eq!(members.get(Member::GameId), Some(Value::Number("2")));
        members.set(Member::GameId, None);
        assert_eq!(members.get(Member::GameId), None);
    }
}
