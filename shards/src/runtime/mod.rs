//! Shards on glommio executors, one per core: the only part of this crate that waits.
//!
//! [`Cluster::start`] boots one thread per shard. On each run the **pump** (drains the
//! mailbox), the **committer** (brings batches to the disk), a **housekeeper** (what
//! goes by time), and whatever the caller serves there with a [`ShardHandle`]. Beside them
//! run one **supplier** of segments, one **compactor** that makes checkpoints and one
//! **scrubber** that looks for damage. The control plane has a [`ControlHandle`], which works
//! on any executor.

mod background;
mod boot;
mod clock;
mod cluster;
mod committer;
mod compactor;
mod control;
mod flusher;
mod handle;
mod housekeeping;
mod metrics;
mod pump;
mod scrubber;
mod supplier;
mod wait;

pub use clock::now;
pub use cluster::{Cluster, ClusterSettings, Event, MemoryGate, StartError};
pub use compactor::CheckpointSettings;
pub use control::{ControlHandle, ControlReply};
pub use flusher::FlushPlace;
pub use handle::{ShardHandle, ShardReply};
pub use housekeeping::HOUSEKEEPING;
pub use metrics::{CheckpointMetrics, MemoryMetrics, ScrubMetrics, ShardMetrics};
pub use scrubber::ScrubSettings;
pub use wait::{REPLY_TIMEOUT, let_io_run};
