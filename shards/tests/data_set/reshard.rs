//! A data set laid out anew holds what it held: every account, every id, every posting.

use std::collections::BTreeSet;
use std::sync::Arc;

use shards::ledger::{Command, Decision, Entry, Facts, HouseAccount, Outcome, Posting};
use shards::sim::{Dealer, Random, Taste};
use shards::storage::{MemoryDisk, Storage};
use shards::types::{Lsn, Slot, UnixMillis};
use shards::wal::{
    DataSet, DataSetId, Founding, Inventory, Layout, Manifest, Progress, Resharded,
    SEGMENT_BYTES_MIN, derive, reshard, tally,
};

use crate::used::{LEDGER, LOG, Node, SECRET, Used, kept, recovered, used};

/// What a ledger answers, without what may differ: positions in the log.
fn outcome(nodes: &[Node], manifest: &Manifest, command: &Command, now: UnixMillis) -> Outcome {
    let ledger = &nodes[manifest.slot_map.owner(command.slot()).index()].ledger;
    let mut outcome = match ledger.decide(command, now) {
        Decision::Post(_, outcome) | Decision::Answer { outcome, .. } => outcome,
    };
    if let Outcome::Accepted(Facts::Account(facts)) | Outcome::Repeated(Facts::Account(facts)) =
        &mut outcome
    {
        facts.last_booking = Lsn(u64::from(facts.last_booking != Lsn::NONE));
    }
    outcome
}

/// All books of all shards: a line each, in order.
fn totals(nodes: &[Node]) -> Vec<(String, [i128; 2], [i128; HouseAccount::ALL.len()])> {
    let mut totals: Vec<(String, [i128; 2], [i128; HouseAccount::ALL.len()])> = Vec::new();
    for book in nodes.iter().flat_map(|node| node.ledger.books()) {
        assert_eq!(book.total(), 0);
        let name = format!("{} {}", book.domain, book.currency.code());
        let at = totals.iter().position(|(known, ..)| *known == name);
        let at = at.unwrap_or_else(|| {
            totals.push((name, [0; 2], [0; HouseAccount::ALL.len()]));
            totals.len() - 1
        });
        totals[at].1[0] += book.player_cash;
        totals[at].1[1] += book.player_bonus;
        let house = totals[at].2.iter_mut().zip(book.house);
        house.for_each(|(total, minor)| *total += minor);
    }
    totals.sort();
    totals
}

/// Everything that is remembered by a digest; once, though two windows may have it.
fn ids(nodes: &[Node]) -> BTreeSet<u128> {
    let mut ids = BTreeSet::new();
    for node in nodes {
        let Ok(()) = node
            .ledger
            .entries::<std::convert::Infallible>(&mut |entry| {
                if let Entry::Transaction(transaction) = entry {
                    ids.insert(transaction.digest);
                }
                Ok(())
            });
    }
    ids
}

/// Lays a used data set out for another number of shards and compares everything.
fn check(seed: u64, from: u16, to: u16, folds: bool) {
    let case = format!("seed {seed}, {from} to {to} shards");
    let before = used(seed, from, folds);
    let disk = MemoryDisk::default();
    let layout = Layout {
        data_set: DataSetId(8),
        shards: to,
        segment_bytes: SEGMENT_BYTES_MIN,
    };
    let progress = Progress::default();
    let Resharded {
        manifest,
        tally: held,
    } = reshard(&before.disk, &before.manifest, &disk, layout, &progress).unwrap();
    let holds = tally(&disk, &manifest, &progress).unwrap();
    assert_eq!(held.difference(&holds), None, "{case}");
    assert_eq!(held.postings(), before.postings as u64, "{case}");
    assert_eq!(
        held.transactions(),
        ids(&before.nodes).len() as u64,
        "{case}"
    );
    let mut after = Used {
        nodes: recovered(&disk, &manifest),
        disk,
        manifest,
        asked: Vec::new(),
        postings: 0,
        now: before.now,
    };
    let mut postings = 0;
    for node in &after.nodes {
        let inventory = Inventory::of(&after.disk, node.shard).unwrap();
        let progress = Progress::default();
        derive(&after.disk, &manifest, node.shard, &inventory, 1, &progress).unwrap();
        let kept = kept(&after.disk, &manifest, node.shard);
        postings += kept.len();
        chain_holds(node, &kept, &case);
    }
    assert_eq!(postings, before.postings, "{case}: postings kept");
    assert_eq!(totals(&after.nodes), totals(&before.nodes), "{case}");
    assert_eq!(ids(&after.nodes), ids(&before.nodes), "{case}");
    let rounds = |nodes: &[Node]| -> usize {
        let counts = nodes.iter().map(|node| node.ledger.counts());
        counts.map(|of_one| of_one.rounds).sum()
    };
    assert_eq!(rounds(&after.nodes), rounds(&before.nodes), "{case}");
    let answers_agree = |after: &Used, before: &Used| {
        for (command, _) in &before.asked {
            if matches!(command, Command::ReadBooks { .. }) {
                continue;
            }
            assert_eq!(
                outcome(&after.nodes, &after.manifest, command, before.now),
                outcome(&before.nodes, &before.manifest, command, before.now),
                "{case}: {command:?}"
            );
        }
    };
    answers_agree(&after, &before);
    // And both go on alike, over another start of the new one.
    let mut before = before;
    let mut dealer = Dealer::new(Taste::Plain, 6, &LEDGER);
    let mut random = Random::new(seed + 1_000);
    for _ in 0..200 {
        before.now.0 += 1_000;
        after.now = before.now;
        let command = dealer.next(&mut random, before.now);
        before.ask(&command);
        after.ask(&command);
        before.asked.push((command, before.now));
    }
    after.nodes = recovered(&after.disk, &after.manifest);
    answers_agree(&after, &before);
    assert_eq!(totals(&after.nodes), totals(&before.nodes), "{case}");
}

