//! `purser-bench tls`: what TLS costs the server, beside the same without it.
//!
//! Two servers run in turns on the same CPU, one with a certificate of P-256, as most have
//! today. Against each the client opens connections that ask for one balance and go, and
//! connections that stay and ask again and again. CPU time of the server by what was done
//! is all that counts, so the client may be as simple as it is: it writes on a row of
//! connections and then reads from all of them, which lets the server find work enough to
//! stay awake.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use clap::Args;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};

use crate::place::Place;
use crate::process;
use crate::report;
use crate::request::Request;
use crate::servers::{self, Server};
use crate::wire;

/// Connections that are driven together: enough for the server to find several ready at
/// each look, few enough for no queue of the kernel to run over.
const CONNECTIONS: usize = 64;

/// Larger than one answer, and than what a handshake brings at a time.
const READ_BYTES: usize = 8 * 1024;

/// Of each name, by rustls.
const TICKETS_KEPT: usize = 8;

/// An answer that takes longer will not come.
const SILENCE_MAX: Duration = Duration::from_secs(10);

const DOMAIN: &str = "wallet.bench";

/// Options of `purser-bench tls`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// Seconds that are counted, per row and round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// How often each row is run; the table shows medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
}

/// What is done against a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    PlainConnection,
    FullHandshake,
    ResumedHandshake,
    PlainRequest,
    TlsRequest,
}

impl Row {
    const ALL: [Self; 5] = [
        Self::PlainConnection,
        Self::FullHandshake,
        Self::ResumedHandshake,
        Self::PlainRequest,
        Self::TlsRequest,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::PlainConnection => "a connection with one balance, plain",
            Self::FullHandshake => "the same, TLS 1.3, full handshake",
            Self::ResumedHandshake => "the same, TLS 1.3, resumed",
            Self::PlainRequest => "a balance on an open connection, plain",
            Self::TlsRequest => "the same, TLS 1.3",
        }
    }

    fn is_plain(self) -> bool {
        matches!(self, Self::PlainConnection | Self::PlainRequest)
    }

    /// What the row is compared with.
    fn base(self) -> Self {
        match self {
            Self::PlainConnection | Self::FullHandshake | Self::ResumedHandshake => {
                Self::PlainConnection
            }
            Self::PlainRequest | Self::TlsRequest => Self::PlainRequest,
        }
    }
}

/// Runs all rounds and prints the table.
///
/// # Errors
/// A server did not start, or a connection or an answer was not as it should be.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let place = &options.place;
    let purser = place.purser()?;
    let identity = Identity::new()?;
    let data_root = place.data_root();
    process::pin_this_thread(&place.client_cpus)?;
    let start = |settings: &[(&str, &Path)]| {
        servers::start_purser_with(&purser, 1, &place.server_cpus, &data_root, settings)
    };
    let plain = start(&[])?;
    let tls = start(&[
        ("PURSER_LISTEN__TLS__CERTIFICATE", &identity.certificate),
        ("PURSER_LISTEN__TLS__KEY", &identity.key),
    ])?;
    let mut samples = Row::ALL.map(|_| Vec::new());
    for _ in 0..options.rounds {
        for (row, samples) in Row::ALL.into_iter().zip(&mut samples) {
            let server = if row.is_plain() { &plain } else { &tls };
            let window = Duration::from_secs(options.seconds.into());
            let sample = measure(row, server, &identity, window)
                .with_context(|| format!("row {:?}", row.name()))?;
            samples.push(sample);
        }
    }
    plain.stop()?;
    tls.stop()?;
    let us = samples.map(|mut of_row| {
        of_row.sort_by(f64::total_cmp);
        of_row[of_row.len() / 2]
    });
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n", report::machine())?;
    writeln!(
        out,
        "| CPU of the server for | µs | more than plain |\n|---|---:|---:|"
    )?;
    for row in Row::ALL {
        let more = us[row as usize] - us[row.base() as usize];
        writeln!(
            out,
            "| {} | {:.1} | {more:.1} |",
            row.name(),
            us[row as usize]
        )?;
    }
    Ok(())
}

