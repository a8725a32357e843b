//! What the model keeps of an account: everything that ever happened to it.
//!
//! Whole texts in plain lists, money in 128 bits, nothing folded, nothing dropped. What
//! the wallet may have forgotten meanwhile is worked out when it is asked for.

use std::collections::BTreeMap;

use super::calendar::Periods;
use super::round::Round;
use crate::ledger::{AccountStatus, Funds, Limits, StatedAmount};
use crate::types::{
    AccountId, Amount, Balance, CountryCode, Currency, Lsn, SessionKey, UnixMillis,
};

/// Cash and bonus, or a change of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Purse {
    pub(super) cash: i128,
    pub(super) bonus: i128,
}

impl Purse {
    pub(super) fn of(balance: Balance) -> Self {
        Self {
            cash: balance.cash.minor().into(),
            bonus: balance.bonus.minor().into(),
        }
    }

    pub(super) fn cash(cash: i128) -> Self {
        Self { cash, bonus: 0 }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            cash: self.cash + other.cash,
            bonus: self.bonus + other.bonus,
        }
    }

    pub(super) fn negated(self) -> Self {
        Self {
            cash: -self.cash,
            bonus: -self.bonus,
        }
    }

    pub(super) fn total(self) -> i128 {
        self.cash + self.bonus
    }

    /// As the wallet holds it; `None` below zero and past 2^63 - 1 minor units
    /// (protocol.md section 7).
    pub(super) fn balance(self) -> Option<Balance> {
        let amount = |minor: i128| i64::try_from(minor).ok().and_then(Amount::from_minor);
        Some(Balance {
            cash: amount(self.cash)?,
            bonus: amount(self.bonus)?,
        })
    }
}

/// The kinds of operation that have ids of their own (protocol.md section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bet,
    Award,
    Rollback,
    Void,
    Credit,
    Deposit,
    Withdrawal,
    Bonus,
}

/// What a repeat must agree on; texts are empty where the kind has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) amount: StatedAmount,
    pub(super) round: String,
    pub(super) game: String,
    /// The bet that a rollback names.
    pub(super) bet: String,
}

/// What the repeat of a booking is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    Booked { split: Purse },
    Funds,
    BetNotFound,
}

/// Something that is done at most once.
#[derive(Clone, Debug)]
pub(super) struct Booking {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) contents: Contents,
    pub(super) remembered: Remembered,
    /// The memory of it is promised up to this age of the wallet.
    pub(super) promised_until: i64,
    /// What it brought the player.
    pub(super) moved: Purse,
    pub(super) periods: Periods,
    /// Of a bet: it was rolled back.
    pub(super) rolled_back: bool,
    /// An answer has shown that the wallet does not know it any more.
    pub(super) forgotten: bool,
}

impl Booking {
    /// What it adds to the net loss (protocol.md section 7).
    pub(super) fn loss(&self) -> i128 {
        match self.kind {
            Kind::Bet | Kind::Award | Kind::Rollback | Kind::Void => -self.moved.total(),
            Kind::Credit | Kind::Deposit | Kind::Withdrawal | Kind::Bonus => 0,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) key: SessionKey,
    pub(super) country: CountryCode,
    pub(super) created_at: UnixMillis,
    pub(super) logout_at: Option<UnixMillis>,
    /// By a command: no clock revives it.
    pub(super) logged_out: bool,
    /// Tokens: when they were issued, when they expire.
    pub(super) spent: Vec<(i64, i64)>,
}

impl Session {
    pub(super) fn is_live(&self, now: i64) -> bool {
        !self.logged_out && self.logout_at.is_none_or(|at| now < at.0)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) currency: Currency,
    pub(super) country: CountryCode,
    pub(super) created_at: UnixMillis,
    pub(super) status: AccountStatus,
    pub(super) limits: Limits,
    /// What it was imported with.
    pub(super) opening: Purse,
    pub(super) purse: Purse,
    /// Oldest first.
    pub(super) sessions: Vec<Session>,
    /// In the order in which they were decided.
    pub(super) bookings: Vec<Booking>,
    pub(super) rounds: BTreeMap<String, Round>,
    /// Where the last booking may stand in the log.
    pub(super) last_booking: Vec<Lsn>,
}

impl Account {
    pub(super) fn new(
        id: AccountId,
        currency: Currency,
        country: CountryCode,
        opening: Purse,
        created_at: UnixMillis,
    ) -> Self {
        Self {
            id,
            currency,
            country,
            created_at,
            status: AccountStatus::Active,
            limits: Limits::default(),
            opening,
            purse: opening,
            sessions: Vec::new(),
            bookings: Vec::new(),
            rounds: BTreeMap::new(),
            last_booking: vec![Lsn::NONE],
        }
    }

    pub(super) fn funds(&self) -> Funds {
        self.funds_after(Purse::default())
            .unwrap_or_else(|| unreachable!("the model books nothing that does not fit"))
    }

    /// The funds once `moved` has come in, where they can hold it.
    pub(super) fn funds_after(&self, moved: Purse) -> Option<Funds> {
        Some(Funds {
            currency: self.currency,
            balance: self.purse.plus(moved).balance()?,
        })
    }

    /// The newest booking under an id, and its place.
    pub(super) fn find(&self, kind: Kind, id: &str) -> Option<(usize, &Booking)> {
        let mut newest_first = self.bookings.iter().enumerate().rev();
        newest_first.find(|(_, b)| b.kind == kind && b.id == id && !b.forgotten)
    }
}
