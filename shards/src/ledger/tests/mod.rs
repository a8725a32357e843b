//! The rules as facts: commands in, a line per outcome out.
//!
//! Every story begins with `acme/p`, who has 100 of cash, 5 of bonus and the session
//! `key(1)`, and `acme/q`, who has the same and the session `key(2)`. Whatever is posted
//! in any story is also read back from its bytes into a second ledger, which must come to
//! the same, and the books must sum to zero behind every step.

use std::time::Duration;

use super::*;
use crate::types::{
    Amount, Balance, CountryCode, Currency, GameId, GameRoundId, SessionKey, Slot, Text,
    TransactionId,
};

mod accounts;
mod bets;
mod cashier;
mod memory;
mod order;
mod repeats;
mod rests;
mod rollbacks;
mod rounds;
mod winnings;

/// A Sunday, 11:06:40 UTC.
const NOW: UnixMillis = UnixMillis(1_795_345_600_000);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const WINDOW: Duration = Duration::from_secs(72 * 3_600);
const SKEW: Duration = Duration::from_secs(300);

fn account(player: &str) -> AccountId {
    AccountId::parse(&format!("acme/{player}")).unwrap()
}

fn amount(minor: i64) -> Amount {
    Amount::from_minor(minor).unwrap()
}

fn id(text: &str) -> TransactionId {
    TransactionId::parse(text).unwrap()
}

fn currency(code: &str) -> Currency {
    Currency::parse(code).unwrap()
}

fn country() -> CountryCode {
    CountryCode::parse("GB").unwrap()
}

fn key(number: u16) -> SessionKey {
    SessionKey::mint(Slot::from_low_bits(number), u128::from(number))
}

fn import(player: &str, cash: i64, session: Option<SessionKey>) -> Command {
    Command::ImportAccount {
        account: account(player),
        currency: currency("GBP"),
        country: country(),
        balance: Balance {
            cash: amount(cash),
            bonus: amount(5),
        },
        session,
    }
}

fn balance(player: &str) -> Command {
    Command::ReadBalance {
        account: account(player),
    }
}

fn log_out(number: u16) -> Command {
    Command::LogOutSession { key: key(number) }
}

fn suspend(player: &str) -> Command {
    Command::SetStatus {
        account: account(player),
        status: AccountStatus::Suspended,
    }
}

fn limit(player: &str, limits: LimitsChange) -> Command {
    Command::SetLimits {
        account: account(player),
        limits,
    }
}

fn daily(minor: i64) -> LimitsChange {
    LimitsChange {
        loss_daily: Some(Some(amount(minor))),
        ..LimitsChange::default()
    }
}

/// A request of a platform that breaks no rule, to be bent.
#[derive(Clone)]
struct Request {
    booking: RoundBooking,
    kind: RequestKind,
}

#[derive(Clone)]
enum RequestKind {
    Bet(bool, FundsOrder),
    Award,
    Rollback(TransactionId),
    Void,
}

fn request(transaction: &str, minor: i64, kind: RequestKind) -> Request {
    Request {
        booking: RoundBooking {
            account: account("p"),
            transaction: id(transaction),
            round: GameRoundId::parse("r").unwrap(),
            game: GameId::parse("g").unwrap(),
            game_known: true,
            stated_at: NOW,
            currency: Some(currency("GBP")),
            amount: StatedAmount::Exact(amount(minor)),
            session: StatedSession::Own(key(1)),
            end_round: false,
            free_game_offer: None,
        },
        kind,
    }
}

fn bet(transaction: &str, minor: i64) -> Request {
    let kind = RequestKind::Bet(false, FundsOrder::CashFirst);
    request(transaction, minor, kind)
}

fn award(transaction: &str, minor: i64) -> Request {
    request(transaction, minor, RequestKind::Award)
}

fn rollback(transaction: &str, bet: &str, minor: i64) -> Request {
    request(transaction, minor, RequestKind::Rollback(id(bet)))
}

fn void(transaction: &str, minor: i64) -> Request {
    request(transaction, minor, RequestKind::Void)
}

impl Request {
    fn with(mut self, bend: impl FnOnce(&mut RoundBooking)) -> Self {
        bend(&mut self.booking);
        self
    }

    /// Of another player, without a session.
    fn of(self, player: &str) -> Self {
        self.with(|booking| {
            booking.account = account(player);
            booking.session = StatedSession::None;
        })
    }

