//! The real binary, killed again and again under load: nothing acknowledged is lost,
//! nothing is booked twice, and what was shown stays true (reliability.md).
//!
//! `kill -9` comes at a random moment, in the middle of the load or of a start. The
//! server then starts on what is left, the exact checks of `books.rs` are made, and the
//! clients go on with what they had not been answered. Segments and checkpoints are the
//! smallest there are, so that the log rolls every dozen flushes and is folded in every
//! life. In debug builds the windows of `shards::failpoint` are hit on purpose, too.
//!
//! The normal run has a handful of crashes. For a long one:
//! `PURSER_KILLS=200 cargo test --release --test kill -- --nocapture`. The seed that is
//! printed makes the same choices again with `PURSER_KILLS_SEED`; when the crash comes
//! between the threads of a server is not ours to choose.
//!
//! What a kill cannot show is whether anything reached the disk, since the kernel
//! outlives the process: that is shown in `shards/src/wal/tests/`, where the power goes.

#[path = "../common/mod.rs"]
mod common;

mod books;
mod clients;
mod connection;
mod process;
mod random;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clients::{Figures, World};
use common::Setup;
use process::{Process, wait_us};
use random::Random;

/// How many crashes the long run has.
pub(crate) const KILLS_VARIABLE: &str = "PURSER_KILLS";

/// Makes the choices of an earlier run again.
pub(crate) const SEED_VARIABLE: &str = "PURSER_KILLS_SEED";

/// A few seconds' worth.
const KILLS_DEFAULT: u64 = 8;

/// Crashes that a data set lives through.
const KILLS_PER_DATA_SET: u64 = 25;

/// Microseconds of load before a kill: from the first answers to hundreds of flushes.
const LOAD_US_MAX: u64 = 300_000;

/// How long a start may take, until one was seen.
const START_US: u64 = 30_000;

/// Beyond so many unanswered deposits nearly every balance is a sum of some of them,
/// and the check after a crash says little: then they are all sent again first.
const UNANSWERED_MAX: usize = 64;

fn setup(home: &Path) {
    let setup = Setup {
        segment_bytes: 64 << 10,
        log: "checkpoint_bytes = 131072",
        ..Setup::default()
    };
    setup.write_config(home);
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|e| panic!("{name}={text}: {e}")),
    )
}

fn random() -> Random {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = variable(SEED_VARIABLE).unwrap_or(now.as_nanos() as u64);
    eprintln!("{SEED_VARIABLE}={seed}");
    Random::new(seed)
}

