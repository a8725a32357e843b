//! A ledger of hash maps, and a client that calls the service without a network.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use futures_lite::future::block_on;
use serde_json::{Map, Value, json};
use shards::ledger::{Booked, Funds, Refusal, RefusalReason, SessionFacts};
use shards::routing::slot_of;
use shards::types::{Amount, Balance, CountryCode, Currency, SessionKey, SessionToken, ShardId};
use shards::{Answered, Course, Unavailable};

use super::super::*;
use crate::domain::{Credential, Domains, FundsPriority};
use crate::live::Live;
use crate::slow::SlowRing;

/// 2026-11-22T13:29:05Z.
pub(super) const NOW: i64 = 1_795_354_145_000;
/// The session of `acme/p1`.
pub(super) const KEY: &str = "00c0ffee-0000-8000-8000-000000000001";
/// The session of `once/p1`, whose domain has single-use tokens.
pub(super) const ONCE_KEY: &str = "00c0ffee-0000-8000-8000-000000000002";
/// A session of a domain that the configuration no longer has.
pub(super) const LOST_KEY: &str = "00c0ffee-0000-8000-8000-000000000003";
/// An address that every domain takes.
pub(super) const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

pub(super) fn token_at(key: &str, millis: i64) -> String {
    format!("{key}-{millis:x}")
}

/// A key whose slot is that of `acme/p1`.
pub(super) fn own_key() -> String {
    let account = AccountId::parse("acme/p1").unwrap();
    SessionKey::mint(slot_of(&account), 42).to_string()
}

#[derive(Default)]
pub(super) struct FakeLedger {
    funds: HashMap<String, Funds>,
    sessions: RefCell<HashMap<SessionKey, SessionFacts>>,
    spent: RefCell<HashSet<SessionToken>>,
    spent_until: Cell<i64>,
    asked: RefCell<Vec<String>>,
    /// Answers nothing for this reason.
    pub(super) unavailable: Cell<Option<Unavailable>>,
    /// Answers with facts that were not asked for.
    pub(super) confused: Cell<bool>,
    /// Refuses bookings for this reason.
    pub(super) refuse: Cell<Option<RefusalReason>>,
    /// The last command.
    last: RefCell<Option<Command>>,
}

