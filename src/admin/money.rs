//! The operator's money: paid in, paid out, given as a bonus. Each happens once per
//! `TransactionID` of the account and kind.
//!
//! An amount is read in the domain's currency, which is the account's but for rare
//! histories. Where the answer shows that it is not, the account's currency reads it once
//! more: nothing new is booked then, and a repeat is recognised (protocol.md section 8).

use axum::Json;
use axum::extract::State;
use shards::ledger::{Command, Facts, Outcome};
use shards::types::{AccountId, Amount, Currency, TransactionId};

use super::answer::Done;
use super::errors::AdminError;
use super::fields::{self, AccountPath, JsonBody};
use super::server::App;
use super::types::{FundsBody, MoneyRequest};

/// `POST /admin/v1/accounts/{domain}/{player}/deposits`: into the cash funds.
pub(super) async fn deposit(
    State(app): State<App>,
    path: AccountPath,
    JsonBody(request): JsonBody<MoneyRequest>,
) -> Result<Json<FundsBody>, AdminError> {
    let currency = path.currency;
    book(&app, &path, request, |account, transaction, amount| {
        Command::Deposit {
            account,
            transaction,
            amount,
            currency,
        }
    })
    .await
}

/// `POST /admin/v1/accounts/{domain}/{player}/withdrawals`: out of the cash funds.
pub(super) async fn withdraw(
    State(app): State<App>,
    path: AccountPath,
    JsonBody(request): JsonBody<MoneyRequest>,
) -> Result<Json<FundsBody>, AdminError> {
    let currency = path.currency;
    book(&app, &path, request, |account, transaction, amount| {
        Command::Withdraw {
            account,
            transaction,
            amount,
            currency,
        }
    })
    .await
}

/// `POST /admin/v1/accounts/{domain}/{player}/bonuses`: into the bonus funds, where the
/// domain has them.
pub(super) async fn grant_bonus(
    State(app): State<App>,
    path: AccountPath,
    JsonBody(request): JsonBody<MoneyRequest>,
) -> Result<Json<FundsBody>, AdminError> {
    let (currency, is_offered) = (path.currency, path.has_bonus_funds);
    book(&app, &path, request, |account, transaction, amount| {
        Command::GrantBonus {
            is_offered,
            account,
            transaction,
            amount,
            currency,
        }
    })
    .await
}

async fn book(
    app: &App,
    path: &AccountPath,
    request: MoneyRequest,
    command: impl Fn(AccountId, TransactionId, Amount) -> Command,
) -> Result<Json<FundsBody>, AdminError> {
    let transaction = fields::transaction_id(request.transaction_id)?;
    let command = |amount| command(path.account.clone(), transaction.clone(), amount);
    let amount = |currency| fields::amount(request.amount.clone(), currency);
    let (first, refused) = match amount(path.currency) {
        Ok(amount) => (command(amount), None),
        // Only the account's currency says how many digits are too many.
        Err(invalid) => {
            let account = path.account.clone();
            (Command::ReadBalance { account }, Some(invalid))
        }
    };
    let mut answer = app.control.ask(first).await;
    let account_currency = answer.as_ref().ok().and_then(currency_of);
    match (account_currency, refused) {
        (Some(currency), _) if currency != path.currency => {
            answer = app.control.ask(command(amount(currency)?)).await;
        }
        (_, Some(invalid)) if answer.is_ok() => return Err(invalid.into()),
        _ => {}
    }
    let funds = Done::from_answer(answer)?.funds()?;
    Ok(Json(FundsBody::from(&funds)))
}

/// The account's currency, where the account is known.
fn currency_of(outcome: &Outcome) -> Option<Currency> {
    match outcome {
        Outcome::Accepted(Facts::Funds(funds)) | Outcome::Repeated(Facts::Funds(funds)) => {
            Some(funds.currency)
        }
        Outcome::Refused(refusal) => refusal.funds.map(|funds| funds.currency),
        Outcome::Accepted(_) | Outcome::Repeated(_) => None,
    }
}
