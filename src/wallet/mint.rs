//! The times of session tokens: no two tokens of a session have the same.
//!
//! A token is its session's key and the millisecond in which it was made (protocol.md
//! section 6), so two of the same millisecond would be one, and where tokens are for one
//! use the second player would be turned away. A token made too soon after another takes
//! the next free millisecond instead; it is redeemed from then on as any other, because a
//! token may be 5 seconds ahead.
//!
//! Any shard makes tokens of any session, whose owner answers reads and knows nothing of
//! tokens. So the shards share one small table of the last times, each cell one atomic
//! number that sessions share by their key's random bits. Nobody waits: the cell of a
//! session changes as often as a player opens a game.

use std::sync::atomic::{AtomicI64, Ordering};

use shards::types::{SessionKey, SessionToken, UnixMillis};

/// 32 KiB: so many that even at 100,000 tokens a second a cell is asked for 24 of its
/// 1,000 milliseconds.
const CELLS: usize = 4_096;

/// A time that is further ahead than this is from before the clock was set back, or one
/// cell was asked for a thousand tokens a second; then the clock's own time is right
/// again. Below the 5 s that a token may be ahead, with room for the clocks of others.
const AHEAD_MS_MAX: i64 = 2_000;

/// The last times of the tokens made, by session; one for all shards of a process.
pub struct TokenMint {
    last_ms: Box<[AtomicI64]>,
}

impl Default for TokenMint {
    fn default() -> Self {
        Self {
            last_ms: (0..CELLS).map(|_| AtomicI64::new(i64::MIN)).collect(),
        }
    }
}

impl std::fmt::Debug for TokenMint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenMint")
    }
}

impl TokenMint {
    /// A token of the session: of this millisecond, or of the next that is free.
    pub(super) fn mint(&self, key: SessionKey, now: UnixMillis) -> SessionToken {
        // The lowest bits of a key are random ones.
        let cell = &self.last_ms[(key.bits() % CELLS as u128) as usize];
        let next = |last: i64| {
            let is_near = last >= now.0 && last - now.0 < AHEAD_MS_MAX;
            if is_near { last + 1 } else { now.0 }
        };
        // The numbers stand for themselves: no other memory is read by what they say.
        let issued_at = match cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
            Some(next(last))
        }) {
            Ok(last) | Err(last) => next(last),
        };
        SessionToken {
            key,
            issued_at: UnixMillis(issued_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use hashbrown::HashSet;
    use shards::types::Slot;

    use super::*;

    fn key(random: u128) -> SessionKey {
        SessionKey::mint(Slot::from_low_bits(9), random)
    }

    fn times(mint: &TokenMint, key: SessionKey, clock: &[i64]) -> Vec<i64> {
        clock
            .iter()
            .map(|&now| mint.mint(key, UnixMillis(now)).issued_at.0)
            .collect()
    }

    #[test]
    fn tokens_of_one_millisecond_take_the_next_ones() {
        let cases: &[(&[i64], &[i64])] = &[
            (&[100, 101, 200], &[100, 101, 200]),
            (&[100, 100, 100, 101, 110], &[100, 101, 102, 103, 110]),
            // A clock that was set back a little, and one that was set back a lot.
            (&[100, 90, 90], &[100, 101, 102]),
            (&[10_000, 100, 100], &[10_000, 100, 101]),
        ];
        for (clock, expected) in cases {
            let mint = TokenMint::default();
            assert_eq!(times(&mint, key(1), clock), *expected, "{clock:?}");
        }
    }

    #[test]
    fn sessions_have_times_of_their_own() {
        let mint = TokenMint::default();
        assert_eq!(times(&mint, key(1), &[100]), [100]);
        assert_eq!(times(&mint, key(2), &[100]), [100]);
    }

    #[test]
    fn no_token_is_further_ahead_than_it_may_be() {
        let mint = TokenMint::default();
        let made = times(&mint, key(1), &[0; 10_000]);
        assert!(made.iter().all(|&ms| (0..=AHEAD_MS_MAX).contains(&ms)));
    }

    #[test]
    fn shards_that_mint_at_once_make_different_tokens() {
        let mint = TokenMint::default();
        let made: Vec<SessionToken> = std::thread::scope(|scope| {
            let shards: Vec<_> = (0..4)
                .map(|_| {
                    let mint = &mint;
                    scope.spawn(move || {
                        let one = |_| mint.mint(key(1), UnixMillis(100));
                        (0..400).map(one).collect::<Vec<_>>()
                    })
                })
                .collect();
            let made = shards.into_iter().flat_map(|shard| shard.join().unwrap());
            made.collect()
        });
        let different: HashSet<SessionToken> = made.iter().copied().collect();
        assert_eq!((made.len(), different.len()), (1_600, 1_600));
    }
}
