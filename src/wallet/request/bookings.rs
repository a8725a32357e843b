//! Requests that book or close: the rounds of a game, and credits outside of them.

use compact_str::CompactString;
use shards::types::{
    AccountId, DecimalText, GameId, GameRoundId, JackpotAmount, SessionKey, Text, TransactionId,
};

use super::{Common, Invalid, Read, fields};
use crate::wallet::members::{Member, Members};

/// The money of a request, as it states it. Which digits it may have is known once the
/// account's currency is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wallet) struct Payment {
    /// `CurrencyCode`: three characters.
    pub(in crate::wallet) currency: CompactString,
    /// `Amount`.
    pub(in crate::wallet) amount: DecimalText,
    /// `FreeBetCost`.
    pub(in crate::wallet) free_bet_cost: Option<DecimalText>,
}

/// What all bookings of a round state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wallet) struct RoundBooking {
    /// What every request carries.
    pub(in crate::wallet) common: Common,
    /// Whose.
    pub(in crate::wallet) account: AccountId,
    /// Makes it happen once.
    pub(in crate::wallet) transaction: TransactionId,
    /// The round.
    pub(in crate::wallet) round: GameRoundId,
    /// The game.
    pub(in crate::wallet) game: GameId,
    /// How much.
    pub(in crate::wallet) payment: Payment,
    /// The session, if the text could be one.
    pub(in crate::wallet) session: Option<SessionKey>,
    /// Close the round behind the booking.
    pub(in crate::wallet) end_round: bool,
    /// The offer of a free game, not empty.
    pub(in crate::wallet) free_game_offer: Option<Text>,
}

/// `POST /v1.0/gameround/placebet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wallet) struct PlaceBet {
    /// What all bookings of a round state.
    pub(in crate::wallet) booking: RoundBooking,
    /// Recorded, not enforced.
    pub(in crate::wallet) start_round: bool,
    /// For information only.
    pub(in crate::wallet) jackpot_contribution: Option<JackpotAmount>,
}

/// `POST /v1.0/gameround/awardwinnings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wallet) struct AwardWinnings {
    /// What all bookings of a round state.
    pub(in crate::wallet) booking: RoundBooking,
    /// Recorded, not enforced.
    pub(in crate::wallet) start_round: bool,
    /// For information only.
    pub(in crate::wallet) jackpot_winnings: Option<JackpotAmount>,
}

/// `POST /v1.0/gameround/rollbackbet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wallet) struct RollbackBet {
    /// What all bookings of a round state.
    pub(in crate::wallet) booking: RoundBooking,
    /// The bet to reverse.
    pub(in crate::wallet) bet: TransactionId,
    /// For information only.
    pub(in crate::wallet) jackpot_contribution: Option<JackpotAmount>,
}

/// `POST /v1.0/gameround/voidbet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wallet) struct VoidBet {
    /// What all bookings of a round state.
    pub(in crate::wallet) booking: RoundBooking,
    /// For information only.
    pub(in crate::wallet) jackpot_contribution: Option<JackpotAmount>,
}

/// `POST /v1.0/gameround/end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wallet) struct EndRound {
    /// What every request carries.
    pub(in crate::wallet) common: Common,
    /// Whose.
    pub(in crate::wallet) account: AccountId,
    /// The round.
    pub(in crate::wallet) round: GameRoundId,
    /// The game.
    pub(in crate::wallet) game: GameId,
    /// Three characters.
    pub(in crate::wallet) currency: CompactString,
    /// The session, if the text could be one.
    pub(in crate::wallet) session: Option<SessionKey>,
    /// For information only.
    pub(in crate::wallet) jackpot_contribution: Option<JackpotAmount>,
    /// For information only.
    pub(in crate::wallet) jackpot_winnings: Option<JackpotAmount>,
}

/// `POST /v1.0/accounttransaction/credit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wallet) struct Credit {
    /// What every request carries.
    pub(in crate::wallet) common: Common,
    /// Whose.
    pub(in crate::wallet) account: AccountId,
    /// Makes it happen once.
    pub(in crate::wallet) transaction: TransactionId,
    /// What kind of credit.
    pub(in crate::wallet) type_id: Text,
    /// How much.
    pub(in crate::wallet) payment: Payment,
}

