//! What watches a server fits the server: alerts, dashboard and incident pages name what a
//! live scrape has.
//!
//! Prometheus' own tool judges the rest where it is installed (`promtool`, of Debian's
//! package `prometheus`): the scrape, the rules, what the rules do, and the dashboard's
//! expressions.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{ADMIN_TOKEN, Client, Identity, Play, Request, Server, Setup};
use serde_json::Value;

/// Where a server listens unless told otherwise, so what pages name.
const WALLET: &str = "127.0.0.1:9816";
const ADMIN: &str = "127.0.0.1:9817";

/// What Prometheus makes itself of every scrape.
const MADE_BY_PROMETHEUS: &[&str] = &["up"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: impl AsRef<Path>) -> String {
    let path = root().join(file);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// An alert of `alerts.yml`: its name and its lines.
fn alerts() -> Vec<(String, String)> {
    let rules = read("packaging/alerts.yml");
    let alerts: Vec<_> = rules
        .split("- alert: ")
        .skip(1)
        .map(|rule| {
            let (name, lines) = rule.split_once('\n').unwrap();
            (name.to_owned(), lines.to_owned())
        })
        .collect();
    assert!(alerts.len() > 20, "{alerts:?}");
    alerts
}

/// The value of a key that stands on one line.
fn value<'a>(lines: &'a str, key: &str) -> &'a str {
    let found = lines
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(key)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {key} in\n{lines}"))
}

/// Every expression of the dashboard: those of panels, of annotations, and of variables.
fn dashboard_expressions() -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            Value::Object(members) => {
                if let Some(Value::String(expression)) = members.get("expr") {
                    found.push(expression.clone());
                }
                members.values().for_each(|value| collect(value, found));
            }
            _ => {}
        }
    }
    let dashboard: Value = serde_json::from_str(&read("packaging/grafana/purser.json")).unwrap();
    let mut found = Vec::new();
    collect(&dashboard, &mut found);
    assert!(found.len() > 60, "{found:?}");
    found
}

/// The variables' queries are `label_values(SERIES, LABEL)`.
fn dashboard_variables() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("packaging/grafana/purser.json")).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let queries = variables.iter().filter_map(|v| v["definition"].as_str());
    let queries: Vec<_> = queries.map(str::to_owned).collect();
    assert!(
        queries
            .iter()
            .all(|query| query.starts_with("label_values("))
    );
    assert_eq!(queries.len(), 3);
    queries
}

/// The metrics that an expression names: words outside of quotes and selectors' labels that
/// begin as metrics of ours do.
fn names(expression: &str) -> BTreeSet<String> {
    let unquoted: String = expression.split('"').step_by(2).collect();
    let words = unquoted.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_metric =
        |word: &&str| word.starts_with("purser_") || word.starts_with("process_") || *word == "up";
    words.filter(is_metric).map(str::to_owned).collect()
}

/// What a scrape can be asked for: families, and the three series of histograms.
fn exposed(scrape: &str) -> BTreeSet<String> {
    let typed = scrape.lines().filter_map(|line| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some((name.to_owned(), kind))
    });
    typed
        .flat_map(|(name, kind)| match kind {
            "histogram" => ["_bucket", "_sum", "_count"]
                .map(|end| format!("{name}{end}"))
                .to_vec(),
            _ => vec![name],
        })
        .collect()
}

fn scrape(server: &Server) -> String {
    let answer = Client::connect(server.admin).call(&Request::new("GET", "/metrics"));
    assert_eq!(answer.status, 200, "{answer:?}");
    String::from_utf8(answer.body).unwrap()
}

/// A server that has done a bit of everything.
fn busy_server() -> Server {
    let server = Server::start();
    for player in 0..10 {
        let mut play = Play::start(&server, &format!("acme/p{player}"), "10.00");
        let steps = [
            (play.bet("t1", "r", "4"), "0 6.00+0.00 took 4.00+0.00"),
            (play.award("t2", "r", "1"), "0 7.00+0.00"),
            (play.end("r"), "0 7.00+0.00"),
        ];
        play.check(&steps);
        play.refusal(&play.bet("t3", "r", "8"), -2);
    }
    server
}

