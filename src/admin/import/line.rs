//! One line of an import: from JSON to what the ledger is asked.

use shards::ledger::Command;
use shards::types::{AccountId, Balance, CountryCode, Currency, SessionKey};

use crate::admin::fields::{self, Invalid};
use crate::admin::types::ImportRequest;
use crate::domain::{Domains, FundsPriority};

/// An account to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImportLine {
    pub(super) account: AccountId,
    currency: Currency,
    country: CountryCode,
    balance: Balance,
    pub(super) open_session: bool,
}

impl ImportLine {
    pub(super) fn into_command(self, session: Option<SessionKey>) -> Command {
        Command::ImportAccount {
            account: self.account,
            currency: self.currency,
            country: self.country,
            balance: self.balance,
            session,
        }
    }
}

/// Reads a line; `None` for a blank one.
pub(super) fn parse(text: &[u8], domains: &Domains) -> Result<Option<ImportLine>, Invalid> {
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let request: ImportRequest = fields::parse_object(text)?;
    let (account, domain) = fields::account_of_domain(request.operator_account_id, domains)?;
    let currency = domain.currency;
    let balance = Balance {
        cash: fields::funds("CashFunds", request.cash_funds, currency)?,
        bonus: fields::funds("BonusFunds", request.bonus_funds, currency)?,
    };
    if domain.funds_priority == FundsPriority::Unknown && !balance.bonus.is_zero() {
        return Err(Invalid(format!(
            "BonusFunds: the domain {:?} has no bonus funds",
            domain.name
        )));
    }
    Ok(Some(ImportLine {
        account,
        currency,
        country: fields::country(request.country_code)?,
        balance,
        open_session: fields::open_session(request.open_session)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tests::domains;

    fn check(text: &str, expected: Result<(i64, i64, bool), &str>) {
        let got = parse(text.as_bytes(), &domains());
        let got = got.map(|line| {
            let line = line.unwrap();
            (
                line.balance.cash.minor(),
                line.balance.bonus.minor(),
                line.open_session,
            )
        });
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{text}"),
            (Err(Invalid(why)), Err(start)) => {
                assert!(why.starts_with(start), "{text}: {why}");
            }
            (got, expected) => panic!("{text}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn funds_and_session_are_optional() {
        check(
            r#"{"OperatorAccountID":"acme/p","CountryCode":"GB","CashFunds":"1.50","BonusFunds":"2","OpenSession":true}"#,
            Ok((150, 200, true)),
        );
        check(
            r#"{"OperatorAccountID":"acme/p","CountryCode":"GB"}"#,
            Ok((0, 0, false)),
        );
        check(
            r#" {"OperatorAccountID":"acme/p","CountryCode":"gb","CashFunds":null,"BonusFunds":null,"OpenSession":null} "#,
            Ok((0, 0, false)),
        );
        check(
            r#"{"OperatorAccountID":"yen/p","CountryCode":"JP","CashFunds":"15","BonusFunds":"0"}"#,
            Ok((15, 0, false)),
        );
    }

    #[test]
    fn a_bad_line_names_what_is_wrong() {
        let line = |members: &str| {
            format!(r#"{{"OperatorAccountID":"acme/p","CountryCode":"GB"{members}}}"#)
        };
        check("{", Err("EOF while parsing"));
        check("[]", Err("expected a JSON object"));
        check("x", Err("expected a JSON object"));
        check("{}", Err("OperatorAccountID: is required"));
        check(
            r#"{"OperatorAccountID":"acme","CountryCode":"GB"}"#,
            Err("OperatorAccountID: expected domain/player"),
        );
        check(
            r#"{"OperatorAccountID":"nope/p","CountryCode":"GB"}"#,
            Err("OperatorAccountID: no domain \"nope\""),
        );
        check(
            r#"{"OperatorAccountID":"acme/p"}"#,
            Err("CountryCode: is required"),
        );
        check(
            r#"{"OperatorAccountID":"acme/p","CountryCode":"GBR"}"#,
            Err("CountryCode: expected two letters"),
        );
        check(
            &line(r#","CashFunds":1"#),
            Err("CashFunds: expected a string"),
        );
        check(
            &line(r#","CashFunds":"1.001""#),
            Err("CashFunds: at most 2 fraction digits for GBP"),
        );
        check(
            &line(r#","CashFunds":"-1""#),
            Err("CashFunds: must not be negative"),
        );
        check(
            &line(r#","OpenSession":"yes""#),
            Err("OpenSession: expected true or false"),
        );
        check(&line(r#","CashFund":"1""#), Err("unknown field `CashFund`"));
        check(
            r#"{"OperatorAccountID":"yen/p","CountryCode":"JP","BonusFunds":"1"}"#,
            Err("BonusFunds: the domain \"yen\" has no bonus funds"),
        );
    }

    #[test]
    fn a_blank_line_is_no_account() {
        for text in ["", " ", "\r", "\t \r"] {
            assert_eq!(parse(text.as_bytes(), &domains()), Ok(None), "{text:?}");
        }
    }
}
