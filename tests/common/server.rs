//! The real binary as a child process, with a configuration of many kinds of domains.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::{Admin, PATIENCE, eventually};

/// The bearer token of the admin API in every test.
pub const ADMIN_TOKEN: &str = "adm1n-t0ken-of-the-tests";

/// One domain of every kind that the pages know.
const DOMAINS: &str = r#"
[[domain]]
name = "acme"
currency = "GBP"
credentials = [{ user = "gw", password = "s3cret-of-acme" }]

[[domain]]
name = "nippon"
currency = "JPY"
credentials = [{ user = "gw", password = "s3cret-of-nippon" }]
funds_priority = "Unknown"

[[domain]]
name = "gulf"
currency = "KWD"
credentials = [{ user = "gw", password = "s3cret-of-gulf" }]
funds_priority = "BonusFundsFirst"

[[domain]]
name = "walled"
currency = "GBP"
credentials = [{ user = "gw", password = "s3cret-of-walled" }]
allow = ["10.20.0.0/16", "2001:db8::/32", "127.0.0.9/32"]

[[domain]]
name = "keyed"
currency = "GBP"
credentials = [{ user = "gw", password = "s3cret-of-keyed" }]
platform_keys = ["MG", "1234"]

[[domain]]
name = "once"
currency = "GBP"
credentials = [{ user = "gw", password = "s3cret-of-once" }]
single_use_tokens = true

[[domain]]
name = "hasty"
currency = "GBP"
credentials = [{ user = "gw", password = "s3cret-of-hasty" }]
session_token_ttl = "20s"

[[domain]]
name = "arcade"
currency = "GBP"
credentials = [{ user = "gw", password = "s3cret-of-arcade" }]
games = ["chess", "11588"]

[[domain]]
name = "rotating"
currency = "GBP"
credentials = [
    { user = "old", password = "s3cret-of-rotating" },
    { user = "new", password = "with:two:colons" },
    { user = "é", password = "pässwörd" },
]
"#;

/// What a test wants different from the usual server.
#[derive(Clone)]
pub struct Setup {
    pub shards: usize,
    pub listen: String,
    pub log_level: &'static str,
    pub shutdown_timeout: &'static str,
    pub segment_bytes: u64,
    /// Lines for the table `[log]`.
    pub log: &'static str,
    /// Lines for the table `[limits]`.
    pub limits: &'static str,
    /// The table `[listen.tls]`, if any.
    pub tls: String,
    /// More domains.
    pub domains: String,
    /// Lines for the table `[ledger]`.
    pub ledger: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            shards: 2,
            listen: "127.0.0.1:0".to_owned(),
            log_level: "info",
            shutdown_timeout: "10s",
            segment_bytes: 1 << 20,
            log: "",
            limits: "",
            tls: String::new(),
            domains: String::new(),
            ledger: "",
        }
    }
}

impl Setup {
    /// Starts the server and waits until it is ready.
    pub fn start(&self) -> Server {
        let home = tempfile::tempdir().unwrap();
        let config = self.write_config(home.path());
        Server::spawn(&["serve", "--config", &config], home)
    }

    /// Runs a server that is expected to end by itself.
    pub fn start_in_vain(&self) -> Ended {
        let home = tempfile::tempdir().unwrap();
        let config = self.write_config(home.path());
        run(&["serve", "--config", &config], home.path())
    }

