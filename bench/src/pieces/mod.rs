//! Pieces of a request's way, ready to be measured alone.
//!
//! A piece is made with everything that it needs, does the same fixed work each time that
//! one is made, and knows how many steps that is. The benches of instruction counts and
//! those of time (`benches/`) run the same ones, so that what a table shows and what a
//! clock shows is about the same work. Nothing is left to chance but the keys of hash
//! tables, which the process draws; so pieces that fill tables take many steps, over which
//! that evens out.
//!
//! Beside them stand the players of all measurements that drive a ledger.

pub mod body;
pub mod head;
pub mod hop;
pub mod ledger;
pub mod log;
pub mod players;

use shards::types::UnixMillis;

/// When everything is booked. Pieces look at no clock.
pub const AT: UnixMillis = UnixMillis(1_795_000_000_000);

/// Work that can be done once for each time that it was made.
pub trait Piece {
    /// How many steps [`Piece::run`] takes: requests, bookings, hops or frames.
    const STEPS: u64;

    /// Makes everything that the work needs.
    fn new() -> Self;

    /// Does the work.
    fn run(&mut self);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces assert themselves that each step led where it should.
    fn check<P: Piece>() {
        assert!(P::STEPS > 0);
        P::new().run();
    }

    #[test]
    fn every_piece_does_its_work() {
        check::<head::ParseHeads>();
        check::<body::ReadBalances>();
        check::<body::ReadBets>();
        check::<body::WriteBalances>();
        check::<body::WriteBets>();
        check::<ledger::BookBets>();
        check::<ledger::BookAwards>();
        check::<ledger::OpenAccounts>();
        check::<log::WriteFrames>();
        check::<hop::Hop>();
    }
}
