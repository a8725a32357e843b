//! Account id → slot → shard: the one place that hashes for routing.
//!
//! The slot of an account is fixed for ever: it decides in which shard's log the
//! account's postings stand, and it is inside every session key. So the hash is a
//! published one (XXH3, 64 bits, seed 0) with test vectors below, and the slot is
//! its low 14 bits. Only the map from slots to shards changes, when the number of
//! shards does.

use crate::types::{AccountId, SessionKey, ShardId, Slot};

/// The slot of an account.
#[must_use]
pub fn slot_of(account: &AccountId) -> Slot {
    let hash = xxhash_rust::xxh3::xxh3_64(account.as_str().as_bytes());
    Slot::from_low_bits((hash & u64::from(Slot::COUNT - 1)) as u16)
}

/// A fresh, unguessable session key for an account, routable to its slot.
///
/// # Errors
/// The system's random source failed.
pub fn mint_session_key(account: &AccountId) -> Result<SessionKey, getrandom::Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    Ok(SessionKey::mint(
        slot_of(account),
        u128::from_le_bytes(random),
    ))
}

/// Which shard owns each slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotMap {
    shards: u16,
}

impl SlotMap {
    /// Spreads the slots evenly: shard `slot × shards / 16,384`.
    ///
    /// # Panics
    /// With no shards, or more shards than slots: configuration refuses both.
    #[must_use]
    pub fn even(shards: u16) -> Self {
        assert!(shards >= 1);
        assert!(shards <= Slot::COUNT);
        Self { shards }
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(self) -> u16 {
        self.shards
    }

    /// The owner of a slot.
    #[must_use]
    pub fn owner(self, slot: Slot) -> ShardId {
        let share = u32::from(slot.index()) * u32::from(self.shards) / u32::from(Slot::COUNT);
        ShardId(share as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These numbers are on disk and in session keys: they must never change.
    #[test]
    fn slots_are_stable_for_ever() {
        let cases = [
            ("demo/player-1", VECTORS[0]),
            ("acme/p1", VECTORS[1]),
            ("a/é", VECTORS[2]),
        ];
        for (id, slot) in cases {
            assert_eq!(
                slot_of(&AccountId::parse(id).unwrap()).index(),
                slot,
                "{id}"
            );
        }
    }

    const VECTORS: [u16; 3] = [10_232, 7_353, 5_241];

    #[test]
    fn a_session_key_routes_like_its_account() {
        let account = AccountId::parse("demo/player-7").unwrap();
        assert_eq!(
            mint_session_key(&account).unwrap().slot(),
            slot_of(&account)
        );
    }

    #[test]
    fn every_shard_owns_an_even_share_of_the_slots() {
        for shards in [1u16, 2, 5, 64, 16_384] {
            let map = SlotMap::even(shards);
            let mut owned = vec![0u32; usize::from(shards)];
            for slot in 0..Slot::COUNT {
                owned[map.owner(Slot::from_low_bits(slot)).index()] += 1;
            }
            let (least, most) = (owned.iter().min().unwrap(), owned.iter().max().unwrap());
            assert!(
                most - least <= 1,
                "{shards} shards: {least} to {most} slots"
            );
        }
    }
}
