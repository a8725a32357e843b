//! The business rules: synchronous, deterministic, free of I/O and clocks.
//!
//! [`Ledger::decide`] reads and says what a command leads to; [`Ledger::apply`]
//! carries out a posting and cannot fail. Between the two stands the log. The same
//! postings give the same ledger in a test, in recovery and in production.
//!
//! Each rule has one owner: `open.rs` (accounts come to be), `cashier.rs` (deposits,
//! withdrawals, bonuses), `restrict.rs` (limits, status), `play.rs` (sessions and tokens),
//! `bet.rs`, `award.rs`, `rollback.rs`, `void.rs`, `round.rs`, `credit.rs`, `alert.rs`.
//! What they share: `subject.rs` (the account and the order of checks), `funds.rs` (cash
//! and bonus), `losses.rs` (net losses against limits). What is remembered for a time:
//! `transactions.rs` and `rounds.rs`, by `digest.rs`, in `windows.rs`, as old as `age.rs`
//! says. What a checkpoint has of all that: `entry.rs`, `snapshot.rs`.

mod account;
mod age;
mod alert;
mod apply;
mod award;
mod bet;
mod books;
mod cashier;
mod change;
mod check;
mod command;
mod credit;
mod digest;
mod entry;
mod funds;
mod index;
mod limits;
mod losses;
mod open;
mod play;
mod posting;
mod request;
mod restrict;
mod rollback;
mod round;
mod rounds;
mod session;
mod share;
mod snapshot;
mod subject;
mod transactions;
mod void;
mod windows;

use std::time::Duration;

use account::{Account, Accounts};
use age::Age;
pub use books::Book;
use books::Books;
use cashier::{CashierKind, CashierRequest};
pub use change::{
    AlertFacts, BetPlaced, BetRolledBack, BetVoided, Cashed, Change, Credited, RollbackFacts,
    RoundEnded, RoundFacts, WinningsAwarded,
};
pub use check::Misfit;
pub use command::{
    AccountFacts, AccountStatus, Booked, Command, Facts, Funds, Outcome, Refusal, RefusalReason,
    SessionFacts,
};
use digest::Digester;
pub use entry::{
    AccountEntry, Entry, EntryMisfit, LossEntry, MemoryEntry, RoundEntry, SessionEntry,
    SpentTokenEntry, TransactionEntry,
};
pub use limits::{Limits, LimitsChange, LossPeriod};
pub use posting::{HouseAccount, Movement, PlayerFunds, Posting};
pub use request::{
    AnswerAlert, AwardWinnings, Credit, EndRound, FundsOrder, PlaceBet, RollBackBet, RoundBooking,
    StatedAmount, StatedSession, VoidBet,
};
use rounds::Rounds;
pub use session::{SESSIONS_PER_ACCOUNT_MAX, SPENT_TOKENS_PER_SESSION_MAX};
use session::{SessionIndex, Sessions};
pub use share::{Share, entries_of_share};
pub use snapshot::Restoring;
use transactions::Transactions;

use crate::types::{AccountId, Lsn, UnixMillis};

/// What the rules need to know from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct LedgerSettings {
    /// How long transaction ids and rounds are remembered at least, and how old a request
    /// may be.
    pub idempotency_window: Duration,
    /// Keys the digests of transaction ids, so that nobody can aim for a collision. The
    /// manifest has it: checkpoints hold such digests.
    pub digest_secret: [u64; 2],
    /// How far ahead of our clock a request's time may be. Memory lasts longer by as much:
    /// a request from the future is not too old before its id may be forgotten.
    pub clock_skew_max: Duration,
}

/// What a command leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A change: append the posting, apply it, and tell the outcome when it is durable.
    Post(Posting, Outcome),
    /// No change: tell the outcome when everything up to `rests_on` is durable.
    Answer {
        /// What to tell.
        outcome: Outcome,
        /// The last posting that the answer reveals something of.
        rests_on: Lsn,
    },
}

/// How many things a ledger holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounts {
    /// Accounts.
    pub accounts: usize,
    /// Sessions, ended ones that are still known included.
    pub sessions: usize,
    /// Transaction ids remembered, and reversals of bets.
    pub transactions: usize,
    /// Rounds remembered.
    pub rounds: usize,
    /// Of them those that are open.
    pub rounds_open: usize,
}

