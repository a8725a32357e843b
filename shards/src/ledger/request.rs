//! What a platform asks for, as commands carry it (protocol.md sections 2, 4 and 8).
//!
//! Whoever builds one has checked the form of every member. What only the owner of
//! the account can judge comes along as it was stated: the time, the currency, the
//! amount, the session.

use super::RoundFacts;
use crate::types::{
    AccountId, Amount, Currency, GameId, GameRoundId, JackpotAmount, SessionKey, Text,
    TransactionId, UnixMillis,
};

/// An amount as the request states it, as the account's currency reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatedAmount {
    /// Exactly this many minor units of the account's currency.
    Exact(Amount),
    /// Exactly this many minor units of the currency that the request states. That is the
    /// account's as a rule, and only its owner knows; in another one only a repeat is
    /// answered, and judged by what the account's currency makes of the same number.
    InStated(Amount),
    /// As [`StatedAmount::Exact`], beside another amount, which nothing is booked of, with
    /// more fraction digits than the currency has: refused behind the currency check, and
    /// not compared, so that a repeat is one.
    BesideTooPrecise(Amount),
    /// More fraction digits than the currency has: refused behind the currency check.
    TooPrecise,
    /// Beyond 64-bit minor units: more than any funds.
    TooLarge,
}

impl StatedAmount {
    /// The amount that a repeat agrees on, if it can be one of the account's currency.
    pub(super) fn exact(self, stated: Option<Currency>, account: Currency) -> Option<Amount> {
        match self {
            Self::Exact(amount) | Self::BesideTooPrecise(amount) => Some(amount),
            Self::InStated(amount) => match stated {
                Some(stated) if stated != account => amount.reread(stated, account).ok(),
                _ => Some(amount),
            },
            Self::TooPrecise | Self::TooLarge => None,
        }
    }
}

/// The session that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatedSession {
    /// None, or a text that cannot be a session key.
    None,
    /// A key whose slot is the account's: the owner of the account knows the session.
    Own(SessionKey),
    /// A key of another slot, so of another account if of any; whether that session is
    /// live was asked of its owner.
    Foreign {
        /// It is known and live.
        live: bool,
    },
}

/// Which funds a bet takes first (protocol.md section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FundsOrder {
    /// Cash, then bonus.
    CashFirst,
    /// Bonus, then cash.
    BonusFirst,
    /// The domain has no bonus funds: those that an account still has are not touched.
    CashOnly,
}

/// What all bookings of a round state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundBooking {
    /// Whose.
    pub account: AccountId,
    /// Makes it happen once per kind.
    pub transaction: TransactionId,
    /// The round.
    pub round: GameRoundId,
    /// The game.
    pub game: GameId,
    /// Whether the domain knows the game, or lists none.
    pub game_known: bool,
    /// When the platform sent the request, by the platform's clock.
    pub stated_at: UnixMillis,
    /// What the amount is in; `None` for a code that is no currency, which is no
    /// account's.
    pub currency: Option<Currency>,
    /// How much.
    pub amount: StatedAmount,
    /// The session, as stated.
    pub session: StatedSession,
    /// Close the round behind the booking.
    pub end_round: bool,
    /// The offer of a free game, not empty.
    pub free_game_offer: Option<Text>,
}

impl RoundBooking {
    /// What a posting records of it; an offer without a name is none.
    pub(super) fn facts(&self, amount: Amount) -> RoundFacts {
        let offer = self.free_game_offer.clone();
        RoundFacts {
            transaction: self.transaction.clone(),
            round: self.round.clone(),
            game: self.game.clone(),
            amount,
            end_round: self.end_round,
            free_game_offer: offer.filter(|offer| !offer.as_str().is_empty()),
        }
    }
}

/// `placebet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceBet {
    /// What all bookings of a round state.
    pub round: RoundBooking,
    /// Recorded, not enforced.
    pub start_round: bool,
    /// Nothing is taken: a free game offer, or a `FreeBetCost` above zero.
    pub free_play: bool,
    /// What the domain's setting says.
    pub funds_order: FundsOrder,
    /// For information only.
    pub jackpot_contribution: Option<JackpotAmount>,
}

/// `awardwinnings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwardWinnings {
    /// What all bookings of a round state.
    pub round: RoundBooking,
    /// Recorded, not enforced.
    pub start_round: bool,
    /// For information only.
    pub jackpot_winnings: Option<JackpotAmount>,
}

/// `rollbackbet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollBackBet {
    /// What all bookings of a round state.
    pub round: RoundBooking,
    /// The bet to reverse.
    pub bet: TransactionId,
    /// For information only.
    pub jackpot_contribution: Option<JackpotAmount>,
}

/// `voidbet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoidBet {
    /// What all bookings of a round state.
    pub round: RoundBooking,
    /// For information only.
    pub jackpot_contribution: Option<JackpotAmount>,
}

/// `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndRound {
    /// Whose.
    pub account: AccountId,
    /// The round.
    pub round: GameRoundId,
    /// Recorded; not looked up.
    pub game: GameId,
    /// Must be the account's.
    pub currency: Option<Currency>,
    /// The session, as stated.
    pub session: StatedSession,
    /// For information only.
    pub jackpot_contribution: Option<JackpotAmount>,
    /// For information only.
    pub jackpot_winnings: Option<JackpotAmount>,
}

/// `credit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Whose.
    pub account: AccountId,
    /// Makes it happen once.
    pub transaction: TransactionId,
    /// What kind of credit; recorded, not compared.
    pub type_id: Text,
    /// When the platform sent the request, by the platform's clock.
    pub stated_at: UnixMillis,
    /// Must be the account's.
    pub currency: Option<Currency>,
    /// How much.
    pub amount: StatedAmount,
}

/// `alertwalletcallbacknotification`: the members as they came, empty where missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerAlert {
    /// Whose.
    pub account: AccountId,
    /// `Source`.
    pub source: Text,
    /// `AlertActionID`.
    pub action_id: Text,
    /// `OperatorAlertActionReference`.
    pub action_reference: Text,
    /// `OperatorAlertReference`.
    pub reference: Text,
    /// `GamingRegulatorCode`.
    pub regulator_code: Text,
    /// `Type`.
    pub kind: Text,
    /// `Method`.
    pub method: Text,
    /// `Data`.
    pub data: Text,
}
