//! `rival-may ADDRESS`: balances from a hash map, on may_minihttp, one worker.
//!
//! may_minihttp leads the tables of plain HTTP servers in Rust, so it says how fast such
//! a service can be when next to nothing stands between it and the socket.

use std::io::{self, BufRead};
use std::sync::Arc;

use may_minihttp::{HttpService, HttpServiceFactory, Request, Response};
use purser_rivals::book::Book;
use purser_rivals::request::{AUTHORIZATION, BALANCE_PATH};

/// Coroutines have no guard pages to grow into; what serde and a hash map need is a
/// fraction of this, counted in words of 8 bytes.
const STACK_WORDS: usize = 0x1000;

struct Balances(Arc<Book>);

impl HttpService for Balances {
    fn call(
        &mut self,
        request: Request<'_, '_, '_>,
        response: &mut Response<'_>,
    ) -> io::Result<()> {
        if request.path() != BALANCE_PATH {
            response.status_code(404, "Not Found");
            return Ok(());
        }
        let is_authorised = request
            .headers()
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("authorization"))
            .is_some_and(|header| header.value == AUTHORIZATION);
        let mut body = request.body();
        let answer = self.0.answer(is_authorised, body.fill_buf()?);
        response.header("Content-Type: application/json");
        response.body_vec(answer);
        Ok(())
    }
}

struct Factory(Arc<Book>);

impl HttpServiceFactory for Factory {
    type Service = Balances;

    fn new_service(&self, _connection: usize) -> Balances {
        Balances(Arc::clone(&self.0))
    }
}

fn main() -> anyhow::Result<()> {
    let (listen, []) = purser_rivals::arguments()?;
    may::config().set_workers(1).set_stack_size(STACK_WORDS);
    // The bench has chosen the CPU.
    may::config().set_worker_pin(false);
    let server = Factory(Arc::default()).start(listen)?;
    server
        .join()
        .map_err(|_| anyhow::anyhow!("the accepting coroutine panicked"))
}
