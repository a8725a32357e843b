//! What every command says of damage, of a torn tail, and of what is no data directory.

use super::*;

fn segment(home: &Path, shard: usize) -> PathBuf {
    home.join(format!("data/shard-{shard}/00000001.seg"))
}

#[test]
fn damage_is_refused_by_every_command_in_the_words_of_a_start() {
    let home = stop(busy_server(), Signal::SIGTERM);
    let path = home.path();
    for shard in [0, 1] {
        let file = segment(path, shard);
        let mut bytes = fs::read(&file).unwrap();
        bytes[4_096 + 70] ^= 1;
        fs::write(&file, &bytes).unwrap();
    }
    let before = contents(path);
    let start = run(&["serve", "--config", "purser.toml"], path);
    assert_eq!(start.status.code(), Some(3), "{start:?}");
    let words = start
        .stderr
        .lines()
        .find_map(|line| Some(line.split_once("offset 4096: ")?.1))
        .unwrap()
        .split_once(" at offset ")
        .unwrap()
        .0
        .to_owned();
    let place = |shard| format!("shard-{shard}/00000001.seg, offset 4096: {words}");
    // All of it is read: the damage of both shards is told.
    check_fails(
        path,
        "verify --data-dir data",
        3,
        &[&place(0), &place(1), "Nothing was changed."],
    );
    for command in [
        "inspect --data-dir data --shard 1",
        "export --data-dir data --format csv --out x.csv",
        "backup --data-dir data --out copy",
    ] {
        let shard = usize::from(command.contains("--shard 1"));
        check_fails(path, command, 3, &[&place(shard)]);
    }
    assert_eq!(
        contents(path),
        before,
        "something was changed or left behind"
    );
}

#[test]
fn a_torn_tail_is_told_and_left_alone() {
    let home = stop(busy_server(), Signal::SIGKILL);
    let file = segment(home.path(), 0);
    let mut bytes = fs::read(&file).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let end = (used / 4_096 + 1) * 4_096;
    bytes[end..end + 1_000].fill(0xEE);
    fs::write(&file, &bytes).unwrap();
    let text = done(home.path(), "verify --data-dir data");
    let told = format!(
        "4096 bytes at offset {end} of data/shard-0/00000001.seg are an unfinished write, which \
         nobody was told of: a start would cut them off"
    );
    assert!(text.contains(&told), "{text}");
    assert_eq!(fs::read(&file).unwrap(), bytes);
    // The copy ends where the tail began.
    done(home.path(), "backup --data-dir data --out copy");
    let report = &json_lines(&done(home.path(), "verify --data-dir copy --json"))[0];
    assert_books(report);
    assert_eq!(report["Shards"][0]["End"], "Open");
}

#[test]
fn what_is_no_data_directory_is_told_from_lost_data() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path();
    fs::create_dir(path.join("empty")).unwrap();
    fs::write(path.join("file"), "").unwrap();
    for command in [
        "verify",
        "inspect",
        "export --format csv --out x",
        "backup --out x",
    ] {
        for (directory, said) in [
            ("missing", "there is no directory missing"),
            ("empty", "empty is no data directory"),
            ("file", "file is no directory"),
        ] {
            let command = format!("{command} --data-dir {directory}");
            check_fails(path, &command, 1, &[said]);
        }
        check_fails(path, command, 2, &["--data-dir <DIR>"]);
    }
    assert_eq!(fs::read_dir(path.join("empty")).unwrap().count(), 0);
    assert!(!path.join("missing").exists() && !path.join("x").exists());

    let home = stop(busy_server(), Signal::SIGTERM);
    fs::remove_file(home.path().join("data/manifest")).unwrap();
    check_fails(
        home.path(),
        "verify --data-dir data",
        3,
        &["The manifest is missing"],
    );
}
