//! `rival-axum-postgres ADDRESS STORE`: balances and bookings in PostgreSQL, STORE being a
//! connection string.
//!
//! A booking is one call of a function, so one round trip and one transaction: it
//! remembers the id, judges the funds and books, all or nothing. PostgreSQL commits
//! transactions of several connections with one flush, so a pool gives it company.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::routing::post;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use purser_rivals::answer::Answer;
use purser_rivals::book::{CASH_MINOR, PLAYERS, account};
use purser_rivals::front::{self, is_authorised, json};
use purser_rivals::request::{BALANCE_PATH, BET_PATH, PlaceBet, ReadBalance};
use tokio_postgres::NoTls;

/// Enough for group commits, few enough that the processes behind them do not only take
/// turns on one CPU; between 8 and 64 it made little difference.
const CONNECTIONS: usize = 16;

const SCHEMA: &str = "
CREATE TABLE account (
    id text PRIMARY KEY,
    cash_minor bigint NOT NULL CHECK (cash_minor >= 0)
) WITH (fillfactor = 50);
CREATE TABLE bet (
    account text NOT NULL,
    id text NOT NULL,
    contents text NOT NULL,
    stake_minor bigint NOT NULL,
    booked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, id)
);
CREATE FUNCTION place_bet(
    account_id text, bet_id text, bet_contents text, stake bigint,
    OUT code int, OUT cash bigint
) LANGUAGE plpgsql AS $$
DECLARE
    known text;
BEGIN
    INSERT INTO bet (account, id, contents, stake_minor)
        VALUES (account_id, bet_id, bet_contents, stake) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT contents INTO known FROM bet WHERE account = account_id AND id = bet_id;
        SELECT cash_minor INTO cash FROM account WHERE id = account_id;
        code := CASE WHEN known = bet_contents THEN 0 ELSE -6 END;
        RETURN;
    END IF;
    UPDATE account SET cash_minor = cash_minor - stake
        WHERE id = account_id AND cash_minor >= stake RETURNING cash_minor INTO cash;
    IF FOUND THEN
        code := 0;
        RETURN;
    END IF;
    DELETE FROM bet WHERE account = account_id AND id = bet_id;
    SELECT cash_minor INTO cash FROM account WHERE id = account_id;
    code := CASE WHEN FOUND THEN -2 ELSE -5 END;
END $$;
";

const BALANCE: &str = "SELECT cash_minor FROM account WHERE id = $1";

const BET: &str = "SELECT code, cash FROM place_bet($1, $2, $3, $4)";

fn main() -> anyhow::Result<()> {
    let (listen, [store]) = purser_rivals::arguments()?;
    front::run(async move {
        let config = store
            .parse()
            .context("the connection string of the store")?;
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let pool = Pool::builder(Manager::from_config(config, NoTls, recycling))
            .max_size(CONNECTIONS)
            .build()?;
        open_accounts(&pool).await?;
        let router = Router::new()
            .route(BALANCE_PATH, post(balance))
            .route(BET_PATH, post(place_bet))
            .with_state(Arc::new(pool));
        front::serve(listen, router).await
    })
}

async fn open_accounts(pool: &Pool) -> anyhow::Result<()> {
    let store = pool.get().await.context("connect to the store")?;
    store.batch_execute(SCHEMA).await.context("make tables")?;
    let accounts: Vec<String> = (1..=PLAYERS).map(account).collect();
    store
        .execute(
            "INSERT INTO account SELECT id, $2 FROM unnest($1::text[]) AS id",
            &[&accounts, &CASH_MINOR],
        )
        .await
        .context("open accounts")?;
    Ok(())
}

async fn balance(State(pool): State<Arc<Pool>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    if !is_authorised(&headers) {
        return json(&Answer::refused(-6));
    }
    let Ok(request) = serde_json::from_slice::<ReadBalance<'_>>(&body) else {
        return json(&Answer::refused(-6));
    };
    json(&match cash_of(&pool, request.operator_account_id).await {
        Ok(Some(cash_minor)) => Answer::balance(cash_minor),
        Ok(None) => Answer::refused(-5),
        Err(_) => Answer::refused(-1),
    })
}

async fn cash_of(pool: &Pool, account: &str) -> anyhow::Result<Option<i64>> {
    let store = pool.get().await?;
    let statement = store.prepare_cached(BALANCE).await?;
    let row = store.query_opt(&statement, &[&account]).await?;
    Ok(row.map(|row| row.get(0)))
}

async fn place_bet(
    State(pool): State<Arc<Pool>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if !is_authorised(&headers) {
        return json(&Answer::refused(-6));
    }
    let Ok(bet) = serde_json::from_slice::<PlaceBet<'_>>(&body) else {
        return json(&Answer::refused(-6));
    };
    json(&match book(&pool, &bet).await {
        Ok((0, cash_minor)) => {
            Answer::booked(bet.game_round_transaction_id, bet.stake_minor(), cash_minor)
        }
        Ok((code, _)) => Answer::refused(code),
        Err(_) => Answer::refused(-1),
    })
}

/// An error code and the cents that are left.
async fn book(pool: &Pool, bet: &PlaceBet<'_>) -> anyhow::Result<(i32, i64)> {
    let contents = format!("{}:{}", bet.game_round_id, bet.game_id);
    let store = pool.get().await?;
    let statement = store.prepare_cached(BET).await?;
    let row = store
        .query_one(
            &statement,
            &[
                &bet.operator_account_id,
                &bet.game_round_transaction_id,
                &contents,
                &bet.stake_minor(),
            ],
        )
        .await?;
    Ok((row.get(0), row.get::<_, Option<i64>>(1).unwrap_or(0)))
}
