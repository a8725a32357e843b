//! How the process starts and how it ends (operator.md section 1, reliability:
//! "everything accepted is answered or refused").

mod common;

use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{
    ADMIN_TOKEN, Admin, BALANCE, Client, Members, Request, Server, Setup, Wallet, basic,
    eventually, run,
};
use nix::sys::signal::Signal;

fn with_p1(setup: &Setup) -> Server {
    let server = setup.start();
    Admin::of(&server).account("acme/p1", "5.00");
    server
}

fn balance_of_p1() -> Vec<u8> {
    Request::new("POST", BALANCE)
        .field("Content-Type", "application/json")
        .field("Authorization", &basic("gw", "s3cret-of-acme"))
        .body(Members::balance("acme/p1").json())
        .bytes()
}

#[test]
fn it_says_when_it_is_ready_and_where() {
    let server = Setup {
        shards: 3,
        ..Setup::default()
    }
    .start();
    let ready = &server.greeting[0];
    assert!(ready.starts_with("purser "), "{ready}");
    assert!(ready.contains("is ready: 3 shards"), "{ready}");
    // Ready means ready: both listeners take requests at once.
    for address in [server.wallet, server.admin] {
        let answer = Client::connect(address).call(&Request::new("GET", "/healthz"));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[test]
fn a_restart_binds_the_same_port_at_once() {
    let first = with_p1(&Setup::default());
    let address = first.wallet;
    // The server closes these, so its side of them lingers in the kernel.
    let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        client.send(&balance_of_p1());
        assert_eq!(client.answer().status, 200);
    }
    first.signal(Signal::SIGTERM);
    assert_eq!(first.ended().status.code(), Some(0));
    let second = Setup {
        listen: address.to_string(),
        ..Setup::default()
    }
    .start();
    assert_eq!(second.wallet, address);
    let answer = Client::connect(address).call(&Request::new("GET", "/healthz"));
    assert_eq!(answer.status, 200);
}

#[test]
fn a_second_server_on_the_same_port_fails_and_names_the_address() {
    let first = Server::start();
    let vain = Setup {
        listen: first.wallet.to_string(),
        ..Setup::default()
    };
    let ended = vain.start_in_vain();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains(&first.wallet.to_string()),
        "{ended:?}"
    );
    assert!(!ended.stdout.contains("is ready"), "{ended:?}");
    // The first one has not lost a single connection to the other.
    for _ in 0..20 {
        let answer = Client::connect(first.wallet).call(&Request::new("GET", "/healthz"));
        assert_eq!(answer.status, 200);
    }
}

#[test]
fn wrong_usage_exits_2() {
    let home = tempfile::tempdir().unwrap();
    let cases: [&[&str]; 4] = [
        &["serve", "--nonsense"],
        &["nonsense"],
        &["serve", "--shards", "many"],
        &["--demo"],
    ];
    for arguments in cases {
        let ended = run(arguments, home.path());
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_file_that_is_not_there_exits_1_and_is_named() {
    let home = tempfile::tempdir().unwrap();
    let ended = run(&["serve", "--config", "absent.toml"], home.path());
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("absent.toml"), "{ended:?}");
}

#[test]
fn either_signal_ends_an_idle_server_with_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let server = Server::start();
        let mut idle: Vec<Client> = (0..20).map(|_| Client::connect(server.wallet)).collect();
        for client in idle.iter_mut().step_by(2) {
            assert_eq!(client.call(&Request::new("GET", "/healthz")).status, 200);
        }
        server.signal(signal);
        let ended = server.ended();
        assert_eq!(ended.status.code(), Some(0), "{signal}: {ended:?}");
        for client in &mut idle {
            client.assert_closed();
        }
    }
}

#[test]
fn under_load_every_answer_is_whole_and_the_last_one_says_close_or_nothing_follows() {
    let server = with_p1(&Setup::default());
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            let (address, answered) = (server.wallet, &answered);
            scope.spawn(move || {
                let request = balance_of_p1();
                let mut client = Client::connect(address);
                loop {
                    client.send(&request);
                    // Part of an answer would be a panic inside the client.
                    let Some(answer) = client.try_answer() else {
                        return;
                    };
                    assert!(matches!(answer.status, 200 | 503), "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                    if answer.closes() {
                        client.assert_closed();
                        return;
                    }
                }
            });
        }
        eventually("all connections are busy", || {
            (answered.load(Ordering::Relaxed) > 200).then_some(())
        });
        server.signal(Signal::SIGTERM);
    });
    let ended = server.ended();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

#[test]
fn a_pipeline_that_was_sent_before_the_signal_is_answered_to_its_end() {
    const PIPELINED: usize = 50;
    let server = with_p1(&Setup::default());
    let mut clients: Vec<Client> = (0..8).map(|_| Client::connect(server.wallet)).collect();
    for client in &mut clients {
        client.send(&balance_of_p1().repeat(PIPELINED));
    }
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    server.signal(Signal::SIGTERM);
    for client in &mut clients {
        for at in 1..PIPELINED {
            let answer = client.answer();
            assert!(matches!(answer.status, 200 | 503), "{at}: {answer:?}");
        }
        client.assert_closed();
    }
    assert_eq!(server.ended().status.code(), Some(0));
}

