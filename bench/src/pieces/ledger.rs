//! The ledger: commands decided and applied, without a log.

use std::hint::black_box;

use shards::ledger::{Command, Decision, Ledger};
use shards::types::Lsn;

use crate::players::{self, LEDGER};
use crate::{AT, Piece};

/// Rounds are shared by the bookings of a player, as in a game.
const PLAYERS: u64 = 1_000;

/// A ledger and commands that each lead to a posting.
struct Bookings {
    ledger: Ledger,
    lsn: Lsn,
    commands: Vec<Command>,
}

impl Bookings {
    /// With everything booked that `before` names, and the commands of `measured` to come.
    fn new(
        before: impl IntoIterator<Item = anyhow::Result<Command>>,
        measured: impl IntoIterator<Item = anyhow::Result<Command>>,
    ) -> Self {
        let mut bookings = Self {
            ledger: Ledger::new(LEDGER),
            lsn: Lsn::NONE,
            commands: Vec::new(),
        };
        for command in before {
            bookings.book(&command.expect("a command"));
        }
        let commands = measured.into_iter().collect::<anyhow::Result<_>>();
        bookings.commands = commands.expect("commands");
        bookings
    }

    fn book(&mut self, command: &Command) {
        match self.ledger.decide(black_box(command), AT) {
            Decision::Post(posting, outcome) => {
                self.lsn = self.lsn.next();
                self.ledger.apply(self.lsn, &posting);
                black_box(outcome);
            }
            Decision::Answer { outcome, .. } => panic!("{command:?} was answered {outcome:?}"),
        }
    }

    fn run(&mut self) {
        let commands = std::mem::take(&mut self.commands);
        for command in &commands {
            self.book(command);
        }
        // Freeing them is no work of the ledger.
        self.commands = commands;
    }
}

/// Players with a session each, and a bet of each, so that rounds and tables are there.
fn players_who_bet() -> impl Iterator<Item = anyhow::Result<Command>> {
    (0..PLAYERS)
        .map(players::import)
        .chain((0..PLAYERS).map(|number| players::bet(number, number, number, AT)))
}

/// Decides and applies bets, each in the round that its player is in.
pub struct BookBets(Bookings);

impl Piece for BookBets {
    const STEPS: u64 = 2 * PLAYERS;

    fn new() -> Self {
        let measured = (0..Self::STEPS)
            .map(|number| players::bet(number % PLAYERS, number % PLAYERS, PLAYERS + number, AT));
        Self(Bookings::new(players_who_bet(), measured))
    }

    fn run(&mut self) {
        self.0.run();
    }
}

/// Decides and applies winnings, each in the round that its player is in.
pub struct BookAwards(Bookings);

impl Piece for BookAwards {
    const STEPS: u64 = 2 * PLAYERS;

    fn new() -> Self {
        let measured = (0..Self::STEPS)
            .map(|number| players::award(number % PLAYERS, number % PLAYERS, number, AT));
        Self(Bookings::new(players_who_bet(), measured))
    }

    fn run(&mut self) {
        self.0.run();
    }
}

/// Opens accounts in tables that have as many already, so that some of them grow.
pub struct OpenAccounts(Bookings);

impl Piece for OpenAccounts {
    const STEPS: u64 = 20_000;

    fn new() -> Self {
        let before = (0..Self::STEPS).map(players::open);
        let measured = (Self::STEPS..2 * Self::STEPS).map(players::open);
        Self(Bookings::new(before, measured))
    }

    fn run(&mut self) {
        self.0.run();
    }
}
