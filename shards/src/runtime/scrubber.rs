//! The scrubber: one thread that reads the closed files of all shards now and then, slowly,
//! and says which of them are damaged while a whole copy may still be somewhere.
//!
//! It only reads, and only what nobody writes any more: segments that the log has left,
//! checkpoints and history. All that it learns from a shard is which segment its log has
//! reached. It runs at the lowest priority and rests after each piece for as long as its
//! rate asks. What it finds stops nothing: the shards go on with what they have in memory.

use std::collections::BTreeSet;
use std::io;
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::background::{LogReach, be_least_important};
use super::cluster::Shared;
use super::metrics::ScrubMetrics;
use crate::types::ShardId;
use crate::wal::{DataSet, FileKind, Inventory, Refusal, Scrubbed, scrub, shard_directory};

/// How often it looks between rounds whether damaged files are still there: a checkpoint
/// may have let go of one, and whoever waits for that is watching.
const LOOK: Duration = Duration::from_secs(10);

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// How closed files are looked through for damage.
#[derive(Clone, Copy, Debug)]
pub struct ScrubSettings {
    /// How much is read at most, over all shards.
    pub bytes_per_second: NonZeroU64,
    /// How long after a round began the next one begins, if it has ended by then; not zero.
    pub interval: Duration,
}

impl ScrubSettings {
    /// How long to rest after so many bytes. What the reading itself took comes on top, so
    /// the rate is kept on any disk.
    fn rest_after(&self, bytes: u64) -> Duration {
        Duration::from_nanos(bytes.saturating_mul(NANOS_PER_SECOND) / self.bytes_per_second)
    }
}

/// The thread that scrubs.
pub(super) struct Scrubber {
    data: DataSet,
    settings: ScrubSettings,
    subjects: Vec<Subject>,
    shared: Arc<Shared>,
}

impl Scrubber {
    /// Starts the thread, which begins its first round at once and ends soon after the
    /// cluster begins to. The logs must have been recovered. The [`Thread`] is woken by
    /// `unpark`.
    ///
    /// # Errors
    /// The thread could not be created.
    pub(super) fn start(
        data: DataSet,
        settings: ScrubSettings,
        shards: impl Iterator<Item = (Arc<LogReach>, Arc<ScrubMetrics>)>,
        shared: Arc<Shared>,
    ) -> io::Result<(Thread, JoinHandle<()>)> {
        let subjects = (0..).map(ShardId).zip(shards);
        let subjects = subjects.map(|(shard, (reach, metrics))| Subject {
            shard,
            reach,
            metrics,
            damaged: BTreeSet::new(),
        });
        let scrubber = Self {
            data,
            settings,
            subjects: subjects.collect(),
            shared,
        };
        let thread = std::thread::Builder::new()
            .name("scrubber".to_owned())
            .spawn(move || scrubber.run())?;
        Ok((thread.thread().clone(), thread))
    }

    fn run(mut self) {
        if let Err(error) = be_least_important() {
            tracing::warn!(%error, "scrubs run at the priority of everything else");
        }
        while !self.shared.is_ending() {
            let began = Instant::now();
            let (settings, shared) = (self.settings, self.shared.clone());
            let mut pace = |bytes| rest(&shared, settings.rest_after(bytes));
            for subject in &mut self.subjects {
                if subject.scrub(&self.data, &mut pace).is_break() {
                    return;
                }
            }
            self.await_next(began);
        }
    }

    /// Waits until the next round is due, or until the cluster ends.
    fn await_next(&mut self, began: Instant) {
        loop {
            let left = self.settings.interval.saturating_sub(began.elapsed());
            if left.is_zero() || rest(&self.shared, left.min(LOOK)).is_break() {
                return;
            }
            for subject in &mut self.subjects {
                if !subject.damaged.is_empty() {
                    // What it says of a directory that cannot be read, the next round says.
                    let _ = subject.look(&self.data);
                }
            }
        }
    }
}

