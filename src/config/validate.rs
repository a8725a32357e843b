//! Judges a configuration: raw values in, a valid [`Config`] or the first error out.
//!
//! Rules come from operator.md section 2 and, for domains, from protocol.md
//! sections 2 and 5. Each bound is a constant with its reason. `[log]` has a file of its own.

use std::ops::RangeInclusive;
use std::time::Duration;

use hashbrown::HashSet;
use jiff::Timestamp;
use shards::types::Currency;
use toml::Spanned;

use super::document::Document;
use super::raw::{self, Item};
use super::value::{Judge, Result};
use super::{
    Admin, Config, Durability, LedgerSettings, Limits, Listen, ListenTls, LogFormat, LogLevel,
    MemoryBudget, Pin, SHARDS_MAX, Secret,
};
use crate::domain::{Credential, Domain, Domains, FundsPriority, SESSION_TOKEN_TTL, SignatureKey};
use crate::http;
use crate::http::limits::READ_BUFFER_BYTES;
use crate::tls::{Part, Pem, Tls};

/// A connection holds its buffers: a million of them is tens of gigabytes, and
/// more than one address and port pair of a load balancer can open.
const CONNECTIONS: RangeInclusive<i64> = 1..=1_000_000;

/// 0 is no bound of its own; above that the same as for all of them.
const CONNECTIONS_PER_CLIENT: RangeInclusive<i64> = 0..=1_000_000;

/// What is in flight may have a reply slot, and a shard has so many.
const IN_FLIGHT: RangeInclusive<i64> = 1..=http::Limits::IN_FLIGHT_MAX as i64;

/// A proxy that adds its usual fields needs eight; the most is what the parser takes.
const HEADERS: RangeInclusive<i64> = 8..=http::Limits::HEADERS_MAX as i64;

/// Every connection starts with the lower one; above the upper one it is no longer the
/// client's send buffer that holds what we do not get to.
const PIPELINED_BYTES: RangeInclusive<i64> = READ_BUFFER_BYTES as i64..=1 << 20;

/// Below this a browser's or a load balancer's ordinary head is refused; above,
/// a head is no head.
const HEAD_BYTES: RangeInclusive<i64> = 256..=1 << 20;

/// The largest body that the protocol can make of its fields is a few KiB; the
/// upper bound keeps `max_connections` bodies from filling the machine.
const BODY_BYTES: RangeInclusive<i64> = 256..=16 << 20;

/// Timers tick in milliseconds; a wait of more than a day is no timeout.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=DAY;

/// With the shortest one every request is slow, which shows what each of a quiet server's
/// does; a day is never.
const SLOW_REQUEST: RangeInclusive<Duration> = Duration::from_nanos(1)..=DAY;

/// operator.md: at least an hour. The memory of a year of bookings is beyond
/// any machine; the year is that of humantime.
const IDEMPOTENCY_WINDOW: RangeInclusive<Duration> = HOUR..=YEAR;

/// A clock that is an hour off is a fault to mend, not a skew to allow.
const CLOCK_SKEW: RangeInclusive<Duration> = Duration::ZERO..=HOUR;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
pub(super) const YEAR: Duration = Duration::from_secs(31_557_600);

/// `OperatorAccountID` has at most 50 UTF-16 code units: the domain, a `/`, and
/// a player of at least one.
const DOMAIN_NAME_UNITS: RangeInclusive<usize> = 1..=48;
/// protocol.md section 2, `PlatformKey`.
const PLATFORM_KEY_UNITS: RangeInclusive<usize> = 1..=4;
/// protocol.md section 2, `GameID`.
const GAME_UNITS: RangeInclusive<usize> = 1..=50;

/// RFC 2104 section 3: a key shorter than the hash weakens it. "Characters" to who reads
/// the error, since all but the oddest keys are ASCII.
const SIGNATURE_KEY_BYTES_MIN: usize = 32;

const LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];
const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
pub(super) const DURABILITIES: &[(&str, Durability)] =
    &[("fsync", Durability::Fsync), ("os", Durability::Os)];
const PRIORITIES: &[(&str, FundsPriority)] = &[
    ("CashFundsFirst", FundsPriority::CashFundsFirst),
    ("BonusFundsFirst", FundsPriority::BonusFundsFirst),
    ("Unknown", FundsPriority::Unknown),
];

/// How each of these is written, for the printed configuration.
pub(super) trait Word: Sized {
    /// The word of the configuration.
    fn word(&self) -> &'static str;
}

