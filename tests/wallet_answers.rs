//! What the wallet answers, member by member, and which reason wins
//! (protocol.md sections 1, 3 and 4).

mod common;

use common::{
    Admin, BALANCE, CREATE_TOKEN, Client, Members, REDEEM_TOKEN, Server, Wallet, basic, now_millis,
    refused, text, token_at,
};
use serde_json::json;

#[test]
fn a_balance_has_the_digits_of_its_currency_and_the_priority_of_its_domain() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    let cases = [
        (
            "acme/rich",
            "90.5",
            "90.50",
            "0.00",
            "GBP",
            "CashFundsFirst",
        ),
        ("acme/poor", "", "0.00", "0.00", "GBP", "CashFundsFirst"),
        (
            "acme/penny",
            "0.01",
            "0.01",
            "0.00",
            "GBP",
            "CashFundsFirst",
        ),
        // 2^63 - 1 minor units: the most that an account can hold.
        (
            "acme/max",
            "92233720368547758.07",
            "92233720368547758.07",
            "0.00",
            "GBP",
            "CashFundsFirst",
        ),
        ("nippon/rich", "1000", "1000", "0", "JPY", "Unknown"),
        ("nippon/poor", "", "0", "0", "JPY", "Unknown"),
        (
            "gulf/rich",
            "1.005",
            "1.005",
            "0.000",
            "KWD",
            "BonusFundsFirst",
        ),
        ("gulf/poor", "", "0.000", "0.000", "KWD", "BonusFundsFirst"),
    ];
    for (account, deposit, cash, bonus, currency, priority) in cases {
        admin.account(account, deposit);
        let domain = account.split('/').next().unwrap();
        assert_eq!(
            Wallet::of(domain, &server).balance(account),
            json!({
                "ErrorCode": 0,
                "Balance": {
                    "CurrencyCode": currency,
                    "CashFunds": cash,
                    "BonusFunds": bonus,
                    "FundsPriority": priority,
                },
            }),
            "{account}"
        );
    }
}

#[test]
fn tokens_are_made_and_redeemed_with_exactly_these_members() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    for (account, currency) in [("acme/p1", "GBP"), ("nippon/p1", "JPY"), ("gulf/p1", "KWD")] {
        admin.account(account, "");
        let opened = admin.open_session(account, &json!({"CountryCode": "fr", "LogoutAt": null}));
        let session_key = opened["SessionKey"].as_str().unwrap();
        let domain = account.split('/').next().unwrap();
        let mut wallet = Wallet::of(domain, &server);

        let before = now_millis();
        let made = wallet.create_token(account);
        let after = now_millis();
        let token = made["Result"]["SessionToken"].as_str().unwrap();
        assert_eq!(
            made,
            json!({"ErrorCode": 0, "Result": {"SessionToken": token}})
        );
        assert_eq!(token.len(), 48, "{token}");
        let (key, time) = token.rsplit_once('-').unwrap();
        assert_eq!(key, session_key);
        let time = i64::from_str_radix(time, 16).unwrap();
        assert!((before..=after).contains(&time), "{before} {time} {after}");

        assert_eq!(
            wallet.redeem_token(token),
            json!({
                "ErrorCode": 0,
                "Result": {
                    "OperatorAccountID": account,
                    "CurrencyCode": currency,
                    "CountryCode": "FR",
                    "GatewaySessionToken": session_key,
                },
            })
        );
    }
}

#[test]
fn accounts_that_do_not_exist_are_not_found() {
    let server = Server::start();
    Admin::of(&server).account("acme/p1", "1.00");
    let mut wallet = Wallet::of("acme", &server);
    let cases = [
        "acme/nobody",
        "acme/P1",
        "acme/p1 ",
        "acme/p1/",
        "unknown/p1",
        "ACME/p1",
        // The domain is the text before the first slash.
        "acme/p1/extra",
    ];
    for account in cases {
        refused(&wallet.balance(account), -5, account);
        refused(&wallet.create_token(account), -5, account);
    }
}

#[test]
fn the_account_is_what_stands_before_the_first_slash_and_all_behind_it() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/a%2Fb", "1.00");
    admin.account("acme/a%20%C3%A9%F0%9F%98%80", "2.00");
    let mut wallet = Wallet::of("acme", &server);
    for (account, cash) in [("acme/a/b", "1.00"), ("acme/a é😀", "2.00")] {
        assert_eq!(wallet.balance(account)["Balance"]["CashFunds"], cash);
    }
}

