//! The floor: what a server costs that does nothing.
//!
//! One thread, one epoll instance, level-triggered. It finds where a request ends
//! and answers every request with the same bytes, as long as a real balance answer
//! with the fields that purser sends. No routing, no JSON, no accounts, no clock: the
//! distance between this and purser is what purser's work costs, and a change of the
//! machine moves both.
//!
//! A wake-up costs one `recv` and one `send`, however many pipelined requests
//! arrived together.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use anyhow::Context;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::wire::{self, WireError};

/// What is read at once: a hundred pipelined balance requests.
const READ_BYTES: usize = 32 * 1024;

/// Unsent answers at which a connection is closed. A peer that sends requests and
/// reads nothing must not grow the floor's memory: 1 MiB is 4,000 answers.
const UNSENT_BYTES_MAX: usize = 1024 * 1024;

/// Requests with a longer body end the connection; the longest we send has 200 bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Wake-ups taken from the kernel at once: more than the connections of most runs.
const EVENTS_MAX: usize = 256;

const LISTENER: u64 = u64::MAX;

/// A balance answer as protocol.md section 3 has it, for a demo player.
const BODY: &str = concat!(
    r#"{"ErrorCode":0,"Balance":{"CurrencyCode":"EUR","CashFunds":"1000.00","#,
    r#""BonusFunds":"0.00","FundsPriority":"CashFundsFirst"}}"#
);

/// The whole answer. The date stands still: keeping it is work, and this does none.
fn answer_bytes() -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nServer: purser\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
    .into_bytes()
}

/// The server, its socket bound.
pub(crate) struct Floor {
    listener: TcpListener,
    epoll: Epoll,
    /// By file descriptor, which the kernel keeps small and dense.
    connections: Vec<Option<Connection>>,
    answer: Vec<u8>,
    scratch: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// The front of a request whose rest has not come yet.
    partial: Vec<u8>,
    /// Answers that the socket did not take yet.
    unsent: Vec<u8>,
}

/// What to do with a connection after its turn.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Keep,
    Close,
}

impl Floor {
    pub(crate) fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(Self {
            listener,
            epoll,
            connections: Vec::new(),
            answer: answer_bytes(),
            scratch: vec![0; READ_BYTES],
        })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the process is ended.
    pub(crate) fn serve(&mut self) -> anyhow::Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        loop {
            let ready = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(ready) => ready,
                Err(nix::Error::EINTR) => continue,
                Err(error) => return Err(error).context("wait for sockets"),
            };
            for event in &events[..ready] {
                if event.data() == LISTENER {
                    self.accept_all()?;
                } else {
                    self.turn(event.data() as usize, event.events());
                }
            }
        }
    }

    fn accept_all(&mut self) -> anyhow::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The peer gave up while it waited in the queue.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error).context("accept"),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let slot = stream.as_raw_fd() as usize;
            self.epoll
                .add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, slot as u64))?;
            if self.connections.len() <= slot {
                self.connections.resize_with(slot + 1, || None);
            }
            self.connections[slot] = Some(Connection {
                stream,
                partial: Vec::new(),
                unsent: Vec::new(),
            });
        }
    }

    fn turn(&mut self, slot: usize, flags: EpollFlags) {
        let Some(connection) = self.connections[slot].as_mut() else {
            return;
        };
        let had_unsent = !connection.unsent.is_empty();
        let fate = connection.turn(flags, &self.answer, &mut self.scratch);
        let has_unsent = !connection.unsent.is_empty();
        if fate == Fate::Keep && had_unsent != has_unsent {
            // While answers wait, wake for room only: reading more would pile up more.
            let interest = if has_unsent {
                EpollFlags::EPOLLOUT
            } else {
                EpollFlags::EPOLLIN
            };
            let changed = self.epoll.modify(
                &connection.stream,
                &mut EpollEvent::new(interest, slot as u64),
            );
            if changed.is_ok() {
                return;
            }
        } else if fate == Fate::Keep {
            return;
        }
        // Closing the socket takes it out of the epoll set as well.
        self.connections[slot] = None;
    }
}

impl Connection {
    fn turn(&mut self, flags: EpollFlags, answer: &[u8], scratch: &mut [u8]) -> Fate {
        if flags.contains(EpollFlags::EPOLLOUT) && !self.unsent.is_empty() {
            return self.send_unsent();
        }
        let read = match self.stream.read(scratch) {
            Ok(0) => return Fate::Close,
            Ok(read) => read,
            Err(error) if is_passing(&error) => return Fate::Keep,
            Err(_) => return Fate::Close,
        };
        let Ok(requests) = requests_in(&mut self.partial, &scratch[..read]) else {
            return Fate::Close;
        };
        self.send(answer, requests)
    }

