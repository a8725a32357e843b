//! The oracle: judges every answer as an outsider could, without the ledger's code.
//!
//! It sees requests leave and answers come, and knows the promises of protocol.md
//! section 8 and reliability.md: definitive answers to one id agree, what was told is
//! never lost, nothing is applied twice, and every balance shown is possible, stays in
//! all later ones, and fits into one order of bookings with all others.

use std::collections::BTreeMap;

use super::account::AccountView;
use super::effect::{Effect, Verdict};
use super::players::Players;
use super::session::SessionView;
use crate::Unavailable;
use crate::ledger::{AccountFacts, Command, Facts, Funds, Outcome, RefusalReason, SessionFacts};
use crate::types::{AccountId, Balance, SessionKey};

#[derive(Default)]
pub(super) struct Oracle {
    now: u64,
    accounts: BTreeMap<String, AccountView>,
    sessions: BTreeMap<u128, SessionView>,
    tokens: BTreeMap<(u128, i64), (Effect, Option<Command>)>,
    /// Accounts that play; all others only save.
    players: Players,
}

impl Oracle {
    /// A request leaves; the number tells its answer when that was.
    pub(super) fn asked(&mut self, command: &Command) -> u64 {
        self.now += 1;
        self.players.asked(command);
        if self.players.are_meant(command) {
            return self.now;
        }
        if let Command::ImportAccount {
            account,
            session: Some(key),
            ..
        }
        | Command::OpenSession { account, key, .. } = command
        {
            self.session(*key).account = account.to_string();
        }
        // Trying is never wrong.
        let _ = self.each_effect(command, |effect| {
            effect.tried();
            Ok(())
        });
        self.now
    }

    /// An answer came to a request that left at `asked_at`.
    pub(super) fn answered(
        &mut self,
        command: &Command,
        asked_at: u64,
        result: &Result<Outcome, Unavailable>,
    ) -> Verdict {
        self.now += 1;
        match result {
            Err(Unavailable::NoAnswer) => Ok(()),
            Err(Unavailable::DiskFull | Unavailable::MemoryFull) if is_read(command) => {
                Err("a full disk or memory refuses a read".to_owned())
            }
            _ if self.players.are_meant(command) => {
                self.players.answered(command, asked_at, self.now, result)
            }
            Err(_) => self.each_effect(command, Effect::refute),
            Ok(outcome) => self.judge(command, asked_at, outcome),
        }
        .map_err(|why| format!("{why}\n  asked:  {command:?}\n  answer: {result:?}"))
    }

    /// What was proven to be done: a ledger must not decide to do it again.
    pub(super) fn done(&self) -> impl Iterator<Item = &Command> {
        let tokens = self.tokens.values().filter(|(spent, _)| spent.is_proven());
        let deposits = self.accounts.values().flat_map(AccountView::done);
        deposits
            .chain(tokens.filter_map(|(_, command)| command.as_ref()))
            .chain(self.players.done())
    }

    /// Reads that together show everything.
    pub(super) fn reads(&self) -> Vec<Command> {
        let accounts = self.accounts.keys().filter_map(|id| {
            let account = AccountId::parse(id)?;
            Some(Command::ReadAccount { account })
        });
        let sessions = self.sessions.keys().map(|bits| Command::ReadSession {
            key: SessionKey::from_bits(*bits),
        });
        accounts
            .chain(sessions)
            .chain(self.players.reads())
            .collect()
    }

    /// The last balance of an account, when nobody waits for anything.
    pub(super) fn settle(&self, account: &AccountId, balance: Balance) -> Verdict {
        match self.accounts.contains_key(account.as_str()) {
            // Each balance was judged when it was read.
            true => Ok(()),
            false => self.players.settle(account, balance),
        }
    }

    fn account(&mut self, id: &AccountId) -> &mut AccountView {
        self.accounts.entry(id.to_string()).or_default()
    }

    fn session(&mut self, key: SessionKey) -> &mut SessionView {
        self.sessions.entry(key.bits()).or_default()
    }

