//! What reads and bookings allocate on shards that are warm, with a hop and without.
//!
//! A read allocates nothing, a booking the change that it makes. On top come the tables, which
//! grow with what they remember (0.8 for a bet and 0.4 for a win in tables as small as these),
//! and, each time the executor sleeps, its descriptions of what it waits for: shared by all
//! requests of a turn, and more with hops, which wake the other shard.
//!
//! Real executors, mailboxes, tables and a log; commands are made beforehand, for what making
//! one costs is counted by the wallet's own test. Counted are the threads of the shards. This
//! binary replaces its allocator, so it holds this test only.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pieces::players;
use shards::Submit;
use shards::ledger::{Command, LedgerSettings, Outcome};
use shards::routing::SlotMap;
use shards::runtime::{
    CheckpointSettings, Cluster, ClusterSettings, Event, FlushPlace, ShardHandle,
};
use shards::types::{ShardId, UnixMillis};
use shards::wal::DataSet;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether what this thread allocates is counted.
    static COUNTS: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if COUNTS.get() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it came; counting touches a
// thread-local without a destructor and allocates nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the ones this asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SHARDS: u16 = 2;
const PLAYERS: u64 = 1_000;

/// As many connections as the goal speaks of.
const SUBMITTERS: usize = 100;

/// Of each kind, and as many before them that are not counted.
const COMMANDS: u64 = 20_000;

/// Longer than this takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// One command of a player, with a number that no other of its kind has.
type Make = fn(player: u64, number: u64, now: UnixMillis) -> anyhow::Result<Command>;

/// Each kind, and how many allocations one may cost: measured were 0.005, 1.79 and 1.39.
const CASES: [(&str, Make, f64); 3] = [
    ("balance", |player, _, _| players::read(player), 0.1),
    (
        "placebet",
        |player, number, now| players::bet(player, number, number, now),
        2.2,
    ),
    // In the rounds of the bets.
    (
        "awardwinnings",
        |player, number, now| players::award(player, number, number, now),
        1.8,
    ),
];

/// How many more with a hop: measured were 0.34 to 0.45, and a machine that has other work
/// lets shards sleep more often.
const HOP_MAX: f64 = 1.0;

/// Submits all commands, [`SUBMITTERS`] at a time, and gives what the shards allocated.
async fn allocations_of(handle: &ShardHandle, commands: Vec<Command>) -> u64 {
    let commands = Rc::new(RefCell::new(commands.into_iter()));
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let tasks: Vec<_> = (0..SUBMITTERS)
        .map(|_| {
            let (handle, commands) = (handle.clone(), Rc::clone(&commands));
            glommio::spawn_local(async move {
                loop {
                    let next = commands.borrow_mut().next();
                    let Some(command) = next else { break };
                    let outcome = handle.submit(command).await.result.unwrap();
                    assert!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await;
    }
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// A line for each case, and whether it keeps its bound.
async fn measure(handle: ShardHandle) -> Vec<(String, bool)> {
    for number in 0..PLAYERS {
        let imported = handle.submit(players::import(number).unwrap()).await;
        assert!(imported.result.is_ok(), "{:?}", imported.result);
    }
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = UnixMillis(since_1970.as_millis() as i64);
    let owner = |player: u64| {
        let read = players::read(player).unwrap();
        SlotMap::even(SHARDS).owner(read.slot())
    };
    let mut measured = Vec::new();
    for hops in [false, true] {
        let players: Vec<u64> = (0..PLAYERS)
            .filter(|&player| (owner(player) != handle.id()) == hops)
            .collect();
        for (name, make, each_max) in CASES {
            let commands = |numbers: std::ops::Range<u64>| -> Vec<Command> {
                let player = |number: u64| players[number as usize % players.len()];
                numbers
                    .map(|number| make(player(number), number, now).unwrap())
                    .collect()
            };
            allocations_of(&handle, commands(0..COMMANDS)).await;
            let counted = allocations_of(&handle, commands(COMMANDS..2 * COMMANDS)).await;
            let each = counted as f64 / COMMANDS as f64;
            let (place, each_max) = match hops {
                false => ("own", each_max),
                true => ("hop", each_max + HOP_MAX),
            };
            measured.push((format!("{name}, {place}: {each:.4}"), each <= each_max));
        }
    }
    measured
}

#[test]
fn a_read_allocates_nothing_and_a_booking_its_change_and_its_share_of_tables() {
    let (data, _disk) = DataSet::in_memory(SHARDS).unwrap();
    let settings = ClusterSettings {
        // On the disk's own threads, for this disk is memory.
        flush_place: FlushPlace::Beside,
        pin_to_cpus: Vec::new(),
        ledger: LedgerSettings {
            digest_secret: data.manifest().digest_secret,
            ..players::LEDGER
        },
        checkpoints: CheckpointSettings {
            log_bytes: u64::MAX,
            history: players::LEDGER.idempotency_window,
        },
        scrubs: None,
    };
    let measured = Arc::new(Mutex::new(Vec::new()));
    let serve = {
        let measured = Arc::clone(&measured);
        move |handle: ShardHandle| {
            let measured = Arc::clone(&measured);
            async move {
                COUNTS.set(true);
                if handle.id() == ShardId(0) {
                    let lines = measure(handle).await;
                    *measured.lock().unwrap() = lines;
                }
            }
        }
    };
    let cluster = Cluster::start(&settings, &data, serve).unwrap();
    for _ in 0..SHARDS {
        let event = cluster.events().recv_timeout(PATIENCE).unwrap();
        assert!(matches!(event, Event::Drained(_)), "{event:?}");
    }
    cluster.close();
    cluster.join();
    let measured = measured.lock().unwrap();
    assert_eq!(measured.len(), 2 * CASES.len());
    let is_fine = measured.iter().all(|(_, is_fine)| *is_fine);
    assert!(is_fine, "allocations of a command: {measured:#?}");
}
