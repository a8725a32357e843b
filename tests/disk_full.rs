//! The disk from outside, with errors that the kernel itself gives: a limit on the size
//! of the server's files, set while it runs. A segment that cannot be made is a full
//! disk; a write into the log that fails is a failed disk (reliability.md).

mod common;

use std::fs;
use std::path::Path;

use common::{Admin, Server, Setup, Wallet, eventually, run};
use nix::sys::signal::Signal;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tempfile::TempDir;

/// The smallest segment: a dozen flushes fill it.
const SEGMENT_BYTES: u64 = 64 << 10;

/// More deposits than the segments of a test have blocks.
const DEPOSITS_MAX: usize = 200;

/// From now on the server's files may not be written beyond `bytes`.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let id = i32::try_from(server.id()).unwrap();
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Pid::from_raw(id), Resource::Fsize, limit).unwrap();
}

fn setup(segment_bytes: u64) -> Setup {
    Setup {
        shards: 1,
        segment_bytes,
        ..Setup::default()
    }
}

/// A data directory with one account, whose log and the segment behind it are of
/// [`SEGMENT_BYTES`], while all later ones are to be longer.
fn home_with_short_segments() -> TempDir {
    let server = setup(SEGMENT_BYTES).start();
    Admin::of(&server).account("acme/p1", "");
    let log = server.home.path().join("data/shard-0");
    eventually("the next segment is made", || {
        (segments(&log) == 2).then_some(())
    });
    server.signal(Signal::SIGTERM);
    let (_, home) = server.ended_with_home();
    setup(4 * SEGMENT_BYTES).write_config(home.path());
    home
}

fn segments(log: &Path) -> usize {
    let names = fs::read_dir(log).unwrap();
    names
        .filter(|entry| {
            let path = entry.as_ref().unwrap().path();
            path.extension().is_some_and(|extension| extension == "seg")
        })
        .count()
}

fn start(home: TempDir) -> Server {
    let config = home.path().join("purser.toml");
    Server::spawn(&["serve", "--config", config.to_str().unwrap()], home)
}

fn deposit(admin: &mut Admin, number: usize) -> u16 {
    admin
        .deposit("acme/p1", &format!("d-{number}"), "1.00")
        .status
}

fn cash(server: &Server) -> String {
    let body = Wallet::of("acme", server).balance("acme/p1");
    assert_eq!(body["ErrorCode"], 0, "{body}");
    body["Balance"]["CashFunds"].as_str().unwrap().to_owned()
}

#[test]
fn a_full_disk_refuses_bookings_serves_reads_and_recovers_when_room_returns() {
    let server = start(home_with_short_segments());
    let mut admin = Admin::of(&server);
    limit_files(&server, Some(SEGMENT_BYTES));
    let booked = (0..DEPOSITS_MAX)
        .take_while(|&number| match deposit(&mut admin, number) {
            200 => true,
            503 => false,
            other => panic!("deposit {number} was answered {other}"),
        })
        .count();
    assert!((10..DEPOSITS_MAX).contains(&booked), "{booked} booked");
    // Nothing of the refused one happened, and what is there can be read and repeated.
    assert_eq!(cash(&server), format!("{booked}.00"));
    assert_eq!(deposit(&mut admin, 0), 200);
    assert_eq!(deposit(&mut admin, booked), 503);
    let refused = admin.deposit("acme/p1", "told", "1.00");
    assert!(refused.field("Retry-After").is_some(), "{refused:?}");
    assert!(refused.json().to_string().contains("disk"), "{refused:?}");
    assert_eq!(admin.metric_sum("purser_disk_full"), 1.0);
    limit_files(&server, None);
    eventually("there is room again", || {
        (deposit(&mut admin, booked) == 200).then_some(())
    });
    assert_eq!(cash(&server), format!("{}.00", booked + 1));
    assert_eq!(admin.metric_sum("purser_disk_full"), 0.0);
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

#[test]
fn a_write_that_fails_is_answered_to_nobody_and_ends_the_server_with_status_4() {
    let server = start(home_with_short_segments());
    let mut admin = Admin::of(&server);
    assert_eq!(deposit(&mut admin, 0), 200);
    // The block behind what is written is beyond the limit from now on.
    limit_files(&server, Some(4_096));
    let answer = admin.try_deposit("acme/p1", "d-1", "1.00");
    assert!(answer.is_none(), "the deposit was answered: {answer:?}");
    let (ended, home) = server.ended_with_home();
    assert_eq!(ended.status.code(), Some(4), "{ended:?}");
    assert!(ended.stderr.contains("00000001.seg"), "{}", ended.stderr);
    // What was acknowledged is there, and the same deposit again books it once.
    let server = start(home);
    let mut admin = Admin::of(&server);
    for _ in 0..2 {
        assert_eq!(deposit(&mut admin, 0), 200);
        assert_eq!(deposit(&mut admin, 1), 200);
        assert_eq!(cash(&server), "2.00");
    }
    server.signal(Signal::SIGTERM);
    let (_, home) = server.ended_with_home();
    let data_dir = home.path().join("data");
    let verified = run(
        &["verify", "--data-dir", data_dir.to_str().unwrap()],
        home.path(),
    );
    assert!(verified.status.success(), "{verified:?}");
}
