//! Accounts: who they are and what they hold.

use super::index::{Index, Slab};
use super::losses::Play;
use super::{
    AccountEntry, AccountFacts, AccountStatus, EntryMisfit, Funds, Ledger, Limits, RefusalReason,
    books::BookIndex, session::SessionIndex,
};
use crate::types::{
    AccountId, Amount, Balance, CountryCode, Currency, Lsn, SessionKey, UnixMillis,
};

/// One account. A million of these are held per gigabyte or so: mind the size.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) balance: Balance,
    pub(super) created_at: UnixMillis,
    /// The last posting that touched this account or one of its sessions: any
    /// answer about the account rests on it.
    pub(super) last_lsn: Lsn,
    /// The last booking of this account.
    pub(super) last_booking: Lsn,
    pub(super) latest_session: Option<SessionIndex>,
    pub(super) open_rounds: u32,
    /// Nothing until the account plays or is given a limit.
    play: Option<Box<Play>>,
    pub(super) currency: Currency,
    pub(super) book: BookIndex,
    pub(super) country: CountryCode,
    pub(super) status: AccountStatus,
    pub(super) sessions: u8,
}

// design.md section 5: at most 200 bytes for an idle account with its session.
// Beside this: 64 of the session and about 20 in the two indices.
const _: () = assert!(size_of::<Account>() <= 96);

/// What an account is opened with.
pub(super) struct NewAccount {
    pub(super) id: AccountId,
    pub(super) currency: Currency,
    pub(super) country: CountryCode,
    pub(super) book: BookIndex,
    pub(super) created_at: UnixMillis,
}

impl Account {
    /// An account that holds nothing yet.
    pub(super) fn new(new: NewAccount) -> Self {
        Self {
            id: new.id,
            balance: Balance::default(),
            created_at: new.created_at,
            last_lsn: Lsn::NONE,
            last_booking: Lsn::NONE,
            latest_session: None,
            open_rounds: 0,
            play: None,
            currency: new.currency,
            book: new.book,
            country: new.country,
            status: AccountStatus::Active,
            sessions: 0,
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.play
            .as_ref()
            .map(|play| play.limits())
            .unwrap_or_default()
    }

    fn set_limits(&mut self, limits: Limits) {
        self.play.get_or_insert_default().set_limits(limits);
    }

    /// Whether a stake may be lost; `None` is one beyond 64 bits.
    pub(super) fn check_loss(
        &self,
        stake: Option<Amount>,
        now: UnixMillis,
    ) -> Result<(), RefusalReason> {
        self.play
            .as_ref()
            .map_or(Ok(()), |play| play.check_loss(stake, now))
    }

    /// Whether a session may still bet.
    pub(super) fn check_session_age(
        &self,
        created_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), RefusalReason> {
        self.play
            .as_ref()
            .map_or(Ok(()), |play| play.check_session_age(created_at, now))
    }

    fn book_loss(&mut self, minor: i64, now: UnixMillis) {
        if minor != 0 {
            self.play.get_or_insert_default().book_loss(minor, now);
        }
    }

    /// What it owns beside its place in the table, in bytes.
    fn heap_bytes(&self) -> usize {
        self.id.heap_bytes() + self.play.as_ref().map_or(0, |play| play.bytes())
    }

    /// So many more of its rounds are open, or fewer.
    fn count_rounds(&mut self, opened: i32) {
        let Some(open_rounds) = self.open_rounds.checked_add_signed(opened) else {
            unreachable!("a round was counted that is not there");
        };
        self.open_rounds = open_rounds;
    }

    pub(super) fn funds(&self) -> Funds {
        Funds {
            currency: self.currency,
            balance: self.balance,
        }
    }

    pub(super) fn facts(&self, live_session: Option<SessionKey>) -> AccountFacts {
        AccountFacts {
            account: self.id.clone(),
            funds: self.funds(),
            country: self.country,
            status: self.status,
            limits: self.limits(),
            last_booking: self.last_booking,
            created_at: self.created_at,
            open_rounds: self.open_rounds,
            live_session,
        }
    }

    pub(super) fn entry(&self) -> AccountEntry {
        AccountEntry {
            id: self.id.clone(),
            currency: self.currency,
            country: self.country,
            status: self.status,
            balance: self.balance,
            created_at: self.created_at,
            last_booking: self.last_booking,
            limits: self.limits(),
            losses: self.play.as_ref().map(|play| play.losses()),
        }
    }
}

impl Ledger {
    /// Adds an account from a checkpoint, still without its sessions.
    pub(super) fn restore_account(
        &mut self,
        entry: AccountEntry,
    ) -> Result<(AccountIndex, BookIndex), EntryMisfit> {
        if self.accounts.find(&entry.id).is_some() {
            return Err(EntryMisfit::Twice("account"));
        }
        let Some(book) = self.books.find(entry.id.domain(), entry.currency) else {
            return Err(EntryMisfit::OutOfPlace("account without a book"));
        };
        let mut account = Account::new(NewAccount {
            id: entry.id,
            currency: entry.currency,
            country: entry.country,
            book,
            created_at: entry.created_at,
        });
        account.balance = entry.balance;
        account.status = entry.status;
        account.last_booking = entry.last_booking;
        account.play = Play::restored(entry.limits, entry.losses).map(Box::new);
        let at = self.accounts.insert(account);
        Ok((at, book))
    }
}

/// Position of an account in its shard; stable for the life of the process.
pub(super) type AccountIndex = u32;

/// All accounts of a shard.
#[derive(Default)]
pub(super) struct Accounts {
    slab: Slab<Account>,
    by_id: Index,
    /// Of all of them together.
    rounds_open: usize,
    /// What they own beside their places in the table.
    heap_bytes: usize,
}

impl Accounts {
    pub(super) fn find(&self, id: &AccountId) -> Option<AccountIndex> {
        self.by_id.find(id, |at| self.slab.get(at).id == *id)
    }

