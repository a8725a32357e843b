//! Single steps of a request, for those who measure them (`bench/src/pieces/`).
//!
//! The server takes the same steps in `service`; nothing here is a way of its own.

use std::hint::black_box;

use shards::ledger::{Booked, Funds};

use super::json::JsonReader;
use super::members::Members;
use super::request::{PlaceBet, Read, ReadBalance};
use super::response;
use super::routes::Endpoint;
use crate::domain::FundsPriority;

/// Reads bodies as a shard does, with buffers that are reused.
#[derive(Debug, Default)]
pub struct BodyReader(JsonReader);

impl BodyReader {
    /// Body to request. Tells whether it is a valid one of a balance or a bet; the body is
    /// overwritten.
    pub fn reads(&mut self, endpoint: Endpoint, body: &mut [u8]) -> bool {
        let mut members = Members::default();
        if self.0.read(body, &mut members).is_err() {
            return false;
        }
        match endpoint {
            Endpoint::Balance => black_box(ReadBalance::read(&members)).is_ok(),
            Endpoint::PlaceBet => black_box(PlaceBet::read(&members)).is_ok(),
            _ => false,
        }
    }
}

/// Appends the body of the answer to a balance request.
pub fn write_balance(funds: &Funds, out: &mut Vec<u8>) {
    response::write_balance(funds, FundsPriority::CashFundsFirst, out);
}

/// Appends the body of the answer to a bet.
pub fn write_bet(booked: &Booked, reference: &str, out: &mut Vec<u8>) {
    response::write_booked(booked, FundsPriority::CashFundsFirst, reference, true, out);
}
