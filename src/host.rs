//! The host as files: what /proc, /sys and a few others say, read below one root.
//!
//! The root is `/` but for tests and for copies of another machine's files, so whoever
//! judges a host can be shown any. Nothing is judged here. Names are relative to the root.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The files of a host.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// This machine.
    #[must_use]
    pub fn live() -> Self {
        Self::below(Path::new("/"))
    }

    /// The machine whose `proc`, `sys` and so on are in that directory.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Whether it is this machine, so that system calls tell of it too.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where a file of the host is found from here.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// A file without the white space around it.
    ///
    /// # Errors
    /// As the system reports them, with the file's name; the file is not UTF-8.
    pub fn text(&self, name: impl AsRef<Path>) -> io::Result<String> {
        let path = self.path(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) => {
                let named = format!("{}: {error}", path.display());
                Err(io::Error::new(error.kind(), named))
            }
        }
    }

    /// A file that holds one number.
    #[must_use]
    pub fn number(&self, name: impl AsRef<Path>) -> Option<u64> {
        self.text(name).ok()?.parse().ok()
    }

    /// A file that offers words with the one in force in brackets, such as
    /// `always [madvise] never`; a single word is in force.
    #[must_use]
    pub fn chosen(&self, name: impl AsRef<Path>) -> Option<String> {
        chosen(&self.text(name).ok()?).map(str::to_owned)
    }

    /// A file that holds a list of CPUs, such as `0-3,8`; `None` also when it is empty.
    #[must_use]
    pub fn cpus(&self, name: impl AsRef<Path>) -> Option<Vec<usize>> {
        cpu_list(&self.text(name).ok()?)
    }

    /// The names in a directory, `rx-2` before `rx-10`.
    ///
    /// # Errors
    /// As the system reports them.
    pub fn names(&self, directory: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let mut names = fs::read_dir(self.path(directory))?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        Ok(names)
    }

    /// Whether there is a file or directory of that name.
    #[must_use]
    pub fn has(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).exists()
    }
}

/// The word in brackets, or the only word.
#[must_use]
pub fn chosen(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace();
    match (words.next(), words.next()) {
        (Some(only), None) => Some(only.trim_matches(['[', ']'])),
        _ => text
            .split_whitespace()
            .find_map(|word| word.strip_prefix('[')?.strip_suffix(']')),
    }
}

/// The kernel's list format: `0-3,8,10-11`. `None` when it names no CPU.
#[must_use]
pub fn cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse().ok()?..=last.parse::<usize>().ok()?);
    }
    cpus.sort_unstable();
    cpus.dedup();
    (!cpus.is_empty()).then_some(cpus)
}

/// The same format, from ascending CPUs.
#[must_use]
pub fn cpu_list_text(cpus: &[usize]) -> String {
    let ranges = cpus.chunk_by(|a, b| a + 1 == *b);
    let texts: Vec<String> = ranges
        .map(|range| match range {
            [only] => only.to_string(),
            _ => format!("{}-{}", range[0], range[range.len() - 1]),
        })
        .collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        for (text, expected, again) in [
            ("0\n", Some(vec![0]), "0"),
            ("0-3", Some(vec![0, 1, 2, 3]), "0-3"),
            ("8,0-1,10-11\n", Some(vec![0, 1, 8, 10, 11]), "0-1,8,10-11"),
            ("2,4-6,5-7", Some(vec![2, 4, 5, 6, 7]), "2,4-7"),
            ("\n", None, ""),
            ("a-b", None, ""),
            ("1-", None, ""),
            ("(null)", None, ""),
        ] {
            let cpus = cpu_list(text);
            assert_eq!(cpus, expected, "{text:?}");
            let shown = cpu_list_text(&cpus.unwrap_or_default());
            assert_eq!(shown, again, "{text:?}");
        }
    }

    #[test]
    fn the_word_in_force_is_in_brackets_or_alone() {
        for (text, expected) in [
            ("always [madvise] never", Some("madvise")),
            ("[none] mq-deadline", Some("none")),
            ("[none]", Some("none")),
            ("none", Some("none")),
            ("none kyber", None),
            ("", None),
        ] {
            assert_eq!(chosen(text), expected, "{text}");
        }
    }

    #[test]
    fn names_come_in_the_order_of_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["rx-10", "rx-2", "rx-1"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let host = Host::below(dir.path());
        assert_eq!(host.names("").unwrap(), ["rx-1", "rx-2", "rx-10"]);
        assert!(host.names("absent").is_err());
        assert!(host.has("rx-1") && !host.has("absent") && !host.is_live());
    }
}
