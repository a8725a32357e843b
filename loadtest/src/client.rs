//! A client that waits: for what is asked before and after the load, and for samples.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::answer;

/// The wallet's own longest wait is shorter.
const PATIENCE: Duration = Duration::from_secs(15);

/// A local server answers a connect at once; a filtered port never does.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

const READ_BYTES: usize = 64 * 1024;

/// Where a server listens: `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// `host:port`, as the `Host` header has it.
    pub(crate) authority: String,
}

impl Url {
    /// # Errors
    /// The name is not known.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        self.authority
            .to_socket_addrs()
            .with_context(|| format!("look up {}", self.authority))?
            .next()
            .with_context(|| format!("no address for {}", self.authority))
    }

    pub(crate) fn port(&self) -> u16 {
        // Checked when it was read.
        let port = self
            .authority
            .rsplit_once(':')
            .map(|(_, port)| port.parse());
        port.and_then(Result::ok).unwrap_or(80)
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let say = |what: &str| format!("{what}: expected http://host:port, got {text:?}");
        let authority = text
            .strip_prefix("http://")
            .ok_or_else(|| say("only plain HTTP is spoken"))?
            .trim_end_matches('/');
        let host_end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
        let authority = match authority[host_end..].rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => authority.to_owned(),
            Some(_) => return Err(say("no port")),
            None => format!("{authority}:80"),
        };
        if authority.contains(['/', ' ', '@']) || authority.starts_with(':') {
            return Err(say("more or less than host and port"));
        }
        Ok(Self { authority })
    }
}

/// One kept-alive connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    host: String,
    received: Vec<u8>,
}

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// # Errors
    /// Nobody listens there.
    pub(crate) fn connect(url: &Url) -> anyhow::Result<Self> {
        let address = url.address()?;
        let stream = TcpStream::connect_timeout(&address, CONNECT_PATIENCE)
            .with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            host: url.authority.clone(),
            received: Vec::new(),
        })
    }

    /// Asks for a page; `token` is the bearer's.
    ///
    /// # Errors
    /// No answer of HTTP came.
    pub(crate) fn get(&mut self, path: &str, token: Option<&str>) -> anyhow::Result<Answer> {
        let authorization = token
            .map(|token| format!("Authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let host = &self.host;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}\r\n");
        self.send(request.as_bytes())?;
        self.receive().with_context(|| format!("GET {path}"))
    }

    /// Sends the bytes of one request or several.
    ///
    /// # Errors
    /// The connection failed.
    pub(crate) fn send(&mut self, requests: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(requests).context("send a request")
    }

    /// Waits for the next answer.
    ///
    /// # Errors
    /// The connection failed, or what came is no answer.
    pub(crate) fn receive(&mut self) -> anyhow::Result<Answer> {
        loop {
            if let Some(head) = answer::framing(&self.received)? {
                let end = head.head_bytes + head.body_bytes;
                let body = self.received[head.head_bytes..end].to_vec();
                self.received.drain(..end);
                return Ok(Answer {
                    status: head.status,
                    body,
                });
            }
            let mut some = [0; READ_BYTES];
            match self.stream.read(&mut some).context("wait for an answer")? {
                0 => bail!("the server closed the connection without an answer"),
                read => self.received.extend_from_slice(&some[..read]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_host_and_port() {
        for (text, authority, port) in [
            ("http://127.0.0.1:9816", "127.0.0.1:9816", 9816),
            ("http://wallet:9816/", "wallet:9816", 9816),
            ("http://wallet", "wallet:80", 80),
            ("http://[::1]:9816", "[::1]:9816", 9816),
            ("http://[::1]", "[::1]:80", 80),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((&*url.authority, url.port()), (authority, port), "{text}");
        }
        for text in [
            "https://a:1",
            "a:1",
            "http://a:b",
            "http://a:1/v1",
            "http://u@a:1",
            "http://:1",
        ] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
    }

    #[test]
    fn answers_come_in_the_order_of_their_requests_however_they_are_cut() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // What is left unread would turn the end into a reset.
            stream.read_exact(&mut [0; 36]).unwrap();
            let answers = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nbb";
            for byte in answers.bytes() {
                stream.write_all(&[byte]).unwrap();
            }
        });
        let url: Url = format!("http://{address}").parse().unwrap();
        let mut client = Client::connect(&url).unwrap();
        client
            .send(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n")
            .unwrap();
        for (status, body) in [(200, "a"), (404, "bb")] {
            let answer = client.receive().unwrap();
            assert_eq!((answer.status, &answer.body[..]), (status, body.as_bytes()));
        }
        server.join().unwrap();
        assert!(client.receive().is_err());
    }
}
