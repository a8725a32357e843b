//! What a posting changes: one variant per kind, with everything that a report needs.
//!
//! Recovery applies changes and decides nothing, so a change says what came of a
//! request: how a stake was taken, how winnings were split, what a rollback gave back.
//! A **booking** also says where the account's previous booking stands in the log, so
//! that an account's transactions can be followed backwards without an index.

use super::{AccountStatus, HouseAccount, Limits, Movement, PlayerFunds};
use crate::types::{
    Amount, Balance, CountryCode, Currency, GameId, GameRoundId, JackpotAmount, Lsn, SessionKey,
    Text, TransactionId, UnixMillis,
};

/// What a posting changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An account was created, with funds if it was imported.
    AccountOpened {
        /// Of the domain.
        currency: Currency,
        /// Of the player.
        country: CountryCode,
        /// The funds it started with.
        balance: Balance,
        /// The session opened with it.
        session: Option<SessionKey>,
    },
    /// The operator's money came into the cash funds.
    Deposited(Cashed),
    /// The operator paid money out of the cash funds.
    Withdrawn(Cashed),
    /// The operator gave bonus funds.
    BonusGranted(Cashed),
    /// A session was opened.
    SessionOpened {
        /// Its key.
        key: SessionKey,
        /// Where the player plays from.
        country: CountryCode,
        /// When it will end by itself.
        logout_at: Option<UnixMillis>,
    },
    /// A session was ended, at the posting's time.
    SessionLoggedOut {
        /// Its key.
        key: SessionKey,
    },
    /// A token of a domain with single-use tokens was redeemed.
    TokenSpent {
        /// The session.
        key: SessionKey,
        /// The token's own time, which tells it from the session's others.
        issued_at: UnixMillis,
        /// Until when this must be remembered.
        expires_at: UnixMillis,
    },
    /// A stake was taken, or a free bet recorded.
    BetPlaced(Box<BetPlaced>),
    /// Winnings were paid, or a loss recorded.
    WinningsAwarded(Box<WinningsAwarded>),
    /// A bet was reversed.
    BetRolledBack(Box<BetRolledBack>),
    /// A bet that had been rolled back was to be rolled back under another id, which
    /// is remembered; no money moved.
    RollbackRepeated(Box<RollbackFacts>),
    /// A rollback came before its bet: both are remembered, so the bet is refused when
    /// it comes. The tombstone.
    RollbackBeforeBet(Box<RollbackFacts>),
    /// Money was given back as a game action that names no bet.
    BetVoided(Box<BetVoided>),
    /// A round was closed by a request of its own.
    RoundEnded(Box<RoundEnded>),
    /// A credit outside any round.
    Credited(Box<Credited>),
    /// The player answered an alert.
    AlertAnswered(Box<AlertFacts>),
    /// The operator changed limits.
    LimitsSet {
        /// All of them, as they are now.
        limits: Limits,
    },
    /// The operator stopped the account's bets, or allowed them again.
    StatusSet {
        /// What it is now.
        status: AccountStatus,
    },
}

/// The operator's money came, went, or was given as a bonus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cashed {
    /// What makes it happen once.
    pub transaction: TransactionId,
    /// How much.
    pub amount: Amount,
    /// Position of the account's booking before, [`Lsn::NONE`] for the first.
    pub previous_booking: Lsn,
}

/// What all bookings of a round record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundFacts {
    /// What makes it happen once.
    pub transaction: TransactionId,
    /// The round.
    pub round: GameRoundId,
    /// The game.
    pub game: GameId,
    /// As the request stated it.
    pub amount: Amount,
    /// The request closed the round.
    pub end_round: bool,
    /// The offer of a free game, not empty.
    pub free_game_offer: Option<Text>,
}

/// A bet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BetPlaced {
    /// What all bookings of a round record.
    pub facts: RoundFacts,
    /// As the request said; nothing follows from it.
    pub start_round: bool,
    /// Nothing was taken.
    pub free_play: bool,
    /// What was taken, of cash and of bonus: together the amount, or nothing for free play.
    pub taken: Balance,
    /// For information only.
    pub jackpot_contribution: Option<JackpotAmount>,
    /// Position of the account's booking before.
    pub previous_booking: Lsn,
}

