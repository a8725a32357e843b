//! Commands and outcomes: what a shard can be asked, and what it answers.
//!
//! A command is valid by its type: whoever builds one has checked the request.
//! It names one account, or a session whose key carries the account's slot, so it
//! has exactly one owner. The enums grow with the protocol; a new kind of booking
//! is a new variant here, a new [`Change`](super::Change), and a rule in its file.

use super::{
    AnswerAlert, AwardWinnings, Book, Credit, EndRound, Limits, LimitsChange, LossPeriod, PlaceBet,
    RollBackBet, VoidBet,
};
use crate::routing::slot_of;
use crate::types::{
    AccountId, Amount, Balance, CountryCode, Currency, Lsn, SessionKey, SessionToken, Slot,
    TransactionId, UnixMillis,
};

/// A validated request against one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Read the balance. → [`Facts::Funds`]
    ReadBalance {
        /// Whose.
        account: AccountId,
    },
    /// Read everything an operator sees of an account. → [`Facts::Account`]
    ReadAccount {
        /// Which.
        account: AccountId,
    },
    /// Read a session, live or not. → [`Facts::Session`]
    ReadSession {
        /// Which.
        key: SessionKey,
    },
    /// The account's latest session, if it is live. → [`Facts::Session`]
    ReadLatestSession {
        /// Whose.
        account: AccountId,
    },
    /// Spend a session token of a domain with single-use tokens. → [`Facts::Session`]
    SpendToken {
        /// The token.
        token: SessionToken,
        /// From then on it is refused, and the ledger may forget that it was spent.
        expires_at: UnixMillis,
    },
    /// Create an account. → [`Facts::Account`]; `Repeated` if it was there.
    OpenAccount {
        /// Which.
        account: AccountId,
        /// Of the domain.
        currency: Currency,
        /// Of the player.
        country: CountryCode,
    },
    /// Create an account with its funds and, if asked for, a session, as one posting.
    /// → [`Facts::Account`]; `Repeated` if it was there, with its funds as they are.
    ImportAccount {
        /// Which.
        account: AccountId,
        /// Of the domain.
        currency: Currency,
        /// Of the player.
        country: CountryCode,
        /// The funds it starts with.
        balance: Balance,
        /// The key of a session to open, unless the account has a live one.
        session: Option<SessionKey>,
    },
    /// Put the operator's money into the cash funds. → [`Facts::Funds`]
    Deposit {
        /// Whose.
        account: AccountId,
        /// Makes it happen once.
        transaction: TransactionId,
        /// How much; above zero.
        amount: Amount,
        /// What the amount is in. An account keeps the currency that it was opened
        /// with, whatever the configuration says of its domain later.
        currency: Currency,
    },
    /// Open a session. → [`Facts::Session`]
    OpenSession {
        /// Whose.
        account: AccountId,
        /// Minted for this account by [`mint_session_key`](crate::routing::mint_session_key).
        key: SessionKey,
        /// Where the player plays from.
        country: CountryCode,
        /// When it will end by itself.
        logout_at: Option<UnixMillis>,
    },
    /// End a session now. → [`Facts::Session`]; `Repeated` if it had ended.
    LogOutSession {
        /// Which.
        key: SessionKey,
    },
    /// Take a stake. → [`Facts::Booked`] with its split
    PlaceBet(Box<PlaceBet>),
    /// Pay winnings; zero records a loss. → [`Facts::Booked`]
    AwardWinnings(Box<AwardWinnings>),
    /// Reverse a bet. → [`Facts::Booked`]
    RollBackBet(Box<RollBackBet>),
    /// Give money back as a game action that names no bet. → [`Facts::Booked`]
    VoidBet(Box<VoidBet>),
    /// Close a round. → [`Facts::Funds`]
    EndRound(Box<EndRound>),
    /// Credit outside any round. → [`Facts::Booked`]
    Credit(Box<Credit>),
    /// Record the player's answer to an alert; books nothing. → [`Facts::Funds`]
    AnswerAlert(Box<AnswerAlert>),
    /// Pay the operator's money out of the cash funds. → [`Facts::Funds`]
    Withdraw {
        /// Whose.
        account: AccountId,
        /// Makes it happen once.
        transaction: TransactionId,
        /// How much; above zero.
        amount: Amount,
        /// What the amount is in.
        currency: Currency,
    },
    /// Give bonus funds. → [`Facts::Funds`]
    GrantBonus {
        /// Whether the domain has bonus funds; without, only a repeat is answered.
        is_offered: bool,
        /// Whose.
        account: AccountId,
        /// Makes it happen once.
        transaction: TransactionId,
        /// How much; above zero.
        amount: Amount,
        /// What the amount is in.
        currency: Currency,
    },
    /// Change the limits of an account. → [`Facts::Account`]
    SetLimits {
        /// Whose.
        account: AccountId,
        /// What changes.
        limits: LimitsChange,
    },
    /// Stop an account's bets, or allow them again. → [`Facts::Account`]
    SetStatus {
        /// Whose.
        account: AccountId,
        /// What it becomes.
        status: AccountStatus,
    },
    /// Read the operator's books of the shard that owns a slot. → [`Facts::Books`]
    ReadBooks {
        /// Any slot of that shard.
        slot: Slot,
    },
}

