//! The way to the disk: what the committer, the supplier and the compactor of `runtime/`
//! do, by events.

use std::ops::ControlFlow;
use std::time::Duration;

use super::Canary;
use super::effect::Verdict;
use super::server::{Address, Stage};
use super::world::{Event, World};
use crate::Unavailable;
use crate::ledger::Outcome;
use crate::shard::Room;
use crate::storage::is_no_room;
use crate::types::ShardId;
use crate::wal::{Batch, FoldError, FoldSettings, LogError, OpenError};

/// As the committer's.
const SEAL_AFTER_US: u64 = 5_000;

/// How long a segment takes to be made, and how soon a full disk is tried again.
const SUPPLY_US: u64 = 6_000;

/// How soon a shard is folded again, if its log has left a segment by then.
pub(super) const FOLD_US: u64 = 120_000;

/// Short, so that history goes away, too.
const HISTORY: Duration = Duration::from_secs(1_800);

impl World {
    pub(super) fn commit_soon(&mut self, shard: usize) {
        let life = self.lives[shard];
        let node = self.node(shard);
        if matches!(node.stage, Stage::None) {
            node.stage = Stage::Soon;
            self.within(self.commit_us, Event::Take { shard, life });
        }
    }

    /// What room the log has, and the order for a segment that it needs.
    pub(super) fn settle(&mut self, shard: usize) {
        let life = self.lives[shard];
        let node = self.node(shard);
        if let Some(segment) = node.made.take() {
            node.log.supply(segment);
            node.ordered = false;
            node.disk_full = false;
        }
        let beyond = match node.disk_full {
            true => Unavailable::DiskFull,
            false => Unavailable::Busy,
        };
        let bytes = node.log.room();
        node.shard.set_room(Room { bytes, beyond });
        if !node.ordered && node.log.order().is_some() {
            node.ordered = true;
            self.within(SUPPLY_US, Event::Supply { shard, life });
        }
    }

    pub(super) fn supply(&mut self, shard: usize) -> Verdict {
        let (storage, life) = (self.storage.clone(), self.lives[shard]);
        let node = self.node(shard);
        let Some(order) = node.log.order() else {
            return Ok(());
        };
        match order.make(storage.as_ref(), &mut || {}) {
            Ok(segment) => {
                node.made = Some(segment);
                self.figures.segments += 1;
            }
            Err(error) if is_no_room(&error) => {
                node.disk_full = true;
                self.after(SUPPLY_US, Event::Supply { shard, life });
            }
            Err(error) => return self.disk_failed(shard, &error.to_string()),
        }
        if let Stage::None | Stage::Soon = self.node(shard).stage {
            self.settle(shard);
        }
        Ok(())
    }

    pub(super) fn take(&mut self, shard: usize) -> Verdict {
        let life = self.lives[shard];
        self.settle(shard);
        let node = self.node(shard);
        match node.shard.take_batch(Batch::default()) {
            Ok(batch) => {
                node.stage = Stage::Taken(batch);
                self.within(self.commit_us, Event::Write { shard, life });
            }
            Err(_) => {
                node.stage = Stage::None;
                self.after(SEAL_AFTER_US, Event::Seal { shard, life });
            }
        }
        Ok(())
    }

    pub(super) fn write(&mut self, shard: usize) -> Verdict {
        let life = self.lives[shard];
        match self.append(shard) {
            Ok(()) => {
                self.within(self.commit_us, Event::Durable { shard, life });
                Ok(())
            }
            Err(error) => {
                if self.is(Canary::DiskErrorIgnored) {
                    self.tell_batch(shard)?;
                }
                self.disk_failed(shard, &format!("{error:?}"))
            }
        }
    }

