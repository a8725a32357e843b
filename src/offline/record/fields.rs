//! Every kind of posting as a name and named fields: the one place of the offline commands
//! that knows them all. Bookings have the names of the admin API's transactions; members
//! have those of the wire protocol.

use serde::Serialize;
use shards::ledger::{
    AccountStatus, AlertFacts, Cashed, Change, Limits, RollbackFacts, RoundFacts,
};
use shards::types::{Amount, Balance, Currency, JackpotAmount, Text};

use super::{masked, rfc3339};

/// What only some kinds have. Members that are not there are left out.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::offline) struct Fields<'a> {
    #[serde(rename = "TransactionID", skip_serializing_if = "Option::is_none")]
    pub(in crate::offline) transaction: Option<&'a str>,
    #[serde(
        rename = "OriginalTransactionID",
        skip_serializing_if = "Option::is_none"
    )]
    pub(in crate::offline) original: Option<&'a str>,
    #[serde(rename = "GameRoundID", skip_serializing_if = "Option::is_none")]
    pub(in crate::offline) round: Option<&'a str>,
    #[serde(rename = "GameID", skip_serializing_if = "Option::is_none")]
    pub(in crate::offline) game: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<String>,
    /// How the amount was split; nothing where nothing moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    cash_amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bonus_amount: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    start_round: bool,
    #[serde(skip_serializing_if = "is_false")]
    end_round: bool,
    #[serde(skip_serializing_if = "is_false")]
    free_play: bool,
    #[serde(skip_serializing_if = "is_false")]
    zero_loss: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_game_offer_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jackpot_contribution: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jackpot_winnings: Option<String>,
    #[serde(
        rename = "AccountTransactionTypeID",
        skip_serializing_if = "Option::is_none"
    )]
    type_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_booking: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logout_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loss_daily: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loss_weekly: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loss_monthly: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_seconds: Option<u32>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    alert: Option<Alert<'a>>,
}

/// The members of an alert's answer, as they came.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Alert<'a> {
    source: &'a str,
    #[serde(rename = "AlertActionID")]
    action_id: &'a str,
    operator_alert_action_reference: &'a str,
    operator_alert_reference: &'a str,
    gaming_regulator_code: &'a str,
    #[serde(rename = "Type")]
    kind: &'a str,
    method: &'a str,
    data: &'a str,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// The kind's name and what it has.
pub(in crate::offline) fn kind_and_fields(
    change: &Change,
    currency: Currency,
) -> (&'static str, Fields<'_>) {
    let none = Fields::default;
    match change {
        Change::AccountOpened {
            country, session, ..
        } => (
            "AccountOpened",
            Fields {
                country_code: Some(country.as_str()),
                session_key: session.map(masked),
                ..none()
            },
        ),
        Change::Deposited(cashed) => ("Deposit", of_cashed(cashed, currency)),
        Change::Withdrawn(cashed) => ("Withdrawal", of_cashed(cashed, currency)),
        Change::BonusGranted(cashed) => ("Bonus", of_cashed(cashed, currency)),
        Change::SessionOpened {
            key,
            country,
            logout_at,
        } => (
            "SessionOpened",
            Fields {
                country_code: Some(country.as_str()),
                session_key: Some(masked(*key)),
                logout_at: logout_at.map(rfc3339),
                ..none()
            },
        ),
        Change::SessionLoggedOut { key } => (
            "SessionLoggedOut",
            Fields {
                session_key: Some(masked(*key)),
                ..none()
            },
        ),
        Change::TokenSpent {
            key,
            issued_at,
            expires_at,
        } => (
            "TokenSpent",
            Fields {
                session_key: Some(masked(*key)),
                issued_at: Some(rfc3339(*issued_at)),
                expires_at: Some(rfc3339(*expires_at)),
                ..none()
            },
        ),
        Change::BetPlaced(bet) => (
            "Bet",
            Fields {
                start_round: bet.start_round,
                free_play: bet.free_play,
                jackpot_contribution: jackpot(bet.jackpot_contribution),
                previous_booking: Some(bet.previous_booking.0),
                ..of_round(&bet.facts, Some(bet.taken), currency)
            },
        ),
        Change::WinningsAwarded(award) => (
            "Award",
            Fields {
                start_round: award.start_round,
                jackpot_winnings: jackpot(award.jackpot_winnings),
                previous_booking: Some(award.previous_booking.0),
                ..of_round(&award.facts, Some(award.paid), currency)
            },
        ),
        Change::BetRolledBack(booked) => (
            "Rollback",
            Fields {
                free_play: booked.free_play,
                previous_booking: Some(booked.previous_booking.0),
                ..of_rollback(&booked.rollback, Some(booked.returned), currency)
            },
        ),
        Change::RollbackRepeated(facts) => ("RollbackRepeated", of_rollback(facts, None, currency)),
        Change::RollbackBeforeBet(facts) => {
            ("RollbackBeforeBet", of_rollback(facts, None, currency))
        }
        Change::BetVoided(void) => (
            "Void",
            Fields {
                jackpot_contribution: jackpot(void.jackpot_contribution),
                previous_booking: Some(void.previous_booking.0),
                ..of_round(&void.facts, None, currency)
            },
        ),
        Change::RoundEnded(end) => (
            "RoundEnded",
            Fields {
                round: Some(end.round.as_str()),
                game: Some(end.game.as_str()),
                zero_loss: end.zero_loss,
                jackpot_contribution: jackpot(end.jackpot_contribution),
                jackpot_winnings: jackpot(end.jackpot_winnings),
                ..none()
            },
        ),
        Change::Credited(credit) => (
            "Credit",
            Fields {
                transaction: Some(credit.transaction.as_str()),
                type_id: Some(credit.type_id.as_str()),
                amount: Some(credit.amount.to_major(currency)),
                previous_booking: Some(credit.previous_booking.0),
                ..none()
            },
        ),
        Change::AlertAnswered(alert) => (
            "AlertAnswered",
            Fields {
                alert: Some(Alert::of(alert)),
                ..none()
            },
        ),
        Change::LimitsSet { limits } => ("LimitsSet", of_limits(limits, currency)),
        Change::StatusSet { status } => (
            "StatusSet",
            Fields {
                status: Some(match status {
                    AccountStatus::Active => "Active",
                    AccountStatus::Suspended => "Suspended",
                }),
                ..none()
            },
        ),
    }
}

