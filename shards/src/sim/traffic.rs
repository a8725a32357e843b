//! What clients ask for: random commands on few, unevenly busy accounts.
//!
//! Some accounts only save: their balances tell an outsider exactly what they hold
//! (`account.rs`). The others play, and the dealer asks of them all that can be asked.

use super::account::{DIGITS, digit_amount};
use super::dealer::{Dealer, Taste};
use super::random::Random;
use crate::ledger::{Command, LedgerSettings, SESSIONS_PER_ACCOUNT_MAX};
use crate::routing::slot_of;
use crate::types::{
    AccountId, Amount, Balance, CountryCode, Currency, SessionKey, SessionToken, TransactionId,
    UnixMillis,
};

/// Few enough that every account is in the middle of something at every crash.
const SAVERS: usize = 8;
const PLAYERS: usize = 5;

/// How long tokens live: longer than a simulation.
const TOKEN_LIFE_MS: i64 = 86_400_000;

struct Account {
    id: AccountId,
    digits: u32,
    transactions: Vec<TransactionId>,
    sessions: Vec<SessionKey>,
}

pub(super) struct Traffic {
    accounts: Vec<Account>,
    dealer: Dealer,
    history: Vec<Command>,
}

impl Traffic {
    pub(super) fn new(random: &mut Random, settings: &LedgerSettings) -> Self {
        let account = |number: usize| {
            let domain = ["acme", "demo"][number % 2];
            // Long, so that a few postings fill more than a sector, which can tear.
            let id = AccountId::parse(&format!("{domain}/p{number}-{:é>40}", random.below(1_000)));
            Account {
                id: id.unwrap_or_else(|| unreachable!("the id has both its sides")),
                digits: 0,
                transactions: Vec::new(),
                sessions: Vec::new(),
            }
        };
        Self {
            accounts: (0..SAVERS).map(account).collect(),
            dealer: Dealer::new(Taste::Plain, PLAYERS, settings),
            history: Vec::new(),
        }
    }

    /// The next command: a new one, or one of before again.
    pub(super) fn next(&mut self, random: &mut Random, now: UnixMillis) -> Command {
        if random.one_in(2) {
            return self.dealer.next(random, now);
        }
        if random.one_in(8)
            && let Some(command) = random.pick(&self.history)
        {
            return command.clone();
        }
        let at = random.skewed(SAVERS);
        let command = self.accounts[at].command(random, now);
        self.history.push(command.clone());
        command
    }
}

impl Account {
    fn command(&mut self, random: &mut Random, now: UnixMillis) -> Command {
        let account = self.id.clone();
        let session = random.pick(&self.sessions).copied();
        match random.below(20) {
            // Few accounts come to be by the first command that names them.
            0 => Command::OpenAccount {
                account,
                currency: self.currency(),
                country: country(random),
            },
            1 | 2 => self.import(random),
            3..=9 => self.deposit(random),
            10 | 11 => self.open_session(random),
            12 => session.map_or(Command::ReadBalance { account }, |key| {
                Command::LogOutSession { key }
            }),
            13 | 14 => session.map_or(Command::ReadAccount { account }, |key| {
                let issued_at = UnixMillis(1_795_000_000_000 + random.below(3) as i64);
                let expires_at = UnixMillis(now.0 + TOKEN_LIFE_MS);
                Command::SpendToken {
                    token: SessionToken { key, issued_at },
                    expires_at,
                }
            }),
            15 => session.map_or(Command::ReadLatestSession { account }, |key| {
                Command::ReadSession { key }
            }),
            16 => Command::ReadLatestSession {
                account: self.id.clone(),
            },
            17 => Command::ReadAccount {
                account: self.id.clone(),
            },
            _ => Command::ReadBalance {
                account: self.id.clone(),
            },
        }
    }

    fn currency(&self) -> Currency {
        let code = match self.id.domain() {
            "acme" => "GBP",
            _ => "JPY",
        };
        Currency::parse(code).unwrap_or_else(|| unreachable!("ISO 4217 has both"))
    }

    /// An amount of its own, unless there is none left.
    fn amount(&mut self) -> Option<Amount> {
        (self.digits < DIGITS).then(|| {
            self.digits += 1;
            minor(digit_amount(self.digits - 1))
        })
    }

    fn key(&mut self, random: &mut Random) -> Option<SessionKey> {
        // One more and the ledger forgets the oldest.
        (self.sessions.len() < usize::from(SESSIONS_PER_ACCOUNT_MAX)).then(|| {
            let bits = u128::from(random.number()) << 64 | u128::from(random.number());
            let key = SessionKey::mint(slot_of(&self.id), bits);
            self.sessions.push(key);
            key
        })
    }

    fn import(&mut self, random: &mut Random) -> Command {
        let account = self.id.clone();
        let Some(cash) = self.amount() else {
            return Command::ReadBalance { account };
        };
        let session = match random.one_in(2) {
            true => self.key(random),
            false => None,
        };
        Command::ImportAccount {
            account,
            currency: self.currency(),
            country: country(random),
            balance: Balance {
                cash,
                bonus: minor(random.below(3) as i64),
            },
            session,
        }
    }

    fn deposit(&mut self, random: &mut Random) -> Command {
        let account = self.id.clone();
        let Some(amount) = self.amount() else {
            return Command::ReadBalance { account };
        };
        let transaction = match random.pick(&self.transactions) {
            // A mistake of the client: an id of before with another amount.
            Some(used) if random.one_in(6) => used.clone(),
            _ => {
                // Some are long, as above.
                // Long in bytes, so that frames are of several sectors and tear.
                let padding = "€".repeat(random.below(2) as usize * 40);
                let text = format!("t-{}{padding}", self.transactions.len());
                let id = TransactionId::parse(&text);
                let id = id.unwrap_or_else(|| unreachable!("short, and not empty"));
                self.transactions.push(id.clone());
                id
            }
        };
        Command::Deposit {
            account,
            transaction,
            amount,
            currency: self.currency(),
        }
    }

    fn open_session(&mut self, random: &mut Random) -> Command {
        let account = self.id.clone();
        match self.key(random) {
            None => Command::ReadLatestSession { account },
            Some(key) => Command::OpenSession {
                account,
                key,
                country: country(random),
                logout_at: None,
            },
        }
    }
}

fn minor(minor: i64) -> Amount {
    Amount::from_minor(minor).unwrap_or_else(|| unreachable!("never below zero"))
}

fn country(random: &mut Random) -> CountryCode {
    let code = ["GB", "JP", "MT"][random.below(3) as usize];
    CountryCode::parse(code).unwrap_or_else(|| unreachable!("two letters"))
}
