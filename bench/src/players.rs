//! Players and deposits for measurements that drive the ledger or a shard directly.

use std::time::Duration;

use anyhow::Context;
use shards::ledger::{Command, LedgerSettings};
use shards::types::{AccountId, Amount, CountryCode, Currency, TransactionId};

/// The ledger's settings as the server has them unless configured.
pub(crate) const LEDGER: LedgerSettings = LedgerSettings {
    idempotency_window: Duration::from_secs(72 * 3_600),
    digest_secret: [0x5EED, 0xFEED],
    clock_skew_max: Duration::from_secs(300),
};

/// As `purser.toml` has it unless configured.
pub(crate) const SEGMENT_BYTES: u64 = 64 << 20;

fn account(number: u64) -> anyhow::Result<AccountId> {
    AccountId::parse(&format!("bench/player-{number}")).context("an account id")
}

/// Creates a player.
pub(crate) fn open(number: u64) -> anyhow::Result<Command> {
    Ok(Command::OpenAccount {
        account: account(number)?,
        currency: Currency::parse("EUR").context("a currency")?,
        country: CountryCode::parse("MT").context("a country")?,
    })
}

/// A deposit of 1.00 under an id that is used once.
pub(crate) fn deposit(player: u64, transaction: u64) -> anyhow::Result<Command> {
    Ok(Command::Deposit {
        account: account(player)?,
        transaction: TransactionId::parse(&format!("deposit-{transaction}"))
            .context("a transaction id")?,
        amount: Amount::from_minor(100).context("an amount")?,
        currency: Currency::parse("EUR").context("a currency")?,
    })
}

/// A read of a player's balance.
pub(crate) fn read(number: u64) -> anyhow::Result<Command> {
    Ok(Command::ReadBalance {
        account: account(number)?,
    })
}
