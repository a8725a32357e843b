//! The disk in memory is as bad as it is told to be.

use super::super::AlignedBuf;
use super::*;

fn filled(byte: u8) -> AlignedBuf {
    let mut block = AlignedBuf::zeroed(BLOCK_BYTES);
    block.fill(byte);
    block
}

/// One file, its first block durable, its second not.
fn half_written() -> MemoryDisk {
    let disk = MemoryDisk::default();
    let mut file = disk.create("f").unwrap();
    disk.sync_directory("").unwrap();
    file.write_at(0, &filled(0)).unwrap();
    file.write_at(BLOCK_BYTES as u64, &filled(0)).unwrap();
    file.sync().unwrap();
    file.write_durably(0, &filled(1)).unwrap();
    file.write_at(BLOCK_BYTES as u64, &filled(2)).unwrap();
    disk
}

/// What stands in each sector of the file.
fn sectors(disk: &MemoryDisk) -> Vec<u8> {
    let contents = disk.contents("f").unwrap();
    contents.iter().step_by(SECTOR_BYTES).copied().collect()
}

#[test]
fn a_power_cut_keeps_what_was_synced_and_any_part_of_the_rest() {
    for (keep, rest) in [(Keep::Nothing, 0), (Keep::Everything, 2)] {
        let disk = half_written();
        assert_eq!(sectors(&disk), [[1; 8], [2; 8]].concat(), "cached");
        disk.restart(keep);
        assert_eq!(sectors(&disk), [[1; 8], [rest; 8]].concat());
    }
    let torn: BTreeSet<Vec<u8>> = (0..64)
        .map(|seed| {
            let disk = half_written();
            disk.restart(Keep::Some(seed));
            assert_eq!(sectors(&disk)[..8], [1; 8]);
            sectors(&disk)[8..].to_vec()
        })
        .collect();
    // Of 256 ways to keep eight sectors.
    assert!(torn.len() > 32, "{torn:?}");
}

#[test]
fn names_are_lost_too_until_their_directory_is_synced() {
    let disk = half_written();
    disk.create_directory("d").unwrap();
    disk.rename("f", "g").unwrap();
    assert_eq!(disk.paths(), ["g"]);
    disk.restart(Keep::Nothing);
    assert_eq!(disk.paths(), ["f"]);
    assert!(disk.list("d").is_err());
    disk.rename("f", "g").unwrap();
    disk.sync_directory("").unwrap();
    disk.restart(Keep::Nothing);
    assert_eq!(disk.paths(), ["g"]);
}

#[test]
fn operations_fail_and_the_power_goes_when_they_were_told_to() {
    let disk = half_written();
    let mut file = disk.open_to_write("f").unwrap();
    disk.fail_next();
    assert!(file.write_durably(0, &filled(3)).is_err());
    assert!(file.write_durably(0, &filled(4)).is_ok());
    disk.cut_power_after(disk.operations());
    assert!(file.write_durably(0, &filled(5)).is_err());
    assert!(file.read_at(0, &mut filled(0)).is_err());
    disk.restart(Keep::Nothing);
    assert_eq!(sectors(&disk)[0], 4);
}

#[test]
fn a_full_disk_takes_no_more_until_there_is_room() {
    let disk = half_written();
    disk.set_bytes_max(Some(2 * BLOCK_BYTES as u64));
    let mut file = disk.open_to_write("f").unwrap();
    file.write_at(0, &filled(9)).unwrap();
    let full = file.write_at(2 * BLOCK_BYTES as u64, &filled(9));
    assert!(super::super::is_no_room(&full.unwrap_err()));
    disk.set_bytes_max(None);
    file.write_at(2 * BLOCK_BYTES as u64, &filled(9)).unwrap();
}

#[test]
fn unreadable_blocks_say_so() {
    let disk = half_written();
    disk.fail_reads("f", 0..1);
    let file = disk.open("f").unwrap();
    assert!(file.read_at(0, &mut filled(0)).is_err());
    assert!(file.read_at(BLOCK_BYTES as u64, &mut filled(0)).is_ok());
}
