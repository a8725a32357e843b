//! The pump: drains a shard's mailbox and reply lane, whenever they are rung and before
//! each command that is submitted on the shard.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::clock;
use super::handle::{Inner, Parked};
use super::wait::let_io_run;
use crate::Handled;
use crate::mesh::{Answer, Envelope, PeerId, Received, Reply};

/// Things taken out of the queues before the shard looks at its sockets again: some
/// 250 µs of work.
const PUMP_BURST_MAX: usize = 256;

/// The same before a command that is submitted here: a little more than one peer sends in the
/// time of a request.
const BETWEEN_MAX: usize = 16;

/// Runs until the cluster closes and nothing is left to answer.
pub(super) async fn run(inner: Rc<Inner>) {
    loop {
        inner.metrics.pump_turns.add(1);
        let depth = inner.shared.mesh.depth(inner.peer);
        inner.metrics.mailbox_depth.set(depth as u64);
        if serve(&inner, PUMP_BURST_MAX) == PUMP_BURST_MAX {
            let_io_run().await;
        } else if poll_fn(|cx| poll_arrival(&inner, cx)).await.is_break() {
            return;
        }
    }
}

/// Serves what has arrived, for who is about to submit a command: in a busy shard a hop
/// waits so for one request at either end, and not for a turn of all that are ready. Tells
/// whether there was anything. Only while the cluster is not closing, when the pump's task
/// may have ended, and with it the log.
pub(super) fn serve_between(inner: &Inner) -> bool {
    !inner.shared.mesh.is_empty(inner.peer) && serve(inner, BETWEEN_MAX) > 0
}

/// Takes up to `burst_max` things out of the queues: how many there were.
fn serve(inner: &Inner, burst_max: usize) -> usize {
    let mut rung = inner.rung.take();
    let taken = drain(inner, burst_max, &mut rung);
    // Once per burst, however many answers each of them got.
    for peer in rung.drain(..) {
        inner.ring(peer);
    }
    inner.rung.set(rung);
    taken
}

/// Ready when something has arrived, or when the cluster closes and all is done.
fn poll_arrival(inner: &Inner, cx: &Context<'_>) -> Poll<ControlFlow<()>> {
    // Here too, not in `run` alone: who is only rung finds nothing to drain.
    inner.metrics.pump_turns.add(1);
    let mesh = &inner.shared.mesh;
    mesh.arm(inner.peer, cx.waker());
    if !mesh.is_empty(inner.peer) {
        return Poll::Ready(ControlFlow::Continue(()));
    }
    if inner.shared.is_closing() && !inner.shard.borrow().has_undurable() {
        return Poll::Ready(ControlFlow::Break(()));
    }
    Poll::Pending
}

fn drain(inner: &Inner, burst_max: usize, rung: &mut Vec<PeerId>) -> usize {
    let now = clock::now();
    // One command's turn begins where the one before has ended: one look at the clock each.
    let mut turn_at = None;
    for taken in 0..burst_max {
        match inner.shared.mesh.receive(inner.peer) {
            None => return taken,
            Some(Received::Reply(Reply { ticket, answer })) => {
                if let Some(waker) = inner.replies.borrow_mut().complete(ticket, answer) {
                    waker.wake();
                }
            }
            Some(Received::Command(Envelope { command, reply_to })) => {
                let taken_at = *turn_at.get_or_insert_with(Instant::now);
                let mut shard = inner.shard.borrow_mut();
                let submitted = shard.submit(&command, now);
                let decided_at = Instant::now();
                turn_at = Some(decided_at);
                let result = match submitted {
                    Ok(ticket) if !shard.is_durable(&ticket) => {
                        let parked = Parked {
                            reply_to,
                            taken_at,
                            decided_at,
                        };
                        shard.park(ticket, parked);
                        inner.commit.raise();
                        continue;
                    }
                    Ok(ticket) => Ok(ticket.outcome),
                    Err(why) => {
                        inner.metrics.count_refused(why);
                        Err(why)
                    }
                };
                let handled = Handled::at_once(taken_at, decided_at);
                inner.deliver(reply_to, Answer { result, handled });
                if !rung.contains(&reply_to.peer) {
                    rung.push(reply_to.peer);
                }
            }
        }
    }
    burst_max
}
