//! A ledger as a stream of entries, and back: what checkpoints are made of.
//!
//! [`Ledger::entries`] hands out everything that a decision can rest on, in an order that
//! is the same for equal ledgers, however they came to be; [`Restoring`] builds a ledger
//! from it that decides exactly as the first one did. Only positions in the log are left
//! out: everything in a checkpoint is durable, so nothing that rests on it has to wait.
//!
//! Every owner of state gives and takes its own part: `books.rs`, `account.rs`,
//! `session.rs`, `age.rs`, `transactions.rs`, `rounds.rs`. An entry that belongs to another one (a session to
//! its account) comes somewhere behind it, before the next of that kind.
//!
//! To add one: a variant of [`Entry`] with everything that it must say (never an index,
//! which another ledger numbers otherwise), its bytes under a new kind in
//! `wal/codec/entry.rs`, a line in [`Ledger::entries`] and one in [`Restoring::entry`],
//! both in the owner's file, and a command in the property test below that makes one.
//! The tests fail for state that is forgotten here.

use super::account::AccountIndex;
use super::digest::slot_of_digest;
use super::session::SessionIndex;
use super::{AccountStatus, Book, Ledger, LedgerSettings, Limits};
use crate::types::{AccountId, Balance, CountryCode, Currency, Lsn, SessionKey, Slot, UnixMillis};

/// One thing that a ledger holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The operator's books of one domain and currency. All of them come first.
    Book(Book),
    /// An account, in the order of their opening.
    Account(AccountEntry),
    /// A session of the account before, the oldest first.
    Session(SessionEntry),
    /// A token of the session before that was redeemed.
    SpentToken(SpentTokenEntry),
    /// The age of the memory of transactions and rounds. Once, behind all accounts.
    Memory(MemoryEntry),
    /// A part of the memory of transactions, the oldest first.
    Window {
        /// How old the memory was when it was opened, in spans of its windows.
        number: i64,
    },
    /// A transaction in the window before, in the order in which they were remembered.
    Transaction(TransactionEntry),
    /// A part of the memory of rounds, the oldest first, behind all transactions.
    RoundWindow {
        /// As that of [`Entry::Window`].
        number: i64,
    },
    /// A round in the window before. Their order is that in which they are forgotten.
    Round(RoundEntry),
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountEntry {
    /// Who.
    pub id: AccountId,
    /// In what it counts.
    pub currency: Currency,
    /// Of the player.
    pub country: CountryCode,
    /// Whether it may bet.
    pub status: AccountStatus,
    /// What it holds.
    pub balance: Balance,
    /// When it was opened.
    pub created_at: UnixMillis,
    /// Its last booking: where the chain of its bookings begins.
    pub last_booking: Lsn,
    /// What the operator limits.
    pub limits: Limits,
    /// What it lost lately by day, week and month; nothing if it never played.
    pub losses: Option<[LossEntry; LossEntry::PERIODS]>,
}

/// What an account lost in one span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossEntry {
    /// Net loss in minor units.
    pub minor: i64,
    /// Which day, week or month this is of, counted as the ledger counts them.
    pub span: i32,
}

impl LossEntry {
    /// Day, week and month.
    pub const PERIODS: usize = 3;
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEntry {
    /// Its key.
    pub key: SessionKey,
    /// Where the player plays from.
    pub country: CountryCode,
    /// When it was opened.
    pub created_at: UnixMillis,
    /// When it ends or ended.
    pub logout_at: Option<UnixMillis>,
    /// Whether a command ended it.
    pub logged_out: bool,
}

/// A redeemed token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentTokenEntry {
    /// Tells it from the session's others.
    pub issued_at: UnixMillis,
    /// Until when it is remembered.
    pub expires_at: UnixMillis,
}

