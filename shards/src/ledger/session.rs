//! Sessions: a player at play, known by a key.
//!
//! An account keeps its newest [`SESSIONS_PER_ACCOUNT_MAX`] sessions; opening one
//! more forgets the oldest, which is then an unknown session. The sessions of an
//! account are a list from the newest to the oldest.

use super::account::AccountIndex;
use super::index::{Index, Slab};
use super::{Entry, EntryMisfit, Ledger, SessionEntry, SpentTokenEntry};
use crate::types::{CountryCode, SessionKey, UnixMillis};

/// Sessions an account keeps: a player has a few devices and tabs, and platforms
/// open one per game launch; 32 keeps a day's worth and bounds an account to 2 KiB.
pub const SESSIONS_PER_ACCOUNT_MAX: u8 = 32;

/// Spent tokens a session remembers at a time. Each is remembered for its life and a
/// margin, a minute and a half as a rule, so this is eleven redeems a second.
pub const SPENT_TOKENS_PER_SESSION_MAX: usize = 1_024;

/// Position of a session in its shard.
pub(super) type SessionIndex = u32;

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: SessionKey,
    pub(super) created_at: UnixMillis,
    pub(super) logout_at: Option<UnixMillis>,
    pub(super) account: AccountIndex,
    pub(super) older: Option<SessionIndex>,
    // Most domains never spend tokens, so the memory of it is apart.
    #[expect(
        clippy::box_collection,
        reason = "eight bytes instead of 24 in every session"
    )]
    spent: Option<Box<Vec<SpentToken>>>,
    pub(super) country: CountryCode,
    /// It was ended by a command: a clock that is set back does not revive it.
    logged_out: bool,
}

const _: () = assert!(size_of::<Session>() <= 80);

#[derive(Debug)]
struct SpentToken {
    issued_at: UnixMillis,
    expires_at: UnixMillis,
}

impl Session {
    pub(super) fn is_live(&self, now: UnixMillis) -> bool {
        !self.logged_out && self.logout_at.is_none_or(|logout_at| now < logout_at)
    }

    pub(super) fn log_out(&mut self, at: UnixMillis) {
        self.logged_out = true;
        self.logout_at = Some(at);
    }

    pub(super) fn has_spent(&self, issued_at: UnixMillis) -> bool {
        self.spent
            .iter()
            .flat_map(|spent| spent.iter())
            .any(|token| token.issued_at == issued_at)
    }

    /// Whether another token can be remembered, once those are forgotten whose life is over.
    pub(super) fn has_room_to_spend(&self, now: UnixMillis) -> bool {
        let remembered = self
            .spent
            .iter()
            .flat_map(|spent| spent.iter())
            .filter(|t| t.expires_at > now)
            .count();
        remembered < SPENT_TOKENS_PER_SESSION_MAX
    }

    /// What it owns beside its place in the table, in bytes.
    fn heap_bytes(&self) -> usize {
        self.spent.as_ref().map_or(0, |spent| {
            size_of::<Vec<SpentToken>>() + spent.capacity() * size_of::<SpentToken>()
        })
    }

    fn spend(&mut self, issued_at: UnixMillis, expires_at: UnixMillis, now: UnixMillis) {
        let spent = self.spent.get_or_insert_default();
        spent.retain(|token| token.expires_at > now);
        spent.push(SpentToken {
            issued_at,
            expires_at,
        });
    }

    fn entry(&self) -> SessionEntry {
        SessionEntry {
            key: self.key,
            country: self.country,
            created_at: self.created_at,
            logout_at: self.logout_at,
            logged_out: self.logged_out,
        }
    }

    fn restore_spent(&mut self, token: &SpentTokenEntry) -> Result<(), EntryMisfit> {
        let spent = self.spent.get_or_insert_default();
        if spent.len() == SPENT_TOKENS_PER_SESSION_MAX {
            return Err(EntryMisfit::Impossible("number of spent tokens"));
        }
        spent.push(SpentToken {
            issued_at: token.issued_at,
            expires_at: token.expires_at,
        });
        Ok(())
    }
}

impl Ledger {
    /// Adds a session from a checkpoint, newer than those that its account has.
    pub(super) fn restore_session(
        &mut self,
        account: AccountIndex,
        entry: &SessionEntry,
    ) -> Result<SessionIndex, EntryMisfit> {
        if self.sessions.is_known(entry.key) {
            return Err(EntryMisfit::Twice("session"));
        }
        let owner = self.accounts.get_mut(account);
        if owner.sessions == SESSIONS_PER_ACCOUNT_MAX {
            return Err(EntryMisfit::Impossible("number of sessions"));
        }
        let at = self.sessions.insert(NewSession {
            key: entry.key,
            account,
            country: entry.country,
            created_at: entry.created_at,
            logout_at: entry.logout_at,
            older: owner.latest_session,
        });
        self.sessions.get_mut(at).logged_out = entry.logged_out;
        owner.latest_session = Some(at);
        owner.sessions += 1;
        Ok(at)
    }
}

