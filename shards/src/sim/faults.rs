//! What goes wrong: power cuts, kills, disks that fail and fill, clocks that jump; and
//! the way back.

use std::sync::Arc;

use super::Canary;
use super::commit::FOLD_US;
use super::effect::Verdict;
use super::server::Node;
use super::world::{Event, World};
use crate::ledger::{Change, Entry, Posting};
use crate::shard::Shard;
use crate::storage::{Keep, MemoryDisk};
use crate::types::{Lsn, ShardId, TransactionId};
use crate::wal::{
    DataSet, DataSetId, Durability, Founding, LogSettings, OpenError, Progress, Rebuild,
    SEGMENT_BYTES_MIN, SealedHeader, Visitor,
};

/// How far ahead a disk is told to fail, in operations: within the next batches.
const AHEAD_OPERATIONS: u64 = 4;

/// About as many operations as a fold has.
const FOLD_OPERATIONS: u64 = 40;

/// How long a process is gone.
const DOWN_US: u64 = 8_000;

const SETTINGS: LogSettings = LogSettings {
    segment_bytes: SEGMENT_BYTES_MIN,
    durability: Durability::Fsync,
};

impl World {
    pub(super) fn fault(&mut self) -> Verdict {
        if self.faults_left == 0 {
            return Ok(());
        }
        self.faults_left -= 1;
        let next_us = self.random.below(60_000);
        self.after(next_us, Event::Fault);
        let kind = self.random.below(12);
        let at = self.random.below(self.nodes.len() as u64) as usize;
        self.tell(|| format!("fault {kind}, disk or shard {at}"));
        match kind {
            0 => self.crash(true),
            1 | 2 => self.crash(false),
            3..=5 => self.cut_power_soon(at),
            6 => self.fail_soon(at),
            7 | 8 => return self.crash_shard(at),
            9 => {
                let bytes = SEGMENT_BYTES_MIN * self.random.below(6);
                self.disks[at].set_bytes_max(Some(bytes));
                let us = self.random.below(150_000);
                self.after(us, Event::RoomReturns);
            }
            10 => self.clock_ms += self.random.below(7_200_000) as i64 - 3_600_000,
            _ => return self.shut_down(),
        }
        Ok(())
    }

    fn cut_power_soon(&mut self, disk: usize) {
        let at = self.disks[disk].operations() + self.random.below(AHEAD_OPERATIONS);
        self.disks[disk].cut_power_after(at);
        self.power_goes_at[disk] = Some(at);
    }

    fn fail_soon(&mut self, disk: usize) {
        let at = self.disks[disk].operations() + self.random.below(AHEAD_OPERATIONS);
        self.disks[disk].fail_after(at);
    }

    /// Now and then the power goes, or an operation fails, in the middle of a fold.
    pub(super) fn fault_in_fold(&mut self, disk: usize) {
        if self.faults_left == 0 || !self.random.one_in(4) {
            return;
        }
        self.faults_left -= 1;
        let at = self.disks[disk].operations() + self.random.below(FOLD_OPERATIONS);
        if self.random.one_in(3) {
            self.disks[disk].fail_after(at);
        } else {
            self.disks[disk].cut_power_after(at);
            self.power_goes_at[disk] = Some(at);
            let us = self.random.below(2_000);
            self.after(us, Event::Fault);
        }
    }

    /// Whether a disk has lost power since it was told to.
    pub(super) fn power_is_off(&self) -> bool {
        let off = |(disk, at): (&MemoryDisk, &Option<u64>)| {
            disk.is_off() || at.is_some_and(|at| disk.operations() > at)
        };
        self.disks.iter().zip(&self.power_goes_at).any(off)
    }

    fn keep(&mut self) -> Keep {
        match self.random.below(6) {
            0 => Keep::Nothing,
            1 => Keep::Everything,
            _ => Keep::Some(self.random.number()),
        }
    }

    /// The process ends: by a kill, or because the machine loses power.
    fn crash(&mut self, power: bool) {
        let power = power || self.power_is_off();
        match power {
            true => self.figures.power_cuts += 1,
            false => self.figures.kills += 1,
        }
        self.tell(|| format!("crash, power cut: {power}"));
        for shard in 0..self.nodes.len() {
            self.bury(shard);
        }
        self.data = None;
        for disk in 0..self.disks.len() {
            match power {
                true => {
                    let keep = self.keep();
                    self.disks[disk].restart(keep);
                }
                false => self.disks[disk].revive(),
            }
            self.power_goes_at[disk] = None;
        }
        self.within(DOWN_US, Event::Start);
    }

    pub(super) fn power_cut_at_the_end(&mut self) {
        for disk in 0..self.disks.len() {
            self.bury(disk);
            self.disks[disk].restart(Keep::Nothing);
            self.disks[disk].set_bytes_max(None);
            self.power_goes_at[disk] = None;
        }
        self.data = None;
    }

    /// Ends a shard's life, and remembers what its log must still have.
    fn bury(&mut self, shard: usize) {
        if let Some(node) = self.nodes[shard].take() {
            let durable = node.shard.durable_lsn();
            let appended = node.shard.appended_lsn();
            self.bounds[shard] = (durable, appended);
        }
        self.lives[shard] += 1;
    }

    /// One shard ends, by itself or with its disk; the others go on.
    fn crash_shard(&mut self, shard: usize) -> Verdict {
        if self.nodes[shard].is_none() {
            return Ok(());
        }
        self.figures.shard_crashes += 1;
        self.bury(shard);
        if self.random.one_in(2) || self.power_is_off() {
            let keep = self.keep();
            self.disks[shard].restart(keep);
            self.power_goes_at[shard] = None;
        }
        self.give_up_on(shard)?;
        let life = self.lives[shard];
        self.within(DOWN_US, Event::StartShard { shard, life });
        Ok(())
    }

