//! The committer: brings batches to the disk, one at a time, and lets their answers go.
//!
//! It runs as a task behind those that filled the batch, so a batch is whatever one
//! turn of the shard brought: large when the shard is busy, one posting when it idles,
//! and never held back to wait for more.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use super::handle::Inner;
use crate::mesh::PeerId;
use crate::storage::Storage;
use crate::wal::Batch;

/// Runs until the disk fails. Nobody in the failed batch gets an answer, and the same
/// bytes are never tried again: after a failed sync nothing is known of them.
pub(super) async fn run(inner: Rc<Inner>, mut storage: impl Storage) -> io::Error {
    let mut spare = Batch::default();
    let mut rung: Vec<PeerId> = Vec::new();
    loop {
        let taken = inner
            .shard
            .borrow_mut()
            .take_batch(std::mem::take(&mut spare));
        let batch = match taken {
            Ok(batch) => batch,
            Err(unused) => {
                spare = unused;
                poll_fn(|cx| inner.commit.poll(cx)).await;
                continue;
            }
        };
        let started = Instant::now();
        if let Err(error) = storage.append(batch.bytes()).and_then(|()| storage.sync()) {
            return error;
        }
        inner.metrics.commit_duration.record(started.elapsed());
        inner.metrics.batches.add(1);
        inner.metrics.postings.add(u64::from(batch.postings()));
        for (reply_to, outcome) in inner.shard.borrow_mut().batch_durable() {
            inner.deliver(reply_to, Ok(outcome));
            if !rung.contains(&reply_to.peer) {
                rung.push(reply_to.peer);
            }
        }
        for peer in rung.drain(..) {
            inner.ring(peer);
        }
        if inner.shared.is_closing() {
            // The pump may be waiting for this batch to end.
            inner.ring(inner.peer);
        }
        spare = batch;
    }
}
