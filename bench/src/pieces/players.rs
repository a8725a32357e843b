//! Players, bets and deposits for measurements that drive the ledger or a shard directly.

use std::time::Duration;

use anyhow::Context;
use shards::ledger::{
    AwardWinnings, Command, FundsOrder, LedgerSettings, PlaceBet, RoundBooking, StatedAmount,
    StatedSession,
};
use shards::routing::slot_of;
use shards::types::{
    AccountId, Amount, Balance, CountryCode, Currency, GameId, GameRoundId, SessionKey,
    TransactionId, UnixMillis,
};
use shards::wal::Founding;

/// The ledger's settings as the server has them unless configured.
pub const LEDGER: LedgerSettings = LedgerSettings {
    idempotency_window: Duration::from_secs(72 * 3_600),
    digest_secret: [0x5EED, 0xFEED],
    clock_skew_max: Duration::from_secs(300),
};

/// A data set of its own for each measurement, with the ledger's key.
///
/// # Errors
/// The system gives no random numbers.
pub fn founding() -> anyhow::Result<Founding> {
    Ok(Founding {
        digest_secret: LEDGER.digest_secret,
        ..Founding::random()?
    })
}

/// As `purser.toml` has it unless configured.
pub const SEGMENT_BYTES: u64 = 64 << 20;

fn account(number: u64) -> anyhow::Result<AccountId> {
    AccountId::parse(&format!("bench/player-{number}")).context("an account id")
}

/// The currency of everybody.
fn currency() -> anyhow::Result<Currency> {
    Currency::parse("EUR").context("a currency")
}

/// The session of a player: its slot and number.
fn session(account: &AccountId, number: u64) -> SessionKey {
    SessionKey::mint(slot_of(account), u128::from(number))
}

/// Creates a player with 10,000.00 and a session.
///
/// # Errors
/// As [`bet`].
pub fn import(number: u64) -> anyhow::Result<Command> {
    let account = account(number)?;
    Ok(Command::ImportAccount {
        currency: currency()?,
        country: CountryCode::parse("MT").context("a country")?,
        balance: Balance {
            cash: Amount::from_minor(1_000_000).context("an amount")?,
            bonus: Amount::ZERO,
        },
        session: Some(session(&account, number)),
        account,
    })
}

/// What a booking of 0.01 in a round states, under an id that is used once.
fn booking(
    player: u64,
    round: u64,
    transaction: &str,
    stated_at: UnixMillis,
) -> anyhow::Result<RoundBooking> {
    let account = account(player)?;
    Ok(RoundBooking {
        transaction: TransactionId::parse(transaction).context("a transaction id")?,
        round: GameRoundId::parse(&format!("round-{round}")).context("a round id")?,
        game: GameId::parse("game-1").context("a game id")?,
        game_known: true,
        stated_at,
        currency: Some(currency()?),
        amount: StatedAmount::Exact(Amount::from_minor(1).context("an amount")?),
        session: StatedSession::Own(session(&account, player)),
        end_round: false,
        free_game_offer: None,
        account,
    })
}

/// A bet of 0.01, stated at a time, under an id that is used once.
///
/// # Errors
/// Never with numbers of any size: all that they make is well-formed.
pub fn bet(
    player: u64,
    round: u64,
    transaction: u64,
    stated_at: UnixMillis,
) -> anyhow::Result<Command> {
    let id = format!("bet-{transaction}");
    Ok(Command::PlaceBet(Box::new(PlaceBet {
        round: booking(player, round, &id, stated_at)?,
        start_round: true,
        free_play: false,
        funds_order: FundsOrder::CashFirst,
        jackpot_contribution: None,
    })))
}

/// Winnings of 0.01, stated at a time, under an id that is used once.
///
/// # Errors
/// As [`bet`].
pub fn award(
    player: u64,
    round: u64,
    transaction: u64,
    stated_at: UnixMillis,
) -> anyhow::Result<Command> {
    let id = format!("award-{transaction}");
    Ok(Command::AwardWinnings(Box::new(AwardWinnings {
        round: booking(player, round, &id, stated_at)?,
        start_round: false,
        jackpot_winnings: None,
    })))
}

/// Creates a player.
///
/// # Errors
/// As [`bet`].
pub fn open(number: u64) -> anyhow::Result<Command> {
    Ok(Command::OpenAccount {
        account: account(number)?,
        currency: currency()?,
        country: CountryCode::parse("MT").context("a country")?,
    })
}

/// A deposit of 1.00 under an id that is used once.
///
/// # Errors
/// As [`bet`].
pub fn deposit(player: u64, transaction: u64) -> anyhow::Result<Command> {
    Ok(Command::Deposit {
        account: account(player)?,
        transaction: TransactionId::parse(&format!("deposit-{transaction}"))
            .context("a transaction id")?,
        amount: Amount::from_minor(100).context("an amount")?,
        currency: currency()?,
    })
}

/// A read of a player's balance.
///
/// # Errors
/// As [`bet`].
pub fn read(number: u64) -> anyhow::Result<Command> {
    Ok(Command::ReadBalance {
        account: account(number)?,
    })
}
