//! Every example and every command of the document works against the demo.

use std::fs;
use std::process::Command;

use super::*;
use crate::common::{Admin, Wallet, now_millis, token_at};

/// The key of a player's session, as the demo wrote it down.
fn demo_key(server: &Server, account: &str) -> String {
    let file = server.home.path().join("purser-data/demo-accounts.json");
    let players: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let player = players.as_array().unwrap().iter();
    let mut player = player.filter(|player| player["OperatorAccountID"] == account);
    player.next().unwrap()["SessionKey"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn every_example_of_the_wallet_works_against_the_demo() {
    let server = Server::demo(&[]);
    let key = demo_key(&server, "demo/player-1");
    let mut wallet = Wallet::with_credentials("demo", "demo", server.wallet);
    let mut tried = 0;
    // The order of a player's evening, which is not that of the alphabet.
    let mut operations = document().operations(Api::Wallet);
    operations.retain(|operation| operation.method == "post");
    let sequence = |operation: &Operation| -> u32 {
        let example = document().of(operation, "/requestBody/content/application~1json/example");
        example.unwrap()["Sequence"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    operations.sort_by_key(sequence);
    for operation in &operations {
        let body = "/requestBody/content/application~1json/example";
        let mut body = document().of(operation, body).unwrap().clone();
        body["Timestamp"] = now_millis().into();
        for (member, value) in [
            ("GatewaySessionToken", key.clone()),
            ("SessionToken", token_at(&key, now_millis())),
        ] {
            if body.get(member).is_some() {
                body[member] = value.into();
            }
        }
        let answer = wallet.post(&operation.path, body.to_string());
        assert_eq!(answer["ErrorCode"], 0, "{}: {answer}", operation.path);
        tried += 1;
    }
    assert_eq!(tried, 10);
}

#[test]
fn every_command_of_the_document_works_against_the_demo() {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI needs curl");
        eprintln!("SKIPPED: curl is not installed");
        return;
    }
    let server = Server::demo(&[]);
    let served = get(&server, "/openapi.json").json();
    let mut commands = Vec::new();
    walk(&served, "", &mut |pointer, node| {
        if pointer.ends_with("/x-codeSamples/0") {
            let source = node["source"].as_str().unwrap();
            let at = source.find("\"Sequence\": \"").unwrap() + "\"Sequence\": \"".len();
            let sequence: u32 = source[at..].split('"').next().unwrap().parse().unwrap();
            commands.push((sequence, source.to_owned()));
        }
    });
    commands.sort();
    assert_eq!(commands.len(), 10);
    for (_, command) in commands {
        let output = Command::new("sh")
            .args(["-e", "-c", &command])
            .current_dir(server.home.path())
            .env("no_proxy", "*")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            printed.starts_with("{\"ErrorCode\":0"),
            "{command}\n{printed}"
        );
    }
}

#[test]
fn every_example_of_the_admin_api_works_against_the_demo() {
    let server = Server::demo(&[]);
    let key = demo_key(&server, "demo/player-1");
    let mut admin = Admin::with_token(&server, "demo");
    let mut operations = document().operations(Api::Admin);
    // A stream has no end; `tests/dashboard.rs` reads it.
    let streams = "/responses/200/content/text~1event-stream";
    operations.retain(|operation| document().of(operation, streams).is_none());
    // Who is logged out is not read after that.
    operations.sort_by_key(|operation| operation.method == "delete");
    for operation in &operations {
        let written = filled(operation);
        let target = match written.rsplit_once("/sessions/") {
            Some((before, _)) => format!("{before}/sessions/{key}"),
            None => written,
        };
        let content = document().of(operation, "/requestBody/content");
        let body = content.map(|content| {
            let media = content.as_object().unwrap().values().next().unwrap();
            match &media["example"] {
                Value::String(lines) => lines.clone(),
                other => other.to_string(),
            }
        });
        let method = operation.method.to_uppercase();
        let answer = admin.call(&method, &target, body.as_deref());
        assert!(
            (200..300).contains(&answer.status),
            "{method} {target}: {answer:?}"
        );
    }
}
