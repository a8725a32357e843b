//! One kept-alive connection that never waits: bytes out, and one answer back.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

use crate::answer::{self, Framing};

/// An answer of the wallet has below 400 bytes; longer ones make the buffer grow.
const INPUT_BYTES: usize = 2 * 1024;

/// A connection that may not be there at the moment.
#[derive(Debug)]
pub(crate) struct Wire {
    address: SocketAddr,
    socket: Option<Socket>,
    /// The request that goes out; see [`Wire::request`].
    out: Vec<u8>,
    out_sent: usize,
    input: Vec<u8>,
    input_filled: usize,
}

/// Why a connection is of no more use.
pub(crate) type Broken = std::io::Error;

impl Wire {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            socket: None,
            out: Vec::new(),
            out_sent: 0,
            input: vec![0; INPUT_BYTES],
            input_filled: 0,
        }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Gives the connection up; the kernel forgets it in every epoll as well.
    pub(crate) fn drop_connection(&mut self) {
        self.socket = None;
        self.input_filled = 0;
    }

    /// Begins to connect. `true`: it is done already; otherwise the socket becomes writable
    /// when [`Wire::connected`] can tell.
    ///
    /// # Errors
    /// Nobody listens, or there are no more sockets.
    pub(crate) fn connect(&mut self) -> Result<bool, Broken> {
        self.drop_connection();
        let socket = Socket::new(
            Domain::for_address(self.address),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        socket.set_tcp_nodelay(true)?;
        let outcome = socket.connect(&self.address.into());
        self.socket = Some(socket);
        match outcome {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(nix::libc::EINPROGRESS) => Ok(false),
            Err(error) => {
                self.drop_connection();
                Err(error)
            }
        }
    }

    /// After the socket became writable: whether connecting succeeded.
    ///
    /// # Errors
    /// Why it did not.
    pub(crate) fn connected(&mut self) -> Result<(), Broken> {
        match self.socket.as_ref().map(Socket::take_error) {
            Some(Ok(None)) => Ok(()),
            Some(Ok(Some(error)) | Err(error)) => Err(error),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// The buffer for the next request, whose bytes [`Wire::write`] sends.
    pub(crate) fn request(&mut self) -> &mut Vec<u8> {
        self.out_sent = 0;
        &mut self.out
    }

    pub(crate) fn request_bytes(&self) -> usize {
        self.out.len()
    }

    /// Sends what is left of the request; `true` when all of it is handed over.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) fn write(&mut self) -> Result<bool, Broken> {
        let Some(socket) = &mut self.socket else {
            return Err(ErrorKind::NotConnected.into());
        };
        while self.out_sent < self.out.len() {
            match socket.write(&self.out[self.out_sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.out_sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Reads what came until an answer is complete; `None`: more must come.
    ///
    /// # Errors
    /// The connection broke or ended, or what came is no answer, or more than one.
    pub(crate) fn read(&mut self) -> Result<Option<Framing>, Broken> {
        let Some(socket) = &mut self.socket else {
            return Err(ErrorKind::NotConnected.into());
        };
        loop {
            if self.input_filled == self.input.len() {
                self.input.resize(2 * self.input.len(), 0);
            }
            match socket.read(&mut self.input[self.input_filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.input_filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let head = answer::framing(&self.input[..self.input_filled])
                .map_err(|error| Broken::new(ErrorKind::InvalidData, error))?;
            if let Some(head) = head {
                if self.input_filled > head.head_bytes + head.body_bytes {
                    return Err(Broken::new(
                        ErrorKind::InvalidData,
                        "bytes behind an answer",
                    ));
                }
                return Ok(Some(head));
            }
        }
    }

    /// The body of the answer that [`Wire::read`] gave, until [`Wire::answer_done`].
    pub(crate) fn body(&self, head: &Framing) -> &[u8] {
        &self.input[head.head_bytes..head.head_bytes + head.body_bytes]
    }

    /// The answer was looked at.
    pub(crate) fn answer_done(&mut self, head: &Framing) {
        self.input_filled = 0;
        if head.closes {
            self.drop_connection();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A wire to a server that sends `answers` one piece at a time, each after a byte came.
    fn served(pieces: &'static [&'static [u8]]) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut wire = Wire::new(listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            for piece in pieces {
                stream.read_exact(&mut [0]).unwrap();
                stream.write_all(piece).unwrap();
            }
        });
        wire.connect().unwrap();
        eventually(|| wire.connected().is_ok().then_some(()));
        wire
    }

    fn eventually<T>(mut condition: impl FnMut() -> Option<T>) -> T {
        for _ in 0..2_000 {
            if let Some(value) = condition() {
                return value;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("never happened");
    }

    fn ask(wire: &mut Wire) -> Result<Framing, Broken> {
        wire.request().clear();
        wire.request().push(b'x');
        eventually(|| match wire.write() {
            Ok(true) => Some(()),
            Ok(false) => None,
            Err(error) => panic!("{error}"),
        });
        eventually(|| wire.read().transpose())
    }

    #[test]
    fn answers_come_whole_and_a_connection_stays_until_it_is_closed() {
        let mut wire = served(&[
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nc",
        ]);
        let head = ask(&mut wire).unwrap();
        assert_eq!(wire.body(&head), b"ab");
        wire.answer_done(&head);
        assert!(wire.is_there());
        let head = ask(&mut wire).unwrap();
        assert_eq!(wire.body(&head), b"c");
        wire.answer_done(&head);
        assert!(!wire.is_there());
        assert!(wire.write().is_err());
    }

    #[test]
    fn an_end_in_the_middle_and_bytes_behind_an_answer_are_broken() {
        let mut wire = served(&[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"]);
        let error = ask(&mut wire).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        let mut wire = served(&[b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", b""]);
        let error = ask(&mut wire).unwrap_err();
        assert_eq!(error.to_string(), "bytes behind an answer");
    }

    #[test]
    fn nobody_who_listens_is_an_error() {
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut wire = Wire::new(address);
        let refused = match wire.connect() {
            Err(error) => error,
            Ok(_) => eventually(|| wire.connected().err()),
        };
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}
