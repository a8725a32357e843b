//! The operator's API, as far as this version has it (operator.md section 4).

mod common;

use common::{ADMIN_TOKEN, Admin, Answer, BALANCE, Client, Request, Server, Wallet, basic, text};
use serde_json::{Value, json};

/// Asserts an error's status, its code, and a sentence beside it.
fn assert_error(answer: &Answer, status: u16, code: &str, case: &str) -> String {
    assert_eq!(answer.status, status, "{case}: {answer:?}");
    let body = answer.json();
    assert_eq!(body["Error"], code, "{case}: {body}");
    let message = body["Message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{case}: {body}");
    assert_eq!(body.as_object().unwrap().len(), 2, "{case}: {body}");
    message.to_owned()
}

const P1: &str = "/admin/v1/accounts/acme/p1";

#[test]
fn without_the_token_nothing_is_told_or_done() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "5.00");
    let key = admin.session("acme/p1");
    let session = format!("/admin/v1/sessions/{key}");
    let deposits = format!("{P1}/deposits");
    let sessions = format!("{P1}/sessions");
    let endpoints = [
        ("GET", P1, None),
        ("PUT", P1, Some("{\"CountryCode\":\"GB\"}")),
        (
            "POST",
            &deposits,
            Some("{\"TransactionID\":\"d\",\"Amount\":\"1.00\"}"),
        ),
        ("POST", &sessions, Some("{\"CountryCode\":\"GB\"}")),
        ("GET", &session, None),
        ("DELETE", &session, None),
        ("POST", "/admin/v1/import", Some("")),
        // Not even a bad body is judged.
        ("POST", &deposits, Some("nonsense")),
    ];
    let wrong = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer wrong".to_owned(),
        format!("Bearer {ADMIN_TOKEN}x"),
        format!("Bearer {}", &ADMIN_TOKEN[1..]),
        format!("Basic {ADMIN_TOKEN}"),
        ADMIN_TOKEN.to_owned(),
        basic("gw", "s3cret-of-acme"),
    ];
    for (method, target, body) in endpoints {
        for authorization in &wrong {
            let mut request = Request::new(method, target);
            if !authorization.is_empty() {
                request = request.field("Authorization", authorization);
            }
            if let Some(body) = body {
                request = request.field("Content-Type", "application/json").body(body);
            }
            let answer = Client::connect(server.admin).call(&request);
            let case = format!("{method} {target} {authorization}");
            let message = assert_error(&answer, 401, "unauthorized", &case);
            assert!(!message.contains(ADMIN_TOKEN), "{message}");
        }
    }
    assert_eq!(admin.get(P1).json()["CashFunds"], "5.00");
    assert_eq!(Wallet::of("acme", &server).token("acme/p1")[..36], key);
}

#[test]
fn an_account_is_created_once_and_shown() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    let body = Some(r#"{"CountryCode":"gb"}"#);
    let created = admin.call("PUT", P1, body);
    assert_eq!(created.status, 201, "{created:?}");
    let account = created.json();
    let created_at = account["CreatedAt"].as_str().unwrap();
    assert!(is_rfc_3339(created_at), "{created_at}");
    for (member, value) in [
        ("OperatorAccountID", "acme/p1"),
        ("CurrencyCode", "GBP"),
        ("CountryCode", "GB"),
        ("CashFunds", "0.00"),
        ("BonusFunds", "0.00"),
        ("Status", "Active"),
    ] {
        assert_eq!(account[member], value, "{account}");
    }
    let again = admin.call("PUT", P1, body);
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.json(), account);
    let shown = admin.get(P1);
    assert_eq!(shown.status, 200, "{shown:?}");
    assert_eq!(shown.json(), account);
    assert_eq!(admin.deposit("acme/p1", "d-1", "3.50").status, 200);
    assert_eq!(admin.call("PUT", P1, body).json()["CashFunds"], "3.50");
}

fn is_rfc_3339(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok() && text.as_bytes()[10] == b'T'
}

#[test]
fn accounts_need_a_known_domain_and_a_country() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    let good = r#"{"CountryCode":"GB"}"#;
    let answer = admin.call("PUT", "/admin/v1/accounts/unknown/p1", Some(good));
    assert_error(&answer, 404, "domain_not_found", "PUT");
    for body in [
        "",
        "{}",
        "[]",
        "nonsense",
        r#"{"CountryCode":null}"#,
        r#"{"CountryCode":""}"#,
        r#"{"CountryCode":"GBR"}"#,
        r#"{"CountryCode":"G1"}"#,
        r#"{"CountryCode":44}"#,
        r#"{"countryCode":"GB"}"#,
    ] {
        assert_error(
            &admin.call("PUT", P1, Some(body)),
            400,
            "invalid_request",
            body,
        );
    }
    let long = format!("/admin/v1/accounts/acme/{}", "x".repeat(46));
    assert_error(
        &admin.call("PUT", &long, Some(good)),
        400,
        "invalid_request",
        "51 characters",
    );
    assert_error(
        &admin.get(P1),
        404,
        "account_not_found",
        "nothing was created",
    );
}

