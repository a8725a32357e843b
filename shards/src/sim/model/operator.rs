//! What the operator does: accounts, their money, limits and status (operator.md
//! section 4).

use super::account::{Account, Contents, Kind, Purse};
use super::expected::{AccountShown, Effect, Possible, Posts, Shown, Told};
use super::once::Request;
use super::{Model, View};
use crate::ledger::{Command, Limits, LimitsChange, RefusalReason, StatedAmount};
use crate::types::{
    AccountId, Amount, Balance, CountryCode, Currency, SessionKey, TransactionId, UnixMillis,
};

/// What an account is opened with.
struct Opening {
    currency: Currency,
    country: CountryCode,
    balance: Balance,
    session: Option<SessionKey>,
}

impl Model {
    pub(super) fn decide_operator(&self, command: &Command, now: UnixMillis) -> Vec<Possible> {
        match command {
            Command::OpenAccount {
                account,
                currency,
                country,
            } => {
                let opening = Opening {
                    currency: *currency,
                    country: *country,
                    balance: Balance::default(),
                    session: None,
                };
                self.decide_opening(account, &opening, now)
            }
            Command::ImportAccount {
                account,
                currency,
                country,
                balance,
                session,
            } => {
                let opening = Opening {
                    currency: *currency,
                    country: *country,
                    balance: *balance,
                    session: *session,
                };
                self.decide_opening(account, &opening, now)
            }
            Command::Deposit {
                account,
                transaction,
                amount,
                currency,
            } => self.about(account, now, |view| {
                let moved = Purse::cash(amount.minor().into());
                let request = request(Kind::Deposit, transaction, *amount);
                view.decide_money(&request, moved, *currency)
            }),
            Command::Withdraw {
                account,
                transaction,
                amount,
                currency,
            } => self.about(account, now, |view| {
                let moved = Purse::cash(-i128::from(amount.minor()));
                let request = request(Kind::Withdrawal, transaction, *amount);
                view.decide_money(&request, moved, *currency)
            }),
            Command::GrantBonus {
                is_offered,
                account,
                transaction,
                amount,
                currency,
            } => self.about(account, now, |view| {
                let moved = Purse {
                    cash: 0,
                    bonus: amount.minor().into(),
                };
                let request = request(Kind::Bonus, transaction, *amount);
                match is_offered {
                    true => view.decide_money(&request, moved, *currency),
                    false => view.once(&request, || view.refuse(RefusalReason::NoBonusFunds)),
                }
            }),
            Command::SetLimits { account, limits } => self.about(account, now, |view| {
                let limits = changed(view.account.limits, *limits);
                let mut shown = view.facts();
                shown.facts.limits = limits;
                let effect = Effect::Limits(account.clone(), limits);
                vec![view.set(shown, effect, limits == view.account.limits)]
            }),
            Command::SetStatus { account, status } => self.about(account, now, |view| {
                let mut shown = view.facts();
                shown.facts.status = *status;
                let effect = Effect::Status(account.clone(), *status);
                vec![view.set(shown, effect, *status == view.account.status)]
            }),
            Command::ReadBooks { .. } => vec![Possible::read(Shown::Books(self.books()))],
            _ => unreachable!("no command of the operator"),
        }
    }

    fn decide_opening(&self, id: &AccountId, opening: &Opening, now: UnixMillis) -> Vec<Possible> {
        if let Some(account) = self.accounts.get(id.as_str()) {
            return self.decide_known(&self.view(account, now), opening);
        }
        let Opening {
            currency,
            country,
            balance,
            session,
        } = *opening;
        let funds = Purse::of(balance);
        let mut account = Account::new(id.clone(), currency, country, funds, now);
        // A key that is known opens nothing twice.
        if let Some(key) = session.filter(|key| self.session(*key).is_none()) {
            let session = self.view(&account, now).new_session(key, country, None);
            account.open_session(session);
        }
        let shown = Shown::Account(Box::new(self.view(&account, now).facts()));
        vec![Possible {
            told: Told::Accepted(shown),
            posts: Posts::Always,
            effect: Effect::Opened(Box::new(account)),
        }]
    }

    /// An account that is there keeps its funds and country; an import gives it a
    /// session if its latest is not live.
    fn decide_known(&self, view: &View<'_>, opening: &Opening) -> Vec<Possible> {
        let mut shown = view.facts();
        let is_new = |key: &SessionKey| self.session(*key).is_none();
        let key = opening.session.filter(is_new);
        match key {
            Some(key) if shown.facts.live_session.is_none() => {
                shown.facts.live_session = Some(key);
                // The pages do not say whose country; the account keeps its own.
                let session = view.new_session(key, view.account.country, None);
                vec![Possible {
                    told: Told::Repeated(Shown::Account(Box::new(shown))),
                    posts: Posts::Always,
                    effect: Effect::SessionOpened(view.account.id.clone(), session),
                }]
            }
            _ => vec![Possible::repeated(Shown::Account(Box::new(shown)))],
        }
    }
}

impl View<'_> {
    /// A setting: posted where it changes something.
    fn set(&self, shown: AccountShown, effect: Effect, is_same: bool) -> Possible {
        let shown = Shown::Account(Box::new(shown));
        match is_same {
            true => Possible {
                told: Told::Done(shown),
                posts: Posts::Either,
                effect,
            },
            false => Possible {
                told: Told::Accepted(shown),
                posts: Posts::Always,
                effect,
            },
        }
    }
}

fn request(kind: Kind, id: &TransactionId, amount: Amount) -> Request<'_> {
    Request {
        kind,
        id,
        contents: Contents {
            amount: StatedAmount::Exact(amount),
            round: String::new(),
            game: String::new(),
            bet: String::new(),
        },
        stated_at: None,
    }
}

/// Limits that are left out stay as they are; null removes.
fn changed(limits: Limits, change: LimitsChange) -> Limits {
    Limits {
        loss_daily: change.loss_daily.unwrap_or(limits.loss_daily),
        loss_weekly: change.loss_weekly.unwrap_or(limits.loss_weekly),
        loss_monthly: change.loss_monthly.unwrap_or(limits.loss_monthly),
        session_s: change.session_s.unwrap_or(limits.session_s),
    }
}