impl Command {
    /// The slot of the account that this is about.
    #[must_use]
    pub fn slot(&self) -> Slot {
        match self {
            Self::ReadBalance { account }
            | Self::ReadAccount { account }
            | Self::ReadLatestSession { account }
            | Self::OpenAccount { account, .. }
            | Self::ImportAccount { account, .. }
            | Self::Deposit { account, .. }
            | Self::OpenSession { account, .. } => slot_of(account),
            Self::Withdraw { account, .. }
            | Self::GrantBonus { account, .. }
            | Self::SetLimits { account, .. }
            | Self::SetStatus { account, .. } => slot_of(account),
            Self::PlaceBet(bet) => slot_of(&bet.round.account),
            Self::AwardWinnings(award) => slot_of(&award.round.account),
            Self::RollBackBet(rollback) => slot_of(&rollback.round.account),
            Self::VoidBet(void) => slot_of(&void.round.account),
            Self::EndRound(end) => slot_of(&end.account),
            Self::Credit(credit) => slot_of(&credit.account),
            Self::AnswerAlert(alert) => slot_of(&alert.account),
            Self::ReadBooks { slot } => *slot,
            Self::ReadSession { key } | Self::LogOutSession { key } => key.slot(),
            Self::SpendToken { token, .. } => token.key.slot(),
        }
    }
}

/// An answer: the command was understood, and this is what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done now.
    Accepted(Facts),
    /// Done before; nothing changed.
    Repeated(Facts),
    /// Not done; nothing changed.
    Refused(Refusal),
}

/// What an answer tells of the account, as it is after the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Facts {
    /// The funds.
    Funds(Funds),
    /// The whole account.
    Account(Box<AccountFacts>),
    /// A session.
    Session(SessionFacts),
    /// A booking of a game or a credit, done now or before.
    Booked(Booked),
    /// The books of one shard.
    Books(Vec<Book>),
}

impl Facts {
    /// Which of them, for logs, in which the facts themselves have no place.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Funds(_) => "funds",
            Self::Account(_) => "account",
            Self::Session(_) => "session",
            Self::Booked(_) => "booked",
            Self::Books(_) => "books",
        }
    }
}

/// What a booking tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    /// After it; for a repeat as they are now.
    pub funds: Funds,
    /// How the stake of a bet was taken, of a repeat too; zero for other bookings.
    pub split: Balance,
}

/// Currency and balance of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funds {
    /// Of the account.
    pub currency: Currency,
    /// Cash and bonus.
    pub balance: Balance,
}

/// Whether an account may bet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AccountStatus {
    /// It may.
    #[default]
    Active,
    /// The operator stopped it; what it is owed is still paid.
    Suspended,
}

/// What an operator sees of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFacts {
    /// Which.
    pub account: AccountId,
    /// Its money.
    pub funds: Funds,
    /// Of the player.
    pub country: CountryCode,
    /// Whether it may bet.
    pub status: AccountStatus,
    /// What the operator limits.
    pub limits: Limits,
    /// When it was created.
    pub created_at: UnixMillis,
    /// How many of its rounds are open.
    pub open_rounds: u32,
    /// The position of its last booking in its shard's log, [`Lsn::NONE`] without any:
    /// where a list of its transactions starts.
    pub last_booking: Lsn,
    /// Its latest session, if that is live.
    pub live_session: Option<SessionKey>,
}

/// What there is to know of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    /// Its key.
    pub key: SessionKey,
    /// Whose it is.
    pub account: AccountId,
    /// Of the account.
    pub currency: Currency,
    /// Where the player plays from.
    pub country: CountryCode,
    /// When it was opened.
    pub created_at: UnixMillis,
    /// When it ended or will end.
    pub logout_at: Option<UnixMillis>,
    /// Whether it is live at the time of the answer.
    pub live: bool,
}

/// Why a command was refused, with the funds where the wire shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub reason: RefusalReason,
    /// The account's funds, where the account is known.
    pub funds: Option<Funds>,
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// No such account.
    AccountNotFound,
    /// No such session.
    SessionNotFound,
    /// The account has no live session.
    NoLiveSession,
    /// The session token was spent before.
    TokenSpent,
    /// The command came so late that the ledger may have forgotten whether it was.
    TokenExpired,
    /// The transaction id was used with other contents.
    TransactionIdReused,
    /// The amount is in another currency than the account.
    CurrencyMismatch,
    /// The funds would pass 2^63 - 1 minor units.
    BalanceOverflow,
    /// The session has as many spent tokens as the ledger keeps for one.
    TooManyTokens,
    /// The session named is not known, or is another account's (placebet).
    SessionUnknown,
    /// The session named was logged out (placebet).
    SessionLoggedOut,
    /// The session named is live and another account's.
    SessionOfAnotherAccount,
    /// The domain lists its games and this is none of them.
    GameNotFound,
    /// The bet was rolled back before it arrived.
    RolledBackBefore,
    /// The operator stopped the account.
    AccountSuspended,
    /// The session is older than the account allows.
    SessionLimit,
    /// The bet could pass a net-loss limit.
    LossLimit(LossPeriod),
    /// The stake is above the funds.
    InsufficientFunds,
    /// A rollback's bet is not known.
    BetNotFound,
    /// A rollback names another amount, round or game than its bet.
    RollbackMismatch,
    /// The account has no such round.
    RoundNotFound,
    /// The request's time is older than the idempotency window.
    RequestTooOld,
    /// The request's time is further ahead than clocks may differ.
    RequestInFuture,
    /// The amount has more fraction digits than the currency.
    AmountTooPrecise,
    /// The domain has no bonus funds.
    NoBonusFunds,
}
