//! Deals commands: anything that a platform or an operator may ask of a wallet, on few
//! accounts, so that everything happens to each of them.
//!
//! Ids, rounds and games come from small sets, and much refers to what was dealt before:
//! retries of the same request, the same id with other contents, rollbacks of bets that
//! were sent, of bets that will be sent, and of none. The property test feeds a ledger
//! with it, the simulation its clients.

mod bookings;

use super::random::Random;
use crate::ledger::{
    AccountStatus, Command, FundsOrder, LedgerSettings, Limits, LimitsChange, PlaceBet, RollBackBet,
};
use crate::routing::slot_of;
use crate::types::{
    AccountId, Amount, Balance, CountryCode, Currency, SessionKey, SessionToken, TransactionId,
    UnixMillis,
};

/// The players, two of each kind of domain. The first two share a slot, so the session of
/// one may be stated for the other.
const PLAYERS: [&str; 6] = [
    "cash/p0",
    "bonus/p1238",
    "plain/p2",
    "cash/p3",
    "bonus/p4",
    "plain/p5",
];

/// What happens often in one run and seldom in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taste {
    /// A little of everything.
    Plain,
    /// So many sessions that old ones are forgotten.
    ManySessions,
    /// Limits, and stakes that reach them.
    ManyLimits,
    /// Amounts at the edges of what can be held.
    LargeAmounts,
}

/// One player as the dealer knows it: what it was dealt, not what became of it.
pub(super) struct Player {
    pub(super) id: AccountId,
    pub(super) currency: Currency,
    pub(super) order: FundsOrder,
    dealt: u32,
    pub(super) sessions: Vec<SessionKey>,
    tokens: Vec<SessionToken>,
    /// How many ids were dealt, by kind.
    ids: [u64; KINDS],
    pub(super) bets: Vec<PlaceBet>,
    /// Rollbacks that went ahead of their bets.
    pub(super) ahead: Vec<RollBackBet>,
}

/// Places in [`Player::ids`]: the same texts serve each kind.
#[derive(Clone, Copy)]
pub(super) enum IdKind {
    Bet,
    Award,
    Rollback,
    Void,
    Credit,
    Deposit,
    Withdrawal,
    Bonus,
}

const KINDS: usize = 8;

/// Deals commands one after the other.
pub struct Dealer {
    taste: Taste,
    window_ms: i64,
    skew_ms: i64,
    players: Vec<Player>,
    history: Vec<Command>,
}

impl Dealer {
    /// For up to six [`Dealer::accounts`], which come to be by commands too.
    #[must_use]
    pub fn new(taste: Taste, accounts: usize, settings: &LedgerSettings) -> Self {
        let player = |id: &&str| {
            let id = account_id(id);
            let (currency, order) = match id.domain() {
                "cash" => ("GBP", FundsOrder::CashFirst),
                "bonus" => ("EUR", FundsOrder::BonusFirst),
                _ => ("JPY", FundsOrder::CashOnly),
            };
            Player {
                id,
                currency: currency_of(currency),
                order,
                dealt: 0,
                sessions: Vec::new(),
                tokens: Vec::new(),
                ids: [0; KINDS],
                bets: Vec::new(),
                ahead: Vec::new(),
            }
        };
        Self {
            taste,
            window_ms: settings.idempotency_window.as_millis() as i64,
            skew_ms: settings.clock_skew_max.as_millis() as i64,
            players: PLAYERS.iter().take(accounts).map(player).collect(),
            history: Vec::new(),
        }
    }

    /// The accounts that commands name; some may not be opened yet.
    pub fn accounts(&self) -> impl Iterator<Item = &AccountId> {
        self.players.iter().map(|player| &player.id)
    }

    /// The next command: a new one, or one of before, as it was or altered.
    pub fn next(&mut self, random: &mut Random, now: UnixMillis) -> Command {
        let command = match random.one_in(5) {
            true => self.again(random, now),
            false => None,
        };
        let command = command.unwrap_or_else(|| {
            let at = random.skewed(self.players.len());
            self.deal(random, at, now)
        });
        self.history.push(command.clone());
        command
    }

