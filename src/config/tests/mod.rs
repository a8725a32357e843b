//! Tables of good and bad configurations, with the exact words of each error.

use std::ffi::OsString;

use super::*;
use crate::domain::FundsPriority;

mod change;
mod domains;
mod overrides;
mod tls;
mod values;

/// The least that a configuration must say.
const LEAST: &str = r#"
[[domain]]
name = "acme"
currency = "GBP"
credentials = [{ user = "gw", password = "s3cret" }]
"#;

fn load(text: &str, environment: &[(&str, &str)], flags: &Flags) -> Result<Config, ConfigError> {
    let environment = environment
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::from_text("p.toml", text, environment, flags)
}

fn check(text: &str, expected: &str) {
    let error = load(text, &[], &Flags::default()).map(|config| config.to_toml());
    let error = error.expect_err(text).to_string();
    assert_eq!(error, expected, "\n{text}");
}

/// A wrong line at the top of an otherwise good file.
fn check_line(line: &str, expected: &str) {
    check(&format!("{line}\n{LEAST}"), expected);
}

/// A wrong line of a good domain, which stands in line 6.
fn check_domain(line: &str, expected: &str) {
    check(&format!("{LEAST}{line}\n"), expected);
}

#[test]
fn the_example_has_the_defaults_and_every_key() {
    let flags = Flags::default();
    let example = load(EXAMPLE, &[], &flags).unwrap().to_toml();
    assert_eq!(example, load(LEAST, &[], &flags).unwrap().to_toml());
    let written: toml::Table = EXAMPLE.parse().unwrap();
    let printed: toml::Table = example.parse().unwrap();
    assert_eq!(shape(&written.into()), shape(&printed.into()));
}

/// The keys of a table and of the tables in it.
fn shape(value: &toml::Value) -> Vec<String> {
    let mut keys = Vec::new();
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                keys.push(key.clone());
                keys.extend(shape(value).iter().map(|child| format!("{key}.{child}")));
            }
        }
        toml::Value::Array(items) => keys.extend(items.iter().flat_map(shape)),
        _ => {}
    }
    keys
}

#[test]
fn a_printed_configuration_reads_back_as_itself() {
    let text = r#"
        shards = 3
        pin = false
        trusted_proxies = ["10.0.0.0/8", "::ffff:192.0.2.0/120", "192.0.2.7"]
        log_level = "warn"
        log_format = "json"
        slow_request = "1ms 500us"
        [admin]
        token = "t0ken"
        [log]
        durability = "os"
        scrub_bytes_per_second = 0
        [ledger]
        max_clock_skew = "0s"
        [limits]
        max_memory_bytes = 8000000000
        [[domain]]
        name = "zeta"
        currency = "KWD"
        credentials = [{ user = "a", password = "b:c" }, { user = "a", password = "d" }]
        allow = ["fd00::/8"]
        platform_keys = ["P2", "P1"]
        games = ["g"]
        funds_priority = "Unknown"
        single_use_tokens = true
        [[domain.signature_keys]]
        key = "0123456789abcdef0123456789abcdef"
        [[domain.signature_keys]]
        id = "next"
        key = "0123456789abcdef0123456789abcdeg"
        [[domain]]
        name = "acme"
        currency = "GBP"
        credentials = [{ user = "a", password = "b" }]
    "#;
    let printed = load(text, &[], &Flags::default()).unwrap().to_toml();
    let again = load(&printed, &[], &Flags::default()).unwrap();
    assert_eq!(again.to_toml(), printed);
    assert_eq!(again.pin, Pin::Never);
    assert_eq!(again.limits.max_memory, MemoryBudget::Bytes(8_000_000_000));
    let networks: Vec<_> = again
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.0/24", "192.0.2.7/32"]);
    let zeta = again.domains.get("zeta").unwrap();
    assert_eq!(zeta.funds_priority, FundsPriority::Unknown);
    assert_eq!(zeta.currency.fraction_digits(), 3);
    assert!(zeta.single_use_tokens);
    assert!(zeta.platform_keys.contains("P1"));
}

#[test]
fn the_demo_is_what_the_operator_was_told() {
    let demo = Config::load(Source::Demo, [], &Flags::default()).unwrap();
    assert_eq!(demo.listen.wallet.to_string(), "127.0.0.1:9816");
    assert_eq!(demo.listen.admin.to_string(), "127.0.0.1:9817");
    assert_eq!(demo.data_dir, Path::new("./purser-data"));
    assert_eq!(demo.admin.require_token().unwrap().expose(), "demo");
    let domain = demo.domains.get("demo").unwrap();
    assert_eq!(domain.currency.code(), "EUR");
    assert_eq!(domain.credentials[0].as_bytes(), b"demo:demo");
}

#[test]
fn text_that_is_no_toml_names_file_line_and_key() {
    check(
        "shards = 1\nlog_level = info\n",
        "p.toml:2: log_level: string values must be quoted",
    );
    check(
        "[limits]\nmax_connections = \n",
        "p.toml:2: limits.max_connections: the value is missing",
    );
    check(
        "shards = 1\nshards = 2\n",
        "p.toml:2: shards: duplicate key",
    );
    check(
        "\n\n[limits\n",
        "p.toml:3: limits: unclosed table, expected `]`",
    );
}

#[test]
fn unknown_keys_are_refused_where_they_stand() {
    check_line(
        "[listen]\nport = 80",
        "p.toml:2: listen.port: unknown key `port`, expected one of `wallet`, `admin`, \
         `shard_ports`, `tls`",
    );
    check_line(
        "[admin]\ntokn = \"x\"",
        "p.toml:2: admin.tokn: unknown key `tokn`, expected `token` or `token_file`",
    );
    check_domain(
        "curency = \"GBP\"",
        "p.toml:6: domain[0].curency: unknown key `curency`, expected one of `name`, `currency`, \
         `credentials`, `signature_keys`, `allow`, `platform_keys`, `games`, `funds_priority`, `session_token_ttl`, \
         `single_use_tokens`",
    );
    let text = LEAST.replace("password =", "pasword =");
    check(
        &text,
        "p.toml:5: domain[0].credentials[0].pasword: unknown key `pasword`, \
         expected one of `user`, `password`, `password_file`",
    );
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(
        Source::File(Path::new("/no/such.toml")),
        [],
        &Flags::default(),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "/no/such.toml: cannot read this configuration: No such file or directory (os error 2); \
         `purser config example` prints one to start from"
    );
}
