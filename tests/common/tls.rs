//! TLS of the tests: files for a server, and clients that trust them.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use tempfile::TempDir;

use super::certificates::{Authority, Issued};
use super::http::Client;

/// The name in the certificates of servers.
pub const NAME: &str = "wallet.test";

/// A server's files in a directory, and the authority behind them.
pub struct Identity {
    pub dir: TempDir,
    pub authority: Authority,
}

impl Identity {
    pub fn new() -> Self {
        let identity = Self {
            dir: tempfile::tempdir().unwrap(),
            authority: Authority::new(),
        };
        identity.write("ca.pem", &identity.authority.pem());
        identity.install(&identity.authority.issue(NAME, 2020, 2100));
        identity
    }

    /// Puts a certificate and its key where the server reads them.
    pub fn install(&self, issued: &Issued) {
        self.write("cert.pem", &issued.certificate_pem());
        self.write("key.pem", &issued.key_pem());
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// The table `[listen.tls]`.
    pub fn table(&self) -> String {
        format!(
            "[listen.tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
            self.path("cert.pem"),
            self.path("key.pem")
        )
    }

    /// The same, and clients must show a certificate of the authority.
    pub fn table_with_client_ca(&self) -> String {
        format!("{}client_ca = \"{}\"\n", self.table(), self.path("ca.pem"))
    }

    pub fn client(&self) -> TlsClient {
        TlsClient::new(&self.authority)
    }
}

/// How to connect.
#[derive(Clone)]
pub struct TlsClient {
    roots: RootCertStore,
    versions: Vec<&'static SupportedProtocolVersion>,
    identity: Option<(String, String)>,
    alpn: Vec<Vec<u8>>,
}

impl TlsClient {
    pub fn new(authority: &Authority) -> Self {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(authority.pem().as_bytes());
        roots.add(authority.unwrap()).unwrap();
        Self {
            roots,
            versions: vec![&TLS13, &TLS12],
            identity: None,
            alpn: vec![b"http/1.1".to_vec()],
        }
    }

    pub fn version_1_2(mut self) -> Self {
        self.versions = vec![&TLS12];
        self
    }

    pub fn version_1_3(mut self) -> Self {
        self.versions = vec![&TLS13];
        self
    }

    pub fn alpn(mut self, protocol: &str) -> Self {
        self.alpn = vec![protocol.as_bytes().to_vec()];
        self
    }

    pub fn showing(mut self, issued: &Issued) -> Self {
        self.identity = Some((issued.certificate_pem(), issued.key_pem()));
        self
    }

    /// A connection whose handshake begins with the first request.
    pub fn connect(&self, to: SocketAddr) -> Client {
        Client::connect(to).within(|tcp| self.around(tcp))
    }

    /// The TLS end of a connection, to be used by itself.
    pub fn around(&self, tcp: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        let name = ServerName::try_from(NAME).unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), tcp)
    }
}

/// The certificate that a server shows to a new connection.
pub fn certificate_shown(client: &TlsClient, to: SocketAddr) -> Vec<u8> {
    let mut stream = client.around(TcpStream::connect(to).unwrap());
    stream.conn.complete_io(&mut stream.sock).unwrap();
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

/// Where a program is, if it is installed.
pub fn program(name: &str) -> Option<String> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths)
        .map(|folder| folder.join(name))
        .find(|path| Path::is_file(path))
        .map(|path| path.display().to_string())
}
