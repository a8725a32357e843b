//! What the table's rows are: which server, how many shards, which requests go where.

use clap::ValueEnum;

use crate::client::Target;
use crate::request::{DemoAccount, Request};
use crate::rivals::Rival;
use crate::servers::{self, Server};

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// The server that does nothing, asked for balances.
    Floor,
    /// The same on io_uring.
    Uring,
    /// nginx with a fixed answer.
    Nginx,
    /// Balances from a hash map behind may_minihttp.
    May,
    /// Balances from a hash map behind axum.
    Axum,
    /// Balances from one shard: every request meets its owner, no hop.
    Balance,
    /// Redeems from one shard, each with a token made for it.
    Redeem,
    /// Balances from two shards on the same CPUs, each asked on its owner's port.
    #[value(name = "balance-2-own")]
    Balance2Own,
    /// Balances from two shards on the same CPUs, each asked on the other shard's
    /// port: one hop there and one back.
    #[value(name = "balance-2-hop")]
    Balance2Hop,
    /// Stakes of one shard, each on disk before its answer.
    Bet,
    /// Winnings of one shard, likewise.
    Award,
    /// Stakes of two shards on the same CPUs, each on its owner's port.
    #[value(name = "bet-2-own")]
    Bet2Own,
    /// Stakes of two shards on the same CPUs, each on the other shard's port.
    #[value(name = "bet-2-hop")]
    Bet2Hop,
    /// Balances from Redis behind axum.
    RedisBalance,
    /// Stakes in Redis behind axum, each on disk before its answer.
    RedisBet,
    /// Balances from PostgreSQL behind axum.
    PostgresBalance,
    /// Stakes in PostgreSQL behind axum, each on disk before its answer.
    PostgresBet,
}

/// Which server a row needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Floor,
    Purser { shards: u16 },
    Rival(Rival),
}

impl Row {
    pub(crate) const ALL: [Self; 17] = [
        Self::Floor,
        Self::Uring,
        Self::Nginx,
        Self::May,
        Self::Axum,
        Self::Balance,
        Self::Redeem,
        Self::Balance2Own,
        Self::Balance2Hop,
        Self::Bet,
        Self::Award,
        Self::Bet2Own,
        Self::Bet2Hop,
        Self::RedisBalance,
        Self::RedisBet,
        Self::PostgresBalance,
        Self::PostgresBet,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Uring => "floor on io_uring",
            Self::Nginx => "nginx, fixed answer",
            Self::May => "may_minihttp, balance",
            Self::Axum => "axum, balance",
            Self::Balance => "balance, 1 shard",
            Self::Redeem => "redeem, 1 shard",
            Self::Balance2Own => "balance, 2 shards, own",
            Self::Balance2Hop => "balance, 2 shards, hop",
            Self::Bet => "placebet, 1 shard",
            Self::Award => "awardwinnings, 1 shard",
            Self::Bet2Own => "placebet, 2 shards, own",
            Self::Bet2Hop => "placebet, 2 shards, hop",
            Self::RedisBalance => "axum+redis, balance",
            Self::RedisBet => "axum+redis, placebet",
            Self::PostgresBalance => "axum+postgres, balance",
            Self::PostgresBet => "axum+postgres, placebet",
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Floor => Kind::Floor,
            Self::Balance | Self::Redeem | Self::Bet | Self::Award => Kind::Purser { shards: 1 },
            Self::Balance2Own | Self::Balance2Hop | Self::Bet2Own | Self::Bet2Hop => {
                Kind::Purser { shards: 2 }
            }
            Self::Uring => Kind::Rival(Rival::Uring),
            Self::Nginx => Kind::Rival(Rival::Nginx),
            Self::May => Kind::Rival(Rival::May),
            Self::Axum => Kind::Rival(Rival::Axum),
            Self::RedisBalance | Self::RedisBet => Kind::Rival(Rival::Redis),
            Self::PostgresBalance | Self::PostgresBet => Kind::Rival(Rival::Postgres),
        }
    }

    /// For a rival that does purser's work: the row of purser that is asked the same.
    pub(crate) fn same_of_purser(self) -> Option<Self> {
        match self {
            Self::May | Self::Axum | Self::RedisBalance | Self::PostgresBalance => {
                Some(Self::Balance)
            }
            Self::RedisBet | Self::PostgresBet => Some(Self::Bet),
            _ => None,
        }
    }

    /// The ports to connect to and what to send there.
    pub(crate) fn targets(self, server: &Server, now_ms: u64) -> anyhow::Result<Vec<Target>> {
        let target = |address, requests| Target { address, requests };
        match self {
            Self::Floor
            | Self::Uring
            | Self::Nginx
            | Self::May
            | Self::Axum
            | Self::Balance
            | Self::RedisBalance
            | Self::PostgresBalance => {
                let requests = all(&server.accounts, |account| {
                    Request::balance(account, now_ms)
                })?;
                Ok(vec![target(server.address, requests)])
            }
            Self::Redeem => {
                let requests = all(&server.accounts, |account| Request::redeem(account, now_ms))?;
                Ok(vec![target(server.address, requests)])
            }
            Self::Bet | Self::RedisBet | Self::PostgresBet => {
                let requests = all(&server.accounts, |account| {
                    Request::place_bet(account, now_ms)
                })?;
                Ok(vec![target(server.address, requests)])
            }
            Self::Award => {
                let requests = all(&server.accounts, |account| Request::award(account, now_ms))?;
                Ok(vec![target(server.address, requests)])
            }
            Self::Balance2Own | Self::Balance2Hop | Self::Bet2Own | Self::Bet2Hop => {
                let shards = server.shard_addresses.len();
                let hops = usize::from(matches!(self, Self::Balance2Hop | Self::Bet2Hop));
                let is_bet = matches!(self, Self::Bet2Own | Self::Bet2Hop);
                let mut targets: Vec<Target> = server
                    .shard_addresses
                    .iter()
                    .map(|&address| target(address, Vec::new()))
                    .collect();
                for account in &server.accounts {
                    let owner = servers::owner_of(account, shards as u16)?;
                    let request = match is_bet {
                        true => Request::place_bet(account, now_ms)?,
                        false => Request::balance(account, now_ms)?,
                    };
                    targets[(owner + hops) % shards].requests.push(request);
                }
                Ok(targets)
            }
        }
    }
}

fn all(
    accounts: &[DemoAccount],
    request: impl Fn(&DemoAccount) -> anyhow::Result<Request>,
) -> anyhow::Result<Vec<Request>> {
    accounts.iter().map(request).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_shards_share_the_demo_players_and_every_request_has_its_place() {
        let accounts = servers::fixed_accounts();
        let owned_by_0 = accounts
            .iter()
            .filter(|account| servers::owner_of(account, 2).unwrap() == 0)
            .count();
        assert!((400..600).contains(&owned_by_0), "{owned_by_0}");
    }

    #[test]
    fn every_row_stands_once_in_the_table_and_its_name_fits() {
        let names: std::collections::HashSet<_> = Row::ALL.iter().map(|row| row.name()).collect();
        assert_eq!(names.len(), Row::ALL.len());
        assert_eq!(Row::value_variants(), Row::ALL);
        for name in names {
            // The column has 24, one of them to keep it from the next.
            assert!(name.len() < 24, "{name}");
        }
    }
}
