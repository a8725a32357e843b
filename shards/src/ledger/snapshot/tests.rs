//! A ledger that is restored is the same one: it has the same entries, and decides the same.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::ledger::{
    AccountStatus, AwardWinnings, Command, Decision, FundsOrder, LimitsChange, Outcome, PlaceBet,
    Posting, RollBackBet, RoundBooking, StatedAmount, StatedSession,
};
use crate::types::{
    AccountId, Amount, Balance, CountryCode, Currency, GameId, GameRoundId, Lsn, SessionKey,
    SessionToken, Slot, TransactionId, UnixMillis,
};

mod windows;

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
        (0..16u8, 0..4u8, 0..40u8, -100..400i64).prop_map(|(kind, player, number, minutes)| Step {
            kind,
            player,
            number,
            minutes,
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

/// A ledger with the clock and the postings of its log.
struct Life {
    ledger: Ledger,
    now: UnixMillis,
    lsn: Lsn,
    postings: Vec<(Lsn, Posting)>,
}

impl Life {
    fn new(ledger: Ledger, now: UnixMillis) -> Self {
        Self {
            ledger,
            now,
            lsn: Lsn(1_000_000),
            postings: Vec::new(),
        }
    }

    /// The same life with another ledger.
    fn with(&self, ledger: Ledger) -> Self {
        Self {
            lsn: self.lsn,
            ..Self::new(ledger, self.now)
        }
    }

    fn step(&mut self, step: &Step) -> Outcome {
        self.now.0 += step.minutes * 60_000;
        self.ask(&command(step, self.now))
    }

    /// Decides and applies.
    fn ask(&mut self, command: &Command) -> Outcome {
        match self.ledger.decide(command, self.now) {
            Decision::Post(posting, outcome) => {
                self.lsn = self.lsn.next();
                self.ledger.try_apply(self.lsn, &posting).unwrap();
                self.postings.push((self.lsn, posting));
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
        let mut restored = original.with(ledger);
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
