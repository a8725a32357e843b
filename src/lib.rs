//! The server around the shards: everything that knows HTTP, JSON or the command line.

pub mod admin;
pub mod bundle;
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod host;
pub mod http;
pub mod listener;
pub mod live;
pub mod logging;
pub mod metrics;
pub mod offline;
pub mod pages;
pub mod preflight;
pub mod readiness;
pub mod reload;
pub mod server;
mod service;
pub mod settings;
mod shell;
mod signals;
pub mod tls;
pub mod tune;
pub mod wallet;