#[test]
fn names_are_found_in_expressions() {
    for (expression, expected) in [
        ("up{job=\"purser\"} == 0", &["up"][..]),
        (
            "sum by (le) (rate(purser_a_bucket{b=\"purser_c\"}[5m])) / process_d",
            &["process_d", "purser_a_bucket"],
        ),
        ("time() - 3", &[]),
    ] {
        let found = names(expression);
        assert!(found.iter().eq(expected.iter()), "{expression}: {found:?}");
    }
}

#[test]
fn alerts_and_dashboard_name_what_a_scrape_has() {
    let exposed = exposed(&scrape(&busy_server()));
    let of_alerts = alerts().into_iter().map(|(name, lines)| {
        let expression = value(&lines, "expr").to_owned();
        (name, expression)
    });
    let of_dashboard = dashboard_expressions()
        .into_iter()
        .chain(dashboard_variables());
    let of_dashboard = of_dashboard.map(|expression| ("the dashboard".to_owned(), expression));
    let mut missing = Vec::new();
    for (place, expression) in of_alerts.chain(of_dashboard) {
        let names = names(&expression);
        assert!(
            !names.is_empty(),
            "{place} asks for nothing of ours: {expression}"
        );
        for name in names {
            let is_there = exposed.contains(&name) || MADE_BY_PROMETHEUS.contains(&name.as_str());
            if !is_there {
                missing.push(format!("{name}, by {place}"));
            }
        }
    }
    assert!(missing.is_empty(), "not in a scrape: {missing:#?}");
}

#[test]
fn every_alert_says_how_bad_it_is_and_has_a_page_and_a_test() {
    let index = read("docs/incidents/README.md");
    let tests = read("packaging/alerts_test.yml");
    let mut pages = BTreeSet::from(["README.md".to_owned()]);
    for (name, lines) in alerts() {
        let severity = value(&lines, "severity");
        assert!(
            matches!(severity, "critical" | "warning"),
            "{name}: {severity}"
        );
        for text in ["summary", "description"] {
            assert!(value(&lines, text).starts_with('"'), "{name} has no {text}");
        }
        let path = value(&lines, "runbook_url");
        assert_eq!(path, format!("docs/incidents/{name}.md"));
        let page = read(path);
        let mut title = page.lines();
        assert_eq!(title.next(), Some(format!("# {name}").as_str()), "{path}");
        let bold = format!("**{}{}.**", severity[..1].to_uppercase(), &severity[1..]);
        assert!(page.contains(&bold), "{path} is not {bold}");
        for heading in ["## What it means", "## Look", "## Do"] {
            assert!(page.contains(heading), "{path} has no {heading}");
        }
        let row = format!("| [{name}]({name}.md) | {severity} |");
        assert!(index.contains(&row), "the index has no row {row}");
        let tested = format!("alertname: {name}\n        exp_alerts:\n          - exp_labels");
        assert!(
            tests.contains(&tested),
            "{name} never rings in alerts_test.yml"
        );
        let quiet = format!("alertname: {name}\n        exp_alerts: []");
        assert!(
            tests.contains(&quiet),
            "{name} always rings in alerts_test.yml"
        );
        pages.insert(format!("{name}.md"));
    }
    let folder = fs::read_dir(root().join("docs/incidents")).unwrap();
    let there = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(
        there.collect::<BTreeSet<_>>(),
        pages,
        "a page without an alert"
    );
}

/// The lines of `sh` blocks, also of those in lists.
fn commands(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut is_open = false;
    for line in page.lines() {
        match line.trim() {
            "```sh" => is_open = true,
            "```" => is_open = false,
            command if is_open => commands.push(command.to_owned()),
            _ => {}
        }
    }
    commands
}

fn incident_commands() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, _) in alerts() {
        let page = format!("docs/incidents/{name}.md");
        let of_page = commands(&read(&page));
        assert!(!of_page.is_empty(), "{page} has no command");
        found.extend(of_page.into_iter().map(|command| (page.clone(), command)));
    }
    found
}