macro_rules! word_from_table {
    ($kind:ty, $table:ident) => {
        impl Word for $kind {
            fn word(&self) -> &'static str {
                let row = $table.iter().find(|(_, value)| value == self);
                row.expect("the table has a row for every variant").0
            }
        }
    };
}
word_from_table!(LogLevel, LEVELS);
word_from_table!(LogFormat, FORMATS);
word_from_table!(Durability, DURABILITIES);

/// Judges everything.
///
/// # Errors
/// The first rule that is broken.
pub(super) fn config(document: &Document<'_>, raw: raw::Root) -> Result<Config> {
    let judge = Judge { document };
    let default = Config::default();
    let ledger = LedgerSettings {
        idempotency_window: judge.duration(
            raw.ledger.0.idempotency_window,
            &IDEMPOTENCY_WINDOW,
            default.ledger.idempotency_window,
        )?,
        max_clock_skew: judge.duration(
            raw.ledger.0.max_clock_skew,
            &CLOCK_SKEW,
            default.ledger.max_clock_skew,
        )?,
    };
    let config = Config {
        data_dir: judge.path(raw.data_dir, default.data_dir)?,
        shards: judge.integer(
            raw.shards.as_ref(),
            &(0..=i64::from(SHARDS_MAX)),
            default.shards,
        )?,
        pin: judge.pin(raw.pin, default.pin)?,
        shutdown_timeout: judge.duration(
            raw.shutdown_timeout,
            &TIMEOUT,
            default.shutdown_timeout,
        )?,
        log_level: judge.word(raw.log_level, LEVELS, default.log_level)?,
        log_format: judge.word(raw.log_format, FORMATS, default.log_format)?,
        slow_request: judge.duration(raw.slow_request, &SLOW_REQUEST, default.slow_request)?,
        trusted_proxies: judge.networks(raw.trusted_proxies, default.trusted_proxies)?,
        listen: Listen {
            wallet: judge.address(raw.listen.0.wallet.as_ref(), default.listen.wallet)?,
            admin: judge.address(raw.listen.0.admin.as_ref(), default.listen.admin)?,
            shard_ports: judge.integer(
                raw.listen.0.shard_ports.as_ref(),
                &(0..=i64::from(u16::MAX)),
                default.listen.shard_ports,
            )?,
            tls: judge.tls(raw.listen.0.tls)?,
        },
        admin: judge.admin(raw.admin.0)?,
        limits: judge.limits(raw.limits.0, default.limits)?,
        ledger,
        log: judge.log(raw.log.0, default.log, ledger.idempotency_window)?,
        domains: judge.domains(raw.domain)?,
    };
    let ports = raw.listen.0.admin.or(raw.listen.0.wallet);
    judge.listeners_apart(&config.listen, ports.as_ref())?;
    // With `shards = 0` the count is known later; one port must fit in any case.
    if let Err(problem) = config.listen.shard_ports_of(config.shards.max(1)) {
        return Err(judge.wrong(
            raw.listen.0.shard_ports.as_ref(),
            "listen.shard_ports",
            problem,
        ));
    }
    Ok(config)
}

