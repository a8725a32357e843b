//! Postings: the decisions that the log keeps.
//!
//! A posting says what changed on one account, never what was asked; recovery
//! applies postings and decides nothing. Money moves between two accounts of the
//! same domain and currency on one shard, so every posting sums to zero by shape.

use crate::types::{
    AccountId, Amount, Balance, CountryCode, Currency, SessionKey, TransactionId, UnixMillis,
};

/// One durable change to one account, with its balance after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// When it was decided.
    pub at: UnixMillis,
    /// Whose it is.
    pub account: AccountId,
    /// What changed.
    pub change: Change,
    /// What the account holds afterwards; recovery checks it.
    pub balance_after: Balance,
}

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
    Deposited {
        /// What makes it happen once.
        transaction: TransactionId,
        /// How much.
        amount: Amount,
    },
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
}

/// The accounts of the operator's books that player money moves against,
/// one of each per domain and currency on every shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HouseAccount {
    /// Stakes taken from players.
    Stakes,
    /// Winnings paid to players.
    Winnings,
    /// Deposits and withdrawals.
    Cashier,
    /// Bonus funds given to players.
    Bonus,
    /// Voids, credits and other corrections.
    Adjustments,
}

impl HouseAccount {
    /// All of them, in the order of the books.
    pub const ALL: [Self; 5] = [
        Self::Stakes,
        Self::Winnings,
        Self::Cashier,
        Self::Bonus,
        Self::Adjustments,
    ];
}

/// Which funds of a player money moves to or from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayerFunds {
    /// Real money.
    Cash,
    /// Bonus money.
    Bonus,
}

/// Money that moved from a house account to a player's funds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Where it came from.
    pub house: HouseAccount,
    /// Where it went.
    pub player: PlayerFunds,
    /// How much; negative for money that moved from the player to the house.
    pub minor: i64,
}

impl Change {
    /// The money that this change moves, at most one movement for cash and one for bonus.
    pub fn movements(&self) -> impl Iterator<Item = Movement> + use<> {
        let (cash, bonus) = match self {
            Self::AccountOpened { balance, .. } => (
                Movement {
                    house: HouseAccount::Cashier,
                    player: PlayerFunds::Cash,
                    minor: balance.cash.minor(),
                },
                Movement {
                    house: HouseAccount::Bonus,
                    player: PlayerFunds::Bonus,
                    minor: balance.bonus.minor(),
                },
            ),
            Self::Deposited { amount, .. } => (
                Movement {
                    house: HouseAccount::Cashier,
                    player: PlayerFunds::Cash,
                    minor: amount.minor(),
                },
                Movement {
                    house: HouseAccount::Bonus,
                    player: PlayerFunds::Bonus,
                    minor: 0,
                },
            ),
            Self::SessionOpened { .. }
            | Self::SessionLoggedOut { .. }
            | Self::TokenSpent { .. } => (
                Movement {
                    house: HouseAccount::Cashier,
                    player: PlayerFunds::Cash,
                    minor: 0,
                },
                Movement {
                    house: HouseAccount::Bonus,
                    player: PlayerFunds::Bonus,
                    minor: 0,
                },
            ),
        };
        [cash, bonus]
            .into_iter()
            .filter(|movement| movement.minor != 0)
    }
}
