//! Damage to what was acknowledged is refused; what a crash leaves behind the end is cut.

use super::Step::{Batch, Close, Seal, Supply};
use super::*;
use crate::storage::{BLOCK_BYTES, Storage};

const FIRST: &str = "shard-0/00000001.seg";

/// A disk after some steps, and what is on it.
fn disk_after(steps: &[Step]) -> (MemoryDisk, Vec<Posting>) {
    let disk = MemoryDisk::default();
    let mut model = Model::default();
    model.live(&disk, steps).unwrap();
    (disk, model.tried)
}

/// Four blocks of frames behind the header: two batches, a seal, a clean shutdown.
fn small() -> (MemoryDisk, Vec<Posting>) {
    disk_after(&[Batch(2, 3), Batch(1, 30), Seal, Close])
}

/// Offsets that cover every field, and some of the zeroes between.
fn offsets(end: usize) -> impl Iterator<Item = usize> {
    (0..end).filter(|at| at % BLOCK_BYTES < 330 || at % 2_048 < 64 || at % 97 == 0)
}

fn told(result: Result<(Recovered, Vec<Posting>), OpenError>) -> Result<Vec<Posting>, String> {
    match result {
        Ok((_, postings)) => Ok(postings),
        Err(OpenError::Refused(refusal)) => Err(refusal.to_string()),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn no_flipped_bit_changes_what_is_recovered() {
    let (disk, expected) = small();
    let data = open(&disk).unwrap();
    let whole = disk.contents(FIRST).unwrap();
    let (mut refused, mut harmless) = (0, 0);
    for at in offsets(7 * BLOCK_BYTES) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        disk.set_contents(FIRST, &damaged);
        let mut postings = Vec::new();
        let result = data.recover(SHARD, &Progress::default(), &mut |_: Lsn, posting| {
            postings.push(posting);
            Ok(())
        });
        match result {
            Ok(_) => {
                assert_eq!(postings, expected, "byte {at}");
                // Only the clean shutdown and the zeroes behind it.
                assert!(at >= 4 * BLOCK_BYTES, "byte {at}");
                harmless += 1;
            }
            Err(OpenError::Refused(refusal)) => {
                assert_eq!(refusal.file, FIRST);
                assert_eq!(disk.contents(FIRST).unwrap(), damaged, "untouched");
                refused += 1;
            }
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    assert!(
        refused > 1_000 && harmless > 500,
        "{refused} and {harmless}"
    );
}

#[test]
fn no_flipped_bit_of_the_manifest_goes_unnoticed() {
    let (disk, _) = small();
    let whole = disk.contents("manifest").unwrap();
    for at in (0..whole.len()).filter(|at| at % (whole.len() / 2) < 70 || at % 1_009 == 0) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        disk.set_contents("manifest", &damaged);
        let refusal = open(&disk).unwrap_err().to_string();
        assert!(
            refusal.contains("copy of the manifest"),
            "byte {at}: {refusal}"
        );
        assert!(refusal.contains("bs=36864 count=1"), "byte {at}: {refusal}");
    }
    disk.set_contents("manifest", &whole[..whole.len() - 1]);
    let refusal = open(&disk).unwrap_err().to_string();
    assert!(refusal.contains("a file of 73727 bytes"), "{refusal}");
}

#[test]
fn a_zeroed_or_misdirected_block_is_refused() {
    let (disk, _) = small();
    let whole = disk.contents(FIRST).unwrap();
    let block = |number: usize| number * BLOCK_BYTES..(number + 1) * BLOCK_BYTES;
    // Header, two batches, seal: everything before the clean shutdown.
    for to in 0..4 {
        for from in 0..6 {
            if from == to {
                continue;
            }
            let mut damaged = whole.clone();
            damaged.copy_within(block(from), to * BLOCK_BYTES);
            disk.set_contents(FIRST, &damaged);
            let refusal = told(recovered(&disk)).unwrap_err();
            let at = format!("{FIRST}, offset {}:", to * BLOCK_BYTES);
            assert!(refusal.contains(&at), "{from} over {to}: {refusal}");
        }
    }
}

#[test]
fn an_unreadable_block_is_refused_wherever_it_is() {
    let (disk, _) = small();
    for block in 0..SEGMENT_BYTES_MIN / BLOCK_BYTES as u64 {
        let at = block * BLOCK_BYTES as u64;
        disk.fail_reads(FIRST, at..at + 1);
        let refusal = told(recovered(&disk)).unwrap_err();
        assert!(refusal.contains(&format!("offset {at}:")), "{refusal}");
        assert!(refusal.contains("dmesg"), "{refusal}");
    }
    disk.fail_reads("manifest", 0..1);
    let refusal = told(recovered(&disk)).unwrap_err();
    assert!(refusal.contains("a readable manifest"), "{refusal}");
}

/// Three segments: two full ones and one in use.
fn large() -> (MemoryDisk, Vec<Posting>) {
    let fill = [Supply, Batch(400, 30), Seal];
    let steps = [&fill[..], &fill, &fill, &[Batch(1, 0), Seal]].concat();
    let (disk, expected) = disk_after(&steps);
    assert_eq!(disk.paths().len(), 4, "{:?}", disk.paths());
    (disk, expected)
}

type Damage<'a> = &'a dyn Fn(&MemoryDisk);

#[test]
fn a_missing_truncated_or_foreign_file_is_refused() {
    let segment = |number: u32| format!("shard-0/{number:08}.seg");
    let (disk, _) = large();
    let files: Vec<Vec<u8>> = (1..=3)
        .map(|number| disk.contents(&segment(number)).unwrap())
        .collect();
    for number in 1..=3 {
        let path = segment(number);
        let cases: [(&str, Damage<'_>, &str); 5] = [
            ("missing", &|disk| remove(disk, &path), "found no such file"),
            (
                "truncated",
                &|disk| disk.set_contents(&path, &files[number as usize - 1][..8_192]),
                "found one of 8192 bytes",
            ),
            (
                "empty",
                &|disk| disk.set_contents(&path, &[]),
                "a file of 0 bytes",
            ),
            (
                "another segment's",
                &|disk| disk.set_contents(&path, &files[number as usize % 3]),
                "of shard 0. This file has another's name",
            ),
            (
                "another data set's",
                &|disk| disk.set_contents(&path, &foreign(number)),
                "copied here from another data directory",
            ),
        ];
        for (name, damage, expected) in cases {
            let disk = disk.copy();
            damage(&disk);
            let refusal = told(recovered(&disk)).unwrap_err();
            assert!(refusal.contains(&path), "{name} {path}: {refusal}");
            assert!(refusal.contains(expected), "{name} {path}: {refusal}");
        }
    }
    let disk = disk.copy();
    remove(&disk, "manifest");
    let refusal = told(recovered(&disk)).unwrap_err();
    assert!(refusal.contains("The manifest is missing"), "{refusal}");
}

fn remove(disk: &MemoryDisk, path: &str) {
    disk.remove(path).unwrap();
}

/// A whole segment of another data set.
fn foreign(number: u32) -> Vec<u8> {
    let disk = MemoryDisk::default();
    disk.create_directory("shard-0").unwrap();
    let order = SegmentOrder {
        data_set: DataSetId(99),
        shard: SHARD,
        number,
        bytes: SEGMENT_BYTES_MIN,
    };
    order.make(&disk, &mut || {}).unwrap();
    disk.contents(&segment_path(SHARD, number)).unwrap()
}

#[test]
fn damage_in_any_segment_is_seen_from_the_frames_behind_it() {
    let (disk, _) = large();
    for number in 1..=3 {
        let path = segment_path(SHARD, number);
        let whole = disk.contents(&path).unwrap();
        // The last segment has one batch, a block long, and its seal.
        for block in if number < 3 { 1..4 } else { 1..2 } {
            let mut damaged = whole.clone();
            damaged[block * BLOCK_BYTES + 40] ^= 1;
            disk.set_contents(&path, &damaged);
            let refusal = told(recovered(&disk)).expect_err(&format!("{path} block {block}"));
            assert!(refusal.contains("a later frame of this log"), "{refusal}");
        }
        disk.set_contents(&path, &whole);
    }
}

#[test]
fn what_stands_in_a_segment_that_is_not_in_use_yet_is_refused() {
    let (disk, _) = disk_after(&[Batch(1, 0), Supply]);
    let path = segment_path(SHARD, 2);
    let mut bytes = disk.contents(&path).unwrap();
    bytes[5 * BLOCK_BYTES] = 1;
    disk.set_contents(&path, &bytes);
    let refusal = told(recovered(&disk)).unwrap_err();
    assert!(
        refusal.contains("shard-0/00000002.seg, offset 20480"),
        "{refusal}"
    );
}

/// Whatever stands behind the last frame without being one is cut, said, and gone.
#[test]
fn debris_behind_the_last_frame_is_cut() {
    let (disk, expected) = disk_after(&[Batch(2, 3), Batch(1, 30), Seal]);
    let whole = disk.contents(FIRST).unwrap();
    let end = 4 * BLOCK_BYTES;
    let batch = whole[BLOCK_BYTES..2 * BLOCK_BYTES].to_vec();
    let other_set = {
        let other = MemoryDisk::default();
        let new = Founding {
            data_set: DataSetId(5),
            ..FOUNDING
        };
        let data = DataSet::open(Arc::new(other.clone()), 1, SETTINGS, new).unwrap();
        let mut visitor = |_: Lsn, _: Posting| Ok(());
        let mut log = data
            .recover(SHARD, &Progress::default(), &mut visitor)
            .unwrap()
            .log;
        let mut batch = super::Batch::default();
        for lsn in 1..=4 {
            batch.clear();
            batch.push(Lsn(lsn), &posting(lsn, 1, 0));
            log.append(&batch).unwrap();
        }
        other.contents(FIRST).unwrap()[end..end + BLOCK_BYTES].to_vec()
    };
    let garbage: Vec<u8> = (0..3 * BLOCK_BYTES)
        .map(|at| (at * 7 % 251) as u8 + 1)
        .collect();
    let torn = [&vec![0; 512][..], &garbage[512..]].concat();
    let cases: [(&str, usize, &[u8], u64); 7] = [
        ("garbage", end, &garbage, 3),
        ("one byte", end, &[1], 1),
        ("a frame of an earlier place", end, &batch, 1),
        ("part of a frame", end, &batch[..512], 1),
        (
            "a frame of another data set at its place",
            end,
            &other_set,
            1,
        ),
        ("a first sector lost", end, &torn, 3),
        ("a first block lost", end + BLOCK_BYTES, &garbage, 4),
    ];
    for (name, at, debris, blocks) in cases {
        let mut bytes = whole.clone();
        bytes[at..at + debris.len()].copy_from_slice(debris);
        disk.set_contents(FIRST, &bytes);
        let (found, postings) = recovered(&disk).unwrap();
        assert_eq!(postings, expected, "{name}");
        let tail = found.torn_tail.expect(name);
        assert_eq!(
            (tail.offset, tail.bytes, tail.first_lsn),
            (end as u64, blocks * BLOCK_BYTES as u64, Lsn(4)),
            "{name}"
        );
        assert_eq!(disk.contents(FIRST).unwrap(), whole, "{name}: zeroed");
        let mut model = Model {
            tried: expected.clone(),
            told: expected.len(),
            life: 7,
        };
        model.live(&disk, &[Batch(2, 0), Close]).unwrap();
        model.live(&disk, &[]).unwrap();
    }
}

/// A file in its second life: frames of the first one are no frames of this one.
#[test]
fn frames_of_an_earlier_epoch_are_debris() {
    let place = |epoch| Place {
        file: FileKind::Segment,
        data_set: DATA_SET,
        shard: SHARD,
        segment: 1,
        epoch,
        offset: FIRST_FRAME_OFFSET,
    };
    let (disk, _) = small();
    let whole = disk.contents(FIRST).unwrap();
    let frame = &whole[BLOCK_BYTES..2 * BLOCK_BYTES];
    let is_frame = |epoch| frame::decode_frame(frame, &place(epoch)) != frame::Found::NoFrame;
    assert!(is_frame(0) && !is_frame(1));
}

#[test]
fn postings_that_do_not_follow_are_refused_by_their_place() {
    let (disk, _) = small();
    let data = open(&disk).unwrap();
    let mut visitor = |lsn: Lsn, _: Posting| match lsn {
        Lsn(3) => Err("its account does not exist".to_owned()),
        _ => Ok(()),
    };
    let refused = data.recover(SHARD, &Progress::default(), &mut visitor);
    let refusal = refused.unwrap_err().to_string();
    for expected in [
        "shard-0/00000001.seg, offset 8192:",
        "a posting at LSN 3",
        "its account does not exist",
    ] {
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn another_number_of_shards_is_no_damage() {
    let (disk, _) = small();
    let other = DataSet::open(Arc::new(disk.clone()), 3, SETTINGS, FOUNDING);
    let error = other.unwrap_err();
    assert!(matches!(
        error,
        OpenError::OtherShardCount {
            found: 1,
            asked: 3,
            ..
        }
    ));
    assert!(error.to_string().contains("for 1 shards and 3 were asked"));
}