impl Judge<'_> {
    fn pin(&self, item: Item<raw::Pin>, default: Pin) -> Result<Pin> {
        let Some(item) = item else { return Ok(default) };
        match item.get_ref() {
            raw::Pin::Switch(true) => Ok(Pin::Always),
            raw::Pin::Switch(false) => Ok(Pin::Never),
            raw::Pin::Word(word) if word == "auto" => Ok(Pin::Auto),
            raw::Pin::Word(word) => {
                let problem = format!("expected \"auto\", true or false, got {word:?}");
                Err(self.error(&item.span(), problem))
            }
        }
    }

    /// Two listeners of different APIs never share an address: SO_REUSEPORT would
    /// let both bind and deal out connections between them.
    fn listeners_apart(&self, listen: &Listen, item: Option<&Spanned<String>>) -> Result<()> {
        let (wallet, admin) = (listen.wallet, listen.admin);
        let same_port = wallet.port() == admin.port() && wallet.port() != 0;
        let overlap = wallet.ip() == admin.ip()
            || wallet.ip().is_unspecified()
            || admin.ip().is_unspecified();
        if same_port && overlap {
            let problem =
                format!("the admin API at {admin} is in the way of the wallet API at {wallet}");
            return Err(self.wrong(item, "listen.admin", problem));
        }
        Ok(())
    }

    /// Reads the files too: what they hold is as much a part of the configuration.
    fn tls(&self, raw: Item<raw::Table<raw::Tls>>) -> Result<Option<ListenTls>> {
        let Some(raw) = raw else { return Ok(None) };
        let span = raw.span();
        let raw::Table(raw) = raw.into_inner();
        let required = |item: Item<String>, name: &str| {
            item.ok_or_else(|| self.error(&span, format!("{name} is missing")))
        };
        let certificate = required(raw.certificate, "certificate")?;
        let key = required(raw.key, "key")?;
        let client_ca = raw.client_ca;
        let authorities = client_ca
            .as_ref()
            .map(|file| self.pem_in(file))
            .transpose()?;
        let pem = Pem {
            certificate: &self.pem_in(&certificate)?,
            key: &self.pem_in(&key)?,
            client_ca: authorities.as_deref(),
        };
        let identity = Tls::new(&pem, Timestamp::now()).map_err(|error| {
            let file = match (error.part, &client_ca) {
                (Part::Key, _) => &key,
                (Part::ClientCa, Some(client_ca)) => client_ca,
                (Part::Certificate | Part::ClientCa, _) => &certificate,
            };
            let problem = format!("{}: {}", file.get_ref(), error.problem);
            self.error(&file.span(), problem)
        })?;
        Ok(Some(ListenTls {
            certificate: certificate.into_inner().into(),
            key: key.into_inner().into(),
            client_ca: client_ca.map(|file| file.into_inner().into()),
            identity,
        }))
    }

    fn admin(&self, raw: raw::Admin) -> Result<Admin> {
        let secret = match (raw.token, raw.token_file) {
            (None, None) => return Ok(Admin::default()),
            (Some(_), Some(file)) => {
                return Err(self.error(&file.span(), "token is set too; keep one of the two"));
            }
            (Some(token), None) => token,
            (None, Some(file)) => self.secret_in(&file)?,
        };
        let token = secret.get_ref();
        // RFC 9110 section 11.2: a credential in a field is visible ASCII.
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem = "expected at least one character, all of them visible ASCII";
            return Err(self.error(&secret.span(), problem));
        }
        Ok(Admin {
            token: Some(Secret(secret.into_inner())),
        })
    }

    fn memory_budget(
        &self,
        item: Item<raw::MemoryBudget>,
        default: MemoryBudget,
    ) -> Result<MemoryBudget> {
        let Some(item) = item else { return Ok(default) };
        let least = MemoryBudget::BYTES_MIN;
        let found = match item.get_ref() {
            raw::MemoryBudget::Word(word) if word == "auto" => return Ok(MemoryBudget::Auto),
            raw::MemoryBudget::Word(word) if word == "off" => return Ok(MemoryBudget::Off),
            raw::MemoryBudget::Word(word) => format!("{word:?}"),
            raw::MemoryBudget::Bytes(bytes) => match u64::try_from(*bytes) {
                Ok(bytes) if bytes >= least => return Ok(MemoryBudget::Bytes(bytes)),
                _ => bytes.to_string(),
            },
        };
        let problem = format!("expected \"auto\", \"off\" or at least {least} bytes, got {found}");
        Err(self.error(&item.span(), problem))
    }

    fn limits(&self, raw: raw::Limits, default: Limits) -> Result<Limits> {
        Ok(Limits {
            max_connections: self.integer(
                raw.max_connections.as_ref(),
                &CONNECTIONS,
                default.max_connections,
            )?,
            max_connections_per_client: self.integer(
                raw.max_connections_per_client.as_ref(),
                &CONNECTIONS_PER_CLIENT,
                default.max_connections_per_client,
            )?,
            max_in_flight: self.integer(
                raw.max_in_flight.as_ref(),
                &IN_FLIGHT,
                default.max_in_flight,
            )?,
            header_timeout: self.duration(raw.header_timeout, &TIMEOUT, default.header_timeout)?,
            body_timeout: self.duration(raw.body_timeout, &TIMEOUT, default.body_timeout)?,
            idle_timeout: self.duration(raw.idle_timeout, &TIMEOUT, default.idle_timeout)?,
            write_timeout: self.duration(raw.write_timeout, &TIMEOUT, default.write_timeout)?,
            max_head_bytes: self.integer(
                raw.max_head_bytes.as_ref(),
                &HEAD_BYTES,
                default.max_head_bytes,
            )?,
            max_headers: self.integer(raw.max_headers.as_ref(), &HEADERS, default.max_headers)?,
            max_body_bytes: self.integer(
                raw.max_body_bytes.as_ref(),
                &BODY_BYTES,
                default.max_body_bytes,
            )?,
            max_pipelined_bytes: self.integer(
                raw.max_pipelined_bytes.as_ref(),
                &PIPELINED_BYTES,
                default.max_pipelined_bytes,
            )?,
            max_memory: self.memory_budget(raw.max_memory_bytes, default.max_memory)?,
        })
    }

    fn domains(&self, raw: Vec<raw::Table<raw::Domain>>) -> Result<Domains> {
        if raw.is_empty() {
            let problem = "there is no [[domain]]; a wallet needs at least one, \
                           with name, currency and credentials";
            return Err(self.document.error_without_place("domain", problem));
        }
        let mut names = HashSet::new();
        let mut domains = Vec::with_capacity(raw.len());
        for raw::Table(one) in raw {
            let name_span = one.name.span();
            let domain = self.domain(one)?;
            if !names.insert(domain.name.clone()) {
                let problem = format!("another domain has the name {:?} already", domain.name);
                return Err(self.error(&name_span, problem));
            }
            domains.push(domain);
        }
        Ok(domains.into_iter().collect())
    }

    fn domain(&self, raw: raw::Domain) -> Result<Domain> {
        self.text_length(&raw.name, &DOMAIN_NAME_UNITS)?;
        if raw
            .name
            .get_ref()
            .contains(|c: char| c == '/' || c.is_control())
        {
            let name = raw.name.get_ref();
            let problem = format!("must hold no '/' and no control character, got {name:?}");
            return Err(self.error(&raw.name.span(), problem));
        }
        let currency = Currency::parse(raw.currency.get_ref()).ok_or_else(|| {
            let code = raw.currency.get_ref();
            let problem = format!(
                "expected an upper-case ISO 4217 code with minor units such as \"GBP\", got {code:?}"
            );
            self.error(&raw.currency.span(), problem)
        })?;
        Ok(Domain {
            name: raw.name.into_inner(),
            currency,
            credentials: self.credentials(raw.credentials)?,
            signature_keys: self.signature_keys(raw.signature_keys)?,
            allow: self.networks(raw.allow, Vec::new())?,
            platform_keys: self.texts(raw.platform_keys, &PLATFORM_KEY_UNITS)?,
            games: self.texts(raw.games, &GAME_UNITS)?,
            funds_priority: self.word(
                raw.funds_priority,
                PRIORITIES,
                FundsPriority::CashFundsFirst,
            )?,
            session_token_ttl: self.duration(raw.session_token_ttl, &TIMEOUT, SESSION_TOKEN_TTL)?,
            single_use_tokens: raw.single_use_tokens.is_some_and(Spanned::into_inner),
        })
    }

    fn credentials(
        &self,
        raw: Spanned<Vec<Spanned<raw::Table<raw::Credential>>>>,
    ) -> Result<Vec<Credential>> {
        if raw.get_ref().is_empty() {
            let problem = "is empty, so that every request would be refused; \
                           add { user = \"...\", password = \"...\" }";
            return Err(self.error(&raw.span(), problem));
        }
        raw.into_inner()
            .into_iter()
            .map(|one| self.credential(one))
            .collect()
    }

    fn signature_keys(
        &self,
        raw: Vec<Spanned<raw::Table<raw::SignatureKey>>>,
    ) -> Result<Vec<SignatureKey>> {
        raw.into_iter().map(|one| self.signature_key(one)).collect()
    }

    fn signature_key(&self, raw: Spanned<raw::Table<raw::SignatureKey>>) -> Result<SignatureKey> {
        let span = raw.span();
        let raw::Table(raw) = raw.into_inner();
        let key = self.secret(&span, "key", raw.key, raw.key_file)?;
        let (text, least) = (key.get_ref(), SIGNATURE_KEY_BYTES_MIN);
        if text.len() < least || text.contains(char::is_control) {
            let problem =
                format!("must have at least {least} characters and hold no control character");
            return Err(self.error(&key.span(), problem));
        }
        Ok(SignatureKey::new(raw.id.map(Spanned::into_inner), text))
    }

    fn credential(&self, raw: Spanned<raw::Table<raw::Credential>>) -> Result<Credential> {
        let span = raw.span();
        let raw::Table(raw) = raw.into_inner();
        let user = raw.user.get_ref();
        // RFC 7617 section 2: the first ':' ends the user name; neither part has controls.
        if user.is_empty() || user.contains(|c: char| c == ':' || c.is_control()) {
            let problem =
                format!("must not be empty and hold no ':' and no control character, got {user:?}");
            return Err(self.error(&raw.user.span(), problem));
        }
        let password = self.secret(&span, "password", raw.password, raw.password_file)?;
        if password.get_ref().is_empty() || password.get_ref().contains(char::is_control) {
            let problem = "must not be empty and hold no control character";
            return Err(self.error(&password.span(), problem));
        }
        Ok(Credential::new(user, password.get_ref()))
    }
}
