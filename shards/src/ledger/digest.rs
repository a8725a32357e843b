//! Keyed digests that stand for ids: 16 bytes instead of up to 300.
//!
//! The key is random, so nobody can aim for a collision; by chance, two of 10^12 ids
//! collide with probability 10^-15. The top bits of an id's digest are its account's slot,
//! so that whoever lays the data out anew knows where it belongs; ids of one account need
//! only differ in the others. Nothing else goes into a digest than the key and what
//! it stands for, in an order that never changes: digests may outlive a process.

use std::cell::RefCell;

use siphasher::sip128::SipHasher24;

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

/// Digests of late that are not made again: a posting is applied right behind its decision
/// and asks for what that asked for. A rollback asks for the most: its own id and contents,
/// the bet and its contents, the reversal and the round.
const REMEMBERED: usize = 6;

/// Makes digests under one key.
pub(super) struct Digester {
    hasher: SipHasher24,
    late: RefCell<Late>,
}

/// What was digested of late.
#[derive(Default)]
struct Late {
    /// Where the next message is written.
    message: Vec<u8>,
    digests: [Digest; REMEMBERED],
    /// The oldest of them.
    next: usize,
}

#[derive(Default)]
struct Digest {
    /// Empty before its first use, as no message is.
    message: Vec<u8>,
    value: u128,
}

impl Digester {
    pub(super) fn new(secret: [u64; 2]) -> Self {
        Self {
            hasher: SipHasher24::new_with_keys(secret[0], secret[1]),
            late: RefCell::default(),
        }
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
        self.contents(|message| write_amount(message, amount))
    }

    /// Of contents that are an amount, a round and a game.
    pub(super) fn contents_of_round(
        &self,
        amount: Amount,
        round: &GameRoundId,
        game: &GameId,
    ) -> Contents {
        self.contents(|message| write_round(message, amount, round, game))
    }

    /// Of the contents of a rollback: beside those, the bet that it names.
    pub(super) fn contents_of_rollback(
        &self,
        amount: Amount,
        round: &GameRoundId,
        game: &GameId,
        bet: &TransactionId,
    ) -> Contents {
        self.contents(|message| {
            write_round(message, amount, round, game);
            write_text(message, bet.as_str());
        })
    }

    fn contents(&self, write: impl FnOnce(&mut Vec<u8>)) -> Contents {
        let digest = self.digest(CONTENTS, write, |digest| digest);
        Contents(digest as u64)
    }

    fn id(&self, account: &AccountId, kind: Kind, id: &str) -> u128 {
        let write = |message: &mut Vec<u8>| {
            write_text(message, account.as_str());
            message.extend_from_slice(id.as_bytes());
        };
        self.digest(kind as u8, write, |digest| {
            let slot = u128::from(slot_of(account).index());
            (slot << SLOT_SHIFT) | (digest & (u128::MAX >> Slot::BITS))
        })
    }

    /// What `make` makes of the digest of a message, which is always the same.
    fn digest(
        &self,
        begin: u8,
        write: impl FnOnce(&mut Vec<u8>),
        make: impl FnOnce(u128) -> u128,
    ) -> u128 {
        let late = &mut *self.late.borrow_mut();
        late.message.clear();
        late.message.push(begin);
        write(&mut late.message);
        let is_it = |known: &&Digest| known.message == late.message;
        if let Some(known) = late.digests.iter().find(is_it) {
            return known.value;
        }
        let oldest = &mut late.digests[late.next];
        late.next = (late.next + 1) % REMEMBERED;
        // In one piece: a hasher that is fed bit by bit takes three times as long.
        oldest.value = make(self.hasher.hash(&late.message).as_u128());
        std::mem::swap(&mut oldest.message, &mut late.message);
        oldest.value
    }
}

fn write_round(message: &mut Vec<u8>, amount: Amount, round: &GameRoundId, game: &GameId) {
    write_amount(message, amount);
    write_text(message, round.as_str());
    write_text(message, game.as_str());
}

fn write_amount(message: &mut Vec<u8>, amount: Amount) {
    message.extend_from_slice(&amount.minor().to_le_bytes());
}

/// A text behind its length, which keeps it apart from what follows.
fn write_text(message: &mut Vec<u8>, text: &str) {
    message.extend_from_slice(&(text.len() as u64).to_le_bytes());
    message.extend_from_slice(text.as_bytes());
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

    /// More of them than are remembered, in every order of two.
    #[test]
    fn what_is_remembered_is_what_would_be_made() {
        let digester = Digester::new([1, 2]);
        let account = AccountId::parse("acme/p1").unwrap();
        let ids: Vec<_> = (0..2 * REMEMBERED)
            .map(|number| TransactionId::parse(&format!("d-{number}")).unwrap())
            .collect();
        let of = |digester: &Digester, id| digester.transaction(&account, Kind::Bet, id);
        for one in &ids {
            for other in &ids {
                for id in [one, other, one] {
                    assert_eq!(of(&digester, id), of(&Digester::new([1, 2]), id));
                }
            }
        }
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
