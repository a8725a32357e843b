//! Bodies: JSON to a request of the wallet, and facts of the ledger to JSON.

use std::hint::black_box;

use purser::wallet::Endpoint;
use purser::wallet::steps::{BodyReader, write_balance, write_bet};
use shards::ledger::{Booked, Funds};
use shards::types::{Amount, Balance, Currency};

use crate::Piece;

const BALANCE: &[u8] = br#"{"PlatformKey":"PB","Sequence":"bench-balance-1","Timestamp":"2026-11-22T12:00:00.000Z","OperatorAccountID":"demo/player-1"}"#;

const BET: &[u8] = br#"{"PlatformKey":"PB","Sequence":"bench-booking-1","Timestamp":"2026-11-22T12:00:00.000Z","OperatorAccountID":"demo/player-1","GatewaySessionToken":"aaf3ffff-ffff-8fff-bfff-ffffffffffff","GameRoundID":"bench-round-1","GameRoundTransactionID":"0001a1f5e3b2c4d0","GameID":"bench-game-1","CurrencyCode":"EUR","Amount":0.01,"StartRound":true,"EndRound":false}"#;

/// Reads the body of a balance request.
pub struct ReadBalances(Bodies);

/// Reads the body of a bet.
pub struct ReadBets(Bodies);

/// A reader, and the bodies for it: it overwrites what it reads.
struct Bodies {
    reader: BodyReader,
    endpoint: Endpoint,
    bodies: Vec<Vec<u8>>,
}

impl Bodies {
    fn new(endpoint: Endpoint, body: &[u8], count: u64) -> Self {
        let mut reader = BodyReader::default();
        // Its buffers are as large as they get.
        assert!(reader.reads(endpoint, &mut body.to_vec()));
        Self {
            reader,
            endpoint,
            bodies: (0..count).map(|_| body.to_vec()).collect(),
        }
    }

    fn read(&mut self) {
        for body in &mut self.bodies {
            assert!(self.reader.reads(self.endpoint, body));
        }
    }
}

impl Piece for ReadBalances {
    const STEPS: u64 = 100;

    fn new() -> Self {
        Self(Bodies::new(Endpoint::Balance, BALANCE, Self::STEPS))
    }

    fn run(&mut self) {
        self.0.read();
    }
}

impl Piece for ReadBets {
    const STEPS: u64 = 100;

    fn new() -> Self {
        Self(Bodies::new(Endpoint::PlaceBet, BET, Self::STEPS))
    }

    fn run(&mut self) {
        self.0.read();
    }
}

/// Writes the answer to a balance request.
pub struct WriteBalances(Answer);

/// Writes the answer to a bet.
pub struct WriteBets(Answer);

/// Facts, and the buffer that their text goes into.
struct Answer {
    booked: Booked,
    out: Vec<u8>,
}

impl Answer {
    fn new() -> Self {
        let minor = |minor| Amount::from_minor(minor).expect("above zero");
        Self {
            booked: Booked {
                funds: Funds {
                    currency: Currency::parse("EUR").expect("a currency"),
                    balance: Balance {
                        cash: minor(99_999),
                        bonus: minor(1_250),
                    },
                },
                split: Balance {
                    cash: minor(1),
                    bonus: Amount::ZERO,
                },
            },
            // As a connection's buffer, it has held answers before.
            out: Vec::with_capacity(1_024),
        }
    }
}

impl Piece for WriteBalances {
    const STEPS: u64 = 100;

    fn new() -> Self {
        Self(Answer::new())
    }

    fn run(&mut self) {
        let Answer { booked, out } = &mut self.0;
        for _ in 0..Self::STEPS {
            out.clear();
            write_balance(black_box(&booked.funds), out);
            black_box(&*out);
        }
    }
}

impl Piece for WriteBets {
    const STEPS: u64 = 100;

    fn new() -> Self {
        Self(Answer::new())
    }

    fn run(&mut self) {
        let Answer { booked, out } = &mut self.0;
        for _ in 0..Self::STEPS {
            out.clear();
            write_bet(black_box(booked), black_box("0001a1f5e3b2c4d0"), out);
            black_box(&*out);
        }
    }
}
