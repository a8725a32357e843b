//! Sessions and session tokens (protocol.md section 6).

use super::account::AccountIndex;
use super::session::NewSession;
use super::{
    Change, Decision, Facts, Ledger, Outcome, Posting, RefusalReason, SESSIONS_PER_ACCOUNT_MAX,
    SessionFacts,
};
use crate::types::{AccountId, CountryCode, Lsn, SessionKey, SessionToken, UnixMillis};

impl Ledger {
    pub(super) fn read_session(&self, key: SessionKey, now: UnixMillis) -> Decision {
        let Some(at) = self.sessions.find(key) else {
            return self.refuse_unknown_session();
        };
        Decision::Answer {
            outcome: Outcome::Accepted(Facts::Session(self.session_facts(at, now))),
            rests_on: self.accounts.get(self.sessions.get(at).account).last_lsn,
        }
    }

    pub(super) fn read_latest_session(&self, id: &AccountId, now: UnixMillis) -> Decision {
        let Some(at) = self.accounts.find(id) else {
            return Decision::refuse_unknown_account();
        };
        let account = self.accounts.get(at);
        match account
            .latest_session
            .filter(|&at| self.sessions.get(at).is_live(now))
        {
            None => Decision::refuse(RefusalReason::NoLiveSession, account),
            Some(session) => Decision::Answer {
                outcome: Outcome::Accepted(Facts::Session(self.session_facts(session, now))),
                rests_on: account.last_lsn,
            },
        }
    }

    /// A token is spent once; a logged-out session's token too.
    pub(super) fn decide_spend_token(
        &self,
        token: SessionToken,
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Decision {
        let Some(at) = self.sessions.find(token.key) else {
            return self.refuse_unknown_session();
        };
        let session = self.sessions.get(at);
        let account = self.accounts.get(session.account);
        // By the clock that forgets, not by that of whoever built the command and may
        // have waited since.
        if expires_at <= now {
            return Decision::refuse(RefusalReason::TokenExpired, account);
        }
        if session.has_spent(token.issued_at) {
            return Decision::refuse(RefusalReason::TokenSpent, account);
        }
        if !session.has_room_to_spend(now) {
            return Decision::refuse(RefusalReason::TooManyTokens, account);
        }
        Decision::Post(
            Posting {
                at: now,
                account: account.id.clone(),
                change: Change::TokenSpent {
                    key: token.key,
                    issued_at: token.issued_at,
                    expires_at,
                },
                balance_after: account.balance,
            },
            Outcome::Accepted(Facts::Session(self.session_facts(at, now))),
        )
    }

    pub(super) fn decide_open_session(
        &self,
        id: &AccountId,
        key: SessionKey,
        country: CountryCode,
        logout_at: Option<UnixMillis>,
        now: UnixMillis,
    ) -> Decision {
        let Some(at) = self.accounts.find(id) else {
            return Decision::refuse_unknown_account();
        };
        // 108 random bits: the same key again is this very command again.
        if let Some(at) = self.sessions.find(key) {
            let owner = self.accounts.get(self.sessions.get(at).account);
            return Decision::Answer {
                outcome: Outcome::Repeated(Facts::Session(self.session_facts(at, now))),
                rests_on: owner.last_lsn,
            };
        }
        let account = self.accounts.get(at);
        let facts = SessionFacts {
            key,
            account: id.clone(),
            currency: account.currency,
            country,
            created_at: now,
            logout_at,
            live: logout_at.is_none_or(|logout_at| now < logout_at),
        };
        Decision::Post(
            Posting {
                at: now,
                account: id.clone(),
                change: Change::SessionOpened {
                    key,
                    country,
                    logout_at,
                },
                balance_after: account.balance,
            },
            Outcome::Accepted(Facts::Session(facts)),
        )
    }

    /// Ends a session now; one that has ended stays as it was.
    pub(super) fn decide_log_out(&self, key: SessionKey, now: UnixMillis) -> Decision {
        let Some(at) = self.sessions.find(key) else {
            return self.refuse_unknown_session();
        };
        let session = self.sessions.get(at);
        let account = self.accounts.get(session.account);
        let mut facts = self.session_facts(at, now);
        if !session.is_live(now) {
            return Decision::Answer {
                outcome: Outcome::Repeated(Facts::Session(facts)),
                rests_on: account.last_lsn,
            };
        }
        facts.logout_at = Some(now);
        facts.live = false;
        Decision::Post(
            Posting {
                at: now,
                account: account.id.clone(),
                change: Change::SessionLoggedOut { key },
                balance_after: account.balance,
            },
            Outcome::Accepted(Facts::Session(facts)),
        )
    }

    pub(super) fn apply_session(
        &mut self,
        at: AccountIndex,
        lsn: Lsn,
        key: SessionKey,
        country: CountryCode,
        logout_at: Option<UnixMillis>,
        created_at: UnixMillis,
    ) {
        let account = self.accounts.get_mut(at);
        let older = account.latest_session;
        let session = self.sessions.insert(NewSession {
            key,
            account: at,
            country,
            created_at,
            logout_at,
            older,
        });
        account.latest_session = Some(session);
        if account.sessions == SESSIONS_PER_ACCOUNT_MAX {
            self.sessions.forget_oldest(session);
            self.session_forgotten_lsn = lsn;
        } else {
            account.sessions += 1;
        }
    }

    pub(super) fn apply_log_out(&mut self, key: SessionKey, at: UnixMillis) {
        if let Some(session) = self.sessions.find(key) {
            self.sessions.get_mut(session).log_out(at);
        }
    }

    pub(super) fn apply_spent(
        &mut self,
        key: SessionKey,
        issued_at: UnixMillis,
        expires_at: UnixMillis,
        at: UnixMillis,
    ) {
        if let Some(session) = self.sessions.find(key) {
            self.sessions.spend(session, issued_at, expires_at, at);
        }
    }
}
