//! SIGHUP: the configuration is read again under traffic, whole or not at all.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use common::{
    ADMIN_TOKEN, Admin, BALANCE, Client, Identity, Members, Request, Server, Setup, Wallet,
    certificate_shown, eventually,
};
use nix::sys::signal::Signal;

const OLD: &str = r#"{ user = "gw", password = "s3cret-of-acme" }"#;
const NEW: &str = r#"{ user = "gw", password = "n3w-s3cret" }"#;

fn serve() -> Server {
    let server = Server::start();
    Admin::of(&server).account("acme/p1", "5.00");
    server
}

/// Replaces one text of the configuration.
fn edit(server: &Server, old: &str, new: &str) {
    server.edit_config(|text| {
        assert!(text.contains(old), "{old}");
        text.replace(old, new)
    });
}

fn await_log(server: &Server, words: &[&str]) {
    eventually(&format!("the log says {words:?}"), || {
        let said = server.output();
        let is_there = |line: &str| words.iter().all(|word| line.contains(word));
        said.lines().any(is_there).then_some(())
    });
}

#[test]
fn a_credential_is_rotated_under_load_without_a_failed_request() {
    let server = serve();
    let uses_new = AtomicBool::new(false);
    let is_over = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    let mut of_old = Wallet::of("acme", &server);
    assert_eq!(of_old.balance("acme/p1")["ErrorCode"], 0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // One connection for all of it.
                let mut client = Client::connect(server.wallet);
                while !is_over.load(Ordering::Acquire) {
                    let password = if uses_new.load(Ordering::Acquire) {
                        "n3w-s3cret"
                    } else {
                        "s3cret-of-acme"
                    };
                    let mut wallet = Wallet::over(client, &common::basic("gw", password));
                    let answer = wallet.balance("acme/p1");
                    assert_eq!(answer["ErrorCode"], 0, "{password}: {answer}");
                    answered.fetch_add(1, Ordering::Relaxed);
                    client = wallet.client;
                }
            });
        }
        let progress = || {
            let now = answered.load(Ordering::Relaxed);
            eventually("more is answered", || {
                (answered.load(Ordering::Relaxed) > now + 50).then_some(())
            });
        };
        progress();
        edit(&server, OLD, &format!("{OLD}, {NEW}"));
        assert_eq!(server.reload(), "done");
        progress();
        uses_new.store(true, Ordering::Release);
        progress();
        edit(&server, &format!("{OLD}, {NEW}"), NEW);
        assert_eq!(server.reload(), "done");
        progress();
        is_over.store(true, Ordering::Release);
    });
    // What an old connection has shown before counts no longer.
    assert_eq!(of_old.balance("acme/p1")["ErrorCode"], -6);
    await_log(&server, &["read again", "domain acme: credentials"]);
    for secret in ["s3cret-of-acme", "n3w-s3cret"] {
        assert!(!server.output().contains(secret));
    }
}

#[test]
fn a_configuration_that_cannot_take_effect_is_refused_whole() {
    let server = serve();
    let good = std::fs::read_to_string(server.home.path().join("purser.toml")).unwrap();
    let cases = [
        ("shards = 2", "shards = two", "shards"),
        ("log_level = \"info\"", "log_level = \"loud\"", "log_level"),
        ("[limits]", "[limit]", "unknown key"),
        ("shards = 2", "shards = 1", "shards has changed"),
        (
            "segment_bytes = 1048576",
            "segment_bytes = 2097152",
            "log.segment_bytes",
        ),
        ("data_dir = \"", "data_dir = \"/elsewhere", "data_dir"),
        ("currency = \"KWD\"", "currency = \"JPY\"", "domain gulf"),
        (
            "[limits]",
            "[listen.tls]\ncertificate = \"/no/such\"\nkey = \"/no/such\"\n[limits]",
            "/no/such",
        ),
    ];
    let mut wallet = Wallet::of("acme", &server);
    for (old, new, reason) in cases {
        // A good change beside the bad one: neither takes effect.
        edit(&server, OLD, NEW);
        edit(&server, old, new);
        assert_eq!(server.reload(), "refused", "{new}");
        await_log(&server, &["refused", reason]);
        assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0, "{new}");
        server.edit_config(|_| good.clone());
    }
    std::fs::remove_file(server.home.path().join("purser.toml")).unwrap();
    assert_eq!(server.reload(), "refused");
    std::fs::write(server.home.path().join("purser.toml"), &good).unwrap();
    assert_eq!(server.reload(), "done");
    assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
}

