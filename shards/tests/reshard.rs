//! A data set laid out anew holds what it held: every account, every id, every posting.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use shards::ledger::{
    Command, Decision, Entry, Facts, HouseAccount, Ledger, LedgerSettings, Outcome, Posting,
};
use shards::sim::{Dealer, Random, Taste};
use shards::storage::{MemoryDisk, Storage};
use shards::types::{Lsn, ShardId, Slot, UnixMillis};
use shards::wal::{
    Batch, DataSet, DataSetId, Durability, FoldSettings, Founding, Inventory, Layout, Log,
    LogSettings, Manifest, Progress, Reading, Rebuild, SEGMENT_BYTES_MIN, SealedHeader, Visitor,
    derive, fold, recover, reshard, scan,
};

const SECRET: [u64; 2] = [3, 4];

const LEDGER: LedgerSettings = LedgerSettings {
    idempotency_window: Duration::from_secs(72 * 3_600),
    digest_secret: SECRET,
    clock_skew_max: Duration::from_secs(300),
};

const LOG: LogSettings = LogSettings {
    segment_bytes: SEGMENT_BYTES_MIN,
    durability: Durability::Fsync,
};

/// A day of these stays well within the idempotency window.
const COMMANDS: u64 = 1_200;

/// One shard of a running server.
struct Node {
    shard: ShardId,
    ledger: Ledger,
    log: Log,
    batch: Batch,
}

/// A data set that was used, and everything that was asked of it.
struct Used {
    disk: MemoryDisk,
    manifest: Manifest,
    nodes: Vec<Node>,
    asked: Vec<(Command, UnixMillis)>,
    postings: usize,
    now: UnixMillis,
}

fn recovered(disk: &MemoryDisk, manifest: &Manifest) -> Vec<Node> {
    let shards = (0..manifest.slot_map.shards()).map(ShardId);
    let node = |shard| {
        let mut rebuild = Rebuild::new(LEDGER);
        let progress = Progress::default();
        let found = recover(disk, manifest, shard, LOG, &progress, &mut rebuild).unwrap();
        Node {
            shard,
            ledger: rebuild.into_ledger(),
            log: found.log,
            batch: Batch::default(),
        }
    };
    shards.map(node).collect()
}

/// Uses a new data set of some shards for a while.
fn used(seed: u64, shards: u16, folds: bool) -> Used {
    let mut random = Random::new(seed);
    let disk = MemoryDisk::default();
    let founding = Founding {
        data_set: DataSetId(7),
        digest_secret: SECRET,
    };
    let data = DataSet::open(Arc::new(disk.clone()), shards, LOG, founding).unwrap();
    let manifest = *data.manifest();
    let mut used = Used {
        nodes: recovered(&disk, &manifest),
        disk,
        manifest,
        asked: Vec::new(),
        postings: 0,
        now: UnixMillis(1_795_000_000_000),
    };
    let mut dealer = Dealer::new(Taste::Plain, 6, &LEDGER);
    for _ in 0..COMMANDS {
        used.now.0 += random.below(120_000) as i64;
        let command = dealer.next(&mut random, used.now);
        used.ask(&command);
        used.asked.push((command, used.now));
        if folds && random.one_in(200) {
            used.fold();
        }
    }
    for node in &mut used.nodes {
        node.write(&used.disk);
    }
    used
}

impl Node {
    fn write(&mut self, disk: &MemoryDisk) {
        if !self.batch.is_empty() {
            self.log.supply_from(disk).unwrap();
            self.log.append(&self.batch).unwrap();
            self.batch.clear();
        }
    }
}

impl Used {
    fn ask(&mut self, command: &Command) {
        let owner = self.manifest.slot_map.owner(command.slot());
        let node = &mut self.nodes[owner.index()];
        if let Decision::Post(posting, _) = node.ledger.decide(command, self.now) {
            let lsn = Lsn(node.log.position().next_lsn.0 + u64::from(node.batch.postings()));
            node.batch.push(lsn, &posting);
            node.ledger.apply(lsn, &posting);
            self.postings += 1;
            // A block for each, so that segments change often.
            node.write(&self.disk);
        }
    }

    fn fold(&self) {
        let settings = FoldSettings {
            ledger: LEDGER,
            history: Duration::from_secs(72 * 3_600),
        };
        for node in &self.nodes {
            let through = node.log.position().segment - 1;
            let inventory = Inventory::of(&self.disk, node.shard).unwrap();
            if through > inventory.newest_checkpoint().unwrap_or(0) {
                let go_on = &mut |_| ControlFlow::Continue(());
                fold(
                    &self.disk,
                    &self.manifest,
                    node.shard,
                    through,
                    &settings,
                    go_on,
                )
                .unwrap();
            }
        }
    }
}

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

/// Every posting that is kept, in order.
#[derive(Default)]
struct Kept(Vec<(Lsn, Posting)>);

impl Visitor for Kept {
    fn entry(&mut self, _: Entry) -> Result<(), String> {
        Ok(())
    }

    fn restored(&mut self, _: &SealedHeader) -> Result<(), String> {
        Ok(())
    }

    fn past(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String> {
        self.0.push((lsn, posting));
        Ok(())
    }

    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String> {
        self.0.push((lsn, posting));
        Ok(())
    }

    fn again(&mut self) {}
}

fn kept(disk: &MemoryDisk, manifest: &Manifest, shard: ShardId) -> Vec<(Lsn, Posting)> {
    let mut kept = Kept::default();
    let reading = Reading {
        is_live: false,
        with_history: true,
    };
    scan(
        disk,
        manifest,
        shard,
        reading,
        &Progress::default(),
        &mut kept,
    )
    .unwrap();
    kept.0
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
    let manifest = reshard(
        &before.disk,
        &before.manifest,
        &disk,
        layout,
        &Progress::default(),
    )
    .unwrap();
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
    let manifest = reshard(&disk, data.manifest(), &new, layout, &Progress::default()).unwrap();
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
