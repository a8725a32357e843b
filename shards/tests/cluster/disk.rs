//! Durability: what was told is there after a restart, and what a disk that fails, is full or
//! is damaged makes of a cluster.

use std::pin::pin;

use shards::runtime::StartError;
use shards::storage::Keep;
use shards::wal::{DataSetId, Durability, Founding, LogSettings, OpenError, segment_path};

use super::*;

/// The data set of a disk, as the next process finds it.
fn data_on(disk: &MemoryDisk, shards: u16) -> DataSet {
    let settings = LogSettings {
        segment_bytes: SEGMENT_BYTES_MIN,
        durability: Durability::Fsync,
    };
    let new = Founding {
        data_set: DataSetId(1),
        digest_secret: [1, 2],
    };
    DataSet::open(Arc::new(disk.clone()), shards, settings, new).unwrap()
}

/// A stopped disk: bookings and what they show get no answer, other accounts do.
#[test]
fn a_failed_write_answers_nobody_and_is_reported() {
    for place in [FlushPlace::Inline, FlushPlace::Beside] {
        let (data, disk) = data(1);
        let told = Arc::new(AtomicU64::new(0));
        let serve = {
            let told = told.clone();
            move |handle: ShardHandle| {
                let (told, disk) = (told.clone(), disk.clone());
                async move {
                    handle.submit(open(1)).await.result.unwrap();
                    told.fetch_add(1, Ordering::Relaxed);
                    // Until the segment is made that was ordered at the start, and the
                    // log is sealed, so that the next operation is the deposit's.
                    loop {
                        let operations = disk.operations();
                        glommio::timer::sleep(Duration::from_millis(300)).await;
                        if disk.operations() == operations {
                            break;
                        }
                    }
                    disk.fail_next();
                    // Neither the deposit nor a balance that shows it is ever told.
                    let booked = handle.submit(deposit(1, "d-1"));
                    let shown = handle.submit(Command::ReadBalance {
                        account: account(1),
                    });
                    futures_lite::future::or(
                        async {
                            let _ = booked.await;
                            told.fetch_add(1, Ordering::Relaxed);
                        },
                        async {
                            let _ = shown.await;
                            told.fetch_add(1, Ordering::Relaxed);
                        },
                    )
                    .await;
                }
            }
        };
        let cluster = Cluster::start(&settings(place), &data, serve).unwrap();
        let event = cluster.events().recv_timeout(PATIENCE).unwrap();
        assert!(
            matches!(event, Event::DiskFailed(ShardId(0), _)),
            "{event:?}"
        );
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(
            told.load(Ordering::Relaxed),
            1,
            "only the account that was synced"
        );
        // The process would end here; the thread is left behind, as it would be then.
    }
}

