//! What a service manager hears (sd_notify(3)), from a socket in its place.

mod common;

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use common::{PATIENCE, Server, Setup, eventually};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tempfile::TempDir;

/// The service manager of one server.
struct Manager {
    socket: UnixDatagram,
    /// Lines that were heard, in their order; each has its time.
    heard: Vec<(Instant, String)>,
}

/// As `WATCHDOG_USEC`: the watchdog's period, so short that the tests need not wait.
const PERIOD: Duration = Duration::from_secs(4);

impl Manager {
    /// A server that tells this manager what it does, and is watched if it is to be.
    fn start(is_watched: bool) -> (Self, Server) {
        let home = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(home.path().join("notify")).unwrap();
        Self::start_with(socket, home, is_watched)
    }

    /// The same with a socket that is there, `notify` in `home`.
    fn start_with(socket: UnixDatagram, home: TempDir, is_watched: bool) -> (Self, Server) {
        let path = home.path().join("notify");
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let config = Setup::default().write_config(home.path());
        let period = PERIOD.as_micros().to_string();
        let mut environment = vec![("NOTIFY_SOCKET", path.to_str().unwrap())];
        if is_watched {
            environment.push(("WATCHDOG_USEC", &period));
        }
        let server = Server::spawn_with(&["serve", "--config", &config], home, &environment);
        let heard = Vec::new();
        (Self { socket, heard }, server)
    }

    /// Takes what has come meanwhile.
    fn listen(&mut self) {
        let mut bytes = [0; 4096];
        loop {
            match self.socket.recv(&mut bytes) {
                Ok(count) => {
                    let text = std::str::from_utf8(&bytes[..count]).unwrap();
                    let lines = text.lines().map(|line| (Instant::now(), line.to_owned()));
                    self.heard.extend(lines);
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
                Err(e) => panic!("{e}"),
            }
        }
    }

    /// Waits for a line, and gives the lines up to it, which are then forgotten.
    fn hear(&mut self, line: &str) -> Vec<String> {
        eventually(line, || {
            self.listen();
            let at = self.heard.iter().position(|(_, heard)| heard == line)?;
            Some(self.heard.drain(..=at).map(|(_, line)| line).collect())
        })
    }

    /// How often it was fed in the time that now begins.
    fn feeds_within(&mut self, time: Duration) -> usize {
        self.listen();
        self.heard.clear();
        let start = Instant::now();
        while start.elapsed() < time {
            self.listen();
        }
        let feeds = self.heard.iter().filter(|(_, line)| line == "WATCHDOG=1");
        feeds.count()
    }
}

#[test]
fn a_start_a_reload_and_a_drain_are_told() {
    let (mut manager, server) = Manager::start(false);
    assert_eq!(
        manager.hear("READY=1"),
        ["STATUS=reading the log", "READY=1"]
    );
    manager.hear("STATUS=serving");

    assert_eq!(server.reload(), "done");
    let told = manager.hear("READY=1");
    assert_eq!(told[0], "RELOADING=1");
    let began: u64 = told[1]
        .strip_prefix("MONOTONIC_USEC=")
        .unwrap()
        .parse()
        .unwrap();
    assert!(began > 0);
    assert_eq!(told[2], "STATUS=reading the configuration again");
    manager.hear("STATUS=serving");

    server.edit_config(|text| text.replace("shards = 2", "shards = 3"));
    assert_eq!(server.reload(), "refused");
    assert_eq!(manager.hear("READY=1")[0], "RELOADING=1");
    manager.hear("STATUS=serving; the configuration was refused, the one before stays in force");

    server.signal(Signal::SIGTERM);
    assert_eq!(
        manager.hear("STATUS=draining"),
        ["STOPPING=1", "STATUS=draining"]
    );
    assert!(server.ended().status.success());
    manager.listen();
    assert!(manager.heard.is_empty(), "{:?}", manager.heard);
}

#[test]
fn a_manager_that_takes_nothing_holds_up_nothing_and_hears_it_later() {
    let home = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(home.path().join("notify")).unwrap();
    let other = UnixDatagram::unbound().unwrap();
    other.set_nonblocking(true).unwrap();
    let full = loop {
        if let Err(error) = other.send_to(b"FILLER=1", home.path().join("notify")) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock, "{full}");

    // It is up all the same, and its watchdog's thread does not hang either.
    let (mut manager, server) = Manager::start_with(socket, home, true);
    assert_eq!(server.reload(), "done");

    manager.hear("READY=1");
    manager.hear("STATUS=serving");
    manager.hear("WATCHDOG=1");
    server.signal(Signal::SIGTERM);
    manager.hear("STOPPING=1");
    assert!(server.ended().status.success());
}

#[test]
fn the_watchdog_is_fed_while_every_shard_turns_and_only_then() {
    let (mut manager, server) = Manager::start(true);
    manager.hear("WATCHDOG=1");
    assert!(manager.feeds_within(PERIOD) >= 2, "all shards turn");

    let shard = thread_named(&server, "shard-1");
    if let Err(error) = ptrace::seize(shard, ptrace::Options::empty()) {
        assert!(std::env::var_os("CI").is_none(), "CI may trace: {error}");
        eprintln!("SKIPPED: no thread can be held up here: {error}");
        return;
    }
    // This thread alone stops; the process runs on, its watchdog's thread included.
    ptrace::interrupt(shard).unwrap();
    waitpid(shard, Some(WaitPidFlag::__WALL)).unwrap();
    // What was on its way, and a look that still sees the turns before.
    manager.feeds_within(PERIOD / 2);
    assert_eq!(manager.feeds_within(PERIOD), 0, "one of two shards hangs");
    eventually("it is logged", || {
        let output = server.output();
        (output.contains("shards do not turn") && output.contains("shards=[1]")).then_some(())
    });

    ptrace::detach(shard, None).unwrap();
    manager.hear("WATCHDOG=1");
    assert!(manager.feeds_within(PERIOD) >= 2, "it turns again");
    server.signal(Signal::SIGTERM);
    assert!(server.ended().status.success());
}

#[test]
fn a_server_that_nobody_manages_serves_and_says_nothing() {
    let server = Server::start();
    assert_eq!(server.reload(), "done");
    assert!(
        !server.output().contains("service manager"),
        "{}",
        server.output()
    );
    server.signal(Signal::SIGTERM);
    assert!(server.ended().status.success());
}

fn thread_named(server: &Server, name: &str) -> Pid {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        for task in std::fs::read_dir(format!("/proc/{}/task", server.id())).unwrap() {
            let task = task.unwrap();
            let comm = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            if comm.trim() == name {
                return Pid::from_raw(task.file_name().to_str().unwrap().parse().unwrap());
            }
        }
    }
    panic!("no thread {name}");
}
