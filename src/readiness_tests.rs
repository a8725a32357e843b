//! Sockets of one shard on an executor of its own: edges, ends and turns.

use std::io::Read as _;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::{LocalExecutor, LocalExecutorBuilder};

use super::*;

/// With a preempt timer that never fires, as in production.
fn executor() -> LocalExecutor {
    LocalExecutorBuilder::default()
        .io_memory(64 << 10)
        .preempt_timer(Duration::from_secs(10))
        .make()
        .unwrap()
}

/// A watched connection and its other end.
fn connect(readiness: &Rc<Readiness>) -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (
        Stream::new(listener.accept().unwrap().0, readiness).unwrap(),
        client,
    )
}

#[test]
fn a_socket_that_is_always_full_lets_the_executor_look_at_others() {
    const BYTES: usize = 50_000;
    executor().run(async {
        let readiness = Readiness::start().unwrap();
        let (mut stream, mut client) = connect(&readiness);
        client.write_all(&[7; BYTES]).unwrap();
        let seen = Rc::new(Cell::new(0));
        let seen_by_timer = glommio::spawn_local({
            let seen = seen.clone();
            async move {
                glommio::timer::sleep(Duration::from_micros(1)).await;
                seen.get()
            }
        });
        while seen.get() < BYTES {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            seen.set(seen.get() + 1);
        }
        assert!(
            seen_by_timer.await < BYTES,
            "the timer had to wait for the last byte"
        );
    });
}

#[test]
fn the_end_of_a_stream_is_read_though_it_came_with_the_last_bytes() {
    executor().run(async {
        let readiness = Readiness::start().unwrap();
        let (mut stream, mut client) = connect(&readiness);
        client.write_all(b"last").unwrap();
        drop(client);
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"last");
    });
}

#[test]
fn a_writer_waits_for_room_and_goes_on() {
    const BYTES: usize = 20 << 20;
    executor().run(async {
        let readiness = Readiness::start().unwrap();
        let (mut stream, mut client) = connect(&readiness);
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            client.read_to_end(&mut all).unwrap();
            all.len()
        });
        stream.write_all(&vec![7; BYTES]).await.unwrap();
        stream.close().await.unwrap();
        assert_eq!(reader.join().unwrap(), BYTES);
    });
}

#[test]
fn numbers_of_closed_sockets_are_used_again() {
    executor().run(async {
        let readiness = Readiness::start().unwrap();
        for _ in 0..10 {
            let (mut stream, mut client) = connect(&readiness);
            client.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).await.unwrap();
        }
        assert_eq!(readiness.watched.borrow().sources.len(), 1);
    });
}
