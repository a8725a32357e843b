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
//! says.

mod account;
mod age;
mod alert;
mod award;
mod bet;
mod books;
mod cashier;
mod change;
mod check;
mod command;
mod credit;
mod digest;
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
mod subject;
mod transactions;
mod void;
mod windows;

use std::time::Duration;

use account::{Account, AccountIndex, Accounts};
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
use digest::{Contents, Digester, Kind};
pub use limits::{Limits, LimitsChange, LossPeriod};
pub use posting::{HouseAccount, Movement, PlayerFunds, Posting};
pub use request::{
    AnswerAlert, AwardWinnings, Credit, EndRound, FundsOrder, PlaceBet, RollBackBet, RoundBooking,
    StatedAmount, StatedSession, VoidBet,
};
use rounds::Rounds;
pub use session::{SESSIONS_PER_ACCOUNT_MAX, SPENT_TOKENS_PER_SESSION_MAX};
use session::{SessionIndex, Sessions};
use transactions::{Note, Transaction, Transactions};

use crate::types::{AccountId, Amount, Lsn, TransactionId, UnixMillis};

/// What the rules need to know from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct LedgerSettings {
    /// How long transaction ids and rounds are remembered at least, and how old a request
    /// may be.
    pub idempotency_window: Duration,
    /// Keys the digests of transaction ids, so that nobody can aim for a collision.
    /// Any value works; a process keeps one for its life.
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
                    account,
                    transaction,
                    amount: *amount,
                    currency: *currency,
                },
                now,
            ),
            Command::GrantBonus {
                account,
                transaction,
                amount,
                currency,
            } => self.decide_cashier(
                CashierRequest {
                    kind: CashierKind::Bonus,
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

    /// Carries out a posting that stands at `lsn` of this shard's log.
    ///
    /// # Panics
    /// When the posting does not fit: its account is unknown (or known, for one that
    /// opens it), or its balance after is not what follows from the balance before, or it
    /// follows another booking than the account's last. All of this means that decisions and postings have parted, and going on would lose money.
    pub fn apply(&mut self, lsn: Lsn, posting: &Posting) {
        self.age.grow_older(posting.at);
        let at = match &posting.change {
            Change::AccountOpened {
                currency,
                country,
                session,
                ..
            } => {
                let at = self.apply_open(posting, *currency, *country);
                if let Some(key) = session {
                    self.apply_session(at, lsn, *key, *country, None, posting.at);
                }
                at
            }
            change => {
                let Some(at) = self.accounts.find(&posting.account) else {
                    panic!("a posting for an account that does not exist: LSN {lsn}");
                };
                self.apply_change(at, lsn, change, posting);
                at
            }
        };
        self.post_money(at, posting, lsn);
        self.forget(lsn);
        self.last_lsn = lsn;
    }

    /// The operator's books of this shard.
    #[must_use]
    pub fn books(&self) -> &[Book] {
        self.books.all()
    }

    /// How many things there are.
    #[must_use]
    pub fn counts(&self) -> LedgerCounts {
        LedgerCounts {
            accounts: self.accounts.len(),
            sessions: self.sessions.len(),
            transactions: self.transactions.len(),
            rounds: self.rounds.len(),
        }
    }

    fn apply_change(&mut self, at: AccountIndex, lsn: Lsn, change: &Change, posting: &Posting) {
        match change {
            Change::AccountOpened { .. } => unreachable!("opened by apply"),
            Change::Deposited(cashed) => {
                self.apply_cashed(&posting.account, CashierKind::Deposit, cashed);
            }
            Change::Withdrawn(cashed) => {
                self.apply_cashed(&posting.account, CashierKind::Withdrawal, cashed);
            }
            Change::BonusGranted(cashed) => {
                self.apply_cashed(&posting.account, CashierKind::Bonus, cashed);
            }
            Change::SessionOpened {
                key,
                country,
                logout_at,
            } => {
                self.apply_session(at, lsn, *key, *country, *logout_at, posting.at);
            }
            Change::SessionLoggedOut { key } => self.apply_log_out(*key, posting.at),
            Change::TokenSpent {
                key,
                issued_at,
                expires_at,
            } => {
                self.apply_spent(*key, *issued_at, *expires_at, posting.at);
            }
            Change::BetPlaced(bet) => self.apply_bet(at, posting, bet),
            Change::WinningsAwarded(award) => self.apply_award(at, posting, award),
            Change::BetRolledBack(rollback) => self.apply_rollback(at, posting, rollback),
            Change::RollbackRepeated(facts) => {
                self.apply_rollback_repeated(&posting.account, facts);
            }
            Change::RollbackBeforeBet(facts) => self.apply_tombstone(&posting.account, facts),
            Change::BetVoided(void) => self.apply_void(at, posting, void),
            Change::RoundEnded(end) => self.apply_end(at, end),
            Change::Credited(credit) => self.apply_credit(&posting.account, credit),
            // Recorded for whoever reads the log; nothing rests on it.
            Change::AlertAnswered(_) => {}
            Change::LimitsSet { limits } => self.accounts.get_mut(at).set_limits(*limits),
            Change::StatusSet { status } => self.accounts.get_mut(at).status = *status,
        }
    }

    fn remember(
        &mut self,
        account: &AccountId,
        kind: Kind,
        transaction: &TransactionId,
        contents: Contents,
    ) {
        self.remember_noted(account, kind, transaction, contents, Note::NONE);
    }

    fn remember_noted(
        &mut self,
        account: &AccountId,
        kind: Kind,
        transaction: &TransactionId,
        contents: Contents,
        note: Note,
    ) {
        let transaction = Transaction {
            digest: self.digester.transaction(account, kind, transaction),
            contents,
            note,
        };
        self.transactions.remember(self.age.window(), transaction);
    }

    /// Forgets what is too old, a little at a time where it takes long.
    fn forget(&mut self, lsn: Lsn) {
        if self.transactions.forget_before(self.age.oldest_kept()) {
            self.transactions_forgotten_lsn = lsn;
        }
        self.forget_rounds(lsn);
    }

    /// Moves the money of a posting on the player's side and on the house's.
    fn post_money(&mut self, at: AccountIndex, posting: &Posting, lsn: Lsn) {
        let account = self.accounts.get_mut(at);
        if let Some(previous_booking) = posting.change.previous_booking() {
            assert!(
                account.last_booking == previous_booking,
                "booking before LSN {lsn}"
            );
            account.last_booking = lsn;
        }
        for movement in posting.change.movements() {
            let funds = match movement.player {
                PlayerFunds::Cash => &mut account.balance.cash,
                PlayerFunds::Bonus => &mut account.balance.bonus,
            };
            let after = funds
                .minor()
                .checked_add(movement.minor)
                .and_then(Amount::from_minor);
            let Some(after) = after else {
                panic!("a posting that leaves no valid balance: LSN {lsn}");
            };
            *funds = after;
            self.books.post(account.book, movement);
        }
        assert!(
            account.balance == posting.balance_after,
            "balance after LSN {lsn}"
        );
        account.last_lsn = lsn;
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