    /// A write failed: the process ends without another answer.
    pub(super) fn disk_failed(&mut self, shard: usize, why: &str) -> Verdict {
        self.figures.disk_failures += 1;
        self.tell(|| format!("the disk of shard {shard} failed: {why}"));
        let power = self.random.one_in(2);
        self.crash(power);
        Ok(())
    }

    /// The process ends in good order: everything that was accepted is told.
    fn shut_down(&mut self) -> Verdict {
        for shard in 0..self.nodes.len() {
            if self.nodes[shard].is_none() {
                continue;
            }
            match self.drain(shard) {
                Ok(verdict) => verdict?,
                Err(error) => return self.disk_failed(shard, &format!("{error:?}")),
            }
        }
        self.figures.shutdowns += 1;
        self.crash(false);
        Ok(())
    }

    pub(super) fn start(&mut self) -> Verdict {
        if self.data.is_some() {
            return Ok(());
        }
        // Also while it recovers, and while the data set is founded.
        if self.faults_left > 0 && self.random.one_in(3) {
            self.faults_left -= 1;
            let at = self.random.below(self.disks.len() as u64) as usize;
            match self.random.one_in(2) {
                true => self.cut_power_soon(at),
                false => self.fail_soon(at),
            }
        }
        let shards = self.slot_map.shards();
        let digest_secret = self.settings.digest_secret;
        let new = Founding {
            data_set: DataSetId(u128::from(digest_secret[0]) + 1),
            digest_secret,
        };
        match DataSet::open(self.storage.clone(), shards, SETTINGS, new) {
            Ok(data) => self.data = Some(data),
            Err(error) => return self.start_failed(&error),
        }
        for shard in 0..self.nodes.len() {
            if let Err(error) = self.recover(shard)? {
                return self.start_failed(&error);
            }
        }
        self.audit(0..self.nodes.len())
    }

    pub(super) fn start_shard(&mut self, shard: usize) -> Verdict {
        if self.data.is_none() || self.nodes[shard].is_some() {
            return Ok(());
        }
        match self.recover(shard)? {
            Ok(()) => self.audit(shard..shard + 1),
            Err(error) => self.start_failed(&error),
        }
    }

    /// A start may fail because the disk does; what is on it must never be refused.
    fn start_failed(&mut self, error: &OpenError) -> Verdict {
        let may_fail = match error {
            OpenError::Io { .. } => true,
            OpenError::Refused(_) => self.power_is_off(),
            OpenError::OtherShardCount { .. } => false,
        };
        if !may_fail {
            return Err(format!("no start after a crash: {error}"));
        }
        self.figures.recoveries_cut_short += 1;
        self.tell(|| format!("no start: {error:?}"));
        let power = self.random.one_in(2);
        self.crash(power);
        Ok(())
    }

    /// Reads a shard's log back with the real code.
    fn recover(&mut self, shard: usize) -> Result<Result<(), OpenError>, String> {
        let Some(data) = self.data.clone() else {
            unreachable!("shards are recovered by a process that runs");
        };
        let mut visitor = Forgetful {
            rebuild: Rebuild::new(self.settings),
            forgets_ids: self.is(Canary::RecoveryForgetsIds),
            loses_entry: self.is(Canary::CheckpointLosesEntry),
        };
        let id = ShardId(shard as u16);
        let recovered = match data.recover(id, &Arc::new(Progress::default()), &mut visitor) {
            Ok(recovered) => recovered,
            Err(error) => return Ok(Err(error)),
        };
        self.figures.recoveries += 1;
        self.figures.from_checkpoints += u64::from(recovered.checkpoint.is_some());
        self.figures.torn_tails += u64::from(recovered.torn_tail.is_some());
        let log = recovered.log;
        let (least, most) = self.bounds[shard];
        let found = log.durable_lsn();
        self.tell(|| format!("shard {shard} recovered to LSN {found}, told {least}"));
        if found < least || found > most {
            return Err(format!(
                "shard {shard} recovered to LSN {found}; {least} was durable and {most} appended"
            ));
        }
        // What was read is durable, and may be told.
        self.bounds[shard] = (found, found);
        if self.is_judged() {
            self.judges[shard].recovered(found)?;
        }
        let ledger = visitor.rebuild.into_ledger();
        self.nodes[shard] = Some(Node::new(Shard::recovered(ledger, found), log));
        self.settle(shard);
        let life = self.lives[shard];
        self.within(FOLD_US, Event::Fold { shard, life });
        Ok(Ok(()))
    }
}

/// Builds the ledger; some canaries lose a part of it.
struct Forgetful {
    rebuild: Rebuild,
    forgets_ids: bool,
    loses_entry: bool,
}

impl Visitor for Forgetful {
    fn entry(&mut self, entry: Entry) -> Result<(), String> {
        // Not one that the books or the entries behind it would tell of.
        if self.loses_entry && matches!(entry, Entry::Transaction(_)) {
            self.loses_entry = false;
            return Ok(());
        }
        self.rebuild.entry(entry)
    }

    fn restored(&mut self, header: &SealedHeader) -> Result<(), String> {
        self.rebuild.restored(header)
    }

    fn posting(&mut self, lsn: Lsn, mut posting: Posting) -> Result<(), String> {
        if self.forgets_ids {
            forget_id(lsn, &mut posting);
        }
        self.rebuild.posting(lsn, posting)
    }

    fn again(&mut self) {
        self.rebuild.again();
    }
}

fn forget_id(lsn: Lsn, posting: &mut Posting) {
    if let Change::Deposited(deposit) = &mut posting.change
        && let Some(other) = TransactionId::parse(&format!("unremembered-{lsn}"))
    {
        deposit.transaction = other;
    }
}