impl FakeLedger {
    /// The names of the commands since the last look.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.take()
    }

    pub(super) fn log_out(&self, key: &str) {
        let key = SessionKey::parse(key).unwrap();
        self.sessions.borrow_mut().get_mut(&key).unwrap().live = false;
    }

    /// The last command that came.
    pub(super) fn last(&self) -> Command {
        self.last.borrow().clone().unwrap()
    }

    /// The funds of a known account, unless bookings are to be refused.
    fn book(&self, account: &AccountId) -> Result<Funds, Refusal> {
        let funds = self.funds.get(account.as_str()).copied();
        let reason = match funds {
            None => Some(RefusalReason::AccountNotFound),
            Some(_) => self.refuse.get(),
        };
        match (reason, funds) {
            (None, Some(funds)) => Ok(funds),
            (reason, funds) => Err(Refusal {
                reason: reason.unwrap(),
                funds,
            }),
        }
    }

    fn answer_booking(&self, command: &Command) -> Option<Outcome> {
        let minor = |minor| Amount::from_minor(minor).unwrap();
        let split = Balance {
            cash: minor(125),
            bonus: minor(25),
        };
        let booked = |account| {
            let facts = |funds| Facts::Booked(Booked { funds, split });
            self.book(account).map(facts)
        };
        let answer = match command {
            Command::PlaceBet(bet) => booked(&bet.round.account),
            Command::AwardWinnings(award) => booked(&award.round.account),
            Command::RollBackBet(rollback) => booked(&rollback.round.account),
            Command::VoidBet(void) => booked(&void.round.account),
            Command::Credit(credit) => booked(&credit.account),
            Command::EndRound(end) => self.book(&end.account).map(Facts::Funds),
            Command::AnswerAlert(alert) => self.book(&alert.account).map(Facts::Funds),
            _ => return None,
        };
        Some(match answer {
            Ok(Facts::Funds(_)) if self.confused.get() => Outcome::Accepted(Facts::Books(vec![])),
            Ok(_) if self.confused.get() => {
                Outcome::Accepted(Facts::Funds(*self.funds.values().next().unwrap()))
            }
            Ok(facts) => Outcome::Accepted(facts),
            Err(refusal) => Outcome::Refused(refusal),
        })
    }

    pub(super) fn spent_until(&self) -> i64 {
        self.spent_until.get()
    }

    fn answer(&self, command: Command) -> Outcome {
        *self.last.borrow_mut() = Some(command.clone());
        if let Some(outcome) = self.answer_booking(&command) {
            return outcome;
        }
        let session = |key| {
            let found = self.sessions.borrow().get(&key).cloned();
            found.ok_or(RefusalReason::SessionNotFound)
        };
        let facts = match command {
            Command::ReadBalance { account } => self
                .funds
                .get(account.as_str())
                .map(|funds| Facts::Funds(*funds))
                .ok_or(RefusalReason::AccountNotFound),
            Command::ReadLatestSession { account } => self
                .funds
                .get(account.as_str())
                .ok_or(RefusalReason::AccountNotFound)
                .and_then(|_| {
                    let sessions = self.sessions.borrow();
                    let live = sessions.values().find(|s| s.account == account && s.live);
                    live.cloned().ok_or(RefusalReason::NoLiveSession)
                })
                .map(Facts::Session),
            Command::ReadSession { key } => session(key).map(Facts::Session),
            Command::SpendToken { token, expires_at } => session(token.key).and_then(|session| {
                self.spent_until.set(expires_at.0);
                let fresh = self.spent.borrow_mut().insert(token);
                fresh
                    .then(|| Facts::Session(session))
                    .ok_or(RefusalReason::TokenSpent)
            }),
            other => panic!("the wallet has no reason to ask {other:?}"),
        };
        match facts {
            Ok(Facts::Funds(_)) if self.confused.get() => {
                let session = self.sessions.borrow().values().next().cloned();
                Outcome::Accepted(Facts::Session(session.unwrap()))
            }
            Ok(_) if self.confused.get() => {
                Outcome::Accepted(Facts::Funds(*self.funds.values().next().unwrap()))
            }
            Ok(facts) => Outcome::Accepted(facts),
            Err(reason) => Outcome::Refused(Refusal {
                reason,
                funds: None,
            }),
        }
    }
}

pub(super) struct Handle(Rc<FakeLedger>);

