//! Completions and man pages, as a package makes them.

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use common::run;

fn written(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

fn ok(arguments: &[&str], directory: &Path) -> String {
    let ended = run(arguments, directory);
    assert!(ended.status.success(), "{arguments:?}: {ended:?}");
    ended.stdout
}

/// The commands below one, as its own help lists them.
fn commands_below(command: &[&str], directory: &Path) -> Vec<String> {
    let help = ok(&[command, &["--help"]].concat(), directory);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    listed
        .take_while(|line| !line.is_empty())
        // A description that goes on stands further in.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_has_a_page() {
    let home = tempfile::tempdir().unwrap();
    ok(&["man", "--out", "man"], home.path());
    let mut expected = BTreeSet::from(["purser.1".to_owned()]);
    let commands = commands_below(&[], home.path());
    assert!(commands.len() >= 9, "{commands:?}");
    for command in &commands {
        expected.insert(format!("purser-{command}.1"));
        for child in commands_below(&[command], home.path()) {
            expected.insert(format!("purser-{command}-{child}.1"));
        }
    }
    assert!(expected.contains("purser-config-check.1"), "{expected:?}");
    assert_eq!(written(&home.path().join("man")), expected);
    for name in expected {
        let page = std::fs::read_to_string(home.path().join("man").join(&name)).unwrap();
        let title = format!(".TH {} 1", name.trim_end_matches(".1"));
        assert!(page.contains(&title), "{name}: {page}");
        assert!(page.contains("Example"), "{name} has no example: {page}");
    }
}

#[test]
fn one_page_is_printed() {
    let home = tempfile::tempdir().unwrap();
    let page = ok(&["man", "tune", "disk"], home.path());
    assert!(page.contains(".TH purser-tune-disk 1"), "{page}");
    let ended = run(&["man", "tune", "disc"], home.path());
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("no command `purser tune disc`"),
        "{ended:?}"
    );
}

#[test]
fn completions_have_the_name_that_their_shell_looks_for_and_know_every_command() {
    let home = tempfile::tempdir().unwrap();
    for (shell, file) in [
        ("bash", "purser"),
        ("zsh", "_purser"),
        ("fish", "purser.fish"),
    ] {
        ok(&["completions", shell, "--out", "made"], home.path());
        let text = std::fs::read_to_string(home.path().join("made").join(file)).unwrap();
        assert_eq!(text, ok(&["completions", shell], home.path()), "{shell}");
        for word in ["serve", "debug-bundle", "admin-listen"] {
            assert!(text.contains(word), "{shell} does not know {word}");
        }
        // The shell itself reads it, where it is installed.
        let program = Command::new(shell).arg("-n").stdin(Stdio::piped()).spawn();
        if let Ok(mut child) = program {
            use std::io::Write;
            child
                .stdin
                .take()
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
            assert!(child.wait().unwrap().success(), "{shell} cannot read it");
        }
    }
    assert_eq!(written(&home.path().join("made")).len(), 3);
}
