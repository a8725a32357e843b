//! Another layout of the data takes the place of the one that is there.
//!
//! The new one is written into `reshard.new`. When it is complete, verified and durable,
//! that is renamed to `reshard.ready`: from then on it is the data, wherever its parts are.
//! Its parts then move to their places, and the old ones into `before-reshard-…`, named
//! after the old data set:
//!
//! 1. a copy of the old manifest goes into `before-reshard-…`;
//! 2. old shards go there, too;
//! 3. new shards take their places;
//! 4. the new manifest replaces the old one, and `reshard.ready` is removed.
//!
//! Each step is durable before the next begins, and each can be done again: a shard that
//! is still in `reshard.ready` has no place yet, so one of its name beside it is old, and so
//! is one that the new layout does not have. There is a manifest at every moment, so
//! nothing can be founded in between; and while there is `reshard.ready`, nothing is read:
//! who opens the directory to write finishes the move first ([`settle`]), and who only
//! reads refuses ([`check_is_settled`]).

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use shards::failpoint::{self, Window};
use shards::storage::DirectDisk;
use shards::types::ShardId;
use shards::wal::{self, DataSetId, Manifest, OpenError, Refusal};

use super::output::sync_directory;
use crate::shell::quoted;

/// Another layout that is being written. One that a process left is of no use.
const UNFINISHED: &str = "reshard.new";

/// Another layout that is complete.
const READY: &str = "reshard.ready";

const MANIFEST: &str = "manifest";

/// Tells the data sets that a directory once held apart, of which there are few.
const ID_DIGITS: usize = 8;

/// What an earlier `purser reshard` left, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// It was complete: the move is done now, and this is where the old data is.
    pub old_data: Option<PathBuf>,
    /// It was not complete and is removed.
    pub removed: Option<PathBuf>,
}

/// Finishes what an earlier `purser reshard` did not come to. The directory's lock must be
/// held; nothing in the directory may be read before.
///
/// # Errors
/// Something cannot be moved or removed, or is not what such a process leaves. What was
/// complete stays complete, and this can be tried again.
pub fn settle(directory: &Path) -> anyhow::Result<Settled> {
    let mut settled = Settled::default();
    if is_there(&directory.join(READY))? {
        settled.old_data = finish(directory)?;
    }
    let unfinished = directory.join(UNFINISHED);
    if is_there(&unfinished)? {
        remove_unfinished(directory)?;
        settled.removed = Some(unfinished);
    }
    Ok(settled)
}

/// Refuses a directory in which the parts of two data sets may stand side by side.
pub(super) fn check_is_settled(directory: &Path, is_live: bool) -> anyhow::Result<()> {
    let shown = directory.display();
    if is_live && (is_there(&directory.join(UNFINISHED))? || is_there(&directory.join(READY))?) {
        bail!("{shown} is being laid out anew by `purser reshard`; wait until that has ended");
    }
    if let Some(shards) = shards_that_wait(directory)? {
        bail!(
            "`purser reshard` was stopped in {shown} when the new data was complete and had not \
             yet taken its place; to finish that, start the server with --shards {shards}, or \
             run: purser reshard --data-dir {} --shards {shards}",
            quoted(&directory.to_string_lossy())
        );
    }
    Ok(())
}

/// For how many shards the data is laid out that has not taken its place yet.
fn shards_that_wait(directory: &Path) -> anyhow::Result<Option<u16>> {
    let ready = directory.join(READY);
    if !is_there(&ready)? {
        return Ok(None);
    }
    // Without a manifest of its own it is all but done.
    for place in [&*ready, directory] {
        if let Some(manifest) = wal::read_manifest(&DirectDisk::read_only(place))? {
            return Ok(Some(manifest.slot_map.shards()));
        }
    }
    Err(missing_manifest(directory).into())
}

/// Sees to it that the move of `old` will not stop half-way.
pub(super) fn check_can_move(directory: &Path, old: &Manifest) -> anyhow::Result<()> {
    let before = directory.join(name_before(old.data_set));
    if is_there(&before)? {
        bail!(
            "{} is where the old data is to go, and is there already; give it another name",
            before.display()
        );
    }
    let device = |path: &Path| -> anyhow::Result<u64> {
        let found = fs::metadata(path).with_context(|| format!("look at {}", path.display()))?;
        Ok(found.dev())
    };
    let here = device(directory)?;
    for name in shard_names(directory)? {
        let shard = directory.join(name);
        if device(&shard)? != here {
            bail!(
                "{} is on another file system than the data directory, and can not be moved \
                 within it; make a backup, and lay that out anew",
                shard.display()
            );
        }
    }
    Ok(())
}

