//! Real files, written past the page cache.
//!
//! One `pwritev2(RWF_DSYNC)` on a file opened with `O_DIRECT` is the fastest durable
//! write there is (runtime.md "Log"), and reading the same way shows what the disk
//! holds rather than what the kernel remembers of a write that failed. Where the file
//! system refuses one or the other, the page cache and `fdatasync` do it; a log line
//! says so.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::{AlignedBuf, BLOCK_BYTES, Storage, StorageFile, is_no_room};

/// Whether files are read and written through the kernel's page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Past it, where the file system can do that.
    Bypassed,
    /// Through it: for logs that are handed to the kernel and not waited for.
    Used,
}

/// How a write is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DurableWrite {
    /// One call: `pwritev2` with `RWF_DSYNC`.
    OneCall,
    /// Two: a write and `fdatasync`.
    WriteThenSync,
}

/// A data directory on a file system.
#[derive(Debug)]
pub struct DirectDisk {
    root: PathBuf,
    direct: bool,
    durable_write: DurableWrite,
}

/// Written and removed again to learn what the file system can do.
const PROBE_FILE: &str = "probe.tmp";

impl DirectDisk {
    /// Uses a directory that exists, and finds out by writing a small file how its file
    /// system can be written.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn open(root: &Path, caching: Caching) -> io::Result<Self> {
        let mut disk = Self {
            root: root.to_owned(),
            direct: caching == Caching::Bypassed,
            durable_write: DurableWrite::OneCall,
        };
        ignore_file_size_signal();
        while let Err(error) = disk.probe() {
            // A full disk tells nothing, and a server that only reads is better than none:
            // the way that nearly every file system takes is taken for granted. Where it
            // is not taken, opening the first file says so.
            if is_no_room(&error) {
                tracing::warn!(directory = %root.display(), %error,
                    "there is no room to try how the file system is written");
                break;
            }
            if !is_unsupported(&error) || !disk.step_down() {
                return Err(error);
            }
            tracing::warn!(directory = %root.display(), %error,
                "the file system cannot be written the fastest way; using {}",
                disk.way_of_writing());
        }
        Ok(disk)
    }

    /// Goes on to the next slower way of writing; `false` when there is none.
    fn step_down(&mut self) -> bool {
        match (self.direct, self.durable_write) {
            (true, _) => self.direct = false,
            (false, DurableWrite::OneCall) => self.durable_write = DurableWrite::WriteThenSync,
            (false, DurableWrite::WriteThenSync) => return false,
        }
        true
    }

    /// How its files are made durable, in the words of the system's calls.
    #[must_use]
    pub fn way_of_writing(&self) -> &'static str {
        match (self.direct, self.durable_write) {
            (true, _) => "O_DIRECT and RWF_DSYNC",
            (false, DurableWrite::OneCall) => "the page cache and RWF_DSYNC",
            (false, DurableWrite::WriteThenSync) => "the page cache and fdatasync",
        }
    }

    /// Uses a directory only to read it, and leaves no trace in it.
    #[must_use]
    pub fn read_only(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            direct: false,
            durable_write: DurableWrite::WriteThenSync,
        }
    }

    fn probe(&self) -> io::Result<()> {
        let tried = self.create(PROBE_FILE).and_then(|mut file| {
            let mut block = AlignedBuf::zeroed(BLOCK_BYTES);
            file.write_durably(0, &block)?;
            file.read_at(0, &mut block)
        });
        let removed = self.remove(PROBE_FILE);
        tried.and(removed)
    }

    fn open_with(&self, path: &str, options: &mut OpenOptions) -> io::Result<Box<dyn StorageFile>> {
        if self.direct {
            options.custom_flags(libc::O_DIRECT);
        }
        let file = options.read(true).open(self.root.join(path))?;
        if !self.direct {
            forget_cached(&file);
        }
        Ok(Box::new(DirectFile {
            file,
            durable_write: self.durable_write,
        }))
    }
}

impl Storage for DirectDisk {
    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        fs::read_dir(self.root.join(directory))?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        match fs::create_dir(self.root.join(directory)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        File::open(self.root.join(directory))?.sync_all()
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        self.open_with(
            path,
            OpenOptions::new().write(true).create(true).truncate(true),
        )
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        self.open_with(path, &mut OpenOptions::new())
    }