    /// Everything that a command would do.
    fn each_effect(
        &mut self,
        command: &Command,
        mut each: impl FnMut(&mut Effect) -> Verdict,
    ) -> Verdict {
        match command {
            Command::OpenAccount { account, .. } => each(&mut self.account(account).opening),
            Command::ImportAccount {
                account,
                balance,
                session,
                ..
            } => {
                let view = self.account(account);
                each(&mut view.opening)?;
                each(view.content(command, balance.cash.minor()))?;
                session.map_or(Ok(()), |key| each(&mut self.session(key).opened))
            }
            Command::Deposit {
                account, amount, ..
            } => each(self.account(account).content(command, amount.minor())),
            Command::OpenSession { key, .. } => each(&mut self.session(*key).opened),
            Command::LogOutSession { key } => each(&mut self.session(*key).ended),
            Command::SpendToken { token, .. } => {
                let id = (token.key.bits(), token.issued_at.0);
                let (effect, known) = self.tokens.entry(id).or_default();
                known.get_or_insert_with(|| command.clone());
                each(effect)
            }
            Command::ReadBalance { .. }
            | Command::ReadAccount { .. }
            | Command::ReadSession { .. }
            | Command::ReadLatestSession { .. } => Ok(()),
            _ => Ok(()),
        }
    }

    fn judge(&mut self, command: &Command, asked_at: u64, outcome: &Outcome) -> Verdict {
        let now = self.now;
        // Whatever an answer shows is judged first, then what it says of its command.
        let (holds, reason) = self.judge_facts(command, asked_at, outcome)?;
        match (reason, command) {
            (Some(RefusalReason::AccountNotFound), _) => {
                let (Command::ReadBalance { account }
                | Command::ReadAccount { account }
                | Command::ReadLatestSession { account }
                | Command::Deposit { account, .. }
                | Command::OpenSession { account, .. }) = command
                else {
                    return Err("a refusal of another command".to_owned());
                };
                self.account(account).opening.absent(asked_at)?;
                return self.each_effect(command, Effect::refute);
            }
            (Some(RefusalReason::SessionNotFound), _) => {
                let (Command::ReadSession { key } | Command::LogOutSession { key }) = command
                else {
                    let Command::SpendToken { token, .. } = command else {
                        return Err("a refusal of another command".to_owned());
                    };
                    self.session(token.key).opened.absent(asked_at)?;
                    return self.each_effect(command, Effect::refute);
                };
                self.session(*key).opened.absent(asked_at)?;
                return self.each_effect(command, Effect::refute);
            }
            _ => {}
        }
        match (command, outcome, reason) {
            (
                Command::Deposit {
                    account,
                    transaction,
                    amount,
                    ..
                },
                _,
                _,
            ) => {
                let view = self.account(account);
                let (own, other) = view.holds(holds, transaction.as_str(), amount.minor());
                let effect = view.content(command, amount.minor());
                match (outcome, reason) {
                    (Outcome::Accepted(_), _) if own => effect.accept(asked_at, now),
                    (Outcome::Repeated(_), _) if own => effect.refute(),
                    (_, Some(RefusalReason::TransactionIdReused)) if other && !own => {
                        effect.refute()
                    }
                    _ => Err("the answer and its balance disagree".to_owned()),
                }
            }
            (
                Command::ImportAccount { session, .. },
                Outcome::Repeated(Facts::Account(facts)),
                _,
            ) => {
                let key = *session;
                // A key that an earlier try brought is not opened a second time, even
                // if it is no longer the latest.
                let is_new = key.is_some_and(|key| self.session(key).opened.was_tried_once());
                if is_new && facts.live_session.is_none() {
                    return Err("an import left its account without a session".to_owned());
                }
                let by_this = key.is_some() && facts.live_session == key;
                let opened = key.map(|key| self.session(key).opened.is_proven());
                self.each_effect_but_session(command, by_this || opened == Some(true))
            }
            (
                Command::ImportAccount { session, .. },
                Outcome::Accepted(Facts::Account(facts)),
                _,
            ) if facts.live_session == *session => {
                self.accept_but_session(command, asked_at, holds)
            }
            (Command::SpendToken { token, .. }, _, Some(RefusalReason::TokenSpent)) => {
                let id = (token.key.bits(), token.issued_at.0);
                let spent = &mut self.tokens.entry(id).or_default().0;
                spent.prove(now)?;
                spent.refute()
            }
            (Command::ReadLatestSession { .. }, _, Some(RefusalReason::NoLiveSession)) => Ok(()),
            (_, _, Some(_)) => Err("a refusal without a reason".to_owned()),
            (_, Outcome::Accepted(_), None) => {
                self.each_effect(command, |effect| effect.accept(asked_at, now))
            }
            (Command::LogOutSession { key }, Outcome::Repeated(_), None) => {
                let ended = &mut self.session(*key).ended;
                ended.prove(now)?;
                ended.refute()
            }
            (_, Outcome::Repeated(_), None) => self.each_effect(command, Effect::refute),
            (_, Outcome::Refused(_), None) => unreachable!("a refusal has a reason"),
        }
    }

