//! Where logs live: a directory of files that are written in whole blocks.
//!
//! The log's code knows only these traits, so the same code runs on a disk in
//! production ([`DirectDisk`]) and on one that loses power, tears writes and fails on
//! request ([`MemoryDisk`]).
//!
//! Paths are relative to the data directory, with `/` between their parts; the
//! directory itself is the empty path.

mod buffer;
mod direct;
mod lock;
mod memory;

use std::io;

pub use buffer::AlignedBuf;
pub use direct::{Caching, DirectDisk};
pub use lock::{DirectoryLock, LockError};
pub use memory::{Keep, MemoryDisk};

/// What is written at once: offsets, lengths and memory addresses are multiples of it.
/// No disk has larger logical sectors, and it is the page size of the page cache.
pub const BLOCK_BYTES: usize = 4_096;

/// A directory of files. The calls block.
pub trait Storage: Send + Sync + 'static {
    /// The names in a directory, in no order.
    ///
    /// # Errors
    /// As the system reports them; `NotFound` when there is no such directory.
    fn list(&self, directory: &str) -> io::Result<Vec<String>>;

    /// Creates a directory; that it exists already is fine.
    ///
    /// # Errors
    /// As the system reports them.
    fn create_directory(&self, directory: &str) -> io::Result<()>;

    /// Returns when everything that was created, renamed or removed in it is durable.
    ///
    /// # Errors
    /// As the system reports them; afterwards nothing is known of those changes.
    fn sync_directory(&self, directory: &str) -> io::Result<()>;

    /// Creates an empty file, or empties the one that is there.
    ///
    /// # Errors
    /// As the system reports them.
    fn create(&self, path: &str) -> io::Result<Box<dyn StorageFile>>;

    /// Opens a file to read.
    ///
    /// # Errors
    /// As the system reports them.
    fn open(&self, path: &str) -> io::Result<Box<dyn StorageFile>>;

    /// Opens a file to read and write.
    ///
    /// # Errors
    /// As the system reports them.
    fn open_to_write(&self, path: &str) -> io::Result<Box<dyn StorageFile>>;

    /// Gives a file another name in the same directory, in place of the file that has it.
    ///
    /// # Errors
    /// As the system reports them.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the system reports them.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// The name to show to a person.
    fn display(&self, path: &str) -> String;
}

/// An open file. Offsets and lengths are multiples of [`BLOCK_BYTES`], and memory comes
/// from an [`AlignedBuf`].
pub trait StorageFile: Send {
    /// How long the file is, in bytes.
    ///
    /// # Errors
    /// As the system reports them.
    fn length(&self) -> io::Result<u64>;

    /// Fills the buffer.
    ///
    /// # Errors
    /// As the system reports them; `UnexpectedEof` behind the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all bytes; they may be lost until a sync.
    ///
    /// # Errors
    /// A short write is an error too. Afterwards nothing is known of these bytes.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Writes all bytes and returns when they are durable.
    ///
    /// # Errors
    /// A short write is an error too. Afterwards nothing is known of these bytes, and
    /// trying again would not tell (reliability.md).
    fn write_durably(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything written to the file, and its length, is durable.
    ///
    /// # Errors
    /// Afterwards nothing is known of what was not durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// Whether an error of making a file, or of a write that makes one longer, says that
/// there is no room: a full disk, a quota or a file size limit, which the kernel may also
/// tell by writing less than was asked, or as many open files as there may be. It passes
/// when room returns; other errors do not.
#[must_use]
pub fn is_no_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::WriteZero
    ) || matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_room_passes_and_other_errors_do_not() {
        for (number, passes) in [
            (libc::ENOSPC, true),
            (libc::EDQUOT, true),
            (libc::EFBIG, true),
            (libc::EMFILE, true),
            (libc::ENFILE, true),
            (libc::EIO, false),
            (libc::EROFS, false),
            (libc::ENOENT, false),
            (libc::EBADF, false),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(is_no_room(&error), passes, "{error}");
        }
    }
}
