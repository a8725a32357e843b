//! Every kind of posting there and back, and its bytes as they are for ever.

use proptest::prelude::*;

use super::*;
use crate::ledger::{
    AlertFacts, BetPlaced, BetRolledBack, BetVoided, Credited, RollbackFacts, RoundEnded,
    RoundFacts, WinningsAwarded,
};
use crate::types::{
    AccountId, Amount, Balance, CountryCode, Currency, GameId, GameRoundId, JackpotAmount, Lsn,
    SessionKey, TEXT_ID_UNITS_MAX, TEXT_UNITS_MAX, Text, TransactionId,
};
use crate::wal::RECORD_BYTES_MAX;
use crate::wal::batch::LENGTH_BYTES;

fn posting(account: &str, change: Change) -> Posting {
    Posting {
        at: UnixMillis(0x0102),
        account: AccountId::parse(account).unwrap(),
        change,
        balance_after: Balance {
            cash: amount(3),
            bonus: amount(4),
        },
    }
}

fn amount(minor: i64) -> Amount {
    Amount::from_minor(minor).unwrap()
}

/// What the fields of the kinds below hold.
struct Sample {
    key: u128,
    time: i64,
    minor: i64,
    lsn: u64,
    jackpot: u128,
    id: String,
    text: String,
    /// Whatever may be there or not is there.
    full: bool,
}

impl Sample {
    fn id(&self) -> TransactionId {
        TransactionId::parse(&self.id).unwrap()
    }

    fn text(&self) -> Text {
        Text::parse(&self.text).unwrap()
    }

    fn jackpot(&self) -> Option<JackpotAmount> {
        self.full.then_some(JackpotAmount::from_units(self.jackpot))
    }

    fn facts(&self) -> RoundFacts {
        RoundFacts {
            transaction: self.id(),
            round: GameRoundId::parse(&self.id).unwrap(),
            game: GameId::parse(&self.id).unwrap(),
            amount: amount(self.minor),
            end_round: self.full,
            free_game_offer: self.full.then(|| self.text()),
        }
    }

    /// A third of the amount is bonus.
    fn split(&self) -> Balance {
        let bonus = self.minor / 3;
        Balance {
            cash: amount(self.minor - bonus),
            bonus: amount(bonus),
        }
    }

    fn cashed(&self) -> Cashed {
        Cashed {
            transaction: self.id(),
            amount: amount(self.minor),
            previous_booking: Lsn(self.lsn),
        }
    }

    fn rollback(&self) -> RollbackFacts {
        RollbackFacts {
            facts: self.facts(),
            bet: self.id(),
            jackpot_contribution: self.jackpot(),
        }
    }

    fn accounts(&self) -> Vec<Change> {
        let key = SessionKey::from_bits(self.key);
        let country = CountryCode::parse("GB").unwrap();
        let time = UnixMillis(self.time);
        let limit = self.full.then_some(amount(self.minor));
        let active = [AccountStatus::Active, AccountStatus::Suspended];
        vec![
            Change::AccountOpened {
                currency: Currency::parse("KWD").unwrap(),
                country,
                balance: self.split(),
                session: self.full.then_some(key),
            },
            Change::Deposited(self.cashed()),
            Change::SessionOpened {
                key,
                country,
                logout_at: self.full.then_some(time),
            },
            Change::SessionLoggedOut { key },
            Change::TokenSpent {
                key,
                issued_at: time,
                expires_at: time,
            },
            Change::Withdrawn(self.cashed()),
            Change::BonusGranted(self.cashed()),
            Change::LimitsSet {
                limits: Limits {
                    loss_daily: limit,
                    loss_weekly: limit,
                    loss_monthly: limit,
                    session_s: self.full.then_some(0x0708),
                },
            },
            Change::StatusSet {
                status: active[usize::from(self.full)],
            },
        ]
    }

    fn games(&self) -> Vec<Change> {
        let lsn = Lsn(self.lsn);
        let free = |free_play| {
            Change::BetPlaced(Box::new(BetPlaced {
                facts: self.facts(),
                start_round: self.full,
                free_play,
                taken: if free_play {
                    Balance::default()
                } else {
                    self.split()
                },
                jackpot_contribution: self.jackpot(),
                previous_booking: lsn,
            }))
        };
        let rolled_back = |free_play| {
            Change::BetRolledBack(Box::new(BetRolledBack {
                rollback: self.rollback(),
                free_play,
                returned: if free_play {
                    Balance::default()
                } else {
                    self.split()
                },
                previous_booking: lsn,
            }))
        };
        vec![
            free(false),
            free(true),
            Change::WinningsAwarded(Box::new(WinningsAwarded {
                facts: self.facts(),
                start_round: self.full,
                paid: self.split(),
                jackpot_winnings: self.jackpot(),
                previous_booking: lsn,
            })),
            rolled_back(false),
            rolled_back(true),
            Change::RollbackRepeated(Box::new(self.rollback())),
            Change::RollbackBeforeBet(Box::new(self.rollback())),
            Change::BetVoided(Box::new(BetVoided {
                facts: self.facts(),
                jackpot_contribution: self.jackpot(),
                previous_booking: lsn,
            })),
            Change::RoundEnded(Box::new(RoundEnded {
                round: GameRoundId::parse(&self.id).unwrap(),
                game: GameId::parse(&self.id).unwrap(),
                zero_loss: self.full,
                jackpot_contribution: self.jackpot(),
                jackpot_winnings: self.jackpot(),
            })),
            Change::Credited(Box::new(Credited {
                transaction: self.id(),
                type_id: self.text(),
                amount: amount(self.minor),
                previous_booking: lsn,
            })),
            Change::AlertAnswered(Box::new(AlertFacts {
                source: self.text(),
                action_id: self.text(),
                action_reference: self.text(),
                reference: self.text(),
                regulator_code: self.text(),
                kind: self.text(),
                method: self.text(),
                data: self.text(),
            })),
        ]
    }