    fn send(&mut self, answer: &[u8], requests: usize) -> Fate {
        match requests {
            0 => Fate::Keep,
            // The common case: straight from the one answer, no copy.
            1 => match self.stream.write(answer) {
                Ok(written) if written == answer.len() => Fate::Keep,
                Ok(written) => {
                    self.unsent.extend_from_slice(&answer[written..]);
                    Fate::Keep
                }
                Err(error) if is_passing(&error) => {
                    self.unsent.extend_from_slice(answer);
                    Fate::Keep
                }
                Err(_) => Fate::Close,
            },
            many => {
                if many * answer.len() > UNSENT_BYTES_MAX {
                    return Fate::Close;
                }
                self.unsent = answer.repeat(many);
                self.send_unsent()
            }
        }
    }

    fn send_unsent(&mut self) -> Fate {
        match self.stream.write(&self.unsent) {
            Ok(written) => {
                self.unsent.drain(..written);
                Fate::Keep
            }
            Err(error) if is_passing(&error) => Fate::Keep,
            Err(_) => Fate::Close,
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Counts the requests that are complete with `fresh` behind `partial`, and leaves
/// in `partial` the front of the next one.
fn requests_in(partial: &mut Vec<u8>, fresh: &[u8]) -> Result<usize, WireError> {
    if partial.is_empty() {
        let (requests, used) = complete_requests(fresh)?;
        partial.extend_from_slice(&fresh[used..]);
        return Ok(requests);
    }
    partial.extend_from_slice(fresh);
    let (requests, used) = complete_requests(partial)?;
    partial.drain(..used);
    Ok(requests)
}

/// How many complete requests stand at the front, and their bytes.
fn complete_requests(bytes: &[u8]) -> Result<(usize, usize), WireError> {
    let mut requests = 0;
    let mut used = 0;
    while let Some(framing) = wire::framing(&bytes[used..])? {
        let body_bytes = framing.body_bytes.unwrap_or(0);
        if body_bytes > BODY_BYTES_MAX {
            return Err(WireError::BadLength);
        }
        let request_bytes = framing.head_bytes + body_bytes;
        if bytes.len() - used < request_bytes {
            break;
        }
        used += request_bytes;
        requests += 1;
    }
    Ok((requests, used))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Verdict;

    const REQUEST: &[u8] =
        b"POST /v1.0/balance HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n{\"a\"";

    #[test]
    fn requests_count_however_the_bytes_are_cut() {
        let three = REQUEST.repeat(3);
        for first in 0..=three.len() {
            let mut partial = Vec::new();
            let (front, back) = three.split_at(first);
            let early = requests_in(&mut partial, front).unwrap();
            assert_eq!(early, first / REQUEST.len(), "cut at {first}");
            let late = requests_in(&mut partial, back).unwrap();
            assert_eq!(early + late, 3, "cut at {first}");
            assert!(partial.is_empty(), "cut at {first}");
        }
    }

    #[test]
    fn the_answer_is_what_the_client_counts_as_a_success() {
        let bytes = answer_bytes();
        let answer = wire::answer(&bytes).unwrap().unwrap();
        assert_eq!(
            (answer.bytes, answer.verdict),
            (bytes.len(), Verdict::Success)
        );
    }

    #[test]
    fn a_pipeline_is_answered_in_full_even_when_nobody_reads_at_first() {
        let mut floor = Floor::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = floor.address().unwrap();
        std::thread::spawn(move || floor.serve());
        let mut client = TcpStream::connect(address).unwrap();
        // More answers than the socket buffers hold, so that some wait for room.
        let requests = 40_000;
        let mut sender = client.try_clone().unwrap();
        let sending = std::thread::spawn(move || sender.write_all(&REQUEST.repeat(requests)));
        std::thread::sleep(std::time::Duration::from_millis(200));
        let mut answers = vec![0; answer_bytes().len() * requests];
        client.read_exact(&mut answers).unwrap();
        sending.join().unwrap().unwrap();
        assert_eq!(answers, answer_bytes().repeat(requests));
    }

    #[test]
    fn a_request_with_a_bad_length_ends_the_connection() {
        let mut floor = Floor::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = floor.address().unwrap();
        std::thread::spawn(move || floor.serve());
        let mut client = TcpStream::connect(address).unwrap();
        client
            .write_all(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n")
            .unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    }
}
