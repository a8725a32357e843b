//! Whole machines: what is printed of each kind, and what `--apply` makes of it.

mod cases;
mod tree;

use super::apply::{self, Outcome};
use super::checks::{CHECKS, Extent, examine};
use super::finding::{Change, Finding, Severity};
use super::machine::Machine;
use super::report::Report;
use super::{checks, judge};

use tree::Tree;

fn printed(machine: &Machine, is_verbose: bool) -> String {
    let findings = examine(machine, Extent::All);
    let report = Report {
        machine,
        findings: &findings,
        applied: None,
    };
    let mut out = Vec::new();
    report.print(is_verbose, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn changes(findings: &[Finding]) -> Vec<Change> {
    let all = findings.iter().flat_map(|f| f.verdict.changes.clone());
    all.collect()
}

#[test]
fn each_kind_of_machine_has_its_table() {
    for (name, tree, expected) in [
        (
            "tuned metal",
            Tree::tuned_metal(),
            include_str!("tuned_metal.txt"),
        ),
        (
            "untuned metal",
            Tree::untuned_metal(),
            include_str!("untuned_metal.txt"),
        ),
        (
            "VM with steal",
            Tree::vm_with_steal(),
            include_str!("vm_with_steal.txt"),
        ),
        (
            "container",
            Tree::container(),
            include_str!("container.txt"),
        ),
    ] {
        let (_ground, machine) = tree.machine();
        let found = printed(&machine, false);
        assert_eq!(found, expected, "{name} printed:\n{found}");
    }
}

#[test]
fn every_line_fits_100_columns_also_with_the_reasons() {
    for tree in [Tree::untuned_metal(), Tree::container()] {
        let (_ground, machine) = tree.machine();
        let table = printed(&machine, true);
        for line in table.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        let reasons = table.lines().filter(|line| line.starts_with("     why "));
        assert_eq!(reasons.count(), CHECKS.len());
    }
}

#[test]
fn the_status_is_0_unless_something_must_be_changed() {
    for (tree, expected) in [
        (Tree::tuned_metal(), None),
        (
            Tree::untuned_metal(),
            Some(
                "2 settings must be changed before the server runs here: locked_memory, \
                 open_files",
            ),
        ),
        (Tree::vm_with_steal(), None),
        (
            Tree::container(),
            Some(
                "3 settings must be changed before the server runs here: io_uring, \
                 disk_file_system, disk_free_space",
            ),
        ),
    ] {
        let (_ground, machine) = tree.machine();
        let judged = judge(&examine(&machine, Extent::All));
        assert_eq!(
            judged.err().map(|error| error.to_string()).as_deref(),
            expected
        );
    }
}

#[test]
fn a_start_leaves_out_what_is_slow_or_was_just_asked() {
    let (_ground, machine) = Tree::untuned_metal().machine();
    let at_start = examine(&machine, Extent::AtStart);
    let left_out: Vec<&str> = CHECKS
        .iter()
        .map(|check| check.name)
        .filter(|name| at_start.iter().all(|finding| finding.check != *name))
        .collect();
    assert_eq!(left_out, ["io_uring", "irqbalance"]);
}

#[test]
fn applying_mends_what_can_be_mended_and_a_second_time_changes_nothing() {
    for tree in [Tree::untuned_metal(), Tree::vm_with_steal()] {
        let (ground, machine) = tree.machine();
        let before = examine(&machine, Extent::All);
        let planned = changes(&before);
        let scripts = ground.path().join("scripts");
        let applied = apply::apply(&machine.host, planned.clone(), &scripts, |_| ()).unwrap();
        assert!(!planned.is_empty());
        for done in &applied.changes {
            assert_eq!(done.outcome, Outcome::Changed, "{:?}", done.change);
        }

        let again = Machine::read(machine.host.clone(), tree.needs.clone(), tree.calls);
        let after = examine(&again, Extent::All);
        assert_eq!(changes(&after), []);
        for finding in &before {
            if finding.verdict.changes.is_empty() {
                continue;
            }
            let now = after.iter().find(|now| now.check == finding.check).unwrap();
            assert!(!now.has_failed(), "{now:?}");
        }
        let script = apply::apply(&machine.host, changes(&after), &scripts, |_| ());
        assert!(script.unwrap().restore_script.is_none());
        assert_eq!(std::fs::read_dir(&scripts).unwrap().count(), 1);

        let ran = std::process::Command::new("sh")
            .arg(applied.restore_script.unwrap())
            .status()
            .unwrap();
        assert!(ran.success());
        for Change {
            file, from, form, ..
        } in planned
        {
            let restored = machine.host.text(&file).unwrap();
            assert!(
                form.shows(&restored, &from),
                "{file}: {restored}, not {from}"
            );
        }
    }
}

#[test]
fn what_is_as_it_should_be_is_not_touched() {
    let (_ground, machine) = Tree::tuned_metal().machine();
    let findings = examine(&machine, Extent::All);
    assert_eq!(changes(&findings), []);
    for severity in Severity::ALL {
        assert_eq!(checks::failures(&findings, severity), 0);
    }
}

#[test]
fn a_container_is_refused() {
    let (_ground, machine) = Tree::container().machine();
    for is_dry_run in [true, false] {
        let refused = apply::allow(&machine.host, is_dry_run)
            .unwrap_err()
            .to_string();
        assert!(
            refused.starts_with("this is a container (/.dockerenv exists)"),
            "{refused}"
        );
    }
    let (_ground, machine) = Tree::tuned_metal().machine();
    assert!(apply::allow(&machine.host, false).is_ok());
}

#[test]
fn names_are_words_of_a_metric_and_told_once() {
    for (at, check) in CHECKS.iter().enumerate() {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        assert!(check.name.bytes().all(is_word), "{}", check.name);
        let earlier = &CHECKS[..at];
        assert!(
            earlier.iter().all(|other| other.name != check.name),
            "{}",
            check.name
        );
    }
}

#[test]
fn the_tuning_page_has_every_check() {
    let page = include_str!("../../../tuning.md");
    for check in CHECKS {
        let row = format!("| `{}` |", check.name);
        assert!(page.contains(&row), "tuning.md has no row {row}");
    }
}
