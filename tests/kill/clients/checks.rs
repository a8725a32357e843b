//! What is checked of a server to which nobody else talks: before the load, after a crash,
//! and when everything was answered.

use serde_json::Value;

use super::{ACCOUNTS, FUNDS_MINOR, Lines, SESSIONS_READ, World, account, cash};
use crate::books::{BOOKED, Kind, Session};
use crate::connection::{self as request, is_refused_for_now, minor};
use crate::process::{Addresses, wait_us};
use crate::random::Random;

impl World<'_> {
    /// Creates the accounts with their first funds and a session to bet in, on a server
    /// that lives.
    pub(crate) fn found(&self, to: Addresses) {
        let mut lines = Lines::open(to).unwrap();
        let mut until_done = |request: &crate::common::Request| loop {
            let answer = lines.admin.call(request).unwrap();
            if !is_refused_for_now(&answer) {
                break answer;
            }
            wait_us(1_000);
        };
        for at in 0..ACCOUNTS {
            let opened = until_done(&request::open_account(&account(at)));
            assert!(matches!(opened.status, 200 | 201), "{opened:?}");
            let session = until_done(&request::open_session(&account(at)));
            assert_eq!(session.status, 201, "{session:?}");
            let mut book = self.book(at);
            book.sessions_sent = 1;
            book.betting_session = session.body["SessionKey"].as_str().unwrap().to_owned();
            let number = book.begin(Kind::Deposit, FUNDS_MINOR);
            drop(book);
            until_done(&self.request((at, number)));
            self.book(at).answer(number, BOOKED);
        }
    }

    /// Checks what a server knows to which nobody else has talked since it started.
    pub(crate) fn check_recovered(&self, to: Addresses, random: &mut Random) {
        let mut lines = Lines::open(to).unwrap();
        for at in 0..ACCOUNTS {
            let balance = read_both(&mut lines, at);
            self.book(at).check_recovered(balance);
            let book = self.book(at);
            let first = random.below(book.sessions.len().max(1) as u64) as usize;
            let some = book.sessions.iter().skip(first).take(SESSIONS_READ);
            some.for_each(|(key, session)| check_session(&mut lines, key, *session));
        }
    }

    /// Sends everything again that was not answered, until it is, and then checks that
    /// every balance is the sum of what was booked, and the books that of all balances.
    pub(crate) fn check_settled(&self, to: Addresses) {
        let mut lines = Lines::open(to).unwrap();
        loop {
            let Some(id) = self.unanswered.lock().unwrap().pop_front() else {
                break;
            };
            self.retry(&mut lines, id).unwrap();
        }
        let mut total = 0;
        for at in 0..ACCOUNTS {
            let balance = read_both(&mut lines, at);
            let mut book = self.book(at);
            book.check_settled(balance);
            total += balance;
            for (key, session) in &book.sessions {
                check_session(&mut lines, key, *session);
            }
        }
        let books = lines.admin.call(&request::trial_balance()).unwrap();
        let rows = books.body["Domains"].as_array().unwrap();
        let acme = rows.iter().find(|row| row["Domain"] == "acme").unwrap();
        assert_eq!(acme["Total"], "0.00", "{acme}");
        assert_eq!(minor(&acme["Accounts"]["PlayerCash"]), total, "{acme}");
    }
}

/// The balance that both APIs show.
fn read_both(lines: &mut Lines, at: usize) -> i64 {
    let of_wallet = lines.wallet.call(&request::balance(&account(at))).unwrap();
    let of_admin = lines
        .admin
        .call(&request::read_account(&account(at)))
        .unwrap();
    assert_eq!(of_admin.status, 200, "{of_admin:?}");
    assert_eq!(of_admin.body["BonusFunds"], "0.00");
    let balance = minor(&of_wallet.body["Balance"]["CashFunds"]);
    assert_eq!(balance, cash(&of_admin), "{of_wallet:?}");
    balance
}

fn check_session(lines: &mut Lines, key: &str, expected: Session) {
    let answer = lines.admin.call(&request::read_session(key)).unwrap();
    assert_eq!(answer.status, 200, "{key} was opened: {answer:?}");
    let is_live = answer.body["LogoutAt"] == Value::Null;
    match expected {
        Session::InDoubt => {}
        Session::Live => assert!(is_live, "{key}: {answer:?}"),
        Session::LoggedOut => assert!(!is_live, "{key}: {answer:?}"),
    }
}
