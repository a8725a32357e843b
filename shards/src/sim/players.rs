//! What an outsider may conclude of accounts that play.
//!
//! Money comes and goes there, so a balance does not tell what it holds, as it does for
//! those of `account.rs`. But every id has one fate: done at most once, never denied once
//! it was told, and in the end the balance is what was told to be done and some of what
//! nobody answered. The model judges these accounts exactly, from inside.

use std::collections::{BTreeMap, BTreeSet};

use super::effect::{Effect, Verdict};
use crate::Unavailable;
use crate::ledger::{Booked, Command, Facts, Outcome, RefusalReason, RoundBooking, StatedAmount};
use crate::types::{AccountId, Amount, Balance, TransactionId};

/// What the dealer calls their domains.
const DOMAINS: [&str; 3] = ["cash", "bonus", "plain"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Bet,
    Award,
    Rollback,
    Void,
    Credit,
    Deposit,
    Withdrawal,
    Bonus,
}

/// A request that is done at most once.
struct Booking<'a> {
    account: &'a AccountId,
    kind: Kind,
    id: &'a TransactionId,
    /// Of a rollback.
    bet: Option<&'a TransactionId>,
    amount: StatedAmount,
}

/// What became of one id.
#[derive(Default)]
struct Fate {
    effect: Effect,
    /// Told to be done: the request, and what it moved if the answer shows it.
    done: Option<(Command, Option<i128>)>,
    /// Everything that was asked for under the id, in minor units.
    amounts: BTreeSet<i128>,
    /// The bets that were named, of a rollback.
    bets: BTreeSet<String>,
}

#[derive(Default)]
struct Player {
    /// What it was opened with: told, or one of those that were asked for.
    opened_with: Option<i128>,
    openings: BTreeSet<i128>,
    fates: BTreeMap<(Kind, String), Fate>,
    /// Bets that were told to be unknown when they were rolled back, and when.
    refused_bets: BTreeMap<String, (u64, Command)>,
}

#[derive(Default)]
pub(super) struct Players {
    players: BTreeMap<String, Player>,
    sessions: BTreeSet<u128>,
}

impl Players {
    /// Whether a command is about them.
    pub(super) fn are_meant(&self, command: &Command) -> bool {
        match command {
            Command::ReadSession { key } | Command::LogOutSession { key } => {
                self.sessions.contains(&key.bits())
            }
            Command::SpendToken { token, .. } => self.sessions.contains(&token.key.bits()),
            Command::ReadBooks { .. } => true,
            _ => account_of(command).is_some_and(|id| DOMAINS.contains(&id.domain())),
        }
    }

    pub(super) fn asked(&mut self, command: &Command) {
        if let Command::ImportAccount {
            account,
            session: Some(key),
            ..
        }
        | Command::OpenSession { account, key, .. } = command
            && DOMAINS.contains(&account.domain())
        {
            self.sessions.insert(key.bits());
        }
        if !self.are_meant(command) {
            return;
        }
        let Some(account) = account_of(command) else {
            return;
        };
        let player = self.players.entry(account.to_string()).or_default();
        match command {
            Command::OpenAccount { .. } => {
                player.openings.insert(0);
            }
            Command::ImportAccount { balance, .. } => {
                player.openings.insert(total(*balance));
            }
            _ => {}
        }
        if let Some(booking) = booking(command) {
            let fate = player.fate(&booking);
            fate.effect.tried();
            fate.bets
                .extend(booking.bet.map(|bet| bet.as_str().to_owned()));
            if let StatedAmount::Exact(amount) = booking.amount {
                fate.amounts.insert(i128::from(amount.minor()));
            }
        }
    }

