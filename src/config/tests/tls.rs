//! The files of TLS: named in errors, judged when the configuration is.

use super::*;
use crate::tls::testing::Authority;

/// A directory with the files of a good `[listen.tls]`, which `text` begins with.
struct Files {
    dir: tempfile::TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> Self {
        let files = Self {
            dir: tempfile::tempdir().unwrap(),
            authority: Authority::new(),
        };
        let server = files.authority.issue("wallet.test", 2020, 2100);
        files.write("cert.pem", &server.certificate_pem());
        files.write("key.pem", &server.key_pem());
        files.write("ca.pem", &files.authority.pem());
        files
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn text(&self) -> String {
        let [certificate, key, ca] = ["cert.pem", "key.pem", "ca.pem"].map(|name| self.path(name));
        format!(
            "[listen.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n\
             client_ca = \"{ca}\"\n{LEAST}"
        )
    }
}

#[test]
fn tls_is_printed_as_it_was_written() {
    let files = Files::new();
    let config = load(&files.text(), &[], &Flags::default()).unwrap();
    let printed = config.to_toml();
    assert_eq!(
        load(&printed, &[], &Flags::default()).unwrap().to_toml(),
        printed
    );
    let tls = config.listen.tls.unwrap();
    assert_eq!(
        tls.client_ca.unwrap().display().to_string(),
        files.path("ca.pem")
    );
    assert!(!printed.contains("PRIVATE"));
    assert!(
        load(LEAST, &[], &Flags::default())
            .unwrap()
            .listen
            .tls
            .is_none()
    );
}

#[test]
fn what_is_wrong_with_a_file_names_it_and_its_key() {
    let files = Files::new();
    let [certificate, key, ca] = ["cert.pem", "key.pem", "ca.pem"].map(|name| files.path(name));
    check(
        &format!("[listen.tls]\ncertificate = \"{certificate}\"\n{LEAST}"),
        "p.toml:1: listen.tls: key is missing",
    );
    check(
        &format!("[listen.tls]\nkey = \"{key}\"\n{LEAST}"),
        "p.toml:1: listen.tls: certificate is missing",
    );
    check(
        &files.text().replace("key.pem", "none.pem"),
        &format!(
            "p.toml:3: listen.tls.key: cannot read {}: No such file or directory (os error 2)",
            files.path("none.pem")
        ),
    );
    let expired = files.authority.issue("wallet.test", 2020, 2021);
    let other = files.authority.issue("wallet.test", 2020, 2100);
    for (name, text, problem) in [
        (
            "ca.pem",
            "",
            format!("4: listen.tls.client_ca: {ca}: holds no certificate in PEM form"),
        ),
        (
            "cert.pem",
            &*expired.certificate_pem(),
            format!(
                "2: listen.tls.certificate: {certificate}: the certificate expired at \
                 2021-01-01T00:00:00Z; renew it"
            ),
        ),
        (
            "key.pem",
            &other.key_pem(),
            format!("3: listen.tls.key: {key}: is not the key of the certificate"),
        ),
    ] {
        let before = std::fs::read(files.path(name)).unwrap();
        files.write(name, text);
        check(&files.text(), &format!("p.toml:{problem}"));
        std::fs::write(files.path(name), before).unwrap();
    }
    load(&files.text(), &[], &Flags::default()).unwrap();
}

#[test]
fn files_of_tls_change_while_the_server_runs_and_tls_itself_does_not() {
    let files = Files::new();
    let load = |text: &str| load(text, &[], &Flags::default()).unwrap();
    let before = load(&files.text());
    assert!(before.changes_to(&load(&files.text())).unwrap().is_empty());
    let renewed = files.authority.issue("wallet.test", 2020, 2100);
    files.write("cert.pem", &renewed.certificate_pem());
    files.write("key.pem", &renewed.key_pem());
    let after = load(&files.text());
    let changes: Vec<_> = before.changes_to(&after).unwrap().into_iter().collect();
    assert_eq!(changes, ["listen.tls"]);
    let plain = load(LEAST);
    for (old, new) in [(&plain, &after), (&after, &plain)] {
        assert_eq!(
            old.changes_to(new),
            Err("listen.tls is switched on or off, which needs a restart".to_owned())
        );
    }
}
