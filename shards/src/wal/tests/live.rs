//! A log that is read while it is written: what was there at some moment, and no false alarm.

use super::Step::{Batch, Seal, Supply};
use super::*;
use crate::storage::BLOCK_BYTES;

const LIVE: Reading = Reading {
    is_live: true,
    with_history: false,
};

/// Scans while the owner goes on with `meanwhile` as soon as the first posting was read, and
/// tells how many postings were seen.
fn seen_while(
    meanwhile: &[Step],
    scan: impl FnOnce(&MemoryDisk, &Manifest, &mut dyn Visitor) -> Result<Scan, OpenError>,
) -> Result<u64, OpenError> {
    let disk = MemoryDisk::default();
    let mut model = Model::default();
    let (found, _) = recovered(&disk).unwrap();
    let mut log = found.log;
    model.step(Batch(2, 3), &mut log, &disk).unwrap();
    let manifest = *open(&disk).unwrap().manifest();
    let mut visitor = |lsn: Lsn, _: Posting| {
        if lsn == Lsn(1) {
            for step in meanwhile {
                model.step(*step, &mut log, &disk).unwrap();
            }
        }
        Ok(())
    };
    scan(&disk, &manifest, &mut visitor).map(|scan| scan.postings)
}

#[test]
fn what_is_written_meanwhile_is_no_damage_to_who_knows_of_the_writer() {
    let lives: [&[Step]; 3] = [
        &[Batch(1, 3), Seal],
        &[Batch(1, 3), Seal, Batch(4, 30)],
        // Beyond the end of the segment that is read.
        &[Supply, Batch(400, 40), Batch(400, 40), Seal],
    ];
    for meanwhile in lives {
        let strict = seen_while(meanwhile, |disk, manifest, visitor| {
            scan(
                disk,
                manifest,
                SHARD,
                Reading::default(),
                &Progress::default(),
                visitor,
            )
        });
        assert!(strict.is_err(), "the scan saw nothing of {meanwhile:?}");
        let live = seen_while(meanwhile, |disk, manifest, visitor| {
            scan(disk, manifest, SHARD, LIVE, &Progress::default(), visitor)
        });
        assert_eq!(live.unwrap(), 2, "{meanwhile:?}");
    }
}

#[test]
fn damage_is_refused_although_somebody_writes() {
    let disk = MemoryDisk::default();
    let mut model = Model::default();
    model
        .live(&disk, &[Batch(2, 3), Batch(1, 3), Seal])
        .unwrap();
    let path = "shard-0/00000001.seg";
    let mut bytes = disk.contents(path).unwrap();
    bytes[2 * BLOCK_BYTES + 70] ^= 1;
    disk.set_contents(path, &bytes);
    let manifest = *open(&disk).unwrap().manifest();
    let told = scan(
        &disk,
        &manifest,
        SHARD,
        LIVE,
        &Progress::default(),
        &mut |_: Lsn, _| Ok(()),
    );
    let error = told.unwrap_err().to_string();
    assert!(error.contains("offset 8192"), "{error}");
}
