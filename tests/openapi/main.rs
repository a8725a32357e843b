//! The OpenAPI document and its page: complete, served, and true.
//!
//! That requests and answers agree with the document is asserted by the helpers of all
//! black-box tests (`common/contract.rs`). Without Chromium the test that clicks on the page
//! says that it is skipped.

#[path = "../common/mod.rs"]
mod common;

mod demo;
mod document;
mod page;
mod routes;

use common::{Answer, Api, Client, Operation, Request, Server, assert_agrees, document};
use serde_json::Value;

fn get(server: &Server, path: &str) -> Answer {
    Client::connect(server.admin).call(&Request::new("GET", path))
}

/// A path with its template's examples in place.
fn filled(operation: &Operation) -> String {
    let document = document();
    let mut path = operation.path.clone();
    for pointer in document.parameters(operation) {
        let parameter = document.root.pointer(&pointer).unwrap();
        if parameter["in"] == "path" {
            let name = format!("{{{}}}", parameter["name"].as_str().unwrap());
            path = path.replace(&name, parameter["example"].as_str().unwrap());
        }
    }
    path
}

/// Calls `visit` with the pointer of every node of a document.
fn walk(node: &Value, pointer: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(pointer, node);
    let escaped = |step: &str| step.replace('~', "~0").replace('/', "~1");
    match node {
        Value::Object(members) => {
            for (name, member) in members {
                walk(member, &format!("{pointer}/{}", escaped(name)), visit);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &format!("{pointer}/{at}"), visit);
            }
        }
        _ => {}
    }
}

fn answer(status: u16, body: &str) -> Answer {
    let fields = [("Content-Type", "application/json")];
    Answer {
        status,
        version: "HTTP/1.1".to_owned(),
        fields: fields.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
        body: body.into(),
    }
}

#[test]
fn the_judge_of_all_tests_notices_each_kind_of_disagreement() {
    let balance = |account: &str, body: &str| {
        let request = Request::new("POST", "/v1.0/balance").body(format!(
            r#"{{"PlatformKey":"MG","Sequence":"1","Timestamp":1,"OperatorAccountID":{account}}}"#
        ));
        (Api::Wallet, request, answer(200, body))
    };
    let status = |body: &str, status, told: &str| {
        let target = "/admin/v1/accounts/acme/p1/status";
        let request = Request::new("PUT", target).body(body);
        (Api::Admin, request, answer(status, told))
    };
    let funds =
        r#""CurrencyCode":"GBP","CashFunds":"1.00","BonusFunds":"0.00","FundsPriority":"Unknown""#;
    let good = format!(r#"{{"ErrorCode":0,"Balance":{{{funds}}}}}"#);
    let missing = r#"{"ErrorCode":-6,"ErrorDescription":"Sequence: required"}"#;
    let unknown = r#"{"ErrorCode":-5,"ErrorDescription":"OperatorAccountID: unknown domain"}"#;
    let invalid = r#"{"Error":"invalid_request","Message":"Status: is required"}"#;
    let cases = [
        (balance(r#""a/b""#, &good), true),
        (balance(r#""a/b""#, unknown), true),
        (status(r#"{"Status":"Gone"}"#, 400, invalid), true),
        // An answer with a member more, with money as a number, with a code of another
        // endpoint, with a status or a path that is nowhere.
        (
            balance(
                r#""a/b""#,
                &good.replace("{\"ErrorCode", "{\"More\":1,\"ErrorCode"),
            ),
            false,
        ),
        (
            balance(r#""a/b""#, &good.replace("\"1.00\"", "1.00")),
            false,
        ),
        (balance(r#""a/b""#, &unknown.replace("-5", "-14")), false),
        (status(r#"{"Status":"Gone"}"#, 402, invalid), false),
        (
            (Api::Wallet, Request::new("GET", "/v2"), answer(200, "{}")),
            false,
        ),
        // Understood, and forbidden.
        (balance(r#""nobody""#, &good), false),
        (balance("7", unknown), false),
        // Allowed, and refused for its form.
        (balance(r#""a/b""#, missing), false),
        (status(r#"{"Status":"Active"}"#, 400, invalid), false),
    ];
    for (at, ((api, request, answer), agrees)) in cases.into_iter().enumerate() {
        let judged = std::panic::catch_unwind(|| assert_agrees(api, &request, &answer));
        assert_eq!(judged.is_ok(), agrees, "case {at}: {answer:?}");
    }
}