#[test]
fn players_are_percent_encoded_where_needed() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    for (target, id) in [
        ("acme/a%2Fb", "acme/a/b"),
        ("acme/a%20b", "acme/a b"),
        ("acme/%C3%A9", "acme/é"),
        ("acme/100%25", "acme/100%"),
        ("acme/a+b", "acme/a+b"),
    ] {
        admin.account(target, "1.00");
        let account = admin.get(&format!("/admin/v1/accounts/{target}")).json();
        assert_eq!(account["OperatorAccountID"], id);
        assert_eq!(account["CashFunds"], "1.00");
        admin.session(target);
        assert_eq!(
            Wallet::of("acme", &server).balance(id)["ErrorCode"],
            0,
            "{id}"
        );
    }
}

#[test]
fn deposits_are_idempotent_by_their_id() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "");
    admin.account("acme/p2", "");
    let steps = [
        ("acme/p1", "d-1", "10.00", "10.00"),
        ("acme/p1", "d-2", "0.05", "10.05"),
        ("acme/p1", "d-1", "10.00", "10.05"), // a repeat shows the current funds
        ("acme/p1", "d-1", "10", "10.05"),    // the same amount in other words
        ("acme/p1", "d-3", "1", "11.05"),
        ("acme/p2", "d-1", "7.00", "7.00"), // ids belong to an account
        ("acme/p1", "D-1", "1.00", "12.05"),
        ("acme/p1", &"x".repeat(50), "1.00", "13.05"),
    ];
    for (account, transaction, amount, funds) in steps {
        let answer = admin.deposit(account, transaction, amount);
        let case = format!("{account} {transaction}: {answer:?}");
        assert_eq!(answer.status, 200, "{case}");
        let expected = json!({"CashFunds": funds, "BonusFunds": "0.00"});
        assert_eq!(answer.json(), expected, "{case}");
    }
    let reused = admin.deposit("acme/p1", "d-1", "10.01");
    assert_error(&reused, 409, "transaction_id_reused", "another amount");
    assert_eq!(admin.get(P1).json()["CashFunds"], "13.05");
}

#[test]
fn deposits_follow_the_digits_of_the_currency() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    for (account, good, shown, bad) in [
        ("acme/p1", "1.50", "1.50", "1.501"),
        ("nippon/p1", "150", "150", "1.5"),
        ("gulf/p1", "1.501", "1.501", "1.5011"),
    ] {
        admin.account(account, "");
        assert_error(
            &admin.deposit(account, "d-1", bad),
            400,
            "invalid_request",
            bad,
        );
        assert_eq!(
            admin.deposit(account, "d-1", good).json()["CashFunds"],
            shown
        );
    }
}

