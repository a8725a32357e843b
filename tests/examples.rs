//! The examples play their round, and lose and double nothing when answers are lost.

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{PATIENCE, Server, Wallet};
use tempfile::TempDir;

const PLAYER: &str = "demo/player-1";

/// A command that plays a round; `None` where the machine lacks what it needs.
type Example = fn(&TempDir) -> Option<Command>;

const EXAMPLES: [(&str, Example); 3] = [("python", python), ("rust", rust), ("shell", shell)];

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

/// Without the program an example cannot be tried: a desk is told, CI has no excuse.
fn is_there(program: &str) -> bool {
    let is_there = Command::new(program).arg("--version").output();
    let is_there = is_there.is_ok_and(|output| output.status.success());
    if !is_there {
        assert!(std::env::var_os("CI").is_none(), "CI needs {program}");
        eprintln!("SKIPPED: an example needs {program}, which is not installed");
    }
    is_there
}

fn python(_: &TempDir) -> Option<Command> {
    is_there("python3").then(|| {
        let mut command = Command::new("python3");
        command.arg(source("round.py"));
        command
    })
}

fn shell(_: &TempDir) -> Option<Command> {
    is_there("curl").then(|| {
        let mut command = Command::new("sh");
        command.arg(source("round.sh"));
        command
    })
}

/// Compiled by the compiler alone, which shows that it needs no package.
fn rust(folder: &TempDir) -> Option<Command> {
    let program = folder.path().join("round");
    let compiler = Path::new(env!("CARGO")).with_file_name("rustc");
    let compiled = Command::new(compiler)
        .args(["--edition", "2024", "-o"])
        .args([program.as_path(), &source("round.rs")])
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{compiled:?}");
    Some(Command::new(program))
}

/// What becomes of the copies of one request on their way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Nothing happens to them.
    Whole,
    /// The wallet gets every copy; the first answer is lost.
    FirstAnswerLost,
    /// The wallet gets every copy; no answer arrives.
    AnswersLost,
    /// The wallet gets none.
    RequestsLost,
}

/// Runs every example behind a proxy; gives the player's funds and what was printed.
fn run(fate: fn(&str) -> Fate) -> Vec<(&'static str, String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    for (name, example) in EXAMPLES {
        let Some(mut command) = example(&folder) else {
            continue;
        };
        let server = Server::demo(&[]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = Proxy {
            wallet: server.wallet,
            fate,
            seen: Mutex::default(),
            is_over: AtomicBool::new(false),
        };
        let output = thread::scope(|scope| {
            scope.spawn(|| proxy.serve(scope, &listener));
            let output = command
                .env("BASE_URL", format!("http://{address}"))
                .env("USERNAME", "demo")
                .env("PASSWORD", "demo")
                .env("ACCOUNT", PLAYER)
                .env("no_proxy", "*")
                .output()
                .unwrap();
            proxy.is_over.store(true, Ordering::Relaxed);
            // The listener notices with the next connection.
            let _ = TcpStream::connect(address);
            output
        });
        assert!(output.status.success(), "{name}: {output:?}");
        let mut wallet = Wallet::with_credentials("demo", "demo", server.wallet);
        let balance = wallet.balance(PLAYER);
        let cash = balance["Balance"]["CashFunds"].as_str().unwrap().to_owned();
        told.push((name, cash, String::from_utf8(output.stdout).unwrap()));
    }
    told
}

struct Proxy {
    wallet: SocketAddr,
    fate: fn(&str) -> Fate,
    /// How many copies of each request came.
    seen: Mutex<BTreeMap<String, usize>>,
    is_over: AtomicBool,
}

impl Proxy {
    fn serve<'s>(&'s self, scope: &'s thread::Scope<'s, '_>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let client = client.unwrap();
            scope.spawn(move || while self.pass_on(&client).is_some() {});
        }
    }

    /// Passes one request on and its answer back, unless that is not its fate; `None`
    /// when the connection is over.
    fn pass_on(&self, mut client: &TcpStream) -> Option<()> {
        let request = read_message(client)?;
        let path = request.split(' ').nth(1)?.to_owned();
        let copy = {
            let mut seen = self.seen.lock().unwrap();
            let copies = seen.entry(path.clone()).or_default();
            *copies += 1;
            *copies
        };
        let fate = (self.fate)(&path);
        if matches!(fate, Fate::RequestsLost) {
            return None;
        }
        let mut wallet = TcpStream::connect(self.wallet).unwrap();
        wallet.write_all(request.as_bytes()).unwrap();
        let answer = read_message(&wallet)?;
        match fate {
            Fate::Whole => {}
            Fate::FirstAnswerLost if copy > 1 => {}
            // In the middle of it.
            _ => {
                let _ = client.write_all(&answer.as_bytes()[..answer.len() / 2]);
                return None;
            }
        }
        client.write_all(answer.as_bytes()).ok()
    }
}

/// A whole request or answer, which have a `Content-Length` here.
fn read_message(mut stream: &TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut message = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&message).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_ascii_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length:").map(str::to_owned));
            if body.len() >= length.map_or(0, |length| length.trim().parse().unwrap()) {
                return Some(text);
            }
        }
        let mut bytes = [0; 4_096];
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => return None,
            Ok(count) => message.extend_from_slice(&bytes[..count]),
        }
    }
}

#[test]
fn a_round_is_played() {
    for (name, cash, told) in run(|_| Fate::Whole) {
        assert_eq!(cash, "1003.00", "{name}: {told}");
        assert!(told.contains("the round is over"), "{name}: {told}");
    }
}

#[test]
fn lost_answers_cost_nothing_twice() {
    for (name, cash, told) in run(|_| Fate::FirstAnswerLost) {
        assert_eq!(cash, "1003.00", "{name}: {told}");
        assert!(told.contains("the round is over"), "{name}: {told}");
    }
}

#[test]
fn a_bet_of_unknown_fate_is_rolled_back() {
    let fates: [fn(&str) -> Fate; 2] = [
        // It was booked.
        |path| match path {
            path if path.ends_with("placebet") => Fate::AnswersLost,
            _ => Fate::FirstAnswerLost,
        },
        // It was not.
        |path| match path {
            path if path.ends_with("placebet") => Fate::RequestsLost,
            _ => Fate::Whole,
        },
    ];
    for fate in fates {
        for (name, cash, told) in run(fate) {
            assert_eq!(cash, "1000.00", "{name}: {told}");
            assert!(told.contains("rolled back"), "{name}: {told}");
        }
    }
}