/// CPU time of the server for each time that `row` was done, in microseconds.
fn measure(
    row: Row,
    server: &Server,
    identity: &Identity,
    window: Duration,
) -> anyhow::Result<f64> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let mut request = Request::balance(&server.accounts[0], u64::try_from(now_ms)?)?;
    let request = request.at(0).to_vec();
    let config = identity.client(row == Row::ResumedHandshake)?;
    let connect = || -> anyhow::Result<Vec<Connection>> {
        let config = (!row.is_plain()).then_some(&config);
        (0..CONNECTIONS)
            .map(|number| Connection::open(server.address, number, config))
            .collect()
    };
    // The first ones bring the tickets, and have everything in the caches.
    let mut connections = connect()?;
    ask(&mut connections, &request)?;
    let stay = row.base() == Row::PlainRequest;
    let mut count = 0_u32;
    let began_at = Instant::now();
    let before = server.cpu_time()?;
    while began_at.elapsed() < window {
        if !stay {
            connections = connect()?;
        }
        ask(&mut connections, &request)?;
        count += u32::try_from(connections.len())?;
        if let Some(kind) = connections[0].handshake_kind() {
            let wanted = match row {
                Row::ResumedHandshake => HandshakeKind::Resumed,
                _ => HandshakeKind::Full,
            };
            ensure!(kind == wanted, "a handshake was {kind:?}");
        }
    }
    if !stay {
        // Closing costs the server something too.
        connections.clear();
        std::thread::sleep(Duration::from_millis(20));
    }
    let cpu = server.cpu_time()?.saturating_sub(before);
    Ok(cpu.as_secs_f64() * 1e6 / f64::from(count))
}

/// Sends the request on all connections, then takes all answers.
fn ask(connections: &mut [Connection], request: &[u8]) -> anyhow::Result<()> {
    for connection in connections.iter_mut() {
        connection.send(request)?;
    }
    for connection in connections {
        connection.take_answer()?;
    }
    Ok(())
}

/// The client's end of a connection.
struct Connection {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Connection {
    /// Of a name of its own, for tickets are kept by name, and few of each.
    fn open(
        to: SocketAddr,
        number: usize,
        config: Option<&Arc<ClientConfig>>,
    ) -> anyhow::Result<Self> {
        let mut socket = TcpStream::connect(to)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE_MAX))?;
        let tls = match config {
            None => None,
            Some(config) => {
                let name = ServerName::try_from(format!("{number}.{DOMAIN}"))?;
                let mut tls = ClientConnection::new(Arc::clone(config), name)?;
                // The hello goes out at once, so that the server has those of all.
                tls.write_tls(&mut socket)?;
                Some(Box::new(tls))
            }
        };
        Ok(Self { socket, tls })
    }

    fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.tls.as_ref()?.handshake_kind()
    }

    fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let Some(tls) = &mut self.tls else {
            return Ok(self.socket.write_all(bytes)?);
        };
        while tls.is_handshaking() {
            tls.complete_io(&mut self.socket)?;
        }
        tls.writer().write_all(bytes)?;
        while tls.wants_write() {
            tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    fn take_answer(&mut self) -> anyhow::Result<()> {
        let mut bytes = [0; READ_BYTES];
        let mut filled = 0;
        loop {
            filled += match &mut self.tls {
                None => self.socket.read(&mut bytes[filled..])?,
                Some(tls) => {
                    rustls::Stream::new(&mut **tls, &mut self.socket).read(&mut bytes[filled..])?
                }
            };
            let Some(framing) = wire::framing(&bytes[..filled])? else {
                ensure!(filled < bytes.len(), "an answer without an end");
                continue;
            };
            let body = framing.body_bytes.context("an answer without a length")?;
            if filled == framing.head_bytes + body {
                break;
            }
        }
        if !bytes.starts_with(b"HTTP/1.1 200 ") {
            bail!("{}", String::from_utf8_lossy(&bytes[..filled]));
        }
        Ok(())
    }
}

/// A certificate that signs itself, in files for the server.
struct Identity {
    _directory: tempfile::TempDir,
    certificate: PathBuf,
    key: PathBuf,
    roots: RootCertStore,
}

impl Identity {
    fn new() -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed([format!("*.{DOMAIN}")])?;
        let directory = tempfile::tempdir()?;
        let certificate = directory.path().join("cert.pem");
        let key = directory.path().join("key.pem");
        std::fs::write(&certificate, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone())?;
        Ok(Self {
            _directory: directory,
            certificate,
            key,
            roots,
        })
    }

    /// A client that trusts the certificate, and keeps tickets if it is to resume.
    fn client(&self, resumes: bool) -> anyhow::Result<Arc<ClientConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = if resumes {
            Resumption::in_memory_sessions(CONNECTIONS * TICKETS_KEPT)
        } else {
            Resumption::disabled()
        };
        Ok(Arc::new(config))
    }
}
