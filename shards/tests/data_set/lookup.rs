//! Postings by their position, while the log is written and folded.

use shards::sim::{Dealer, Random, Taste};
use shards::types::{Lsn, ShardId};
use shards::wal::{OpenError, PostingReader};

use crate::used::{COMMANDS, LEDGER, kept, used};

/// Every posting is found by its position while the log goes on, in whatever order it is
/// asked for, and none that is not kept any more.
#[test]
fn postings_are_found_by_their_position_while_the_log_goes_on() {
    let mut used = used(5, 1, true);
    let mut reader = PostingReader::new(used.manifest, ShardId(0));
    let mut random = Random::new(9);
    for _ in 0..3 {
        let kept = kept(&used.disk, &used.manifest, ShardId(0));
        let (first, last) = (kept[0].0, kept[kept.len() - 1].0);
        for _ in 0..300 {
            let (lsn, posting) = &kept[random.below(kept.len() as u64) as usize];
            let found = reader.posting(&used.disk, *lsn).unwrap();
            assert_eq!(found.as_ref(), Some(posting), "LSN {lsn}");
        }
        // Nobody was told of such a position.
        let beyond = reader.posting(&used.disk, last.next());
        assert!(matches!(beyond, Err(OpenError::Refused(_))), "{beyond:?}");
        assert_eq!(reader.posting(&used.disk, Lsn(first.0 - 1)).unwrap(), None);
        // More happens, and segments that the reader knows are let go of.
        let mut dealer = Dealer::new(Taste::Plain, 6, &LEDGER);
        for _ in 0..COMMANDS {
            used.now.0 += 1_000;
            let command = dealer.next(&mut random, used.now);
            used.ask(&command);
        }
        used.fold();
    }
}

/// With damage anywhere, a posting that is kept is found as it is or refused; it is never
/// another one, and never said to be kept no more.
#[test]
fn no_flipped_bit_hides_a_posting() {
    let used = used(7, 1, true);
    let kept = kept(&used.disk, &used.manifest, ShardId(0));
    let mut random = Random::new(11);
    let mut refused = 0;
    for path in used.disk.paths() {
        if !path.ends_with(".seg") && !path.ends_with(".past") {
            continue;
        }
        for _ in 0..8 {
            let damaged = used.disk.copy();
            let mut bytes = damaged.contents(&path).unwrap();
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
            damaged.set_contents(&path, &bytes);
            let mut reader = PostingReader::new(used.manifest, ShardId(0));
            for _ in 0..20 {
                let (lsn, posting) = &kept[random.below(kept.len() as u64) as usize];
                match reader.posting(&damaged, *lsn) {
                    Ok(found) => assert_eq!(found.as_ref(), Some(posting), "{path} {at} {lsn}"),
                    Err(OpenError::Refused(_)) => refused += 1,
                    Err(other) => panic!("{path} {at} {lsn}: {other}"),
                }
            }
        }
    }
    assert!(refused > 0, "no damage was met");
}
