//! A disk that times the log's own writes.
//!
//! The server's metric has buckets a factor of two wide; a comparison with the floor
//! wants more. Only frames are timed, not the zeroes and headers of new segments.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use shards::storage::{DirectDisk, Storage, StorageFile};
use shards::wal::{FIRST_FRAME_OFFSET, FRAME_BYTES_MAX};

use crate::histogram::Histogram;

/// Durations of the flushes so far, in nanoseconds; shared with whoever reads them.
#[derive(Clone)]
pub(crate) struct FlushTimes(Arc<Mutex<Histogram>>);

impl FlushTimes {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Histogram::new())))
    }

    /// Gives what was recorded and begins anew.
    pub(crate) fn take(&self) -> Histogram {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut times, Histogram::new())
    }

    fn time<T>(&self, flush: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = flush();
        let took_ns = began.elapsed().as_nanos() as u64;
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.record(took_ns);
        done
    }
}

/// A real disk under a clock.
pub(crate) struct TimedDisk {
    pub(crate) disk: DirectDisk,
    pub(crate) times: FlushTimes,
}

impl TimedDisk {
    fn timed(&self, file: Box<dyn StorageFile>) -> Box<dyn StorageFile> {
        Box::new(TimedFile {
            file,
            times: self.times.clone(),
        })
    }
}

impl Storage for TimedDisk {
    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.disk.list(directory)
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        self.disk.create_directory(directory)
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        self.disk.sync_directory(directory)
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        Ok(self.timed(self.disk.create(path)?))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        self.disk.open(path)
    }

    fn open_to_write(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        Ok(self.timed(self.disk.open_to_write(path)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn display(&self, path: &str) -> String {
        self.disk.display(path)
    }
}

struct TimedFile {
    file: Box<dyn StorageFile>,
    times: FlushTimes,
}

impl StorageFile for TimedFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // With durability "os" frames come this way, and so do headers and zeroes:
        // the ones stand before the first frame, the others are longer than any.
        let is_frame = offset >= FIRST_FRAME_OFFSET && bytes.len() <= FRAME_BYTES_MAX;
        if is_frame {
            self.times.time(|| self.file.write_at(offset, bytes))
        } else {
            self.file.write_at(offset, bytes)
        }
    }

    fn write_durably(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.times.time(|| self.file.write_durably(offset, bytes))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

#[cfg(test)]
mod tests {
    use shards::storage::{AlignedBuf, BLOCK_BYTES, Caching};
    use shards::types::ShardId;
    use shards::wal::{DataSetId, SEGMENT_BYTES_MIN, SegmentOrder};

    use super::*;

    #[test]
    fn frames_are_timed_and_the_making_of_segments_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let disk = TimedDisk {
            disk: DirectDisk::open(directory.path(), Caching::Used).unwrap(),
            times: FlushTimes::new(),
        };
        disk.create_directory("shard-0").unwrap();
        let order = SegmentOrder {
            data_set: DataSetId(1),
            shard: ShardId(0),
            number: 1,
            bytes: 64 * SEGMENT_BYTES_MIN,
        };
        drop(order.make(&disk, &mut || {}).unwrap());
        assert_eq!(disk.times.take().count(), 0);
        let mut file = disk.open_to_write("shard-0/00000001.seg").unwrap();
        let block = AlignedBuf::zeroed(BLOCK_BYTES);
        file.write_at(FIRST_FRAME_OFFSET, &block).unwrap();
        file.write_durably(2 * FIRST_FRAME_OFFSET, &block).unwrap();
        assert_eq!(disk.times.take().count(), 2);
        assert_eq!(disk.times.take().count(), 0);
    }
}
