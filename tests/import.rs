//! Many accounts at once (operator.md section 4, `POST /admin/v1/import`).

mod common;

use std::collections::HashMap;

use common::{Admin, Server, Wallet, now_millis, token_at};
use serde_json::{Value, json};

const IMPORT: &str = "/admin/v1/import";

fn line(id: &str, cash: &str, open_session: bool) -> String {
    let account = json!({
        "OperatorAccountID": id,
        "CountryCode": "GB",
        "CashFunds": cash,
        "BonusFunds": "0.00",
        "OpenSession": open_session,
    });
    format!("{account}\n")
}

/// The session keys that an import answered, by account.
fn session_keys(body: &[u8]) -> HashMap<String, String> {
    fn collect(value: &Value, keys: &mut HashMap<String, String>) {
        if let (Some(id), Some(key)) = (
            value["OperatorAccountID"].as_str(),
            value["SessionKey"].as_str(),
        ) {
            keys.insert(id.to_owned(), key.to_owned());
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
            Value::Object(members) => members.values().for_each(|item| collect(item, keys)),
            _ => {}
        }
    }
    let mut keys = HashMap::new();
    for value in serde_json::Deserializer::from_slice(body).into_iter::<Value>() {
        collect(&value.unwrap(), &mut keys);
    }
    keys
}

#[test]
fn an_import_larger_than_any_request_creates_all_its_accounts() {
    const ACCOUNTS: usize = 2_000;
    let server = Server::start();
    let mut admin = Admin::of(&server);
    let body: String = (1..=ACCOUNTS)
        .map(|number| {
            line(
                &format!("acme/i-{number}"),
                &format!("{number}.25"),
                number % 2 == 0,
            )
        })
        .collect();
    assert!(body.len() > 3 * 65_536, "far above max_body_bytes");
    let answer = admin.call("POST", IMPORT, Some(&body));
    assert_eq!(answer.status, 200, "{answer:?}");
    let keys = session_keys(&answer.body);
    assert_eq!(keys.len(), ACCOUNTS / 2);
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(
        said.contains(&ACCOUNTS.to_string()),
        "counts in {said:.300}"
    );

    let mut wallet = Wallet::of("acme", &server);
    for number in (1..=ACCOUNTS).step_by(37) {
        let id = format!("acme/i-{number}");
        let balance = wallet.balance(&id);
        assert_eq!(
            balance["Balance"]["CashFunds"],
            format!("{number}.25"),
            "{balance}"
        );
        match keys.get(&id) {
            Some(key) => {
                let redeemed = wallet.redeem_token(&token_at(key, now_millis()));
                assert_eq!(redeemed["Result"]["OperatorAccountID"], id, "{redeemed}");
            }
            None => assert_eq!(wallet.create_token(&id)["ErrorCode"], -5, "{id}"),
        }
    }
}

#[test]
fn importing_an_account_again_changes_nothing() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/old", "9.00");
    let body = line("acme/old", "1.00", false) + &line("acme/new", "2.00", false);
    for _ in 0..2 {
        let answer = admin.call("POST", IMPORT, Some(&body));
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut wallet = Wallet::of("acme", &server);
        assert_eq!(wallet.balance("acme/old")["Balance"]["CashFunds"], "9.00");
        assert_eq!(wallet.balance("acme/new")["Balance"]["CashFunds"], "2.00");
    }
}

#[test]
fn imports_take_every_domain_and_the_last_line_may_lack_its_end() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    let body = [
        line("nippon/i", "1500", false).replace("0.00", "0"),
        line("gulf/i", "1.005", false).replace("\"0.00\"", "\"0.250\""),
        line("acme/i", "1.00", false),
    ];
    let body = body.concat();
    let answer = admin.call("POST", IMPORT, Some(body.trim_end()));
    assert_eq!(answer.status, 200, "{answer:?}");
    let funds = |domain: &str, member: &str| {
        Wallet::of(domain, &server).balance(&format!("{domain}/i"))["Balance"][member].clone()
    };
    assert_eq!(funds("nippon", "CashFunds"), "1500");
    assert_eq!(funds("gulf", "CashFunds"), "1.005");
    assert_eq!(funds("gulf", "BonusFunds"), "0.250");
    assert_eq!(funds("acme", "CashFunds"), "1.00");
}

#[test]
fn a_bad_line_is_named_and_nothing_is_kept() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    let good = line("acme/g", "1.00", true);
    let cases = [
        "nonsense\n".to_owned(),
        "{}\n".to_owned(),
        "[]\n".to_owned(),
        line("acme", "1.00", false),
        line("acme/", "1.00", false),
        line("unknown/p", "1.00", false),
        line(&format!("acme/{}", "x".repeat(46)), "1.00", false),
        line("acme/b", "1.001", false),
        line("acme/b", "-1.00", false),
        line("acme/b", "one", false),
        line("acme/b", "92233720368547758.08", false),
        line("acme/b", "1.00", false).replace("GB", "GBR"),
        line("acme/b", "1.00", false).replace("CountryCode", "Country"),
        line("acme/b", "1.00", false).replace("false", "\"no\""),
        line("nippon/b", "1", false).replace("0.00", "5"), // has no bonus funds
        line("acme/b", "1.00", false).trim_end().to_owned() + " x\n",
    ];
    for bad in cases {
        let body = format!(
            "{good}{}{bad}{}",
            line("acme/h", "1.00", false),
            line("acme/i", "1.00", false)
        );
        let answer = admin.call("POST", IMPORT, Some(&body));
        // No bonus funds has a code of its own (422); a bad line is 400.
        assert_eq!(answer.status, 400, "{bad}: {answer:?}");
        let error = answer.json();
        assert_eq!(error["Error"], "invalid_request", "{bad}: {error}");
        let message = error["Message"].as_str().unwrap();
        assert!(message.contains("line 3"), "{bad}: {message}");
        let mut wallet = Wallet::of("acme", &server);
        for account in ["acme/g", "acme/h", "acme/i", "acme/b"] {
            assert_eq!(wallet.balance(account)["ErrorCode"], -5, "{bad}: {account}");
        }
    }
}
