//! What every black-box test needs: the real binary, a raw HTTP client, and the words of the wire.
//!
//! Nothing here uses the server's code. The tests are written from the protocol's
//! pages, so that they can disagree with the server.

// Each file of `tests/` is a crate of its own and uses a part of this.
#![allow(dead_code, unreachable_pub, unused_imports)]

mod admin;
mod browser;
mod certificates;
mod contract;
mod http;
mod play;
mod server;
mod tls;
mod wallet;

pub use admin::Admin;
pub use browser::Browser;
pub use certificates::{Authority, Issued};
pub use contract::{Api, Operation, assert_agrees, document};
pub use http::{Answer, Client, Request, assert_transport_error};
pub use play::{Call, Play};
pub use server::{ADMIN_TOKEN, Ended, Server, Setup, address, run, run_until};
pub use tls::{Identity, TlsClient, certificate_shown, program};
pub use wallet::{
    ALERT, AWARD_WINNINGS, BALANCE, CREATE_TOKEN, CREDIT, END, Members, PLACE_BET, REDEEM_TOKEN,
    ROLLBACK_BET, VOID_BET, Wallet, basic, now_millis, refused, text, token_at,
};

use std::time::{Duration, Instant};

/// How long a test waits for something that must happen: far beyond what a busy
/// machine needs, so that only a failure ever waits for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Polls until `condition` gives a value; panics with `what` when it never does.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
