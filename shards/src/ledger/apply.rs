//! Postings carried out: on accounts, on the books, and in what is remembered.
//!
//! [`Ledger::apply`] takes it for granted that a posting was decided on this very ledger;
//! each kind is applied by the file that has its rule. Then its money moves, and what is
//! too old by its time is forgotten.

use super::account::AccountIndex;
use super::cashier::CashierKind;
use super::digest::{Contents, Kind};
use super::transactions::{Note, Transaction};
use super::{Change, Ledger, PlayerFunds, Posting};
use crate::types::{AccountId, Amount, Lsn, TransactionId};

impl Ledger {
    /// Carries out a posting that stands at `lsn` of this shard's log.
    ///
    /// # Panics
    /// When the posting does not fit: its account is unknown (or known, for one that
    /// opens it), or its balance after is not what follows from the balance before, or it
    /// follows another booking than the account's last. All of this means that decisions
    /// and postings have parted, and going on would lose money.
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
            Change::LimitsSet { limits } => self.accounts.set_limits(at, *limits),
            Change::StatusSet { status } => self.accounts.get_mut(at).status = *status,
        }
    }

    /// Remembers a transaction from now on.
    pub(super) fn remember(
        &mut self,
        account: &AccountId,
        kind: Kind,
        transaction: &TransactionId,
        contents: Contents,
    ) {
        self.remember_noted(account, kind, transaction, contents, Note::NONE);
    }

    /// The same, with a note.
    pub(super) fn remember_noted(
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
}
