//! Waits for what ends the server, and ends it in order.
//!
//! On SIGTERM or SIGINT: no new connections, requests in flight are answered, the admin API
//! ends, mailboxes are emptied, the last batch becomes durable. All of it within
//! `shutdown_timeout`; a second signal ends the process at once.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use crossbeam::channel::{Receiver, RecvTimeoutError, Select};
use nix::sys::signal::Signal;
use shards::runtime::{Cluster, Event};

use crate::admin::{AdminThread, Readiness};
use crate::exit::after;
use crate::service;

/// Waits for a signal or a failure, then drains.
pub(crate) fn supervise(
    signals: &Receiver<Signal>,
    cluster: Cluster,
    admin: AdminThread,
    readiness: &Readiness,
    draining: &AtomicBool,
    shutdown_timeout: Duration,
) -> anyhow::Result<ExitCode> {
    let shards = cluster.metrics().len();
    let mut supervisor = Supervisor {
        signals,
        cluster: &cluster,
        deadline: None,
    };
    match supervisor.next()? {
        Next::Signal(signal) => tracing::info!(%signal, "draining"),
        Next::Event(event) => return after(event),
        Next::TimeIsUp => unreachable!("there is no deadline yet"),
    }
    supervisor.deadline = Some(Instant::now() + shutdown_timeout);
    draining.store(true, Ordering::Release);
    readiness.set_draining();
    cluster.drain();
    // Last: a service manager that does not listen must not keep anybody from draining.
    service::stopping();
    if let Some(status) =
        supervisor.await_all(shards, |event| matches!(event, Event::Drained(_)))?
    {
        return Ok(status);
    }
    // Half of what is left, for the same reason.
    if !admin.stop(supervisor.time_left() / 2) {
        tracing::warn!("requests of the admin API that did not end in time are cut");
    }
    cluster.close();
    if let Some(status) =
        supervisor.await_all(shards, |event| matches!(event, Event::Stopped(_)))?
    {
        return Ok(status);
    }
    cluster.join();
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// What the supervisor heard.
enum Next {
    Signal(Signal),
    Event(Event),
    TimeIsUp,
}

struct Supervisor<'a> {
    signals: &'a Receiver<Signal>,
    cluster: &'a Cluster,
    deadline: Option<Instant>,
}

impl Supervisor<'_> {
    fn next(&self) -> anyhow::Result<Next> {
        let mut select = Select::new();
        let signal = select.recv(self.signals);
        let event = select.recv(self.cluster.events());
        let ready = match self.deadline {
            None => select.ready(),
            Some(deadline) => match select.ready_deadline(deadline) {
                Ok(ready) => ready,
                Err(_) => return Ok(Next::TimeIsUp),
            },
        };
        if ready == signal {
            return Ok(Next::Signal(
                self.signals.recv().context("the signal thread ended")?,
            ));
        }
        assert!(ready == event);
        match self.cluster.events().recv_timeout(Duration::ZERO) {
            Ok(event) => Ok(Next::Event(event)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                bail!("all shards have ended without a word")
            }
        }
    }

    /// Waits until every shard reported `what`; a status when the process must end now.
    fn await_all(
        &self,
        shards: usize,
        what: impl Fn(&Event) -> bool,
    ) -> anyhow::Result<Option<ExitCode>> {
        for _ in 0..shards {
            match self.next()? {
                Next::Event(event) if what(&event) => {}
                Next::Event(event) => return after(event).map(Some),
                Next::Signal(_) => unreachable!("a second one ends the process"),
                Next::TimeIsUp => bail!(
                    "not everything was drained within shutdown_timeout; \
                     what was answered is safe, what was not may be retried"
                ),
            }
        }
        Ok(None)
    }

    fn time_left(&self) -> Duration {
        self.deadline.map_or(Duration::ZERO, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        })
    }
}
