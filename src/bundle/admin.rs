//! One question to the admin API of a server that runs, or may.
//!
//! HTTP/1.0, so that an answer ends with its connection and is never in chunks (RFC 9112
//! section 6.3, and 7.1 for who sent the request).

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::collected::ITEM_BYTES_MAX;
use super::peer;
use crate::config::Secret;
use crate::host::Host;

/// For the server to take a connection, and to say something when it was asked: above what
/// a shard that is very busy needs.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// An address to call for one to listen on: all addresses of a machine are this machine.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// What opens the API, and who may have it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credential<'a> {
    pub(super) token: &'a Secret,
    /// The one process that it is sent to; `None` sends it to whoever answers.
    pub(super) process: Option<u32>,
}

/// A connection.
pub(super) fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| error.to_string())
}

/// The body of the answer to a GET. A refusal of health and readiness is an answer too, so
/// its status stands before its body. A credential is sent only over a connection that was
/// seen to end where it may.
pub(super) fn get(
    address: SocketAddr,
    path: &str,
    credential: Option<Credential<'_>>,
) -> Result<Vec<u8>, String> {
    let mut stream = connect(address)?;
    let mut request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n");
    if let Some(Credential { token, process }) = credential {
        if let Some(process) = process {
            peer::is_process(&Host::live(), &stream, process, PATIENCE).map_err(|why| {
                format!("the admin token is not sent to {address}: {why}; --send-token sends it")
            })?;
        }
        request.push_str("Authorization: Bearer ");
        request.push_str(token.expose());
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let mut answer = Vec::new();
    let asked = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| stream.write_all(request.as_bytes()))
        .and_then(|()| {
            let bytes_max = (HEAD_BYTES_MAX + ITEM_BYTES_MAX) as u64;
            stream.take(bytes_max).read_to_end(&mut answer)
        });
    asked.map_err(|error| format!("GET {path}: {error}"))?;
    body_of(&answer).map_err(|why| format!("GET {path}: {why}"))
}

fn body_of(answer: &[u8]) -> Result<Vec<u8>, String> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n").ok_or("the answer has no head")?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| "the head is no text")?;
    let status_line = head.lines().next().unwrap_or_default();
    let status = status_line.split(' ').nth(1).unwrap_or_default();
    let body = &answer[end + 4..];
    match status {
        "200" => Ok(body.to_vec()),
        "503" => Ok([b"503 ", body].concat()),
        _ => Err(format!("the answer is {status_line:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_body_unless_it_is_refused() {
        let ok = |body: &str| Ok(body.as_bytes().to_vec());
        let refused = |why: &str| Err(why.to_owned());
        for (answer, expected) in [
            (
                "HTTP/1.0 200 OK\r\nA: b\r\n\r\nbody\r\n\r\n",
                ok("body\r\n\r\n"),
            ),
            ("HTTP/1.0 503 Service Unavailable\r\n\r\n{}", ok("503 {}")),
            (
                "HTTP/1.0 404 Not Found\r\n\r\n{}",
                refused("the answer is \"HTTP/1.0 404 Not Found\""),
            ),
            ("HTTP/1.0 200 OK\r\n", refused("the answer has no head")),
            ("", refused("the answer has no head")),
        ] {
            assert_eq!(body_of(answer.as_bytes()), expected, "{answer:?}");
        }
    }

    #[test]
    fn a_server_that_listens_everywhere_is_called_here() {
        for (listen, called) in [
            ("0.0.0.0:9817", "127.0.0.1:9817"),
            ("[::]:9817", "[::1]:9817"),
            ("10.1.2.3:9817", "10.1.2.3:9817"),
        ] {
            let listen = listen.parse().unwrap();
            assert_eq!(reachable(listen).to_string(), called);
        }
    }
}