#[test]
fn a_domain_comes_and_goes_and_keeps_its_currency() {
    let server = serve();
    let domain = "\n[[domain]]\nname = \"late\"\ncurrency = \"JPY\"\n\
                  credentials = [{ user = \"gw\", password = \"s3cret-of-late\" }]\n";
    let mut wallet = Wallet::of("late", &server);
    assert_eq!(wallet.balance("late/p1")["ErrorCode"], -5);
    server.edit_config(|text| text + domain);
    assert_eq!(server.reload(), "done");
    // The admin API knows it too.
    Admin::of(&server).account("late/p1", "500");
    assert_eq!(wallet.balance("late/p1")["Balance"]["CashFunds"], "500");
    edit(&server, domain, "");
    assert_eq!(server.reload(), "done");
    assert_eq!(wallet.balance("late/p1")["ErrorCode"], -5);
    let in_pounds = domain.replace("JPY", "GBP");
    server.edit_config(|text| text + &in_pounds);
    assert_eq!(server.reload(), "refused");
    edit(&server, &in_pounds, domain);
    assert_eq!(server.reload(), "done");
    assert_eq!(wallet.balance("late/p1")["Balance"]["CashFunds"], "500");
}

#[test]
fn allow_lists_signature_keys_and_settings_change_for_open_connections() {
    let server = serve();
    let mut wallet = Wallet::of("acme", &server);
    assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
    for line in [
        "allow = [\"10.0.0.0/8\"]",
        "platform_keys = [\"XX\"]",
        "signature_keys = [{ key = \"0123456789abcdef0123456789abcdef\" }]",
    ] {
        let with = format!("name = \"acme\"\n{line}");
        edit(&server, "name = \"acme\"", &with);
        assert_eq!(server.reload(), "done");
        assert_eq!(wallet.balance("acme/p1")["ErrorCode"], -6, "{line}");
        edit(&server, &with, "name = \"acme\"");
        assert_eq!(server.reload(), "done");
        assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0, "{line}");
    }
}

#[test]
fn limits_change_for_open_connections_and_nobody_is_cut() {
    let server = serve();
    let mut wallet = Wallet::of("acme", &server);
    let body = Members::balance("acme/p1").with("Padding", &common::text(&"x".repeat(2_000)));
    assert_eq!(wallet.post(BALANCE, body.json())["ErrorCode"], 0);
    let others: Vec<Client> = (0..3).map(|_| Client::connect(server.wallet)).collect();
    edit(
        &server,
        "[limits]",
        "[limits]\nmax_body_bytes = 1024\nmax_connections = 1",
    );
    assert_eq!(server.reload(), "done");
    assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
    // Beyond the new limit, and open all the same.
    for mut client in others {
        assert_eq!(client.call(&Request::new("GET", "/healthz")).status, 200);
    }
    let mut late = Client::connect(server.wallet);
    assert_eq!(late.call(&Request::new("GET", "/healthz")).status, 503);
    assert_eq!(wallet.answer(BALANCE, body.json()).status, 413);
}

