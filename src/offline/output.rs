//! Files and directories that appear whole or not at all: made under a temporary name
//! beside their place, synced, and renamed.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tempfile::{NamedTempFile, TempDir};

use super::directory::folder_of;

const TEMPORARY_PREFIX: &str = ".purser-";
const TEMPORARY_SUFFIX: &str = ".tmp";

fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX).suffix(TEMPORARY_SUFFIX);
    builder
}

/// A file that is being written. Dropped before [`OutFile::publish`], it leaves nothing.
pub(crate) struct OutFile {
    temporary: NamedTempFile,
    target: PathBuf,
}

impl OutFile {
    /// Begins a file that is not there yet.
    pub(crate) fn create(target: &Path) -> anyhow::Result<Self> {
        if fs::symlink_metadata(target).is_ok() {
            bail!("{} exists already; give --out a new name", target.display());
        }
        // As any new file: the process's umask decides who may read it.
        let temporary = temporary()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder_of(target))
            .with_context(|| format!("create {}", target.display()))?;
        Ok(Self {
            temporary,
            target: target.to_owned(),
        })
    }

    /// What to write to.
    pub(crate) fn file(&self) -> io::Result<File> {
        self.temporary.as_file().try_clone()
    }

    /// Gives the file its name. Everything must be written.
    pub(crate) fn publish(self) -> anyhow::Result<()> {
        let Self { temporary, target } = self;
        let published = temporary
            .as_file()
            .sync_all()
            .and_then(|()| Ok(temporary.persist_noclobber(&target)?))
            .and_then(|_| sync_directory(&folder_of(&target)));
        published.with_context(|| format!("write {}", target.display()))
    }
}

/// A directory that is being filled. Dropped before [`OutDirectory::publish`], it leaves
/// nothing.
pub(super) struct OutDirectory {
    temporary: TempDir,
    target: PathBuf,
}

/// The name of what becomes the directory, inside the temporary one.
const CONTENTS: &str = "contents";

impl OutDirectory {
    /// Begins a directory that is not there yet, or empty.
    pub(super) fn create(target: &Path) -> anyhow::Result<Self> {
        match fs::read_dir(target).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => bail!(
                "{} is not empty; give --out a new or an empty directory",
                target.display()
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("use {}", target.display()));
            }
        }
        let made = temporary()
            .tempdir_in(folder_of(target))
            .and_then(|temporary| {
                fs::create_dir(temporary.path().join(CONTENTS))?;
                Ok(temporary)
            });
        Ok(Self {
            temporary: made.with_context(|| format!("create {}", target.display()))?,
            target: target.to_owned(),
        })
    }

    /// Where to put what it will hold.
    pub(super) fn path(&self) -> PathBuf {
        self.temporary.path().join(CONTENTS)
    }

    /// Gives the directory its name. Everything in it must be durable.
    pub(super) fn publish(self) -> anyhow::Result<()> {
        // An empty directory that has the name gives way.
        fs::rename(self.path(), &self.target)
            .and_then(|()| sync_directory(&folder_of(&self.target)))
            .with_context(|| format!("rename to {}", self.target.display()))
    }
}

/// Returns when the names in a directory are durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        drop(OutFile::create(&target).unwrap());
        assert!(names(folder.path()).is_empty());
        let out = OutFile::create(&target).unwrap();
        out.file().unwrap().write_all(b"all").unwrap();
        assert!(!target.exists());
        out.publish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"all");
        assert_eq!(names(folder.path()), ["out"]);
        let refused = OutFile::create(&target).err().unwrap().to_string();
        assert!(refused.contains("exists already"), "{refused}");
    }

    #[test]
    fn a_directory_appears_whole_or_not_at_all_and_never_over_contents() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        drop(OutDirectory::create(&target).unwrap());
        assert!(names(folder.path()).is_empty());
        fs::create_dir(&target).unwrap();
        let out = OutDirectory::create(&target).unwrap();
        fs::write(out.path().join("file"), "all").unwrap();
        out.publish().unwrap();
        assert_eq!(names(folder.path()), ["out"]);
        assert_eq!(names(&target), ["file"]);
        let refused = OutDirectory::create(&target).err().unwrap().to_string();
        assert!(refused.contains("not empty"), "{refused}");
    }
}
