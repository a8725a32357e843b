//! The entries of a ledger: what it holds, said so that another one can be built from it.
//!
//! Never by an index, which another ledger numbers otherwise. `snapshot.rs` has their order;
//! their bytes are in `wal/codec/entry.rs`.

use super::digest::slot_of_digest;
use super::{AccountStatus, Book, Limits};
use crate::types::{AccountId, Balance, CountryCode, Currency, Lsn, SessionKey, Slot, UnixMillis};

/// One thing that a ledger holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The operator's books of one domain and currency. All of them come first.
    Book(Book),
    /// An account, in the order of their opening.
    Account(AccountEntry),
    /// A session of the account before, the oldest first.
    Session(SessionEntry),
    /// A token of the session before that was redeemed.
    SpentToken(SpentTokenEntry),
    /// The age of the memory of transactions and rounds. Once, behind all accounts.
    Memory(MemoryEntry),
    /// A part of the memory of transactions, the oldest first.
    Window {
        /// How old the memory was when it was opened, in spans of its windows.
        number: i64,
    },
    /// A transaction in the window before, in the order in which they were remembered.
    Transaction(TransactionEntry),
    /// A part of the memory of rounds, the oldest first, behind all transactions.
    RoundWindow {
        /// As that of [`Entry::Window`].
        number: i64,
    },
    /// A round in the window before. Their order is that in which they are forgotten.
    Round(RoundEntry),
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountEntry {
    /// Who.
    pub id: AccountId,
    /// In what it counts.
    pub currency: Currency,
    /// Of the player.
    pub country: CountryCode,
    /// Whether it may bet.
    pub status: AccountStatus,
    /// What it holds.
    pub balance: Balance,
    /// When it was opened.
    pub created_at: UnixMillis,
    /// Its last booking: where the chain of its bookings begins.
    pub last_booking: Lsn,
    /// What the operator limits.
    pub limits: Limits,
    /// What it lost lately by day, week and month; nothing if it never played.
    pub losses: Option<[LossEntry; LossEntry::PERIODS]>,
}

/// What an account lost in one span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossEntry {
    /// Net loss in minor units.
    pub minor: i64,
    /// Which day, week or month this is of, counted as the ledger counts them.
    pub span: i32,
}

impl LossEntry {
    /// Day, week and month.
    pub const PERIODS: usize = 3;
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEntry {
    /// Its key.
    pub key: SessionKey,
    /// Where the player plays from.
    pub country: CountryCode,
    /// When it was opened.
    pub created_at: UnixMillis,
    /// When it ends or ended.
    pub logout_at: Option<UnixMillis>,
    /// Whether a command ended it.
    pub logged_out: bool,
}

/// A redeemed token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentTokenEntry {
    /// Tells it from the session's others.
    pub issued_at: UnixMillis,
    /// Until when it is remembered.
    pub expires_at: UnixMillis,
}

/// How old the memory of transactions and rounds is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryEntry {
    /// How much time a window spans, in milliseconds.
    pub span_ms: i64,
    /// How much time has passed from posting to posting, in milliseconds.
    pub age_ms: i64,
    /// The time of the last posting.
    pub last_at: Option<UnixMillis>,
    /// What happened before may be forgotten already, because the memory was to last for
    /// a shorter time then.
    pub complete_from: Option<UnixMillis>,
}

/// A transaction that is remembered, as two keyed digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionEntry {
    /// Of whose it is, its kind and its id.
    pub digest: u128,
    /// Of what a repeat must agree on.
    pub contents: u64,
    /// What else is remembered of it, as the ledger notes it.
    pub note: i64,
}

impl TransactionEntry {
    /// The slot of its account.
    #[must_use]
    pub fn slot(&self) -> Slot {
        slot_of_digest(self.digest)
    }
}

/// A round that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundEntry {
    /// Of whose it is and its id.
    pub digest: u128,
    /// Whose it is.
    pub account: AccountId,
    /// What was staked and not rolled back.
    pub staked: Balance,
    /// Whether it is open.
    pub is_open: bool,
    /// Whether winnings were paid or a loss was recorded.
    pub has_result: bool,
}

/// Entries that are those of no ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryMisfit {
    /// Something is there twice.
    #[error("a second {0} of this name")]
    Twice(&'static str),
    /// An entry comes before the one that it belongs to, or behind the end of its part.
    #[error("a {0} out of its place")]
    OutOfPlace(&'static str),
    /// A number that no ledger has.
    #[error("an impossible {0}")]
    Impossible(&'static str),
    /// Accounts do not hold what the book of their domain says, or a book does not sum
    /// to zero.
    #[error("books that do not add up")]
    Unbalanced,
}
