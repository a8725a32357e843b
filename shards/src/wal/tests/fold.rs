//! Folds: what they make leads to the same state, whatever happens in the middle of them.

use std::ops::ControlFlow;
use std::time::Duration;

use super::*;
use crate::ledger::{Command, Decision, Entry, Ledger, LedgerSettings};
use crate::storage::{Keep, Storage};
use crate::types::{CountryCode, Currency, SessionKey, Slot};

pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// History for a few segments, so that folds let go of some.
pub(super) const FOLDS: FoldSettings = FoldSettings {
    ledger: LedgerSettings {
        idempotency_window: Duration::from_secs(1_000 * 3_600),
        digest_secret: FOUNDING.digest_secret,
        clock_skew_max: Duration::ZERO,
    },
    history: Duration::from_secs(3 * 3_600),
};

pub(super) const WITH_HISTORY: Reading = Reading {
    is_live: false,
    with_history: true,
};

#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    /// Half a segment of postings in one batch, half an hour after the last.
    Batch,
    /// One posting.
    One,
    /// Halves until the log is in the next segment.
    Roll,
    Seal,
    Fold,
}

pub(super) use Deed::{Batch as Half, Fold, One, Roll, Seal};

/// The server as the log sees it: every posting is decided by a real ledger.
#[derive(Clone, Default)]
pub(crate) struct Books {
    /// Every posting that may be on the disk.
    pub(super) tried: Vec<Posting>,
    /// How many of them somebody was told of.
    told: usize,
    life: u32,
}

pub(super) fn entries(ledger: &Ledger) -> Vec<Entry> {
    let mut entries = Vec::new();
    let Ok(()) = ledger.entries::<std::convert::Infallible>(&mut |entry| {
        entries.push(entry);
        Ok(())
    });
    entries
}

pub(super) fn replayed(postings: &[Posting]) -> Ledger {
    let mut ledger = Ledger::new(FOLDS.ledger);
    for (lsn, posting) in (1..).zip(postings) {
        ledger.try_apply(Lsn(lsn), posting).unwrap();
    }
    ledger
}

pub(super) fn recover_ledger(disk: &MemoryDisk) -> Result<(Recovered, Ledger), OpenError> {
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

pub(super) fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Folds everything that the log has left; nothing if that is folded already.
pub(super) fn fold_all(disk: &MemoryDisk, log: &Log) -> Result<(), FoldError> {
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
pub(super) struct Seen {
    pub(super) rebuild: Option<Rebuild>,
    pub(super) postings: Vec<(Lsn, Posting)>,
    pub(super) begun: u32,
    /// Done when the first posting behind the checkpoint comes.
    pub(super) meanwhile: Option<Box<dyn FnMut()>>,
}

impl Seen {
    pub(super) fn rebuild(&mut self) -> &mut Rebuild {
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
    pub(super) fn live(&mut self, disk: &MemoryDisk, deeds: &[Deed]) -> Result<(), String> {
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

    pub(super) fn act(
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
pub(super) const LIFE: &[Deed] = &[Roll, Fold, One, Seal];

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

/// However short history is kept, the older checkpoint can be started from.
#[test]
fn the_checkpoint_before_keeps_the_history_that_a_start_from_it_looks_for() {
    let (disk, mut books) = folded(3);
    books.live(&disk, &[Roll, One]).unwrap();
    let newest = inventory(&disk).newest_checkpoint().unwrap();
    let settings = FoldSettings {
        history: Duration::ZERO,
        ..FOLDS
    };
    let manifest = manifest(&disk);
    fold(&disk, &manifest, SHARD, newest + 1, &settings, &mut go_on).unwrap();
    let kept = inventory(&disk);
    assert_eq!(kept.histories, [newest, newest + 1]);
    disk.remove(&FileKind::Checkpoint.path(SHARD, newest + 1))
        .unwrap();
    books.live(&disk, &[]).unwrap();
}