    pub(super) fn answered(
        &mut self,
        command: &Command,
        asked_at: u64,
        now: u64,
        result: &Result<Outcome, Unavailable>,
    ) -> Verdict {
        if let Ok(outcome) = result {
            judge_books(outcome)?;
            self.judge_opening(command, outcome);
        }
        let Some(booking) = booking(command) else {
            return Ok(());
        };
        let player = self.player(booking.account);
        match result {
            Err(Unavailable::NoAnswer) => Ok(()),
            Err(_) => player.fate(&booking).effect.refute(),
            Ok(Outcome::Accepted(facts)) => {
                player.must_not_be_refused(&booking, asked_at)?;
                let fate = player.fate(&booking);
                // A second rollback of a bet may be called done or repeated.
                fate.effect.accept(asked_at, now)?;
                fate.is_done(command, facts)
            }
            Ok(Outcome::Repeated(facts)) => {
                player.must_not_be_refused(&booking, asked_at)?;
                let fate = player.fate(&booking);
                fate.effect.prove(now)?;
                fate.is_done(command, facts)
            }
            Ok(Outcome::Refused(refusal)) => {
                // A rollback beyond 64 bits is of no bet, and need not be remembered.
                let bet = booking
                    .bet
                    .filter(|_| booking.amount != StatedAmount::TooLarge);
                let bet = bet.map(TransactionId::as_str);
                if let (RefusalReason::BetNotFound, Some(bet)) = (refusal.reason, bet) {
                    let told = (now, command.clone());
                    player.refused_bets.entry(bet.to_owned()).or_insert(told);
                }
                let effect = &mut player.fate(&booking).effect;
                // Time is looked at before repeats are, and other contents show a repeat.
                let knows_nothing = matches!(
                    refusal.reason,
                    RefusalReason::RequestTooOld
                        | RefusalReason::RequestInFuture
                        | RefusalReason::TransactionIdReused
                );
                if !knows_nothing {
                    effect.absent(asked_at)?;
                }
                effect.refute()
            }
        }
    }

    /// Commands that were carried out, or remembered, and must not be posted again.
    pub(super) fn done(&self) -> impl Iterator<Item = &Command> {
        self.players.values().flat_map(|player| {
            let done = player.fates.values().filter_map(|fate| fate.done.as_ref());
            let refused = player.refused_bets.values();
            done.map(|(command, _)| command)
                .chain(refused.map(|(_, command)| command))
        })
    }

    pub(super) fn reads(&self) -> impl Iterator<Item = Command> {
        self.players.keys().filter_map(|id| {
            let account = AccountId::parse(id)?;
            Some(Command::ReadAccount { account })
        })
    }

    /// The last balance of an account: all that was told, and some of what was not.
    pub(super) fn settle(&self, account: &AccountId, balance: Balance) -> Verdict {
        let Some(player) = self.players.get(account.as_str()) else {
            return Err(format!("nobody opened {account}"));
        };
        let sums = player.sums();
        match sums.contains(&total(balance)) {
            true => Ok(()),
            false => Err(format!(
                "{account} ends with {balance:?}, and what was booked gives {sums:?}"
            )),
        }
    }

    fn player(&mut self, account: &AccountId) -> &mut Player {
        self.players.entry(account.to_string()).or_default()
    }

    fn judge_opening(&mut self, command: &Command, outcome: &Outcome) {
        if let Command::OpenAccount { account, .. } | Command::ImportAccount { account, .. } =
            command
            && let Outcome::Accepted(Facts::Account(facts)) = outcome
        {
            self.player(account).opened_with = Some(total(facts.funds.balance));
        }
    }
}

impl Player {
    fn fate(&mut self, booking: &Booking<'_>) -> &mut Fate {
        let key = (booking.kind, booking.id.as_str().to_owned());
        self.fates.entry(key).or_default()
    }

