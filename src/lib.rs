//! The server around the shards: everything that knows HTTP, JSON or the command line.

pub mod admin;
pub mod allocator;
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod host;
pub mod http;
pub mod listener;
pub mod live;
mod log_lines;
pub mod logging;
pub mod metrics;
pub mod offline;
pub mod preflight;
pub mod readiness;
pub mod reload;
pub mod server;
pub mod settings;
mod shell;
mod signals;
pub mod slow;
pub mod stages;
pub mod tls;
pub mod tune;
pub mod usage;
pub mod wallet;
