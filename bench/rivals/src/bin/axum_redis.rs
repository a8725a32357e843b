//! `rival-axum-redis ADDRESS STORE`: balances and bookings in Redis, STORE being a URL.
//!
//! A booking is one Lua script, which Redis runs alone: it looks for the id, judges the
//! funds, books and remembers, all or nothing. All requests share one connection, on which
//! the client pipelines, so that Redis syncs its file once for many of them: the fastest
//! way there is to have every booking on disk before its answer (`appendfsync always`).

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::routing::post;
use purser_rivals::answer::Answer;
use purser_rivals::book::{CASH_MINOR, PLAYERS, account};
use purser_rivals::front::{self, is_authorised, json};
use purser_rivals::request::{BALANCE_PATH, BET_PATH, PlaceBet, ReadBalance};
use redis::AsyncCommands;
use redis::Script;
use redis::aio::MultiplexedConnection;

/// How long an id is remembered: the 72 hours of purser's idempotency window.
const REMEMBERED_S: u32 = 72 * 3_600;

/// KEYS: the account's cents, the bet's memory. ARGV: stake, contents of the bet, seconds
/// to remember. Gives an error code and the cents.
const BET: &str = "
local cash = redis.call('GET', KEYS[1])
if not cash then return {-5, 0} end
local known = redis.call('GET', KEYS[2])
if known then
  if known == ARGV[2] then return {0, tonumber(cash)} end
  return {-6, 0}
end
if tonumber(cash) < tonumber(ARGV[1]) then return {-2, tonumber(cash)} end
local left = redis.call('DECRBY', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return {0, left}
";

struct Wallet {
    store: MultiplexedConnection,
    bet: Script,
}

fn main() -> anyhow::Result<()> {
    let (listen, [store]) = purser_rivals::arguments()?;
    front::run(async move {
        let client = redis::Client::open(store.as_str()).context("the URL of the store")?;
        let mut store = client
            .get_multiplexed_async_connection()
            .await
            .with_context(|| format!("connect to {store}"))?;
        open_accounts(&mut store).await?;
        let wallet = Wallet {
            store,
            bet: Script::new(BET),
        };
        let router = Router::new()
            .route(BALANCE_PATH, post(balance))
            .route(BET_PATH, post(place_bet))
            .with_state(Arc::new(wallet));
        front::serve(listen, router).await
    })
}

async fn open_accounts(store: &mut MultiplexedConnection) -> anyhow::Result<()> {
    let players: Vec<(String, i64)> = (1..=PLAYERS)
        .map(|number| (cash_key(&account(number)), CASH_MINOR))
        .collect();
    store
        .mset::<_, _, ()>(&players)
        .await
        .context("open accounts")
}

fn cash_key(account: &str) -> String {
    format!("cash:{account}")
}

async fn balance(
    State(wallet): State<Arc<Wallet>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if !is_authorised(&headers) {
        return json(&Answer::refused(-6));
    }
    let Ok(request) = serde_json::from_slice::<ReadBalance<'_>>(&body) else {
        return json(&Answer::refused(-6));
    };
    let key = cash_key(request.operator_account_id);
    let cash: Result<Option<i64>, _> = wallet.store.clone().get(key).await;
    json(&match cash {
        Ok(Some(cash_minor)) => Answer::balance(cash_minor),
        Ok(None) => Answer::refused(-5),
        Err(_) => Answer::refused(-1),
    })
}

async fn place_bet(
    State(wallet): State<Arc<Wallet>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if !is_authorised(&headers) {
        return json(&Answer::refused(-6));
    }
    let Ok(bet) = serde_json::from_slice::<PlaceBet<'_>>(&body) else {
        return json(&Answer::refused(-6));
    };
    let stake_minor = bet.stake_minor();
    let (account, id) = (bet.operator_account_id, bet.game_round_transaction_id);
    let booked: Result<(i32, i64), _> = wallet
        .bet
        .key(cash_key(account))
        .key(format!("bet:{account}:{id}"))
        .arg(stake_minor)
        .arg(format!(
            "{stake_minor}:{}:{}",
            bet.game_round_id, bet.game_id
        ))
        .arg(REMEMBERED_S)
        .invoke_async(&mut wallet.store.clone())
        .await;
    json(&match booked {
        Ok((0, cash_minor)) => Answer::booked(id, stake_minor, cash_minor),
        Ok((code, _)) => Answer::refused(code),
        Err(_) => Answer::refused(-1),
    })
}
