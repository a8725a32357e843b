//! The wire protocol of the wallet: JSON in, JSON out (protocol.md).
//!
//! [`WalletService`] answers what the HTTP layer has read. A request becomes a
//! command at this edge and is valid from then on; everything behind is the shards'.
//! A new endpoint is a row in `routes`, its members' rows in `members`, a reader in
//! `request`, a writer in `response` and a step in `service`. A new reason of the ledger to
//! refuse is a row in `error_code` and a sentence in `refusal`.

mod address;
mod auth;
mod echo;
mod error_code;
mod failure;
mod json;
mod members;
mod metrics;
mod mint;
mod refusal;
mod request;
mod response;
mod routes;
mod service;
mod shown;
mod signature;
pub mod steps;
mod timestamp;

pub use auth::Session;
pub use error_code::ErrorCode;
pub use metrics::WalletMetrics;
pub use mint::TokenMint;
pub use refusal::Times;
pub use routes::{Endpoint, Route};
pub use service::{Parts, WalletService};
