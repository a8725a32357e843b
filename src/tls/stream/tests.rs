//! A TLS stream over a line in memory, with rustls' own client at its other end.

mod pair;

use rustls::{AlertDescription, Error};

use super::super::testing::Authority;
use super::*;
use pair::{ONLY_1_2, ONLY_1_3, Setup, client_of, connected};

#[test]
fn text_goes_both_ways_in_both_versions_in_whatever_pieces() {
    for versions in [ONLY_1_2, ONLY_1_3] {
        for piece in [None, Some(1), Some(7)] {
            let setup = Setup {
                versions,
                ..Setup::new()
            };
            let mut pair = setup.connect();
            pair.line.borrow_mut().piece = piece;
            pair.shake_hands().unwrap();
            assert_eq!(pair.counted(), [(Handshake::Done, 1)]);
            for round in 0..3 {
                let text = vec![round; 40_000];
                pair.say(&text);
                let (read, ended) = pair.read(4_096);
                assert!(read == text && ended.is_pending(), "{piece:?}");
                assert!(matches!(pair.write(b"answer"), Poll::Ready(Ok(6))));
                assert!(matches!(pair.flush(), Poll::Ready(Ok(()))));
                assert_eq!(pair.received(), (b"answer".to_vec(), false));
            }
        }
    }
}

#[test]
fn text_that_came_right_behind_the_handshake_is_read() {
    let mut pair = Setup::new().connect();
    pair.client.writer().write_all(b"early").unwrap();
    pair.exchange().unwrap();
    assert!(pair.read(100).1.is_pending());
    pair.exchange().unwrap();
    assert_eq!(pair.read(100).0, b"early");
}

#[test]
fn a_short_read_means_that_nothing_more_has_come() {
    let mut pair = connected(ONLY_1_3);
    // Many small records, more of them than one read of the socket brings.
    for _ in 0..500 {
        pair.say(b"twenty bytes of text");
    }
    let mut buffer = vec![0; 20_000];
    let read = pair.poll(|stream, cx| stream.poll_read(cx, &mut buffer));
    assert!(matches!(read, Poll::Ready(Ok(10_000))), "{read:?}");
}

#[test]
fn a_writer_waits_for_room_and_little_piles_up() {
    let mut pair = connected(ONLY_1_3);
    pair.line.borrow_mut().room = Some(1_000);
    let text = vec![7; 300_000];
    let mut sent = 0;
    let mut received = Vec::new();
    let mut waited = 0;
    while received.len() < text.len() {
        while let Poll::Ready(count) = pair.write(&text[sent..]) {
            sent += count.unwrap();
            if sent == text.len() {
                break;
            }
        }
        // One write's worth, and a record that is on its way.
        let waiting = sent - received.len();
        assert!(waiting <= 65_536 + 16_384, "{waiting}");
        let _ = pair.flush();
        waited += usize::from(pair.flush().is_pending());
        received.extend(pair.received().0);
        pair.line.borrow_mut().room = Some(1_000);
    }
    assert!(received == text && waited > 100, "{waited}");
}

#[test]
fn both_kinds_of_a_client_s_end_are_an_end() {
    for says_so in [true, false] {
        let mut pair = connected(ONLY_1_3);
        pair.say(b"last");
        if says_so {
            pair.client.send_close_notify();
            pair.exchange().unwrap();
        }
        pair.line.borrow_mut().has_ended = true;
        let (text, ended) = pair.read(100);
        assert!(matches!(ended, Poll::Ready(Ok(0))), "{ended:?}");
        assert_eq!(text, b"last");
        // A half-close: the answer still goes out.
        assert!(matches!(pair.write(b"answer"), Poll::Ready(Ok(6))));
        assert!(matches!(pair.flush(), Poll::Ready(Ok(()))));
        assert_eq!(pair.received().0, b"answer");
    }
}

#[test]
fn a_close_and_a_drop_tell_the_client_that_nothing_follows() {
    for closes in [true, false] {
        let mut pair = connected(ONLY_1_3);
        let _ = pair.write(b"last");
        let _ = pair.flush();
        if closes {
            let closed = pair.poll(AsyncWrite::poll_close);
            assert!(matches!(closed, Poll::Ready(Ok(()))));
            assert!(pair.line.borrow().is_shut);
            // Reading goes on.
            pair.say(b"still");
            assert_eq!(pair.read(100).0, b"still");
        } else {
            pair.stream = None;
        }
        assert_eq!(pair.received(), (b"last".to_vec(), true));
    }
}

#[test]
fn what_is_no_tls_gets_an_alert_and_is_swallowed() {
    for bytes in [
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        vec![0; 100],
        vec![0xff; 2_000],
        b"\x16\x03\x01\x00\x02\x01\x00\x17".repeat(3),
    ] {
        let mut pair = Setup::new().connect();
        pair.line.borrow_mut().to_server.extend(&bytes);
        let (text, ended) = pair.read(100);
        assert!(text.is_empty() && ended.is_pending(), "{ended:?}");
        assert_eq!(pair.counted(), [(Handshake::Malformed, 1)], "{bytes:?}");
        {
            let line = pair.line.borrow();
            assert!(line.is_shut && line.to_server.is_empty());
            // An alert record, and a fatal one.
            let alert: Vec<u8> = line.to_client.iter().copied().collect();
            assert!(
                matches!(&alert[..], [21, 3, _, 0, 2, 2, _]),
                "{alert:?} to {bytes:?}"
            );
        }
        pair.line.borrow_mut().has_ended = true;
        assert!(matches!(pair.read(100).1, Poll::Ready(Err(_))));
        pair.stream = None;
        assert_eq!(pair.counted().len(), 1, "counted once");
    }
}

