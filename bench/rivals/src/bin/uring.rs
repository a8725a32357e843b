//! `rival-uring ADDRESS`: what io_uring costs when the server does nothing.
//!
//! The twin of purser-bench's floor, which waits with epoll: one thread, requests are found
//! by their length, and each is answered with the same bytes. Connections come from one
//! multishot accept; each has one operation under way at a time, a receive or a send.
//! One system call a turn submits what the last turn asked for and waits for more.
//!
//! Invariants, on which the safety of the buffers rests:
//! * a connection has exactly one operation under way, and is freed only when that one has
//!   completed;
//! * its buffers do not move: the connection is boxed and they have fixed capacity.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use anyhow::{Context, bail};
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use memchr::memmem;

/// Operations submitted at once: one for each connection of most runs, and the accept.
const RING_ENTRIES: u32 = 1_024;

/// What is received at once: a hundred pipelined balance requests.
const READ_BYTES: usize = 32 * 1024;

/// Requests with a longer body end the connection; the longest of the bench has 400 bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Marks the accept's completions; connections are numbered from 0.
const ACCEPT: u64 = u64::MAX;

/// As the epoll floor answers, byte for byte.
const BODY: &str = concat!(
    r#"{"ErrorCode":0,"Balance":{"CurrencyCode":"EUR","CashFunds":"1000.00","#,
    r#""BonusFunds":"0.00","FundsPriority":"CashFundsFirst"}}"#
);

fn answer() -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nServer: purser\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
    .into_bytes()
}

struct Connection {
    socket: OwnedFd,
    /// Bytes of requests that are not answered yet; the first `held` of them count.
    received: Box<[u8]>,
    held: usize,
    /// Answers on their way, of which `sent` bytes are gone.
    unsent: Vec<u8>,
    sent: usize,
}

impl Connection {
    fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            received: vec![0; READ_BYTES].into_boxed_slice(),
            held: 0,
            unsent: Vec::new(),
            sent: 0,
        }
    }

    /// Takes complete requests out of what was received; `None` when the rest can never
    /// become one.
    fn take_requests(&mut self) -> Option<usize> {
        let mut requests = 0;
        let mut used = 0;
        while let Some(bytes) = request_bytes(&self.received[used..self.held])? {
            used += bytes;
            requests += 1;
        }
        self.received.copy_within(used..self.held, 0);
        self.held -= used;
        // A full buffer without a whole request would receive nothing for ever.
        (self.held < self.received.len()).then_some(requests)
    }

    /// The next operation: send what waits, or receive more.
    fn next(&mut self) -> squeue::Entry {
        let socket = types::Fd(self.socket.as_raw_fd());
        if self.sent < self.unsent.len() {
            let rest = &self.unsent[self.sent..];
            opcode::Send::new(socket, rest.as_ptr(), rest.len() as u32).build()
        } else {
            let room = &mut self.received[self.held..];
            opcode::Recv::new(socket, room.as_mut_ptr(), room.len() as u32).build()
        }
    }
}

/// How long the first request is, head and body: `Some(None)` when its end has not come,
/// `None` when it is no request of the bench.
fn request_bytes(bytes: &[u8]) -> Option<Option<usize>> {
    let Some(head_end) = memmem::find(bytes, b"\r\n\r\n") else {
        return Some(None);
    };
    let head = &bytes[..head_end];
    let mut body_bytes = 0;
    for line in head.split(|&byte| byte == b'\n').skip(1) {
        let Some((name, value)) = line.split_at_checked("content-length:".len()) else {
            continue;
        };
        if name.eq_ignore_ascii_case(b"content-length:") {
            let digits = std::str::from_utf8(value.trim_ascii()).ok()?;
            body_bytes = digits.parse().ok().filter(|&n| n <= BODY_BYTES_MAX)?;
        }
    }
    let all = head_end + "\r\n\r\n".len() + body_bytes;
    Some((bytes.len() >= all).then_some(all))
}

struct Server {
    ring: IoUring,
    listener: TcpListener,
    connections: Vec<Option<Box<Connection>>>,
    free: Vec<usize>,
    answer: Vec<u8>,
}

