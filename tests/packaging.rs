//! What is below `packaging/` fits the program: units, configuration, seccomp profile.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::run;
use serde_json::Value;

fn packaging(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("packaging")
        .join(file)
}

fn read(file: &str) -> String {
    let path = packaging(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The values of a key of a unit, in their order.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value)
        .collect()
}

/// `systemd-analyze`, or nothing where it is not installed: a desk is told.
fn systemd_analyze(arguments: &[&str]) -> Option<Output> {
    let run = Command::new("systemd-analyze").args(arguments).output();
    if run.is_err() {
        eprintln!("SKIPPED: systemd-analyze is not installed");
    }
    run.ok()
}

#[test]
fn the_packaged_configuration_is_valid_and_starts_nothing_that_others_reach() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().to_str().unwrap();
    let text = read("purser.toml");
    std::fs::write(home.path().join("admin.token"), "t0ken-of-the-package\n").unwrap();
    std::fs::write(home.path().join("acme.password"), "passw0rd\n").unwrap();
    let here = text.replace("/etc/purser", place);
    std::fs::write(home.path().join("purser.toml"), &here).unwrap();
    let ended = run(&["config", "check", "purser.toml"], home.path());
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stderr, "", "it has all that a start needs");
    for line in [
        "data_dir = \"/var/lib/purser\"",
        "wallet = \"127.0.0.1:9816\"",
        "admin = \"127.0.0.1:9817\"",
    ] {
        assert!(
            ended.stdout.lines().any(|printed| printed == line),
            "{line}: {}",
            ended.stdout
        );
    }
    for word in ["password = ", "token = "] {
        assert!(!text.contains(word), "the package has a secret: {word}");
    }
}

#[test]
fn the_unit_calls_the_program_as_it_is() {
    let unit = read("systemd/purser.service");
    let tune = read("systemd/purser-tune.service");
    let commands = [
        values(&unit, "ExecStart"),
        values(&unit, "ExecReload"),
        values(&tune, "ExecStart"),
    ];
    let ours = commands.concat();
    let ours: Vec<&str> = ours
        .into_iter()
        .filter_map(|c| c.strip_prefix("/usr/bin/purser "))
        .collect();
    assert_eq!(ours.len(), 3, "{ours:?}");
    let home = tempfile::tempdir().unwrap();
    for command in ours {
        let arguments: Vec<&str> = command.split(' ').collect();
        // The file is not there: a mistake in the command itself would be status 2.
        let there = home.path().join("none.toml");
        let arguments: Vec<&str> = arguments
            .into_iter()
            .map(|word| {
                if word == "/etc/purser/purser.toml" {
                    there.to_str().unwrap()
                } else {
                    word
                }
            })
            .filter(|word| *word != "--apply")
            .collect();
        let ended = run(&arguments, home.path());
        assert_eq!(ended.status.code(), Some(1), "{command}: {ended:?}");
        assert!(
            ended.stderr.contains("cannot read this configuration"),
            "{ended:?}"
        );
    }
    // reliability.md: what a restart cannot heal.
    assert_eq!(values(&unit, "RestartPreventExitStatus"), ["2 3"]);
    assert_eq!(values(&unit, "Type"), ["notify"]);
    let packaged = read("purser.toml");
    assert_eq!(values(&unit, "WorkingDirectory"), ["/var/lib/purser"]);
    assert!(packaged.contains("data_dir = \"/var/lib/purser\""));
}

#[test]
fn systemd_takes_the_units_and_finds_them_hardened() {
    // Tenths of the exposure that systemd 252 finds, and one for another version's opinion.
    for (unit, exposure_max) in [("purser.service", "18"), ("purser-tune.service", "31")] {
        let path = packaging("systemd").join(unit);
        let threshold = format!("--threshold={exposure_max}");
        let path = path.to_str().unwrap();
        let arguments = ["security", "--offline=true", "--no-pager", &threshold, path];
        let Some(output) = systemd_analyze(&arguments) else {
            return;
        };
        assert!(output.status.success(), "{unit}: {output:?}");
    }
}

#[test]
fn systemd_finds_no_mistake_in_the_units() {
    let home = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_purser");
    for unit in ["purser.service", "purser-tune.service"] {
        // Programs and pages must be there, and are not installed here.
        let text = read(&format!("systemd/{unit}")).replace("/usr/bin/purser", program);
        let text: String = text
            .lines()
            .filter(|line| !line.starts_with("Documentation="))
            .map(|line| format!("{line}\n"))
            .collect();
        std::fs::write(home.path().join(unit), text).unwrap();
    }
    for unit in ["purser.service", "purser-tune.service"] {
        let path = home.path().join(unit);
        let Some(output) = systemd_analyze(&["verify", "--man=no", path.to_str().unwrap()]) else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        let ours: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("purser"))
            .collect();
        assert!(ours.is_empty(), "{ours:?}");
    }
}

#[test]
fn the_seccomp_profile_refuses_by_default_and_allows_io_uring() {
    let profile: Value = serde_json::from_str(&read("container/seccomp.json")).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let mut allowed = BTreeSet::new();
    for rule in profile["syscalls"].as_array().unwrap() {
        assert_eq!(rule["action"], "SCMP_ACT_ALLOW");
        for name in rule["names"].as_array().unwrap() {
            let is_new = allowed.insert((name.as_str().unwrap(), rule["args"].to_string()));
            assert!(is_new, "{name} stands twice");
        }
    }
    let has = |name: &str| allowed.iter().any(|(allowed, _)| *allowed == name);
    for name in [
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "sched_setaffinity",
    ] {
        assert!(has(name), "{name} is refused");
    }
    for name in [
        "mount",
        "ptrace",
        "bpf",
        "clone3",
        "unshare",
        "setns",
        "keyctl",
        "init_module",
        "perf_event_open",
    ] {
        assert!(!has(name), "{name} is allowed");
    }
    for name in ["socket", "clone"] {
        let unbounded = (name, "null".to_owned());
        assert!(
            has(name) && !allowed.contains(&unbounded),
            "{name} is allowed with any argument"
        );
    }
}

/// The package carries what the manifest names: a file that moved would be missed only when
/// somebody builds a package.
#[test]
fn what_the_package_is_made_of_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table =
        toml::from_str(&std::fs::read_to_string(root.join("Cargo.toml")).unwrap()).unwrap();
    let deb = &manifest["package"]["metadata"]["deb"];
    let mut seen = 0;
    for asset in deb["assets"].as_array().unwrap() {
        let source = asset[0].as_str().unwrap();
        if source.starts_with("target/") {
            continue;
        }
        let folder = source.split("/*").next().unwrap();
        assert!(root.join(folder).exists(), "{source}");
        seen += 1;
    }
    assert!(seen >= 8, "{seen}");
    for script in ["postinst", "prerm", "postrm"] {
        let path = root
            .join(deb["maintainer-scripts"].as_str().unwrap())
            .join(script);
        let checked = Command::new("sh").arg("-n").arg(&path).status().unwrap();
        assert!(checked.success(), "{script}");
        let text = std::fs::read_to_string(&path).unwrap();
        // Money is never removed by a package.
        let removes = |line: &str| line.contains("rm ") || line.contains("rmdir");
        for line in text.lines().filter(|line| removes(line)) {
            assert!(!line.contains("/var/lib"), "{script}: {line}");
        }
    }
}