#[test]
fn a_certificate_is_renewed_while_connections_stay() {
    let identity = Identity::new();
    let server = Setup {
        tls: identity.table(),
        ..Setup::default()
    }
    .start();
    Admin::of(&server).account("acme/p1", "5.00");
    let client = identity.client();
    let mut wallet = Wallet::over(
        client.connect(server.wallet),
        &common::basic("gw", "s3cret-of-acme"),
    );
    assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
    let before = certificate_shown(&client, server.wallet);
    let renewed = identity.authority.issue("wallet.test", 2021, 2090);
    // Half of it is there: refused, and the old one is shown.
    identity.write("cert.pem", &renewed.certificate_pem());
    assert_eq!(server.reload(), "refused");
    await_log(&server, &["refused", "is not the key of the certificate"]);
    assert_eq!(certificate_shown(&client, server.wallet), before);
    identity.install(&renewed);
    assert_eq!(server.reload(), "done");
    await_log(&server, &["read again", "listen.tls"]);
    for _ in 0..4 {
        let shown = certificate_shown(&client, server.wallet);
        assert_eq!(shown, renewed.certificate_der());
    }
    assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
    let expiry = "purser_tls_certificate_expiry_timestamp_seconds";
    assert_eq!(
        Admin::of(&server).metric_sum(expiry),
        3_786_912_000.0,
        "2090-01-01"
    );
    // From now on clients must show one; who is connected need not.
    server.edit_config(|text| text.replace(&identity.table(), &identity.table_with_client_ca()));
    assert_eq!(server.reload(), "done");
    assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
    let platform = identity.authority.issue("platform.test", 2020, 2100);
    let authorization = common::basic("gw", "s3cret-of-acme");
    let showing = client.showing(&platform).connect(server.wallet);
    let mut showing = Wallet::over(showing, &authorization);
    assert_eq!(showing.balance("acme/p1")["ErrorCode"], 0);
}

#[test]
fn the_log_level_changes() {
    let server = serve();
    let mut wallet = Wallet::of("acme", &server);
    let answered = || server.output().matches("answered").count();
    wallet.balance("acme/p1");
    assert_eq!(answered(), 0);
    edit(&server, "log_level = \"info\"", "log_level = \"debug\"");
    assert_eq!(server.reload(), "done");
    wallet.balance("acme/p1");
    await_log(&server, &["answered", "balance"]);
    edit(&server, "log_level = \"debug\"", "log_level = \"warn\"");
    assert_eq!(server.reload(), "done");
    let before = answered();
    wallet.balance("acme/p1");
    // Whatever is logged of it would stand before this.
    edit(&server, "shards = 2", "shards = 1");
    assert_eq!(server.reload(), "refused");
    await_log(&server, &["refused"]);
    assert_eq!(answered(), before);
}

#[test]
fn the_admin_token_is_replaced() {
    let server = serve();
    let account = "/admin/v1/accounts/acme/p1";
    edit(&server, ADMIN_TOKEN, "an0ther-t0ken");
    assert_eq!(server.reload(), "done");
    assert_eq!(Admin::of(&server).get(account).status, 401);
    let mut admin = Admin::with_token(&server, "an0ther-t0ken");
    assert_eq!(admin.get(account).status, 200);
}

#[test]
fn a_storm_of_signals_ends_with_the_last_configuration() {
    let server = serve();
    for round in 0..20 {
        let connections = 1_000 + round;
        server.edit_config(|text| {
            let rest = text.split("[limits]").nth(1).unwrap();
            let rest = rest.split_once("[[domain]]").unwrap().1;
            let head = text.split("[limits]").next().unwrap();
            format!("{head}[limits]\nmax_connections = {connections}\n\n[[domain]]{rest}")
        });
        server.signal(Signal::SIGHUP);
    }
    edit(&server, OLD, NEW);
    assert_eq!(server.reload(), "done");
    let mut wallet = Wallet::with_credentials("gw", "n3w-s3cret", server.wallet);
    eventually("the last configuration is in force", || {
        (wallet.balance("acme/p1")["ErrorCode"] == 0).then_some(())
    });
}

#[test]
fn a_reload_does_not_get_in_the_way_of_a_drain() {
    let server = serve();
    server.signal(Signal::SIGHUP);
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn the_demo_has_nothing_to_read_again_and_drains_with_its_terminal() {
    let server = Server::demo(&[]);
    server.signal(Signal::SIGHUP);
    let ended = server.ended();
    assert!(ended.status.success(), "{ended:?}");
}
