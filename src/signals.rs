//! Signals as messages: a thread of its own waits for them, so that no other thread is
//! ever interrupted by one.

use anyhow::Context;
use crossbeam::channel::{Receiver, bounded};
use nix::sys::signal::{SigSet, Signal};

use crate::logging;

/// reliability.md's exit status of a server that could not run to its end.
const EXIT_FAILED: i32 = 1;

/// What the signal thread has to tell.
pub(crate) struct Signals {
    /// The server shall drain.
    pub(crate) stop: Receiver<Signal>,
    /// The configuration shall be read again.
    pub(crate) hangups: Receiver<()>,
}

/// Turns the first SIGTERM or SIGINT into a message. A second one ends the process here,
/// whatever it is waiting for: recovery, requests, the admin API or the disk. SIGHUP is a
/// message each time; a server that `has_file` not, the demo, has nothing to read again
/// and drains as its terminal goes.
///
/// # Errors
/// The kernel gives no thread.
pub(crate) fn watch(has_file: bool) -> anyhow::Result<Signals> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.add(Signal::SIGINT);
    set.add(Signal::SIGHUP);
    set.thread_block()
        .context("block SIGTERM, SIGINT and SIGHUP")?;
    let (stop, stops) = bounded(1);
    // One that waits will read what is there then, so a second one has nothing to add.
    let (hangup, hangups) = bounded(1);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let next_stop = || loop {
                match set.wait().expect("the set is a valid one") {
                    Signal::SIGHUP if has_file => drop(hangup.try_send(())),
                    signal => return signal,
                }
            };
            // Nobody hears it if the server could not start, and is on its way out.
            let _ = stop.send(next_stop());
            let second = next_stop();
            tracing::error!(%second, "ended by a second signal before everything was drained");
            logging::flush();
            std::process::exit(EXIT_FAILED);
        })
        .context("create the signal thread")?;
    Ok(Signals {
        stop: stops,
        hangups,
    })
}