    fn open_to_write(&self, path: &str) -> io::Result<Box<dyn StorageFile>> {
        self.open_with(path, OpenOptions::new().write(true))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.root.join(from), self.root.join(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.root.join(path))
    }

    fn display(&self, path: &str) -> String {
        self.root.join(path).display().to_string()
    }
}

struct DirectFile {
    file: File,
    durable_write: DurableWrite,
}

impl StorageFile for DirectFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        all_of(bytes, self.file.write_at(bytes, offset)?)
    }

    fn write_durably(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.durable_write {
            DurableWrite::OneCall => all_of(bytes, write_dsync(&self.file, offset, bytes)?),
            DurableWrite::WriteThenSync => {
                self.write_at(offset, bytes)?;
                self.file.sync_data()
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// Has reads come from the disk. After a write that failed, the page cache may still show
/// it as done, and a process that starts anew would believe it. What is not written yet
/// stays in the cache; where this cannot be asked for, nothing is lost by not asking.
fn forget_cached(file: &File) {
    let _ = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
}

/// Whether the file system wants another way. One that fails does not: going on with less
/// would hide the failure.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOSYS)
    )
}

/// A short write is never continued: what stopped it (a full disk, a size limit, a
/// failing device) says that the bytes already written are not to be trusted either.
fn all_of(bytes: &[u8], written: usize) -> io::Result<()> {
    if written == bytes.len() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::WriteZero,
        format!("only {written} of {} bytes were written", bytes.len()),
    ))
}

/// Writes with one call that returns when the bytes are durable. nix has no `pwritev2`.
#[allow(unsafe_code)]
fn write_dsync(file: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
    let offset =
        libc::off_t::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let vector = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: the one vector describes `bytes`, which outlives the call; a write only
    // reads it, so the cast to `*mut` is never used to write. The descriptor is open.
    let written = unsafe { libc::pwritev2(file.as_raw_fd(), &vector, 1, offset, libc::RWF_DSYNC) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// A write past the file size limit then fails like one on a full disk, instead of
/// ending the process.
#[allow(unsafe_code)]
fn ignore_file_size_signal() {
    // SAFETY: ignoring a signal installs no handler, so no code runs in signal context.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(byte: u8) -> AlignedBuf {
        let mut block = AlignedBuf::zeroed(BLOCK_BYTES);
        block.fill(byte);
        block
    }

    #[test]
    fn every_way_to_write_reads_back() {
        for (direct, durable_write) in [
            (true, DurableWrite::OneCall),
            (false, DurableWrite::OneCall),
            (false, DurableWrite::WriteThenSync),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let disk = DirectDisk {
                root: directory.path().to_owned(),
                direct,
                durable_write,
            };
            disk.create_directory("d").unwrap();
            disk.create_directory("d").unwrap();
            let mut file = match disk.create("d/f.tmp") {
                // Some file systems have no direct I/O; `open` notices with its probe.
                Err(_) if direct => continue,
                created => created.unwrap(),
            };
            file.write_at(0, &filled(1)).unwrap();
            file.write_durably(BLOCK_BYTES as u64, &filled(2)).unwrap();
            file.sync().unwrap();
            disk.rename("d/f.tmp", "d/f").unwrap();
            disk.sync_directory("d").unwrap();
            assert_eq!(disk.list("d").unwrap(), ["f"]);
            let file = disk.open("d/f").unwrap();
            assert_eq!(file.length().unwrap(), 2 * BLOCK_BYTES as u64);
            let mut block = filled(0);
            file.read_at(BLOCK_BYTES as u64, &mut block).unwrap();
            assert_eq!(block[..], filled(2)[..]);
            disk.remove("d/f").unwrap();
            assert!(disk.list("d").unwrap().is_empty());
        }
    }

    #[test]
    fn the_probe_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        for caching in [Caching::Bypassed, Caching::Used] {
            let disk = DirectDisk::open(directory.path(), caching).unwrap();
            assert!(disk.list("").unwrap().is_empty());
        }
    }

    #[test]
    fn a_short_write_is_an_error() {
        assert!(all_of(&[0; 8], 8).is_ok());
        assert!(all_of(&[0; 8], 4).is_err());
    }
}
