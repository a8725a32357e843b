//! From what a shard's files hold to its ledger.

use super::sealed::SealedHeader;
use super::visitor::Visitor;
use crate::ledger::{Entry, Ledger, LedgerSettings, Posting, Restoring};
use crate::types::Lsn;

/// Builds a ledger: from the entries of a checkpoint, if there is one, and the postings
/// behind it.
pub struct Rebuild {
    settings: LedgerSettings,
    /// While entries come.
    restoring: Option<Restoring>,
    ledger: Ledger,
}

impl Rebuild {
    /// Begins with an empty ledger.
    #[must_use]
    pub fn new(settings: LedgerSettings) -> Self {
        Self {
            settings,
            restoring: None,
            ledger: Ledger::new(settings),
        }
    }

    /// The ledger, to read.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The ledger.
    #[must_use]
    pub fn into_ledger(self) -> Ledger {
        self.ledger
    }
}

impl Visitor for Rebuild {
    fn entry(&mut self, entry: Entry) -> Result<(), String> {
        let settings = self.settings;
        self.restoring
            .get_or_insert_with(|| Restoring::new(settings))
            .entry(entry)
            .map_err(|misfit| misfit.to_string())
    }

    fn restored(&mut self, _: &SealedHeader) -> Result<(), String> {
        if let Some(restoring) = self.restoring.take() {
            self.ledger = restoring.finish().map_err(|misfit| misfit.to_string())?;
        }
        Ok(())
    }

    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String> {
        let applied = self.ledger.try_apply(lsn, &posting);
        applied.map_err(|misfit| misfit.to_string())
    }

    fn again(&mut self) {
        *self = Self::new(self.settings);
    }
}