/// Makes an empty directory for another layout.
pub(super) fn begin(directory: &Path) -> anyhow::Result<PathBuf> {
    let unfinished = directory.join(UNFINISHED);
    fs::create_dir(&unfinished).with_context(|| format!("create {}", unfinished.display()))?;
    Ok(unfinished)
}

/// Removes another layout that will not be used.
pub(super) fn remove_unfinished(directory: &Path) -> anyhow::Result<()> {
    let unfinished = directory.join(UNFINISHED);
    fs::remove_dir_all(&unfinished).with_context(|| format!("remove {}", unfinished.display()))
}

/// Makes the other layout the data: it must be complete and verified. Afterwards it will
/// take its place, whatever happens; it does so in [`settle`].
pub(super) fn commit(directory: &Path) -> anyhow::Result<()> {
    let (unfinished, ready) = (directory.join(UNFINISHED), directory.join(READY));
    sync_tree(&unfinished).with_context(|| format!("sync {}", unfinished.display()))?;
    failpoint::pass(Window::MidReshard);
    fs::rename(&unfinished, &ready).with_context(|| format!("rename to {}", ready.display()))?;
    failpoint::pass(Window::MidReshard);
    Ok(())
}

/// Moves everything to its place; where the old data is, unless all of it had moved.
fn finish(directory: &Path) -> anyhow::Result<Option<PathBuf>> {
    let ready = directory.join(READY);
    // The rename that committed it may not be durable yet, and nothing may overtake it.
    sync(directory)?;
    let new = wal::read_manifest(&DirectDisk::read_only(&ready))?;
    let old_data = match new {
        Some(new) => Some(exchange(directory, &ready, &new)?),
        None if shard_names(&ready)?.is_empty() => None,
        None => return Err(missing_manifest(&ready).into()),
    };
    fs::remove_dir(&ready).with_context(|| format!("remove {}", ready.display()))?;
    failpoint::pass(Window::MidReshard);
    sync(directory)?;
    Ok(old_data)
}

fn exchange(directory: &Path, ready: &Path, new: &Manifest) -> anyhow::Result<PathBuf> {
    let Some(old) = wal::read_manifest(&DirectDisk::read_only(directory))? else {
        return Err(missing_manifest(directory).into());
    };
    let before = directory.join(name_before(old.data_set));
    keep_manifest(&before, &old).with_context(|| format!("write to {}", before.display()))?;
    sync(directory)?;
    failpoint::pass(Window::MidReshard);

    let waiting = shard_names(ready)?;
    let is_old = |name: &String| {
        let stays = (0..new.slot_map.shards()).any(|shard| *name == directory_of(shard));
        !stays || waiting.contains(name)
    };
    let mut old_shards = shard_names(directory)?;
    old_shards.retain(is_old);
    move_all(&old_shards, directory, &before)?;
    move_all(&waiting, ready, directory)?;
    move_all(&[MANIFEST.to_owned()], ready, directory)?;
    Ok(before)
}

/// Renames entries of one directory into another, durably.
fn move_all(names: &[String], from: &Path, to: &Path) -> anyhow::Result<()> {
    for name in names {
        let (here, there) = (from.join(name), to.join(name));
        fs::rename(&here, &there)
            .with_context(|| format!("move {} to {}", here.display(), there.display()))?;
        failpoint::pass(Window::MidReshard);
    }
    // Where they are first: a name in both places could be seen, one in neither could not.
    sync(to)?;
    sync(from)
}

/// The old data with a manifest of its own can be read and served like any other.
fn keep_manifest(before: &Path, old: &Manifest) -> io::Result<()> {
    match fs::create_dir(before) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let temporary = before.join("manifest.tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(&old.encode())?;
    file.sync_all()?;
    fs::rename(&temporary, before.join(MANIFEST))?;
    sync_directory(before)
}

fn name_before(old: DataSetId) -> String {
    format!("before-reshard-{:.ID_DIGITS$}", old.to_string())
}

fn directory_of(shard: u16) -> String {
    wal::shard_directory(ShardId(shard))
}

/// The names of the shards' directories in a directory, in order of their numbers.
fn shard_names(directory: &Path) -> anyhow::Result<Vec<String>> {
    let list = || -> io::Result<Vec<u16>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(directory)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| {
                let number = name.rsplit_once('-')?.1.parse().ok()?;
                (directory_of(number) == name).then_some(number)
            });
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    };
    let numbers = list().with_context(|| format!("list {}", directory.display()))?;
    Ok(numbers.into_iter().map(directory_of).collect())
}