    /// What the compactor does. A fold that fails leaves the shard as it is.
    pub(super) fn fold(&mut self, shard: usize) -> Verdict {
        let life = self.lives[shard];
        self.within(FOLD_US, Event::Fold { shard, life });
        let Some(data) = self.data.clone() else {
            return Ok(());
        };
        let id = ShardId(shard as u16);
        let through = self.node(shard).log.position().segment - 1;
        let newest = match data.newest_checkpoint(id) {
            Ok(newest) => newest.map_or(0, |header| header.number),
            Err(error) => return self.fold_failed(&error.into()),
        };
        if through <= newest {
            return Ok(());
        }
        self.fault_in_fold(shard);
        let settings = FoldSettings {
            ledger: self.settings,
            history: HISTORY,
        };
        // A process that drains stops a fold wherever it is.
        let mut left = match self.random.one_in(8) {
            true => self.random.below(4),
            false => u64::MAX,
        };
        let mut pace = |_| match left {
            0 => ControlFlow::Break(()),
            _ => {
                left -= 1;
                ControlFlow::Continue(())
            }
        };
        match data.fold(id, through, &settings, &mut pace) {
            Ok(folded) => {
                self.figures.checkpoints += 1;
                self.mark(folded.checkpoint.digest.0);
                Ok(())
            }
            Err(error) => self.fold_failed(&error),
        }
    }

    fn fold_failed(&mut self, error: &FoldError) -> Verdict {
        self.figures.folds_cut_short += 1;
        self.tell(|| format!("no checkpoint: {error:?}"));
        let may_fail = match error {
            FoldError::Stopped | FoldError::Open(OpenError::Io { .. }) => true,
            FoldError::Open(OpenError::Refused(_)) => self.power_is_off(),
            FoldError::Open(OpenError::OtherShardCount { .. }) => false,
        };
        match may_fail {
            true => Ok(()),
            false => Err(format!("a fold refuses the data: {error}")),
        }
    }

    fn append(&mut self, shard: usize) -> Result<(), LogError> {
        let node = self.node(shard);
        let Stage::Taken(batch) = std::mem::replace(&mut node.stage, Stage::None) else {
            unreachable!("a batch is written after it was taken");
        };
        node.log.append(&batch)?;
        node.stage = Stage::Written(batch);
        Ok(())
    }

    pub(super) fn durable(&mut self, shard: usize) -> Verdict {
        let node = self.node(shard);
        let Stage::Written(batch) = std::mem::replace(&mut node.stage, Stage::None) else {
            unreachable!("a batch is durable after it was written");
        };
        self.figures.batches += 1;
        self.figures.bookings += u64::from(batch.postings());
        self.tell_batch(shard)?;
        // At once, as the committer does: the next batch, or the time to seal.
        self.commit_soon(shard);
        Ok(())
    }

    fn tell_batch(&mut self, shard: usize) -> Verdict {
        let told: Vec<(Address, Outcome)> = self.node(shard).shard.batch_durable().collect();
        for (reply_to, outcome) in told {
            self.send_reply(shard, reply_to, Ok(outcome))?;
        }
        Ok(())
    }

    pub(super) fn seal(&mut self, shard: usize) -> Verdict {
        let node = self.node(shard);
        if !matches!(node.stage, Stage::None) || node.log.is_sealed() {
            return Ok(());
        }
        match node.log.seal() {
            Ok(()) => {
                self.settle(shard);
                Ok(())
            }
            Err(error) => self.disk_failed(shard, &format!("{error:?}")),
        }
    }

    /// Brings what a shard has accepted to the disk, tells it, and closes the log.
    pub(super) fn drain(&mut self, shard: usize) -> Result<Verdict, LogError> {
        if let Stage::Taken(_) = self.node(shard).stage {
            self.append(shard)?;
        }
        loop {
            if let Stage::Written(_) = self.node(shard).stage {
                let told = self.durable(shard);
                if told.is_err() {
                    return Ok(told);
                }
            }
            self.settle(shard);
            let node = self.node(shard);
            let Ok(batch) = node.shard.take_batch(Batch::default()) else {
                node.log.close()?;
                return Ok(Ok(()));
            };
            node.stage = Stage::Taken(batch);
            self.append(shard)?;
        }
    }
}