/// How old the memory of transactions and rounds is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryEntry {
    /// How much time a window spans, in milliseconds.
    pub span_ms: i64,
    /// How much time has passed from posting to posting, in milliseconds.
    pub age_ms: i64,
    /// The time of the last posting.
    pub last_at: Option<UnixMillis>,
    /// What happened before may be forgotten already, because the memory was to last for
    /// a shorter time then.
    pub complete_from: Option<UnixMillis>,
}

/// A transaction that is remembered, as two keyed digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionEntry {
    /// Of whose it is, its kind and its id.
    pub digest: u128,
    /// Of what a repeat must agree on.
    pub contents: u64,
    /// What else is remembered of it, as the ledger notes it.
    pub note: i64,
}

impl TransactionEntry {
    /// The slot of its account.
    #[must_use]
    pub fn slot(&self) -> Slot {
        slot_of_digest(self.digest)
    }
}

/// A round that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundEntry {
    /// Of whose it is and its id.
    pub digest: u128,
    /// Whose it is.
    pub account: AccountId,
    /// What was staked and not rolled back.
    pub staked: Balance,
    /// Whether it is open.
    pub is_open: bool,
    /// Whether winnings were paid or a loss was recorded.
    pub has_result: bool,
}

/// Entries that are those of no ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryMisfit {
    /// Something is there twice.
    #[error("a second {0} of this name")]
    Twice(&'static str),
    /// An entry comes before the one that it belongs to, or behind the end of its part.
    #[error("a {0} out of its place")]
    OutOfPlace(&'static str),
    /// A number that no ledger has.
    #[error("an impossible {0}")]
    Impossible(&'static str),
    /// Accounts do not hold what the book of their domain says, or a book does not sum
    /// to zero.
    #[error("books that do not add up")]
    Unbalanced,
}

impl Ledger {
    /// Hands out all entries, in an order that is the same for equal ledgers.
    ///
    /// # Errors
    /// The first one of `each`.
    pub fn entries<E>(&self, each: &mut dyn FnMut(Entry) -> Result<(), E>) -> Result<(), E> {
        for book in self.books.all() {
            each(Entry::Book(book.clone()))?;
        }
        for account in self.accounts.iter() {
            each(Entry::Account(account.entry()))?;
            self.sessions.entries(account.latest_session, each)?;
        }
        each(Entry::Memory(self.age.entry()))?;
        self.transactions.entries(each)?;
        self.rounds.entries(&self.accounts, each)
    }
}

/// A ledger that is being built from entries. Without any it is an empty one.
pub struct Restoring {
    ledger: Ledger,
    account: Option<AccountIndex>,
    session: Option<SessionIndex>,
    /// Entries of accounts are over.
    has_memory: bool,
    has_window: bool,
    has_round_window: bool,
    /// What the accounts of each book hold, cash and bonus.
    held: Vec<(i128, i128)>,
}

impl Restoring {
    /// Begins with nothing. Where windows of transactions are to span another time than
    /// those of the entries, they are remembered for a little longer than either asks.
    #[must_use]
    pub fn new(settings: LedgerSettings) -> Self {
        Self {
            ledger: Ledger::new(settings),
            account: None,
            session: None,
            has_memory: false,
            has_window: false,
            has_round_window: false,
            held: Vec::new(),
        }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// [`EntryMisfit`] says why it cannot be the next one of a ledger.
    pub fn entry(&mut self, entry: Entry) -> Result<(), EntryMisfit> {
        let ledger = &mut self.ledger;
        match entry {
            Entry::Book(book) => {
                if self.account.is_some() || self.has_memory {
                    return Err(EntryMisfit::OutOfPlace("book"));
                }
                self.held.push((0, 0));
                ledger.books.restore(book)
            }
            Entry::Account(account) => {
                if self.has_memory {
                    return Err(EntryMisfit::OutOfPlace("account"));
                }
                let balance = account.balance;
                let (at, book) = ledger.restore_account(account)?;
                let held = &mut self.held[usize::from(book)];
                held.0 += i128::from(balance.cash.minor());
                held.1 += i128::from(balance.bonus.minor());
                self.account = Some(at);
                self.session = None;
                Ok(())
            }
            Entry::Session(session) => {
                let account = self.account.filter(|_| !self.has_memory);
                let at = account.ok_or(EntryMisfit::OutOfPlace("session"))?;
                self.session = Some(ledger.restore_session(at, &session)?);
                Ok(())
            }
            Entry::SpentToken(token) => {
                let session = self.session.filter(|_| !self.has_memory);
                let at = session.ok_or(EntryMisfit::OutOfPlace("spent token"))?;
                ledger.sessions.restore_spent(at, &token)
            }
            Entry::Memory(memory) => {
                if self.has_memory {
                    return Err(EntryMisfit::Twice("age of the memory"));
                }
                self.has_memory = true;
                ledger.age.restore(&memory)
            }
            Entry::Window { number } => {
                if !self.has_memory || self.has_round_window {
                    return Err(EntryMisfit::OutOfPlace("window of transactions"));
                }
                self.has_window = true;
                let number = ledger.age.restored_window(number)?;
                ledger.transactions.restore_window(number)
            }
            Entry::Transaction(transaction) => {
                if !self.has_window || self.has_round_window {
                    return Err(EntryMisfit::OutOfPlace("transaction"));
                }
                let may_merge = ledger.age.merges_windows();
                ledger.transactions.restore(&transaction, may_merge)
            }
            Entry::RoundWindow { number } => {
                if !self.has_memory {
                    return Err(EntryMisfit::OutOfPlace("window of rounds"));
                }
                self.has_round_window = true;
                let number = ledger.age.restored_window(number)?;
                ledger.rounds.restore_window(number)
            }
            Entry::Round(round) => {
                if !self.has_round_window {
                    return Err(EntryMisfit::OutOfPlace("round"));
                }
                ledger.restore_round(&round)
            }
        }
    }

    /// The ledger, once all entries were taken.
    ///
    /// # Errors
    /// [`EntryMisfit`] when something is missing: without any entry nothing is.
    pub fn finish(self) -> Result<Ledger, EntryMisfit> {
        let is_empty = self.held.is_empty() && self.account.is_none();
        if !self.has_memory && !is_empty {
            return Err(EntryMisfit::OutOfPlace("end"));
        }
        let books = self.ledger.books.all();
        let adds_up = books.iter().zip(&self.held).all(|(book, held)| {
            (book.player_cash, book.player_bonus) == *held && book.total() == 0
        });
        if !adds_up {
            return Err(EntryMisfit::Unbalanced);
        }
        Ok(self.ledger)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::ledger::{
        AwardWinnings, Command, Decision, FundsOrder, LimitsChange, Outcome, PlaceBet,
        RefusalReason, RollBackBet, RoundBooking, StatedAmount, StatedSession,
    };
    use crate::types::{Amount, GameId, GameRoundId, SessionToken, TransactionId};

    fn settings(window_hours: u64) -> LedgerSettings {
        LedgerSettings {
            idempotency_window: Duration::from_secs(window_hours * 3_600),
            digest_secret: [1, 2],
            clock_skew_max: Duration::from_secs(300),
        }
    }

    /// One thing to do, of few players, keys and ids, so that they meet.
    #[derive(Clone, Copy, Debug)]
    struct Step {
        kind: u8,
        player: u8,
        number: u8,
        minutes: i64,
    }

    fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
        let step =
            (0..16u8, 0..4u8, 0..40u8, -100..400i64).prop_map(|(kind, player, number, minutes)| {
                Step {
                    kind,
                    player,
                    number,
                    minutes,
                }
            });
        proptest::collection::vec(step, 0..count)
    }

    fn command(step: &Step, now: UnixMillis) -> Command {
        let Step {
            kind,
            player,
            number,
            ..
        } = *step;
        // Two domains, and in one of them two currencies.
        let domain = if player < 3 { "acme" } else { "zeta" };
        let account = AccountId::parse(&format!("{domain}/p{player}")).unwrap();
        let currency = Currency::parse(if player == 1 { "EUR" } else { "GBP" }).unwrap();
        let country = CountryCode::parse("GB").unwrap();
        let slot = Slot::from_low_bits(u16::from(player));
        let key = SessionKey::mint(slot, u128::from(number));
        let amount = Amount::from_minor(i64::from(number)).unwrap();
        match kind {
            0 => Command::OpenAccount {
                account,
                currency,
                country,
            },
            1 => Command::ImportAccount {
                account,
                currency,
                country,
                balance: Balance {
                    cash: amount,
                    bonus: Amount::from_minor(7).unwrap(),
                },
                session: Some(key),
            },
            2 | 3 => Command::Deposit {
                account,
                transaction: TransactionId::parse(&format!("d-{number}")).unwrap(),
                amount,
                currency,
            },
            4 | 5 => Command::OpenSession {
                account,
                key,
                country,
                logout_at: (number % 3 == 0).then(|| now.after(Duration::from_secs(60))),
            },
            6 => Command::LogOutSession { key },
            7 => Command::GrantBonus {
                is_offered: true,
                account,
                transaction: TransactionId::parse(&format!("b-{number}")).unwrap(),
                amount,
                currency,
            },
            8 => Command::SetLimits {
                account,
                limits: LimitsChange {
                    loss_daily: Some((number % 2 == 0).then_some(amount)),
                    ..LimitsChange::default()
                },
            },
            9 => Command::SetStatus {
                account,
                status: match number % 4 {
                    0 => AccountStatus::Suspended,
                    _ => AccountStatus::Active,
                },
            },
            10..=12 => Command::PlaceBet(Box::new(PlaceBet {
                round: booking(account, currency, key, step, now),
                start_round: false,
                free_play: number % 8 == 0,
                funds_order: FundsOrder::BonusFirst,
                jackpot_contribution: None,
            })),
            13 => Command::AwardWinnings(Box::new(AwardWinnings {
                round: booking(account, currency, key, step, now),
                start_round: false,
                jackpot_winnings: None,
            })),
            14 => Command::RollBackBet(Box::new(RollBackBet {
                bet: TransactionId::parse(&format!("t-{number}")).unwrap(),
                round: booking(account, currency, key, step, now),
                jackpot_contribution: None,
            })),
            _ => Command::SpendToken {
                token: SessionToken {
                    key,
                    issued_at: UnixMillis(now.0 / 1_000_000),
                },
                expires_at: now.after(Duration::from_secs(u64::from(number) * 60)),
            },
        }
    }

    fn booking(
        account: AccountId,
        currency: Currency,
        key: SessionKey,
        step: &Step,
        now: UnixMillis,
    ) -> RoundBooking {
        RoundBooking {
            account,
            transaction: TransactionId::parse(&format!("t-{}", step.number)).unwrap(),
            round: GameRoundId::parse(&format!("r-{}", step.number / 4)).unwrap(),
            game: GameId::parse("g").unwrap(),
            game_known: true,
            stated_at: now,
            currency: Some(currency),
            amount: StatedAmount::Exact(Amount::from_minor(i64::from(step.number) / 3).unwrap()),
            session: StatedSession::Own(key),
            end_round: step.number.is_multiple_of(5),
            free_game_offer: None,
        }
    }

    /// A ledger with the clock and the position of its log.
    struct Life {
        ledger: Ledger,
        now: UnixMillis,
        lsn: Lsn,
    }

    impl Life {
        fn new(ledger: Ledger, now: UnixMillis) -> Self {
            let lsn = Lsn(1_000_000);
            Self { ledger, now, lsn }
        }

        fn step(&mut self, step: &Step) -> Outcome {
            self.now.0 += step.minutes * 60_000;
            match self.ledger.decide(&command(step, self.now), self.now) {
                Decision::Post(posting, outcome) => {
                    self.lsn = self.lsn.next();
                    self.ledger.apply(self.lsn, &posting);
                    outcome
                }
                Decision::Answer { outcome, .. } => outcome,
            }
        }
    }

    fn entries(ledger: &Ledger) -> Vec<Entry> {
        let mut entries = Vec::new();
        let Ok(()) = ledger.entries::<std::convert::Infallible>(&mut |entry| {
            entries.push(entry);
            Ok(())
        });
        entries
    }

    fn restore(
        entries: impl IntoIterator<Item = Entry>,
        settings: LedgerSettings,
    ) -> Result<Ledger, EntryMisfit> {
        let mut restoring = Restoring::new(settings);
        entries
            .into_iter()
            .try_for_each(|entry| restoring.entry(entry))?;
        restoring.finish()
    }

    fn lived(steps: &[Step]) -> Life {
        let mut life = Life::new(Ledger::new(settings(24)), UnixMillis(1_795_000_000_000));
        steps.iter().for_each(|step| drop(life.step(step)));
        life
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_restored_ledger_has_the_same_entries_and_decides_the_same(
            before in steps(400), after in steps(200),
        ) {
            let mut original = lived(&before);
            let snapshot = entries(&original.ledger);
            let ledger = restore(snapshot.clone(), settings(24)).unwrap();
            prop_assert_eq!(entries(&ledger), snapshot);
            prop_assert_eq!(ledger.counts(), original.ledger.counts());
            prop_assert_eq!(ledger.books(), original.ledger.books());
            let mut restored = Life {
                ledger,
                now: original.now,
                lsn: original.lsn,
            };
            for step in &after {
                prop_assert_eq!(restored.step(step), original.step(step), "{:?}", step);
            }
            prop_assert_eq!(entries(&restored.ledger), entries(&original.ledger));
        }

        #[test]
        fn another_window_takes_over_everything(before in steps(200), hours in 1..200u64) {
            let original = lived(&before);
            let ledger = restore(entries(&original.ledger), settings(hours)).unwrap();
            prop_assert_eq!(transactions(&ledger), transactions(&original.ledger));
        }
    }

    fn transactions(ledger: &Ledger) -> Vec<(u128, u64)> {
        let mut known: Vec<_> = entries(ledger)
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::Transaction(transaction) => Some((transaction.digest, transaction.contents)),
                _ => None,
            })
            .collect();
        known.sort_unstable();
        known
    }

    /// One entry of every kind, as a ledger gives them.
    fn every_kind() -> Vec<Entry> {
        let step = |kind, number| Step {
            kind,
            player: 0,
            number,
            minutes: 1,
        };
        let life = lived(&[step(1, 9), step(10, 9), step(15, 9)]);
        entries(&life.ledger)
    }

    #[test]
    fn an_entry_that_is_missing_twice_or_out_of_place_is_refused() {
        let whole = every_kind();
        let names: Vec<_> = whole.iter().map(std::mem::discriminant).collect();
        assert_eq!(names.len(), 9, "one of each: {whole:?}");
        for at in 0..whole.len() {
            let mut twice = whole.clone();
            twice.insert(at, whole[at].clone());
            // Tokens are not named, and a window that comes again is the same one.
            let is_fine = matches!(
                whole[at],
                Entry::SpentToken(_) | Entry::Window { .. } | Entry::RoundWindow { .. }
            );
            assert_eq!(restore(twice, settings(24)).is_ok(), is_fine, "{at} twice");
            let mut missing = whole.clone();
            missing.remove(at);
            // What nothing else tells of is told by the counts of the file it stands in.
            let is_fine = matches!(
                whole[at],
                Entry::SpentToken(_) | Entry::Transaction(_) | Entry::Round(_)
            );
            assert_eq!(
                restore(missing, settings(24)).is_ok(),
                is_fine,
                "without {at}"
            );
        }
        let mut reversed = whole;
        reversed.reverse();
        assert!(restore(reversed, settings(24)).is_err());
    }

    /// A bet and a rollback, each stated at a time.
    fn bet(number: u8, stated_at: UnixMillis) -> Command {
        let step = Step {
            kind: 10,
            player: 0,
            number,
            minutes: 0,
        };
        command(&step, stated_at)
    }

    fn rollback(id: &str, number: u8, stated_at: UnixMillis) -> Command {
        let Command::PlaceBet(placed) = bet(number, stated_at) else {
            unreachable!("a bet")
        };
        let mut round = placed.round;
        let bet = std::mem::replace(&mut round.transaction, TransactionId::parse(id).unwrap());
        Command::RollBackBet(Box::new(RollBackBet {
            round,
            bet,
            jackpot_contribution: None,
        }))
    }

    /// Decides and applies.
    fn ask(life: &mut Life, command: &Command) -> Outcome {
        match life.ledger.decide(command, life.now) {
            Decision::Post(posting, outcome) => {
                life.lsn = life.lsn.next();
                life.ledger.try_apply(life.lsn, &posting).unwrap();
                outcome
            }
            Decision::Answer { outcome, .. } => outcome,
        }
    }

    /// Something happens every ten seconds, so that all of that time counts.
    fn pass(life: &mut Life, hours: i64) {
        for tenth in 0..360 * hours {
            let number = tenth as u8 % 2;
            life.now.0 += 10_000;
            let status = [AccountStatus::Suspended, AccountStatus::Active];
            let account = AccountId::parse("acme/p0").unwrap();
            let status = status[usize::from(number)];
            ask(life, &Command::SetStatus { account, status });
        }
    }

    fn refused(outcome: &Outcome) -> Option<RefusalReason> {
        match outcome {
            Outcome::Refused(refusal) => Some(refusal.reason),
            _ => None,
        }
    }

    #[test]
    fn a_window_that_is_made_longer_lets_nothing_forgotten_be_booked_again() {
        let opening = Step {
            kind: 1,
            player: 0,
            number: 9,
            minutes: 0,
        };
        let mut life = lived(&[opening]);
        let stated_at = life.now;
        assert_eq!(refused(&ask(&mut life, &bet(9, stated_at))), None);
        pass(&mut life, 40);
        let longer = restore(entries(&life.ledger), settings(72)).unwrap();
        // And once more through a checkpoint, which must not forget that it forgot.
        life.ledger = restore(entries(&longer), settings(72)).unwrap();
        pass(&mut life, 1);
        let again = ask(&mut life, &bet(9, stated_at));
        assert_eq!(refused(&again), Some(RefusalReason::RequestTooOld));
        let now = life.now;
        assert_eq!(refused(&ask(&mut life, &bet(9, now))), None, "a new bet");
    }

    #[test]
    fn a_tombstone_that_was_renewed_is_restored_to_any_window() {
        for quarter_hours in 0..40 {
            let opening = Step {
                kind: 1,
                player: 0,
                number: 9,
                minutes: 15 * quarter_hours,
            };
            let mut life = lived(&[opening]);
            for id in ["k-1", "k-2"] {
                let rollback = rollback(id, 9, life.now);
                let told = refused(&ask(&mut life, &rollback));
                assert_eq!(told, Some(RefusalReason::BetNotFound));
                pass(&mut life, 3);
            }
            for hours in [1, 20, 23, 24, 25, 72] {
                let mut restored = Life {
                    ledger: restore(entries(&life.ledger), settings(hours)).unwrap(),
                    ..life
                };
                let bet = bet(9, restored.now);
                let told = refused(&ask(&mut restored, &bet));
                assert_eq!(told, Some(RefusalReason::RolledBackBefore), "{hours} h");
            }
        }
    }

    /// The age is less than at the last entry then, and the newest window ahead of it.
    #[test]
    fn a_clock_set_back_at_the_beginning_of_a_window_leaves_a_memory_that_is_restored() {
        let opening = Step {
            kind: 1,
            player: 0,
            number: 9,
            minutes: 0,
        };
        let mut life = lived(&[opening]);
        let early = rollback("k-1", 9, life.now);
        ask(&mut life, &early);
        while life.ledger.age.window() == 0 {
            life.now.0 += 10_000;
            let id = format!("k-{}", life.now.0);
            let renewed = rollback(&id, 9, life.now);
            ask(&mut life, &renewed);
        }
        life.now.0 -= 3_600_000;
        let account = AccountId::parse("acme/p0").unwrap();
        let status = AccountStatus::Suspended;
        ask(&mut life, &Command::SetStatus { account, status });
        assert_eq!(life.ledger.age.window(), 0);
        for hours in [1, 24, 72] {
            let restored = restore(entries(&life.ledger), settings(hours)).unwrap();
            assert!(entries(&restored).len() <= entries(&life.ledger).len());
            if hours == 24 {
                assert_eq!(entries(&restored), entries(&life.ledger));
            }
        }
    }

    #[test]
    fn a_longer_memory_takes_a_bet_under_a_forgotten_id_for_a_new_one() {
        let opening = Step {
            kind: 1,
            player: 0,
            number: 9,
            minutes: 0,
        };
        let mut life = lived(&[opening]);
        let mut longer = Ledger::new(settings(10_000));
        let mut postings = Vec::new();
        let mut both = |life: &mut Life, command: &Command| {
            if let Decision::Post(posting, _) = life.ledger.decide(command, life.now) {
                life.lsn = life.lsn.next();
                life.ledger.apply(life.lsn, &posting);
                postings.push((life.lsn, posting));
            }
        };
        // The opening itself, for the longer one.
        let fresh = Life::new(Ledger::new(settings(24)), UnixMillis(1_795_000_000_000));
        let open = command(&opening, fresh.now);
        let Decision::Post(posting, _) = fresh.ledger.decide(&open, fresh.now) else {
            panic!("nothing was opened")
        };
        longer.try_apply(Lsn(1_000_001), &posting).unwrap();
        let first = bet(9, life.now);
        both(&mut life, &first);
        let back = rollback("k-1", 9, life.now);
        both(&mut life, &back);
        for tenth in 0..360 * 60 {
            life.now.0 += 10_000;
            let account = AccountId::parse("acme/p0").unwrap();
            let status = [AccountStatus::Suspended, AccountStatus::Active][tenth % 2];
            both(&mut life, &Command::SetStatus { account, status });
        }
        let again = bet(9, life.now);
        both(&mut life, &again);
        for (lsn, posting) in &postings {
            longer.try_apply(*lsn, posting).unwrap();
        }
        // The new bet can be rolled back, once.
        let rollback = rollback("k-2", 9, life.now);
        let outcome = |ledger: &Ledger| match ledger.decide(&rollback, life.now) {
            Decision::Post(_, outcome) | Decision::Answer { outcome, .. } => outcome,
        };
        assert!(matches!(outcome(&life.ledger), Outcome::Accepted(_)));
        assert_eq!(outcome(&longer), outcome(&life.ledger));
    }

    #[test]
    fn money_that_is_not_in_the_books_is_refused() {
        let mut entries = every_kind();
        for entry in &mut entries {
            if let Entry::Account(account) = entry {
                account.balance.cash = Amount::from_minor(1_000).unwrap();
            }
        }
        let refused = restore(entries, settings(24)).err();
        assert_eq!(refused, Some(EntryMisfit::Unbalanced));
    }

    #[test]
    fn no_entries_are_an_empty_ledger() {
        let ledger = restore([], settings(24)).unwrap();
        assert_eq!(ledger.counts(), Ledger::new(settings(24)).counts());
    }
}
