//! A raw HTTP/1.1 client: it sends the bytes it is given and reads one answer at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::PATIENCE;

/// What requests and answers travel in: TCP, or TLS over it.
pub trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// One connection.
pub struct Client {
    tcp: TcpStream,
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
}

/// One answer, its body complete.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// `HTTP/1.1` and the like.
    pub version: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Bytes of a request, put together.
#[derive(Clone)]
pub struct Request {
    head: String,
    body: Vec<u8>,
}

impl Client {
    pub fn connect(to: SocketAddr) -> Self {
        Self::over(TcpStream::connect(to).unwrap())
    }

    /// Connects from another address of this machine: all of 127.0.0.0/8 is ours.
    pub fn connect_from(from: IpAddr, to: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
        socket.connect(&to.into()).unwrap();
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            tcp: stream.try_clone().unwrap(),
            stream: Box::new(stream),
            unread: Vec::new(),
        }
    }

    /// The same connection with something around it: a TLS client, most often.
    pub fn within<S: Stream + 'static>(self, around: impl FnOnce(TcpStream) -> S) -> Self {
        let stream = around(self.tcp.try_clone().unwrap());
        Self {
            stream: Box::new(stream),
            ..self
        }
    }

    /// Sends one request and reads its answer.
    pub fn call(&mut self, request: &Request) -> Answer {
        self.send(&request.bytes());
        self.answer()
    }

    /// Sends bytes; a peer that has closed already is no failure of this step.
    pub fn send(&mut self, bytes: &[u8]) {
        match self.stream.write_all(bytes) {
            Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            written => written.unwrap(),
        }
    }

    /// Says that nothing more will be sent.
    pub fn half_close(&self) {
        self.tcp.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads one answer; panics when the connection ends before it is complete.
    pub fn answer(&mut self) -> Answer {
        self.try_answer()
            .expect("an answer, but the connection was closed")
    }

    /// Reads one answer, or `None` when the connection ends cleanly before it begins.
    /// Part of an answer is a failure.
    pub fn try_answer(&mut self) -> Option<Answer> {
        self.read_answer(false)
    }

    /// Reads an answer that has the fields of a body and no body.
    pub fn answer_to_head(&mut self) -> Answer {
        self.read_answer(true).expect("an answer to HEAD")
    }

    /// Asserts that the peer closes without another byte.
    pub fn assert_closed(&mut self) {
        if let Some(answer) = self.try_answer() {
            panic!("expected the connection to close, got {answer:?}");
        }
    }

    fn read_answer(&mut self, to_head: bool) -> Option<Answer> {
        let end = loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                break end;
            }
            if self.read_more() == 0 {
                let rest = String::from_utf8_lossy(&self.unread);
                assert!(self.unread.is_empty(), "half an answer: {rest}");
                return None;
            }
        };
        let head = self.take(end + 4);
        let mut answer = Answer::parse_head(std::str::from_utf8(&head).unwrap());
        let bodiless = to_head || matches!(answer.status, 100..=199 | 204 | 304);
        if !bodiless {
            answer.body = if answer.field("Transfer-Encoding").is_some() {
                self.read_chunks()
            } else {
                let length = answer.field("Content-Length").expect("a Content-Length");
                let length = length.parse().unwrap();
                self.read_exactly(length)
            };
        }
        Some(answer)
    }

    fn read_chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = loop {
                match find(&self.unread, b"\r\n") {
                    Some(end) => break self.take(end + 2),
                    None => assert!(self.read_more() > 0, "the chunks end too early"),
                }
            };
            let size = std::str::from_utf8(&size).unwrap().trim();
            let size = usize::from_str_radix(size, 16).unwrap();
            let chunk = self.read_exactly(size + 2);
            if size == 0 {
                return body;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    fn read_exactly(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.read_more() > 0, "a body that ends too early");
        }
        self.take(length)
    }

    /// How many bytes came; 0 when the peer has closed.
    fn read_more(&mut self) -> usize {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(count) => {
                self.unread.extend_from_slice(&bytes[..count]);
                count
            }
            Err(e) if e.kind() == ErrorKind::ConnectionReset => 0,
            Err(e) => panic!("no answer came: {e}"),
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.unread.split_off(length);
        std::mem::replace(&mut self.unread, rest)
    }
}

impl Answer {
    fn parse_head(head: &str) -> Self {
        let mut lines = head.trim_end().split("\r\n");
        let (version, rest) = lines.next().unwrap().split_once(' ').unwrap();
        let status = rest[..3].parse().unwrap();
        let fields = lines
            .map(|line| line.split_once(':').expect("a field line"))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        Self {
            status,
            version: version.to_owned(),
            fields,
            body: Vec::new(),
        }
    }

    /// The value of a field, found without regard to case; panics if it is there twice.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self
            .fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str());
        let first = values.next();
        assert!(values.next().is_none(), "{name} twice in {self:?}");
        first
    }

    /// The body, which must be JSON and say so.
    pub fn json(&self) -> Value {
        let kind = self.field("Content-Type").unwrap_or_default();
        assert!(kind.starts_with("application/json"), "{self:?}");
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Whether the server says that it will close.
    pub fn closes(&self) -> bool {
        self.field("Connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

impl Request {
    /// A request line and `Host`.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            head: format!("{method} {target} HTTP/1.1\r\nHost: wallet.test\r\n"),
            body: Vec::new(),
        }
    }

    /// The head as it is written, without its empty line.
    pub fn raw(head: &str) -> Self {
        Self {
            head: head.to_owned(),
            body: Vec::new(),
        }
    }

    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    /// A body with its length.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.field("Content-Length", &length)
    }

    /// A body in chunks of at most `size` bytes.
    pub fn chunked(mut self, body: &[u8], size: usize) -> Self {
        for chunk in body.chunks(size) {
            let line = format!("{:x}\r\n", chunk.len());
            self.body.extend_from_slice(line.as_bytes());
            self.body.extend_from_slice(chunk);
            self.body.extend_from_slice(b"\r\n");
        }
        self.body.extend_from_slice(b"0\r\n\r\n");
        self.field("Transfer-Encoding", "chunked")
    }

    /// Method, target and body; no body if it comes in chunks or is not there.
    pub fn parts(&self) -> (&str, &str, Option<&[u8]>) {
        let line = self.head.split("\r\n").next().unwrap_or_default();
        let mut words = line.split(' ');
        let (method, target) = (words.next(), words.next());
        let has_length = self.head.contains("Content-Length: ");
        (
            method.unwrap_or_default(),
            target.unwrap_or_default(),
            has_length.then_some(self.body.as_slice()),
        )
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone().into_bytes();
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Asserts an error of the transport: its status, and a JSON body that says what to mend.
pub fn assert_transport_error(answer: &Answer, status: u16, case: &str) {
    assert_eq!(answer.status, status, "{case}: {answer:?}");
    let body = answer.json();
    let sentence = body["ErrorDescription"].as_str().unwrap_or_default();
    assert!(!sentence.is_empty(), "{case}: {body}");
    for field in ["Date", "Content-Length"] {
        assert!(answer.field(field).is_some(), "{case}: {answer:?}");
    }
}
