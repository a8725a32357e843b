//! What all virtual users of a run share: the players, the templates, the manners.

use std::net::SocketAddr;

use crate::accounts::Account;
use crate::flow::{self, Flow};
use crate::random::{Random, Zipf};
use crate::template::Template;

/// What virtual users do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// Balance, then redeem a fresh session token: the reference's load.
    Reference,
    /// Whole rounds on skewed accounts, with repeats and reorderings.
    Full,
}

impl Scenario {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Full => "full",
        }
    }
}

/// One address of the server, and the players that are asked for there.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// Places in [`World::accounts`].
    pub(crate) players: Vec<u32>,
    popularity: Zipf,
}

impl Target {
    /// # Panics
    /// Without players.
    pub(crate) fn new(address: SocketAddr, players: Vec<u32>, skew: f64) -> Self {
        let popularity = Zipf::new(players.len(), skew);
        Self {
            address,
            players,
            popularity,
        }
    }
}

/// Shared by all threads, and never changed while they run.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) accounts: Vec<Account>,
    /// One, or one for each shard.
    pub(crate) targets: Vec<Target>,
    pub(crate) templates: Vec<Template>,
    /// Of the players' currency.
    pub(crate) currency: String,
    pub(crate) fraction_digits: usize,
    /// Share of bookings that are sent once more after their answer.
    pub(crate) repeats: f64,
    /// Share of rounds whose requests come in another order.
    pub(crate) reorderings: f64,
    /// Makes the ids of this run its own, whatever ran before.
    pub(crate) run_id: u32,
}

impl World {
    /// The next flow of a virtual user, and its player.
    pub(crate) fn choose(
        &self,
        target: usize,
        (vu, iteration): (u64, u64),
        random: &mut Random,
    ) -> (&'static Flow, u32) {
        let target = &self.targets[target];
        match self.scenario {
            // Users start at different players and walk through all of them, as in
            // k6/reference.js.
            Scenario::Reference => {
                let at = (vu * 7919 + iteration) % target.players.len() as u64;
                (
                    flow::choose(flow::REFERENCE, random),
                    target.players[at as usize],
                )
            }
            Scenario::Full => {
                let flows = if random.chance(self.reorderings) {
                    flow::REORDERED
                } else {
                    flow::FULL
                };
                let rank = target.popularity.draw(random);
                (flow::choose(flows, random), target.players[rank])
            }
        }
    }
}
