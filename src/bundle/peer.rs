//! Who holds the other end of a connection on this machine, as the kernel tells it.
//!
//! The admin token opens the books, so the bundle sends it to the server and to nobody else:
//! while the server is down, its port is free for anybody's program to wait there.
//!
//! The kernel lists each connection once for each end (`/proc/net/tcp`, proc(5)), with the
//! inode of the socket that holds it, and each process's descriptors name the inodes of its
//! sockets. Who may not look into the server's descriptors, being neither root nor the
//! server's user, cannot know, and is told so.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::Host;

/// Between two looks for the other end, which has no socket until its program takes the
/// connection.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Checks that `process` holds the other end of `stream`, for as long as `patience` until
/// its program has taken the connection.
///
/// # Errors
/// It does not, or nobody can tell; the reason in words.
pub(super) fn is_process(
    host: &Host,
    stream: &TcpStream,
    process: u32,
    patience: Duration,
) -> Result<(), String> {
    let (ours, theirs) = stream
        .local_addr()
        .and_then(|ours| Ok((ours, stream.peer_addr()?)))
        .map_err(|error| error.to_string())?;
    let until = Instant::now() + patience;
    let inode = loop {
        match socket_of(host, theirs, ours) {
            Some(0) | None if Instant::now() < until => thread::sleep(LOOK_INTERVAL),
            Some(0) | None => return Err("no process of this machine holds it".to_owned()),
            Some(inode) => break inode,
        }
    };
    let descriptors = host.path(format!("proc/{process}/fd"));
    let entries = std::fs::read_dir(&descriptors)
        .map_err(|error| format!("cannot look into process {process}: {error}"))?;
    let socket = format!("socket:[{inode}]");
    let holds = entries
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .any(|target| target.as_os_str() == socket.as_str());
    if holds {
        Ok(())
    } else {
        Err("another process than the server holds it".to_owned())
    }
}

/// The inode of the socket whose own end is `local`; 0 while no program has taken it.
fn socket_of(host: &Host, local: SocketAddr, remote: SocketAddr) -> Option<u64> {
    let table = match local.ip() {
        IpAddr::V4(_) => "proc/net/tcp",
        IpAddr::V6(_) => "proc/net/tcp6",
    };
    let (local, remote) = (printed(local), printed(remote));
    let text = host.text(table).ok()?;
    text.lines().find_map(|line| {
        // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
        let mut fields = line.split_ascii_whitespace().skip(1);
        let is_it = fields.next() == Some(&local) && fields.next() == Some(&remote);
        is_it.then(|| fields.nth(6)?.parse().ok())?
    })
}

/// An address as those tables have it: words of 32 bits as this machine reads them from the
/// order of the network, then the port.
fn printed(address: SocketAddr) -> String {
    let octets = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let mut text = String::new();
    for word in octets.as_chunks::<4>().0 {
        let _ = write!(text, "{:08X}", u32::from_ne_bytes(*word));
    }
    let _ = write!(text, ":{:04X}", address.port());
    text
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::{Command, Stdio};

    use super::*;

    const SOON: Duration = Duration::from_millis(100);

    #[test]
    fn the_process_that_took_the_connection_holds_it_and_no_other_does() {
        let host = Host::live();
        let me = std::process::id();
        // Some machines have no IPv6.
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let untaken = is_process(&host, &stream, me, SOON).unwrap_err();
            assert_eq!(untaken, "no process of this machine holds it");
            let _taken = listener.accept().unwrap();
            assert_eq!(is_process(&host, &stream, me, SOON), Ok(()), "{address}");

            let mut other = Command::new("sleep")
                .arg("60")
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            let refused = is_process(&host, &stream, other.id(), SOON).unwrap_err();
            other.kill().unwrap();
            other.wait().unwrap();
            assert_eq!(refused, "another process than the server holds it");
        }
    }

    #[test]
    fn addresses_are_printed_as_the_kernel_prints_them() {
        // Examples of a little-endian machine.
        if cfg!(target_endian = "big") {
            return;
        }
        for (address, expected) in [
            ("127.0.0.1:9817", "0100007F:2659"),
            ("[::1]:80", "00000000000000000000000001000000:0050"),
        ] {
            assert_eq!(printed(address.parse().unwrap()), expected);
        }
    }
}
