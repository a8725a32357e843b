//! The OpenAPI document and its page: complete, served, and true.
//!
//! That requests and answers agree with the document is asserted by the helpers of all
//! black-box tests (`common/contract.rs`). Without Chromium the test that clicks on the page
//! says that it is skipped.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use common::{
    ADMIN_TOKEN, Admin, Answer, Api, Browser, Client, Operation, Request, Server, Wallet,
    assert_agrees, document, now_millis, token_at,
};
use serde_json::Value;

/// Parts of the pages are no interface.
const UNDOCUMENTED: [&str; 2] = ["/docs/{file}", "/dashboard/{file}"];

/// The paths that stand in a source file, up to its tests: string literals of that beginning.
fn paths_in(file: &str, beginnings: &[&str]) -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    let found = code.split('"').skip(1).step_by(2);
    found
        .filter(|literal| beginnings.iter().any(|start| literal.starts_with(start)))
        .map(str::to_owned)
        .collect()
}

fn documented(api: Api) -> BTreeSet<String> {
    let operations = document().operations(api);
    operations
        .into_iter()
        .map(|operation| operation.path)
        .collect()
}

#[test]
fn every_path_of_the_wallet_is_in_the_document_and_the_other_way_round() {
    let served = paths_in("src/wallet/routes.rs", &["/v1.0/", "/healthz"]);
    assert_eq!(served.len(), 11, "{served:?}");
    assert_eq!(documented(Api::Wallet), served);
}

#[test]
fn every_path_of_the_admin_api_is_in_the_document_and_the_other_way_round() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/routes.rs"))
            .unwrap();
    let (guarded, open) = text
        .split_once("Router::new()")
        .and_then(|(_, rest)| rest.split_once("Router::new()"))
        .expect("two routers, the guarded one first");
    // What stands behind each `.route(`.
    let routes = |code: &str| -> Vec<String> {
        let calls = code.split(".route(").skip(1);
        let first_literal = |call: &str| call.split('"').nth(1).unwrap().to_owned();
        calls.map(first_literal).collect()
    };
    let guarded = routes(guarded)
        .into_iter()
        .map(|path| format!("/admin/v1{path}"));
    let served: BTreeSet<String> = guarded
        .chain(routes(open))
        .filter(|path| !UNDOCUMENTED.contains(&path.as_str()))
        .collect();
    assert!(served.len() >= 16, "{served:?}");
    assert_eq!(documented(Api::Admin), served);
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

#[test]
fn every_method_of_a_path_is_in_the_document_and_the_other_way_round() {
    let server = Server::start();
    for (api, address) in [(Api::Wallet, server.wallet), (Api::Admin, server.admin)] {
        let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for operation in document().operations(api) {
            let of_path = methods.entry(filled(&operation)).or_default();
            of_path.insert(operation.method.to_uppercase());
        }
        for (path, documented) in methods {
            let request = Request::new("PATCH", &path)
                .field("Authorization", &format!("Bearer {ADMIN_TOKEN}"));
            let answer = Client::connect(address).call(&request);
            assert_eq!(answer.status, 405, "{path}: {answer:?}");
            let allowed = answer.field("Allow").unwrap().split(',');
            // HEAD is as GET, without the body (RFC 9110 section 9.3.2).
            let served: BTreeSet<String> = allowed
                .map(|method| method.trim().to_owned())
                .filter(|method| method != "HEAD")
                .collect();
            assert_eq!(documented, served, "{path}");
        }
    }
}

fn get(server: &Server, path: &str) -> Answer {
    Client::connect(server.admin).call(&Request::new("GET", path))
}

#[test]
fn the_document_is_served_with_the_addresses_of_this_server_and_needs_no_token() {
    let server = Server::start();
    let request = Request::raw(&format!(
        "GET /openapi.json HTTP/1.1\r\nHost: {}\r\n",
        server.admin
    ));
    let answer = Client::connect(server.admin).call(&request);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_agrees(Api::Admin, &request, &answer);
    let served = answer.json();
    assert_eq!(served["openapi"], "3.1.0");
    let url = |path: &str, at: usize| served["paths"][path]["servers"][at]["url"].clone();
    assert_eq!(url("/v1.0/balance", 0), format!("http://{}", server.wallet));
    assert_eq!(url("/healthz", 0), format!("http://{}", server.wallet));
    assert_eq!(url("/healthz", 1), format!("http://{}", server.admin));
    assert_eq!(
        url("/admin/v1/import", 0),
        format!("http://{}", server.admin)
    );
    // Nothing but the addresses differs from what stands in the repository.
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let written = text
        .replace(&format!("http://{}", server.wallet), Api::Wallet.server())
        .replace(&format!("http://{}", server.admin), Api::Admin.server());
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written, document().root);
}

