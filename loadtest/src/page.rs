use std::path::{Path, PathBuf};
pub(crate) fn draw(_: &Path) -> anyhow::Result<Vec<PathBuf>> {
    Ok(vec![])
}