/// What was accepted before the end is there after it, and after a power cut too.
#[test]
fn what_was_accepted_is_there_after_a_restart() {
    const SHARDS: u16 = 2;
    for place in [FlushPlace::Inline, FlushPlace::Beside] {
        let (data, disk) = data(SHARDS);
        let serve = |handle: ShardHandle| async move {
            for number in 0..50 {
                // On its way to its owner; nobody waits for the answer.
                drop(handle.submit(open(number)));
            }
            handle.drain_requested().await;
        };
        let cluster = Cluster::start(&settings(place), &data, serve).unwrap();
        cluster.drain();
        expect_all(&cluster, SHARDS, |event| matches!(event, Event::Drained(_)));
        end(cluster, SHARDS);
        disk.restart(Keep::Nothing);

        let known = Arc::new(AtomicU64::new(0));
        let serve = {
            let known = known.clone();
            move |handle: ShardHandle| {
                let known = known.clone();
                async move {
                    for number in 0..50 {
                        let answer = handle.submit(open(number)).await.result.unwrap();
                        assert!(matches!(answer, Outcome::Repeated(_)), "{answer:?}");
                        known.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        };
        let cluster = Cluster::start(&settings(place), &data_on(&disk, SHARDS), serve).unwrap();
        expect_all(&cluster, SHARDS, |event| matches!(event, Event::Drained(_)));
        end(cluster, SHARDS);
        assert_eq!(known.load(Ordering::Relaxed), 50 * u64::from(SHARDS));
    }
}

/// One damaged log stops all shards before any of them serves.
#[test]
fn a_damaged_log_is_refused_before_anything_is_served() {
    const SHARDS: u16 = 3;
    let (data, disk) = data(SHARDS);
    let serve = |handle: ShardHandle| async move {
        for number in 0..50 {
            handle.submit(open(number)).await.result.unwrap();
        }
    };
    let cluster = Cluster::start(&settings(FlushPlace::Auto), &data, serve).unwrap();
    expect_all(&cluster, SHARDS, |event| matches!(event, Event::Drained(_)));
    end(cluster, SHARDS);

    let path = segment_path(ShardId(1), 1);
    let mut bytes = disk.contents(&path).unwrap();
    bytes[4_096 + 100] ^= 1;
    disk.set_contents(&path, &bytes);
    let served = Arc::new(AtomicU64::new(0));
    let serve = {
        let served = served.clone();
        move |_: ShardHandle| {
            served.fetch_add(1, Ordering::Relaxed);
            std::future::ready(())
        }
    };
    let started = Cluster::start(&settings(FlushPlace::Auto), &data_on(&disk, SHARDS), serve);
    let Err(StartError::Recovery {
        shard: ShardId(1),
        source: OpenError::Refused(refusal),
    }) = started
    else {
        panic!("a damaged log was accepted");
    };
    assert_eq!((refusal.file, refusal.offset), (path, 4_096));
    assert_eq!(served.load(Ordering::Relaxed), 0);
}

/// Without room for another segment bookings are refused and reads go on; with room
/// again, bookings do too.
#[test]
fn a_full_disk_refuses_bookings_until_there_is_room() {
    let disk = MemoryDisk::default();
    let data = data_on(&disk, 1);
    disk.set_bytes_max(Some(0));
    let serve = {
        let disk = disk.clone();
        move |handle: ShardHandle| {
            let disk = disk.clone();
            async move {
                handle.submit(open(0)).await.result.unwrap();
                let mut booked = 0;
                let full = loop {
                    match handle
                        .submit(deposit(0, &format!("d-{booked}")))
                        .await
                        .result
                    {
                        Ok(_) => booked += 1,
                        // The supplier has not tried yet.
                        Err(Unavailable::Busy) => {
                            glommio::timer::sleep(Duration::from_millis(1)).await;
                        }
                        Err(why) => break why,
                    }
                };
                assert_eq!(full, Unavailable::DiskFull);
                assert!(booked > 1);
                let balance = Command::ReadBalance {
                    account: account(0),
                };
                let shown = handle.submit(balance.clone()).await.result.unwrap();
                assert_eq!(cash(&shown), booked);
                disk.set_bytes_max(None);
                while handle.submit(deposit(0, "late")).await.result.is_err() {
                    glommio::timer::sleep(Duration::from_millis(10)).await;
                }
                let shown = handle.submit(balance).await.result.unwrap();
                assert_eq!(cash(&shown), booked + 1);
            }
        }
    };
    let cluster = Cluster::start(&settings(FlushPlace::Auto), &data, serve).unwrap();
    expect_all(&cluster, 1, |event| matches!(event, Event::Drained(_)));
    end(cluster, 1);
}

/// The log is folded behind the shard's back, and goes on when that finds damage.
#[test]
fn closed_segments_are_folded_until_damage_is_found() {
    let disk = MemoryDisk::default();
    let booked = Arc::new(AtomicU64::new(0));
    let serve = {
        let booked = booked.clone();
        move |handle: ShardHandle| {
            let booked = booked.clone();
            async move {
                let mut drained = pin!(handle.drain_requested());
                handle.submit(open(0)).await.result.unwrap();
                let mut number = 0;
                while futures_lite::future::poll_once(drained.as_mut())
                    .await
                    .is_none()
                {
                    let busy = Cell::new(0);
                    insist(&handle, deposit(0, &format!("d-{number}")), &busy).await;
                    number += 1;
                    booked.store(number, Ordering::Relaxed);
                    glommio::timer::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    };
    let start = || {
        let data = data_on(&disk, 1);
        Cluster::start(&settings(FlushPlace::Auto), &data, serve.clone())
    };
    let cluster = start().unwrap();
    let metrics = cluster.metrics()[0].checkpoint.clone();
    let wait = |what: &str, happened: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !happened() {
            assert!(began.elapsed() < PATIENCE, "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    wait("two checkpoints", &|| metrics.made.get() >= 2);
    wait("their size", &|| metrics.bytes.get() > 0);
    assert_eq!((metrics.failed.get(), metrics.damaged.get()), (0, 0));
    let newest = || {
        let mut paths = disk.paths();
        paths.retain(|path| path.ends_with(".ckpt"));
        paths.pop().unwrap()
    };
    // A fold that has read the newest checkpoint already makes a newer one of what was still
    // whole. Then that one is damaged in its place.
    let began = Instant::now();
    let (path, whole) = loop {
        let path = newest();
        let whole = disk.contents(&path).unwrap();
        let mut bytes = whole.clone();
        bytes[4_096 + 100] ^= 1;
        disk.set_contents(&path, &bytes);
        while metrics.damaged.get() == 0 && newest() == path {
            assert!(began.elapsed() < PATIENCE, "damage");
            std::thread::sleep(Duration::from_millis(10));
        }
        if metrics.damaged.get() == 1 {
            break (path, whole);
        }
        disk.set_contents(&path, &whole);
    };
    assert_eq!(metrics.failed.get(), 1);
    let before = booked.load(Ordering::Relaxed);
    wait("bookings", &|| booked.load(Ordering::Relaxed) > before);
    cluster.drain();
    expect_all(&cluster, 1, |event| matches!(event, Event::Drained(_)));
    end(cluster, 1);
    assert!(matches!(
        start(),
        Err(StartError::Recovery {
            source: OpenError::Refused(_),
            ..
        })
    ));
    disk.set_contents(&path, &whole);
    let cluster = start().unwrap();
    let metrics = cluster.metrics()[0].checkpoint.clone();
    wait("another checkpoint", &|| metrics.made.get() >= 1);
    cluster.drain();
    expect_all(&cluster, 1, |event| matches!(event, Event::Drained(_)));
    end(cluster, 1);
}