#[test]
fn the_page_and_its_parts_are_served_and_may_load_nothing_else() {
    let server = Server::start();
    let page = get(&server, "/docs");
    assert_eq!(page.status, 200, "{page:?}");
    let html = String::from_utf8(page.body.clone()).unwrap();
    let mut parts: Vec<String> = Vec::new();
    for attribute in ["href=\"", "src=\""] {
        let values = html.split(attribute).skip(1);
        let values = values.map(|rest| rest.split('"').next().unwrap());
        parts.extend(values.filter(|v| v.starts_with("docs/")).map(str::to_owned));
    }
    assert_eq!(parts, ["docs/page.css", "docs/page.js"]);
    let script = String::from_utf8(get(&server, "/docs/page.js").body).unwrap();
    let imports = script.split("from \"./").skip(1);
    let imports = imports.map(|rest| format!("docs/{}", rest.split('"').next().unwrap()));
    parts.extend(imports);
    assert_eq!(parts.len(), 5, "{parts:?}");
    for path in parts
        .iter()
        .map(|part| format!("/{part}"))
        .chain(["/docs".to_owned()])
    {
        let answer = get(&server, &path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.is_empty(), "{path}");
        let policy = answer.field("Content-Security-Policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains("http"),
            "{policy}"
        );
        assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"));
    }
    for nowhere in [
        "/docs/",
        "/docs/mod.rs",
        "/docs/..%2Fmod.rs",
        "/docs/page.css/x",
    ] {
        assert_eq!(get(&server, nowhere).status, 404, "{nowhere}");
    }
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

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let root = &document().root;
    let mut named = BTreeSet::new();
    walk(root, "", &mut |pointer, node| {
        if let Some(reference) = node.get("$ref") {
            let target = reference.as_str().unwrap().strip_prefix('#').unwrap();
            assert!(root.pointer(target).is_some(), "{pointer}: {reference}");
            named.insert(target.to_owned());
        }
    });
    for kind in ["schemas", "responses", "parameters"] {
        for name in root["components"][kind].as_object().unwrap().keys() {
            let pointer = format!("/components/{kind}/{name}");
            assert!(named.contains(&pointer), "nothing uses {pointer}");
        }
    }
}

#[test]
fn every_example_is_one_of_its_schema() {
    let document = document();
    let mut checked = 0;
    let mut check = |schema: &str, value: &Value| {
        if let Err(why) = document.validate(schema, value) {
            panic!("{schema}: {value}: {why}");
        }
        checked += 1;
    };
    walk(&document.root, "", &mut |pointer, node| {
        let schema = format!("{pointer}/schema");
        if document.root.pointer(&schema).is_some() {
            // A media type or a parameter.
            if let Some(example) = node.get("example") {
                check(&schema, example);
            }
            for example in node["examples"].as_object().into_iter().flatten() {
                check(&schema, &example.1["value"]);
            }
        }
        let of_schema = pointer.contains("/schemas/") && !pointer.ends_with("/properties");
        if of_schema && let Some(examples) = node.get("examples").and_then(Value::as_array) {
            for example in examples {
                check(pointer, example);
            }
        }
    });
    assert!(checked > 80, "only {checked} examples were found");
}

