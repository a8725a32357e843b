//! The admin API as its clients see it: over TCP, with two shards behind it.

mod accounts;
mod client;
mod import;
mod lifecycle;
mod operations;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use client::{Response, send};
use hashbrown::HashSet;
use shards::ledger::LedgerSettings;
use shards::runtime::{CheckpointSettings, Cluster, ClusterSettings, FlushPlace};
use shards::types::Currency;
use shards::wal::DataSet;
use tempfile::TempDir;

use super::{AdminServer, AdminState, AdminThread, AdminToken, Kind, Readiness, WalletAddress};
use crate::domain::{Domain, Domains, FundsPriority};
use crate::live::Live;
use crate::settings::Settings;
use crate::slow::SlowRing;

const TOKEN: &str = "admin-s3cret";

/// "acme" in pounds with bonus funds, "yen" in yen without.
pub(super) fn domains() -> Domains {
    let domain = |name: &str, currency, funds_priority| Domain {
        name: name.to_owned(),
        currency: Currency::parse(currency).unwrap(),
        credentials: Vec::new(),
        signature_keys: Vec::new(),
        allow: Vec::new(),
        platform_keys: HashSet::new(),
        games: HashSet::new(),
        funds_priority,
        session_token_ttl: Duration::from_secs(60),
        single_use_tokens: false,
    };
    [
        domain("acme", "GBP", FundsPriority::CashFundsFirst),
        domain("yen", "JPY", FundsPriority::Unknown),
    ]
    .into_iter()
    .collect()
}

/// Two shards and the admin API in front of them.
struct Fixture {
    cluster: Cluster,
    readiness: Arc<Readiness>,
    admin: Option<AdminThread>,
    addr: SocketAddr,
    spool_dir: TempDir,
}

impl Fixture {
    fn start() -> Self {
        let settings = ClusterSettings {
            flush_place: FlushPlace::Auto,
            pin_to_cpus: Vec::new(),
            ledger: LedgerSettings {
                idempotency_window: Duration::from_secs(72 * 3_600),
                digest_secret: [1, 2],
                clock_skew_max: Duration::from_secs(300),
            },
            checkpoints: CheckpointSettings {
                log_bytes: 1 << 30,
                history: Duration::from_secs(3_600),
            },
            scrubs: None,
        };
        let (data, _) = DataSet::in_memory(2).unwrap();
        let cluster = Cluster::start(
            &settings,
            &data,
            async |shard: shards::runtime::ShardHandle| {
                shard.drain_requested().await;
            },
        )
        .unwrap();
        let readiness = Arc::new(Readiness::not_ready("the shards are starting"));
        let spool_dir = tempfile::tempdir().unwrap();
        let server = AdminServer::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let admin = server
            .start(AdminState {
                control: cluster.control().clone(),
                settings: Live::new(
                    Settings {
                        domains: Arc::new(domains()),
                        admin_token: AdminToken::new(TOKEN),
                        ..Settings::default()
                    },
                    0,
                ),
                shard_metrics: cluster.metrics().to_vec(),
                metrics_sources: vec![Box::new(|text| {
                    text.family("purser_test_total", Kind::Counter, "From elsewhere.")
                        .sample(&[], 42);
                })],
                readiness: readiness.clone(),
                spool_dir: spool_dir.path().to_owned(),
                data,
                idempotency_window: settings.ledger.idempotency_window,
                wallet: WalletAddress {
                    scheme: "http",
                    addr: "127.0.0.1:9816".parse().unwrap(),
                },
                slow_ring: Arc::new(SlowRing::new(2)),
            })
            .unwrap();
        Self {
            cluster,
            readiness,
            addr: admin.local_addr(),
            admin: Some(admin),
            spool_dir,
        }
    }

    /// Stops the admin thread, once; the shards go on.
    fn stop_admin(&mut self, timeout: Duration) -> bool {
        self.admin.take().unwrap().stop(timeout)
    }

    /// A request with the token.
    fn ask(&self, method: &str, path: &str, body: impl AsRef<[u8]>) -> Response {
        let authorization = format!("Bearer {TOKEN}");
        send(
            self.addr,
            method,
            path,
            &[("Authorization", &authorization)],
            body.as_ref(),
        )
    }
}

/// The shards of a test end with it, and give back the memory that they lock.
impl Drop for Fixture {
    fn drop(&mut self) {
        self.cluster.drain();
        self.cluster.close();
    }
}

/// One fixture for all tests that need not stop it: every shard locks some memory, of
/// which a process may not have much.
fn shared() -> &'static Fixture {
    static SHARED: OnceLock<Fixture> = OnceLock::new();
    SHARED.get_or_init(Fixture::start)
}
