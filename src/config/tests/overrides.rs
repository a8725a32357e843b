//! The environment and the flags over the file, and who is named in an error.

use super::*;

#[test]
fn the_environment_overrides_the_file_and_flags_override_both() {
    let text = format!(
        "shards = 1\nlisten.wallet = \"127.0.0.1:1\"\nadmin.token_file = \"/no/such\"\n{LEAST}"
    );
    let environment = [
        ("PURSER_SHARDS", "2"),
        ("PURSER_LISTEN__WALLET", "127.0.0.1:2"),
        ("PURSER_LISTEN__ADMIN", "127.0.0.1:3"),
        ("PURSER_ADMIN_TOKEN", "tok\"en"),
        ("PURSER_LIMITS__MAX_CONNECTIONS", "77"),
        ("PURSER_LIMITS__WRITE_TIMEOUT", "1h"),
        ("PURSER_PIN", "false"),
        ("PURSER_LOG_LEVEL", "debug"),
        ("PURSER_LOG__DURABILITY", "os"),
        ("PURSER_FAILPOINT", "after_sync:3"),
        ("HOME", "/root"),
    ];
    let config = load(&text, &environment, &Flags::default()).unwrap();
    assert_eq!(config.shards, 2);
    assert_eq!(config.listen.wallet.port(), 2);
    // The token of the environment stands in for the token file of the file.
    assert_eq!(config.admin.require_token().unwrap().expose(), "tok\"en");
    assert_eq!(config.limits.max_connections, 77);
    assert_eq!(config.limits.write_timeout, Duration::from_secs(3_600));
    assert_eq!(config.pin, Pin::Never);
    assert_eq!(config.log_level, LogLevel::Debug);
    assert_eq!(config.log.durability, Durability::Os);

    let flags = Flags {
        data_dir: Some("there\n= \"".to_owned()),
        listen: Some("[::1]:4".parse().unwrap()),
        admin_listen: None,
        shards: Some(0),
    };
    let config = load(&text, &environment, &flags).unwrap();
    assert_eq!(config.data_dir, Path::new("there\n= \""));
    assert_eq!(config.shards, 0);
    assert_eq!(config.listen.wallet, "[::1]:4".parse().unwrap());
    assert_eq!(config.listen.admin.port(), 3);
}

#[test]
fn wrong_overrides_name_the_variable_or_the_flag() {
    for (variables, expected) in [
        (
            &[("PURSER_SHARD", "2")] as &[_],
            "environment variable PURSER_SHARD: names no key that holds a single value; \
             PURSER_SHARDS sets shards, PURSER_LISTEN__WALLET sets wallet in [listen]",
        ),
        (
            &[("PURSER_SHARDS", "two")],
            "environment variable PURSER_SHARDS: shards: expected an integer, got \"two\"",
        ),
        (
            &[("PURSER_DATA_DIR", "x\ny"), ("PURSER_SHARDS", "999")],
            "environment variable PURSER_SHARDS: shards: expected an integer from 0 to 256, got 999",
        ),
        (
            &[("PURSER_LISTEN__WALLET", "9816")],
            "environment variable PURSER_LISTEN__WALLET: listen.wallet: expected an IP address \
             and a port such as \"127.0.0.1:9816\" or \"[::1]:9816\", got \"9816\"",
        ),
        (
            &[("PURSER_LOG_LEVEL", "")],
            "environment variable PURSER_LOG_LEVEL: log_level: expected one of \"error\", \
             \"warn\", \"info\", \"debug\", \"trace\", got \"\"",
        ),
        (
            &[("PURSER_ADMIN_TOKEN", "s3cret token")],
            "environment variable PURSER_ADMIN_TOKEN: admin.token: expected at least one \
             character, all of them visible ASCII",
        ),
        (
            &[("PURSER_ADMIN_TOKEN", "a"), ("PURSER_ADMIN__TOKEN", "b")],
            "environment variable PURSER_ADMIN__TOKEN: admin.token: is set by the environment \
             variable PURSER_ADMIN_TOKEN too; keep one",
        ),
        (
            &[("PURSER_PIN", "maybe")],
            "environment variable PURSER_PIN: pin: expected \"auto\", true or false, got \"maybe\"",
        ),
        (
            &[("PURSER_TRUSTED_PROXIES", "::1")],
            "environment variable PURSER_TRUSTED_PROXIES: names no key that holds a single value; \
             PURSER_SHARDS sets shards, PURSER_LISTEN__WALLET sets wallet in [listen]",
        ),
    ] {
        let error = load(LEAST, variables, &Flags::default()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let flags = Flags {
        admin_listen: Some("127.0.0.1:9816".parse().unwrap()),
        ..Flags::default()
    };
    let error = load(LEAST, &[("PURSER_SHARDS", "1")], &flags).unwrap_err();
    assert_eq!(
        error.to_string(),
        "--admin-listen: listen.admin: the admin API at 127.0.0.1:9816 is in the way of the \
         wallet API at 0.0.0.0:9816"
    );
}

#[test]
fn an_error_at_the_end_of_the_file_is_the_files() {
    let error = load("[limits", &[("PURSER_SHARDS", "1")], &Flags::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "p.toml:1: limits: unclosed table, expected `]`"
    );
}

#[test]
fn an_override_of_a_broken_file_leaves_the_break_to_be_found() {
    let text = format!("listen = 5\n{LEAST}");
    let error = load(
        &text,
        &[("PURSER_LISTEN__WALLET", "[::1]:1")],
        &Flags::default(),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "p.toml:1: listen: expected a table, found an integer"
    );
}
