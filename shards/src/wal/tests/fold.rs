//! Folds: what they make leads to the same state, whatever happens in the middle of them.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use super::*;
use crate::ledger::{Command, Decision, Entry, Ledger, LedgerSettings};
use crate::storage::{Keep, Storage, StorageFile};
use crate::types::{CountryCode, Currency, SessionKey, Slot};
use crate::wal::header::BlockHeader;
use crate::wal::sealed::Sealed;

const HOUR: Duration = Duration::from_secs(3_600);

/// History for a few segments, so that folds let go of some.
const FOLDS: FoldSettings = FoldSettings {
    ledger: LedgerSettings {
        idempotency_window: Duration::from_secs(1_000 * 3_600),
        digest_secret: FOUNDING.digest_secret,
        clock_skew_max: Duration::ZERO,
    },
    history: Duration::from_secs(3 * 3_600),
};

const WITH_HISTORY: Reading = Reading {
    is_live: false,
    with_history: true,
};

#[derive(Clone, Copy, Debug)]
enum Deed {
    /// Half a segment of postings in one batch, half an hour after the last.
    Batch,
    /// One posting.
    One,
    /// Halves until the log is in the next segment.
    Roll,
    Seal,
    Fold,
}

use Deed::{Batch as Half, Fold, One, Roll, Seal};

/// The server as the log sees it: every posting is decided by a real ledger.
#[derive(Clone, Default)]
pub(crate) struct Books {
    /// Every posting that may be on the disk.
    tried: Vec<Posting>,
    /// How many of them somebody was told of.
    told: usize,
    life: u32,
}

fn entries(ledger: &Ledger) -> Vec<Entry> {
    let mut entries = Vec::new();
    let Ok(()) = ledger.entries::<std::convert::Infallible>(&mut |entry| {
        entries.push(entry);
        Ok(())
    });
    entries
}

fn replayed(postings: &[Posting]) -> Ledger {
    let mut ledger = Ledger::new(FOLDS.ledger);
    for (lsn, posting) in (1..).zip(postings) {
        ledger.try_apply(Lsn(lsn), posting).unwrap();
    }
    ledger
}

fn recover_ledger(disk: &MemoryDisk) -> Result<(Recovered, Ledger), OpenError> {
    let mut rebuild = Rebuild::new(FOLDS.ledger);
    let found = open(disk)?.recover(SHARD, &Progress::default(), &mut rebuild)?;
    Ok((found, rebuild.into_ledger()))
}

pub(super) fn manifest(disk: &MemoryDisk) -> Manifest {
    read_manifest(disk).unwrap().unwrap()
}

pub(super) fn inventory(disk: &MemoryDisk) -> Inventory {
    Inventory::of(disk, SHARD).unwrap()
}

fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Folds everything that the log has left; nothing if that is folded already.
fn fold_all(disk: &MemoryDisk, log: &Log) -> Result<(), FoldError> {
    let through = log.position().segment - 1;
    let newest = inventory(disk).newest_checkpoint().unwrap_or(0);
    if through > newest {
        let manifest = manifest(disk);
        fold(disk, &manifest, SHARD, through, &FOLDS, &mut go_on)?;
    }
    Ok(())
}

/// What a reader sees of a data directory.
#[derive(Default)]
struct Seen {
    rebuild: Option<Rebuild>,
    postings: Vec<(Lsn, Posting)>,
    begun: u32,
    /// Done when the first posting behind the checkpoint comes.
    meanwhile: Option<Box<dyn FnMut()>>,
}

impl Seen {
    fn rebuild(&mut self) -> &mut Rebuild {
        self.rebuild
            .get_or_insert_with(|| Rebuild::new(FOLDS.ledger))
    }
}

impl Visitor for Seen {
    fn entry(&mut self, entry: Entry) -> Result<(), String> {
        self.rebuild().entry(entry)
    }

    fn restored(&mut self, header: &SealedHeader) -> Result<(), String> {
        self.rebuild().restored(header)
    }

