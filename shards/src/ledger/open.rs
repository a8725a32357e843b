//! Accounts come to be: by the admin API one at a time, or by import with funds.

use super::account::{Account, AccountIndex, NewAccount};
use super::{
    AccountFacts, AccountStatus, Change, Decision, Facts, Funds, Ledger, Limits, Outcome, Posting,
};
use crate::types::{AccountId, Balance, CountryCode, Currency, Lsn, SessionKey, UnixMillis};

/// What an import says of one account.
#[derive(Clone, Copy)]
pub(super) struct Import {
    pub(super) currency: Currency,
    pub(super) country: CountryCode,
    pub(super) balance: Balance,
    pub(super) session: Option<SessionKey>,
}

impl Ledger {
    pub(super) fn decide_open(
        &self,
        id: &AccountId,
        currency: Currency,
        country: CountryCode,
        now: UnixMillis,
    ) -> Decision {
        let nothing = Import {
            currency,
            country,
            balance: Balance::default(),
            session: None,
        };
        self.decide_import(id, nothing, now)
    }

    /// An account that exists keeps its funds and country; it is given a session if
    /// one is asked for and its latest is not live, so a repeated import that was
    /// cut short still ends with a session for everybody. A key that is known is this
    /// very command again, and opens nothing a second time.
    pub(super) fn decide_import(
        &self,
        id: &AccountId,
        import: Import,
        now: UnixMillis,
    ) -> Decision {
        if let Some(at) = self.accounts.find(id) {
            let account = self.accounts.get(at);
            let mut facts = Box::new(self.facts_of(account, now));
            return match import.session {
                Some(key) if facts.live_session.is_none() && !self.sessions.is_known(key) => {
                    facts.live_session = Some(key);
                    let change = Change::SessionOpened {
                        key,
                        country: account.country,
                        logout_at: None,
                    };
                    Decision::Post(
                        Posting {
                            at: now,
                            account: id.clone(),
                            change,
                            balance_after: account.balance,
                        },
                        Outcome::Repeated(Facts::Account(facts)),
                    )
                }
                _ => Decision::Answer {
                    outcome: Outcome::Repeated(Facts::Account(facts)),
                    rests_on: account.last_lsn,
                },
            };
        }
        let Import {
            currency,
            country,
            balance,
            session,
        } = import;
        let facts = AccountFacts {
            account: id.clone(),
            funds: Funds { currency, balance },
            country,
            status: AccountStatus::Active,
            limits: Limits::default(),
            last_booking: Lsn::NONE,
            created_at: now,
            open_rounds: 0,
            live_session: session,
        };
        Decision::Post(
            Posting {
                at: now,
                account: id.clone(),
                change: Change::AccountOpened {
                    currency,
                    country,
                    balance,
                    session,
                },
                balance_after: balance,
            },
            Outcome::Accepted(Facts::Account(Box::new(facts))),
        )
    }

    /// Adds the account, still without its money.
    pub(super) fn apply_open(
        &mut self,
        posting: &Posting,
        currency: Currency,
        country: CountryCode,
    ) -> AccountIndex {
        assert!(
            self.accounts.find(&posting.account).is_none(),
            "an account opened twice"
        );
        let book = self.books.find_or_open(posting.account.domain(), currency);
        self.accounts.insert(Account::new(NewAccount {
            id: posting.account.clone(),
            currency,
            country,
            book,
            created_at: posting.at,
        }))
    }
}
