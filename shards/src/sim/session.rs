//! What an outsider may conclude of one session.

use super::effect::{Effect, Verdict};
use crate::ledger::SessionFacts;
use crate::types::UnixMillis;

#[derive(Default)]
pub(super) struct SessionView {
    /// By whom it was asked for.
    pub(super) account: String,
    pub(super) opened: Effect,
    pub(super) ended: Effect,
    created_at: Option<UnixMillis>,
    ended_at: Option<UnixMillis>,
}

impl SessionView {
    /// An answer shows the session.
    pub(super) fn shows(&mut self, facts: &SessionFacts, asked_at: u64, now: u64) -> Verdict {
        self.opened.prove(now)?;
        if *self.created_at.get_or_insert(facts.created_at) != facts.created_at {
            return Err("a session's creation changed".to_owned());
        }
        if facts.live {
            if facts.logout_at.is_some() {
                return Err("a live session that has ended".to_owned());
            }
            return self.ended.absent(asked_at);
        }
        let Some(ended_at) = facts.logout_at else {
            return Err("a session ended at no time".to_owned());
        };
        if *self.ended_at.get_or_insert(ended_at) != ended_at {
            return Err("a session ended twice".to_owned());
        }
        self.ended.prove(now)
    }
}
