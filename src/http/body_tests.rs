//! Bodies as facts: every one is read whole, byte by byte and cut at every byte, and all
//! ways must agree.

use proptest::prelude::*;

use super::*;

const SMALL: fn() -> Limits = || Limits {
    max_body_bytes: 32,
    ..Limits::default()
};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Incomplete,
    /// The body, and what stands behind it.
    Complete(Vec<u8>, Vec<u8>),
    Rejected(u16),
}

/// Feeds pieces that end at the given places, removing gaps as a connection does.
fn read_in_pieces(
    framing: Framing,
    bytes: &[u8],
    ends: impl IntoIterator<Item = usize>,
) -> Verdict {
    let mut reader = match BodyReader::new(framing, &SMALL()) {
        Ok(reader) => reader,
        Err(rejection) => return Verdict::Rejected(rejection.status.0),
    };
    let mut buffer = Vec::new();
    let mut fed = 0;
    for end in ends {
        buffer.extend_from_slice(&bytes[fed..end]);
        fed = end;
        match reader.advance(&mut buffer) {
            BodyState::Incomplete => {}
            BodyState::Complete { len, consumed } => {
                buffer.extend_from_slice(&bytes[fed..]);
                return Verdict::Complete(buffer[..len].to_vec(), buffer[consumed..].to_vec());
            }
            BodyState::Rejected(rejection) => {
                assert!(rejection.close);
                return Verdict::Rejected(rejection.status.0);
            }
        }
        if let Some(gap) = reader.take_gap() {
            buffer.drain(gap);
        }
        // Small chunks must not make a small body need a large buffer.
        let line_max = CHUNK_SIZE_DIGITS_MAX + 2 + CHUNK_EXTENSION_BYTES_MAX;
        assert!(buffer.len() <= SMALL().max_body_bytes + line_max.max(TRAILER_BYTES_MAX));
    }
    Verdict::Incomplete
}

/// The one answer that all ways of cutting give.
fn read(framing: Framing, bytes: &[u8]) -> Verdict {
    let whole = read_in_pieces(framing, bytes, [bytes.len()]);
    assert_eq!(
        read_in_pieces(framing, bytes, 0..=bytes.len()),
        whole,
        "byte by byte"
    );
    // Every place of a long body would be quadratic for no new fact.
    for cut in (0..=bytes.len()).step_by(1 + bytes.len() / 256) {
        assert_eq!(
            read_in_pieces(framing, bytes, [cut, bytes.len()]),
            whole,
            "cut at {cut}"
        );
    }
    whole
}

#[track_caller]
fn check_chunked(text: &str, body: &str, behind: &str) {
    let expected = Verdict::Complete(body.into(), behind.into());
    assert_eq!(
        read(Framing::Chunked, text.as_bytes()),
        expected,
        "{text:?}"
    );
}

#[track_caller]
fn check_refused(text: &str, status: u16) {
    let verdict = read(Framing::Chunked, text.as_bytes());
    assert_eq!(verdict, Verdict::Rejected(status), "{text:?}");
}

#[test]
fn bodies_by_length() {
    let check = |length, text: &str, verdict| {
        assert_eq!(
            read(Framing::Length(length), text.as_bytes()),
            verdict,
            "{length} of {text:?}"
        );
    };
    check(0, "GET", Verdict::Complete(vec![], b"GET".into()));
    check(
        4,
        "bodyGET",
        Verdict::Complete(b"body".into(), b"GET".into()),
    );
    check(4, "bod", Verdict::Incomplete);
    check(32, "", Verdict::Incomplete);
    check(33, "", Verdict::Rejected(413));
    check(u64::MAX, "", Verdict::Rejected(413));
    assert_eq!(
        read(Framing::Absent, b"GET"),
        Verdict::Complete(vec![], b"GET".into())
    );
}

#[test]
fn chunks_are_joined() {
    check_chunked("0\r\n\r\nGET", "", "GET");
    check_chunked("4\r\nbody\r\n0\r\n\r\nGET", "body", "GET");
    check_chunked("1\r\nb\r\n2\r\nod\r\n01\r\ny\r\n000\r\n\r\n", "body", "");
    check_chunked(
        "A\r\n0123456789\r\na\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
        "0123456789\r\n\r\n\r\n\r\n\r\n",
        "",
    );
    check_chunked("0000000000000004\r\nbody\r\n0\r\n\r\n", "body", "");
    check_chunked(
        "20\r\n01234567890123456789012345678901\r\n0\r\n\r\n",
        "01234567890123456789012345678901",
        "",
    );
}