    fn past(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String> {
        self.postings.push((lsn, posting));
        Ok(())
    }

    fn posting(&mut self, lsn: Lsn, posting: Posting) -> Result<(), String> {
        if let Some(mut meanwhile) = self.meanwhile.take() {
            meanwhile();
        }
        self.postings.push((lsn, posting.clone()));
        self.rebuild().posting(lsn, posting)
    }

    fn again(&mut self) {
        self.rebuild = None;
        self.postings.clear();
        self.begun += 1;
    }
}

impl Books {
    /// One life: recovers, judges what was found, and goes through the deeds until one
    /// fails. A fold that fails is tried again by the next one; the server goes on.
    fn live(&mut self, disk: &MemoryDisk, deeds: &[Deed]) -> Result<(), String> {
        self.life += 1;
        let (found, mut ledger) = recover_ledger(disk).map_err(|error| match error {
            OpenError::Refused(refusal) => panic!("refused: {refusal}"),
            other => other.to_string(),
        })?;
        let count = found.log.durable_lsn().0 as usize;
        assert!(count >= self.told, "told postings are lost");
        self.told = count;
        self.tried.truncate(count);
        assert_eq!(self.tried.len(), count);
        assert!(entries(&ledger) == entries(&replayed(&self.tried)));
        self.check_history(disk);
        let mut log = found.log;
        for deed in deeds {
            self.act(*deed, &mut log, &mut ledger, disk)?;
        }
        Ok(())
    }

    /// What is kept of the past is what happened, without a gap.
    fn check_history(&self, disk: &MemoryDisk) {
        let mut seen = Seen::default();
        let manifest = manifest(disk);
        let progress = Progress::default();
        let scan = scan(disk, &manifest, SHARD, WITH_HISTORY, &progress, &mut seen).unwrap();
        let first = scan.oldest_lsn.0 as usize - 1;
        assert_eq!(seen.postings.len(), self.tried.len() - first);
        for (at, (lsn, posting)) in (first..).zip(&seen.postings) {
            assert_eq!((lsn.0 as usize, posting), (at + 1, &self.tried[at]));
        }
    }

    fn act(
        &mut self,
        deed: Deed,
        log: &mut Log,
        ledger: &mut Ledger,
        disk: &MemoryDisk,
    ) -> Result<(), String> {
        match deed {
            Half => self.append(HALF, log, ledger, disk),
            One => self.append(1, log, ledger, disk),
            Seal => log.seal().map_err(|error| error.to_string()),
            Roll => {
                let segment = log.position().segment;
                while log.position().segment == segment {
                    self.append(HALF, log, ledger, disk)?;
                }
                Ok(())
            }
            Fold => fold_all(disk, log).map_err(|error| match error {
                FoldError::Open(OpenError::Refused(refusal)) => panic!("refused: {refusal}"),
                other => other.to_string(),
            }),
        }
    }

