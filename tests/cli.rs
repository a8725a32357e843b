//! The command line from outside: what is typed, what is printed, which status.

use std::path::PathBuf;
use std::process::{Command, Stdio};

struct Run {
    status: i32,
    stdout: String,
    stderr: String,
}

/// Runs the binary with exactly the given environment.
fn purser(arguments: &[&str], environment: &[(&str, &str)]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_purser"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Run {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A directory with one configuration in it.
struct File {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn with(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("purser.toml");
        std::fs::write(&path, text).unwrap();
        Self { _dir: dir, path }
    }

    fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

const GOOD: &str = r#"
[admin]
token = "t0ken"
[[domain]]
name = "acme"
currency = "GBP"
credentials = [{ user = "gw", password = "s3cret" }]
"#;

#[test]
fn usage_errors_exit_2_and_say_what_to_do() {
    for (arguments, said) in [
        (&[] as &[&str], "Usage: purser <COMMAND>"),
        (&["serv"], "unrecognized subcommand 'serv'"),
        (
            &["serve"],
            "serve needs a configuration: `purser serve --config FILE`",
        ),
        (&["serve", "--demo", "--config", "x"], "cannot be used with"),
        (
            &["serve", "--demo", "--shards", "many"],
            "invalid value 'many' for '--shards <N>'",
        ),
        (
            &["serve", "--demo", "--shards", "257"],
            "257 is not in 0..=256",
        ),
        (
            &["serve", "--demo", "--listen", "9816"],
            "invalid value '9816' for '--listen <ADDR>'",
        ),
        (&["config"], "Usage: purser config <COMMAND>"),
        (&["config", "check"], "<FILE>"),
        (
            &["config", "example", "extra"],
            "unexpected argument 'extra'",
        ),
    ] {
        let run = purser(arguments, &[]);
        assert_eq!(run.status, 2, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
}

#[test]
fn help_and_version_exit_0() {
    for (arguments, said) in [
        (&["--help"] as &[&str], "Example: purser serve --demo"),
        (
            &["serve", "--help"],
            "purser serve --config /etc/purser/purser.toml",
        ),
        (
            &["config", "--help"],
            "Example: purser config example > purser.toml",
        ),
        (
            &["config", "check", "--help"],
            "Example: purser config check",
        ),
        (
            &["config", "example", "--help"],
            "Example: purser config example > purser.toml",
        ),
        (
            &["--version"],
            concat!("purser ", env!("CARGO_PKG_VERSION")),
        ),
    ] {
        let run = purser(arguments, &[]);
        assert_eq!(run.status, 0, "{arguments:?}: {}", run.stderr);
        assert!(run.stdout.contains(said), "{arguments:?}: {}", run.stdout);
    }
}

#[test]
fn the_example_passes_its_own_check() {
    let example = purser(&["config", "example"], &[]);
    assert_eq!((example.status, example.stderr.as_str()), (0, ""));
    let file = File::with(&example.stdout);

    let run = purser(
        &["config", "check", file.name()],
        &[("PURSER_ADMIN_TOKEN", "x")],
    );
    let left = "purser: a password of domain acme is still `change-me`: choose one of your own\n";
    assert_eq!((run.status, run.stderr.as_str()), (0, left));
    let token = [("PURSER_ADMIN_TOKEN", "change-me")];
    let run = purser(&["config", "check", file.name()], &token);
    assert!(
        run.stderr.contains("the admin token is still"),
        "{}",
        run.stderr
    );

    // Without a token it is valid, and the check says what is left to do.
    let run = purser(&["config", "check", file.name()], &[]);
    assert_eq!(run.status, 0);
    assert!(run.stderr.contains("PURSER_ADMIN_TOKEN"), "{}", run.stderr);
}

#[test]
fn check_prints_the_effective_configuration_without_secrets() {
    let file = File::with(GOOD);
    let environment = [
        ("PURSER_LISTEN__WALLET", "[::1]:1"),
        ("PURSER_ADMIN_TOKEN", "0ther"),
    ];
    let run = purser(&["config", "check", file.name()], &environment);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    for line in [
        "wallet = \"[::1]:1\"",
        "admin = \"127.0.0.1:9817\"",
        "token = \"hidden\"",
        "idempotency_window = \"3days\"",
        "user = \"gw\"",
        "password = \"hidden\"",
    ] {
        assert!(
            run.stdout.lines().any(|printed| printed == line),
            "{line}:\n{}",
            run.stdout
        );
    }
    for secret in ["t0ken", "0ther", "s3cret"] {
        assert!(!run.stdout.contains(secret), "{}", run.stdout);
    }
}

#[test]
fn failures_exit_1_with_one_paragraph_that_names_place_and_key() {
    let bad = File::with(&GOOD.replace("GBP", "gbp"));
    let bad_name = bad.name();
    let good = File::with(GOOD);
    let no_token = File::with(&GOOD.replace("token = \"t0ken\"", ""));
    for (arguments, environment, expected) in [
        (
            &["config", "check", bad_name] as &[&str],
            &[] as &[(&str, &str)],
            format!(
                "purser: {bad_name}:6: domain[0].currency: expected an upper-case ISO 4217 code \
                 with minor units such as \"GBP\", got \"gbp\"\n"
            ),
        ),
        (
            &["serve", "--config", "/no/such.toml"],
            &[],
            "purser: /no/such.toml: cannot read this configuration: No such file or directory \
             (os error 2); `purser config example` prints one to start from\n"
                .to_owned(),
        ),
        (
            &["serve", "--config", no_token.name()],
            &[],
            "purser: configuration: admin.token: the admin API needs a token: set token_file (or \
             token) in [admin], or the environment variable PURSER_ADMIN_TOKEN\n"
                .to_owned(),
        ),
        (
            &["serve", "--config", good.name()],
            &[("PURSER_SHARD", "1")],
            "purser: environment variable PURSER_SHARD: names no key that holds a single value; \
             PURSER_SHARDS sets shards, PURSER_LISTEN__WALLET sets wallet in [listen]\n"
                .to_owned(),
        ),
        (
            &["serve", "--demo", "--listen", "127.0.0.1:9817"],
            &[],
            "purser: the demo configuration:6: listen.admin: the admin API at 127.0.0.1:9817 is \
             in the way of the wallet API at 127.0.0.1:9817\n"
                .to_owned(),
        ),
    ] {
        let run = purser(arguments, environment);
        assert_eq!(run.stderr, expected, "{arguments:?}");
        assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_purser"))
        .args(["config", "example"])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(0));
}
