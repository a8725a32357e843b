//! One process per data directory.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// The file in the data directory whose lock is held while a process uses it.
const LOCK_FILE: &str = "lock";

/// Held for the life of the process; the kernel lets go of it when the process ends,
/// however it ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _held: Flock<File>,
}

/// The data directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process uses the directory.
    #[error(
        "{} is in use by process {holder}; stop that process, or give this one another data directory",
        directory.display()
    )]
    Held {
        /// The data directory.
        directory: PathBuf,
        /// The other process's id, or "unknown" if it has not written it yet.
        holder: String,
    },
    /// The lock file could not be opened, locked or written.
    #[error("lock {}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl DirectoryLock {
    /// Locks a data directory, which is created if it is not there, and writes this
    /// process's id into the lock file.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process has it.
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join(LOCK_FILE);
        let io_error = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        create_durably(directory).map_err(io_error)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io_error)?;
        Self::lock(directory, file)
    }

    /// Locks a data directory for who only reads it: nothing is created. `None` when there
    /// is no lock to take: no server was ever started there, as in a backup.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process has it, and when the file that says so
    /// cannot be opened.
    pub fn acquire_existing(directory: &Path) -> Result<Option<Self>, LockError> {
        let path = directory.join(LOCK_FILE);
        match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => Self::lock(directory, file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(LockError::Io { path, source }),
        }
    }

    fn lock(directory: &Path, file: File) -> Result<Self, LockError> {
        let path = directory.join(LOCK_FILE);
        let io_error = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut held) => {
                write_holder(&mut held).map_err(io_error)?;
                Ok(Self { _held: held })
            }
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => "unknown".to_owned(),
                    id => id.to_owned(),
                };
                Err(LockError::Held {
                    directory: directory.to_owned(),
                    holder,
                })
            }
            Err((_, errno)) => Err(io_error(errno.into())),
        }
    }
}

/// Creates a directory with those above it. A name is on disk only when the directory that
/// has it is synced: without that a power cut would take the directory away with all that
/// was written into it, however durably.
fn create_durably(directory: &Path) -> io::Result<()> {
    let directory = std::path::absolute(directory)?;
    let missing = directory
        .ancestors()
        .take_while(|above| !above.exists())
        .count();
    std::fs::create_dir_all(&directory)?;
    for holder in directory.ancestors().skip(1).take(missing) {
        File::open(holder)?.sync_all()?;
    }
    if missing == 0
        && let Some(holder) = directory.parent()
    {
        // Whoever made it may not have synced its name; nor may we be allowed to.
        let _ = File::open(holder).and_then(|holder| holder.sync_all());
    }
    Ok(())
}

fn write_holder(file: &mut File) -> io::Result<()> {
    // Over what stands there, and the rest cut off behind: on a full disk that needs no
    // room, and a server that is started there still reads.
    let id = format!("{}\n", std::process::id());
    file.rewind()?;
    file.write_all(id.as_bytes())?;
    file.set_len(id.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_is_and_may_have_it_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(directory.path()).unwrap();
        // A lock belongs to the open file, so a second opening is like a second process.
        let refused = DirectoryLock::acquire(directory.path()).unwrap_err();
        let text = refused.to_string();
        let holder = format!("process {};", std::process::id());
        assert!(text.contains(&holder), "{text}");
        drop(first);
        DirectoryLock::acquire(directory.path()).unwrap();
    }

    #[test]
    fn a_directory_is_made_with_those_above_it_and_may_be_there() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b/c");
        for _ in 0..2 {
            create_durably(&deep).unwrap();
            assert!(deep.is_dir());
        }
        std::fs::write(home.path().join("file"), "").unwrap();
        assert!(create_durably(&home.path().join("file/d")).is_err());
    }

    #[test]
    fn a_reader_takes_a_lock_that_is_there_and_makes_none() {
        let directory = tempfile::tempdir().unwrap();
        let none = DirectoryLock::acquire_existing(directory.path()).unwrap();
        assert!(none.is_none());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        drop(DirectoryLock::acquire(directory.path()).unwrap());
        let held = DirectoryLock::acquire_existing(directory.path()).unwrap();
        assert!(held.is_some());
        let refused = DirectoryLock::acquire_existing(directory.path()).unwrap_err();
        assert!(matches!(refused, LockError::Held { .. }), "{refused}");
    }
}
