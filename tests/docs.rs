//! The pages tell the truth: what they say to type works and answers what they show.
//!
//! Each page has a demo server of its own, in a fresh directory, as its reader has. Its
//! `sh` blocks that call curl (on the pages about other commands: those) run in the
//! order of the page, with the two addresses of `--demo` replaced by those of the server.
//! When a `json` or `text` block comes next, it is what the commands must print; `…` in it
//! stands for what differs from run to run.
//! What the pages list is there, too: metrics, tests, links.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Client, Request, Server};
use serde_json::Value;

/// Where `--demo` listens unless told otherwise, so what a page names.
const WALLET: &str = "127.0.0.1:9816";
const ADMIN: &str = "127.0.0.1:9817";

/// A fenced block.
#[derive(Debug)]
struct Block {
    language: String,
    text: String,
    /// Of its first line, counted from 1.
    line: usize,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|e| panic!("{page}: {e}"))
}

fn blocks_of(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (number, line) in (1..).zip(read(page).lines()) {
        if let Some(language) = line.strip_prefix("```") {
            is_open = !is_open;
            if is_open {
                blocks.push(Block {
                    language: language.to_owned(),
                    text: String::new(),
                    line: number + 1,
                });
            }
        } else if is_open {
            let block = blocks.last_mut().unwrap();
            block.text += line;
            block.text.push('\n');
        }
    }
    assert!(!is_open, "{page}: a block without an end");
    blocks
}

/// Runs what a page says to type with curl, and compares what is printed.
fn check(page: &str) {
    if curl_is_there() {
        check_blocks(page, |text| text.contains("curl "));
    }
}

/// The same for the blocks that are chosen by their text.
fn check_blocks(page: &str, is_chosen: impl Fn(&str) -> bool) {
    let blocks = blocks_of(page);
    let server = Server::demo(&[]);
    let mut ran = 0;
    for (at, block) in blocks.iter().enumerate() {
        if block.language != "sh" || !is_chosen(&block.text) {
            continue;
        }
        let printed = run(page, block, &server);
        if let Some(next) = blocks.get(at + 1) {
            compare(page, next, &printed);
        }
        ran += 1;
    }
    assert!(ran > 0, "{page} has no command to try");
}

/// Without curl nothing here can be tried: a desk is told, CI has no excuse.
fn curl_is_there() -> bool {
    let is_there = Command::new("curl").arg("--version").output().is_ok();
    if !is_there {
        assert!(std::env::var_os("CI").is_none(), "CI needs curl");
        eprintln!("SKIPPED: the commands of the pages need curl, which is not installed");
    }
    is_there
}

fn run(page: &str, block: &Block, server: &Server) -> String {
    let count = |what| block.text.matches(what).count();
    assert_eq!(
        count("http://"),
        count(WALLET) + count(ADMIN),
        "{page}:{}: only the demo server may be called",
        block.line
    );
    let command = block
        .text
        .replace(WALLET, &server.wallet.to_string())
        .replace(ADMIN, &server.admin.to_string());
    let binary = Path::new(env!("CARGO_BIN_EXE_purser"));
    let mut programs = vec![binary.parent().unwrap().to_owned()];
    programs.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let output = Command::new("sh")
        .args(["-e", "-c", &command])
        .current_dir(server.home.path())
        .env("PATH", std::env::join_paths(programs).unwrap())
        .env("no_proxy", "*")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{page}:{}: {command}\n{output:?}",
        block.line
    );
    String::from_utf8(output.stdout).unwrap()
}

fn compare(page: &str, shown: &Block, printed: &str) {
    let is_as_shown = match &*shown.language {
        "json" => {
            let (shown, printed) = (values(&shown.text), values(printed));
            shown.len() == printed.len()
                && shown.iter().zip(&printed).all(|(s, p)| value_fits(s, p))
        }
        "text" => fits(shown.text.trim_end(), printed.replace('\r', "").trim_end()),
        _ => true,
    };
    assert!(
        is_as_shown,
        "{page}:{}: shown\n{}\nprinted\n{printed}",
        shown.line, shown.text
    );
}

/// The JSON values that stand one behind the other.
fn values(text: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(text)
        .into_iter()
        .map(|value| value.unwrap_or_else(|e| panic!("{e}: {text}")))
        .collect()
}

fn value_fits(shown: &Value, printed: &Value) -> bool {
    match (shown, printed) {
        (Value::String(shown), Value::String(printed)) => fits(shown, printed),
        (Value::Array(shown), Value::Array(printed)) => {
            shown.len() == printed.len() && shown.iter().zip(printed).all(|(s, p)| value_fits(s, p))
        }
        (Value::Object(shown), Value::Object(printed)) => {
            shown.len() == printed.len()
                && shown
                    .iter()
                    .all(|(name, s)| printed.get(name).is_some_and(|p| value_fits(s, p)))
        }
        _ => shown == printed,
    }
}