/// The memory that a ledger takes, in bytes, by what is in it: tables and indices with all
/// the room that they have, and what their entries own elsewhere. Kept count of as tables
/// grow, so that to read it is no walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerBytes {
    /// Accounts, with long ids, counters of losses and limits.
    pub accounts: usize,
    /// Sessions and the tokens that they have spent.
    pub sessions: usize,
    /// Transaction ids.
    pub transactions: usize,
    /// Rounds.
    pub rounds: usize,
}

/// The accounts of one shard and everything that belongs to them.
pub struct Ledger {
    accounts: Accounts,
    sessions: Sessions,
    transactions: Transactions,
    rounds: Rounds,
    books: Books,
    settings: LedgerSettings,
    digester: Digester,
    /// Of the memory of transactions and rounds.
    age: Age,
    /// The last posting of all: what is told of several accounts rests on it.
    last_lsn: Lsn,
    /// The last postings that made something of these unknown: that it is not there
    /// rests on them.
    transactions_forgotten_lsn: Lsn,
    rounds_forgotten_lsn: Lsn,
    /// The last posting that made a session unknown: that a session is not there
    /// rests on it.
    session_forgotten_lsn: Lsn,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(settings: LedgerSettings) -> Self {
        Self {
            accounts: Accounts::default(),
            sessions: Sessions::default(),
            transactions: Transactions::default(),
            rounds: Rounds::default(),
            books: Books::default(),
            digester: Digester::new(settings.digest_secret),
            age: Age::new(
                settings
                    .idempotency_window
                    .saturating_add(settings.clock_skew_max),
            ),
            settings,
            last_lsn: Lsn::NONE,
            transactions_forgotten_lsn: Lsn::NONE,
            rounds_forgotten_lsn: Lsn::NONE,
            session_forgotten_lsn: Lsn::NONE,
        }
    }

    /// Decides a command by the rules; changes nothing.
    #[must_use]
    pub fn decide(&self, command: &Command, now: UnixMillis) -> Decision {
        match command {
            Command::ReadBalance { account } => self.about(account, |_, account| {
                Outcome::Accepted(Facts::Funds(account.funds()))
            }),
            Command::ReadAccount { account } => self.about(account, |ledger, account| {
                Outcome::Accepted(Facts::Account(Box::new(ledger.facts_of(account, now))))
            }),
            Command::ReadSession { key } => self.read_session(*key, now),
            Command::ReadLatestSession { account } => self.read_latest_session(account, now),
            Command::SpendToken { token, expires_at } => {
                self.decide_spend_token(*token, *expires_at, now)
            }
            Command::OpenAccount {
                account,
                currency,
                country,
            } => self.decide_open(account, *currency, *country, now),
            Command::ImportAccount {
                account,
                currency,
                country,
                balance,
                session,
            } => self.decide_import(
                account,
                open::Import {
                    currency: *currency,
                    country: *country,
                    balance: *balance,
                    session: *session,
                },
                now,
            ),
            Command::Deposit {
                account,
                transaction,
                amount,
                currency,
            } => self.decide_cashier(
                CashierRequest {
                    kind: CashierKind::Deposit,
                    is_offered: true,
                    account,
                    transaction,
                    amount: *amount,
                    currency: *currency,
                },
                now,
            ),
            Command::Withdraw {
                account,
                transaction,
                amount,
                currency,
            } => self.decide_cashier(
                CashierRequest {
                    kind: CashierKind::Withdrawal,
                    is_offered: true,
                    account,
                    transaction,
                    amount: *amount,
                    currency: *currency,
                },
                now,
            ),
            Command::GrantBonus {
                is_offered,
                account,
                transaction,
                amount,
                currency,
            } => self.decide_cashier(
                CashierRequest {
                    kind: CashierKind::Bonus,
                    is_offered: *is_offered,
                    account,
                    transaction,
                    amount: *amount,
                    currency: *currency,
                },
                now,
            ),
            Command::OpenSession {
                account,
                key,
                country,
                logout_at,
            } => self.decide_open_session(account, *key, *country, *logout_at, now),
            Command::LogOutSession { key } => self.decide_log_out(*key, now),
            Command::PlaceBet(bet) => self.decide_bet(bet, now),
            Command::AwardWinnings(award) => self.decide_award(award, now),
            Command::RollBackBet(rollback) => self.decide_rollback(rollback, now),
            Command::VoidBet(void) => self.decide_void(void, now),
            Command::EndRound(end) => self.decide_end(end, now),
            Command::Credit(credit) => self.decide_credit(credit, now),
            Command::AnswerAlert(alert) => self.decide_alert(alert, now),
            Command::SetLimits { account, limits } => self.decide_limits(account, limits, now),
            Command::SetStatus { account, status } => self.decide_status(account, *status, now),
            Command::ReadBooks { .. } => Decision::Answer {
                outcome: Outcome::Accepted(Facts::Books(self.books.all().to_vec())),
                rests_on: self.last_lsn,
            },
        }
    }