/// The bookings of an account are a chain that begins with its last one.
fn chain_holds(node: &Node, kept: &[(Lsn, Posting)], case: &str) {
    let mut last: Vec<(&str, Lsn)> = Vec::new();
    for (lsn, posting) in kept {
        let Some(previous) = posting.change.previous_booking() else {
            continue;
        };
        let id = posting.account.as_str();
        let known = last.iter_mut().find(|(account, _)| *account == id);
        match known {
            Some((_, before)) => {
                assert_eq!(previous, *before, "{case}: {id} at LSN {lsn}");
                *before = *lsn;
            }
            None => {
                assert_eq!(previous, Lsn::NONE, "{case}: {id} at LSN {lsn}");
                last.push((id, *lsn));
            }
        }
    }
    let Ok(()) = node
        .ledger
        .entries::<std::convert::Infallible>(&mut |entry| {
            if let Entry::Account(account) = entry {
                let id = account.id.as_str();
                let of_log = last.iter().find(|(known, _)| *known == id);
                let expected = of_log.map_or(Lsn::NONE, |(_, lsn)| *lsn);
                assert_eq!(account.last_booking, expected, "{case}: {id}");
            }
            Ok(())
        });
}

#[test]
fn a_data_set_laid_out_anew_holds_and_answers_what_it_did() {
    for (seed, (from, to)) in (0..).zip([(1, 2), (2, 1), (3, 5), (4, 3), (2, 2), (1, 1)]) {
        for folds in [false, true] {
            check(seed, from, to, folds);
        }
    }
}

#[test]
fn a_data_set_that_holds_nothing_can_be_laid_out_anew() {
    let disk = MemoryDisk::default();
    let founding = Founding {
        data_set: DataSetId(7),
        digest_secret: SECRET,
    };
    let data = DataSet::open(Arc::new(disk.clone()), 2, LOG, founding).unwrap();
    let new = MemoryDisk::default();
    let layout = Layout {
        data_set: DataSetId(8),
        shards: 3,
        segment_bytes: SEGMENT_BYTES_MIN,
    };
    let progress = Progress::default();
    let Resharded { manifest, .. } =
        reshard(&disk, data.manifest(), &new, layout, &progress).unwrap();
    assert_eq!(recovered(&new, &manifest).len(), 3);
    assert_eq!(manifest.digest_secret, SECRET);
    assert!(
        new.list("shard-2")
            .unwrap()
            .contains(&"00000002.seg".to_owned())
    );
    let slots = (0..Slot::COUNT).map(Slot::from_low_bits);
    assert!(
        slots
            .into_iter()
            .all(|slot| manifest.slot_map.owner(slot).0 < 3)
    );
}

/// A data set with one deposit, and one with another: each part of a tally tells them apart.
#[test]
fn a_tally_tells_data_sets_apart_that_hold_something_else() {
    let tally_of = |seed| {
        let before = used(seed, 2, true);
        let disk = MemoryDisk::default();
        let layout = Layout {
            data_set: DataSetId(8),
            shards: 1,
            segment_bytes: SEGMENT_BYTES_MIN,
        };
        let progress = Progress::default();
        reshard(&before.disk, &before.manifest, &disk, layout, &progress)
            .unwrap()
            .tally
    };
    let (one, other) = (tally_of(1), tally_of(2));
    assert_eq!(one.difference(&tally_of(1)), None);
    assert!(one.difference(&other).is_some());
    assert!(one.accounts() > 0 && one.sessions() > 0);
}