#[test]
fn bad_deposits_change_nothing() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "1.00");
    let target = format!("{P1}/deposits");
    let with_amount = |amount: &str| format!(r#"{{"TransactionID":"d-1","Amount":{amount}}}"#);
    let with_id = |id: &str| format!(r#"{{"TransactionID":{id},"Amount":"1.00"}}"#);
    let bad = [
        String::new(),
        "nonsense".into(),
        "[]".into(),
        "{}".into(),
        r#"{"TransactionID":"d-1"}"#.into(),
        r#"{"Amount":"1.00"}"#.into(),
        with_amount("null"),
        with_amount(r#""""#),
        with_amount("true"),
        with_amount(r#""0""#),
        with_amount(r#""0.00""#),
        with_amount(r#""-0""#),
        with_amount(r#""-1.00""#),
        with_amount(r#""+1.00""#),
        with_amount(r#"" 1.00""#),
        with_amount(r#""1,00""#),
        with_amount(r#""1.001""#),
        with_amount(r#""abc""#),
        with_amount(r#""NaN""#),
        with_amount(r#""0x10""#),
        with_amount(r#""92233720368547758.08""#),
        with_amount(r#""1e400""#),
        with_amount("1.00"), // a JSON number is a binary fraction to many clients
        with_id("null"),
        with_id(r#""""#),
        with_id(&text(&"x".repeat(51))),
        with_id("{}"),
    ];
    for body in bad {
        let answer = admin.call("POST", &target, Some(&body));
        assert_error(&answer, 400, "invalid_request", &body);
    }
    for (account, code) in [
        ("acme/nobody", "account_not_found"),
        ("unknown/p1", "domain_not_found"),
    ] {
        let answer = admin.deposit(account, "d-1", "1.00");
        // The page names both codes for a deposit into a domain that is not there.
        let found = answer.json()["Error"].as_str().unwrap().to_owned();
        let code = if found == "account_not_found" {
            &found
        } else {
            code
        };
        assert_error(&answer, 404, code, account);
    }
    assert_eq!(admin.get(P1).json()["CashFunds"], "1.00");
    // The id is still free.
    assert_eq!(
        admin.deposit("acme/p1", "d-1", "1.00").json()["CashFunds"],
        "2.00"
    );
}

#[test]
fn funds_never_overflow() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    let most = "92233720368547758.07";
    admin.account("acme/p1", most);
    let answer = admin.deposit("acme/p1", "d-1", "0.01");
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert_eq!(admin.get(P1).json()["CashFunds"], most);
}

#[test]
fn sessions_are_opened_shown_and_logged_out() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "1.00");
    let later = "2099-01-01T00:00:00Z";
    for (logout_at, body) in [
        (Value::Null, json!({"CountryCode": "fr"})),
        (Value::Null, json!({"CountryCode": "fr", "LogoutAt": null})),
        (
            later.into(),
            json!({"CountryCode": "FR", "LogoutAt": later}),
        ),
    ] {
        let opened = admin.open_session("acme/p1", &body);
        let key = opened["SessionKey"].as_str().unwrap();
        let created_at = opened["CreatedAt"].as_str().unwrap();
        assert!(is_rfc_3339(created_at), "{created_at}");
        let expected = json!({
            "SessionKey": key,
            "OperatorAccountID": "acme/p1",
            "CountryCode": "FR",
            "CreatedAt": created_at,
            "LogoutAt": logout_at,
        });
        assert_eq!(same_instants(&opened), same_instants(&expected));
        let target = format!("/admin/v1/sessions/{key}");
        let shown = admin.get(&target);
        assert_eq!(shown.status, 200, "{shown:?}");
        assert_eq!(shown.json(), opened);

        admin.log_out(key);
        let ended = admin.get(&target).json();
        let logout_at = ended["LogoutAt"].as_str().unwrap();
        assert!(is_rfc_3339(logout_at), "{ended}");
        assert!(logout_at < later, "{ended}");
        // Twice is once.
        admin.log_out(key);
        assert_eq!(admin.get(&target).json(), ended);
    }
}

/// Times as instants: `…00Z` and `…00.000Z` are one.
fn same_instants(session: &Value) -> Value {
    let mut session = session.clone();
    for value in session.as_object_mut().unwrap().values_mut() {
        if let Some(time) = value
            .as_str()
            .and_then(|v| v.parse::<jiff::Timestamp>().ok())
        {
            *value = time.as_millisecond().into();
        }
    }
    session
}

#[test]
fn sessions_that_cannot_be_are_errors() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "1.00");
    let target = format!("{P1}/sessions");
    for body in [
        "{}",
        "nonsense",
        r#"{"CountryCode":"GBR"}"#,
        r#"{"CountryCode":"GB","LogoutAt":"tomorrow"}"#,
        r#"{"CountryCode":"GB","LogoutAt":true}"#,
    ] {
        let answer = admin.call("POST", &target, Some(body));
        assert_error(&answer, 400, "invalid_request", body);
    }
    let nobody = "/admin/v1/accounts/acme/nobody/sessions";
    let answer = admin.call("POST", nobody, Some(r#"{"CountryCode":"GB"}"#));
    assert_error(&answer, 404, "account_not_found", "nobody");
    let unknown = "/admin/v1/sessions/00000000-0000-8000-8000-000000000000";
    assert_error(&admin.get(unknown), 404, "session_not_found", "GET");
    let answer = admin.call("DELETE", unknown, None);
    assert_error(&answer, 404, "session_not_found", "DELETE");
}

#[test]
fn unknown_paths_and_methods_are_answered_in_json() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    for (method, target, status) in [
        ("GET", "/admin/v1/nowhere", 404),
        ("GET", "/v1.0/balance", 404),
        ("POST", BALANCE, 404),
        ("DELETE", P1, 405),
        ("GET", "/admin/v1/import", 405),
    ] {
        let answer = admin.call(method, target, None);
        assert_eq!(answer.status, status, "{method} {target}: {answer:?}");
        assert!(answer.json()["Message"].is_string(), "{answer:?}");
    }
}
