//! A wallet whose ledger knows every account and writes down what it was asked.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use purser::domain::{Credential, Domain, Domains, FundsPriority};
use purser::live::View;
use purser::settings::Settings;
use purser::slow::{SlowLog, SlowRing};
use purser::wallet::{Parts, Times, WalletService};
use shards::ledger::{Command, Facts, Funds, Outcome};
use shards::types::{Amount, Balance, Currency, ShardId, UnixMillis};
use shards::{Answered, Course, Submit, Unavailable};

/// What may be booked in one run, in the order in which it was asked.
pub(super) type Asked = Rc<RefCell<Vec<Command>>>;

pub(super) struct Ledger {
    asked: Asked,
    funds: Funds,
}

impl Submit for Ledger {
    async fn submit(&self, command: Command) -> Answered {
        let submitted_at = Instant::now();
        // Only a balance gets an answer that fits: whatever else is asked leaves its
        // trace, and is busy.
        let is_read = matches!(command, Command::ReadBalance { .. });
        self.asked.borrow_mut().push(command);
        // As if the answer had to come from another shard.
        futures_lite::future::yield_now().await;
        let result = if is_read {
            Ok(Outcome::Accepted(Facts::Funds(self.funds)))
        } else {
            Err(Unavailable::Busy)
        };
        Answered {
            result,
            course: Course {
                owner: ShardId(1),
                hopped: true,
                submitted_at,
                handled: None,
                answered_at: Instant::now(),
            },
        }
    }
}

/// The wallet of the domain `acme`, whose platform is user `gw` with password `s3cret`.
pub(super) fn wallet() -> (WalletService<Ledger>, Asked) {
    let currency = Currency::parse("GBP").expect("GBP is a currency");
    let acme = Domain {
        name: "acme".to_owned(),
        currency,
        credentials: vec![Credential::new("gw", "s3cret")],
        signature_keys: Vec::new(),
        allow: Vec::new(),
        platform_keys: Default::default(),
        games: Default::default(),
        funds_priority: FundsPriority::CashFundsFirst,
        session_token_ttl: Duration::from_secs(60),
        single_use_tokens: true,
    };
    let settings = Settings {
        domains: Arc::new([acme].into_iter().collect::<Domains>()),
        ..Settings::default()
    };
    let asked = Asked::default();
    let cash = Amount::from_minor(9_000).expect("90.00 is an amount");
    let service = WalletService::new(Parts {
        ledger: Ledger {
            asked: Rc::clone(&asked),
            funds: Funds {
                currency,
                balance: Balance {
                    cash,
                    bonus: Amount::ZERO,
                },
            },
        },
        settings: Rc::new(View::fixed(settings)),
        clock: Box::new(|| UnixMillis(0)),
        times: Times {
            idempotency_window: Duration::from_secs(72 * 3_600),
            clock_skew_max: Duration::from_secs(300),
        },
        mint: Arc::default(),
        slow: SlowLog::new(ShardId(0), Arc::new(SlowRing::new(1))),
        metrics: Arc::default(),
        draining: Arc::default(),
    });
    (service, asked)
}

/// The value of `Authorization` for its user and password.
pub(super) const AUTHORIZATION: &[u8] = b"Basic Z3c6czNjcmV0";