/// Whether a text is what is shown, each `…` standing for one character or more.
fn fits(shown: &str, printed: &str) -> bool {
    let Some((start, rest)) = shown.split_once('…') else {
        return shown == printed;
    };
    let Some(printed) = printed.strip_prefix(start) else {
        return false;
    };
    (1..=printed.len())
        .filter(|&at| printed.is_char_boundary(at))
        .any(|at| fits(rest, &printed[at..]))
}

#[test]
fn an_ellipsis_stands_for_something() {
    let cases = [
        ("a", "a", true),
        ("a", "b", false),
        ("…", "a", true),
        ("…", "", false),
        ("a…c", "abbc", true),
        ("a…c", "ac", false),
        ("a…c…e", "abcde", true),
        ("a…c…e", "abcd", false),
        ("…\nz", "x\ny\nz", true),
    ];
    for (shown, printed, expected) in cases {
        assert_eq!(fits(shown, printed), expected, "{shown:?} {printed:?}");
    }
    let shown = &values(r#"{"A":"…","B":[1,"x…"]}"#)[0];
    for (printed, expected) in [
        (r#"{"B":[1,"xy"],"A":"1"}"#, true),
        (r#"{"B":[2,"xy"],"A":"1"}"#, false),
        (r#"{"B":[1,"y"],"A":"1"}"#, false),
        (r#"{"B":[1],"A":"1"}"#, false),
        (r#"{"B":[1,"xy"],"A":1}"#, false),
        (r#"{"B":[1,"xy"]}"#, false),
        (r#"{"B":[1,"xy"],"A":"1","C":0}"#, false),
    ] {
        assert_eq!(
            value_fits(shown, &values(printed)[0]),
            expected,
            "{printed}"
        );
    }
}

#[test]
fn the_commands_of_the_readme_work() {
    check("README.md");
}

#[test]
fn the_commands_of_the_wallet_api_work() {
    check("docs/wallet-api.md");
}

#[test]
fn the_commands_of_the_admin_api_work() {
    check("docs/admin-api.md");
}

#[test]
fn the_commands_of_the_openapi_page_work() {
    check("docs/openapi.md");
}

#[test]
fn the_commands_of_the_offline_page_work() {
    check_blocks("docs/offline.md", |text| text.starts_with("purser "));
}

#[test]
fn the_commands_of_the_operators_guide_work() {
    check("docs/operate.md");
    check_blocks("docs/operate.md", |text| text.starts_with("purser "));
}

#[test]
fn the_commands_of_the_tune_page_work() {
    check_blocks("docs/tune.md", |text| text.starts_with("purser tune disk"));
}

#[test]
fn the_admin_api_lists_every_metric_with_its_kind() {
    let page = read("docs/admin-api.md");
    let listed: BTreeSet<(&str, &str)> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let name = cells.next()?.strip_suffix('`')?;
            let is_metric = name.starts_with("purser_") || name.starts_with("process_");
            is_metric.then_some((name, cells.next()?))
        })
        .collect();
    let server = Server::start();
    let answer = Client::connect(server.admin).call(&Request::new("GET", "/metrics"));
    let text = String::from_utf8(answer.body).unwrap();
    let exported: BTreeSet<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let missing: Vec<_> = exported.difference(&listed).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    let gone: Vec<_> = listed.difference(&exported).collect();
    assert!(gone.is_empty(), "in the table, not exported: {gone:?}");
}

#[test]
fn every_http_rule_names_tests_that_exist() {
    let mut sources = String::new();
    for folder in ["src/http", "src", "src/wallet", "src/wallet/json", "tests"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "rs") {
                sources += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let page = read("docs/internals/http.md");
    // The heading and the line below it are the first two.
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with('|')).collect();
    let mut rules = 0;
    for row in rows.iter().filter(|row| row.matches('|').count() == 4) {
        let tests = row.rsplit('|').nth(1).unwrap().trim();
        if matches!(tests, "held by" | "---") {
            continue;
        }
        assert!(!tests.is_empty(), "no test: {row}");
        for name in tests.split(", ") {
            let name = name.trim_matches('`');
            let definition = format!("fn {name}(");
            assert!(sources.contains(&definition), "no test {name}: {row}");
        }
        rules += 1;
    }
    assert!(rules > 0, "no rules in the table");
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages: Vec<PathBuf> = Vec::new();
    let mut folders = vec![root().join("docs")];
    pages.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|page| root().join(page)));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                pages.push(path);
            }
        }
    }
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split(['#', ')']).next().unwrap();
            if target.is_empty() || target.starts_with("https://") {
                continue;
            }
            let leads_to = page.parent().unwrap().join(target);
            assert!(leads_to.exists(), "{}: {target}", page.display());
        }
    }
}
