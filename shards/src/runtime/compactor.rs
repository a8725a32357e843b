//! The compactor: one thread that folds closed segments into checkpoints, for all shards.
//!
//! It reads files and never the shards' memory; all that it learns from a shard is which
//! segment its log has reached. It runs at the lowest priority, and leaves the disk to the
//! shards for as long as each of its own reads and writes took. One shard is folded at a
//! time, because a fold holds a second ledger of its shard in memory.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::background::{LogReach, be_least_important};
use super::clock;
use super::cluster::Shared;
use super::metrics::CheckpointMetrics;
use crate::ledger::LedgerSettings;
use crate::types::ShardId;
use crate::wal::{DataSet, FoldError, FoldSettings, OpenError, SealedHeader};

/// How often it looks how far the logs have come. A fold is a matter of minutes.
const POLL: Duration = Duration::from_secs(1);

/// How soon a fold that failed is tried again: it begins anew, and whoever makes room needs
/// some time.
const RETRY: Duration = Duration::from_secs(10);

/// How soon data that was refused is looked at again. Damage does not mend itself, but a
/// person may put a whole copy in place, and what could not be read may have been a want
/// of open files.
const RETRY_REFUSED: Duration = Duration::from_secs(600);

/// The longest pause between two pieces of work: a disk that stalls is not waited for twice.
const BREATH_MAX: Duration = Duration::from_millis(10);

/// When checkpoints are made, and what is kept of what they replace.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointSettings {
    /// A shard is folded when its closed segments that are in no checkpoint have that
    /// many bytes.
    pub log_bytes: u64,
    /// For how long postings are kept that are in a checkpoint.
    pub history: Duration,
}

/// What the compactor knows of a shard.
struct Subject {
    shard: ShardId,
    reach: Arc<LogReach>,
    metrics: Arc<CheckpointMetrics>,
    newest: Option<SealedHeader>,
    /// The last closed segment that was seen, and the bytes up to there since `newest`.
    seen: (u32, u64),
    /// Not before then.
    retry_at: Option<Instant>,
}

/// The thread that folds.
pub(super) struct Compactor {
    data: DataSet,
    settings: CheckpointSettings,
    ledger: LedgerSettings,
    subjects: Vec<Subject>,
    shared: Arc<Shared>,
}

impl Compactor {
    /// Starts the thread, which ends soon after the cluster begins to. The logs must have been
    /// recovered. The [`Thread`] is woken by `unpark`.
    pub(super) fn start(
        data: DataSet,
        settings: CheckpointSettings,
        ledger: LedgerSettings,
        shards: impl Iterator<Item = (Arc<LogReach>, Arc<CheckpointMetrics>)>,
        shared: Arc<Shared>,
    ) -> io::Result<(Thread, JoinHandle<()>)> {
        let subjects = (0..).map(ShardId).zip(shards);
        let subjects = subjects.map(|(shard, (reach, metrics))| Subject {
            shard,
            reach,
            metrics,
            newest: None,
            seen: (0, 0),
            retry_at: None,
        });
        let compactor = Self {
            data,
            settings,
            ledger,
            subjects: subjects.collect(),
            shared,
        };
        let thread = std::thread::Builder::new()
            .name("compactor".to_owned())
            .spawn(move || compactor.run())?;
        Ok((thread.thread().clone(), thread))
    }

    fn run(mut self) {
        if let Err(error) = be_least_important() {
            tracing::warn!(%error, "checkpoints are made at the priority of everything else");
        }
        for subject in &mut self.subjects {
            match self.data.newest_checkpoint(subject.shard) {
                Ok(newest) => subject.newest = newest,
                Err(error) => subject.refused(&error),
            }
        }
        while !self.shared.is_ending() {
            let now = Instant::now();
            for subject in &mut self.subjects {
                subject.look(&self.data);
                if !subject.is_due(self.settings.log_bytes, now) {
                    subject.look_again(&self.data, now);
                }
            }
            let due = self
                .subjects
                .iter_mut()
                .filter(|subject| subject.is_due(self.settings.log_bytes, now))
                .max_by_key(|subject| subject.seen.1);
            match due {
                Some(subject) => {
                    subject.fold(&self.data, self.settings, self.ledger, &self.shared);
                }
                None => std::thread::park_timeout(POLL),
            }
        }
    }
}