/// All sessions of a shard.
#[derive(Default)]
pub(super) struct Sessions {
    slab: Slab<Session>,
    by_key: Index,
    /// What they own beside their places in the table.
    heap_bytes: usize,
}

/// What opens a session.
#[derive(Clone, Copy)]
pub(super) struct NewSession {
    pub(super) key: SessionKey,
    pub(super) account: AccountIndex,
    pub(super) country: CountryCode,
    pub(super) created_at: UnixMillis,
    pub(super) logout_at: Option<UnixMillis>,
    pub(super) older: Option<SessionIndex>,
}

impl Sessions {
    pub(super) fn find(&self, key: SessionKey) -> Option<SessionIndex> {
        self.by_key.find(key, |at| self.slab.get(at).key == key)
    }

    pub(super) fn is_known(&self, key: SessionKey) -> bool {
        self.find(key).is_some()
    }

    pub(super) fn get(&self, at: SessionIndex) -> &Session {
        self.slab.get(at)
    }

    pub(super) fn get_mut(&mut self, at: SessionIndex) -> &mut Session {
        self.slab.get_mut(at)
    }

    /// Remembers that a token of a session was spent, for as long as it could be again.
    pub(super) fn spend(
        &mut self,
        at: SessionIndex,
        issued_at: UnixMillis,
        expires_at: UnixMillis,
        now: UnixMillis,
    ) {
        self.resize(at, |session| session.spend(issued_at, expires_at, now));
    }

    /// Remembers a spent token from a checkpoint, in the order in which they were spent.
    pub(super) fn restore_spent(
        &mut self,
        at: SessionIndex,
        token: &SpentTokenEntry,
    ) -> Result<(), EntryMisfit> {
        self.resize(at, |session| session.restore_spent(token))
    }

    /// Changes what a session owns beside its place in the table.
    fn resize<R>(&mut self, at: SessionIndex, change: impl FnOnce(&mut Session) -> R) -> R {
        let session = self.slab.get_mut(at);
        let before = session.heap_bytes();
        let changed = change(session);
        self.heap_bytes = self.heap_bytes + session.heap_bytes() - before;
        changed
    }

    pub(super) fn insert(&mut self, new: NewSession) -> SessionIndex {
        let session = Session {
            key: new.key,
            created_at: new.created_at,
            logout_at: new.logout_at,
            account: new.account,
            older: new.older,
            spent: None,
            country: new.country,
            logged_out: false,
        };
        let Some(at) = self.slab.insert(session) else {
            // 4 billion sessions of 80 bytes are 340 GB on one shard: memory ends first.
            unreachable!("more than 2^32 sessions on one shard");
        };
        let slab = &self.slab;
        self.by_key.insert(at, |at| slab.get(at).key);
        at
    }

    /// Forgets the last session of the list that starts at `newest`.
    pub(super) fn forget_oldest(&mut self, newest: SessionIndex) {
        let mut at = newest;
        while let Some(oldest) = self.get(at).older {
            if self.get(oldest).older.is_none() {
                self.get_mut(at).older = None;
                let key = self.get(oldest).key;
                self.by_key.remove(oldest, key);
                self.resize(oldest, |session| session.spent = None);
                self.slab.release(oldest);
                return;
            }
            at = oldest;
        }
    }

    /// The list that starts at `newest`, from the oldest on.
    pub(super) fn entries<E>(
        &self,
        newest: Option<SessionIndex>,
        each: &mut dyn FnMut(Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        let older = |at: &SessionIndex| self.get(*at).older;
        let list: Vec<_> = std::iter::successors(newest, older).collect();
        for session in list.into_iter().rev().map(|at| self.get(at)) {
            each(Entry::Session(session.entry()))?;
            for token in session.spent.iter().flat_map(|spent| spent.iter()) {
                each(Entry::SpentToken(SpentTokenEntry {
                    issued_at: token.issued_at,
                    expires_at: token.expires_at,
                }))?;
            }
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The memory that they take.
    pub(super) fn bytes(&self) -> usize {
        self.slab.bytes() + self.by_key.bytes() + self.heap_bytes
    }

    /// What [`Sessions::bytes`] keeps count of, added up anew.
    #[cfg(test)]
    pub(super) fn assert_counted(&self) {
        let heap_bytes = self.slab.iter().map(Session::heap_bytes).sum();
        assert_eq!(self.heap_bytes, heap_bytes);
    }
}