/// Those that ask the server are asked; those of purser have the words of its help. What is
/// left is the system's.
#[test]
fn the_commands_of_the_incident_pages_are_real() {
    let system = [
        "systemctl",
        "journalctl",
        "cat",
        "df",
        "du",
        "dmesg",
        "ss",
        "timedatectl",
        "top",
        "openssl",
    ];
    let server = busy_server();
    let identity = Identity::new();
    let with_tls = Setup {
        tls: identity.table(),
        ..Setup::default()
    }
    .start();
    let has_curl = Command::new("curl").arg("--version").output().is_ok();
    assert!(
        has_curl || std::env::var_os("CI").is_none(),
        "CI needs curl"
    );
    let mut asked = 0;
    for (page, command) in incident_commands() {
        match command.split(' ').next().unwrap() {
            "curl" if has_curl => {
                let server = if command.contains("purser_tls_") {
                    &with_tls
                } else {
                    &server
                };
                ask(&page, &command, server);
                asked += 1;
            }
            "curl" => eprintln!("SKIPPED for want of curl: {command}"),
            "purser" => assert_is_in_help(&page, &command),
            program => assert!(system.contains(&program), "{page}: {command}"),
        }
    }
    assert!(asked > 20 || !has_curl);
}

fn ask(page: &str, command: &str, server: &Server) {
    let command = command
        .replace(WALLET, &server.wallet.to_string())
        .replace(ADMIN, &server.admin.to_string());
    let output = Command::new("sh")
        .args(["-e", "-c", &command])
        .env("TOKEN", ADMIN_TOKEN)
        .env("no_proxy", "*")
        .output()
        .unwrap();
    assert!(output.status.success(), "{page}: {command}\n{output:?}");
    assert!(!output.stdout.is_empty(), "{page}: {command} says nothing");
}

fn assert_is_in_help(page: &str, command: &str) {
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let subcommands = words
        .iter()
        .take_while(|word| !word.starts_with('-') && word.chars().all(|c| c.is_ascii_lowercase()));
    let output = Command::new(env!("CARGO_BIN_EXE_purser"))
        .args(subcommands)
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success(), "{page}: {command}\n{output:?}");
    let help = String::from_utf8(output.stdout).unwrap();
    for flag in words.iter().filter(|word| word.starts_with("--")) {
        assert!(
            help.contains(flag),
            "{page}: {command}: no {flag} in\n{help}"
        );
    }
}

/// Prometheus' tool, with what it is given on stdin; `None` where it is not installed.
fn promtool(arguments: &[&str], input: &str) -> Option<Output> {
    let child = Command::new("promtool")
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("SKIPPED: promtool is not installed (Debian: apt-get install prometheus)");
        return None;
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    Some(child.wait_with_output().unwrap())
}

/// Neither an error nor a complaint of its linter.
fn assert_silent(arguments: &[&str], input: &str) {
    if let Some(output) = promtool(arguments, input) {
        assert!(output.status.success(), "{arguments:?}: {output:#?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {output:#?}");
    }
}

#[test]
fn promtool_finds_nothing_to_say_of_a_scrape() {
    assert_silent(&["check", "metrics"], &scrape(&busy_server()));
}

#[test]
fn promtool_accepts_the_rules_and_they_ring_when_they_should() {
    assert_silent(&["check", "rules", "packaging/alerts.yml"], "");
    if let Some(output) = promtool(&["test", "rules", "packaging/alerts_test.yml"], "") {
        assert!(output.status.success(), "{output:#?}");
    }
}

/// Each becomes a rule, with what Grafana would put in for its variables.
#[test]
fn promtool_accepts_the_expressions_of_the_dashboard() {
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, expression) in dashboard_expressions().iter().enumerate() {
        let expression = expression
            .replace("$__rate_interval", "1m")
            .replace("$job", "purser")
            .replace("$instance", ".*")
            .replace("$shard", ".*");
        assert!(
            !expression.contains('$'),
            "an unknown variable in {expression}"
        );
        let quoted = Value::String(expression);
        rules += &format!("      - record: dashboard:{number}\n        expr: {quoted}\n");
    }
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("dashboard.yml");
    fs::write(&file, rules).unwrap();
    assert_silent(&["check", "rules", file.to_str().unwrap()], "");
}
