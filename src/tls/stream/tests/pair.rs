//! Both ends of a TLS connection: our stream and rustls' own client, and the line between.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, Error, RootCertStore, SupportedProtocolVersion};

use super::super::*;
use crate::tls::testing::{Authority, Issued};
use crate::tls::{Pem, Tls};

pub(super) type Versions = &'static [&'static SupportedProtocolVersion];
pub(super) static ONLY_1_2: Versions = &[&TLS12];
pub(super) static ONLY_1_3: Versions = &[&TLS13];

/// What is on its way in both directions.
#[derive(Default)]
pub(super) struct Line {
    pub(super) to_server: VecDeque<u8>,
    pub(super) to_client: VecDeque<u8>,
    pub(super) has_ended: bool,
    /// Bytes of one read; none: all.
    pub(super) piece: Option<usize>,
    /// Bytes that the client still takes; none: all.
    pub(super) room: Option<usize>,
    pub(super) is_shut: bool,
}

pub(super) struct End(Rc<RefCell<Line>>);

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut line = self.0.borrow_mut();
        let count = line.piece.unwrap_or(usize::MAX).min(buffer.len());
        if line.to_server.is_empty() {
            return if line.has_ended {
                Poll::Ready(Ok(0))
            } else {
                Poll::Pending
            };
        }
        Poll::Ready(line.to_server.read(&mut buffer[..count]))
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut line = self.0.borrow_mut();
        assert!(!line.is_shut);
        let count = line.room.unwrap_or(usize::MAX).min(bytes.len());
        if count == 0 {
            return Poll::Pending;
        }
        line.room = line.room.map(|room| room - count);
        line.to_client.extend(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().is_shut = true;
        Poll::Ready(Ok(()))
    }
}

/// How the two ends are set up.
pub(super) struct Setup {
    pub(super) authority: Authority,
    pub(super) asks_for_certificate: bool,
    pub(super) client_identity: Option<Issued>,
    pub(super) versions: Versions,
    pub(super) alpn: &'static [&'static str],
}

impl Setup {
    pub(super) fn new() -> Self {
        Self {
            authority: Authority::new(),
            asks_for_certificate: false,
            client_identity: None,
            versions: ONLY_1_3,
            alpn: &[],
        }
    }

    pub(super) fn connect(&self) -> Pair {
        let server = self.authority.issue("wallet.test", 2020, 2100);
        let authority = self.authority.pem();
        let pem = Pem {
            certificate: &server.certificate_pem(),
            key: &server.key_pem(),
            client_ca: self.asks_for_certificate.then_some(&*authority),
        };
        let tls = Tls::new(&pem, jiff::Timestamp::now()).unwrap();
        let client = self.client();
        let line = Rc::<RefCell<Line>>::default();
        let metrics = Arc::<TlsMetrics>::default();
        let stream = TlsStream::new(
            End(Rc::clone(&line)),
            Arc::clone(tls.server()),
            Arc::clone(&metrics),
        );
        Pair {
            server: Arc::clone(tls.server()),
            client: client_of(&client),
            client_config: client,
            stream: Some(stream.unwrap()),
            line,
            metrics,
        }
    }

    pub(super) fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(self.authority.pem().as_bytes());
        roots.add(authority.unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.client_identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let certificate =
                    CertificateDer::from_pem_slice(identity.certificate_pem().as_bytes());
                let key = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes());
                builder
                    .with_client_auth_cert(vec![certificate.unwrap()], key.unwrap())
                    .unwrap()
            }
        };
        config.alpn_protocols = self
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Arc::new(config)
    }
}

pub(super) fn client_of(config: &Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::try_from("wallet.test").unwrap();
    ClientConnection::new(Arc::clone(config), name).unwrap()
}

/// Both ends of a connection.
pub(super) struct Pair {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client_config: Arc<ClientConfig>,
    pub(super) client: ClientConnection,
    /// None once it was dropped.
    pub(super) stream: Option<TlsStream<End>>,
    pub(super) line: Rc<RefCell<Line>>,
    pub(super) metrics: Arc<TlsMetrics>,
}

impl Pair {
    /// Moves what the client has to say to the line, and what came to the client.
    pub(super) fn exchange(&mut self) -> Result<(), Error> {
        let mut line = self.line.borrow_mut();
        let mut result = Ok(());
        while !line.to_client.is_empty() && result.is_ok() {
            self.client.read_tls(&mut line.to_client).unwrap();
            result = self.client.process_new_packets().map(|_| ());
        }
        while self.client.wants_write() {
            self.client.write_tls(&mut line.to_server).unwrap();
        }
        result
    }

    pub(super) fn say(&mut self, text: &[u8]) {
        self.client.writer().write_all(text).unwrap();
        self.exchange().unwrap();
    }

    pub(super) fn poll<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut TlsStream<End>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let stream = Pin::new(self.stream.as_mut().unwrap());
        poll(stream, &mut Context::from_waker(Waker::noop()))
    }

    /// Reads until there is nothing: the text, and how the last read ended.
    pub(super) fn read(&mut self, buffer_bytes: usize) -> (Vec<u8>, Poll<io::Result<usize>>) {
        let mut text = Vec::new();
        let mut buffer = vec![0; buffer_bytes];
        loop {
            match self.poll(|stream, cx| stream.poll_read(cx, &mut buffer)) {
                Poll::Ready(Ok(count @ 1..)) => text.extend_from_slice(&buffer[..count]),
                ended => return (text, ended),
            }
        }
    }

    pub(super) fn write(&mut self, text: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(|stream, cx| stream.poll_write(cx, text))
    }

    pub(super) fn flush(&mut self) -> Poll<io::Result<()>> {
        self.poll(AsyncWrite::poll_flush)
    }

    /// What the client has received in plain text, and whether that is all there will be.
    pub(super) fn received(&mut self) -> (Vec<u8>, bool) {
        self.exchange().unwrap();
        let mut text = Vec::new();
        match self.client.reader().read_to_end(&mut text) {
            Ok(_) => (text, true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (text, false),
            Err(error) => panic!("{error}"),
        }
    }

    /// The whole handshake, both ends taking turns.
    pub(super) fn shake_hands(&mut self) -> Result<(), Error> {
        for _ in 0..10 {
            self.exchange()?;
            let (text, ended) = self.read(100);
            assert!(text.is_empty());
            if ended.is_ready() {
                break;
            }
        }
        self.exchange()
    }

    pub(super) fn counted(&self) -> Vec<(Handshake, u64)> {
        Handshake::ALL
            .map(|end| (end, self.metrics.handshakes(end)))
            .into_iter()
            .filter(|&(_, count)| count > 0)
            .collect()
    }
}

pub(super) fn connected(versions: Versions) -> Pair {
    let mut pair = Setup {
        versions,
        ..Setup::new()
    }
    .connect();
    pair.shake_hands().unwrap();
    assert!(!pair.client.is_handshaking());
    pair
}
