//! Accounts, deposits and sessions.

use serde_json::json;

use super::shared;

const GB: &str = r#"{"CountryCode":"GB"}"#;

#[test]
fn an_account_is_created_once_and_stays_as_it_is() {
    let admin = shared();
    let path = "/admin/v1/accounts/acme/created";
    let created = admin.ask("PUT", path, r#"{"CountryCode":"gb"}"#);
    assert_eq!(created.status, 201);
    let created_at = created.member("CreatedAt");
    assert!(
        created_at.ends_with('Z') && created_at.len() == 24,
        "{created_at}"
    );
    let expected = json!({
        "OperatorAccountID": "acme/created",
        "CurrencyCode": "GBP",
        "CountryCode": "GB",
        "CashFunds": "0.00",
        "BonusFunds": "0.00",
        "Status": "Active",
        "Limits": {
            "LossDaily": null, "LossWeekly": null, "LossMonthly": null, "SessionSeconds": null,
        },
        "CreatedAt": created_at,
        "OpenRounds": 0,
    });
    assert_eq!(created.json(), expected);
    let again = admin.ask("PUT", path, r#"{"CountryCode":"SE"}"#);
    assert_eq!((again.status, again.json()), (200, expected.clone()));
    let read = admin.ask("GET", path, "");
    assert_eq!((read.status, read.json()), (200, expected));
}

#[test]
fn players_are_percent_decoded() {
    let admin = shared();
    for (path, id) in [
        ("p%2F1", "acme/p/1"),
        ("p%2f2", "acme/p/2"),
        ("%C3%A9", "acme/é"),
        ("a%20b", "acme/a b"),
        ("100%25", "acme/100%"),
        ("a+b", "acme/a+b"),
    ] {
        let path = format!("/admin/v1/accounts/acme/{path}");
        let created = admin.ask("PUT", &path, GB);
        assert_eq!(
            (created.status, created.member("OperatorAccountID")),
            (201, id.to_owned())
        );
        let deposits = format!("{path}/deposits");
        let deposited = admin.ask("POST", &deposits, r#"{"TransactionID":"d","Amount":"1"}"#);
        assert_eq!(deposited.member("CashFunds"), "1.00", "{path}");
    }
}

#[test]
fn a_path_that_names_no_account_says_so() {
    let admin = shared();
    let long = format!("acme/{}", "x".repeat(46));
    for (path, status, code) in [
        ("acme/nobody", 404, "account_not_found"),
        ("nope/p", 404, "domain_not_found"),
        ("ACME/p", 404, "domain_not_found"),
        ("acme%2Fp/1", 404, "domain_not_found"),
        (long.as_str(), 400, "invalid_request"),
        ("acme/%FF", 400, "invalid_request"),
        ("acme/", 404, "not_found"),
        ("acme", 404, "not_found"),
        ("acme/p/1", 404, "not_found"),
    ] {
        let path = format!("/admin/v1/accounts/{path}");
        admin.ask("GET", &path, "").expect_error(status, code, "");
    }
    for (path, body) in [
        ("deposits", r#"{"TransactionID":"d","Amount":"1"}"#),
        ("sessions", GB),
    ] {
        let path = format!("/admin/v1/accounts/acme/nobody/{path}");
        admin
            .ask("POST", &path, body)
            .expect_error(404, "account_not_found", "");
    }
}

#[test]
fn a_deposit_is_booked_once_per_transaction_id() {
    let admin = shared();
    admin.ask("PUT", "/admin/v1/accounts/acme/saver", GB);
    let path = "/admin/v1/accounts/acme/saver/deposits";
    for (id, amount, cash) in [
        ("d-1", "100.00", "100.00"),
        ("d-1", "100.00", "100.00"),
        ("d-1", "1e2", "100.00"),
        ("d-2", "0.01", "100.01"),
        ("d-1", "100", "100.01"),
    ] {
        let body = json!({"TransactionID": id, "Amount": amount}).to_string();
        let answer = admin.ask("POST", path, body);
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json(),
            json!({"CashFunds": cash, "BonusFunds": "0.00"}),
            "{id}"
        );
    }
    admin
        .ask("POST", path, r#"{"TransactionID":"d-1","Amount":"100.01"}"#)
        .expect_error(409, "transaction_id_reused", "another amount");
    admin
        .ask(
            "POST",
            path,
            r#"{"TransactionID":"d-3","Amount":"92233720368547758.07"}"#,
        )
        .expect_error(422, "balance_overflow", "");
    let read = admin.ask("GET", "/admin/v1/accounts/acme/saver", "");
    assert_eq!(read.member("CashFunds"), "100.01");
}

#[test]
fn money_has_the_digits_of_the_domain_s_currency() {
    let admin = shared();
    admin.ask("PUT", "/admin/v1/accounts/yen/p", r#"{"CountryCode":"JP"}"#);
    let path = "/admin/v1/accounts/yen/p/deposits";
    admin
        .ask("POST", path, r#"{"TransactionID":"d-1","Amount":"1.5"}"#)
        .expect_error(
            400,
            "invalid_request",
            "Amount: at most 0 fraction digits for JPY, got 1.5",
        );
    let answer = admin.ask("POST", path, r#"{"TransactionID":"d-1","Amount":"15"}"#);
    assert_eq!(answer.json(), json!({"CashFunds": "15", "BonusFunds": "0"}));
}

#[test]
fn a_bad_body_is_refused_by_name() {
    let admin = shared();
    admin.ask("PUT", "/admin/v1/accounts/acme/strict", GB);
    let long_id = format!(r#"{{"TransactionID":"{}","Amount":"1"}}"#, "x".repeat(51));
    let account = "";
    let cases: &[(&str, &str, &str, &str)] = &[
        ("PUT", account, "", "JSON object"),
        ("PUT", account, "GB", "JSON object"),
        ("PUT", account, r#"["GB"]"#, "JSON object"),
        (
            "PUT",
            account,
            r#"{"CountryCode":"GB"} x"#,
            "trailing characters",
        ),
        ("PUT", account, r#"{"CountryCode":"GB""#, "EOF"),
        ("PUT", account, r"{}", "CountryCode: is required"),
        (
            "PUT",
            account,
            r#"{"CountryCode":null}"#,
            "CountryCode: is required",
        ),
        (
            "PUT",
            account,
            r#"{"CountryCode":1}"#,
            "CountryCode: expected a string",
        ),
        (
            "PUT",
            account,
            r#"{"CountryCode":"GBR"}"#,
            "CountryCode: expected two letters",
        ),
        (
            "PUT",
            account,
            r#"{"Countrycode":"GB"}"#,
            "unknown field `Countrycode`",
        ),
        (
            "PUT",
            account,
            r#"{"CountryCode":"GB","CountryCode":"SE"}"#,
            "duplicate field",
        ),
        (
            "POST",
            "/deposits",
            r#"{"Amount":"1"}"#,
            "TransactionID: is required",
        ),
        (
            "POST",
            "/deposits",
            r#"{"TransactionID":"","Amount":"1"}"#,
            "TransactionID: expected 1",
        ),
        ("POST", "/deposits", &long_id, "TransactionID: expected 1"),
        (
            "POST",
            "/deposits",
            r#"{"TransactionID":7,"Amount":"1"}"#,
            "TransactionID: expected a",
        ),
        (
            "POST",
            "/deposits",
            r#"{"TransactionID":"d"}"#,
            "Amount: is required",
        ),
        (
            "POST",
            "/deposits",
            r#"{"TransactionID":"d","Amuont":"1"}"#,
            "unknown field `Amuont`",
        ),
        (
            "POST",
            "/deposits",
            r#"{"TransactionID":"d","Amount":1}"#,
            "Amount: expected a string",
        ),
        (
            "POST",
            "/deposits",
            r#"{"TransactionID":"d","Amount":"0.00"}"#,
            "Amount: must be above",
        ),
        (
            "POST",
            "/deposits",
            r#"{"TransactionID":"d","Amount":"-1"}"#,
            "Amount: must not be",
        ),
        (
            "POST",
            "/deposits",
            r#"{"TransactionID":"d","Amount":"1,5"}"#,
            "Amount: expected a dec",
        ),
        (
            "POST",
            "/deposits",
            r#"{"TransactionID":"d","Amount":"1e30"}"#,
            "Amount: too large",
        ),
        (
            "POST",
            "/deposits",
            r#"{"TransactionID":"d","Amount":"1.001"}"#,
            "Amount: at most 2",
        ),
        (
            "POST",
            "/sessions",
            r#"{"LogoutAt":null}"#,
            "CountryCode: is required",
        ),
        (
            "POST",
            "/sessions",
            r#"{"CountryCode":"GB","LogoutAt":5}"#,
            "LogoutAt: expected a str",
        ),
        (
            "POST",
            "/sessions",
            r#"{"CountryCode":"GB","LogoutAt":"soon"}"#,
            "LogoutAt: expected",
        ),
        (
            "POST",
            "/sessions",
            r#"{"CountryCode":"GB","Logout":null}"#,
            "unknown field `Logout`",
        ),
    ];
    for (method, path, body, message) in cases {
        let path = format!("/admin/v1/accounts/acme/strict{path}");
        admin
            .ask(method, &path, body)
            .expect_error(400, "invalid_request", message);
    }
    let large = format!(r#"{{"CountryCode":"GB"{}}}"#, " ".repeat(16 << 10));
    admin
        .ask("PUT", "/admin/v1/accounts/acme/strict", large)
        .expect_error(413, "request_too_large", "16384 bytes");
    let read = admin.ask("GET", "/admin/v1/accounts/acme/strict", "");
    assert_eq!(read.member("CashFunds"), "0.00");
}

#[test]
fn a_session_is_opened_read_and_logged_out() {
    let admin = shared();
    admin.ask("PUT", "/admin/v1/accounts/acme/visitor", GB);
    let path = "/admin/v1/accounts/acme/visitor/sessions";
    let opened = admin.ask("POST", path, r#"{"CountryCode":"se","LogoutAt":null}"#);
    assert_eq!(opened.status, 201);
    let key = opened.member("SessionKey");
    assert_eq!(key.len(), 36);
    assert_eq!(
        opened.json(),
        json!({
            "SessionKey": key,
            "OperatorAccountID": "acme/visitor",
            "CountryCode": "SE",
            "CreatedAt": opened.member("CreatedAt"),
            "LogoutAt": null,
        })
    );
    let session = format!("/admin/v1/sessions/{key}");
    let read = admin.ask("GET", &session, "");
    assert_eq!((read.status, read.json()), (200, opened.json()));
    for _ in 0..2 {
        let out = admin.ask("DELETE", &session, "");
        assert_eq!((out.status, out.text()), (204, ""));
    }
    let read = admin.ask("GET", &session, "");
    assert_eq!(read.status, 200);
    assert!(
        read.member("LogoutAt") >= opened.member("CreatedAt"),
        "{}",
        read.text()
    );
}

#[test]
fn a_session_may_end_by_itself() {
    let admin = shared();
    admin.ask("PUT", "/admin/v1/accounts/acme/timed", GB);
    let body = r#"{"CountryCode":"GB","LogoutAt":"2099-12-31T23:59:59.5+01:00"}"#;
    let opened = admin.ask("POST", "/admin/v1/accounts/acme/timed/sessions", body);
    assert_eq!(opened.status, 201);
    assert_eq!(opened.member("LogoutAt"), "2099-12-31T22:59:59.500Z");
}

#[test]
fn an_unknown_session_is_not_found() {
    let admin = shared();
    for key in [
        "00000000-0000-8000-8000-000000000000",
        "no-key",
        "00000000-0000-8000-8000-00000000000A",
    ] {
        for method in ["GET", "DELETE"] {
            admin
                .ask(method, &format!("/admin/v1/sessions/{key}"), "")
                .expect_error(404, "session_not_found", "");
        }
    }
}