    fn amount(self, amount: StatedAmount) -> Self {
        self.with(|booking| booking.amount = amount)
    }

    fn round(self, round: &str) -> Self {
        self.with(|booking| booking.round = GameRoundId::parse(round).unwrap())
    }

    fn game(self, game: &str) -> Self {
        self.with(|booking| booking.game = GameId::parse(game).unwrap())
    }

    fn unknown_game(self) -> Self {
        self.with(|booking| booking.game_known = false)
    }

    fn currency(self, code: &str) -> Self {
        self.with(|booking| booking.currency = Currency::parse(code))
    }

    fn session(self, session: StatedSession) -> Self {
        self.with(|booking| booking.session = session)
    }

    fn stated(self, at: UnixMillis) -> Self {
        self.with(|booking| booking.stated_at = at)
    }

    fn ends(self) -> Self {
        self.with(|booking| booking.end_round = true)
    }

    fn free(mut self) -> Self {
        if let RequestKind::Bet(free_play, _) = &mut self.kind {
            *free_play = true;
        }
        self.with(|booking| booking.free_game_offer = Text::parse("offer"))
    }

    fn order(mut self, order: FundsOrder) -> Self {
        if let RequestKind::Bet(_, funds_order) = &mut self.kind {
            *funds_order = order;
        }
        self
    }
}

impl From<Request> for Command {
    fn from(Request { booking, kind }: Request) -> Self {
        let round = booking;
        match kind {
            RequestKind::Bet(free_play, funds_order) => Self::PlaceBet(Box::new(PlaceBet {
                round,
                start_round: true,
                free_play,
                funds_order,
                jackpot_contribution: None,
            })),
            RequestKind::Award => Self::AwardWinnings(Box::new(AwardWinnings {
                round,
                start_round: false,
                jackpot_winnings: None,
            })),
            RequestKind::Rollback(bet) => Self::RollBackBet(Box::new(RollBackBet {
                round,
                bet,
                jackpot_contribution: None,
            })),
            RequestKind::Void => Self::VoidBet(Box::new(VoidBet {
                round,
                jackpot_contribution: None,
            })),
        }
    }
}

fn end(round: &str) -> EndRound {
    EndRound {
        account: account("p"),
        round: GameRoundId::parse(round).unwrap(),
        game: GameId::parse("g").unwrap(),
        currency: Some(currency("GBP")),
        session: StatedSession::None,
        jackpot_contribution: None,
        jackpot_winnings: None,
    }
}

impl From<EndRound> for Command {
    fn from(end: EndRound) -> Self {
        Self::EndRound(Box::new(end))
    }
}

fn credit(transaction: &str, minor: i64) -> Credit {
    Credit {
        account: account("p"),
        transaction: id(transaction),
        type_id: Text::parse("goodwill").unwrap(),
        stated_at: NOW,
        currency: Some(currency("GBP")),
        amount: StatedAmount::Exact(amount(minor)),
    }
}

impl From<Credit> for Command {
    fn from(credit: Credit) -> Self {
        Self::Credit(Box::new(credit))
    }
}

fn ledger() -> Ledger {
    Ledger::new(LedgerSettings {
        idempotency_window: WINDOW,
        digest_secret: [1, 2],
        clock_skew_max: SKEW,
    })
}

/// A ledger with a clock and a log.
struct Story {
    ledger: Ledger,
    /// Reads what was posted.
    reader: Ledger,
    now: UnixMillis,
    lsn: Lsn,
    /// What the last command posted.
    posted: Option<Posting>,
    /// What the last command's answer rests on.
    rests_on: Lsn,
}

impl Story {
    /// Without anybody.
    fn empty() -> Self {
        Self {
            ledger: ledger(),
            reader: ledger(),
            now: NOW,
            lsn: Lsn::NONE,
            posted: None,
            rests_on: Lsn::NONE,
        }
    }

    /// With the two players.
    fn begin() -> Self {
        let mut story = Self::empty();
        for (player, session) in [("p", 1), ("q", 2)] {
            story.tell(import(player, 100, Some(key(session))));
        }
        story
    }

    fn wait(&mut self, duration: Duration) {
        self.now = self.now.after(duration);
    }

