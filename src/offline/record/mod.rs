//! A posting in words: what `inspect` shows of it, and the names that `export` shares.
//! `fields.rs` has what is particular to each kind.

mod fields;

use std::collections::HashMap;
use std::fmt;

pub(super) use fields::{Fields, kind_and_fields};

use jiff::Timestamp;
use serde::Serialize;
use shards::ledger::{Change, HouseAccount, PlayerFunds, Posting};
use shards::types::{AccountId, Currency, Lsn, SessionKey, ShardId, UnixMillis};

/// One record of a log. The members have the names of the admin API.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Record<'a> {
    shard: u16,
    lsn: u64,
    at: String,
    #[serde(rename = "OperatorAccountID")]
    account: &'a str,
    kind: &'static str,
    #[serde(flatten)]
    fields: Fields<'a>,
    currency_code: &'a str,
    cash_funds: String,
    bonus_funds: String,
}

impl<'a> Record<'a> {
    pub(super) fn new(
        shard: ShardId,
        lsn: Lsn,
        posting: &'a Posting,
        currency: &'a Currency,
    ) -> Self {
        let (kind, fields) = kind_and_fields(&posting.change, *currency);
        Self {
            shard: shard.0,
            lsn: lsn.0,
            at: rfc3339(posting.at),
            account: posting.account.as_str(),
            kind,
            fields,
            currency_code: currency.code(),
            cash_funds: posting.balance_after.cash.to_major(*currency),
            bonus_funds: posting.balance_after.bonus.to_major(*currency),
        }
    }
}

/// The record on one line: the position, then `Name=value`.
impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.shard, self.lsn, self.at)?;
        write_word(f, self.account)?;
        write!(f, " {}", self.kind)?;
        let named = self.fields.named();
        let funds = [
            ("CurrencyCode", self.currency_code),
            ("CashFunds", &self.cash_funds),
            ("BonusFunds", &self.bonus_funds),
        ];
        let named = named.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in named.chain(funds) {
            write!(f, " {name}=")?;
            write_word(f, value)?;
        }
        Ok(())
    }
}

/// A text that others chose stays one word on one line: quoted where it would not.
fn write_word(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if text
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || c == '"')
    {
        write!(f, "{text:?}")
    } else {
        f.write_str(text)
    }
}

/// A session key is a credential. Its start tells an account's sessions apart.
fn masked(key: SessionKey) -> String {
    let text = key.to_string();
    let start: String = text.chars().take(8).collect();
    format!("{start}…")
}

/// A moment as RFC 3339 in UTC, to the millisecond.
pub(super) fn rfc3339(at: UnixMillis) -> String {
    // Years beyond 9999 have no RFC 3339 form; such a moment is as good as never.
    let at = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::MAX);
    format!("{at:.3}")
}

/// The name of a house account in trial balances and exports.
pub(super) fn house_name(account: HouseAccount) -> &'static str {
    match account {
        HouseAccount::Stakes => "HouseStakes",
        HouseAccount::Winnings => "HouseWinnings",
        HouseAccount::Cashier => "HouseCashier",
        HouseAccount::Bonus => "HouseBonus",
        HouseAccount::Adjustments => "HouseAdjustments",
    }
}

/// The name of a player's funds in exports.
pub(super) fn funds_name(funds: PlayerFunds) -> &'static str {
    match funds {
        PlayerFunds::Cash => "Cash",
        PlayerFunds::Bonus => "Bonus",
    }
}