/// Winnings, or a loss if the amount is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WinningsAwarded {
    /// What all bookings of a round record.
    pub facts: RoundFacts,
    /// As the request said; nothing follows from it.
    pub start_round: bool,
    /// What was paid, to cash and to bonus: together the amount.
    pub paid: Balance,
    /// For information only.
    pub jackpot_winnings: Option<JackpotAmount>,
    /// Position of the account's booking before.
    pub previous_booking: Lsn,
}

/// What all rollbacks record, whatever came of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollbackFacts {
    /// What all bookings of a round record.
    pub facts: RoundFacts,
    /// The bet to reverse.
    pub bet: TransactionId,
    /// For information only.
    pub jackpot_contribution: Option<JackpotAmount>,
}

/// A bet's reversal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BetRolledBack {
    /// What all rollbacks record.
    pub rollback: RollbackFacts,
    /// The bet had been free play.
    pub free_play: bool,
    /// What was given back, to cash and to bonus: what the bet had taken.
    pub returned: Balance,
    /// Position of the account's booking before.
    pub previous_booking: Lsn,
}

/// Money given back, to cash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BetVoided {
    /// What all bookings of a round record.
    pub facts: RoundFacts,
    /// For information only.
    pub jackpot_contribution: Option<JackpotAmount>,
    /// Position of the account's booking before.
    pub previous_booking: Lsn,
}

/// The end of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundEnded {
    /// The round.
    pub round: GameRoundId,
    /// As the request said.
    pub game: GameId,
    /// The round had no result: this records that its stakes are lost.
    pub zero_loss: bool,
    /// For information only.
    pub jackpot_contribution: Option<JackpotAmount>,
    /// For information only.
    pub jackpot_winnings: Option<JackpotAmount>,
}

/// A credit, to cash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credited {
    /// What makes it happen once.
    pub transaction: TransactionId,
    /// What kind of credit.
    pub type_id: Text,
    /// How much.
    pub amount: Amount,
    /// Position of the account's booking before.
    pub previous_booking: Lsn,
}

/// The answer to an alert: the members as they came, empty where missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertFacts {
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

impl Change {
    /// Whether something more is kept in memory for it, by the account or for as long as
    /// ids are remembered. What is not: what ends something, what protects a player, and
    /// what is for the log alone.
    #[must_use]
    pub fn grows_memory(&self) -> bool {
        match self {
            Self::AccountOpened { .. }
            | Self::SessionOpened { .. }
            | Self::TokenSpent { .. }
            | Self::Deposited(_)
            | Self::Withdrawn(_)
            | Self::BonusGranted(_)
            | Self::BetPlaced(_)
            | Self::WinningsAwarded(_)
            | Self::BetRolledBack(_)
            | Self::RollbackRepeated(_)
            | Self::RollbackBeforeBet(_)
            | Self::BetVoided(_)
            | Self::Credited(_) => true,
            Self::SessionLoggedOut { .. }
            | Self::RoundEnded(_)
            | Self::AlertAnswered(_)
            | Self::LimitsSet { .. }
            | Self::StatusSet { .. } => false,
        }
    }

