//! A ledger that is driven as a shard drives it, and what is judged at every step.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use shards::ledger::{AnswerAlert, Command, Decision, Ledger, Outcome};
use shards::sim::model::Model;
use shards::types::{AccountId, Lsn, Text, UnixMillis};

use super::canary::Canary;
use super::sequence::{Sequence, Step};
use super::words;

/// One in so many pauses of a busy wallet is filled with what others do: an eighth of them
/// is more than memory has windows, so that much is forgotten.
const BUSY_EVERY: usize = 8;

/// Where a sequence went wrong, and how.
pub(crate) struct Failure {
    pub(crate) step: usize,
    pub(crate) what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.what)
    }
}

/// What the wallet said, and where its posting stands.
pub(crate) type Answer = Result<(Outcome, Option<Lsn>), String>;

/// A ledger, and a second one that is only given the postings.
pub(crate) struct Wallet {
    ledger: Ledger,
    recovered: Ledger,
    lsn: Lsn,
}

impl Wallet {
    fn new(sequence: &Sequence) -> Self {
        Self {
            ledger: Ledger::new(sequence.settings),
            recovered: Ledger::new(sequence.settings),
            lsn: Lsn::NONE,
        }
    }

    /// Time in which others play, so that memory grows older: by a window of it at most,
    /// which is as many steps of its age. What they do shows nowhere.
    fn pass(
        &mut self,
        accounts: &[AccountId],
        from: UnixMillis,
        to: UnixMillis,
    ) -> Result<(), String> {
        const STEPS: i64 = 64;
        let Some(account) = accounts
            .iter()
            .find(|account| self.has((*account).clone(), to))
        else {
            return Ok(());
        };
        let nothing = || Text::parse("").ok_or("an empty text");
        let alert = Command::AnswerAlert(Box::new(AnswerAlert {
            account: account.clone(),
            source: nothing()?,
            action_id: nothing()?,
            action_reference: nothing()?,
            reference: nothing()?,
            regulator_code: nothing()?,
            kind: nothing()?,
            method: nothing()?,
            data: nothing()?,
        }));
        for step in 1..STEPS {
            let now = UnixMillis(from.0 + (to.0 - from.0) * step / STEPS);
            self.submit(&alert, now)?;
        }
        Ok(())
    }

    fn has(&self, account: AccountId, now: UnixMillis) -> bool {
        let read = self.decide(&Command::ReadBalance { account }, now);
        matches!(
            read,
            Decision::Answer {
                outcome: Outcome::Accepted(_),
                ..
            }
        )
    }

    /// Decides and carries out, as `Shard::submit` does.
    pub(crate) fn submit(&mut self, command: &Command, now: UnixMillis) -> Answer {
        let decision = self.ledger.decide(command, now);
        self.carry_out(decision)
    }

    pub(crate) fn decide(&self, command: &Command, now: UnixMillis) -> Decision {
        self.ledger.decide(command, now)
    }

    pub(crate) fn carry_out(&mut self, decision: Decision) -> Answer {
        match decision {
            Decision::Answer { outcome, rests_on } if rests_on <= self.lsn => Ok((outcome, None)),
            Decision::Answer { rests_on, .. } => {
                Err(format!("rests on {rests_on}, which is not there"))
            }
            Decision::Post(posting, outcome) => {
                self.lsn = self.lsn.next();
                let fits = self.recovered.try_apply(self.lsn, &posting);
                fits.map_err(|misfit| format!("recovery would refuse {posting:?}: {misfit}"))?;
                self.ledger.apply(self.lsn, &posting);
                Ok((outcome, Some(self.lsn)))
            }
        }
    }
}

/// How often each kind of command was answered in each way.
pub(crate) type Tally = BTreeMap<String, u64>;

/// Runs a sequence from its first step to its last.
pub(crate) fn run(sequence: &Sequence, canary: Option<Canary>) -> Result<Tally, Failure> {
    let mut wallet = Wallet::new(sequence);
    let mut model = Model::new(&sequence.settings);
    let mut tally = Tally::new();
    for (number, step) in sequence.steps.iter().enumerate() {
        let last = number + 1 == sequence.steps.len();
        let went = catch_unwind(AssertUnwindSafe(|| {
            let Step { now, command } = step;
            if sequence.is_busy && number % BUSY_EVERY == BUSY_EVERY - 1 {
                let before = sequence.steps[number - 1].now;
                wallet.pass(&sequence.accounts, before, *now)?;
            }
            let answer = match canary {
                Some(canary) => canary.submit(&mut wallet, command, *now),
                None => wallet.submit(command, *now),
            };
            let (outcome, posted) = answer?;
            model.judge(command, *now, &outcome, posted)?;
            *tally.entry(words::answer(command, &outcome)).or_default() += 1;
            check_books(&wallet.ledger, &model)?;
            for account in &sequence.accounts {
                let account = account.clone();
                check_read(
                    &wallet.ledger,
                    &model,
                    &Command::ReadAccount { account },
                    *now,
                )?;
            }
            if !last {
                return Ok(());
            }
            check_books(&wallet.recovered, &model)?;
            for read in model.reads() {
                check_read(&wallet.ledger, &model, &read, *now)?;
                check_read(&wallet.recovered, &model, &read, *now)
                    .map_err(|why| format!("recovered: {why}"))?;
            }
            Ok(())
        }));
        let went = went.unwrap_or_else(|_| Err("panic, see above".to_owned()));
        went.map_err(|what| Failure { step: number, what })?;
    }
    Ok(tally)
}

/// Each book sums to zero, and holds what the model holds.
fn check_books(ledger: &Ledger, model: &Model) -> Result<(), String> {
    let (books, expected) = (ledger.books(), model.books());
    let whole = books.len() == expected.len() && expected.iter().all(|b| books.contains(b));
    let sound = books
        .iter()
        .all(|book| book.total() == 0 && book.player_cash >= 0 && book.player_bonus >= 0);
    match whole && sound {
        true => Ok(()),
        false => Err(format!("books {books:?}; right would be {expected:?}")),
    }
}

fn check_read(
    ledger: &Ledger,
    model: &Model,
    read: &Command,
    now: UnixMillis,
) -> Result<(), String> {
    match ledger.decide(read, now) {
        Decision::Answer { outcome, .. } => model
            .check(read, now, &outcome, None)
            .map_err(|why| format!("then {read:?}: {why}")),
        Decision::Post(..) => Err(format!("a read books: {read:?}")),
    }
}
