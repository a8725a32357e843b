//! Where a shard's log lives. The log's code knows only this trait, so the same code
//! runs on a disk in production and on one that misbehaves in tests.

mod memory;

use std::io;

pub use memory::MemoryDisk;

/// The end of one shard's log.
///
/// The calls block: a shard makes them itself while its disk is quick, or lets a
/// thread of its own make them.
pub trait Storage: Send + 'static {
    /// Writes the bytes of one batch behind all earlier ones.
    ///
    /// # Errors
    /// After an error nothing is known of these bytes; the caller must stop.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything appended is durable.
    ///
    /// # Errors
    /// After an error nothing is known of what was not durable; the caller must stop.
    fn sync(&mut self) -> io::Result<()>;
}
