//! `rival-axum ADDRESS`: balances from a hash map, on tokio and axum, one thread.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::routing::post;
use purser_rivals::book::Book;
use purser_rivals::front;
use purser_rivals::request::BALANCE_PATH;

fn main() -> anyhow::Result<()> {
    let (listen, []) = purser_rivals::arguments()?;
    let router = Router::new()
        .route(BALANCE_PATH, post(balance))
        .with_state(Arc::new(Book::default()));
    front::run(front::serve(listen, router))
}

async fn balance(State(book): State<Arc<Book>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    front::bytes(book.answer(front::is_authorised(&headers), &body))
}
