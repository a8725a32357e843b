//! What `purser tune` prints: a table for people, or one JSON object.

use std::io::{self, Write};

use serde::Serialize;

use crate::host::cpu_list_text;

use super::apply::{Applied, Done, Outcome};
use super::checks::{failures, unknown};
use super::finding::{Finding, Severity, Status};
use super::machine::Machine;

/// The width of the table. Every line fits: a terminal of 100 columns shows it whole.
const COLUMNS: usize = 100;

// The columns of the table; with a space between them they fill the width.
const STATUS_COLUMNS: usize = 4;
const CHECK_COLUMNS: usize = 19;
const FOUND_COLUMNS: usize = 39;
const RECOMMENDED_COLUMNS: usize = COLUMNS - STATUS_COLUMNS - CHECK_COLUMNS - FOUND_COLUMNS - 3;

/// Where the lines below a row begin.
const INDENT: usize = STATUS_COLUMNS + 1;

/// All that was found out about a machine.
pub(super) struct Report<'a> {
    pub(super) machine: &'a Machine,
    pub(super) findings: &'a [Finding],
    /// With `--apply`.
    pub(super) applied: Option<&'a Applied>,
}

impl Report<'_> {
    /// Prints the table, with the reason of every row if `is_verbose`.
    pub(super) fn print(&self, is_verbose: bool, out: &mut dyn Write) -> io::Result<()> {
        for line in wrapped(&self.about(), COLUMNS) {
            writeln!(out, "{line}")?;
        }
        writeln!(out)?;
        row(["", "setting", "found", "recommended"], out)?;
        for finding in self.findings {
            let verdict = &finding.verdict;
            let status = match (verdict.status, finding.severity) {
                (Status::Fine, _) => "ok",
                (Status::Unknown, _) => "?",
                (Status::Failed, Severity::Must) => "MUST",
                (Status::Failed, Severity::High) => "HIGH",
                (Status::Failed, Severity::Low) => "low",
            };
            row(
                [status, finding.check, &verdict.found, &verdict.recommended],
                out,
            )?;
            if is_verbose {
                below("why", finding.why, out)?;
            }
            if finding.has_failed() {
                below("fix", &verdict.fix, out)?;
            }
        }
        writeln!(out)?;
        if let Some(applied) = self.applied {
            print_changes(applied, out)?;
        }
        for line in wrapped(&self.summary(is_verbose), COLUMNS) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    /// What was judged: the host, the server, the data directory.
    fn about(&self) -> String {
        let kernel = match &self.machine.facts {
            Ok(facts) => format!("kernel {}", facts.kernel),
            Err(error) => format!("kernel not known ({error})"),
        };
        let shards = match self.machine.placement() {
            Ok(placement) => {
                let pinned = if placement.pin {
                    "pinned"
                } else {
                    "not pinned"
                };
                let cpus = cpu_list_text(&placement.cpus);
                let (shards, word) = (placement.shards, plural(placement.shards, "shard"));
                format!("{shards} {word}, {pinned}, CPUs {cpus}")
            }
            Err(_) => "shards without a place".to_owned(),
        };
        format!(
            "{kernel}; {shards}; data in {}",
            self.machine.needs.data_dir.display()
        )
    }

    fn summary(&self, is_verbose: bool) -> String {
        let findings = self.findings;
        let fine = findings.len() - unknown(findings) - failed(findings);
        let [must, high, low] = Severity::ALL.map(|severity| failures(findings, severity));
        let unknown = unknown(findings);
        let mut text =
            format!("{fine} ok, {must} must, {high} high, {low} low, {unknown} not known.");
        let changes = findings
            .iter()
            .map(|finding| finding.verdict.changes.len())
            .sum::<usize>();
        if changes > 0 && self.applied.is_none() {
            text += " `purser tune --apply --dry-run` shows what can be changed at once.";
        }
        if !is_verbose {
            text += " --verbose has the reasons.";
        }
        text
    }

    /// One object, on one line.
    pub(super) fn print_json(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let findings = self.findings;
        let placement = self.machine.placement().ok();
        let of = |severity| failures(findings, severity);
        let json = Json {
            kernel: self
                .machine
                .facts
                .as_ref()
                .ok()
                .map(|f| f.kernel.to_string()),
            shards: placement.as_ref().map(|placement| placement.shards),
            pinned: placement.as_ref().map(|placement| placement.pin),
            cpus: placement.map(|placement| placement.cpus),
            data_dir: self.machine.needs.data_dir.display().to_string(),
            findings: findings.iter().map(FindingJson::of).collect(),
            failures: FailuresJson {
                must: of(Severity::Must),
                high: of(Severity::High),
                low: of(Severity::Low),
            },
            unknown: unknown(findings),
            applied: self.applied.map(AppliedJson::of),
        };
        serde_json::to_writer(&mut *out, &json)?;
        Ok(writeln!(out)?)
    }
}

/// The word for one or several.
pub(super) fn plural(count: u16, word: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{word}{end}")
}

fn failed(findings: &[Finding]) -> usize {
    findings
        .iter()
        .filter(|finding| finding.has_failed())
        .count()
}

