//! Damage to checkpoints and history is refused, what it costs is said, and who reads
//! while files are let go of is not misled.

use std::io;

use super::fold::*;
use super::*;
use crate::ledger::{Command, Decision};
use crate::storage::{Storage, StorageFile};
use crate::types::{CountryCode, Currency};
use crate::wal::header::BlockHeader;
use crate::wal::sealed::Sealed;

/// What a start says of damage.
fn refusal(disk: &MemoryDisk) -> Option<Refusal> {
    match recover_ledger(disk) {
        Ok(_) => None,
        Err(OpenError::Refused(refusal)) => Some(*refusal),
        Err(other) => panic!("{other}"),
    }
}

fn newest(disk: &MemoryDisk, kind: FileKind) -> String {
    kind.path(SHARD, inventory(disk).newest_checkpoint().unwrap())
}

/// Every reader of everything.
fn verify(disk: &MemoryDisk) -> Result<(), OpenError> {
    let manifest = find_manifest(disk)?.expect("a manifest");
    let progress = Progress::default();
    let inventory = inventory(disk);
    for number in &inventory.checkpoints {
        derive(disk, &manifest, SHARD, &inventory, *number, &progress)?;
    }
    let mut seen = Seen::default();
    scan(disk, &manifest, SHARD, WITH_HISTORY, &progress, &mut seen).map(drop)
}

#[test]
fn no_flipped_bit_of_a_checkpoint_or_its_history_goes_unnoticed() {
    let (disk, _) = folded(3);
    assert!(verify(&disk).is_ok());
    for kind in [FileKind::Checkpoint, FileKind::History] {
        let path = newest(&disk, kind);
        let whole = disk.contents(&path).unwrap();
        let samples = (0..whole.len()).filter(|at| at % 4_096 < 120 && at % 5 < 2 || at % 997 == 0);
        for at in samples {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            disk.set_contents(&path, &damaged);
            let refused = verify(&disk).unwrap_err().to_string();
            assert!(refused.contains(&path), "byte {at}: {refused}");
            if kind == FileKind::Checkpoint || at < 4_096 {
                let refusal = refusal(&disk).unwrap_or_else(|| panic!("byte {at} of {path}"));
                assert_eq!(refusal.file, path, "byte {at}");
                // A frame is judged as a whole, so it is named by where it starts.
                let frame = 4_096.max(refusal.offset) as usize;
                assert!(at < 4_096 || (frame..frame + FRAME_BYTES_MAX).contains(&at));
            }
            assert_eq!(disk.contents(&path).unwrap(), damaged, "untouched");
        }
        disk.set_contents(&path, &whole);
    }
    assert!(verify(&disk).is_ok());
}

#[test]
fn a_damaged_checkpoint_says_that_the_one_before_leads_to_the_same() {
    for segments in [1, 3] {
        let (disk, mut books) = folded(segments);
        let path = newest(&disk, FileKind::Checkpoint);
        let mut bytes = disk.contents(&path).unwrap();
        bytes[5_000] ^= 1;
        disk.set_contents(&path, &bytes);
        let refusal = refusal(&disk).unwrap();
        assert!(
            refusal
                .advice
                .contains("to start from there, move this file"),
            "{refusal}"
        );
        let from = if segments == 1 {
            "Every segment since the first"
        } else {
            "Checkpoint 2 and"
        };
        assert!(refusal.advice.contains(from), "{refusal}");
        let told = verify(&disk).unwrap_err().to_string();
        assert!(told.contains(from), "{told}");
        disk.remove(&path).unwrap();
        books.live(&disk, LIFE).unwrap();
        // And once more, from what the next fold made of it.
        books.live(&disk, &[]).unwrap();
        verify(&disk).unwrap();
        // With that one gone, too, there is no way back but a backup.
    }
    let (disk, _) = folded(3);
    let older = FileKind::Checkpoint.path(SHARD, inventory(&disk).checkpoints[0]);
    let whole = disk.contents(&older).unwrap();
    disk.set_contents(&older, &whole[..4_096]);
    assert!(
        refusal(&disk).is_none(),
        "a start does without the older one"
    );
    let told = verify(&disk).unwrap_err().to_string();
    assert!(told.contains("does without this one"), "{told}");
    for number in inventory(&disk).checkpoints {
        disk.remove(&FileKind::Checkpoint.path(SHARD, number))
            .unwrap();
    }
    let refusal = refusal(&disk).unwrap();
    assert!(
        refusal
            .expected
            .contains("segment 1 of shard 0, or a checkpoint"),
        "{refusal}"
    );
}

