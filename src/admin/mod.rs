//! The operator's API: accounts, money, sessions, import, trial balance, metrics, health and
//! the documentation of both APIs.
//!
//! It runs on a thread and a port of its own (design.md section 6) and reaches the
//! shards through the same mailboxes as everybody else: a stuck shard shows here, a
//! busy operator does not show on a shard. operator.md section 4 fixes the names.
//!
//! The way of a request: `routes.rs` finds the handler, `auth.rs` lets it in,
//! `fields.rs` turns its members into the types of the shards, a handler makes one
//! [`Command`](shards::ledger::Command) of them, and `answer.rs` turns the outcome
//! into what the operator is told.

mod accounts;
mod answer;
mod auth;
mod bookings;
mod books;
mod dashboard;
mod errors;
mod fields;
mod health;
mod import;
mod listener;
mod metrics;
mod money;
mod openapi;
mod prometheus;
mod routes;
mod server;
mod sessions;
mod slow_requests;
mod transactions;
mod types;

#[cfg(test)]
mod tests;

pub use auth::AdminToken;
pub use health::Readiness;
pub use metrics::MetricsSource;
pub use openapi::WalletAddress;
pub use prometheus::{Family, Kind, PrometheusText};
pub use server::{AdminServer, AdminState, AdminThread};
