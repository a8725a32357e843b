//! What a check says: the verdict, what was found, what is recommended and what to do.

use crate::host::{chosen, cpu_list};

/// How much it matters that a setting is not as recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The server does not start, stops taking bookings, or may lose what it answered.
    Must,
    /// The p95 shows it.
    High,
    /// Worth measuring.
    Low,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Self; 3] = [Self::Must, Self::High, Self::Low];

    /// The name in metrics and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::High => "high",
            Self::Low => "low",
        }
    }
}

/// Whether a setting is as recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Fine,
    Failed,
    /// It cannot be read here; that is no failure.
    Unknown,
}

/// What a check says of one host.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) status: Status,
    /// Where it is not that of the check.
    pub(super) severity: Option<Severity>,
    pub(super) found: String,
    pub(super) recommended: String,
    /// What to type or to write where; empty unless it failed.
    pub(super) fix: String,
    /// What `--apply` writes; empty unless it failed.
    pub(super) changes: Vec<Change>,
}

impl Verdict {
    pub(super) fn fine(found: impl Into<String>, recommended: impl Into<String>) -> Self {
        Self {
            status: Status::Fine,
            severity: None,
            found: found.into(),
            recommended: recommended.into(),
            fix: String::new(),
            changes: Vec::new(),
        }
    }

    pub(super) fn failed(
        found: impl Into<String>,
        recommended: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            status: Status::Failed,
            fix: fix.into(),
            ..Self::fine(found, recommended)
        }
    }

    /// `found` says why it is not known.
    pub(super) fn unknown(found: impl Into<String>, recommended: impl Into<String>) -> Self {
        Self {
            status: Status::Unknown,
            ..Self::fine(found, recommended)
        }
    }

    pub(super) fn with_changes(self, changes: Vec<Change>) -> Self {
        Self { changes, ..self }
    }

    pub(super) fn of_severity(self, severity: Severity) -> Self {
        Self {
            severity: Some(severity),
            ..self
        }
    }
}

/// A verdict with the check that it is from.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) severity: Severity,
    pub(super) why: &'static str,
    pub(super) verdict: Verdict,
}

impl Finding {
    pub(super) fn has_failed(&self) -> bool {
        self.verdict.status == Status::Failed
    }
}

/// One value to write to one file of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Relative to the host's root.
    pub(super) file: String,
    /// What it holds, in the words that would be written to restore it.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) form: Form,
}

/// How the kernel shows a value that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it was written.
    Plain,
    /// In brackets, among those that could be.
    Chosen,
    /// As a list of CPUs, perhaps in other words: `0-1` for `0,1`.
    CpuList,
    /// As a mask of CPUs, perhaps with more zeroes.
    CpuMask,
}

impl Form {
    /// Whether what a file shows is that value.
    pub(super) fn shows(self, shown: &str, value: &str) -> bool {
        match self {
            Self::Plain => shown == value,
            Self::Chosen => chosen(shown) == Some(value),
            Self::CpuList => cpu_list(shown).is_some() && cpu_list(shown) == cpu_list(value),
            Self::CpuMask => cpu_mask(shown).is_some() && cpu_mask(shown) == cpu_mask(value),
        }
    }
}

/// The kernel's mask format: hexadecimal words of 32 bits, the highest CPUs first,
/// `ff,00000001`. Ascending CPUs; an empty mask is an empty list.
pub(super) fn cpu_mask(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for (at, word) in text.trim().rsplit(',').enumerate() {
        let bits = u32::from_str_radix(word, 16).ok()?;
        cpus.extend(
            (0..32)
                .filter(|bit| bits >> bit & 1 == 1)
                .map(|bit| at * 32 + bit),
        );
    }
    Some(cpus)
}

/// The same format, from CPUs in any order.
pub(super) fn cpu_mask_text(cpus: &[usize]) -> String {
    let words = cpus.iter().max().map_or(1, |highest| highest / 32 + 1);
    let mut mask = vec![0_u32; words];
    for cpu in cpus {
        mask[cpu / 32] |= 1 << (cpu % 32);
    }
    let mut text = format!("{:x}", mask[words - 1]);
    for word in mask[..words - 1].iter().rev() {
        text += &format!(",{word:08x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_masks() {
        for (text, cpus, again) in [
            ("0", vec![], "0"),
            ("3", vec![0, 1], "3"),
            ("00000000,00000005", vec![0, 2], "5"),
            ("1,80000000", vec![31, 32], "1,80000000"),
            (
                "f0,00000000,00000001",
                vec![0, 68, 69, 70, 71],
                "f0,00000000,00000001",
            ),
        ] {
            assert_eq!(cpu_mask(text).unwrap(), cpus, "{text}");
            assert_eq!(cpu_mask_text(&cpus), again, "{text}");
        }
        assert_eq!(cpu_mask(""), None);
        assert_eq!(cpu_mask("0-3"), None);
    }

    #[test]
    fn a_value_is_known_in_the_kernel_s_words() {
        for (form, shown, value, expected) in [
            (Form::Plain, "4096", "4096", true),
            (Form::Plain, "4096", "409", false),
            (Form::Chosen, "always [madvise] never", "madvise", true),
            (Form::Chosen, "always [madvise] never", "never", false),
            (Form::CpuList, "0-1", "0,1", true),
            (Form::CpuList, "0-1", "0", false),
            (Form::CpuList, "", "", false),
            (Form::CpuMask, "00000000,00000003", "3", true),
            (Form::CpuMask, "0", "3", false),
            (Form::CpuMask, "", "0", false),
        ] {
            assert_eq!(
                form.shows(shown, value),
                expected,
                "{form:?} {shown} {value}"
            );
        }
    }
}
