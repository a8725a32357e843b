//! A data set that is used as a server uses it, without executors.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use shards::ledger::{Command, Decision, Entry, Ledger, LedgerSettings, Posting};
use shards::sim::{Dealer, Random, Taste};
use shards::storage::MemoryDisk;
use shards::types::{Lsn, ShardId, UnixMillis};
use shards::wal::{
    Batch, DataSet, DataSetId, Durability, FoldSettings, Founding, Inventory, Log, LogSettings,
    Manifest, Progress, Reading, Rebuild, SEGMENT_BYTES_MIN, SealedHeader, Visitor, fold, recover,
    scan,
};

pub(crate) const SECRET: [u64; 2] = [3, 4];

pub(crate) const LEDGER: LedgerSettings = LedgerSettings {
    idempotency_window: Duration::from_secs(72 * 3_600),
    digest_secret: SECRET,
    clock_skew_max: Duration::from_secs(300),
};

pub(crate) const LOG: LogSettings = LogSettings {
    segment_bytes: SEGMENT_BYTES_MIN,
    durability: Durability::Fsync,
};

/// A day of these stays well within the idempotency window.
pub(crate) const COMMANDS: u64 = 1_200;

/// One shard of a running server.
pub(crate) struct Node {
    pub(crate) shard: ShardId,
    pub(crate) ledger: Ledger,
    pub(crate) log: Log,
    pub(crate) batch: Batch,
}

/// A data set that was used, and everything that was asked of it.
pub(crate) struct Used {
    pub(crate) disk: MemoryDisk,
    pub(crate) manifest: Manifest,
    pub(crate) nodes: Vec<Node>,
    pub(crate) asked: Vec<(Command, UnixMillis)>,
    pub(crate) postings: usize,
    pub(crate) now: UnixMillis,
}

pub(crate) fn recovered(disk: &MemoryDisk, manifest: &Manifest) -> Vec<Node> {
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
pub(crate) fn used(seed: u64, shards: u16, folds: bool) -> Used {
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
    pub(crate) fn write(&mut self, disk: &MemoryDisk) {
        if !self.batch.is_empty() {
            self.log.supply_from(disk).unwrap();
            self.log.append(&self.batch).unwrap();
            self.batch.clear();
        }
    }
}

impl Used {
    pub(crate) fn ask(&mut self, command: &Command) {
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

    pub(crate) fn fold(&self) {
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

pub(crate) fn kept(disk: &MemoryDisk, manifest: &Manifest, shard: ShardId) -> Vec<(Lsn, Posting)> {
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
