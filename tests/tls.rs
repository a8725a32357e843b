//! TLS of the wallet's listener: versions, certificates of both sides, and clients that
//! do not speak it or do it badly.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{
    Admin, Authority, BALANCE, Client, Identity, Members, PATIENCE, Request, Server, Setup, Wallet,
    basic, eventually, program, run,
};
use nix::sys::signal::Signal;

/// A server with `acme/p1` that speaks TLS as the table says.
fn serve(table: String, limits: &'static str) -> Server {
    let server = Setup {
        tls: table,
        limits,
        ..Setup::default()
    }
    .start();
    Admin::of(&server).account("acme/p1", "5.00");
    server
}

fn acme(client: Client) -> Wallet {
    Wallet::over(client, &basic("gw", "s3cret-of-acme"))
}

/// The handshakes that ended like that, over all shards.
fn handshakes(server: &Server, result: &str) -> f64 {
    let label = format!("result=\"{result}\"");
    let samples = Admin::of(server).metrics();
    let of_result = samples.iter().filter(|(name, _)| {
        name.starts_with("purser_tls_handshakes_total{") && name.contains(&label)
    });
    of_result.map(|(_, count)| count).sum()
}

fn await_handshakes(server: &Server, result: &str, count: f64) {
    eventually(
        &format!("{count} handshakes that ended with {result}"),
        || (handshakes(server, result) == count).then_some(()),
    );
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What comes until the other side closes or resets.
fn rest(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        read => drop(read.unwrap()),
    }
    bytes
}

#[test]
fn both_versions_serve_many_requests_on_a_connection() {
    let identity = Identity::new();
    let server = serve(identity.table(), "");
    assert!(server.greeting.iter().any(|line| line.contains("https://")));
    let clients = [
        identity.client().version_1_2(),
        identity.client().version_1_3(),
    ];
    for client in &clients {
        let mut wallet = acme(client.connect(server.wallet));
        for _ in 0..20 {
            let answer = wallet.balance("acme/p1");
            assert_eq!(answer["Balance"]["CashFunds"], "5.00", "{answer}");
        }
        // Answers of a pipeline come back in order, whatever records they fill.
        let request = wallet
            .request(BALANCE)
            .body(Members::balance("acme/p1").json());
        let pipeline = [
            request.bytes().repeat(200),
            Request::new("GET", "/healthz").bytes(),
        ];
        wallet.client.send(&pipeline.concat());
        for _ in 0..200 {
            assert_eq!(wallet.client.answer().json()["ErrorCode"], 0);
        }
        assert_eq!(wallet.client.answer().json()["Status"], "ok");
    }
    await_handshakes(&server, "done", 2.0);
}