    /// A repeated import opens no account; it may have opened its session.
    fn each_effect_but_session(&mut self, command: &Command, maybe_session: bool) -> Verdict {
        let Command::ImportAccount {
            account,
            balance,
            session,
            ..
        } = command
        else {
            unreachable!("asked for imports only");
        };
        let view = self.account(account);
        view.opening.refute()?;
        view.content(command, balance.cash.minor()).refute()?;
        match session {
            Some(key) if !maybe_session => self.session(*key).opened.refute(),
            _ => Ok(()),
        }
    }

    /// An import's session is proven by being shown.
    fn accept_but_session(&mut self, command: &Command, asked_at: u64, holds: u64) -> Verdict {
        let now = self.now;
        let Command::ImportAccount {
            account, balance, ..
        } = command
        else {
            unreachable!("asked for imports only");
        };
        let view = self.account(account);
        if !view.holds(holds, "", balance.cash.minor()).0 {
            return Err("an import without its funds".to_owned());
        }
        view.opening.accept(asked_at, now)?;
        view.content(command, balance.cash.minor())
            .accept(asked_at, now)
    }

    /// Judges what an answer shows; returns the digits of a balance and the reason of a
    /// refusal.
    fn judge_facts(
        &mut self,
        command: &Command,
        asked_at: u64,
        outcome: &Outcome,
    ) -> Result<(u64, Option<RefusalReason>), String> {
        let facts = match outcome {
            Outcome::Accepted(facts) | Outcome::Repeated(facts) => facts,
            Outcome::Refused(refusal) => {
                let holds = match (&refusal.funds, self.account_of(command)) {
                    (Some(funds), Some(id)) => self.funds(&id, funds, asked_at)?,
                    _ => 0,
                };
                return Ok((holds, Some(refusal.reason)));
            }
        };
        let Some(id) = self.account_of(command) else {
            return Err("an answer about an account nobody named".to_owned());
        };
        let holds = match facts {
            Facts::Funds(funds) => self.funds(&id, funds, asked_at)?,
            Facts::Account(facts) if facts.account.as_str() == id => {
                self.account_facts(&id, facts, asked_at)?
            }
            Facts::Session(facts) if facts.account.as_str() == id => {
                let about = match command {
                    Command::ReadSession { key }
                    | Command::LogOutSession { key }
                    | Command::OpenSession { key, .. } => *key,
                    Command::SpendToken { token, .. } => token.key,
                    _ => facts.key,
                };
                if about != facts.key {
                    return Err("another session".to_owned());
                }
                self.session_facts(facts, asked_at)?;
                0
            }
            _ => return Err("another account".to_owned()),
        };
        Ok((holds, None))
    }

    fn account_of(&self, command: &Command) -> Option<String> {
        let key = match command {
            Command::ReadBalance { account }
            | Command::ReadAccount { account }
            | Command::ReadLatestSession { account }
            | Command::OpenAccount { account, .. }
            | Command::ImportAccount { account, .. }
            | Command::Deposit { account, .. }
            | Command::OpenSession { account, .. } => return Some(account.to_string()),
            Command::ReadSession { key } | Command::LogOutSession { key } => *key,
            Command::SpendToken { token, .. } => token.key,
            _ => return None,
        };
        self.sessions.get(&key.bits()).map(|s| s.account.clone())
    }

    fn funds(&mut self, id: &str, funds: &Funds, asked_at: u64) -> Result<u64, String> {
        let now = self.now;
        let view = self.accounts.entry(id.to_owned()).or_default();
        view.shows(funds, asked_at, now)
    }

    fn account_facts(
        &mut self,
        id: &str,
        facts: &AccountFacts,
        asked_at: u64,
    ) -> Result<u64, String> {
        let now = self.now;
        let holds = self.funds(id, &facts.funds, asked_at)?;
        if let Some(view) = self.accounts.get_mut(id) {
            view.shows_facts(facts)?;
        }
        if let Some(key) = facts.live_session {
            let session = self.session(key);
            if session.account != id {
                return Err("another account's session".to_owned());
            }
            session.opened.prove(now)?;
            session.ended.absent(asked_at)?;
        }
        Ok(holds)
    }

    fn session_facts(&mut self, facts: &SessionFacts, asked_at: u64) -> Verdict {
        let now = self.now;
        self.account(&facts.account).opening.prove(now)?;
        self.session(facts.key).shows(facts, asked_at, now)
    }
}

fn is_read(command: &Command) -> bool {
    matches!(
        command,
        Command::ReadBalance { .. }
            | Command::ReadAccount { .. }
            | Command::ReadSession { .. }
            | Command::ReadLatestSession { .. }
            | Command::ReadBooks { .. }
    )
}

#[cfg(test)]
mod tests;
