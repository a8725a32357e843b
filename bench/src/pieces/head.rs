//! Request heads: bytes to a [`Head`](purser::http::fields::Head).

use std::hint::black_box;

use purser::http::Limits;
use purser::http::parse::{HeadParser, Parsed};

use crate::Piece;

/// The head of a balance request as platforms send it, proxies' fields included.
const HEAD: &[u8] = b"POST /v1.0/balance HTTP/1.1\r\n\
    Host: wallet.example.com\r\n\
    User-Agent: platform/2.7\r\n\
    Accept: application/json\r\n\
    Authorization: Basic ZGVtbzpkZW1v\r\n\
    Content-Type: application/json\r\n\
    X-Forwarded-For: 203.0.113.7\r\n\
    Content-Length: 131\r\n\
    \r\n";

/// Parses a head that came in one piece, again and again.
pub struct ParseHeads {
    limits: Limits,
}

impl Piece for ParseHeads {
    const STEPS: u64 = 100;

    fn new() -> Self {
        Self {
            limits: Limits::default(),
        }
    }

    fn run(&mut self) {
        for _ in 0..Self::STEPS {
            let parsed = HeadParser::default().parse(black_box(HEAD), &self.limits);
            assert!(matches!(black_box(parsed), Parsed::Head(_)));
        }
    }
}
