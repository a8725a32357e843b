//! Clients of a server that dies: skewed accounts, many connections, and whatever was
//! not answered is sent again with the same id, or, if it was a bet, rolled back.

mod checks;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::books::{BOOKED, Before, Book, Kind, NOT_FOUND, Request, Session};
use crate::connection::{self as request, Answer, Connection, is_refused_for_now, minor};
use crate::process::{Addresses, wait_us};
use crate::random::Random;

/// More than one batch's worth, so that batches fill while others are on their way.
const CLIENTS: u64 = 16;

/// Half of all requests go to the first, a quarter to the second, and so on. Those with an
/// even number take bets.
const ACCOUNTS: usize = 8;

/// What a betting account starts with: more than all bets of a data set, a few thousand of
/// up to [`BET_MINOR_MAX`], so that none is refused for want of funds.
const FUNDS_MINOR: i64 = 100_000_000;

const BET_MINOR_MAX: u64 = 2_000;

/// A shard forgets the oldest session of an account that opens more than these.
const SESSIONS_PER_ACCOUNT_MAX: usize = 32;

/// How many sessions are read back after a crash; all of them at the end.
const SESSIONS_READ: usize = 16;

/// A request that books: which account's, which of its.
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
    pub(crate) repeats: AtomicU64,
    pub(crate) bets: AtomicU64,
    pub(crate) rolled_back: AtomicU64,
    pub(crate) rolled_back_unbooked: AtomicU64,
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
    wallet_too: Connection,
}

impl Lines {
    fn open(to: Addresses) -> Option<Self> {
        Some(Self {
            admin: Connection::open(to.admin)?,
            admin_too: Connection::open(to.admin)?,
            wallet: Connection::open(to.wallet)?,
            wallet_too: Connection::open(to.wallet)?,
        })
    }

    /// The two connections that requests of a kind go over.
    fn both(&mut self, kind: Kind) -> [&mut Connection; 2] {
        match kind {
            Kind::Deposit => [&mut self.admin, &mut self.admin_too],
            Kind::Award | Kind::Bet | Kind::Rollback(_) => [&mut self.wallet, &mut self.wallet_too],
        }
    }
}

fn account(at: usize) -> String {
    format!("acme/p{at}")
}

fn transaction(number: usize) -> String {
    format!("t-{number}")
}

fn cash(answer: &Answer) -> i64 {
    minor(&answer.body["CashFunds"])
}

