//! What an outsider may conclude of one thing that was asked for: that it may have
//! happened, that it has, or that it has not.
//!
//! Times are the oracle's own count of what it saw. What was proven before a request
//! was sent is known to the request's answer too; of what happened meanwhile, either
//! may be first.

/// What is wrong with an answer, in words.
pub(super) type Verdict = Result<(), String>;

#[derive(Default)]
pub(super) struct Effect {
    tries: u32,
    /// Tries of which an answer said that they changed nothing.
    refuted: u32,
    proven_at: Option<u64>,
    accepted: bool,
}

impl Effect {
    pub(super) fn tried(&mut self) {
        self.tries += 1;
    }

    pub(super) fn was_tried_once(&self) -> bool {
        self.tries == 1
    }

    pub(super) fn is_possible(&self) -> bool {
        self.tries > self.refuted
    }

    pub(super) fn is_proven(&self) -> bool {
        self.proven_at.is_some()
    }

    pub(super) fn was_known(&self, asked_at: u64) -> bool {
        self.proven_at.is_some_and(|proven_at| proven_at < asked_at)
    }

    /// An answer shows that it has happened.
    pub(super) fn prove(&mut self, now: u64) -> Verdict {
        if !self.is_possible() {
            return Err("what nobody booked is shown".to_owned());
        }
        self.proven_at.get_or_insert(now);
        Ok(())
    }

    /// An answer says that its request made it happen.
    pub(super) fn accept(&mut self, asked_at: u64, now: u64) -> Verdict {
        if self.accepted || self.was_known(asked_at) {
            return Err("what was done before is done again".to_owned());
        }
        self.accepted = true;
        self.prove(now)
    }

    /// An answer says that its request did not make it happen.
    pub(super) fn refute(&mut self) -> Verdict {
        self.refuted += 1;
        if self.is_proven() && !self.is_possible() {
            return Err("every try of what was shown is denied".to_owned());
        }
        Ok(())
    }

    /// An answer says that it has not happened.
    pub(super) fn absent(&self, asked_at: u64) -> Verdict {
        if self.was_known(asked_at) {
            return Err("what was shown before is forgotten".to_owned());
        }
        Ok(())
    }
}