    /// The operator's books of this shard.
    #[must_use]
    pub fn books(&self) -> &[Book] {
        self.books.all()
    }

    /// Whether a posting at this time makes the memory of ids older by as much as one can.
    #[must_use]
    pub fn is_ageing_due(&self, now: UnixMillis) -> bool {
        self.age.is_due(now)
    }

    /// Frees some of what was forgotten, as every posting does.
    pub fn tidy_up(&mut self) {
        self.transactions.tidy_up();
        self.rounds.tidy_up();
    }

    /// How many things there are.
    #[must_use]
    pub fn counts(&self) -> LedgerCounts {
        LedgerCounts {
            accounts: self.accounts.len(),
            sessions: self.sessions.len(),
            transactions: self.transactions.len(),
            rounds: self.rounds.len(),
            rounds_open: self.accounts.rounds_open(),
        }
    }

    /// How much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> LedgerBytes {
        LedgerBytes {
            accounts: self.accounts.bytes(),
            sessions: self.sessions.bytes(),
            transactions: self.transactions.bytes(),
            rounds: self.rounds.bytes(),
        }
    }

    /// An answer about a known account, or the refusal of an unknown one.
    fn about(&self, id: &AccountId, outcome: impl FnOnce(&Self, &Account) -> Outcome) -> Decision {
        match self.accounts.find(id) {
            None => Decision::refuse_unknown_account(),
            Some(at) => {
                let account = self.accounts.get(at);
                Decision::Answer {
                    outcome: outcome(self, account),
                    rests_on: account.last_lsn,
                }
            }
        }
    }

    /// The refusal of a session that never existed, or was forgotten.
    fn refuse_unknown_session(&self) -> Decision {
        Decision::Answer {
            outcome: Outcome::Refused(Refusal {
                reason: RefusalReason::SessionNotFound,
                funds: None,
            }),
            rests_on: self.session_forgotten_lsn,
        }
    }

    fn facts_of(&self, account: &Account, now: UnixMillis) -> AccountFacts {
        let live_session = account
            .latest_session
            .map(|at| self.sessions.get(at))
            .filter(|session| session.is_live(now))
            .map(|session| session.key);
        account.facts(live_session)
    }

    fn session_facts(&self, at: SessionIndex, now: UnixMillis) -> SessionFacts {
        let session = self.sessions.get(at);
        let account = self.accounts.get(session.account);
        SessionFacts {
            key: session.key,
            account: account.id.clone(),
            currency: account.currency,
            country: session.country,
            created_at: session.created_at,
            logout_at: session.logout_at,
            live: session.is_live(now),
        }
    }
}

impl Decision {
    /// A refusal that reveals nothing: the account that was named never existed.
    fn refuse_unknown_account() -> Self {
        Self::Answer {
            outcome: Outcome::Refused(Refusal {
                reason: RefusalReason::AccountNotFound,
                funds: None,
            }),
            rests_on: Lsn::NONE,
        }
    }

    /// A refusal that shows the account's funds.
    fn refuse(reason: RefusalReason, account: &Account) -> Self {
        Self::Answer {
            outcome: Outcome::Refused(Refusal {
                reason,
                funds: Some(account.funds()),
            }),
            rests_on: account.last_lsn,
        }
    }
}

#[cfg(test)]
mod tests;
