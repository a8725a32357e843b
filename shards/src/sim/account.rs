//! What an outsider may conclude of one account's money.
//!
//! Every amount put into an account is a power of four of its own, so a balance shows
//! exactly which of them it holds: a digit 1 is one booking, a digit 2 the same booking
//! twice. Nothing ever leaves, so of two balances one holds all that the other holds.

use std::collections::BTreeMap;

use super::effect::{Effect, Verdict};
use crate::ledger::{AccountFacts, Command, Funds};
use crate::types::{CountryCode, UnixMillis};

/// Powers of four that fit into a balance together: their sum is below 2^63.
pub(super) const DIGITS: u32 = 32;

/// The amount of a digit in minor units.
pub(super) fn digit_amount(digit: u32) -> i64 {
    1 << (2 * digit)
}

/// The digit of such an amount.
fn digit_of(minor: i64) -> u32 {
    minor.trailing_zeros() / 2
}

/// One amount that was to be put in.
struct Content {
    effect: Effect,
    command: Command,
    /// Bonus funds that come with it.
    bonus: i64,
}

#[derive(Default)]
pub(super) struct AccountView {
    pub(super) opening: Effect,
    contents: BTreeMap<u32, Content>,
    /// The digits of which at most one can be there: of one transaction id, and, under
    /// the empty id, those that accounts are imported with.
    rivals: BTreeMap<String, u64>,
    /// Every balance shown, by how many digits it had.
    shown: BTreeMap<u32, u64>,
    facts: Option<(CountryCode, UnixMillis)>,
}

impl AccountView {
    /// The effect of putting `minor` in by a command, which is remembered.
    pub(super) fn content(&mut self, command: &Command, minor: i64) -> &mut Effect {
        let digit = digit_of(minor);
        let (rival_id, bonus) = match command {
            Command::Deposit { transaction, .. } => (transaction.as_str(), 0),
            Command::ImportAccount { balance, .. } => ("", balance.bonus.minor()),
            _ => unreachable!("no other command brings money"),
        };
        *self.rivals.entry(rival_id.to_owned()).or_default() |= 1 << digit;
        let content = self.contents.entry(digit).or_insert_with(|| Content {
            effect: Effect::default(),
            command: command.clone(),
            bonus,
        });
        &mut content.effect
    }

    /// Whether a balance holds this very amount, or else one with the same id.
    pub(super) fn holds(&self, balance: u64, transaction: &str, minor: i64) -> (bool, bool) {
        let own = 1 << digit_of(minor);
        let rivals = self.rivals.get(transaction).copied().unwrap_or_default();
        (balance & own != 0, balance & rivals & !own != 0)
    }

    /// Commands that were carried out and must not be again.
    pub(super) fn done(&self) -> impl Iterator<Item = &Command> {
        let proven = |content: &&Content| content.effect.is_proven();
        self.contents.values().filter(proven).map(|c| &c.command)
    }

    pub(super) fn shows_facts(&mut self, facts: &AccountFacts) -> Verdict {
        let shown = (facts.country, facts.created_at);
        if *self.facts.get_or_insert(shown) != shown {
            return Err(format!("country or creation changed: {facts:?}"));
        }
        Ok(())
    }

    /// Judges a balance, and returns its digits.
    pub(super) fn shows(&mut self, funds: &Funds, asked_at: u64, now: u64) -> Result<u64, String> {
        self.opening.prove(now)?;
        let cash = funds.balance.cash.minor();
        let mut holds = 0;
        let mut bonus = 0;
        for digit in 0..DIGITS {
            match (cash >> (2 * digit)) & 3 {
                0 => continue,
                1 => holds |= 1u64 << digit,
                _ => return Err(format!("booked twice: digit {digit} of balance {cash}")),
            }
            let Some(content) = self.contents.get_mut(&digit) else {
                return Err(format!("never asked for: digit {digit} of balance {cash}"));
            };
            content
                .effect
                .prove(now)
                .map_err(|why| format!("{why}: digit {digit} of balance {cash}"))?;
            bonus += content.bonus;
        }
        if funds.balance.bonus.minor() != bonus {
            return Err(format!("bonus {:?} instead of {bonus}", funds.balance));
        }
        for (digit, content) in &self.contents {
            if holds & (1 << digit) == 0 && content.effect.was_known(asked_at) {
                return Err(format!("lost: digit {digit}, balance {cash}"));
            }
        }
        for (id, rivals) in &self.rivals {
            if (holds & rivals).count_ones() > 1 {
                return Err(format!("two bookings of id {id:?} in balance {cash}"));
            }
        }
        self.join_chain(holds)?;
        Ok(holds)
    }

    fn join_chain(&mut self, holds: u64) -> Verdict {
        let count = holds.count_ones();
        let below = self.shown.range(..=count).next_back();
        let above = self.shown.range(count..).next();
        let fits = below.is_none_or(|(_, below)| below & !holds == 0)
            && above.is_none_or(|(_, above)| holds & !above == 0);
        if !fits {
            return Err(format!(
                "no order of bookings gives both {holds:b} and what was shown before"
            ));
        }
        self.shown.insert(count, holds);
        Ok(())
    }
}