impl Subject {
    /// Looks how far the log has come, and says so.
    fn look(&mut self, data: &DataSet) {
        let folded = self.newest.map_or(0, |newest| newest.number);
        let closed = self.reach.closed();
        if self.seen.0 != closed {
            let bytes = data.segment_bytes(self.shard, folded + 1..=closed);
            self.seen = (closed, bytes);
        }
        let metrics = &self.metrics;
        metrics.log_bytes.set(self.seen.1);
        if let Some(newest) = &self.newest {
            let age_ms = clock::now().0.saturating_sub(newest.age.last_at.0);
            metrics
                .age_seconds
                .set(age_ms.max(0).unsigned_abs() / 1_000);
            metrics.bytes.set(newest.bytes);
        }
    }

    /// A checkpoint that could not be read is looked at again although no fold is due. What a
    /// fold found is found again by the next one, which is due.
    fn look_again(&mut self, data: &DataSet, now: Instant) {
        if self.metrics.damaged.get() == 0 || self.retry_at.is_some_and(|at| at > now) {
            return;
        }
        match data.newest_checkpoint(self.shard) {
            Ok(newest) => {
                self.newest = newest;
                self.seen = (0, 0);
                self.is_whole();
            }
            Err(error) => self.refused(&error),
        }
    }

    fn is_whole(&mut self) {
        self.metrics.damaged.set(0);
        self.retry_at = None;
    }

    fn is_due(&self, log_bytes: u64, now: Instant) -> bool {
        let folded = self.newest.map_or(0, |newest| newest.number);
        self.seen.0 > folded && self.seen.1 >= log_bytes && self.retry_at.is_none_or(|at| at <= now)
    }

    fn fold(
        &mut self,
        data: &DataSet,
        settings: CheckpointSettings,
        ledger: LedgerSettings,
        shared: &Shared,
    ) {
        let began = Instant::now();
        // What is on the disk counts: an earlier fold may have come further than it told.
        match data.newest_checkpoint(self.shard) {
            Ok(newest) => self.newest = newest,
            Err(error) => return self.refused(&error),
        }
        if self
            .newest
            .is_some_and(|newest| newest.number >= self.seen.0)
        {
            self.is_whole();
            self.seen = (0, 0);
            return;
        }
        let mut piece = began;
        let mut pace = |_bytes| {
            if shared.is_ending() {
                return ControlFlow::Break(());
            }
            std::thread::sleep(piece.elapsed().min(BREATH_MAX));
            piece = Instant::now();
            ControlFlow::Continue(())
        };
        let fold = FoldSettings {
            ledger,
            history: settings.history,
        };
        let folded = data.fold(self.shard, self.seen.0, &fold, &mut pace);
        let shard = self.shard.0;
        match folded {
            Ok(folded) => {
                let checkpoint = folded.checkpoint;
                tracing::info!(
                    shard,
                    segment = checkpoint.number,
                    lsn = checkpoint.next_lsn.0 - 1,
                    mebibytes = checkpoint.bytes >> 20,
                    seconds = began.elapsed().as_secs_f64(),
                    "made a checkpoint"
                );
                self.newest = Some(checkpoint);
                self.seen = (0, 0);
                self.is_whole();
                self.metrics.made.add(1);
                let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.metrics.duration_ms.set(took_ms);
            }
            Err(FoldError::Stopped) => {}
            Err(FoldError::Open(error @ OpenError::Refused(_))) => {
                self.refused(&error);
            }
            Err(FoldError::Open(error)) => {
                self.metrics.failed.add(1);
                self.retry_at = Some(Instant::now() + RETRY);
                let error = with_causes(&error);
                tracing::error!(
                    shard,
                    error,
                    "no checkpoint could be made; the log goes on and grows, and it is tried again"
                );
            }
        }
    }

    /// A fold does not build on what is damaged or cannot be read.
    fn refused(&mut self, error: &OpenError) {
        self.metrics.failed.add(1);
        self.metrics.damaged.set(1);
        self.retry_at = Some(Instant::now() + RETRY_REFUSED);
        let error = with_causes(error);
        tracing::error!(
            shard = self.shard.0,
            error,
            "the stored data of this shard is damaged or cannot be read: no checkpoint of it is \
             made, and a start now would refuse it; the server goes on with what it has in \
             memory, and looks again in ten minutes"
        );
    }
}

/// An error and what caused it, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