    pub(super) fn get(&self, at: AccountIndex) -> &Account {
        self.slab.get(at)
    }

    pub(super) fn get_mut(&mut self, at: AccountIndex) -> &mut Account {
        self.slab.get_mut(at)
    }

    /// Gives an account other limits.
    pub(super) fn set_limits(&mut self, at: AccountIndex, limits: Limits) {
        self.resize(at, |account| account.set_limits(limits));
    }

    /// Counts what an account lost, or won back if it is below zero.
    pub(super) fn book_loss(&mut self, at: AccountIndex, minor: i64, now: UnixMillis) {
        self.resize(at, |account| account.book_loss(minor, now));
    }

    /// So many more of an account's rounds are open, or fewer.
    pub(super) fn count_rounds(&mut self, at: AccountIndex, opened: i32) {
        self.slab.get_mut(at).count_rounds(opened);
        let Some(open) = self.rounds_open.checked_add_signed(opened as isize) else {
            unreachable!("all accounts have as many open rounds as each of them");
        };
        self.rounds_open = open;
    }

    /// Changes what an account owns beside its place in the table.
    fn resize(&mut self, at: AccountIndex, change: impl FnOnce(&mut Account)) {
        let account = self.slab.get_mut(at);
        let before = account.heap_bytes();
        change(account);
        self.heap_bytes = self.heap_bytes + account.heap_bytes() - before;
    }

    /// Adds an account whose id is new.
    pub(super) fn insert(&mut self, account: Account) -> AccountIndex {
        self.heap_bytes += account.heap_bytes();
        let Some(at) = self.slab.insert(account) else {
            // 4 billion accounts of 80 bytes are 340 GB on one shard: memory ends first.
            unreachable!("more than 2^32 accounts on one shard");
        };
        let slab = &self.slab;
        self.by_id.insert(at, |at| &slab.get(at).id);
        at
    }

    /// All of them, in the order of their opening: none is ever taken out.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.slab.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// How many rounds of theirs are open.
    pub(super) fn rounds_open(&self) -> usize {
        self.rounds_open
    }

    /// The memory that they take.
    pub(super) fn bytes(&self) -> usize {
        self.slab.bytes() + self.by_id.bytes() + self.heap_bytes
    }

    /// What [`Accounts::bytes`] keeps count of, added up anew.
    #[cfg(test)]
    pub(super) fn assert_counted(&self) {
        let heap_bytes = self.iter().map(Account::heap_bytes).sum();
        assert_eq!(self.heap_bytes, heap_bytes);
        let open = self
            .iter()
            .map(|account| account.open_rounds as usize)
            .sum();
        assert_eq!(self.rounds_open, open);
    }
}
