//! How shards and the control plane talk: bounded mailboxes, replies into reserved
//! slots, and wakes that are rung once per sleep.
//!
//! Every **peer** (the shards, and behind them the control plane) has a mailbox for
//! commands and a lane for replies, both crossbeam channels, and one doorbell for
//! the task that drains them. Whoever sends a command has reserved a reply slot, and
//! the lane has room for as many replies as the peer has slots, so a reply is never
//! refused and nobody waits for room while holding what the other side needs.
//!
//! Nothing here waits; the tasks that do are in `runtime/`.

pub mod doorbell;
mod mailbox;
mod slots;

pub use mailbox::{Answer, Envelope, MAILBOX_DEPTH, Mesh, PeerId, Received, Reply, ReplyAddress};
pub use slots::{REPLY_SLOTS, ReplySlots, Result as ReplyResult, Ticket as SlotTicket};