impl Submit for Handle {
    async fn submit(&self, command: Command) -> Answered {
        let submitted_at = Instant::now();
        let shown = format!("{command:?}");
        let name = shown
            .split([' ', '('])
            .next()
            .unwrap_or_default()
            .to_owned();
        self.0.asked.borrow_mut().push(name);
        // Another request may come in between, as it does on a shard.
        futures_lite::future::yield_now().await;
        let result = match self.0.unavailable.get() {
            Some(reason) => Err(reason),
            None => Ok(self.0.answer(command)),
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

/// A service with a few domains and players.
pub(super) struct World {
    pub(super) ledger: Rc<FakeLedger>,
    pub(super) metrics: Arc<WalletMetrics>,
    pub(super) draining: Arc<AtomicBool>,
    pub(super) live: Arc<Live<Settings>>,
    pub(super) slow: Arc<SlowRing>,
    service: WalletService<Handle>,
}

impl World {
    pub(super) fn new() -> Self {
        let domains: Domains = [
            Domain {
                credentials: vec![
                    Credential::new("gw", "s3:cret"),
                    Credential::new("acme", "next"),
                ],
                allow: ["198.51.100.0/24", "2001:db8::/32"]
                    .map(|network| network.parse().unwrap())
                    .to_vec(),
                platform_keys: ["GW".to_owned()].into(),
                ..domain("acme", "GBP", FundsPriority::CashFundsFirst)
            },
            Domain {
                games: ["chess".to_owned()].into(),
                ..domain("yen", "JPY", FundsPriority::BonusFundsFirst)
            },
            domain("kuwait", "KWD", FundsPriority::Unknown),
            Domain {
                single_use_tokens: true,
                ..domain("once", "GBP", FundsPriority::CashFundsFirst)
            },
        ]
        .into_iter()
        .collect();
        let mut ledger = FakeLedger::default();
        for domain in domains.iter() {
            ledger.funds.insert(
                format!("{}/p1", domain.name),
                Funds {
                    currency: domain.currency,
                    balance: Balance {
                        cash: Amount::from_minor(9_000).unwrap(),
                        bonus: Amount::from_minor(5).unwrap(),
                    },
                },
            );
        }
        for (key, account) in [
            (KEY, "acme/p1"),
            (ONCE_KEY, "once/p1"),
            (LOST_KEY, "lost/p1"),
        ] {
            let session = session(key, account);
            ledger.sessions.borrow_mut().insert(session.key, session);
        }
        let ledger = Rc::new(ledger);
        let metrics = Arc::new(WalletMetrics::default());
        let draining = Arc::new(AtomicBool::new(false));
        let slow = Arc::<SlowRing>::default();
        let live = Live::new(
            Settings {
                domains: Arc::new(domains),
                trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
                ..Settings::default()
            },
            1,
        );
        let service = WalletService::new(Parts {
            ledger: Handle(Rc::clone(&ledger)),
            settings: Rc::new(View::new(&live, 0, |_| {})),
            clock: Box::new(|| UnixMillis(NOW)),
            metrics: Arc::clone(&metrics),
            draining: Arc::clone(&draining),
            times: Times {
                idempotency_window: Duration::from_hours(72),
                clock_skew_max: Duration::from_mins(5),
            },
            mint: Arc::default(),
            slow: SlowLog::new(ShardId(0), Arc::clone(&slow)),
        });
        Self {
            ledger,
            metrics,
            draining,
            live,
            slow,
            service,
        }
    }

    /// Sends a request on a fresh connection.
    pub(super) fn send(&self, call: &Call) -> (Answer, String) {
        self.send_on(&mut Session::default(), call)
    }

    pub(super) fn send_on(&self, session: &mut Session, call: &Call) -> (Answer, String) {
        let forwarded_for: Vec<&[u8]> = call.forwarded_for.iter().map(Vec::as_slice).collect();
        let mut body = call.body();
        let now = Instant::now();
        let request = Request {
            authorization: call.authorization.as_deref(),
            signature: call.signature.as_deref(),
            forwarded_for: &forwarded_for,
            times: &mut StageTimes::begin(now, now),
            peer: call.peer,
            body: &mut body,
        };
        let mut out = Vec::new();
        let answer = block_on(self.service.call(session, call.route, request, &mut out));
        (answer, String::from_utf8(out).unwrap())
    }
}

fn domain(name: &str, currency: &str, funds_priority: FundsPriority) -> Domain {
    Domain {
        name: name.to_owned(),
        currency: Currency::parse(currency).unwrap(),
        credentials: vec![
            Credential::new(name, name),
            Credential::new("gw", "s3:cret"),
        ],
        signature_keys: Vec::new(),
        allow: Vec::new(),
        platform_keys: Default::default(),
        games: Default::default(),
        funds_priority,
        session_token_ttl: Duration::from_secs(60),
        single_use_tokens: false,
    }
}

fn session(key: &str, account: &str) -> SessionFacts {
    SessionFacts {
        key: SessionKey::parse(key).unwrap(),
        account: AccountId::parse(account).unwrap(),
        currency: Currency::parse("GBP").unwrap(),
        country: CountryCode::parse("ie").unwrap(),
        created_at: UnixMillis(NOW - 1),
        logout_at: None,
        live: true,
    }
}

/// A request, right in everything until it is changed.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) route: Route,
    /// Sent instead of the members.
    pub(super) raw: Option<Vec<u8>>,
    pub(super) authorization: Option<Vec<u8>>,
    pub(super) signature: Option<Vec<u8>>,
    pub(super) forwarded_for: Vec<Vec<u8>>,
    pub(super) peer: IpAddr,
    members: Map<String, Value>,
}

impl Call {
    pub(super) fn create_token() -> Self {
        Self::to(
            Endpoint::CreateToken,
            &json!({"OperatorAccountID": "acme/p1", "GameID": 7}),
        )
    }

    pub(super) fn redeem_token() -> Self {
        let members = json!({"SessionToken": token_at(KEY, NOW), "IPAddress": "player's"});
        Self::to(Endpoint::RedeemToken, &members)
    }

    pub(super) fn balance() -> Self {
        Self::to(Endpoint::Balance, &json!({"OperatorAccountID": "acme/p1"}))
    }

    /// A request to the endpoint, with the members that it requires.
    pub(super) fn of(endpoint: Endpoint) -> Self {
        let mut members = json!({
            "OperatorAccountID": "acme/p1",
            "GameRoundID": "r1",
            "GameRoundTransactionID": "t1",
            "GameID": 7,
            "CurrencyCode": "GBP",
            "Amount": "1.50",
            "EndRound": true,
        });
        let more = match endpoint {
            Endpoint::CreateToken => return Self::create_token(),
            Endpoint::RedeemToken => return Self::redeem_token(),
            Endpoint::Balance => return Self::balance(),
            Endpoint::PlaceBet => json!({"GatewaySessionToken": own_key(), "StartRound": true}),
            Endpoint::AwardWinnings => json!({"StartRound": true}),
            Endpoint::RollbackBet => json!({"OriginalBetGameRoundTransactionID": "t0"}),
            Endpoint::Credit => {
                json!({"AccountTransactionID": "c1", "AccountTransactionTypeID": "gift"})
            }
            Endpoint::VoidBet | Endpoint::End | Endpoint::Alert => json!({}),
        };
        let all = members.as_object_mut().unwrap();
        all.extend(more.as_object().unwrap().clone());
        Self::to(endpoint, &members)
    }

    fn to(endpoint: Endpoint, members: &Value) -> Self {
        let mut call = Self {
            route: Route::Endpoint(endpoint),
            raw: None,
            authorization: None,
            signature: None,
            forwarded_for: Vec::new(),
            peer: CLIENT,
            members: members.as_object().unwrap().clone(),
        };
        call.authorize("gw", "s3:cret");
        call.set("PlatformKey", json!("GW"));
        call.set("Sequence", json!("s-1"));
        call.set("Timestamp", json!("2026-11-22T13:29:05.123Z"));
        call
    }

    /// As it is sent.
    pub(super) fn body(&self) -> Vec<u8> {
        match &self.raw {
            Some(raw) => raw.clone(),
            None => Value::Object(self.members.clone()).to_string().into_bytes(),
        }
    }

    pub(super) fn set(&mut self, member: &str, value: Value) {
        self.members.insert(member.to_owned(), value);
    }

    pub(super) fn authorize(&mut self, user: &str, password: &str) {
        let encoded =
            base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.authorization = Some(format!("Basic {encoded}").into_bytes());
    }

    pub(super) fn with(mut self, member: &str, value: Value) -> Self {
        self.set(member, value);
        self
    }

    pub(super) fn raw(mut self, body: &[u8]) -> Self {
        self.raw = Some(body.to_vec());
        self
    }

    pub(super) fn authorized(mut self, user: &str, password: &str) -> Self {
        self.authorize(user, password);
        self
    }

    pub(super) fn signed(mut self, signature: Option<Vec<u8>>) -> Self {
        self.signature = signature;
        self
    }

    pub(super) fn from(mut self, peer: &str, forwarded_for: &[&str]) -> Self {
        self.peer = peer.parse().unwrap();
        self.forwarded_for = forwarded_for
            .iter()
            .map(|line| line.as_bytes().to_vec())
            .collect();
        self
    }
}
