//! What the rivals have in common: the requests that they read, the answers that they
//! give, and the players that they know.
//!
//! Each rival does what a small service on its stack would do, and no more: it compares
//! the credentials, parses the body with serde, looks the account up and writes the answer.
//! Most of what protocol.md asks for is left out, which is in the rivals' favour.

pub mod answer;
pub mod book;
pub mod front;
pub mod request;

use std::net::SocketAddr;

use anyhow::{Context, bail};

/// The server's allocator, so that nobody is ahead by theirs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Reads the command line: where to listen, and where the store is for those that have one.
///
/// # Errors
/// Another number of arguments, or an address that is none.
pub fn arguments<const STORES: usize>() -> anyhow::Result<(SocketAddr, [String; STORES])> {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let Some((listen, stores)) = rest.split_first() else {
        bail!("usage: {program} ADDRESS{}", " STORE".repeat(STORES));
    };
    let listen = listen
        .parse()
        .with_context(|| format!("{listen:?} is no address to listen on"))?;
    match stores.to_vec().try_into() {
        Ok(stores) => Ok((listen, stores)),
        Err(_) => bail!("usage: {program} ADDRESS{}", " STORE".repeat(STORES)),
    }
}