#[test]
fn who_never_stops_sending_garbage_is_cut() {
    let mut pair = Setup::new().connect();
    let garbage = vec![0; 2 * FAREWELL_BYTES_MAX];
    pair.line.borrow_mut().to_server.extend(&garbage);
    assert!(matches!(pair.read(100).1, Poll::Ready(Err(_))));
    assert!(!pair.line.borrow().to_server.is_empty());
}

#[test]
fn garbage_behind_good_records_ends_the_connection_with_an_alert() {
    let mut pair = connected(ONLY_1_3);
    pair.say(b"good");
    assert_eq!(pair.read(100).0, b"good");
    pair.line.borrow_mut().to_server.extend([0; 100]);
    assert!(pair.read(100).1.is_pending());
    let error = pair.exchange().unwrap_err();
    assert!(matches!(error, Error::AlertReceived(_)), "{error:?}");
    assert!(pair.write(b"answer").map(|done| done.is_err()).is_ready());
    assert_eq!(pair.counted(), [(Handshake::Done, 1)]);
}

#[test]
fn a_handshake_that_ends_early_is_counted_by_why() {
    let mut gone = Setup::new().connect();
    gone.exchange().unwrap();
    gone.line.borrow_mut().has_ended = true;
    assert!(matches!(gone.read(100).1, Poll::Ready(Ok(0))));
    assert!(matches!(gone.write(b"x"), Poll::Ready(Err(_))));
    gone.stream = None;
    assert_eq!(gone.counted(), [(Handshake::Ended, 1)]);

    let mut slow = Setup::new().connect();
    slow.exchange().unwrap();
    assert!(slow.read(100).1.is_pending());
    slow.stream = None;
    assert_eq!(slow.counted(), [(Handshake::Timeout, 1)]);

    let mut distrustful = Setup::new().connect();
    distrustful.client = client_of(&Setup::new().client());
    let error = distrustful.shake_hands().unwrap_err();
    assert!(matches!(error, Error::InvalidCertificate(_)), "{error:?}");
    distrustful.read(100).1.is_ready();
    assert_eq!(distrustful.counted(), [(Handshake::Alert, 1)]);
}

#[test]
fn only_http_1_1_is_offered_inside() {
    for (alpn, expected) in [
        (&[] as &[_], None),
        (&["http/1.1"], Some(&b"http/1.1"[..])),
        (&["h2", "http/1.1"], Some(b"http/1.1")),
    ] {
        let mut pair = Setup {
            alpn,
            ..Setup::new()
        }
        .connect();
        pair.shake_hands().unwrap();
        assert_eq!(pair.client.alpn_protocol(), expected);
    }
    let mut pair = Setup {
        alpn: &["h2"],
        ..Setup::new()
    }
    .connect();
    assert_eq!(
        pair.shake_hands().unwrap_err(),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol)
    );
    assert_eq!(pair.counted(), [(Handshake::Incompatible, 1)]);
}

#[test]
fn a_client_certificate_is_asked_for_where_an_authority_is_configured() {
    for versions in [ONLY_1_2, ONLY_1_3] {
        let asking = || Setup {
            asks_for_certificate: true,
            versions,
            ..Setup::new()
        };
        let mut setup = asking();
        setup.client_identity = Some(setup.authority.issue("platform.test", 2020, 2100));
        let mut pair = setup.connect();
        pair.shake_hands().unwrap();
        assert_eq!(pair.counted(), [(Handshake::Done, 1)]);
        pair.say(b"hello");
        assert_eq!(pair.read(100).0, b"hello");

        let stranger = Authority::new().issue("platform.test", 2020, 2100);
        let expired = setup.authority.issue("platform.test", 2020, 2021);
        setup.client_identity = Some(expired);
        let strange = Setup {
            client_identity: Some(stranger),
            ..asking()
        };
        for setup in [asking(), setup, strange] {
            let mut pair = setup.connect();
            // In TLS 1.3 the client has sent its request before it hears the alert.
            let mut error = pair.shake_hands();
            if error.is_ok() {
                let _ = pair.client.writer().write_all(b"request");
                let _ = pair.exchange();
                let _ = pair.read(100);
                error = pair.exchange();
            }
            assert!(matches!(error, Err(Error::AlertReceived(_))), "{error:?}");
            assert_eq!(pair.counted(), [(Handshake::ClientCertificate, 1)]);
        }
    }
}

#[test]
fn a_client_that_comes_back_resumes_unless_it_must_show_a_certificate() {
    for asks in [false, true] {
        let mut setup = Setup::new();
        setup.asks_for_certificate = asks;
        setup.client_identity = Some(setup.authority.issue("platform.test", 2020, 2100));
        let mut first = setup.connect();
        first.shake_hands().unwrap();
        let mut second = setup.connect();
        second.client = client_of(&first.client_config);
        let server = Arc::clone(&first.server);
        second.stream.as_mut().unwrap().tls = ServerConnection::new(server).unwrap();
        second.shake_hands().unwrap();
        let kind = second.client.handshake_kind().unwrap();
        assert_eq!(kind == rustls::HandshakeKind::Resumed, !asks, "{kind:?}");
    }
}
