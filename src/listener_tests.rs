//! Listening as facts, over real sockets.

use std::io::{Read, Write};
use std::net::{TcpListener as Queue, TcpStream as Client};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use glommio::LocalExecutorBuilder;

use super::*;
use crate::http::limits::REQUESTS_PER_TURN_MAX;
use crate::http::{Answer, HttpMetrics, Limits, Rejection, Request, RequestHead, Seats};

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[test]
fn all_sockets_listen_on_the_port_that_the_first_one_got() {
    let bound = bind_all(any_port(), 3).unwrap();
    assert_eq!(bound.sockets.len(), 3);
    for socket in &bound.sockets {
        let queue = Queue::from(socket.try_clone().unwrap());
        assert_eq!(queue.local_addr().unwrap(), bound.address);
    }
    assert_ne!(bound.address.port(), 0);
    Client::connect(bound.address).unwrap();
}

#[test]
fn a_taken_port_is_one_clear_error() {
    let bound = bind_all(any_port(), 2).unwrap();
    let error = bind_all(bound.address, 2).expect_err("the first server listens there");
    assert!(matches!(error, ListenError::Taken { .. }), "{error:?}");
    assert!(
        error.to_string().contains(&bound.address.to_string()),
        "{error}"
    );
}

#[test]
fn a_port_is_free_again_when_its_server_is_gone() {
    let address = bind_all(any_port(), 2).unwrap().address;
    assert_eq!(bind_all(address, 2).unwrap().address, address);
}

#[test]
fn an_address_of_another_machine_is_an_error() {
    let error = bind_all(SocketAddr::from(([192, 0, 2, 1], 0)), 1).expect_err("not ours");
    assert!(matches!(error, ListenError::Failed { .. }), "{error:?}");
}

/// With nothing in it, and nothing to change.
fn door() -> Door {
    Door {
        settings: Rc::new(View::fixed(Settings::default())),
        tls_metrics: Arc::default(),
    }
}

/// Answers with the address of its client.
struct Peer;

impl Service for Peer {
    type Session = ();
    type Target = ();

    fn check_head(&self, _: &RequestHead<'_>) -> Result<(), Rejection> {
        Ok(())
    }

    fn is_always_admitted(&self, (): ()) -> bool {
        false
    }

    async fn call(&self, (): &mut (), (): (), request: Request<'_>, body: &mut Vec<u8>) -> Answer {
        body.extend_from_slice(request.peer.to_string().as_bytes());
        Answer::OK
    }

    fn write_rejection(&self, rejection: &Rejection, body: &mut Vec<u8>) {
        body.extend_from_slice(rejection.description.as_bytes());
    }
}

/// Ready soon after the flag is raised.
async fn raised(flag: Arc<AtomicBool>) {
    while !flag.load(Ordering::Acquire) {
        sleep(Duration::from_millis(5)).await;
    }
}

struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    metrics: Arc<HttpMetrics>,
    shard: JoinHandle<()>,
}

/// One shard with an executor of its own.
fn serve_one_shard(max_connections: usize) -> Server {
    serve_one_shard_with(Seats::new(max_connections, 0))
}