    /// One of before: of late, or any.
    fn again(&self, random: &mut Random, now: UnixMillis) -> Option<Command> {
        let late = self.history.len().saturating_sub(12);
        let from = match random.one_in(2) {
            true => &self.history[late..],
            false => &self.history[..],
        };
        let command = random.pick(from)?.clone();
        Some(match random.one_in(4) {
            true => bookings::altered(command, random, now),
            false => command,
        })
    }

    fn deal(&mut self, random: &mut Random, at: usize, now: UnixMillis) -> Command {
        self.players[at].dealt += 1;
        if self.players[at].dealt == 1 && !random.one_in(5) {
            return self.import(random, at);
        }
        let kind = match (self.taste, random.below(3)) {
            (Taste::ManySessions, 0) => 53,
            (Taste::ManyLimits, 0) => 46,
            _ => random.below(100),
        };
        let account = self.players[at].id.clone();
        match kind {
            0..=19 => self.bet(random, at, now),
            20..=31 => self.award(random, at, now),
            32..=41 => self.rollback(random, at, now),
            42..=45 => self.void(random, at, now),
            46..=49 => Command::SetLimits {
                account,
                limits: limits(random),
            },
            50 | 51 => Command::SetStatus {
                account,
                status: match random.one_in(3) {
                    true => AccountStatus::Suspended,
                    false => AccountStatus::Active,
                },
            },
            52..=56 => self.open_session(random, at, now),
            57..=60 => self.end(random, at),
            61..=64 => self.credit(random, at, now),
            65..=76 => self.money(random, at),
            77 | 78 => self.import(random, at),
            79 => Command::OpenAccount {
                account,
                currency: self.players[at].currency,
                country: country(random),
            },
            80..=83 => self.spend(random, at, now),
            84 => self.alert(at),
            85..=89 => Command::ReadAccount { account },
            90..=92 => Command::ReadLatestSession { account },
            93 | 94 => Command::ReadBooks {
                slot: slot_of(&account),
            },
            _ => self.about_session(random, at),
        }
    }

    fn import(&mut self, random: &mut Random, at: usize) -> Command {
        let session = (!random.one_in(3)).then(|| self.new_key(random, at));
        if session.is_some() {
            // Most imports find their account there and open nothing: the key is not the
            // one to bet with.
            self.players[at].sessions.rotate_right(1);
        }
        let bonus = match random.one_in(2) {
            true => random.below(2_000),
            false => 0,
        };
        let player = &self.players[at];
        Command::ImportAccount {
            account: player.id.clone(),
            currency: player.currency,
            country: country(random),
            balance: Balance {
                cash: minor(random.below(2_000) as i64),
                bonus: minor(bonus as i64),
            },
            session,
        }
    }

    fn new_key(&mut self, random: &mut Random, at: usize) -> SessionKey {
        let player = &mut self.players[at];
        let bits = u128::from(random.number()) << 64 | u128::from(random.number());
        let key = SessionKey::mint(slot_of(&player.id), bits);
        player.sessions.push(key);
        key
    }

    fn open_session(&mut self, random: &mut Random, at: usize, now: UnixMillis) -> Command {
        let logout_at = match random.below(16) {
            0..=2 => Some(UnixMillis(now.0 + random.below(3_600_000) as i64)),
            3 => Some(UnixMillis(now.0 - random.below(3_600_000) as i64)),
            _ => None,
        };
        Command::OpenSession {
            key: self.new_key(random, at),
            account: self.players[at].id.clone(),
            country: country(random),
            logout_at,
        }
    }

    fn about_session(&mut self, random: &mut Random, at: usize) -> Command {
        let player = &self.players[at];
        let Some(key) = random.pick(&player.sessions).copied() else {
            let account = player.id.clone();
            return Command::ReadBalance { account };
        };
        match random.below(4) {
            0 | 1 => Command::LogOutSession { key },
            _ => Command::ReadSession { key },
        }
    }

