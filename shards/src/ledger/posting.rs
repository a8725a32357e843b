//! Postings: the decisions that the log keeps.
//!
//! A posting says what changed on one account, never what was asked; recovery
//! applies postings and decides nothing. Money moves between two accounts of the
//! same domain and currency on one shard, so every posting sums to zero by shape.

use super::Change;
use crate::types::{AccountId, Balance, UnixMillis};

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