    fn every_kind(&self) -> Vec<Change> {
        [self.accounts(), self.games()].concat()
    }
}

fn small(full: bool) -> Sample {
    Sample {
        key: 0x0A0B,
        time: 0x0C0D,
        minor: 0x0506,
        lsn: 0x0E0F,
        jackpot: 0x1011,
        id: "d".to_owned(),
        text: "t".to_owned(),
        full,
    }
}

fn hex(change: &Change) -> String {
    let mut bytes = Vec::new();
    encode(&posting("a/b", change.clone()), &mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One line for each kind with and without everything that may be missing.
#[test]
fn the_bytes_of_every_kind_are_these_for_ever() {
    let lines: Vec<_> = [true, false]
        .into_iter()
        .flat_map(|full| small(full).every_kind())
        .map(|change| hex(&change))
        .collect();
    let golden = include_str!("../golden/postings.hex");
    let expected: Vec<_> = golden.lines().collect();
    assert_eq!(lines, expected, "{}", lines.join("\n"));
    let mut kinds: Vec<_> = lines.iter().map(|line| &line[..2]).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), usize::from(kind::STATUS_SET), "every kind");
}

/// With every text as long as it may be, in code units of three bytes each.
#[test]
fn the_longest_posting_fits_a_record() {
    let sample = Sample {
        id: "€".repeat(TEXT_ID_UNITS_MAX),
        text: "€".repeat(TEXT_UNITS_MAX),
        ..small(true)
    };
    let account = format!("a/{}", "€".repeat(TEXT_ID_UNITS_MAX - 2));
    let longest = sample
        .every_kind()
        .into_iter()
        .map(|change| {
            let mut bytes = Vec::new();
            encode(&posting(&account, change), &mut bytes);
            LENGTH_BYTES + bytes.len()
        })
        .max();
    assert!(longest <= Some(RECORD_BYTES_MAX), "{longest:?}");
}

#[test]
fn fields_that_no_posting_has_are_refused() {
    let bet = || small(false).games().remove(0);
    // Behind kind, time, balance, and the account with its length.
    let flags_at = 1 + 8 + 16 + 4;
    let mut bytes = Vec::new();
    encode(&posting("a/b", bet()), &mut bytes);
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        decode(&bytes)
    };
    assert!(with(flags_at, 1).is_ok(), "the round's end");
    // Jackpot winnings are no part of a bet.
    assert_eq!(with(flags_at, 32), Err(DecodeError::Invalid("flags")));
    let bonus_at = flags_at + 1 + 8 + 6;
    assert!(with(bonus_at, 0).is_ok());
    // The amount is 0x0506.
    let beyond = with(bonus_at + 1, 6);
    assert_eq!(beyond, Err(DecodeError::Invalid("bonus part")));
    // Free play takes nothing.
    assert_eq!(with(flags_at, 4), Err(DecodeError::Invalid("bonus part")));
    assert_eq!(with(0, 0), Err(DecodeError::UnknownKind(0)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_posting_reads_back_and_no_part_of_it_does(
        key: u128, time: i64, minor in 0..=i64::MAX, lsn: u64, jackpot: u128,
        id in "[a-z€😀]{1,20}", text in "[a-z€😀]{1,40}", full: bool,
    ) {
        let sample = Sample { key, time, minor, lsn, jackpot, id, text, full };
        for change in sample.every_kind() {
            let posting = posting("a/b", change);
            let mut bytes = Vec::new();
            encode(&posting, &mut bytes);
            prop_assert_eq!(decode(&bytes), Ok(posting));
            for end in 0..bytes.len() {
                prop_assert_eq!(decode(&bytes[..end]), Err(DecodeError::Short));
            }
            bytes.push(0);
            prop_assert_eq!(decode(&bytes), Err(DecodeError::Long(1)));
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        let _ = decode(&bytes);
    }
}
