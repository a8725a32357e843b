use proptest::prelude::*;

use super::*;

fn read<'a>(reader: &'a mut JsonReader, body: &'a mut [u8]) -> Result<Members<'a>, JsonError> {
    let mut members = Members::default();
    reader.read(body, &mut members).map(|()| members)
}

/// Reads with both readers and holds the invariants of the module; says what was found.
fn read_both(body: &[u8]) -> Result<String, JsonError> {
    let mut buffers = Buffers::new(0);
    let mut tape = Tape(Vec::new());
    let mut scratch = body.to_vec();
    let mut members = Members::default();
    let fast = read_fast(&mut buffers, &mut tape, body, &mut scratch, &mut members);
    let fast = fast.map(|()| members);
    let (mut members, mut resolved) = (Members::default(), String::new());
    let slow = read_slow(body, &mut resolved, &mut members).map(|()| members);
    match (&fast, &slow) {
        (Some(fast), Ok(slow)) => assert_eq!(fast, slow),
        (Some(fast), Err(error)) => {
            panic!("the slow reader refuses what the fast one takes: {error}, {fast:?}")
        }
        // serde_json's own tree takes neither huge numbers nor deep nesting: the two
        // reasons for the fast reader to pass on a body that is fine.
        (None, Ok(_)) => assert!(
            serde_json::from_slice::<serde_json::Value>(body).is_err(),
            "the fast reader passes on {:?}",
            String::from_utf8_lossy(body)
        ),
        (None, Err(_)) => {}
    }
    let mut scratch = body.to_vec();
    let mut reader = JsonReader::default();
    let read = read(&mut reader, &mut scratch);
    assert_eq!(read, slow);
    read.map(|members| {
        let mut shown = Vec::new();
        for &member in Member::ALL {
            match members.get(member) {
                None => {}
                Some(Value::Text(text)) => shown.push(format!("{}={text}", member.name())),
                Some(Value::Number(text)) => shown.push(format!("{}#{text}", member.name())),
                Some(other) => shown.push(format!("{}:{other:?}", member.name())),
            }
        }
        shown.join(" ")
    })
}

