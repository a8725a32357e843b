//! `purser serve --demo`: a first look without a file (operator.md section 3).

mod common;

use std::collections::HashSet;
use std::process::Command;

use common::{Admin, Server, Wallet, now_millis, token_at};
use serde_json::Value;

fn start() -> Server {
    Server::demo(&["--data-dir", "demo-data"])
}

/// The line of the output that starts a curl; it may come after the addresses.
fn printed_curl(server: &Server) -> String {
    common::eventually("a curl is printed", || {
        let output = server.output();
        let complete = &output[..=output.rfind('\n')?];
        let at = complete.find("curl ")?;
        // Lines that end in a backslash go on.
        let mut command = String::new();
        for line in complete[at..].lines() {
            command.push_str(line);
            if !line.ends_with('\\') {
                return Some(command);
            }
            command.push('\n');
        }
        None
    })
}

#[test]
fn a_thousand_players_are_there_with_money_and_a_session() {
    let server = start();
    let file = server.home.path().join("demo-data/demo-accounts.json");
    let players: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(players.len(), 1_000);
    let names: HashSet<&str> = players
        .iter()
        .map(|player| player["OperatorAccountID"].as_str().unwrap())
        .collect();
    let keys: HashSet<&str> = players
        .iter()
        .map(|player| player["SessionKey"].as_str().unwrap())
        .collect();
    assert_eq!(keys.len(), 1_000);
    for number in 1..=1_000 {
        assert!(
            names.contains(&*format!("demo/player-{number}")),
            "{number}"
        );
    }
    let mut wallet = Wallet::with_credentials("demo", "demo", server.wallet);
    for player in players.iter().step_by(97) {
        assert_eq!(player.as_object().unwrap().len(), 2, "{player}");
        let id = player["OperatorAccountID"].as_str().unwrap();
        let key = player["SessionKey"].as_str().unwrap();
        let balance = wallet.balance(id);
        assert_eq!(balance["Balance"]["CashFunds"], "1000.00", "{balance}");
        assert_eq!(balance["Balance"]["CurrencyCode"], "EUR", "{balance}");
        let redeemed = wallet.redeem_token(&token_at(key, now_millis()));
        assert_eq!(redeemed["Result"]["OperatorAccountID"], id, "{redeemed}");
        assert_eq!(&wallet.token(id)[..36], key);
    }
    let mut admin = Admin::with_token(&server, "demo");
    let account = admin.get("/admin/v1/accounts/demo/player-1");
    assert_eq!(account.status, 200, "{account:?}");
}

#[test]
fn the_printed_curl_works_as_it_stands() {
    let server = start();
    let command = printed_curl(&server);
    assert!(command.contains(&server.wallet.to_string()), "{command}");
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert!(output.status.success(), "{command}\n{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let start = said
        .find('{')
        .unwrap_or_else(|| panic!("{command}\n{said}"));
    let body: Value = serde_json::from_str(said[start..].trim()).unwrap();
    assert_eq!(body["ErrorCode"], 0, "{command}\n{said}");
}
