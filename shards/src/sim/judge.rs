//! The model beside each shard: it says what every command must be answered, in the
//! order in which the shard decides them, and what recovery must bring back.

use super::effect::Verdict;
use super::model::Model;
use crate::ledger::{Command, Decision, Ledger, LedgerSettings, Outcome};
use crate::types::{Lsn, UnixMillis};

/// A decision that was posted.
struct Posted {
    lsn: Lsn,
    now: UnixMillis,
    command: Command,
    outcome: Outcome,
}

/// One shard's.
pub(super) struct Judge {
    settings: LedgerSettings,
    model: Model,
    journal: Vec<Posted>,
}

impl Judge {
    pub(super) fn new(settings: LedgerSettings) -> Self {
        Self {
            settings,
            model: Model::new(&settings),
            journal: Vec::new(),
        }
    }

    /// The shard has decided.
    pub(super) fn decided(
        &mut self,
        command: &Command,
        now: UnixMillis,
        outcome: &Outcome,
        posted: Option<Lsn>,
    ) -> Verdict {
        self.model
            .judge(command, now, outcome, posted)
            .map_err(|why| format!("model: {command:?}: {why}"))?;
        self.journal.extend(posted.map(|lsn| Posted {
            lsn,
            now,
            command: command.clone(),
            outcome: outcome.clone(),
        }));
        Ok(())
    }

    /// The shard came back with everything up to an LSN, and nothing behind it.
    pub(super) fn recovered(&mut self, found: Lsn) -> Verdict {
        let mut replayed = Self::new(self.settings);
        for posted in self.journal.drain(..).filter(|posted| posted.lsn <= found) {
            let Posted {
                lsn,
                now,
                command,
                outcome,
            } = posted;
            replayed.decided(&command, now, &outcome, Some(lsn))?;
        }
        *self = replayed;
        Ok(())
    }

    /// Judges all of a ledger: its accounts, sessions and books, and what it would answer
    /// if everything came again.
    pub(super) fn audit(&self, ledger: &Ledger, now: UnixMillis) -> Verdict {
        let (books, expected) = (ledger.books(), self.model.books());
        if books.len() != expected.len() || expected.iter().any(|book| !books.contains(book)) {
            return Err(format!("model: books {books:?} instead of {expected:?}"));
        }
        let next = self.journal.last().map_or(Lsn::NONE, |posted| posted.lsn);
        let again = self.journal.iter().map(|posted| posted.command.clone());
        for command in self.model.reads().into_iter().chain(again) {
            let (outcome, posted) = match ledger.decide(&command, now) {
                Decision::Answer { outcome, .. } => (outcome, None),
                Decision::Post(_, outcome) => (outcome, Some(next.next())),
            };
            self.model
                .check(&command, now, &outcome, posted)
                .map_err(|why| format!("model, recovered: {command:?}: {why}"))?;
        }
        Ok(())
    }
}
