//! Single values: types, bounds, words, addresses, networks.

use super::*;

#[test]
fn values_of_another_type_are_named_without_being_shown() {
    check_line(
        "shards = \"4\"",
        "p.toml:1: shards: expected an integer, found a string",
    );
    check_line(
        "shards = 1.5",
        "p.toml:1: shards: expected an integer, found a number with a point",
    );
    check_line(
        "data_dir = 7",
        "p.toml:1: data_dir: expected a string, found an integer",
    );
    check_line(
        "pin = 1",
        "p.toml:1: pin: expected \"auto\", true or false, found an integer",
    );
    check_line(
        "admin = \"s3cret\"",
        "p.toml:1: admin: expected a table, found a string",
    );
    check_line(
        "[admin]\ntoken = 5",
        "p.toml:2: admin.token: expected a string, found an integer",
    );
    check_line(
        "trusted_proxies = \"::1\"",
        "p.toml:1: trusted_proxies: expected a list, found a string",
    );
    check_line("log = []", "p.toml:1: log: expected a table, found a list");
    check(
        &LEAST.replace(
            "[{ user = \"gw\", password = \"s3cret\" }]",
            "[\"gw:s3cret\"]",
        ),
        "p.toml:5: domain[0].credentials[0]: expected a table, found a string",
    );
}

#[test]
fn numbers_have_bounds() {
    for (line, expected) in [
        (
            "shards = 257",
            "p.toml:1: shards: expected an integer from 0 to 256, got 257",
        ),
        (
            "shards = -1",
            "p.toml:1: shards: expected an integer from 0 to 256, got -1",
        ),
        (
            "limits.max_connections = 0",
            "p.toml:1: limits.max_connections: expected an integer from 1 to 1000000, got 0",
        ),
        (
            "limits.max_head_bytes = 0",
            "p.toml:1: limits.max_head_bytes: expected an integer from 256 to 1048576, got 0",
        ),
        (
            "limits.max_body_bytes = 16777217",
            "p.toml:1: limits.max_body_bytes: expected an integer from 256 to 16777216, got 16777217",
        ),
        (
            "limits.max_connections_per_client = -1",
            "p.toml:1: limits.max_connections_per_client: expected an integer from 0 to 1000000, got -1",
        ),
        (
            "limits.max_in_flight = 0",
            "p.toml:1: limits.max_in_flight: expected an integer from 1 to 4096, got 0",
        ),
        (
            "limits.max_headers = 65",
            "p.toml:1: limits.max_headers: expected an integer from 8 to 64, got 65",
        ),
        (
            "limits.max_pipelined_bytes = 4095",
            "p.toml:1: limits.max_pipelined_bytes: expected an integer from 4096 to 1048576, got 4095",
        ),
        (
            "log.segment_bytes = 4096",
            "p.toml:1: log.segment_bytes: expected an integer from 65536 to 4294967296, got 4096",
        ),
        (
            "log.segment_bytes = 65537",
            "p.toml:1: log.segment_bytes: expected a multiple of 4096, got 65537",
        ),
        (
            "log.checkpoint_bytes = 131071",
            "p.toml:1: log.checkpoint_bytes: expected an integer from 131072 to 1099511627776, got 131071",
        ),
        (
            "log.scrub_bytes_per_second = -1",
            "p.toml:1: log.scrub_bytes_per_second: expected 0 or an integer from 65536 to 68719476736, got -1",
        ),
        (
            "log.scrub_bytes_per_second = 8",
            "p.toml:1: log.scrub_bytes_per_second: expected 0 or an integer from 65536 to 68719476736, got 8",
        ),
        (
            "log.checkpoint_bytes = 134217727",
            "p.toml:1: log.checkpoint_bytes: expected at least two segments, which are 134217728, got 134217727",
        ),
        (
            "listen.shard_ports = 65536",
            "p.toml:1: listen.shard_ports: expected an integer from 0 to 65535, got 65536",
        ),
    ] {
        check_line(line, expected);
    }
}

#[test]
fn durations_have_bounds() {
    let day = "expected a duration from 1ms to 1day, such as \"10s\" or \"1h 30m\"";
    for key in [
        "header_timeout",
        "body_timeout",
        "idle_timeout",
        "write_timeout",
    ] {
        for value in ["0s", "10", "ten", "", "2days", "-1s", "999us"] {
            check_line(
                &format!("[limits]\n{key} = {value:?}"),
                &format!("p.toml:2: limits.{key}: {day}, got {value:?}"),
            );
        }
    }
    check_line(
        "shutdown_timeout = \"0s\"",
        &format!("p.toml:1: shutdown_timeout: {day}, got \"0s\""),
    );
    check_line(
        "slow_request = \"0s\"",
        "p.toml:1: slow_request: expected a duration from 1ns to 1day, such as \"10s\" or \
         \"1h 30m\", got \"0s\"",
    );
    check_domain(
        "session_token_ttl = \"0s\"",
        &format!("p.toml:6: domain[0].session_token_ttl: {day}, got \"0s\""),
    );
    check_line(
        "[log]\nhistory = \"71h\"",
        "p.toml:2: log.history: expected a duration from 3days to 10years, such as \"10s\" or \"1h 30m\", got \"71h\"",
    );
    check_line(
        "[log]\nscrub_interval = \"999ms\"",
        "p.toml:2: log.scrub_interval: expected a duration from 1s to 1year, such as \"10s\" or \"1h 30m\", got \"999ms\"",
    );
    check_line(
        "[ledger]\nidempotency_window = \"59m 59s\"",
        "p.toml:2: ledger.idempotency_window: expected a duration from 1h to 1year, \
         such as \"10s\" or \"1h 30m\", got \"59m 59s\"",
    );
    check_line(
        "[ledger]\nmax_clock_skew = \"2h\"",
        "p.toml:2: ledger.max_clock_skew: expected a duration from 0s to 1h, \
         such as \"10s\" or \"1h 30m\", got \"2h\"",
    );
}

