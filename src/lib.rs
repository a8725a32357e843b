//! The server around the shards: everything that knows HTTP, JSON or the command line.

pub mod admin;
pub mod domain;
pub mod http;
