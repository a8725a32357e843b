//! The log: its page has every message that asks for something, and when nobody reads it no
//! request waits.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{BALANCE, Client, Members, Request, Setup, Wallet, address, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// A server at `debug`, which says a line for each request to a stderr that nobody reads.
struct Unread {
    child: Child,
    wallet: SocketAddr,
    admin: SocketAddr,
    _home: TempDir,
}

impl Unread {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let setup = Setup {
            log_level: "debug",
            ..Setup::default()
        };
        let config = setup.write_config(home.path());
        let mut child = Command::new(env!("CARGO_BIN_EXE_purser"))
            .args(["serve", "--config", &config])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while address(&said, "admin API").is_none() {
            assert!(lines.read_line(&mut said).unwrap() > 0, "it ended: {said}");
        }
        Self {
            wallet: address(&said, "wallet API").unwrap(),
            admin: address(&said, "admin API").unwrap(),
            child,
            _home: home,
        }
    }

    /// Has that many requests answered, many at a time.
    fn ask(&self, requests: usize) {
        const AT_ONCE: usize = 100;
        let mut wallet = Wallet::with_credentials("gw", "s3cret-of-acme", self.wallet);
        let body = Members::balance("acme/nobody").json();
        let burst = wallet.request(BALANCE).body(body).bytes().repeat(AT_ONCE);
        for _ in 0..requests.div_ceil(AT_ONCE) {
            wallet.client.send(&burst);
            for _ in 0..AT_ONCE {
                assert_eq!(wallet.client.answer().json()["ErrorCode"], -5);
            }
        }
    }

    fn dropped(&self) -> u64 {
        let answer = Client::connect(self.admin).call(&Request::new("GET", "/metrics"));
        let text = String::from_utf8(answer.body).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("purser_log_lines_dropped_total "));
        line.unwrap().parse().unwrap()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// More than the queue and the pipe hold.
const MANY: usize = 15_000;

#[test]
fn requests_go_on_while_nobody_reads_the_log_and_what_was_dropped_is_told() {
    let mut server = Unread::start();
    assert_eq!(server.dropped(), 0);
    server.ask(MANY);
    let dropped = server.dropped();
    assert!(0 < dropped && dropped < MANY as u64, "{dropped}");
    let stderr = server.child.stderr.take().unwrap();
    let told = BufReader::new(stderr)
        .lines()
        .map(Result::unwrap)
        .find(|line| line.contains("lines of the log were dropped"))
        .unwrap();
    assert!(
        told.contains(" WARN ") && told.contains(&format!("lines={dropped}")),
        "{told}"
    );
}

#[test]
fn a_stop_does_not_wait_for_who_never_reads_the_log() {
    let mut server = Unread::start();
    server.ask(MANY);
    let begun = Instant::now();
    let id = Pid::from_raw(i32::try_from(server.child.id()).unwrap());
    kill(id, Signal::SIGTERM).unwrap();
    let status = eventually("the server ends", || server.child.try_wait().unwrap());
    assert!(status.success(), "{status:?}");
    // It waits two seconds for the reader at most; the rest is for a busy machine.
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn the_last_line_is_written_before_the_process_ends() {
    let mut server = Unread::start();
    let id = Pid::from_raw(i32::try_from(server.child.id()).unwrap());
    kill(id, Signal::SIGTERM).unwrap();
    let mut said = String::new();
    let mut stderr = server.child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert!(said.trim_end().ends_with("stopped"), "{said}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The code of the program without its tests, file by file.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src"), root().join("shards/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text
                    .split("#[cfg(test)]\nmod tests {")
                    .next()
                    .unwrap()
                    .to_owned();
                found.push((path, code));
            }
        }
    }
    found
}

/// The string literals of a macro's arguments, which begin behind its parenthesis. A text
/// that goes on in the next line is one.
fn literals(arguments: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut depth = 1;
    let mut characters = arguments.chars();
    while depth > 0 {
        match characters.next().unwrap() {
            '(' => depth += 1,
            ')' => depth -= 1,
            '"' => {
                let mut text = String::new();
                loop {
                    match characters.next().unwrap() {
                        '"' => break,
                        '\\' => text.push(match characters.next().unwrap() {
                            '\n' => ' ',
                            escaped => escaped,
                        }),
                        other => text.push(other),
                    }
                }
                found.push(one_line(&text));
            }
            _ => {}
        }
    }
    found
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What always stands in a message, around what differs.
fn parts(message: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut in_braces = false;
    for character in message.chars() {
        match character {
            '{' => in_braces = true,
            '}' => {
                in_braces = false;
                parts.push(String::new());
            }
            '…' => parts.push(String::new()),
            other if !in_braces => parts.last_mut().unwrap().push(other),
            _ => {}
        }
    }
    let parts = parts.iter().map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

#[test]
fn the_page_has_every_message_that_asks_for_something() {
    let page = fs::read_to_string(root().join("docs/logs.md")).unwrap();
    let mut levels = ["error!(", "warn!("].into_iter();
    let mut code = String::new();
    for (_, text) in sources() {
        code += &one_line(&text.replace("\\\n", " "));
        code.push('\n');
    }
    for heading in ["## Messages at ERROR", "## Messages at WARN"] {
        let level = levels.next().unwrap();
        let section = page.split(heading).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows: Vec<&str> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split("` | ").next())
            .collect();
        let mut calls = 0;
        for (path, text) in sources() {
            for arguments in text.split(&format!("tracing::{level}")).skip(1) {
                let message = literals(arguments).pop().unwrap_or_default();
                let parts = parts(&message);
                let is_told = rows
                    .iter()
                    .any(|row| parts.iter().all(|part| row.contains(part.as_str())));
                assert!(is_told, "{}: no row has {message:?}", path.display());
                calls += 1;
            }
        }
        assert!(calls > 10, "{heading}: found {calls}");
        for row in rows {
            for part in parts(row) {
                assert!(code.contains(&part), "nothing says {part:?} of {row:?}");
            }
        }
    }
}