fn missing_manifest(directory: &Path) -> OpenError {
    let advice = "Something other than purser moved it: put it back, or restore the data \
        directory from a backup.";
    Refusal {
        file: directory.join(MANIFEST).display().to_string(),
        offset: 0,
        expected: "a manifest".to_owned(),
        found: "no such file".to_owned(),
        advice: advice.to_owned(),
    }
    .into()
}

fn is_there(path: &Path) -> anyhow::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("look at {}", path.display())),
    }
}

fn sync(directory: &Path) -> anyhow::Result<()> {
    sync_directory(directory).with_context(|| format!("sync {}", directory.display()))
}

/// Each of its files was made durable when it was written; nothing is to rest on that alone.
fn sync_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_directory(directory)
}

#[cfg(test)]
mod tests {
    use shards::routing::SlotMap;

    use super::*;

    fn manifest(id: u128, shards: u16) -> Manifest {
        Manifest {
            data_set: DataSetId(id << 96),
            digest_secret: [1, 2],
            slot_map: SlotMap::even(shards),
        }
    }

    /// Directories of shards with a file that says which data set they are of.
    fn data_set(directory: &Path, id: u128, shards: u16) {
        fs::create_dir_all(directory).unwrap();
        for shard in 0..shards {
            let shard = directory.join(directory_of(shard));
            fs::create_dir(&shard).unwrap();
            fs::write(shard.join("of"), id.to_string()).unwrap();
        }
        fs::write(directory.join(MANIFEST), &*manifest(id, shards).encode()).unwrap();
    }

    /// Asserts that a directory holds all of a data set and no shard else.
    fn assert_holds(directory: &Path, id: u128, shards: u16) {
        let read = wal::read_manifest(&DirectDisk::read_only(directory)).unwrap();
        assert_eq!(read, Some(manifest(id, shards)));
        let names = shard_names(directory).unwrap();
        assert_eq!(names, (0..shards).map(directory_of).collect::<Vec<_>>());
        for name in names {
            let of = fs::read_to_string(directory.join(name).join("of")).unwrap();
            assert_eq!(of, id.to_string());
        }
    }

    #[test]
    fn a_complete_layout_takes_the_place_of_the_other_and_an_incomplete_one_goes() {
        for (from, to) in [(2, 3), (3, 1), (12, 2), (1, 1)] {
            let home = tempfile::tempdir().unwrap();
            let directory = home.path();
            data_set(directory, 0xA, from);
            assert_eq!(settle(directory).unwrap(), Settled::default());
            check_is_settled(directory, false).unwrap();

            data_set(&directory.join(UNFINISHED), 0xB, to);
            check_is_settled(directory, false).unwrap();
            let said = check_is_settled(directory, true).unwrap_err().to_string();
            assert!(said.contains("wait"), "{said}");
            assert!(settle(directory).unwrap().removed.is_some());
            assert_holds(directory, 0xA, from);

            data_set(&begin(directory).unwrap(), 0xB, to);
            commit(directory).unwrap();
            let said = check_is_settled(directory, false).unwrap_err().to_string();
            assert!(said.contains(&format!("--shards {to}")), "{said}");
            let before = directory.join("before-reshard-0000000a");
            let settled = settle(directory).unwrap();
            assert_eq!(settled.old_data.as_ref(), Some(&before));
            assert_holds(directory, 0xB, to);
            assert_holds(&before, 0xA, from);
            assert_eq!(settle(directory).unwrap(), Settled::default());
        }
    }

    #[test]
    fn what_no_process_of_ours_leaves_is_refused_and_left_alone() {
        for lost in ["reshard.ready/manifest", "manifest"] {
            let home = tempfile::tempdir().unwrap();
            data_set(home.path(), 0xA, 2);
            data_set(&home.path().join(READY), 0xB, 3);
            fs::remove_file(home.path().join(lost)).unwrap();
            let refused = settle(home.path()).unwrap_err();
            assert!(refused.to_string().contains("manifest"), "{refused}");
            assert!(matches!(
                refused.downcast_ref(),
                Some(OpenError::Refused(_))
            ));
            assert!(home.path().join("shard-1/of").exists());
            assert!(home.path().join("reshard.ready/shard-2/of").exists());
        }
    }

    #[test]
    fn old_data_never_goes_where_something_is() {
        let home = tempfile::tempdir().unwrap();
        data_set(home.path(), 0xA, 2);
        check_can_move(home.path(), &manifest(0xA, 2)).unwrap();
        fs::create_dir(home.path().join("before-reshard-0000000a")).unwrap();
        let said = check_can_move(home.path(), &manifest(0xA, 2)).unwrap_err();
        assert!(said.to_string().contains("another name"), "{said}");
        check_can_move(home.path(), &manifest(0xB, 2)).unwrap();
    }
}
