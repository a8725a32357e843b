//! `purser export`: every movement, in every format, of any span of time.

use super::*;

#[test]
fn export_has_every_movement_in_every_format() {
    let home = stop(busy_server(), Signal::SIGTERM);
    let path = home.path();
    let printed = done(
        path,
        "export --data-dir data --format jsonl --out all.jsonl",
    );
    assert_eq!(printed, format!("{MOVEMENTS} rows written to all.jsonl\n"));
    let rows = json_lines(&fs::read_to_string(path.join("all.jsonl")).unwrap());
    assert_eq!(rows.len(), MOVEMENTS);
    let first = rows
        .iter()
        .find(|row| row["OperatorAccountID"] == "nippon/p3")
        .unwrap();
    for (name, value) in [
        ("Domain", "nippon"),
        ("Kind", "Deposit"),
        ("TransactionID", "d-1"),
        ("CurrencyCode", "JPY"),
        ("Funds", "Cash"),
        ("HouseAccount", "HouseCashier"),
        ("Amount", "100"),
        ("CashFunds", "100"),
    ] {
        assert_eq!(first[name], value, "{first}");
    }

    done(
        path,
        "export --data-dir data --format csv --out acme.csv --domain acme",
    );
    let csv = fs::read_to_string(path.join("acme.csv")).unwrap();
    let mut lines = csv.split_terminator("\r\n");
    assert!(lines.next().unwrap().starts_with("Shard,Lsn,At,Domain,"));
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), MOVEMENTS / 2);
    assert!(
        lines.iter().all(|line| line.contains(",acme,acme/p")),
        "{csv}"
    );

    done(
        path,
        "export --data-dir data --format parquet --out all.parquet",
    );
    let parquet = fs::read(path.join("all.parquet")).unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));

    // Nothing but what was asked for is left behind.
    let mut names: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "acme.csv",
            "all.jsonl",
            "all.parquet",
            "data",
            "purser.toml"
        ]
    );
}

#[test]
fn export_takes_a_span_of_time_with_its_begin_and_without_its_end() {
    let home = stop(busy_server(), Signal::SIGTERM);
    let path = home.path();
    done(
        path,
        "export --data-dir data --format jsonl --out all.jsonl",
    );
    let rows = json_lines(&fs::read_to_string(path.join("all.jsonl")).unwrap());
    let mut times: Vec<_> = rows.iter().map(|r| r["At"].as_str().unwrap()).collect();
    times.sort_unstable();
    let middle = times[times.len() / 2];
    let rows_of = |name: &str, span: &str| {
        let command = format!("export --data-dir data --format jsonl --out {name} {span}");
        done(path, &command);
        json_lines(&fs::read_to_string(path.join(name)).unwrap())
    };
    let before = rows_of("before", &format!("--to {middle}"));
    let from = rows_of("from", &format!("--from {middle}"));
    assert!(before.iter().all(|row| row["At"].as_str() < Some(middle)));
    assert!(from.iter().all(|row| row["At"].as_str() >= Some(middle)));
    assert_eq!(before.len() + from.len(), MOVEMENTS);
    assert!(!from.is_empty());
    assert!(rows_of("day", "--from 2001-01-01 --to 2001-01-02").is_empty());
    check_fails(
        path,
        "export --data-dir data --format csv --out x --from 2001-01-02 --to 2001-01-02",
        1,
        &["--from must be before --to"],
    );
    check_fails(
        path,
        "export --data-dir data --format csv --out x --from yesterday",
        2,
        &["2026-01-31T12:00:00Z"],
    );
    check_fails(
        path,
        "export --data-dir data --format csv --out all.jsonl",
        1,
        &["all.jsonl exists already"],
    );
    check_fails(
        path,
        "export --data-dir data --format csv --out missing/x",
        1,
        &["create missing/x"],
    );
}
