//! `purser backup`, also of a directory that a server is writing.

use super::*;

#[test]
fn a_running_server_is_read_and_backed_up_while_it_books() {
    let server = busy_server();
    let path = server.home.path().to_owned();
    let holder = fs::read_to_string(path.join("data/lock")).unwrap();
    let used = format!("data is in use by process {};", holder.trim());
    let ended = purser(&path, "verify --data-dir data --json");
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.contains(&used), "{ended:?}");
    assert_books(&json_lines(&ended.stdout)[0]);

    // Bookings go on while everything is read again and again.
    let mut admin = Admin::of(&server);
    let mut told = 0;
    std::thread::scope(|scope| {
        let path = &path;
        let reader = scope.spawn(move || {
            for round in 0..5 {
                done(path, "verify --data-dir data");
                done(path, "inspect --data-dir data");
                done(
                    path,
                    &format!("export --data-dir data --format csv --out {round}.csv"),
                );
                done(path, &format!("backup --data-dir data --out copy-{round}"));
            }
        });
        while !reader.is_finished() {
            let answer = admin.deposit("acme/p0", &format!("more-{told}"), "1.00");
            assert_eq!(answer.status, 200, "{answer:?}");
            told += 1;
        }
        reader.join().unwrap();
    });
    assert!(told > 5, "nothing was booked meanwhile");

    // What was told before a backup began is in it.
    let printed = done(&path, "backup --data-dir data --out last");
    let postings = POSTINGS + told;
    let expected = format!("{postings} postings of 2 shards copied to last and verified\n");
    assert_eq!(printed, expected);
    let home = stop(server, Signal::SIGTERM);
    let report = &json_lines(&done(home.path(), "verify --data-dir last --json"))[0];
    assert_eq!(
        report["Domains"][0]["Accounts"]["PlayerCash"],
        format!("{}.00", 72 + told)
    );
    for round in 0..5 {
        done(home.path(), &format!("verify --data-dir copy-{round}"));
    }

    // A server starts on the copy and goes on.
    fs::rename(home.path().join("data"), home.path().join("lost")).unwrap();
    fs::rename(home.path().join("last"), home.path().join("data")).unwrap();
    let config = home.path().join("purser.toml");
    let server = Server::spawn(&["serve", "--config", config.to_str().unwrap()], home);
    let answer = Admin::of(&server).deposit("acme/p0", "more-0", "1.00");
    assert_eq!(
        answer.json()["CashFunds"],
        format!("{}.00", 6 + told),
        "a repeat"
    );
}

#[test]
fn a_backup_never_goes_where_something_is() {
    let home = stop(busy_server(), Signal::SIGTERM);
    fs::create_dir(home.path().join("empty")).unwrap();
    done(home.path(), "backup --data-dir data --out empty");
    let copied = contents(&home.path().join("empty"));
    check_fails(
        home.path(),
        "backup --data-dir data --out empty",
        1,
        &["empty is not empty"],
    );
    assert_eq!(contents(&home.path().join("empty")), copied);
    for (out, said) in [
        ("purser.toml", "use purser.toml"),
        ("data/copy", "inside of the data directory"),
        ("missing/copy", "missing"),
    ] {
        let command = format!("backup --data-dir data --out {out}");
        check_fails(home.path(), &command, 1, &[said]);
    }
}
