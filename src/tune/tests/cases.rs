//! Each check where it passes, where it fails and where nothing can be read.

mod cpu;
mod kernel;
mod network;
mod storage;

use super::super::checks::{CHECKS, Extent, examine};
use super::super::finding::{Severity, Status};
use super::super::machine::Machine;
use super::tree::{Ground, Tree};

/// A check, an edit of the tuned machine, and what it says: the status, what was found, and
/// behind `=>` the first change that it offers and how many more there are.
type Case = (&'static str, fn(&mut Tree), &'static str);

fn every(tree: &mut Tree, pattern: &str, numbers: std::ops::Range<usize>, text: &str) {
    for number in numbers {
        tree.set(&pattern.replace("{}", &number.to_string()), text);
    }
}

fn remove_every(tree: &mut Tree, pattern: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        tree.remove(&pattern.replace("{}", &number.to_string()));
    }
}

fn no_mask(tree: &mut Tree) {
    tree.remove("proc/self/status");
}

/// Of every check, by the file that makes it.
fn cases() -> impl Iterator<Item = &'static Case> {
    [cpu::CASES, kernel::CASES, network::CASES, storage::CASES]
        .into_iter()
        .flatten()
}

fn said(machine: &Machine, check: &str) -> String {
    let findings = examine(machine, Extent::All);
    let finding = findings.iter().find(|f| f.check == check).unwrap();
    let verdict = &finding.verdict;
    let status = match (verdict.status, finding.severity) {
        (Status::Fine, _) => "ok",
        (Status::Unknown, _) => "?",
        (Status::Failed, severity) => severity.name(),
    };
    assert_eq!(finding.has_failed(), !verdict.fix.is_empty(), "{finding:?}");
    let mut said = format!("{status} {}", verdict.found);
    if let [first, more @ ..] = &verdict.changes[..] {
        said += &format!(" => /{}: {} -> {}", first.file, first.from, first.to);
        if !more.is_empty() {
            said += &format!(" and {} more", more.len());
        }
    }
    said
}

#[test]
fn every_check_says_what_it_sees() {
    let mut ground = Ground::new();
    for (check, edit, expected) in cases() {
        let mut tree = Tree::tuned_metal();
        edit(&mut tree);
        let said = said(&ground.becomes(&tree), check);
        // An error of the system names a file of the tree.
        let fits = if *expected == "? " {
            said.starts_with("? ")
        } else {
            said == *expected
        };
        assert!(fits, "{check}:\n{said}\nbut expected\n{expected}");
    }
}

#[test]
fn every_check_passes_fails_and_is_unknown_somewhere() {
    for check in CHECKS {
        let of_check = cases().filter(|(name, _, _)| *name == check.name);
        let statuses: Vec<&str> = of_check
            .map(|(_, _, said)| said.split(' ').next().unwrap())
            .collect();
        assert!(statuses.contains(&"ok"), "{}", check.name);
        assert!(statuses.contains(&"?"), "{}", check.name);
        let failures = Severity::ALL.map(Severity::name);
        assert!(
            statuses.iter().any(|status| failures.contains(status)),
            "{}",
            check.name
        );
    }
    for (name, _, _) in cases() {
        assert!(CHECKS.iter().any(|check| check.name == *name), "{name}");
    }
}

#[test]
fn a_bound_on_wake_ups_makes_deep_states_fine() {
    let mut tree = Tree::tuned_metal();
    every(
        &mut tree,
        "sys/devices/system/cpu/cpu{}/cpuidle/state2/disable",
        0..8,
        "0",
    );
    let (ground, machine) = tree.machine();
    std::fs::create_dir(ground.path().join("dev")).unwrap();
    for (bound_us, expected) in [(3_i32, Status::Fine), (2_000_000_000, Status::Failed)] {
        std::fs::write(
            ground.path().join("dev/cpu_dma_latency"),
            bound_us.to_ne_bytes(),
        )
        .unwrap();
        let findings = examine(&machine, Extent::All);
        let states = findings.iter().find(|f| f.check == "cpu_idle_states");
        assert_eq!(states.unwrap().verdict.status, expected, "{bound_us}");
    }
}
