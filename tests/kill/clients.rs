//! Clients of a server that dies: skewed accounts, many connections, and whatever was
//! not answered is sent again with the same id.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use serde_json::Value;

use crate::books::{Book, Session};
use crate::connection::{self as request, Answer, Connection, is_refused_for_now, minor};
use crate::process::{Addresses, wait_us};
use crate::random::Random;

/// More than one batch's worth, so that batches fill while others are on their way.
const CLIENTS: u64 = 16;

/// Half of all deposits go to the first, a quarter to the second, and so on.
const ACCOUNTS: usize = 8;

/// A shard forgets the oldest session of an account that opens more than these.
const SESSIONS_PER_ACCOUNT_MAX: usize = 32;

/// How many sessions are read back after a crash; all of them at the end.
const SESSIONS_READ: usize = 16;

/// A deposit: which account's, which of its.
type Id = (usize, usize);

/// What happened, for the figures.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) acknowledged: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) unanswered: AtomicU64,
    pub(crate) sent_twice_at_once: AtomicU64,
    pub(crate) refused_for_now: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) balances: AtomicU64,
    pub(crate) sessions: AtomicU64,
}

fn count(figure: &AtomicU64) {
    figure.fetch_add(1, Ordering::Relaxed);
}

/// The clients of one data set, and what they know of it.
pub(crate) struct World<'a> {
    books: Vec<Mutex<Book>>,
    unanswered: Mutex<VecDeque<Id>>,
    figures: &'a Figures,
    /// Whether the server may die now. A connection that breaks before is a fault.
    pub(crate) may_die: AtomicBool,
}

/// One client's connections.
struct Lines {
    admin: Connection,
    admin_too: Connection,
    wallet: Connection,
}

impl Lines {
    fn open(to: Addresses) -> Option<Self> {
        Some(Self {
            admin: Connection::open(to.admin)?,
            admin_too: Connection::open(to.admin)?,
            wallet: Connection::open(to.wallet)?,
        })
    }
}

fn account(at: usize) -> String {
    format!("acme/p{at}")
}

fn transaction(number: usize) -> String {
    format!("d-{number}")
}

fn cash(answer: &Answer) -> i64 {
    minor(&answer.body["CashFunds"])
}

impl<'a> World<'a> {
    pub(crate) fn new(figures: &'a Figures) -> Self {
        Self {
            books: (0..ACCOUNTS).map(|_| Mutex::default()).collect(),
            unanswered: Mutex::default(),
            figures,
            may_die: AtomicBool::new(false),
        }
    }

