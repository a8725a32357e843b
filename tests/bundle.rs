//! `purser debug-bundle` from outside: what is in the archive, what is not, and that it is
//! made when nothing else works.

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{ADMIN_TOKEN, Admin, Ended, Server, Setup, Wallet, run};
use flate2::read::GzDecoder;
use nix::sys::signal::Signal;

/// The files of an archive, without the directory that all of them are in.
type Files = BTreeMap<String, String>;

fn unpacked(archive: &Path) -> Files {
    let file = std::fs::File::open(archive).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        let name: std::path::PathBuf = path.components().skip(1).collect();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (name.display().to_string(), text)
    });
    entries.collect()
}

/// Makes a bundle in `home`, whose configuration names ports that nobody knows.
fn bundle(home: &Path, more: &[&str]) -> (Ended, Files) {
    let out = home.join("bundle.tar.gz");
    let config = home.join("purser.toml");
    let (config, out_name) = (config.to_str().unwrap(), out.to_str().unwrap());
    let arguments = ["debug-bundle", "--config", config, "--out", out_name];
    let ended = run(&[&arguments, more].concat(), home);
    assert!(ended.status.success(), "{ended:?}");
    let files = unpacked(&out);
    (ended, files)
}

#[test]
fn beside_a_running_server_it_has_what_the_server_says_and_no_secret() {
    let signed = r#"
[[domain]]
name = "signed"
currency = "GBP"
credentials = [{ user = "gw", password = "s3cret-of-signed" }]
signature_keys = [{ id = "1", key = "k3y-0123456789-0123456789-01234567" }]
"#;
    let server = Setup {
        domains: signed.to_owned(),
        ..Setup::default()
    }
    .start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "12.34");
    let key = admin.session("acme/p1");
    Wallet::of("acme", &server).balance("acme/p1");

    let address = server.admin.to_string();
    let (ended, files) = bundle(server.home.path(), &["--admin-listen", &address]);
    assert!(ended.stdout.contains("bundle.tar.gz holds "), "{ended:?}");

    for (name, content) in [
        ("README.txt", "what `purser debug-bundle` found"),
        ("version.txt", concat!("purser ", env!("CARGO_PKG_VERSION"))),
        ("config.toml", "password = \"hidden\""),
        ("server/metrics-1.txt", "purser_build_info"),
        ("server/metrics-2.txt", "purser_build_info"),
        ("server/healthz.txt", "ok"),
        ("server/readyz.txt", "ready"),
        ("server/trial-balance.json", "\"PlayerCash\":\"12.34\""),
        ("server/slow-requests.json", "{"),
        ("data/manifest.txt", "shards    2\n"),
        ("data/files.txt", " shard-0/"),
        ("tune.txt", "recommended"),
        ("tune.json", "\"Findings\""),
        ("host/host.txt", "== proc/loadavg"),
        ("process/process.txt", "shard-1"),
    ] {
        let text = files
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {:?}", files.keys()));
        assert!(text.contains(content), "{name}: {text}");
        let listed = files["README.txt"].contains(&format!("  {name} "));
        assert!(listed || name == "README.txt", "{}", files["README.txt"]);
    }

    let manifest = std::fs::read(server.home.path().join("data/manifest")).unwrap();
    assert!(!manifest.is_empty());
    for (name, text) in &files {
        for secret in [
            ADMIN_TOKEN,
            "s3cret-of-",
            "with:two:colons",
            "pässwörd",
            "k3y-0123456789",
            &key,
        ] {
            assert!(!text.contains(secret), "{secret} in {name}:\n{text}");
        }
        // On a busy machine a request of this test may have been slow.
        let names_accounts = name == "server/slow-requests.json";
        assert!(
            names_accounts || !text.contains("acme/p1"),
            "{name}:\n{text}"
        );
    }
}

