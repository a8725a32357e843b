//! The committed inputs of each target, and where failing ones are put.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::random::hash;

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All inputs of a target with their files, in the order of their names.
///
/// # Errors
/// The directory or a file in it cannot be read.
pub(crate) fn read(target: &str) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let directory = home().join("corpus").join(target);
    let entries = fs::read_dir(&directory)
        .with_context(|| format!("read {}", directory.display()))?
        .collect::<Result<Vec<_>, _>>()?;
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let input = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            Ok((path, input))
        })
        .collect()
}

/// Puts a failing input where git does not look, under a name of its own.
///
/// # Errors
/// It cannot be written.
pub(crate) fn save_failure(target: &str, input: &[u8]) -> anyhow::Result<PathBuf> {
    let directory = home().join("failures");
    fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{target}-{:016x}", hash(input)));
    fs::write(&path, input).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
