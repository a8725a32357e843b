//! The archive: a gzip of a tar of one directory, with a README that says what is in it.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

use super::collected::Collected;
use crate::offline::OutFile;

/// Its owner's alone: it says much about the machine.
const MODE: u32 = 0o600;

/// Writes everything below `folder` into the archive `target`, which must not be there yet.
pub(super) fn write(
    target: &Path,
    folder: &str,
    now: SystemTime,
    collected: &Collected,
) -> anyhow::Result<()> {
    let out = OutFile::create(target)?;
    out.file()
        .and_then(|file| {
            file.set_permissions(Permissions::from_mode(MODE))?;
            fill(file, folder, now, collected)
        })
        .with_context(|| format!("write {}", target.display()))?;
    out.publish()
}

fn fill(
    to: impl io::Write,
    folder: &str,
    now: SystemTime,
    collected: &Collected,
) -> io::Result<()> {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    let mut tar = Builder::new(GzEncoder::new(to, Compression::default()));
    let mut append = |name: &str, bytes: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(MODE);
        header.set_mtime(seconds);
        tar.append_data(&mut header, format!("{folder}/{name}"), bytes)
    };
    // First, since it is read first.
    append("README.txt", readme(collected).as_bytes())?;
    for item in &collected.items {
        append(&item.name, &item.bytes)?;
    }
    tar.into_inner()?.finish()?.flush()
}

fn readme(collected: &Collected) -> String {
    let mut text = String::from(
        "This is what `purser debug-bundle` found on a machine that runs purser, a wallet server.\n\
         \n\
         It holds no password, token or key of the configuration, and of the money only sums.\n\
         Slow requests and lines of the log name accounts by their ids.\n\
         It does say much about the machine: the kernel's command line, addresses, the names of\n\
         domains and users, and what the server logged. Look through it before you send it on.\n\
         \n\
         Files:\n",
    );
    let width = collected.items.iter().map(|item| item.name.len()).max();
    let width = width.unwrap_or_default();
    for item in &collected.items {
        let _ = writeln!(text, "  {:width$}  {}", item.name, item.about);
    }
    if collected.missing.is_empty() {
        text += "\nEverything that was looked for was there.\n";
    } else {
        text += "\nNot collected:\n";
        for missing in &collected.missing {
            let _ = writeln!(text, "  {}: {}", missing.name, missing.why);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn the_archive_is_one_directory_with_a_readme_that_lists_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("bundle.tar.gz");
        let mut collected = Collected::new(None);
        collected.add("host/uptime", "how long it runs", Ok(b"17".to_vec()));
        collected.miss("server", "nobody answers");
        write(&target, "made", SystemTime::now(), &collected).unwrap();
        let mode = std::fs::metadata(&target).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        let mut archive = tar::Archive::new(GzDecoder::new(std::fs::File::open(&target).unwrap()));
        let files: Vec<(String, String)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let name = entry.path().unwrap().display().to_string();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (name, text)
            })
            .collect();
        assert_eq!(files[0].0, "made/README.txt");
        assert!(
            files[0].1.contains("host/uptime  how long it runs\n"),
            "{}",
            files[0].1
        );
        assert!(
            files[0].1.contains("server: nobody answers\n"),
            "{}",
            files[0].1
        );
        assert_eq!(files[1], ("made/host/uptime".to_owned(), "17".to_owned()));
        assert_eq!(files.len(), 2);
    }
}