    /// The money that this change moves, at most one movement for cash and one for bonus.
    pub fn movements(&self) -> impl Iterator<Item = Movement> + use<> {
        use HouseAccount::{Adjustments, Bonus, Cashier, Stakes, Winnings};
        let cash_of = |amount: &Amount| amount.minor();
        // The house account, cash and bonus that the player receives.
        let (house, cash, bonus) = match self {
            Self::AccountOpened { balance, .. } => {
                return both(
                    (Cashier, balance.cash.minor()),
                    (Bonus, balance.bonus.minor()),
                );
            }
            Self::Deposited(cashed) => (Cashier, cash_of(&cashed.amount), 0),
            Self::Withdrawn(cashed) => (Cashier, -cash_of(&cashed.amount), 0),
            Self::BonusGranted(cashed) => (Bonus, 0, cashed.amount.minor()),
            Self::BetPlaced(bet) => {
                let Balance { cash, bonus } = bet.taken;
                (Stakes, -cash.minor(), -bonus.minor())
            }
            Self::WinningsAwarded(award) => {
                let Balance { cash, bonus } = award.paid;
                (Winnings, cash.minor(), bonus.minor())
            }
            Self::BetRolledBack(rollback) => {
                let Balance { cash, bonus } = rollback.returned;
                (Stakes, cash.minor(), bonus.minor())
            }
            Self::BetVoided(void) => (Adjustments, cash_of(&void.facts.amount), 0),
            Self::Credited(credit) => (Adjustments, cash_of(&credit.amount), 0),
            Self::SessionOpened { .. }
            | Self::SessionLoggedOut { .. }
            | Self::TokenSpent { .. }
            | Self::RollbackRepeated(_)
            | Self::RollbackBeforeBet(_)
            | Self::RoundEnded(_)
            | Self::AlertAnswered(_)
            | Self::LimitsSet { .. }
            | Self::StatusSet { .. } => (Cashier, 0, 0),
        };
        both((house, cash), (house, bonus))
    }

    /// Where the account's previous booking stands, if this is a booking: bets, awards,
    /// rollbacks, voids, credits, deposits, withdrawals and bonus grants are.
    #[must_use]
    pub fn previous_booking(&self) -> Option<Lsn> {
        match self {
            Self::Deposited(cashed) | Self::Withdrawn(cashed) | Self::BonusGranted(cashed) => {
                Some(cashed.previous_booking)
            }
            Self::BetPlaced(bet) => Some(bet.previous_booking),
            Self::WinningsAwarded(award) => Some(award.previous_booking),
            Self::BetRolledBack(rollback) => Some(rollback.previous_booking),
            Self::BetVoided(void) => Some(void.previous_booking),
            Self::Credited(credit) => Some(credit.previous_booking),
            Self::AccountOpened { .. }
            | Self::SessionOpened { .. }
            | Self::SessionLoggedOut { .. }
            | Self::TokenSpent { .. }
            | Self::RollbackRepeated(_)
            | Self::RollbackBeforeBet(_)
            | Self::RoundEnded(_)
            | Self::AlertAnswered(_)
            | Self::LimitsSet { .. }
            | Self::StatusSet { .. } => None,
        }
    }

    /// The same, for who gives bookings another place in another log.
    pub(crate) fn previous_booking_mut(&mut self) -> Option<&mut Lsn> {
        match self {
            Self::Deposited(cashed) | Self::Withdrawn(cashed) | Self::BonusGranted(cashed) => {
                Some(&mut cashed.previous_booking)
            }
            Self::BetPlaced(bet) => Some(&mut bet.previous_booking),
            Self::WinningsAwarded(award) => Some(&mut award.previous_booking),
            Self::BetRolledBack(rollback) => Some(&mut rollback.previous_booking),
            Self::BetVoided(void) => Some(&mut void.previous_booking),
            Self::Credited(credit) => Some(&mut credit.previous_booking),
            Self::AccountOpened { .. }
            | Self::SessionOpened { .. }
            | Self::SessionLoggedOut { .. }
            | Self::TokenSpent { .. }
            | Self::RollbackRepeated(_)
            | Self::RollbackBeforeBet(_)
            | Self::RoundEnded(_)
            | Self::AlertAnswered(_)
            | Self::LimitsSet { .. }
            | Self::StatusSet { .. } => None,
        }
    }
}

/// A movement of cash and one of bonus funds, where they are any.
fn both(
    cash: (HouseAccount, i64),
    bonus: (HouseAccount, i64),
) -> impl Iterator<Item = Movement> + use<> {
    [(PlayerFunds::Cash, cash), (PlayerFunds::Bonus, bonus)]
        .into_iter()
        .map(|(player, (house, minor))| Movement {
            house,
            player,
            minor,
        })
        .filter(|movement| movement.minor != 0)
}
