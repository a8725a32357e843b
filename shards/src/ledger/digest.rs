//! Keyed digests that stand for ids: 16 bytes instead of up to 300.
//!
//! The key is random, so nobody can aim for a collision; by chance, two of 10^12 ids
//! collide with probability 10^-15. The top bits of an id's digest are its account's slot,
//! so that whoever lays the data out anew knows where it belongs; ids of one account need
//! only differ in the others. Nothing else goes into a digest than the key and what
//! it stands for, in an order that never changes: digests may outlive a process.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::routing::slot_of;
use crate::types::{AccountId, Amount, GameId, GameRoundId, Slot, TransactionId};

/// What an id belongs to; one transaction id may be used once per kind. The numbers are
/// part of the digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Deposit = 1,
    Withdrawal = 2,
    Bonus = 3,
    Bet = 4,
    Award = 5,
    Rollback = 6,
    Void = 7,
    Credit = 8,
    /// That a bet was rolled back, before or after it came, under the bet's id.
    Reversal = 9,
    /// A round, by its own id.
    Round = 10,
}

/// Begins the digests of contents; no [`Kind`] has this number.
const CONTENTS: u8 = 0;

/// Where the slot stands in the digest of an id.
const SLOT_SHIFT: u32 = u128::BITS - Slot::BITS;

/// The slot of the account whose id this is the digest of.
pub(super) fn slot_of_digest(digest: u128) -> Slot {
    Slot::from_low_bits((digest >> SLOT_SHIFT) as u16)
}

/// Digest of the contents that a repeat must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contents(pub(super) u64);

/// Makes digests under one key.
pub(super) struct Digester {
    secret: [u64; 2],
}

impl Digester {
    pub(super) fn new(secret: [u64; 2]) -> Self {
        Self { secret }
    }

    /// Of an account's transaction.
    pub(super) fn transaction(
        &self,
        account: &AccountId,
        kind: Kind,
        transaction: &TransactionId,
    ) -> u128 {
        self.id(account, kind, transaction.as_str())
    }

    /// Of an account's round.
    pub(super) fn round(&self, account: &AccountId, round: &GameRoundId) -> u128 {
        self.id(account, Kind::Round, round.as_str())
    }

    /// Of contents that are an amount.
    pub(super) fn contents_of_amount(&self, amount: Amount) -> Contents {
        let mut hasher = self.hasher(CONTENTS);
        hasher.write(&amount.minor().to_le_bytes());
        contents(&hasher)
    }

    /// Of contents that are an amount, a round and a game.
    pub(super) fn contents_of_round(
        &self,
        amount: Amount,
        round: &GameRoundId,
        game: &GameId,
    ) -> Contents {
        contents(&self.round_hasher(amount, round, game))
    }

    /// Of the contents of a rollback: beside those, the bet that it names.
    pub(super) fn contents_of_rollback(
        &self,
        amount: Amount,
        round: &GameRoundId,
        game: &GameId,
        bet: &TransactionId,
    ) -> Contents {
        let mut hasher = self.round_hasher(amount, round, game);
        write_text(&mut hasher, bet.as_str());
        contents(&hasher)
    }

    fn round_hasher(&self, amount: Amount, round: &GameRoundId, game: &GameId) -> SipHasher24 {
        let mut hasher = self.hasher(CONTENTS);
        hasher.write(&amount.minor().to_le_bytes());
        write_text(&mut hasher, round.as_str());
        write_text(&mut hasher, game.as_str());
        hasher
    }

    fn id(&self, account: &AccountId, kind: Kind, id: &str) -> u128 {
        let mut hasher = self.hasher(kind as u8);
        write_text(&mut hasher, account.as_str());
        hasher.write(id.as_bytes());
        let slot = u128::from(slot_of(account).index());
        (slot << SLOT_SHIFT) | (hasher.finish128().as_u128() & (u128::MAX >> Slot::BITS))
    }

    fn hasher(&self, begin: u8) -> SipHasher24 {
        let mut hasher = SipHasher24::new_with_keys(self.secret[0], self.secret[1]);
        hasher.write(&[begin]);
        hasher
    }
}

/// A text behind its length, which keeps it apart from what follows.
fn write_text(hasher: &mut SipHasher24, text: &str) {
    hasher.write(&(text.len() as u64).to_le_bytes());
    hasher.write(text.as_bytes());
}

fn contents(hasher: &SipHasher24) -> Contents {
    Contents(hasher.finish128().h1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another digest is another id: everything remembered would be new.
    #[test]
    fn digests_are_these_for_ever() {
        let digester = Digester::new([1, 2]);
        let account = AccountId::parse("acme/p1").unwrap();
        let transaction = TransactionId::parse("d-1").unwrap();
        let round = GameRoundId::parse("r-1").unwrap();
        let game = GameId::parse("g-1").unwrap();
        let amount = Amount::from_minor(100).unwrap();
        let ids = [
            digester.transaction(&account, Kind::Deposit, &transaction),
            digester.transaction(&account, Kind::Bet, &transaction),
            digester.round(&account, &round),
        ];
        assert_eq!(
            ids,
            [
                152_723_731_536_124_572_663_466_723_117_943_614_098,
                152_719_277_709_850_156_019_006_577_224_091_950_548,
                152_735_123_642_828_769_078_867_522_678_367_575_432,
            ]
        );
        assert!(
            ids.iter()
                .all(|id| slot_of_digest(*id) == slot_of(&account))
        );
        let contents = [
            digester.contents_of_amount(amount),
            digester.contents_of_round(amount, &round, &game),
            digester.contents_of_rollback(amount, &round, &game, &transaction),
        ];
        assert_eq!(
            contents.map(|Contents(digest)| digest),
            [
                321_322_677_270_586_571,
                17_802_799_783_223_920_573,
                13_936_836_091_715_782_998,
            ]
        );
    }

    #[test]
    fn texts_do_not_run_into_each_other() {
        let digester = Digester::new([1, 2]);
        let contents = |round: &str, game: &str| {
            let round = GameRoundId::parse(round).unwrap();
            let game = GameId::parse(game).unwrap();
            digester.contents_of_round(Amount::ZERO, &round, &game)
        };
        assert_ne!(contents("ab", "c"), contents("a", "bc"));
        let id = |account: &str, id: &str| {
            let account = AccountId::parse(account).unwrap();
            let id = TransactionId::parse(id).unwrap();
            digester.transaction(&account, Kind::Bet, &id)
        };
        assert_ne!(id("a/bc", "d"), id("a/b", "cd"));
    }
}
