//! The bytes on disk, as `docs/internals/wal-format.md` explains them. These files
//! never change: data that was written must be readable for ever.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::time::Duration;

use super::*;
use crate::ledger::{Ledger, LedgerSettings};
use crate::routing::SlotMap;
use crate::storage::Storage;
use crate::types::{CountryCode, Currency, SessionKey};
use crate::wal::checkpoint::write_checkpoint;
use crate::wal::sealed_writer::SealedWriter;

/// Sixteen bytes a line; lines like the one before are left out, and the length.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut last: Option<&[u8]> = None;
    for (line, row) in bytes.chunks(16).enumerate() {
        if last == Some(row) {
            if !text.ends_with("*\n") {
                text.push_str("*\n");
            }
            continue;
        }
        last = Some(row);
        write!(text, "{:06x}", line * 16).unwrap();
        for byte in row {
            write!(text, " {byte:02x}").unwrap();
        }
        text.push('\n');
    }
    writeln!(text, "{:06x}", bytes.len()).unwrap();
    text
}

fn check(bytes: &[u8], golden: &str, name: &str) {
    let dumped = dump(bytes);
    assert!(dumped == golden, "{name} is now:\n{dumped}");
}

#[test]
fn the_manifest_has_these_bytes() {
    let manifest = Manifest {
        data_set: DATA_SET,
        digest_secret: FOUNDING.digest_secret,
        slot_map: SlotMap::even(3),
    };
    let bytes = manifest.encode();
    check(
        &bytes,
        include_str!("../golden/manifest.hex"),
        "the manifest",
    );
    assert_eq!(Manifest::decode(&bytes, "manifest"), Ok(manifest));
}

/// One posting of each kind, a seal, another batch, a clean shutdown.
#[test]
fn a_segment_has_these_bytes() {
    let disk = MemoryDisk::default();
    let mut log = recovered(&disk).unwrap().0.log;
    let postings = postings();
    let mut batch = Batch::default();
    for (lsn, posting) in (1..).zip(&postings[..5]) {
        batch.push(Lsn(lsn), posting);
    }
    log.append(&batch).unwrap();
    log.seal().unwrap();
    batch.clear();
    batch.push(Lsn(6), &postings[5]);
    log.append(&batch).unwrap();
    log.close().unwrap();
    let bytes = disk.contents("shard-0/00000001.seg").unwrap();
    check(&bytes, include_str!("../golden/segment.hex"), "the segment");
    assert_eq!(recovered(&disk).unwrap().1, postings);
}

/// The state after those postings, and the postings as history keeps them.
#[test]
fn a_checkpoint_and_its_history_have_these_bytes() {
    let disk = MemoryDisk::default();
    disk.create_directory("shard-0").unwrap();
    let mut go_on = |_| ControlFlow::Continue(());
    let header = |kind| SealedHeader {
        kind,
        data_set: DATA_SET,
        shard: SHARD,
        number: 2,
        base: 1,
        bytes: 0,
        first_lsn: Lsn(1),
        next_lsn: Lsn(6),
        chain: Chain(0x0706_0504_0302_0100),
        records: 0,
        age: LogAge {
            ms: 3_600_005,
            last_at: UnixMillis(1_795_000_000_005),
        },
        digest: Chain(0),
    };
    let mut ledger = Ledger::new(LedgerSettings {
        idempotency_window: Duration::from_secs(72 * 3_600),
        digest_secret: FOUNDING.digest_secret,
        clock_skew_max: Duration::ZERO,
    });
    let manifest = Manifest {
        data_set: DATA_SET,
        digest_secret: FOUNDING.digest_secret,
        slot_map: SlotMap::even(1),
    };
    let past_id = history::id_of(&manifest, SHARD, 2);
    let mut past = SealedWriter::create(&disk, past_id, Lsn(1)).unwrap();
    let mut postings = postings();
    // No ledger opens a session a second time under one key.
    postings.remove(2);
    for (lsn, posting) in (1..).zip(&postings) {
        ledger.try_apply(Lsn(lsn), posting).unwrap();
        past.push(|out| encode(posting, out)).unwrap();
    }
    past.finish(header(FileKind::History), &mut go_on)
        .and_then(|past| Ok(past.publish()?))
        .unwrap();
    write_checkpoint(&disk, header(FileKind::Checkpoint), &ledger, &mut go_on)
        .and_then(|checkpoint| Ok(checkpoint.publish()?))
        .unwrap();
    for (file, golden) in [
        ("00000002.ckpt", include_str!("../golden/checkpoint.hex")),
        ("00000002.past", include_str!("../golden/history.hex")),
    ] {
        check(
            &disk.contents(&format!("shard-0/{file}")).unwrap(),
            golden,
            file,
        );
    }
    let mut rebuild = Rebuild::new(LedgerSettings {
        idempotency_window: Duration::from_secs(3_600),
        digest_secret: FOUNDING.digest_secret,
        clock_skew_max: Duration::ZERO,
    });
    let progress = Progress::default();
    read_checkpoint(&disk, &manifest, SHARD, 2, &progress, &mut |entry| {
        rebuild.entry(entry)
    })
    .map(|header| rebuild.restored(&header).unwrap())
    .unwrap();
    assert_eq!(rebuild.ledger().counts(), ledger.counts());
    let mut read = Vec::new();
    read_history(&disk, &manifest, SHARD, 2, &progress, &mut |_, posting| {
        read.push(posting);
        Ok(())
    })
    .unwrap();
    assert_eq!(read, postings);
}

fn postings() -> Vec<Posting> {
    let key = SessionKey::from_bits(0x0F1E_2D3C_4B5A_6978_8796_A5B4_C3D2_E1F0);
    let country = CountryCode::parse("GB").unwrap();
    let amount = |minor| Amount::from_minor(minor).unwrap();
    let balance = |cash, bonus| Balance {
        cash: amount(cash),
        bonus: amount(bonus),
    };
    let opened = Change::AccountOpened {
        currency: Currency::parse("GBP").unwrap(),
        country,
        balance: balance(100, 20),
        session: Some(key),
    };
    let deposited = |id, previous| {
        Change::Deposited(Cashed {
            transaction: TransactionId::parse(id).unwrap(),
            amount: amount(1),
            previous_booking: Lsn(previous),
        })
    };
    let changes = [
        (opened, 100),
        (deposited("d-1", 0), 101),
        (
            Change::SessionOpened {
                key,
                country,
                logout_at: Some(UnixMillis(1_795_000_000_500)),
            },
            101,
        ),
        (
            Change::TokenSpent {
                key,
                issued_at: UnixMillis(1_795_000_000_300),
                expires_at: UnixMillis(1_795_000_060_300),
            },
            101,
        ),
        (Change::SessionLoggedOut { key }, 101),
        (deposited("d-2", 2), 102),
    ];
    (0..)
        .zip(changes)
        .map(|(tick, (change, cash))| Posting {
            at: UnixMillis(1_795_000_000_000 + tick),
            account: AccountId::parse("acme/p1").unwrap(),
            change,
            balance_after: balance(cash, 20),
        })
        .collect()
}