impl Server {
    fn bind(address: std::net::SocketAddr) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
        // Completions are worked on when the one thread asks for them, which is what a
        // server of one thread wants (kernel 6.1).
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_cqsize(4 * RING_ENTRIES)
            .build(RING_ENTRIES)
            .context("set up io_uring: kernel 6.1 or newer, and not denied")?;
        Ok(Self {
            ring,
            listener,
            connections: Vec::new(),
            free: Vec::new(),
            answer: answer(),
        })
    }

    fn serve(mut self) -> anyhow::Result<()> {
        self.accept()?;
        let mut completed: Vec<cqueue::Entry> = Vec::new();
        loop {
            match self.ring.submit_and_wait(1) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("wait for completions"),
            }
            completed.extend(self.ring.completion());
            for entry in completed.drain(..) {
                self.complete(&entry)?;
            }
        }
    }

    fn accept(&mut self) -> anyhow::Result<()> {
        let listener = types::Fd(self.listener.as_raw_fd());
        let accept = opcode::AcceptMulti::new(listener).build().user_data(ACCEPT);
        self.push(&accept)
    }

    fn complete(&mut self, entry: &cqueue::Entry) -> anyhow::Result<()> {
        if entry.user_data() != ACCEPT {
            let id = entry.user_data() as usize;
            return self.turn(id, entry.result());
        }
        if entry.result() < 0 {
            let error = io::Error::from_raw_os_error(-entry.result());
            bail!("accept: {error}");
        }
        let id = self.open(entry.result())?;
        if !cqueue::more(entry.flags()) {
            self.accept()?;
        }
        self.submit_next(id)
    }

    fn open(&mut self, socket: RawFd) -> anyhow::Result<usize> {
        // SAFETY: the kernel has just made this descriptor for us, and nobody else has it.
        #[allow(unsafe_code)]
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let stream = std::net::TcpStream::from(socket);
        stream.set_nodelay(true)?;
        let connection = Box::new(Connection::new(stream.into()));
        let id = self.free.pop().unwrap_or(self.connections.len());
        if id == self.connections.len() {
            self.connections.push(None);
        }
        self.connections[id] = Some(connection);
        Ok(id)
    }

    /// The operation of a connection has completed with that result.
    fn turn(&mut self, id: usize, result: i32) -> anyhow::Result<()> {
        let Some(connection) = self.connections[id].as_mut() else {
            bail!("a completion of a connection that is gone");
        };
        let is_sending = connection.sent < connection.unsent.len();
        let goes_on = match usize::try_from(result) {
            // The peer has closed, or the connection broke.
            Err(_) | Ok(0) => false,
            Ok(bytes) if is_sending => {
                connection.sent += bytes;
                true
            }
            Ok(bytes) => {
                connection.held += bytes;
                match connection.take_requests() {
                    Some(requests) => {
                        connection.unsent.clear();
                        for _ in 0..requests {
                            connection.unsent.extend_from_slice(&self.answer);
                        }
                        connection.sent = 0;
                        true
                    }
                    None => false,
                }
            }
        };
        if goes_on {
            return self.submit_next(id);
        }
        self.connections[id] = None;
        self.free.push(id);
        Ok(())
    }

    fn submit_next(&mut self, id: usize) -> anyhow::Result<()> {
        let Some(connection) = self.connections[id].as_mut() else {
            return Ok(());
        };
        let entry = connection.next().user_data(id as u64);
        self.push(&entry)
    }

    fn push(&mut self, entry: &squeue::Entry) -> anyhow::Result<()> {
        loop {
            // SAFETY: an operation on a connection's buffers is pushed only when the one
            // before has completed; the buffers are boxed or untouched until then, and the
            // connection is freed after that. The accept has no buffers.
            #[allow(unsafe_code)]
            let pushed = unsafe { self.ring.submission().push(entry) };
            if pushed.is_ok() {
                return Ok(());
            }
            self.ring.submit().context("submit operations")?;
        }
    }
}

fn main() -> anyhow::Result<()> {
    let (listen, []) = purser_rivals::arguments()?;
    Server::bind(listen)?.serve()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n{\"a\"";

    #[test]
    fn a_request_ends_where_its_length_says() {
        for end in 0..REQUEST.len() {
            assert_eq!(request_bytes(&REQUEST[..end]), Some(None), "{end}");
        }
        let two = REQUEST.repeat(2);
        assert_eq!(request_bytes(&two), Some(Some(REQUEST.len())));
        let bad = b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n";
        assert_eq!(request_bytes(bad), None);
    }

    #[test]
    fn a_pipeline_is_answered_however_it_is_cut() {
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = server.listener.local_addr().unwrap();
        drop(server);
        // The ring belongs to the thread that submits.
        std::thread::spawn(move || Server::bind(address).unwrap().serve());
        let mut client = loop {
            if let Ok(client) = TcpStream::connect(address) {
                break client;
            }
        };
        let three = REQUEST.repeat(3);
        for cut in 0..=three.len() {
            client.write_all(&three[..cut]).unwrap();
            client.write_all(&three[cut..]).unwrap();
            let mut answers = vec![0; 3 * answer().len()];
            client.read_exact(&mut answers).unwrap();
            assert_eq!(answers, answer().repeat(3), "cut at {cut}");
        }
    }
}