fn of_cashed(cashed: &Cashed, currency: Currency) -> Fields<'_> {
    Fields {
        transaction: Some(cashed.transaction.as_str()),
        amount: Some(cashed.amount.to_major(currency)),
        previous_booking: Some(cashed.previous_booking.0),
        ..Fields::default()
    }
}

fn of_round(facts: &RoundFacts, split: Option<Balance>, currency: Currency) -> Fields<'_> {
    let major = |amount: Amount| amount.to_major(currency);
    Fields {
        transaction: Some(facts.transaction.as_str()),
        round: Some(facts.round.as_str()),
        game: Some(facts.game.as_str()),
        amount: Some(major(facts.amount)),
        cash_amount: split.map(|split| major(split.cash)),
        bonus_amount: split.map(|split| major(split.bonus)),
        end_round: facts.end_round,
        free_game_offer_code: facts.free_game_offer.as_ref().map(Text::as_str),
        ..Fields::default()
    }
}

fn of_rollback(rollback: &RollbackFacts, split: Option<Balance>, currency: Currency) -> Fields<'_> {
    Fields {
        original: Some(rollback.bet.as_str()),
        jackpot_contribution: jackpot(rollback.jackpot_contribution),
        ..of_round(&rollback.facts, split, currency)
    }
}

fn of_limits(limits: &Limits, currency: Currency) -> Fields<'static> {
    let major = |amount: Option<Amount>| amount.map(|amount| amount.to_major(currency));
    Fields {
        loss_daily: major(limits.loss_daily),
        loss_weekly: major(limits.loss_weekly),
        loss_monthly: major(limits.loss_monthly),
        session_seconds: limits.session_s,
        ..Fields::default()
    }
}

fn jackpot(amount: Option<JackpotAmount>) -> Option<String> {
    amount.map(|amount| amount.to_string())
}

impl<'a> Alert<'a> {
    fn of(alert: &'a AlertFacts) -> Self {
        Self {
            source: alert.source.as_str(),
            action_id: alert.action_id.as_str(),
            operator_alert_action_reference: alert.action_reference.as_str(),
            operator_alert_reference: alert.reference.as_str(),
            gaming_regulator_code: alert.regulator_code.as_str(),
            kind: alert.kind.as_str(),
            method: alert.method.as_str(),
            data: alert.data.as_str(),
        }
    }

    /// Those that are not empty.
    fn named(&self) -> impl Iterator<Item = (&'static str, &'a str)> + use<'a> {
        [
            ("Source", self.source),
            ("AlertActionID", self.action_id),
            (
                "OperatorAlertActionReference",
                self.operator_alert_action_reference,
            ),
            ("OperatorAlertReference", self.operator_alert_reference),
            ("GamingRegulatorCode", self.gaming_regulator_code),
            ("Type", self.kind),
            ("Method", self.method),
            ("Data", self.data),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
    }
}

impl Fields<'_> {
    /// Every field that is there, for a line of text: in the order of the JSON members.
    pub(super) fn named(&self) -> Vec<(&'static str, String)> {
        let texts = [
            ("TransactionID", self.transaction),
            ("OriginalTransactionID", self.original),
            ("GameRoundID", self.round),
            ("GameID", self.game),
            ("Amount", self.amount.as_deref()),
            ("CashAmount", self.cash_amount.as_deref()),
            ("BonusAmount", self.bonus_amount.as_deref()),
            ("StartRound", self.start_round.then_some("true")),
            ("EndRound", self.end_round.then_some("true")),
            ("FreePlay", self.free_play.then_some("true")),
            ("ZeroLoss", self.zero_loss.then_some("true")),
            ("FreeGameOfferCode", self.free_game_offer_code),
            ("JackpotContribution", self.jackpot_contribution.as_deref()),
            ("JackpotWinnings", self.jackpot_winnings.as_deref()),
            ("AccountTransactionTypeID", self.type_id),
        ];
        let numbers = [
            ("PreviousBooking", self.previous_booking),
            ("SessionSeconds", self.session_seconds.map(u64::from)),
        ];
        let more = [
            ("CountryCode", self.country_code),
            ("SessionKey", self.session_key.as_deref()),
            ("LogoutAt", self.logout_at.as_deref()),
            ("IssuedAt", self.issued_at.as_deref()),
            ("ExpiresAt", self.expires_at.as_deref()),
            ("Status", self.status),
            ("LossDaily", self.loss_daily.as_deref()),
            ("LossWeekly", self.loss_weekly.as_deref()),
            ("LossMonthly", self.loss_monthly.as_deref()),
        ];
        let owned = |(name, value): (&'static str, Option<&str>)| Some((name, value?.to_owned()));
        let number = |(name, value): (&'static str, Option<u64>)| Some((name, value?.to_string()));
        texts
            .into_iter()
            .filter_map(owned)
            .chain(numbers.into_iter().filter_map(number))
            .chain(more.into_iter().filter_map(owned))
            .chain(
                self.alert
                    .iter()
                    .flat_map(Alert::named)
                    .map(|(name, value)| (name, value.to_owned())),
            )
            .collect()
    }
}