/// The highest numbers of files with that ending that the shards have, added up.
fn reached(home: &Path, ending: &str) -> u64 {
    let of_log = |log: &str| {
        let names = std::fs::read_dir(home.join(log)).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let numbers = names.filter_map(|name| name.strip_suffix(ending)?.parse::<u64>().ok());
        numbers.max().unwrap_or(0)
    };
    ["data/shard-0", "data/shard-1"].map(of_log).iter().sum()
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_booked_twice() {
    let kills = variable(KILLS_VARIABLE).unwrap_or(KILLS_DEFAULT);
    let mut random = random();
    let figures = Figures::default();
    let (mut under_load, mut at_start, mut rolled, mut folded) = (0, 0, 0, 0);
    let mut start_us = START_US;
    while under_load + at_start < kills {
        let home = tempfile::tempdir().unwrap();
        setup(home.path());
        let world = World::new(&figures);
        let mut is_founded = false;
        for _ in 0..KILLS_PER_DATA_SET.min(kills - under_load - at_start) {
            let began = Instant::now();
            let mut server = Process::start(home.path(), "");
            if random.below(3) == 0 {
                // In the middle of founding or recovering.
                wait_us(random.below(start_us));
                server.kill();
                at_start += 1;
                continue;
            }
            let to = server.must_be_ready();
            start_us = began.elapsed().as_micros() as u64;
            if !is_founded {
                world.found(to);
                is_founded = true;
            }
            world.check_recovered(to, &mut random);
            if random.below(4) == 0 || world.unanswered() > UNANSWERED_MAX {
                world.check_settled(to);
            }
            world.may_die.store(false, Ordering::SeqCst);
            std::thread::scope(|scope| {
                let load_us = random.below(LOAD_US_MAX);
                let mut random = random.fork();
                let world = &world;
                scope.spawn(move || world.load(to, &mut random));
                wait_us(load_us);
                world.may_die.store(true, Ordering::SeqCst);
                server.kill();
            });
            under_load += 1;
            if kills > KILLS_DEFAULT {
                println!(
                    "{} of {kills}: a life of {:.3} s; {} acknowledged so far",
                    under_load + at_start,
                    began.elapsed().as_secs_f64(),
                    figures.acknowledged.load(Ordering::Relaxed),
                );
            }
        }
        let mut server = Process::start(home.path(), "");
        let to = server.must_be_ready();
        if is_founded {
            world.check_recovered(to, &mut random);
            world.check_settled(to);
        }
        rolled += reached(home.path(), ".seg");
        folded += reached(home.path(), ".ckpt");
        server.kill();
    }
    println!(
        "{under_load} crashes under load and {at_start} while it started; \
         {rolled} segments of 64 KiB, {folded} of them in checkpoints; {figures:?}"
    );
    assert!(figures.acknowledged.load(Ordering::Relaxed) > 0);
    assert!(
        kills < 4 * KILLS_DEFAULT || folded > 0,
        "nothing was folded"
    );
}

/// A window, which passage of it, and whether the process dies there before it is ready.
#[cfg(debug_assertions)]
const FAILPOINTS: &[(&str, bool)] = &[
    // The founding: two first segments, then the manifest.
    ("before_rename:1", true),
    ("after_rename:1", true),
    ("before_rename:2", true),
    ("after_rename:2", true),
    ("before_rename:3", true),
    ("after_rename:3", true),
    ("after_write:1", false),
    ("after_write:40", false),
    ("after_sync:1", false),
    ("after_sync:40", false),
    ("mid_recovery:1", true),
    ("segment_roll:1", false),
    ("mid_recovery:60", true),
    ("segment_roll:3", false),
    ("before_rename:1", false),
    ("after_rename:1", false),
    ("before_rename:3", false),
    ("after_rename:3", false),
    ("segment_roll:2", false),
    // A fold: what it read, its two files, their names, and what it lets go of.
    ("mid_checkpoint:1", false),
    ("mid_checkpoint:2", false),
    ("mid_checkpoint:3", false),
    ("mid_checkpoint:4", false),
    ("mid_checkpoint:5", false),
    ("mid_checkpoint:6", false),
    ("mid_checkpoint:12", false),
    // Each log that is empty behind its end still has three steps.
    ("mid_recovery:200", true),
];

#[cfg(debug_assertions)]
#[test]
fn a_crash_in_every_window_loses_and_doubles_nothing() {
    let mut random = random();
    let figures = Figures::default();
    let home = tempfile::tempdir().unwrap();
    setup(home.path());
    let world = World::new(&figures);
    let mut is_founded = false;
    for &(failpoint, at_start) in FAILPOINTS {
        if !at_start && !is_founded {
            let mut server = Process::start(home.path(), "");
            world.found(server.must_be_ready());
            is_founded = true;
            server.kill();
        }
        let mut server = Process::start(home.path(), failpoint);
        match server.ready() {
            // The compactor begins with what the life before has left, and may be quicker than
            // the server's word that it is ready.
            None => assert!(
                at_start || failpoint.contains("rename") || failpoint.contains("mid_checkpoint"),
                "{failpoint}: never ready\n{}",
                server.log()
            ),
            Some(to) => {
                assert!(!at_start, "{failpoint}: not hit while it started");
                world.may_die.store(true, Ordering::SeqCst);
                world.load(to, &mut random);
            }
        }
        let aborted = Err(nix::sys::signal::Signal::SIGABRT as i32);
        assert_eq!(server.ended(), aborted, "{failpoint}\n{}", server.log());
        if is_founded {
            let mut server = Process::start(home.path(), "");
            let to = server.must_be_ready();
            world.check_recovered(to, &mut random);
            world.check_settled(to);
            server.kill();
        }
    }
    println!("{figures:?}");
}

#[cfg(debug_assertions)]
#[test]
fn a_failpoint_that_does_not_exist_is_refused() {
    let home = tempfile::tempdir().unwrap();
    setup(home.path());
    for failpoint in ["after_sink:1", "after_sync", "after_sync:0"] {
        let mut server = Process::start(home.path(), failpoint);
        assert_eq!(server.ended(), Ok(1), "{failpoint}");
        let log = server.log();
        assert!(log.contains("PURSER_FAILPOINT"), "{log}");
        assert!(log.contains("segment_roll"), "{log}");
    }
}
