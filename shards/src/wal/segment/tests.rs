//! Segments made, let go of, and found to be what their name says, on a disk that fails.

use super::*;
use crate::storage::{Keep, MemoryDisk, is_no_room};

const SHARD: ShardId = ShardId(1);
const ORDER: SegmentOrder = SegmentOrder {
    data_set: DataSetId(0xABCD),
    shard: SHARD,
    number: 3,
    bytes: SEGMENT_BYTES_MIN,
};

fn disk() -> MemoryDisk {
    let disk = MemoryDisk::default();
    disk.create_directory("shard-1").unwrap();
    disk.sync_directory("").unwrap();
    disk
}

fn open(disk: &MemoryDisk) -> Result<Segment, OpenError> {
    Segment::open(disk, ORDER.data_set, SHARD, 3)
}

#[test]
fn a_segment_that_was_let_go_of_is_whole_or_gone_after_a_crash() {
    let next = SegmentOrder { number: 4, ..ORDER };
    let path = segment_path(SHARD, 3);
    let mut back = 0;
    // The thread that makes the next segment may come in the middle of the release,
    // and the power may go in the middle of that.
    for (stop, cut, seed) in (0..4)
        .flat_map(|stop| (0..12).map(move |cut| (stop, cut)))
        .flat_map(|(stop, cut)| (0..8).map(move |seed| (stop, cut, seed)))
    {
        let disk = disk();
        ORDER.make(&disk, &mut || {}).unwrap();
        let before = disk.contents(&path);
        disk.fail_after(disk.operations() + stop);
        let _ = release_segment(&disk, SHARD, 3);
        disk.revive();
        disk.cut_power_after(disk.operations() + cut);
        let _ = next.make(&disk, &mut || {});
        disk.restart(Keep::Some(seed));
        if disk.paths().contains(&path) {
            let after = disk.contents(&path);
            assert!(after == before, "stop {stop}, cut {cut}, seed {seed}");
            back += 1;
        }
    }
    assert!(back > 0, "no crash brought a name back");
}

#[test]
fn a_segment_has_its_name_only_when_it_is_whole_and_durable() {
    let needed = {
        let disk = disk();
        ORDER.make(&disk, &mut || {}).unwrap();
        disk.restart(Keep::Nothing);
        assert_eq!(open(&disk).unwrap().header.epoch, 0);
        disk.operations()
    };
    for cut in 0..needed {
        for seed in 0..4 {
            let disk = disk();
            disk.cut_power_after(cut);
            let made = ORDER.make(&disk, &mut || {});
            disk.restart(Keep::Some(seed));
            let named = disk.paths().contains(&segment_path(SHARD, 3));
            assert!(named || made.is_err(), "cut {cut}");
            assert!(!named || open(&disk).is_ok(), "cut {cut}, seed {seed}");
        }
    }
}

#[test]
fn a_full_disk_keeps_nothing_of_a_segment() {
    let disk = disk();
    disk.set_bytes_max(Some(SEGMENT_BYTES_MIN - 1));
    let error = ORDER.make(&disk, &mut || {}).unwrap_err();
    assert!(is_no_room(&error), "{error}");
    assert!(disk.paths().is_empty());
}

#[test]
fn a_released_segment_becomes_the_next_in_its_next_epoch() {
    let disk = disk();
    let mut old = ORDER.make(&disk, &mut || {}).unwrap();
    let mut debris = AlignedBuf::zeroed(BLOCK_BYTES);
    debris.fill(0xEE);
    old.file.write_durably(FIRST_FRAME_OFFSET, &debris).unwrap();
    release_segment(&disk, SHARD, 3).unwrap();
    disk.set_bytes_max(Some(SEGMENT_BYTES_MIN));
    let next = SegmentOrder { number: 9, ..ORDER };
    let segment = next.make(&disk, &mut || {}).unwrap();
    assert_eq!((segment.header.number, segment.header.epoch), (9, 1));
    disk.restart(Keep::Nothing);
    assert_eq!(disk.paths(), ["shard-1/00000009.seg"]);
    let contents = disk.contents("shard-1/00000009.seg").unwrap();
    assert_eq!(contents.len() as u64, SEGMENT_BYTES_MIN);
    assert!(contents[BLOCK_BYTES..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_file_that_is_not_what_its_name_says_is_refused() {
    let disk = disk();
    ORDER.make(&disk, &mut || {}).unwrap();
    let path = segment_path(SHARD, 3);
    let whole = disk.contents(&path).unwrap();
    let mut other = SegmentHeader {
        data_set: ORDER.data_set,
        shard: SHARD,
        number: 4,
        epoch: 0,
        bytes: ORDER.bytes,
    };
    let with_header = |header: &SegmentHeader| {
        let mut bytes = whole.clone();
        bytes[..BLOCK_BYTES].copy_from_slice(&header.encode());
        bytes
    };
    let other_number = with_header(&other);
    other.number = 3;
    other.data_set = DataSetId(1);
    let other_set = with_header(&other);
    let cases = [
        (whole[..whole.len() - BLOCK_BYTES].to_vec(), "65536 bytes"),
        (whole[..17].to_vec(), "a file of 17 bytes"),
        (other_number, "found segment 4 of shard 1"),
        (
            other_set,
            "found one of data set 00000000000000000000000000000001",
        ),
    ];
    for (bytes, expected) in cases {
        disk.set_contents(&path, &bytes);
        let refused = open(&disk).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}