#[test]
fn operations_are_named_once_and_grouped_by_tags_that_exist() {
    let document = document();
    let group_tags: Vec<&Value> = document.root["x-tagGroups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["tags"].as_array().unwrap())
        .collect();
    let tags = document.root["tags"].as_array().unwrap();
    let tags: Vec<&Value> = tags.iter().map(|tag| &tag["name"]).collect();
    assert_eq!(group_tags, tags);
    let mut ids = BTreeMap::new();
    for api in [Api::Wallet, Api::Admin] {
        for operation in document.operations(api) {
            let tag = document.of(&operation, "/tags/0").unwrap();
            assert!(tags.contains(&tag), "{operation:?}");
            let id = document.of(&operation, "/operationId").unwrap().to_string();
            let path = operation.path;
            let before = ids.insert(id.clone(), path.clone());
            assert!(before.is_none_or(|other| other == path), "{id} twice");
        }
    }
}

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

/// Fills in a field of the page as a person does: all of it is typed anew.
fn fill(browser: &mut Browser, field: &str, text: &str) {
    browser.eval(&format!("document.querySelector('{field}').select()"));
    browser.write(text);
}

/// Clicks `Send` of an operation and waits for an answer that begins with `line`.
fn send(browser: &mut Browser, operation: &str, line: &str) -> String {
    let answer = format!("#{operation} form [aria-live]");
    browser.eval(&format!(
        "document.querySelector('{answer}').replaceChildren()"
    ));
    browser.eval(&format!(
        "document.querySelector('#{operation} form .send').click()"
    ));
    browser.until(
        line,
        &format!("document.querySelector('{answer}').innerText.startsWith('{line}')"),
    );
    browser.text(&answer)
}

#[test]
fn the_page_tries_out_what_a_person_types() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    Admin::of(&server).account("acme/a%20b%3F%2Fc", "12.34");
    browser.resize(1280, 900);
    browser.open(&format!("http://{}/docs", server.admin));
    browser.until(
        "the document is shown",
        "document.querySelectorAll('.operation').length > 20",
    );

    let refused = send(&mut browser, "readAccount", "Type the admin token");
    assert!(refused.contains("at the top of the page"), "{refused}");
    assert_eq!(browser.eval("document.activeElement.id"), "token");
    browser.write("wrong");
    send(&mut browser, "readAccount", "401 Unauthorized");
    fill(&mut browser, "#token", ADMIN_TOKEN);
    let unknown = send(&mut browser, "readAccount", "404 Not Found");
    assert!(unknown.contains("no domain"), "{unknown}");

    // A name that a path would take for something else; sent by keyboard.
    fill(&mut browser, "#readAccount-domain", "acme");
    fill(&mut browser, "#readAccount-player", "a b?/c");
    browser.press("Enter");
    let account = "#readAccount form [aria-live]";
    browser.until(
        "the account is read",
        &format!("document.querySelector('{account}').innerText.startsWith('200')"),
    );
    let read = browser.text(account);
    assert!(read.contains("\"CashFunds\": \"12.34\""), "{read}");
    let command = browser.text("#readAccount form ~ *:last-child");
    assert!(
        command.contains("/admin/v1/accounts/acme/a%20b%3F%2Fc"),
        "{command}"
    );
    assert!(!command.contains(ADMIN_TOKEN), "{command}");

    fill(&mut browser, "#deposit-domain", "acme");
    fill(&mut browser, "#deposit-player", "a b?/c");
    let paid = send(&mut browser, "deposit", "200 OK");
    assert!(paid.contains("\"CashFunds\": \"112.34\""), "{paid}");
    // The same id with another amount, then no JSON at all.
    let other = r#"{"TransactionID":"d-1","Amount":"0.01"}"#;
    fill(&mut browser, "#deposit-body", other);
    send(&mut browser, "deposit", "409 Conflict");
    fill(&mut browser, "#deposit-body", "{");
    send(&mut browser, "deposit", "400 Bad Request");
    // What needs no token, and what is no JSON.
    let metrics = send(&mut browser, "metrics", "200 OK");
    assert!(metrics.contains("purser_build_info"), "{metrics}");

    for width in [360, 768, 1280] {
        browser.resize(width, 900);
        let beyond = browser.eval("document.documentElement.scrollWidth - window.innerWidth");
        assert!(
            beyond.as_i64().unwrap() <= 0,
            "{width} px: {beyond} px beyond"
        );
    }
    // The token is in its field and nowhere else.
    let kept = browser.eval("sessionStorage.length + localStorage.length + document.cookie.length");
    assert_eq!(kept, 0);
    assert_eq!(browser.complaints(), [] as [&str; 0]);
}
