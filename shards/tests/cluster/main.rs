//! Real shards on real executors: hops, floods and the way they end; `disk.rs` has what
//! becomes of them when the disk fails.

mod disk;

use std::cell::Cell;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use shards::ledger::{Command, Facts, LedgerSettings, Outcome};
use shards::mesh::MAILBOX_DEPTH;
use shards::routing::{SlotMap, slot_of};
use shards::runtime::{
    CheckpointSettings, Cluster, ClusterSettings, Event, FlushPlace, ScrubSettings, ShardHandle,
};
use shards::storage::MemoryDisk;
use shards::types::{AccountId, Amount, CountryCode, Currency, ShardId, TransactionId};
use shards::wal::{DataSet, SEGMENT_BYTES_MIN};
use shards::{Submit, Unavailable};

/// Longer than any of these tests takes on a slow machine; it ends a hang, it does
/// not judge speed.
const PATIENCE: Duration = Duration::from_secs(60);

fn settings(flush_place: FlushPlace) -> ClusterSettings {
    ClusterSettings {
        flush_place,
        pin_to_cpus: Vec::new(),
        ledger: LedgerSettings {
            idempotency_window: Duration::from_secs(3_600),
            digest_secret: [1, 2],
            clock_skew_max: Duration::from_secs(300),
        },
        checkpoints: CheckpointSettings {
            log_bytes: 2 * SEGMENT_BYTES_MIN,
            history: Duration::from_secs(3_600),
        },
        scrubs: Some(ScrubSettings {
            bytes_per_second: NonZeroU64::new(8 << 20).unwrap(),
            interval: Duration::from_secs(1),
        }),
    }
}

fn data(shards: u16) -> (DataSet, MemoryDisk) {
    DataSet::in_memory(shards).unwrap()
}

fn account(number: usize) -> AccountId {
    AccountId::parse(&format!("acme/p{number}")).unwrap()
}

fn open(number: usize) -> Command {
    Command::OpenAccount {
        account: account(number),
        currency: Currency::parse("GBP").unwrap(),
        country: CountryCode::parse("GB").unwrap(),
    }
}

fn deposit(number: usize, transaction: &str) -> Command {
    Command::Deposit {
        account: account(number),
        transaction: TransactionId::parse(transaction).unwrap(),
        amount: Amount::from_minor(1).unwrap(),
        currency: Currency::parse("GBP").unwrap(),
    }
}

fn cash(outcome: &Outcome) -> i64 {
    match outcome {
        Outcome::Accepted(Facts::Funds(funds)) | Outcome::Repeated(Facts::Funds(funds)) => {
            funds.balance.cash.minor()
        }
        other => panic!("no funds in {other:?}"),
    }
}

