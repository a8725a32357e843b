//! Who may call: credentials, client networks, platform keys (protocol.md section 5).

mod common;

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{Admin, Client, Server, Wallet, basic, refused};

/// A server whose domain has `p1` with 5.00.
fn server_with(domain: &str) -> Server {
    let server = Server::start();
    Admin::of(&server).account(&format!("{domain}/p1"), "5.00");
    server
}

fn balance_with(server: &Server, authorization: &str, account: &str) -> serde_json::Value {
    Wallet::over(Client::connect(server.wallet), authorization).balance(account)
}

#[test]
fn credentials_must_be_right_and_errors_do_not_say_what_was_wrong() {
    let server = server_with("acme");
    let right = STANDARD.encode("gw:s3cret-of-acme");
    let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let accepted = [
        format!("Basic {right}"),
        format!("basic {right}"),
        format!("BASIC {right}"),
    ];
    for authorization in accepted {
        let answer = balance_with(&server, &authorization, "acme/p1");
        assert_eq!(answer["ErrorCode"], 0, "{authorization}: {answer}");
    }
    let wrong = [
        String::new(),
        basic("gw", "wrong"),
        basic("gw", ""),
        basic("", ""),
        basic("GW", "s3cret-of-acme"),
        basic("gw", "S3cret-of-acme"),
        basic("gw", "s3cret-of-acme "),
        basic("gw", "s3cret-of-acm"),
        basic("gw", "s3cret-of-gulf"),
        basic("nobody", "s3cret-of-acme"),
        encoded("gw"),
        encoded("s3cret-of-acme"),
        "Basic".to_owned(),
        "Basic !!!".to_owned(),
        format!("Bearer {right}"),
        format!("Basic{right}"),
        right.clone(),
        "gw:s3cret-of-acme".to_owned(),
    ];
    let mut descriptions: Vec<String> = wrong
        .iter()
        .map(|authorization| {
            let answer = balance_with(&server, authorization, "acme/p1");
            refused(&answer, -6, authorization)
        })
        .collect();
    descriptions.dedup();
    assert_eq!(descriptions.len(), 1, "vague on purpose: {descriptions:?}");
}

#[test]
fn two_authorization_fields_are_not_a_choice() {
    let server = server_with("acme");
    let right = basic("gw", "s3cret-of-acme");
    for (first, second) in [
        (&right, &basic("gw", "wrong")),
        (&basic("gw", "wrong"), &right),
    ] {
        let mut wallet = Wallet::over(Client::connect(server.wallet), first);
        let request = wallet
            .request(common::BALANCE)
            .field("Authorization", second)
            .body(common::Members::balance("acme/p1").json());
        let answer = wallet.client.call(&request);
        let passed = answer.status == 200 && answer.json()["ErrorCode"] == 0;
        assert!(!passed, "{answer:?}");
    }
}

#[test]
fn a_connection_may_change_its_credentials_and_is_judged_each_time() {
    let server = server_with("acme");
    let right = basic("gw", "s3cret-of-acme");
    let mut client = Client::connect(server.wallet);
    for (authorization, code) in [
        (right.clone(), 0),
        (basic("gw", "wrong"), -6),
        (right.clone(), 0),
        (String::new(), -6),
        (right, 0),
    ] {
        let mut wallet = Wallet::over(client, &authorization);
        let answer = wallet.balance("acme/p1");
        assert_eq!(answer["ErrorCode"], code, "{authorization}: {answer}");
        client = wallet.client;
    }
}

#[test]
fn one_connection_serves_several_domains_each_with_its_own_credentials() {
    let server = server_with("acme");
    Admin::of(&server).account("gulf/p1", "1.000");
    let mut client = Client::connect(server.wallet);
    for (domain, account, code) in [
        ("acme", "acme/p1", 0),
        ("gulf", "gulf/p1", 0),
        ("acme", "gulf/p1", -6),
        ("gulf", "acme/p1", -6),
        ("acme", "acme/p1", 0),
    ] {
        let mut wallet = Wallet::over(client, &basic("gw", &format!("s3cret-of-{domain}")));
        let answer = wallet.balance(account);
        assert_eq!(answer["ErrorCode"], code, "{domain} {account}: {answer}");
        client = wallet.client;
    }
}

#[test]
fn several_credentials_are_active_at_once() {
    let server = server_with("rotating");
    let cases = [
        ("old", "s3cret-of-rotating", 0),
        ("new", "with:two:colons", 0),
        ("é", "pässwörd", 0),
        ("new", "with", -6),
        ("new", "with:two", -6),
        ("new:with", "two:colons", 0), // the same bytes on the wire
        ("old", "with:two:colons", -6),
        ("new", "s3cret-of-rotating", -6),
    ];
    for (user, password, code) in cases {
        let answer = balance_with(&server, &basic(user, password), "rotating/p1");
        assert_eq!(answer["ErrorCode"], code, "{user} {password}: {answer}");
    }
}

