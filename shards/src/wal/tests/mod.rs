//! The log as a whole: sequences, crashes, failures, damage, and the bytes themselves.

mod crash;
mod damage;
pub(crate) mod fold;
mod fold_damage;
mod golden;
mod live;
mod scrub;
mod sequences;

use std::sync::Arc;

use super::*;
use crate::ledger::{Cashed, Change, Posting};
use crate::storage::MemoryDisk;
use crate::types::{AccountId, Amount, Balance, Lsn, ShardId, TransactionId, UnixMillis};

const DATA_SET: DataSetId = DataSetId(0x0F0E_0D0C_0B0A_0908_0706_0504_0302_0100);
const FOUNDING: Founding = Founding {
    data_set: DATA_SET,
    digest_secret: [0x1716_1514_1312_1110, 0x1F1E_1D1C_1B1A_1918],
};
const SHARD: ShardId = ShardId(0);
const SETTINGS: LogSettings = LogSettings {
    segment_bytes: SEGMENT_BYTES_MIN,
    durability: Durability::Fsync,
};

/// A posting that tells where it stands and in which life of the process it was made.
fn posting(lsn: u64, life: u32, padding: usize) -> Posting {
    let transaction = format!("{life}-{lsn}-{}", "x".repeat(padding));
    Posting {
        at: UnixMillis(1_795_000_000_000),
        account: AccountId::parse("acme/p1").unwrap(),
        change: Change::Deposited(Cashed {
            transaction: TransactionId::parse(&transaction).unwrap(),
            amount: Amount::from_minor(5).unwrap(),
            previous_booking: Lsn::NONE,
        }),
        balance_after: Balance::default(),
    }
}

pub(crate) fn open(disk: &MemoryDisk) -> Result<DataSet, OpenError> {
    DataSet::open(Arc::new(disk.clone()), 1, SETTINGS, FOUNDING)
}

/// What recovery finds on a disk.
fn recovered(disk: &MemoryDisk) -> Result<(Recovered, Vec<Posting>), OpenError> {
    let mut postings = Vec::new();
    let recovered =
        open(disk)?.recover(SHARD, &Progress::default(), &mut |lsn: Lsn, posting| {
            postings.push(posting);
            assert_eq!(lsn.0, postings.len() as u64);
            Ok(())
        })?;
    Ok((recovered, postings))
}

/// What a process does with its log.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Appends a batch of so many postings with so much padding each.
    Batch(usize, usize),
    Seal,
    /// Has the next segment made.
    Supply,
    Close,
}

/// What was tried and what was told, over all lives of a process.
#[derive(Clone, Default)]
struct Model {
    /// Every posting that may be on the disk.
    tried: Vec<Posting>,
    /// How many of them somebody was told of.
    told: usize,
    life: u32,
}

impl Model {
    /// One life: recovers, checks what was found, and goes through the steps until one
    /// fails.
    fn live(&mut self, disk: &MemoryDisk, steps: &[Step]) -> Result<(), String> {
        self.life += 1;
        let (found, postings) = recovered(disk).map_err(|error| match error {
            OpenError::Refused(refusal) => panic!("refused: {refusal}"),
            other => other.to_string(),
        })?;
        assert!(postings.len() >= self.told, "told postings are lost");
        assert!(postings.len() <= self.tried.len());
        assert!(postings[..] == self.tried[..postings.len()]);
        // From here on others may have seen them.
        self.told = postings.len();
        self.tried = postings;
        let mut log = found.log;
        for step in steps {
            self.step(*step, &mut log, disk)?;
        }
        Ok(())
    }

    fn step(&mut self, step: Step, log: &mut Log, disk: &MemoryDisk) -> Result<(), String> {
        match step {
            Step::Batch(postings, padding) => {
                let mut batch = Batch::default();
                for _ in 0..postings {
                    let lsn = Lsn(self.tried.len() as u64 + 1);
                    let posting = posting(lsn.0, self.life, padding);
                    batch.push(lsn, &posting);
                    self.tried.push(posting);
                }
                log.append(&batch).map_err(|error| error.to_string())?;
                self.told = self.tried.len();
                assert_eq!(log.durable_lsn().0, self.told as u64);
                Ok(())
            }
            Step::Seal => log.seal().map_err(|error| error.to_string()),
            Step::Supply => log.supply_from(disk).map_err(|error| error.to_string()),
            Step::Close => log.close().map_err(|error| error.to_string()),
        }
    }
}
