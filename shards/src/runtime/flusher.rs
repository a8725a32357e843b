//! Where the log is written: on the shard's own thread, or on one beside it.
//!
//! On the shard it is fastest while the disk is quick, for nobody has to be woken; but
//! a slow disk then stalls the shard's reads. A thread beside the shard keeps them
//! flowing for two wake-ups a flush. So the flushes are timed, and the place is chosen
//! by what they took of late (runtime.md "Log").
//!
//! The log itself goes to the thread and comes back, so it has one owner at any time.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::mesh::doorbell::Doorbell;
use crate::types::ShardId;
use crate::wal::{Batch, Log, LogError};

/// Above this a flush costs a shard more in stalled reads than two wake-ups would: a
/// millisecond is some hundred requests.
const BESIDE_ABOVE: Duration = Duration::from_millis(1);

/// Below this the log comes back to the shard. Half of the other bound, so that a disk
/// near it does not change places all the time.
const INLINE_BELOW: Duration = Duration::from_micros(500);

/// Each flush moves the average by an eighth of the difference: a slow disk is noticed
/// within ten flushes, a single slow flush is not.
const EWMA_SHIFT: u32 = 3;

/// Where a shard's log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FlushPlace {
    /// By what flushes took of late.
    #[default]
    Auto,
    /// On the shard's thread.
    Inline,
    /// On a thread beside it.
    Beside,
}

/// Something to do with the log.
pub(super) enum Work {
    Append(Batch),
    Seal,
    Close,
}

struct Job {
    log: Box<Log>,
    work: Work,
}

struct Done {
    job: Job,
    result: Result<(), LogError>,
}

impl Job {
    fn perform(mut self) -> Done {
        let result = match &self.work {
            Work::Append(batch) => self.log.append(batch),
            Work::Seal => self.log.seal(),
            Work::Close => self.log.close(),
        };
        Done { job: self, result }
    }
}

/// Chooses the place by the flush times seen.
struct Chooser {
    place: FlushPlace,
    average_ns: u64,
    beside: bool,
}

impl Chooser {
    fn new(place: FlushPlace) -> Self {
        Self {
            place,
            average_ns: 0,
            beside: place == FlushPlace::Beside,
        }
    }

    fn learn(&mut self, took: Duration) {
        // Beyond a second it is all the same, and the average comes down in time.
        let took_ns = took.min(Duration::from_secs(1)).as_nanos() as u64;
        self.average_ns =
            self.average_ns - (self.average_ns >> EWMA_SHIFT) + (took_ns >> EWMA_SHIFT);
        let average = Duration::from_nanos(self.average_ns);
        if self.place != FlushPlace::Auto {
            return;
        }
        if self.beside && average < INLINE_BELOW {
            self.beside = false;
        } else if !self.beside && average > BESIDE_ABOVE {
            self.beside = true;
        }
    }
}

/// A shard's way to the disk.
pub(super) struct Flusher {
    chooser: Chooser,
    jobs: Sender<Job>,
    done: Receiver<Done>,
    bell: Arc<Doorbell>,
}

impl Flusher {
    /// Starts the thread, which sleeps until it is needed and ends with the flusher.
    pub(super) fn start(
        shard: ShardId,
        place: FlushPlace,
        bell: Arc<Doorbell>,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        // One log, so one job at a time.
        let (jobs, to_do) = bounded::<Job>(1);
        let (finished, done) = bounded(1);
        let thread = std::thread::Builder::new()
            .name(format!("flusher-{shard}"))
            .spawn({
                let bell = bell.clone();
                move || {
                    for job in to_do {
                        if finished.send(job.perform()).is_err() {
                            return;
                        }
                        bell.ring();
                    }
                }
            })?;
        let flusher = Self {
            chooser: Chooser::new(place),
            jobs,
            done,
            bell,
        };
        Ok((flusher, thread))
    }

    /// Rung when a job is done, and by whoever else has news for the committer.
    pub(super) fn bell(&self) -> &Arc<Doorbell> {
        &self.bell
    }

    /// Whether the log is written beside the shard now.
    pub(super) fn is_beside(&self) -> bool {
        self.chooser.beside
    }

    /// Has the work done, here or beside, and gives the log back with it.
    pub(super) async fn perform(
        &mut self,
        log: Box<Log>,
        work: Work,
    ) -> (Box<Log>, Work, Result<(), LogError>) {
        let started = Instant::now();
        let job = Job { log, work };
        let Done { job, result } = if self.chooser.beside {
            if self.jobs.send(job).is_err() {
                unreachable!("the thread lives as long as the flusher");
            }
            poll_fn(|cx| {
                self.bell.arm(cx.waker());
                match self.done.try_recv() {
                    Ok(done) => Poll::Ready(done),
                    Err(_) => Poll::Pending,
                }
            })
            .await
        } else {
            job.perform()
        };
        self.chooser.learn(started.elapsed());
        (job.log, job.work, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_follows_the_disk_and_not_its_outliers() {
        let mut chooser = Chooser::new(FlushPlace::Auto);
        let mut after = |flushes: usize, us: u64| {
            (0..flushes).for_each(|_| chooser.learn(Duration::from_micros(us)));
            chooser.beside
        };
        assert!(!after(1_000, 200));
        assert!(!after(1, 5_000), "one slow flush");
        assert!(after(10, 5_000), "a slow disk");
        assert!(after(1_000, 700), "between the bounds it stays");
        assert!(!after(20, 200), "quick again");
        assert!(after(1, 10_000_000), "a stall");
        assert!(!after(100, 200));
    }

    #[test]
    fn a_place_that_was_ordered_stays() {
        for (place, beside) in [(FlushPlace::Inline, false), (FlushPlace::Beside, true)] {
            let mut chooser = Chooser::new(place);
            for us in [1, 100_000] {
                (0..100).for_each(|_| chooser.learn(Duration::from_micros(us)));
                assert_eq!(chooser.beside, beside);
            }
        }
    }
}