    fn append(
        &mut self,
        count: usize,
        log: &mut Log,
        ledger: &mut Ledger,
        disk: &MemoryDisk,
    ) -> Result<(), String> {
        // Nothing where a segment is waiting.
        log.supply_from(disk).map_err(|error| error.to_string())?;
        let mut batch = Batch::default();
        for _ in 0..count {
            let number = self.tried.len() as u64 + 1;
            let now = UnixMillis(1_795_000_000_000 + number as i64 * 1_800_000 / HALF as i64);
            let Decision::Post(posting, _) = ledger.decide(&command(number, self.life), now) else {
                panic!("a command that books nothing");
            };
            batch.push(Lsn(number), &posting);
            ledger.apply(Lsn(number), &posting);
            self.tried.push(posting);
        }
        log.append(&batch).map_err(|error| error.to_string())?;
        self.told = self.tried.len();
        Ok(())
    }
}

/// Accounts, sessions and deposits in turn, each under a name of its own.
fn command(number: u64, life: u32) -> Command {
    let player = if number < 8 { number } else { 1 + number % 7 };
    let account = AccountId::parse(&format!("acme/player-{player}-of-the-fold")).unwrap();
    let country = CountryCode::parse("GB").unwrap();
    let currency = Currency::parse("GBP").unwrap();
    match number % 13 {
        _ if number < 8 => Command::OpenAccount {
            account,
            currency,
            country,
        },
        0 => Command::OpenSession {
            account,
            key: SessionKey::mint(Slot::from_low_bits(3), u128::from(number) << 8),
            country,
            logout_at: None,
        },
        _ => Command::Deposit {
            account,
            transaction: TransactionId::parse(&format!("{number}-{life}-{}", "€".repeat(40)))
                .unwrap(),
            amount: Amount::from_minor(number as i64).unwrap(),
            currency,
        },
    }
}

/// Long postings, so that few of them fill the half of a segment.
const HALF: usize = 120;

/// A segment is filled and folded, and something comes behind it.
const LIFE: &[Deed] = &[Roll, Fold, One, Seal];

/// Disks before that life: with nothing folded, and with everything that a fold can
/// let go of. And how many operations the life has on each.
fn before_a_life() -> impl Iterator<Item = (MemoryDisk, Books, u64)> {
    [0, 4].into_iter().map(|folds| {
        let (disk, books) = folded(folds);
        let lived = disk.copy();
        books.clone().live(&lived, LIFE).unwrap();
        let inventory = inventory(&lived);
        if folds > 0 {
            assert_eq!(inventory.checkpoints.len(), 2, "{inventory:?}");
            assert!(inventory.histories[0] > 1, "{inventory:?}");
            assert!(inventory.segments[0] > 1, "{inventory:?}");
        }
        (disk, books, lived.operations())
    })
}

#[test]
fn a_power_cut_at_any_operation_of_a_fold_loses_nothing() {
    for (whole, books, operations) in before_a_life() {
        for cut in 0..operations {
            for keep in [Keep::Nothing, Keep::Some(cut)] {
                let (disk, mut books) = (whole.copy(), books.clone());
                disk.cut_power_after(cut);
                let _ = books.live(&disk, LIFE);
                disk.restart(keep);
                // And again, in the recovery or in what comes after.
                disk.cut_power_after(disk.operations() + cut % 29);
                let _ = books.live(&disk, LIFE);
                disk.restart(keep);
                books.live(&disk, LIFE).unwrap();
                disk.restart(Keep::Nothing);
                books.live(&disk, &[]).unwrap();
            }
        }
    }
}

#[test]
fn a_kill_at_any_operation_of_a_fold_loses_nothing() {
    for (whole, books, operations) in before_a_life() {
        for kill in 0..operations {
            let (disk, mut books) = (whole.copy(), books.clone());
            disk.cut_power_after(kill);
            let _ = books.live(&disk, LIFE);
            disk.revive();
            // What this life finds counts as told; then the machine loses power.
            books.live(&disk, &[]).unwrap();
            disk.restart(Keep::Nothing);
            books.live(&disk, LIFE).unwrap();
        }
    }
}

#[test]
fn a_failure_of_any_operation_of_a_fold_is_noticed_and_made_good_by_the_next() {
    let mut in_folds = 0;
    for (whole, books, operations) in before_a_life() {
        for failing in 0..operations {
            let (disk, mut books) = (whole.copy(), books.clone());
            disk.fail_after(failing);
            let Ok((found, mut ledger)) = recover_ledger(&disk) else {
                continue;
            };
            let mut log = found.log;
            let mut failed = false;
            for deed in LIFE {
                if books.act(*deed, &mut log, &mut ledger, &disk).is_err() {
                    failed = true;
                    if !matches!(deed, Fold) {
                        break;
                    }
                    // The server goes on, and another fold comes.
                    in_folds += 1;
                }
            }
            assert!(failed, "operation {failing} failed unnoticed");
            disk.restart(Keep::Nothing);
            books.live(&disk, LIFE).unwrap();
            let paths = disk.paths();
            assert!(!paths.iter().any(|path| path.contains(".tmp")), "{paths:?}");
        }
    }
    assert!(in_folds >= 20, "{in_folds}");
}

/// A disk after some segments were folded, and the books.
pub(crate) fn folded(segments: usize) -> (MemoryDisk, Books) {
    let disk = MemoryDisk::default();
    let mut books = Books::default();
    let deeds = [Roll, Fold].repeat(segments);
    let deeds = [&[Half][..], &deeds, &[One, Seal]].concat();
    books.live(&disk, &deeds).unwrap();
    (disk, books)
}

#[test]
fn what_is_no_longer_needed_is_let_go_of_and_nothing_else() {
    let (disk, _) = folded(6);
    let inventory = inventory(&disk);
    let [before, newest] = inventory.checkpoints[..] else {
        panic!("{inventory:?}");
    };
    let active = *inventory.segments.last().unwrap();
    assert!(inventory.has_segments(before + 1..=active));
    assert_eq!(inventory.segments[0], before + 1, "{inventory:?}");
    assert_eq!(*inventory.histories.last().unwrap(), newest);
    assert!(inventory.free.len() <= 2, "{inventory:?}");
    // Two generations of the free ones are in their second life.
    let epochs = inventory.segments.iter().map(|number| {
        let opened = Segment::open_to_read(&disk, DATA_SET, SHARD, *number);
        opened.unwrap().header.epoch
    });
    assert!(epochs.max().unwrap() > 0, "a segment is used again");
}

#[test]
fn a_full_disk_during_a_fold_loses_nothing() {
    let (whole, books) = folded(2);
    let mut without_room = 0;
    for blocks in (0..60).step_by(3) {
        let disk = whole.copy();
        let mut books = books.clone();
        let (found, mut ledger) = recover_ledger(&disk).unwrap();
        let mut log = found.log;
        books.act(Roll, &mut log, &mut ledger, &disk).unwrap();
        log.supply_from(&disk).unwrap();
        let used: usize = disk
            .paths()
            .iter()
            .map(|path| disk.contents(path).unwrap().len())
            .sum();
        let paths = disk.paths();
        disk.set_bytes_max(Some(used as u64 + blocks * 4_096));
        if let Err(error) = fold_all(&disk, &log) {
            assert!(error.is_no_room(), "{error}");
            assert_eq!(disk.paths(), paths, "nothing is left of it");
            without_room += 1;
        }
        // What was made before has room, and so has the next fold when room returns.
        books.act(One, &mut log, &mut ledger, &disk).unwrap();
        disk.set_bytes_max(None);
        fold_all(&disk, &log).unwrap();
        books.live(&disk, LIFE).unwrap();
    }
    assert!((3..19).contains(&without_room), "{without_room}");
}

#[test]
fn a_fold_stops_when_it_is_told_to() {
    let (whole, books) = folded(2);
    let mut stops = 0;
    for asked in 0.. {
        let disk = whole.copy();
        let mut books = books.clone();
        let (found, mut ledger) = recover_ledger(&disk).unwrap();
        let mut log = found.log;
        books.act(Roll, &mut log, &mut ledger, &disk).unwrap();
        let mut left = asked;
        let mut pace = |_| match left {
            0 => ControlFlow::Break(()),
            _ => {
                left -= 1;
                ControlFlow::Continue(())
            }
        };
        let through = log.position().segment - 1;
        match fold(&disk, &manifest(&disk), SHARD, through, &FOLDS, &mut pace) {
            Ok(_) => break,
            Err(FoldError::Stopped) => stops += 1,
            Err(other) => panic!("{other}"),
        }
        books.live(&disk, &[Fold]).unwrap();
    }
    assert!(stops > 0);
}

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
        disk.remove(&path).unwrap();
        books.live(&disk, LIFE).unwrap();
        // And once more, from what the next fold made of it.
        books.live(&disk, &[]).unwrap();
        verify(&disk).unwrap();
        // With that one gone, too, there is no way back but a backup.
    }
    let (disk, _) = folded(3);
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
