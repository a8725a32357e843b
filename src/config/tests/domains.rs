//! Domains, their credentials, and everything that is secret.

use super::*;
use crate::domain::SignatureKey;

#[test]
fn domains_are_complete_and_well_named() {
    check(
        "",
        "p.toml: domain: there is no [[domain]]; a wallet needs at least one, with name, currency and credentials",
    );
    check(
        "[[domain]]\nname = \"acme\"\ncredentials = []\n",
        "p.toml:1: domain[0]: missing key `currency`",
    );
    check(
        &LEAST.replace("GBP", "gbp"),
        "p.toml:4: domain[0].currency: expected an upper-case ISO 4217 code with minor units \
         such as \"GBP\", got \"gbp\"",
    );
    check(
        &LEAST.replace("acme", "ac/me"),
        "p.toml:3: domain[0].name: must hold no '/' and no control character, got \"ac/me\"",
    );
    check(
        &LEAST.replace("acme", ""),
        "p.toml:3: domain[0].name: expected 1 to 48 characters, got \"\"",
    );
    let name = "x".repeat(49);
    check(
        &LEAST.replace("acme", &name),
        &format!("p.toml:3: domain[0].name: expected 1 to 48 characters, got \"{name}\""),
    );
    check(
        &format!("{LEAST}{LEAST}"),
        "p.toml:8: domain[1].name: another domain has the name \"acme\" already",
    );
    check_domain(
        "platform_keys = [\"ABCD\", \"ABCDE\"]",
        "p.toml:6: domain[0].platform_keys[1]: expected 1 to 4 characters, got \"ABCDE\"",
    );
    check_domain(
        "games = [\"\"]",
        "p.toml:6: domain[0].games[0]: expected 1 to 50 characters, got \"\"",
    );
}

#[test]
fn credentials_can_be_used_over_http() {
    let with = |credentials: &str| {
        LEAST.replace("[{ user = \"gw\", password = \"s3cret\" }]", credentials)
    };
    for (credentials, expected) in [
        (
            "[]",
            ": is empty, so that every request would be refused; add { user = \"...\", password = \"...\" }",
        ),
        (
            "[{ user = \"g:w\", password = \"p\" }]",
            "[0].user: must not be empty and hold no ':' and no control character, got \"g:w\"",
        ),
        (
            "[{ user = \"\", password = \"p\" }]",
            "[0].user: must not be empty and hold no ':' and no control character, got \"\"",
        ),
        (
            "[{ user = \"a\", password = \"p\" }, { user = \"b\", password = \"s3\\ncret\" }]",
            "[1].password: must not be empty and hold no control character",
        ),
        (
            "[{ user = \"gw\" }]",
            "[0]: password or password_file is missing",
        ),
        (
            "[{ user = \"gw\", password = \"a\", password_file = \"b\" }]",
            "[0].password_file: password is set too; keep one of the two",
        ),
        ("[{ password = \"s3cret\" }]", "[0]: missing key `user`"),
    ] {
        check(
            &with(credentials),
            &format!("p.toml:5: domain[0].credentials{expected}"),
        );
    }
}

#[test]
fn signature_keys_are_long_and_have_one_source() {
    let long = "0123456789abcdef0123456789abcdef";
    for (keys, expected) in [
        (
            "[{ key = \"short\" }]",
            "[0].key: must have at least 32 characters and hold no control character",
        ),
        (
            &format!("[{{ key = \"{long}\" }}, {{ key = \"{long}\\n\" }}]"),
            "[1].key: must have at least 32 characters and hold no control character",
        ),
        ("[{ id = \"a\" }]", "[0]: key or key_file is missing"),
        (
            "[{ key = \"a\", key_file = \"b\" }]",
            "[0].key_file: key is set too; keep one of the two",
        ),
        (
            "[{ key_file = \"/no/such\" }]",
            "[0].key_file: cannot read /no/such: No such file or directory (os error 2)",
        ),
        (
            "[{ secret = \"a\" }]",
            "[0].secret: unknown key `secret`, expected one of `id`, `key`, `key_file`",
        ),
    ] {
        check_domain(
            &format!("signature_keys = {keys}"),
            &format!("p.toml:6: domain[0].signature_keys{expected}"),
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, format!("{long}\n")).unwrap();
    let keys = format!(
        "signature_keys = [{{ id = \"new\", key_file = \"{}\" }}, {{ key = \"{long}\" }}]",
        path.display()
    );
    let config = load(&format!("{LEAST}{keys}\n"), &[], &Flags::default()).unwrap();
    let keys = &config.domains.get("acme").unwrap().signature_keys;
    assert_eq!(keys[0], SignatureKey::new(Some("new".to_owned()), long));
    assert_eq!(keys[1], SignatureKey::new(None, long));
    for shown in [config.to_toml(), format!("{config:?}")] {
        assert!(!shown.contains(long), "{shown}");
    }
}

#[test]
fn secret_files_lose_one_line_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    let name = path.display();
    let text = format!("admin.token_file = \"{name}\"\n{LEAST}").replace(
        "password = \"s3cret\"",
        &format!("password_file = \"{name}\""),
    );
    let load = || load(&text, &[], &Flags::default());
    for written in ["pa:ss", "pa:ss\n", "pa:ss\r\n"] {
        std::fs::write(&path, written).unwrap();
        let config = load().unwrap();
        assert_eq!(
            config.admin.require_token().unwrap().expose(),
            "pa:ss",
            "{written:?}"
        );
        let acme = config.domains.get("acme").unwrap();
        assert_eq!(acme.credentials[0].as_bytes(), b"gw:pa:ss", "{written:?}");
    }
    for (written, problem) in [
        (
            "",
            "expected at least one character, all of them visible ASCII".to_owned(),
        ),
        (
            "a\n\n",
            "expected at least one character, all of them visible ASCII".to_owned(),
        ),
        (
            &"x".repeat(4_097),
            format!("cannot read {name}: longer than 4096 bytes"),
        ),
    ] {
        std::fs::write(&path, written).unwrap();
        let error = load().unwrap_err().to_string();
        assert_eq!(error, format!("p.toml:1: admin.token_file: {problem}"));
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        load().unwrap_err().to_string(),
        format!(
            "p.toml:1: admin.token_file: cannot read {name}: No such file or directory (os error 2)"
        )
    );
    check(
        &LEAST.replace("password = \"s3cret\"", "password_file = \"/no/such\""),
        "p.toml:5: domain[0].credentials[0].password_file: cannot read /no/such: \
         No such file or directory (os error 2)",
    );
}

#[test]
fn a_missing_admin_token_says_how_to_set_one() {
    let config = load(LEAST, &[], &Flags::default()).unwrap();
    assert_eq!(
        config.admin.require_token().unwrap_err().to_string(),
        "configuration: admin.token: the admin API needs a token: set token_file (or token) \
         in [admin], or the environment variable PURSER_ADMIN_TOKEN"
    );
    check_line(
        "[admin]\ntoken = \"a\"\ntoken_file = \"b\"",
        "p.toml:3: admin.token_file: token is set too; keep one of the two",
    );
}

#[test]
fn secrets_are_shown_nowhere() {
    let text = format!("admin.token = \"t0ken\"\n{LEAST}");
    let config = load(&text, &[], &Flags::default()).unwrap();
    for shown in [
        config.to_toml(),
        format!("{config:?}"),
        format!("{config:#?}"),
    ] {
        assert!(shown.contains("hidden"), "{shown}");
        assert!(!shown.contains("t0ken"), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