#[test]
fn words_are_from_their_lists() {
    for (line, expected) in [
        (
            "log_level = \"INFO\"",
            "log_level: expected one of \"error\", \"warn\", \"info\", \"debug\", \"trace\", got \"INFO\"",
        ),
        (
            "log_format = \"xml\"",
            "log_format: expected one of \"text\", \"json\", got \"xml\"",
        ),
        (
            "log.durability = \"no\"",
            "log.durability: expected one of \"fsync\", \"os\", got \"no\"",
        ),
        (
            "pin = \"yes\"",
            "pin: expected \"auto\", true or false, got \"yes\"",
        ),
        (
            "limits.max_memory_bytes = \"much\"",
            "limits.max_memory_bytes: expected \"auto\", \"off\" or at least 1048576 bytes, got \"much\"",
        ),
        (
            // As somebody writes it who thinks of gigabytes.
            "limits.max_memory_bytes = 16",
            "limits.max_memory_bytes: expected \"auto\", \"off\" or at least 1048576 bytes, got 16",
        ),
        (
            "data_dir = \"\"",
            "data_dir: expected the path of a directory, got \"\"",
        ),
    ] {
        check_line(line, &format!("p.toml:1: {expected}"));
    }
    check_domain(
        "funds_priority = \"Cash\"",
        "p.toml:6: domain[0].funds_priority: expected one of \"CashFundsFirst\", \
         \"BonusFundsFirst\", \"Unknown\", got \"Cash\"",
    );
}

#[test]
fn addresses_are_complete_and_apart() {
    check_line(
        "listen.wallet = \"localhost:9816\"",
        "p.toml:1: listen.wallet: expected an IP address and a port such as \"127.0.0.1:9816\" \
         or \"[::1]:9816\", got \"localhost:9816\"",
    );
    check_line(
        "listen.admin = \"127.0.0.1:9816\"",
        "p.toml:1: listen.admin: the admin API at 127.0.0.1:9816 is in the way of the wallet API \
         at 0.0.0.0:9816",
    );
    check_line(
        "listen.wallet = \"127.0.0.1:9817\"",
        "p.toml:1: listen.wallet: the admin API at 127.0.0.1:9817 is in the way of the wallet API \
         at 127.0.0.1:9817",
    );
    // Any free port, twice, is two ports.
    let text = format!("[listen]\nwallet = \"[::1]:0\"\nadmin = \"[::1]:0\"\n{LEAST}");
    assert_eq!(
        load(&text, &[], &Flags::default())
            .unwrap()
            .listen
            .admin
            .port(),
        0
    );
}

#[test]
fn shard_ports_fit_and_are_nobody_elses() {
    let at = |shards: u16, base: u16| {
        let text = format!("shards = {shards}\nlisten.shard_ports = {base}\n{LEAST}");
        load(&text, &[], &Flags::default()).map_err(|error| error.to_string())
    };
    let ports = |shards, base| at(shards, base).unwrap().listen.shard_ports_of(shards);
    assert_eq!(ports(4, 65_532), Ok(Some(65_532..=65_535)));
    assert_eq!(ports(4, 0), Ok(None));
    assert_eq!(
        at(4, 65_533).unwrap_err(),
        "p.toml:2: listen.shard_ports: 4 shards need the ports from 65533 on, and ports end at 65535"
    );
    assert_eq!(
        at(2, 9_815).unwrap_err(),
        "p.toml:2: listen.shard_ports: 2 shards need the ports 9815 to 9816, and 9816 is that of listen.wallet"
    );
    // One per CPU: known later, and judged again with the count.
    let unknown = at(0, 9_815).unwrap();
    assert!(
        unknown
            .listen
            .shard_ports_of(3)
            .unwrap_err()
            .contains("listen.wallet")
    );
}

#[test]
fn networks_are_plain() {
    check_line(
        "trusted_proxies = [\"10.0.0.0/8\", \"proxy\"]",
        "p.toml:1: trusted_proxies[1]: expected a network such as \"10.0.0.0/8\" or \"fd00::/8\", got \"proxy\"",
    );
    check_domain(
        "allow = [\n  \"10.0.0.1/8\",\n]",
        "p.toml:7: domain[0].allow[0]: 10.0.0.1/8 has address bits beyond its prefix; \
         the network is 10.0.0.0/8, the address alone is 10.0.0.1/32",
    );
}