#[test]
fn bodies_become_members() {
    let deep = format!(
        r#"{{"x":{}1{},"GameID":7}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let cases: &[(&str, &str)] = &[
        ("{}", ""),
        (" \t\r\n{ } \t\r\n", ""),
        (r#"{"GameID":"a"}"#, "GameID=a"),
        (r#"{"gameid":"a","Other":"b"}"#, ""),
        (r#"{"GameID":"a","GameID":"b"}"#, "GameID=b"),
        (r#"{"GameID":"a","GameID":null}"#, ""),
        (r#"{"GameID":null,"GameID":"a"}"#, "GameID=a"),
        (r#"{"GameID":null}"#, ""),
        (
            r#"{"GameID":true,"Sequence":false}"#,
            "Sequence:Bool(false) GameID:Bool(true)",
        ),
        (
            r#"{"GameID":{},"Sequence":[]}"#,
            "Sequence:Array GameID:Object",
        ),
        (
            r#"{"GameID":{"GameID":"in"},"Sequence":"s"}"#,
            "Sequence=s GameID:Object",
        ),
        (r#"{"x":{"GameID":"in"},"GameID":"out"}"#, "GameID=out"),
        (
            r#"{"x":[{"GameID":"in"},1,[2,{"y":3}]],"GameID":4}"#,
            "GameID#4",
        ),
        (
            r#"{"GameID":"\"\\\/\b\f\n\r\té€😀"}"#,
            "GameID=\"\\/\u{8}\u{c}\n\r\té€😀",
        ),
        (
            r#"{"GameID":"\u0041\ud83d\ude00\uD83D\uDE00"}"#,
            "GameID=A😀😀",
        ),
        (r#"{"Game\u0049D":"a"}"#, "GameID=a"),
        (r#"{"GameID":"","Sequence":" "}"#, "Sequence=  GameID="),
        (r#"{"GameID":11588}"#, "GameID#11588"),
        (r#"{"GameID":-0}"#, "GameID#-0"),
        (
            r#"{"GameID" : 10.50 , "Sequence":1E+2}"#,
            "Sequence#1E+2 GameID#10.50",
        ),
        (
            r#"{"GameID":123456789012345678901234567890123456789012345678901}"#,
            "GameID#123456789012345678901234567890123456789012345678901",
        ),
        (
            r#"{"GameID":18446744073709551616,"Sequence":-9223372036854775809}"#,
            "Sequence#-9223372036854775809 GameID#18446744073709551616",
        ),
        (
            r#"{"GameID":0.1000000000000000055511151231257827}"#,
            "GameID#0.1000000000000000055511151231257827",
        ),
        (
            r#"{"GameID":1e400,"Sequence":"a\n"}"#,
            "Sequence=a\n GameID#1e400",
        ),
        (r#"{"GameID":-1e400,"x":{"y":[1e999]}}"#, "GameID#-1e400"),
        (r#"{"x":1e400,"GameID":1e-400}"#, "GameID#1e-400"),
        (
            r#"{"x":"\\\"{[,:]}","Sequence":1,"y":"\\","GameID":2}"#,
            "Sequence#1 GameID#2",
        ),
        (deep.as_str(), "GameID#7"),
    ];
    for (body, expected) in cases {
        assert_eq!(
            read_both(body.as_bytes()).as_deref(),
            Ok(*expected),
            "{body}"
        );
    }
}

#[test]
fn what_is_not_one_json_object_is_refused_with_its_reason() {
    let unclosed = "[".repeat(10_000);
    let cases: &[(&[u8], &str)] = &[
        (b"", "Body: empty, expected a JSON object"),
        (b" ", "EOF while parsing a value at line 1 column 1"),
        (b"\xef\xbb\xbf{}", "byte-order mark"),
        (b"{}\xef\xbb\xbf", "trailing characters"),
        (b"[]", "invalid type: sequence, expected a JSON object"),
        (b"null", "invalid type: null, expected a JSON object"),
        (b"1", "invalid type: integer"),
        (b"\"a\"", "invalid type: string"),
        (b"{} {}", "trailing characters at line 1 column 4"),
        (b"{}x", "trailing characters"),
        (b"{}\0", "trailing characters"),
        (b"{}\x0c", "trailing characters"),
        (b"{", "EOF while parsing an object at line 1 column 1"),
        (b"{\"GameID\"}", "expected `:` at line 1 column 10"),
        (b"{\"GameID\":}", "expected value"),
        (b"{\"GameID\":1,}", "trailing comma"),
        (b"{\"GameID\":1 \"Sequence\":2}", "expected `,` or `}`"),
        (b"{GameID:1}", "key must be a string"),
        (b"{'GameID':1}", "key must be a string"),
        (b"{\"x\":tru}", "expected ident"),
        (b"{\"x\":truee}", "expected `,` or `}`"),
        (b"{\"x\":True}", "expected value"),
        (b"{\"x\":NaN}", "expected value"),
        (b"{\"x\":Infinity}", "expected value"),
        (b"{\"x\":01}", "invalid number"),
        (b"{\"x\":+1}", "expected value"),
        (b"{\"x\":.5}", "expected value"),
        (b"{\"x\":5.}", "invalid number"),
        (b"{\"x\":1e}", "invalid number"),
        (b"{\"x\":-}", "invalid number"),
        (b"{\"x\":0x10}", "expected `,` or `}`"),
        (b"{\"x\":1_000}", "expected `,` or `}`"),
        (b"{\"x\":[1,]}", "expected value at line 1 column 9"),
        (b"{\"x\":[}", "expected value"),
        (b"{\"x\":\"a\nb\"}", "control character"),
        (b"{\"x\":\"a\0b\"}", "control character"),
        (b"{\"x\":\"\x1f\"}", "control character"),
        (b"{\"x\":\"\\q\"}", "invalid escape"),
        (b"{\"x\":\"\\u12g4\"}", "invalid escape"),
        (b"{\"x\":\"abc}", "EOF while parsing a string"),
        (b"{\"x\":1//c\n}", "expected `,` or `}`"),
        (b"{\"x\":\"\xff\"}", "Body: not valid UTF-8 from byte 6"),
        (b"{\"x\":\"\xc0\xaf\"}", "not valid UTF-8"),
        (b"{\"x\":\"\xed\xa0\x80\"}", "not valid UTF-8"),
        (b"{\"x\":\"\xf4\x90\x80\x80\"}", "not valid UTF-8"),
        (b"{\"x\":\"\xe2\x82\"}", "not valid UTF-8"),
        (
            b"{\"x\":\"\\ud800\"}",
            "the \\u escape at byte 6 is half of a surrogate pair",
        ),
        (
            b"{\"x\":\"\\\\\\ud800\\u0041\"}",
            "the \\u escape at byte 8",
        ),
        (b"{\"x\":[{\"y\":\"\\udc00\"}]}", "half of a surrogate pair"),
        (b"{\"x\":\"\\ud800\\ud800\"}", "half of a surrogate pair"),
        (
            b"{\"GameID\":\"\\udc00\\ud800\"}",
            "half of a surrogate pair",
        ),
        (b"{\"\\ud800\":1}", "unexpected end of hex escape"),
        (unclosed.as_bytes(), "expected a JSON object"),
    ];
    for (body, reason) in cases {
        let error = read_both(body).expect_err(&String::from_utf8_lossy(body));
        assert!(
            error.to_string().contains(reason),
            "{:?}: {error}, expected {reason}",
            String::from_utf8_lossy(body)
        );
    }
}

#[test]
fn a_reader_is_clean_after_any_body() {
    let mut reader = JsonReader::default();
    for body in [
        r#"{"GameID":1e400}"#,
        "{",
        r#"{"GameID":5,"Sequence":"\u0041"}"#,
        "[1]",
        "{}",
    ] {
        let mut scratch = body.as_bytes().to_vec();
        let reused = format!("{:?}", read(&mut reader, &mut scratch));
        let mut scratch = body.as_bytes().to_vec();
        let fresh = format!("{:?}", read(&mut JsonReader::default(), &mut scratch));
        assert_eq!(reused, fresh, "{body}");
    }
}

/// Pieces that make valid and nearly valid documents.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\\",
            "null",
            "true",
            "false",
            "tru",
            "-",
            "0",
            "1e400",
            "1e5",
            "-0.0",
            "12345678901234567890123",
            "1.5",
            "01",
            " ",
            "\n",
            "\t",
            "\0",
            "\u{feff}",
            "\\u0041",
            "\\ud800",
            "\\udc00",
            "\\n",
            "\\x",
            "é",
            "😀",
            "x",
            "\"GameID\"",
            "\"Sequence\"",
            "\"x\"",
            "\"\\\\\"",
            "\"\\ud83d\\ude00\"",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,70}",
    ]
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "false",
            "1e400",
            "-1e-400",
            "\"\\ud800\"",
            "{}"
        ])
        .prop_map(str::to_owned),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][-+]?[0-9]{1,4})?",
        "\"([ !#-\\[\\]-~é€😀]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-f]{4}){0,80}\"",
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let name =
            prop::sample::select(vec!["GameID", "Sequence", "Timestamp", "x", "Game\\u0049D"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|values| format!("[{}]", values.join(" , "))),
            prop::collection::vec((name, inner), 0..5).prop_map(|members| {
                let members: Vec<_> = members
                    .into_iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn the_readers_agree_on_random_bytes(body: Vec<u8>) {
        let _ = read_both(&body);
    }

    #[test]
    fn the_readers_agree_on_random_members(value in "\\PC{0,20}", raw: Vec<u8>) {
        let _ = read_both(format!("{{\"GameID\":{value}}}").as_bytes());
        let _ = read_both(format!("{{\"x\":\"{value}\"}}").as_bytes());
        let _ = read_both(&[b"{\"x\":\"", raw.as_slice(), b"\"}"].concat());
    }

    #[test]
    fn the_readers_agree_on_pieces(pieces in prop::collection::vec(piece(), 0..12)) {
        let text = pieces.concat();
        let _ = read_both(text.as_bytes());
        let _ = read_both(format!("{{\"GameID\":{text}}}").as_bytes());
    }

    #[test]
    fn the_readers_agree_on_documents(
        value in json(),
        cut in any::<prop::sample::Index>(),
        wrong: u8,
    ) {
        let body = format!("{{\"x\":{value},\"GameID\":{value}}}").into_bytes();
        let _ = read_both(value.as_bytes());
        let _ = read_both(&body);
        let mut broken = body.clone();
        broken[cut.index(body.len())] = wrong;
        let _ = read_both(&broken);
        let _ = read_both(&body[..cut.index(body.len())]);
    }
}