/// Takes every connection, answers each request with nothing, and gives back what it was sent.
fn impostor(listener: &TcpListener, asked: &AtomicBool) -> String {
    let mut heard = String::new();
    listener.set_nonblocking(true).unwrap();
    while !asked.load(Ordering::Acquire) {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1) => request.push(byte[0]),
                _ => break,
            }
        }
        heard.push_str(&String::from_utf8_lossy(&request));
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n{}");
    }
    heard
}

#[test]
fn the_admin_token_goes_to_the_server_that_has_the_data_and_to_nobody_else() {
    // With a server whose port it is not, and without one.
    for is_running in [true, false] {
        let mut server = Server::start();
        if !is_running {
            server.signal(Signal::SIGTERM);
            common::eventually("it ends", || server.try_ended());
        }
        let heard_with = |more: &[&str]| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let out = format!("bundle-{}.tar.gz", more.len());
            let home = server.home.path();
            let arguments = ["debug-bundle", "--config", "purser.toml", "--out", &out];
            let named = ["--admin-listen", &address];
            let asked = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let heard = scope.spawn(|| impostor(&listener, &asked));
                let ended = run(&[&arguments[..], &named, more].concat(), home);
                asked.store(true, Ordering::Release);
                (ended, heard.join().unwrap())
            })
        };
        let (ended, heard) = heard_with(&[]);
        assert!(ended.status.success(), "{ended:?}");
        assert!(heard.contains("GET /metrics "), "{heard}");
        assert!(!heard.contains("Authorization"), "{heard}");
        let why = if is_running {
            "another process than the server holds it"
        } else {
            "no process has the lock of a data directory here"
        };
        let said = format!("{why}; --send-token sends it");
        assert!(ended.stderr.contains(&said), "{ended:?}");

        let (ended, heard) = heard_with(&["--send-token"]);
        assert!(ended.status.success(), "{ended:?}");
        assert!(heard.contains(&format!("Bearer {ADMIN_TOKEN}")), "{heard}");
    }
}

#[test]
fn without_a_server_it_says_what_is_missing_and_is_made_all_the_same() {
    let mut server = Server::start();
    let address = server.admin.to_string();
    server.signal(Signal::SIGTERM);
    common::eventually("it ends", || server.try_ended());
    let (ended, files) = bundle(server.home.path(), &["--admin-listen", &address]);
    let why = format!("server: nobody answers at {address}");
    assert!(ended.stderr.contains(&why), "{ended:?}");
    assert!(
        files["README.txt"].contains(&why),
        "{}",
        files["README.txt"]
    );
    assert!(files["README.txt"].contains("process: no process has the lock"));
    for name in [
        "config.toml",
        "data/manifest.txt",
        "tune.json",
        "host/host.txt",
    ] {
        assert!(files.contains_key(name), "no {name} in {:?}", files.keys());
    }
    assert!(!files.contains_key("server/metrics-1.txt"));
}

#[test]
fn with_a_configuration_that_is_not_valid_it_says_what_a_start_would() {
    let home = tempfile::tempdir().unwrap();
    let bad = "[admin]\ntoken = \"t0ken-of-nobody\"\nshards = 2\n";
    std::fs::write(home.path().join("purser.toml"), bad).unwrap();
    let (ended, files) = bundle(home.path(), &[]);
    assert!(files["config.toml"].contains("is not valid"), "{files:?}");
    assert!(files["config.toml"].contains("shards"), "{files:?}");
    for missing in ["server", "data", "process"] {
        assert!(
            ended
                .stderr
                .contains(&format!("not collected: {missing}: ")),
            "{ended:?}"
        );
    }
    for (name, text) in &files {
        assert!(!text.contains("t0ken-of-nobody"), "{name}: {text}");
    }
}

#[test]
fn an_archive_that_is_there_is_not_written_over() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("there.tar.gz"), "mine").unwrap();
    let arguments = [
        "debug-bundle",
        "--config",
        "none.toml",
        "--out",
        "there.tar.gz",
    ];
    let ended = run(&arguments, home.path());
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("exists already"), "{ended:?}");
    assert_eq!(
        std::fs::read(home.path().join("there.tar.gz")).unwrap(),
        b"mine"
    );
}
