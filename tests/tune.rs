//! `purser tune` from outside: on copies of machines, on this one, and what the server says.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Admin, Ended, Server, run};
use serde_json::Value;
use tempfile::TempDir;

/// A copy of a machine with one CPU more than shards, and a few settings to change.
struct Copy {
    home: TempDir,
}

const SOMAXCONN: &str = "proc/sys/net/core/somaxconn";
const GOVERNOR: &str = "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor";
const HUGE_PAGES: &str = "sys/kernel/mm/transparent_hugepage";

impl Copy {
    fn new() -> Self {
        let copy = Self {
            home: tempfile::tempdir().unwrap(),
        };
        for (file, text) in [
            ("proc/sys/kernel/osrelease", "6.8.0"),
            ("proc/self/status", "Cpus_allowed_list:\t0-1"),
            (
                "proc/self/limits",
                "Max open files 1024 524288 files\nMax locked memory unlimited unlimited bytes",
            ),
            ("proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw"),
            (SOMAXCONN, "128"),
            (GOVERNOR, "powersave"),
            (
                "sys/devices/system/cpu/cpu1/cpufreq/scaling_available_governors",
                "performance powersave",
            ),
        ] {
            copy.set(file, text);
        }
        copy.set(&format!("{HUGE_PAGES}/enabled"), "[always] madvise never");
        copy.set(&format!("{HUGE_PAGES}/defrag"), "always [madvise] never");
        copy
    }

    fn root(&self) -> PathBuf {
        self.home.path().join("root")
    }

    fn set(&self, file: &str, text: &str) {
        let path = self.root().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.root().join(file))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// `purser tune` on the copy, for one shard.
    fn tune(&self, more: &str) -> Ended {
        let arguments = format!("tune --root root --shards 1 {more}");
        run(
            &arguments.split_whitespace().collect::<Vec<_>>(),
            self.home.path(),
        )
    }

    fn scripts(&self) -> Vec<PathBuf> {
        let found = fs::read_dir(self.home.path().join("scripts"));
        found.map_or(Vec::new(), |entries| {
            entries.map(|entry| entry.unwrap().path()).collect()
        })
    }
}

/// What a command that ends with status 0 prints as JSON.
fn json(ended: &Ended) -> Value {
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

fn finding<'a>(report: &'a Value, check: &str) -> &'a Value {
    let findings = report["Findings"].as_array().unwrap();
    findings
        .iter()
        .find(|finding| finding["Check"] == check)
        .unwrap()
}

#[test]
fn json_has_what_the_table_has() {
    let copy = Copy::new();
    let report = json(&copy.tune("--json"));
    assert_eq!(report["Kernel"], "6.8");
    assert_eq!(report["Shards"], 1);
    assert_eq!(report["Pinned"], true);
    assert_eq!(report["Cpus"], serde_json::json!([1]));
    let somaxconn = finding(&report, "somaxconn");
    assert_eq!(somaxconn["Status"], "failed");
    assert_eq!(somaxconn["Severity"], "high");
    assert_eq!(somaxconn["Found"], "128");
    assert_eq!(somaxconn["Recommended"], "4096 or more");
    assert_eq!(somaxconn["Fix"], "sysctl -w net.core.somaxconn=4096");
    assert_eq!(
        somaxconn["Changes"],
        serde_json::json!([{"File": format!("/{SOMAXCONN}"), "From": "128", "To": "4096"}])
    );
    // Only a running machine tells; a copy is no failure for that.
    assert_eq!(finding(&report, "io_uring")["Status"], "unknown");
    assert_eq!(report["Failures"]["Must"], 0);
    assert_eq!(report["Failures"]["High"], 2);
    assert_eq!(finding(&report, "disk_file_system")["Fix"], Value::Null);
    assert_eq!(report.get("Applied"), None);

    let table = copy.tune("").stdout;
    for line in [
        "HIGH somaxconn           128                                     4096 or more",
        "     fix sysctl -w net.core.somaxconn=4096",
        "?    io_uring            only the running machine tells          allowed, kernel 5.8 or newer",
    ] {
        assert!(
            table.lines().any(|printed| printed == line),
            "{line}\n{table}"
        );
    }
    assert!(!table.contains("     why "), "{table}");
    assert!(copy.tune("--verbose").stdout.contains("     why "));
}

#[test]
fn a_failure_of_severity_must_ends_with_status_1_and_names_it() {
    let copy = Copy::new();
    copy.set("proc/self/mountinfo", "1 0 0:9 / / rw - tmpfs tmpfs rw");
    for how in ["", "--json"] {
        let ended = copy.tune(how);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert_eq!(
            ended.stderr,
            "purser: 1 setting must be changed before the server runs here: disk_file_system\n"
        );
        assert!(ended.stdout.contains("disk_file_system"), "{ended:?}");
    }
}