#[test]
fn platform_keys_are_compared_exactly_where_the_domain_lists_them() {
    let server = server_with("keyed");
    let mut wallet = Wallet::of("keyed", &server);
    for (key, code) in [
        ("MG", 0),
        ("1234", 0),
        ("mg", -6),
        ("M", -6),
        ("MG ", -6),
        ("XX", -6),
    ] {
        let members = common::Members::balance("keyed/p1").with("PlatformKey", &common::text(key));
        let answer = wallet.post(common::BALANCE, members.json());
        assert_eq!(answer["ErrorCode"], code, "{key}: {answer}");
    }
}

/// Asks for the balance of `walled/p1` from an address, with lines of `X-Forwarded-For`.
fn walled(server: &Server, from: &str, lines: &[&str]) -> i64 {
    let from: IpAddr = from.parse().unwrap();
    let client = Client::connect_from(from, server.wallet);
    let mut wallet = Wallet::over(client, &basic("gw", "s3cret-of-walled")).forwarded_for(lines);
    let answer = wallet.balance("walled/p1");
    answer["ErrorCode"].as_i64().unwrap()
}

#[test]
fn the_allow_list_judges_the_peer_unless_a_trusted_proxy_speaks_for_another() {
    let server = server_with("walled");
    // 127.0.0.1 is a trusted proxy and not allowed; 127.0.0.9 is allowed, not trusted.
    let cases: [(&str, &[&str], i64); 28] = [
        ("127.0.0.1", &[], -6),
        ("127.0.0.2", &[], -6),
        ("127.0.0.9", &[], 0),
        // Only a trusted peer is believed.
        ("127.0.0.2", &["10.20.0.1"], -6),
        ("127.0.0.9", &["192.0.2.1"], 0),
        ("127.0.0.9", &["nonsense"], 0),
        // Its last word is the client.
        ("127.0.0.1", &["10.20.0.1"], 0),
        ("127.0.0.1", &["10.20.255.255"], 0),
        ("127.0.0.1", &["10.21.0.0"], -6),
        ("127.0.0.1", &["2001:db8::1"], 0),
        ("127.0.0.1", &["2001:db9::1"], -6),
        ("127.0.0.1", &["192.0.2.1, 10.20.0.1"], 0),
        ("127.0.0.1", &["10.20.0.1, 192.0.2.1"], -6),
        ("127.0.0.1", &["192.0.2.1,10.20.0.1"], 0),
        ("127.0.0.1", &["\t10.20.0.1 "], 0),
        // Trusted entries are skipped; several lines are one list.
        ("127.0.0.1", &["10.20.0.1, 10.9.0.1"], 0),
        ("127.0.0.1", &["10.20.0.1, 10.9.0.1, 127.0.0.1"], 0),
        ("127.0.0.1", &["192.0.2.1, 10.20.0.1, 2001:db8:9::5"], 0),
        ("127.0.0.1", &["10.20.0.1", "10.9.0.1"], 0),
        ("127.0.0.1", &["10.20.0.1", "192.0.2.1"], -6),
        // All trusted: the leftmost is the client. 2001:db8:9:: is allowed as well.
        ("127.0.0.1", &["10.9.0.1, 10.9.0.2"], -6),
        ("127.0.0.1", &["2001:db8:9::5, 10.9.0.2"], 0),
        ("127.0.0.1", &["10.9.0.2, 2001:db8:9::5"], -6),
        // An IPv4-mapped address equals its IPv4 address.
        ("127.0.0.1", &["::ffff:10.20.0.1"], 0),
        ("127.0.0.1", &["10.20.0.1, ::ffff:10.9.0.1"], 0),
        // No plain address.
        ("127.0.0.1", &["10.20.0.1:443"], -6),
        ("127.0.0.1", &["[2001:db8::1]"], -6),
        ("127.0.0.1", &["unknown"], -6),
    ];
    for (from, lines, code) in cases {
        assert_eq!(walled(&server, from, lines), code, "{from} {lines:?}");
    }
}

#[test]
fn the_address_is_judged_before_the_password_and_both_are_equally_vague() {
    let server = server_with("walled");
    let right = basic("gw", "s3cret-of-walled");
    let say = |authorization: &str, client: &str| {
        let connection = Client::connect(server.wallet);
        let mut wallet = Wallet::over(connection, authorization).forwarded_for(&[client]);
        refused(&wallet.balance("walled/p1"), -6, client)
    };
    for text in [
        say(&right, "192.0.2.1"),
        say(&basic("gw", "wrong"), "10.20.0.1"),
    ] {
        for secret in ["s3cret", "gw", "10.20", "2001:db8", "192.0.2.1"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn domains_without_a_list_take_any_address() {
    let server = server_with("acme");
    for from in ["127.0.0.1", "127.0.0.2"] {
        for lines in [&[][..], &["192.0.2.1"], &["10.9.0.1"]] {
            let client = Client::connect_from(from.parse().unwrap(), server.wallet);
            let mut wallet =
                Wallet::over(client, &basic("gw", "s3cret-of-acme")).forwarded_for(lines);
            let answer = wallet.balance("acme/p1");
            assert_eq!(answer["ErrorCode"], 0, "{from} {lines:?}: {answer}");
        }
    }
    let mut wallet = Wallet::of("acme", &server).forwarded_for(&["192.0.2.1:80"]);
    refused(&wallet.balance("acme/p1"), -6, "no plain address");
}