/// The definitive answer to a request, in the wallet's codes, and the balance that it shows.
fn told(kind: Kind, answer: &Answer) -> (i64, i64) {
    assert_eq!(answer.status, 200, "{kind:?}: {answer:?}");
    match kind {
        Kind::Deposit => (BOOKED, cash(answer)),
        Kind::Award | Kind::Bet | Kind::Rollback(_) => {
            let code = answer.body["ErrorCode"].as_i64().unwrap();
            let balance = &answer.body["Balance"]["CashFunds"];
            assert!(balance.is_string(), "{kind:?}: {answer:?}");
            (code, minor(balance))
        }
    }
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

    /// How many requests wait to be sent again.
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
                    Some(id) if random.below(2) == 0 => self.give_up(lines, id),
                    Some(id) => self.retry(lines, id),
                    None => self.book_new(lines, at, random),
                }
            }
            40..70 => self.book_new(lines, at, random),
            70..75 => self.repeat(lines, at, random),
            75..85 => self.read_balance(&mut lines.wallet, at),
            85..90 => self.conflict(lines, at, random.next()),
            90..95 => self.open_session(lines, at),
            _ => self.log_out(lines, at, random.next()),
        }
    }

    fn book_new(&self, lines: &mut Lines, at: usize, random: &mut Random) -> Option<()> {
        let takes_bets = at.is_multiple_of(2);
        let (kind, most) = match random.below(8) {
            0..4 if takes_bets => (Kind::Bet, BET_MINOR_MAX),
            0..6 => (Kind::Deposit, 50_000),
            _ => (Kind::Award, 50_000),
        };
        let minor = 1 + random.below(most) as i64;
        let number = self.book(at).begin(kind, minor);
        if random.below(8) > 0 {
            return self.send(lines, (at, number));
        }
        count(&self.figures.sent_twice_at_once);
        let before = self.book(at).before_request(number);
        let request = self.request((at, number));
        let [line, line_too] = lines.both(kind);
        let sent = line.send(&request);
        let sent_too = line_too.send(&request);
        let answers = [
            sent.and_then(|()| line.answer()),
            sent_too.and_then(|()| line_too.answer()),
        ];
        let is_alive = answers.iter().all(Option::is_some);
        let mut is_answered = false;
        for answer in answers.into_iter().flatten() {
            is_answered |= self.judge((at, number), before, &answer);
        }
        self.settle_or_keep((at, number), is_answered, is_alive)
    }

    fn retry(&self, lines: &mut Lines, id: Id) -> Option<()> {
        count(&self.figures.retries);
        self.send(lines, id)
    }

    /// What a platform does that has waited long enough: a bet is rolled back, and whatever
    /// is owed is sent again.
    fn give_up(&self, lines: &mut Lines, (at, number): Id) -> Option<()> {
        let Request { kind, minor, .. } = self.book(at).request(number);
        if kind != Kind::Bet {
            return self.retry(lines, (at, number));
        }
        let rollback = self.book(at).begin(Kind::Rollback(number), minor);
        self.send(lines, (at, rollback))
    }

    /// Sends something again that has its answer, which must be the same; or rolls it back,
    /// if it is a bet that was booked.
    fn repeat(&self, lines: &mut Lines, at: usize, random: &mut Random) -> Option<()> {
        let number = self.book(at).answered_one(random.next());
        let Some(number) = number else {
            return Some(());
        };
        let request = self.book(at).request(number);
        let is_open = request.kind == Kind::Bet && request.rollback.is_none();
        if is_open && random.below(2) == 0 {
            let mut book = self.book(at);
            // Another client may have been first.
            if book.request(number).rollback.is_none() {
                let rollback = book.begin(Kind::Rollback(number), request.minor);
                drop(book);
                return self.send(lines, (at, rollback));
            }
        }
        count(&self.figures.repeats);
        self.send(lines, (at, number))
    }

    /// Sends a request once; without an answer it waits to be sent again.
    fn send(&self, lines: &mut Lines, id: Id) -> Option<()> {
        let before = self.book(id.0).before_request(id.1);
        let request = self.request(id);
        let kind = self.book(id.0).request(id.1).kind;
        let [line, _] = lines.both(kind);
        let answer = line.call(&request);
        let is_answered = answer
            .as_ref()
            .is_some_and(|answer| self.judge(id, before, answer));
        self.settle_or_keep(id, is_answered, answer.is_some())
    }

    fn request(&self, (at, number): Id) -> crate::common::Request {
        let book = self.book(at);
        let Request { kind, minor, .. } = book.request(number);
        let (account, id) = (account(at), transaction(number));
        match kind {
            Kind::Deposit => request::deposit(&account, &id, minor),
            Kind::Award => request::award(&account, &id, minor),
            Kind::Bet => request::bet(&account, &id, minor, &book.betting_session),
            Kind::Rollback(bet) => request::rollback(&account, &id, minor, &transaction(bet)),
        }
    }

    /// Checks an answer; whether it is a definitive one.
    fn judge(&self, id: Id, before: Before, answer: &Answer) -> bool {
        if is_refused_for_now(answer) {
            count(&self.figures.refused_for_now);
            return false;
        }
        let mut book = self.book(id.0);
        let kind = book.request(id.1).kind;
        let (code, balance) = told(kind, answer);
        let is_booked = code == BOOKED;
        book.saw(if is_booked { before.booked() } else { before }, balance);
        if book.answer(id.1, code) {
            count(&self.figures.acknowledged);
            match (kind, code) {
                (Kind::Bet, BOOKED) => count(&self.figures.bets),
                (Kind::Rollback(_), NOT_FOUND) => count(&self.figures.rolled_back_unbooked),
                (Kind::Rollback(_), _) => count(&self.figures.rolled_back),
                _ => {}
            }
        }
        true
    }

    fn settle_or_keep(&self, id: Id, is_answered: bool, is_alive: bool) -> Option<()> {
        // A repeat that was not answered has its answer from before.
        if !is_answered && self.book(id.0).request(id.1).code.is_none() {
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
        let Some(number) = book.answered_one(random) else {
            return Some(());
        };
        let Request { kind, minor, .. } = book.request(number);
        drop(book);
        let (account, id) = (account(at), transaction(number));
        let request = match kind {
            Kind::Deposit => request::deposit(&account, &id, minor + 1),
            Kind::Award => request::award(&account, &id, minor + 1),
            // Those of a bet that was never booked have no id to conflict with.
            Kind::Bet | Kind::Rollback(_) => return Some(()),
        };
        let [line, _] = lines.both(kind);
        let answer = line.call(&request)?;
        if !is_refused_for_now(&answer) {
            match kind {
                Kind::Deposit => assert_eq!(answer.body["Error"], "transaction_id_reused"),
                _ => assert_eq!(answer.body["ErrorCode"], -6, "{answer:?}"),
            }
            count(&self.figures.conflicts);
        }
        Some(())
    }

    fn read_balance(&self, wallet: &mut Connection, at: usize) -> Option<()> {
        let before = self.book(at).before();
        let answer = wallet.call(&request::balance(&account(at)))?;
        assert_eq!(answer.status, 200, "{answer:?}");
        let balance = minor(&answer.body["Balance"]["CashFunds"]);
        self.book(at).saw(before, balance);
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
}
