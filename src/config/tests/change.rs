//! What may change while the server runs, key by key.

use super::*;

const MORE: &str = r#"
[[domain]]
name = "gulf"
currency = "KWD"
credentials = [{ user = "gw", password = "s3cret" }]
"#;

fn changes(old: &str, new: &str) -> Result<Vec<String>, String> {
    let load = |text: &str| load(text, &[], &Flags::default()).unwrap();
    let changes = load(old).changes_to(&load(new));
    changes.map(|changes| changes.into_iter().collect())
}

#[test]
fn what_is_decided_at_the_start_cannot_change() {
    for (line, key) in [
        ("data_dir = \"elsewhere\"", "data_dir"),
        ("shards = 3", "shards"),
        ("pin = false", "pin"),
        ("shutdown_timeout = \"11s\"", "shutdown_timeout"),
        ("log_format = \"json\"", "log_format"),
        ("listen.wallet = \"127.0.0.1:1\"", "listen.wallet"),
        ("listen.admin = \"127.0.0.1:1\"", "listen.admin"),
        ("listen.shard_ports = 7", "listen.shard_ports"),
        (
            "ledger.idempotency_window = \"73h\"",
            "ledger.idempotency_window",
        ),
        ("ledger.max_clock_skew = \"1s\"", "ledger.max_clock_skew"),
        ("log.durability = \"os\"", "log.durability"),
        ("log.segment_bytes = 1048576", "log.segment_bytes"),
    ] {
        let refused = Err(format!("{key} has changed, which needs a restart"));
        assert_eq!(changes(LEAST, &format!("{line}\n{LEAST}")), refused);
        // However much else is fine.
        let text = format!("{line}\nlog_level = \"warn\"\n{LEAST}");
        assert_eq!(changes(LEAST, &text), refused);
    }
}

#[test]
fn what_can_change_is_named_without_its_value() {
    for (line, key) in [
        ("log_level = \"debug\"", "log_level"),
        ("slow_request = \"1s\"", "slow_request"),
        ("trusted_proxies = []", "trusted_proxies"),
        ("admin.token = \"t0ken\"", "admin.token"),
        ("limits.max_connections = 7", "limits.max_connections"),
        ("limits.idle_timeout = \"7s\"", "limits.idle_timeout"),
    ] {
        let text = format!("{line}\n{LEAST}");
        assert_eq!(changes(LEAST, &text), Ok(vec![key.to_owned()]), "{line}");
        assert_eq!(changes(&text, &text), Ok(Vec::new()), "{line}");
    }
    let [one, two] = ["t1", "t2"].map(|token| format!("admin.token = \"{token}\"\n{LEAST}"));
    assert_eq!(changes(&one, &two), Ok(vec!["admin.token".to_owned()]));
}

#[test]
fn domains_change_but_for_their_currency() {
    let check = |old: &str, new: &str, expected: &str| {
        assert_eq!(changes(old, new), Ok(vec![expected.to_owned()]));
    };
    let both = format!("{LEAST}{MORE}");
    check(LEAST, &both, "domain gulf (added)");
    check(&both, LEAST, "domain gulf (removed)");
    check(
        LEAST,
        &LEAST.replace("s3cret", "s4cret"),
        "domain acme: credentials",
    );
    let long = "0123456789abcdef0123456789abcdef";
    for (line, key) in [
        (
            &*format!("signature_keys = [{{ key = \"{long}\" }}]"),
            "signature_keys",
        ),
        ("allow = [\"10.0.0.0/8\"]", "allow"),
        ("platform_keys = [\"A\"]", "platform_keys"),
        ("games = [\"g\"]", "games"),
        ("funds_priority = \"Unknown\"", "funds_priority"),
        ("session_token_ttl = \"9s\"", "session_token_ttl"),
        ("single_use_tokens = true", "single_use_tokens"),
    ] {
        check(
            LEAST,
            &format!("{LEAST}{line}"),
            &format!("domain acme: {key}"),
        );
    }
    let text = format!(
        "{}allow = [\"10.0.0.0/8\"]",
        LEAST.replace("s3cret", "s4cret")
    );
    check(LEAST, &text, "domain acme: credentials, allow");
    assert_eq!(
        changes(&both, &both.replace("KWD", "JPY")),
        Err("the currency of domain gulf has changed, and its accounts keep theirs".to_owned())
    );
}
