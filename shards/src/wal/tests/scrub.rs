//! Scrubs: every byte of a closed file is checked, and nothing that is whole is accused.

use std::ops::ControlFlow;

use super::fold::{folded, inventory, manifest};
use super::*;
use crate::storage::Storage;

fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn scrubbed(disk: &MemoryDisk, kind: FileKind, number: u32) -> Scrubbed {
    scrub(disk, &manifest(disk), SHARD, kind, number, &mut go_on).unwrap()
}

/// Every file of a shard that is not written any more.
fn closed(disk: &MemoryDisk) -> Vec<(FileKind, u32)> {
    let inventory = inventory(disk);
    let active = *inventory.segments.last().unwrap() - 1;
    let numbers = |kind| inventory.of_kind(kind).iter().map(move |at| (kind, *at));
    let files = FileKind::ALL.into_iter().flat_map(numbers);
    files
        .filter(|(kind, number)| *kind != FileKind::Segment || *number < active)
        .collect()
}

#[test]
fn whole_files_are_whole_and_no_flipped_bit_is_passed_over() {
    let (disk, _) = folded(3);
    let files = closed(&disk);
    assert!(
        FileKind::ALL
            .iter()
            .all(|kind| files.iter().any(|file| file.0 == *kind))
    );
    for (kind, number) in files {
        assert_eq!(scrubbed(&disk, kind, number), Scrubbed::Whole);
        let path = kind.path(SHARD, number);
        let whole = disk.contents(&path).unwrap();
        // Behind the frame that leads on, a segment has zeroes that mean nothing.
        let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        for at in (0..used).filter(|at| at % 4_096 < 120 && at % 7 == 0 || at % 1_499 == 0) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            disk.set_contents(&path, &damaged);
            let Scrubbed::Damaged(refusal) = scrubbed(&disk, kind, number) else {
                panic!("byte {at} of {path}");
            };
            assert_eq!(refusal.file, path);
        }
        disk.set_contents(&path, &whole);
    }
}

#[test]
fn an_unreadable_block_is_damage() {
    let (disk, _) = folded(2);
    for (kind, number) in closed(&disk) {
        disk.fail_reads(&kind.path(SHARD, number), 4_096..8_192);
        let found = scrubbed(&disk, kind, number);
        assert!(matches!(found, Scrubbed::Damaged(_)), "{found:?}");
    }
}

#[test]
fn a_file_that_was_let_go_of_is_not_accused() {
    let (disk, _) = folded(3);
    let (kind, number) = closed(&disk)[0];
    disk.remove(&kind.path(SHARD, number)).unwrap();
    assert_eq!(scrubbed(&disk, kind, number), Scrubbed::Gone);
}

#[test]
fn a_scrub_stops_when_it_is_told_to() {
    let (disk, _) = folded(3);
    let (kind, number) = closed(&disk)[0];
    let manifest = manifest(&disk);
    let mut stop = |_| ControlFlow::Break(());
    let found = scrub(&disk, &manifest, SHARD, kind, number, &mut stop).unwrap();
    assert_eq!(found, Scrubbed::Stopped);
}