/// Minor units of any sign in major units, with exactly the currency's fraction digits.
pub(super) fn major(minor: i128, currency: Currency) -> String {
    let digits = currency.fraction_digits() as usize;
    let sign = if minor < 0 { "-" } else { "" };
    let text = format!("{:0width$}", minor.unsigned_abs(), width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    match fraction {
        "" => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    }
}

/// The currency of every account, learned from the checkpoint and from the postings that
/// open accounts. As good as all accounts of a domain have the same one, so few are kept one by one.
#[derive(Default)]
pub(super) struct Currencies {
    domains: HashMap<String, Currency>,
    exceptions: HashMap<AccountId, Currency>,
}

impl Currencies {
    /// The currency that an account was opened with.
    pub(super) fn learn(&mut self, account: &AccountId, currency: Currency) {
        match self.domains.get(account.domain()) {
            None => {
                self.domains.insert(account.domain().to_owned(), currency);
            }
            Some(usual) if *usual == currency => {}
            Some(_) => {
                self.exceptions.insert(account.clone(), currency);
            }
        }
    }

    /// The currency of the posting's account; `None` when no account of its domain was
    /// ever opened.
    pub(super) fn of(&mut self, posting: &Posting) -> Option<Currency> {
        let domain = posting.account.domain();
        if let Change::AccountOpened { currency, .. } = &posting.change {
            self.learn(&posting.account, *currency);
            return Some(*currency);
        }
        // The usual case asks one small table.
        let exception = (!self.exceptions.is_empty())
            .then(|| self.exceptions.get(&posting.account))
            .flatten();
        exception.or_else(|| self.domains.get(domain)).copied()
    }
}

#[cfg(test)]
mod tests {
    use shards::ledger::{BetPlaced, Cashed, Limits, RollbackFacts, RoundFacts};
    use shards::types::{
        Amount, Balance, CountryCode, GameId, GameRoundId, JackpotAmount, TransactionId,
    };

    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    fn posting(account: &str, change: Change) -> Posting {
        Posting {
            at: UnixMillis(1_795_000_000_001),
            account: AccountId::parse(account).unwrap(),
            change,
            balance_after: Balance {
                cash: Amount::from_minor(1_050).unwrap(),
                bonus: Amount::ZERO,
            },
        }
    }

    fn opened(account: &str, code: &str) -> Posting {
        let change = Change::AccountOpened {
            currency: currency(code),
            country: CountryCode::parse("GB").unwrap(),
            balance: Balance::default(),
            session: None,
        };
        posting(account, change)
    }

    fn deposit(account: &str, id: &str) -> Posting {
        let change = Change::Deposited(Cashed {
            transaction: TransactionId::parse(id).unwrap(),
            amount: Amount::from_minor(50).unwrap(),
            previous_booking: Lsn(3),
        });
        posting(account, change)
    }

    #[test]
    fn a_record_is_one_line_whatever_the_ids_hold() {
        let gbp = currency("GBP");
        for (posting, line) in [
            (
                deposit("acme/p1", "d-1"),
                "1 7 2026-11-18T11:06:40.001Z acme/p1 Deposit TransactionID=d-1 Amount=0.50 PreviousBooking=3 \
                 CurrencyCode=GBP CashFunds=10.50 BonusFunds=0.00",
            ),
            (
                deposit("acme/p 1", "a\n\"b\""),
                "1 7 2026-11-18T11:06:40.001Z \"acme/p 1\" Deposit \
                 TransactionID=\"a\\n\\\"b\\\"\" Amount=0.50 PreviousBooking=3 \
                 CurrencyCode=GBP CashFunds=10.50 BonusFunds=0.00",
            ),
            (
                posting(
                    "acme/p1",
                    Change::SessionLoggedOut {
                        key: SessionKey::from_bits(0x0123_4567_89AB << 80),
                    },
                ),
                "1 7 2026-11-18T11:06:40.001Z acme/p1 SessionLoggedOut SessionKey=01234567… \
                 CurrencyCode=GBP CashFunds=10.50 BonusFunds=0.00",
            ),
        ] {
            let record = Record::new(ShardId(1), Lsn(7), &posting, &gbp);
            assert_eq!(record.to_string(), line);
        }
    }

    fn round(id: &str) -> RoundFacts {
        RoundFacts {
            transaction: TransactionId::parse(id).unwrap(),
            round: GameRoundId::parse("r-1").unwrap(),
            game: GameId::parse("g-1").unwrap(),
            amount: Amount::from_minor(150).unwrap(),
            end_round: true,
            free_game_offer: None,
        }
    }

    #[test]
    fn bookings_of_rounds_tell_all_that_was_recorded() {
        let gbp = currency("GBP");
        let split = Balance {
            cash: Amount::from_minor(100).unwrap(),
            bonus: Amount::from_minor(50).unwrap(),
        };
        let jackpot = Some(JackpotAmount::from_units(1));
        for (change, told) in [
            (
                Change::BetPlaced(Box::new(BetPlaced {
                    facts: round("b-1"),
                    start_round: true,
                    free_play: false,
                    taken: split,
                    jackpot_contribution: jackpot,
                    previous_booking: Lsn(5),
                })),
                "Bet TransactionID=b-1 GameRoundID=r-1 GameID=g-1 Amount=1.50 CashAmount=1.00 \
                 BonusAmount=0.50 StartRound=true EndRound=true JackpotContribution=0.00000001 \
                 PreviousBooking=5",
            ),
            (
                Change::RollbackBeforeBet(Box::new(RollbackFacts {
                    facts: round("k-1"),
                    bet: TransactionId::parse("b-1").unwrap(),
                    jackpot_contribution: None,
                })),
                "RollbackBeforeBet TransactionID=k-1 OriginalTransactionID=b-1 GameRoundID=r-1 \
                 GameID=g-1 Amount=1.50 EndRound=true",
            ),
            (
                Change::LimitsSet {
                    limits: Limits {
                        loss_daily: Amount::from_minor(5_000),
                        session_s: Some(3_600),
                        ..Limits::default()
                    },
                },
                "LimitsSet SessionSeconds=3600 LossDaily=50.00",
            ),
        ] {
            let posting = posting("acme/p1", change);
            let record = Record::new(ShardId(1), Lsn(7), &posting, &gbp);
            let line = format!(
                "1 7 2026-11-18T11:06:40.001Z acme/p1 {told} CurrencyCode=GBP CashFunds=10.50 \
                 BonusFunds=0.00"
            );
            assert_eq!(record.to_string(), line);
            // The same members, each once, as one object.
            let json = serde_json::to_value(&record).unwrap();
            let members = json.as_object().unwrap();
            for (name, value) in record.fields.named() {
                let member = members.get(name).map(|member| match member {
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                });
                assert_eq!(member, Some(value), "{name}");
            }
            let common = 8;
            assert_eq!(members.len(), record.fields.named().len() + common);
        }
    }

    #[test]
    fn sums_leave_with_the_currency_s_digits_and_their_sign() {
        for (minor, code, text) in [
            (0, "GBP", "0.00"),
            (-5, "GBP", "-0.05"),
            (123_456, "GBP", "1234.56"),
            (-7, "JPY", "-7"),
            (1, "KWD", "0.001"),
            (
                i128::from(i64::MAX) * 1_000,
                "GBP",
                "92233720368547758070.00",
            ),
        ] {
            assert_eq!(major(minor, currency(code)), text);
        }
    }

    #[test]
    fn an_account_keeps_its_currency_when_its_domain_changes_it() {
        let mut currencies = Currencies::default();
        for (posting, expected) in [
            (deposit("acme/p1", "d"), None),
            (opened("acme/p1", "GBP"), Some("GBP")),
            (opened("acme/p2", "EUR"), Some("EUR")),
            (deposit("acme/p1", "d"), Some("GBP")),
            (deposit("acme/p2", "d"), Some("EUR")),
            (deposit("zeta/p1", "d"), None),
        ] {
            assert_eq!(currencies.of(&posting), expected.map(currency));
        }
    }
}
