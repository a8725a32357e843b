//! Accounts: who they are and what they hold.

use super::index::{Index, Slab};
use super::{AccountFacts, AccountStatus, Funds, Limits, books::BookIndex, session::SessionIndex};
use crate::types::{AccountId, Balance, CountryCode, Currency, Lsn, SessionKey, UnixMillis};

/// One account. A million of these are held per gigabyte or so: mind the size.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) balance: Balance,
    pub(super) created_at: UnixMillis,
    /// The last posting that touched this account or one of its sessions: any
    /// answer about the account rests on it.
    pub(super) last_lsn: Lsn,
    pub(super) latest_session: Option<SessionIndex>,
    pub(super) open_rounds: u32,
    pub(super) currency: Currency,
    pub(super) book: BookIndex,
    pub(super) country: CountryCode,
    pub(super) status: AccountStatus,
    pub(super) sessions: u8,
}

// design.md section 5: at most 200 bytes for an idle account with its session.
// Beside this: 64 of the session and about 20 in the two indices.
const _: () = assert!(size_of::<Account>() <= 96);

impl Account {
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
            limits: Limits::default(),
            last_booking: Lsn::NONE,
            created_at: self.created_at,
            open_rounds: self.open_rounds,
            live_session,
        }
    }
}

/// Position of an account in its shard; stable for the life of the process.
pub(super) type AccountIndex = u32;

/// All accounts of a shard.
#[derive(Default)]
pub(super) struct Accounts {
    slab: Slab<Account>,
    by_id: Index,
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

    /// Adds an account whose id is new.
    pub(super) fn insert(&mut self, account: Account) -> AccountIndex {
        let Some(at) = self.slab.insert(account) else {
            // 4 billion accounts of 80 bytes are 340 GB on one shard: memory ends first.
            unreachable!("more than 2^32 accounts on one shard");
        };
        let slab = &self.slab;
        self.by_id.insert(at, |at| &slab.get(at).id);
        at
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}
