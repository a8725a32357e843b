//! The rounds of all accounts, as far as they are remembered.
//!
//! A round is known under a digest of its account and id, from its first bet or award
//! until it was not touched for the idempotency window. Touching it moves it to the
//! newest window. Rounds that are too old are forgotten one by one, a few with each
//! posting, so that the number of open rounds of their accounts follows at once and no
//! posting has to wait for many: until its turn comes, an old round is still known.

use super::account::{AccountIndex, Accounts};
use super::windows::{Remembered, Windows};
use super::{Entry, EntryMisfit, Ledger, RoundEntry};
use crate::types::{Amount, Balance};

/// One round of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Round {
    digest: u128,
    cash_staked: i64,
    bonus_staked: i64,
    pub(super) account: AccountIndex,
    pub(super) is_open: bool,
    /// Winnings were paid, or a loss recorded.
    pub(super) has_result: bool,
}

const _: () = assert!(size_of::<Round>() == 48);

impl Remembered for Round {
    fn digest(&self) -> u128 {
        self.digest
    }
}

impl Round {
    /// What was staked and not rolled back, of cash and of bonus.
    pub(super) fn stakes(&self) -> Balance {
        let amount = |minor| Amount::from_minor(minor).unwrap_or_default();
        Balance {
            cash: amount(self.cash_staked),
            bonus: amount(self.bonus_staked),
        }
    }

    /// Adds a stake. The sums only tell a proportion, and no round of this world has
    /// stakes of 2^63 minor units: so they stay there rather than refuse a bet.
    pub(super) fn add_stake(&mut self, taken: Balance) {
        self.cash_staked = self.cash_staked.saturating_add(taken.cash.minor());
        self.bonus_staked = self.bonus_staked.saturating_add(taken.bonus.minor());
    }

    /// Takes back a stake that was rolled back.
    pub(super) fn remove_stake(&mut self, returned: Balance) {
        let less = |staked: i64, returned: Amount| (staked - returned.minor()).max(0);
        self.cash_staked = less(self.cash_staked, returned.cash);
        self.bonus_staked = less(self.bonus_staked, returned.bonus);
    }
}

impl Ledger {
    /// Remembers a round from a checkpoint in the window that was opened last.
    pub(super) fn restore_round(&mut self, entry: &RoundEntry) -> Result<(), EntryMisfit> {
        let Some(account) = self.accounts.find(&entry.account) else {
            return Err(EntryMisfit::OutOfPlace("round of no account"));
        };
        if self.rounds.find(entry.digest).is_some() {
            return Err(EntryMisfit::Twice("round"));
        }
        self.rounds.windows.restore(Round {
            digest: entry.digest,
            cash_staked: entry.staked.cash.minor(),
            bonus_staked: entry.staked.bonus.minor(),
            account,
            is_open: entry.is_open,
            has_result: entry.has_result,
        })?;
        if entry.is_open {
            self.accounts.count_rounds(account, 1);
        }
        Ok(())
    }
}

/// All rounds of a shard that are still remembered.
#[derive(Default)]
pub(super) struct Rounds {
    windows: Windows<Round>,
}

impl Rounds {
    pub(super) fn find(&self, digest: u128) -> Option<&Round> {
        self.windows.find(digest)
    }

    /// A round that is known, remembered from now on.
    pub(super) fn touch(&mut self, window: i64, digest: u128) -> Option<&mut Round> {
        self.windows.touch(window, digest)
    }

    /// The same; one that is not known begins closed, without stakes or result.
    pub(super) fn touch_or_add(
        &mut self,
        window: i64,
        digest: u128,
        account: AccountIndex,
    ) -> &mut Round {
        self.windows.touch_or_insert(window, digest, || Round {
            digest,
            cash_staked: 0,
            bonus_staked: 0,
            account,
            is_open: false,
            has_result: false,
        })
    }

    /// Forgets one round that is too old.
    pub(super) fn forget_one_before(&mut self, oldest_kept: i64) -> Option<Round> {
        self.windows.forget_one_before(oldest_kept)
    }

    /// Frees some of what forgotten windows have left.
    pub(super) fn tidy_up(&mut self) {
        self.windows.tidy_up();
    }

    /// Every window with what is in it.
    pub(super) fn entries<E>(
        &self,
        accounts: &Accounts,
        each: &mut dyn FnMut(Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        for (number, rounds) in self.windows.iter() {
            each(Entry::RoundWindow { number })?;
            for round in rounds {
                each(Entry::Round(RoundEntry {
                    digest: round.digest,
                    account: accounts.get(round.account).id.clone(),
                    staked: round.stakes(),
                    is_open: round.is_open,
                    has_result: round.has_result,
                }))?;
            }
        }
        Ok(())
    }

    /// Opens a window for rounds from a checkpoint.
    pub(super) fn restore_window(&mut self, number: i64) -> Result<(), EntryMisfit> {
        self.windows.restore_window(number)
    }

    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }

    /// The memory that they take.
    pub(super) fn bytes(&self) -> usize {
        self.windows.bytes()
    }
}