#[test]
fn apply_writes_a_way_back_first_and_a_second_time_nothing() {
    let copy = Copy::new();
    let apply = "--apply --restore-dir scripts";

    let rehearsed = copy.tune("--apply --dry-run --restore-dir scripts");
    let line = format!("would change: /{GOVERNOR}: powersave -> performance");
    assert!(rehearsed.stdout.contains(&line), "{rehearsed:?}");
    assert_eq!(copy.text(GOVERNOR), "powersave");
    assert!(copy.scripts().is_empty());

    let applied = copy.tune(apply);
    assert_eq!(applied.status.code(), Some(0), "{applied:?}");
    let scripts = copy.scripts();
    let [script] = &scripts[..] else {
        panic!("{scripts:?}")
    };
    let name = script.file_name().unwrap().to_str().unwrap();
    assert!(applied.stderr.contains(name), "{applied:?}");
    assert!(applied.stdout.contains(name), "{applied:?}");
    let mode = fs::metadata(script).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let line = format!("\nchanged: /{GOVERNOR}: powersave -> performance\n");
    assert!(applied.stdout.contains(&line), "{applied:?}");
    assert_eq!(copy.text(GOVERNOR), "performance");
    assert_eq!(copy.text(SOMAXCONN), "4096");
    assert_eq!(copy.text(&format!("{HUGE_PAGES}/enabled")), "madvise");

    let again = json(&copy.tune(&format!("{apply} --json")));
    assert_eq!(again["Applied"]["Changes"], serde_json::json!([]));
    assert_eq!(again["Applied"]["RestoreScript"], Value::Null);
    assert_eq!(copy.scripts().len(), 1);
    assert!(copy.tune(apply).stdout.contains("nothing to change"));

    let restored = Command::new("sh").arg(script).status().unwrap();
    assert!(restored.success());
    assert_eq!(copy.text(GOVERNOR), "powersave");
    assert_eq!(copy.text(SOMAXCONN), "128");
    assert_eq!(copy.text(&format!("{HUGE_PAGES}/enabled")), "always");
}

#[test]
fn a_container_is_refused_and_left_as_it_is() {
    let copy = Copy::new();
    copy.set("run/.containerenv", "");
    for how in ["--apply", "--apply --dry-run"] {
        let ended = copy.tune(how);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let said = "purser: this is a container (/run/.containerenv exists)";
        assert!(ended.stderr.starts_with(said), "{ended:?}");
        assert_eq!(ended.stdout, "");
    }
    assert_eq!(copy.text(SOMAXCONN), "128");
    // To look is always allowed.
    assert_eq!(copy.tune("").status.code(), Some(0));
}

#[test]
fn wrong_input_is_told() {
    let copy = Copy::new();
    let home = copy.home.path();
    for (arguments, status, said) in [
        ("tune --dry-run", 2, "--apply"),
        ("tune --restore-dir x", 2, "--apply"),
        ("tune --json --verbose", 2, "cannot be used with"),
        ("tune --shards 257", 2, "257 is not in 0..=256"),
        ("tune disks", 2, "unrecognized subcommand 'disks'"),
        ("tune --json disk", 2, "cannot be used with"),
        ("tune disk", 2, "--data-dir <DIR>"),
        (
            "tune disk --data-dir . --seconds 0",
            2,
            "0 is not in 1..=60",
        ),
        ("tune --root nowhere", 1, "nowhere has no directory proc"),
        ("tune --config absent.toml", 1, "absent.toml: cannot read"),
        (
            "tune disk --data-dir absent",
            1,
            "there is no directory absent",
        ),
    ] {
        let ended = run(&arguments.split(' ').collect::<Vec<_>>(), home);
        assert_eq!(ended.status.code(), Some(status), "{arguments}: {ended:?}");
        assert!(ended.stderr.contains(said), "{arguments}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments}");
    }
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let copy = Copy::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_purser"))
        .args(["tune", "--root", "root", "--shards", "1"])
        .current_dir(copy.home.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    assert_eq!(ended.status.code(), Some(0));
}

#[test]
fn this_machine_can_be_looked_at_by_anybody() {
    let home = tempfile::tempdir().unwrap();
    let ended = run(&["tune", "--json"], home.path());
    // Whatever is found; that it is judged at all is what counts.
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let must = report["Failures"]["Must"].as_u64().unwrap();
    assert_eq!(ended.status.code(), Some(i32::from(must > 0)), "{ended:?}");
    assert_ne!(finding(&report, "io_uring")["Status"], "unknown");
    assert_ne!(finding(&report, "time_sync")["Status"], "unknown");
    assert_ne!(finding(&report, "disk_free_space")["Status"], "unknown");
}

#[test]
fn the_disk_is_measured_and_nothing_is_left() {
    let home = tempfile::tempdir().unwrap();
    let arguments = ["tune", "disk", "--data-dir", ".", "--seconds", "1"];
    let report = json(&run(&[&arguments[..], &["--json"]].concat(), home.path()));
    for size in ["Small", "Large"] {
        assert!(report[size]["Writes"].as_u64().unwrap() > 0, "{report}");
        let times = ["P50Us", "P95Us", "MaxUs"].map(|name| report[size][name].as_u64().unwrap());
        assert!(times.is_sorted(), "{report}");
    }
    let expected = 2 * report["Small"]["P50Us"].as_u64().unwrap();
    assert_eq!(report["ExpectedP95Us"], expected);
    let text = run(&arguments, home.path()).stdout;
    assert!(text.contains("expect a p95 near"), "{text}");
    assert_eq!(names(home.path()), [""; 0]);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_server_spends_three_lines_at_most_on_its_host_and_exports_the_failures() {
    let server = Server::start();
    let metrics = Admin::of(&server).metrics();
    let of = |severity: &str| {
        let name = format!("purser_tune_failures{{severity=\"{severity}\"}}");
        metrics
            .iter()
            .find(|(sample, _)| *sample == name)
            .unwrap()
            .1
    };
    let worth_a_line = of("must") + of("high");
    assert!(of("low") >= 0.0);
    let log = server.output();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("host: ")).collect();
    assert!(lines.len() <= 3, "{log}");
    assert_eq!(lines.is_empty(), worth_a_line == 0.0, "{log}");
    for line in lines {
        assert!(line.contains("`purser tune`"), "{line}");
    }
}
