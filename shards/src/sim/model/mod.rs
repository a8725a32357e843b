//! The wallet as simply as it can be written down, to disagree with the ledger.
//!
//! [`Model::decide`] predicts the outcome of every command from the words of protocol.md
//! (sections 2, 4, 6, 7, 8) and operator.md (section 4). It shares no rule and no
//! structure with `ledger/`, only the plain types: all that ever happened is kept in
//! lists, and every question is answered by reading them from the start. The property
//! test (`tests/wallet_model.rs`) and the simulation run it beside the ledger.
//!
//! Where the pages leave more than one answer, the model accepts each of them and goes
//! on from the one that was given. These are all such places:
//! * An id, a tombstone, a round: promised for the idempotency window, so beyond it each
//!   may be known or forgotten (`once.rs`, `round.rs`). A request with the same
//!   `Timestamp` is refused by then; one with a fresh `Timestamp`, and the operator's
//!   bookings, which have none, are not.
//! * A loss limit in a day, week or month that a clock set back made begin twice
//!   (`calendar.rs`), or in which more than 2^63 was lost or won.
//! * Whether a rollback with an amount beyond 64 bits keeps its bet's id from being used.
//! * Reasons that are one code on the wire, where section 4 gives no order among them.
//! * Accepted or repeated, where the wire says 0 for both: the end of a closed round, a
//!   second rollback of a bet, a change of limits that changes nothing.
//! * Whether something is posted that nobody can see later.

mod account;
mod bet;
mod bookings;
mod calendar;
mod expected;
mod once;
mod operator;
mod round;
mod sessions;

use std::collections::BTreeMap;

use account::{Account, Booking, Session};
pub use expected::Expected;
use expected::{AccountShown, Effect, NewBooking, Possible, RoundAfter, Shown};
use round::{Round, Standing};

use crate::ledger::{
    AccountFacts, Book, Command, HouseAccount, LedgerSettings, Outcome, RefusalReason,
};
use crate::types::{AccountId, Currency, Lsn, SessionKey, UnixMillis};

/// All accounts of one ledger.
#[derive(Clone, Debug)]
pub struct Model {
    window_ms: i64,
    skew_ms: i64,
    accounts: BTreeMap<String, Account>,
    /// When something was posted last.
    last_ms: Option<i64>,
    /// The latest time at which anything was posted.
    latest_ms: i64,
    /// All time that has passed from posting to posting. What may be forgotten goes by
    /// it: a clock that is set back takes no time away, and a wallet that runs behind
    /// its bookings' times for long may forget them as it would with a right clock.
    age_ms: i64,
}

/// One account at the time of a command.
struct View<'a> {
    model: &'a Model,
    account: &'a Account,
    now: i64,
    /// Of the wallet.
    age: i64,
}

impl Model {
    /// Without accounts.
    #[must_use]
    pub fn new(settings: &LedgerSettings) -> Self {
        let ms =
            |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self {
            window_ms: ms(settings.idempotency_window),
            skew_ms: ms(settings.clock_skew_max),
            accounts: BTreeMap::new(),
            last_ms: None,
            latest_ms: i64::MIN,
            age_ms: 0,
        }
    }

    /// Everything that may be answered to a command now.
    #[must_use]
    pub fn decide(&self, command: &Command, now: UnixMillis) -> Expected {
        Expected(self.possibles(command, now))
    }

    /// Judges an answer, and the posting that went with it, without going on from it.
    ///
    /// # Errors
    /// The answer is none of those that are right; in words.
    pub fn check(
        &self,
        command: &Command,
        now: UnixMillis,
        outcome: &Outcome,
        posted: Option<Lsn>,
    ) -> Result<(), String> {
        self.decide(command, now).choose(outcome, posted).map(drop)
    }

    /// Judges an answer as [`Model::check`] does, and goes on from it.
    ///
    /// # Errors
    /// The answer is none of those that are right; nothing changed.
    pub fn judge(
        &mut self,
        command: &Command,
        now: UnixMillis,
        outcome: &Outcome,
        posted: Option<Lsn>,
    ) -> Result<(), String> {
        let possible = self.decide(command, now).choose(outcome, posted)?;
        if let Some(lsn) = posted {
            self.pass_to(now);
            self.carry_out(possible.effect, lsn, now);
        }
        Ok(())
    }

    /// The books as they must be, from all that was ever booked.
    #[must_use]
    pub fn books(&self) -> Vec<Book> {
        let mut books: Vec<Book> = Vec::new();
        for account in self.accounts.values() {
            let (domain, currency) = (account.id.domain(), account.currency);
            let known = books
                .iter()
                .position(|book| book.domain == domain && book.currency == currency);
            let at = known.unwrap_or_else(|| {
                books.push(empty_book(domain, currency));
                books.len() - 1
            });
            account.add_to(&mut books[at]);
        }
        books
    }

