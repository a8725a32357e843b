//! Shards inside this process, without sockets, for loads that run on their executors.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context, bail};
use shards::runtime::{
    CheckpointSettings, Cluster, ClusterSettings, Event, FlushPlace, ShardHandle, ShardMetrics,
};
use shards::storage::Storage;
use shards::wal::{DataSet, Durability, LogSettings};

use pieces::players::{self, LEDGER, SEGMENT_BYTES};

/// How long a shard may take to write its last batch and stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// What shards are started.
#[derive(Clone, Debug)]
pub(crate) struct Shards {
    pub(crate) count: u16,
    /// The CPU of each, or empty to leave them where this thread is.
    pub(crate) cpus: Vec<usize>,
    pub(crate) durability: Durability,
    /// How long the load lasts at most, without the stop.
    pub(crate) limit: Duration,
}

/// What the load of each shard said, in no order, and what the shards counted.
pub(crate) struct Ended<T> {
    pub(crate) said: Vec<T>,
    pub(crate) metrics: Vec<Arc<ShardMetrics>>,
}

/// Starts shards on an empty disk, runs `load` on each and stops them when all have ended.
///
/// # Errors
/// The disk failed, a load failed, or the shards did not end in time.
pub(crate) fn run<T, F, Fut>(
    shards: &Shards,
    disk: Arc<dyn Storage>,
    load: F,
) -> anyhow::Result<Ended<T>>
where
    T: Send + 'static,
    F: Fn(ShardHandle) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = anyhow::Result<T>> + 'static,
{
    let log = LogSettings {
        segment_bytes: SEGMENT_BYTES,
        durability: shards.durability,
    };
    let data = DataSet::open(disk, shards.count, log, players::founding()?)?;
    let settings = ClusterSettings {
        // No run is that long.
        checkpoints: CheckpointSettings {
            log_bytes: u64::MAX,
            history: Duration::ZERO,
        },
        scrubs: None,
        flush_place: FlushPlace::Auto,
        pin_to_cpus: shards.cpus.clone(),
        ledger: LEDGER,
    };
    let (tell, told) = mpsc::channel();
    let cluster = Cluster::start(&settings, &data, move |handle| {
        let ended = load(handle);
        let tell = tell.clone();
        async move {
            // Nobody listens when the disk failed meanwhile.
            let _ = tell.send(ended.await);
        }
    })?;
    let metrics = cluster.metrics().to_vec();
    let limit = shards.limit + STOP_TIMEOUT;
    for _ in 0..shards.count {
        expect(&cluster, limit, |event| matches!(event, Event::Drained(_)))
            .context("wait for the load to end")?;
    }
    cluster.close();
    for _ in 0..shards.count {
        expect(&cluster, STOP_TIMEOUT, |event| {
            matches!(event, Event::Stopped(_))
        })
        .context("wait for the last batch")?;
    }
    cluster.join();
    let said = (0..shards.count)
        .map(|_| told.recv().context("a load ended without a word")?)
        .collect::<anyhow::Result<_>>()?;
    Ok(Ended { said, metrics })
}

fn expect(cluster: &Cluster, limit: Duration, what: impl Fn(&Event) -> bool) -> anyhow::Result<()> {
    match cluster.events().recv_timeout(limit) {
        Ok(event) if what(&event) => Ok(()),
        Ok(Event::DiskFailed(_, error)) => Err(error.into()),
        Ok(event) => bail!("the shard ended with {event:?}"),
        Err(_) => bail!("the shard did not end within {limit:?}"),
    }
}
