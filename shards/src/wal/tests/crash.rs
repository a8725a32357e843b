//! Crashes and failures at every operation of a life, on a disk that keeps any part of
//! what was not synced.

use super::Step::{Batch, Close, Seal, Supply};
use super::*;
use crate::storage::{Keep, Storage, is_no_room};

/// Founds a data set, fills two segments and a half, and ends in good order. Some
/// batches are of several blocks, one is of several segments.
const LIFE: &[Step] = &[
    Batch(1, 0),
    Seal,
    Supply,
    Batch(60, 30),
    Batch(300, 30),
    Seal,
    Supply,
    Batch(500, 30),
    Supply,
    Batch(2, 5),
    Seal,
    Close,
];

/// What the next process does.
const AFTERLIFE: &[Step] = &[Supply, Batch(3, 10), Seal, Batch(400, 30)];

fn operations_of_a_life() -> u64 {
    let disk = MemoryDisk::default();
    let mut model = Model::default();
    model.live(&disk, LIFE).unwrap();
    assert!(model.tried.len() > 800);
    assert!(disk.paths().contains(&"shard-0/00000003.seg".to_owned()));
    model.live(&disk, &[]).unwrap();
    disk.operations()
}

fn keeps() -> impl Iterator<Item = Keep> {
    [Keep::Nothing, Keep::Everything]
        .into_iter()
        .chain((0..2).map(Keep::Some))
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_that_was_told() {
    let operations = operations_of_a_life();
    for cut in 0..operations {
        for keep in keeps() {
            let disk = MemoryDisk::default();
            let mut model = Model::default();
            disk.cut_power_after(cut);
            let _ = model.live(&disk, LIFE);
            disk.restart(keep);
            // The power goes again, somewhere in the recovery or soon after it.
            disk.cut_power_after(disk.operations() + cut % 11);
            let _ = model.live(&disk, AFTERLIFE);
            disk.restart(keep);
            model.live(&disk, AFTERLIFE).unwrap();
            disk.restart(Keep::Nothing);
            model.live(&disk, &[]).unwrap();
        }
    }
}

#[test]
fn what_a_killed_process_left_is_durable_before_the_next_one_shows_it() {
    let operations = operations_of_a_life();
    for kill in 0..operations {
        let disk = MemoryDisk::default();
        let mut model = Model::default();
        disk.cut_power_after(kill);
        let _ = model.live(&disk, LIFE);
        disk.revive();
        // What this life finds counts as told; then the machine loses power.
        model.live(&disk, &[]).unwrap();
        disk.restart(Keep::Nothing);
        model.live(&disk, &[]).unwrap();
    }
}

#[test]
fn a_failure_of_any_operation_is_noticed_and_loses_nothing_that_was_told() {
    let operations = operations_of_a_life();
    for failing in 0..operations {
        for keep in keeps() {
            let disk = MemoryDisk::default();
            let mut model = Model::default();
            disk.fail_after(failing);
            let lived = model
                .live(&disk, LIFE)
                .and_then(|()| model.live(&disk, &[]));
            assert!(lived.is_err(), "operation {failing} failed unnoticed");
            disk.restart(keep);
            model.live(&disk, AFTERLIFE).unwrap();
        }
    }
}

#[test]
fn a_full_disk_stops_new_segments_and_nothing_else() {
    let disk = MemoryDisk::default();
    let mut model = Model::default();
    model.live(&disk, &[]).unwrap();
    let used: usize = disk
        .paths()
        .iter()
        .map(|path| disk.contents(path).unwrap().len())
        .sum();
    disk.set_bytes_max(Some(used as u64));
    let (found, _) = recovered(&disk).unwrap();
    let mut log = found.log;
    let error = log.supply_from(&disk).unwrap_err();
    assert!(is_no_room(&error), "{error}");
    while log.room() > RECORD_BYTES_MAX as u64 {
        model.step(Batch(3, 20), &mut log, &disk).unwrap();
        model.step(Seal, &mut log, &disk).unwrap();
    }
    let room = log.room();
    disk.set_bytes_max(None);
    log.supply_from(&disk).unwrap();
    assert!(log.room() > room);
    model.step(Batch(100, 20), &mut log, &disk).unwrap();
    model.step(Close, &mut log, &disk).unwrap();
    let (found, postings) = recovered(&disk).unwrap();
    assert_eq!(postings, model.tried);
    assert!(found.clean_shutdown && found.torn_tail.is_none());
}

#[test]
fn leftovers_of_segments_in_the_making_are_removed() {
    let disk = MemoryDisk::default();
    let mut model = Model::default();
    model.live(&disk, &[Batch(1, 0)]).unwrap();
    disk.create("shard-0/00000002.tmp").unwrap();
    model.live(&disk, &[Supply, Batch(1, 0)]).unwrap();
    assert_eq!(
        disk.paths(),
        ["manifest", "shard-0/00000001.seg", "shard-0/00000002.seg"]
    );
}

#[test]
fn durability_of_the_kernel_survives_the_process() {
    let disk = MemoryDisk::default();
    let settings = LogSettings {
        durability: Durability::Os,
        ..SETTINGS
    };
    let data = DataSet::open(Arc::new(disk.clone()), 1, settings, FOUNDING).unwrap();
    let mut visitor = |_: Lsn, _: Posting| Ok(());
    let mut log = data
        .recover(SHARD, &Progress::default(), &mut visitor)
        .unwrap()
        .log;
    let mut model = Model::default();
    model.step(Batch(5, 0), &mut log, &disk).unwrap();
    model.live(&disk, &[]).unwrap();
}