#[test]
fn a_missing_truncated_misplaced_or_foreign_file_is_refused() {
    let (disk, _) = folded(4);
    let number = inventory(&disk).newest_checkpoint().unwrap();
    let (checkpoint, past) = (
        newest(&disk, FileKind::Checkpoint),
        newest(&disk, FileKind::History),
    );
    let older = FileKind::History.path(SHARD, inventory(&disk).checkpoint_before(number));
    let contents = |path: &str| disk.contents(path).unwrap();
    let foreign = |path: &str| {
        let mut header = Sealed::open(&disk, id(path, number)).unwrap().header;
        header.data_set = DataSetId(99);
        let mut bytes = contents(path);
        bytes[..4_096].copy_from_slice(&header.encode());
        bytes
    };
    let zeroed = |path: &str| {
        let mut bytes = contents(path);
        bytes[4_096..8_192].fill(0);
        bytes
    };
    for path in [&checkpoint, &past] {
        let whole = contents(path);
        let cases: [(&str, Vec<u8>, &str); 6] = [
            (
                "truncated",
                whole[..whole.len() - 4_096].to_vec(),
                "as its header says",
            ),
            (
                "longer",
                [&whole[..], &[0; 4_096]].concat(),
                "as its header says",
            ),
            ("empty", Vec::new(), "a file of 0 bytes"),
            (
                "another's",
                contents(&older),
                "This file has another's name",
            ),
            (
                "of another data set",
                foreign(path),
                "another data directory",
            ),
            ("zeroed", zeroed(path), "found zeroes"),
        ];
        for (name, bytes, expected) in cases {
            let disk = disk.copy();
            disk.set_contents(path, &bytes);
            let refused = verify(&disk).unwrap_err().to_string();
            assert!(refused.contains(expected), "{path} {name}: {refused}");
            let is_read_at_start = *path == checkpoint || name != "zeroed";
            assert_eq!(refusal(&disk).is_some(), is_read_at_start, "{path} {name}");
        }
    }
    for path in [&past, &older] {
        let disk = disk.copy();
        disk.remove(path).unwrap();
        let refusal = refusal(&disk);
        if *path == older && inventory(&disk).histories.len() == 1 {
            continue;
        }
        let refusal = refusal.unwrap_or_else(|| panic!("{path} missing"));
        assert_eq!((&refusal.file, &*refusal.found), (path, "no such file"));
    }
    // Segments behind the checkpoint are needed, those before it are not.
    let active = recover_ledger(&disk).unwrap().0.log.position().segment;
    for segment in inventory(&disk).segments {
        let disk = disk.copy();
        disk.remove(&segment_path(SHARD, segment)).unwrap();
        assert_eq!(
            refusal(&disk).is_some(),
            segment > number && segment <= active,
            "segment {segment}"
        );
    }
    disk.fail_reads(&checkpoint, 4_096..4_097);
    assert!(refusal(&disk).unwrap().advice.contains("dmesg"));
}

fn id(path: &str, number: u32) -> sealed::SealedId {
    let kind = match path.ends_with(".ckpt") {
        true => FileKind::Checkpoint,
        false => FileKind::History,
    };
    sealed::SealedId {
        kind,
        data_set: DATA_SET,
        shard: SHARD,
        number,
    }
}

#[test]
fn a_block_of_one_file_is_none_of_another() {
    let (disk, _) = folded(3);
    let (checkpoint, past) = (
        newest(&disk, FileKind::Checkpoint),
        newest(&disk, FileKind::History),
    );
    let bytes = |path: &str| disk.contents(path).unwrap();
    let (of_checkpoint, of_past) = (bytes(&checkpoint), bytes(&past));
    let shorter = of_checkpoint.len().min(of_past.len());
    for (path, whole, other) in [
        (&checkpoint, &of_checkpoint, &of_past),
        (&past, &of_past, &of_checkpoint),
    ] {
        for block in 0..shorter / 4_096 {
            let mut damaged = whole.clone();
            let range = block * 4_096..(block + 1) * 4_096;
            damaged[range.clone()].copy_from_slice(&other[range]);
            disk.set_contents(path, &damaged);
            assert!(verify(&disk).is_err(), "block {block} of {path}");
        }
        disk.set_contents(path, whole);
    }
}