#[test]
fn large_bodies_and_small_records_are_one_request() {
    let identity = Identity::new();
    let server = serve(identity.table(), "");
    let mut stream = identity.client().around(connect(server.wallet));
    let wallet = acme(Client::connect(server.wallet));
    let padding = common::text(&"x".repeat(60_000));
    let body = Members::balance("acme/p1").with("Padding", &padding).json();
    let bytes = wallet
        .request(BALANCE)
        .field("Connection", "close")
        .body(body)
        .bytes();
    for piece in bytes.chunks(777) {
        stream.write_all(piece).unwrap();
    }
    // To the end: close_notify, or reading fails.
    let answer = String::from_utf8(rest(&mut stream)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(r#""ErrorCode":0"#), "{answer}");
}

#[test]
fn a_platform_without_a_good_certificate_is_told_so_and_not_served() {
    let identity = Identity::new();
    let server = serve(identity.table_with_client_ca(), "");
    let good = identity.authority.issue("platform.test", 2020, 2100);
    let expired = identity.authority.issue("platform.test", 2020, 2021);
    let strange = Authority::new().issue("platform.test", 2020, 2100);
    let mut failed = 0.0;
    for client in [
        identity.client().version_1_2(),
        identity.client().version_1_3(),
    ] {
        let mut wallet = acme(client.clone().showing(&good).connect(server.wallet));
        assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
        let refused = [
            (client.clone(), "required"),
            (client.clone().showing(&expired), "expired"),
            // The same name as our authority, and another key.
            (client.showing(&strange), "decrypt"),
        ];
        for (client, word) in refused {
            let mut stream = client.around(connect(server.wallet));
            // In TLS 1.3 a client may send before it is refused.
            let _ = stream.write_all(&wallet.request(BALANCE).body("{}").bytes());
            let error = stream.read(&mut [0; 100]).unwrap_err();
            // rustls' own words, among them the alert's name.
            let said = format!("{error:?}").to_lowercase();
            let is_alert = said.contains("alert");
            let names_it = said.contains(&word.to_lowercase()) || said.contains("handshakefailure");
            assert!(is_alert && names_it, "{word}: {error:?}");
            failed += 1.0;
        }
    }
    await_handshakes(&server, "client_certificate", failed);
    assert_eq!(handshakes(&server, "done"), 2.0);
}

#[test]
fn what_is_no_tls_gets_an_alert_and_no_answer() {
    let identity = Identity::new();
    let server = serve(identity.table(), "");
    for (number, bytes) in [
        Request::new("GET", "/healthz").bytes(),
        vec![0; 100],
        vec![0xff; 100_000],
    ]
    .into_iter()
    .enumerate()
    {
        let mut stream = connect(server.wallet);
        // The server may have hung up before the last byte.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let heard = rest(&mut stream);
        assert!(heard.is_empty() || heard.starts_with(&[21, 3]), "{heard:?}");
        await_handshakes(&server, "malformed", number as f64 + 1.0);
    }
    let mut wallet = acme(identity.client().connect(server.wallet));
    assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
}

#[test]
fn http_2_is_not_spoken() {
    let identity = Identity::new();
    let server = serve(identity.table(), "");
    let mut stream = identity.client().alpn("h2").around(connect(server.wallet));
    let error = stream.conn.complete_io(&mut stream.sock).unwrap_err();
    assert!(
        format!("{error:?}").contains("NoApplicationProtocol"),
        "{error:?}"
    );
    await_handshakes(&server, "incompatible", 1.0);
}

#[test]
fn handshakes_that_stall_end_in_time_and_hold_up_nobody() {
    let identity = Identity::new();
    let server = serve(identity.table(), "header_timeout = \"700ms\"");
    let started = Instant::now();
    let mut silent: Vec<TcpStream> = (0..20).map(|_| connect(server.wallet)).collect();
    // Half a record, and then a byte now and then, which buys no time.
    let mut dripping = connect(server.wallet);
    dripping.write_all(&[22, 3, 1, 1, 0]).unwrap();
    dripping
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let mut wallet = acme(identity.client().connect(server.wallet));
    assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
    loop {
        match dripping.read(&mut [0; 10]) {
            Ok(0) => break,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("{other:?}"),
        }
        let _ = dripping.write_all(&[1]);
        assert!(started.elapsed() < PATIENCE);
    }
    assert!(started.elapsed() >= Duration::from_millis(700));
    for stream in &mut silent {
        assert!(rest(stream).is_empty());
    }
    await_handshakes(&server, "timeout", 21.0);
}

#[test]
fn a_request_that_is_cut_off_is_not_carried_out() {
    let identity = Identity::new();
    let server = serve(identity.table(), "");
    let requests = || Admin::of(&server).metric_sum("purser_http_service_requests_total");
    let request = acme(Client::connect(server.wallet))
        .request(BALANCE)
        .body(Members::balance("acme/p1").json())
        .bytes();
    let before = requests();
    for keep in [1, request.len() / 2, request.len() - 1] {
        let mut stream = identity.client().around(connect(server.wallet));
        stream.write_all(&request[..keep]).unwrap();
        // The end of TCP without one of TLS: anybody on the way can make it.
        stream.sock.shutdown(Shutdown::Write).unwrap();
        let answer = rest(&mut stream);
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{answer:?}");
    }
    assert_eq!(requests(), before);
    // What was whole is answered.
    let mut stream = identity.client().around(connect(server.wallet));
    stream.write_all(&request).unwrap();
    stream.sock.shutdown(Shutdown::Write).unwrap();
    assert!(rest(&mut stream).starts_with(b"HTTP/1.1 200 "));
    assert_eq!(requests(), before + 1.0);
}

#[test]
fn every_close_of_the_server_says_so_in_tls() {
    let identity = Identity::new();
    let server = serve(
        identity.table(),
        "idle_timeout = \"300ms\"\nmax_connections = 2",
    );
    // For being idle.
    let mut wallet = acme(identity.client().connect(server.wallet));
    assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
    wallet.client.assert_closed();
    // For want of room: 503, which needs a handshake too.
    let mut seated: Vec<Wallet> = (0..2)
        .map(|_| acme(identity.client().connect(server.wallet)))
        .collect();
    for wallet in &mut seated {
        assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
    }
    let mut refused = identity.client().connect(server.wallet);
    let answer = refused.call(&Request::new("GET", "/healthz"));
    assert_eq!((answer.status, answer.closes()), (503, true));
    refused.assert_closed();
    for wallet in &mut seated {
        wallet.client.assert_closed();
    }
    // For a drain.
    let mut wallet = acme(identity.client().connect(server.wallet));
    assert_eq!(wallet.balance("acme/p1")["ErrorCode"], 0);
    server.signal(Signal::SIGTERM);
    wallet.client.assert_closed();
    assert!(server.ended().status.success());
}

#[test]
fn a_certificate_that_no_client_would_take_is_found_before_the_start() {
    let identity = Identity::new();
    let expired = identity.authority.issue("wallet.test", 2020, 2021);
    identity.install(&expired);
    let setup = Setup {
        tls: identity.table(),
        ..Setup::default()
    };
    let home = tempfile::tempdir().unwrap();
    let config = setup.write_config(home.path());
    for arguments in [
        &["serve", "--config", &*config][..],
        &["config", "check", &config],
    ] {
        let ended = run(arguments, home.path());
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        for words in [
            &*config,
            &identity.path("cert.pem"),
            "listen.tls.certificate",
            "expired",
        ] {
            assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
        }
    }
}

/// Other people's TLS. Skipped where it is not installed.
#[test]
fn curl_and_openssl_can_call() {
    let identity = Identity::new();
    let server = serve(identity.table(), "");
    let ca = identity.path("ca.pem");
    let to = format!("wallet.test:{}", server.wallet.port());
    if let Some(curl) = program("curl") {
        for version in [&["--tls-max", "1.2"][..], &["--tlsv1.3"]] {
            let output = Command::new(&curl)
                .args(["-sS", "--noproxy", "*", "--cacert", &ca, "--connect-to"])
                .args([&format!("{to}:127.0.0.1:{}", server.wallet.port())])
                .args(version)
                .args([
                    "-u",
                    "gw:s3cret-of-acme",
                    "-H",
                    "Content-Type: application/json",
                ])
                .args(["-d", &Members::balance("acme/p1").json()])
                .arg(format!("https://{to}/v1.0/balance"))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains(r#""CashFunds":"5.00""#), "{output:?}");
        }
    } else {
        eprintln!("SKIPPED: curl is not installed");
    }
    let Some(openssl) = program("openssl") else {
        return eprintln!("SKIPPED: openssl is not installed");
    };
    for version in ["-tls1_2", "-tls1_3"] {
        let mut child = Command::new(&openssl)
            .args(["s_client", "-quiet", "-verify_return_error", "-CAfile", &ca])
            .args(["-servername", "wallet.test", version, "-connect"])
            .arg(server.wallet.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let request = Request::new("GET", "/healthz").field("Connection", "close");
        input.write_all(&request.bytes()).unwrap();
        let mut answer = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut answer)
            .unwrap();
        drop(input);
        let said = child.wait_with_output().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer} {said:?}");
    }
    for old in ["-tls1_1", "-tls1"] {
        let output = Command::new(&openssl)
            .args([
                "s_client",
                "-quiet",
                "-cipher",
                "ALL:@SECLEVEL=0",
                old,
                "-connect",
            ])
            .arg(server.wallet.to_string())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success(), "{old}: {output:?}");
    }
}
