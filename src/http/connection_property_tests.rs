//! The connection loop as a whole: any stream of requests, good and bad, gets the same
//! answers in whatever pieces it comes, and they obey what every answer must.

use std::time::Duration;

use proptest::prelude::*;

use super::super::testing::Client;

/// One request, or what is none.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let body = proptest::collection::vec(any::<u8>(), 0..60);
    let path = proptest::sample::select(vec!["/a", "/missing", "/read", "/yielding", "/%41?b"]);
    let fields = proptest::sample::select(vec![
        "",
        "X: y\r\n",
        "Expect: 100-continue\r\n",
        "Expect: other\r\n",
        "Connection: close\r\n",
        "Content-Length: 1\r\n",
        "Transfer-Encoding: gzip\r\n",
        "X : y\r\n",
    ]);
    // What ends a connection is rare, so that streams get long.
    let fields = prop_oneof![6 => Just(""), 1 => fields];
    let version =
        prop_oneof![8 => Just("1.1"), 1 => Just("1.0"), 1 => Just("1.0\r\nConnection: keep-alive")];
    let sizes = proptest::collection::vec(1_usize..20, 60);
    let framing = prop_oneof![Just(None), sizes.prop_map(Some)];
    (path, version, fields, body, framing).prop_map(|(path, version, fields, body, sizes)| {
        let mut bytes = format!("POST {path} HTTP/{version}\r\nHost: a\r\n{fields}").into_bytes();
        match sizes {
            None => {
                bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
                bytes.extend(body);
            }
            Some(sizes) => {
                bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                let mut rest = &body[..];
                for size in sizes.into_iter().take_while(|_| !body.is_empty()) {
                    let (chunk, behind) = rest.split_at(size.min(rest.len()));
                    if chunk.is_empty() {
                        break;
                    }
                    bytes.extend(format!("{:x};e\r\n", chunk.len()).bytes());
                    bytes.extend(chunk);
                    bytes.extend(b"\r\n");
                    rest = behind;
                }
                bytes.extend(b"0\r\nT: u\r\n\r\n");
            }
        }
        bytes
    })
}

/// Requests, some with a byte changed, and with the end missing as often as not.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let change = proptest::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>()));
    let requests = proptest::collection::vec((request(), change), 1..12);
    let cut = proptest::option::weighted(0.3, any::<prop::sample::Index>());
    (requests, cut).prop_map(|(requests, cut)| {
        let mut stream = Vec::new();
        for (mut bytes, change) in requests {
            if let Some((at, byte)) = change {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            stream.extend(bytes);
        }
        if let Some(cut) = cut {
            stream.truncate(cut.index(stream.len()));
        }
        stream
    })
}

/// All answers but those that ask for the body: whether they are needed is a matter of
/// pieces.
fn answers_to<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut client = Client::connect();
    for piece in pieces {
        client.send(piece);
    }
    client.end();
    // Beyond any lingering.
    client.pass(Duration::from_secs(4));
    assert!(client.is_closed());
    let metrics = &client.shared.metrics;
    assert_eq!(metrics.requests_in_flight.get(), 0);
    assert_eq!(metrics.connections_open.get(), 0);
    let mut answers = client.answers();
    answers.retain(|answer| answer != "100");
    answers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_stream_gets_the_same_answers_in_whatever_pieces(
        stream in stream(),
        sizes in proptest::collection::vec(prop_oneof![1_usize..4, 1_usize..300], 1..40),
    ) {
        let whole = answers_to([&stream[..]]);
        let mut rest = &stream[..];
        let mut pieces = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        prop_assert_eq!(&answers_to(pieces), &whole);
        // Nothing is answered behind an answer that says close.
        let closing = whole.iter().position(|answer| answer[4..].starts_with("close"));
        prop_assert!(closing.is_none_or(|at| at + 1 == whole.len()), "{whole:?}");
        // One answer for each head at most, and one for what never became one.
        let heads = stream.windows(4).filter(|window| window == b"\r\n\r\n").count();
        prop_assert!(whole.len() <= heads + 1, "{whole:?}");
    }
}
