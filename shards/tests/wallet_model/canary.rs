//! Rules that are broken on purpose, now and then, to see whether the model notices.

use shards::ledger::{
    AccountStatus, Change, Command, Decision, Facts, FundsOrder, Limits, LimitsChange, Outcome,
    RefusalReason, RoundBooking,
};
use shards::sim::Random;
use shards::types::{AccountId, Amount, Balance, TransactionId, UnixMillis};

use super::wallet::{Answer, Wallet};

/// Which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Canary {
    /// A repeat is booked once more.
    ForgetsRepeats,
    /// A bet is taken from the other funds first.
    SplitsTheOtherWay,
    /// A bet passes the net-loss limits.
    SkipsLossLimits,
    /// A bet passes that was rolled back before it came.
    PassesTombstones,
    /// A bet of a suspended account passes.
    PassesSuspended,
    /// Free play takes a stake.
    ChargesFreePlay,
    /// A round stays open that a bet closes.
    LeavesRoundsOpen,
    /// Winnings are rounded up to the bonus side.
    RoundsUp,
}

impl Canary {
    pub(crate) const ALL: [Self; 8] = [
        Self::ForgetsRepeats,
        Self::SplitsTheOtherWay,
        Self::SkipsLossLimits,
        Self::PassesTombstones,
        Self::PassesSuspended,
        Self::ChargesFreePlay,
        Self::LeavesRoundsOpen,
        Self::RoundsUp,
    ];

    /// Submits a command, and breaks the rule where it applies.
    pub(crate) fn submit(self, wallet: &mut Wallet, command: &Command, now: UnixMillis) -> Answer {
        // Chance from the step alone: it stays the same when other steps are left out.
        if Random::new(now.0 as u64).one_in(2) {
            return wallet.submit(command, now);
        }
        match self {
            Self::SplitsTheOtherWay | Self::ChargesFreePlay | Self::LeavesRoundsOpen => {
                wallet.submit(&self.altered(command), now)
            }
            Self::RoundsUp => {
                let decision = wallet.decide(command, now);
                wallet.carry_out(rounded_up(decision))
            }
            Self::ForgetsRepeats => match wallet.submit(command, now)? {
                (Outcome::Repeated(_), None) => wallet.submit(&unremembered(command), now),
                answer => Ok(answer),
            },
            Self::PassesTombstones => match wallet.submit(command, now)? {
                (refused, None) if is_refused(&refused, RefusalReason::RolledBackBefore) => {
                    wallet.submit(&unremembered(command), now)
                }
                answer => Ok(answer),
            },
            Self::PassesSuspended => match wallet.submit(command, now)? {
                (refused, None) if is_refused(&refused, RefusalReason::AccountSuspended) => {
                    self.without_limits(wallet, command, now)
                }
                answer => Ok(answer),
            },
            Self::SkipsLossLimits => match wallet.submit(command, now)? {
                (Outcome::Refused(refusal), None)
                    if matches!(refusal.reason, RefusalReason::LossLimit(_)) =>
                {
                    self.without_limits(wallet, command, now)
                }
                answer => Ok(answer),
            },
        }
    }

    fn altered(self, command: &Command) -> Command {
        let mut command = command.clone();
        if let Command::PlaceBet(bet) = &mut command {
            match self {
                Self::SplitsTheOtherWay => {
                    bet.funds_order = match bet.funds_order {
                        FundsOrder::CashFirst => FundsOrder::BonusFirst,
                        FundsOrder::BonusFirst => FundsOrder::CashFirst,
                        FundsOrder::CashOnly => FundsOrder::CashOnly,
                    }
                }
                Self::ChargesFreePlay => bet.free_play = false,
                _ => bet.round.end_round = false,
            }
        }
        command
    }

    /// Submits a bet while the account has neither limits nor restrictions.
    fn without_limits(self, wallet: &mut Wallet, command: &Command, now: UnixMillis) -> Answer {
        let Command::PlaceBet(bet) = command else {
            return wallet.submit(command, now);
        };
        let account = &bet.round.account;
        let read = Command::ReadAccount {
            account: account.clone(),
        };
        let Outcome::Accepted(Facts::Account(before)) = wallet.submit(&read, now)?.0 else {
            return Err("a known account is not there".to_owned());
        };
        set(
            wallet,
            account,
            Limits::default(),
            AccountStatus::Active,
            now,
        )?;
        let answer = wallet.submit(command, now);
        set(wallet, account, before.limits, before.status, now)?;
        answer
    }
}

/// One minor unit of winnings that are split goes to the other side.
fn rounded_up(mut decision: Decision) -> Decision {
    if let Decision::Post(posting, outcome) = &mut decision
        && let Change::WinningsAwarded(award) = &mut posting.change
        && let Outcome::Accepted(Facts::Booked(booked)) = outcome
    {
        let up = |balance: Balance| {
            let one = Amount::from_minor(1)?;
            Some(Balance {
                cash: balance.cash.checked_sub(one)?,
                bonus: balance.bonus.checked_add(one)?,
            })
        };
        if !award.paid.bonus.is_zero()
            && let (Some(paid), Some(after)) = (up(award.paid), up(posting.balance_after))
        {
            (award.paid, posting.balance_after) = (paid, after);
            booked.funds.balance = after;
        }
    }
    decision
}

fn set(
    wallet: &mut Wallet,
    account: &AccountId,
    limits: Limits,
    status: AccountStatus,
    now: UnixMillis,
) -> Result<(), String> {
    let limits = LimitsChange {
        loss_daily: Some(limits.loss_daily),
        loss_weekly: Some(limits.loss_weekly),
        loss_monthly: Some(limits.loss_monthly),
        session_s: Some(limits.session_s),
    };
    let account = account.clone();
    let status = Command::SetStatus {
        account: account.clone(),
        status,
    };
    wallet.submit(&Command::SetLimits { account, limits }, now)?;
    wallet.submit(&status, now).map(drop)
}

fn is_refused(outcome: &Outcome, reason: RefusalReason) -> bool {
    matches!(outcome, Outcome::Refused(refusal) if refusal.reason == reason)
}

/// The same request under an id that nobody has used.
fn unremembered(command: &Command) -> Command {
    let mut command = command.clone();
    let of_round = |round: &mut RoundBooking| {
        round.transaction = TransactionId::parse("unremembered").expect("a short id");
    };
    match &mut command {
        Command::PlaceBet(bet) => of_round(&mut bet.round),
        Command::AwardWinnings(award) => of_round(&mut award.round),
        Command::RollBackBet(rollback) => of_round(&mut rollback.round),
        Command::VoidBet(void) => of_round(&mut void.round),
        _ => {}
    }
    command
}
