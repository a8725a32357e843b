//! `purser tune --apply`: writes what checks recommend, and first a script that restores.
//!
//! Only files that a check names are written, and only while they still hold what the check
//! saw. Each is read again afterwards, since a kernel may take a write and keep its value.
//! What is as recommended gives no change, so that applying twice changes nothing the second
//! time, and no second script replaces the values of the first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};

use super::container::sign_of_container;
use super::finding::Change;
use crate::host::Host;
use crate::shell::quoted;

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Changed,
    /// Only asked for: `--dry-run`.
    WouldChange,
    /// The file no longer held what the check saw, and was left alone.
    Overtaken,
    Failed(String),
}

/// A change with what became of it.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) change: Change,
    pub(super) outcome: Outcome,
}

/// What `--apply` did.
#[derive(Clone, Debug, Default)]
pub(super) struct Applied {
    pub(super) changes: Vec<Done>,
    /// What undoes it; none where nothing was to be changed.
    pub(super) restore_script: Option<PathBuf>,
}

impl Applied {
    pub(super) fn failed(&self) -> usize {
        let failed = |done: &&Done| matches!(done.outcome, Outcome::Failed(_));
        self.changes.iter().filter(failed).count()
    }
}

/// Whether the settings of this host may be changed from here.
///
/// # Errors
/// It is a container, or this is not root.
pub(super) fn allow(host: &Host, is_dry_run: bool) -> anyhow::Result<()> {
    // A copy of another machine's files belongs to whoever may write them.
    let needs_root = !is_dry_run && host.is_live();
    let is_root = nix::unistd::geteuid().is_root();
    permit(sign_of_container(host), needs_root && !is_root)
}

fn permit(sign_of_container: Option<String>, lacks_root: bool) -> anyhow::Result<()> {
    if let Some(sign) = sign_of_container {
        bail!(
            "this is a container ({sign}), and its kernel belongs to the machine around it: run \
             `purser tune --apply` there"
        );
    }
    if lacks_root {
        bail!("only root can change these settings: sudo purser tune --apply");
    }
    Ok(())
}

/// Lists what would be done.
pub(super) fn rehearse(changes: Vec<Change>) -> Applied {
    let changes = changes.into_iter().map(|change| Done {
        change,
        outcome: Outcome::WouldChange,
    });
    Applied {
        changes: changes.collect(),
        restore_script: None,
    }
}

/// Writes the script, calls `announce` with its path, then makes the changes.
///
/// # Errors
/// The script cannot be written; then nothing is changed.
pub(super) fn apply(
    host: &Host,
    changes: Vec<Change>,
    restore_dir: &Path,
    announce: impl FnOnce(&Path),
) -> anyhow::Result<Applied> {
    if changes.is_empty() {
        return Ok(Applied::default());
    }
    let script = write_restore_script(host, &changes, restore_dir)
        .with_context(|| format!("write a script that restores to {}", restore_dir.display()))?;
    announce(&script);
    let changes = changes.into_iter().map(|change| Done {
        outcome: make(host, &change),
        change,
    });
    Ok(Applied {
        changes: changes.collect(),
        restore_script: Some(script),
    })
}

fn make(host: &Host, change: &Change) -> Outcome {
    let holds = |value: &str| -> io::Result<bool> {
        Ok(change.form.shows(&host.text(&change.file)?, value))
    };
    let made = holds(&change.from).and_then(|is_as_seen| {
        if !is_as_seen {
            return Ok(Outcome::Overtaken);
        }
        // The file is the kernel's: it is there, and one write is one value.
        let mut file = OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(host.path(&change.file))?;
        file.write_all(change.to.as_bytes())?;
        Ok(if holds(&change.to)? {
            Outcome::Changed
        } else {
            Outcome::Failed(format!("the kernel kept {}", host.text(&change.file)?))
        })
    });
    made.unwrap_or_else(|error| Outcome::Failed(error.to_string()))
}

/// The name of a function of the script.
const PUT: &str = "put() {
    printf '%s\\n' \"$2\" > \"$1\" || { echo \"cannot restore $1 to $2\" >&2; status=1; }
}
";

