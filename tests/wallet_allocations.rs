//! A balance request on a warm connection allocates nothing, and a booking its command. What
//! the shard behind it allocates, bench/tests/allocations.rs counts.
//!
//! Allocators are shared, or take locks, or page; the wallet's hot path needs none of
//! it. This binary counts what its one thread allocates, so it holds this test only.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::future::block_on;
use purser::domain::{Credential, Domain, Domains, FundsPriority};
use purser::http::{Answer, Request, Service};
use purser::live::View;
use purser::settings::Settings;
use purser::slow::{SlowLog, SlowRing};
use purser::stages::StageTimes;
use purser::wallet::{Endpoint, Parts, Route, Session, Times, WalletService};
use shards::ledger::{Booked, Command, Facts, Funds, Outcome};
use shards::routing::slot_of;
use shards::types::{AccountId, Amount, Balance, Currency, SessionKey, ShardId, UnixMillis};
use shards::{Answered, Course, Submit};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it came; counting touches a
// thread-local without a destructor and allocates nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are the ones this asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Ledger(Funds);

impl Submit for Ledger {
    async fn submit(&self, command: Command) -> Answered {
        let funds = self.0;
        let result = Ok(Outcome::Accepted(match command {
            Command::PlaceBet(_) | Command::AwardWinnings(_) => Facts::Booked(Booked {
                funds,
                split: funds.balance,
            }),
            _ => Facts::Funds(funds),
        }));
        let now = Instant::now();
        Answered {
            result,
            course: Course {
                owner: ShardId(0),
                hopped: false,
                submitted_at: now,
                handled: None,
                answered_at: now,
            },
        }
    }
}

fn service() -> WalletService<Ledger> {
    let currency = Currency::parse("GBP").unwrap();
    let acme = Domain {
        name: "acme".to_owned(),
        currency,
        credentials: vec![Credential::new("gw", "s3cret")],
        signature_keys: Vec::new(),
        allow: vec!["198.51.100.0/24".parse().unwrap()],
        platform_keys: ["GW".to_owned()].into(),
        games: Default::default(),
        funds_priority: FundsPriority::CashFundsFirst,
        session_token_ttl: Duration::from_secs(60),
        single_use_tokens: false,
    };
    let settings = Settings {
        domains: Arc::new([acme].into_iter().collect::<Domains>()),
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..Settings::default()
    };
    let cash = Amount::from_minor(9_000).unwrap();
    WalletService::new(Parts {
        ledger: Ledger(Funds {
            currency,
            balance: Balance {
                cash,
                bonus: Amount::ZERO,
            },
        }),
        settings: Rc::new(View::fixed(settings)),
        clock: Box::new(|| UnixMillis(0)),
        metrics: Arc::default(),
        draining: Arc::default(),
        times: Times {
            idempotency_window: Duration::from_hours(72),
            clock_skew_max: Duration::from_mins(5),
        },
        mint: Arc::default(),
        slow: SlowLog::new(ShardId(0), Arc::new(SlowRing::new(1))),
    })
}

/// What every request of this test states.
const COMMON: &str = r#""PlatformKey":"GW","Sequence":"8f14e45f-ceea-467f-a8d6-2b5a3c1d9e70","Timestamp":1795354145000,"GameID":11588"#;

fn allocations_of_balance(account: &str) -> u64 {
    let body = format!(r#"{{{COMMON},"OperatorAccountID":"{account}","Extra":{{"a":[1,2.5]}}}}"#);
    allocations_of(Endpoint::Balance, &body)
}

fn allocations_of_bet(transaction: &str) -> u64 {
    let key = "8f14e45f-ceea-867f-a8d6-2b5a3c1d9e70";
    let body = format!(
        r#"{{{COMMON},"OperatorAccountID":"acme/p1","GameRoundID":"r-1","GameRoundTransactionID":"{transaction}","CurrencyCode":"GBP","Amount":10.5,"StartRound":true,"EndRound":false,"GatewaySessionToken":"{key}","JackpotContribution":0.0105}}"#
    );
    allocations_of(Endpoint::PlaceBet, &body)
}

fn allocations_of_award(transaction: &str) -> u64 {
    // Of the account's own slot: another's would be asked of its owner.
    let key = SessionKey::mint(slot_of(&AccountId::parse("acme/p1").unwrap()), 1);
    let body = format!(
        r#"{{{COMMON},"OperatorAccountID":"acme/p1","GameRoundID":"r-1","GameRoundTransactionID":"{transaction}","CurrencyCode":"GBP","Amount":10.5,"StartRound":false,"EndRound":true,"GatewaySessionToken":"{key}"}}"#
    );
    allocations_of(Endpoint::AwardWinnings, &body)
}

/// How many allocations one request costs once the connection has sent one.
fn allocations_of(endpoint: Endpoint, body: &str) -> u64 {
    let service = service();
    let mut session = Session::default();
    let mut out = Vec::with_capacity(1_024);
    let mut spent = 0;
    for _ in 0..3 {
        let mut body = body.as_bytes().to_vec();
        out.clear();
        let before = ALLOCATIONS.get();
        let now = Instant::now();
        let request = Request {
            authorization: Some(b"Basic Z3c6czNjcmV0"),
            signature: None,
            forwarded_for: &[b"198.51.100.7, 10.0.0.2"],
            times: &mut StageTimes::begin(now, now),
            peer: "10.0.0.1".parse().unwrap(),
            body: &mut body,
        };
        let answer =
            block_on(service.call(&mut session, Route::Endpoint(endpoint), request, &mut out));
        spent = ALLOCATIONS.get() - before;
        assert_eq!(answer, Answer::OK);
        let said = String::from_utf8_lossy(&out);
        assert!(said.starts_with(r#"{"ErrorCode":0,"#), "{said}");
    }
    spent
}

#[test]
fn a_balance_on_a_warm_connection_allocates_nothing() {
    assert_eq!(allocations_of_balance("acme/p1"), 0);
    // 24 bytes are inside the id; a longer one owns one allocation.
    assert_eq!(allocations_of_balance("acme/a-player-of-24-byte"), 0);
    assert_eq!(allocations_of_balance("acme/a-player-of-25-bytes"), 1);
}

#[test]
fn a_booking_on_a_warm_connection_allocates_its_command() {
    assert_eq!(allocations_of_award("t-2"), 1);
    assert_eq!(allocations_of_bet("t-1"), 1);
    // The id itself, once; its echo in the answer costs none.
    assert_eq!(
        allocations_of_bet("2b5a3c1d-9e70-467f-a8d6-8f14e45fceea"),
        2
    );
}