/// Sleeps; cut short, with a break, when the cluster ends.
fn rest(shared: &Shared, how_long: Duration) -> ControlFlow<()> {
    let began = Instant::now();
    loop {
        if shared.is_ending() {
            return ControlFlow::Break(());
        }
        let left = how_long.saturating_sub(began.elapsed());
        if left.is_zero() {
            return ControlFlow::Continue(());
        }
        std::thread::park_timeout(left);
    }
}

/// What the scrubber knows of a shard.
struct Subject {
    shard: ShardId,
    reach: Arc<LogReach>,
    metrics: Arc<ScrubMetrics>,
    /// Paths of what was damaged when it was last read, and of the directory when that
    /// could not be listed. Each was reported once.
    damaged: BTreeSet<String>,
}

impl Subject {
    /// Reads every closed file of the shard. Breaks when `pace` does.
    fn scrub(
        &mut self,
        data: &DataSet,
        pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self.look(data) {
            Ok(inventory) => {
                for (kind, number) in closed_files(&inventory, self.reach.closed()) {
                    self.scrub_file(data, kind, number, pace)?;
                }
                self.metrics.rounds.add(1);
            }
            Err(refusal) => self.report(&shard_directory(self.shard), &refusal, UNREADABLE),
        }
        ControlFlow::Continue(())
    }

    fn scrub_file(
        &mut self,
        data: &DataSet,
        kind: FileKind,
        number: u32,
        pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let (storage, shard) = (data.storage().as_ref(), self.shard);
        let metrics = self.metrics.clone();
        let mut counting = |bytes| {
            metrics.bytes.add(bytes);
            pace(bytes)
        };
        let path = kind.path(shard, number);
        // What damage means depends on what is there by then, so it is looked up after it.
        let found = scrub(storage, data.manifest(), shard, kind, number, &mut counting)
            .and_then(|found| Ok((found, Inventory::of(storage, shard)?)));
        match found {
            Ok((Scrubbed::Stopped, _)) => return ControlFlow::Break(()),
            Ok((Scrubbed::Damaged(refusal), inventory)) => {
                let newest = inventory.newest_checkpoint().unwrap_or(0);
                self.report(&path, &refusal, consequence(newest, kind, number));
            }
            Ok((Scrubbed::Whole | Scrubbed::Gone, _)) => self.absolve(&path),
            Err(refusal) => self.report(&shard_directory(shard), &refusal, UNREADABLE),
        }
        ControlFlow::Continue(())
    }

    /// Lists what is there, and forgets the damage of what is not.
    fn look(&mut self, data: &DataSet) -> Result<Inventory, Refusal> {
        let inventory = Inventory::of(data.storage().as_ref(), self.shard)?;
        let shard = self.shard;
        self.damaged.retain(|path| {
            let mut there = files(&inventory).map(|(kind, number)| kind.path(shard, number));
            there.any(|there| there == *path)
        });
        self.publish();
        Ok(inventory)
    }

    /// Says what is damaged, the first time that it is found so.
    fn report(&mut self, path: &str, refusal: &Refusal, consequence: &str) {
        if self.damaged.insert(path.to_owned()) {
            tracing::error!(
                shard = self.shard.0,
                file = refusal.file,
                offset = refusal.offset,
                expected = refusal.expected,
                found = refusal.found,
                "a scrub found stored data damaged: {consequence}. The server goes on with what \
                 it has in memory; check the disk (dmesg, smartctl)"
            );
        }
        self.publish();
    }

    fn absolve(&mut self, path: &str) {
        if self.damaged.remove(path) {
            tracing::info!(
                shard = self.shard.0,
                file = path,
                "a file that was damaged is whole again, or was let go of"
            );
        }
        self.publish();
    }

    fn publish(&self) {
        self.metrics.damaged_files.set(self.damaged.len() as u64);
    }
}

/// All files of a shard.
fn files(inventory: &Inventory) -> impl Iterator<Item = (FileKind, u32)> {
    let of_kind = |kind| inventory.of_kind(kind).iter().map(move |at| (kind, *at));
    FileKind::ALL.into_iter().flat_map(of_kind)
}

/// Those that are not written any more, where `closed` is the last segment that the log has
/// left.
fn closed_files(inventory: &Inventory, closed: u32) -> impl Iterator<Item = (FileKind, u32)> {
    files(inventory).filter(move |(kind, number)| *kind != FileKind::Segment || *number <= closed)
}