fn print_changes(applied: &Applied, out: &mut dyn Write) -> io::Result<()> {
    if applied.changes.is_empty() {
        writeln!(out, "nothing to change")?;
    }
    for Done { change, outcome } in &applied.changes {
        let said = match outcome {
            Outcome::Changed => "changed".to_owned(),
            Outcome::WouldChange => "would change".to_owned(),
            Outcome::Overtaken => "left alone, it changed meanwhile".to_owned(),
            Outcome::Failed(error) => format!("FAILED ({error})"),
        };
        // A path is one word, to be copied: these lines may be longer.
        writeln!(
            out,
            "{said}: /{}: {} -> {}",
            change.file, change.from, change.to
        )?;
    }
    if let Some(script) = &applied.restore_script {
        writeln!(out, "to restore: sh {}", script.display())?;
    }
    writeln!(out)
}

/// A row, in as many lines as its longest cell needs.
fn row(cells: [&str; 4], out: &mut dyn Write) -> io::Result<()> {
    let [status, check, found, recommended] = cells;
    let found = wrapped(found, FOUND_COLUMNS);
    let recommended = wrapped(recommended, RECOMMENDED_COLUMNS);
    for at in 0..found.len().max(recommended.len()).max(1) {
        let (status, check) = if at == 0 { (status, check) } else { ("", "") };
        let cell = |lines: &[String]| lines.get(at).cloned().unwrap_or_default();
        let (found, recommended) = (cell(&found), cell(&recommended));
        let line = format!(
            "{status:<STATUS_COLUMNS$} {check:<CHECK_COLUMNS$} {found:<FOUND_COLUMNS$} {recommended}"
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A sentence below a row, behind a word.
fn below(word: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    let indent = INDENT + word.len() + 1;
    for (at, line) in wrapped(text, COLUMNS - indent).iter().enumerate() {
        let start = if at == 0 {
            format!("{:INDENT$}{word} ", "")
        } else {
            " ".repeat(indent)
        };
        writeln!(out, "{start}{line}")?;
    }
    Ok(())
}

/// Lines of at most so many characters, broken between words; a longer word is cut.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut width = columns;
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for (at, part) in letters.chunks(columns).enumerate() {
            match lines.last_mut() {
                Some(line) if at == 0 && width + 1 + part.len() <= columns => {
                    line.push(' ');
                    line.extend(part);
                    width += 1 + part.len();
                }
                _ => {
                    lines.push(part.iter().collect());
                    width = part.len();
                }
            }
        }
    }
    lines
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Json<'a> {
    kernel: Option<String>,
    shards: Option<u16>,
    pinned: Option<bool>,
    cpus: Option<Vec<usize>>,
    data_dir: String,
    findings: Vec<FindingJson<'a>>,
    failures: FailuresJson,
    unknown: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<AppliedJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FindingJson<'a> {
    check: &'static str,
    severity: &'static str,
    /// `ok`, `failed` or `unknown`.
    status: &'static str,
    found: &'a str,
    recommended: &'a str,
    why: &'static str,
    fix: Option<&'a str>,
    changes: Vec<ChangeJson<'a>>,
}

impl<'a> FindingJson<'a> {
    fn of(finding: &'a Finding) -> Self {
        let verdict = &finding.verdict;
        Self {
            check: finding.check,
            severity: finding.severity.name(),
            status: match verdict.status {
                Status::Fine => "ok",
                Status::Failed => "failed",
                Status::Unknown => "unknown",
            },
            found: &verdict.found,
            recommended: &verdict.recommended,
            why: finding.why,
            fix: finding.has_failed().then_some(verdict.fix.as_str()),
            changes: verdict
                .changes
                .iter()
                .map(|change| ChangeJson {
                    file: format!("/{}", change.file),
                    from: &change.from,
                    to: &change.to,
                    outcome: None,
                    error: None,
                })
                .collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeJson<'a> {
    file: String,
    from: &'a str,
    to: &'a str,
    /// `changed`, `would_change`, `overtaken` or `failed`; only where something was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailuresJson {
    must: usize,
    high: usize,
    low: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AppliedJson<'a> {
    changes: Vec<ChangeJson<'a>>,
    restore_script: Option<String>,
}

impl<'a> AppliedJson<'a> {
    fn of(applied: &'a Applied) -> Self {
        let change = |Done { change, outcome }: &'a Done| {
            let (outcome, error) = match outcome {
                Outcome::Changed => ("changed", None),
                Outcome::WouldChange => ("would_change", None),
                Outcome::Overtaken => ("overtaken", None),
                Outcome::Failed(error) => ("failed", Some(error.as_str())),
            };
            ChangeJson {
                file: format!("/{}", change.file),
                from: &change.from,
                to: &change.to,
                outcome: Some(outcome),
                error,
            }
        };
        let script = applied.restore_script.as_ref();
        Self {
            changes: applied.changes.iter().map(change).collect(),
            restore_script: script.map(|path| path.display().to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_long_words_are_cut() {
        for (text, columns, expected) in [
            ("", 5, &[] as &[&str]),
            ("one two", 7, &["one two"]),
            ("one two", 6, &["one", "two"]),
            ("abcdefg hi", 3, &["abc", "def", "g", "hi"]),
            ("µs µs", 5, &["µs µs"]),
        ] {
            assert_eq!(wrapped(text, columns), expected, "{text} {columns}");
        }
    }
}