    /// Writes the configuration into a directory and gives its path.
    pub fn write_config(&self, home: &Path) -> String {
        let Self {
            shards,
            listen,
            log_level,
            shutdown_timeout,
            segment_bytes,
            log,
            limits,
            tls,
            domains,
            ledger,
        } = self;
        let data_dir = home.join("data");
        let config = format!(
            r#"
data_dir = "{}"
shards = {shards}
shutdown_timeout = "{shutdown_timeout}"
log_level = "{log_level}"
trusted_proxies = ["127.0.0.1/32", "10.9.0.0/16", "2001:db8:9::/48"]

[listen]
wallet = "{listen}"
admin = "127.0.0.1:0"
{tls}

[log]
segment_bytes = {segment_bytes}
{log}

[admin]
token = "{ADMIN_TOKEN}"

[limits]
{limits}

[ledger]
{ledger}
{DOMAINS}
{domains}"#,
            data_dir.display()
        );
        let path = home.join("purser.toml");
        std::fs::write(&path, config).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// A running server; killed, by its own process id, when dropped.
pub struct Server {
    child: Child,
    pub wallet: SocketAddr,
    pub admin: SocketAddr,
    /// What it printed until it was ready.
    pub greeting: Vec<String>,
    stdout: Captured,
    stderr: Captured,
    pub home: TempDir,
}

/// What one output of a child has said so far.
type Captured = Arc<Mutex<String>>;

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Server {
    /// Two shards, all domains, nobody in them.
    pub fn start() -> Self {
        Setup::default().start()
    }

    /// `purser serve --demo` on free ports, with two shards and whatever else is given.
    pub fn demo(more: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let demo = ["serve", "--demo", "--shards", "2"];
        let free_ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        Self::spawn(&[&demo, &free_ports, more].concat(), home)
    }

    /// Runs the binary with these arguments and waits for its addresses.
    pub fn spawn(arguments: &[&str], home: TempDir) -> Self {
        Self::spawn_with(arguments, home, &[])
    }

    /// The same with variables of the environment.
    pub fn spawn_with(arguments: &[&str], home: TempDir, environment: &[(&str, &str)]) -> Self {
        let mut child = spawn(arguments, home.path(), environment);
        let stdout = capture(child.stdout.take().unwrap());
        let stderr = capture(child.stderr.take().unwrap());
        let start = Instant::now();
        loop {
            let said = stdout.lock().unwrap().clone();
            if let (Some(wallet), Some(admin)) =
                (address(&said, "wallet API"), address(&said, "admin API"))
            {
                let greeting = said.lines().map(str::to_owned).collect();
                return Self {
                    child,
                    wallet,
                    admin,
                    greeting,
                    stdout,
                    stderr,
                    home,
                };
            }
            let ended = child.try_wait().unwrap();
            if ended.is_some() || start.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                panic!(
                    "the server was never ready (ended: {ended:?})\nstdout: {said}\nstderr: {}",
                    stderr.lock().unwrap()
                );
            }
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Everything printed and logged so far.
    pub fn output(&self) -> String {
        format!(
            "{}{}",
            self.stdout.lock().unwrap(),
            self.stderr.lock().unwrap()
        )
    }

    /// Changes the text of the configuration file, which nobody reads yet.
    pub fn edit_config(&self, edit: impl FnOnce(String) -> String) {
        let path = self.home.path().join("purser.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let edited = edit(text.clone());
        assert_ne!(text, edited, "nothing was edited");
        std::fs::write(&path, edited).unwrap();
    }

    /// Has the configuration read again, and gives what that ended with: `done` or
    /// `refused`.
    pub fn reload(&self) -> &'static str {
        let counts = || {
            let samples = Admin::of(self).metrics();
            ["done", "refused"].map(|result| {
                let name = format!("purser_config_reloads_total{{result=\"{result}\"}}");
                let sample = samples.iter().find(|sample| sample.0 == name);
                sample.unwrap_or_else(|| panic!("no {name}")).1
            })
        };
        let before = counts();
        self.signal(Signal::SIGHUP);
        eventually("the configuration is read again", || {
            let after = counts();
            (after != before).then(|| {
                if after[0] > before[0] {
                    "done"
                } else {
                    "refused"
                }
            })
        })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends the process a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }

    /// Its process id.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process has ended, and how.
    pub fn try_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Kills the process as `kill -9` does, and starts another on the same data.
    pub fn killed_and_restarted(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let home = std::mem::replace(&mut self.home, tempfile::tempdir().unwrap());
        let config = home.path().join("purser.toml");
        Self::spawn(&["serve", "--config", config.to_str().unwrap()], home)
    }

    /// Waits until the process has ended by itself.
    pub fn ended(self) -> Ended {
        self.ended_with_home().0
    }

    /// As [`Server::ended`], and keeps what is in its directory.
    pub fn ended_with_home(mut self) -> (Ended, TempDir) {
        let status = eventually("the server ends", || self.try_ended());
        let ended = Ended {
            status,
            stdout: self.stdout.lock().unwrap().clone(),
            stderr: self.stderr.lock().unwrap().clone(),
        };
        let nothing = tempfile::tempdir().unwrap();
        (ended, std::mem::replace(&mut self.home, nothing))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the server said:\n{}", self.output());
        }
    }
}

/// Runs the binary until it ends by itself.
pub fn run(arguments: &[&str], directory: &Path) -> Ended {
    run_until(arguments, directory, "")
}

/// As [`run`], with a failpoint unless that is empty.
pub fn run_until(arguments: &[&str], directory: &Path, failpoint: &str) -> Ended {
    let failpoint = [("PURSER_FAILPOINT", failpoint)];
    let environment = failpoint.iter().filter(|(_, text)| !text.is_empty());
    let environment: Vec<_> = environment.copied().collect();
    let mut child = spawn(arguments, directory, &environment);
    let stdout = capture(child.stdout.take().unwrap());
    let stderr = capture(child.stderr.take().unwrap());
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{arguments:?} did not end by itself");
        }
        thread::sleep(std::time::Duration::from_millis(5));
    };
    // The readers end with the pipes, which the process has closed by ending.
    eventually("all output is read", || {
        (Arc::strong_count(&stdout) == 1 && Arc::strong_count(&stderr) == 1).then_some(())
    });
    let stdout = stdout.lock().unwrap().clone();
    let stderr = stderr.lock().unwrap().clone();
    Ended {
        status,
        stdout,
        stderr,
    }
}

fn spawn(arguments: &[&str], directory: &Path, environment: &[(&str, &str)]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_purser"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("PURSER_FAILPOINT")
        .env_remove("PURSER_ADMIN_TOKEN")
        // The service manager of whoever runs the tests is not ours.
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads an output to its end on a thread of its own, so that the child never waits.
fn capture(output: impl Read + Send + 'static) -> Captured {
    let captured = Captured::default();
    let writer = Arc::clone(&captured);
    thread::spawn(move || {
        let mut lines = BufReader::new(output);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            writer
                .lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    captured
}

/// The address in a complete line such as `wallet API  http://127.0.0.1:4711`.
pub fn address(said: &str, words: &str) -> Option<SocketAddr> {
    let complete = &said[..=said.rfind('\n')?];
    let line = complete.lines().find(|line| line.contains(words))?;
    let (_, url) = line.split_once("://")?;
    url.split_whitespace()
        .next()?
        .trim_end_matches('/')
        .parse()
        .ok()
}