/// Submits until the mailbox has room, counting how often it had none.
async fn insist(handle: &ShardHandle, command: Command, busy: &Cell<u64>) -> Outcome {
    loop {
        match handle.submit(command.clone()).await.result {
            Ok(outcome) => return outcome,
            Err(Unavailable::Busy) => {
                busy.set(busy.get() + 1);
                glommio::timer::sleep(Duration::from_millis(1)).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
}

fn expect_all(cluster: &Cluster, shards: u16, what: impl Fn(&Event) -> bool) {
    for _ in 0..shards {
        let event = cluster
            .events()
            .recv_timeout(PATIENCE)
            .expect("no shard is stuck");
        assert!(what(&event), "{event:?}");
    }
}

fn end(cluster: Cluster, shards: u16) {
    cluster.close();
    expect_all(&cluster, shards, |event| matches!(event, Event::Stopped(_)));
    cluster.join();
}

/// Every shard asks for every account at once, far more than the mailboxes hold, so
/// that all of them are full in both directions. Each deposit is answered and booked
/// exactly once.
#[test]
fn a_flood_in_all_directions_neither_deadlocks_nor_loses_anything() {
    const SHARDS: u16 = 3;
    const ACCOUNTS: usize = 64;
    let per_shard = 2 * MAILBOX_DEPTH;
    let refused = Arc::new(AtomicU64::new(0));
    let serve = {
        let refused = refused.clone();
        move |handle: ShardHandle| {
            let refused = refused.clone();
            async move {
                let busy = Rc::new(Cell::new(0));
                for number in 0..ACCOUNTS {
                    insist(&handle, open(number), &busy).await;
                }
                let tasks: Vec<_> = (0..per_shard)
                    .map(|number| {
                        let (handle, busy) = (handle.clone(), busy.clone());
                        glommio::spawn_local(async move {
                            let id = format!("d-{}-{number}", handle.id());
                            insist(&handle, deposit(number % ACCOUNTS, &id), &busy).await;
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await;
                }
                refused.fetch_add(busy.get(), Ordering::Relaxed);
            }
        }
    };
    let cluster = Cluster::start(&settings(FlushPlace::Auto), &data(SHARDS).0, serve).unwrap();
    expect_all(&cluster, SHARDS, |event| matches!(event, Event::Drained(_)));
    assert!(
        refused.load(Ordering::Relaxed) > 0,
        "the mailboxes were never full"
    );

    let control = cluster.control().clone();
    let pump = std::thread::spawn({
        let control = control.clone();
        move || {
            let ended = async {
                let mut sum = 0;
                for number in 0..ACCOUNTS {
                    let read = Command::ReadBalance {
                        account: account(number),
                    };
                    sum += cash(&control.ask(read).await.unwrap());
                }
                sum
            };
            futures_lite::future::block_on(futures_lite::future::or(ended, async {
                control.pump().await;
                unreachable!("the pump runs until it is dropped")
            }))
        }
    });
    assert_eq!(pump.join().unwrap(), i64::from(SHARDS) * per_shard as i64);
    end(cluster, SHARDS);
}

/// An answer says where the time of its command went, own or of another shard.
/// Before each command of its own a shard serves what has come from others, so a hop does
/// not wait for the end of a turn: here one that does not end before it.
#[test]
fn a_hop_is_answered_in_the_middle_of_a_busy_turn() {
    const SHARDS: u16 = 2;
    const WAITING: u64 = 0;
    const BUSY: u64 = 1;
    const ANSWERED: u64 = 2;
    let owned = |number: &usize| SlotMap::even(SHARDS).owner(slot_of(&account(*number)));
    let number = (0..).find(|number| owned(number) == ShardId(0)).unwrap();
    let state = Arc::new(AtomicU64::new(WAITING));
    let (data, _) = data(SHARDS);
    let cluster = Cluster::start(&settings(FlushPlace::Inline), &data, move |handle| {
        let state = state.clone();
        let read = move || Command::ReadBalance {
            account: account(number),
        };
        async move {
            if handle.id() == ShardId(0) {
                state.store(BUSY, Ordering::SeqCst);
                let began = Instant::now();
                while state.load(Ordering::SeqCst) != ANSWERED {
                    assert!(began.elapsed() < PATIENCE, "nobody served the other shard");
                    drop(handle.submit(read()));
                }
            } else {
                while state.load(Ordering::SeqCst) == WAITING {
                    glommio::timer::sleep(Duration::from_millis(1)).await;
                }
                handle.submit(read()).await.result.unwrap();
                state.store(ANSWERED, Ordering::SeqCst);
            }
        }
    })
    .unwrap();
    expect_all(&cluster, SHARDS, |event| matches!(event, Event::Drained(_)));
    end(cluster, SHARDS);
}

#[test]
fn an_answer_tells_its_course() {
    const SHARDS: u16 = 2;
    const ACCOUNTS: usize = 20;
    let hops = Arc::new(AtomicU64::new(0));
    let serve = {
        let hops = hops.clone();
        move |handle: ShardHandle| {
            let hops = hops.clone();
            async move {
                if handle.id() != ShardId(0) {
                    return;
                }
                for account in (0..ACCOUNTS).map(account) {
                    let read = Command::ReadBalance { account };
                    let unknown = handle.submit(read).await.course;
                    let handled = unknown.handled.unwrap();
                    assert_eq!(
                        handled.released_at, handled.decided_at,
                        "nothing to wait for"
                    );
                }
                for number in 0..ACCOUNTS {
                    let course = handle.submit(open(number)).await.course;
                    let handled = course.handled.unwrap();
                    assert!(
                        handled.released_at > handled.decided_at,
                        "it waits for the disk"
                    );
                    let moments = [
                        course.submitted_at,
                        handled.taken_at,
                        handled.decided_at,
                        handled.released_at,
                        course.answered_at,
                    ];
                    assert!(moments.is_sorted(), "{moments:?}");
                    assert_eq!(course.hopped, course.owner != handle.id());
                    hops.fetch_add(u64::from(course.hopped), Ordering::Relaxed);
                }
            }
        }
    };
    let cluster = Cluster::start(&settings(FlushPlace::Auto), &data(SHARDS).0, serve).unwrap();
    expect_all(&cluster, SHARDS, |event| matches!(event, Event::Drained(_)));
    end(cluster, SHARDS);
    let hops = hops.load(Ordering::Relaxed);
    assert!(0 < hops && hops < ACCOUNTS as u64, "{hops}");
}

/// A connection that was cut may still have a request: nothing is decided after the end
/// has begun, or the end would never come.
#[test]
fn a_closing_cluster_decides_nothing_new() {
    const SHARDS: u16 = 2;
    let owner = |number| SlotMap::even(SHARDS).owner(slot_of(&account(number)));
    let serve = move |handle: ShardHandle| async move {
        let own = (0..).find(|&number| owner(number) == handle.id()).unwrap();
        loop {
            match handle.submit(open(own)).await.result {
                Ok(_) => glommio::timer::sleep(Duration::from_millis(1)).await,
                Err(Unavailable::Draining) => break,
                Err(other) => panic!("{other}"),
            }
        }
    };
    let cluster = Cluster::start(&settings(FlushPlace::Auto), &data(SHARDS).0, serve).unwrap();
    cluster.close();
    let ends = |event: &Event| matches!(event, Event::Drained(_) | Event::Stopped(_));
    expect_all(&cluster, 2 * SHARDS, ends);
    cluster.join();
}