    /// Reads that together show everything that the model holds.
    #[must_use]
    pub fn reads(&self) -> Vec<Command> {
        let sessions = |account: &Account| -> Vec<SessionKey> {
            account.sessions.iter().map(|session| session.key).collect()
        };
        self.accounts
            .values()
            .flat_map(|account| {
                let keys = sessions(account).into_iter();
                let account = account.id.clone();
                std::iter::once(Command::ReadAccount { account })
                    .chain(keys.map(|key| Command::ReadSession { key }))
            })
            .collect()
    }

    fn possibles(&self, command: &Command, now: UnixMillis) -> Vec<Possible> {
        match command {
            Command::ReadBalance { account } => {
                self.about(account, now, |view| vec![Possible::read(view.funds())])
            }
            Command::ReadAccount { account } => self.about(account, now, |view| {
                vec![Possible::read(Shown::Account(Box::new(view.facts())))]
            }),
            Command::AnswerAlert(alert) => {
                self.about(&alert.account, now, |view| vec![view.decide_alert()])
            }
            Command::PlaceBet(bet) => {
                self.about(&bet.round.account, now, |view| view.decide_bet(bet))
            }
            Command::AwardWinnings(award) => {
                self.about(&award.round.account, now, |view| view.decide_award(award))
            }
            Command::RollBackBet(rollback) => self.about(&rollback.round.account, now, |view| {
                view.decide_rollback(rollback)
            }),
            Command::VoidBet(void) => {
                self.about(&void.round.account, now, |view| view.decide_void(void))
            }
            Command::EndRound(end) => self.about(&end.account, now, |view| view.decide_end(end)),
            Command::Credit(credit) => {
                self.about(&credit.account, now, |view| view.decide_credit(credit))
            }
            Command::ReadSession { .. }
            | Command::ReadLatestSession { .. }
            | Command::SpendToken { .. }
            | Command::OpenSession { .. }
            | Command::LogOutSession { .. } => self.decide_session(command, now),
            Command::OpenAccount { .. }
            | Command::ImportAccount { .. }
            | Command::Deposit { .. }
            | Command::Withdraw { .. }
            | Command::GrantBonus { .. }
            | Command::SetLimits { .. }
            | Command::SetStatus { .. }
            | Command::ReadBooks { .. } => self.decide_operator(command, now),
        }
    }

    /// What is answered about an account, known or not.
    fn about(
        &self,
        account: &AccountId,
        now: UnixMillis,
        decide: impl FnOnce(&View<'_>) -> Vec<Possible>,
    ) -> Vec<Possible> {
        match self.accounts.get(account.as_str()) {
            Some(account) => decide(&self.view(account, now)),
            None => vec![Possible::refused(RefusalReason::AccountNotFound, None)],
        }
    }

    fn view<'a>(&'a self, account: &'a Account, now: UnixMillis) -> View<'a> {
        View {
            model: self,
            account,
            now: now.0,
            age: self.age_at(now),
        }
    }

    fn age_at(&self, now: UnixMillis) -> i64 {
        let passed = self.last_ms.map_or(0, |last_ms| now.0 - last_ms);
        self.age_ms + passed.max(0)
    }

    /// Something is posted.
    fn pass_to(&mut self, now: UnixMillis) {
        self.age_ms = self.age_at(now);
        self.last_ms = Some(now.0);
        self.latest_ms = self.latest_ms.max(now.0);
    }

    fn session(&self, key: SessionKey) -> Option<(&Account, &Session)> {
        self.accounts.values().find_map(|account| {
            let session = account.sessions.iter().find(|s| s.key == key)?;
            Some((account, session))
        })
    }

    fn carry_out(&mut self, effect: Effect, lsn: Lsn, now: UnixMillis) {
        match effect {
            Effect::None => {}
            Effect::Opened(account) => {
                self.accounts.insert(account.id.to_string(), *account);
            }
            Effect::SessionOpened(account, session) => {
                self.account_mut(&account).open_session(session);
            }
            Effect::LoggedOut(key) => {
                let session = self.session_mut(key);
                session.logged_out = true;
                session.logout_at = Some(now);
            }
            Effect::Spent {
                key,
                issued_at,
                expires_at,
            } => self.session_mut(key).spent.push((issued_at, expires_at)),
            Effect::Booked(account, new) => {
                let age = self.age_ms;
                self.account_mut(&account).book(*new, lsn, age);
            }
            Effect::Round(account, after) => {
                let age = self.age_ms;
                self.account_mut(&account).touch_round(after, age);
            }
            Effect::Limits(account, limits) => self.account_mut(&account).limits = limits,
            Effect::Status(account, status) => self.account_mut(&account).status = status,
        }
    }

    fn account_mut(&mut self, id: &AccountId) -> &mut Account {
        let account = self.accounts.get_mut(id.as_str());
        account.unwrap_or_else(|| unreachable!("decided on this account"))
    }

    fn session_mut(&mut self, key: SessionKey) -> &mut Session {
        let mut all = self.accounts.values_mut().flat_map(|a| &mut a.sessions);
        let session = all.find(|session| session.key == key);
        session.unwrap_or_else(|| unreachable!("decided on this session"))
    }
}

impl Account {
    fn book(&mut self, new: NewBooking, lsn: Lsn, age: i64) {
        self.purse = self.purse.plus(new.booking.moved);
        for (place, change) in [(new.rolls_back, true), (new.forgets, false)] {
            if let Some(place) = place {
                let bet = &mut self.bookings[place];
                match change {
                    true => bet.rolled_back = true,
                    false => bet.forgotten = true,
                }
            }
        }
        if let Some(after) = new.round {
            let known = self.rounds.get(&after.name).filter(|_| !new.is_listed);
            // What booked nothing does not make a round be remembered for longer.
            let touched_at_age = known.map_or(age, |round| round.touched_at_age);
            self.touch_round(after, touched_at_age);
        }
        if new.is_listed {
            self.last_booking.clear();
        }
        self.last_booking.push(lsn);
        self.bookings.push(new.booking);
    }

