//! The log: postings to records, and a batch of them to a frame.

use std::io;
use std::sync::Arc;

use shards::ledger::{Decision, Ledger, Posting};
use shards::storage::{MemoryDisk, Storage, StorageFile};
use shards::types::{Lsn, ShardId};
use shards::wal::{
    Batch, DataSet, DataSetId, Durability, Founding, Log, LogSettings, Progress, SEGMENT_BYTES_MIN,
};

use crate::players::{self, LEDGER};
use crate::{AT, Piece};

/// What a group commit has under load.
const POSTINGS_PER_BATCH: usize = 100;

/// Encodes postings into a batch and writes it as a frame, checksum included, to a disk
/// that does nothing with it.
pub struct WriteFrames {
    log: Log,
    batch: Batch,
    postings: Vec<Posting>,
    lsn: Lsn,
}

impl WriteFrames {
    fn write(&mut self) {
        for posting in &self.postings {
            self.lsn = self.lsn.next();
            self.batch.push(self.lsn, posting);
        }
        self.log.append(&self.batch).expect("the disk takes all");
        self.batch.clear();
    }
}

impl Piece for WriteFrames {
    const STEPS: u64 = 10;

    fn new() -> Self {
        let settings = LogSettings {
            // Room for all frames, of some 13 KiB each.
            segment_bytes: 16 * SEGMENT_BYTES_MIN,
            durability: Durability::Fsync,
        };
        let founding = Founding {
            data_set: DataSetId(1),
            digest_secret: LEDGER.digest_secret,
        };
        let disk = Arc::new(Bottomless(MemoryDisk::default()));
        let data = DataSet::open(disk, 1, settings, founding).expect("a new data set");
        let mut nothing = |_: Lsn, _: Posting| Err("the log is new".to_owned());
        let recovered = data
            .recover(ShardId(0), &Progress::default(), &mut nothing)
            .expect("a new log");
        let mut frames = Self {
            log: recovered.log,
            batch: Batch::default(),
            postings: bets(),
            lsn: Lsn::NONE,
        };
        // The buffers are as large as they get.
        frames.write();
        frames
    }

    fn run(&mut self) {
        for _ in 0..Self::STEPS {
            self.write();
        }
    }
}

/// The postings of one bet of each of some players.
fn bets() -> Vec<Posting> {
    let mut ledger = Ledger::new(LEDGER);
    let mut lsn = Lsn::NONE;
    let mut post = |command: anyhow::Result<_>| {
        let Decision::Post(posting, _) = ledger.decide(&command.expect("a command"), AT) else {
            panic!("no posting");
        };
        lsn = lsn.next();
        ledger.apply(lsn, &posting);
        posting
    };
    let players = 0..POSTINGS_PER_BATCH as u64;
    for number in players.clone() {
        post(players::import(number));
    }
    players
        .map(|number| post(players::bet(number, number, number, AT)))
        .collect()
}

/// A disk in memory that forgets every frame: what a disk does is not what is measured.
struct Bottomless(MemoryDisk);

impl Storage for Bottomless {
    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.0.list(directory)
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        self.0.create_directory(directory)
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        self.0.sync_directory(directory)
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(BottomlessFile(self.0.create(path)?)))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        self.0.open(path)
    }

    fn open_to_write(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(BottomlessFile(self.0.open_to_write(path)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.0.remove(path)
    }

    fn display(&self, path: &str) -> String {
        self.0.display(path)
    }
}

/// Only frames come by [`StorageFile::write_durably`].
struct BottomlessFile(Box<dyn StorageFile>);

impl StorageFile for BottomlessFile {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn write_durably(&mut self, _offset: u64, bytes: &[u8]) -> io::Result<()> {
        std::hint::black_box(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }
}