#[test]
fn the_most_fundamental_reason_wins() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "1.00");
    admin.account("keyed/p1", "1.00");
    let wrong = &basic("gw", "wrong");
    let right = &basic("gw", "s3cret-of-acme");
    let keyed = &basic("gw", "s3cret-of-keyed");
    // Body, then domain, then credentials, then platform key, then account.
    let good = Members::create_token("acme/p1");
    let cases = [
        (
            "bad body, unknown domain",
            wrong,
            Members::create_token("unknown/p1").without("GameID"),
            -6,
            "GameID",
        ),
        (
            "bad body, wrong password",
            wrong,
            good.clone().without("GameID"),
            -6,
            "GameID",
        ),
        (
            "bad body, no account",
            right,
            Members::create_token("acme/nobody").without("Sequence"),
            -6,
            "Sequence",
        ),
        (
            "unknown domain, wrong password",
            wrong,
            Members::create_token("unknown/p1"),
            -5,
            "",
        ),
        (
            "wrong password, no account",
            wrong,
            Members::create_token("acme/nobody"),
            -6,
            "",
        ),
        ("wrong password, no session", wrong, good.clone(), -6, ""),
        (
            "wrong platform key, no account",
            keyed,
            Members::create_token("keyed/nobody").with("PlatformKey", r#""XX""#),
            -6,
            "",
        ),
        (
            "no account",
            right,
            Members::create_token("acme/nobody"),
            -5,
            "",
        ),
        ("no session", right, good, -5, ""),
    ];
    for (case, authorization, members, code, named) in cases {
        let mut wallet = Wallet::over(Client::connect(server.wallet), authorization);
        let description = refused(&wallet.post(CREATE_TOKEN, members.json()), code, case);
        assert!(description.contains(named), "{case}: {description}");
    }
}

#[test]
fn a_redeem_judges_the_token_before_the_platform() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "1.00");
    let key = admin.session("acme/p1");
    let unknown = "00000000-0000-8000-8000-000000000000";
    let now = now_millis();
    let cases = [
        (
            "a missing member before an old token",
            token_at(&key, now - 3_600_000),
            true,
            -6,
            "IPAddress",
        ),
        ("no token", "nonsense".to_owned(), false, -6, "SessionToken"),
        (
            "too old, of an unknown session",
            token_at(unknown, now - 3_600_000),
            false,
            -3,
            "",
        ),
        ("too old", token_at(&key, now - 3_600_000), false, -3, ""),
        ("an unknown session", token_at(unknown, now), false, -3, ""),
        (
            "a live one: now the password counts",
            token_at(&key, now),
            false,
            -6,
            "",
        ),
    ];
    for (case, token, bad_member, code, named) in cases {
        let wrong = basic("gw", "wrong");
        let mut wallet = Wallet::over(Client::connect(server.wallet), &wrong);
        let mut members = Members::redeem_token(&token);
        if bad_member {
            members = members.without("IPAddress");
        }
        let description = refused(&wallet.post(REDEEM_TOKEN, members.json()), code, case);
        assert!(description.contains(named), "{case}: {description}");
    }
}

#[test]
fn the_platform_of_one_domain_has_no_say_in_another() {
    let server = Server::start();
    let mut admin = Admin::of(&server);
    admin.account("acme/p1", "1.00");
    let key = admin.session("acme/p1");
    let mut stranger = Wallet::of("gulf", &server);
    refused(&stranger.balance("acme/p1"), -6, "balance");
    refused(&stranger.create_token("acme/p1"), -6, "createtoken");
    let token = token_at(&key, now_millis());
    refused(&stranger.redeem_token(&token), -6, "redeemtoken");
}

#[test]
fn an_error_names_the_member_to_mend() {
    let server = Server::start();
    Admin::of(&server).account("acme/p1", "1.00");
    let mut wallet = Wallet::of("acme", &server);
    let good = Members::balance("acme/p1");
    let cases = [
        ("PlatformKey", text("12345")),
        ("Sequence", text("")),
        ("Timestamp", text("yesterday")),
        ("OperatorAccountID", text("acme")),
        ("GameID", "true".to_owned()),
    ];
    for (name, value) in cases {
        let body = good.clone().with(name, &value).json();
        let description = refused(&wallet.post(BALANCE, body), -6, name);
        assert!(description.contains(name), "{name}: {description}");
    }
}