    fn touch_round(&mut self, after: RoundAfter, age: i64) {
        let round = Round {
            standings: after.standings,
            touched_at_age: age,
        };
        self.rounds.insert(after.name, round);
    }

    /// What this account adds to the books of its domain.
    fn add_to(&self, book: &mut Book) {
        book.player_cash += self.purse.cash;
        book.player_bonus += self.purse.bonus;
        let mut move_from = |house: HouseAccount, minor: i128| book.house[house as usize] -= minor;
        move_from(HouseAccount::Cashier, self.opening.cash);
        move_from(HouseAccount::Bonus, self.opening.bonus);
        for booking in &self.bookings {
            move_from(house_of(booking), booking.moved.total());
        }
    }
}

impl View<'_> {
    fn funds(&self) -> Shown {
        Shown::Funds(self.account.funds())
    }

    /// Whether what was promised until a time may be forgotten.
    fn may_be_forgotten(&self, promised_until: i64) -> bool {
        self.age > promised_until
    }

    /// All ways in which a round may stand.
    fn standings(&self, round: &str) -> Vec<Standing> {
        let Some(round) = self.account.rounds.get(round) else {
            return vec![Standing::UNKNOWN];
        };
        let mut standings = round.standings.clone();
        let until = round.touched_at_age + self.model.window_ms;
        if self.may_be_forgotten(until) && !standings.contains(&Standing::UNKNOWN) {
            standings.push(Standing::UNKNOWN);
        }
        standings
    }

    fn live_session(&self) -> Option<SessionKey> {
        let latest = self.account.sessions.last()?;
        latest.is_live(self.now).then_some(latest.key)
    }

    fn facts(&self) -> AccountShown {
        let account = self.account;
        let (mut least, mut most) = (0, 0);
        for name in account.rounds.keys() {
            let standings = self.standings(name);
            least += u32::from(standings.iter().all(|standing| standing.open));
            most += u32::from(standings.iter().any(|standing| standing.open));
        }
        AccountShown {
            facts: AccountFacts {
                account: account.id.clone(),
                funds: account.funds(),
                country: account.country,
                status: account.status,
                limits: account.limits,
                created_at: account.created_at,
                open_rounds: 0,
                last_booking: Lsn::NONE,
                live_session: self.live_session(),
            },
            open_rounds: least..=most,
            last_booking: account.last_booking.clone(),
        }
    }
}

/// Where a booking's money comes from and goes to (protocol.md section 7).
fn house_of(booking: &Booking) -> HouseAccount {
    use account::Kind;
    match booking.kind {
        Kind::Bet | Kind::Rollback => HouseAccount::Stakes,
        Kind::Award => HouseAccount::Winnings,
        Kind::Void | Kind::Credit => HouseAccount::Adjustments,
        Kind::Deposit | Kind::Withdrawal => HouseAccount::Cashier,
        Kind::Bonus => HouseAccount::Bonus,
    }
}

fn empty_book(domain: &str, currency: Currency) -> Book {
    Book {
        domain: domain.to_owned(),
        currency,
        player_cash: 0,
        player_bonus: 0,
        house: [0; HouseAccount::ALL.len()],
    }
}

#[cfg(test)]
mod tests;