#[test]
fn a_request_that_has_begun_is_finished_and_new_connections_are_not_taken() {
    let server = with_p1(&Setup::default());
    let address = server.wallet;
    let request = balance_of_p1();
    let mut begun = Client::connect(address);
    // The head and half of the body: the server has answered nothing and owes one answer.
    begun.send(&request[..request.len() - 10]);
    // The server has certainly read it once it has answered somebody who came later
    // on each of its shards.
    for _ in 0..20 {
        let answer = Client::connect(address).call(&Request::new("GET", "/healthz"));
        assert_eq!(answer.status, 200);
    }
    server.signal(Signal::SIGTERM);
    eventually("new connections are refused, or told so", || {
        let Ok(_) = TcpStream::connect(address) else {
            return Some(());
        };
        None
    });
    begun.send(&request[request.len() - 10..]);
    let answer = begun.answer();
    assert!(matches!(answer.status, 200 | 503), "{answer:?}");
    assert!(answer.closes(), "{answer:?}");
    begun.assert_closed();
    assert_eq!(server.ended().status.code(), Some(0));
}

#[test]
fn a_request_that_never_ends_holds_the_drain_for_its_timeout_only() {
    let server = with_p1(&Setup {
        shutdown_timeout: "2s",
        ..Setup::default()
    });
    let request = balance_of_p1();
    let mut stuck = Client::connect(server.wallet);
    stuck.send(&request[..request.len() - 1]);
    let mut stuck_admin = Client::connect(server.admin);
    stuck_admin.send(b"PUT /admin/v1/accounts/acme/p2 HTTP/1.1\r\nHost: a\r\n");
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = with_p1(&Setup {
        shutdown_timeout: "1h",
        limits: "body_timeout = \"1h\"",
        ..Setup::default()
    });
    let request = balance_of_p1();
    let mut stuck = Client::connect(server.wallet);
    stuck.send(&request[..request.len() - 1]);
    for _ in 0..20 {
        Client::connect(server.wallet).call(&Request::new("GET", "/healthz"));
    }
    server.signal(Signal::SIGTERM);
    let address = server.wallet;
    eventually("it drains", || {
        TcpStream::connect(address).is_err().then_some(())
    });
    assert!(server.try_ended().is_none(), "it waits for the request");
    server.signal(Signal::SIGTERM);
    // Long before the hour is over.
    server.ended();
}

/// While the drain waits for the operator's API, too.
#[test]
fn a_second_signal_ends_it_at_once_whatever_it_waits_for() {
    let mut server = with_p1(&Setup {
        shutdown_timeout: "1h",
        ..Setup::default()
    });
    let mut stuck = Client::connect(server.admin);
    // An import whose next line may take half a minute to come.
    stuck.send(
        format!(
            "POST /admin/v1/import HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\
             Content-Length: 1000\r\n\r\n"
        )
        .as_bytes(),
    );
    Client::connect(server.admin).call(&Request::new("GET", "/healthz"));
    server.signal(Signal::SIGTERM);
    let address = server.admin;
    eventually("the admin API stops", || {
        TcpStream::connect(address).is_err().then_some(())
    });
    assert!(server.try_ended().is_none(), "it waits for the import");
    let second_at = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended().status.code(), Some(1));
    assert!(second_at.elapsed() < Duration::from_secs(10));
}

#[test]
fn while_it_drains_a_load_balancer_hears_503() {
    let server = with_p1(&Setup::default());
    let mut balancer = Client::connect(server.wallet);
    // A head that has begun is in flight: its answer falls into the drain.
    balancer.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n");
    let request = balance_of_p1();
    let mut begun = Client::connect(server.wallet);
    begun.send(&request[..request.len() - 1]);
    for _ in 0..20 {
        Client::connect(server.wallet).call(&Request::new("GET", "/healthz"));
    }
    server.signal(Signal::SIGTERM);
    let address = server.wallet;
    eventually("it drains", || {
        TcpStream::connect(address).is_err().then_some(())
    });
    balancer.send(b"\r\n");
    let answer = balancer.answer();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.field("Retry-After").is_some(), "{answer:?}");
    assert!(answer.closes(), "{answer:?}");
    answer.json();
    begun.send(&request[request.len() - 1..]);
    begun.answer();
    assert_eq!(server.ended().status.code(), Some(0));
}

#[test]
fn more_connections_than_the_limit_are_refused_and_the_others_served() {
    let server = with_p1(&Setup {
        limits: "max_connections = 10",
        ..Setup::default()
    });
    let mut wallets: Vec<Wallet> = Vec::new();
    let mut refused = 0;
    for _ in 0..30 {
        let mut client = Client::connect(server.wallet);
        client.send(&Request::new("GET", "/healthz").bytes());
        match client.try_answer() {
            Some(answer) if answer.status == 200 => {
                wallets.push(Wallet::over(client, &basic("gw", "s3cret-of-acme")));
            }
            Some(answer) => {
                assert_eq!(answer.status, 503, "{answer:?}");
                refused += 1;
            }
            None => refused += 1,
        }
    }
    assert!(refused >= 20, "{refused} of 30 refused");
    assert!(!wallets.is_empty());
    for wallet in &mut wallets {
        assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
    }
    // Room that is given back is used again.
    wallets.clear();
    eventually("there is room again", || {
        let mut client = Client::connect(server.wallet);
        client.send(&Request::new("GET", "/healthz").bytes());
        client.try_answer().filter(|answer| answer.status == 200)
    });
}