#[test]
fn extensions_and_trailers_are_parsed_and_ignored() {
    check_chunked("4;a\r\nbody\r\n0\r\n\r\n", "body", "");
    check_chunked(
        "4;a=b;c=\"d;\\\"e\u{e9}\"; f = g\r\nbody\r\n0;x\r\n\r\n",
        "body",
        "",
    );
    check_chunked("0\r\nX: y\r\nContent-Length: 5\r\n\r\nGET", "", "GET");
}

#[test]
fn chunks_that_two_servers_could_read_differently() {
    for text in [
        "\r\n",
        "x\r\n",
        "+4\r\nbody\r\n",
        "-4\r\n",
        " 4\r\nbody\r\n",
        "4 \r\nbody\r\n",
        "4\t\r\n",
        "4 ;a\r\n",
        "0x4\r\nbody\r\n",
        "4_\r\n",
        "00000000000000004\r\nbody\r\n",
        "4\nbody\r\n",
        "4\rbody\r\n",
        "4\r\r\nbody",
        "4\r\nbody0\r\n\r\n",
        "4\r\nbody\n0\r\n\r\n",
        "4\r\nbody\rX0\r\n\r\n",
        "4\r\nbodyX\r\n0\r\n\r\n",
        "3\r\nbody\r\n0\r\n\r\n",
        "4;\r\n",
        "4;=b\r\n",
        "4;a=\r\n",
        "4;a b\r\n",
        "4;a \r\n",
        "4;a=b \r\n",
        "4;a=\"b\r\n",
        "4;a=\"b\"c\r\n",
        "4;a=\"b\\\r\n",
        "4;a=\u{0}\r\n",
        "4;a\nb\r\n",
        "4;\u{e9}\r\n",
        "4,a\r\n",
        "0\r\n\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nX: y\r\n z\r\n\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\nX: \u{0}\r\n\r\n",
        "0\r\nGET / HTTP/1.1\r\n\r\n",
    ] {
        check_refused(text, 400);
    }
}

#[test]
fn chunked_bodies_have_limits() {
    check_refused("21\r\n", 413);
    check_refused("1f\r\n0123456789012345678901234567890\r\n2\r\n", 413);
    check_refused("ffffffffffffffff\r\n", 413);
    let extension = format!("1;{}\r\nb\r\n", "a".repeat(99));
    check_chunked(
        &format!("{}0\r\n\r\n", extension.repeat(10)),
        "bbbbbbbbbb",
        "",
    );
    check_refused(&extension.repeat(11), 400);
    check_refused(&format!("1;{}", "a".repeat(1_100)), 400);
    check_refused(&format!("0\r\nX: {}", "a".repeat(TRAILER_BYTES_MAX)), 431);
    check_refused(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(65)), 431);
}

proptest! {
    #[test]
    fn any_bytes_get_one_answer_in_whatever_pieces(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just(b"4\r\nbody\r\n".to_vec()),
                Just(b"0\r\n".to_vec()),
                Just(b"1;a=\"b\"\r\n".to_vec()),
                Just(b"X: y\r\n".to_vec()),
                proptest::sample::select(b"0149aF; =\"\\\r\n\tx".to_vec()).prop_map(|byte| vec![byte]),
                proptest::collection::vec(any::<u8>(), 0..4),
            ],
            0..12,
        )
    ) {
        read(Framing::Chunked, &pieces.concat());
    }

    #[test]
    fn any_body_survives_any_chunks(
        body in proptest::collection::vec(any::<u8>(), 0..=32),
        sizes in proptest::collection::vec(1_usize..8, 32),
    ) {
        let mut text = Vec::new();
        let mut rest = &body[..];
        for size in sizes {
            let (chunk, behind) = rest.split_at(size.min(rest.len()));
            if chunk.is_empty() {
                break;
            }
            text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            text.extend_from_slice(chunk);
            text.extend_from_slice(b"\r\n");
            rest = behind;
        }
        text.extend_from_slice(b"0\r\n\r\nnext");
        prop_assert_eq!(read(Framing::Chunked, &text), Verdict::Complete(body, b"next".into()));
    }
}