const UNREADABLE: &str = "the directory of this shard cannot be listed, so its files were not \
    read; the next start will refuse it";

const NEEDED_SEGMENT: &str = "the next start needs this segment and will refuse it, and no \
    checkpoint of this shard can be made from it. Before the server is stopped, put a whole copy \
    of the file, from a backup or another copy of the disk, in its place";

const NEEDED_CHECKPOINT: &str = "the next start begins with this checkpoint and will refuse it, \
    and so will the next checkpoint of this shard. Put a whole copy of the file, from a backup \
    or another copy of the disk, in its place; where the log leads to the same state without it, \
    the refusal says so and how to go on";

const SECOND_GENERATION: &str = "the next start does not read this file, which is kept in case \
    the newest checkpoint is damaged; the next checkpoint of this shard lets go of it";

const NEEDED_HISTORY: &str = "no balance depends on this file, but the single bookings in it may \
    be nowhere else, and the next start refuses it if its header is damaged. Put a whole copy of \
    the file, from a backup or another copy of the disk, in its place";

/// What damage to a file means when `newest` is the newest checkpoint (0: there is none),
/// and what to do. A start reads that one, the headers of the history and the segments
/// behind; a fold lets go of what is before the checkpoint that it began with.
fn consequence(newest: u32, kind: FileKind, number: u32) -> &'static str {
    match kind {
        FileKind::Segment if number > newest => NEEDED_SEGMENT,
        FileKind::Checkpoint if number >= newest => NEEDED_CHECKPOINT,
        FileKind::Segment | FileKind::Checkpoint => SECOND_GENERATION,
        FileKind::History => NEEDED_HISTORY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{MemoryDisk, Storage};
    use crate::wal::tests::fold::folded;
    use crate::wal::tests::open;

    const SHARD: ShardId = ShardId(0);

    /// A disk with files of every kind, and a scrubber's idea of it.
    struct Bench {
        disk: MemoryDisk,
        data: DataSet,
        subject: Subject,
    }

    impl Bench {
        fn new() -> Self {
            let (disk, _) = folded(3);
            let data = open(&disk).unwrap();
            let reach = Arc::new(LogReach::default());
            // Behind the one that is written stands the one that comes next.
            reach.publish(*inventory(&disk).segments.last().unwrap() - 1);
            let subject = Subject {
                shard: SHARD,
                reach,
                metrics: Arc::default(),
                damaged: BTreeSet::new(),
            };
            Self {
                disk,
                data,
                subject,
            }
        }

        fn closed(&self) -> Vec<(FileKind, u32)> {
            closed_files(&inventory(&self.disk), self.subject.reach.closed()).collect()
        }

        /// A round without rest; gives how many files are damaged then, and what was read.
        fn round(&mut self) -> (u64, u64) {
            let mut read_bytes = 0;
            let mut pace = |bytes| {
                read_bytes += bytes;
                ControlFlow::Continue(())
            };
            let rounds = self.subject.metrics.rounds.get();
            assert!(self.subject.scrub(&self.data, &mut pace).is_continue());
            assert_eq!(self.subject.metrics.rounds.get(), rounds + 1);
            (self.subject.metrics.damaged_files.get(), read_bytes)
        }

        /// Flips a bit in the first frame of a file, or flips it back.
        fn flip(&self, (kind, number): (FileKind, u32)) {
            let path = kind.path(SHARD, number);
            let mut bytes = self.disk.contents(&path).unwrap();
            bytes[4_096 + 80] ^= 1;
            self.disk.set_contents(&path, &bytes);
        }
    }

    fn inventory(disk: &MemoryDisk) -> Inventory {
        Inventory::of(disk, SHARD).unwrap()
    }

    #[test]
    fn a_round_reads_every_closed_file_to_its_last_frame_and_accuses_none_that_is_whole() {
        let mut bench = Bench::new();
        let files = bench.closed();
        for kind in FileKind::ALL {
            assert!(files.iter().any(|file| file.0 == kind), "no {kind:?}");
        }
        let used_bytes = |(kind, number): &(FileKind, u32)| {
            let bytes = bench.disk.contents(&kind.path(SHARD, *number)).unwrap();
            let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
            (last as u64 / 4_096 + 1) * 4_096
        };
        let used_bytes: u64 = files.iter().map(used_bytes).sum();
        assert_eq!(bench.round(), (0, used_bytes));
        assert_eq!(bench.round(), (0, used_bytes));
        assert_eq!(bench.subject.metrics.bytes.get(), 2 * used_bytes);
    }

    #[test]
    fn a_damaged_file_is_counted_until_it_is_whole_again() {
        let mut bench = Bench::new();
        for file in bench.closed() {
            bench.flip(file);
            assert_eq!(bench.round().0, 1, "{file:?}");
            assert_eq!(bench.round().0, 1, "{file:?}");
            bench.flip(file);
            assert_eq!(bench.round().0, 0, "{file:?}");
        }
        let files = bench.closed();
        for (damaged, file) in (1..).zip(&files) {
            bench.flip(*file);
            assert_eq!(bench.round().0, damaged);
        }
    }

    #[test]
    fn a_damaged_file_that_is_let_go_of_is_forgotten_between_rounds() {
        let mut bench = Bench::new();
        let file = bench.closed()[0];
        bench.flip(file);
        assert_eq!(bench.round().0, 1);
        bench.disk.remove(&file.0.path(SHARD, file.1)).unwrap();
        bench.subject.look(&bench.data).unwrap();
        assert_eq!(bench.subject.metrics.damaged_files.get(), 0);
    }

    #[test]
    fn the_segment_that_is_written_is_left_alone_until_the_log_has_left_it() {
        let mut bench = Bench::new();
        let active = bench.subject.reach.closed() + 1;
        bench.flip((FileKind::Segment, active));
        assert_eq!(bench.round().0, 0);
        bench.subject.reach.publish(active + 1);
        assert_eq!(bench.round().0, 1);
    }

    #[test]
    fn a_stop_ends_a_round_at_once_and_does_not_count_it() {
        let mut bench = Bench::new();
        for pieces in 0..bench.closed().len() {
            let mut left = pieces;
            let mut pace = |_| match left {
                0 => ControlFlow::Break(()),
                _ => {
                    left -= 1;
                    ControlFlow::Continue(())
                }
            };
            assert!(bench.subject.scrub(&bench.data, &mut pace).is_break());
        }
        assert_eq!(bench.subject.metrics.rounds.get(), 0);
        assert_eq!(bench.subject.metrics.damaged_files.get(), 0);
    }

    #[test]
    fn the_rest_after_a_piece_keeps_the_rate() {
        for (bytes_per_second, bytes, micros) in [
            (8 << 20, 64 << 10, 7_812),
            (64 << 10, 64 << 10, 1_000_000),
            (1 << 30, 64 << 10, 61),
            (1, u64::MAX, u64::MAX / 1_000),
        ] {
            let settings = ScrubSettings {
                bytes_per_second: NonZeroU64::new(bytes_per_second).unwrap(),
                interval: Duration::from_secs(1),
            };
            let rest_micros = settings.rest_after(bytes).as_micros();
            assert_eq!(rest_micros, u128::from(micros), "{bytes_per_second}");
        }
    }

    #[test]
    fn what_damage_means_depends_on_the_newest_checkpoint() {
        for (newest, kind, number, expected) in [
            (0, FileKind::Segment, 1, NEEDED_SEGMENT),
            (6, FileKind::Segment, 7, NEEDED_SEGMENT),
            (6, FileKind::Segment, 6, SECOND_GENERATION),
            (6, FileKind::Checkpoint, 3, SECOND_GENERATION),
            (6, FileKind::Checkpoint, 6, NEEDED_CHECKPOINT),
            (6, FileKind::History, 3, NEEDED_HISTORY),
            (6, FileKind::History, 6, NEEDED_HISTORY),
        ] {
            let meaning = consequence(newest, kind, number);
            assert_eq!(meaning, expected, "{kind:?} {number} beside {newest}");
        }
    }
}
