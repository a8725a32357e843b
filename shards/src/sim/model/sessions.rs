//! Sessions and tokens (protocol.md section 6).

use super::account::{Account, Session};
use super::expected::{Effect, Possible, Posts, Shown, Told};
use super::{Model, View};
use crate::ledger::{
    Command, RefusalReason, SESSIONS_PER_ACCOUNT_MAX, SPENT_TOKENS_PER_SESSION_MAX, SessionFacts,
};
use crate::types::{CountryCode, SessionKey, SessionToken, UnixMillis};

impl Model {
    pub(super) fn decide_session(&self, command: &Command, now: UnixMillis) -> Vec<Possible> {
        match command {
            Command::ReadSession { key } => self.about_session(*key, now, |view, session| {
                vec![Possible::read(view.session_facts(session))]
            }),
            Command::ReadLatestSession { account } => self.about(account, now, |view| {
                // Only the latest counts, as createtoken has it.
                let latest = view.account.sessions.last();
                match latest.filter(|session| session.is_live(view.now)) {
                    Some(session) => vec![Possible::read(view.session_facts(session))],
                    None => view.refuse(RefusalReason::NoLiveSession),
                }
            }),
            Command::SpendToken { token, expires_at } => {
                self.decide_spend(*token, *expires_at, now)
            }
            Command::OpenSession {
                account,
                key,
                country,
                logout_at,
            } => self.about(account, now, |view| {
                let known = view.account.sessions.iter().find(|s| s.key == *key);
                if let Some(session) = known {
                    return vec![Possible::repeated(view.session_facts(session))];
                }
                let session = view.new_session(*key, *country, *logout_at);
                vec![Possible {
                    told: Told::Accepted(view.session_facts(&session)),
                    posts: Posts::Always,
                    effect: Effect::SessionOpened(account.clone(), session),
                }]
            }),
            Command::LogOutSession { key } => self.about_session(*key, now, |view, session| {
                if !session.is_live(view.now) {
                    return vec![Possible::repeated(view.session_facts(session))];
                }
                let mut ended = session.clone();
                ended.logged_out = true;
                ended.logout_at = Some(now);
                vec![Possible {
                    told: Told::Accepted(view.session_facts(&ended)),
                    posts: Posts::Always,
                    effect: Effect::LoggedOut(*key),
                }]
            }),
            _ => unreachable!("no command about sessions"),
        }
    }

    fn decide_spend(
        &self,
        token: SessionToken,
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Vec<Possible> {
        let Some((account, session)) = self.session(token.key) else {
            // Both are -3 on the wire.
            let mut reasons = vec![RefusalReason::SessionNotFound];
            if now >= expires_at {
                reasons.push(RefusalReason::TokenExpired);
            }
            return vec![Possible::refused_by_any(reasons, None)];
        };
        let view = self.view(account, now);
        let issued_at = token.issued_at.0;
        let spent = session.spent.iter().find(|(at, _)| *at == issued_at);
        let mut reasons = Vec::new();
        if now >= expires_at {
            reasons.push(RefusalReason::TokenExpired);
        }
        if spent.is_some() {
            reasons.push(RefusalReason::TokenSpent);
        }
        let unexpired = session.spent.iter().filter(|(_, until)| *until > now.0);
        if spent.is_none() && unexpired.count() >= SPENT_TOKENS_PER_SESSION_MAX {
            reasons.push(RefusalReason::TooManyTokens);
        }
        let mut possibles = Vec::new();
        // A clock that is set back may make a token live again whose spending was
        // forgotten when it had expired.
        let may_be_forgotten = spent.is_some_and(|(_, until)| self.latest_ms >= *until);
        if reasons.is_empty() || (may_be_forgotten && now < expires_at) {
            possibles.push(Possible {
                told: Told::Accepted(view.session_facts(session)),
                posts: Posts::Always,
                effect: Effect::Spent {
                    key: token.key,
                    issued_at,
                    expires_at: expires_at.0,
                },
            });
        }
        if !reasons.is_empty() {
            possibles.push(Possible::refused_by_any(reasons, view.shown_funds()));
        }
        possibles
    }

    fn about_session(
        &self,
        key: SessionKey,
        now: UnixMillis,
        decide: impl FnOnce(&View<'_>, &Session) -> Vec<Possible>,
    ) -> Vec<Possible> {
        match self.session(key) {
            Some((account, session)) => decide(&self.view(account, now), session),
            None => vec![Possible::refused(RefusalReason::SessionNotFound, None)],
        }
    }
}

impl View<'_> {
    pub(super) fn new_session(
        &self,
        key: SessionKey,
        country: CountryCode,
        logout_at: Option<UnixMillis>,
    ) -> Session {
        Session {
            key,
            country,
            created_at: UnixMillis(self.now),
            logout_at,
            logged_out: false,
            spent: Vec::new(),
        }
    }

    fn session_facts(&self, session: &Session) -> Shown {
        Shown::Session(SessionFacts {
            key: session.key,
            account: self.account.id.clone(),
            currency: self.account.currency,
            country: session.country,
            created_at: session.created_at,
            logout_at: session.logout_at,
            live: session.is_live(self.now),
        })
    }
}

impl Account {
    /// The newest are kept; the oldest becomes unknown.
    pub(super) fn open_session(&mut self, session: Session) {
        self.sessions.push(session);
        if self.sessions.len() > usize::from(SESSIONS_PER_ACCOUNT_MAX) {
            self.sessions.remove(0);
        }
    }
}