    /// All clients at work until their connections break.
    pub(crate) fn load(&self, to: Addresses, random: &mut Random) {
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let mut random = random.fork();
                scope.spawn(move || {
                    let served = Lines::open(to).and_then(|mut lines| {
                        loop {
                            self.step(&mut lines, &mut random)?;
                        }
                    });
                    let _: Option<()> = served;
                    assert!(
                        self.may_die.load(Ordering::SeqCst),
                        "a connection broke, and nobody had killed the server"
                    );
                });
            }
        });
    }

    /// How many deposits wait to be sent again.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.lock().unwrap().len()
    }

    fn book(&self, at: usize) -> MutexGuard<'_, Book> {
        self.books[at].lock().unwrap()
    }

    /// Does one thing; `None` when the server is gone.
    fn step(&self, lines: &mut Lines, random: &mut Random) -> Option<()> {
        let at = (random.next().trailing_zeros() as usize).min(ACCOUNTS - 1);
        match random.below(100) {
            0..40 => {
                let retry = self.unanswered.lock().unwrap().pop_front();
                match retry {
                    Some(id) => self.retry(lines, id),
                    None => self.deposit_new(lines, at, random),
                }
            }
            40..75 => self.deposit_new(lines, at, random),
            75..85 => self.read_balance(&mut lines.wallet, at),
            85..90 => self.conflict(lines, at, random.next()),
            90..95 => self.open_session(lines, at),
            _ => self.log_out(lines, at, random.next()),
        }
    }

    fn deposit_new(&self, lines: &mut Lines, at: usize, random: &mut Random) -> Option<()> {
        let number = self.book(at).begin(1 + random.below(50_000) as i64);
        if random.below(8) > 0 {
            return self.deposit(&mut lines.admin, (at, number));
        }
        count(&self.figures.sent_twice_at_once);
        let at_least = self.book(at).at_least_with(number);
        let request = self.request((at, number));
        let sent = lines.admin.send(&request);
        let sent_too = lines.admin_too.send(&request);
        let answers = [
            sent.and_then(|()| lines.admin.answer()),
            sent_too.and_then(|()| lines.admin_too.answer()),
        ];
        let is_alive = answers.iter().all(Option::is_some);
        let mut booked = false;
        for answer in answers.into_iter().flatten() {
            booked |= self.judge((at, number), at_least, &answer);
        }
        self.settle_or_keep((at, number), booked, is_alive)
    }

    fn retry(&self, lines: &mut Lines, id: Id) -> Option<()> {
        count(&self.figures.retries);
        self.deposit(&mut lines.admin, id)
    }

    fn deposit(&self, admin: &mut Connection, id: Id) -> Option<()> {
        let at_least = self.book(id.0).at_least_with(id.1);
        let answer = admin.call(&self.request(id));
        let booked = answer
            .as_ref()
            .is_some_and(|answer| self.judge(id, at_least, answer));
        self.settle_or_keep(id, booked, answer.is_some())
    }

    fn request(&self, (at, number): Id) -> crate::common::Request {
        let amount = self.book(at).minor(number);
        request::deposit(&account(at), &transaction(number), amount)
    }

    /// Checks an answer to a deposit; whether it says that it is booked. There are only
    /// two that a right server gives.
    fn judge(&self, id: Id, at_least: crate::books::AtLeast, answer: &Answer) -> bool {
        if is_refused_for_now(answer) {
            count(&self.figures.refused_for_now);
            return false;
        }
        assert_eq!(answer.status, 200, "{id:?}: {answer:?}");
        let mut book = self.book(id.0);
        book.saw(at_least, cash(answer));
        if book.acknowledge(id.1) {
            count(&self.figures.acknowledged);
        }
        true
    }

    fn settle_or_keep(&self, id: Id, booked: bool, is_alive: bool) -> Option<()> {
        if !booked {
            self.unanswered.lock().unwrap().push_back(id);
            if is_alive {
                // It was refused for now: the log waits for its next segment.
                wait_us(1_000);
            } else {
                count(&self.figures.unanswered);
            }
        }
        is_alive.then_some(())
    }

    /// An id that was used, with another amount: a mistake, today as after a crash.
    fn conflict(&self, lines: &mut Lines, at: usize, random: u64) -> Option<()> {
        let book = self.book(at);
        let Some(number) = book.acknowledged_one(random) else {
            return Some(());
        };
        let other = book.minor(number) + 1;
        drop(book);
        let request = request::deposit(&account(at), &transaction(number), other);
        let answer = lines.admin.call(&request)?;
        if !is_refused_for_now(&answer) {
            assert_eq!(answer.status, 409, "{answer:?}");
            assert_eq!(answer.body["Error"], "transaction_id_reused");
            count(&self.figures.conflicts);
        }
        Some(())
    }

    fn read_balance(&self, wallet: &mut Connection, at: usize) -> Option<()> {
        let at_least = self.book(at).at_least();
        let answer = wallet.call(&request::balance(&account(at)))?;
        assert_eq!(answer.status, 200, "{answer:?}");
        let balance = minor(&answer.body["Balance"]["CashFunds"]);
        self.book(at).saw(at_least, balance);
        count(&self.figures.balances);
        Some(())
    }

    fn open_session(&self, lines: &mut Lines, at: usize) -> Option<()> {
        {
            let mut book = self.book(at);
            if book.sessions_sent == SESSIONS_PER_ACCOUNT_MAX {
                return Some(());
            }
            book.sessions_sent += 1;
        }
        let answer = lines.admin.call(&request::open_session(&account(at)))?;
        if !is_refused_for_now(&answer) {
            assert_eq!(answer.status, 201, "{answer:?}");
            let key = answer.body["SessionKey"].as_str().unwrap().to_owned();
            self.book(at).sessions.insert(key, Session::Live);
            count(&self.figures.sessions);
        }
        Some(())
    }

    /// Logs a session out: one that is live, or whose logout was not answered.
    fn log_out(&self, lines: &mut Lines, at: usize, random: u64) -> Option<()> {
        let key = {
            let mut book = self.book(at);
            let of_book = book.sessions.len().max(1);
            let Some((key, session)) = book.sessions.iter_mut().nth(random as usize % of_book)
            else {
                return Some(());
            };
            if *session == Session::Live {
                *session = Session::InDoubt;
            }
            key.clone()
        };
        let answer = lines.admin.call(&request::log_out(&key))?;
        if !is_refused_for_now(&answer) {
            assert_eq!(answer.status, 204, "{answer:?}");
            self.book(at).sessions.insert(key, Session::LoggedOut);
        }
        Some(())
    }

    /// Creates the accounts, on a server that lives.
    pub(crate) fn found(&self, to: Addresses) {
        let mut admin = Connection::open(to.admin).unwrap();
        for at in 0..ACCOUNTS {
            let status = loop {
                let answer = admin.call(&request::open_account(&account(at))).unwrap();
                if !is_refused_for_now(&answer) {
                    break answer.status;
                }
                wait_us(1_000);
            };
            assert!(matches!(status, 200 | 201), "{status}");
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
    /// every balance is the sum of all deposits, once each; gives the sum of all.
    pub(crate) fn check_settled(&self, to: Addresses) -> i64 {
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
        total
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