    /// What comes of a command. Each takes a millisecond.
    fn tell(&mut self, command: impl Into<Command>) -> String {
        let command = command.into();
        let (outcome, rests_on, posted) = match self.ledger.decide(&command, self.now) {
            Decision::Answer { outcome, rests_on } => (outcome, rests_on, None),
            Decision::Post(posting, outcome) => {
                self.lsn = self.lsn.next();
                self.ledger.apply(self.lsn, &posting);
                self.read(&posting);
                (outcome, self.lsn, Some(posting))
            }
        };
        assert!(rests_on <= self.lsn);
        (self.rests_on, self.posted) = (rests_on, posted);
        self.now.0 += 1;
        describe(&command, &outcome)
    }

    fn read(&mut self, posting: &Posting) {
        let mut bytes = Vec::new();
        crate::wal::encode(posting, &mut bytes);
        let read = crate::wal::decode(&bytes).unwrap();
        assert_eq!(read, *posting);
        self.reader.try_apply(self.lsn, &read).unwrap();
        assert_eq!(self.reader.counts(), self.ledger.counts());
        self.ledger.accounts.assert_counted();
        self.ledger.sessions.assert_counted();
        assert_eq!(self.reader.books(), self.ledger.books());
        for book in self.ledger.books() {
            assert_eq!(book.total(), 0, "after {posting:?}");
        }
    }

    /// Tells each command and expects its line.
    fn check(&mut self, steps: &[(Command, &str)]) {
        for (number, (command, expected)) in steps.iter().enumerate() {
            let told = self.tell(command.clone());
            assert_eq!(told, *expected, "step {number}: {command:?}");
        }
    }

    fn account(&self, player: &str) -> AccountFacts {
        let command = Command::ReadAccount {
            account: account(player),
        };
        match self.ledger.decide(&command, self.now) {
            Decision::Answer {
                outcome: Outcome::Accepted(Facts::Account(facts)),
                ..
            } => *facts,
            other => panic!("{other:?}"),
        }
    }

    fn open_rounds(&self) -> u32 {
        self.account("p").open_rounds
    }
}

/// Runs commands from the usual beginning.
fn check(steps: &[(Command, &str)]) {
    Story::begin().check(steps);
}

/// The longest pause between two postings that is a whole part of an hour and counts in
/// full towards the age of the memory.
const PAUSE: Duration = Duration::from_secs(30);

/// Books something of the other player at every pause, so that memory grows older.
fn pass(story: &mut Story, hours: u32) {
    let pauses = HOUR.as_secs() / PAUSE.as_secs();
    for _ in 0..u64::from(hours) * pauses {
        story.wait(PAUSE);
        let filler = award(&format!("f-{}", story.now.0), 0).of("q");
        let filler = filler.round("filler").stated(story.now);
        assert_eq!(story.tell(filler), "accepted 100+5");
    }
}

fn describe(command: &Command, outcome: &Outcome) -> String {
    let (word, facts) = match outcome {
        Outcome::Accepted(facts) => ("accepted", facts),
        Outcome::Repeated(facts) => ("repeated", facts),
        Outcome::Refused(Refusal { reason, funds }) => {
            // Where the account is known its funds come along, for the wire to show.
            let unknown = matches!(
                reason,
                RefusalReason::AccountNotFound | RefusalReason::SessionNotFound
            );
            assert_eq!(funds.is_none(), unknown, "{command:?}");
            return format!("refused {reason:?}");
        }
    };
    let shown = |Balance { cash, bonus }: Balance| format!("{}+{}", cash.minor(), bonus.minor());
    match facts {
        Facts::Booked(Booked { funds, split }) => {
            let funds = shown(funds.balance);
            let is_bet = matches!(command, Command::PlaceBet(_));
            assert!(is_bet || *split == Balance::default(), "{command:?}");
            if is_bet {
                format!("{word} {funds} took {}", shown(*split))
            } else {
                format!("{word} {funds}")
            }
        }
        Facts::Funds(funds) => format!("{word} {}", shown(funds.balance)),
        Facts::Books(books) => format!("{word} {} books", books.len()),
        Facts::Account(facts) => {
            let live = facts.live_session.is_some();
            format!("{word} {} live={live}", shown(facts.funds.balance))
        }
        Facts::Session(facts) => format!("{word} live={}", facts.live),
    }
}