impl RoundBooking {
    fn read(members: &Members<'_>, session: Option<SessionKey>) -> Result<Self, Invalid> {
        let request = Self {
            common: Common::read(members)?,
            account: fields::account(members)?,
            transaction: fields::id(
                members,
                Member::GameRoundTransactionId,
                TransactionId::parse,
            )?,
            round: fields::id(members, Member::GameRoundId, GameRoundId::parse)?,
            game: fields::id(members, Member::GameId, GameId::parse)?,
            payment: payment(members)?,
            session,
            end_round: fields::flag(members, Member::EndRound)?,
            free_game_offer: Some(fields::recorded(members, Member::FreeGameOfferCode)?)
                .filter(|offer| !offer.as_str().is_empty()),
        };
        fields::optional(members, Member::ContentGameProviderId)?;
        Ok(request)
    }
}

impl Read for PlaceBet {
    fn read(members: &Members<'_>) -> Result<Self, Invalid> {
        let mut booking = RoundBooking::read(members, fields::session_key_required(members)?)?;
        booking.payment.free_bet_cost = fields::optional_amount(members, Member::FreeBetCost)?;
        Ok(Self {
            booking,
            start_round: fields::flag(members, Member::StartRound)?,
            jackpot_contribution: fields::jackpot(members, Member::JackpotContribution)?,
        })
    }
}

impl Read for AwardWinnings {
    fn read(members: &Members<'_>) -> Result<Self, Invalid> {
        Ok(Self {
            booking: RoundBooking::read(members, fields::session_key(members)?)?,
            start_round: fields::flag(members, Member::StartRound)?,
            jackpot_winnings: fields::jackpot(members, Member::JackpotWinnings)?,
        })
    }
}

impl Read for RollbackBet {
    fn read(members: &Members<'_>) -> Result<Self, Invalid> {
        let mut booking = RoundBooking::read(members, fields::session_key(members)?)?;
        booking.payment.free_bet_cost = fields::optional_amount(members, Member::FreeBetCost)?;
        table(members)?;
        Ok(Self {
            booking,
            bet: fields::id(
                members,
                Member::OriginalBetGameRoundTransactionId,
                TransactionId::parse,
            )?,
            jackpot_contribution: fields::jackpot(members, Member::JackpotContribution)?,
        })
    }
}

impl Read for VoidBet {
    fn read(members: &Members<'_>) -> Result<Self, Invalid> {
        table(members)?;
        Ok(Self {
            booking: RoundBooking::read(members, fields::session_key(members)?)?,
            jackpot_contribution: fields::jackpot(members, Member::JackpotContribution)?,
        })
    }
}

impl Read for EndRound {
    fn read(members: &Members<'_>) -> Result<Self, Invalid> {
        let request = Self {
            common: Common::read(members)?,
            account: fields::account(members)?,
            round: fields::id(members, Member::GameRoundId, GameRoundId::parse)?,
            game: fields::id(members, Member::GameId, GameId::parse)?,
            currency: currency(members)?,
            session: fields::session_key(members)?,
            jackpot_contribution: fields::jackpot(members, Member::JackpotContribution)?,
            jackpot_winnings: fields::jackpot(members, Member::JackpotWinnings)?,
        };
        fields::optional(members, Member::ContentGameProviderId)?;
        fields::optional(members, Member::FreeGameOfferCode)?;
        Ok(request)
    }
}

impl Read for Credit {
    fn read(members: &Members<'_>) -> Result<Self, Invalid> {
        fields::required(members, Member::AccountTransactionTypeId)?;
        Ok(Self {
            common: Common::read(members)?,
            account: fields::account(members)?,
            transaction: fields::id(members, Member::AccountTransactionId, TransactionId::parse)?,
            type_id: fields::recorded(members, Member::AccountTransactionTypeId)?,
            payment: payment(members)?,
        })
    }
}

fn payment(members: &Members<'_>) -> Result<Payment, Invalid> {
    Ok(Payment {
        currency: currency(members)?,
        amount: fields::amount(members, Member::Amount)?,
        free_bet_cost: None,
    })
}

fn currency(members: &Members<'_>) -> Result<CompactString, Invalid> {
    fields::required(members, Member::CurrencyCode).map(CompactString::new)
}

/// What a correction may say of the game; nothing is done with it.
fn table(members: &Members<'_>) -> Result<(), Invalid> {
    fields::optional(members, Member::GameVersion)?;
    fields::optional(members, Member::TableId)?;
    Ok(())
}
