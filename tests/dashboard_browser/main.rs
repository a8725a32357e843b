//! The dashboard in a real browser, headless: what people see, type and hear of it.
//!
//! Without Chromium the tests say that they are skipped.

#[path = "../common/mod.rs"]
mod common;

mod model;
mod screens;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{ADMIN_TOKEN, Admin, Browser, Play, Server};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A valid player id, and one that a careless page would run.
const HOSTILE: &str = "acme/<img src=x onerror=alert(1)>";

/// The same in a path.
const HOSTILE_PATH: &str = "acme/%3Cimg%20src=x%20onerror=alert(1)%3E";

/// Opens the page and logs in as a person does.
fn log_in(browser: &mut Browser, server: &Server) {
    browser.open(&format!("http://{}/dashboard", server.admin));
    browser.until(
        "the login is there",
        "!document.querySelector('#login').hidden",
    );
    browser.eval("document.querySelector('#token').focus()");
    browser.write(ADMIN_TOKEN);
    browser.press("Enter");
    browser.until(
        "it is live",
        "document.querySelector('#connection').innerText === 'Live'",
    );
}

/// Runs players until the work is done.
fn under_load<T>(server: &Server, players: usize, work: impl FnOnce() -> T) -> T {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for player in 0..players {
            let is_done = &is_done;
            scope.spawn(move || {
                let mut play = Play::start(server, &format!("acme/player-{player}"), "1000.00");
                for turn in 0_u64.. {
                    if is_done.load(Ordering::Relaxed) {
                        return;
                    }
                    play_round(&mut play, turn);
                    thread::sleep(Duration::from_millis(8));
                }
            });
        }
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        is_done.store(true, Ordering::Relaxed);
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A round of many kinds of requests; every eighth asks for too much.
fn play_round(play: &mut Play, turn: u64) {
    let account = play.account.clone();
    let (round, bet, award) = (
        format!("r-{turn}"),
        format!("b-{turn}"),
        format!("a-{turn}"),
    );
    play.wallet.balance(&account);
    let stake = if turn % 8 == 7 { "5000.00" } else { "1.00" };
    let call = play.bet(&bet, &round, stake);
    let placed = play.send(&call)["ErrorCode"] == 0;
    if placed && turn.is_multiple_of(5) {
        let call = play.rollback(&format!("o-{turn}"), &round, &bet, stake);
        play.send(&call);
    } else if placed && turn.is_multiple_of(2) {
        let call = play.award(&award, &round, "1.50");
        play.send(&call);
    }
    if placed {
        let call = play.end(&round);
        play.send(&call);
    }
    if turn.is_multiple_of(10) {
        let token = play.wallet.token(&account);
        play.wallet.redeem_token(&token);
    }
}

#[test]
fn it_shows_what_happens_and_finds_an_account() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    let mut admin = Admin::of(&server);
    let opened = admin.call(
        "PUT",
        &format!("/admin/v1/accounts/{HOSTILE_PATH}"),
        Some(r#"{"CountryCode":"GB"}"#),
    );
    assert_eq!(opened.status, 201, "{opened:?}");
    for number in 0..30 {
        let paid = admin.deposit(HOSTILE_PATH, &format!("<b>{number}</b>"), "1234.50");
        assert_eq!(paid.status, 200, "{paid:?}");
    }

    browser.resize(1280, 900);
    browser.open(&format!("http://{}/dashboard", server.admin));
    browser.eval("document.querySelector('#token').focus()");
    browser.write("wrong");
    browser.press("Enter");
    browser.until(
        "a wrong token is refused",
        "document.querySelector('#login-note').innerText.includes('refused')",
    );
    assert_eq!(browser.eval("sessionStorage.length"), 0);
    log_in(&mut browser, &server);
    assert_eq!(browser.text("#state"), "Ready");

    under_load(&server, 2, || {
        let requests = "Number.parseFloat(document.querySelector('.tile .value').innerText) > 0";
        browser.until("requests are counted", requests);
        // A table finds its row by its first cell.
        let cell = |op: &str, at: u32| {
            format!(
                "[...document.querySelectorAll('#endpoints tbody tr')]\
                 .find((row) => row.cells[0].innerText === '{op}').cells[{at}].innerText"
            )
        };
        browser.until(
            "balances are answered",
            &format!("Number.parseFloat({}) > 0", cell("balance", 1)),
        );
        browser.until(
            "their p99 is known",
            &format!("/^[0-9.]+ (µs|ms|s)$/.test({})", cell("balance", 4)),
        );
        browser.until(
            "bets that are refused show",
            &format!("Number.parseFloat({}) > 0", cell("placebet", 5)),
        );
        let first = browser.eval(&cell("balance", 6));
        browser.until(
            "figures move",
            &format!("{} !== {first}", cell("balance", 6)),
        );
        browser.until(
            "the chart has a line",
            "document.querySelector('#chart-durations path.c').getAttribute('d').includes('L')",
        );
        let label = browser
            .eval("document.querySelector('#chart-requests .picture').getAttribute('aria-label')");
        let label = label.as_str().unwrap();
        assert!(
            label.starts_with("Requests per second, the last two minutes. answered: now "),
            "{label}"
        );
        browser.until(
            "flushes are timed",
            "/ (µs|ms|s)$/.test(document.querySelector('.tile:nth-child(6) .value').innerText)",
        );
    });
    assert_eq!(
        browser.eval("document.querySelectorAll('#shards tbody tr').length"),
        2
    );
    let books = browser.text("#books");
    assert!(
        books.contains("acme, GBP") && books.contains("nippon, JPY"),
        "{books}"
    );
    assert!(
        browser
            .text("#books-note")
            .starts_with("All totals are zero")
    );

    browser.eval("document.querySelector('#account-id').focus()");
    browser.write(HOSTILE);
    browser.press("Enter");
    browser.until(
        "the account is found",
        "!document.querySelector('#account').hidden",
    );
    let facts = browser.text("#account-facts");
    assert!(
        facts.contains(HOSTILE) && facts.contains("37,035.00 GBP"),
        "{facts}"
    );
    let rows = "document.querySelectorAll('#transactions tbody tr').length";
    assert_eq!(browser.eval(rows), 10);
    assert!(browser.text("#transactions").contains("<b>29</b>"));
    for shown in [20, 30] {
        browser.eval("document.querySelector('#older').click()");
        browser.until("older ones follow", &format!("{rows} === {shown}"));
    }
    assert_eq!(
        browser.eval("document.querySelector('#older').hidden"),
        true
    );
    assert_eq!(
        browser.eval("document.querySelectorAll('img, b > *, td b').length"),
        0
    );

    for (id, message) in [
        ("acme/nobody", "the domain has no such account"),
        ("nowhere/p1", "no domain \"nowhere\""),
        (
            "p1",
            "An account is its domain and its player: demo/player-1.",
        ),
    ] {
        browser.eval("document.querySelector('#account-id').select()");
        browser.write(id);
        browser.press("Enter");
        browser.until(
            id,
            &format!(
                "document.querySelector('#account-note').innerText === {}",
                Value::from(message)
            ),
        );
        assert_eq!(
            browser.eval("document.querySelector('#account').hidden"),
            true
        );
    }

    assert_eq!(browser.complaints(), [] as [&str; 0]);
    // Text cannot become HTML even where somebody forgets.
    let refused = browser.eval(
        "(() => { try { document.body.innerHTML = 'x'; return false; } catch { return true; } })()",
    );
    assert_eq!(refused, true);
}

#[test]
fn it_forgets_the_token_and_finds_the_server_again() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    log_in(&mut browser, &server);
    assert_eq!(
        browser.eval("Object.values(sessionStorage)[0]"),
        ADMIN_TOKEN
    );
    assert_eq!(
        browser.eval("JSON.stringify(Object.entries(localStorage)).includes(sessionStorage[0])"),
        false
    );
    // Another page of the same tab is still logged in.
    browser.open(&format!("http://{}/dashboard", server.admin));
    browser.until(
        "it is live again",
        "document.querySelector('#connection').innerText === 'Live'",
    );
    browser.eval("document.querySelector('#log-out').click()");
    assert_eq!(browser.eval("sessionStorage.length"), 0);
    assert_eq!(
        browser.eval("document.querySelector('#dashboard').hidden"),
        true
    );
    assert_eq!(browser.eval("document.activeElement.id"), "token");

    log_in(&mut browser, &server);
    server.edit_config(|text| text.replace(ADMIN_TOKEN, "an0ther-t0ken"));
    server.signal(Signal::SIGHUP);
    browser.until(
        "the old token lets nobody in",
        "document.querySelector('#login-note').innerText.includes('not take this token')",
    );

    browser.eval("document.querySelector('#token').focus()");
    browser.write("an0ther-t0ken");
    browser.press("Enter");
    browser.until(
        "it is live",
        "document.querySelector('#connection').innerText === 'Live'",
    );
    server.signal(Signal::SIGTERM);
    browser.until(
        "it says that the server is gone",
        "document.querySelector('#connection').innerText.endsWith('trying again')",
    );
    assert_eq!(server.ended().status.code(), Some(0));
    assert_eq!(browser.complaints(), [] as [&str; 0]);
}
