//! The rounds of all accounts, as far as they are remembered.
//!
//! A round is known under a digest of its account and id, from its first bet or award
//! until it was not touched for the idempotency window. Touching it moves it to the
//! newest window. Rounds that are too old are forgotten one by one, a few with each
//! posting, so that the number of open rounds of their accounts follows at once and no
//! posting has to wait for many: until its turn comes, an old round is still known.

use super::account::AccountIndex;
use super::windows::{Remembered, Windows};
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

    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }
}