#[test]
fn a_checkpoint_that_does_not_follow_from_what_is_before_it_is_noticed() {
    let (disk, books) = folded(3);
    let number = inventory(&disk).newest_checkpoint().unwrap();
    let manifest = manifest(&disk);
    let header = Sealed::open(&disk, checkpoint::id_of(&manifest, SHARD, number))
        .unwrap()
        .header;
    // Whole in every block, and made of postings that were never written.
    let mut ledger = replayed(&books.tried[..header.next_lsn.0 as usize - 1]);
    let command = Command::OpenAccount {
        account: AccountId::parse("acme/nobody").unwrap(),
        currency: Currency::parse("GBP").unwrap(),
        country: CountryCode::parse("GB").unwrap(),
    };
    let Decision::Post(posting, _) = ledger.decide(&command, UnixMillis(0)) else {
        panic!("a command that books nothing");
    };
    ledger.apply(Lsn(1), &posting);
    checkpoint::write_checkpoint(&disk, header, &ledger, &mut go_on)
        .unwrap()
        .publish()
        .unwrap();
    assert!(refusal(&disk).is_none(), "a start believes what is whole");
    let refused = verify(&disk).unwrap_err().to_string();
    assert!(
        refused.contains("the postings before it lead to"),
        "{refused}"
    );
}

#[test]
fn a_checkpoint_is_derived_from_whatever_is_kept() {
    let (disk, _) = folded(2);
    let manifest = manifest(&disk);
    let derived = |disk: &MemoryDisk| {
        let inventory = inventory(disk);
        let number = inventory.newest_checkpoint().unwrap();
        let progress = Progress::default();
        derive(disk, &manifest, SHARD, &inventory, number, &progress)
            .unwrap()
            .1
    };
    assert_eq!(
        derived(&disk),
        Derived::Equal,
        "from the checkpoint and segments"
    );
    let [before, number] = inventory(&disk).checkpoints[..] else {
        panic!("two checkpoints");
    };
    for segment in before + 1..=number {
        disk.remove(&segment_path(SHARD, segment)).unwrap();
    }
    assert_eq!(
        derived(&disk),
        Derived::Equal,
        "from the checkpoint and history"
    );
    disk.remove(&FileKind::Checkpoint.path(SHARD, before))
        .unwrap();
    assert_eq!(derived(&disk), Derived::Equal, "from all of the history");
    disk.remove(&FileKind::History.path(SHARD, inventory(&disk).histories[0]))
        .unwrap();
    assert_eq!(derived(&disk), Derived::NothingBefore);
}

#[test]
fn who_reads_while_files_are_let_go_of_begins_again() {
    let (disk, books) = folded(3);
    let mut seen = Seen::default();
    let meanwhile = {
        let (disk, mut books) = (disk.clone(), books.clone());
        move || {
            let (found, mut ledger) = recover_ledger(&disk).unwrap();
            let mut log = found.log;
            for deed in [Roll, Fold].repeat(4) {
                books.act(deed, &mut log, &mut ledger, &disk).unwrap();
            }
        }
    };
    seen.meanwhile = Some(Box::new(meanwhile));
    let reading = Reading {
        is_live: true,
        with_history: true,
    };
    let manifest = manifest(&disk);
    let scan = scan(
        &disk,
        &manifest,
        SHARD,
        reading,
        &Progress::default(),
        &mut seen,
    )
    .unwrap();
    assert_eq!(seen.begun, 1);
    let lsns = seen.postings.iter().map(|(lsn, _)| lsn.0);
    assert!(lsns.eq(scan.oldest_lsn.0..scan.position.next_lsn.0));
    let (_, ledger) = recover_ledger(&disk).unwrap();
    assert!(entries(seen.rebuild().ledger()) == entries(&ledger));
}

#[test]
fn history_is_kept_for_as_long_as_asked_whatever_the_clock_says() {
    let mut age = LogAge::default();
    let begin = UnixMillis(1_795_000_000_000);
    for at in [
        begin,
        begin.after(HOUR / 2),
        begin.after(1_000 * HOUR),
        begin,
        begin.after(HOUR),
    ] {
        age.grow(at);
    }
    // The first, half an hour, a jump, a jump back, an hour.
    assert_eq!(age.ms, 3_600_000 * (1 + 1 + 1) + 1_800_000);
    assert_eq!(age.last_at, begin.after(HOUR));
}

/// A disk whose list shows a file that goes away before anybody opens it.
struct Ghost(MemoryDisk);

impl Storage for Ghost {
    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let mut names = self.0.list(directory)?;
        names.insert(0, "00000000.free".to_owned());
        Ok(names)
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        self.0.create_directory(directory)
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        self.0.sync_directory(directory)
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        self.0.create(path)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        self.0.open(path)
    }

    fn open_to_write(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        self.0.open_to_write(path)
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

#[test]
fn a_free_segment_that_a_fold_removes_is_done_without() {
    let disk = MemoryDisk::default();
    let (found, _) = recovered(&disk).unwrap();
    let mut log = found.log;
    log.supply_from(&Ghost(disk)).unwrap();
    assert!(log.order().is_none());
}
