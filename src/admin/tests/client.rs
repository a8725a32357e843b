//! A small HTTP/1.1 client, so that the tests see what is on the wire.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A string member of a JSON answer.
    pub(super) fn member(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_default().to_owned()
    }

    /// Fails unless this is an error of that status and code whose message contains a
    /// text.
    pub(super) fn expect_error(&self, status: u16, code: &str, message: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.member("Error"), code);
        let found = self.member("Message");
        assert!(found.contains(message), "{message:?} is not in {found:?}");
    }
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    // A test that hangs should say where.
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

fn head(method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> String {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\nContent-Length: {length}\r\n"
    );
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head + "\r\n"
}

/// One request on a connection of its own.
pub(super) fn send(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut stream = connect(addr);
    stream
        .write_all(head(method, path, headers, body.len()).as_bytes())
        .unwrap();
    stream.write_all(body).unwrap();
    receive(stream)
}

/// Sends a head that asks whether the body may come.
pub(super) fn ask_first(
    addr: SocketAddr,
    method: &str,
    path: &str,
    authorization: &str,
    length: usize,
) -> TcpStream {
    let headers = [("Authorization", authorization), ("Expect", "100-continue")];
    let mut stream = connect(addr);
    stream
        .write_all(head(method, path, &headers, length).as_bytes())
        .unwrap();
    stream
}

/// Sends a head and waits until the server asks for the body, which means that a handler
/// is at work on the request.
pub(super) fn begin(
    addr: SocketAddr,
    method: &str,
    path: &str,
    authorization: &str,
    length: usize,
) -> TcpStream {
    const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut stream = ask_first(addr, method, path, authorization, length);
    let mut answer = [0; GO_ON.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, GO_ON);
    stream
}

/// Reads an answer up to the end of the connection.
pub(super) fn receive(mut stream: TcpStream) -> Response {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = find(&bytes, b"\r\n\r\n");
    let mut lines = std::str::from_utf8(&bytes[..end]).unwrap().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut response = Response {
        status: status.parse().unwrap(),
        headers,
        body: bytes.split_off(end + 4),
    };
    if response.header("transfer-encoding") == Some("chunked") {
        response.body = join_chunks(&response.body);
    }
    response
}

fn join_chunks(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = find(chunks, b"\r\n");
        let size = std::str::from_utf8(&chunks[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        let from = end + 2;
        body.extend_from_slice(&chunks[from..from + size]);
        chunks = &chunks[from + size + 2..];
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
        .unwrap_or_else(|| panic!("no {wanted:?} in {:?}", String::from_utf8_lossy(bytes)))
}