fn serve_one_shard_with(seats: Seats) -> Server {
    let Bound { address, sockets } = bind_all(any_port(), 1).unwrap();
    let stop = Arc::new(AtomicBool::default());
    let metrics = Arc::new(HttpMetrics::default());
    let (its_stop, its_metrics) = (Arc::clone(&stop), Arc::clone(&metrics));
    let shard = std::thread::spawn(move || {
        let executor = LocalExecutorBuilder::default()
            .io_memory(64 << 10)
            .make()
            .unwrap();
        executor.run(async move {
            let shared = HttpShared::new(Limits::default(), its_metrics, Arc::new(seats));
            serve(sockets, Rc::new(Peer), shared, door(), raised(its_stop))
                .await
                .unwrap();
        });
    });
    Server {
        address,
        stop,
        metrics,
        shard,
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn connect(server: &Server) -> Client {
    let client = Client::connect(server.address).unwrap();
    // Far beyond what an answer takes, so that a failure is no hang.
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    client
}

/// Sends a request and reads its answer, whose body is `body`.
fn ask(client: &mut Client, body: &str) -> String {
    client.write_all(GET).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(body.as_bytes()) {
        let mut piece = [0; 1_024];
        let count = client.read(&mut piece).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..count]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_shard_serves_and_drains() {
    let server = serve_one_shard(100);
    let mut clients: Vec<Client> = (0..20).map(|_| connect(&server)).collect();
    for _ in 0..3 {
        for client in &mut clients {
            let answer = ask(client, "\r\n\r\n127.0.0.1");
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        }
    }
    assert_eq!(server.metrics.connections_accepted.get(), 20);
    assert_eq!(server.metrics.requests.get(), 60);
    server.stop.store(true, Ordering::Release);
    for client in &mut clients {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty());
    }
    server.shard.join().unwrap();
    assert_eq!(server.metrics.connections_open.get(), 0);
    Client::connect(server.address).expect_err("nobody listens any more");
}

#[test]
fn who_waits_in_the_queue_of_a_draining_shard_is_answered() {
    let Bound { address, sockets } = bind_all(any_port(), 1).unwrap();
    let mut waiting: Vec<Client> = (0..5).map(|_| Client::connect(address).unwrap()).collect();
    for client in &mut waiting {
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        client.write_all(GET).unwrap();
    }
    let shard = std::thread::spawn(move || {
        let executor = LocalExecutorBuilder::default()
            .io_memory(64 << 10)
            .make()
            .unwrap();
        executor.run(async move {
            let seats = Arc::new(Seats::new(100, 0));
            let metrics = Arc::new(HttpMetrics::default());
            let shared = HttpShared::new(Limits::default(), metrics, seats);
            serve(
                sockets,
                Rc::new(Peer),
                shared,
                door(),
                std::future::ready(()),
            )
            .await
            .unwrap();
        });
    });
    for mut client in waiting {
        // To the end of the stream: answered, and then closed.
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    shard.join().unwrap();
}

#[test]
fn a_connection_beyond_the_seats_hears_503() {
    let server = serve_one_shard(1);
    let mut first = connect(&server);
    ask(&mut first, "127.0.0.1");
    let mut second = connect(&server);
    second.write_all(GET).unwrap();
    let mut answer = String::new();
    second.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(server.metrics.connections_refused_full.get(), 1);
    ask(&mut first, "127.0.0.1");
    drop((first, second));
    server.stop.store(true, Ordering::Release);
    server.shard.join().unwrap();
}

#[test]
fn a_connection_beyond_those_of_its_client_hears_503() {
    let server = serve_one_shard_with(Seats::new(100, 1));
    let mut first = connect(&server);
    ask(&mut first, "127.0.0.1");
    let mut second = connect(&server);
    second.write_all(GET).unwrap();
    let mut answer = String::new();
    second.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("from this address"), "{answer}");
    assert_eq!(server.metrics.connections_refused_client.get(), 1);
    assert_eq!(server.metrics.connections_refused_full.get(), 0);
    drop((first, second));
    server.stop.store(true, Ordering::Release);
    server.shard.join().unwrap();
}

/// Answering from a full buffer costs no wait, so one pipeline could keep the executor
/// from ever looking at other sockets.
#[test]
fn a_greedy_pipeline_lets_the_executor_look_at_others_every_few_dozen_requests() {
    const REQUESTS: usize = 5_000;
    let Bound { address, sockets } = bind_all(any_port(), 1).unwrap();
    let greedy = std::thread::spawn(move || {
        let mut client = Client::connect(address).unwrap();
        let mut sender = client.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            sender.write_all(&GET.repeat(REQUESTS)).unwrap();
            sender.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut answers = String::new();
        client.read_to_string(&mut answers).unwrap();
        sending.join().unwrap();
        answers.matches("HTTP/1.1 200 ").count()
    });
    // With a preempt timer that never fires, as in production.
    let executor = LocalExecutorBuilder::default()
        .io_memory(64 << 10)
        .preempt_timer(Duration::from_secs(60))
        .make()
        .unwrap();
    let between_looks_max = executor.run(async move {
        let metrics = Arc::new(HttpMetrics::default());
        let seats = Arc::new(Seats::new(1, 0));
        let shared = HttpShared::new(Limits::default(), Arc::clone(&metrics), seats);
        let look = async move {
            let (mut seen, mut between_max) = (0, 0);
            while seen < REQUESTS as u64 {
                // Over at every look for I/O that comes later than this.
                sleep(Duration::from_micros(1)).await;
                let now = metrics.requests.get();
                between_max = between_max.max(now - seen);
                seen = now;
            }
            between_max
        };
        let looking = glommio::spawn_local(look);
        let mut between_max = 0;
        let stop = async { between_max = looking.await };
        serve(sockets, Rc::new(Peer), shared, door(), stop)
            .await
            .unwrap();
        between_max
    });
    assert_eq!(greedy.join().unwrap(), REQUESTS);
    // Two turns may pass between two looks of this one task, and no more.
    assert!(
        between_looks_max <= 2 * REQUESTS_PER_TURN_MAX as u64,
        "{between_looks_max} requests between two looks"
    );
}

/// Accepting costs no wait, so a flood of connections could keep the executor from ever
/// looking at those that are open.
#[test]
fn a_long_queue_lets_the_executor_look_at_open_connections() {
    const CLIENTS: usize = 200;
    let Bound { address, sockets } = bind_all(any_port(), 1).unwrap();
    let clients: Vec<Client> = (0..CLIENTS)
        .map(|_| Client::connect(address).unwrap())
        .collect();
    // With a preempt timer that never fires, as in production.
    let executor = LocalExecutorBuilder::default()
        .io_memory(64 << 10)
        .preempt_timer(Duration::from_secs(10))
        .make()
        .unwrap();
    let accepted_at_first_look = executor.run(async move {
        let metrics = Arc::new(HttpMetrics::default());
        let shared = HttpShared::new(
            Limits::default(),
            Arc::clone(&metrics),
            Arc::new(Seats::new(CLIENTS, 0)),
        );
        let first_look = glommio::spawn_local(async move {
            // Over before a quarter of them is accepted, and not before the first.
            sleep(Duration::from_micros(100)).await;
            metrics.connections_accepted.get()
        });
        let serving = async {
            serve(sockets, Rc::new(Peer), shared, door(), future::pending())
                .await
                .unwrap();
            unreachable!("nobody stops it");
        };
        future::or(first_look, serving).await
    });
    assert!(
        accepted_at_first_look < CLIENTS as u64,
        "the executor looked up only after the last client"
    );
    drop(clients);
}
