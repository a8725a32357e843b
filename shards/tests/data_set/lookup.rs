//! Postings by their position, while the log is written and folded.

use shards::sim::{Dealer, Random, Taste};
use shards::types::{Lsn, ShardId};
use shards::wal::PostingReader;

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
        assert_eq!(reader.posting(&used.disk, last.next()).unwrap(), None);
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