    /// A bet that was told to be unknown to its rollback is never taken.
    fn must_not_be_refused(&self, booking: &Booking<'_>, asked_at: u64) -> Verdict {
        match self.refused_bets.get(booking.id.as_str()) {
            Some((told_at, _)) if booking.kind == Kind::Bet && *told_at < asked_at => {
                Err("a bet is taken that was rolled back before it came".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Everything that cash and bonus may come to together.
    fn sums(&self) -> BTreeSet<i128> {
        let mut sums = match self.opened_with {
            Some(funds) => BTreeSet::from([funds]),
            None => self.openings.clone(),
        };
        for ((kind, id), fate) in &self.fates {
            let options = match kind {
                Kind::Bet => self.bet_options(id, fate),
                // With its bet.
                Kind::Rollback => continue,
                Kind::Withdrawal => fate.options().iter().map(|minor| -minor).collect(),
                _ => fate.options(),
            };
            let with = |sum: &i128| -> Vec<i128> { options.iter().map(|o| sum + o).collect() };
            sums = sums.iter().flat_map(with).collect();
        }
        sums
    }

    /// What a bet and its rollbacks may have moved.
    fn bet_options(&self, id: &str, fate: &Fate) -> BTreeSet<i128> {
        let of_this =
            |(kind, _): &(Kind, String), fate: &Fate| *kind == Kind::Rollback && fate.may_name(id);
        let mut rollbacks = self.fates.iter().filter(|(key, fate)| of_this(key, fate));
        if rollbacks
            .clone()
            .any(|(_, rollback)| rollback.done.is_some())
        {
            return BTreeSet::from([0]);
        }
        let mut options: BTreeSet<_> = match &fate.done {
            Some((_, Some(taken))) => BTreeSet::from([-taken]),
            // It may have been free play.
            _ => fate
                .options()
                .iter()
                .map(|minor| -minor)
                .chain([0])
                .collect(),
        };
        if rollbacks.any(|(_, rollback)| rollback.effect.is_possible()) {
            options.insert(0);
        }
        options
    }
}

impl Fate {
    fn is_done(&mut self, command: &Command, facts: &Facts) -> Verdict {
        let moved = match facts {
            Facts::Booked(Booked { split, .. }) => Some(total(*split)),
            _ => None,
        };
        match &self.done {
            Some((_, before)) if *before != moved => Err("another split than before".to_owned()),
            _ => {
                self.done = Some((command.clone(), moved));
                Ok(())
            }
        }
    }

    /// Whether a rollback is of a bet, as far as anybody knows.
    fn may_name(&self, bet: &str) -> bool {
        match self.done.as_ref().and_then(|(command, _)| booking(command)) {
            Some(done) => done.bet.is_some_and(|named| named.as_str() == bet),
            None => self.bets.contains(bet),
        }
    }

    /// What the request may have moved, for one that moves its amount.
    fn options(&self) -> BTreeSet<i128> {
        let done = self.done.as_ref().and_then(|(command, _)| booking(command));
        match done.map(|done| done.amount) {
            Some(StatedAmount::Exact(amount)) => BTreeSet::from([amount.minor().into()]),
            _ if self.effect.is_possible() => self.amounts.iter().copied().chain([0]).collect(),
            _ => BTreeSet::from([0]),
        }
    }
}

fn judge_books(outcome: &Outcome) -> Verdict {
    if let Outcome::Accepted(Facts::Books(books)) = outcome
        && let Some(book) = books.iter().find(|book| book.total() != 0)
    {
        return Err(format!("the books do not add up: {book:?}"));
    }
    Ok(())
}

fn total(balance: Balance) -> i128 {
    i128::from(balance.cash.minor()) + i128::from(balance.bonus.minor())
}

fn account_of(command: &Command) -> Option<&AccountId> {
    match command {
        Command::ReadBalance { account }
        | Command::ReadAccount { account }
        | Command::ReadLatestSession { account }
        | Command::OpenAccount { account, .. }
        | Command::ImportAccount { account, .. }
        | Command::OpenSession { account, .. }
        | Command::SetLimits { account, .. }
        | Command::SetStatus { account, .. } => Some(account),
        Command::EndRound(end) => Some(&end.account),
        Command::AnswerAlert(alert) => Some(&alert.account),
        _ => booking(command).map(|booking| booking.account),
    }
}

fn booking(command: &Command) -> Option<Booking<'_>> {
    Some(match command {
        Command::PlaceBet(bet) => of_round(Kind::Bet, &bet.round, None),
        Command::AwardWinnings(award) => of_round(Kind::Award, &award.round, None),
        Command::RollBackBet(back) => of_round(Kind::Rollback, &back.round, Some(&back.bet)),
        Command::VoidBet(void) => of_round(Kind::Void, &void.round, None),
        Command::Credit(credit) => Booking {
            account: &credit.account,
            kind: Kind::Credit,
            id: &credit.transaction,
            bet: None,
            amount: credit.amount,
        },
        Command::Deposit {
            account,
            transaction,
            amount,
            ..
        } => of_operator(Kind::Deposit, account, transaction, *amount),
        Command::Withdraw {
            account,
            transaction,
            amount,
            ..
        } => of_operator(Kind::Withdrawal, account, transaction, *amount),
        Command::GrantBonus {
            account,
            transaction,
            amount,
            ..
        } => of_operator(Kind::Bonus, account, transaction, *amount),
        _ => return None,
    })
}

fn of_round<'a>(
    kind: Kind,
    round: &'a RoundBooking,
    bet: Option<&'a TransactionId>,
) -> Booking<'a> {
    Booking {
        account: &round.account,
        kind,
        id: &round.transaction,
        bet,
        amount: round.amount,
    }
}

fn of_operator<'a>(
    kind: Kind,
    account: &'a AccountId,
    id: &'a TransactionId,
    amount: Amount,
) -> Booking<'a> {
    Booking {
        account,
        kind,
        id,
        bet: None,
        amount: StatedAmount::Exact(amount),
    }
}
