//! The rules of ARCHITECTURE.md that the text of the tree can hold.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(under: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(under)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(
        !found.is_empty(),
        "{under} has no sources: the rule would hold nothing"
    );
    found
}

/// Lines that are code: comments may name what code must not.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()))
}

fn forbid(under: &str, words: &[&str], except: &[&str]) {
    for (path, text) in sources(under) {
        if except
            .iter()
            .any(|allowed| path.ends_with(allowed) || path.iter().any(|p| p == *allowed))
        {
            continue;
        }
        for (number, line) in code(&text) {
            for word in words {
                assert!(
                    !line.contains(word),
                    "{}:{number} names {word}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_ledger_knows_no_io_clock_async_logging_or_threads() {
    let words = [
        "std::fs",
        "std::io",
        "std::net",
        "std::thread",
        "SystemTime",
        "Instant",
        ".await",
    ];
    forbid("shards/src/ledger", &words, &[]);
    forbid(
        "shards/src/ledger",
        &["tracing", "async ", "getrandom"],
        &[],
    );
}

#[test]
fn the_core_never_waits_outside_the_runtime() {
    for part in ["types", "ledger", "wal", "storage", "mesh", "shard"] {
        forbid(&format!("shards/src/{part}"), &[".await", "async fn"], &[]);
    }
}

#[test]
fn glommio_is_named_in_the_runtime_only() {
    forbid("shards/src", &["glommio"], &["runtime"]);
    forbid(
        "src",
        &["glommio"],
        &[
            "listener.rs",
            "listener_tests.rs",
            "readiness.rs",
            "readiness_tests.rs",
            "server.rs",
        ],
    );
}

#[test]
fn json_stays_at_the_rim() {
    forbid("shards/src", &["serde", "json"], &[]);
    forbid(
        "src",
        &["serde_json", "simd_json"],
        &[
            "wallet",
            "admin",
            "config",
            "demo.rs",
            "logging.rs",
            "offline",
            "tune",
        ],
    );
}

#[test]
fn money_never_meets_binary_fractions() {
    for part in ["shards/src/types", "shards/src/ledger", "shards/src/wal"] {
        forbid(part, &["f32", "f64"], &[]);
    }
}

#[test]
fn locks_stay_off_the_request_path() {
    // Seats are counted when a connection opens or closes; a live value is taken under its
    // lock once for each time that it was replaced. For a slow request a shard tries a lock
    // of its own once, and waits for nobody; what the service manager hears is no request.
    let off_the_path = [
        "admin",
        "server.rs",
        "seats.rs",
        "live.rs",
        "slow.rs",
        "service.rs",
    ];
    forbid("src", &["Mutex", "RwLock"], &off_the_path);
    forbid(
        "shards/src",
        &["Mutex", "RwLock"],
        &["control.rs", "memory.rs"],
    );
}