    fn spend(&mut self, random: &mut Random, at: usize, now: UnixMillis) -> Command {
        let player = &mut self.players[at];
        let known = random.pick(&player.tokens).copied();
        let token = match (known, player.sessions.last()) {
            (Some(token), _) if random.one_in(2) => token,
            (_, Some(key)) => SessionToken {
                key: *key,
                issued_at: UnixMillis(now.0 - random.below(4_000) as i64),
            },
            _ => {
                let account = player.id.clone();
                return Command::ReadBalance { account };
            }
        };
        player.tokens.push(token);
        Command::SpendToken {
            token,
            // As the wallet sets it for a life of a minute, with its margin.
            expires_at: UnixMillis(token.issued_at.0 + 65_000),
        }
    }

    /// Money of the operator's.
    fn money(&mut self, random: &mut Random, at: usize) -> Command {
        let taste = self.taste;
        let player = &mut self.players[at];
        let most = match random.one_in(8) {
            true => 5_000,
            false => 200,
        };
        let mut amount = minor(1 + random.below(most) as i64);
        let rare = match taste {
            Taste::LargeAmounts => 4,
            _ => 200,
        };
        if random.one_in(rare) {
            amount = minor(i64::MAX - random.below(2) as i64);
        }
        let account = player.id.clone();
        let currency = match random.one_in(40) {
            true => currency_of("KWD"),
            false => player.currency,
        };
        match random.below(3) {
            0 => Command::Deposit {
                transaction: player.transaction(random, IdKind::Deposit),
                account,
                amount,
                currency,
            },
            1 => Command::Withdraw {
                transaction: player.transaction(random, IdKind::Withdrawal),
                account,
                amount,
                currency,
            },
            _ => Command::GrantBonus {
                is_offered: true,
                transaction: player.transaction(random, IdKind::Bonus),
                account,
                amount,
                currency,
            },
        }
    }
}

impl Player {
    /// An id of its own, or one that was dealt before.
    pub(super) fn transaction(&mut self, random: &mut Random, kind: IdKind) -> TransactionId {
        let dealt = &mut self.ids[kind as usize];
        let number = match random.one_in(16) {
            true => random.below(*dealt + 1),
            false => *dealt,
        };
        *dealt = (*dealt).max(number + 1);
        transaction_id(number)
    }
}

/// With a tail of zeroes, for the reason that ids of transactions have theirs.
fn account_id(name: &str) -> AccountId {
    let id = AccountId::parse(&format!("{name}-{:036}", 0));
    id.unwrap_or_else(|| unreachable!("short enough, and both sides are there"))
}

/// Some are long, so that a few postings fill more than a sector, which can tear.
pub(super) fn transaction_id(number: u64) -> TransactionId {
    let padding = "x".repeat(number as usize % 2 * 40);
    let id = TransactionId::parse(&format!("t{number}{padding}"));
    id.unwrap_or_else(|| unreachable!("short, and not empty"))
}

pub(super) fn minor(minor: i64) -> Amount {
    Amount::from_minor(minor).unwrap_or_else(|| unreachable!("never below zero"))
}

pub(super) fn currency_of(code: &str) -> Currency {
    Currency::parse(code).unwrap_or_else(|| unreachable!("ISO 4217 has it"))
}

fn country(random: &mut Random) -> CountryCode {
    let code = ["GB", "JP", "MT"][random.below(3) as usize];
    CountryCode::parse(code).unwrap_or_else(|| unreachable!("two letters"))
}

/// Small ones, so that stakes reach them; each is left alone, removed or set.
fn limits(random: &mut Random) -> LimitsChange {
    let mut loss = |most: u64| match random.below(8) {
        0..=4 => None,
        5 => Some(None),
        _ => Some(Some(minor(random.below(most) as i64))),
    };
    let change = LimitsChange {
        loss_daily: loss(300),
        loss_weekly: loss(800),
        loss_monthly: loss(2_000),
        session_s: None,
    };
    let session_s = match random.below(8) {
        0..=4 => None,
        5 | 6 => Some(Limits::default().session_s),
        _ => Some(Some(random.below(7_200) as u32)),
    };
    LimitsChange {
        session_s,
        ..change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_players_share_a_slot() {
        let slot = |name: &str| slot_of(&account_id(name));
        assert_eq!(slot(PLAYERS[0]), slot(PLAYERS[1]));
    }
}
