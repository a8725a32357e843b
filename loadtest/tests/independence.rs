//! The generator shares no code with the server, so that the two can disagree.

use std::fs;
use std::path::Path;

/// Packages whose code is the server's.
const SERVER: [&str; 2] = ["purser", "purser-shards"];

fn manifest() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap()
}

/// The names of a manifest's dependencies, of all kinds.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut is_dependency = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            is_dependency = line.ends_with("dependencies]");
        } else if is_dependency && !line.starts_with('#') && !line.is_empty() {
            let name = line.split(['.', '=', ' ']).next().unwrap();
            names.push(name.trim_matches('"'));
        }
    }
    names
}

#[test]
fn nothing_of_the_server_is_a_dependency() {
    let manifest = manifest();
    let names = dependencies(&manifest);
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        assert!(!SERVER.contains(&name), "{name}");
    }
    assert!(!manifest.contains("path ="), "a package by its path");
}

#[test]
fn the_test_would_see_one() {
    let names =
        dependencies("[dependencies]\na = \"1\"\npurser-shards.workspace = true\n[x]\nb = 1\n");
    assert_eq!(names, ["a", "purser-shards"]);
}

#[test]
fn no_file_of_the_server_is_included() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&path).unwrap();
            for word in ["#[path", "include!(", "../../"] {
                assert!(!text.contains(word), "{}: {word}", path.display());
            }
        }
    }
    assert!(files > 30, "{files}");
}