fn write_restore_script(host: &Host, changes: &[Change], dir: &Path) -> io::Result<PathBuf> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let path = dir.join(format!("restore-{}.sh", now.replace(':', "")));
    let mut text = format!(
        "#!/bin/sh\n# Restores what `purser tune --apply` changed at {now}.\nstatus=0\n{PUT}"
    );
    for change in changes.iter().rev() {
        let file = host.path(&change.file);
        text += &format!(
            "put {} {}\n",
            quoted(&file.to_string_lossy()),
            quoted(&change.from)
        );
    }
    text += "exit $status\n";
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o700)
        .open(&path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    File::open(dir)?.sync_all()?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::finding::Form;
    use super::*;

    const GOVERNOR: &str = "sys/scaling_governor";
    const BACKLOG: &str = "proc/somaxconn";

    fn change(file: &str, from: &str, to: &str) -> Change {
        Change {
            file: file.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            form: Form::Plain,
        }
    }

    struct Place {
        dir: tempfile::TempDir,
        host: Host,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            for (file, text) in [(GOVERNOR, "power save's\n"), (BACKLOG, "128\n")] {
                let path = dir.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            let host = Host::below(dir.path());
            Self { dir, host }
        }

        fn apply(&self, changes: &[Change]) -> Applied {
            let scripts = self.dir.path().join("scripts");
            let mut announced = None;
            let applied = apply(&self.host, changes.to_vec(), &scripts, |path| {
                // Nothing is changed before the way back is there.
                assert!(path.exists());
                assert_eq!(self.host.text(BACKLOG).unwrap(), "128");
                announced = Some(path.to_owned());
            });
            let applied = applied.unwrap();
            assert_eq!(applied.restore_script, announced);
            applied
        }

        fn values(&self) -> [String; 2] {
            [GOVERNOR, BACKLOG].map(|file| self.host.text(file).unwrap())
        }
    }

    fn outcomes(applied: &Applied) -> Vec<&Outcome> {
        applied.changes.iter().map(|done| &done.outcome).collect()
    }

    #[test]
    fn only_root_may_and_only_on_a_machine_of_its_own() {
        let said = |sign: Option<&str>, lacks_root| {
            let refused = permit(sign.map(str::to_owned), lacks_root).err();
            refused.map_or("allowed".to_owned(), |error| error.to_string())
        };
        assert_eq!(said(None, false), "allowed");
        assert!(said(None, true).starts_with("only root"));
        for lacks_root in [true, false] {
            assert!(said(Some("a sign"), lacks_root).starts_with("this is a container (a sign)"));
        }
    }

    #[test]
    fn the_script_restores_whatever_was_there() {
        let place = Place::new();
        let before = place.values();
        let applied = place.apply(&[
            change(GOVERNOR, "power save's", "performance"),
            change(BACKLOG, "128", "4096"),
        ]);
        assert_eq!(outcomes(&applied), [&Outcome::Changed, &Outcome::Changed]);
        assert_eq!(place.values(), ["performance", "4096"]);
        let script = applied.restore_script.unwrap();
        let ran = Command::new("sh").arg(&script).status().unwrap();
        assert!(ran.success());
        assert_eq!(place.values(), before);
    }

    #[test]
    fn a_script_says_what_it_cannot_restore() {
        let place = Place::new();
        let applied = place.apply(&[change(BACKLOG, "128", "4096")]);
        fs::remove_dir_all(place.host.path("proc")).unwrap();
        let script = applied.restore_script.unwrap();
        let ran = Command::new("sh").arg(&script).output().unwrap();
        assert_eq!(ran.status.code(), Some(1));
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(said.contains("cannot restore"), "{said}");
    }

    #[test]
    fn without_changes_there_is_no_script() {
        let place = Place::new();
        assert!(place.apply(&[]).restore_script.is_none());
        assert!(!place.host.has("scripts"));
    }

    #[test]
    fn what_changed_meanwhile_or_is_not_there_is_left_alone() {
        let place = Place::new();
        let applied = place.apply(&[
            change(GOVERNOR, "ondemand", "performance"),
            change("sys/absent", "0", "1"),
            change(BACKLOG, "128", "4096"),
        ]);
        let [overtaken, failed, changed] = outcomes(&applied)[..] else {
            panic!("{applied:?}")
        };
        assert_eq!(overtaken, &Outcome::Overtaken);
        assert!(matches!(failed, Outcome::Failed(_)), "{failed:?}");
        assert_eq!(changed, &Outcome::Changed);
        assert_eq!(place.values(), ["power save's", "4096"]);
        assert!(!place.host.has("sys/absent"));
        assert_eq!(applied.failed(), 1);
    }

    #[test]
    fn without_a_script_nothing_is_changed() {
        let place = Place::new();
        let in_the_way = place.dir.path().join("file");
        fs::write(&in_the_way, "").unwrap();
        let changes = vec![change(BACKLOG, "128", "4096")];
        let refused = apply(&place.host, changes, &in_the_way, |_| panic!("no script"));
        assert!(refused.is_err());
        assert_eq!(place.values()[1], "128");
    }
}
