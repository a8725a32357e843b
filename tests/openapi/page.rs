//! What is served of it: the document, and the page that tries it out.

use super::*;
use crate::common::{ADMIN_TOKEN, Admin, Browser};

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
